//! What an account has met of one tenant: whether it was listed, since when it is known, what is wrong with its record.

use crate::clock::Timestamp;
use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::store::statement::statement;
use crate::store::upstream::tenant;
use crate::store::{Error, Store};

/// The trace a tenant has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTrace {
    /// Whether the list that was read last held it.
    pub listed: bool,
    /// When the account first heard of it.
    pub first_seen_at: Timestamp,
    /// Why its record cannot be applied, if the last one could not.
    pub unusable: Option<String>,
}

impl Store {
    /// The trace of a tenant; `None` when the account never heard of it.
    pub async fn upstream_trace(
        &self,
        account: &PartnerAccountId,
        tenant: TenantId,
    ) -> Result<Option<UpstreamTrace>, Error> {
        const SELECT: &str = "
            SELECT listed_name IS NOT NULL AS listed, first_seen_at, unusable
            FROM upstream_customer WHERE account = $1 AND tenant_id = $2";
        let row =
            statement(SELECT).bind(account.as_str()).bind(tenant.to_string()).fetch_optional(&self.backend).await?;
        row.map(|row| {
            Ok(UpstreamTrace {
                listed: row.try_get("listed")?,
                first_seen_at: Timestamp::from_micros(row.try_get("first_seen_at")?),
                unusable: row.try_get("unusable")?,
            })
        })
        .transpose()
    }

    /// A tenant that was listed with that domain, in whatever case. Reads every tenant of the account: for people, not for
    /// programs.
    pub async fn tenant_listed_with_domain(
        &self,
        account: &PartnerAccountId,
        domain: &str,
    ) -> Result<Option<TenantId>, Error> {
        const SELECT: &str = "
            SELECT tenant_id FROM upstream_customer
            WHERE account = $1 AND lower(listed_domain) = $2 AND $2 <> '' ORDER BY tenant_id LIMIT 1";
        let row = statement(SELECT)
            .bind(account.as_str())
            .bind(domain.to_ascii_lowercase())
            .fetch_optional(&self.backend)
            .await?;
        row.map(|row| tenant(row.try_get(0)?)).transpose()
    }

    /// The tenant of a customer of Microsoft's that has that domain, given in lower case; one whose relationship is active
    /// before one whose relationship ended.
    pub async fn tenant_with_domain(
        &self,
        account: &PartnerAccountId,
        domain: &str,
    ) -> Result<Option<TenantId>, Error> {
        const SELECT: &str = "
            SELECT microsoft_tenant_id FROM customer
            WHERE account = $1 AND domain = $2 AND domain <> '' AND source = 'MICROSOFT'
            ORDER BY relationship, id LIMIT 1";
        let row = statement(SELECT).bind(account.as_str()).bind(domain).fetch_optional(&self.backend).await?;
        row.map(|row| tenant(row.try_get(0)?)).transpose()
    }
}
