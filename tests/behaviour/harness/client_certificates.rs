//! Client certificates for tests: with their keys, in PEM form.

use chrono::Datelike;
use customer_guard::clock::Timestamp;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// A certificate with the key that belongs to it.
pub struct Made {
    pub certificate: String,
    pub key: String,
}

impl Made {
    /// Both, as a file holds them.
    pub fn pem(&self) -> String {
        format!("{}{}", self.certificate, self.key)
    }
}

/// A certificate of a new key, valid from ten days before `now` to so many days after it, from midnight to midnight.
pub fn valid_for(days: u32, now: Timestamp) -> Made {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("sound parameters");
    let (begin, end) = (day_of(now.minus(DAY * 10)), day_of(now.plus(DAY * days)));
    params.not_before = rcgen::date_time_ymd(begin.0, begin.1, begin.2);
    params.not_after = rcgen::date_time_ymd(end.0, end.1, end.2);
    Made { certificate: params.self_signed(&key).expect("a certificate").pem(), key: key.serialize_pem() }
}

fn day_of(time: Timestamp) -> (i32, u8, u8) {
    let day = time.to_utc();
    let part = |part: u32| u8::try_from(part).expect("a month or a day");
    (day.year(), part(day.month()), part(day.day()))
}
