//! A short hash by which somebody names exactly what they have seen.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};

/// How many bytes of a hash are kept: enough to tell apart what an operator may be asked about.
const BYTES: usize = 16;

/// The first half of a SHA-256, written as 32 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShortHash([u8; BYTES]);

/// The text is no short hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedHash;

impl ShortHash {
    /// The hash of these parts, one after the other.
    pub fn of<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(part.as_ref());
        }
        let mut hash = [0; BYTES];
        for (byte, hashed) in hash.iter_mut().zip(context.finish().as_ref()) {
            *byte = *hashed;
        }
        Self(hash)
    }
}

impl fmt::Display for ShortHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for ShortHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for ShortHash {
    type Err = MalformedHash;

    fn from_str(text: &str) -> Result<Self, MalformedHash> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 2 * BYTES || !text.bytes().all(digit) {
            return Err(MalformedHash);
        }
        let mut hash = [0; BYTES];
        for (place, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).map_err(|_| MalformedHash)?;
        }
        Ok(Self(hash))
    }
}
