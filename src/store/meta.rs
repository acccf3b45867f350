//! Facts about the store itself.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sqlx::Row;

use crate::domain::trial::FingerprintKey;
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
    /// The key under which credentials are fingerprinted; drawn by the database when it has none yet.
    pub async fn fingerprint_key(&self) -> Result<FingerprintKey, Error> {
        self.write("fingerprint_key", async |tx| tx.keep_fingerprint_key().await).await
    }
}

impl Tx {
    async fn keep_fingerprint_key(&mut self) -> Result<FingerprintKey, Error> {
        const DRAW: &str = "
            INSERT INTO store_meta (name, value) VALUES ($1, lower(hex(randomblob(32)))) ON CONFLICT (name) DO NOTHING";
        sqlx::query(DRAW).bind(FINGERPRINT_KEY).execute(self.connection()).await?;
        let kept: Option<Vec<u8>> = sqlx::query_scalar("SELECT unhex(value) FROM store_meta WHERE name = $1")
            .bind(FINGERPRINT_KEY)
            .fetch_one(self.connection())
            .await?;
        let bytes = kept.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(FingerprintKey::new).ok_or_else(|| Error::Corrupt("the fingerprint key is not 32 bytes".to_owned()))
    }

    async fn keep_page_token_key(&mut self, fresh: &PageTokenKey) -> Result<PageTokenKey, Error> {
        sqlx::query("INSERT INTO store_meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(PAGE_TOKEN_KEY)
            .bind(STANDARD.encode(fresh.0))
            .execute(self.connection())
            .await?;
        let kept: String = sqlx::query("SELECT value FROM store_meta WHERE name = $1")
            .bind(PAGE_TOKEN_KEY)
            .fetch_one(self.connection())
            .await?
            .try_get(0)?;
        let bytes = STANDARD.decode(kept).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(PageTokenKey).ok_or_else(|| Error::Corrupt("the page token key is not 32 bytes".to_owned()))
    }
}
