//! The whole table: every standing, every field, the same value, another one and none.

use super::*;
use crate::clock::Timestamp;
use crate::domain::contact::Contact;
use crate::domain::customer::{CustomerStatus, MicrosoftLink, Source, SyncState};
use crate::domain::ids::{CustomerId, Epoch, Revision, TenantId, Ticket};
use crate::domain::observation::ObservationMark;
use crate::domain::reseller::Reseller;

const TENANT: &str = "1b06e0a2-4f4a-4ae1-9c50-2f4a7c3d9e11";
const STANDINGS: [Standing; 3] = [Standing::Platform, Standing::MicrosoftActive, Standing::MicrosoftEnded];

/// A contact in which every member has a sound value of its own.
fn contact() -> Contact {
    let mut contact = Contact::default();
    for member in ContactField::ALL {
        contact.set(member, value_of(member, 0));
    }
    contact
}

/// A sound value of that member; another for every number.
fn value_of(member: ContactField, number: usize) -> String {
    match member {
        ContactField::Email => format!("ada{number}@example.com"),
        ContactField::PhoneNumber => format!("+371 67-00-00-0{number}"),
        ContactField::Language => ["lv", "en", "de"][number % 3].to_owned(),
        ContactField::Culture => ["lv-LV", "en-US", "de-DE"][number % 3].to_owned(),
        ContactField::Country => ["LV", "US", "DE"][number % 3].to_owned(),
        other => format!("R\u{e9}zekne {} {number}", other as usize),
    }
}

fn reseller(number: u128) -> Reseller {
    let tenant_id = TenantId::new(uuid::Uuid::from_u128(number << 64 | 0xabcd));
    Reseller { tenant_id, display_name: format!("Reseller {number}"), mpn_id: number.to_string() }
}

fn customer(standing: Standing) -> Customer {
    let now = Timestamp::from_micros(1_700_000_000_000_000);
    let link = |relationship| MicrosoftLink {
        tenant_id: TENANT.parse().expect("a well-formed id"),
        tenant_name: "Linden tenant".to_owned(),
        relationship,
        upstream_relationship: "reseller".to_owned(),
        resellers: [3, 4].map(reseller).to_vec(),
        sync_state: SyncState::Synced,
        paused: None,
        verified_at: now,
        provenance: Default::default(),
        mark: ObservationMark { epoch: Epoch(1), ticket: Ticket(7) },
    };
    Customer {
        id: CustomerId::mint(now),
        account: "contoso".parse().expect("a well-formed id"),
        revision: Revision(3),
        company_name: "Linden Caf\u{e9}".to_owned(),
        domain: "linden.example".to_owned(),
        primary_contact: contact(),
        billing: Billing::MirrorsPrimary,
        external_reference: "crm-7".to_owned(),
        labels: BTreeMap::from([("team".to_owned(), "north".to_owned())]),
        note: "a note".to_owned(),
        status: CustomerStatus::Active,
        microsoft: match standing {
            Standing::Platform => None,
            Standing::MicrosoftActive => Some(link(Relationship::Active)),
            Standing::MicrosoftEnded => Some(link(Relationship::Ended)),
        },
        created_at: now,
        updated_at: now,
        deleted_at: None,
    }
}

fn edit(wishes: impl IntoIterator<Item = Wish>) -> CustomerEdit {
    CustomerEdit { wishes: wishes.into_iter().collect() }
}

fn allowed(customer: &Customer, wishes: impl IntoIterator<Item = Wish>) -> AllowedEdit {
    match review(customer, &edit(wishes), Enforcement::Refuse) {
        Review::Allowed(allowed) => allowed,
        other => panic!("must be allowed: {other:?}"),
    }
}

fn refused(customer: &Customer, wishes: impl IntoIterator<Item = Wish>) -> Refusal {
    match review(customer, &edit(wishes), Enforcement::Refuse) {
        Review::Refused(refusal) => refusal,
        other => panic!("must be refused: {other:?}"),
    }
}

fn invalid(customer: &Customer, wishes: impl IntoIterator<Item = Wish>) -> Vec<String> {
    match review(customer, &edit(wishes), Enforcement::Refuse) {
        Review::Invalid(problems) => problems.into_iter().map(|problem| problem.field).collect(),
        other => panic!("must be invalid: {other:?}"),
    }
}

fn primary(member: ContactField, value: &str) -> Wish {
    Wish::Contact(ContactRole::Primary, member, value.to_owned())
}

fn billing(member: ContactField, value: &str) -> Wish {
    Wish::Contact(ContactRole::Billing, member, value.to_owned())
}

