//! Sync runs: passes over an account's customer list, their progress and what came of them.
//!
//! The place in the listing commits together with what the page said, so that a restart repeats at most one page.

use std::collections::HashSet;
use std::time::Duration;

use futures::TryStreamExt;

use crate::clock::Timestamp;
use crate::domain::ids::{PartnerAccountId, RunId, TenantId};
use crate::domain::observation::ListedCustomer;
use crate::store::row::Row;
use crate::store::statement::statement;
use crate::store::upstream::tenant;
use crate::store::{CallTally, Error, ListedPage, Store, Tx, listed};

/// What a run does with the customers it lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    /// Fetches every one of them.
    Full,
    /// Fetches the new, the renamed and the missing.
    ListDiff,
}

/// Why a run was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunCause {
    /// The account has never been synchronized, or not since the database was put back to an earlier state.
    First,
    /// It is night.
    Nightly,
    /// Somebody asked for it.
    Manual,
    /// The interval has passed.
    Scheduled,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Reading the list.
    Listing,
    /// The list is read; customers are being fetched.
    Fetching,
    /// Done.
    Succeeded,
    /// Given up; the reason is kept.
    Failed,
}

macro_rules! named {
    ($type:ty, $($variant:ident => $name:literal),+ $(,)?) => {
        impl $type {
            /// The name in the store and in logs.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            fn named(name: &str) -> Option<Self> {
                [$(Self::$variant),+].into_iter().find(|one| one.name() == name)
            }
        }
    };
}

named!(RunKind, Full => "FULL", ListDiff => "LIST_DIFF");
named!(RunCause, First => "FIRST", Nightly => "NIGHTLY", Manual => "MANUAL", Scheduled => "SCHEDULED");
named!(RunState, Listing => "LISTING", Fetching => "FETCHING", Succeeded => "SUCCEEDED", Failed => "FAILED");

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRun {
    /// Its id.
    pub id: RunId,
    /// The account it synchronizes.
    pub account: PartnerAccountId,
    /// What it does.
    pub kind: RunKind,
    /// Why it was started.
    pub cause: RunCause,
    /// How far it is.
    pub state: RunState,
    /// The caller that started it, or `worker`.
    pub started_by: String,
    /// Where the listing goes on.
    pub next_link: Option<String>,
    /// Pages read.
    pub pages: u32,
    /// Customers listed.
    pub listed: u64,
    /// How often the listing began anew.
    pub listing_restarts: u32,
    /// Customers it wanted fetched.
    pub marked: u64,
    /// Customers it fetched.
    pub fetched: u64,
    /// Of those, the ones whose record could not be applied.
    pub unusable: u64,
    /// Active customers its list lacked.
    pub missing: u64,
    /// Why it failed.
    pub problem: Option<String>,
    /// When it was started.
    pub started_at: Timestamp,
    /// When the list had been read to its end.
    pub listed_at: Option<Timestamp>,
    /// When it was done.
    pub finished_at: Option<Timestamp>,
    /// What it changed, counted when it ended.
    pub counts: Option<RunCounts>,
    /// Customers that the complete list before it held.
    pub expected: Option<u64>,
    /// Entries of the list about a customer that it had shown before.
    pub duplicates: u64,
    /// Calls made for it, and those of them that asked again.
    pub tally: CallTally,
    /// Answers that told the account to slow down meanwhile.
    pub throttles: u64,
    /// For how long the account was told to rest.
    pub throttled_for: Duration,
    /// How often the page that is read next has failed.
    pub page_tries: u32,
    /// How far it is, in percent; never smaller than before.
    pub progress: u8,
}

/// What a run changed, counted from the change log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// New customers.
    pub created: u64,
    /// Customers whose fields changed.
    pub changed: u64,
    /// Relationships that ended.
    pub ended: u64,
    /// Relationships that returned.
    pub revived: u64,
}

/// What one page of a listing did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageProgress {
    /// How many of its customers are to be fetched.
    pub marked: u64,
}

/// How many finished list diffs of an account are kept.
const LIST_DIFFS_KEPT: i64 = 200;

