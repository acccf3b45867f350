//! Which audit records have been acted on. The audit log is read by whole days and without an order, so the same
//! record is met many times; only a record that was not met in this status yet is a signal.

use std::collections::HashSet;

use crate::clock::Timestamp;
use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::store::connection::Access;
use crate::store::statement::statement;
use crate::store::upstream::tenant;
use crate::store::{Error, Store, Tx};

impl Store {
    /// Since when the oldest operation is under way that was first met after `since` and has not ended as far as is known.
    pub async fn audit_record_in_progress(
        &self,
        account: &PartnerAccountId,
        since: Timestamp,
    ) -> Result<Option<Timestamp>, Error> {
        const SELECT: &str = "
            SELECT min(p.seen_at) FROM audit_record_seen p
            WHERE p.account = $1 AND p.seen_at >= $2 AND p.status = 'progress' AND NOT EXISTS (
                SELECT 1 FROM audit_record_seen e
                WHERE e.account = p.account AND e.record_id = p.record_id AND e.status <> 'progress'
            )";
        let row = statement(SELECT).bind(account.as_str()).bind(since.micros()).fetch_one(&self.backend).await?;
        Ok(row.try_get::<Option<i64>, _>(0)?.map(Timestamp::from_micros))
    }

    /// Which of these records have been met in that status.
    pub async fn met_audit_records(
        &self,
        account: &PartnerAccountId,
        records: &[&str],
        status: &str,
    ) -> Result<HashSet<String>, Error> {
        const SELECT: &str = "
            SELECT record_id FROM audit_record_seen
            WHERE account = $1 AND status = $2 AND record_id IN (SELECT value FROM json_each($3))";
        let records = serde_json::Value::from_iter(records.iter().copied()).to_string();
        let met = statement(SELECT).bind(account.as_str()).bind(status).bind(records);
        met.fetch_all(&self.backend).await?.iter().map(|row| row.try_get(0)).collect()
    }

    /// Which of these tenants the account has no customer for.
    pub async fn unknown_tenants(
        &self,
        account: &PartnerAccountId,
        tenants: &[TenantId],
    ) -> Result<Vec<TenantId>, Error> {
        unknown_tenants(&self.backend, account, tenants).await
    }
}

impl Tx {
    /// Remembers a record in a status; returns whether it was not met before.
    pub async fn meet_audit_record(
        &mut self,
        account: &PartnerAccountId,
        record: &str,
        status: &str,
    ) -> Result<bool, Error> {
        const INSERT: &str = "
            INSERT INTO audit_record_seen (account, record_id, status, seen_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (account, record_id, status) DO NOTHING";
        let now = self.now().micros();
        let done = statement(INSERT)
            .bind(account.as_str())
            .bind(record)
            .bind(status)
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(done == 1)
    }

    /// Forgets records met before `before`; they are older than what is read again.
    pub async fn forget_audit_records(&mut self, account: &PartnerAccountId, before: Timestamp) -> Result<(), Error> {
        statement("DELETE FROM audit_record_seen WHERE account = $1 AND seen_at < $2")
            .bind(account.as_str())
            .bind(before.micros())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// As [`Store::unknown_tenants`].
    pub async fn unknown_tenants(
        &mut self,
        account: &PartnerAccountId,
        tenants: &[TenantId],
    ) -> Result<Vec<TenantId>, Error> {
        unknown_tenants(self.connection(), account, tenants).await
    }
}

async fn unknown_tenants(
    on: impl Into<Access<'_>>,
    account: &PartnerAccountId,
    tenants: &[TenantId],
) -> Result<Vec<TenantId>, Error> {
    const SELECT: &str = "
        SELECT value FROM json_each($2)
        WHERE NOT EXISTS (SELECT 1 FROM customer WHERE account = $1 AND microsoft_tenant_id = value)";
    let tenants = serde_json::Value::from_iter(tenants.iter().map(TenantId::to_string));
    let rows = statement(SELECT).bind(account.as_str()).bind(tenants.to_string()).fetch_all(on).await?;
    rows.iter().map(|row| tenant(row.try_get(0)?)).collect()
}
