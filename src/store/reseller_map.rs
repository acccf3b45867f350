//! Which reseller serves which customer: what was read, and how it becomes what a customer shows.
//!
//! Reading writes `listed` only, and only where it differs. [`Tx::level_resellers`] is the one place where a customer comes
//! to show something else: a change of the customer, with its revision and its row of the change log.

use crate::domain::change::ChangeKind;
use crate::domain::customer::Relationship;
use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::domain::reconcile::differences;
use crate::domain::reseller::{FEW_CUSTOMERS, empty_needs_confirmation};
use crate::store::changes::PARTNER_CENTER;
use crate::store::statement::{PerDialect, by_index, statement};
use crate::store::upstream::tenant;
use crate::store::{Error, Store, Tx};

/// What a list of a reseller's customers that was read to its end did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResellerRead {
    /// It counts.
    Counts,
    /// It was empty, and more than a few customers are known: nothing is changed before a second one is empty as well.
    EmptyForTheFirstTime,
}

fn ids(tenants: &[TenantId]) -> String {
    serde_json::Value::from_iter(tenants.iter().map(TenantId::to_string)).to_string()
}

impl Store {
    /// Up to `limit` customers that the reseller's last list had, by tenant, from after that one.
    pub async fn listed_customers_of_reseller(
        &self,
        account: &PartnerAccountId,
        reseller: TenantId,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<TenantId>, Error> {
        const SELECT: PerDialect = by_index!(
            "
            SELECT tenant_id FROM customer_reseller",
            "customer_reseller_of_reseller",
            "
            WHERE reseller_id = $2 AND account = $1 AND tenant_id > coalesce($3, '') AND listed
            ORDER BY tenant_id LIMIT $4"
        );
        let rows = statement(SELECT)
            .bind(account.as_str())
            .bind(reseller.to_string())
            .bind(after.map(|after| after.to_string()))
            .bind(limit)
            .fetch_all(&self.backend)
            .await?;
        rows.iter().map(|row| tenant(row.try_get(0)?)).collect()
    }

    /// Up to `limit` customers that may have to show other resellers. Those that are paused or have ended keep theirs.
    pub async fn customers_with_other_resellers(
        &self,
        account: &PartnerAccountId,
        limit: u32,
    ) -> Result<Vec<TenantId>, Error> {
        const SELECT: PerDialect = by_index!(
            "
            SELECT DISTINCT m.tenant_id
            FROM customer_reseller m",
            "customer_reseller_pending",
            "
            CROSS JOIN customer c CROSS JOIN upstream_customer u
            WHERE c.account = m.account AND c.microsoft_tenant_id = m.tenant_id
                AND u.account = m.account AND u.tenant_id = m.tenant_id AND m.account = $1 AND m.pending AND c.relationship = 'ACTIVE' AND u.paused_at IS NULL
            ORDER BY m.tenant_id LIMIT $2"
        );
        let rows = statement(SELECT).bind(account.as_str()).bind(limit).fetch_all(&self.backend).await?;
        rows.iter().map(|row| tenant(row.try_get(0)?)).collect()
    }
}

impl Tx {
    /// The reseller's list has these customers. What was listed before is not written again.
    pub async fn list_customers_of_reseller(
        &mut self,
        account: &PartnerAccountId,
        reseller: TenantId,
        tenants: &[TenantId],
    ) -> Result<u64, Error> {
        const UPSERT: &str = "
            INSERT INTO customer_reseller (account, tenant_id, reseller_id, listed, shown, pending)
            SELECT $1, value, $2, TRUE, FALSE, TRUE FROM json_each($3) WHERE true
            ON CONFLICT (account, tenant_id, reseller_id) DO UPDATE SET listed = TRUE, pending = TRUE WHERE NOT customer_reseller.listed";
        let done = statement(UPSERT)
            .bind(account.as_str())
            .bind(reseller.to_string())
            .bind(ids(tenants))
            .execute(self.connection())
            .await?;
        Ok(done)
    }

    /// The reseller's list, read to its end, lacks these customers.
    pub async fn unlist_customers_of_reseller(
        &mut self,
        account: &PartnerAccountId,
        reseller: TenantId,
        tenants: &[TenantId],
    ) -> Result<(), Error> {
        const FORGET: &str = "
            DELETE FROM customer_reseller
            WHERE account = $1 AND reseller_id = $2 AND tenant_id IN (SELECT value FROM json_each($3)) AND NOT shown";
        const UNLIST: &str = "
            UPDATE customer_reseller SET listed = FALSE, pending = TRUE
            WHERE account = $1 AND reseller_id = $2 AND tenant_id IN (SELECT value FROM json_each($3)) AND listed";
        let (reseller, tenants) = (reseller.to_string(), ids(tenants));
        for one in [FORGET, UNLIST] {
            statement(one).bind(account.as_str()).bind(&reseller).bind(&tenants).execute(self.connection()).await?;
        }
        Ok(())
    }

