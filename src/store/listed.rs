//! What the customer list says of a customer is remembered, so that only what is new there is looked at.
//!
//! The list may show a customer several times (a partner with two roles sees it once in each), on one page or on several,
//! and differently. It is one customer: all its entries are remembered together, whatever their order, so that a list that
//! shows the same ones again says nothing new. Which of them is right, only the detail says.

use std::collections::HashSet;

use crate::domain::ids::TenantId;
use crate::domain::look::{LookCause, LookReason};
use crate::domain::observation::ListedCustomer;
use crate::store::row::Row;
use crate::store::statement::statement;
use crate::store::{Error, Priority, RunCause, RunKind, Store, SyncRun, Tx, confirmations};

/// The reason for the looks that a run wants.
pub(super) const fn reason_of(run: &SyncRun) -> LookReason {
    let cause = match (run.kind, run.cause) {
        (RunKind::ListDiff, _) => LookCause::CustomerList,
        (RunKind::Full, RunCause::Manual) => LookCause::ManualSync,
        (RunKind::Full, RunCause::First | RunCause::Nightly | RunCause::Scheduled) => LookCause::Night,
    };
    LookReason { cause, run: Some(run.id) }
}

/// Who stands on a page that is being saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Noted {
    /// Customers that no page of the run showed before.
    pub(super) listed: u64,
    /// Entries about a customer that was shown before.
    pub(super) duplicates: u64,
    /// Customers that are to be fetched because of it.
    pub(super) wanted: u64,
}

/// A page of the list, and which of its customers an earlier page of the run held.
#[derive(Clone, Debug)]
pub struct ListedPage<'p> {
    entries: &'p [ListedCustomer],
    met: HashSet<TenantId>,
}

impl Store {
    /// Looks up a page before it is saved, so that the earlier ones, which may be large, are not read in the turn of a writer.
    /// Only whoever reads the list adds to them.
    pub async fn listed_page<'p>(&self, run: &SyncRun, entries: &'p [ListedCustomer]) -> Result<ListedPage<'p>, Error> {
        let here: HashSet<[u8; 16]> = entries.iter().map(|entry| entry.tenant_id.uuid().into_bytes()).collect();
        let pages = statement("SELECT tenant_ids FROM sync_run_page WHERE account = $1 AND run_id = $2")
            .bind(run.account.as_str())
            .bind(run.id.to_string())
            .fetch_all(&self.backend)
            .await?;
        let mut met = HashSet::new();
        for row in &pages {
            let ids: &[u8] = row.try_get(0)?;
            for id in ids.chunks_exact(16).filter_map(|id| <[u8; 16]>::try_from(id).ok()) {
                if here.contains(&id) {
                    met.insert(TenantId::new(uuid::Uuid::from_bytes(id)));
                }
            }
        }
        Ok(ListedPage { entries, met })
    }
}

impl Tx {
    /// Remembers the entries of a page; the second value is the ids of those that the run lists now, one after another.
    pub(super) async fn note_page(
        &mut self,
        run: &SyncRun,
        page: &ListedPage<'_>,
        everyone: bool,
    ) -> Result<(Noted, Vec<u8>), Error> {
        let ListedPage { entries, met } = page;
        let mut met = met.clone();
        let mut ids = Vec::with_capacity(entries.len() * 16);
        let (first, mut again): (Vec<&ListedCustomer>, Vec<&ListedCustomer>) =
            entries.iter().partition(|entry| met.insert(entry.tenant_id));
        for entry in &first {
            ids.extend_from_slice(entry.tenant_id.uuid().as_bytes());
        }
        let count = |entries: &[&ListedCustomer]| u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let mut noted = Noted { listed: count(&first), duplicates: count(&again), wanted: 0 };
        noted.wanted += self.note_listed(run, &first, everyone).await?;
        // Several further entries about one customer are noted one after the other.
        while !again.is_empty() {
            let mut met = HashSet::new();
            let (round, later): (Vec<&ListedCustomer>, Vec<&ListedCustomer>) =
                again.into_iter().partition(|entry| met.insert(entry.tenant_id));
            noted.wanted += self.note_listed_again(run, &round, everyone).await?;
            again = later;
        }
        Ok((noted, ids))
    }

