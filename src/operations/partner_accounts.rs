//! Returns partner accounts.

use std::collections::BTreeSet;

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::account::{AccountOrigin, AccountRecord};
use crate::domain::ids::PartnerAccountId;
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::store::{self, Store};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PartnerAccountError {
    /// The caller may not look there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Returns one account.
pub async fn get_partner_account(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
) -> Result<AccountRecord, PartnerAccountError> {
    caller.may(Action::ReadAccounts, account)?;
    accounts.find_in(store, account).await??;
    let kept = store.kept_account(account).await?;
    let record = kept.ok_or_else(|| AccountNotFound(account.clone()))?.record;
    match record.origin {
        // Of an account of the configuration, this process's own settings count.
        AccountOrigin::Configuration => {}
        // Whoever has been told of settings meets them from now on, wherever they were changed.
        AccountOrigin::Api => accounts.put(&record),
    }
    Ok(record)
}

/// One page of accounts, by id.
#[derive(Debug)]
pub struct AccountList {
    /// The accounts.
    pub accounts: Vec<AccountRecord>,
    /// The account after which the next page goes on; `None` when this is the last.
    pub next: Option<PartnerAccountId>,
}

/// Returns up to `page_size` accounts after `after`, of those that are served and the caller may see.
pub async fn list_partner_accounts(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    after: Option<&PartnerAccountId>,
    page_size: u32,
) -> Result<AccountList, PartnerAccountError> {
    caller.may_somewhere(Action::ReadAccounts)?;
    let seen = accounts.all_in(store).await?.into_iter().map(|served| served.account.id.clone());
    let seen = seen.filter(|id| caller.scope.contains(id) && after.is_none_or(|after| id > after));
    let wanted = usize::try_from(page_size).unwrap_or(usize::MAX);
    let mut page: BTreeSet<_> = seen.take(wanted.saturating_add(1)).collect();
    // One more than asked for tells whether there is another page.
    let more = page.len() > wanted;
    if more {
        page.pop_last();
    }
    let (Some(first), Some(last)) = (page.first(), page.last()) else {
        return Ok(AccountList { accounts: Vec::new(), next: None });
    };
    let mut found = store.account_records(first, last).await?;
    found.retain(|record| page.contains(&record.account.id));
    let next = Some(last).filter(|_| more).cloned();
    Ok(AccountList { accounts: found, next })
}
