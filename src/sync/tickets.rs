//! Places in the order of questions, taken from the store in blocks so that not every batch costs a write.
//!
//! Everybody who asks for one account takes from the same block: a question that is sent later then has a later place.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::domain::ids::{Epoch, PartnerAccountId, Ticket};
use crate::domain::observation::ObservationMark;
use crate::store::{self, Store};
use crate::sync::Worker;

/// How many places are taken at a time: seldom a write, also for an account of many customers.
const BLOCK: usize = 4096;

/// The places of one account that were taken and not used yet. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Tickets(Arc<Mutex<Block>>);

#[derive(Debug, Default)]
struct Block {
    epoch: Option<Epoch>,
    next: i64,
    end: i64,
}

impl Tickets {
    /// The next place. The first one raises the account's epoch: what an earlier process still holds counts as older.
    pub(super) async fn next(
        &self,
        store: &Store,
        account: &PartnerAccountId,
    ) -> Result<ObservationMark, store::Error> {
        let mut block = self.0.lock().await;
        if planted!("order-forgotten-on-restart") && block.epoch.is_none() {
            *block = Block { epoch: Some(Epoch(1)), next: 1, end: i64::MAX };
        }
        let epoch = match block.epoch {
            Some(epoch) => epoch,
            None => {
                let epoch = store.write("raise_epoch", async |tx| tx.raise_epoch(account).await).await?;
                *block = Block { epoch: Some(epoch), next: 0, end: 0 };
                epoch
            }
        };
        if block.next == block.end {
            let first = store.write("take_tickets", async |tx| tx.take_tickets(account, epoch, BLOCK).await).await?;
            block.next = first.ticket.0;
            block.end = first.ticket.0.saturating_add(i64::try_from(BLOCK).unwrap_or(i64::MAX));
        }
        let ticket = Ticket(block.next);
        block.next += 1;
        Ok(ObservationMark { epoch, ticket })
    }
}

impl Worker {
    /// The next place.
    pub(super) async fn next_mark(&self) -> Result<ObservationMark, store::Error> {
        self.tickets.next(&self.store, &self.account).await
    }
}
