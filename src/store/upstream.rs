//! What is known and owed about customers upstream: the dirty set and the list's memory.
//!
//! A customer is dirty while `settled < marked`. Marking again while it is being fetched leaves it dirty, so no
//! wake-up is lost; a storm of signals about one customer is one row.
//!
//! The few are found among the many by partial indexes. Without statistics SQLite prefers the primary key and would
//! read every customer of the account, so those questions name their index.

use std::collections::HashMap;

use crate::clock::Timestamp;
use crate::domain::ids::{Epoch, PartnerAccountId, RunId, TenantId, Ticket};
use crate::domain::look::{LookCause, LookReason};
use crate::domain::observation::{GoneAnswer, Observation, ObservationMark};
use crate::store::row::Row;
use crate::store::statement::{PerDialect, by_index, statement};
use crate::store::{Error, Store, Tx, confirmations};

/// How urgent it is to look at a customer; larger first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// The night and the rolling verification, which must not delay the day.
    Sweep = 0,
    /// A second look after a signal, because an answer may lag behind it.
    Confirm = 5,
    /// New, renamed or missing in the list.
    Listed = 10,
    /// The audit log or a webhook says something happened.
    Signal = 20,
    /// Somebody is waiting for it.
    Refresh = 30,
}

/// A dirty customer taken to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirtyCustomer {
    /// Whom to fetch.
    pub tenant_id: TenantId,
    /// The mark as it was taken; settling clears up to it and no further.
    pub marked: i64,
    /// Failed tries since it was last settled.
    pub attempts: u32,
    /// The run that wants it.
    pub run: Option<RunId>,
    /// What asked for the look; absent when it asked before that was remembered.
    pub cause: Option<LookCause>,
}

/// How far the work on one customer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkProgress {
    /// How often it was wanted.
    pub marked: i64,
    /// Up to which want it has been looked at.
    pub settled: i64,
    /// Failed tries since then.
    pub attempts: u32,
    /// Why the last try failed, or why what it brought cannot be applied.
    pub problem: Option<String>,
    /// Whether nobody looks, because it is paused.
    pub is_paused: bool,
}

const PROGRESS: &str = "
    SELECT marked, settled, attempts, problem, paused_at IS NOT NULL AS is_paused FROM upstream_customer WHERE account = $1 AND tenant_id = $2";

fn progress(row: &Row) -> Result<WorkProgress, Error> {
    Ok(WorkProgress {
        marked: row.try_get("marked")?,
        settled: row.try_get("settled")?,
        attempts: row.try_get("attempts")?,
        problem: row.try_get("problem")?,
        is_paused: row.try_get("is_paused")?,
    })
}

/// How much is owed to an account's customers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Dirty customers that are not paused.
    pub dirty: u64,
    /// Of those, the ones whose last try failed.
    pub failing: u64,
    /// Customers whose record upstream cannot be applied.
    pub quarantined: u64,
    /// Paused customers; none of them is counted above.
    pub paused: u64,
    /// When the next one may be tried.
    pub next_at: Option<Timestamp>,
}

