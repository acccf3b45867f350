//! Lists the customers in Partner Center that wait for a decision because they look like platform customers, and decides
//! that one is none of them.

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::once::{self, Once, Outcome, RequestIdReused};
use crate::store::{self, PendingLink, PendingPlace, Store};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PendingLinkError {
    /// The caller may not look or decide there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// No such pending link.
    #[error("tenant {1} does not wait in partner account {0}")]
    NotFound(PartnerAccountId, TenantId),
    /// The request id belongs to another request.
    #[error(transparent)]
    RequestIdReused(#[from] RequestIdReused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// One page of pending links, oldest first.
#[derive(Debug)]
pub struct PendingLinkList {
    /// The links.
    pub links: Vec<PendingLink>,
    /// The place after which the next page goes on; `None` when this is the last.
    pub next: Option<PendingPlace>,
}

/// Returns up to `page_size` pending links.
pub async fn list_pending_links(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
    after: Option<PendingPlace>,
    page_size: u32,
) -> Result<PendingLinkList, PendingLinkError> {
    caller.may(Action::ReadSync, account)?;
    accounts.find_in(store, account).await??;
    let mut links = store.pending_links(account, after, page_size.saturating_add(1)).await?;
    let wanted = usize::try_from(page_size).unwrap_or(usize::MAX);
    let more = links.len() > wanted;
    links.truncate(wanted);
    let next = if more { links.last().map(PendingLink::place) } else { None };
    Ok(PendingLinkList { links, next })
}

/// Decides that a customer in Partner Center is none of those it looks like; returns the link as it was.
pub async fn dismiss_pending_link(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
    tenant: TenantId,
    once: Option<Once<'_, PendingLink>>,
) -> Result<Outcome<PendingLink>, PendingLinkError> {
    caller.may(Action::RunSync, account)?;
    accounts.find_in(store, account).await??;
    store
        .write("dismiss_pending_link", async |tx| {
            if let Some(answer) = once::before::<_, PendingLinkError>(tx, once.as_ref()).await? {
                return Ok(Outcome::Before(answer));
            }
            let found = tx.pending_link(account, tenant).await?;
            let link = found.ok_or_else(|| PendingLinkError::NotFound(account.clone(), tenant))?;
            tx.dismiss_pending_link(account, tenant, &caller.subject).await?;
            once::keep(tx, once.as_ref(), &link).await?;
            Ok(Outcome::Now(link))
        })
        .await
}
