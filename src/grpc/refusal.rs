//! The typed refusal: what a caller in any language gets for a guarded edit. A published contract; it only grows.

use prost::Message;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::domain::account::PartnerKind;
use crate::domain::customer::{Customer, Relationship};
use crate::domain::field::Field;
use crate::domain::ownership::POLICY_REVISION;
use crate::domain::review::{GuardRule, Violation};
use crate::grpc::convert::{time, verify_due_by};
use crate::grpc::details::Problem;
use crate::grpc::names::CustomerName;
use crate::grpc::proto;
use crate::operations::accounts::ServedAccount;
use crate::operations::update_customer::RefusedEdit;

/// Where the customer can be changed; `{tenant_id}` stands for its tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalLink(String);

impl PortalLink {
    /// The part of the template that is replaced.
    pub const PLACEHOLDER: &'static str = "{tenant_id}";

    /// A template; `None` if it is no https address with the placeholder.
    pub fn new(template: &str) -> Option<Self> {
        let sound = template.starts_with("https://") && template.contains(Self::PLACEHOLDER);
        sound.then(|| Self(template.to_owned()))
    }

    fn of(&self, customer: &Customer) -> String {
        let tenant = customer.microsoft.as_ref().map(|link| link.tenant_id.to_string());
        self.0.replace(Self::PLACEHOLDER, &tenant.unwrap_or_default())
    }
}

/// Who can change what Partner Center owns of this customer, and where.
pub fn fix(account: &ServedAccount, customer: &Customer, portal: &PortalLink) -> proto::Fix {
    match account.account.kind {
        PartnerKind::DirectBill | PartnerKind::IndirectProvider => proto::Fix {
            actor: proto::FixActor::Partner.into(),
            instruction: "Change it in Microsoft Partner Center; the platform follows by itself.".to_owned(),
            uri: portal.of(customer),
        },
        PartnerKind::IndirectReseller => proto::Fix {
            actor: proto::FixActor::IndirectProvider.into(),
            instruction: "Ask your indirect provider to change it in Microsoft Partner Center; an indirect reseller \
                          cannot. The platform follows by itself."
                .to_owned(),
            uri: String::new(),
        },
    }
}

/// Details travel in a header, and many clients refuse headers beyond 8 KiB; encoded as text they grow by a third.
const DETAILS_MAX: usize = 4 * 1024;
/// What a detail's type name and the lengths around it cost at most.
const FRAME: usize = 80;
/// Fields that would have passed; there are not many that could.
const ACCEPTABLE_MAX: usize = 10;

/// The status of a refused edit.
pub fn refused(refused: &RefusedEdit, account: &ServedAccount, portal: &PortalLink) -> Status {
    let RefusedEdit { customer, refusal, decision } = refused;
    let name = CustomerName { account: customer.account.clone(), id: customer.id }.to_string();
    let fix = fix(account, customer, portal);
    let decision_id = decision.map_or(String::new(), |decision| decision.to_string());
    let mut edit_refused = edit_refused(refused, account, portal);
    let mut preconditions = pb::PreconditionFailure {
        violations: refusal.violations.iter().map(|violation| precondition(&name, violation)).collect(),
    };
    let help = pb::Help { links: vec![pb::help::Link { description: fix.instruction, url: fix.uri }] };
    let message = sentence(customer, &refusal.violations);
    let problem = Problem::new(Code::FailedPrecondition, proto::ErrorReason::FieldOwnedByPartnerCenter, message)
        .with("customer", &name)
        .with("decisionId", decision_id)
        .with("owner", "PARTNER_CENTER")
        .with("policyRevision", POLICY_REVISION)
        .detail("google.rpc.Help", &help);
    let room = DETAILS_MAX.saturating_sub(problem.encoded_len() + 2 * FRAME);
    shorten_edit_refused(&mut edit_refused, room.saturating_sub(shortest_preconditions(&preconditions, &name)));
    shorten_preconditions(&mut preconditions, room.saturating_sub(edit_refused.encoded_len()), &name);
    problem
        .detail("google.rpc.PreconditionFailure", &preconditions)
        .detail("customerguard.v1.EditRefused", &edit_refused)
        .status()
}

