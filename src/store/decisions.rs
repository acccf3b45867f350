//! Decisions: every refused edit, kept for good. Which fields and which rule, never which values.
//!
//! The decisions of an account are a chain: each hash covers its decision and the hash before it, so that none can be
//! changed, taken out or put in between without breaking every hash after it.

use aws_lc_rs::digest::{Context, SHA256};

use crate::clock::Timestamp;
use crate::domain::customer::Customer;
use crate::domain::field::Field;
use crate::domain::ids::{CustomerId, DecisionId, PartnerAccountId};
use crate::domain::ownership::POLICY_REVISION;
use crate::domain::review::{GuardRule, Refusal, Violation};
use crate::store::changes::paths;
use crate::store::row::Row;
use crate::store::statement::statement;
use crate::store::{Error, Store, Tx};

/// A refusal that has been recorded, or one that was only reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Its id, which the caller is told.
    pub id: DecisionId,
    /// The account.
    pub account: PartnerAccountId,
    /// Its place in the account's chain, from 1.
    pub position: i64,
    /// The customer the edit was about.
    pub customer: CustomerId,
    /// Who asked for it.
    pub caller: String,
    /// What was refused.
    pub refusal: Refusal,
    /// The rules it was refused by.
    pub policy_revision: i64,
    /// When it was taken.
    pub at: Timestamp,
    /// What became of the edit.
    pub outcome: DecisionOutcome,
    /// The hash of it and of all before it.
    pub chain_hash: String,
}

/// What became of an edit that a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionOutcome {
    /// It was refused, whole.
    Refused,
    /// The refusal was only reported, and the rest of the edit was made.
    Reported,
}

impl DecisionOutcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Refused => "REFUSED",
            Self::Reported => "REPORTED",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Refused, Self::Reported].into_iter().find(|outcome| outcome.name() == name)
    }
}

impl Decision {
    /// The hash of this decision after one with `previous` as its hash.
    fn hash_after(&self, previous: &str) -> String {
        let mut context = Context::new(&SHA256);
        // Refusals say nothing of their outcome: they have the hashes they had before there was another.
        let outcome = match self.outcome {
            DecisionOutcome::Refused => None,
            DecisionOutcome::Reported => Some(DecisionOutcome::Reported.name()),
        };
        let parts = [
            previous,
            &self.id.to_string(),
            self.account.as_str(),
            &self.position.to_string(),
            &self.customer.to_string(),
            &self.caller,
            &violations_text(&self.refusal),
            &paths(&self.refusal.acceptable),
            &self.policy_revision.to_string(),
            &self.at.micros().to_string(),
        ];
        for part in parts.into_iter().chain(outcome) {
            // The length first, so that no two decisions share their bytes.
            context.update(&part.len().to_be_bytes());
            context.update(part.as_bytes());
        }
        context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Which decisions are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionQuery {
    /// Only those about this customer.
    pub customer: Option<CustomerId>,
    /// Only those of this caller.
    pub caller: Option<String>,
    /// Only those taken at this time or later.
    pub from: Option<Timestamp>,
    /// Only those taken before this time.
    pub until: Option<Timestamp>,
    /// Only those before this place in the chain.
    pub before: Option<i64>,
}

/// What a check of an account's chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainCheck {
    /// Every hash is as it must be; so many decisions, and the hash of the last.
    Intact(u64, String),
    /// The first place that is not as it must be.
    Broken(i64),
}

impl Store {
    /// One decision.
    pub async fn decision(&self, account: &PartnerAccountId, id: DecisionId) -> Result<Option<Decision>, Error> {
        let row = statement("SELECT * FROM decision WHERE account = $1 AND id = $2")
            .bind(account.as_str())
            .bind(id.to_string())
            .fetch_optional(&self.backend)
            .await?;
        row.as_ref().map(decision).transpose()
    }

    /// Up to `limit` decisions of an account, newest first.
    pub async fn decisions(
        &self,
        account: &PartnerAccountId,
        query: &DecisionQuery,
        limit: u32,
    ) -> Result<Vec<Decision>, Error> {
        const SELECT: &str = "
            SELECT * FROM decision
            WHERE account = $1 AND ($2 IS NULL OR customer_id = $2) AND ($3 IS NULL OR caller = $3)
                AND ($4 IS NULL OR at >= $4) AND ($5 IS NULL OR at < $5) AND ($6 IS NULL OR position < $6)
            ORDER BY position DESC LIMIT $7";
        let rows = statement(SELECT)
            .bind(account.as_str())
            .bind(query.customer.map(|customer| customer.to_string()))
            .bind(query.caller.clone())
            .bind(query.from.map(Timestamp::micros))
            .bind(query.until.map(Timestamp::micros))
            .bind(query.before)
            .bind(limit)
            .fetch_all(&self.backend)
            .await?;
        rows.iter().map(decision).collect()
    }