const ONE: &str = "SELECT * FROM sync_run WHERE account = $1 AND id = $2";

const NEWEST_FULL: &str = "SELECT * FROM sync_run WHERE account = $1 AND kind = 'FULL' ORDER BY id DESC LIMIT 1";

const UNDER_WAY: &str = "
    SELECT * FROM sync_run WHERE account = $1 AND kind = $2 AND state IN ('LISTING', 'FETCHING')";

const COUNT: &str = "
    SELECT count(*) FILTER (WHERE kind = 'CREATED') AS customers_created,
           count(*) FILTER (WHERE kind = 'SYNCED') AS customers_changed,
           count(*) FILTER (WHERE kind = 'ENDED') AS customers_ended,
           count(*) FILTER (WHERE kind = 'REVIVED') AS customers_revived
    FROM change_log WHERE run_id = $1";

impl Store {
    /// The run of that kind that is under way.
    pub async fn run_under_way(&self, account: &PartnerAccountId, kind: RunKind) -> Result<Option<SyncRun>, Error> {
        let row = statement(UNDER_WAY).bind(account.as_str()).bind(kind.name()).fetch_optional(&self.backend).await?;
        row.as_ref().map(run).transpose()
    }

    /// One run.
    pub async fn sync_run(&self, account: &PartnerAccountId, id: RunId) -> Result<Option<SyncRun>, Error> {
        let row = statement(ONE).bind(account.as_str()).bind(id.to_string()).fetch_optional(&self.backend).await?;
        row.as_ref().map(run).transpose()
    }

