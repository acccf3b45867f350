use std::time::Duration;

use tonic_types::StatusExt;

use super::*;
use crate::clock::Timestamp;
use crate::domain::account::{AccountState, Cloud, PartnerAccount};
use crate::domain::contact::{Contact, ContactField, ContactRole};
use crate::domain::customer::{Billing, CustomerStatus, MicrosoftLink, SyncState};
use crate::domain::ids::{CustomerId, DecisionId, Epoch, PartnerAccountId, Revision, TenantId, Ticket};
use crate::domain::observation::ObservationMark;
use crate::domain::policy::{Night, SyncPolicy};
use crate::domain::review::Refusal;

fn account(kind: PartnerKind) -> ServedAccount {
    let hour = Duration::from_secs(3600);
    ServedAccount {
        account: PartnerAccount {
            id: id(),
            display_name: "Contoso".to_owned(),
            kind,
            cloud: Cloud::Global,
            tenant_id: tenant(),
        },
        policy: SyncPolicy {
            night: Night::new("0 2 * * *", "UTC").expect("a sound night"),
            audit_interval: hour,
            list_interval: hour,
            verify_within: hour * 24,
            manual_cooldown: hour,
        },
        state: AccountState::Active,
        revision: Revision::FIRST,
    }
}

fn id() -> PartnerAccountId {
    "a-long-name-of-an-account-that-fills-its-sixty-three-characters".parse().expect("well-formed")
}

fn tenant() -> TenantId {
    "11111111-aaaa-4bbb-8ccc-222222222222".parse().expect("well-formed")
}

fn edit_of(fields: Vec<Field>, decision: Option<DecisionId>) -> RefusedEdit {
    let now = Timestamp::from_micros(1_790_000_000_000_000);
    let customer = Customer {
        id: CustomerId::mint(now),
        account: id(),
        revision: Revision(3),
        company_name: "Linden Bakery".to_owned(),
        domain: String::new(),
        primary_contact: Contact::default().with(ContactField::Email, "secret@example.com"),
        billing: Billing::MirrorsPrimary,
        external_reference: String::new(),
        labels: Default::default(),
        note: String::new(),
        status: CustomerStatus::Active,
        microsoft: Some(MicrosoftLink {
            tenant_id: tenant(),
            tenant_name: String::new(),
            relationship: Relationship::Active,
            upstream_relationship: "reseller".to_owned(),
            resellers: Vec::new(),
            sync_state: SyncState::Synced,
            paused: None,
            verified_at: now,
            provenance: Default::default(),
            mark: ObservationMark { epoch: Epoch(1), ticket: Ticket(1) },
        }),
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    let violations = fields.into_iter().map(|field| Violation { field, rule: GuardRule::of(field) }).collect();
    RefusedEdit { customer, refusal: Refusal { violations, acceptable: vec![Field::Labels] }, decision }
}

fn portal() -> PortalLink {
    PortalLink::new("https://partner.example/customers/{tenant_id}/account").expect("a sound template")
}

fn edit_refused(status: &Status) -> proto::EditRefused {
    let details = pb::Status::decode(status.details()).expect("google.rpc.Status").details;
    let own = details.iter().find(|any| any.type_url.ends_with("/customerguard.v1.EditRefused")).expect("our detail");
    proto::EditRefused::decode(own.value.as_slice()).expect("our message")
}

#[test]
fn a_refusal_carries_all_four_details_of_the_contract() {
    let now = Timestamp::from_micros(1_790_000_000_000_000);
    let decision = DecisionId::mint(now);
    let fields = vec![
        Field::Contact(ContactRole::Primary, ContactField::Email),
        Field::Contact(ContactRole::Billing, ContactField::City),
    ];
    let edit = edit_of(fields, Some(decision));
    let status = refused(&edit, &account(PartnerKind::DirectBill), &portal());
    assert_eq!(status.code(), Code::FailedPrecondition);
    let details = status.get_error_details();
    let info = details.error_info().expect("ErrorInfo");
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("FIELD_OWNED_BY_PARTNER_CENTER", "customerguard"));
    assert_eq!(info.metadata.get("decisionId"), Some(&decision.to_string()));
    let name = info.metadata.get("customer").expect("the customer's name");
    let violations = &details.precondition_failure().expect("PreconditionFailure").violations;
    let told: Vec<_> = violations.iter().map(|one| (one.r#type.as_str(), one.subject.clone())).collect();
    let expected = [
        ("FIELD_OWNED_BY_PARTNER_CENTER", format!("{name}#primary_contact.email")),
        ("BILLING_MIRRORS_PRIMARY", format!("{name}#billing_contact.address.city")),
    ];
    assert_eq!(told, expected);
    let link = &details.help().expect("Help").links[0];
    assert_eq!(link.url, "https://partner.example/customers/11111111-aaaa-4bbb-8ccc-222222222222/account");
    let own = edit_refused(&status);
    assert_eq!(own.acceptable_fields, ["labels"]);
    assert_eq!(own.violations[1].upstream_field, "billingProfile.defaultAddress.city");
}

#[test]
fn an_indirect_reseller_is_told_to_ask_its_provider() {
    let status = refused(&edit_of(vec![Field::CompanyName], None), &account(PartnerKind::IndirectReseller), &portal());
    let fix = edit_refused(&status).fix.expect("a fix");
    assert_eq!(fix.actor(), proto::FixActor::IndirectProvider);
    assert!(fix.uri.is_empty());
}

#[test]
fn a_refusal_of_everything_names_every_field_and_stays_below_four_kibibytes() {
    let guarded = || Field::all().filter(|field| field.upstream().is_some());
    let status = refused(&edit_of(guarded().collect(), None), &account(PartnerKind::IndirectReseller), &portal());
    assert!(status.details().len() <= DETAILS_MAX, "{} bytes", status.details().len());
    let own = edit_refused(&status);
    let listed = own.violations.len() + usize::try_from(own.more_violations).expect("not negative");
    assert_eq!(listed, guarded().count());
    let details = status.get_error_details();
    let last = details.precondition_failure().expect("PreconditionFailure").violations.last().cloned().expect("one");
    assert!(last.description.contains("more fields"), "{}", last.description);
}

#[test]
fn a_refusal_never_quotes_a_contact() {
    let status = refused(&edit_of(Field::all().collect(), None), &account(PartnerKind::DirectBill), &portal());
    let bytes = [status.details(), status.message().as_bytes()].concat();
    assert!(!String::from_utf8_lossy(&bytes).contains("secret@example.com"));
}
