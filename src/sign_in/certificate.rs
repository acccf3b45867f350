//! A client certificate with its private key, read from PEM: whether the two belong together and are strong enough is
//! settled before anybody has one.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair, RSA_PSS_SHA256, RsaKeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::clock::Timestamp;

/// No certificate with its key and chain is longer.
pub const PEM_BYTES_MAX: usize = 64 * 1024;
/// The shortest RSA key that is taken.
const KEY_BITS_MIN: usize = 2048;

/// Why a text is no client certificate. Never quotes the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    /// Longer than any certificate.
    #[error("is longer than {PEM_BYTES_MAX} bytes")]
    TooLong,
    /// No certificate that can be read.
    #[error("holds no certificate that can be read; it begins with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// No private key that can be read.
    #[error(
        "holds no private key that can be read; it begins with -----BEGIN PRIVATE KEY----- (PKCS#8, not encrypted), as \
         `openssl pkcs8 -topk8 -nocrypt` writes it"
    )]
    NoPrivateKey,
    /// More than one private key.
    #[error("holds more than one private key")]
    SeveralKeys,
    /// Another kind of key.
    #[error("holds a certificate of another kind of key than RSA, which Microsoft Entra does not take")]
    NotRsa,
    /// A key that is too short.
    #[error("holds an RSA key of fewer than {KEY_BITS_MIN} bits")]
    TooShort,
    /// The key of another certificate.
    #[error("holds a private key that does not belong to its certificate")]
    OtherKey,
    /// Past its end.
    #[error("holds a certificate that is no longer valid since {0}")]
    Expired(Timestamp),
    /// Before its beginning.
    #[error("holds a certificate that is not valid before {0}")]
    NotYetValid(Timestamp),
}

/// The system could not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system could not sign")]
pub struct CannotSign;

struct Parts {
    pem: SecretString,
    key: RsaKeyPair,
    sha256: Vec<u8>,
    sha1: Vec<u8>,
    begins_at: Timestamp,
    expires_at: Timestamp,
}

/// A certificate with the private key that belongs to it. Cheap to clone; never printed.
#[derive(Clone)]
pub struct ClientCertificate(Arc<Parts>);

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ClientCertificate(redacted)")
    }
}

impl ClientCertificate {
    /// The certificate and the key of a text in PEM form, or everything that is wrong with it. Certificates of its issuers may
    /// follow.
    pub fn parse(pem: &SecretString) -> Result<Self, Vec<CertificateProblem>> {
        let bytes = pem.expose_secret().as_bytes();
        if bytes.len() > PEM_BYTES_MAX {
            return Err(vec![CertificateProblem::TooLong]);
        }
        let certificate = leaf(bytes);
        let key = private_key(bytes);
        let (certificate, key) = match (certificate, key) {
            (Ok(certificate), Ok(key)) => (certificate, key),
            (certificate, key) => return Err(certificate.err().into_iter().chain(key.err()).collect()),
        };
        let parsed = RsaKeyPair::from_pkcs8(&key).map_err(|_| vec![CertificateProblem::NoPrivateKey])?;
        if parsed.public_key().as_ref() != certificate.public_key {
            return Err(vec![CertificateProblem::OtherKey]);
        }
        Ok(Self(Arc::new(Parts {
            pem: pem.clone(),
            key: parsed,
            sha256: digest(&SHA256, &certificate.der).as_ref().to_vec(),
            sha1: digest(&SHA1_FOR_LEGACY_USE_ONLY, &certificate.der).as_ref().to_vec(),
            begins_at: certificate.begins_at,
            expires_at: certificate.expires_at,
        })))
    }

    /// Whether it is valid at that time.
    pub fn at(&self, now: Timestamp) -> Result<(), CertificateProblem> {
        if now >= self.0.expires_at {
            return Err(CertificateProblem::Expired(self.0.expires_at));
        }
        if now < self.0.begins_at {
            return Err(CertificateProblem::NotYetValid(self.0.begins_at));
        }
        Ok(())
    }

    /// The end of its validity.
    pub fn expires_at(&self) -> Timestamp {
        self.0.expires_at
    }

    /// The text it was read from.
    pub fn pem(&self) -> &SecretString {
        &self.0.pem
    }

    /// Its SHA-256 thumbprint.
    pub fn sha256(&self) -> &[u8] {
        &self.0.sha256
    }

    /// Its SHA-1 thumbprint, by which sign-in services of old know it.
    pub fn sha1(&self) -> &[u8] {
        &self.0.sha1
    }

    /// Signs by RSASSA-PSS with SHA-256, which is PS256.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CannotSign> {
        let mut signature = vec![0; self.0.key.public_modulus_len()];
        let signed = self.0.key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut signature);
        signed.map(|()| signature).map_err(|_| CannotSign)
    }
}

/// What matters of a certificate.
struct Leaf {
    der: Vec<u8>,
    public_key: Vec<u8>,
    begins_at: Timestamp,
    expires_at: Timestamp,
}

