//! Starts a full sync by hand, or joins the one that is under way.

use std::time::Duration;

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::ids::{PartnerAccountId, RunId};
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::once::{self, Once, Outcome, RequestIdReused};
use crate::operations::sync_runs::CountedRun;
use crate::store::{self, RunCause, RunKind, RunState, Store, SyncRun, Tx};

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
    /// The request id belongs to another request.
    #[error(transparent)]
    RequestIdReused(#[from] RequestIdReused),
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
    once: Option<Once<'_, CountedRun>>,
) -> Result<Outcome<CountedRun>, StartSyncError> {
    caller.may(Action::RunSync, account)?;
    let cooldown = accounts.find_in(store, account).await??.policy.manual_cooldown;
    store
        .write("start_sync", async |tx| {
            if let Some(answer) = once::before::<_, StartSyncError>(tx, once.as_ref()).await? {
                return Ok(Outcome::Before(answer));
            }
            let run = start_or_join(tx, caller, account, cooldown).await?;
            let counts = tx.run_counts(run.id).await?;
            let outlook = tx.run_outlook(&run).await?;
            let counted = CountedRun { run, counts, outlook };
            once::keep(tx, once.as_ref(), &counted).await?;
            Ok(Outcome::Now(counted))
        })
        .await
}

async fn start_or_join(
    tx: &mut Tx,
    caller: &Caller,
    account: &PartnerAccountId,
    cooldown: Duration,
) -> Result<SyncRun, StartSyncError> {
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
}