fn note(text: &str) -> Wish {
    Wish::Note(text.to_owned())
}

fn primary_field(member: ContactField) -> Field {
    Field::Contact(ContactRole::Primary, member)
}

fn tenants(customer: &Customer) -> Vec<String> {
    customer.resellers().iter().map(|reseller| reseller.tenant_id.to_string()).collect()
}

fn billing_field(member: ContactField) -> Field {
    Field::Contact(ContactRole::Billing, member)
}

/// The wish that names `field` with what the customer shows there.
fn same(customer: &Customer, field: Field) -> Option<Wish> {
    let link = customer.microsoft.as_ref();
    Some(match field {
        Field::Contact(role, member) => Wish::Contact(role, member, customer.contact(role, member).to_owned()),
        Field::CompanyName => Wish::CompanyName(customer.company_name.clone()),
        Field::TenantName => Wish::TenantName(link.map_or(String::new(), |link| link.tenant_name.clone())),
        Field::Domain => Wish::Domain(customer.domain.clone()),
        Field::MicrosoftTenantId => {
            Wish::MicrosoftTenantId(link.map_or(String::new(), |link| link.tenant_id.to_string()))
        }
        Field::Relationship => Wish::Relationship(match customer.relationship()? {
            Relationship::Active => WishedRelationship::Active,
            Relationship::Ended => WishedRelationship::Ended,
        }),
        Field::Resellers => Wish::Resellers(tenants(customer)),
        Field::ExternalReference => Wish::ExternalReference(customer.external_reference.clone()),
        Field::Labels => Wish::Labels(customer.labels.clone()),
        Field::Note => Wish::Note(customer.note.clone()),
        Field::Status => Wish::Status(customer.status),
    })
}

/// The same in another spelling of the same value.
fn same_in_other_letters(customer: &Customer, field: Field) -> Option<Wish> {
    let other = |text: &str| format!("  {}\u{a0}", text.replace('\u{e9}', "e\u{301}"));
    Some(match same(customer, field)? {
        Wish::Contact(role, ContactField::Email, value) => {
            Wish::Contact(role, ContactField::Email, format!(" {} ", value.replace("example.com", "EXAMPLE.Com")))
        }
        Wish::Contact(role, ContactField::PhoneNumber, value) => {
            Wish::Contact(role, ContactField::PhoneNumber, value.replace('-', " (").replace(' ', "./"))
        }
        Wish::Contact(role, member, value) => Wish::Contact(role, member, other(&value)),
        Wish::CompanyName(value) => Wish::CompanyName(other(&value)),
        Wish::TenantName(value) => Wish::TenantName(other(&value)),
        Wish::Domain(value) => Wish::Domain(format!(" {}", value.to_uppercase())),
        Wish::MicrosoftTenantId(value) => Wish::MicrosoftTenantId(format!("{} ", value.to_uppercase())),
        Wish::Resellers(mut tenants) => {
            tenants.reverse();
            Wish::Resellers(tenants.into_iter().map(|tenant| format!("{} ", tenant.to_uppercase())).collect())
        }
        Wish::ExternalReference(value) => Wish::ExternalReference(other(&value)),
        Wish::Note(value) => Wish::Note(other(&value)),
        exact => exact,
    })
}

/// A sound wish for another value.
fn other(customer: &Customer, field: Field) -> Wish {
    match field {
        Field::Contact(role, member) => Wish::Contact(role, member, value_of(member, 1)),
        Field::CompanyName => Wish::CompanyName("Other".to_owned()),
        Field::TenantName => Wish::TenantName("Other".to_owned()),
        Field::Domain => Wish::Domain("other.example".to_owned()),
        Field::MicrosoftTenantId => Wish::MicrosoftTenantId("00000000-0000-4000-8000-000000000000".to_owned()),
        Field::Relationship => Wish::Relationship(match customer.relationship() {
            Some(Relationship::Active) => WishedRelationship::Ended,
            Some(Relationship::Ended) | None => WishedRelationship::Active,
        }),
        Field::Resellers => Wish::Resellers(vec!["00000000-0000-4000-8000-000000000000".to_owned()]),
        Field::ExternalReference => Wish::ExternalReference("other".to_owned()),
        Field::Labels => Wish::Label("team".to_owned(), Some("south".to_owned())),
        Field::Note => note("other"),
        Field::Status => Wish::Status(CustomerStatus::Blocked),
    }
}

