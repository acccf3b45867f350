//! Looks at dirty customers: asks Partner Center about each and applies what it says.

use std::time::Duration;

use futures::StreamExt;
use futures::stream;

use crate::domain::observation::Observation;
use crate::operations::apply_observations::{Answered, apply_observations};
use crate::partner_center::error::{Error, Fate};
use crate::store::{self, DirtyCustomer};
use crate::sync::trouble::{LONGEST_ASKED_REST, concerns_the_account, customer_rest};
use crate::sync::{Interruption, Worker};

/// Customers taken per question that may be open at a time: enough to keep every slot busy, few enough that urgent
/// work does not wait long behind a batch.
const BATCH_PER_SLOT: usize = 4;

type Asked = (DirtyCustomer, Result<Observation, Error>);

impl Worker {
    /// Looks at one batch of dirty customers; returns whether there were any.
    pub(super) async fn drain(&mut self) -> Result<bool, Interruption> {
        let slots = self.concurrency.get();
        let limit = u32::try_from(slots.saturating_mul(BATCH_PER_SLOT)).unwrap_or(u32::MAX);
        let batch = self.store.dirty_customers(&self.account, self.clock.now(), limit).await?;
        if batch.is_empty() {
            return Ok(false);
        }
        let (answers, failure) = self.ask(batch).await?;
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
            questions.push((work, self.next_mark().await?));
        }
        let upstream = &self.upstream;
        let ask =
            async |(work, mark): (DirtyCustomer, _)| -> Asked { (work, upstream.observe(work.tenant_id, mark).await) };
        let mut open = std::pin::pin!(stream::iter(questions).map(ask).buffer_unordered(self.concurrency.get()));
        let mut answers = Vec::new();
        let mut failed = Vec::new();
        let mut failure = None;
        while let Some((work, answer)) = open.next().await {
            match answer {
                Ok(observation) => answers.push(Answered { work, observation }),
                Err(error) if concerns_the_account(&error) => {
                    failure = Some(error);
                    break;
                }
                Err(error) => failed.push((work, error)),
            }
        }
        for (work, error) in &failed {
            self.postpone(*work, error).await?;
        }
        // Nobody could be read: it is not about the customers.
        if answers.is_empty() && failed.len() > 1 && failure.is_none() {
            failure = failed.pop().map(|(_, error)| error).filter(|error| error.fate() != Fate::CustomerRefused);
        }
        Ok((answers, failure))
    }

    async fn postpone(&self, work: DirtyCustomer, error: &Error) -> Result<(), Interruption> {
        tracing::warn!(account = %self.account, tenant = %work.tenant_id, attempts = work.attempts + 1, error = %error, "a customer cannot be read");
        let account = &self.account;
        let asked = match error.fate() {
            Fate::Retry { after } => after.unwrap_or_default().min(LONGEST_ASKED_REST),
            Fate::AccountBlocked { .. } | Fate::ListingRestart | Fate::CustomerRefused => Duration::ZERO,
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
        let Err(together) = apply_observations(&self.store, &self.account, answers).await else { return Ok(()) };
        if is_about_the_store(&together) || answers.len() == 1 {
            return self.give_up_on(answers, together).await;
        }
        for answer in answers {
            if let Err(alone) = apply_observations(&self.store, &self.account, std::slice::from_ref(answer)).await {
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
        store::Error::Busy | store::Error::Unavailable(_) | store::Error::Full => true,
        store::Error::Backstop(_) | store::Error::Corrupt(_) | store::Error::Failed(_) => false,
    }
}
