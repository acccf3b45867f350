//! What an observation means for the record we have (R1, R2, R8): the only way Partner Center's fields change.
//!
//! The same function serves a webhook, an audit record, the night and a refresh: none of them brings data.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::domain::contact::{ContactField, ContactRole};
use crate::domain::customer::{Billing, Customer, CustomerStatus, MicrosoftLink, Relationship, SyncState};
use crate::domain::field::Field;
use crate::domain::ids::{CustomerId, PartnerAccountId, Revision};
use crate::domain::likeness::Candidate;
use crate::domain::observation::{GoneAnswer, MicrosoftProfile, Observation, Observed};
use crate::domain::upstream_change::Provenance;

/// What is to be written for an observation. Only [`plan`] makes one.
#[must_use = "a plan does nothing until it is saved"]
#[derive(Debug)]
pub struct Plan(Step);

/// The one thing a plan does.
#[derive(Debug)]
pub enum Step {
    /// An older answer than the one we show: nothing.
    Outdated,
    /// An operator has paused the customer: nothing, until somebody looks again.
    Paused,
    /// A customer we do not have yet.
    Create(Box<Customer>),
    /// A customer we do not have yet and that looks like these of the platform's own: a person decides (R10).
    AwaitLink(Box<Customer>, Vec<Candidate>),
    /// Fields differ, a state is left or a tombstone returns.
    Change {
        /// The record as it is.
        before: Box<Customer>,
        /// The record as it is to be; the revision is still the old one.
        after: Box<Customer>,
        /// What differs.
        changed: Vec<Field>,
    },
    /// The record agrees; only the time of verification moves.
    Verify(Box<Customer>),
    /// The answer cannot be applied to the record we may have; the reason is kept.
    Quarantine(Option<Box<Customer>>, String),
    /// Partner Center says the customer is gone: evidence, not yet an end (R9).
    Gone(Option<Box<Customer>>, GoneAnswer),
}

impl Plan {
    /// What the plan does.
    pub const fn step(&self) -> &Step {
        &self.0
    }

    /// The customer that the plan makes.
    pub fn newcomer(&self) -> Option<&Customer> {
        match &self.0 {
            Step::Create(customer) | Step::AwaitLink(customer, _) => Some(customer),
            Step::Outdated
            | Step::Paused
            | Step::Change { .. }
            | Step::Verify(_)
            | Step::Quarantine(..)
            | Step::Gone(..) => None,
        }
    }

    /// The same plan where a newcomer waits for a decision if it looks like customers of the platform's own (R10).
    pub fn unless_alike(self, alike: Vec<Candidate>) -> Self {
        match self.0 {
            Step::Create(customer) if !alike.is_empty() => Self(Step::AwaitLink(customer, alike)),
            other => Self(other),
        }
    }
}

/// Decides what `observation` means for `local`, the locked record of that tenant, if there is one.
pub fn plan(account: &PartnerAccountId, local: Option<&Customer>, observation: &Observation, now: Timestamp) -> Plan {
    if local.is_some_and(|customer| customer.pause().is_some()) && !planted!("paused-customer-written") {
        return Plan(Step::Paused);
    }
    let shown = local.and_then(|customer| customer.microsoft.as_ref()).map(|link| link.mark);
    if shown.is_some_and(|shown| observation.mark <= shown) && !planted!("older-answer-overwrites") {
        return Plan(Step::Outdated);
    }
    Plan(match (&observation.observed, local) {
        (Observed::Present(profile), None) => Step::Create(Box::new(created(account, observation, profile, now))),
        (Observed::Present(profile), Some(before)) => compared(before, observation, profile, now),
        (Observed::Unusable(reason), local) => Step::Quarantine(local.cloned().map(Box::new), reason.clone()),
        (Observed::Gone(answer), local) => Step::Gone(local.cloned().map(Box::new), *answer),
    })
}

/// The plan for an answer of which a newer one is known, also where that one left no record.
pub const fn outdated() -> Plan {
    Plan(Step::Outdated)
}