    /// Up to `limit` runs of an account that are older than `before`, newest first.
    pub async fn sync_runs(
        &self,
        account: &PartnerAccountId,
        before: Option<RunId>,
        limit: u32,
    ) -> Result<Vec<SyncRun>, Error> {
        // Run ids sort by the time the run was started.
        let rows = statement(
            "SELECT * FROM sync_run WHERE account = $1 AND ($2 IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        )
        .bind(account.as_str())
        .bind(before.map(|before| before.to_string()))
        .bind(limit)
        .fetch_all(&self.backend)
        .await?;
        rows.iter().map(run).collect()
    }

    /// The full run that succeeded last.
    pub async fn last_full_run(&self, account: &PartnerAccountId) -> Result<Option<SyncRun>, Error> {
        const SELECT: &str = "
            SELECT * FROM sync_run WHERE account = $1 AND kind = 'FULL' AND state = 'SUCCEEDED' ORDER BY id DESC LIMIT 1";
        let row = statement(SELECT).bind(account.as_str()).fetch_optional(&self.backend).await?;
        row.as_ref().map(run).transpose()
    }

    /// The list diff that was started last, whatever became of it.
    pub async fn newest_list_diff(&self, account: &PartnerAccountId) -> Result<Option<SyncRun>, Error> {
        const SELECT: &str = "
            SELECT * FROM sync_run WHERE account = $1 AND kind = 'LIST_DIFF' ORDER BY id DESC LIMIT 1";
        let row = statement(SELECT).bind(account.as_str()).fetch_optional(&self.backend).await?;
        row.as_ref().map(run).transpose()
    }

    /// The full run that was started last, whatever became of it.
    pub async fn newest_full_run(&self, account: &PartnerAccountId) -> Result<Option<SyncRun>, Error> {
        let row = statement(NEWEST_FULL).bind(account.as_str()).fetch_optional(&self.backend).await?;
        row.as_ref().map(run).transpose()
    }

    /// What a run changed: as it was counted when it ended, or as it is so far.
    pub async fn run_counts(&self, run: &SyncRun) -> Result<RunCounts, Error> {
        match run.counts {
            Some(counts) => Ok(counts),
            None => counted(&statement(COUNT).bind(run.id.to_string()).fetch_one(&self.backend).await?),
        }
    }

    /// The active customers that no page of the run held, nor the `last` one, which is not saved yet, and that were known
    /// before it began.
    pub async fn missing_in_listing(&self, run: &SyncRun, last: &[ListedCustomer]) -> Result<Vec<TenantId>, Error> {
        const PAGES: &str = "SELECT tenant_ids FROM sync_run_page WHERE account = $1 AND run_id = $2";
        const KNOWN: &str = "
            SELECT c.microsoft_tenant_id FROM customer c
            JOIN upstream_customer u ON u.account = c.account AND u.tenant_id = c.microsoft_tenant_id
            WHERE c.account = $1 AND c.relationship = 'ACTIVE' AND u.first_seen_at < $2
            UNION ALL
            SELECT p.tenant_id FROM pending_link p WHERE p.account = $1 AND p.noted_at < $2";
        let mut listed: HashSet<_> = last.iter().map(|customer| *customer.tenant_id.uuid().as_bytes()).collect();
        let mut reading = self.backend.begin_reading().await?;
        let mut pages = statement(PAGES).bind(run.account.as_str()).bind(run.id.to_string()).fetch(&mut reading);
        while let Some(row) = pages.try_next().await? {
            let ids: &[u8] = row.try_get(0)?;
            listed.extend(ids.chunks_exact(16).filter_map(|id| <[u8; 16]>::try_from(id).ok()));
        }
        drop(pages);
        let mut missing = Vec::new();
        let mut known = statement(KNOWN).bind(run.account.as_str()).bind(run.started_at.micros()).fetch(&mut reading);
        while let Some(row) = known.try_next().await? {
            let tenant = tenant(row.try_get(0)?)?;
            if !listed.contains(tenant.uuid().as_bytes()) {
                missing.push(tenant);
            }
        }
        drop(known);
        reading.commit().await?;
        Ok(missing)
    }
}

fn counted(row: &Row) -> Result<RunCounts, Error> {
    let count = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    Ok(RunCounts {
        created: count("customers_created")?,
        changed: count("customers_changed")?,
        ended: count("customers_ended")?,
        revived: count("customers_revived")?,
    })
}

pub(super) fn run(row: &Row) -> Result<SyncRun, Error> {
    let corrupt = |column: &str| Error::Corrupt(format!("sync_run.{column}"));
    let text = |column: &str| row.try_get::<&str, _>(column);
    let count = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    let time = |column: &str| row.try_get::<Option<i64>, _>(column).map(|micros| micros.map(Timestamp::from_micros));
    Ok(SyncRun {
        id: text("id")?.parse().map_err(|_| corrupt("id"))?,
        account: text("account")?.parse().map_err(|_| corrupt("account"))?,
        kind: RunKind::named(text("kind")?).ok_or_else(|| corrupt("kind"))?,
        cause: RunCause::named(text("cause")?).ok_or_else(|| corrupt("cause"))?,
        state: RunState::named(text("state")?).ok_or_else(|| corrupt("state"))?,
        started_by: text("started_by")?.to_owned(),
        next_link: row.try_get("next_link")?,
        pages: row.try_get("pages")?,
        listed: count("listed")?,
        listing_restarts: row.try_get("listing_restarts")?,
        marked: count("marked")?,
        fetched: count("fetched")?,
        unusable: count("unusable")?,
        missing: count("missing")?,
        problem: row.try_get("problem")?,
        started_at: Timestamp::from_micros(row.try_get("started_at")?),
        listed_at: time("listed_at")?,
        finished_at: time("finished_at")?,
        counts: row.try_get::<Option<i64>, _>("customers_created")?.map(|_| counted(row)).transpose()?,
        expected: row.try_get::<Option<i64>, _>("expected")?.map(i64::unsigned_abs),
        duplicates: count("duplicates")?,
        tally: CallTally { calls: count("calls")?, retries: count("retries")? },
        throttles: count("throttles")?,
        throttled_for: Duration::from_micros(count("throttled_for")?),
        page_tries: row.try_get("page_tries")?,
        progress: row.try_get("progress")?,
    })
}

impl Tx {
    /// What a run that is under way has changed so far.
    pub async fn run_counts(&mut self, run: RunId) -> Result<RunCounts, Error> {
        counted(&statement(COUNT).bind(run.to_string()).fetch_one(self.connection()).await?)
    }

