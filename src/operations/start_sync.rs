//! Starts a full sync by hand, or joins the one that is under way.

use std::time::Duration;

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::ids::{PartnerAccountId, RunId};
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::store::{self, RunCause, RunKind, RunState, Store, SyncRun};

/// Why no run was started.
#[derive(Debug, thiserror::Error)]
pub enum StartSyncError {
    /// The caller may not start runs there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// The account was synchronized too recently.
    #[error("partner account {account} was synchronized too recently")]
    Cooldown {
        /// The account.
        account: PartnerAccountId,
        /// The run it was synchronized by.
        last: RunId,
        /// How long to wait.
        retry_after: Duration,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Starts a full sync. The worker does the work.
pub async fn start_sync(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
) -> Result<SyncRun, StartSyncError> {
    caller.may(Action::RunSync, account)?;
    let cooldown = accounts.find(account)?.policy.manual_cooldown;
    store
        .write("start_sync", async |tx| {
            if let Some(running) = tx.run_under_way(account, RunKind::Full).await? {
                return Ok(running);
            }
            let newest = tx.newest_full_run(account).await?;
            // A run that failed does not keep anybody from trying again.
            if let Some(last) = newest.filter(|run| run.state == RunState::Succeeded) {
                let allowed_at = last.finished_at.unwrap_or(last.started_at).plus(cooldown);
                if tx.now() < allowed_at {
                    let retry_after = allowed_at.since(tx.now());
                    return Err(StartSyncError::Cooldown { account: account.clone(), last: last.id, retry_after });
                }
            }
            Ok(tx.start_run(account, RunKind::Full, RunCause::Manual, &caller.subject).await?)
        })
        .await
}
