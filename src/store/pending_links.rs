//! Pending links: customers in Partner Center that have no record because they look like platform customers.

use crate::clock::Timestamp;
use crate::domain::customer::{Customer, Source};
use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::domain::likeness::{Candidate, match_key};
use crate::domain::look::LookCause;
use crate::store::likeness::{candidate, likeness_name};
use crate::store::row::Row;
use crate::store::statement::statement;
use crate::store::upstream::tenant;
use crate::store::{Error, Priority, Store, Tx};

/// A customer in Partner Center that waits for a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingLink {
    /// Whom it is about.
    pub tenant_id: TenantId,
    /// Its company name in Partner Center.
    pub company_name: String,
    /// Its domain in Partner Center.
    pub domain: String,
    /// The platform customers it looks like, the likeliest first.
    pub candidates: Vec<Candidate>,
    /// Since when it waits.
    pub noted_at: Timestamp,
}

/// The place of a pending link in the list of its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PendingPlace {
    /// Since when it waits.
    pub noted_at: Timestamp,
    /// Whom it is about.
    pub tenant_id: TenantId,
}

impl PendingLink {
    /// Its place in the list.
    pub const fn place(&self) -> PendingPlace {
        PendingPlace { noted_at: self.noted_at, tenant_id: self.tenant_id }
    }
}

/// Rows of links with their candidates beside them, as links; rows of one link follow each other.
fn pending_links(rows: &[Row]) -> Result<Vec<PendingLink>, Error> {
    let mut links: Vec<PendingLink> = Vec::new();
    for row in rows {
        let tenant_id = tenant(row.try_get("tenant_id")?)?;
        if links.last().is_none_or(|last| last.tenant_id != tenant_id) {
            links.push(PendingLink {
                tenant_id,
                company_name: row.try_get("company_name")?,
                domain: row.try_get("domain")?,
                candidates: Vec::new(),
                noted_at: Timestamp::from_micros(row.try_get("noted_at")?),
            });
        }
        let is_candidate = row.try_get::<Option<&str>, _>("customer_id")?.is_some();
        if let (Some(link), true) = (links.last_mut(), is_candidate) {
            link.candidates.push(candidate(row)?);
        }
    }
    Ok(links)
}

impl Store {
    /// Up to `limit` pending links of an account, oldest first.
    pub async fn pending_links(
        &self,
        account: &PartnerAccountId,
        after: Option<PendingPlace>,
        limit: u32,
    ) -> Result<Vec<PendingLink>, Error> {
        const SELECT: &str = "
            SELECT p.tenant_id, p.company_name, p.domain, p.noted_at, k.customer_id, k.reason
            FROM (
                SELECT * FROM pending_link WHERE account = $1 AND (noted_at, tenant_id) > ($2, $3)
                ORDER BY noted_at, tenant_id LIMIT $4
            ) p
            LEFT JOIN pending_link_candidate k ON k.account = p.account AND k.tenant_id = p.tenant_id
            ORDER BY p.noted_at, p.tenant_id, k.reason, k.customer_id";
        let rows = statement(SELECT)
            .bind(account.as_str())
            .bind(after.map_or(i64::MIN, |place| place.noted_at.micros()))
            .bind(after.map(|place| place.tenant_id.to_string()).unwrap_or_default())
            .bind(limit)
            .fetch_all(&self.backend)
            .await?;
        pending_links(&rows)
    }

    /// Whether that tenant waits for a decision.
    pub async fn awaits_link(&self, account: &PartnerAccountId, tenant: TenantId) -> Result<bool, Error> {
        let row = statement("SELECT 1 FROM pending_link WHERE account = $1 AND tenant_id = $2")
            .bind(account.as_str())
            .bind(tenant.to_string())
            .fetch_optional(&self.backend)
            .await?;
        Ok(row.is_some())
    }

    /// How many pending links an account has.
    pub async fn count_pending_links(&self, account: &PartnerAccountId) -> Result<u64, Error> {
        let row = statement("SELECT count(*) FROM pending_link WHERE account = $1")
            .bind(account.as_str())
            .fetch_one(&self.backend)
            .await?;
        Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
    }
}

impl Tx {
    /// The pending link of that tenant, if it has one.
    pub async fn pending_link(
        &mut self,
        account: &PartnerAccountId,
        tenant: TenantId,
    ) -> Result<Option<PendingLink>, Error> {
        const SELECT: &str = "
            SELECT p.tenant_id, p.company_name, p.domain, p.noted_at, k.customer_id, k.reason
            FROM pending_link p
            LEFT JOIN pending_link_candidate k ON k.account = p.account AND k.tenant_id = p.tenant_id
            WHERE p.account = $1 AND p.tenant_id = $2 ORDER BY k.reason, k.customer_id";
        let rows =
            statement(SELECT).bind(account.as_str()).bind(tenant.to_string()).fetch_all(self.connection()).await?;
        Ok(pending_links(&rows)?.pop())
    }

