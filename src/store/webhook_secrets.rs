//! The secrets of accounts' callbacks, by their hashes: which is registered, which honoured for a while, which wanted.

use crate::clock::Timestamp;
use crate::domain::ids::PartnerAccountId;
use crate::domain::webhook_secret::{KnownSecret, SecretHash, SecretStage};
use crate::store::row::Row;
use crate::store::statement::statement;
use crate::store::{Error, Store, Tx, WebhookState};

/// The secrets of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookSecrets(Vec<(SecretHash, KnownSecret)>);

impl WebhookSecrets {
    /// What is known of the one with that hash.
    pub fn find(&self, hash: SecretHash) -> Option<KnownSecret> {
        self.0.iter().find(|(known, _)| *known == hash).map(|(_, secret)| *secret)
    }

    /// Whether one was ever seen to be registered.
    pub fn was_registered(&self) -> bool {
        self.0.iter().any(|(_, secret)| secret.stage != SecretStage::Pending)
    }

    /// Whether one has ended and can be forgotten.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.0.iter().any(|(_, secret)| !secret.is_honoured(now))
    }
}

fn known(row: &Row) -> Result<KnownSecret, Error> {
    let corrupt = |column: &str| Error::Corrupt(format!("webhook_secret.{column}"));
    let time = |column: &str| row.try_get::<Option<i64>, _>(column).map(|micros| micros.map(Timestamp::from_micros));
    let stage = match row.try_get::<&str, _>("stage")? {
        "PENDING" => SecretStage::Pending,
        "PRESENT" => SecretStage::Present,
        "FORMER" => {
            let replaced_at = time("replaced_at")?.ok_or_else(|| corrupt("replaced_at"))?;
            SecretStage::Former { replaced_at, confirmed_at: time("confirmed_at")? }
        }
        _ => return Err(corrupt("stage")),
    };
    Ok(KnownSecret { made_at: time("made_at")?.ok_or_else(|| corrupt("made_at"))?, stage })
}

fn keyed(row: &Row) -> Result<(SecretHash, KnownSecret), Error> {
    let hash: &[u8] = row.try_get("hash")?;
    let hash = hash.try_into().map_err(|_| Error::Corrupt("webhook_secret.hash".to_owned()))?;
    Ok((SecretHash::from_bytes(hash), known(row)?))
}

const ALL: &str =
    "SELECT hash, stage, made_at, replaced_at, confirmed_at FROM webhook_secret WHERE account = $1 ORDER BY hash";

impl Store {
    /// What is known of the account's secret with that hash.
    pub async fn webhook_secret(
        &self,
        account: &PartnerAccountId,
        hash: SecretHash,
    ) -> Result<Option<KnownSecret>, Error> {
        const SELECT: &str = "
            SELECT stage, made_at, replaced_at, confirmed_at FROM webhook_secret WHERE account = $1 AND hash = $2";
        let select = statement(SELECT).bind(account.as_str()).bind(hash.bytes().as_slice());
        select.fetch_optional(&self.backend).await?.as_ref().map(known).transpose()
    }

    /// Every secret of the account that is not forgotten.
    pub async fn webhook_secrets(&self, account: &PartnerAccountId) -> Result<WebhookSecrets, Error> {
        let rows = statement(ALL).bind(account.as_str()).fetch_all(&self.backend).await?;
        rows.iter().map(keyed).collect::<Result<_, _>>().map(WebhookSecrets)
    }

    /// Since when another secret is wanted; nothing when nobody waits for one.
    pub async fn webhook_rotation_wanted_at(&self, account: &PartnerAccountId) -> Result<Option<Timestamp>, Error> {
        const SELECT: &str = "SELECT webhook_rotation_wanted_at FROM account_sync WHERE account = $1";
        let row = statement(SELECT).bind(account.as_str()).fetch_one(&self.backend).await?;
        Ok(row.try_get::<Option<i64>, _>(0)?.map(Timestamp::from_micros))
    }
}

