//! Wakes whoever waits for an account's synchronization work, or for customers, to change, after the change is committed.
//!
//! A wake-up carries nothing: whoever is woken looks at the store. Losing one therefore costs time, never truth.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::domain::ids::PartnerAccountId;
use crate::store::Store;

/// One counter per account that somebody has waited for, one for customers, wherever they are, and one for the accounts as
/// such.
#[derive(Clone, Default)]
pub(super) struct Wakeups {
    work: Arc<Mutex<HashMap<PartnerAccountId, watch::Sender<u64>>>>,
    customers: watch::Sender<u64>,
    accounts: watch::Sender<u64>,
}

impl Wakeups {
    pub(super) fn wake(&self, account: &PartnerAccountId) {
        let accounts = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = accounts.get(account) {
            counter.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    pub(super) fn tell_of_changes(&self) {
        self.customers.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn wake_accounts(&self) {
        self.accounts.send_modify(|count| *count = count.wrapping_add(1));
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
}
