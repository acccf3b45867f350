//! Seals secrets that have to be kept: AES-256-GCM under a key that the database does not hold.
//!
//! A sealed secret is bound to what it is for, so that it opens nowhere else, and names the key it was sealed under. Of
//! several keys the first seals and every one opens: a key is replaced by putting a new one before it.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretString};

/// The form of what is sealed: this byte, the nonce, the ciphertext with its tag.
const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
/// How many bytes of a digest name a key.
const KEY_ID_BYTES: usize = 8;

/// A sealed secret. It may be kept and printed by whoever likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The key it was sealed under.
    pub key_id: String,
    /// What was sealed.
    pub bytes: Vec<u8>,
}

/// What a secret is for; opening it takes the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use<'a> {
    /// What kind of secret it is.
    pub purpose: &'a str,
    /// Whose.
    pub owner: &'a str,
    /// Which of the owner's.
    pub subject: &'a str,
}

impl Use<'_> {
    fn bytes(self, key_id: &str) -> Vec<u8> {
        // Lengths first, so that no two uses share their bytes.
        let mut bytes = vec![VERSION];
        for part in [key_id, self.purpose, self.owner, self.subject] {
            bytes.extend_from_slice(&part.len().to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

/// Why a sealed secret does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// None of the keys is the one it was sealed under.
    #[error("the key it was sealed under is not there")]
    KeyMissing,
    /// It was changed, or sealed for something else.
    #[error("it was changed, or sealed for something else")]
    Unreadable,
}

/// The system has no randomness to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system has no randomness to give")]
pub struct NoRandomness;

/// Why a text holds no keys. Never quotes the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// There is no line that holds anything.
    #[error("holds no key; make one with: head -c 32 /dev/urandom | base64")]
    None,
    /// A line that is no key.
    #[error("holds no key on line {0}: a key is 32 bytes in Base64, as of: head -c 32 /dev/urandom | base64")]
    Malformed(usize),
    /// A line that holds a key that stands above it already.
    #[error("holds the same key twice, again on line {0}")]
    Twice(usize),
}

struct Key {
    id: String,
    key: RandomizedNonceKey,
}

/// The keys, the one that seals first. Cheap to clone; never printed.
#[derive(Clone)]
pub struct SealingKeys(Arc<[Key]>);

impl fmt::Debug for SealingKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SealingKeys(redacted)")
    }
}

