//! How synchronization of an account stands: what was last read when, and what keeps it back.

use crate::clock::Timestamp;
use crate::domain::ids::PartnerAccountId;
use crate::domain::standstill::Standstill;
use crate::store::row::Row;
use crate::store::run_costs::THROTTLINGS_KEPT;
use crate::store::statement::{PerDialect, by_index, statement};
use crate::store::{Error, Priority, Store, Tx, WebhookStanding, webhooks};

/// What keeps an account from being synchronized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncProblem {
    /// A stable name of its kind, such as `CREDENTIALS_INVALID`.
    pub reason: String,
    /// What happened and what to do, for an operator.
    pub detail: String,
    /// Since when.
    pub since: Timestamp,
}

/// How synchronization of an account stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountSync {
    /// When the audit log was last read to its end.
    pub audit_polled_at: Option<Timestamp>,
    /// When the customer list was last read to its end.
    pub listed_at: Option<Timestamp>,
    /// What keeps it back.
    pub problem: Option<SyncProblem>,
    /// Partner Center asked us to wait until then.
    pub throttled_until: Option<Timestamp>,
    /// How the webhook registration stands.
    pub webhook: WebhookStanding,
    /// How many calls a minute its worker may make, as it last noted.
    pub calls_per_minute: Option<u64>,
    /// Answers of the last 24 hours that told it to slow down.
    pub throttles_last_day: u64,
    /// Customers of Microsoft's with an active relationship.
    pub active_customers: u64,
    /// The verification that is longest ago among those that are not paused.
    pub oldest_verified_at: Option<Timestamp>,
    /// Removals that wait for a decision, those of paused customers left out.
    pub held_removals: u64,
}

/// How fresh an account is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Everything that the audit log told of before this time is in the store. Absent before the first reading, and
    /// while somebody waits to be looked at.
    pub fresh_through: Option<Timestamp>,
    /// When the audit log was last read to its end.
    pub audit_polled_at: Option<Timestamp>,
    /// When the customer list was last read to its end.
    pub listed_at: Option<Timestamp>,
    /// A stable name of what keeps the account from being synchronized, if anything.
    pub problem: Option<String>,
}

/// What holds an account's synchronization back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindrance {
    /// Partner Center asked us to wait until then.
    pub throttled_until: Option<Timestamp>,
    /// What keeps it back.
    pub problem: Option<SyncProblem>,
}

fn problem(row: &Row) -> Result<Option<SyncProblem>, Error> {
    let reason: Option<String> = row.try_get("problem_reason")?;
    let detail: Option<String> = row.try_get("problem_detail")?;
    let since: Option<i64> = row.try_get("problem_since")?;
    Ok(reason.zip(since).map(|(reason, since)| SyncProblem {
        reason,
        detail: detail.unwrap_or_default(),
        since: Timestamp::from_micros(since),
    }))
}

/// When an account was last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readings {
    /// When the reading of the audit log began that was the last to reach its end: what happened during it may be unread.
    pub audit_read_from: Option<Timestamp>,
    /// The customer list, to its end.
    pub listed_at: Option<Timestamp>,
    /// Since when the list is wanted sooner than its interval says; what was read later has satisfied it.
    pub list_wanted_at: Option<Timestamp>,
}

impl Store {
    /// How synchronization of the account stands.
    pub async fn account_sync(&self, account: &PartnerAccountId) -> Result<AccountSync, Error> {
        const SELECT: &str = "SELECT * FROM account_sync WHERE account = $1";
        const THROTTLES: &str =
            "SELECT CAST(coalesce(sum(answers), 0) AS BIGINT) FROM throttling WHERE account = $1 AND at > $2";
        const CUSTOMERS: &str = "
            SELECT count(*) AS active, min(CASE WHEN u.paused_at IS NULL THEN u.verified_at END) AS oldest,
                   count(*) FILTER (WHERE c.sync_state = 'HELD_FOR_REMOVAL' AND u.paused_at IS NULL) AS held
            FROM customer c JOIN upstream_customer u ON u.account = c.account AND u.tenant_id = c.microsoft_tenant_id
            WHERE c.account = $1 AND c.relationship = 'ACTIVE'";
        let row = statement(SELECT).bind(account.as_str()).fetch_optional(&self.backend).await?;
        let Some(row) = row else { return Ok(AccountSync::default()) };
        let customers = statement(CUSTOMERS).bind(account.as_str()).fetch_one(&self.backend).await?;
        let since = self.clock.now().minus(THROTTLINGS_KEPT).micros();
        let throttles: i64 = statement(THROTTLES).bind(account.as_str()).bind(since).fetch_value(&self.backend).await?;
        let time =
            |column: &str| row.try_get::<Option<i64>, _>(column).map(|micros| micros.map(Timestamp::from_micros));
        Ok(AccountSync {
            throttles_last_day: throttles.unsigned_abs(),
            audit_polled_at: time("audit_polled_at")?,
            listed_at: time("listed_at")?,
            problem: problem(&row)?,
            throttled_until: time("throttled_until")?,
            webhook: webhooks::standing(&row)?,
            calls_per_minute: row.try_get::<Option<i64>, _>("calls_per_minute")?.map(i64::unsigned_abs),
            active_customers: customers.try_get::<i64, _>("active")?.unsigned_abs(),
            oldest_verified_at: customers.try_get::<Option<i64>, _>("oldest")?.map(Timestamp::from_micros),
            held_removals: customers.try_get::<i64, _>("held")?.unsigned_abs(),
        })
    }

