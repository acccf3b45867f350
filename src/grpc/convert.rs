//! Domain values as messages, and the messages of a new customer as a draft.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::domain::contact::{Contact, ContactField};
use crate::domain::create::CustomerDraft;
use crate::domain::customer::{Billing, Customer, CustomerStatus, Relationship, Source, SyncState, VisibleState};
use crate::domain::ids::{Revision, Version};
use crate::domain::ownership::{Owner, POLICY_REVISION};
use crate::domain::pause::Pause;
use crate::domain::policy::SyncPolicy;
use crate::domain::reseller::Reseller;
use crate::domain::text::FieldProblem;
use crate::grpc::names::CustomerName;
use crate::grpc::proto;
use crate::grpc::provenance::{self, upstream_change, verification_cause};
use crate::operations::get_field_ownership::FieldOwnership;

/// An instant as a message.
pub fn time(instant: Timestamp) -> prost_types::Timestamp {
    let micros = instant.micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0);
    prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

/// By when the customer is promised to be verified again; a paused one is not.
pub fn verify_due_by(customer: &Customer, policy: &SyncPolicy) -> Option<Timestamp> {
    let link = customer.microsoft.as_ref()?;
    let is_looked_at = link.relationship == Relationship::Active && link.paused.is_none();
    is_looked_at.then(|| link.verified_at.plus(policy.verify_within))
}

/// A customer as a message.
pub fn customer(customer: &Customer, policy: &SyncPolicy, now: Timestamp) -> proto::Customer {
    let link = customer.microsoft.as_ref();
    let verify_due_by = verify_due_by(customer, policy);
    proto::Customer {
        name: CustomerName { account: customer.account.clone(), id: customer.id }.to_string(),
        source: source(customer.source()).into(),
        company_name: customer.company_name.clone(),
        tenant_name: link.map(|link| link.tenant_name.clone()).unwrap_or_default(),
        domain: customer.domain.clone(),
        microsoft_tenant_id: link.map(|link| link.tenant_id.to_string()).unwrap_or_default(),
        relationship: relationship(customer.relationship()).into(),
        upstream_relationship: link.map(|link| link.upstream_relationship.clone()).unwrap_or_default(),
        primary_contact: Some(contact(&customer.primary_contact)),
        billing_contact: Some(contact(customer.billing_contact())),
        billing_mirrors_primary: customer.billing == Billing::MirrorsPrimary,
        external_reference: customer.external_reference.clone(),
        labels: customer.labels.clone().into_iter().collect(),
        note: customer.note.clone(),
        status: status(customer.status).into(),
        sync_state: customer.visible_state().map_or(proto::SyncState::Unspecified, sync_state).into(),
        verified_at: link.map(|link| time(link.verified_at)),
        verify_due_by: verify_due_by.map(time),
        create_time: Some(time(customer.created_at)),
        update_time: Some(time(customer.updated_at)),
        etag: etag(customer.revision, customer.updated_at),
        delete_time: customer.deleted_at.map(time),
        stale: verify_due_by.is_some_and(|due| due < now),
        revision: customer.revision.0,
        duplicate_candidates: Vec::new(),
        pause: customer.pause().map(pause),
        verified_by: verification_cause(link.and_then(|link| link.provenance.verified_by)).into(),
        last_upstream_change: link.and_then(|link| link.provenance.last_change.as_ref()).map(upstream_change),
        resellers: customer.resellers().iter().map(reseller).collect(),
    }
}

/// A reseller as a customer's message names it.
pub fn reseller(reseller: &Reseller) -> proto::Reseller {
    proto::Reseller {
        microsoft_tenant_id: reseller.tenant_id.to_string(),
        display_name: reseller.display_name.clone(),
        mpn_id: reseller.mpn_id.clone(),
    }
}

/// A pause as a message.
pub fn pause(pause: &Pause) -> proto::SyncPause {
    proto::SyncPause {
        paused_by: pause.by.clone(),
        start_time: Some(time(pause.since)),
        reason: pause.reason.as_str().to_owned(),
    }
}

/// As much of a customer as that view shows.
pub fn in_view(customer: proto::Customer, view: proto::CustomerView) -> proto::Customer {
    match view {
        proto::CustomerView::Unspecified | proto::CustomerView::Full => customer,
        proto::CustomerView::Basic => proto::Customer {
            primary_contact: None,
            billing_contact: None,
            external_reference: String::new(),
            labels: BTreeMap::new(),
            note: String::new(),
            last_upstream_change: customer.last_upstream_change.map(|change| provenance::in_view(change, view)),
            ..customer
        },
    }
}

/// The view a request asks for.
pub fn view_of(view: i32) -> Result<proto::CustomerView, FieldProblem> {
    proto::CustomerView::try_from(view).map_err(|_| FieldProblem::new("view", UNKNOWN_VALUE))
}

