//! The indirect resellers of an account as Partner Center lists them, and how the reading of them stands.
//!
//! A reading is a round: the list of resellers to its end, then the customers of each. Which of them was read in the round
//! commits with what its list said, so that a restart repeats at most one reseller.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::domain::reseller::{ListedReseller, Reseller, empty_needs_confirmation};
use crate::store::row::Row;
use crate::store::statement::{PerDialect, by_index, statement};
use crate::store::upstream::tenant;
use crate::store::{Error, Store, SyncProblem, Tx};

/// A reseller as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptReseller {
    /// What Partner Center says of it.
    pub listed: ListedReseller,
    /// Whether the last list that was read to its end had it.
    pub active: bool,
    /// When such a list last had it.
    pub seen_at: Timestamp,
    /// When its customers were last read to the end.
    pub read_at: Option<Timestamp>,
    /// How many customers show it.
    pub customers: u64,
}

/// How the reading of an account's resellers stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResellerReading {
    /// Whether calls can be made on behalf of a user, as the worker last noted.
    pub has_user: bool,
    /// How often a reading was wished for.
    pub wanted: i64,
    /// Which of these wishes the newest round fulfils.
    pub round: i64,
    /// When that round began.
    pub began_at: Option<Timestamp>,
    /// Whether it is under way: the resellers are listed, and the customers of some are still to be read.
    pub under_way: bool,
    /// When a round last reached its end.
    pub read_at: Option<Timestamp>,
    /// Why the resellers cannot be read.
    pub problem: Option<SyncProblem>,
}

impl ResellerReading {
    /// Whether a round is wanted that has not begun.
    pub const fn is_wanted(&self) -> bool {
        self.round < self.wanted
    }
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResellerCounts {
    /// Resellers that the last list had.
    pub resellers: u64,
    /// Customers that show at least one.
    pub mapped_customers: u64,
}

/// What a list of resellers that was read to its end did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundBegun {
    /// The customers of each are to be read.
    Begun,
    /// It was empty, and resellers are known: nothing is changed before a second one is empty as well.
    EmptyForTheFirstTime,
}

const SELECT_READING: &str = "SELECT * FROM reseller_sync WHERE account = $1";

impl Store {
    /// How the reading of the account's resellers stands; `None` before its worker has run.
    pub async fn reseller_reading(&self, account: &PartnerAccountId) -> Result<Option<ResellerReading>, Error> {
        let row = statement(SELECT_READING).bind(account.as_str()).fetch_optional(&self.backend).await?;
        row.as_ref().map(reading).transpose()
    }

    /// How many resellers and mapped customers the account has.
    pub async fn reseller_counts(&self, account: &PartnerAccountId) -> Result<ResellerCounts, Error> {
        const SELECT: &str = "
            SELECT (SELECT count(*) FROM reseller WHERE account = $1 AND active) AS resellers,
                   (SELECT count(DISTINCT tenant_id) FROM customer_reseller WHERE account = $1 AND shown) AS customers";
        let row = statement(SELECT).bind(account.as_str()).fetch_one(&self.backend).await?;
        let count = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
        Ok(ResellerCounts { resellers: count("resellers")?, mapped_customers: count("customers")? })
    }

