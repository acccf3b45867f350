//! What operators decide: links, pauses and removals.

use customer_guard::domain::access::Enforcement;
use customer_guard::domain::customer::{Relationship, Source};
use customer_guard::domain::ids::{CustomerId, TenantId};
use customer_guard::domain::pause::PauseReason;
use customer_guard::operations::create_customer::WriteMode;
use customer_guard::operations::holds::{HoldError, Ruling, decide_hold, list_holds};
use customer_guard::operations::link_customer::{LinkCustomer, LinkCustomerError, link_customer};
use customer_guard::operations::once::Outcome;
use customer_guard::operations::pause_customer::{PauseCustomerError, Wanted, pause_customer};
use customer_guard::operations::pending_links::{PendingLinkError, dismiss_pending_link};
use customer_guard::operations::questions::Questions;
use customer_guard::operations::unlink_customer::{UnlinkCustomer, UnlinkCustomerError, unlink_customer};
use customer_guard::store::PendingLink;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::history::{HoldRuling, LinkRuling, Who};
use crate::truth::{Face, Presence, Written};
use crate::world::{World, caller};

impl World {
    pub async fn pending_links(&self) -> Vec<PendingLink> {
        self.store().pending_links(&self.account, None, 1_000).await.expect("an answer")
    }

    pub async fn decide_link(&mut self, who: Who, ruling: LinkRuling) {
        let pending = self.pending_links().await;
        if pending.is_empty() {
            return;
        }
        let waits = &pending[who % pending.len()];
        let tenant = waits.tenant_id.uuid();
        match (ruling, waits.candidates.first()) {
            (LinkRuling::Same, Some(candidate)) => self.link(candidate.customer, tenant).await,
            (LinkRuling::Same, None) | (LinkRuling::None, _) => {
                let by = caller(Enforcement::Refuse);
                let done =
                    dismiss_pending_link(self.store(), &self.accounts, &by, &self.account, waits.tenant_id, None);
                match done.await {
                    Ok(Outcome::Now(_)) => {}
                    Err(PendingLinkError::NotFound(..)) | Ok(_) | Err(_) => {
                        panic!("a pending link cannot be dismissed")
                    }
                }
                for own in self.truth.alike(tenant) {
                    self.truth.told_apart.insert((tenant, own));
                }
                for candidate in &waits.candidates {
                    self.truth.told_apart.insert((tenant, candidate.customer));
                }
                self.tells(tenant);
            }
        }
    }

    pub async fn link_any(&mut self, own: Who, who: Who) {
        let own = self.truth.own_one(own, |own| own.linked.is_none() && !own.is_deleted);
        let tenant = self.truth.one(who, Presence::There);
        if let (Some(own), Some(tenant)) = (own, tenant) {
            self.link(own, tenant).await;
        }
    }

    /// Links a customer of the platform's own, as Partner Center answers now.
    async fn link(&mut self, id: CustomerId, tenant: Uuid) {
        let before = self.stored(id).await;
        let there = self.store().customer_of_tenant(&self.account, TenantId::new(tenant)).await.expect("an answer");
        let request = LinkCustomer {
            account: self.account.clone(),
            id,
            tenant: TenantId::new(tenant),
            expected: None,
            mode: WriteMode::Write,
        };
        let questions = Questions::default();
        let asked = questions.answered_by(&self.account);
        let answerer = self.answerer();
        let by = caller(Enforcement::Refuse);
        let linked = tokio::select! {
            linked = link_customer(self.store(), &self.accounts, &questions, &by, request, None) => linked,
            () = answerer.run(asked, CancellationToken::new()) => panic!("the answerer ends"),
        };
        let after = self.stored(id).await;
        match linked {
            Ok(Outcome::Now(linked)) => {
                assert!(there.is_none(), "{tenant} has two records");
                assert_eq!(linked.after, after, "an operator was told something else than is stored");
                assert_eq!(after.source(), Source::Microsoft);
                let own = self.truth.own.get_mut(&id).expect("one of the platform's own");
                own.linked = Some(tenant);
                self.wrote(&after);
                let record = self.truth.records.get_mut(&id).expect("a record");
                record.former = Some(Written::of(&before));
            }
            Err(error) => {
                assert_eq!(after, before, "a link that failed changed something");
                match error {
                    LinkCustomerError::Duplicate(..) => assert!(there.is_some(), "{tenant} has no record yet"),
                    LinkCustomerError::NotInPartnerCenter { .. } | LinkCustomerError::SourceUnavailable { .. } => {}
                    other => panic!("{id} cannot be linked to {tenant}: {other}"),
                }
            }
            Ok(Outcome::Before(_)) => panic!("it has no request id"),
        }
    }

