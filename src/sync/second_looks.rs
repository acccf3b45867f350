//! Looks that nobody signals: the ones that confirm a signal's answer, and the rolling verification of whoever was not
//! looked at for longest. Both only mark; the drain does the looking, after everything more urgent.

use crate::clock::Timestamp;
use crate::sync::{Interruption, Worker};

/// How many customers are marked at a time.
const BATCH: u32 = 100;

impl Worker {
    /// Marks customers whose confirming look is due; returns whether there were any.
    pub(super) async fn mark_confirmations(&self, now: Timestamp) -> Result<bool, Interruption> {
        let account = &self.account;
        if self.store.next_confirmation_at(account).await?.is_none_or(|due| due > now) {
            return Ok(false);
        }
        let marked =
            self.store.write("mark_confirmations", async |tx| tx.mark_confirmations(account, BATCH).await).await?;
        Ok(marked > 0)
    }

    /// Marks the customers that were not looked at for longest, when their time has come; returns whether there were any.
    /// Asked only when nothing else is to be fetched, so that it delays nobody and finds only who was left out: a night
    /// that is fetching has marked everybody already.
    pub(super) async fn mark_for_verification(&self, now: Timestamp) -> Result<bool, Interruption> {
        let account = &self.account;
        if self.verification_due_at().await?.is_none_or(|due| due > now) {
            return Ok(false);
        }
        let before = now.minus(self.promise.verify_after());
        let found = self
            .store
            .write("mark_for_verification", async |tx| tx.mark_for_verification(account, before, BATCH).await)
            .await?;
        Ok(found > 0)
    }

    /// When the next of these looks is due.
    pub(super) async fn second_look_due_at(&self) -> Result<Option<Timestamp>, Interruption> {
        let confirmation = self.store.next_confirmation_at(&self.account).await?;
        Ok([confirmation, self.verification_due_at().await?].into_iter().flatten().min())
    }

    async fn verification_due_at(&self) -> Result<Option<Timestamp>, Interruption> {
        let oldest = self.store.oldest_look_at(&self.account).await?;
        Ok(oldest.map(|looked_at| looked_at.plus(self.promise.verify_after())))
    }
}
