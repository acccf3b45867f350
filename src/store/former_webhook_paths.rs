//! Webhook secrets as they were kept before they were hashed: read once more, hashed, and overwritten.

use sqlx::Row;

use crate::domain::webhook_secret::WebhookSecret;
use crate::store::{Error, Store, Tx};

impl Store {
    /// Replaces the secrets that a former release kept by their hashes, so that no byte of them stays in the files.
    pub(super) async fn hash_former_webhook_secrets(&self) -> Result<(), Error> {
        let hashed = self.write("hash_webhook_secrets", async |tx| tx.hash_former_webhook_secrets().await).await?;
        if hashed > 0 {
            tracing::info!(accounts = hashed, "webhook secrets are kept as hashes from now on");
        }
        // What is overwritten may still stand in the write-ahead log and, until that is written back, in the file. At every
        // opening, because the one that hashed may have ended just then.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writer).await?;
        Ok(())
    }
}

impl Tx {
    async fn hash_former_webhook_secrets(&mut self) -> Result<usize, Error> {
        const IS_THERE: &str = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'webhook_path'";
        const SELECT: &str =
            "SELECT account, secret, registered_url IS NOT NULL AS was_registered, made_at FROM webhook_path";
        const INSERT: &str = "
            INSERT INTO webhook_secret (account, hash, stage, made_at)
            VALUES ($1, $2, CASE WHEN $3 THEN 'PRESENT' ELSE 'PENDING' END, $4)";
        if sqlx::query(IS_THERE).fetch_optional(self.connection()).await?.is_none() {
            return Ok(0);
        }
        let former = sqlx::query(SELECT).fetch_all(self.connection()).await?;
        for row in &former {
            let secret: &[u8] = row.try_get("secret")?;
            let secret =
                secret.try_into().map_err(|_| Error::Corrupt("webhook_path.secret is not 32 bytes".to_owned()))?;
            sqlx::query(INSERT)
                .bind(row.try_get::<&str, _>("account")?)
                .bind(WebhookSecret::from_bytes(secret).hash().bytes().as_slice())
                .bind(row.try_get::<bool, _>("was_registered")?)
                .bind(row.try_get::<i64, _>("made_at")?)
                .execute(self.connection())
                .await?;
        }
        // Every page of the table is overwritten with zeros, so that also what earlier changes of its rows left in them is
        // gone.
        sqlx::query("PRAGMA secure_delete = ON").execute(self.connection()).await?;
        sqlx::query("DROP TABLE webhook_path").execute(self.connection()).await?;
        sqlx::query("PRAGMA secure_delete = OFF").execute(self.connection()).await?;
        Ok(former.len())
    }
}
