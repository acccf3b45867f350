//! The secret in the path of an account's callback: kept as a hash, and honoured for a while after it was replaced.
//!
//! It binds an event to the account, which the signature does not. The secret itself is known to Partner Center alone:
//! the service keeps its hash, and reads it back from the registration when it has to write that again.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::Timestamp;
use crate::domain::ids::PartnerAccountId;
use crate::domain::webhook::{PATH, PublicUrl};

/// So many random bytes a secret has.
const BYTES: usize = 32;
/// So many characters these are in a path.
const CHARACTERS: usize = 43;
/// A former secret is honoured at least this long after it was replaced: Partner Center sends again for hours.
const SHORTEST_OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// It is honoured at most this long, also when nothing was heard under the new one. A secret that is being registered is
/// kept as long, because its registration may still come to be seen.
const LONGEST_OVERLAP: Duration = Duration::from_secs(7 * 24 * 3600);

/// A secret as it stands in a path. Never kept, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(String);

impl WebhookSecret {
    /// A new one; `None` when the system has no randomness to give.
    pub fn fresh() -> Option<Self> {
        let mut bytes = [0; BYTES];
        aws_lc_rs::rand::fill(&mut bytes).ok().map(|()| Self::from_bytes(&bytes))
    }

    /// One that was made before.
    pub fn from_bytes(bytes: &[u8; BYTES]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The secret in an address that has the form of the account's callback, wherever that leads.
    pub fn in_address(address: &str, account: &PartnerAccountId) -> Option<Self> {
        let (front, last) = address.rsplit_once('/')?;
        let base = front.strip_suffix(account.as_str())?.strip_suffix('/')?.strip_suffix(PATH)?;
        PublicUrl::new(base)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (last.len() == CHARACTERS && last.bytes().all(allowed)).then(|| Self(last.to_owned()))
    }

    /// What is kept of it.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }

    /// As it stands in a path.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("WebhookSecret(redacted)")
    }
}

/// SHA-256 over a secret as it stands in a path. Nobody finds 256 random bits by their hash, and to look a hash up tells
/// nothing of the secrets whose hashes are near it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Of whatever stands where the secret should.
    pub fn of(text: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Self(hash)
    }

    /// One that was kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SecretHash")
    }
}

/// How far a secret has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretStage {
    /// It is being registered, or may have been before a crash.
    Pending,
    /// It was registered last.
    Present,
    /// Another one took its place.
    Former {
        /// When the registration was first seen with that one.
        replaced_at: Timestamp,
        /// When an event came first under that one.
        confirmed_at: Option<Timestamp>,
    },
}

/// What is known of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownSecret {
    /// When it was made.
    pub made_at: Timestamp,
    /// How far it has come.
    pub stage: SecretStage,
}

impl KnownSecret {
    /// When it ends; the present one does not. A former one ends when the new one has been heard under, not before a day
    /// and not after a week.
    pub fn ends_at(&self) -> Option<Timestamp> {
        match self.stage {
            SecretStage::Present => None,
            SecretStage::Pending => Some(self.made_at.plus(LONGEST_OVERLAP)),
            SecretStage::Former { replaced_at, confirmed_at } => {
                let (earliest, latest) = (replaced_at.plus(SHORTEST_OVERLAP), replaced_at.plus(LONGEST_OVERLAP));
                Some(confirmed_at.map_or(latest, |confirmed_at| confirmed_at.clamp(earliest, latest)))
            }
        }
    }

    /// Whether events that come under it are taken.
    pub fn is_honoured(&self, now: Timestamp) -> bool {
        self.ends_at().is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn contoso() -> PartnerAccountId {
        "contoso".parse().expect("an id")
    }

    fn after(days: u32) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000).plus(DAY * days)
    }

    fn former(confirmed_at: Option<Timestamp>) -> KnownSecret {
        KnownSecret { made_at: after(0), stage: SecretStage::Former { replaced_at: after(10), confirmed_at } }
    }

    #[test]
    fn a_secret_is_known_again_in_the_address_it_was_registered_with() {
        let secret = WebhookSecret::from_bytes(&[0xfb; 32]);
        for base in ["https://hooks.example", "https://elsewhere.example:8443/guard/"] {
            let address = PublicUrl::new(base).expect("an address").callback(&contoso(), &secret);
            let found = WebhookSecret::in_address(&address, &contoso()).expect("a callback of ours");
            assert_eq!((found.hash(), &found), (secret.hash(), &secret));
            let northwind = "northwind".parse().expect("an id");
            assert_eq!(WebhookSecret::in_address(&address, &northwind), None, "it is contoso's");
            let (front, last) = address.rsplit_once('/').expect("a path");
            let wrong = [
                format!("{address}/"),
                format!("{address}?x=1"),
                format!("{address}#x"),
                format!("{address}A"),
                format!("{front}/{}", &last[1..]),
                format!("{front}/{}=", &last[1..]),
                address.replace("https:", "http:"),
                address.replace("/v1/", "/v2/"),
                address.replace("contoso", "xcontoso"),
            ];
            for wrong in wrong {
                assert_eq!(WebhookSecret::in_address(&wrong, &contoso()), None, "{wrong}");
            }
        }
        for other in ["", "/", "https://hooks.example", "https://hooks.example/hook?key=x"] {
            assert_eq!(WebhookSecret::in_address(other, &contoso()), None, "{other}");
        }
    }

    #[test]
    fn the_hash_is_sha_256_of_the_text_in_the_path() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hex: String = SecretHash::of("abc").bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, known);
        assert_ne!(SecretHash::of("abc"), SecretHash::of("abd"));
    }

    #[test]
    fn two_fresh_secrets_differ_and_neither_is_printed() {
        let [one, other] = [(); 2].map(|()| WebhookSecret::fresh().expect("randomness"));
        assert_ne!(one, other);
        assert_eq!((one.text().len(), other.text().len()), (CHARACTERS, CHARACTERS));
        assert_eq!(format!("{one:?} {:?}", one.hash()), "WebhookSecret(redacted) SecretHash");
    }

    #[test]
    fn a_former_secret_ends_with_the_first_event_under_the_new_one_between_a_day_and_a_week() {
        assert_eq!(former(None).ends_at(), Some(after(17)), "never heard");
        assert_eq!(former(Some(after(10))).ends_at(), Some(after(11)), "heard at once");
        assert_eq!(former(Some(after(9))).ends_at(), Some(after(11)), "heard before it was noted");
        assert_eq!(former(Some(after(13))).ends_at(), Some(after(13)));
        assert_eq!(former(Some(after(20))).ends_at(), Some(after(17)));
        assert!(former(Some(after(13))).is_honoured(after(13).minus(Duration::from_micros(1))));
        assert!(!former(Some(after(13))).is_honoured(after(13)));
    }

    #[test]
    fn the_present_secret_does_not_end_and_one_that_is_never_seen_does() {
        let known = |stage| KnownSecret { made_at: after(0), stage };
        assert!(known(SecretStage::Present).is_honoured(after(3650)));
        assert!(known(SecretStage::Pending).is_honoured(after(6)));
        assert!(!known(SecretStage::Pending).is_honoured(after(7)));
    }
}
