//! Returns sync runs, with what they changed.

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::ids::{PartnerAccountId, RunId};
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::store::{self, RunCounts, RunOutlook, Store, SyncRun};

/// A run with what it changed.
#[derive(Clone, Debug)]
pub struct CountedRun {
    /// The run.
    pub run: SyncRun,
    /// What it changed.
    pub counts: RunCounts,
    /// How long it takes, and until when.
    pub outlook: RunOutlook,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SyncRunError {
    /// The caller may not look there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// No such run.
    #[error("there is no sync run {1} in partner account {0}")]
    RunNotFound(PartnerAccountId, RunId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Adds to a run what it changed.
pub async fn counted(store: &Store, run: SyncRun) -> Result<CountedRun, store::Error> {
    let counts = store.run_counts(&run).await?;
    let outlook = store.run_outlook(&run).await?;
    Ok(CountedRun { run, counts, outlook })
}

/// Returns one run.
pub async fn get_sync_run(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
    id: RunId,
) -> Result<CountedRun, SyncRunError> {
    caller.may(Action::ReadSync, account)?;
    accounts.find_in(store, account).await??;
    let found = store.sync_run(account, id).await?;
    let run = found.ok_or_else(|| SyncRunError::RunNotFound(account.clone(), id))?;
    Ok(counted(store, run).await?)
}

/// One page of runs, newest first.
#[derive(Debug)]
pub struct RunList {
    /// The runs.
    pub runs: Vec<CountedRun>,
    /// The run before which the next page goes on; `None` when this is the last.
    pub next: Option<RunId>,
}

/// Returns up to `page_size` runs older than `before`.
pub async fn list_sync_runs(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
    before: Option<RunId>,
    page_size: u32,
) -> Result<RunList, SyncRunError> {
    caller.may(Action::ReadSync, account)?;
    accounts.find_in(store, account).await??;
    let mut found = store.sync_runs(account, before, page_size.saturating_add(1)).await?;
    let wanted = usize::try_from(page_size).unwrap_or(usize::MAX);
    let more = found.len() > wanted;
    found.truncate(wanted);
    let next = if more { found.last().map(|run| run.id) } else { None };
    let mut runs = Vec::with_capacity(found.len());
    for run in found {
        runs.push(counted(store, run).await?);
    }
    Ok(RunList { runs, next })
}
