//! The partner accounts this process serves, with the policy of each. Accounts come and change while it runs.
//!
//! An account that another process made is told of a moment later. Until then whoever asks for it by its id, or for all there
//! are, finds it in the store, so that nobody is told that there is no such account who was told before that it was made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::account::{AccountRecord, AccountState, PartnerAccount};
use crate::domain::ids::{PartnerAccountId, Revision};
use crate::domain::policy::{Pace, SyncPolicy};
use crate::store::{self, Store};

/// One account and its policy.
#[derive(Clone, Debug, PartialEq)]
pub struct ServedAccount {
    /// The account.
    pub account: PartnerAccount,
    /// How it is kept level.
    pub policy: SyncPolicy,
    /// Whether it is synchronized.
    pub state: AccountState,
    /// Which of its revisions this is.
    pub revision: Revision,
}

/// The accounts, by id. Cheap to clone; all clones see the same.
#[derive(Clone, Debug)]
pub struct Accounts {
    served: watch::Sender<BTreeMap<PartnerAccountId, Arc<ServedAccount>>>,
    /// Which revision of an account of the API synchronization goes by.
    followed: watch::Sender<BTreeMap<PartnerAccountId, Revision>>,
    usual: Arc<Pace>,
}

/// There is no such account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no partner account {0}")]
pub struct AccountNotFound(pub PartnerAccountId);

impl Accounts {
    /// No account yet; `usual` is how one is kept level as far as it does not say.
    pub fn new(usual: Pace) -> Self {
        let (served, followed) = (watch::Sender::default(), watch::Sender::default());
        Self { served, followed, usual: Arc::new(usual) }
    }

    /// From now on the account is served as this record says. A record that is older than the known one changes nothing.
    pub fn put(&self, record: &AccountRecord) {
        let served = ServedAccount {
            account: record.account.clone(),
            policy: self.pace_of(record).policy,
            state: record.state,
            revision: record.revision,
        };
        self.served.send_if_modified(|accounts| {
            let known = accounts.get(&record.account.id);
            let is_news = known.is_none_or(|known| known.revision < served.revision);
            if is_news {
                accounts.insert(record.account.id.clone(), Arc::new(served));
            }
            is_news
        });
    }

    /// How an account is kept level.
    pub fn pace_of(&self, record: &AccountRecord) -> Pace {
        record.settings.over(&self.usual)
    }

    /// The account of that id. The store is asked about one that is not known here: another process may just have made it.
    ///
    /// An account of the configuration is served by the processes that are configured so, and by no other.
    pub async fn find_in(
        &self,
        store: &Store,
        id: &PartnerAccountId,
    ) -> Result<Result<Arc<ServedAccount>, AccountNotFound>, store::Error> {
        if let Ok(known) = self.find(id) {
            return Ok(Ok(known));
        }
        if let Some(record) = store.account_of_the_api(id).await? {
            self.put(&record);
        }
        Ok(self.find(id))
    }

    /// Every account, by id, with those that other processes have made until now.
    pub async fn all_in(&self, store: &Store) -> Result<Vec<Arc<ServedAccount>>, store::Error> {
        let known: BTreeSet<_> = self.served.borrow().keys().cloned().collect();
        for record in store.api_accounts_but(&known).await? {
            self.put(&record);
        }
        Ok(self.all())
    }

    /// The account of that id, if this process knows it.
    pub fn find(&self, id: &PartnerAccountId) -> Result<Arc<ServedAccount>, AccountNotFound> {
        self.served.borrow().get(id).cloned().ok_or_else(|| AccountNotFound(id.clone()))
    }

    /// Every account that this process knows, by id.
    pub fn all(&self) -> Vec<Arc<ServedAccount>> {
        self.served.borrow().values().cloned().collect()
    }

    /// Changes whenever an account comes or changes.
    pub fn changes(&self) -> watch::Receiver<BTreeMap<PartnerAccountId, Arc<ServedAccount>>> {
        self.served.subscribe()
    }

    /// Synchronization goes by that revision of the account.
    pub fn note_followed(&self, id: &PartnerAccountId, revision: Revision) {
        self.followed.send_modify(|followed| {
            followed.insert(id.clone(), revision);
        });
    }

    /// Waits until synchronization goes by that revision of the account, or a later one.
    pub async fn followed(&self, id: &PartnerAccountId, revision: Revision) {
        let goes_by = |followed: &BTreeMap<_, Revision>| followed.get(id).is_some_and(|known| *known >= revision);
        // An error is the end of every sender, and this one is held here.
        let _ = self.followed.subscribe().wait_for(goes_by).await;
    }
}
