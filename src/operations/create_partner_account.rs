//! Creates a partner account. It serves platform customers at once and is synchronized as soon as it has credentials.

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::account::{AccountOrigin, AccountRecord};
use crate::domain::account_draft::{self, AccountDraft};
use crate::domain::ids::{PartnerAccountId, Revision};
use crate::domain::text::FieldProblem;
use crate::operations::accounts::Accounts;
use crate::operations::create_customer::WriteMode;
use crate::operations::once::{self, Once, Outcome, RequestIdReused};
use crate::store::{self, Store};

/// What to create.
#[derive(Debug)]
pub struct CreatePartnerAccount {
    /// Its id.
    pub id: PartnerAccountId,
    /// What.
    pub draft: AccountDraft,
    /// Whether it is to be stored.
    pub mode: WriteMode,
}

/// Why nothing was created.
#[derive(Debug, thiserror::Error)]
pub enum CreatePartnerAccountError {
    /// The caller may not make accounts there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Values that cannot be stored, all of them.
    #[error("the partner account has {} problems", .0.len())]
    Invalid(Vec<FieldProblem>),
    /// The id is taken.
    #[error("there is a partner account {0} already")]
    IdTaken(PartnerAccountId),
    /// The tenant belongs to another account; `by` is that one, if the caller may see it.
    #[error("the tenant of partner account {account} belongs to another one")]
    TenantTaken {
        /// The account that was to be made.
        account: PartnerAccountId,
        /// The one that has its tenant.
        by: Option<PartnerAccountId>,
    },
    /// The request id belongs to another request.
    #[error(transparent)]
    RequestIdReused(#[from] RequestIdReused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Creates an account.
pub async fn create_partner_account(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    request: CreatePartnerAccount,
    once: Option<Once<'_, AccountRecord>>,
) -> Result<Outcome<AccountRecord>, CreatePartnerAccountError> {
    let CreatePartnerAccount { id, draft, mode } = request;
    caller.may(Action::ManageAccounts, &id)?;
    let new = account_draft::admit(&id, draft).map_err(CreatePartnerAccountError::Invalid)?;
    let outcome = store
        .write("create_partner_account", async |tx| {
            if let Some(answer) = once::before::<_, CreatePartnerAccountError>(tx, once.as_ref()).await? {
                return Ok(Outcome::Before(answer));
            }
            match tx.account_in_the_way(&id, new.account.tenant_id).await? {
                None => {}
                Some(there) if there == id => return Err(CreatePartnerAccountError::IdTaken(id.clone())),
                Some(there) => {
                    let by = Some(there).filter(|there| caller.may(Action::ReadAccounts, there).is_ok());
                    return Err(CreatePartnerAccountError::TenantTaken { account: id.clone(), by });
                }
            }
            match mode {
                WriteMode::ValidateOnly => Ok(Outcome::Now(AccountRecord {
                    account: new.account.clone(),
                    origin: AccountOrigin::Api,
                    state: new.state,
                    settings: new.settings.clone(),
                    client_id: String::new(),
                    credential: None,
                    credentials_set_at: None,
                    webhook_secret_made_at: None,
                    user: None,
                    trial: None,
                    revision: Revision::FIRST,
                    created_at: tx.now(),
                    updated_at: tx.now(),
                })),
                WriteMode::Write => {
                    let record = tx.insert_account(&new).await?;
                    once::keep(tx, once.as_ref(), &record).await?;
                    Ok(Outcome::Now(record))
                }
            }
        })
        .await?;
    if let (Outcome::Now(record), WriteMode::Write) = (&outcome, mode) {
        accounts.put(record);
    }
    Ok(outcome)
}
