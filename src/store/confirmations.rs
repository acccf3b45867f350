//! Confirming looks: after a signal's answer the customer is looked at again, because Partner Center may have answered
//! with what was before. They are planned in the dirty set's own rows, so that a restart forgets none.

use crate::clock::Timestamp;
use crate::domain::ids::PartnerAccountId;
use crate::domain::look::LookCause;
use crate::domain::policy::CONFIRM_AFTER;
use crate::store::statement::{PerDialect, by_index, statement};
use crate::store::{DirtyCustomer, Error, Priority, Store, Tx};

/// How many confirming looks follow a look of that urgency: as many as are planned for what a signal asked for.
pub(super) fn owed_after(priority: Priority) -> i64 {
    match priority {
        Priority::Signal | Priority::Listed => i64::try_from(CONFIRM_AFTER.len()).unwrap_or(i64::MAX),
        // A refresh tells a caller what Partner Center says now; a confirmation is not confirmed again.
        Priority::Sweep | Priority::Confirm | Priority::Refresh => 0,
    }
}

impl Store {
    /// When the next confirming look is due.
    pub async fn next_confirmation_at(&self, account: &PartnerAccountId) -> Result<Option<Timestamp>, Error> {
        const SELECT: PerDialect = by_index!(
            "
            SELECT confirm_at FROM upstream_customer",
            "upstream_customer_confirm",
            "
            WHERE account = $1 AND confirm_at IS NOT NULL ORDER BY confirm_at LIMIT 1"
        );
        let row = statement(SELECT).bind(account.as_str()).fetch_optional(&self.backend).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.map(Timestamp::from_micros))
    }
}

impl Tx {
    /// Plans the next confirming look at each that is owed one once nothing else is: a while after the one before.
    pub(super) async fn plan_confirmations(
        &mut self,
        account: &PartnerAccountId,
        works: &[DirtyCustomer],
    ) -> Result<(), Error> {
        const UPDATE: &str = "
            UPDATE upstream_customer SET confirm_at = CASE WHEN confirms_left >= $3 THEN $4 ELSE $5 END
            WHERE account = $1 AND tenant_id IN (SELECT value FROM json_each($2))
                AND confirms_left > 0 AND confirm_at IS NULL AND settled = marked";
        if planted!("confirming-look-dropped") {
            return Ok(());
        }
        let now = self.now();
        let tenants = serde_json::Value::from_iter(works.iter().map(|work| work.tenant_id.to_string()));
        let [first, then] = CONFIRM_AFTER.map(|after| now.plus(after).micros());
        statement(UPDATE)
            .bind(account.as_str())
            .bind(tenants.to_string())
            .bind(owed_after(Priority::Signal))
            .bind(first)
            .bind(then)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Marks up to `limit` customers whose confirming look is due; returns how many.
    pub async fn mark_confirmations(&mut self, account: &PartnerAccountId, limit: u32) -> Result<u64, Error> {
        const UPDATE: PerDialect = by_index!(
            "
            UPDATE upstream_customer SET
                confirms_left = max(confirms_left - 1, 0), confirm_at = NULL, marked = marked + 1,
                cause = CASE WHEN settled < marked AND priority >= $3 THEN cause ELSE $5 END, newest_cause = $5,
                priority = CASE WHEN settled < marked THEN max(priority, $3) ELSE $3 END,
                not_before = CASE WHEN settled < marked THEN not_before ELSE $2 END
            WHERE account = $1 AND tenant_id IN (
                SELECT tenant_id FROM upstream_customer",
            "upstream_customer_confirm",
            "
                WHERE account = $1 AND confirm_at <= $2 ORDER BY confirm_at LIMIT $4
            )"
        );
        let now = self.now().micros();
        self.wake(account);
        let done = statement(UPDATE)
            .bind(account.as_str())
            .bind(now)
            .bind(Priority::Confirm as i64)
            .bind(limit)
            .bind(LookCause::Confirmation.name())
            .execute(self.connection())
            .await?;
        Ok(done)
    }
}