impl Tx {
    /// A secret is about to be registered, in the place of the registration at that host if it is somebody else's.
    /// Committed before Partner Center is told, so that its registration is known as ours whatever happens then.
    pub async fn keep_pending_webhook_secret(
        &mut self,
        account: &PartnerAccountId,
        hash: SecretHash,
        replaces_host: Option<&str>,
    ) -> Result<(), Error> {
        const UPSERT: &str = "
            INSERT INTO webhook_secret (account, hash, stage, made_at, replaces_host) VALUES ($1, $2, 'PENDING', $3, $4)
            ON CONFLICT (account, hash) DO UPDATE SET made_at = $3, replaces_host = $4 WHERE webhook_secret.stage = 'PENDING'";
        let now = self.now().micros();
        statement(UPSERT)
            .bind(account.as_str())
            .bind(hash.bytes().as_slice())
            .bind(now)
            .bind(replaces_host)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Partner Center's registration is ours and has the secret with that hash: it is the present one from now on, and the
    /// one before it is honoured for a while. Nothing has been heard through the registration as it is, unless under
    /// this very secret while it was pending.
    pub async fn adopt_webhook_secret(&mut self, account: &PartnerAccountId, hash: SecretHash) -> Result<(), Error> {
        const REPLACE: &str = "
            UPDATE webhook_secret SET stage = 'FORMER', replaced_at = $3,
                confirmed_at = (SELECT n.heard_at FROM webhook_secret n
                                WHERE n.account = $1 AND n.hash = $2 AND n.stage = 'PENDING')
            WHERE account = $1 AND stage = 'PRESENT' AND hash <> $2";
        const HEARD: &str = "
            UPDATE account_sync SET
                webhook_heard_at = (SELECT heard_at FROM webhook_secret
                                    WHERE account = $1 AND hash = $2 AND stage = 'PENDING'),
                -- A wish that is younger than the secret is still one.
                webhook_rotation_wanted_at = CASE
                    WHEN webhook_rotation_wanted_at > (SELECT made_at FROM webhook_secret WHERE account = $1 AND hash = $2)
                    THEN webhook_rotation_wanted_at END
            WHERE account = $1";
        const REPLACED: &str = "
            UPDATE account_sync SET webhook_replaced_host = s.replaces_host, webhook_replaced_at = $3,
                webhook_replacements = webhook_replacements + 1
            FROM webhook_secret s
            WHERE account_sync.account = $1 AND s.account = $1 AND s.hash = $2 AND s.replaces_host IS NOT NULL";
        const ADOPT: &str = "
            UPDATE webhook_secret SET stage = 'PRESENT', replaced_at = NULL, confirmed_at = NULL, replaces_host = NULL
            WHERE account = $1 AND hash = $2";
        let now = self.now().micros();
        for one in [REPLACE, HEARD, REPLACED, ADOPT] {
            statement(one)
                .bind(account.as_str())
                .bind(hash.bytes().as_slice())
                .bind(now)
                .execute(self.connection())
                .await?;
        }
        self.note_webhook(account, WebhookState::Ours, None).await
    }

    /// A genuine event came under the secret with that hash. Under a former one it tells nothing of the registration as
    /// it is.
    pub async fn note_webhook_heard(&mut self, account: &PartnerAccountId, hash: SecretHash) -> Result<(), Error> {
        const HEARD: &str = "
            UPDATE webhook_secret SET heard_at = coalesce(heard_at, $3)
            WHERE account = $1 AND hash = $2 AND stage <> 'FORMER'";
        const CONFIRM: &str = "
            UPDATE webhook_secret SET confirmed_at = $3
            WHERE account = $1 AND stage = 'FORMER' AND confirmed_at IS NULL AND EXISTS (
                SELECT 1 FROM webhook_secret n WHERE n.account = $1 AND n.hash = $2 AND n.stage = 'PRESENT')";
        let now = self.now().micros();
        let heard = statement(HEARD)
            .bind(account.as_str())
            .bind(hash.bytes().as_slice())
            .bind(now)
            .execute(self.connection())
            .await?;
        if heard == 0 {
            return Ok(());
        }
        statement(CONFIRM)
            .bind(account.as_str())
            .bind(hash.bytes().as_slice())
            .bind(now)
            .execute(self.connection())
            .await?;
        statement("UPDATE account_sync SET webhook_heard_at = $2 WHERE account = $1")
            .bind(account.as_str())
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Forgets the secrets that have ended. To be called when the registration was just seen, so that none of them is in
    /// it; returns how many.
    pub async fn forget_webhook_secrets(&mut self, account: &PartnerAccountId) -> Result<usize, Error> {
        let rows = statement(ALL).bind(account.as_str()).fetch_all(self.connection()).await?;
        let secrets = rows.iter().map(keyed).collect::<Result<Vec<_>, _>>()?;
        let now = self.now();
        let ended: Vec<_> = secrets.into_iter().filter(|(_, secret)| !secret.is_honoured(now)).collect();
        for (hash, _) in &ended {
            statement("DELETE FROM webhook_secret WHERE account = $1 AND hash = $2")
                .bind(account.as_str())
                .bind(hash.bytes().as_slice())
                .execute(self.connection())
                .await?;
        }
        Ok(ended.len())
    }

    /// Somebody wants another secret; the worker sees to it. A wish that is there already stays as it is.
    pub async fn want_webhook_rotation(&mut self, account: &PartnerAccountId) -> Result<(), Error> {
        const UPDATE: &str = "
            UPDATE account_sync SET webhook_rotation_wanted_at = coalesce(webhook_rotation_wanted_at, $2)
            WHERE account = $1";
        let now = self.now().micros();
        self.wake(account);
        statement(UPDATE).bind(account.as_str()).bind(now).execute(self.connection()).await?;
        Ok(())
    }

    /// The wish for another secret cannot be granted; returns whether there was one.
    pub async fn drop_webhook_wish(&mut self, account: &PartnerAccountId) -> Result<bool, Error> {
        const UPDATE: &str = "
            UPDATE account_sync SET webhook_rotation_wanted_at = NULL
            WHERE account = $1 AND webhook_rotation_wanted_at IS NOT NULL";
        let dropped = statement(UPDATE).bind(account.as_str()).execute(self.connection()).await?;
        Ok(dropped > 0)
    }
}
