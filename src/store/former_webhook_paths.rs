//! Webhook secrets as they were kept before they were hashed: read once more, hashed, and overwritten.

use crate::domain::webhook_secret::WebhookSecret;
use crate::store::statement::statement;
use crate::store::{Error, Store, Tx};

/// Stands in the store's notes while overwritten secrets may still be in the write-ahead log.
const LOG_HOLDS_SECRETS: &str = "write_ahead_log_holds_webhook_secrets";

impl Store {
    /// Replaces the secrets that a former release kept by their hashes, so that no byte of them stays in the files.
    pub(super) async fn hash_former_webhook_secrets(&self) -> Result<(), Error> {
        let Some(writer) = self.backend.sqlite_writer() else { return Ok(()) };
        let hashed = self.write("hash_webhook_secrets", async |tx| tx.hash_former_webhook_secrets().await).await?;
        if hashed > 0 {
            tracing::info!(accounts = hashed, "webhook secrets are kept as hashes from now on");
        }
        // Noted with the hashes, so that whoever ends here goes on at the next opening.
        let noted = statement("SELECT 1 FROM store_meta WHERE name = $1").bind(LOG_HOLDS_SECRETS);
        if noted.fetch_optional(writer).await?.is_none() {
            return Ok(());
        }
        let row = statement("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(writer).await?;
        if row.try_get::<i64, _>(0)? != 0 {
            // Somebody reads the file beside us.
            tracing::warn!(
                "the write-ahead log still holds webhook secrets of a former release; the next start empties it"
            );
            return Ok(());
        }
        self.write("log_holds_no_secrets", async |tx| tx.note_log_holds_no_secrets().await).await
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
        if statement(IS_THERE).fetch_optional(self.connection()).await?.is_none() {
            return Ok(0);
        }
        let former = statement(SELECT).fetch_all(self.connection()).await?;
        for row in &former {
            let secret: &[u8] = row.try_get("secret")?;
            let secret =
                secret.try_into().map_err(|_| Error::Corrupt("webhook_path.secret is not 32 bytes".to_owned()))?;
            statement(INSERT)
                .bind(row.try_get::<&str, _>("account")?)
                .bind(WebhookSecret::from_bytes(secret).hash().bytes().as_slice())
                .bind(row.try_get::<bool, _>("was_registered")?)
                .bind(row.try_get::<i64, _>("made_at")?)
                .execute(self.connection())
                .await?;
        }
        // Every page of the table is overwritten with zeros, so that also what earlier changes of its rows left in them is
        // gone.
        statement("PRAGMA secure_delete = ON").execute(self.connection()).await?;
        statement("DROP TABLE webhook_path").execute(self.connection()).await?;
        statement("PRAGMA secure_delete = OFF").execute(self.connection()).await?;
        if !former.is_empty() {
            statement("INSERT INTO store_meta (name, value) VALUES ($1, '') ON CONFLICT (name) DO NOTHING")
                .bind(LOG_HOLDS_SECRETS)
                .execute(self.connection())
                .await?;
        }
        Ok(former.len())
    }

    async fn note_log_holds_no_secrets(&mut self) -> Result<(), Error> {
        statement("DELETE FROM store_meta WHERE name = $1").bind(LOG_HOLDS_SECRETS).execute(self.connection()).await?;
        Ok(())
    }
}