impl Store {
    /// Up to `limit` customers to look at now, most urgent first; a paused one is left alone.
    pub async fn dirty_customers(
        &self,
        account: &PartnerAccountId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DirtyCustomer>, Error> {
        const SELECT: &str = "
            SELECT tenant_id, marked, attempts, wanted_by_run, cause FROM upstream_customer
            WHERE account = $1 AND settled < marked AND paused_at IS NULL AND not_before <= $2
            ORDER BY priority DESC, not_before, tenant_id LIMIT $3";
        let rows =
            statement(SELECT).bind(account.as_str()).bind(now.micros()).bind(limit).fetch_all(&self.backend).await?;
        rows.iter()
            .map(|row| {
                let run: Option<&str> = row.try_get("wanted_by_run")?;
                let cause: Option<&str> = row.try_get("cause")?;
                Ok(DirtyCustomer {
                    tenant_id: tenant(row.try_get("tenant_id")?)?,
                    marked: row.try_get("marked")?,
                    attempts: row.try_get("attempts")?,
                    run: run.and_then(|run| run.parse().ok()),
                    cause: cause.and_then(LookCause::named),
                })
            })
            .collect()
    }

    /// How much is owed.
    pub async fn backlog(&self, account: &PartnerAccountId) -> Result<Backlog, Error> {
        const SELECT: PerDialect = by_index!(
            "
            SELECT count(*) AS dirty, count(*) FILTER (WHERE attempts > 0) AS failing, min(not_before) AS next_at,
                   (SELECT count(*) FROM upstream_customer",
            "upstream_customer_unusable",
            "
                    WHERE account = $1 AND unusable IS NOT NULL AND paused_at IS NULL) AS quarantined,
                   (SELECT count(*) FROM upstream_customer",
            "upstream_customer_paused",
            "
                    WHERE account = $1 AND paused_at IS NOT NULL) AS paused
            FROM upstream_customer",
            "upstream_customer_dirty",
            "
            WHERE account = $1 AND settled < marked AND paused_at IS NULL"
        );
        let row = statement(SELECT).bind(account.as_str()).fetch_one(&self.backend).await?;
        let next_at: Option<i64> = row.try_get("next_at")?;
        Ok(Backlog {
            dirty: row.try_get::<i64, _>("dirty")?.unsigned_abs(),
            failing: row.try_get::<i64, _>("failing")?.unsigned_abs(),
            quarantined: row.try_get::<i64, _>("quarantined")?.unsigned_abs(),
            paused: row.try_get::<i64, _>("paused")?.unsigned_abs(),
            next_at: next_at.map(Timestamp::from_micros),
        })
    }

    /// When the next dirty customer may be tried; `None` when none is dirty.
    pub async fn next_dirty_at(&self, account: &PartnerAccountId) -> Result<Option<Timestamp>, Error> {
        const SELECT: PerDialect = by_index!(
            "
            SELECT min(not_before) FROM upstream_customer",
            "upstream_customer_dirty",
            "
            WHERE account = $1 AND settled < marked AND paused_at IS NULL"
        );
        let row = statement(SELECT).bind(account.as_str()).fetch_one(&self.backend).await?;
        Ok(row.try_get::<Option<i64>, _>(0)?.map(Timestamp::from_micros))
    }

    /// How far the work on one customer is.
    pub async fn work_progress(&self, account: &PartnerAccountId, tenant: TenantId) -> Result<WorkProgress, Error> {
        let row = statement(PROGRESS).bind(account.as_str()).bind(tenant.to_string()).fetch_one(&self.backend).await?;
        progress(&row)
    }

    /// Whether a run has nobody left to fetch, not counting customers that are paused or failed `attempts` times: those
    /// stay dirty and do not keep the run from ending.
    pub async fn run_is_drained(&self, account: &PartnerAccountId, run: RunId, attempts: u32) -> Result<bool, Error> {
        const SELECT: PerDialect = by_index!(
            "
            SELECT 1 FROM upstream_customer",
            "upstream_customer_wanted",
            "
            WHERE account = $1 AND wanted_by_run = $2 AND settled < marked AND paused_at IS NULL AND attempts < $3
            LIMIT 1"
        );
        let row = statement(SELECT)
            .bind(account.as_str())
            .bind(run.to_string())
            .bind(attempts)
            .fetch_optional(&self.backend)
            .await?;
        Ok(row.is_none())
    }

    /// How many customers a run still has to fetch.
    pub async fn run_backlog(&self, account: &PartnerAccountId, run: RunId) -> Result<u64, Error> {
        const SELECT: PerDialect = by_index!(
            "
            SELECT count(*) FROM upstream_customer",
            "upstream_customer_wanted",
            "
            WHERE account = $1 AND wanted_by_run = $2 AND settled < marked AND paused_at IS NULL"
        );
        let row = statement(SELECT).bind(account.as_str()).bind(run.to_string()).fetch_one(&self.backend).await?;
        Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
    }
}

pub(super) fn tenant(text: &str) -> Result<TenantId, Error> {
    text.parse().map_err(|_| Error::Corrupt("upstream_customer.tenant_id".to_owned()))
}

impl Tx {
    /// Wants these customers looked at again. A full run under way keeps the ones it waits for, and the most urgent of
    /// those who wait keeps its cause.
    pub async fn mark_dirty(
        &mut self,
        account: &PartnerAccountId,
        tenants: &[TenantId],
        priority: Priority,
        reason: impl Into<LookReason>,
    ) -> Result<(), Error> {
        self.mark(account, tenants, priority, reason.into(), confirmations::owed_after(priority)).await
    }