    /// Decides that a customer in Partner Center is none of those it looks like, and wants it looked at: it gets a
    /// record of its own.
    pub async fn dismiss_pending_link(
        &mut self,
        account: &PartnerAccountId,
        tenant: TenantId,
        by: &str,
    ) -> Result<(), Error> {
        self.dismiss_alike(account, tenant, by).await?;
        self.forget_pending_link(account, tenant).await?;
        self.mark_dirty(account, &[tenant], Priority::Signal, LookCause::Refresh).await
    }

    /// Keeps a newcomer waiting for a decision, with the customers it looks like now.
    pub(super) async fn save_pending_link(
        &mut self,
        tenant: TenantId,
        newcomer: &Customer,
        candidates: &[Candidate],
    ) -> Result<(), Error> {
        const UPSERT: &str = "
            INSERT INTO pending_link (account, tenant_id, company_name, domain, match_key, noted_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (account, tenant_id) DO UPDATE SET company_name = $3, domain = $4, match_key = $5";
        const INSERT: &str = "
            INSERT INTO pending_link_candidate (account, tenant_id, customer_id, reason) VALUES ($1, $2, $3, $4)";
        let (account, tenant) = (newcomer.account.as_str(), tenant.to_string());
        let now = self.now().micros();
        statement(UPSERT)
            .bind(account)
            .bind(&tenant)
            .bind(&newcomer.company_name)
            .bind(newcomer.domain.to_lowercase())
            .bind(match_key(newcomer))
            .bind(now)
            .execute(self.connection())
            .await?;
        statement("DELETE FROM pending_link_candidate WHERE account = $1 AND tenant_id = $2")
            .bind(account)
            .bind(&tenant)
            .execute(self.connection())
            .await?;
        for Candidate { customer, likeness } in candidates {
            statement(INSERT)
                .bind(account)
                .bind(&tenant)
                .bind(customer.to_string())
                .bind(likeness_name(*likeness))
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    /// The tenant waits no longer, if it did.
    pub(super) async fn forget_pending_link(
        &mut self,
        account: &PartnerAccountId,
        tenant: TenantId,
    ) -> Result<(), Error> {
        self.forget_pending_links(account, &[tenant]).await
    }

    /// These tenants wait no longer, if they did.
    pub(super) async fn forget_pending_links(
        &mut self,
        account: &PartnerAccountId,
        tenants: &[TenantId],
    ) -> Result<(), Error> {
        const DELETE: &str = "
            DELETE FROM pending_link WHERE account = $1 AND tenant_id IN (SELECT value FROM json_each($2))";
        let tenants = serde_json::Value::from_iter(tenants.iter().map(TenantId::to_string));
        statement(DELETE).bind(account.as_str()).bind(tenants.to_string()).execute(self.connection()).await?;
        Ok(())
    }

    /// A customer was written by somebody on the platform: the pending links that name it and should not do so no longer,
    /// and they and those that should name it are looked at again.
    pub(super) async fn look_at_pending_links_of(&mut self, customer: &Customer) -> Result<(), Error> {
        const NAMING: &str = "SELECT tenant_id FROM pending_link_candidate WHERE account = $1 AND customer_id = $2";
        const ALIKE: &str = "
            SELECT tenant_id FROM (
                SELECT tenant_id FROM pending_link WHERE account = $1 AND domain = $3 AND domain <> ''
                UNION
                SELECT tenant_id FROM pending_link WHERE account = $1 AND match_key = $4
            ) p
            WHERE NOT EXISTS (
                SELECT 1 FROM dismissed_link d
                WHERE d.account = $1 AND d.tenant_id = p.tenant_id AND d.customer_id = $2
            )";
        const DELETE: &str = "
            DELETE FROM pending_link_candidate WHERE account = $1 AND customer_id = $2 AND tenant_id = $3";
        let (account, id) = (customer.account.as_str(), customer.id.to_string());
        let tenants = |rows: Vec<Row>| -> Result<Vec<TenantId>, Error> {
            rows.iter().map(|row| tenant(row.try_get(0)?)).collect()
        };
        let naming = tenants(statement(NAMING).bind(account).bind(&id).fetch_all(self.connection()).await?)?;
        let is_eligible = customer.source() == Source::Platform && customer.deleted_at.is_none();
        let alike = if is_eligible {
            let rows = statement(ALIKE)
                .bind(account)
                .bind(&id)
                .bind(&customer.domain)
                .bind(match_key(customer))
                .fetch_all(self.connection())
                .await?;
            tenants(rows)?
        } else {
            Vec::new()
        };
        for tenant in naming.iter().filter(|tenant| !alike.contains(tenant)) {
            statement(DELETE).bind(account).bind(&id).bind(tenant.to_string()).execute(self.connection()).await?;
        }
        let differ = |one: &[TenantId], other: &[TenantId]| {
            one.iter().filter(|tenant| !other.contains(tenant)).copied().collect::<Vec<_>>()
        };
        let moved = [differ(&naming, &alike), differ(&alike, &naming)].concat();
        if moved.is_empty() {
            return Ok(());
        }
        self.mark_dirty(&customer.account, &moved, Priority::Signal, LookCause::Refresh).await
    }
}