    /// How fresh the account is. Cheap: one row, and a look at what is dirty.
    pub async fn freshness(&self, account: &PartnerAccountId) -> Result<Freshness, Error> {
        // What the night wants looked at says nothing of a change.
        const SELECT: PerDialect = by_index!(
            "
            SELECT audit_polled_at, audit_read_from, listed_at, problem_reason, EXISTS (
                SELECT 1 FROM upstream_customer",
            "upstream_customer_dirty",
            "
                WHERE account = $1 AND settled < marked AND paused_at IS NULL AND priority > $2
            ) AS somebody_waits
            FROM account_sync WHERE account = $1"
        );
        let row = statement(SELECT)
            .bind(account.as_str())
            .bind(Priority::Confirm as i64)
            .fetch_optional(&self.backend)
            .await?;
        let Some(row) = row else { return Ok(Freshness::default()) };
        let time =
            |column: &str| row.try_get::<Option<i64>, _>(column).map(|micros| micros.map(Timestamp::from_micros));
        let somebody_waits: bool = row.try_get("somebody_waits")?;
        Ok(Freshness {
            fresh_through: time("audit_read_from")?.filter(|_| !somebody_waits),
            audit_polled_at: time("audit_polled_at")?,
            listed_at: time("listed_at")?,
            problem: row.try_get("problem_reason")?,
        })
    }

    /// What holds the account's synchronization back.
    pub async fn hindrance(&self, account: &PartnerAccountId) -> Result<Hindrance, Error> {
        const SELECT: &str = "
            SELECT throttled_until, problem_reason, problem_detail, problem_since FROM account_sync WHERE account = $1";
        let row = statement(SELECT).bind(account.as_str()).fetch_one(&self.backend).await?;
        let throttled_until: Option<i64> = row.try_get("throttled_until")?;
        Ok(Hindrance { throttled_until: throttled_until.map(Timestamp::from_micros), problem: problem(&row)? })
    }

    /// When the audit log and the customer list were last read to their ends.
    pub async fn last_readings(&self, account: &PartnerAccountId) -> Result<Readings, Error> {
        // Readings of the first releases told their end only.
        const SELECT: &str = "
            SELECT coalesce(audit_read_from, audit_polled_at) AS audit_read_from, listed_at, list_wanted_at
            FROM account_sync WHERE account = $1";
        let row = statement(SELECT).bind(account.as_str()).fetch_one(&self.backend).await?;
        let time =
            |column: &str| row.try_get::<Option<i64>, _>(column).map(|micros| micros.map(Timestamp::from_micros));
        Ok(Readings {
            audit_read_from: time("audit_read_from")?,
            listed_at: time("listed_at")?,
            list_wanted_at: time("list_wanted_at")?,
        })
    }
}

impl Tx {
    /// The audit log has been read to its end; the reading began at `began`.
    pub async fn note_audit_polled(&mut self, account: &PartnerAccountId, began: Timestamp) -> Result<(), Error> {
        let now = self.now().micros();
        statement("UPDATE account_sync SET audit_polled_at = $2, audit_read_from = $3 WHERE account = $1")
            .bind(account.as_str())
            .bind(now)
            .bind(began.micros())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Something keeps the account from being synchronized; the first of a series of the same kind gives the time. A worker that
    /// is just being stopped says nothing over the operator that stops it.
    pub async fn note_problem(&mut self, account: &PartnerAccountId, reason: &str, detail: &str) -> Result<(), Error> {
        const UPDATE: &str = "
            UPDATE account_sync SET
                problem_since = CASE WHEN problem_reason IS NOT DISTINCT FROM $2 THEN problem_since ELSE $4 END,
                problem_reason = $2, problem_detail = $3
            WHERE account = $1
                AND ($2 = $5 OR (SELECT state FROM partner_account WHERE id = $1) IS DISTINCT FROM 'DISABLED')";
        let now = self.now().micros();
        self.wake(account);
        statement(UPDATE)
            .bind(account.as_str())
            .bind(reason)
            .bind(detail)
            .bind(now)
            .bind(Standstill::Disabled.reason())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Nothing keeps the account from being synchronized any more, unless an operator stopped it meanwhile.
    pub async fn clear_problem(&mut self, account: &PartnerAccountId) -> Result<(), Error> {
        const UPDATE: &str = "
            UPDATE account_sync SET problem_reason = NULL, problem_detail = NULL, problem_since = NULL
            WHERE account = $1 AND (SELECT state FROM partner_account WHERE id = $1) IS DISTINCT FROM 'DISABLED'";
        statement(UPDATE).bind(account.as_str()).execute(self.connection()).await?;
        Ok(())
    }

    /// How many calls a minute may be made.
    pub async fn note_pace(&mut self, account: &PartnerAccountId, calls_per_minute: u64) -> Result<(), Error> {
        statement("UPDATE account_sync SET calls_per_minute = $2 WHERE account = $1")
            .bind(account.as_str())
            .bind(i64::try_from(calls_per_minute).unwrap_or(i64::MAX))
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
