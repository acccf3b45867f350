//! Which customers may be one organization: the names they are compared by, kept beside them, and the look for others.
//!
//! The few alike are found among the many by their names. Without statistics SQLite would rather read every customer of
//! the account and then look for its name, so those questions fix the order by CROSS JOIN.

use std::collections::HashMap;

use crate::domain::customer::{Customer, Source};
use crate::domain::ids::{CustomerId, PartnerAccountId, TenantId};
use crate::domain::likeness::{CANDIDATES_MAX, Candidate, KEY_REVISION, Likeness, match_key};
use crate::store::customer_row::{self, customer_columns, customer_tables};
use crate::store::row::Row;
use crate::store::statement::statement;
use crate::store::upstream::tenant;
use crate::store::{Error, Store, Tx};

/// By which rules the stored names were made.
const KEYS_MADE_BY: &str = "match_key_revision";
/// How many names are made in one transaction.
const BATCH: i64 = 1_000;

pub(super) const fn likeness_name(likeness: Likeness) -> &'static str {
    match likeness {
        Likeness::SameDomain => "SAME_DOMAIN",
        Likeness::SameNameAndCountry => "SAME_NAME_AND_COUNTRY",
    }
}

/// The candidate in the columns `customer_id` and `reason`.
pub(super) fn candidate(row: &Row) -> Result<Candidate, Error> {
    let corrupt = |column: &str| Error::Corrupt(format!("a candidate's {column}"));
    let reason: &str = row.try_get("reason")?;
    let named = [Likeness::SameDomain, Likeness::SameNameAndCountry].into_iter();
    Ok(Candidate {
        customer: row.try_get::<&str, _>("customer_id")?.parse().map_err(|_| corrupt("customer_id"))?,
        likeness: named.into_iter().find(|one| likeness_name(*one) == reason).ok_or_else(|| corrupt("reason"))?,
    })
}

impl Store {
    /// Makes the names that customers are compared by, if they were not made by the present rules: after a migration,
    /// and after a release that compares otherwise. One that breaks off begins anew.
    pub(super) async fn make_match_keys(&self) -> Result<(), Error> {
        let mut last = Some((String::new(), String::new()));
        while let Some((account, id)) = last {
            last = self.write("make_match_keys", async |tx| tx.make_some_match_keys(&account, &id).await).await?;
        }
        Ok(())
    }
}

impl Tx {
    /// Makes the names of the customers after that row; returns the last one, or nothing when all are made.
    async fn make_some_match_keys(&mut self, account: &str, id: &str) -> Result<Option<(String, String)>, Error> {
        const SELECT: &str = concat!(
            "SELECT ",
            customer_columns!(),
            customer_tables!(),
            "WHERE (c.account, c.id) > ($1, $2) ORDER BY c.account, c.id LIMIT $3"
        );
        const DONE: &str = "
            INSERT INTO store_meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2";
        let revision = KEY_REVISION.to_string();
        let made_by = statement("SELECT 1 FROM store_meta WHERE name = $1 AND value = $2")
            .bind(KEYS_MADE_BY)
            .bind(&revision)
            .fetch_optional(self.connection())
            .await?;
        if made_by.is_some() {
            return Ok(None);
        }
        let rows = statement(SELECT).bind(account).bind(id).bind(BATCH).fetch_all(self.connection()).await?;
        for row in &rows {
            self.note_match_key(&customer_row::customer(row)?).await?;
        }
        if let Some(last) = rows.last() {
            return Ok(Some((last.try_get("account")?, last.try_get("id")?)));
        }
        statement(DONE).bind(KEYS_MADE_BY).bind(revision).execute(self.connection()).await?;
        Ok(None)
    }

