//! What is known of an account's webhook: who holds the registration, and which events were taken.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::ids::PartnerAccountId;
use crate::store::row::Row;
use crate::store::statement::{PerDialect, by_index, statement};
use crate::store::{Error, Priority, Store, Tx};

/// How long an event is remembered: longer than Partner Center tries to deliver it.
const REMEMBERED_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// Who holds the account's single webhook registration in Partner Center.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookState {
    /// Nobody.
    None,
    /// This service.
    Ours,
    /// Somebody else; it is never touched unless an operator names it.
    Foreign,
    /// It was this service's and is no longer.
    Lost,
}

impl WebhookState {
    const ALL: [Self; 4] = [Self::None, Self::Ours, Self::Foreign, Self::Lost];

    const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Ours => "OURS",
            Self::Foreign => "FOREIGN",
            Self::Lost => "LOST",
        }
    }
}

/// How the registration stands, as it was last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookStanding {
    /// Who holds it; absent before it was looked at.
    pub state: Option<WebhookState>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// The host of whoever else holds it.
    pub host: Option<String>,
    /// When a genuine event came last.
    pub heard_at: Option<Timestamp>,
    /// When Partner Center was last asked for a test event.
    pub test_asked_at: Option<Timestamp>,
    /// Whose registration ours took the place of last.
    pub replacement: Option<Replacement>,
}

/// Somebody else's registration, of which ours took the place because the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// Its host.
    pub host: String,
    /// When that was last.
    pub at: Timestamp,
    /// How often that was.
    pub times: u64,
}

pub(super) fn standing(row: &Row) -> Result<WebhookStanding, Error> {
    let time = |column: &str| row.try_get::<Option<i64>, _>(column).map(|micros| micros.map(Timestamp::from_micros));
    let state = match row.try_get::<Option<&str>, _>("webhook_state")? {
        Some(name) => {
            let known = WebhookState::ALL.into_iter().find(|state| state.name() == name);
            Some(known.ok_or_else(|| Error::Corrupt(format!("account_sync.webhook_state {name}")))?)
        }
        None => None,
    };
    let replaced = (row.try_get::<Option<String>, _>("webhook_replaced_host")?, time("webhook_replaced_at")?);
    let times = row.try_get::<i64, _>("webhook_replacements")?.unsigned_abs();
    let replacement = match replaced {
        (Some(host), Some(at)) => Some(Replacement { host, at, times }),
        _ => None,
    };
    Ok(WebhookStanding {
        state,
        since: time("webhook_since")?,
        host: row.try_get("webhook_host")?,
        heard_at: time("webhook_heard_at")?,
        test_asked_at: time("webhook_test_asked_at")?,
        replacement,
    })
}

const STANDING: &str = "
    SELECT webhook_state, webhook_since, webhook_host, webhook_heard_at, webhook_test_asked_at, webhook_replaced_host,
           webhook_replaced_at, webhook_replacements
    FROM account_sync WHERE account = $1";

impl Store {
    /// How the account's webhook registration stands.
    pub async fn webhook_standing(&self, account: &PartnerAccountId) -> Result<WebhookStanding, Error> {
        let row = statement(STANDING).bind(account.as_str()).fetch_one(&self.backend).await?;
        standing(&row)
    }
}

impl Tx {
    /// How the account's webhook registration stands, before something is asked of it.
    pub async fn webhook_standing(&mut self, account: &PartnerAccountId) -> Result<WebhookStanding, Error> {
        let row = statement(STANDING).bind(account.as_str()).fetch_one(self.connection()).await?;
        standing(&row)
    }

