//! What holds after every step, and what holds in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use customer_guard::clock::Timestamp;
use customer_guard::domain::contact::{ContactField, ContactRole};
use customer_guard::domain::customer::{Customer, Relationship, Source, SyncState};
use customer_guard::domain::ids::{CustomerId, RunId};
use customer_guard::domain::reconcile::billing_mirrors;
use customer_guard::simulator::audit::OperationStatus;
use customer_guard::simulator::customer::Customer as Upstream;
use customer_guard::store::{CustomerQuery, Deleted, RunState};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::history::Liar;
use crate::truth::{Face, Heard, Record, Written};
use crate::world::{FORBIDDEN, World};

/// What the checks remember from one step to the next.
#[derive(Debug, Default)]
pub struct Seen {
    ended: BTreeSet<Uuid>,
    last_full: Option<RunId>,
    order: BTreeMap<String, (i64, i64)>,
    epoch_of_the_last_process: i64,
    finished_records: BTreeMap<String, Option<Timestamp>>,
}

impl World {
    /// Every record, the deleted among them.
    async fn every_record(&self) -> Vec<Customer> {
        let accounts = [self.account.clone()].into();
        let query = CustomerQuery { accounts, deleted: Deleted::Shown, ..CustomerQuery::default() };
        self.store().find_customers(&query, None, 1_000).await.expect("customers")
    }

    /// What holds at every moment.
    pub async fn check(&mut self) {
        let records = self.every_record().await;
        let ids: BTreeSet<CustomerId> = records.iter().map(|record| record.id).collect();
        for known in &self.truth.ids {
            assert!(ids.contains(known), "record {known} is lost");
        }
        for customer in &records {
            self.check_written(customer);
            match (&customer.microsoft, customer.relationship()) {
                (None, None) => assert_eq!(self.truth.own[&customer.id].linked, None, "{} is linked", customer.id),
                (Some(link), Some(relationship)) => {
                    let tenant = link.tenant_id.uuid();
                    self.check_paused(tenant, customer);
                    match relationship {
                        Relationship::Active => self.check_active(tenant, customer),
                        Relationship::Ended => self.check_ended(tenant, customer).await,
                    }
                }
                other => panic!("a customer that is somebody's by half: {other:?}"),
            }
        }
        self.check_revisions().await;
        self.check_upstream().await;
        self.check_lists().await;
        self.check_audit_log().await;
        self.check_full_run().await;
    }

    /// I2: what a caller was told is stored still is.
    fn check_written(&mut self, customer: &Customer) {
        let id = customer.id;
        if !self.truth.records.contains_key(&id) {
            let tenant = customer.microsoft.as_ref().expect("nobody made it here").tenant_id.uuid();
            let alike = self.truth.alike(tenant);
            assert!(alike.is_empty(), "{tenant} got a record of its own, and looks like {alike:?}");
            self.truth.ids.push(id);
            self.truth.records.insert(id, Record { note: customer.note.clone(), ..Record::default() });
        }
        let record = &self.truth.records[&id];
        assert_eq!(customer.labels.get("own"), record.label.as_ref(), "a caller's label of {id}");
        assert_eq!(customer.note, record.note, "a caller's note of {id}");
        if let (Some(written), false) = (&record.written, customer.relationship() == Some(Relationship::Active)) {
            assert_eq!(&Written::of(customer), written, "what callers wrote of {id}");
        }
        if let Some(own) = self.truth.own.get(&id) {
            assert_eq!(customer.deleted_at.is_some(), own.is_deleted, "whether {id} is deleted");
            let tenant = customer.microsoft.as_ref().map(|link| link.tenant_id.uuid());
            assert_eq!(tenant, own.linked, "whose record {id} is");
        }
    }

    /// Of a paused customer nothing changes that Partner Center owns.
    fn check_paused(&self, tenant: Uuid, customer: &Customer) {
        let paused = self.truth.known[&tenant].paused.as_ref();
        assert_eq!(customer.pause().is_some(), paused.is_some(), "whether {tenant} is paused");
        if let Some((face, relationship)) = paused {
            let here = (Face::here(customer), customer.relationship());
            assert_eq!(here, (face.clone(), *relationship), "{tenant} is paused");
        }
    }

