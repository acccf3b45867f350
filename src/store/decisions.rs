//! Decisions: every refused edit, kept for good. Which fields and which rule, never which values.

use crate::clock::Timestamp;
use crate::domain::customer::Customer;
use crate::domain::ids::DecisionId;
use crate::domain::ownership::POLICY_REVISION;
use crate::domain::review::Refusal;
use crate::store::changes::paths;
use crate::store::{Error, Tx};

/// A refusal that has been recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Its id, which the caller is told.
    pub id: DecisionId,
    /// When it was taken.
    pub at: Timestamp,
}

impl Tx {
    /// Records that `caller` was refused.
    pub async fn save_decision(
        &mut self,
        customer: &Customer,
        caller: &str,
        refusal: &Refusal,
    ) -> Result<Decision, Error> {
        const INSERT: &str = "
            INSERT INTO decision (id, account, customer_id, caller, violations, acceptable, policy_revision, at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let decision = Decision { id: DecisionId::mint(self.now()), at: self.now() };
        let violation =
            |violation: &crate::domain::review::Violation| format!("{}:{}", violation.field, violation.rule.name());
        sqlx::query(INSERT)
            .bind(decision.id.to_string())
            .bind(customer.account.as_str())
            .bind(customer.id.to_string())
            .bind(caller)
            .bind(refusal.violations.iter().map(violation).collect::<Vec<_>>().join(","))
            .bind(paths(&refusal.acceptable))
            .bind(i64::from(POLICY_REVISION))
            .bind(decision.at.micros())
            .execute(self.connection())
            .await?;
        Ok(decision)
    }
}