impl SealingKeys {
    /// The keys of a text: one a line, 32 bytes in Base64.
    pub fn parse(text: &SecretString) -> Result<Self, KeysError> {
        let mut keys: Vec<Key> = Vec::new();
        for (number, line) in (1..).zip(text.expose_secret().lines()) {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let key = Key::decoded(line).ok_or(KeysError::Malformed(number))?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(KeysError::Twice(number));
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeysError::None) } else { Ok(Self(keys.into())) }
    }

    /// A line with a key that nobody has seen.
    pub fn fresh_line() -> Result<SecretString, NoRandomness> {
        let mut bytes = [0_u8; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
        let line = SecretString::from(format!("{}\n", STANDARD.encode(bytes)));
        bytes.zeroize();
        Ok(line)
    }

    /// Seals a secret for that use, under the first key.
    pub fn seal(&self, of: Use<'_>, secret: &SecretString) -> Result<Sealed, NoRandomness> {
        let key = self.0.first().ok_or(NoRandomness)?;
        // Room for the tag, so that the secret is never copied to another place.
        let mut sealed = Vec::with_capacity(secret.expose_secret().len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(secret.expose_secret().as_bytes());
        let aad = Aad::from(of.bytes(&key.id));
        let nonce = key.key.seal_in_place_append_tag(aad, &mut sealed).map_err(|_| NoRandomness)?;
        let bytes = [&[VERSION], nonce.as_ref().as_slice(), &sealed].concat();
        Ok(Sealed { key_id: key.id.clone(), bytes })
    }

    /// Opens a secret that was sealed for that use under any of the keys.
    pub fn open(&self, of: Use<'_>, sealed: &Sealed) -> Result<SecretString, OpenError> {
        let key = self.0.iter().find(|key| key.id == sealed.key_id).ok_or(OpenError::KeyMissing)?;
        let rest = sealed.bytes.strip_prefix(&[VERSION]).ok_or(OpenError::Unreadable)?;
        let (nonce, ciphertext) = rest.split_at_checked(NONCE_LEN).ok_or(OpenError::Unreadable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Unreadable)?;
        let mut buffer = ciphertext.to_vec();
        let opened = key.key.open_in_place(nonce, Aad::from(of.bytes(&key.id)), &mut buffer);
        let secret = opened.ok().and_then(|bytes| std::str::from_utf8(bytes).ok()).map(SecretString::from);
        buffer.zeroize();
        secret.ok_or(OpenError::Unreadable)
    }
}

impl Key {
    fn decoded(line: &str) -> Option<Self> {
        let mut bytes = STANDARD.decode(line).ok()?;
        let key = (bytes.len() == KEY_BYTES).then(|| RandomizedNonceKey::new(&AES_256_GCM, &bytes).ok()).flatten();
        let id = Self::id(&bytes);
        bytes.zeroize();
        Some(Self { id, key: key? })
    }

    /// The first bytes of a digest: enough to tell keys apart, and nothing about them.
    fn id(bytes: &[u8]) -> String {
        let digest = digest(&SHA256, &[b"customer-guard sealing key\0", bytes].concat());
        digest.as_ref().iter().take(KEY_ID_BYTES).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USE: Use<'static> = Use { purpose: "client secret", owner: "contoso", subject: "an-application" };

    fn line(byte: u8) -> String {
        format!("{}\n", STANDARD.encode([byte; KEY_BYTES]))
    }

    fn keys(text: &str) -> SealingKeys {
        SealingKeys::parse(&SecretString::from(text)).expect("keys")
    }

    fn secret() -> SecretString {
        SecretString::from("a-client-secret")
    }

    #[test]
    fn a_secret_opens_for_what_it_was_sealed_for_also_after_a_restart() {
        let sealed = keys(&line(1)).seal(USE, &secret()).expect("randomness");
        let opened = keys(&line(1)).open(USE, &sealed).expect("the same use");
        assert_eq!(opened.expose_secret(), "a-client-secret");
    }

    #[test]
    fn a_secret_opens_for_no_other_purpose_owner_or_subject() {
        let keys = keys(&line(1));
        let sealed = keys.seal(USE, &secret()).expect("randomness");
        let others = [
            Use { purpose: "webhook secret", ..USE },
            Use { owner: "northwind", ..USE },
            Use { subject: "another-application", ..USE },
            Use { owner: "contosoan", subject: "-application", ..USE },
        ];
        for other in others {
            assert_eq!(keys.open(other, &sealed).err(), Some(OpenError::Unreadable), "{other:?}");
        }
    }

    #[test]
    fn the_first_key_seals_and_every_key_opens() {
        let old = keys(&line(1)).seal(USE, &secret()).expect("randomness");
        let rotated = keys(&format!("{}\n  {}", line(2), line(1)));
        assert_eq!(rotated.open(USE, &old).expect("the second key opens").expose_secret(), "a-client-secret");
        let new = rotated.seal(USE, &secret()).expect("randomness");
        assert_ne!(new.key_id, old.key_id);
        assert!(keys(&line(2)).open(USE, &new).is_ok(), "the first key sealed");
        assert_eq!(keys(&line(1)).open(USE, &new).err(), Some(OpenError::KeyMissing));
    }

    #[test]
    fn a_secret_that_was_changed_does_not_open() {
        let keys = keys(&line(1));
        let sealed = keys.seal(USE, &secret()).expect("randomness");
        for place in 0..sealed.bytes.len() {
            let mut damaged = sealed.clone();
            damaged.bytes[place] ^= 1;
            assert_eq!(keys.open(USE, &damaged).err(), Some(OpenError::Unreadable), "at {place}");
        }
        for length in [0, 1, 12, 13, sealed.bytes.len() - 1] {
            let cut = Sealed { bytes: sealed.bytes[..length].to_vec(), ..sealed.clone() };
            assert_eq!(keys.open(USE, &cut).err(), Some(OpenError::Unreadable), "{length}");
        }
    }

    #[test]
    fn the_same_secret_is_sealed_differently_each_time() {
        let keys = keys(&line(1));
        assert_ne!(keys.seal(USE, &secret()), keys.seal(USE, &secret()));
        let sealed = keys.seal(USE, &secret()).expect("randomness");
        let plain = b"a-client-secret";
        assert!(!sealed.bytes.windows(plain.len()).any(|window| window == plain));
    }

    #[test]
    fn what_holds_no_keys_is_told_without_its_text() {
        let parse = |text: &str| SealingKeys::parse(&SecretString::from(text)).err();
        assert_eq!(parse("\n \n"), Some(KeysError::None));
        let short = STANDARD.encode([1; 31]);
        assert_eq!(parse(&format!("{}{short}\n", line(1))), Some(KeysError::Malformed(2)));
        assert_eq!(parse("hunter2 hunter2\n"), Some(KeysError::Malformed(1)));
        assert_eq!(parse(&format!("{}{}", line(1), line(1))), Some(KeysError::Twice(2)));
        assert!(!KeysError::Malformed(1).to_string().contains("hunter2"));
    }

    #[test]
    fn a_fresh_line_is_a_key_of_its_own_and_keys_are_not_printed() {
        let [one, two] = [(); 2].map(|()| SealingKeys::fresh_line().expect("randomness"));
        let sealed = SealingKeys::parse(&one).expect("a key").seal(USE, &secret()).expect("randomness");
        let other = SealingKeys::parse(&two).expect("a key");
        assert_eq!(other.open(USE, &sealed).err(), Some(OpenError::KeyMissing));
        assert_eq!(format!("{other:?}"), "SealingKeys(redacted)");
    }
}
