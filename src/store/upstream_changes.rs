//! Who in Partner Center made a change: kept beside the change it explains, and nowhere else.
//!
//! A record of the audit log waits until a look that was taken after it was met finds a change; then it explains that
//! change, or a newer record does, and it is erased. It is erased as well when the look it asked for, and those that
//! confirm it, found nothing: what a later night finds, it does not explain.

use crate::clock::Timestamp;
use crate::domain::change::ChangeKind;
use crate::domain::ids::{ChangePosition, PartnerAccountId, TenantId};
use crate::domain::upstream_change::{UpstreamChange, UserName};
use crate::store::row::Row;
use crate::store::statement::statement;
use crate::store::{Error, SavedPlan, Tx};

/// What a row of a record says.
pub(super) fn upstream_change(row: &Row) -> Result<Option<UpstreamChange>, Error> {
    let operation: Option<String> = row.try_get("operation")?;
    let Some(operation) = operation else { return Ok(None) };
    Ok(Some(UpstreamChange {
        record: row.try_get("record_id")?,
        operation,
        user: UserName::new(row.try_get("actor_user")?),
        application: row.try_get("actor_application")?,
        at: row.try_get::<Option<i64>, _>("operation_at")?.map(Timestamp::from_micros),
    }))
}

impl Tx {
    /// A record of the audit log may explain the next change of a customer that has been marked because of it.
    pub async fn note_audit_signal(
        &mut self,
        account: &PartnerAccountId,
        tenant: TenantId,
        record: &UpstreamChange,
    ) -> Result<(), Error> {
        const INSERT: &str = "
            INSERT INTO audit_signal
                (account, tenant_id, record_id, operation, actor_user, actor_application, operation_at, marked, met_at)
            SELECT account, tenant_id, $3, $4, $5, $6, $7, marked, $8 FROM upstream_customer
            WHERE account = $1 AND tenant_id = $2
            ON CONFLICT (account, tenant_id, record_id) DO UPDATE SET marked = excluded.marked, met_at = excluded.met_at";
        let now = self.now().micros();
        statement(INSERT)
            .bind(account.as_str())
            .bind(tenant.to_string())
            .bind(&record.record)
            .bind(&record.operation)
            .bind(record.user.as_str())
            .bind(&record.application)
            .bind(record.at.map(Timestamp::micros))
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// A change of what Partner Center says of a customer has been applied at that place: the newest record that was met
    /// before `marked` and can be the reason explains it; without one nobody does.
    pub(super) async fn explain_change(
        &mut self,
        account: &PartnerAccountId,
        tenant: TenantId,
        kind: ChangeKind,
        marked: i64,
        place: ChangePosition,
    ) -> Result<(), Error> {
        const KNOWN: &str = "
            SELECT record_id, operation, actor_user, actor_application, operation_at FROM audit_signal
            WHERE account = $1 AND tenant_id = $2 AND marked <= $3
            ORDER BY operation_at DESC NULLS LAST, marked DESC, record_id DESC";
        const INSERT: &str = "
            INSERT INTO upstream_change
                (sequence, account, tenant_id, record_id, operation, actor_user, actor_application, operation_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        const FORGET_FORMER: &str = "
            DELETE FROM upstream_change WHERE sequence <= (SELECT sequence FROM change_log_horizon) AND sequence = (
                SELECT change_sequence FROM upstream_customer WHERE account = $1 AND tenant_id = $2)";
        let rows = statement(KNOWN)
            .bind(account.as_str())
            .bind(tenant.to_string())
            .bind(marked)
            .fetch_all(self.connection())
            .await?;
        let known = rows.iter().map(upstream_change).collect::<Result<Vec<_>, _>>()?;
        if let Some(reason) = known.iter().flatten().find(|record| record.explains(kind)) {
            statement(INSERT)
                .bind(place.0)
                .bind(account.as_str())
                .bind(tenant.to_string())
                .bind(&reason.record)
                .bind(&reason.operation)
                .bind(reason.user.as_str())
                .bind(&reason.application)
                .bind(reason.at.map(Timestamp::micros))
                .execute(self.connection())
                .await?;
        }
        // What was kept for being the newest goes when it no longer is.
        statement(FORGET_FORMER).bind(account.as_str()).bind(tenant.to_string()).execute(self.connection()).await?;
        statement("UPDATE upstream_customer SET change_sequence = $3 WHERE account = $1 AND tenant_id = $2")
            .bind(account.as_str())
            .bind(tenant.to_string())
            .bind(place.0)
            .execute(self.connection())
            .await?;
        self.forget_audit_signals(account, tenant, marked).await
    }

    /// The record of a customer is no longer what a change of Partner Center's made it.
    pub(super) async fn forget_last_upstream_change(
        &mut self,
        account: &PartnerAccountId,
        tenant: TenantId,
    ) -> Result<(), Error> {
        statement("UPDATE upstream_customer SET change_sequence = NULL WHERE account = $1 AND tenant_id = $2")
            .bind(account.as_str())
            .bind(tenant.to_string())
            .execute(self.connection())
            .await?;
        self.forget_audit_signals(account, tenant, i64::MAX).await
    }

    async fn forget_audit_signals(
        &mut self,
        account: &PartnerAccountId,
        tenant: TenantId,
        marked: i64,
    ) -> Result<(), Error> {
        statement("DELETE FROM audit_signal WHERE account = $1 AND tenant_id = $2 AND marked <= $3")
            .bind(account.as_str())
            .bind(tenant.to_string())
            .bind(marked)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Looks are settled: where one was the last of those that a record asked for, the record has nothing to explain any
    /// more. What says that a customer is gone, or keeps it waiting for a decision, may still come to be applied.
    pub async fn forget_idle_audit_signals(
        &mut self,
        account: &PartnerAccountId,
        looks: &[(TenantId, SavedPlan)],
    ) -> Result<(), Error> {
        const DELETE: &str = "
            DELETE FROM audit_signal WHERE account = $1 AND tenant_id IN (SELECT value FROM json_each($2)) AND EXISTS (
                SELECT 1 FROM upstream_customer u WHERE u.account = $1 AND u.tenant_id = audit_signal.tenant_id
                    AND u.settled = u.marked AND u.confirms_left = 0 AND u.confirm_at IS NULL)";
        let is_idle = |outcome| match outcome {
            SavedPlan::Created | SavedPlan::Changed | SavedPlan::Verified | SavedPlan::Quarantined => true,
            SavedPlan::Outdated | SavedPlan::NotedGone | SavedPlan::Paused | SavedPlan::AwaitsLink => false,
        };
        let idle = looks.iter().filter(|(_, outcome)| is_idle(*outcome)).map(|(tenant, _)| tenant.to_string());
        let idle = serde_json::Value::from_iter(idle);
        statement(DELETE).bind(account.as_str()).bind(idle.to_string()).execute(self.connection()).await?;
        Ok(())
    }

    /// Erases who made the changes up to that place, which are no longer kept, but for the newest of each customer.
    pub(super) async fn forget_upstream_changes(&mut self, until: ChangePosition) -> Result<(), Error> {
        const DELETE: &str = "
            DELETE FROM upstream_change WHERE sequence <= $1 AND NOT EXISTS (
                SELECT 1 FROM upstream_customer u
                WHERE u.account = upstream_change.account AND u.tenant_id = upstream_change.tenant_id
                    AND u.change_sequence = upstream_change.sequence)";
        statement(DELETE).bind(until.0).execute(self.connection()).await?;
        Ok(())
    }

    /// Erases records that have waited since before then to explain a change.
    pub(super) async fn forget_old_audit_signals(&mut self, before: Timestamp) -> Result<(), Error> {
        statement("DELETE FROM audit_signal WHERE met_at < $1")
            .bind(before.micros())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
