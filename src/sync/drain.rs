//! Looks at dirty customers: asks Partner Center about each and applies what it says.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;

use crate::domain::ids::RunId;
use crate::domain::look::LookCause;
use crate::domain::observation::{Observation, ObservationMark};
use crate::operations::apply_observations::{Answered, apply_observations};
use crate::partner_center::PartnerCenter;
use crate::partner_center::error::{Error, Fate};
use crate::store::{self, CallTally, DirtyCustomer, SavedPlan};
use crate::sync::trouble::{LONGEST_ASKED_REST, concerns_the_account, customer_rest};
use crate::sync::{Interruption, Worker};

/// Customers taken per question that may be open at a time: enough to keep every slot busy, few enough that urgent
/// work does not wait long behind a batch.
const BATCH_PER_SLOT: usize = 4;
/// Of so many customers or more, half that cannot be read are no matter of those customers.
const TELLING: usize = 20;

/// A question about a customer, through a connection that counts its calls.
struct Asking {
    work: DirtyCustomer,
    mark: ObservationMark,
    upstream: PartnerCenter,
}

type Asked = (DirtyCustomer, u64, Result<Observation, Error>);

impl Worker {
    /// Looks at one batch of dirty customers; returns whether there were any.
    pub(super) async fn drain(&mut self) -> Result<bool, Interruption> {
        let slots = self.concurrency.get();
        // After a failure that was nobody's own one customer shows whether it has passed, before many are asked about.
        let limit = if self.is_broken { 1 } else { slots.saturating_mul(BATCH_PER_SLOT) };
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let batch = self.store.dirty_customers(&self.account, self.clock.now(), limit).await?;
        if batch.is_empty() {
            return Ok(false);
        }
        let (answers, failure) = self.ask(batch).await?;
        self.is_broken = failure.is_some() || (self.is_broken && answers.is_empty());
        if !answers.is_empty() {
            self.apply(&answers).await?;
            self.trouble.note_answer();
        }
        match failure {
            Some(error) => Err(error.into()),
            None => Ok(true),
        }
    }

    /// Asks about every customer of a batch. The second value is a failure that concerns the whole account.
    async fn ask(&mut self, batch: Vec<DirtyCustomer>) -> Result<(Vec<Answered>, Option<Error>), Interruption> {
        let mut questions = Vec::with_capacity(batch.len());
        for work in batch {
            // Taken before the question is sent: that is what orders the answers.
            questions.push(Asking { work, mark: self.next_mark().await?, upstream: self.upstream.metered() });
        }
        // Those that nobody waits for any more have made calls as well.
        let mut uncounted: Vec<_> = questions
            .iter()
            .map(|asking| (asking.work, asking.upstream.clone()))
            .filter(|(work, _)| work.run.is_some())
            .collect();
        let ask = async |asking: Asking| -> Asked {
            let answer = asking.upstream.observe(asking.work.tenant_id, asking.mark).await;
            (asking.work, asking.upstream.metered_calls(), answer)
        };
        let mut open = std::pin::pin!(stream::iter(questions).map(ask).buffer_unordered(self.concurrency.get()));
        let mut answers = Vec::new();
        let mut failed = Vec::new();
        let mut failure = None;
        while let Some((work, calls, answer)) = open.next().await {
            match answer {
                Ok(observation) => {
                    uncounted.retain(|(asked, _)| asked.tenant_id != work.tenant_id);
                    let tally = CallTally::of(calls, self.trouble.failures_of(&work));
                    answers.push(Answered { work, observation, tally });
                }
                Err(error) if concerns_the_account(&error) => {
                    failure = Some(error);
                    break;
                }
                Err(error) => failed.push((work, error)),
            }
        }
        self.count_calls(&uncounted).await?;
        let unanswered = uncounted.iter().filter(|(_, upstream)| upstream.metered_calls() > 0);
        self.trouble.note_unanswered(unanswered.map(|(work, _)| work.tenant_id), &answers);
        for (work, error) in &failed {
            self.postpone(*work, error).await?;
        }
        if failure.is_none() && self.is_nobodys_own(answers.len(), failed.len()) {
            failure = failed.into_iter().map(|(_, error)| error).find(|error| error.fate() != Fate::CustomerRefused);
        }
        Ok((answers, failure))
    }