    /// Keeps the name that the customer is compared by level with it.
    pub(super) async fn note_match_key(&mut self, customer: &Customer) -> Result<(), Error> {
        const UPSERT: &str = "
            INSERT INTO customer_match (account, customer_id, match_key, platform_key) VALUES ($1, $2, $3, $4)
            ON CONFLICT (account, customer_id) DO UPDATE SET match_key = $3, platform_key = $4
            WHERE (customer_match.match_key, customer_match.platform_key) IS DISTINCT FROM ($3, $4)";
        let key = match_key(customer);
        let platform_key = key.as_deref().filter(|_| customer.source() == Source::Platform);
        statement(UPSERT)
            .bind(customer.account.as_str())
            .bind(customer.id.to_string())
            .bind(&key)
            .bind(platform_key)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The customers of the account that may be the same organization as a new one; the likeliest first.
    pub async fn duplicate_candidates(&mut self, new: &Customer) -> Result<Vec<Candidate>, Error> {
        const SELECT: &str = "
            SELECT id AS customer_id, min(reason) AS reason FROM (
                SELECT c.id, 'SAME_DOMAIN' AS reason FROM customer c
                WHERE c.account = $1 AND c.domain = $2 AND c.domain <> '' AND c.deleted_at IS NULL
                UNION ALL
                SELECT c.id, 'SAME_NAME_AND_COUNTRY' AS reason FROM customer_match m
                CROSS JOIN customer c
                WHERE c.account = m.account AND c.id = m.customer_id AND m.account = $1 AND m.match_key = $3 AND c.deleted_at IS NULL
            ) AS alike
            WHERE id <> $4 GROUP BY id ORDER BY min(reason), id LIMIT $5";
        let rows = statement(SELECT)
            .bind(new.account.as_str())
            .bind(new.domain.to_lowercase())
            .bind(match_key(new))
            .bind(new.id.to_string())
            .bind(CANDIDATES_MAX)
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(candidate).collect()
    }

    /// The platform customers that each of these newcomers of one account may be, but for those it was decided not to be;
    /// a newcomer that looks like nobody is left out.
    pub async fn link_candidates(
        &mut self,
        newcomers: &[(TenantId, &Customer)],
    ) -> Result<HashMap<TenantId, Vec<Candidate>>, Error> {
        const SELECT: &str = "
            SELECT tenant_id, customer_id, min(reason) AS reason FROM (
                SELECT n.value ->> 0 AS tenant_id, c.id AS customer_id, 'SAME_DOMAIN' AS reason FROM json_each($2) n
                CROSS JOIN customer c
                WHERE c.account = $1 AND c.domain = n.value ->> 1 AND c.domain <> '' AND c.source = 'PLATFORM' AND c.deleted_at IS NULL
                UNION ALL
                SELECT n.value ->> 0, c.id, 'SAME_NAME_AND_COUNTRY' FROM json_each($2) n
                CROSS JOIN customer_match m CROSS JOIN customer c
                WHERE m.account = $1 AND m.platform_key = n.value ->> 2
                    AND c.account = m.account AND c.id = m.customer_id AND c.source = 'PLATFORM' AND c.deleted_at IS NULL
            ) alike
            WHERE NOT EXISTS (
                SELECT 1 FROM dismissed_link d
                WHERE d.account = $1 AND d.tenant_id = alike.tenant_id AND d.customer_id = alike.customer_id
            )
            GROUP BY tenant_id, customer_id ORDER BY tenant_id, min(reason), customer_id";
        let mut found: HashMap<TenantId, Vec<Candidate>> = HashMap::new();
        let Some((_, first)) = newcomers.first() else { return Ok(found) };
        let keys = serde_json::Value::from_iter(newcomers.iter().map(|(tenant, newcomer)| {
            serde_json::json!([tenant.to_string(), newcomer.domain.to_lowercase(), match_key(newcomer)])
        }));
        let rows =
            statement(SELECT).bind(first.account.as_str()).bind(keys.to_string()).fetch_all(self.connection()).await?;
        for row in &rows {
            let candidates = found.entry(tenant(row.try_get("tenant_id")?)?).or_default();
            if candidates.len() < CANDIDATES_MAX as usize {
                candidates.push(candidate(row)?);
            }
        }
        Ok(found)
    }

    /// Decides that a customer in Partner Center is none of the platform customers it looks like, however many.
    pub(super) async fn dismiss_alike(
        &mut self,
        account: &PartnerAccountId,
        tenant: TenantId,
        by: &str,
    ) -> Result<(), Error> {
        const INSERT: &str = "
            INSERT INTO dismissed_link (account, tenant_id, customer_id, dismissed_by, at)
            SELECT $1, $2, id, $3, $4 FROM (
                SELECT k.customer_id AS id FROM pending_link_candidate k WHERE k.account = $1 AND k.tenant_id = $2
                UNION
                SELECT c.id FROM pending_link p JOIN customer c ON c.account = p.account AND c.domain = p.domain
                WHERE p.account = $1 AND p.tenant_id = $2 AND c.domain <> '' AND c.source = 'PLATFORM'
                    AND c.deleted_at IS NULL
                UNION
                SELECT c.id FROM pending_link p
                CROSS JOIN customer_match m CROSS JOIN customer c
                WHERE m.account = p.account AND m.match_key = p.match_key
                    AND c.account = m.account AND c.id = m.customer_id AND p.account = $1 AND p.tenant_id = $2 AND c.source = 'PLATFORM' AND c.deleted_at IS NULL
            ) AS alike WHERE true
            ON CONFLICT (account, tenant_id, customer_id) DO NOTHING";
        let now = self.now().micros();
        statement(INSERT)
            .bind(account.as_str())
            .bind(tenant.to_string())
            .bind(by)
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Decides that a customer in Partner Center and a platform customer are two.
    pub(super) async fn dismiss_pair(
        &mut self,
        account: &PartnerAccountId,
        tenant: TenantId,
        customer: CustomerId,
        by: &str,
    ) -> Result<(), Error> {
        const INSERT: &str = "
            INSERT INTO dismissed_link (account, tenant_id, customer_id, dismissed_by, at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (account, tenant_id, customer_id) DO NOTHING";
        let now = self.now().micros();
        statement(INSERT)
            .bind(account.as_str())
            .bind(tenant.to_string())
            .bind(customer.to_string())
            .bind(by)
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
