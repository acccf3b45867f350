//! What the customer list says of a customer is remembered, so that only what is new there is looked at.
//!
//! The list may show a customer several times (a partner with two roles sees it once in each), on one page or on several,
//! and differently. It is one customer: all its entries are remembered together, whatever their order, so that a list that
//! shows the same ones again says nothing new. Which of them is right, only the detail says.

use std::collections::HashSet;

use crate::domain::ids::TenantId;
use crate::domain::look::{LookCause, LookReason};
use crate::domain::observation::ListedCustomer;
use crate::store::statement::statement;
use crate::store::{Error, Priority, RunCause, RunKind, SyncRun, Tx, confirmations};

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

impl Tx {
    /// Remembers the entries of a page; the second value is the ids of those that the run lists now, one after another.
    pub(super) async fn note_page(
        &mut self,
        run: &SyncRun,
        entries: &[ListedCustomer],
        everyone: bool,
    ) -> Result<(Noted, Vec<u8>), Error> {
        let mut met = self.listed_before(run, entries).await?;
        let mut noted = Noted::default();
        let mut ids = Vec::with_capacity(entries.len() * 16);
        for entry in entries {
            let wanted = if met.insert(entry.tenant_id) {
                ids.extend_from_slice(entry.tenant_id.uuid().as_bytes());
                noted.listed += 1;
                self.note_listed(run, entry, everyone).await?
            } else {
                noted.duplicates += 1;
                self.note_listed_again(run, entry, everyone).await?
            };
            noted.wanted += u64::from(wanted);
        }
        Ok((noted, ids))
    }

    /// Which customers of a page an earlier page of the run held.
    async fn listed_before(&mut self, run: &SyncRun, page: &[ListedCustomer]) -> Result<HashSet<TenantId>, Error> {
        let here: HashSet<[u8; 16]> = page.iter().map(|entry| entry.tenant_id.uuid().into_bytes()).collect();
        let pages = statement("SELECT tenant_ids FROM sync_run_page WHERE account = $1 AND run_id = $2")
            .bind(run.account.as_str())
            .bind(run.id.to_string())
            .fetch_all(self.connection())
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
        Ok(met)
    }

