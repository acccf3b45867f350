//! Whether a certificate is one that signs Partner Center's events, and whether it signed these bytes.
//!
//! Only the configured roots count; the machine's authorities do not. Issuers that are missing are not fetched, and
//! revocation is not asked for: the certificate itself is fetched anew every day from Microsoft's own host.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use crate::clock::Timestamp;
use crate::webhook::refusal::Refusal;
use crate::webhook::signature::Algorithm;

/// Whose certificate it must be.
const ORGANIZATION: &str = "Microsoft Corporation";
/// The smallest RSA key that counts.
const KEY_BITS_MIN: usize = 2048;

/// How certificates may be signed.
const CHAIN_ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 7] = [
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA384,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA512,
    webpki::aws_lc_rs::ECDSA_P256_SHA256,
    webpki::aws_lc_rs::ECDSA_P256_SHA384,
    webpki::aws_lc_rs::ECDSA_P384_SHA256,
    webpki::aws_lc_rs::ECDSA_P384_SHA384,
];

/// The certificate authorities that may stand behind a signer, and the intermediates between.
#[derive(Clone)]
pub struct Roots {
    anchors: Vec<TrustAnchor<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
}

/// A file of certificates that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoots {
    /// It holds something that is no certificate.
    #[error("holds something that is no certificate in PEM form")]
    Malformed,
    /// No certificate in it is a root.
    #[error("holds no root certificate, that is, none that is its own issuer")]
    NoRoot,
}

impl Roots {
    /// Reads certificates in PEM form: those that are their own issuers are trusted, the others help to reach them.
    pub fn from_pem(pem: &[u8]) -> Result<Self, NoRoots> {
        let (mut anchors, mut intermediates) = (Vec::new(), Vec::new());
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| NoRoots::Malformed)?;
            let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|_| NoRoots::Malformed)?;
            if parsed.subject().as_raw() == parsed.issuer().as_raw() {
                let anchor = webpki::anchor_from_trusted_cert(&certificate).map_err(|_| NoRoots::Malformed)?;
                anchors.push(anchor.to_owned());
            } else {
                intermediates.push(certificate);
            }
        }
        if anchors.is_empty() { Err(NoRoots::NoRoot) } else { Ok(Self { anchors, intermediates }) }
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Roots({} roots, {} intermediates)", self.anchors.len(), self.intermediates.len())
    }
}

/// Who may sign events.
#[derive(Clone, Debug)]
pub(super) struct Signers {
    pub(super) roots: Roots,
    /// Common names or DNS names of the certificate.
    pub(super) names: BTreeSet<String>,
}

/// A certificate that was found to be a signer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signer(CertificateDer<'static>);

impl Signers {
    /// Judges what was found at a certificate's address: one certificate, as DER or PEM.
    pub(super) fn judge(&self, found: &[u8], now: Timestamp) -> Result<Signer, Refusal> {
        let certificate = one_certificate(found).ok_or(Refusal::MalformedCertificate)?;
        self.judge_again(&Signer(certificate.clone()), now)?;
        Ok(Signer(certificate))
    }

    /// Whether one that was found to be a signer's still is.
    pub(super) fn judge_again(&self, signer: &Signer, now: Timestamp) -> Result<(), Refusal> {
        let leaf = EndEntityCert::try_from(&signer.0).map_err(|_| Refusal::MalformedCertificate)?;
        let time = UnixTime::since_unix_epoch(Duration::from_micros(now.micros().unsigned_abs()));
        leaf.verify_for_usage(
            &CHAIN_ALGORITHMS,
            &self.roots.anchors,
            &self.roots.intermediates,
            time,
            // If it says at all what it is for, it must be for servers, as Microsoft's is named after one.
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map_err(|error| match error {
            webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => Refusal::OutdatedCertificate,
            _ => Refusal::UntrustedCertificate,
        })?;
        let (rest, certificate) = X509Certificate::from_der(&signer.0).map_err(|_| Refusal::MalformedCertificate)?;
        if !rest.is_empty() {
            return Err(Refusal::MalformedCertificate);
        }
        match certificate.public_key().parsed().map_err(|_| Refusal::MalformedCertificate)? {
            PublicKey::RSA(key) if key.key_size() >= KEY_BITS_MIN => {}
            _ => return Err(Refusal::WeakKey),
        }
        if self.names_a_signer(&certificate) { Ok(()) } else { Err(Refusal::WrongSigner) }
    }

    fn names_a_signer(&self, certificate: &X509Certificate<'_>) -> bool {
        let subject = certificate.subject();
        let mut organizations = subject.iter_organization();
        let is_microsoft = organizations.next().is_some_and(|name| name.as_str() == Ok(ORGANIZATION))
            && organizations.next().is_none();
        let common_names = subject.iter_common_name().filter_map(|name| name.as_str().ok());
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        let alternatives = alternatives.iter().flat_map(|names| &names.value.general_names);
        let dns_names = alternatives.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            _ => None,
        });
        is_microsoft && common_names.chain(dns_names).any(|name| self.names.contains(&name.to_ascii_lowercase()))
    }
}

impl Signer {
    /// Whether this signer signed exactly these bytes.
    pub(super) fn signed(&self, algorithm: Algorithm, bytes: &[u8], signature: &[u8]) -> bool {
        let algorithm = match algorithm {
            Algorithm::RsaSha256 => webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::RsaSha384 => webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::RsaSha512 => webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA512,
        };
        EndEntityCert::try_from(&self.0).is_ok_and(|leaf| leaf.verify_signature(algorithm, bytes, signature).is_ok())
    }
}

fn one_certificate(found: &[u8]) -> Option<CertificateDer<'static>> {
    if !found.starts_with(b"-----BEGIN") {
        return Some(CertificateDer::from(found.to_vec()));
    }
    let mut certificates = CertificateDer::pem_slice_iter(found);
    let first = certificates.next()?.ok()?;
    certificates.next().is_none().then_some(first)
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
