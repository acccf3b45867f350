//! Accepts new credentials after what their dry run found: exactly that, or nothing.

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::account::AccountRecord;
use crate::domain::ids::PartnerAccountId;
use crate::domain::trial::{TrialId, TrialState};
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::once::{self, Once, Outcome, RequestIdReused};
use crate::store::{self, Store};

/// Why nothing was accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptCredentialsError {
    /// The caller may not decide about credentials there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// No credentials wait for an operator.
    #[error("no credentials of partner account {0} wait to be accepted")]
    NothingWaits(PartnerAccountId),
    /// A dry run found something else since.
    #[error("the dry run of partner account {account} found something else since")]
    TrialChanged {
        /// The account.
        account: PartnerAccountId,
        /// The trial that waits now.
        present: TrialId,
    },
    /// The request id belongs to another request.
    #[error(transparent)]
    RequestIdReused(#[from] RequestIdReused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Accepts the credentials that wait, if what was found about them is what the caller has seen. The worker goes on at once.
pub async fn accept_credentials(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
    wanted: TrialId,
    once: Option<Once<'_, AccountRecord>>,
) -> Result<Outcome<AccountRecord>, AcceptCredentialsError> {
    caller.may(Action::ManageAccounts, account)?;
    accounts.find_in(store, account).await??;
    let outcome = store
        .write("accept_credentials", async |tx| {
            if let Some(answer) = once::before::<_, AcceptCredentialsError>(tx, once.as_ref()).await? {
                return Ok(Outcome::Before(answer));
            }
            let nothing_waits = || AcceptCredentialsError::NothingWaits(account.clone());
            let trial = tx.credential_trial(account).await?;
            let trial = trial.filter(|trial| trial.state == TrialState::Waiting).ok_or_else(nothing_waits)?;
            let present = trial.id(account).ok_or_else(nothing_waits)?;
            let (report, _) = trial.found.ok_or_else(nothing_waits)?;
            if present != wanted {
                return Err(AcceptCredentialsError::TrialChanged { account: account.clone(), present });
            }
            tx.accept_trial(account, trial.fingerprint, &report, &caller.subject).await?;
            let found = tx.account_for_update(account).await?;
            let record = found.ok_or_else(|| AccountNotFound(account.clone()))?;
            once::keep(tx, once.as_ref(), &record).await?;
            Ok(Outcome::Now(record))
        })
        .await?;
    if let Outcome::Now(_) = &outcome {
        tracing::warn!(account = %account, caller = %caller.subject, trial = %wanted, "an operator accepted new credentials");
    }
    Ok(outcome)
}