fn contact(contact: &Contact) -> proto::Contact {
    let text = |field| contact.get(field).to_owned();
    let has_address = ContactField::ADDRESS.into_iter().any(|field| !contact.get(field).is_empty());
    let address = || proto::Address {
        country: text(ContactField::Country),
        region: text(ContactField::Region),
        state: text(ContactField::State),
        district: text(ContactField::District),
        city: text(ContactField::City),
        address_line1: text(ContactField::AddressLine1),
        address_line2: text(ContactField::AddressLine2),
        address_line3: text(ContactField::AddressLine3),
        postal_code: text(ContactField::PostalCode),
    };
    proto::Contact {
        first_name: text(ContactField::FirstName),
        last_name: text(ContactField::LastName),
        email: text(ContactField::Email),
        phone_number: text(ContactField::PhoneNumber),
        language: text(ContactField::Language),
        culture: text(ContactField::Culture),
        address: has_address.then(address),
    }
}

/// A member of a contact message; empty when absent.
pub fn member(contact: &proto::Contact, field: ContactField) -> &str {
    let address =
        |of: fn(&proto::Address) -> &String| contact.address.as_ref().map_or("", |address| of(address).as_str());
    match field {
        ContactField::FirstName => &contact.first_name,
        ContactField::LastName => &contact.last_name,
        ContactField::Email => &contact.email,
        ContactField::PhoneNumber => &contact.phone_number,
        ContactField::Language => &contact.language,
        ContactField::Culture => &contact.culture,
        ContactField::Country => address(|address| &address.country),
        ContactField::Region => address(|address| &address.region),
        ContactField::State => address(|address| &address.state),
        ContactField::District => address(|address| &address.district),
        ContactField::City => address(|address| &address.city),
        ContactField::AddressLine1 => address(|address| &address.address_line1),
        ContactField::AddressLine2 => address(|address| &address.address_line2),
        ContactField::AddressLine3 => address(|address| &address.address_line3),
        ContactField::PostalCode => address(|address| &address.postal_code),
    }
}

/// A contact message as a contact.
pub fn contact_of(message: &proto::Contact) -> Contact {
    let mut contact = Contact::default();
    for field in ContactField::ALL {
        contact.set(field, member(message, field));
    }
    contact
}

/// The draft a new customer's message holds; output-only members that say something impossible are problems.
pub fn draft(message: proto::Customer, problems: &mut Vec<FieldProblem>) -> CustomerDraft {
    let mut cannot_be_given = |given: bool, field: &str| {
        if given {
            let wrong = "is set by the service; a customer of Microsoft's comes from Partner Center only";
            problems.push(FieldProblem::new(field, wrong));
        }
    };
    let source = message.source();
    cannot_be_given(source == proto::Source::Microsoft, "source");
    cannot_be_given(!message.microsoft_tenant_id.is_empty(), "microsoft_tenant_id");
    cannot_be_given(message.relationship() != proto::Relationship::Unspecified, "relationship");
    cannot_be_given(!message.tenant_name.is_empty(), "tenant_name");
    cannot_be_given(!message.resellers.is_empty(), "resellers");
    if proto::Source::try_from(message.source).is_err() {
        problems.push(FieldProblem::new("source", UNKNOWN_VALUE));
    }
    if proto::Relationship::try_from(message.relationship).is_err() {
        problems.push(FieldProblem::new("relationship", UNKNOWN_VALUE));
    }
    let status = status_of("status", message.status).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    CustomerDraft {
        company_name: message.company_name,
        domain: message.domain,
        primary_contact: message.primary_contact.as_ref().map(contact_of).unwrap_or_default(),
        billing_contact: message.billing_contact.as_ref().map(contact_of).filter(|contact| !contact.is_empty()),
        external_reference: message.external_reference,
        labels: BTreeMap::from_iter(message.labels),
        note: message.note,
        status,
    }
}

/// What an unknown value of an enumeration is told.
pub const UNKNOWN_VALUE: &str = "is not a value of its enumeration";

/// A status value as the domain knows it; `None` when it is not said.
pub fn status_of(field: &str, value: i32) -> Result<Option<CustomerStatus>, FieldProblem> {
    match proto::CustomerStatus::try_from(value) {
        Ok(proto::CustomerStatus::Unspecified) => Ok(None),
        Ok(proto::CustomerStatus::Active) => Ok(Some(CustomerStatus::Active)),
        Ok(proto::CustomerStatus::Blocked) => Ok(Some(CustomerStatus::Blocked)),
        Err(_) => Err(FieldProblem::new(field, UNKNOWN_VALUE)),
    }
}