fn cleared(field: Field) -> Option<Wish> {
    Some(match field {
        Field::Contact(role, member) => Wish::Contact(role, member, " ".to_owned()),
        Field::CompanyName => Wish::CompanyName(String::new()),
        Field::TenantName => Wish::TenantName(String::new()),
        Field::Domain => Wish::Domain(String::new()),
        Field::MicrosoftTenantId => Wish::MicrosoftTenantId(String::new()),
        Field::Relationship | Field::Status => return None,
        // Of a platform customer that is no change.
        Field::Resellers => Wish::Resellers(Vec::new()),
        Field::ExternalReference => Wish::ExternalReference(String::new()),
        Field::Labels => Wish::Labels(BTreeMap::new()),
        Field::Note => note(""),
    })
}

/// Only synchronization gives these to anybody.
fn is_given_by_synchronization(field: Field) -> bool {
    matches!(field, Field::TenantName | Field::MicrosoftTenantId | Field::Relationship | Field::Resellers)
}

#[test]
fn a_field_named_with_its_present_value_in_any_spelling_is_no_edit() {
    for standing in STANDINGS {
        let customer = customer(standing);
        for field in Field::all() {
            for wish in [same(&customer, field), same_in_other_letters(&customer, field)].into_iter().flatten() {
                let allowed = allowed(&customer, [wish.clone()]);
                assert_eq!((allowed.changed(), allowed.after()), (&[][..], &customer), "{standing:?} {wish:?}");
            }
        }
    }
}