    pub async fn unlink(&mut self, who: Who) {
        let Some(id) = self.truth.own_one(who, |own| own.linked.is_some()) else { return };
        let request = UnlinkCustomer { account: self.account.clone(), id, expected: None, mode: WriteMode::Write };
        let by = caller(Enforcement::Refuse);
        match unlink_customer(self.store(), &self.accounts, &by, request, None).await {
            Ok(Outcome::Now(after)) => {
                let tenant = self.truth.own.get_mut(&id).and_then(|own| own.linked.take()).expect("it was linked");
                let former = self.truth.records.get_mut(&id).and_then(|record| record.former.take());
                assert_eq!(Some(Written::of(&after)), former, "{id} has other values than before it was linked");
                self.truth.told_apart.insert((tenant, id));
                self.truth.of(tenant).paused = None;
                self.wrote(&after);
                self.tells(tenant);
            }
            Err(UnlinkCustomerError::Expired(..)) => {}
            other => panic!("{id} cannot be unlinked: {other:?}"),
        }
    }

    pub async fn pause(&mut self, who: Who, wanted: Wanted) {
        let Some(id) = self.truth.record(who) else { return };
        self.pause_one(id, wanted).await;
    }

    pub async fn pause_one(&mut self, id: CustomerId, wanted: Wanted) {
        let before = self.stored(id).await;
        let by = caller(Enforcement::Refuse);
        let done = pause_customer(self.store(), &self.accounts, &by, &self.account, id, wanted.clone(), None).await;
        match (done, before.source(), before.relationship()) {
            (Ok(Outcome::Now(after)), Source::Microsoft, relationship) => {
                let tenant = after.microsoft.as_ref().expect("a customer of Microsoft's").tenant_id.uuid();
                let is_paused = after.pause().is_some();
                assert_eq!(is_paused, wanted != Wanted::Resume);
                self.truth.of(tenant).paused = is_paused.then(|| (Face::here(&after), relationship));
                if before.pause().is_some() && !is_paused {
                    self.tells(tenant);
                }
            }
            (Err(PauseCustomerError::NotMicrosoft(..)), Source::Platform, _)
            | (Err(PauseCustomerError::Ended(..)), Source::Microsoft, Some(Relationship::Ended)) => {}
            (other, ..) => panic!("{wanted:?} of {before:?} came to {other:?}"),
        }
    }

    /// A reason that differs from step to step.
    pub fn pause_reason(&self) -> Wanted {
        Wanted::Pause(PauseReason::new(&format!("because of step {}", self.step)).expect("a reason"))
    }

    pub async fn look_at_hold(&mut self) {
        let by = caller(Enforcement::Refuse);
        let hold = list_holds(self.store(), &self.accounts, &by, &self.account).await.expect("an answer");
        self.hold_seen = hold.map(|hold| hold.id).or(self.hold_seen);
    }

    /// Decides about exactly the removals that were seen, or about nothing.
    pub async fn decide_hold(&mut self, ruling: HoldRuling) {
        if self.hold_seen.is_none() {
            self.look_at_hold().await;
        }
        let Some(seen) = self.hold_seen else { return };
        let by = caller(Enforcement::Refuse);
        let present = self.store().hold(&self.account).await.expect("an answer");
        let (store, accounts, account) = (self.store(), &self.accounts, &self.account);
        let ruling = match ruling {
            HoldRuling::Approve => Ruling::Approve,
            HoldRuling::Dismiss => Ruling::Dismiss,
        };
        let done = decide_hold(store, accounts, &by, account, seen, ruling, None).await;
        match (done, present.map(|hold| hold.id)) {
            (Ok(Outcome::Now(hold)), Some(present)) if present == seen => {
                assert_eq!(hold.id, seen);
                // What is decided is not asked about again, so that a later hold meets the id of this one.
                if ruling == Ruling::Dismiss {
                    for held in &hold.customers {
                        self.tells(held.tenant_id.uuid());
                    }
                }
            }
            (Err(HoldError::HoldChanged { present: named, .. }), Some(present)) if present != seen => {
                assert_eq!(named, present);
                self.hold_seen = None;
            }
            (Err(HoldError::HoldNotFound { .. }), None) => {}
            (other, present) => panic!("of {seen:?}, while {present:?} waits, came {other:?}"),
        }
    }
}