    /// Remembers what the list says of different customers, and wants those looked at of whom it is new, or all when
    /// `everyone` is wanted. Returns how many will be looked at: a paused one is only marked.
    async fn note_listed(&mut self, run: &SyncRun, listed: &[&ListedCustomer], everyone: bool) -> Result<u64, Error> {
        // A full run learns anew how often the list shows a customer; it looks at everybody, so that this costs nothing.
        const UPSERT: &str = "
            INSERT INTO upstream_customer AS u
                (account, tenant_id, listed_name, listed_domain, listed_relationship, marked, priority, wanted_by_run,
                 not_before, first_seen_at, confirms_left, cause, newest_cause)
            SELECT $1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, 1, $3, $4, $5, $5, $7, $9, $9
            FROM json_each($2) WHERE true
            ON CONFLICT (account, tenant_id) DO UPDATE SET
                listed_name = excluded.listed_name, listed_domain = excluded.listed_domain,
                listed_relationship = excluded.listed_relationship, listed_also = NULL, missing_runs = 0,
                removal_recorded_at =
                    CASE WHEN u.missing_runs > 0 OR u.listed_name IS NULL THEN NULL ELSE u.removal_recorded_at END,
                (confirms_left, confirm_at) = (
                    SELECT CASE WHEN unlike THEN $8 ELSE u.confirms_left END, CASE WHEN unlike THEN NULL ELSE u.confirm_at END
                    FROM (SELECT u.missing_runs > 0
                        OR ((u.listed_name, u.listed_domain, u.listed_relationship)
                                IS DISTINCT FROM (excluded.listed_name, excluded.listed_domain, excluded.listed_relationship)
                            AND NOT EXISTS (SELECT 1 FROM json_each(u.listed_also)
                                WHERE value = '[' || json_quote(excluded.listed_name) || ',' || json_quote(excluded.listed_domain)
                                    || ',' || json_quote(excluded.listed_relationship) || ']'))
                        AS unlike) AS compared),
                marked = u.marked + 1,
                cause = CASE WHEN u.settled < u.marked AND u.priority >= $3 THEN u.cause ELSE $9 END,
                newest_cause = $9,
                priority = CASE WHEN u.settled < u.marked THEN max(u.priority, $3) ELSE $3 END,
                wanted_by_run = CASE WHEN u.settled < u.marked AND u.wanted_by_run IN (
                    SELECT id FROM sync_run WHERE account = $1 AND kind = 'FULL' AND state IN ('LISTING', 'FETCHING')
                ) THEN u.wanted_by_run ELSE $4 END,
                not_before = CASE WHEN u.settled < u.marked THEN min(u.not_before, $5) ELSE $5 END
            WHERE $6 OR u.missing_runs > 0
                OR ((u.listed_name, u.listed_domain, u.listed_relationship)
                        IS DISTINCT FROM (excluded.listed_name, excluded.listed_domain, excluded.listed_relationship)
                    AND NOT EXISTS (SELECT 1 FROM json_each(u.listed_also)
                        WHERE value = '[' || json_quote(excluded.listed_name) || ',' || json_quote(excluded.listed_domain)
                            || ',' || json_quote(excluded.listed_relationship) || ']'))
            RETURNING paused_at IS NULL";
        let priority = if everyone { Priority::Sweep } else { Priority::Listed };
        let now = self.now().micros();
        let noted = statement(UPSERT)
            .bind(run.account.as_str())
            .bind(as_json(listed))
            .bind(priority as i64)
            .bind(run.id.to_string())
            .bind(now)
            .bind(everyone)
            .bind(confirmations::owed_after(priority))
            .bind(confirmations::owed_after(Priority::Listed))
            .bind(reason_of(run).cause.name())
            .fetch_all(self.connection())
            .await?;
        count_true(&noted)
    }

