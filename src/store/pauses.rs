//! Pauses of customers, beside what is owed to them: a paused one stays dirty and is nobody's work.

use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::domain::look::LookCause;
use crate::domain::pause::Pause;
use crate::store::statement::statement;
use crate::store::{Error, Priority, Tx};

impl Tx {
    /// The customer is paused so, or no longer: then it is looked at at once, for itself and not for a run that may have
    /// ended long ago.
    pub(super) async fn note_pause(
        &mut self,
        account: &PartnerAccountId,
        tenant: TenantId,
        pause: Option<&Pause>,
    ) -> Result<(), Error> {
        const PAUSE: &str = "
            INSERT INTO upstream_customer (account, tenant_id, first_seen_at, paused_at, paused_by, pause_reason)
            VALUES ($1, $2, $3, $3, $4, $5)
            ON CONFLICT (account, tenant_id) DO UPDATE SET paused_at = $3, paused_by = $4, pause_reason = $5";
        const RESUME: &str = "
            UPDATE upstream_customer SET
                paused_at = NULL, paused_by = NULL, pause_reason = NULL, wanted_by_run = NULL, attempts = 0
            WHERE account = $1 AND tenant_id = $2";
        // Whoever waits for the customer learns that nobody looks.
        self.wake(account);
        match pause {
            Some(pause) => {
                statement(PAUSE)
                    .bind(account.as_str())
                    .bind(tenant.to_string())
                    .bind(pause.since.micros())
                    .bind(&pause.by)
                    .bind(pause.reason.as_str())
                    .execute(self.connection())
                    .await?;
                Ok(())
            }
            None => {
                statement(RESUME).bind(account.as_str()).bind(tenant.to_string()).execute(self.connection()).await?;
                // It is an operator who asks.
                self.mark_dirty(account, &[tenant], Priority::Signal, LookCause::Refresh).await
            }
        }
    }
}
