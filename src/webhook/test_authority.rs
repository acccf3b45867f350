//! A certificate authority for tests, of the shape that stands behind Microsoft's certificates: a root, an
//! intermediate, and RSA certificates below it. Knows nothing of the rest, so that every test suite can use it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm, date_time_ymd,
};

/// What Microsoft's certificate is called.
pub const SIGNER_NAME: &str = "pcnotifications-dispatch.microsoft.com";

/// The kind of key a certificate has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// RSA, 2048 bits.
    Rsa,
    /// RSA, 1024 bits; nothing can be signed with it.
    ShortRsa,
    /// Not RSA.
    Elliptic,
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// `O` of the subject, any number of times.
    pub organizations: Vec<&'static str>,
    /// `CN` of the subject.
    pub common_name: &'static str,
    /// Subject alternative names.
    pub dns_names: Vec<String>,
    /// The first and the last year of its life.
    pub years: (i32, i32),
    /// What it may be used for; empty for everything.
    pub usages: Vec<ExtendedKeyUsagePurpose>,
    /// Its key.
    pub key: Key,
}

impl Leaf {
    /// As Microsoft's signs events.
    pub fn of_microsoft() -> Self {
        Self {
            organizations: vec!["Microsoft Corporation"],
            common_name: SIGNER_NAME,
            dns_names: vec![SIGNER_NAME.to_owned()],
            years: (2020, 2090),
            usages: vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            key: Key::Rsa,
        }
    }
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// DER.
    pub certificate: Vec<u8>,
    /// PKCS #8; empty when nothing can be signed with it.
    pub key: Vec<u8>,
}

impl Identity {
    /// Signs with RSASSA-PKCS1-v1_5 and the SHA-2 of so many bits.
    pub fn sign(&self, bits: u32, bytes: &[u8]) -> Vec<u8> {
        let encoding: &dyn RsaEncoding = match bits {
            256 => &RSA_PKCS1_SHA256,
            384 => &RSA_PKCS1_SHA384,
            512 => &RSA_PKCS1_SHA512,
            other => panic!("SHA-{other}"),
        };
        let key = RsaKeyPair::from_pkcs8(&self.key).expect("an RSA key");
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(encoding, &SystemRandom::new(), bytes, &mut signature).expect("a signature");
        signature
    }
}

/// A root and an intermediate below it.
pub struct TestAuthority {
    /// PEM.
    pub root: String,
    /// PEM.
    pub intermediate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl TestAuthority {
    /// One of that name, with keys of its own.
    pub fn new(name: &str) -> Self {
        let root_key = rsa_key();
        let root = authority(&format!("{name} Root"));
        let root_certificate = root.self_signed(&root_key).expect("a root");
        let root = Issuer::new(root, root_key);
        let key = rsa_key();
        let intermediate = authority(&format!("{name} Issuing 01"));
        let certificate = intermediate.signed_by(&key, &root).expect("an intermediate");
        let issuer = Issuer::new(intermediate, key);
        Self { root: root_certificate.pem(), intermediate: certificate.pem(), issuer }
    }

    /// Everything to be trusted, in one file.
    pub fn pem(&self) -> String {
        format!("{}{}", self.root, self.intermediate)
    }

    /// Issues a certificate.
    pub fn issue(&self, leaf: &Leaf) -> Identity {
        let mut params = CertificateParams::new(leaf.dns_names.clone()).expect("names");
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, leaf.common_name);
        for organization in &leaf.organizations {
            params.distinguished_name.push(DnType::OrganizationName, *organization);
        }
        params.extended_key_usages.clone_from(&leaf.usages);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.not_before = date_time_ymd(leaf.years.0, 1, 1);
        params.not_after = date_time_ymd(leaf.years.1, 1, 1);
        let signed = |key: &dyn Fn() -> KeyPair| {
            let key = key();
            let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
            Identity { certificate: certificate.der().to_vec(), key: key.serialize_der() }
        };
        match leaf.key {
            Key::Rsa => signed(&rsa_key),
            Key::Elliptic => signed(&|| KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")),
            Key::ShortRsa => {
                let certificate = params.signed_by(&ShortKey::new(), &self.issuer).expect("a certificate");
                Identity { certificate: certificate.der().to_vec(), key: Vec::new() }
            }
        }
    }
}

fn rsa_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key")
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    params
}

/// A public key of 1024 bits to which nobody has the private one.
struct ShortKey(Vec<u8>);

impl ShortKey {
    fn new() -> Self {
        let head = [0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0x00];
        let exponent = [0x02, 0x03, 0x01, 0x00, 0x01];
        Self([head.as_slice(), &[0xc5; 128], &exponent].concat())
    }
}

impl PublicKeyData for ShortKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}