    /// The reseller serves nobody.
    pub(super) async fn unlist_all_customers_of(
        &mut self,
        account: &PartnerAccountId,
        reseller: TenantId,
    ) -> Result<(), Error> {
        const FORGET: PerDialect = by_index!(
            "
            DELETE FROM customer_reseller",
            "customer_reseller_of_reseller",
            "
            WHERE reseller_id = $2 AND account = $1 AND NOT shown"
        );
        const UNLIST: PerDialect = by_index!(
            "
            UPDATE customer_reseller",
            "customer_reseller_of_reseller",
            " SET listed = FALSE, pending = TRUE
            WHERE reseller_id = $2 AND account = $1 AND listed"
        );
        let reseller = reseller.to_string();
        for one in [FORGET, UNLIST] {
            statement(one).bind(account.as_str()).bind(&reseller).execute(self.connection()).await?;
        }
        Ok(())
    }

    /// Whether a list of the reseller's customers counts that was read to its end and is empty or not.
    pub async fn judge_reseller_list(
        &mut self,
        account: &PartnerAccountId,
        reseller: TenantId,
        is_empty: bool,
    ) -> Result<ResellerRead, Error> {
        const SELECT: PerDialect = by_index!(
            "
            SELECT r.was_empty, (
                SELECT count(*) FROM customer_reseller m",
            "customer_reseller_of_reseller",
            "
                WHERE m.reseller_id = $2 AND m.account = $1 AND m.listed
            ) AS known
            FROM reseller r WHERE r.account = $1 AND r.tenant_id = $2"
        );
        let id = reseller.to_string();
        let row = statement(SELECT).bind(account.as_str()).bind(&id).fetch_one(self.connection()).await?;
        let known = row.try_get::<i64, _>("known")?.unsigned_abs();
        let waits = is_empty && empty_needs_confirmation(known, FEW_CUSTOMERS, row.try_get("was_empty")?);
        Ok(if waits { ResellerRead::EmptyForTheFirstTime } else { ResellerRead::Counts })
    }

    /// The reseller's customers were read to the end in that round.
    pub async fn finish_reseller(
        &mut self,
        account: &PartnerAccountId,
        reseller: TenantId,
        round: i64,
        is_empty: bool,
    ) -> Result<(), Error> {
        const FINISH: &str = "
            UPDATE reseller SET read_at = $3, read_round = $4, was_empty = $5 WHERE account = $1 AND tenant_id = $2";
        let now = self.now().micros();
        statement(FINISH)
            .bind(account.as_str())
            .bind(reseller.to_string())
            .bind(now)
            .bind(round)
            .bind(is_empty)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Makes the customer of that tenant show the resellers that were read; returns whether that changed it. One that is
    /// paused, has ended or is not there keeps what it shows, and follows later.
    pub async fn level_resellers(&mut self, account: &PartnerAccountId, tenant: TenantId) -> Result<bool, Error> {
        const FORGET: &str = "DELETE FROM customer_reseller WHERE account = $1 AND tenant_id = $2 AND NOT listed";
        const SHOW: &str = "
            UPDATE customer_reseller SET shown = TRUE, pending = FALSE, display_name = r.display_name, mpn_id = r.mpn_id
            FROM reseller r
            WHERE customer_reseller.account = $1 AND customer_reseller.tenant_id = $2 AND customer_reseller.pending
                AND r.account = $1 AND r.tenant_id = customer_reseller.reseller_id";
        let Some(before) = self.customer_of_tenant_for_update(account, tenant).await? else { return Ok(false) };
        if before.relationship() != Some(Relationship::Active) || before.pause().is_some() {
            return Ok(false);
        }
        for one in [FORGET, SHOW] {
            statement(one).bind(account.as_str()).bind(tenant.to_string()).execute(self.connection()).await?;
        }
        let Some(shown) = self.customer_of_tenant_for_update(account, tenant).await? else { return Ok(false) };
        let changed = differences(&before, &shown);
        if changed.is_empty() {
            return Ok(false);
        }
        let after = self.next_revision(&shown);
        self.note_changed(&after).await?;
        self.log_change(&after, ChangeKind::Synced, &changed, PARTNER_CENTER, None).await?;
        Ok(true)
    }

    /// The tenant's customer is the platform's own again: whoever comes to stand for the tenant begins without resellers.
    pub(super) async fn hide_resellers(&mut self, account: &PartnerAccountId, tenant: TenantId) -> Result<(), Error> {
        const FORGET: &str = "DELETE FROM customer_reseller WHERE account = $1 AND tenant_id = $2 AND NOT listed";
        const HIDE: &str =
            "UPDATE customer_reseller SET shown = FALSE, pending = TRUE WHERE account = $1 AND tenant_id = $2";
        for one in [FORGET, HIDE] {
            statement(one).bind(account.as_str()).bind(tenant.to_string()).execute(self.connection()).await?;
        }
        Ok(())
    }
}