    fn check_active(&mut self, tenant: Uuid, customer: &Customer) {
        self.seen.ended.remove(&tenant);
        if let Some(record) = self.truth.records.get_mut(&customer.id) {
            record.written = None;
        }
        assert!(billing_mirrors(customer), "billing is primary of {tenant}");
        let contact = ContactField::ALL.map(|member| customer.contact(ContactRole::Primary, member)).join(" ");
        let shown = format!("{contact} {} {}", customer.company_name, customer.domain);
        assert!(!shown.contains(FORBIDDEN), "a refused edit stands in {tenant}");
        let fresh = self.nature.lag_seconds == 0;
        let face = Face::here(customer);
        let known = self.truth.of(tenant);
        let place = known.faces.iter().rposition(|was| *was == face);
        let place = place.unwrap_or_else(|| panic!("{tenant} never was {face:?}"));
        assert!(!fresh || place >= known.newest_seen, "{tenant} went back to {face:?}");
        known.newest_seen = known.newest_seen.max(place);
    }

    async fn check_ended(&mut self, tenant: Uuid, customer: &Customer) {
        if !self.seen.ended.insert(tenant) {
            return;
        }
        let record = self.truth.records.get_mut(&customer.id).expect("a record");
        record.written.get_or_insert_with(|| Written::of(customer));
        let known = self.truth.of(tenant).clone();
        let Some(left_at) = known.first_left_at else { panic!("{tenant} ended and never left") };
        let runs = self.store().sync_runs(&self.account, None, 500).await.expect("runs");
        let lists = runs
            .iter()
            .filter(|run| run.state != RunState::Failed && run.listed_at.is_some_and(|listed_at| listed_at >= left_at))
            .count();
        let enough = if known.leave_recorded { 1 } else { 2 };
        // A list that leaves out whom it should not may be one of the two, and times say nothing on a clock that is set.
        if self.nature.liar == Liar::Detail && !self.truth.clock_went_back() {
            assert!(lists >= enough, "{tenant} ended after {lists} complete lists without it");
        }
    }

    /// I8: every change has raised the revision by one and written one row.
    async fn check_revisions(&mut self) {
        let question = "SELECT count(*) FROM customer c WHERE revision <>
            (SELECT count(*) FROM change_log l WHERE l.account = c.account AND l.customer_id = c.id)";
        let wrong: i64 = sqlx::query_scalar(question).fetch_one(&mut self.shell).await.expect("a count");
        assert_eq!(wrong, 0, "every change of a customer is one row of the change log");
    }

    /// I3: places in the order never fall. I4: no evidence of an absence outlives it, and nobody lacks in true lists who
    /// never left.
    async fn check_upstream(&mut self) {
        let question = "SELECT tenant_id, observed_epoch, observed_ticket, missing_runs, settled, marked,
            gone_answer IS NOT NULL AND coalesce(verified_at > gone_at, 0) AS is_refuted FROM upstream_customer";
        let rows = sqlx::query(question).fetch_all(&mut self.shell).await.expect("rows");
        let number =
            |row: &SqliteRow, column: &str| row.try_get::<Option<i64>, _>(column).expect("a number").unwrap_or(0);
        for row in &rows {
            let tenant: String = row.try_get("tenant_id").expect("an id");
            let order = (number(row, "observed_epoch"), number(row, "observed_ticket"));
            let before = self.seen.order.insert(tenant.clone(), order);
            // I11: whatever a process that ended had asked is older than what this one asked.
            let is_new = before.is_some_and(|before| before != order);
            let last = self.seen.epoch_of_the_last_process;
            assert!(!is_new || order.0 > last, "{tenant} was asked about in epoch {} after one of {last}", order.0);
            assert!(
                before.is_none_or(|before| before <= order),
                "the order of {tenant} fell from {before:?} to {order:?}"
            );
            assert!(number(row, "settled") <= number(row, "marked"), "{tenant} was looked at for nobody");
            let is_refuted = number(row, "is_refuted") == 1;
            assert!(
                self.truth.clock_went_back() || !is_refuted,
                "{tenant} is there, and evidence says that it is gone"
            );
            let known = &self.truth.known[&tenant.parse::<Uuid>().expect("an id")];
            let lacked = number(row, "missing_runs") > 0 && known.first_left_at.is_none();
            assert!(self.nature.liar == Liar::List || !lacked, "{tenant} counts as missing in lists that have it");
        }
    }

