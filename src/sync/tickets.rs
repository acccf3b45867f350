//! Places in the order of questions, taken from the store in blocks so that not every batch costs a write.
//!
//! Everybody who asks for one account takes from the same block: a question that is sent later then has a later place. Who
//! asks for an account that another replica synchronizes takes its places one by one.

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
    /// Under which the account is synchronized here; nothing while another replica does.
    epoch: Option<Epoch>,
    next: i64,
    end: i64,
}

impl Block {
    fn of(epoch: Option<Epoch>) -> Self {
        if planted!("order-forgotten-on-restart") && epoch.is_some() {
            return Self { epoch: Some(Epoch(1)), next: 1, end: i64::MAX };
        }
        Self { epoch, next: 0, end: 0 }
    }
}

impl Tickets {
    /// From now on the account is synchronized here under that epoch, or not here.
    pub(super) async fn follow(&self, epoch: Option<Epoch>) {
        *self.0.lock().await = Block::of(epoch);
    }

    /// The next place.
    pub(super) async fn next(
        &self,
        store: &Store,
        account: &PartnerAccountId,
    ) -> Result<ObservationMark, store::Error> {
        let mut block = self.0.lock().await;
        let Some(epoch) = block.epoch else {
            return store.write("take_ticket", async |tx| tx.take_ticket(account).await).await;
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

    /// An answer to a later question of another replica was there before ours: the places that are left lie before it.
    pub(super) async fn skip_block(&self) {
        let mut block = self.0.lock().await;
        block.next = block.end;
    }
}

impl Worker {
    /// The next place.
    pub(super) async fn next_mark(&self) -> Result<ObservationMark, store::Error> {
        self.tickets.next(&self.store, &self.account).await
    }
}
