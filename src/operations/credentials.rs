//! The secrets by which accounts of the API sign in: sealed for one account and one application, and opened for no other.

use secrecy::SecretString;

use crate::domain::account::AccountRecord;
use crate::domain::ids::PartnerAccountId;
use crate::domain::standstill::Standstill;
use crate::sealing::{NoRandomness, OpenError, Sealed, SealingKeys, Use};
use crate::store::{KeptAccount, SealedCredentials};

const PURPOSE: &str = "client secret of a partner account";

fn purpose<'a>(account: &'a PartnerAccountId, client_id: &'a str) -> Use<'a> {
    Use { purpose: PURPOSE, owner: account.as_str(), subject: client_id }
}

/// Seals the secret of an account's application.
pub fn seal(
    keys: &SealingKeys,
    account: &PartnerAccountId,
    client_id: &str,
    secret: &SecretString,
) -> Result<Sealed, NoRandomness> {
    keys.seal(purpose(account, client_id), secret)
}

/// The credentials of an account, and which setting of them these are; or why there are none to sign in with.
pub fn opened(kept: &KeptAccount, keys: Option<&SealingKeys>) -> Result<(SecretString, i64), Standstill> {
    let KeptAccount { record: AccountRecord { account, client_id, .. }, credentials } = kept;
    let SealedCredentials { generation, secret } = credentials.as_ref().ok_or(Standstill::NoCredentials)?;
    let keys = keys.ok_or(Standstill::SealingKeyMissing)?;
    let opened = keys.open(purpose(&account.id, client_id), secret).map_err(|error| match error {
        OpenError::KeyMissing => Standstill::SealingKeyMissing,
        OpenError::Unreadable => Standstill::CredentialsUnreadable,
    })?;
    Ok((opened, *generation))
}
