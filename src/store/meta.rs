//! Facts about the store itself.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sqlx::Row;

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

impl Tx {
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
