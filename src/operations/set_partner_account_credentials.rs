//! Sets the credentials by which an account of the API signs in. What is secret of them is sealed before it is written.

use secrecy::{ExposeSecret, SecretString};

use crate::clock::Timestamp;
use crate::domain::access::{Action, Caller, Denied};
use crate::domain::account::{AccountOrigin, AccountRecord};
use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::domain::text::FieldProblem;
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::credentials;
use crate::sealing::{NoRandomness, SealingKeys};
use crate::sign_in::Credential;
use crate::sign_in::certificate::{CertificateProblem, ClientCertificate};
use crate::store::{self, Store};

/// No client secret is longer.
const SECRET_BYTES_MAX: usize = 4096;
/// No refresh token is longer.
const REFRESH_TOKEN_BYTES_MAX: usize = 16 * 1024;

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

/// Credentials as somebody wrote them; empty is not given.
#[derive(Debug)]
pub struct GivenCredentials {
    /// The application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// Its certificate with the private key, in PEM form.
    pub client_certificate: SecretString,
    /// The refresh token of a user it acts for.
    pub refresh_token: SecretString,
}

/// Credentials in which nothing is wrong.
#[derive(Debug)]
pub struct NewCredentials {
    client_id: String,
    credential: Credential,
    refresh_token: Option<SecretString>,
}

impl GivenCredentials {
    /// The credentials, or everything that is wrong with them, whatever the account. Never quotes them.
    pub fn read(self, now: Timestamp) -> Result<NewCredentials, Vec<FieldProblem>> {
        let mut problems = Vec::new();
        // Application ids have the form of tenant ids.
        if self.client_id.parse::<TenantId>().is_err() {
            problems.push(FieldProblem::new("client_id", "must be an application (client) id, which is a UUID"));
        }
        let credential = self.credential(now).map_err(|wrong| problems.extend(wrong)).ok();
        let token = self.refresh_token.expose_secret();
        if !token.is_empty() {
            problems.extend(token_problem("refresh_token", token, REFRESH_TOKEN_BYTES_MAX));
        }
        let refresh_token = (!token.is_empty()).then(|| self.refresh_token.clone());
        match credential {
            Some(credential) if problems.is_empty() => {
                Ok(NewCredentials { client_id: self.client_id, credential, refresh_token })
            }
            Some(_) | None => Err(problems),
        }
    }

    fn credential(&self, now: Timestamp) -> Result<Credential, Vec<FieldProblem>> {
        let (secret, pem) = (self.client_secret.expose_secret(), self.client_certificate.expose_secret());
        let mut problems = Vec::new();
        if !secret.is_empty() {
            problems.extend(token_problem("client_secret", secret, SECRET_BYTES_MAX));
        }
        let certificate = if pem.is_empty() {
            None
        } else {
            let parsed = ClientCertificate::parse(&self.client_certificate);
            let valid = parsed.and_then(|parsed| parsed.at(now).map(|()| parsed).map_err(|problem| vec![problem]));
            let told = |problem: CertificateProblem| FieldProblem::new("client_certificate", problem.to_string());
            valid.map_err(|wrong| problems.extend(wrong.into_iter().map(told))).ok()
        };
        match (secret.is_empty(), pem.is_empty()) {
            (true, true) => {
                problems.push(FieldProblem::new("client_secret", "is required where there is no client_certificate"));
            }
            (false, false) => {
                problems.push(FieldProblem::new("client_certificate", "cannot stand beside a client_secret; give one"));
            }
            (true, false) | (false, true) => {}
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(certificate.map_or_else(|| Credential::Secret(self.client_secret.clone()), Credential::Certificate))
    }
}

/// What is wrong with a text that only machines read.
fn token_problem(field: &'static str, text: &str, longest: usize) -> Option<FieldProblem> {
    if text.len() > longest {
        Some(FieldProblem::new(field, format!("is longer than {longest} bytes")))
    } else if text.contains(|character: char| character.is_whitespace() || character.is_control()) {
        Some(FieldProblem::new(field, "must not contain white space or control characters"))
    } else {
        None
    }
}

/// Sets the credentials. Synchronization goes on with them at once; with others than before after their trial. Without a refresh token the one that is kept stays, as
/// long as the application does; it is tried again, whatever was said of it.
pub async fn set_partner_account_credentials(
    store: &Store,
    accounts: &Accounts,
    keys: Option<&SealingKeys>,
    caller: &Caller,
    account: &PartnerAccountId,
    new: &NewCredentials,
) -> Result<AccountRecord, SetCredentialsError> {
    caller.may(Action::ManageAccounts, account)?;
    accounts.find_in(store, account).await??;
    let NewCredentials { client_id, credential, refresh_token } = new;
    let record = store
        .write("set_partner_account_credentials", async |tx| {
            let found = tx.kept_account_for_update(account).await?;
            let before = found.ok_or_else(|| AccountNotFound(account.clone()))?;
            match before.record.origin {
                AccountOrigin::Configuration => return Err(SetCredentialsError::Configured(account.clone())),
                AccountOrigin::Api => {}
            }
            let keys = keys.ok_or(SetCredentialsError::NoSealingKey)?;
            let is_the_same = credentials::are_those(&before, keys, client_id, credential);
            let sealed = credentials::seal(keys, account, client_id, credential)?;
            match refresh_token {
                Some(token) => {
                    let sealed = credentials::seal_refresh_token(keys, account, client_id, token)?;
                    tx.put_refresh_token(account, &sealed, None).await?;
                }
                // A refresh token is bound to its application.
                None if before.record.client_id == *client_id => tx.forgive_refresh_token(account).await?,
                None => tx.forget_refresh_token(account).await?,
            }
            Ok(tx.save_credentials(account, client_id, credential.kind(), &sealed, is_the_same).await?)
        })
        .await?;
    accounts.put(&record);
    Ok(record)
}