/// The first certificate: those of its issuers come after it.
fn leaf(pem: &[u8]) -> Result<Leaf, CertificateProblem> {
    let first = CertificateDer::pem_slice_iter(pem).next().and_then(Result::ok);
    let der = first.ok_or(CertificateProblem::NoCertificate)?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| CertificateProblem::NoCertificate)?;
    let bits = match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => key.key_size(),
        Ok(_) | Err(_) => return Err(CertificateProblem::NotRsa),
    };
    if bits < KEY_BITS_MIN {
        return Err(CertificateProblem::TooShort);
    }
    let time = |seconds: i64| Timestamp::from_micros(seconds.saturating_mul(1_000_000));
    let validity = certificate.validity();
    Ok(Leaf {
        public_key: certificate.public_key().subject_public_key.data.to_vec(),
        begins_at: time(validity.not_before.timestamp()),
        expires_at: time(validity.not_after.timestamp()),
        der: der.to_vec(),
    })
}

/// The only private key.
fn private_key(pem: &[u8]) -> Result<Vec<u8>, CertificateProblem> {
    let mut keys = PrivateKeyDer::pem_slice_iter(pem);
    let first = keys.next().and_then(Result::ok).ok_or(CertificateProblem::NoPrivateKey)?;
    if keys.next().is_some() {
        return Err(CertificateProblem::SeveralKeys);
    }
    match first {
        PrivateKeyDer::Pkcs8(key) => Ok(key.secret_pkcs8_der().to_vec()),
        _ => Err(CertificateProblem::NoPrivateKey),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
    use rcgen::{CertificateParams, KeyPair as MadeKey, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};

    use super::*;

    fn made(key: &MadeKey) -> String {
        let mut params = CertificateParams::new(Vec::new()).expect("sound parameters");
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        params.self_signed(key).expect("a certificate").pem()
    }

    fn rsa() -> MadeKey {
        MadeKey::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key")
    }

    fn parse(text: &str) -> Result<ClientCertificate, Vec<CertificateProblem>> {
        ClientCertificate::parse(&SecretString::from(text))
    }

    #[test]
    fn a_certificate_with_its_key_signs_what_its_public_key_verifies() {
        let key = rsa();
        let (certificate, private) = (made(&key), key.serialize_pem());
        for text in [format!("{certificate}{private}"), format!("{private}{certificate}{}", made(&rsa()))] {
            let parsed = parse(&text).expect("a certificate with its key");
            let signature = parsed.sign(b"a message").expect("a signature");
            let der = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
            let (_, read) = X509Certificate::from_der(&der).expect("a certificate");
            let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &read.public_key().subject_public_key.data);
            assert!(public.verify(b"a message", &signature).is_ok());
            assert!(public.verify(b"another message", &signature).is_err());
            assert_eq!((parsed.sha256().len(), parsed.sha1().len()), (32, 20));
            assert_eq!(format!("{parsed:?}"), "ClientCertificate(redacted)");
        }
    }

    #[test]
    fn everything_that_is_wrong_with_the_parts_is_told() {
        let (key, other) = (rsa(), rsa());
        let elliptic = MadeKey::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let (certificate, private) = (made(&key), key.serialize_pem());
        let cases = [
            (String::new(), vec![CertificateProblem::NoCertificate, CertificateProblem::NoPrivateKey]),
            ("hunter2".to_owned(), vec![CertificateProblem::NoCertificate, CertificateProblem::NoPrivateKey]),
            (private.clone(), vec![CertificateProblem::NoCertificate]),
            (certificate.clone(), vec![CertificateProblem::NoPrivateKey]),
            (format!("{certificate}{}", other.serialize_pem()), vec![CertificateProblem::OtherKey]),
            (format!("{certificate}{private}{private}"), vec![CertificateProblem::SeveralKeys]),
            (format!("{}{}", made(&elliptic), elliptic.serialize_pem()), vec![CertificateProblem::NotRsa]),
            ("x".repeat(PEM_BYTES_MAX + 1), vec![CertificateProblem::TooLong]),
        ];
        for (text, problems) in cases {
            assert_eq!(parse(&text).err(), Some(problems));
        }
    }

    #[test]
    fn a_certificate_is_valid_from_its_beginning_to_its_end() {
        let key = rsa();
        let parsed = parse(&format!("{}{}", made(&key), key.serialize_pem())).expect("a certificate with its key");
        let at = |text: &str| -> Timestamp { text.parse::<chrono::DateTime<chrono::Utc>>().expect("a time").into() };
        assert!(parsed.at(at("2026-06-01T00:00:00Z")).is_ok());
        assert!(matches!(parsed.at(at("2025-12-31T23:59:59Z")), Err(CertificateProblem::NotYetValid(_))));
        assert!(matches!(parsed.at(at("2027-01-01T00:00:00Z")), Err(CertificateProblem::Expired(_))));
    }
}
