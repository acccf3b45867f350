//! Facts about the store itself.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::domain::trial::FingerprintKey;
use crate::store::statement::statement;
use crate::store::{Error, Store, Tx};

/// The key that seals page tokens. Lives in the store, so that every replica and restart reads the same tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct PageTokenKey(pub [u8; 32]);

impl fmt::Debug for PageTokenKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PageTokenKey(redacted)")
    }
}

const PAGE_TOKEN_KEY: &str = "page_token_key";

impl Store {
    /// The key that seals page tokens; `fresh` becomes it when the store has none yet.
    pub async fn page_token_key(&self, fresh: PageTokenKey) -> Result<PageTokenKey, Error> {
        self.write("page_token_key", async |tx| tx.keep_page_token_key(&fresh).await).await
    }
}

const FINGERPRINT_KEY: &str = "credential_fingerprint_key";

impl Store {
    /// The key under which credentials are fingerprinted; drawn when it has none yet.
    pub async fn fingerprint_key(&self) -> Result<FingerprintKey, Error> {
        self.write("fingerprint_key", async |tx| tx.keep_fingerprint_key().await).await
    }
}

impl Tx {
    async fn keep_fingerprint_key(&mut self) -> Result<FingerprintKey, Error> {
        const DRAW: &str = "
            INSERT INTO store_meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        statement(DRAW).bind(FINGERPRINT_KEY).bind(hex_of_bytes(&drawn::<32>()?)).execute(self.connection()).await?;
        let kept: String = statement("SELECT value FROM store_meta WHERE name = $1")
            .bind(FINGERPRINT_KEY)
            .fetch_value(self.connection())
            .await?;
        let kept = bytes_of_hex(&kept);
        let bytes = kept.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(FingerprintKey::new).ok_or_else(|| Error::Corrupt("the fingerprint key is not 32 bytes".to_owned()))
    }

    async fn keep_page_token_key(&mut self, fresh: &PageTokenKey) -> Result<PageTokenKey, Error> {
        statement("INSERT INTO store_meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(PAGE_TOKEN_KEY)
            .bind(STANDARD.encode(fresh.0))
            .execute(self.connection())
            .await?;
        let kept: String = statement("SELECT value FROM store_meta WHERE name = $1")
            .bind(PAGE_TOKEN_KEY)
            .fetch_one(self.connection())
            .await?
            .try_get(0)?;
        let bytes = STANDARD.decode(kept).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(PageTokenKey).ok_or_else(|| Error::Corrupt("the page token key is not 32 bytes".to_owned()))
    }
}

/// Bytes that nobody can guess.
pub(super) fn drawn<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Corrupt("the system has no randomness".to_owned()))?;
    Ok(bytes)
}

fn hex_of_bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