    /// The process has ended; the next one begins.
    pub fn note_restart(&mut self) {
        let newest = self.seen.order.values().map(|(epoch, _)| *epoch).max().unwrap_or(0);
        self.seen.epoch_of_the_last_process = newest;
    }

    /// A list that was read whole lacks nobody who never left, unless lists lie.
    async fn check_lists(&mut self) {
        let left = self.truth.known.values().filter(|known| known.first_left_at.is_some()).count();
        let question = "SELECT coalesce(max(missing), 0) FROM sync_run";
        let missing: i64 = sqlx::query_scalar(question).fetch_one(&mut self.shell).await.expect("a number");
        let lacked = usize::try_from(missing).expect("a count");
        assert!(
            self.nature.liar == Liar::List || lacked <= left,
            "a list lacked {lacked} customers, and {left} ever left"
        );
    }

    /// I14: what the audit log showed when it was read is heeded.
    async fn check_audit_log(&mut self) {
        let now = self.clock.now();
        for record in self.simulator.audit_records(self.tenant()) {
            if record.entry.operation_status == OperationStatus::Succeeded {
                // What ends a day after it began may be on a page that nobody reads again.
                let is_read = !self.truth.slow_records.contains(&record.id);
                self.seen.finished_records.entry(record.id).or_insert_with(|| is_read.then_some(now));
            }
        }
        // Two clocks that differ tell nothing of each other.
        if self.nature.clock_is_set {
            return;
        }
        let delay = Duration::from_secs(u64::from(self.nature.audit_delay_seconds));
        let polled: Option<i64> = sqlx::query_scalar("SELECT audit_polled_at FROM account_sync")
            .fetch_optional(&mut self.shell)
            .await
            .expect("an answer")
            .flatten();
        let Some(polled) = polled.map(Timestamp::from_micros) else { return };
        let rows: Vec<String> = sqlx::query_scalar("SELECT record_id FROM audit_record_seen")
            .fetch_all(&mut self.shell)
            .await
            .expect("rows");
        let heeded: BTreeSet<String> = rows.into_iter().collect();
        for (record, since) in &self.seen.finished_records {
            let Some(since) = since else { continue };
            // Nobody reads of a record again that is older than three days; it is forgotten after four.
            // The two clocks are a few steps of a pacer apart.
            let was_shown = since.plus(delay + Duration::from_secs(1)) < polled
                && polled.since(*since) < Duration::from_secs(3 * 24 * 3600);
            assert!(!was_shown || heeded.contains(record), "the audit log was read, and {record} is not heeded");
        }
    }

    /// A full run that succeeded has looked at everybody who was there when it began.
    async fn check_full_run(&mut self) {
        let Some(run) = self.store().last_full_run(&self.account).await.expect("an answer") else { return };
        if self.seen.last_full == Some(run.id) {
            return;
        }
        self.seen.last_full = Some(run.id);
        if self.truth.clock_went_back() {
            return;
        }
        for (tenant, known) in &self.truth.known {
            if known.there_since.is_none_or(|since| since >= run.started_at) || known.paused.is_some() {
                continue;
            }
            let question = "SELECT settled < marked OR unusable IS NOT NULL OR max(coalesce(verified_at, 0), coalesce(gone_at, 0)) >= $2
                 FROM upstream_customer WHERE tenant_id = $1";
            let looked: Option<bool> = sqlx::query_scalar(question)
                .bind(tenant.to_string())
                .bind(run.started_at.micros())
                .fetch_optional(&mut self.shell)
                .await
                .expect("an answer");
            // A list that leaves somebody out who is new tells nothing of it.
            let lied = self.nature.liar == Liar::List && looked.is_none();
            assert!(lied || looked == Some(true), "a full run succeeded and {tenant} was not looked at");
        }
    }

