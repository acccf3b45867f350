//! Sets the credentials by which an account of the API signs in. The secret is sealed before it is written.

use secrecy::{ExposeSecret, SecretString};

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::account::{AccountOrigin, AccountRecord};
use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::domain::text::FieldProblem;
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::credentials;
use crate::sealing::{NoRandomness, SealingKeys};
use crate::store::{self, Store};

/// No client secret is longer.
const SECRET_BYTES_MAX: usize = 4096;

/// Why nothing was set. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum SetCredentialsError {
    /// The caller may not change accounts there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// The configuration alone changes it.
    #[error("partner account {0} comes from the configuration")]
    Configured(PartnerAccountId),
    /// There is no key to seal the secret with.
    #[error("the service has no key to seal secrets with")]
    NoSealingKey,
    /// It cannot be sealed.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What is wrong with credentials, whatever the account. Never quotes them.
pub fn problems(client_id: &str, client_secret: &SecretString) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    // Application ids have the form of tenant ids.
    if client_id.parse::<TenantId>().is_err() {
        problems.push(FieldProblem::new("client_id", "must be an application (client) id, which is a UUID"));
    }
    let secret = client_secret.expose_secret();
    if secret.is_empty() {
        problems.push(FieldProblem::new("client_secret", "is required"));
    } else if secret.len() > SECRET_BYTES_MAX {
        problems.push(FieldProblem::new("client_secret", format!("is longer than {SECRET_BYTES_MAX} bytes")));
    } else if secret.contains(|character: char| character.is_whitespace() || character.is_control()) {
        problems.push(FieldProblem::new("client_secret", "must not contain white space or control characters"));
    }
    problems
}

/// Sets the credentials, of which [`problems`] found none. Synchronization goes on with them at once.
pub async fn set_partner_account_credentials(
    store: &Store,
    accounts: &Accounts,
    keys: Option<&SealingKeys>,
    caller: &Caller,
    account: &PartnerAccountId,
    client_id: &str,
    client_secret: &SecretString,
) -> Result<AccountRecord, SetCredentialsError> {
    caller.may(Action::ManageAccounts, account)?;
    accounts.find(account)?;
    let record = store
        .write("set_partner_account_credentials", async |tx| {
            let found = tx.account_for_update(account).await?;
            let before = found.ok_or_else(|| AccountNotFound(account.clone()))?;
            match before.origin {
                AccountOrigin::Configuration => return Err(SetCredentialsError::Configured(account.clone())),
                AccountOrigin::Api => {}
            }
            let keys = keys.ok_or(SetCredentialsError::NoSealingKey)?;
            let sealed = credentials::seal(keys, account, client_id, client_secret)?;
            Ok(tx.save_credentials(account, client_id, &sealed).await?)
        })
        .await?;
    accounts.put(&record);
    Ok(record)
}
