//! Customers of the platform's own, and what the platform owns of Microsoft's.

use std::collections::BTreeMap;

use customer_guard::domain::contact::{ContactField, ContactRole};
use customer_guard::domain::field::Field;
use customer_guard::grpc::proto::{Contact, CreateCustomerRequest, Customer, CustomerStatus, UpdateCustomerRequest};
use tonic::Code;

use crate::harness::World;
use crate::harness::cast::{LINDEN, another, bakery, change, contact, member, whole_contact};
use crate::harness::database::count;
use crate::harness::told::{Told, fields};

const CHANGES: &str = "SELECT count(*) FROM change_log";

#[tokio::test]
async fn a_created_customer_is_returned_as_it_was_given() {
    let world = World::with_customers(0).await;
    let created = world.guard.create(bakery()).await;
    assert!(created.name.starts_with("partnerAccounts/contoso/customers/"));
    assert_eq!(created.create_time, created.update_time);
    assert!(created.billing_mirrors_primary && !created.etag.is_empty());
    assert_eq!(created.revision, 1);
    let mut given = bakery();
    given.billing_contact = given.primary_contact.clone();
    given.set_status(CustomerStatus::Active);
    let plain = Customer {
        name: String::new(),
        source: 0,
        billing_mirrors_primary: false,
        create_time: None,
        update_time: None,
        etag: String::new(),
        revision: 0,
        ..created.clone()
    };
    assert_eq!(plain, given);
    assert_eq!(world.guard.get(&created.name).await, created);
    world.end().await;
}

#[tokio::test]
async fn what_is_stored_is_tidy() {
    let world = World::with_customers(0).await;
    let mut untidy = bakery();
    "  Linden \u{0042}akery ".clone_into(&mut untidy.company_name);
    "Bakery.Example".clone_into(&mut untidy.domain);
    "Re\u{304}zekne ".clone_into(member(contact(&mut untidy, ContactRole::Primary), ContactField::City));
    let created = world.guard.create(untidy).await;
    assert_eq!((created.company_name.as_str(), created.domain.as_str()), ("Linden Bakery", "bakery.example"));
    assert_eq!(created.primary_contact.and_then(|contact| contact.address).expect("an address").city, "R\u{113}zekne");
    world.end().await;
}

#[tokio::test]
async fn a_creation_that_only_validates_writes_nothing() {
    let world = World::with_customers(0).await;
    let request = |customer| CreateCustomerRequest {
        parent: "partnerAccounts/contoso".to_owned(),
        customer: Some(customer),
        validate_only: true,
        ..Default::default()
    };
    let dry = world.guard.customers.clone().create_customer(request(bakery())).await.expect("sound").into_inner();
    assert_eq!(dry.company_name, "Linden Bakery");
    let refused = world.guard.customers.clone().create_customer(request(Customer::default())).await;
    assert_eq!(Told::from(refused.expect_err("nameless")).wrong_fields(), fields(["company_name"]));
    assert_eq!(world.guard.all("contoso").await, []);
    assert_eq!(count(&world.guard.database, CHANGES).await, 0);
    world.end().await;
}

#[tokio::test]
async fn every_field_a_platform_customer_has_can_be_edited_by_its_own_path() {
    let world = World::with_customers(0).await;
    let is_microsofts = |field: &Field| {
        matches!(field, Field::TenantName | Field::MicrosoftTenantId | Field::Relationship | Field::Resellers)
    };
    for field in Field::all().filter(|field| !is_microsofts(field)) {
        let ours = world.guard.create(bakery()).await;
        let mut wanted = ours.clone();
        change(&mut wanted, field);
        let answered = world.guard.update(wanted.clone(), &[&field.to_string()]).await;
        let mut found = answered.clone();
        match field {
            Field::Contact(role, one) => assert_eq!(member(contact(&mut found, role), one), another(one), "{field}"),
            Field::CompanyName => assert_eq!(answered.company_name, wanted.company_name),
            Field::Domain => assert_eq!(answered.domain, wanted.domain),
            Field::ExternalReference => assert_eq!(answered.external_reference, wanted.external_reference),
            Field::Labels => assert_eq!(answered.labels, wanted.labels),
            Field::Note => assert_eq!(answered.note, wanted.note),
            Field::Status => assert_eq!(answered.status(), CustomerStatus::Blocked),
            Field::TenantName | Field::MicrosoftTenantId | Field::Relationship | Field::Resellers => {
                unreachable!("not a platform's")
            }
        }
        assert_ne!(answered.etag, ours.etag, "{field}");
        assert_eq!(world.guard.get(&ours.name).await, answered);
    }
    world.end().await;
}