    /// Who holds the webhook registration; the first of a series that says the same gives the time.
    pub async fn note_webhook(
        &mut self,
        account: &PartnerAccountId,
        state: WebhookState,
        host: Option<&str>,
    ) -> Result<(), Error> {
        const UPDATE: &str = "
            UPDATE account_sync SET
                webhook_since = CASE WHEN (webhook_state, webhook_host) IS NOT DISTINCT FROM ($2, $3)
                    THEN coalesce(webhook_since, $4) ELSE $4 END,
                webhook_state = $2, webhook_host = $3, webhook_checked_at = $4
            WHERE account = $1";
        let now = self.now().micros();
        statement(UPDATE)
            .bind(account.as_str())
            .bind(state.name())
            .bind(host)
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Nothing that was heard before counts any more.
    pub async fn note_webhook_silent(&mut self, account: &PartnerAccountId) -> Result<(), Error> {
        statement("UPDATE account_sync SET webhook_heard_at = NULL WHERE account = $1")
            .bind(account.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Partner Center was asked for a test event.
    pub async fn note_webhook_test_asked(&mut self, account: &PartnerAccountId) -> Result<(), Error> {
        let now = self.now().micros();
        statement("UPDATE account_sync SET webhook_test_asked_at = $2 WHERE account = $1")
            .bind(account.as_str())
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The customer list is to be read soon: a signal could not be kept.
    pub async fn want_list(&mut self, account: &PartnerAccountId) -> Result<(), Error> {
        let now = self.now().micros();
        self.wake(account);
        statement("UPDATE account_sync SET list_wanted_at = $2 WHERE account = $1")
            .bind(account.as_str())
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Remembers an event; returns whether it was not met before.
    pub async fn meet_webhook(&mut self, account: &PartnerAccountId, digest: &[u8; 32]) -> Result<bool, Error> {
        const INSERT: &str = "
            INSERT INTO webhook_seen (account, digest, discovery, seen_at) VALUES ($1, $2, FALSE, $3)
            ON CONFLICT (account, digest) DO NOTHING";
        let now = self.now().micros();
        let done = statement(INSERT)
            .bind(account.as_str())
            .bind(digest.as_slice())
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(done == 1)
    }

    /// An event that was just met names a customer that was not known. Returns how many did since `since`, it among
    /// them.
    pub async fn note_webhook_discovery(
        &mut self,
        account: &PartnerAccountId,
        digest: &[u8; 32],
        since: Timestamp,
    ) -> Result<u64, Error> {
        const COUNT: PerDialect = by_index!(
            "
            SELECT count(*) FROM webhook_seen",
            "webhook_seen_by_age",
            "
            WHERE account = $1 AND seen_at >= $2 AND discovery"
        );
        statement("UPDATE webhook_seen SET discovery = TRUE WHERE account = $1 AND digest = $2")
            .bind(account.as_str())
            .bind(digest.as_slice())
            .execute(self.connection())
            .await?;
        let row = statement(COUNT).bind(account.as_str()).bind(since.micros()).fetch_one(self.connection()).await?;
        Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
    }

    /// Forgets events that Partner Center no longer delivers.
    pub async fn forget_webhooks(&mut self, account: &PartnerAccountId) -> Result<(), Error> {
        let before = self.now().minus(REMEMBERED_FOR);
        statement("DELETE FROM webhook_seen WHERE account = $1 AND seen_at < $2")
            .bind(account.as_str())
            .bind(before.micros())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// How many customers wait to be looked at because of a signal, counted up to `limit`; the paused are nobody's work.
    pub async fn signals_waiting(&mut self, account: &PartnerAccountId, limit: u32) -> Result<u32, Error> {
        const COUNT: PerDialect = by_index!(
            "
            SELECT count(*) FROM (
                SELECT 1 FROM upstream_customer",
            "upstream_customer_dirty",
            "
                WHERE account = $1 AND settled < marked AND paused_at IS NULL AND priority >= $2 LIMIT $3) AS waiting"
        );
        let row = statement(COUNT)
            .bind(account.as_str())
            .bind(Priority::Listed as i64)
            .bind(limit)
            .fetch_one(self.connection())
            .await?;
        Ok(u32::try_from(row.try_get::<i64, _>(0)?).unwrap_or(u32::MAX))
    }
}
