//! Keeps an eye on the promise that every customer is verified in time: notes the pace it is computed from, and says so
//! when it cannot be kept.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::policy::Guarantee;
use crate::sync::{Interruption, Worker};

/// How often to look, and how old what was seen may be: a pace and a number of customers change slowly.
const INTERVAL: Duration = Duration::from_secs(15 * 60);
/// How often to look whether the pace has changed: it comes back by a step a minute.
const PACE_INTERVAL: Duration = Duration::from_secs(60);
/// The problem of an account with more customers than its pace can verify in time.
const UNREACHABLE: &str = "VERIFICATION_BEHIND_PROMISE";

/// What was seen last.
#[derive(Debug)]
pub(super) struct Promise {
    due_at: Timestamp,
    pace_due_at: Timestamp,
    noted_pace: Option<u64>,
    verify_after: Duration,
    said: bool,
}

impl Promise {
    /// Nothing was seen yet.
    pub(super) const fn unseen(now: Timestamp, verify_within: Duration) -> Self {
        Self { due_at: now, pace_due_at: now, noted_pace: None, verify_after: verify_within, said: false }
    }

    /// The pace was noted elsewhere.
    pub(super) const fn pace_noted(&mut self, pace: u64) {
        self.noted_pace = Some(pace);
    }

    /// How long after its last look a customer is looked at again although nothing signals.
    pub(super) const fn verify_after(&self) -> Duration {
        self.verify_after
    }

    /// Whether the account's status tells that the promise cannot be kept.
    pub(super) const fn is_said_to_be_broken(&self) -> bool {
        self.said
    }
}

impl Worker {
    /// Notes the pace at which calls may be made, when it is another than was noted.
    async fn note_pace(&mut self, now: Timestamp) -> Result<(), Interruption> {
        // Further ahead than it is ever put off: a clock was set back.
        if self.promise.pace_due_at > now && self.promise.pace_due_at.since(now) <= PACE_INTERVAL {
            return Ok(());
        }
        let account = &self.account;
        let pace = self.upstream.calls_per_minute();
        if self.promise.noted_pace != Some(pace) {
            self.store.write("note_pace", async |tx| tx.note_pace(account, pace).await).await?;
            self.promise.noted_pace = Some(pace);
        }
        self.promise.pace_due_at = now.plus(PACE_INTERVAL);
        Ok(())
    }

    /// Looks whether the promise can be kept, now and then.
    pub(super) async fn look_at_the_promise(&mut self, now: Timestamp) -> Result<(), Interruption> {
        self.note_pace(now).await?;
        if self.promise.due_at > now && self.promise.due_at.since(now) <= INTERVAL {
            return Ok(());
        }
        let account = &self.account;
        let pace = self.upstream.calls_per_minute();
        let customers = self.store.active_customers(account).await?;
        let guarantee = Guarantee::of(customers, pace, self.policy.verify_within);
        self.promise.verify_after = guarantee.verify_after;
        self.promise.due_at = now.plus(INTERVAL);
        let told = self.store.hindrance(account).await?.problem;
        self.promise.said = told.as_ref().is_some_and(|problem| problem.reason == UNREACHABLE);
        if !guarantee.is_kept && (told.is_none() || self.promise.said) {
            let detail = format!(
                "{customers} customers at {pace} calls a minute are verified within {} minutes, and {} are promised; \
                 raise the rate, if Microsoft allows more, or promise less",
                guarantee.within.as_secs() / 60,
                self.policy.verify_within.as_secs() / 60
            );
            self.store.write("note_problem", async |tx| tx.note_problem(account, UNREACHABLE, &detail).await).await?;
            self.promise.said = true;
        } else if guarantee.is_kept && self.promise.said {
            self.store.write("clear_problem", async |tx| tx.clear_problem(account).await).await?;
            self.promise.said = false;
        }
        Ok(())
    }
}
