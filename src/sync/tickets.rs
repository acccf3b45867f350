//! Places in the order of questions, taken from the store in blocks so that not every batch costs a write.
//!
//! Everybody who asks for one account takes from the same block: a question that is sent later then has a later place. Who
//! asks for an account that another replica synchronizes takes its places one by one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::ids::{Epoch, PartnerAccountId, Ticket};
use crate::domain::observation::ObservationMark;
use crate::store::{self, Store};
use crate::sync::Worker;

/// How many places are taken at a time: seldom a write, also for an account of many customers.
const BLOCK: usize = 4096;

/// The places of one account that were taken and not used yet. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Tickets {
    block: Arc<Mutex<Block>>,
    /// Held while a block is taken from the store; whoever only changes the epoch does not wait for that.
    taking: Arc<tokio::sync::Mutex<()>>,
}

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

    fn next(&mut self) -> Next {
        match self.epoch {
            None => Next::TakeOne,
            Some(epoch) if self.next == self.end => Next::TakeBlock(epoch),
            Some(epoch) => {
                let ticket = Ticket(self.next);
                self.next += 1;
                Next::Place(ObservationMark { epoch, ticket })
            }
        }
    }

    fn is_used_up_under(&self, epoch: Epoch) -> bool {
        self.epoch == Some(epoch) && self.next == self.end
    }

    /// Places under an epoch that is over by now are nobody's.
    fn refill(&mut self, epoch: Epoch, first: ObservationMark) {
        if self.is_used_up_under(epoch) {
            self.next = first.ticket.0;
            self.end = first.ticket.0.saturating_add(i64::try_from(BLOCK).unwrap_or(i64::MAX));
        }
    }
}

/// Where the next place comes from.
enum Next {
    Place(ObservationMark),
    TakeOne,
    TakeBlock(Epoch),
}

impl Tickets {
    /// From now on the account is synchronized here under that epoch, or not here.
    pub(super) fn follow(&self, epoch: Option<Epoch>) {
        *self.block() = Block::of(epoch);
    }

    /// The next place.
    pub(super) async fn next(
        &self,
        store: &Store,
        account: &PartnerAccountId,
    ) -> Result<ObservationMark, store::Error> {
        loop {
            let next = self.block().next();
            let epoch = match next {
                Next::Place(mark) => return Ok(mark),
                Next::TakeOne => return store.write("take_ticket", async |tx| tx.take_ticket(account).await).await,
                Next::TakeBlock(epoch) => epoch,
            };
            let _taking = self.taking.lock().await;
            // Somebody else may have taken one meanwhile.
            if !self.block().is_used_up_under(epoch) {
                continue;
            }
            // Somebody who asks for himself may wait for it as well.
            let store = store.for_who_waits();
            let first = store.write("take_tickets", async |tx| tx.take_tickets(account, epoch, BLOCK).await).await?;
            self.block().refill(epoch, first);
        }
    }

    /// An answer to a later question of another replica was there before ours: the places that are left lie before it.
    pub(super) fn skip_block(&self) {
        let mut block = self.block();
        block.next = block.end;
    }

    fn block(&self) -> MutexGuard<'_, Block> {
        self.block.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    /// The next place.
    pub(super) async fn next_mark(&self) -> Result<ObservationMark, store::Error> {
        self.tickets.next(&self.store, &self.account).await
    }
}