    /// The run of that kind that is under way, read under the write lock.
    pub async fn run_under_way(&mut self, account: &PartnerAccountId, kind: RunKind) -> Result<Option<SyncRun>, Error> {
        let row =
            statement(UNDER_WAY).bind(account.as_str()).bind(kind.name()).fetch_optional(self.connection()).await?;
        row.as_ref().map(run).transpose()
    }

    /// One run.
    pub(super) async fn sync_run(&mut self, account: &PartnerAccountId, id: RunId) -> Result<Option<SyncRun>, Error> {
        let row = statement(ONE).bind(account.as_str()).bind(id.to_string()).fetch_optional(self.connection()).await?;
        row.as_ref().map(run).transpose()
    }

    /// The full run of an account that was started last, whatever became of it.
    pub async fn newest_full_run(&mut self, account: &PartnerAccountId) -> Result<Option<SyncRun>, Error> {
        let row = statement(NEWEST_FULL).bind(account.as_str()).fetch_optional(self.connection()).await?;
        row.as_ref().map(run).transpose()
    }

    /// Starts a run. At most one of a kind is under way in an account.
    pub async fn start_run(
        &mut self,
        account: &PartnerAccountId,
        kind: RunKind,
        cause: RunCause,
        started_by: &str,
    ) -> Result<SyncRun, Error> {
        const INSERT: &str = "
            INSERT INTO sync_run (account, id, kind, cause, state, started_by, started_at, expected)
            VALUES ($1, $2, $3, $4, 'LISTING', $5, $6, (
                SELECT listed FROM sync_run WHERE account = $1 AND listed_at IS NOT NULL ORDER BY listed_at DESC LIMIT 1
            )) RETURNING *";
        let now = self.now();
        self.wake(account);
        let row = statement(INSERT)
            .bind(account.as_str())
            .bind(RunId::mint(now).to_string())
            .bind(kind.name())
            .bind(cause.name())
            .bind(started_by)
            .bind(now.micros())
            .fetch_one(self.connection())
            .await?;
        run(&row)
    }

    /// Remembers a page: its customers, and where the listing goes on.
    pub async fn save_page(
        &mut self,
        run: &SyncRun,
        page: &ListedPage<'_>,
        next_link: Option<&str>,
    ) -> Result<PageProgress, Error> {
        const ADVANCE: &str = "
            UPDATE sync_run SET
                pages = pages + 1, listed = listed + $3, marked = marked + $4, next_link = $5, duplicates = duplicates + $6,
                page_tries = 0
            WHERE account = $1 AND id = $2 AND state = 'LISTING'";
        const KEEP: &str = "INSERT INTO sync_run_page (account, run_id, page, tenant_ids) VALUES ($1, $2, $3, $4)";
        let everyone = run.kind == RunKind::Full && !planted!("night-skips-the-unchanged");
        let (noted, ids) = self.note_page(run, page, everyone).await?;
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        statement(KEEP)
            .bind(run.account.as_str())
            .bind(run.id.to_string())
            .bind(run.pages)
            .bind(ids)
            .execute(self.connection())
            .await?;
        let advanced = statement(ADVANCE)
            .bind(run.account.as_str())
            .bind(run.id.to_string())
            .bind(signed(noted.listed))
            .bind(signed(noted.wanted))
            .bind(next_link)
            .bind(signed(noted.duplicates))
            .execute(self.connection())
            .await?;
        expect_listing(run, advanced)?;
        self.note_progress(&run.account, run.id).await?;
        Ok(PageProgress { marked: noted.wanted })
    }

    /// The listing broke off and begins anew; what its pages held no longer counts.
    pub async fn restart_listing(&mut self, run: &SyncRun) -> Result<(), Error> {
        const RESTART: &str = "
            UPDATE sync_run SET
                pages = 0, listed = 0, duplicates = 0, page_tries = 0, marked = CASE WHEN kind = 'FULL' THEN 0 ELSE marked END, next_link = NULL, listing_restarts = listing_restarts + 1
            WHERE account = $1 AND id = $2";
        self.forget_pages(run).await?;
        statement(RESTART).bind(run.account.as_str()).bind(run.id.to_string()).execute(self.connection()).await?;
        Ok(())
    }