    /// Some time of quiet, then one quiet night.
    pub async fn end_well(&mut self) {
        self.mend();
        // What was put off by a clock that then went back waits for as long as it went back.
        let pause = Duration::from_secs(400) + self.truth.went_back / 6;
        for _ in 0..6 {
            self.pass(pause).await;
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
        let records = self.every_record().await;
        let tenant = |customer: Customer| Some((customer.microsoft.as_ref()?.tenant_id.uuid(), customer));
        let mut here: BTreeMap<Uuid, Customer> = records.into_iter().filter_map(tenant).collect();
        let waits: BTreeSet<Uuid> = self.pending_links().await.iter().map(|waits| waits.tenant_id.uuid()).collect();
        for there in self.simulator.customers(self.tenant()) {
            let found = here.remove(&there.id);
            let is_paused = self.truth.known[&there.id].paused.is_some();
            if is_paused || (when == When::AfterAWhile && !self.must_be_level_soon(there.id)) {
                continue;
            }
            let alike = self.truth.alike(there.id);
            match found {
                Some(found) => assert_is_level(&found, &there, when),
                None => assert!(!alike.is_empty(), "{when:?} {} is not here", there.id),
            }
            let must_wait = !alike.is_empty() && self.store_has_no_record(there.id).await;
            assert_eq!(waits.contains(&there.id), must_wait, "{when:?} whether {} waits for a link", there.id);
        }
        if when == When::AfterTheNight {
            for (tenant, gone) in here {
                let state = gone.microsoft.as_ref().map(|link| link.sync_state);
                let is_fine = matches!(state, Some(SyncState::Ended | SyncState::HeldForRemoval));
                assert!(is_fine || gone.pause().is_some(), "{tenant} is gone and is {state:?}");
            }
        }
    }

    async fn store_has_no_record(&self, tenant: Uuid) -> bool {
        let id = customer_guard::domain::ids::TenantId::new(tenant);
        self.store().customer_of_tenant(&self.account, id).await.expect("an answer").is_none()
    }

    /// Whether the newest change of a customer was signalled in a way that nothing false can have spoilt.
    fn must_be_level_soon(&self, tenant: Uuid) -> bool {
        let known = &self.truth.known[&tenant];
        let lags = self.nature.lag_seconds > 0;
        // A signal is looked at three times. Each false answer can use up one look, and a lag two.
        let looks = if lags { 1 } else { 3 };
        let lies = self.truth.false_details.saturating_sub(known.false_before);
        match known.heard {
            Heard::Signalled => !known.was_spoilt && lies < looks,
            Heard::Refreshed => !known.was_spoilt && self.truth.false_details == 0 && !lags,
            Heard::Silent => false,
        }
    }

    async fn assert_sound(&mut self) {
        for (question, promise) in [
            (
                "SELECT count(*) FROM upstream_customer
                 WHERE (settled < marked OR confirm_at IS NOT NULL) AND paused_at IS NULL",
                "nothing is owed in the end",
            ),
            ("SELECT count(*) FROM sync_run WHERE state IN ('LISTING', 'FETCHING')", "no run is under way in the end"),
        ] {
            let row = sqlx::query(question).fetch_one(&mut self.shell).await.expect("a count");
            assert_eq!(row.try_get::<i64, _>(0).expect("a number"), 0, "{promise}");
        }
        self.store().check_decisions(&self.account).await.expect("the decisions are a chain");
        let present = self.simulator.customers(self.tenant()).len();
        assert_eq!(present, self.truth.there(), "the history knows who is there");
        for record in self.every_record().await {
            let is_own = self.truth.own.contains_key(&record.id);
            assert!(is_own || record.source() == Source::Microsoft, "nobody made {}", record.id);
        }
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
    for (here, there_is) in Face::here(here).0.iter().zip(&Face::there(there).0) {
        assert_eq!(here, there_is, "{when:?} {}", there.id);
    }
}