#[test]
fn a_changed_or_cleared_field_is_refused_where_partner_center_owns_it_and_saved_where_it_does_not() {
    for standing in STANDINGS {
        let customer = customer(standing);
        for field in Field::all() {
            for wish in [Some(other(&customer, field)), cleared(field)].into_iter().flatten() {
                let shown = format!("{standing:?} {wish:?}");
                match owner(standing, field) {
                    Owner::PartnerCenter => {
                        let refusal = refused(&customer, [wish]);
                        let violation = Violation { field, rule: GuardRule::of(field) };
                        assert_eq!((refusal.violations, refusal.acceptable), (vec![violation], vec![]), "{shown}");
                    }
                    Owner::Platform if is_given_by_synchronization(field) => {
                        match review(&customer, &edit([wish]), Enforcement::Refuse) {
                            Review::Invalid(problems) => assert_eq!(problems[0].field, field.to_string(), "{shown}"),
                            // A platform customer has none to clear.
                            Review::Allowed(allowed) => assert!(allowed.changed().is_empty(), "{shown}"),
                            Review::Refused(_) | Review::Reported(..) => panic!("{shown}"),
                        }
                    }
                    Owner::Platform if wish == Wish::CompanyName(String::new()) => {
                        assert_eq!(invalid(&customer, [wish]), ["company_name"], "{shown}");
                    }
                    Owner::Platform => {
                        let allowed = allowed(&customer, [wish]);
                        assert!(allowed.changed().contains(&field), "{shown}");
                        assert_ne!(allowed.after(), &customer, "{shown}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_billing_change_of_a_microsoft_customer_is_refused_by_its_own_rule() {
    let customer = customer(Standing::MicrosoftActive);
    let refusal = refused(&customer, [billing(ContactField::Email, "x@example.com"), primary(ContactField::City, "x")]);
    let rules: Vec<_> = refusal.violations.iter().map(|violation| violation.rule.name()).collect();
    assert_eq!(rules, ["BILLING_MIRRORS_PRIMARY", "FIELD_OWNED_BY_PARTNER_CENTER"]);
}

#[test]
fn a_refusal_lists_every_offending_and_every_acceptable_field() {
    for standing in [Standing::MicrosoftActive, Standing::MicrosoftEnded] {
        let customer = customer(standing);
        let refusal = refused(&customer, Field::all().map(|field| other(&customer, field)));
        let (guarded, free): (Vec<_>, Vec<_>) =
            Field::all().partition(|field| owner(standing, *field) == Owner::PartnerCenter);
        let violations: Vec<_> = refusal.violations.iter().map(|violation| violation.field).collect();
        assert_eq!((violations, refusal.acceptable), (guarded, free), "{standing:?}");
    }
}

#[test]
fn a_field_named_twice_is_listed_once() {
    let customer = customer(Standing::MicrosoftActive);
    let city = |value| primary(ContactField::City, value);
    let refusal = refused(&customer, [city("a"), city("b"), note("a"), note("b")]);
    assert_eq!((refusal.violations.len(), refusal.acceptable), (1, vec![Field::Note]));
}

#[test]
fn a_mixed_edit_does_not_list_unchanged_fields() {
    let customer = customer(Standing::MicrosoftActive);
    let mut wishes: Vec<_> = Field::all().filter_map(|field| same_in_other_letters(&customer, field)).collect();
    wishes.push(primary(ContactField::LastName, "Other"));
    wishes.push(note("other"));
    let refusal = refused(&customer, wishes);
    let violations: Vec<_> = refusal.violations.iter().map(|violation| violation.field).collect();
    assert_eq!((violations, refusal.acceptable), (vec![primary_field(ContactField::LastName)], vec![Field::Note]));
}

#[test]
fn a_value_that_cannot_be_stored_is_not_acceptable() {
    let customer = customer(Standing::MicrosoftActive);
    let long = "x".repeat(text::EXTERNAL_REFERENCE_MAX + 1);
    let bad_label = Wish::Label("Bad Key".to_owned(), Some(String::new()));
    let wishes = [primary(ContactField::City, "x"), Wish::ExternalReference(long), bad_label, note("other")];
    assert_eq!(refused(&customer, wishes).acceptable, [Field::Note]);
}

#[test]
fn guarded_violations_take_precedence_over_invalid_values() {
    let customer = customer(Standing::MicrosoftActive);
    let wishes =
        [note(&"x".repeat(text::NOTE_MAX + 1)), Wish::Source(Source::Platform), primary(ContactField::Email, "nobody")];
    assert_eq!(refused(&customer, wishes).violations.len(), 1);
}

#[test]
fn a_guarded_field_is_refused_whatever_its_value_would_be_worth() {
    let customer = customer(Standing::MicrosoftActive);
    for value in ["nobody", "\u{202e}", ""] {
        assert_eq!(refused(&customer, [primary(ContactField::Email, value)]).violations.len(), 1);
    }
}

#[test]
fn every_invalid_value_is_told_at_once() {
    let customer = customer(Standing::Platform);
    let wishes = [
        primary(ContactField::Email, "nobody"),
        billing(ContactField::Country, "Mars"),
        Wish::CompanyName(String::new()),
        Wish::Domain("localhost".to_owned()),
        Wish::Source(Source::Microsoft),
        Wish::MicrosoftTenantId(TENANT.to_owned()),
        Wish::TenantName("Linden".to_owned()),
        Wish::Relationship(WishedRelationship::Active),
        Wish::ExternalReference("a\u{7}".to_owned()),
        note(&"x".repeat(text::NOTE_MAX + 1)),
        Wish::Label("Bad\nKey".to_owned(), Some("x".to_owned())),
        Wish::Label("fine".to_owned(), Some("\u{7}".to_owned())),
    ];
    let mut fields = invalid(&customer, wishes);
    fields.sort();
    let expected = [
        "billing_contact.address.country",
        "company_name",
        "domain",
        "external_reference",
        "labels.Bad\\nKey",
        "labels.fine",
        "microsoft_tenant_id",
        "note",
        "primary_contact.email",
        "relationship",
        "source",
        "tenant_name",
    ];
    assert_eq!(fields, expected);
}

#[test]
fn nobody_chooses_where_a_customer_comes_from() {
    for standing in STANDINGS {
        let customer = customer(standing);
        let (own, foreign) = match customer.source() {
            Source::Platform => (Source::Platform, Source::Microsoft),
            Source::Microsoft => (Source::Microsoft, Source::Platform),
        };
        assert!(allowed(&customer, [Wish::Source(own)]).changed().is_empty());
        assert_eq!(invalid(&customer, [Wish::Source(foreign), note("other")]), ["source"]);
    }
}

#[test]
fn too_many_labels_are_one_problem() {
    let labels = (0..=text::LABELS_MAX).map(|number| (format!("l{number}"), String::new())).collect();
    assert_eq!(invalid(&customer(Standing::Platform), [Wish::Labels(labels)]), ["labels"]);
}

#[test]
fn billing_that_was_never_set_follows_the_primary_contact() {
    let customer = customer(Standing::Platform);
    let allowed = allowed(&customer, [primary(ContactField::City, "Liepāja")]);
    assert_eq!(allowed.after().contact(ContactRole::Billing, ContactField::City), "Liepāja");
    assert_eq!(allowed.after().billing, Billing::MirrorsPrimary);
}

#[test]
fn billing_that_is_set_is_its_own_and_keeps_its_other_values() {
    let customer = customer(Standing::Platform);
    let wishes = [primary(ContactField::City, "Liepāja"), billing(ContactField::Email, "b@example.com")];
    let allowed = allowed(&customer, wishes);
    let own = contact().with(ContactField::Email, "b@example.com");
    assert_eq!(allowed.after().billing, Billing::Own(own));
    let changed = [primary_field(ContactField::City), billing_field(ContactField::Email)];
    assert_eq!(allowed.changed(), changed);
}

#[test]
fn billing_of_its_own_does_not_follow_until_it_is_cleared() {
    let mut customer = customer(Standing::Platform);
    customer.billing = Billing::Own(contact().with(ContactField::Email, "b@example.com"));
    let moved = allowed(&customer, [primary(ContactField::City, "Liepāja")]);
    assert_eq!(moved.after().billing, customer.billing);
    let cleared = allowed(&customer, [Wish::BillingMirrorsPrimary]);
    assert_eq!(cleared.after().billing, Billing::MirrorsPrimary);
    assert_eq!(cleared.changed(), [billing_field(ContactField::Email)]);
}

#[test]
fn clearing_billing_that_mirrors_is_no_edit() {
    for standing in STANDINGS {
        let customer = customer(standing);
        let allowed = allowed(&customer, [Wish::BillingMirrorsPrimary]);
        assert_eq!((allowed.changed(), allowed.after()), (&[][..], &customer));
    }
}

/// Nothing looks different, but from now on billing follows: the store tells it from no edit by `after`.
#[test]
fn clearing_billing_that_equals_the_primary_contact_mirrors_again() {
    let mut customer = customer(Standing::Platform);
    customer.billing = Billing::Own(contact());
    assert_eq!(allowed(&customer, [Wish::BillingMirrorsPrimary]).after().billing, Billing::MirrorsPrimary);
}

#[test]
fn naming_the_present_billing_values_while_primary_changes_keeps_mirroring() {
    let customer = customer(Standing::Platform);
    let mut wishes = vec![primary(ContactField::Email, "new@example.com")];
    wishes.extend(ContactField::ALL.map(|member| billing(member, customer.contact(ContactRole::Billing, member))));
    let allowed = allowed(&customer, wishes);
    assert_eq!(allowed.after().billing, Billing::MirrorsPrimary);
    assert_eq!(allowed.after().contact(ContactRole::Billing, ContactField::Email), "new@example.com");
}

#[test]
fn changing_both_contacts_to_the_same_keeps_mirroring() {
    let customer = customer(Standing::Platform);
    let wishes = [billing(ContactField::City, "Liepāja"), primary(ContactField::City, "Liepāja")];
    assert_eq!(allowed(&customer, wishes).after().billing, Billing::MirrorsPrimary);
}

#[test]
fn a_whole_message_read_and_sent_back_changes_nothing() {
    for standing in STANDINGS {
        for own in [false, true] {
            let mut customer = customer(standing);
            if own && standing != Standing::MicrosoftActive {
                customer.billing = Billing::Own(contact().with(ContactField::City, "Own"));
            }
            let wishes =
                Field::all().filter_map(|field| same(&customer, field)).chain([Wish::Source(customer.source())]);
            let allowed = allowed(&customer, wishes);
            assert_eq!((allowed.changed(), allowed.after()), (&[][..], &customer), "{standing:?}");
        }
    }
}

#[test]
fn names_that_partner_center_keeps_untidy_can_be_sent_back_as_they_were_read() {
    let mut customer = customer(Standing::MicrosoftActive);
    customer.company_name = " Cafe\u{301} ".to_owned();
    customer.domain = " Linden.Example ".to_owned();
    customer.primary_contact.set(ContactField::City, " Re\u{301}zekne");
    if let Some(link) = &mut customer.microsoft {
        link.tenant_name = " Cafe\u{301} ".to_owned();
    }
    let wishes: Vec<_> = Field::all().filter_map(|field| same(&customer, field)).collect();
    assert!(allowed(&customer, wishes).changed().is_empty());
}

#[test]
fn an_ended_customers_contacts_are_the_callers_and_its_names_are_not() {
    let customer = customer(Standing::MicrosoftEnded);
    let allowed = allowed(&customer, [billing(ContactField::Email, "b@example.com"), Wish::BillingMirrorsPrimary]);
    assert_eq!(allowed.after().microsoft, customer.microsoft);
    assert_eq!(refused(&customer, [Wish::CompanyName("x".to_owned())]).violations[0].field, Field::CompanyName);
}

#[test]
fn labels_are_set_removed_and_replaced() {
    let customer = customer(Standing::MicrosoftActive);
    let set =
        allowed(&customer, [Wish::Label("a".to_owned(), Some("1".to_owned())), Wish::Label("team".to_owned(), None)]);
    assert_eq!(set.after().labels, BTreeMap::from([("a".to_owned(), "1".to_owned())]));
    assert_eq!(set.changed(), [Field::Labels]);
    assert!(allowed(&customer, [Wish::Label("absent".to_owned(), None)]).changed().is_empty());
}

#[path = "review_properties.rs"]
mod properties;
