//! Places in the order of questions, taken from the store in blocks so that not every batch costs a write.

use crate::domain::ids::{Epoch, Ticket};
use crate::domain::observation::ObservationMark;
use crate::store;
use crate::sync::Worker;

/// How many places are taken at a time.
const BLOCK: usize = 256;

/// The places taken and not used yet, under the epoch of this worker.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    epoch: Option<Epoch>,
    next: i64,
    end: i64,
}

impl Worker {
    /// The next place. The first one raises the account's epoch: what an earlier worker still holds counts as older.
    pub(super) async fn next_mark(&mut self) -> Result<ObservationMark, store::Error> {
        let epoch = match self.tickets.epoch {
            Some(epoch) => epoch,
            None => {
                let account = &self.account;
                let epoch = self.store.write("raise_epoch", async |tx| tx.raise_epoch(account).await).await?;
                self.tickets = Tickets { epoch: Some(epoch), next: 0, end: 0 };
                epoch
            }
        };
        if self.tickets.next == self.tickets.end {
            let account = &self.account;
            let first =
                self.store.write("take_tickets", async |tx| tx.take_tickets(account, epoch, BLOCK).await).await?;
            self.tickets.next = first.ticket.0;
            self.tickets.end = first.ticket.0.saturating_add(i64::try_from(BLOCK).unwrap_or(i64::MAX));
        }
        let ticket = Ticket(self.tickets.next);
        self.tickets.next += 1;
        Ok(ObservationMark { epoch, ticket })
    }
}