/// Nothing an observation says is about resellers: they stay as they are known.
fn link(
    before: Option<&Customer>,
    observation: &Observation,
    profile: &MicrosoftProfile,
    now: Timestamp,
) -> MicrosoftLink {
    MicrosoftLink {
        tenant_id: observation.tenant_id,
        tenant_name: profile.tenant_name.clone(),
        relationship: Relationship::Active,
        upstream_relationship: profile.upstream_relationship.clone(),
        resellers: before.map(|before| before.resellers().to_vec()).unwrap_or_default(),
        sync_state: SyncState::Synced,
        paused: None,
        verified_at: now,
        // The store knows what asked, and what the audit log tells.
        provenance: Provenance::default(),
        mark: observation.mark,
    }
}

fn created(
    account: &PartnerAccountId,
    observation: &Observation,
    profile: &MicrosoftProfile,
    now: Timestamp,
) -> Customer {
    Customer {
        id: CustomerId::mint(now),
        account: account.clone(),
        revision: Revision::FIRST,
        company_name: profile.company_name.clone(),
        domain: profile.domain.clone(),
        primary_contact: profile.contact.clone(),
        billing: Billing::MirrorsPrimary,
        external_reference: String::new(),
        labels: BTreeMap::new(),
        note: String::new(),
        status: CustomerStatus::Active,
        microsoft: Some(link(None, observation, profile, now)),
        created_at: now,
        updated_at: now,
        deleted_at: None,
    }
}

/// The record with everything Partner Center owns as the observation has it, and what the platform owns as it was.
pub(super) fn shown(
    before: &Customer,
    observation: &Observation,
    profile: &MicrosoftProfile,
    now: Timestamp,
) -> Customer {
    Customer {
        company_name: profile.company_name.clone(),
        domain: profile.domain.clone(),
        primary_contact: profile.contact.clone(),
        billing: Billing::MirrorsPrimary,
        microsoft: Some(link(Some(before), observation, profile, now)),
        ..before.clone()
    }
}

fn compared(before: &Customer, observation: &Observation, profile: &MicrosoftProfile, now: Timestamp) -> Step {
    let mut after = shown(before, observation, profile, now);
    if planted!("billing-not-mirrored") {
        after.billing = Billing::Own(before.primary_contact.clone());
    }
    if planted!("return-stays-ended") {
        after.microsoft = after
            .microsoft
            .map(|link| before.microsoft.clone().filter(|old| old.relationship == Relationship::Ended).unwrap_or(link));
    }
    let changed = differences(before, &after);
    let state_of = |customer: &Customer| {
        let link = customer.microsoft.as_ref();
        link.map(|link| (link.sync_state, link.upstream_relationship.clone()))
    };
    if changed.is_empty() && state_of(before) == state_of(&after) {
        Step::Verify(Box::new(after))
    } else {
        Step::Change { before: Box::new(before.clone()), after: Box::new(after), changed }
    }
}

/// The fields in which two records of one customer differ, as a reader sees them.
pub fn differences(before: &Customer, after: &Customer) -> Vec<Field> {
    let tenant_name = |customer: &Customer| customer.microsoft.as_ref().map(|link| link.tenant_name.clone());
    let tenant_id = |customer: &Customer| customer.microsoft.as_ref().map(|link| link.tenant_id);
    Field::all()
        .filter(|field| match field {
            Field::Contact(role, member) => before.contact(*role, *member) != after.contact(*role, *member),
            Field::CompanyName => before.company_name != after.company_name,
            Field::TenantName => tenant_name(before) != tenant_name(after),
            Field::Domain => before.domain != after.domain,
            Field::MicrosoftTenantId => tenant_id(before) != tenant_id(after),
            Field::Relationship => before.relationship() != after.relationship(),
            Field::Resellers => before.resellers() != after.resellers(),
            Field::ExternalReference => before.external_reference != after.external_reference,
            Field::Labels => before.labels != after.labels,
            Field::Note => before.note != after.note,
            Field::Status => before.status != after.status,
        })
        .collect()
}

/// Whether billing follows primary in `customer`, as it must for Microsoft customers with an active relationship.
pub fn billing_mirrors(customer: &Customer) -> bool {
    ContactField::ALL
        .into_iter()
        .all(|member| customer.contact(ContactRole::Primary, member) == customer.contact(ContactRole::Billing, member))
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;