/// The etag of a record of that revision, which changed last at that time.
pub fn etag(revision: Revision, changed_at: Timestamp) -> String {
    format!("\"r{revision}-{:x}\"", changed_at.micros())
}

/// The version an etag stands for; quotes are optional. Those of the first releases tell the revision only.
pub fn version(field: &str, etag: &str) -> Result<Version, FieldProblem> {
    let parsed = || {
        let (revision, changed_at) = match etag.trim_matches('"').strip_prefix('r')?.split_once('-') {
            Some((revision, changed_at)) => (revision, Some(changed_at)),
            None => (etag.trim_matches('"').strip_prefix('r')?, None),
        };
        let revision = Some(revision).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
        let changed_at = match changed_at {
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                Some(Timestamp::from_micros(i64::from_str_radix(digits, 16).ok()?))
            }
            Some(_) => return None,
            None => None,
        };
        Some(Version { revision: Revision(revision.parse().ok()?), changed_at })
    };
    parsed().ok_or_else(|| FieldProblem::new(field, "is not an etag of this service; send one back as it was received"))
}

/// Who owns the fields of a customer, as a message.
pub fn field_ownership(ownership: &FieldOwnership, fix: proto::Fix) -> proto::FieldOwnership {
    let customer = &ownership.customer;
    let guarded = ownership.fields.iter().any(|owned| owned.owner == Owner::PartnerCenter);
    let fields = ownership.fields.iter().map(|owned| proto::OwnedField {
        field: owned.field.to_string(),
        owner: owner(owned.owner).into(),
        rule: owned.rule.map(|rule| rule.name().to_owned()).unwrap_or_default(),
        upstream_field: match owned.owner {
            Owner::Platform => String::new(),
            Owner::PartnerCenter => owned.field.upstream().unwrap_or_default().to_owned(),
        },
    });
    proto::FieldOwnership {
        customer: CustomerName { account: customer.account.clone(), id: customer.id }.to_string(),
        fields: fields.collect(),
        fix: guarded.then_some(fix),
        policy_revision: i32::try_from(POLICY_REVISION).unwrap_or(i32::MAX),
    }
}

const fn owner(owner: Owner) -> proto::FieldOwner {
    match owner {
        Owner::Platform => proto::FieldOwner::Platform,
        Owner::PartnerCenter => proto::FieldOwner::PartnerCenter,
    }
}

const fn source(source: Source) -> proto::Source {
    match source {
        Source::Platform => proto::Source::Platform,
        Source::Microsoft => proto::Source::Microsoft,
    }
}

const fn relationship(relationship: Option<Relationship>) -> proto::Relationship {
    match relationship {
        None => proto::Relationship::Unspecified,
        Some(Relationship::Active) => proto::Relationship::Active,
        Some(Relationship::Ended) => proto::Relationship::Ended,
    }
}

const fn status(status: CustomerStatus) -> proto::CustomerStatus {
    match status {
        CustomerStatus::Active => proto::CustomerStatus::Active,
        CustomerStatus::Blocked => proto::CustomerStatus::Blocked,
    }
}

/// The state of a customer's synchronization as a message.
pub const fn sync_state(state: VisibleState) -> proto::SyncState {
    match state {
        VisibleState::Kept(SyncState::Synced) => proto::SyncState::Synced,
        VisibleState::Kept(SyncState::Quarantined) => proto::SyncState::Quarantined,
        VisibleState::Kept(SyncState::HeldForRemoval) => proto::SyncState::HeldForRemoval,
        VisibleState::Kept(SyncState::Ended) => proto::SyncState::Ended,
        VisibleState::Paused => proto::SyncState::Paused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_read_back_with_and_without_its_quotes() {
        let (revision, at) = (Revision(7), Timestamp::from_micros(0x2a));
        assert_eq!(etag(revision, at), "\"r7-2a\"");
        let seen = Version { revision, changed_at: Some(at) };
        assert_eq!(version("etag", "\"r7-2a\""), Ok(seen));
        assert_eq!(version("etag", "r7-2a"), Ok(seen));
        assert_eq!(version("etag", "\"r7\""), Ok(Version { changed_at: None, ..seen }), "of the first releases");
        for wrong in
            ["7", "r", "r-7", "W/\"r7\"", "r99999999999999999999", "r7-", "r7-x", "r7--2a", "r7-ffffffffffffffffff"]
        {
            assert!(version("etag", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_keeps_its_microseconds_also_before_the_epoch() {
        assert_eq!(time(Timestamp::from_micros(1_500_001)), prost_types::Timestamp { seconds: 1, nanos: 500_001_000 });
        assert_eq!(time(Timestamp::from_micros(-1)), prost_types::Timestamp { seconds: -1, nanos: 999_999_000 });
    }
}
