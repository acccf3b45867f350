//! Changes a partner account of the API. Its id, tenant and cloud never change.

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::account::{AccountOrigin, AccountRecord};
use crate::domain::account_draft::{self, AccountEdit};
use crate::domain::ids::{PartnerAccountId, Version};
use crate::domain::text::FieldProblem;
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::create_customer::WriteMode;
use crate::operations::once::{self, Once, Outcome, RequestIdReused};
use crate::store::{self, Store};

/// What to change.
#[derive(Debug)]
pub struct UpdatePartnerAccount {
    /// Which account.
    pub account: PartnerAccountId,
    /// The revision the caller has seen, if it says so.
    pub expected: Option<Version>,
    /// What it becomes.
    pub edit: AccountEdit,
    /// Whether it is to be stored.
    pub mode: WriteMode,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdatePartnerAccountError {
    /// The caller may not change accounts there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// The configuration alone changes it.
    #[error("partner account {0} comes from the configuration")]
    Configured(PartnerAccountId),
    /// The account changed since the caller read it.
    #[error("partner account {0} changed since it was read")]
    Stale(PartnerAccountId),
    /// Values that cannot be stored, all of them.
    #[error("the edit has {} problems", .0.len())]
    Invalid(Vec<FieldProblem>),
    /// The request id belongs to another request.
    #[error(transparent)]
    RequestIdReused(#[from] RequestIdReused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Changes an account. Synchronization follows at once.
pub async fn update_partner_account(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    request: UpdatePartnerAccount,
    once: Option<Once<'_, AccountRecord>>,
) -> Result<Outcome<AccountRecord>, UpdatePartnerAccountError> {
    let UpdatePartnerAccount { account, expected, edit, mode } = request;
    caller.may(Action::ManageAccounts, &account)?;
    accounts.find_in(store, &account).await??;
    let outcome = store
        .write("update_partner_account", async |tx| {
            if let Some(answer) = once::before::<_, UpdatePartnerAccountError>(tx, once.as_ref()).await? {
                return Ok(Outcome::Before(answer));
            }
            let found = tx.account_for_update(&account).await?;
            let before = found.ok_or_else(|| AccountNotFound(account.clone()))?;
            match before.origin {
                AccountOrigin::Configuration => return Err(UpdatePartnerAccountError::Configured(account.clone())),
                AccountOrigin::Api => {}
            }
            if expected.is_some_and(|expected| !expected.is(before.revision, before.updated_at)) {
                return Err(UpdatePartnerAccountError::Stale(account.clone()));
            }
            let after = account_draft::edited(&before, edit).map_err(UpdatePartnerAccountError::Invalid)?;
            let is_change = after != before;
            let after = match mode {
                WriteMode::Write if is_change => tx.update_account(&after).await?,
                WriteMode::Write | WriteMode::ValidateOnly => after,
            };
            if mode == WriteMode::Write {
                once::keep(tx, once.as_ref(), &after).await?;
            }
            Ok(Outcome::Now(after))
        })
        .await?;
    if let (Outcome::Now(record), WriteMode::Write) = (&outcome, mode) {
        accounts.put(record);
    }
    Ok(outcome)
}
