//! Rolling verification: finds the customers whose last look is longest ago, so that each is verified in time even when
//! nothing signals and no night succeeds.

use crate::clock::Timestamp;
use crate::domain::ids::PartnerAccountId;
use crate::domain::look::LookCause;
use crate::store::statement::{PerDialect, by_index, statement};
use crate::store::{Error, Priority, Store, Tx};

impl Store {
    /// When the customer whose look is longest ago was looked at, among those nobody waits for already.
    pub async fn oldest_look_at(&self, account: &PartnerAccountId) -> Result<Option<Timestamp>, Error> {
        const SELECT: PerDialect = by_index!(
            "
            SELECT looked_at FROM upstream_customer",
            "upstream_customer_looked_at",
            "
            WHERE account = $1 AND looked_at IS NOT NULL AND settled = marked ORDER BY looked_at LIMIT 1"
        );
        let row = statement(SELECT).bind(account.as_str()).fetch_optional(&self.backend).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.map(Timestamp::from_micros))
    }
}

impl Tx {
    /// Marks up to `limit` customers that were last looked at `before` then and that nobody waits for already, oldest
    /// first; returns how many were found. Those without an active relationship are not marked, and not found again.
    pub async fn mark_for_verification(
        &mut self,
        account: &PartnerAccountId,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        const UPDATE: PerDialect = by_index!(
            "
            UPDATE upstream_customer SET
                marked = marked + CASE WHEN active THEN 1 ELSE 0 END, priority = $3, not_before = $4, cause = CASE WHEN active THEN $6 END, newest_cause = $6,
                looked_at = CASE WHEN active THEN looked_at END
            FROM (
                SELECT o.tenant_id AS due, EXISTS (
                    SELECT 1 FROM customer c WHERE c.account = $1 AND c.microsoft_tenant_id = o.tenant_id
                        AND c.relationship = 'ACTIVE'
                ) AS active
                FROM upstream_customer o",
            "upstream_customer_looked_at",
            "
                WHERE o.account = $1 AND o.looked_at <= $2 AND o.looked_at IS NOT NULL AND o.settled = o.marked
                ORDER BY o.looked_at LIMIT $5
            ) AS found
            WHERE account = $1 AND tenant_id = due"
        );
        let now = self.now().micros();
        self.wake(account);
        let done = statement(UPDATE)
            .bind(account.as_str())
            .bind(before.micros())
            .bind(Priority::Sweep as i64)
            .bind(now)
            .bind(limit)
            .bind(LookCause::Rolling.name())
            .execute(self.connection())
            .await?;
        Ok(done)
    }
}
