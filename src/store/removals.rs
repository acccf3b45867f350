//! The evidence of removals: what complete lists lacked, what the audit log says, what a direct answer says (R9); and the
//! removals that wait for an operator.
//!
//! The few are found among the many by partial indexes, which these questions name: see `upstream`.

use crate::clock::Timestamp;
use crate::domain::hold::{HeldCustomer, Hold};
use crate::domain::ids::{Epoch, PartnerAccountId, TenantId, Ticket};
use crate::domain::look::{LookCause, LookReason};
use crate::domain::observation::ObservationMark;
use crate::domain::removal::RemovalEvidence;
use crate::store::row::Row;
use crate::store::statement::{PerDialect, by_index, statement};
use crate::store::upstream::tenant;
use crate::store::{Error, Priority, Store, Tx};

/// A customer that may have to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemovalCandidate {
    /// Whom.
    pub tenant_id: TenantId,
    /// What speaks for it.
    pub evidence: RemovalEvidence,
    /// The newest answer about it.
    pub mark: ObservationMark,
    /// Whether its removal is an operator's to decide: it waits for one, or one has turned it down before.
    pub is_for_operator: bool,
}

const CANDIDATES: PerDialect = by_index!(
    "
    SELECT u.tenant_id, u.missing_runs, u.removal_recorded_at, u.gone_answer, u.observed_epoch, u.observed_ticket,
           c.sync_state = 'HELD_FOR_REMOVAL' OR u.removal_dismissed_at IS NOT NULL AS is_for_operator
    FROM upstream_customer u",
    "upstream_customer_missing",
    "
    JOIN customer c ON c.account = u.account AND c.microsoft_tenant_id = u.tenant_id
    WHERE u.account = $1 AND u.missing_runs > 0 AND u.gone_answer IS NOT NULL AND c.relationship = 'ACTIVE'
        AND u.paused_at IS NULL
    ORDER BY u.tenant_id"
);

/// Every held customer, whatever has become of its evidence.
const HELD: PerDialect = by_index!(
    "
    SELECT c.id, c.company_name, u.tenant_id, u.missing_runs, u.removal_recorded_at, u.gone_answer, u.observed_epoch,
           u.observed_ticket, coalesce(u.held_at, c.updated_at) AS held_at
    FROM customer c",
    "customer_held",
    "
    JOIN upstream_customer u ON u.account = c.account AND u.tenant_id = c.microsoft_tenant_id
    WHERE c.account = $1 AND c.sync_state = 'HELD_FOR_REMOVAL' AND u.paused_at IS NULL
    ORDER BY c.microsoft_tenant_id"
);

const ACTIVE: PerDialect = by_index!(
    "
    SELECT count(*) FROM customer",
    "customer_active",
    " WHERE account = $1 AND relationship = 'ACTIVE'"
);

impl Store {
    /// Active customers that complete lists lacked and a direct answer calls gone; the paused are left alone.
    pub async fn removal_candidates(&self, account: &PartnerAccountId) -> Result<Vec<RemovalCandidate>, Error> {
        let rows = statement(CANDIDATES).bind(account.as_str()).fetch_all(&self.backend).await?;
        rows.iter().map(candidate).collect()
    }

    /// Up to `limit` customers that are active, listed and verified: whom to ask about to see that the credentials still
    /// work.
    pub async fn present_customers(&self, account: &PartnerAccountId, limit: u32) -> Result<Vec<TenantId>, Error> {
        const SELECT: &str = "
            SELECT u.tenant_id FROM upstream_customer u
            JOIN customer c ON c.account = u.account AND c.microsoft_tenant_id = u.tenant_id
            WHERE u.account = $1 AND u.missing_runs = 0 AND u.gone_answer IS NULL AND u.listed_name IS NOT NULL
                AND u.verified_at IS NOT NULL AND c.relationship = 'ACTIVE'
            LIMIT $2";
        let rows = statement(SELECT).bind(account.as_str()).bind(limit).fetch_all(&self.backend).await?;
        rows.iter().map(|row| tenant(row.try_get(0)?)).collect()
    }

    /// The customers whose removal waits for an operator; of some the evidence may no longer be complete.
    pub async fn held_customers(&self, account: &PartnerAccountId) -> Result<Vec<HeldCustomer>, Error> {
        let rows = statement(HELD).bind(account.as_str()).fetch_all(&self.backend).await?;
        rows.iter().map(held).collect()
    }

    /// The removals of an account that wait for an operator.
    pub async fn hold(&self, account: &PartnerAccountId) -> Result<Option<Hold>, Error> {
        Ok(Hold::of(self.held_customers(account).await?, self.active_customers(account).await?))
    }

    /// How many customers of Microsoft's an account has with an active relationship.
    pub async fn active_customers(&self, account: &PartnerAccountId) -> Result<u64, Error> {
        let row = statement(ACTIVE).bind(account.as_str()).fetch_one(&self.backend).await?;
        Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
    }
}

fn candidate(row: &Row) -> Result<RemovalCandidate, Error> {
    Ok(RemovalCandidate {
        tenant_id: tenant(row.try_get("tenant_id")?)?,
        evidence: evidence(row)?,
        mark: mark(row)?,
        is_for_operator: row.try_get("is_for_operator")?,
    })
}

