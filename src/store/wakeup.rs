//! Wakes whoever waits for an account's synchronization work, or for customers, to change, after the change is committed.
//!
//! A wake-up carries nothing: whoever is woken looks at the store. Losing one therefore costs time, never truth. Where several
//! processes share a database, every transaction that wakes somebody leaves a stamp, and every process looks for new stamps ten
//! times a second. Writers take turns and stamps are given out within their turn, so that a stamp that commits is higher than
//! every one before it, and none is passed over. Nothing listens on a connection, so that a pooler between may do as it likes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::domain::ids::PartnerAccountId;
use crate::store::statement::statement;
use crate::store::{Error, Store, Tx};

/// How often a process looks whether others woke somebody: the longest time by which it learns of it later than they.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long to wait after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// What somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    /// What is owed to an account's customers, or its runs.
    Work(PartnerAccountId),
    /// Customers, of whatever account.
    Customers,
    /// The accounts as such.
    Accounts,
}

impl Topic {
    fn name(&self) -> String {
        match self {
            Self::Work(account) => format!("work/{account}"),
            Self::Customers => "customers".to_owned(),
            Self::Accounts => "accounts".to_owned(),
        }
    }

    /// None is a topic of another release.
    fn named(name: &str) -> Option<Self> {
        match name {
            "customers" => Some(Self::Customers),
            "accounts" => Some(Self::Accounts),
            _ => name.strip_prefix("work/")?.parse().ok().map(Self::Work),
        }
    }
}

/// One counter per account that somebody has waited for, one for customers, wherever they are, and one for the accounts as
/// such.
#[derive(Clone, Default)]
pub(super) struct Wakeups {
    work: Arc<Mutex<HashMap<PartnerAccountId, watch::Sender<u64>>>>,
    customers: watch::Sender<u64>,
    accounts: watch::Sender<u64>,
}

impl Wakeups {
    pub(super) fn wake(&self, topic: &Topic) {
        let count = |counter: &watch::Sender<u64>| counter.send_modify(|count| *count = count.wrapping_add(1));
        match topic {
            Topic::Work(account) => {
                let accounts = self.work.lock().unwrap_or_else(PoisonError::into_inner);
                accounts.get(account).into_iter().for_each(count);
            }
            Topic::Customers => count(&self.customers),
            Topic::Accounts => count(&self.accounts),
        }
    }

    fn subscribe(&self, account: &PartnerAccountId) -> watch::Receiver<u64> {
        let mut accounts = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.entry(account.clone()).or_default().subscribe()
    }
}

impl Store {
    /// Changes whenever a committed transaction changed what is owed to the account's customers, or its runs.
    pub fn sync_work_changes(&self, account: &PartnerAccountId) -> watch::Receiver<u64> {
        self.wakeups.subscribe(account)
    }

    /// Changes whenever a committed transaction changed customers, of whatever account.
    pub fn customer_changes(&self) -> watch::Receiver<u64> {
        self.wakeups.customers.subscribe()
    }

    /// Changes whenever a committed transaction made or changed a partner account.
    pub fn account_changes(&self) -> watch::Receiver<u64> {
        self.wakeups.accounts.subscribe()
    }

    /// Passes on, until `stop`, what other processes wake somebody for.
    pub async fn follow_other_processes(&self, stop: CancellationToken) {
        let (mut seen, store) = (None, self.urgent());
        loop {
            let looked = tokio::select! {
                () = stop.cancelled() => return,
                looked = store.look_for_stamps(&mut seen) => looked,
            };
            let pause = looked.map_or(STORE_PAUSE, |()| LOOK_EVERY);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn look_for_stamps(&self, seen: &mut Option<i64>) -> Result<(), Error> {
        const NEWER: &str = "SELECT topic, stamp FROM wakeup WHERE stamp > $1";
        let rows = statement(NEWER).bind(seen.unwrap_or(-1)).fetch_all(&self.backend).await?;
        for row in &rows {
            let stamp: i64 = row.try_get("stamp")?;
            *seen = Some(seen.map_or(stamp, |seen| seen.max(stamp)));
            if let Some(topic) = Topic::named(row.try_get("topic")?) {
                self.wakeups.wake(&topic);
            }
        }
        Ok(())
    }
}

impl Tx {
    /// Leaves a stamp for every topic that this transaction wakes.
    pub(super) async fn tell_other_processes(&mut self) -> Result<(), Error> {
        const STAMP: &str = "
            INSERT INTO wakeup (topic, stamp) SELECT value, nextval('wakeup_stamp') FROM json_each($1)
            ON CONFLICT (topic) DO UPDATE SET stamp = excluded.stamp";
        let topics: BTreeSet<_> = self.woken().iter().map(Topic::name).collect();
        if topics.is_empty() {
            return Ok(());
        }
        let topics = serde_json::Value::from_iter(topics);
        statement(STAMP).bind(topics.to_string()).execute(self.connection()).await?;
        Ok(())
    }
}
