//! By what the application of an account proves who it is: a secret, or a certificate with its private key.
//!
//! Never both and never neither: whoever has a [`Credential`] can sign in. Nothing here is ever printed.

pub mod certificate;

use secrecy::SecretString;

use crate::domain::user_sign_in::CredentialKind;
use crate::sign_in::certificate::ClientCertificate;

/// By what an application proves who it is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A client secret.
    Secret(SecretString),
    /// A certificate with its private key.
    Certificate(ClientCertificate),
}

impl Credential {
    /// What may be told of it.
    pub fn kind(&self) -> CredentialKind {
        match self {
            Self::Secret(_) => CredentialKind::ClientSecret,
            Self::Certificate(certificate) => {
                CredentialKind::ClientCertificate { expires_at: certificate.expires_at() }
            }
        }
    }

    /// The text it is kept as, sealed.
    pub fn text(&self) -> &SecretString {
        match self {
            Self::Secret(secret) => secret,
            Self::Certificate(certificate) => certificate.pem(),
        }
    }
}