    /// Counts, for their runs, the calls that brought no answer.
    async fn count_calls(&self, asked: &[(DirtyCustomer, PartnerCenter)]) -> Result<(), Interruption> {
        let mut tallies: BTreeMap<RunId, CallTally> = BTreeMap::new();
        for (work, upstream) in asked {
            if let Some(run) = work.run {
                let tally = tallies.entry(run).or_default();
                *tally = tally.and(CallTally::of(upstream.metered_calls(), self.trouble.failures_of(work)));
            }
        }
        tallies.retain(|_, tally| tally.calls > 0);
        if tallies.is_empty() {
            return Ok(());
        }
        let account = &self.account;
        self.store
            .write("count_calls", async |tx| {
                for (run, tally) in &tallies {
                    tx.count_calls(account, *run, *tally).await?;
                }
                Ok::<_, store::Error>(())
            })
            .await?;
        Ok(())
    }

    /// Whether so many failures beside so many answers are not about the customers: nobody could be read, or half of many
    /// could not, or the one that was to show whether it has passed.
    const fn is_nobodys_own(&self, answered: usize, failed: usize) -> bool {
        let of_many = answered + failed >= TELLING && failed * 2 >= answered + failed;
        of_many || (answered == 0 && (failed > 1 || (failed == 1 && self.is_broken)))
    }

    async fn postpone(&self, work: DirtyCustomer, error: &Error) -> Result<(), Interruption> {
        tracing::warn!(account = %self.account, tenant = %work.tenant_id, attempts = work.attempts + 1, error = %error, "a customer cannot be read");
        let account = &self.account;
        let asked = match error.fate() {
            Fate::Retry { after } => after.unwrap_or_default().min(LONGEST_ASKED_REST),
            Fate::AccountBlocked { .. } | Fate::UserBlocked { .. } | Fate::ListingRestart | Fate::CustomerRefused => {
                Duration::ZERO
            }
        };
        let not_before = self.clock.now().plus(customer_rest(work.attempts).max(asked));
        let problem = error.problem.to_string();
        if planted!("failed-look-settles") {
            self.store.write("settle", async |tx| tx.settle(account, work).await).await?;
            return Ok(());
        }
        self.store.write("postpone", async |tx| tx.postpone(account, work, not_before, &problem).await).await?;
        Ok(())
    }

    /// Applies answers together; if that fails, one by one, so that one record never stops the others.
    async fn apply(&self, answers: &[Answered]) -> Result<(), Interruption> {
        let is_waited_for = answers.iter().any(|answer| answer.work.cause == Some(LookCause::Refresh));
        let store = if is_waited_for { self.store.for_who_waits() } else { self.store.clone() };
        let together = match apply_observations(&store, &self.account, answers).await {
            Ok(saved) => {
                if saved.contains(&SavedPlan::Outdated) {
                    self.tickets.skip_block();
                }
                return Ok(());
            }
            Err(error) => error,
        };
        if is_about_the_store(&together) || answers.len() == 1 {
            return self.give_up_on(answers, together).await;
        }
        for answer in answers {
            if let Err(alone) = apply_observations(&store, &self.account, std::slice::from_ref(answer)).await {
                self.give_up_on(std::slice::from_ref(answer), alone).await?;
            }
        }
        Ok(())
    }

    async fn give_up_on(&self, answers: &[Answered], error: store::Error) -> Result<(), Interruption> {
        if is_about_the_store(&error) {
            return Err(error.into());
        }
        let account = &self.account;
        for Answered { work, .. } in answers {
            tracing::error!(account = %account, tenant = %work.tenant_id, error = %error, "an observation cannot be stored");
            let not_before = self.clock.now().plus(customer_rest(work.attempts));
            let problem = "its observation cannot be stored; the log has more";
            self.store.write("postpone", async |tx| tx.postpone(account, *work, not_before, problem).await).await?;
        }
        Ok(())
    }
}

/// Whether a failure is the store's rather than one record's.
const fn is_about_the_store(error: &store::Error) -> bool {
    match error {
        store::Error::Busy | store::Error::Unavailable(_) | store::Error::LeaseLost | store::Error::Full => true,
        store::Error::Backstop(_) | store::Error::Corrupt(_) | store::Error::Failed(_) => false,
    }
}