fn held(row: &Row) -> Result<HeldCustomer, Error> {
    let id: &str = row.try_get("id")?;
    Ok(HeldCustomer {
        id: id.parse().map_err(|_| Error::Corrupt("customer.id".to_owned()))?,
        tenant_id: tenant(row.try_get("tenant_id")?)?,
        company_name: row.try_get("company_name")?,
        evidence: evidence(row)?,
        gone_answer: row.try_get::<Option<String>, _>("gone_answer")?.unwrap_or_default(),
        mark: mark(row)?,
        since: Timestamp::from_micros(row.try_get("held_at")?),
    })
}

fn evidence(row: &Row) -> Result<RemovalEvidence, Error> {
    Ok(RemovalEvidence {
        missing_runs: row.try_get("missing_runs")?,
        removal_recorded: row.try_get::<Option<i64>, _>("removal_recorded_at")?.is_some(),
        said_gone: row.try_get::<Option<&str>, _>("gone_answer")?.is_some(),
    })
}

fn mark(row: &Row) -> Result<ObservationMark, Error> {
    Ok(ObservationMark {
        epoch: Epoch(row.try_get("observed_epoch")?),
        ticket: Ticket(row.try_get("observed_ticket")?),
    })
}

impl Tx {
    /// The removal candidates as they are in this transaction.
    pub async fn removal_candidates(&mut self, account: &PartnerAccountId) -> Result<Vec<RemovalCandidate>, Error> {
        let rows = statement(CANDIDATES).bind(account.as_str()).fetch_all(self.connection()).await?;
        rows.iter().map(candidate).collect()
    }

    /// The customers whose removal waits for an operator, as they are in this transaction.
    pub async fn held_customers(&mut self, account: &PartnerAccountId) -> Result<Vec<HeldCustomer>, Error> {
        let rows = statement(HELD).bind(account.as_str()).fetch_all(self.connection()).await?;
        rows.iter().map(held).collect()
    }

    /// The removals of an account that wait for an operator, as they are in this transaction.
    pub async fn hold(&mut self, account: &PartnerAccountId) -> Result<Option<Hold>, Error> {
        let held = self.held_customers(account).await?;
        let row = statement(ACTIVE).bind(account.as_str()).fetch_one(self.connection()).await?;
        Ok(Hold::of(held, row.try_get::<i64, _>(0)?.unsigned_abs()))
    }

    /// One more complete list lacked these customers: each is to be asked about directly. An answer from before the
    /// first such list is older than the last time the customer was seen and no longer counts. Returns how many will be
    /// asked about: a paused one is only marked.
    pub async fn note_missing(
        &mut self,
        account: &PartnerAccountId,
        tenants: &[TenantId],
        reason: LookReason,
    ) -> Result<u64, Error> {
        const UPDATE: &str = "
            UPDATE upstream_customer SET
                missing_runs = missing_runs + 1, listed_name = NULL, listed_domain = NULL, listed_relationship = NULL,
                listed_also = NULL,
                gone_answer = CASE WHEN missing_runs = 0 THEN NULL ELSE gone_answer END,
                gone_at = CASE WHEN missing_runs = 0 THEN NULL ELSE gone_at END
            WHERE account = $1 AND tenant_id IN (SELECT value FROM json_each($2))
            RETURNING paused_at IS NULL";
        let texts = serde_json::Value::from_iter(tenants.iter().map(TenantId::to_string));
        let noted =
            statement(UPDATE).bind(account.as_str()).bind(texts.to_string()).fetch_all(self.connection()).await?;
        let mut wanted = 0;
        for row in &noted {
            wanted += u64::from(row.try_get::<bool, _>(0)?);
        }
        // Every list that lacks them asks again, so that nothing is to be confirmed in between.
        self.mark(account, tenants, Priority::Listed, reason, 0).await?;
        Ok(wanted)
    }

    /// The audit log says that these relationships were removed.
    pub async fn note_removal_recorded(
        &mut self,
        account: &PartnerAccountId,
        tenants: &[TenantId],
    ) -> Result<(), Error> {
        const UPDATE: &str = "
            UPDATE upstream_customer SET removal_recorded_at = $3
            WHERE account = $1 AND tenant_id IN (SELECT value FROM json_each($2))";
        let now = self.now().micros();
        let tenants = serde_json::Value::from_iter(tenants.iter().map(TenantId::to_string));
        statement(UPDATE).bind(account.as_str()).bind(tenants.to_string()).bind(now).execute(self.connection()).await?;
        Ok(())
    }

    /// From now on its removal waits for an operator.
    pub(super) async fn note_held(&mut self, account: &PartnerAccountId, tenant: TenantId) -> Result<(), Error> {
        let now = self.now().micros();
        statement("UPDATE upstream_customer SET held_at = $3 WHERE account = $1 AND tenant_id = $2")
            .bind(account.as_str())
            .bind(tenant.to_string())
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// An operator says that these customers stay: what spoke against them is forgotten, each is looked at again, and
    /// their next removal is an operator's to decide as well.
    pub async fn dismiss_removals(&mut self, account: &PartnerAccountId, tenants: &[TenantId]) -> Result<(), Error> {
        const UPDATE: &str = "
            UPDATE upstream_customer SET
                missing_runs = 0, removal_recorded_at = NULL, gone_answer = NULL, gone_at = NULL, held_at = NULL,
                removal_dismissed_at = $3
            WHERE account = $1 AND tenant_id IN (SELECT value FROM json_each($2))";
        let now = self.now().micros();
        let texts = serde_json::Value::from_iter(tenants.iter().map(TenantId::to_string));
        statement(UPDATE).bind(account.as_str()).bind(texts.to_string()).bind(now).execute(self.connection()).await?;
        self.mark_dirty(account, tenants, Priority::Signal, LookCause::Refresh).await
    }
}
