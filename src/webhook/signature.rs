//! Reads the three headers of a signed event: exactly one signature, one certificate address and one algorithm.

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::webhook::certificate_address::CertificateAddress;
use crate::webhook::refusal::Refusal;

/// The signature of an RSA key of 8192 bits.
const SIGNATURE_BYTES_MAX: usize = 1024;
/// In front of the signature, in either header (FACTS 6.3).
const SCHEME: &str = "Signature ";

/// How the bytes were signed: RSASSA-PKCS1-v1_5 with one of these hashes. SHA-1 is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    RsaSha256,
    RsaSha384,
    RsaSha512,
}

impl Algorithm {
    fn named(text: &str) -> Option<Self> {
        let known = [("rsa-sha256", Self::RsaSha256), ("rsa-sha384", Self::RsaSha384), ("rsa-sha512", Self::RsaSha512)];
        known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, algorithm)| algorithm)
    }
}

/// What the sender says about who signed the body, and how.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) signature: Vec<u8>,
    pub(super) address: CertificateAddress,
    pub(super) algorithm: Algorithm,
}

impl Claim {
    /// Reads it; a certificate address counts only on one of these hosts.
    pub(super) fn read<'a>(headers: &HeaderMap, hosts: impl IntoIterator<Item = &'a str>) -> Result<Self, Refusal> {
        let signature = signature(headers)?;
        let algorithm = one(headers, "x-ms-signature-algorithm")?.ok_or(Refusal::NoAlgorithm)?;
        let algorithm = Algorithm::named(algorithm).ok_or(Refusal::WrongAlgorithm)?;
        let address = one(headers, "x-ms-certificate-url")?.ok_or(Refusal::NoCertificateAddress)?;
        let address = CertificateAddress::read(address, hosts).ok_or(Refusal::WrongCertificateAddress)?;
        Ok(Self { signature, address, algorithm })
    }
}

/// Which of the two headers holds the signature depends on the registration.
fn signature(headers: &HeaderMap) -> Result<Vec<u8>, Refusal> {
    let found = match (one(headers, "x-ms-signature")?, one(headers, "authorization")?) {
        (Some(one), None) | (None, Some(one)) => one,
        (Some(_), Some(_)) => return Err(Refusal::Ambiguous),
        (None, None) => return Err(Refusal::NoSignature),
    };
    let encoded = found.strip_prefix(SCHEME).ok_or(Refusal::NoSignature)?;
    if encoded.len() > SIGNATURE_BYTES_MAX * 2 {
        return Err(Refusal::MalformedSignature);
    }
    let decoded = STANDARD.decode(encoded).map_err(|_| Refusal::MalformedSignature)?;
    if (1..=SIGNATURE_BYTES_MAX).contains(&decoded.len()) { Ok(decoded) } else { Err(Refusal::MalformedSignature) }
}

/// The header's only value; one that is no text is as good as none.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().and_then(|value| value.to_str().ok()).map(str::trim);
    if values.next().is_some() { Err(Refusal::Ambiguous) } else { Ok(first) }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const HOST: &str = "certificates.example";

    fn read(pairs: &[(&str, &str)]) -> Result<Claim, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        Claim::read(&headers, [HOST])
    }

    const ADDRESS: (&str, &str) = ("x-ms-certificate-url", "https://certificates.example/cert/a.cer");
    const ALGORITHM: (&str, &str) = ("x-ms-signature-algorithm", "rsa-sha256");
    const SIGNATURE: (&str, &str) = ("authorization", "Signature AQID");

    #[test]
    fn the_signature_may_stand_in_either_header() {
        for name in ["authorization", "x-ms-signature"] {
            let claim = read(&[(name, "Signature AQID"), ADDRESS, ALGORITHM]).expect("a claim");
            assert_eq!((claim.signature, claim.algorithm), (vec![1, 2, 3], Algorithm::RsaSha256));
        }
    }

    #[test]
    fn each_header_is_there_exactly_once() {
        let refused = |pairs: &[(&str, &str)]| read(pairs).expect_err("refused");
        assert_eq!(refused(&[ADDRESS, ALGORITHM]), Refusal::NoSignature);
        assert_eq!(refused(&[SIGNATURE, ADDRESS]), Refusal::NoAlgorithm);
        assert_eq!(refused(&[SIGNATURE, ALGORITHM]), Refusal::NoCertificateAddress);
        for twice in [SIGNATURE, ADDRESS, ALGORITHM] {
            assert_eq!(refused(&[SIGNATURE, ADDRESS, ALGORITHM, twice]), Refusal::Ambiguous, "{}", twice.0);
        }
        let in_both = ("x-ms-signature", "Signature AQID");
        assert_eq!(refused(&[SIGNATURE, in_both, ADDRESS, ALGORITHM]), Refusal::Ambiguous);
    }

    #[test]
    fn a_signature_is_base64_of_a_length_that_signatures_have() {
        let long = format!("Signature {}", STANDARD.encode(vec![7; SIGNATURE_BYTES_MAX + 1]));
        for malformed in ["Signature ", "Signature !!!!", "Signature AQI", "Signature AQID,AQID", &long] {
            let refused = read(&[("authorization", malformed), ADDRESS, ALGORITHM]).expect_err("refused");
            assert!(matches!(refused, Refusal::MalformedSignature | Refusal::NoSignature), "{refused:?}");
        }
        for other in ["Bearer AQID", "AQID", "signature AQID"] {
            assert_eq!(read(&[("authorization", other), ADDRESS, ALGORITHM]), Err(Refusal::NoSignature), "{other}");
        }
    }

    #[test]
    fn the_sender_chooses_no_algorithm_outside_the_list() {
        for wrong in ["rsa-sha1", "none", "", "hmac-sha256", "rsa-sha256,rsa-sha1", "ecdsa-sha256", "rsa"] {
            let refused = read(&[SIGNATURE, ADDRESS, ("x-ms-signature-algorithm", wrong)]);
            assert_eq!(refused, Err(Refusal::WrongAlgorithm), "{wrong:?}");
        }
        let larger = read(&[SIGNATURE, ADDRESS, ("x-ms-signature-algorithm", "RSA-SHA512")]).expect("a claim");
        assert_eq!(larger.algorithm, Algorithm::RsaSha512);
    }
}
