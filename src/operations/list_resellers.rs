//! Returns the indirect resellers of an account, by tenant.

use crate::domain::access::{Action, Caller};
use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::operations::accounts::Accounts;
use crate::operations::sync_runs::SyncRunError;
use crate::store::{KeptReseller, Store};

/// One page of resellers.
#[derive(Debug)]
pub struct ResellerList {
    /// The resellers.
    pub resellers: Vec<KeptReseller>,
    /// The reseller after which the next page goes on; `None` when this is the last.
    pub next: Option<TenantId>,
}

/// Returns up to `page_size` resellers after that one.
pub async fn list_resellers(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
    after: Option<TenantId>,
    page_size: u32,
) -> Result<ResellerList, SyncRunError> {
    caller.may(Action::ReadSync, account)?;
    accounts.find_in(store, account).await??;
    let mut resellers = store.resellers(account, after, page_size.saturating_add(1)).await?;
    let wanted = usize::try_from(page_size).unwrap_or(usize::MAX);
    let more = resellers.len() > wanted;
    resellers.truncate(wanted);
    let next = if more { resellers.last().map(|kept| kept.listed.reseller.tenant_id) } else { None };
    Ok(ResellerList { resellers, next })
}