    /// Remembers further entries about different customers that the run has listed, and wants those looked at of whom
    /// that is new when not everybody is looked at anyway. Returns how many more that makes to look at.
    async fn note_listed_again(
        &mut self,
        run: &SyncRun,
        listed: &[&ListedCustomer],
        everyone: bool,
    ) -> Result<u64, Error> {
        // Of the entries, the first in their order stands for all, whichever came first. Materialized with its account,
        // so that SQLite has no other way than to look for each by its key.
        const UPDATE: &str = "
            WITH entry (of_account, shown, name, domain, relationship) AS MATERIALIZED (
                SELECT $1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($2)
            )
            UPDATE upstream_customer SET
                (listed_name, listed_domain, listed_relationship) = (
                    SELECT CASE WHEN first THEN name ELSE listed_name END, CASE WHEN first THEN domain ELSE listed_domain END,
                           CASE WHEN first THEN relationship ELSE listed_relationship END
                    FROM (SELECT (name, domain, relationship) < (listed_name, listed_domain, listed_relationship) AS first)
                        AS compared),
                listed_also = (SELECT '[' || string_agg(shown_so, ',' ORDER BY shown_so) || ']' FROM (
                    SELECT '[' || json_quote(listed_name) || ',' || json_quote(listed_domain) || ','
                        || json_quote(listed_relationship) || ']' AS shown_so
                    UNION SELECT value FROM json_each(listed_also)
                    UNION SELECT '[' || json_quote(name) || ',' || json_quote(domain) || ',' || json_quote(relationship) || ']')
                    AS entries),
                marked = marked + CASE WHEN $6 THEN 0 ELSE 1 END,
                confirms_left = CASE WHEN $6 THEN confirms_left ELSE $7 END,
                confirm_at = CASE WHEN $6 THEN confirm_at END,
                cause = CASE WHEN $6 OR (settled < marked AND priority >= $3) THEN cause ELSE $8 END,
                newest_cause = CASE WHEN $6 THEN newest_cause ELSE $8 END,
                priority = CASE WHEN $6 THEN priority WHEN settled < marked THEN max(priority, $3) ELSE $3 END,
                wanted_by_run = CASE WHEN $6 OR (settled < marked AND wanted_by_run IN (
                    SELECT id FROM sync_run WHERE account = $1 AND kind = 'FULL' AND state IN ('LISTING', 'FETCHING')
                )) THEN wanted_by_run ELSE $4 END,
                not_before = CASE WHEN $6 THEN not_before WHEN settled < marked THEN min(not_before, $5) ELSE $5 END
            FROM entry WHERE account = of_account AND tenant_id = shown
                AND (listed_name, listed_domain, listed_relationship) IS DISTINCT FROM (name, domain, relationship)
                AND NOT EXISTS (SELECT 1 FROM json_each(listed_also)
                    WHERE value = '[' || json_quote(name) || ',' || json_quote(domain) || ',' || json_quote(relationship) || ']')
            RETURNING NOT $6 AND paused_at IS NULL AND settled + 1 = marked";
        let now = self.now().micros();
        let noted = statement(UPDATE)
            .bind(run.account.as_str())
            .bind(as_json(listed))
            .bind(Priority::Listed as i64)
            .bind(run.id.to_string())
            .bind(now)
            .bind(everyone)
            .bind(confirmations::owed_after(Priority::Listed))
            .bind(reason_of(run).cause.name())
            .fetch_all(self.connection())
            .await?;
        count_true(&noted)
    }
}

/// Entries as a statement reads them: who, and what the list says.
fn as_json(entries: &[&ListedCustomer]) -> String {
    serde_json::Value::from_iter(entries.iter().map(|entry| {
        let ListedCustomer { tenant_id, company_name, domain, relationship } = entry;
        serde_json::json!([tenant_id.to_string(), company_name, domain, relationship])
    }))
    .to_string()
}

fn count_true(rows: &[Row]) -> Result<u64, Error> {
    rows.iter().try_fold(0, |count, row| Ok(count + u64::from(row.try_get::<bool, _>(0)?)))
}