    /// Checks an account's chain from its beginning.
    pub async fn check_decisions(&self, account: &PartnerAccountId) -> Result<ChainCheck, Error> {
        const SELECT: &str = "
            SELECT * FROM decision WHERE account = $1 AND position > $2 ORDER BY position LIMIT 1000";
        let mut previous = String::new();
        let mut position = 0_i64;
        loop {
            let rows = statement(SELECT).bind(account.as_str()).bind(position).fetch_all(&self.backend).await?;
            if rows.is_empty() {
                return Ok(ChainCheck::Intact(position.unsigned_abs(), previous));
            }
            for row in &rows {
                let expected = position + 1;
                // A row that cannot even be read back has been changed as well.
                let Ok(decision) = decision(row) else { return Ok(ChainCheck::Broken(expected)) };
                if decision.position != expected || decision.chain_hash != decision.hash_after(&previous) {
                    return Ok(ChainCheck::Broken(expected));
                }
                previous = decision.chain_hash;
                position = expected;
            }
        }
    }
}

impl Tx {
    /// Records that `caller` was refused, or would have been.
    pub async fn save_decision(
        &mut self,
        customer: &Customer,
        caller: &str,
        refusal: &Refusal,
        outcome: DecisionOutcome,
    ) -> Result<Decision, Error> {
        const LAST: &str = "
            SELECT position, chain_hash FROM decision WHERE account = $1 ORDER BY position DESC LIMIT 1";
        const INSERT: &str = "
            INSERT INTO decision
                (id, account, position, customer_id, caller, violations, acceptable, policy_revision, at, chain_hash, outcome)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let last = statement(LAST).bind(customer.account.as_str()).fetch_optional(self.connection()).await?;
        let (position, previous) = match last {
            Some(row) => (row.try_get::<i64, _>("position")?, row.try_get::<String, _>("chain_hash")?),
            None => (0, String::new()),
        };
        let mut decision = Decision {
            id: DecisionId::mint(self.now()),
            account: customer.account.clone(),
            position: position + 1,
            customer: customer.id,
            caller: caller.to_owned(),
            refusal: refusal.clone(),
            policy_revision: i64::from(POLICY_REVISION),
            at: self.now(),
            outcome,
            chain_hash: String::new(),
        };
        decision.chain_hash = decision.hash_after(&previous);
        statement(INSERT)
            .bind(decision.id.to_string())
            .bind(decision.account.as_str())
            .bind(decision.position)
            .bind(decision.customer.to_string())
            .bind(&decision.caller)
            .bind(violations_text(refusal))
            .bind(paths(&refusal.acceptable))
            .bind(decision.policy_revision)
            .bind(decision.at.micros())
            .bind(&decision.chain_hash)
            .bind(outcome.name())
            .execute(self.connection())
            .await?;
        Ok(decision)
    }
}

fn violations_text(refusal: &Refusal) -> String {
    let text = |violation: &Violation| format!("{}:{}", violation.field, violation.rule.name());
    refusal.violations.iter().map(text).collect::<Vec<_>>().join(",")
}

fn decision(row: &Row) -> Result<Decision, Error> {
    let corrupt = |column: &str| Error::Corrupt(format!("decision.{column}"));
    let text = |column: &str| row.try_get::<&str, _>(column);
    let violation = |text: &str| {
        let (field, rule) = text.split_once(':')?;
        let rule = GuardRule::ALL.into_iter().find(|known| known.name() == rule)?;
        Some(Violation { field: Field::of_path(field)?, rule })
    };
    let parts = |text: &str| text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let violations = parts(text("violations")?).iter().map(|part| violation(part)).collect::<Option<Vec<_>>>();
    let acceptable = parts(text("acceptable")?).iter().map(|part| Field::of_path(part)).collect::<Option<Vec<_>>>();
    Ok(Decision {
        id: text("id")?.parse().map_err(|_| corrupt("id"))?,
        account: text("account")?.parse().map_err(|_| corrupt("account"))?,
        position: row.try_get("position")?,
        customer: text("customer_id")?.parse().map_err(|_| corrupt("customer_id"))?,
        caller: text("caller")?.to_owned(),
        refusal: Refusal {
            violations: violations.ok_or_else(|| corrupt("violations"))?,
            acceptable: acceptable.ok_or_else(|| corrupt("acceptable"))?,
        },
        policy_revision: row.try_get("policy_revision")?,
        at: Timestamp::from_micros(row.try_get("at")?),
        outcome: DecisionOutcome::named(text("outcome")?).ok_or_else(|| corrupt("outcome"))?,
        chain_hash: text("chain_hash")?.to_owned(),
    })
}
