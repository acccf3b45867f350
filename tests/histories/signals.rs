//! Signals that somebody else decides the arrival of: events, and answers that are slow.

use customer_guard::domain::ids::TenantId;
use customer_guard::domain::webhook_secret::SecretHash;
use customer_guard::operations::apply_observations::{Answered, apply_observations};
use customer_guard::operations::questions::Questions;
use customer_guard::simulator::operations::AuditTrail;
use customer_guard::store::{CallTally, DirtyCustomer, Store};
use customer_guard::webhook::{Refusal, Taken, take_proven};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::history::{Delivery, Who};
use crate::truth::{Heard, Presence};
use crate::world::World;

/// An event whose bytes Microsoft has signed.
#[derive(Clone, Debug)]
pub struct Event {
    tenant: Uuid,
    body: String,
}

impl World {
    fn event(&self, tenant: Uuid) -> Event {
        let at = self.simulator.clock().now().format("%Y-%m-%dT%H:%M:%S");
        let uri = format!("https://api.partnercenter.microsoft.com/v1/customers/{tenant}");
        // The step is in it, so that another event has other bytes.
        let body = format!(
            r#"{{"EventName":"dap-admin-relationship-approved","ResourceUri":"{uri}","ResourceName":"Customer","AuditUri":null,"ResourceChangeUtcDate":"{at}.{:07}+00:00"}}"#,
            self.step
        );
        Event { tenant, body }
    }

    /// Something happens to a customer of which only an event tells.
    pub async fn announce(&mut self, tenant: Uuid, delivery: Delivery) {
        let event = self.event(tenant);
        match delivery {
            Delivery::AtOnce => self.deliver(event).await,
            Delivery::Twice => {
                self.deliver(event.clone()).await;
                self.deliver(event).await;
            }
            Delivery::Late => self.under_way.push(event),
            Delivery::Lost => {}
        }
    }

    /// An event arrives. One that is not taken comes again some time.
    async fn deliver(&mut self, event: Event) {
        // The path was proven before; no registration is watched here.
        let secret = SecretHash::of("the account's secret");
        match take_proven(self.store(), &self.account, secret, event.body.as_bytes()).await {
            Ok(Taken::Marked) => self.tells(event.tenant),
            Ok(Taken::Repeated) => {
                assert!(self.arrived.iter().any(|before| before.body == event.body), "it is no repetition");
            }
            Ok(Taken::ListWanted) => {}
            Ok(Taken::Heard) => panic!("an event about a customer has no effect"),
            Err(Refusal::StoreUnavailable) => return self.under_way.push(event),
            Err(refusal) => panic!("a genuine event is refused: {}", refusal.name()),
        }
        self.arrived.push(event);
    }

    pub async fn event_arrives(&mut self, which: usize) {
        if !self.under_way.is_empty() {
            let event = self.under_way.remove(which % self.under_way.len());
            self.deliver(event).await;
        }
    }

    pub async fn event_repeats(&mut self, which: usize) {
        if !self.arrived.is_empty() {
            let event = self.arrived[which % self.arrived.len()].clone();
            // They are remembered for seven days; the test's own memory is a week of steps at most.
            self.deliver(event).await;
        }
    }

    /// Marks a customer as a caller's refresh does; returns the work that owes.
    pub async fn refresh(&mut self, who: Who) -> Option<DirtyCustomer> {
        let tenant = *self.truth.everybody.get(who % self.truth.everybody.len())?;
        let (account, tenant_id) = (&self.account, TenantId::new(tenant));
        let here = self.store().customer_of_tenant(account, tenant_id).await.expect("an answer")?;
        if here.pause().is_some() {
            return None;
        }
        let marked = self
            .store()
            .write("mark_for_refresh", async |tx| tx.mark_for_refresh(account, tenant_id).await)
            .await
            .expect("marked");
        let known = self.truth.of(tenant);
        if known.heard == Heard::Silent {
            known.heard = Heard::Refreshed;
        }
        Some(DirtyCustomer { tenant_id, marked: marked.marked, attempts: 0, run: None, cause: None })
    }

    pub async fn ask_slowly(&mut self, who: Who) {
        let Some(work) = self.refresh(who).await else { return };
        // Through the worker's own answerer, so that the question has its place in the worker's order.
        let questions = Questions::default();
        let asked = questions.answered_by(&self.account);
        let answerer = self.answerer();
        let answer = tokio::select! {
            answer = questions.customer(&self.account, work.tenant_id) => answer,
            () = answerer.run(asked, CancellationToken::new()) => panic!("the answerer ends"),
        };
        // What is not answered stays owed.
        if let Ok(observation) = answer {
            self.slow.push_back(Answered { work, observation, tally: CallTally::default() });
        }
    }

    pub async fn arrives(&mut self) {
        let Some(answered) = self.slow.pop_front() else { return };
        let tenant = answered.work.tenant_id;
        let before = self.progress(tenant).await;
        let saved = apply_observations(self.store(), &self.account, std::slice::from_ref(&answered)).await;
        if let Err(error) = saved {
            panic!("an answer cannot be applied: {error}");
        }
        let after = self.progress(tenant).await;
        // I13: who was marked after the look began is looked at again.
        let settled = before.1.max(answered.work.marked);
        assert!(after.1 <= settled, "{tenant} was marked while it was looked at, and counts as looked at since");
    }

    pub async fn event_while_asked(&mut self, who: Who) {
        // Those that wait already would arrive first.
        self.slow.clear();
        self.ask_slowly(who).await;
        let Some(asked) = self.slow.front() else { return };
        let tenant = asked.work.tenant_id.uuid();
        if self.truth.known[&tenant].there_since.is_some() {
            self.set_email(tenant, AuditTrail::Omitted);
        }
        self.announce(tenant, Delivery::AtOnce).await;
        self.arrives().await;
    }

    pub async fn pause_while_asked(&mut self, who: Who) {
        self.slow.clear();
        let Some(tenant) = self.truth.one(who, Presence::There) else { return };
        self.set_email(tenant, AuditTrail::Omitted);
        let place = self.truth.everybody.iter().position(|one| *one == tenant).expect("one of them");
        self.ask_slowly(place).await;
        let here = self.store().customer_of_tenant(&self.account, TenantId::new(tenant)).await.expect("an answer");
        if let Some(here) = here {
            self.pause_one(here.id, self.pause_reason()).await;
        }
        self.arrives().await;
    }

    /// How often a customer was marked, and up to which mark it was looked at.
    async fn progress(&self, tenant: TenantId) -> (i64, i64) {
        let store: &Store = self.store();
        let progress = store.work_progress(&self.account, tenant).await.expect("a known customer");
        (progress.marked, progress.settled)
    }
}