/// A refusal that is only reported: what `EditRefused` would have said, small enough for a header.
pub fn reported(refused: &RefusedEdit, account: &ServedAccount, portal: &PortalLink) -> proto::EditRefused {
    let mut reported = edit_refused(refused, account, portal);
    shorten_edit_refused(&mut reported, DETAILS_MAX);
    reported
}

fn edit_refused(refused: &RefusedEdit, account: &ServedAccount, portal: &PortalLink) -> proto::EditRefused {
    let RefusedEdit { customer, refusal, decision } = refused;
    proto::EditRefused {
        decision_id: decision.map_or(String::new(), |decision| decision.to_string()),
        customer: CustomerName { account: customer.account.clone(), id: customer.id }.to_string(),
        violations: refusal.violations.iter().map(field_violation).collect(),
        more_violations: 0,
        acceptable_fields: refusal.acceptable.iter().take(ACCEPTABLE_MAX).map(Field::to_string).collect(),
        fix: Some(fix(account, customer, portal)),
        source_verified_at: customer.microsoft.as_ref().map(|link| time(link.verified_at)),
        verify_due_by: verify_due_by(customer, &account.policy).map(time),
    }
}

/// Drops violations from the end until the message fits, and says how many.
fn shorten_edit_refused(edit_refused: &mut proto::EditRefused, room: usize) {
    while edit_refused.encoded_len() > room && edit_refused.violations.pop().is_some() {
        edit_refused.more_violations += 1;
    }
}

/// What one violation takes, and the entry that says how many more there are.
fn shortest_preconditions(preconditions: &pb::PreconditionFailure, name: &str) -> usize {
    let violations =
        preconditions.violations.first().cloned().into_iter().chain([more_preconditions(usize::MAX, name)]);
    pb::PreconditionFailure { violations: violations.collect() }.encoded_len()
}

fn more_preconditions(dropped: usize, name: &str) -> pb::precondition_failure::Violation {
    pb::precondition_failure::Violation {
        r#type: GuardRule::FieldOwnedByPartnerCenter.name().to_owned(),
        subject: name.to_owned(),
        description: format!("and {dropped} more fields; EditRefused lists them"),
    }
}

/// `EditRefused` is complete before this list is: here a last entry says how many more there are.
fn shorten_preconditions(preconditions: &mut pb::PreconditionFailure, room: usize, name: &str) {
    let mut dropped = 0_usize;
    let room_for_more = more_preconditions(usize::MAX, name).encoded_len() + 4;
    while preconditions.encoded_len() + if dropped > 0 { room_for_more } else { 0 } > room
        && preconditions.violations.len() > 1
    {
        preconditions.violations.pop();
        dropped += 1;
    }
    if dropped > 0 {
        preconditions.violations.push(more_preconditions(dropped, name));
    }
}

fn sentence(customer: &Customer, violations: &[Violation]) -> String {
    let count = violations.len();
    let fields = violations.iter().take(3).map(|violation| violation.field.to_string()).collect::<Vec<_>>().join(", ");
    let more = if count > 3 { format!(" and {} more", count - 3) } else { String::new() };
    let ended = customer.relationship() == Some(Relationship::Ended);
    let whose = if ended { "a former Microsoft customer" } else { "a Microsoft customer" };
    let them = if count == 1 { "it" } else { "them" };
    format!("{fields}{more} of {whose} cannot be changed here: Microsoft Partner Center owns {them}")
}

pub(super) fn field_violation(violation: &Violation) -> proto::FieldViolation {
    proto::FieldViolation {
        field: violation.field.to_string(),
        owner: proto::FieldOwner::PartnerCenter.into(),
        rule: violation.rule.name().to_owned(),
        upstream_field: violation.field.upstream().unwrap_or_default().to_owned(),
    }
}

fn precondition(name: &str, violation: &Violation) -> pb::precondition_failure::Violation {
    let field = violation.field;
    let upstream = field.upstream().unwrap_or_default();
    pb::precondition_failure::Violation {
        r#type: violation.rule.name().to_owned(),
        subject: format!("{name}#{field}"),
        description: format!("is {upstream} in Partner Center"),
    }
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
