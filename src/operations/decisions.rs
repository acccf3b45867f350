//! Returns decisions: who was refused what, and by which rule.

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::ids::{DecisionId, PartnerAccountId};
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::store::{self, Decision, DecisionQuery, Store};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    /// The caller may not look there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// No such decision.
    #[error("there is no decision {1} in partner account {0}")]
    DecisionNotFound(PartnerAccountId, DecisionId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Returns one decision.
pub async fn get_decision(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
    id: DecisionId,
) -> Result<Decision, DecisionError> {
    caller.may(Action::ReadDecisions, account)?;
    accounts.find_in(store, account).await??;
    let found = store.decision(account, id).await?;
    found.ok_or_else(|| DecisionError::DecisionNotFound(account.clone(), id))
}

/// One page of decisions, newest first.
#[derive(Debug)]
pub struct DecisionList {
    /// The decisions.
    pub decisions: Vec<Decision>,
    /// The place before which the next page goes on; `None` when this is the last.
    pub next: Option<i64>,
}

/// Returns up to `page_size` decisions.
pub async fn list_decisions(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
    query: &DecisionQuery,
    page_size: u32,
) -> Result<DecisionList, DecisionError> {
    caller.may(Action::ReadDecisions, account)?;
    accounts.find_in(store, account).await??;
    let mut decisions = store.decisions(account, query, page_size.saturating_add(1)).await?;
    let wanted = usize::try_from(page_size).unwrap_or(usize::MAX);
    let more = decisions.len() > wanted;
    decisions.truncate(wanted);
    let next = if more { decisions.last().map(|last| last.position) } else { None };
    Ok(DecisionList { decisions, next })
}
