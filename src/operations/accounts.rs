//! The partner accounts this process serves, with the policy of each. Accounts come and change while it runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::account::PartnerAccount;
use crate::domain::ids::PartnerAccountId;
use crate::domain::policy::SyncPolicy;

/// One account and its policy.
#[derive(Clone, Debug, PartialEq)]
pub struct ServedAccount {
    /// The account.
    pub account: PartnerAccount,
    /// How it is kept level.
    pub policy: SyncPolicy,
}

/// The accounts, by id. Cheap to clone; all clones see the same.
#[derive(Clone, Debug)]
pub struct Accounts(watch::Sender<BTreeMap<PartnerAccountId, Arc<ServedAccount>>>);

/// There is no such account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no partner account {0}")]
pub struct AccountNotFound(pub PartnerAccountId);

impl Accounts {
    /// These accounts.
    pub fn new(accounts: impl IntoIterator<Item = ServedAccount>) -> Self {
        let by_id = accounts.into_iter().map(|served| (served.account.id.clone(), Arc::new(served)));
        Self(watch::Sender::new(by_id.collect()))
    }

    /// The account of that id.
    pub fn find(&self, id: &PartnerAccountId) -> Result<Arc<ServedAccount>, AccountNotFound> {
        self.0.borrow().get(id).cloned().ok_or_else(|| AccountNotFound(id.clone()))
    }

    /// Every account, by id.
    pub fn all(&self) -> Vec<Arc<ServedAccount>> {
        self.0.borrow().values().cloned().collect()
    }
}