    /// Up to `limit` resellers of the account, by tenant, from after that one.
    pub async fn resellers(
        &self,
        account: &PartnerAccountId,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<KeptReseller>, Error> {
        const SELECT: PerDialect = by_index!(
            "
            SELECT r.*, (
                SELECT count(*) FROM customer_reseller m",
            "customer_reseller_of_reseller",
            "
                WHERE m.reseller_id = r.tenant_id AND m.account = r.account AND m.shown
            ) AS customers
            FROM reseller r WHERE r.account = $1 AND ($2 IS NULL OR r.tenant_id > $2) ORDER BY r.tenant_id LIMIT $3"
        );
        let rows = statement(SELECT)
            .bind(account.as_str())
            .bind(after.map(|after| after.to_string()))
            .bind(limit)
            .fetch_all(&self.backend)
            .await?;
        rows.iter().map(reseller).collect()
    }

    /// The next active reseller, by tenant and after that one, whose customers were not read in that round.
    pub async fn next_reseller_to_read(
        &self,
        account: &PartnerAccountId,
        round: i64,
        after: Option<TenantId>,
    ) -> Result<Option<TenantId>, Error> {
        const SELECT: &str = "
            SELECT tenant_id FROM reseller
            WHERE account = $1 AND active AND ($2 IS NULL OR tenant_id > $2) AND read_round IS DISTINCT FROM $3
            ORDER BY tenant_id LIMIT 1";
        let row = statement(SELECT)
            .bind(account.as_str())
            .bind(after.map(|after| after.to_string()))
            .bind(round)
            .fetch_optional(&self.backend)
            .await?;
        row.map(|row| tenant(row.try_get(0)?)).transpose()
    }
}

fn reading(row: &Row) -> Result<ResellerReading, Error> {
    let time = |column: &str| row.try_get::<Option<i64>, _>(column).map(|micros| micros.map(Timestamp::from_micros));
    let reason: Option<String> = row.try_get("problem_reason")?;
    let detail: Option<String> = row.try_get("problem_detail")?;
    Ok(ResellerReading {
        has_user: row.try_get("has_user")?,
        wanted: row.try_get("wanted")?,
        round: row.try_get("round")?,
        began_at: time("began_at")?,
        under_way: row.try_get("under_way")?,
        read_at: time("read_at")?,
        problem: reason.zip(time("problem_since")?).map(|(reason, since)| SyncProblem {
            reason,
            detail: detail.unwrap_or_default(),
            since,
        }),
    })
}

fn reseller(row: &Row) -> Result<KeptReseller, Error> {
    Ok(KeptReseller {
        listed: ListedReseller {
            reseller: Reseller {
                tenant_id: tenant(row.try_get("tenant_id")?)?,
                display_name: row.try_get("display_name")?,
                mpn_id: row.try_get("mpn_id")?,
            },
            location: row.try_get("location")?,
            state: row.try_get("state")?,
        },
        active: row.try_get("active")?,
        seen_at: Timestamp::from_micros(row.try_get("seen_at")?),
        read_at: row.try_get::<Option<i64>, _>("read_at")?.map(Timestamp::from_micros),
        customers: row.try_get::<i64, _>("customers")?.unsigned_abs(),
    })
}

impl Tx {
    /// The account's worker runs, with or without a user. The first time, what a full run left behind wants a reading.
    pub async fn note_reseller_user(&mut self, account: &PartnerAccountId, has_user: bool) -> Result<(), Error> {
        const UPSERT: &str = "
            INSERT INTO reseller_sync (account, has_user, wanted)
            VALUES ($1, $2, CASE WHEN EXISTS (
                SELECT 1 FROM sync_run WHERE account = $1 AND kind = 'FULL' AND state = 'SUCCEEDED') THEN 1 ELSE 0 END)
            ON CONFLICT (account) DO UPDATE SET has_user = $2";
        statement(UPSERT).bind(account.as_str()).bind(has_user).execute(self.connection()).await?;
        Ok(())
    }

