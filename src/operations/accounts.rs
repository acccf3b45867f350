//! The partner accounts this process serves, with the policy of each.

use std::collections::BTreeMap;
use std::sync::Arc;

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

/// The accounts, by id. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Accounts(Arc<BTreeMap<PartnerAccountId, ServedAccount>>);

/// There is no such account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no partner account {0}")]
pub struct AccountNotFound(pub PartnerAccountId);

impl Accounts {
    /// These accounts.
    pub fn new(accounts: impl IntoIterator<Item = ServedAccount>) -> Self {
        Self(Arc::new(accounts.into_iter().map(|served| (served.account.id.clone(), served)).collect()))
    }

    /// The account of that id.
    pub fn find(&self, id: &PartnerAccountId) -> Result<&ServedAccount, AccountNotFound> {
        self.0.get(id).ok_or_else(|| AccountNotFound(id.clone()))
    }

    /// Every account.
    pub fn iter(&self) -> impl Iterator<Item = &ServedAccount> {
        self.0.values()
    }
}