    /// As [`Tx::mark_dirty`], with so many looks owed afterwards that confirm the answer.
    pub(super) async fn mark(
        &mut self,
        account: &PartnerAccountId,
        tenants: &[TenantId],
        priority: Priority,
        reason: LookReason,
        confirmations: i64,
    ) -> Result<(), Error> {
        const UPSERT: &str = "
            INSERT INTO upstream_customer AS u
                (account, tenant_id, marked, priority, wanted_by_run, not_before, first_seen_at, confirms_left, cause, newest_cause)
            SELECT $1, value, 1, $3, $4, $5, $5, $6, $7, $7 FROM json_each($2) WHERE true
            ON CONFLICT (account, tenant_id) DO UPDATE SET
                marked = u.marked + 1,
                confirms_left = CASE WHEN $6 > 0 THEN $6 ELSE u.confirms_left END,
                confirm_at = CASE WHEN $6 > 0 THEN NULL ELSE u.confirm_at END,
                cause = CASE WHEN u.settled < u.marked AND u.priority >= excluded.priority THEN u.cause ELSE $7 END,
                newest_cause = $7,
                priority = CASE WHEN u.settled < u.marked THEN max(u.priority, excluded.priority) ELSE excluded.priority END,
                wanted_by_run = CASE WHEN excluded.wanted_by_run IS NULL OR (u.settled < u.marked AND u.wanted_by_run IN (
                    SELECT id FROM sync_run WHERE account = $1 AND kind = 'FULL' AND state IN ('LISTING', 'FETCHING')
                )) THEN u.wanted_by_run ELSE excluded.wanted_by_run END,
                not_before =
                    CASE WHEN u.settled < u.marked THEN min(u.not_before, excluded.not_before) ELSE excluded.not_before END";
        let now = self.now().micros();
        let tenants = serde_json::Value::from_iter(tenants.iter().map(TenantId::to_string));
        self.wake(account);
        statement(UPSERT)
            .bind(account.as_str())
            .bind(tenants.to_string())
            .bind(priority as i64)
            .bind(reason.run.map(|run| run.to_string()))
            .bind(now)
            .bind(confirmations)
            .bind(reason.cause.name())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Remembers that Partner Center told the account of this customer, and owes it nothing.
    pub(super) async fn note_known(&mut self, account: &PartnerAccountId, tenant: TenantId) -> Result<(), Error> {
        const INSERT: &str = "
            INSERT INTO upstream_customer (account, tenant_id, first_seen_at) VALUES ($1, $2, $3)
            ON CONFLICT (account, tenant_id) DO NOTHING";
        let now = self.now().micros();
        statement(INSERT).bind(account.as_str()).bind(tenant.to_string()).bind(now).execute(self.connection()).await?;
        Ok(())
    }

    /// Wants one customer looked at now and returns how far the work on it is: wait for `settled` to reach `marked`.
    pub async fn mark_for_refresh(
        &mut self,
        account: &PartnerAccountId,
        tenant: TenantId,
    ) -> Result<WorkProgress, Error> {
        self.mark_dirty(account, &[tenant], Priority::Refresh, LookCause::Refresh).await?;
        let row =
            statement(PROGRESS).bind(account.as_str()).bind(tenant.to_string()).fetch_one(self.connection()).await?;
        progress(&row)
    }

    /// As [`Tx::mark_for_refresh`], unless somebody waits for such a look already: then that one is waited for.
    pub async fn join_refresh(&mut self, account: &PartnerAccountId, tenant: TenantId) -> Result<WorkProgress, Error> {
        const WAITED_FOR: &str = "
            SELECT marked, settled, attempts, problem, paused_at IS NOT NULL AS is_paused FROM upstream_customer
            WHERE account = $1 AND tenant_id = $2 AND settled < marked AND priority >= $3";
        let row = statement(WAITED_FOR)
            .bind(account.as_str())
            .bind(tenant.to_string())
            .bind(Priority::Refresh as i64)
            .fetch_optional(self.connection())
            .await?;
        match row {
            Some(row) => progress(&row),
            None => self.mark_for_refresh(account, tenant).await,
        }
    }

    /// Whether an answer to a later question is known, also for a customer that has no record.
    pub async fn has_newer_answer(
        &mut self,
        account: &PartnerAccountId,
        observation: &Observation,
    ) -> Result<bool, Error> {
        const SELECT: &str = "
            SELECT 1 FROM upstream_customer
            WHERE account = $1 AND tenant_id = $2 AND (observed_epoch, observed_ticket) >= ($3, $4)";
        let found = statement(SELECT)
            .bind(account.as_str())
            .bind(observation.tenant_id.to_string())
            .bind(observation.mark.epoch.0)
            .bind(observation.mark.ticket.0)
            .fetch_optional(self.connection())
            .await?;
        Ok(found.is_some())
    }

    /// The place of the newest answer about each of these customers, of which some may have none.
    pub async fn newest_answers(
        &mut self,
        account: &PartnerAccountId,
        tenants: &[TenantId],
    ) -> Result<HashMap<TenantId, ObservationMark>, Error> {
        const SELECT: &str = "
            SELECT tenant_id, observed_epoch, observed_ticket FROM upstream_customer
            WHERE account = $1 AND tenant_id IN (SELECT value FROM json_each($2))";
        let tenants = serde_json::Value::from_iter(tenants.iter().map(TenantId::to_string));
        let rows =
            statement(SELECT).bind(account.as_str()).bind(tenants.to_string()).fetch_all(self.connection()).await?;
        let newest = |row: &Row| -> Result<_, Error> {
            let mark = ObservationMark { epoch: Epoch(row.try_get(1)?), ticket: Ticket(row.try_get(2)?) };
            Ok((tenant(row.try_get(0)?)?, mark))
        };
        rows.iter().map(newest).collect()
    }

    /// Partner Center has the customer, and we are level with it, because of a look that `cause` asked for.
    pub(super) async fn note_present(
        &mut self,
        account: &PartnerAccountId,
        tenant: TenantId,
        mark: ObservationMark,
        cause: Option<LookCause>,
    ) -> Result<(), Error> {
        self.note_all_present(account, &[(tenant, mark, cause)]).await
    }

    /// As [`Tx::note_present`], for different customers.
    pub(super) async fn note_all_present(
        &mut self,
        account: &PartnerAccountId,
        present: &[(TenantId, ObservationMark, Option<LookCause>)],
    ) -> Result<(), Error> {
        // Materialized with its account, so that SQLite has no other way than to look for each by its key.
        const UPDATE: &str = "
            WITH level (of_account, there, epoch, ticket, cause_of_look) AS MATERIALIZED (
                SELECT $1, value ->> 0, CAST(value ->> 1 AS BIGINT), CAST(value ->> 2 AS BIGINT), value ->> 3 FROM json_each($2)
            )
            UPDATE upstream_customer SET
                observed_epoch = epoch, observed_ticket = ticket, verified_at = $3, verified_by = cause_of_look,
                problem = NULL, unusable = NULL,
                gone_answer = NULL, gone_at = NULL, missing_runs = 0, removal_recorded_at = NULL, removal_dismissed_at = NULL
            FROM level WHERE account = of_account AND tenant_id = there";
        const FORGETFUL: &str = "
            WITH level (of_account, there, epoch, ticket, cause_of_look) AS MATERIALIZED (
                SELECT $1, value ->> 0, CAST(value ->> 1 AS BIGINT), CAST(value ->> 2 AS BIGINT), value ->> 3 FROM json_each($2)
            )
            UPDATE upstream_customer SET
                observed_epoch = epoch, observed_ticket = ticket, verified_at = $3, verified_by = cause_of_look, problem = NULL
            FROM level WHERE account = of_account AND tenant_id = there";
        let now = self.now().micros();
        let there = serde_json::Value::from_iter(present.iter().map(|(tenant, mark, cause)| {
            serde_json::json!([tenant.to_string(), mark.epoch.0, mark.ticket.0, cause.map(LookCause::name)])
        }));
        let done = statement(if planted!("evidence-survives-return") { FORGETFUL } else { UPDATE })
            .bind(account.as_str())
            .bind(there.to_string())
            .bind(now)
            .execute(self.connection())
            .await?;
        expect_rows(done, present.len())
    }

    /// Partner Center says that it has no such customer.
    pub(super) async fn note_gone(
        &mut self,
        account: &PartnerAccountId,
        tenant: TenantId,
        mark: ObservationMark,
        answer: GoneAnswer,
    ) -> Result<(), Error> {
        const UPDATE: &str = "
            UPDATE upstream_customer SET
                observed_epoch = $3, observed_ticket = $4, gone_answer = $5, gone_at = $6, problem = NULL,
                unusable = NULL
            WHERE account = $1 AND tenant_id = $2";
        let now = self.now().micros();
        let done = statement(UPDATE)
            .bind(account.as_str())
            .bind(tenant.to_string())
            .bind(mark.epoch.0)
            .bind(mark.ticket.0)
            .bind(answer.code())
            .bind(now)
            .execute(self.connection())
            .await?;
        expect_rows(done, 1)
    }

    /// What Partner Center said cannot be applied.
    pub(super) async fn note_unusable(
        &mut self,
        account: &PartnerAccountId,
        tenant: TenantId,
        reason: &str,
    ) -> Result<(), Error> {
        let done =
            statement("UPDATE upstream_customer SET problem = $3, unusable = $3 WHERE account = $1 AND tenant_id = $2")
                .bind(account.as_str())
                .bind(tenant.to_string())
                .bind(reason)
                .execute(self.connection())
                .await?;
        expect_rows(done, 1)
    }
}

fn expect_rows(rows: u64, expected: usize) -> Result<(), Error> {
    if usize::try_from(rows) == Ok(expected) {
        return Ok(());
    }
    Err(Error::Corrupt(format!("{rows} upstream customers where there must be {expected}")))
}