    /// The list has been read to its end, and lacked `missing`.
    pub async fn finish_listing(&mut self, run: &SyncRun, missing: &[TenantId]) -> Result<(), Error> {
        const LISTED: &str = "
            UPDATE sync_run SET state = 'FETCHING', listed_at = $3, missing = $4, marked = marked + $5, next_link = NULL
            WHERE account = $1 AND id = $2 AND state = 'LISTING'";
        let now = self.now().micros();
        self.forget_pages(run).await?;
        let wanted = self.note_missing(&run.account, missing, listed::reason_of(run)).await?;
        let listed = statement(LISTED)
            .bind(run.account.as_str())
            .bind(run.id.to_string())
            .bind(now)
            .bind(i64::try_from(missing.len()).unwrap_or(i64::MAX))
            .bind(i64::try_from(wanted).unwrap_or(i64::MAX))
            .execute(self.connection())
            .await?;
        expect_listing(run, listed)?;
        self.note_progress(&run.account, run.id).await?;
        statement("UPDATE account_sync SET listed_at = $2 WHERE account = $1")
            .bind(run.account.as_str())
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn forget_pages(&mut self, run: &SyncRun) -> Result<(), Error> {
        statement("DELETE FROM sync_run_page WHERE account = $1 AND run_id = $2")
            .bind(run.account.as_str())
            .bind(run.id.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The run fetched so many more customers; the records of `unusable` of them could not be applied.
    pub async fn count_fetched(
        &mut self,
        account: &PartnerAccountId,
        run: RunId,
        fetched: u32,
        unusable: u32,
    ) -> Result<(), Error> {
        statement(
            "UPDATE sync_run SET fetched = fetched + $3, unusable = unusable + $4 WHERE account = $1 AND id = $2",
        )
        .bind(account.as_str())
        .bind(run.to_string())
        .bind(fetched)
        .bind(unusable)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The run is done; `problem` is why it failed, if it did.
    pub async fn finish_run(&mut self, run: &SyncRun, problem: Option<&str>) -> Result<(), Error> {
        const FINISH: &str = "
            UPDATE sync_run SET
                state = $3, progress = CASE WHEN $4 IS NULL THEN 100 ELSE progress END, problem = $4, finished_at = $5, next_link = NULL, customers_created = $6, customers_changed = $7,
                customers_ended = $8, customers_revived = $9
            WHERE account = $1 AND id = $2";
        const PRUNE: &str = "
            DELETE FROM sync_run WHERE account = $1 AND kind = 'LIST_DIFF' AND state IN ('SUCCEEDED', 'FAILED') AND id <= (
                SELECT id FROM sync_run WHERE account = $1 AND kind = 'LIST_DIFF' ORDER BY id DESC LIMIT 1 OFFSET $2
            )";
        let state = if problem.is_none() { RunState::Succeeded } else { RunState::Failed };
        let now = self.now().micros();
        let counts = self.run_counts(run.id).await?;
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.forget_pages(run).await?;
        statement(FINISH)
            .bind(run.account.as_str())
            .bind(run.id.to_string())
            .bind(state.name())
            .bind(problem)
            .bind(now)
            .bind(signed(counts.created))
            .bind(signed(counts.changed))
            .bind(signed(counts.ended))
            .bind(signed(counts.revived))
            .execute(self.connection())
            .await?;
        // A night has looked at everybody: who serves whom is read again after it.
        if run.kind == RunKind::Full && problem.is_none() {
            self.want_resellers(&run.account).await?;
        }
        statement(PRUNE).bind(run.account.as_str()).bind(LIST_DIFFS_KEPT).execute(self.connection()).await?;
        Ok(())
    }
}

/// Only the run that is listing takes pages; anything else has been overtaken and must not be written.
fn expect_listing(run: &SyncRun, rows: u64) -> Result<(), Error> {
    if rows == 1 { Ok(()) } else { Err(Error::Corrupt(format!("sync run {} is not listing", run.id))) }
}
