//! What holds after every step, and what holds in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use customer_guard::domain::contact::{ContactField, ContactRole};
use customer_guard::domain::customer::{Customer, Relationship, SyncState};
use customer_guard::domain::ids::RunId;
use customer_guard::domain::reconcile::billing_mirrors;
use customer_guard::domain::text::tidy;
use customer_guard::simulator::customer::Customer as Upstream;
use customer_guard::store::{CustomerQuery, RunState};
use sqlx::Row;
use uuid::Uuid;

use crate::history::Liar;
use crate::truth::{Heard, email};
use crate::world::{FORBIDDEN, World};

/// What the checks remember from one step to the next.
#[derive(Debug, Default)]
pub struct Seen {
    ended: BTreeSet<Uuid>,
    last_full: Option<RunId>,
}

impl World {
    /// Every customer of Microsoft's that the service has.
    async fn here(&self) -> BTreeMap<Uuid, Customer> {
        let query = CustomerQuery { accounts: [self.account.clone()].into(), ..CustomerQuery::default() };
        let found = self.store().find_customers(&query, None, 1_000).await.expect("customers");
        let tenant = |customer: Customer| Some((customer.microsoft.as_ref()?.tenant_id.uuid(), customer));
        found.into_iter().filter_map(tenant).collect()
    }

    /// What holds at every moment.
    pub async fn check(&mut self) {
        for (tenant, customer) in self.here().await {
            match customer.relationship() {
                Some(Relationship::Active) => self.check_active(tenant, &customer),
                Some(Relationship::Ended) => self.check_ended(tenant).await,
                None => panic!("a customer of Microsoft's without a relationship"),
            }
        }
        self.check_full_run().await;
    }

    fn check_active(&mut self, tenant: Uuid, customer: &Customer) {
        self.seen.ended.remove(&tenant);
        assert!(billing_mirrors(customer), "billing is primary of {tenant}");
        let shown = format!("{:?} {} {}", customer.primary_contact, customer.company_name, customer.domain);
        let contact = ContactField::ALL.map(|member| customer.contact(ContactRole::Primary, member)).join(" ");
        assert!(!shown.contains(FORBIDDEN) && !contact.contains(FORBIDDEN), "a refused edit stands in {tenant}");
        let fresh = self.nature.lag_seconds == 0;
        let known = self.truth.of(tenant);
        let email = customer.primary_contact.get(ContactField::Email);
        let place = known.emails.iter().rposition(|was| was == email);
        let place = place.unwrap_or_else(|| panic!("{tenant} never had the address {email}"));
        assert!(!fresh || place >= known.newest_seen, "{tenant} went back to {email}");
        known.newest_seen = known.newest_seen.max(place);
    }

    async fn check_ended(&mut self, tenant: Uuid) {
        if !self.seen.ended.insert(tenant) {
            return;
        }
        let known = self.truth.of(tenant).clone();
        let Some(left_at) = known.first_left_at else { panic!("{tenant} ended and never left") };
        let runs = self.store().sync_runs(&self.account, None, 500).await.expect("runs");
        let lists = runs
            .iter()
            .filter(|run| run.state != RunState::Failed && run.listed_at.is_some_and(|listed_at| listed_at >= left_at))
            .count();
        let enough = if known.leave_recorded { 1 } else { 2 };
        // A list that leaves out whom it should not may be one of the two.
        if self.nature.liar == Liar::Detail {
            assert!(lists >= enough, "{tenant} ended after {lists} complete lists without it");
        }
    }

    /// A full run that succeeded has looked at everybody who was there when it began.
    async fn check_full_run(&mut self) {
        let Some(run) = self.store().last_full_run(&self.account).await.expect("an answer") else { return };
        if self.seen.last_full == Some(run.id) {
            return;
        }
        self.seen.last_full = Some(run.id);
        for (tenant, known) in &self.truth.known {
            if known.there_since.is_none_or(|since| since > run.started_at) {
                continue;
            }
            let row = sqlx::query(
                "SELECT looked_at >= $2 OR settled < marked FROM upstream_customer
                 WHERE tenant_id = $1 AND EXISTS (SELECT 1 FROM customer WHERE microsoft_tenant_id = $1)",
            )
            .bind(tenant.to_string())
            .bind(run.started_at.micros())
            .fetch_optional(&mut self.shell)
            .await
            .expect("an answer");
            let Some(row) = row else { continue };
            let looked: Option<bool> = row.try_get(0).expect("a truth");
            assert!(looked == Some(true), "a full run succeeded and {tenant} was not looked at");
        }
    }