    /// Remembers what the list says of a customer, and wants it looked at when that is new or `everyone` is wanted.
    /// Returns whether it will be looked at: a paused one is only marked.
    async fn note_listed(&mut self, run: &SyncRun, listed: &ListedCustomer, everyone: bool) -> Result<bool, Error> {
        // A full run learns anew how often the list shows a customer; it looks at everybody, so that this costs nothing.
        const UPSERT: &str = "
            INSERT INTO upstream_customer AS u
                (account, tenant_id, listed_name, listed_domain, listed_relationship, marked, priority, wanted_by_run,
                 not_before, first_seen_at, confirms_left, cause, newest_cause)
            VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $8, $10, $12, $12)
            ON CONFLICT (account, tenant_id) DO UPDATE SET
                listed_name = $3, listed_domain = $4, listed_relationship = $5, listed_also = NULL, missing_runs = 0,
                removal_recorded_at =
                    CASE WHEN u.missing_runs > 0 OR u.listed_name IS NULL THEN NULL ELSE u.removal_recorded_at END,
                (confirms_left, confirm_at) = (
                    SELECT CASE WHEN unlike THEN $11 ELSE u.confirms_left END, CASE WHEN unlike THEN NULL ELSE u.confirm_at END
                    FROM (SELECT u.missing_runs > 0
                        OR ((u.listed_name, u.listed_domain, u.listed_relationship) IS DISTINCT FROM ($3, $4, $5)
                            AND NOT EXISTS (SELECT 1 FROM json_each(u.listed_also)
                                WHERE value = '[' || json_quote($3) || ',' || json_quote($4) || ',' || json_quote($5) || ']'))
                        AS unlike) AS compared),
                marked = u.marked + 1,
                cause = CASE WHEN u.settled < u.marked AND u.priority >= $6 THEN u.cause ELSE $12 END,
                newest_cause = $12,
                priority = CASE WHEN u.settled < u.marked THEN max(u.priority, $6) ELSE $6 END,
                wanted_by_run = CASE WHEN u.settled < u.marked AND u.wanted_by_run IN (
                    SELECT id FROM sync_run WHERE account = $1 AND kind = 'FULL' AND state IN ('LISTING', 'FETCHING')
                ) THEN u.wanted_by_run ELSE $7 END,
                not_before = CASE WHEN u.settled < u.marked THEN min(u.not_before, $8) ELSE $8 END
            WHERE $9 OR u.missing_runs > 0
                OR ((u.listed_name, u.listed_domain, u.listed_relationship) IS DISTINCT FROM ($3, $4, $5)
                    AND NOT EXISTS (SELECT 1 FROM json_each(u.listed_also)
                        WHERE value = '[' || json_quote($3) || ',' || json_quote($4) || ',' || json_quote($5) || ']'))
            RETURNING paused_at IS NULL";
        let priority = if everyone { Priority::Sweep } else { Priority::Listed };
        let now = self.now().micros();
        let done = statement(UPSERT)
            .bind(run.account.as_str())
            .bind(listed.tenant_id.to_string())
            .bind(&listed.company_name)
            .bind(&listed.domain)
            .bind(&listed.relationship)
            .bind(priority as i64)
            .bind(run.id.to_string())
            .bind(now)
            .bind(everyone)
            .bind(confirmations::owed_after(priority))
            .bind(confirmations::owed_after(Priority::Listed))
            .bind(reason_of(run).cause.name())
            .fetch_optional(self.connection())
            .await?;
        Ok(done.map(|row| row.try_get(0)).transpose()?.unwrap_or(false))
    }

    /// Remembers a further entry about a customer that the run has listed, and wants it looked at when that is new and
    /// not everybody is looked at anyway. Returns whether that makes it one more to look at.
    async fn note_listed_again(
        &mut self,
        run: &SyncRun,
        listed: &ListedCustomer,
        everyone: bool,
    ) -> Result<bool, Error> {
        // Of the entries, the first in their order stands for all, whichever came first.
        const UPDATE: &str = "
            UPDATE upstream_customer SET
                (listed_name, listed_domain, listed_relationship) = (
                    SELECT CASE WHEN first THEN $3 ELSE listed_name END, CASE WHEN first THEN $4 ELSE listed_domain END,
                           CASE WHEN first THEN $5 ELSE listed_relationship END
                    FROM (SELECT ($3, $4, $5) < (listed_name, listed_domain, listed_relationship) AS first) AS compared),
                listed_also = (SELECT '[' || string_agg(entry, ',' ORDER BY entry) || ']' FROM (
                    SELECT '[' || json_quote(listed_name) || ',' || json_quote(listed_domain) || ','
                        || json_quote(listed_relationship) || ']' AS entry
                    UNION SELECT value FROM json_each(listed_also)
                    UNION SELECT '[' || json_quote($3) || ',' || json_quote($4) || ',' || json_quote($5) || ']') AS entries),
                marked = marked + CASE WHEN $9 THEN 0 ELSE 1 END,
                confirms_left = CASE WHEN $9 THEN confirms_left ELSE $10 END,
                confirm_at = CASE WHEN $9 THEN confirm_at END,
                cause = CASE WHEN $9 OR (settled < marked AND priority >= $6) THEN cause ELSE $11 END,
                newest_cause = CASE WHEN $9 THEN newest_cause ELSE $11 END,
                priority = CASE WHEN $9 THEN priority WHEN settled < marked THEN max(priority, $6) ELSE $6 END,
                wanted_by_run = CASE WHEN $9 OR (settled < marked AND wanted_by_run IN (
                    SELECT id FROM sync_run WHERE account = $1 AND kind = 'FULL' AND state IN ('LISTING', 'FETCHING')
                )) THEN wanted_by_run ELSE $7 END,
                not_before = CASE WHEN $9 THEN not_before WHEN settled < marked THEN min(not_before, $8) ELSE $8 END
            WHERE account = $1 AND tenant_id = $2
                AND (listed_name, listed_domain, listed_relationship) IS DISTINCT FROM ($3, $4, $5)
                AND NOT EXISTS (SELECT 1 FROM json_each(listed_also)
                    WHERE value = '[' || json_quote($3) || ',' || json_quote($4) || ',' || json_quote($5) || ']')
            RETURNING NOT $9 AND paused_at IS NULL AND settled + 1 = marked";
        let now = self.now().micros();
        let done = statement(UPDATE)
            .bind(run.account.as_str())
            .bind(listed.tenant_id.to_string())
            .bind(&listed.company_name)
            .bind(&listed.domain)
            .bind(&listed.relationship)
            .bind(Priority::Listed as i64)
            .bind(run.id.to_string())
            .bind(now)
            .bind(everyone)
            .bind(confirmations::owed_after(Priority::Listed))
            .bind(reason_of(run).cause.name())
            .fetch_optional(self.connection())
            .await?;
        Ok(done.map(|row| row.try_get(0)).transpose()?.unwrap_or(false))
    }
}
