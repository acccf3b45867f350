use rcgen::ExtendedKeyUsagePurpose;

use super::*;
use crate::webhook::test_authority::{Identity, Key, Leaf, SIGNER_NAME, TestAuthority};

const BODY: &[u8] = b"{\"EventName\":\"test-created\"}";

fn now() -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000)
}

fn signers(pem: &str) -> Signers {
    Signers { roots: Roots::from_pem(pem.as_bytes()).expect("roots"), names: BTreeSet::from([SIGNER_NAME.to_owned()]) }
}

/// What is said of a certificate that differs from Microsoft's by `change`.
fn judged(authority: &TestAuthority, change: impl FnOnce(&mut Leaf)) -> Result<(), Refusal> {
    let mut leaf = Leaf::of_microsoft();
    change(&mut leaf);
    signers(&authority.pem()).judge(&authority.issue(&leaf).certificate, now()).map(|_| ())
}

#[test]
fn a_certificate_that_stands_on_the_roots_and_names_microsoft_is_a_signer_s() {
    let authority = TestAuthority::new("Good");
    assert_eq!(judged(&authority, |_| {}), Ok(()));
    assert_eq!(judged(&authority, |leaf| leaf.usages.clear()), Ok(()), "one that may be used for everything");
    assert_eq!(judged(&authority, |leaf| leaf.common_name = "dispatch"), Ok(()), "its name stands beside the subject");
    assert_eq!(judged(&authority, |leaf| leaf.dns_names.clear()), Ok(()), "its name is its subject's");
}

#[test]
fn each_thing_that_is_wrong_with_a_certificate_has_a_reason_of_its_own() {
    let authority = TestAuthority::new("Good");
    assert_eq!(judged(&authority, |leaf| leaf.years = (2020, 2021)), Err(Refusal::OutdatedCertificate));
    assert_eq!(judged(&authority, |leaf| leaf.years = (2080, 2090)), Err(Refusal::OutdatedCertificate));
    assert_eq!(judged(&authority, |leaf| leaf.key = Key::ShortRsa), Err(Refusal::WeakKey));
    assert_eq!(judged(&authority, |leaf| leaf.key = Key::Elliptic), Err(Refusal::WeakKey));
    let for_code = |leaf: &mut Leaf| leaf.usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    assert_eq!(judged(&authority, for_code), Err(Refusal::UntrustedCertificate));
    let wrong_names: [fn(&mut Leaf); 4] = [
        |leaf| leaf.organizations = vec!["Microsoft Corporation Ltd"],
        |leaf| leaf.organizations = vec!["Contoso"],
        |leaf| leaf.organizations.clear(),
        |leaf| (leaf.common_name, leaf.dns_names) = ("other.microsoft.com", vec![format!("x.{SIGNER_NAME}")]),
    ];
    for change in wrong_names {
        assert_eq!(judged(&authority, change), Err(Refusal::WrongSigner));
    }
}

#[test]
fn only_the_configured_roots_count_and_missing_issuers_are_not_looked_for() {
    let (good, other) = (TestAuthority::new("Good"), TestAuthority::new("Good"));
    let certificate = good.issue(&Leaf::of_microsoft()).certificate;
    let judged = |pem: &str| signers(pem).judge(&certificate, now()).map(|_| ());
    assert_eq!(judged(&good.pem()), Ok(()));
    assert_eq!(judged(&other.pem()), Err(Refusal::UntrustedCertificate));
    assert_eq!(judged(&good.root), Err(Refusal::UntrustedCertificate), "without the intermediate");
    let below_another_root = format!("{}{}", other.root, good.intermediate);
    assert_eq!(judged(&below_another_root), Err(Refusal::UntrustedCertificate), "the intermediate is no root");
}

#[test]
fn an_authority_s_own_certificate_signs_no_events() {
    let authority = TestAuthority::new("Good");
    let found = authority.intermediate.as_bytes();
    assert_eq!(signers(&authority.pem()).judge(found, now()), Err(Refusal::UntrustedCertificate));
}

#[test]
fn one_certificate_is_taken_and_nothing_else() {
    let authority = TestAuthority::new("Good");
    let signers = signers(&authority.pem());
    let certificate = authority.issue(&Leaf::of_microsoft()).certificate;
    let pem = pem_of(&certificate);
    assert!(signers.judge(pem.as_bytes(), now()).is_ok());
    let twice = format!("{pem}{pem}");
    let with_more = [certificate.as_slice(), b"x"].concat();
    let junk: [&[u8]; 5] = [b"", b"<html>", twice.as_bytes(), &with_more, &certificate[..certificate.len() - 1]];
    for junk in junk {
        assert_eq!(signers.judge(junk, now()), Err(Refusal::MalformedCertificate));
    }
}

fn pem_of(certificate: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[test]
fn a_file_of_roots_needs_a_root_and_holds_nothing_else_than_certificates() {
    let authority = TestAuthority::new("Good");
    let roots = |pem: &str| Roots::from_pem(pem.as_bytes()).map(|_| ());
    assert_eq!(roots(""), Err(NoRoots::NoRoot));
    assert_eq!(roots(&authority.intermediate), Err(NoRoots::NoRoot));
    assert_eq!(roots(&pem_of(b"junk")), Err(NoRoots::Malformed));
    assert_eq!(format!("{:?}", Roots::from_pem(authority.pem().as_bytes())), "Ok(Roots(1 roots, 1 intermediates))");
}

#[test]
fn a_signature_is_over_exactly_these_bytes_by_exactly_this_algorithm_and_key() {
    let authority = TestAuthority::new("Good");
    let [microsoft, other]: [Identity; 2] = [(); 2].map(|()| authority.issue(&Leaf::of_microsoft()));
    let signer = signers(&authority.pem()).judge(&microsoft.certificate, now()).expect("a signer");
    for (bits, algorithm) in [(256, Algorithm::RsaSha256), (384, Algorithm::RsaSha384), (512, Algorithm::RsaSha512)] {
        assert!(signer.signed(algorithm, BODY, &microsoft.sign(bits, BODY)), "{bits}");
    }
    let signature = microsoft.sign(256, BODY);
    let altered = [&BODY[..BODY.len() - 1], b" }"].concat();
    assert!(!signer.signed(Algorithm::RsaSha256, &altered, &signature));
    assert!(!signer.signed(Algorithm::RsaSha256, &[b"\xef\xbb\xbf", BODY].concat(), &signature));
    assert!(!signer.signed(Algorithm::RsaSha512, BODY, &signature));
    assert!(!signer.signed(Algorithm::RsaSha256, BODY, &signature[1..]));
    assert!(!signer.signed(Algorithm::RsaSha256, BODY, &other.sign(256, BODY)));
}