    /// Half an hour of quiet, then one quiet night.
    pub async fn end_well(&mut self) {
        self.mend();
        for _ in 0..10 {
            self.pass(Duration::from_secs(200)).await;
            self.check().await;
        }
        self.assert_level(When::AfterAWhile).await;
        self.night().await;
        for _ in 0..2 {
            self.pass(Duration::from_secs(15 * 60)).await;
        }
        self.check().await;
        self.assert_level(When::AfterTheNight).await;
        self.assert_sound().await;
    }

    async fn assert_level(&mut self, when: When) {
        let mut here = self.here().await;
        for there in self.simulator.customers(self.tenant()) {
            let found = here.remove(&there.id);
            if when == When::AfterAWhile && !self.must_be_level_soon(there.id) {
                continue;
            }
            let found = found.unwrap_or_else(|| panic!("{when:?} {} is not here", there.id));
            assert_is_level(&found, &there, when);
            let label = &self.truth.known[&there.id].label;
            assert_eq!(found.labels.get("own"), label.as_ref(), "a caller's label of {}", there.id);
        }
        if when == When::AfterTheNight {
            for (tenant, gone) in here {
                let state = gone.microsoft.map(|link| link.sync_state);
                assert!(
                    matches!(state, Some(SyncState::Ended | SyncState::HeldForRemoval)),
                    "{tenant} is gone and is {state:?}"
                );
            }
        }
    }

    /// Whether the newest change of a customer was signalled in a way that nothing false can have spoilt.
    fn must_be_level_soon(&self, tenant: Uuid) -> bool {
        let known = &self.truth.known[&tenant];
        let lags = self.nature.lag_seconds > 0;
        // A signal is looked at three times. Each false answer can use up one look, and a lag two.
        let looks = if lags { 1 } else { 3 };
        match known.heard {
            Heard::Signalled => !known.was_unreadable && self.truth.false_details < looks,
            Heard::Refreshed => !known.was_unreadable && self.truth.false_details == 0 && !lags,
            Heard::Silent => false,
        }
    }

    async fn assert_sound(&mut self) {
        for (question, promise) in [
            (
                "SELECT count(*) FROM customer c WHERE revision <>
                    (SELECT count(*) FROM change_log l WHERE l.account = c.account AND l.customer_id = c.id)",
                "every change of a customer is one row of the change log",
            ),
            (
                "SELECT count(*) FROM upstream_customer WHERE settled < marked OR confirm_at IS NOT NULL",
                "nothing is owed in the end",
            ),
            ("SELECT count(*) FROM sync_run WHERE state IN ('LISTING', 'FETCHING')", "no run is under way in the end"),
        ] {
            let row = sqlx::query(question).fetch_one(&mut self.shell).await.expect("a count");
            assert_eq!(row.try_get::<i64, _>(0).expect("a number"), 0, "{promise}");
        }
        self.store().check_decisions(&self.account).await.expect("the decisions are a chain");
        let present = self.simulator.customers(self.tenant()).len();
        let ids = self.truth.known.iter().filter(|(_, known)| known.there_since.is_some()).count();
        assert_eq!(present, ids, "the history knows who is there");
    }
}

/// How long it has been quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    AfterAWhile,
    AfterTheNight,
}

fn assert_is_level(here: &Customer, there: &Upstream, when: When) {
    let link = here.microsoft.as_ref().expect("a customer of Microsoft's");
    let state = (link.relationship, link.sync_state);
    assert_eq!(state, (Relationship::Active, SyncState::Synced), "{when:?} the state of {}", there.id);
    let profile = &there.billing_profile;
    let address = profile.default_address.clone().unwrap_or_default();
    let text = |text: &Option<String>| tidy(text.as_deref().unwrap_or_default());
    let primary = |member| here.contact(ContactRole::Primary, member).to_owned();
    let named = if profile.first_name.is_some() { &profile.first_name } else { &address.first_name };
    for (what, here, there_is) in [
        ("e-mail", primary(ContactField::Email), email(there)),
        ("first name", primary(ContactField::FirstName), text(named)),
        ("city", primary(ContactField::City), text(&address.city)),
        ("phone", primary(ContactField::PhoneNumber), text(&address.phone_number)),
        ("company name", here.company_name.clone(), tidy(there.listed_name())),
        ("tenant name", link.tenant_name.clone(), tidy(&there.tenant_name)),
        ("domain", here.domain.clone(), tidy(&there.domain)),
    ] {
        assert_eq!(here, there_is, "{when:?} the {what} of {}", there.id);
    }
}
