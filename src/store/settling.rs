//! What becomes of work that was taken from the dirty set: it is done, or it has to be tried again.

use crate::clock::Timestamp;
use crate::domain::ids::PartnerAccountId;
use crate::store::statement::statement;
use crate::store::{DirtyCustomer, Error, Priority, Tx};

impl Tx {
    /// The work that was taken is done, whatever it found.
    pub async fn settle(&mut self, account: &PartnerAccountId, work: DirtyCustomer) -> Result<(), Error> {
        self.settle_all(account, &[work]).await
    }

    /// As [`Tx::settle`], for work on different customers.
    pub async fn settle_all(&mut self, account: &PartnerAccountId, works: &[DirtyCustomer]) -> Result<(), Error> {
        // Materialized with its account, so that SQLite has no other way than to look for each by its key.
        const UPDATE: &str = "
            WITH work (of_account, done, taken) AS MATERIALIZED (
                SELECT $1, value ->> 0, CAST(value ->> 1 AS BIGINT) FROM json_each($2)
            )
            UPDATE upstream_customer SET
                settled = max(settled, taken), attempts = 0, looked_at = $3,
                priority = CASE WHEN marked = taken THEN 0 ELSE priority END,
                cause = CASE WHEN marked = taken THEN NULL ELSE newest_cause END,
                wanted_by_run = CASE WHEN marked = taken THEN NULL ELSE wanted_by_run END
            FROM work WHERE account = of_account AND tenant_id = done";
        self.wake(account);
        let now = self.now().micros();
        let done = serde_json::Value::from_iter(
            works.iter().map(|work| serde_json::json!([work.tenant_id.to_string(), work.marked])),
        );
        statement(UPDATE).bind(account.as_str()).bind(done.to_string()).bind(now).execute(self.connection()).await?;
        if planted!("settle-clears-newer-marks") {
            for work in works {
                statement("UPDATE upstream_customer SET settled = marked WHERE account = $1 AND tenant_id = $2")
                    .bind(account.as_str())
                    .bind(work.tenant_id.to_string())
                    .execute(self.connection())
                    .await?;
            }
        }
        self.plan_confirmations(account, works).await
    }

    /// The work that was taken failed; it stays dirty and is not tried before `not_before`.
    pub async fn postpone(
        &mut self,
        account: &PartnerAccountId,
        work: DirtyCustomer,
        not_before: Timestamp,
        problem: &str,
    ) -> Result<(), Error> {
        const UPDATE: &str = "
            UPDATE upstream_customer SET attempts = attempts + 1, not_before = $3, problem = $4, priority = min(priority, $5)
            WHERE account = $1 AND tenant_id = $2 AND paused_at IS NULL";
        self.wake(account);
        statement(UPDATE)
            .bind(account.as_str())
            .bind(work.tenant_id.to_string())
            .bind(not_before.micros())
            .bind(problem)
            .bind(Priority::Signal as i64)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
