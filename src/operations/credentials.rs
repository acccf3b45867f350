//! The secrets by which accounts sign in: sealed for one account and one application, and opened for no other.

use aws_lc_rs::{constant_time, hmac};
use secrecy::{ExposeSecret, SecretString};

use crate::domain::account::AccountRecord;
use crate::domain::ids::PartnerAccountId;
use crate::domain::standstill::Standstill;
use crate::domain::user_sign_in::CredentialKind;
use crate::sealing::{NoRandomness, OpenError, Sealed, SealingKeys, Use};
use crate::sign_in::Credential;
use crate::sign_in::certificate::ClientCertificate;
use crate::store::{self, KeptAccount, SealedCredentials, Store};

const SECRET: &str = "client secret of a partner account";
const CERTIFICATE: &str = "client certificate of a partner account";
const REFRESH_TOKEN: &str = "refresh token of a partner account";
/// How many random bytes make every fingerprint another one.
const SALT_BYTES: usize = 32;

const fn purpose(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::ClientSecret => SECRET,
        CredentialKind::ClientCertificate { .. } => CERTIFICATE,
    }
}

/// Seals what an account's application signs in by.
pub fn seal(
    keys: &SealingKeys,
    account: &PartnerAccountId,
    client_id: &str,
    credential: &Credential,
) -> Result<Sealed, NoRandomness> {
    let of = Use { purpose: purpose(credential.kind()), owner: account.as_str(), subject: client_id };
    keys.seal(of, credential.text())
}

/// Whether an account signs in by exactly that application and credential already. Credentials that cannot be opened are
/// others.
pub fn are_those(kept: &KeptAccount, keys: &SealingKeys, client_id: &str, credential: &Credential) -> bool {
    let text = credential.text().expose_secret().as_bytes();
    let is_same = |(opened, _): (Credential, _)| {
        let known = opened.text().expose_secret().as_bytes();
        opened.kind() == credential.kind() && constant_time::verify_slices_are_equal(known, text).is_ok()
    };
    kept.record.client_id == client_id && opened(kept, Some(keys)).is_ok_and(is_same)
}

/// The credentials of an account, and which setting of them these are; or why there are none to sign in with.
pub fn opened(kept: &KeptAccount, keys: Option<&SealingKeys>) -> Result<(Credential, i64), Standstill> {
    let KeptAccount { record: AccountRecord { account, client_id, credential, .. }, credentials } = kept;
    let SealedCredentials { generation, secret, .. } = credentials.as_ref().ok_or(Standstill::NoCredentials)?;
    let kind = credential.ok_or(Standstill::NoCredentials)?;
    let keys = keys.ok_or(Standstill::SealingKeyMissing)?;
    let of = Use { purpose: purpose(kind), owner: account.id.as_str(), subject: client_id };
    let opened = keys.open(of, secret).map_err(|error| match error {
        OpenError::KeyMissing => Standstill::SealingKeyMissing,
        OpenError::Unreadable => Standstill::CredentialsUnreadable,
    })?;
    let credential = match kind {
        CredentialKind::ClientSecret => Credential::Secret(opened),
        CredentialKind::ClientCertificate { .. } => ClientCertificate::parse(&opened)
            .map(Credential::Certificate)
            .map_err(|_| Standstill::CredentialsUnreadable)?,
    };
    Ok((credential, *generation))
}

fn of_user<'a>(account: &'a PartnerAccountId, client_id: &'a str) -> Use<'a> {
    Use { purpose: REFRESH_TOKEN, owner: account.as_str(), subject: client_id }
}

/// Seals a refresh token of an account's user for its application.
pub fn seal_refresh_token(
    keys: &SealingKeys,
    account: &PartnerAccountId,
    client_id: &str,
    token: &SecretString,
) -> Result<Sealed, NoRandomness> {
    keys.seal(of_user(account, client_id), token)
}

/// Opens a refresh token that was sealed for that account and application.
pub fn open_refresh_token(
    keys: &SealingKeys,
    account: &PartnerAccountId,
    client_id: &str,
    sealed: &Sealed,
) -> Result<SecretString, OpenError> {
    keys.open(of_user(account, client_id), sealed)
}

/// Why the refresh token of the configuration could not be taken over.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// It cannot be sealed.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Takes over the refresh token that the configuration gives an account, unless the one that is kept descends from it; what
/// the configuration does not give is forgotten.
pub async fn adopt_refresh_token(
    store: &Store,
    account: &PartnerAccountId,
    client_id: &str,
    given: Option<(&SecretString, &SealingKeys)>,
) -> Result<(), AdoptError> {
    let kept = store.refresh_token(account).await?;
    let Some((token, keys)) = given else {
        if kept.is_some() {
            store.write("forget_refresh_token", async |tx| tx.forget_refresh_token(account).await).await?;
        }
        return Ok(());
    };
    let descends = kept.is_some_and(|kept| {
        let opens = open_refresh_token(keys, account, client_id, &kept.newest).is_ok();
        opens && kept.configured_fingerprint.is_some_and(|fingerprint| is_of(&fingerprint, client_id, token))
    });
    if descends {
        return Ok(());
    }
    let sealed = seal_refresh_token(keys, account, client_id, token)?;
    let fingerprint = fingerprint(client_id, token)?;
    store
        .write("put_refresh_token", async |tx| tx.put_refresh_token(account, &sealed, Some(&fingerprint)).await)
        .await?;
    tracing::info!(account = %account, "the refresh token of the configuration is taken over");
    Ok(())
}

/// A salt and a hash under it, by which a token is known again and that tells nothing of it.
fn fingerprint(client_id: &str, token: &SecretString) -> Result<Vec<u8>, NoRandomness> {
    let mut salt = [0_u8; SALT_BYTES];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| NoRandomness)?;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &salt), &fingerprinted(client_id, token));
    Ok([&salt, tag.as_ref()].concat())
}

fn is_of(fingerprint: &[u8], client_id: &str, token: &SecretString) -> bool {
    let Some((salt, tag)) = fingerprint.split_at_checked(SALT_BYTES) else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA256, salt);
    hmac::verify(&key, &fingerprinted(client_id, token), tag).is_ok()
}

/// A token is one of its application, so that another application's is another one.
fn fingerprinted(client_id: &str, token: &SecretString) -> Vec<u8> {
    [client_id.as_bytes(), b"\0", token.expose_secret().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_knows_its_token_and_no_other_and_is_never_the_same() {
        let (token, other) = (SecretString::from("a-token"), SecretString::from("another"));
        let [one, two] = [(); 2].map(|()| fingerprint("an-application", &token).expect("randomness"));
        assert_ne!(one, two);
        for fingerprint in [&one, &two] {
            assert!(is_of(fingerprint, "an-application", &token));
            assert!(!is_of(fingerprint, "an-application", &other));
            assert!(!is_of(fingerprint, "another-application", &token));
        }
        assert!(!is_of(&one[..10], "an-application", &token));
    }
}
