//! Resource names: parsed once, at the edge.

use std::fmt;

use crate::domain::hold::HoldId;
use crate::domain::ids::{CustomerId, DecisionId, PartnerAccountId, RunId, TenantId};
use crate::domain::text::FieldProblem;
use crate::operations::list_customers::Parent;

const ACCOUNT: &str = "partnerAccounts/{partner_account}";
const CUSTOMER: &str = "partnerAccounts/{partner_account}/customers/{customer}";
const SYNC_RUN: &str = "partnerAccounts/{partner_account}/syncRuns/{sync_run}";
const DECISION: &str = "partnerAccounts/{partner_account}/decisions/{decision}";
const HOLD: &str = "partnerAccounts/{partner_account}/holds/{hold}";
const PENDING_LINK: &str = "partnerAccounts/{partner_account}/pendingLinks/{microsoft_tenant_id}";
const SYNC_STATUS: &str = "partnerAccounts/{partner_account}/syncStatus";

/// The name of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerName {
    /// Its account.
    pub account: PartnerAccountId,
    /// Its id.
    pub id: CustomerId,
}

impl fmt::Display for CustomerName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "partnerAccounts/{}/customers/{}", self.account, self.id)
    }
}

/// The name of an account.
pub fn account_name(account: &PartnerAccountId) -> String {
    format!("partnerAccounts/{account}")
}

/// The name of a sync run.
pub fn sync_run_name(account: &PartnerAccountId, id: RunId) -> String {
    format!("partnerAccounts/{account}/syncRuns/{id}")
}

/// The name of a decision.
pub fn decision_name(account: &PartnerAccountId, id: DecisionId) -> String {
    format!("partnerAccounts/{account}/decisions/{id}")
}

/// The name of a hold.
pub fn hold_name(account: &PartnerAccountId, id: HoldId) -> String {
    format!("partnerAccounts/{account}/holds/{id}")
}

/// The name of a pending link.
pub fn pending_link_name(account: &PartnerAccountId, tenant: TenantId) -> String {
    format!("partnerAccounts/{account}/pendingLinks/{tenant}")
}

/// The name of an account's synchronization.
pub fn sync_status_name(account: &PartnerAccountId) -> String {
    format!("partnerAccounts/{account}/syncStatus")
}

fn segments<const N: usize>(name: &str) -> Option<[&str; N]> {
    let parts: Vec<&str> = name.split('/').collect();
    <[&str; N]>::try_from(parts).ok()
}

fn malformed(field: &str, pattern: &str) -> FieldProblem {
    FieldProblem::new(field, format!("must be a name of the form {pattern}"))
}

/// Parses the name of a customer found in the request member `field`.
pub fn customer(field: &str, name: &str) -> Result<CustomerName, FieldProblem> {
    match segments(name) {
        Some(["partnerAccounts", account, "customers", id]) => account.parse().ok().zip(id.parse().ok()),
        _ => None,
    }
    .map(|(account, id)| CustomerName { account, id })
    .ok_or_else(|| malformed(field, CUSTOMER))
}

/// Parses the name of an account.
pub fn account(field: &str, name: &str) -> Result<PartnerAccountId, FieldProblem> {
    match segments(name) {
        Some(["partnerAccounts", account]) => account.parse().ok(),
        _ => None,
    }
    .ok_or_else(|| malformed(field, ACCOUNT))
}

/// Parses the parent of a list, where `-` stands for every account.
pub fn parent(field: &str, name: &str) -> Result<Parent, FieldProblem> {
    match name {
        "partnerAccounts/-" => Ok(Parent::Every),
        other => account(field, other).map(Parent::Account),
    }
}

/// Parses the name of a sync run.
pub fn sync_run(field: &str, name: &str) -> Result<(PartnerAccountId, RunId), FieldProblem> {
    match segments(name) {
        Some(["partnerAccounts", account, "syncRuns", id]) => account.parse().ok().zip(id.parse().ok()),
        _ => None,
    }
    .ok_or_else(|| malformed(field, SYNC_RUN))
}

/// Parses the name of a decision.
pub fn decision(field: &str, name: &str) -> Result<(PartnerAccountId, DecisionId), FieldProblem> {
    match segments(name) {
        Some(["partnerAccounts", account, "decisions", id]) => account.parse().ok().zip(id.parse().ok()),
        _ => None,
    }
    .ok_or_else(|| malformed(field, DECISION))
}

/// Parses the name of a hold: the account and the hash of the set.
pub fn hold(field: &str, name: &str) -> Result<(PartnerAccountId, HoldId), FieldProblem> {
    match segments(name) {
        Some(["partnerAccounts", account, "holds", id]) => account.parse().ok().zip(id.parse().ok()),
        _ => None,
    }
    .ok_or_else(|| malformed(field, HOLD))
}

/// Parses the name of a pending link.
pub fn pending_link(field: &str, name: &str) -> Result<(PartnerAccountId, TenantId), FieldProblem> {
    match segments(name) {
        Some(["partnerAccounts", account, "pendingLinks", tenant]) => account.parse().ok().zip(tenant.parse().ok()),
        _ => None,
    }
    .ok_or_else(|| malformed(field, PENDING_LINK))
}

/// Parses the name of an account's synchronization.
pub fn sync_status(field: &str, name: &str) -> Result<PartnerAccountId, FieldProblem> {
    match segments(name) {
        Some(["partnerAccounts", account, "syncStatus"]) => account.parse().ok(),
        _ => None,
    }
    .ok_or_else(|| malformed(field, SYNC_STATUS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_printed_is_the_name_that_is_parsed() {
        let text = "partnerAccounts/contoso/customers/0198c0de-7000-7000-8000-000000000001";
        assert_eq!(customer("name", text).expect("well-formed").to_string(), text);
    }

    #[test]
    fn names_of_another_form_are_refused_with_the_form() {
        let wrong = [
            "",
            "customers/0198c0de-7000-7000-8000-000000000001",
            "partnerAccounts/contoso/customers/",
            "partnerAccounts/contoso/customers/17",
            "partnerAccounts/Contoso/customers/0198c0de-7000-7000-8000-000000000001",
            "partnerAccounts/contoso/customers/0198c0de-7000-7000-8000-000000000001/",
            "partnerAccounts/contoso/customers/0198c0de-7000-7000-8000-000000000001/contacts/x",
        ];
        for name in wrong {
            let problem = customer("name", name).expect_err(name);
            assert!(problem.description.contains("partnerAccounts/{partner_account}/customers/{customer}"), "{name}");
        }
    }

    #[test]
    fn a_dash_stands_for_every_account_only_in_a_parent() {
        assert_eq!(parent("parent", "partnerAccounts/-"), Ok(Parent::Every));
        assert!(account("parent", "partnerAccounts/-").is_err());
    }
}