    /// The resellers of the account are to be read once more; of an account that has none, nothing is.
    pub async fn want_resellers(&mut self, account: &PartnerAccountId) -> Result<(), Error> {
        self.wake(account);
        statement("UPDATE reseller_sync SET wanted = wanted + 1 WHERE account = $1")
            .bind(account.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Keeps what a list says of these resellers; what it lacks is decided at its end.
    pub async fn save_resellers(
        &mut self,
        account: &PartnerAccountId,
        resellers: &[ListedReseller],
    ) -> Result<(), Error> {
        const RENAMED: PerDialect = by_index!(
            "
            UPDATE customer_reseller",
            "customer_reseller_of_reseller",
            " SET pending = TRUE
            WHERE account = $1 AND shown AND reseller_id = (
                SELECT r.tenant_id FROM reseller r
                WHERE r.account = $1 AND r.tenant_id = $2 AND (r.display_name, r.mpn_id) IS DISTINCT FROM ($3, $4)
            )"
        );
        const UPSERT: &str = "
            INSERT INTO reseller (account, tenant_id, display_name, mpn_id, location, state, active, seen_at)
            VALUES ($1, $2, $3, $4, $5, $6, TRUE, $7)
            ON CONFLICT (account, tenant_id) DO UPDATE SET
                display_name = $3, mpn_id = $4, location = $5, state = $6, active = TRUE, seen_at = $7";
        let now = self.now().micros();
        for ListedReseller { reseller, location, state } in resellers {
            let id = reseller.tenant_id.to_string();
            statement(RENAMED)
                .bind(account.as_str())
                .bind(&id)
                .bind(&reseller.display_name)
                .bind(&reseller.mpn_id)
                .execute(self.connection())
                .await?;
            statement(UPSERT)
                .bind(account.as_str())
                .bind(&id)
                .bind(&reseller.display_name)
                .bind(&reseller.mpn_id)
                .bind(location)
                .bind(state)
                .bind(now)
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    /// The list of resellers has been read to its end: those that it lacks are no longer active and serve nobody, unless
    /// it `may_lack` some. The round that fulfils the wish `wanted` begins.
    pub async fn begin_reseller_round(
        &mut self,
        account: &PartnerAccountId,
        wanted: i64,
        listed: &BTreeSet<TenantId>,
        may_lack: bool,
    ) -> Result<RoundBegun, Error> {
        const ACTIVE: &str = "SELECT tenant_id FROM reseller WHERE account = $1 AND active";
        const BEGIN: &str = "
            UPDATE reseller_sync SET
                round = $2, began_at = $3, under_way = $4, was_empty = $5
            WHERE account = $1";
        let rows = statement(ACTIVE).bind(account.as_str()).fetch_all(self.connection()).await?;
        let active = rows.iter().map(|row| tenant(row.try_get(0)?)).collect::<Result<Vec<_>, Error>>()?;
        let was_empty: bool = statement("SELECT was_empty FROM reseller_sync WHERE account = $1")
            .bind(account.as_str())
            .fetch_one(self.connection())
            .await?
            .try_get(0)?;
        let is_empty = listed.is_empty();
        let known = u64::try_from(active.len()).unwrap_or(u64::MAX);
        let waits = is_empty && empty_needs_confirmation(known, 0, was_empty);
        if !waits && !may_lack {
            for gone in active.iter().filter(|reseller| !listed.contains(reseller)) {
                self.retire_reseller(account, *gone).await?;
            }
        }
        let now = self.now().micros();
        statement(BEGIN)
            .bind(account.as_str())
            .bind(wanted)
            .bind(now)
            .bind(!waits)
            .bind(is_empty)
            .execute(self.connection())
            .await?;
        Ok(if waits { RoundBegun::EmptyForTheFirstTime } else { RoundBegun::Begun })
    }

    /// The partner is no indirect provider any more: nobody serves its customers for it.
    pub async fn retire_resellers(&mut self, account: &PartnerAccountId) -> Result<(), Error> {
        const ACTIVE: &str = "SELECT tenant_id FROM reseller WHERE account = $1 AND active";
        let rows = statement(ACTIVE).bind(account.as_str()).fetch_all(self.connection()).await?;
        for row in &rows {
            self.retire_reseller(account, tenant(row.try_get(0)?)?).await?;
        }
        statement("DELETE FROM reseller_sync WHERE account = $1")
            .bind(account.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn retire_reseller(&mut self, account: &PartnerAccountId, reseller: TenantId) -> Result<(), Error> {
        const RETIRE: &str =
            "UPDATE reseller SET active = FALSE, was_empty = FALSE WHERE account = $1 AND tenant_id = $2";
        statement(RETIRE).bind(account.as_str()).bind(reseller.to_string()).execute(self.connection()).await?;
        self.unlist_all_customers_of(account, reseller).await
    }

    /// The customers of every reseller were read in the round.
    pub async fn finish_reseller_round(&mut self, account: &PartnerAccountId) -> Result<(), Error> {
        const FINISH: &str = "
            UPDATE reseller_sync SET
                under_way = FALSE, read_at = $2, problem_reason = NULL, problem_detail = NULL, problem_since = NULL
            WHERE account = $1";
        let now = self.now().micros();
        statement(FINISH).bind(account.as_str()).bind(now).execute(self.connection()).await?;
        Ok(())
    }

    /// The resellers cannot be read; the first of a series of the same kind gives the time.
    pub async fn note_reseller_problem(
        &mut self,
        account: &PartnerAccountId,
        reason: &str,
        detail: &str,
    ) -> Result<(), Error> {
        const UPDATE: &str = "
            UPDATE reseller_sync SET
                problem_since = CASE WHEN problem_reason IS NOT DISTINCT FROM $2 THEN problem_since ELSE $4 END,
                problem_reason = $2, problem_detail = $3
            WHERE account = $1";
        let now = self.now().micros();
        statement(UPDATE).bind(account.as_str()).bind(reason).bind(detail).bind(now).execute(self.connection()).await?;
        Ok(())
    }
}