#[tokio::test]
async fn billing_mirrors_primary_until_it_is_set_and_again_after_it_is_cleared() {
    let world = World::with_customers(0).await;
    let mut ours = world.guard.create(bakery()).await;

    contact(&mut ours, ContactRole::Primary).email = "first@bakery.example".to_owned();
    let followed = world.guard.update(ours, &["primary_contact.email"]).await;
    assert!(followed.billing_mirrors_primary);
    assert_eq!(followed.billing_contact, followed.primary_contact);

    let mut own = followed;
    own.billing_contact = Some(Contact { email: "invoices@bakery.example".to_owned(), ..Contact::default() });
    let set = world.guard.update(own.clone(), &["billing_contact"]).await;
    assert!(!set.billing_mirrors_primary);
    assert_eq!(set.billing_contact, own.billing_contact);

    let mut moved = set;
    contact(&mut moved, ContactRole::Primary).email = "second@bakery.example".to_owned();
    let apart = world.guard.update(moved, &["primary_contact.email"]).await;
    assert_eq!(apart.billing_contact.clone().expect("a contact").email, "invoices@bakery.example");

    let cleared = Customer { billing_contact: None, ..apart };
    let mirrors = world.guard.update(cleared, &["billing_contact"]).await;
    assert!(mirrors.billing_mirrors_primary);
    assert_eq!(mirrors.billing_contact, mirrors.primary_contact);
    world.end().await;
}

#[tokio::test]
async fn one_member_of_a_mirrored_billing_contact_makes_it_a_contact_of_its_own() {
    let world = World::with_customers(0).await;
    let mut ours = world.guard.create(bakery()).await;
    contact(&mut ours, ContactRole::Billing).email = "invoices@bakery.example".to_owned();
    let answered = world.guard.update(ours, &["billing_contact.email"]).await;
    let expected = Contact { email: "invoices@bakery.example".to_owned(), ..whole_contact() };
    assert_eq!(answered.billing_contact, Some(expected));
    assert_eq!(answered.primary_contact, Some(whole_contact()));
    world.end().await;
}

#[tokio::test]
async fn labels_are_set_and_removed_by_key_and_replaced_as_a_whole() {
    let world = World::with_customers(0).await;
    let mut ours = world.guard.create(bakery()).await;
    ours.labels = BTreeMap::from([("tier".to_owned(), "gold".to_owned())]);
    let both = world.guard.update(ours.clone(), &["labels.tier"]).await;
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(both.labels, BTreeMap::from([label("team", "blue"), label("tier", "gold")]));
    ours.etag = both.etag;
    let one = world.guard.update(ours.clone(), &["labels.team"]).await;
    assert_eq!(one.labels, BTreeMap::from([label("tier", "gold")]));
    ours.etag = one.etag;
    ours.labels.clear();
    assert_eq!(world.guard.update(ours, &["labels"]).await.labels, BTreeMap::new());
    world.end().await;
}

#[tokio::test]
async fn a_star_clears_what_is_absent_and_no_mask_leaves_it_alone() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    let bare = Customer { name: ours.name.clone(), company_name: "Bare".to_owned(), ..Customer::default() };
    let kept = world.guard.try_update(bare.clone(), None).await.expect("an accepted edit");
    assert_eq!((kept.company_name.as_str(), &kept.note, &kept.labels), ("Bare", &ours.note, &ours.labels));
    let cleared = world.guard.update(bare, &["*"]).await;
    assert_eq!((cleared.note.as_str(), cleared.external_reference.as_str(), cleared.domain.as_str()), ("", "", ""));
    assert_eq!((cleared.labels.len(), &cleared.primary_contact), (0, &Some(Contact::default())));
    assert_eq!(cleared.status(), CustomerStatus::Active, "what is not said is no status");
    world.end().await;
}

