//! Transactions: the one that writes, the only way anything is written, and the one that reads several times alike.
//!
//! `store.write("name", async |tx| …)` commits on `Ok` and rolls back on `Err`, so that a commit cannot be
//! forgotten and `?` undoes everything. The closure must do no network call: the one writer is held meanwhile. Whom it wakes
//! is told to this process after the commit, and to others by the commit.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::ids::{ChangePosition, PartnerAccountId};
use crate::store::connection::{Access, Connection};
use crate::store::wakeup::Topic;
use crate::store::{Error, Store};

/// By how much a clock is moved without a word.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// An open write transaction.
pub struct Tx {
    now: Timestamp,
    transaction: Connection,
    woken: BTreeSet<Topic>,
    last_change: Option<ChangePosition>,
}

impl Tx {
    /// The one instant of this transaction, sampled when it began.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Wakes whoever waits for the account's synchronization work, once this transaction is committed.
    pub(super) fn wake(&mut self, account: &PartnerAccountId) {
        self.woken.insert(Topic::Work(account.clone()));
    }

    /// Wakes whoever waits for customers to change, once this transaction and with it that change is committed.
    pub(super) fn tell_of_change(&mut self, position: ChangePosition) {
        self.woken.insert(Topic::Customers);
        self.last_change = Some(position);
    }

    /// Wakes whoever waits for accounts to come and change, once this transaction is committed.
    pub(super) fn wake_accounts(&mut self) {
        self.woken.insert(Topic::Accounts);
    }

    /// Whom the transaction wakes so far.
    pub(super) const fn woken(&self) -> &BTreeSet<Topic> {
        &self.woken
    }

    /// The connection, for the statements of this module's siblings.
    pub(super) fn connection(&mut self) -> Access<'_> {
        Access::from(&mut self.transaction)
    }
}

/// An async closure over a transaction whose future is `Send`.
///
/// `AsyncFnOnce` alone cannot promise that on stable Rust; naming its future as an associated type can. This
/// is a workaround for the language and the only trait of the store.
pub trait Body<'tx, T, E>: FnOnce(&'tx mut Tx) -> Self::Future {
    /// What the closure returns.
    type Future: Future<Output = Result<T, E>>;
}

impl<'tx, T, E, F, Fut> Body<'tx, T, E> for F
where
    F: FnOnce(&'tx mut Tx) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Future = Fut;
}

impl Store {
    /// Runs `body` in one write transaction: `Ok` commits, `Err` rolls back.
    ///
    /// Dropping the future rolls back, unless the commit is already under way: then it may still happen.
    /// `name` labels the transaction in logs.
    pub async fn write<T, E, F>(&self, name: &'static str, body: F) -> Result<T, E>
    where
        F: for<'tx> AsyncFnOnce(&'tx mut Tx) -> Result<T, E> + for<'tx> Body<'tx, T, E, Future: Send> + Send,
        T: Send,
        E: From<Error> + Send,
    {
        let asked = self.clock.asks();
        let transaction = self.backend.begin_writing().await?;
        if let Some(moved) = transaction.began_at().and_then(|told| self.clock.go_by(told, asked))
            && moved >= WORTH_TELLING
        {
            tracing::warn!(seconds = moved.as_secs(), "this machine's clock is not the database's, which is gone by");
        }
        let mut tx = Tx { now: self.clock.now(), transaction, woken: BTreeSet::new(), last_change: None };
        let done = match &self.lease {
            Some(lease) => tx.require(lease).await.map_err(E::from),
            None => Ok(()),
        };
        let done = match done {
            Ok(()) => body(&mut tx).await,
            Err(error) => Err(error),
        };
        let done = match done {
            Ok(value) if self.is_shared() => tx.tell_other_processes().await.map(|()| value).map_err(E::from),
            done => done,
        };
        match done {
            Ok(value) => {
                tx.transaction.commit().await?;
                if let Some(position) = tx.last_change {
                    self.backend.note_change(position);
                }
                for topic in &tx.woken {
                    self.wakeups.wake(topic);
                }
                Ok(value)
            }
            Err(error) => {
                // A failed rollback leaves a connection that the pool throws away; the error that led here matters.
                if let Err(rollback) = tx.transaction.rollback().await {
                    tracing::warn!(transaction = name, error = %rollback, "a transaction could not be rolled back");
                }
                Err(error)
            }
        }
    }
}
