//! Page tokens: sealed, and bound to the list, its arguments and the caller they were given to.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::store::PageTokenKey;

/// What a token is bound to: another list, parent or caller cannot use it.
#[derive(Clone, Copy, Debug)]
pub struct TokenContext<'a> {
    /// The rpc.
    pub list: &'a str,
    /// Its parent.
    pub parent: &'a str,
    /// The caller's subject.
    pub caller: &'a str,
}

impl TokenContext<'_> {
    fn bytes(self) -> Vec<u8> {
        // Lengths first, so that no two contexts share their bytes.
        let mut bytes = vec![1];
        for part in [self.list, self.parent, self.caller] {
            bytes.extend_from_slice(&part.len().to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

/// The token is not one of this list's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidToken;

/// Seals and opens page tokens.
pub struct PageTokens {
    key: RandomizedNonceKey,
}

impl fmt::Debug for PageTokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PageTokens(redacted)")
    }
}

impl PageTokens {
    /// Tokens under that key.
    pub fn new(key: &PageTokenKey) -> Self {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key.0);
        // Invariant: AES-256-GCM takes keys of 32 bytes.
        Self { key: key.expect("a key of 32 bytes") }
    }

    /// A key nobody has seen.
    pub fn fresh_key() -> Option<PageTokenKey> {
        let mut bytes = [0_u8; 32];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        Some(PageTokenKey(bytes))
    }

    /// Seals the place where the next page begins. Empty when the system has no randomness left to give.
    pub fn seal(&self, context: TokenContext<'_>, place: &str) -> Option<String> {
        let mut sealed = place.as_bytes().to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(context.bytes()), &mut sealed).ok()?;
        let mut token = nonce.as_ref().to_vec();
        token.append(&mut sealed);
        Some(URL_SAFE_NO_PAD.encode(token))
    }

    /// Opens a token.
    pub fn open(&self, context: TokenContext<'_>, token: &str) -> Result<String, InvalidToken> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| InvalidToken)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN).ok_or(InvalidToken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| InvalidToken)?;
        let mut sealed = sealed.to_vec();
        let opened =
            self.key.open_in_place(nonce, Aad::from(context.bytes()), &mut sealed).map_err(|_| InvalidToken)?;
        String::from_utf8(opened.to_vec()).map_err(|_| InvalidToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: TokenContext<'static> =
        TokenContext { list: "ListCustomers", parent: "partnerAccounts/contoso", caller: "portal" };

    fn tokens() -> PageTokens {
        PageTokens::new(&PageTokenKey([7; 32]))
    }

    #[test]
    fn a_token_opens_in_its_own_context_also_after_a_restart() {
        let token = tokens().seal(CONTEXT, "contoso/17").expect("randomness");
        assert_eq!(tokens().open(CONTEXT, &token), Ok("contoso/17".to_owned()));
    }

    #[test]
    fn a_token_of_another_list_parent_caller_or_store_does_not_open() {
        let token = tokens().seal(CONTEXT, "contoso/17").expect("randomness");
        let others = [
            TokenContext { list: "ListSyncRuns", ..CONTEXT },
            TokenContext { parent: "partnerAccounts/-", ..CONTEXT },
            TokenContext { caller: "crm", ..CONTEXT },
        ];
        for other in others {
            assert_eq!(tokens().open(other, &token), Err(InvalidToken), "{other:?}");
        }
        assert_eq!(PageTokens::new(&PageTokenKey([8; 32])).open(CONTEXT, &token), Err(InvalidToken));
    }

    #[test]
    fn a_damaged_token_does_not_open() {
        let token = tokens().seal(CONTEXT, "contoso/17").expect("randomness");
        for place in 0..token.len() {
            let mut damaged = token.clone().into_bytes();
            damaged[place] = if damaged[place] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).expect("still text");
            assert!(damaged == token || tokens().open(CONTEXT, &damaged).is_err(), "at {place}");
        }
        for nonsense in ["", "A", "???", "AAAAAAAAAAAAAAAAAAAAAAAA", &token[..token.len() - 1]] {
            assert_eq!(tokens().open(CONTEXT, nonsense), Err(InvalidToken), "{nonsense}");
        }
    }
}
