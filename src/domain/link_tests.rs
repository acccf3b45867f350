use std::collections::BTreeMap;

use super::*;
use crate::domain::contact::{ContactField, ContactRole};
use crate::domain::create::{CustomerDraft, admit};
use crate::domain::customer::{CustomerStatus, Relationship, SyncState};
use crate::domain::deletion::{self, Verdict};
use crate::domain::ids::{Epoch, Ticket};
use crate::domain::observation::MicrosoftProfile;
use crate::domain::reconcile::billing_mirrors;

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn contact(seed: &str) -> Contact {
    ContactField::ALL
        .into_iter()
        .fold(Contact::default(), |contact, field| contact.with(field, format!("{seed} {field:?}")))
}

fn platform(billing: Billing) -> Customer {
    let draft = CustomerDraft {
        company_name: "Linden".to_owned(),
        domain: "linden.example".to_owned(),
        external_reference: "crm-7".to_owned(),
        labels: BTreeMap::from([("team".to_owned(), "north".to_owned())]),
        note: "ours".to_owned(),
        status: Some(CustomerStatus::Blocked),
        ..CustomerDraft::default()
    };
    let account = "contoso".parse().expect("a well-formed id");
    let admitted = admit(&account, draft, NOW).expect("a sound draft");
    Customer { primary_contact: contact("ours"), billing, ..admitted.customer().clone() }
}

fn profile() -> MicrosoftProfile {
    MicrosoftProfile {
        company_name: "Linden".to_owned(),
        tenant_name: "Linden tenant".to_owned(),
        domain: "linden.onmicrosoft.com".to_owned(),
        upstream_relationship: "reseller".to_owned(),
        contact: contact("theirs").with(ContactField::City, "ours City"),
    }
}

fn observation(observed: Observed) -> Observation {
    Observation {
        tenant_id: "1b06e0a2-4f4a-4ae1-9c50-2f4a7c3d9e11".parse().expect("a well-formed id"),
        mark: ObservationMark { epoch: Epoch(1), ticket: Ticket(10) },
        observed,
    }
}

fn linked(customer: &Customer) -> Linked {
    link(customer, &observation(Observed::Present(profile())), NOW).expect("it can be linked")
}

fn standing_link(customer: &Customer, until: Timestamp) -> StandingLink {
    let former = FormerValues {
        company_name: customer.company_name.clone(),
        domain: customer.domain.clone(),
        primary_contact: customer.primary_contact.clone(),
        billing: customer.billing.clone(),
    };
    let since = customer.revision.next();
    StandingLink { tenant: linked(customer).tenant(), since, reversible_until: until, former: Some(former) }
}

#[test]
fn a_link_takes_over_what_partner_center_says_and_keeps_what_the_platform_owns() {
    let before = platform(Billing::Own(contact("invoices")));
    let linked = linked(&before);
    let after = linked.after();
    let theirs = after.microsoft.as_ref().expect("a customer of Microsoft's");
    assert_eq!((after.company_name.as_str(), after.domain.as_str()), ("Linden", "linden.onmicrosoft.com"));
    assert_eq!((&after.primary_contact, &after.billing), (&profile().contact, &Billing::MirrorsPrimary));
    assert!(billing_mirrors(after));
    assert_eq!((theirs.tenant_id, theirs.mark, theirs.verified_at), (linked.tenant(), linked.mark(), NOW));
    assert_eq!((theirs.relationship, theirs.sync_state), (Relationship::Active, SyncState::Synced));
    let own = Customer {
        company_name: before.company_name.clone(),
        domain: before.domain.clone(),
        primary_contact: before.primary_contact.clone(),
        billing: before.billing.clone(),
        microsoft: None,
        ..after.clone()
    };
    assert_eq!(own, before, "id, reference, labels, note, status and times stay");
    assert_eq!(linked.reversible_until(), NOW.plus(REVERSIBLE_FOR));
}

#[test]
fn a_link_locks_all_that_partner_center_owns_and_replaces_what_had_another_value() {
    let mut before = platform(Billing::MirrorsPrimary);
    before.primary_contact.set(ContactField::District, "");
    let linked = linked(&before);
    let locked = linked.locked();
    let guarded: Vec<_> =
        Field::all().filter(|field| owner(Standing::MicrosoftActive, *field) == Owner::PartnerCenter).collect();
    assert_eq!(locked, guarded);
    let replaced = linked.replaced();
    assert!(replaced.iter().all(|field| locked.contains(field)));
    // The names are equal, the city is, nobody had a district, and a platform customer has no tenant.
    let kept = [
        Field::CompanyName,
        Field::Contact(ContactRole::Primary, ContactField::City),
        Field::Contact(ContactRole::Billing, ContactField::District),
        Field::TenantName,
        Field::MicrosoftTenantId,
        Field::Relationship,
        Field::Resellers,
    ];
    for field in kept {
        assert!(!replaced.contains(&field), "{field}");
    }
    assert_eq!(replaced.len(), 2 * (ContactField::ALL.len() - 2) + 1);
    assert!(linked.changed().contains(&Field::Contact(ContactRole::Primary, ContactField::District)));
}

#[test]
fn only_a_platform_customer_that_is_not_deleted_becomes_what_partner_center_has() {
    let ours = platform(Billing::MirrorsPrimary);
    let cannot = |customer: &Customer, observed| link(customer, &observation(observed), NOW).map(|_| ()).unwrap_err();
    assert_eq!(cannot(&ours, Observed::Gone(GoneAnswer::NotFound)), CannotLink::Gone(GoneAnswer::NotFound));
    assert_eq!(cannot(&ours, Observed::Unusable("no country".to_owned())), CannotLink::Unusable);
    let theirs = linked(&ours).after().clone();
    assert_eq!(cannot(&theirs, Observed::Present(profile())), CannotLink::NotPlatform);
    let Verdict::Do(deletion) = deletion::delete(&ours, NOW) else { panic!("it can be deleted") };
    assert_eq!(cannot(deletion.after(), Observed::Present(profile())), CannotLink::Deleted);
}

#[test]
fn undoing_a_link_gives_back_exactly_what_was_there_and_nothing_else() {
    for billing in [Billing::MirrorsPrimary, Billing::Own(contact("invoices"))] {
        let before = platform(billing);
        let standing = standing_link(&before, NOW.plus(REVERSIBLE_FOR));
        let after = linked(&before).after().clone();
        let edited = Customer { note: "since then".to_owned(), ..after };
        let unlinked = unlink(&edited, &standing, NOW).expect("its time is not over");
        assert_eq!(*unlinked.after(), Customer { note: "since then".to_owned(), ..before });
        assert!(unlinked.changed().contains(&Field::Relationship));
    }
}

#[test]
fn a_link_is_too_old_at_the_very_end_of_its_time_or_once_the_former_values_are_erased() {
    let before = platform(Billing::MirrorsPrimary);
    let after = linked(&before).after().clone();
    let until = NOW.plus(REVERSIBLE_FOR);
    let standing = standing_link(&before, until);
    let last = Timestamp::from_micros(until.micros() - 1);
    assert!(unlink(&after, &standing, last).is_ok());
    assert!(unlink(&after, &standing, until).is_err());
    assert!(unlink(&after, &StandingLink { former: None, ..standing }, NOW).is_err());
}

#[test]
fn former_values_print_no_contact() {
    let printed = format!("{:?}", standing_link(&platform(Billing::Own(contact("invoices"))), NOW));
    assert!(!printed.contains("ours Email") && !printed.contains("invoices"), "{printed}");
}