#[tokio::test]
async fn a_stale_etag_is_aborted_and_a_fresh_one_is_not() {
    let world = World::with_customers(0).await;
    let first = world.guard.create(bakery()).await;
    let mut second = first.clone();
    second.note = "second".to_owned();
    let written = world.guard.update(second.clone(), &["note"]).await;
    let told = world.guard.refused(second.clone(), &["note"]).await;
    assert_eq!((told.code, told.reason().as_str()), (Code::Aborted, "STALE_ETAG"));
    assert_eq!(told.metadata("customer"), first.name);
    second.etag = written.etag;
    second.note = "third".to_owned();
    assert_eq!(world.guard.update(second, &["note"]).await.note, "third");
    world.end().await;
}

#[tokio::test]
async fn of_many_writers_with_one_etag_exactly_one_wins() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    let write = async |turn: usize| {
        let edit = Customer { note: format!("writer {turn}"), ..ours.clone() };
        world.guard.try_update(edit, Some(&["note"])).await
    };
    let outcomes = futures::future::join_all((0..12).map(write)).await;
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 11));
    for told in lost.into_iter().filter_map(Result::err) {
        assert_eq!(told.reason(), "STALE_ETAG");
    }
    world.end().await;
}

#[tokio::test]
async fn an_update_that_changes_nothing_keeps_etag_and_time() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    let changes = count(&world.guard.database, CHANGES).await;
    for mask in [Some(&["*"][..]), None, Some(&["note", "labels", "primary_contact", "billing_contact"])] {
        assert_eq!(world.guard.try_update(ours.clone(), mask).await.expect("no edit"), ours, "{mask:?}");
    }
    assert_eq!(count(&world.guard.database, CHANGES).await, changes);
    world.end().await;
}

#[tokio::test]
async fn an_update_that_only_validates_answers_as_it_would_and_writes_nothing() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    let edit = Customer { note: "A dry run.".to_owned(), ..ours.clone() };
    let request =
        UpdateCustomerRequest { customer: Some(edit), update_mask: None, validate_only: true, ..Default::default() };
    let dry = world.guard.send_update(request).await.expect("an accepted edit");
    assert_eq!(dry.note, "A dry run.");
    assert_eq!(world.guard.get(&ours.name).await, ours);
    world.end().await;
}

#[tokio::test]
async fn output_only_paths_are_ignored() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    let edit = Customer { create_time: None, verified_at: ours.update_time, ..ours.clone() };
    let paths = ["name", "etag", "create_time", "update_time", "verified_at", "verify_due_by", "sync_state"];
    assert_eq!(world.guard.update(edit, &paths).await, ours);
    world.end().await;
}

#[tokio::test]
async fn labels_note_status_and_reference_of_a_microsoft_customer_survive_the_next_sync() {
    let (world, mut linden) = World::with_linden().await;
    linden.labels.insert("tier".to_owned(), "gold".to_owned());
    linden.note = "Call before noon.".to_owned();
    linden.external_reference = "crm-4711".to_owned();
    linden.set_status(CustomerStatus::Blocked);
    let edited = world.guard.update(linden, &["labels", "note", "external_reference", "status"]).await;
    world.change_email_silently(LINDEN, "new@linden.example");
    world.pass_a_night().await;
    let synced = world.guard.get(&edited.name).await;
    assert_eq!(synced.primary_contact.expect("a contact").email, "new@linden.example");
    assert_eq!(synced.labels, edited.labels);
    assert_eq!((synced.note, synced.external_reference), (edited.note, edited.external_reference));
    assert_eq!(synced.status, edited.status);
    world.end().await;
}

#[tokio::test]
async fn a_night_leaves_platform_customers_alone() {
    let (world, _) = World::with_linden().await;
    let ours = world.guard.create(bakery()).await;
    world.pass_a_night().await;
    assert_eq!(world.guard.get(&ours.name).await, ours);
    world.end().await;
}
