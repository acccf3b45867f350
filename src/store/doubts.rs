//! What in an account gives reason to doubt what Partner Center said: counts, of which somebody else makes sentences.

use crate::domain::ids::PartnerAccountId;
use crate::store::statement::{PerDialect, by_index, statement};
use crate::store::{Error, Store};

/// What is doubtful in an account. Paused customers are nobody's work and are in none of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Customers of Microsoft's with an active relationship.
    pub active: u64,
    /// Of those, the ones that are listed and are said to be gone when asked for.
    pub forbidden: u64,
    /// Of those, the ones that could not be read when last tried.
    pub failing: u64,
    /// Why one of them could not; holds no value of a customer.
    pub problem: Option<String>,
    /// Removals that wait for an operator.
    pub held: u64,
    /// Removals on complete evidence that are neither made nor held.
    pub unproven: u64,
    /// Customers that the last run's list named.
    pub listed: u64,
    /// Known customers that it lacked, without those whose relationship has ended since.
    pub lacked: u64,
    /// Of those, the ones that were found all the same by asking for them.
    pub found: u64,
}

impl Doubts {
    /// No reason to doubt anything.
    pub const NONE: Self = Self {
        active: 0,
        forbidden: 0,
        failing: 0,
        problem: None,
        held: 0,
        unproven: 0,
        listed: 0,
        lacked: 0,
        found: 0,
    };
}

impl Store {
    /// What is doubtful in the account: reads every active customer of it.
    pub async fn doubts(&self, account: &PartnerAccountId) -> Result<Doubts, Error> {
        const CUSTOMERS: &str = "
            SELECT count(*) AS active,
                   count(*) FILTER (WHERE u.missing_runs = 0 AND u.gone_answer IS NOT NULL AND u.listed_name IS NOT NULL) AS forbidden,
                   count(*) FILTER (WHERE u.settled < u.marked AND u.attempts > 0) AS failing,
                   max(CASE WHEN u.settled < u.marked AND u.attempts > 0 THEN u.problem END) AS problem,
                   count(*) FILTER (WHERE c.sync_state = 'HELD_FOR_REMOVAL') AS held
            FROM customer c JOIN upstream_customer u ON u.account = c.account AND u.tenant_id = c.microsoft_tenant_id
            WHERE c.account = $1 AND c.relationship = 'ACTIVE' AND u.paused_at IS NULL";
        const LIST: PerDialect = by_index!(
            "
            SELECT listed, missing, (
                SELECT count(*) FROM customer c
                WHERE c.account = $1 AND c.relationship = 'ENDED' AND c.updated_at >= r.listed_at
            ) AS ended, (
                SELECT count(*) FROM upstream_customer u",
            "upstream_customer_missing",
            "
                LEFT JOIN customer c ON c.account = u.account AND c.microsoft_tenant_id = u.tenant_id
                WHERE u.account = $1 AND u.missing_runs > 0 AND coalesce(c.relationship, 'ACTIVE') = 'ACTIVE'
            ) AS missed
            FROM sync_run r
            WHERE account = $1 AND state = 'SUCCEEDED' AND listed_at IS NOT NULL ORDER BY listed_at DESC LIMIT 1"
        );
        let row = statement(CUSTOMERS).bind(account.as_str()).fetch_one(&self.backend).await?;
        let list = statement(LIST).bind(account.as_str()).fetch_optional(&self.backend).await?;
        let count = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
        let of_list =
            |column: &str| list.as_ref().map_or(Ok(0), |row| row.try_get::<i64, _>(column)).map(i64::unsigned_abs);
        let candidates = self.removal_candidates(account).await?;
        // Whoever could be ended was, or is held; those that an operator is asked about are the operator's.
        let unproven = candidates.iter().filter(|one| one.evidence.is_complete() && !one.is_for_operator).count();
        let lacked = of_list("missing")?.saturating_sub(of_list("ended")?);
        Ok(Doubts {
            active: count("active")?,
            forbidden: count("forbidden")?,
            failing: count("failing")?,
            problem: row.try_get("problem")?,
            held: count("held")?,
            unproven: u64::try_from(unproven).unwrap_or(u64::MAX),
            listed: of_list("listed")?,
            lacked,
            found: lacked.saturating_sub(of_list("missed")?),
        })
    }
}
