//! This process's share of the accounts: says that it is alive, and tells which accounts it may synchronize.
//!
//! Who shares a database with others says so every few seconds. Whoever has not for a while is taken to be dead, and the
//! others take its accounts. A process that could not say so stops by itself, before they do; if it slept through that, it
//! finds itself unable to write. An embedded file has one process, which has every account for as long as it lives.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::ids::PartnerAccountId;
use crate::domain::lease::Replica;
use crate::operations::accounts::Accounts;
use crate::store::{self, Holding, Store};

/// For how long a replica that said that it is alive is believed.
const TERM: Duration = Duration::from_secs(12);
/// How often it says so.
const SAY_EVERY: Duration = Duration::from_secs(2);
/// How long before the others stop believing it, it stops by itself.
const MARGIN: Duration = Duration::from_secs(3);
/// How long to wait after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long a failure that stays the same is not told of again.
const SILENCE: Duration = Duration::from_secs(10);

/// Keeps this process's share.
#[derive(Debug)]
pub struct Shares {
    store: Store,
    accounts: Accounts,
    replica: Replica,
    holding: watch::Sender<Holding>,
}

impl Shares {
    /// Nothing is held yet.
    pub fn new(store: Store, accounts: Accounts, replica: Replica) -> Self {
        Self { store, accounts, replica, holding: watch::Sender::default() }
    }

    /// What is held, as it changes.
    pub fn holding(&self) -> watch::Receiver<Holding> {
        self.holding.subscribe()
    }

    /// Who this process is.
    pub const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Keeps the share until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut served = self.accounts.changes();
        let mut changes = self.store.account_changes();
        // When nothing is held any more unless it was said again that this replica is alive.
        let mut ends = Instant::now();
        let mut complaint = Complaint::default();
        loop {
            served.borrow_and_update();
            changes.borrow_and_update();
            let begun = Instant::now();
            let mut sharing = std::pin::pin!(self.share());
            let shared = tokio::select! {
                () = stop.cancelled() => return,
                shared = &mut sharing => shared,
                () = tokio::time::sleep_until(ends), if self.store.is_shared() => {
                    self.tell(Holding::default());
                    tokio::select! {
                        () = stop.cancelled() => return,
                        shared = sharing => shared,
                    }
                }
            };
            let pause = match shared {
                Ok(holding) => {
                    complaint = Complaint::default();
                    ends = begun + TERM - MARGIN;
                    self.tell(holding);
                    SAY_EVERY
                }
                Err(error) => {
                    if complaint.is_due(&error.to_string(), Instant::now()) {
                        self.complain(&error);
                    }
                    STORE_PAUSE
                }
            };
            let is_alone_and_well = !self.store.is_shared() && pause == SAY_EVERY;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause), if !is_alone_and_well => {}
                _ = served.changed() => {}
                _ = changes.changed() => {}
            }
        }
    }

    fn complain(&self, error: &store::Error) {
        if self.store.is_shared() {
            tracing::warn!(error = %error, "this replica cannot say that it is alive");
        } else {
            // What is synchronized already goes on: nobody else could take it.
            tracing::warn!(error = %error, "accounts that are not synchronized yet wait for the store");
        }
    }

    fn tell(&self, holding: Holding) {
        self.holding.send_if_modified(|told| {
            let is_news = *told != holding;
            *told = holding;
            is_news
        });
    }

    /// One turn, before whatever else waits in this process.
    async fn share(&self) -> Result<Holding, store::Error> {
        let accounts: BTreeSet<PartnerAccountId> =
            self.accounts.all().iter().map(|served| served.account.id.clone()).collect();
        let is_alone = !self.store.is_shared();
        let Self { store, replica, .. } = self;
        let store = store.urgent();
        store.follow_server().await?;
        store.write("share_accounts", async |tx| tx.share_accounts(replica, &accounts, TERM, is_alone).await).await
    }
}

/// The failure that was told of last.
#[derive(Debug, Default)]
struct Complaint(Option<(String, Instant)>);

impl Complaint {
    /// Whether to tell of this failure: it is another one, or was told of long enough ago.
    fn is_due(&mut self, failure: &str, now: Instant) -> bool {
        let is_due = self.0.as_ref().is_none_or(|(told, at)| told != failure || now.duration_since(*at) >= SILENCE);
        if is_due {
            self.0 = Some((failure.to_owned(), now));
        }
        is_due
    }
}

/// Leaves this replica's accounts to the others at once.
pub async fn leave(store: &Store, replica: &Replica) {
    if !store.is_shared() {
        return;
    }
    let id = replica.id;
    if let Err(error) = store.urgent().write("leave", async |tx| tx.leave(id).await).await {
        tracing::warn!(error = %error, "the others will notice only in a while that this replica is gone");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_stays_the_same_is_told_of_once_in_ten_seconds() {
        let (mut complaint, began) = (Complaint::default(), Instant::now());
        let told = (0..25).filter(|second| complaint.is_due("away", began + Duration::from_secs(*second)));
        assert_eq!(told.collect::<Vec<_>>(), [0, 10, 20]);
        let later = began + Duration::from_secs(25);
        assert!(complaint.is_due("full", later), "another failure is told of at once");
        assert!(!complaint.is_due("full", later));
    }
}
