//! The guard: no mask and no way of naming changes what Partner Center owns, and nothing else is in anybody's way.

use std::collections::{BTreeMap, BTreeSet};

use customer_guard::domain::contact::{ContactField, ContactRole};
use customer_guard::grpc::proto::{
    Contact, CreateCustomerRequest, Customer, CustomerStatus, Relationship, Source, UpdateCustomerRequest,
};
use tonic::Code;

use crate::harness::cast::{bakery, change, contact, guarded, linden_profile, member};
use crate::harness::database::count;
use crate::harness::told::{Told, fields};
use crate::harness::{World, eventually};
use customer_guard::domain::field::Field;

const DECISIONS: &str = "SELECT count(*) FROM decision";
const CHANGES: &str = "SELECT count(*) FROM change_log";

fn with_email(customer: &Customer) -> Customer {
    let mut changed = customer.clone();
    "somebody@elsewhere.example".clone_into(&mut contact(&mut changed, ContactRole::Primary).email);
    changed
}

fn assert_refused(told: &Told, violated: &[&str]) {
    assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "FIELD_OWNED_BY_PARTNER_CENTER"));
    assert_eq!(told.violated(), violated);
}

#[tokio::test]
async fn refuses_every_guarded_field_by_its_own_path() {
    let (world, linden) = World::with_linden().await;
    assert_eq!(guarded().len(), 36);
    for field in guarded() {
        let mut changed = linden.clone();
        change(&mut changed, field);
        let path = field.to_string();
        let told = world.guard.refused(changed, &[&path]).await;
        assert_refused(&told, &[&path]);
        assert!(told.edit_refused().acceptable_fields.is_empty(), "{path}");
    }
    assert_eq!(world.guard.get(&linden.name).await, linden);
    assert_eq!(count(&world.guard.database, DECISIONS).await, 36);
    world.end().await;
}

#[tokio::test]
async fn refuses_to_clear_a_guarded_field_too() {
    let (world, linden) = World::with_linden().await;
    // Nobody resells to Linden: to clear that is to change nothing.
    for field in guarded().into_iter().filter(|field| *field != Field::Resellers) {
        let path = field.to_string();
        let bare = Customer { name: linden.name.clone(), ..Customer::default() };
        assert_refused(&world.guard.refused(bare, &[&path]).await, &[&path]);
    }
    assert_eq!(world.guard.get(&linden.name).await, linden);
    world.end().await;
}

#[tokio::test]
async fn refuses_a_change_of_the_primary_contact_through_every_mask() {
    let (world, linden) = World::with_linden().await;
    let whole = with_email(&linden);
    let only_email = Customer {
        name: linden.name.clone(),
        primary_contact: Some(Contact { email: "somebody@elsewhere.example".to_owned(), ..Contact::default() }),
        ..Customer::default()
    };
    let ways: [(&Customer, Option<&[&str]>); 8] = [
        (&whole, None),
        (&whole, Some(&[])),
        (&whole, Some(&["*"])),
        (&whole, Some(&["primary_contact"])),
        (&whole, Some(&["primary_contact.email"])),
        (&whole, Some(&["note", "primary_contact", "primary_contact.email"])),
        (&only_email, None),
        (&only_email, Some(&["primary_contact.email", "name", "etag"])),
    ];
    for (customer, mask) in ways {
        let told = world.guard.try_update(customer.clone(), mask).await.expect_err("a refused edit");
        assert_refused(&told, &["primary_contact.email"]);
    }
    assert_eq!(world.guard.get(&linden.name).await, linden);
    world.end().await;
}

#[tokio::test]
async fn refuses_a_change_of_the_billing_contact_through_every_mask() {
    let (world, linden) = World::with_linden().await;
    let mut whole = linden.clone();
    "Pasta kaste 9".clone_into(member(contact(&mut whole, ContactRole::Billing), ContactField::AddressLine1));
    let masks: [Option<&[&str]>; 5] = [
        None,
        Some(&["*"]),
        Some(&["billing_contact"]),
        Some(&["billing_contact.address"]),
        Some(&["billing_contact.address.address_line1"]),
    ];
    for mask in masks {
        let told = world.guard.try_update(whole.clone(), mask).await.expect_err("a refused edit");
        assert_refused(&told, &["billing_contact.address.address_line1"]);
        assert_eq!(told.edit_refused().violations[0].rule, "BILLING_MIRRORS_PRIMARY");
    }
    assert_eq!(world.guard.get(&linden.name).await, linden);
    world.end().await;
}

#[tokio::test]
async fn refuses_an_address_line_by_line() {
    let (world, linden) = World::with_linden().await;
    let mut moved = linden.clone();
    let primary = contact(&mut moved, ContactRole::Primary);
    for field in ContactField::ADDRESS {
        "QQ".clone_into(member(primary, field));
    }
    let told = world.guard.refused(moved, &["primary_contact.address"]).await;
    let expected: Vec<_> = ContactField::ADDRESS.map(|field| format!("primary_contact.{}", field.path())).into();
    assert_eq!(told.violated(), expected);
    world.end().await;
}

#[tokio::test]
async fn refuses_the_whole_request_when_one_field_of_it_is_guarded() {
    let (world, linden) = World::with_linden().await;
    let mut mixed = with_email(&linden);
    mixed.labels = BTreeMap::from([("tier".to_owned(), "gold".to_owned())]);
    "New words.".clone_into(&mut mixed.note);
    let told =
        world.guard.refused(mixed.clone(), &["labels", "primary_contact.email", "note", "external_reference"]).await;
    assert_refused(&told, &["primary_contact.email"]);
    assert_eq!(told.edit_refused().acceptable_fields, ["labels", "note"]);
    assert_eq!(world.guard.get(&linden.name).await, linden);

    let accepted = world.guard.update(mixed, &["labels", "note"]).await;
    assert_eq!((accepted.labels["tier"].as_str(), accepted.note.as_str()), ("gold", "New words."));
    assert_eq!(accepted.primary_contact, linden.primary_contact);
    world.end().await;
}

#[tokio::test]
async fn writes_nothing_but_a_decision() {
    let (world, linden) = World::with_linden().await;
    let changes = count(&world.guard.database, CHANGES).await;
    world.guard.refused(with_email(&linden), &["primary_contact.email"]).await;
    assert_eq!(count(&world.guard.database, CHANGES).await, changes);
    assert_eq!(count(&world.guard.database, DECISIONS).await, 1);
    assert_eq!(world.guard.get(&linden.name).await, linden);
    world.end().await;
}

#[tokio::test]
async fn validates_only_with_the_same_answer_and_no_decision() {
    let (world, linden) = World::with_linden().await;
    let changes = count(&world.guard.database, CHANGES).await;
    let request = |customer, validate_only| UpdateCustomerRequest {
        customer: Some(customer),
        update_mask: Some(prost_types::FieldMask { paths: vec!["*".to_owned()] }),
        validate_only,
        ..Default::default()
    };
    let dry = world.guard.send_update(request(with_email(&linden), true)).await.expect_err("a refused edit");
    assert_eq!(dry.edit_refused().decision_id, "");
    assert_eq!(count(&world.guard.database, DECISIONS).await, 0);
    let wet = world.guard.send_update(request(with_email(&linden), false)).await.expect_err("a refused edit");
    let mut without_id = wet.edit_refused();
    without_id.decision_id.clear();
    assert_eq!((dry.code, &dry.message, dry.edit_refused()), (wet.code, &wet.message, without_id));

    let mut labelled = linden.clone();
    labelled.labels.insert("tier".to_owned(), "gold".to_owned());
    let dry = world.guard.send_update(request(labelled, true)).await.expect("an accepted edit");
    assert_eq!(dry.labels["tier"], "gold");
    assert_eq!(world.guard.get(&linden.name).await, linden);
    assert_eq!(count(&world.guard.database, CHANGES).await, changes);
    world.end().await;
}

#[tokio::test]
async fn accepts_guarded_fields_with_their_present_values_beside_a_changed_label() {
    let (world, linden) = World::with_linden().await;
    let mut labelled = linden.clone();
    labelled.labels.insert("tier".to_owned(), "gold".to_owned());
    let mut paths: Vec<_> = guarded().iter().map(ToString::to_string).collect();
    paths.push("labels.tier".to_owned());
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    let accepted = world.guard.update(labelled, &paths).await;
    assert_eq!(accepted.labels, BTreeMap::from([("tier".to_owned(), "gold".to_owned())]));
    assert_eq!(accepted.primary_contact, linden.primary_contact);
    world.end().await;
}

#[tokio::test]
async fn accepts_a_whole_object_that_was_read_changed_and_sent_back() {
    let (world, linden) = World::with_linden().await;
    let mut read = world.guard.get(&linden.name).await;
    for (turn, mask) in [Some(&["*"][..]), None, Some(&[])].into_iter().enumerate() {
        read.labels.insert("turn".to_owned(), turn.to_string());
        read.set_status(CustomerStatus::Blocked);
        let written = world.guard.try_update(read, mask).await.expect("an accepted edit");
        assert_eq!(
            (written.labels["turn"].as_str(), written.status()),
            (turn.to_string().as_str(), CustomerStatus::Blocked)
        );
        read = written;
    }
    assert_eq!(count(&world.guard.database, DECISIONS).await, 0);
    world.end().await;
}

#[tokio::test]
async fn takes_another_spelling_of_the_same_value_for_no_edit() {
    let (world, linden) = World::with_linden().await;
    let mut spelled = linden.clone();
    for role in [ContactRole::Primary, ContactRole::Billing] {
        let one = contact(&mut spelled, role);
        "girts.liepa@Linden.EXAMPLE".clone_into(&mut one.email);
        "+371 (64) 12-34.56".clone_into(&mut one.phone_number);
        "  G\u{327}irts ".clone_into(&mut one.first_name);
        "Re\u{304}zekne".clone_into(member(one, ContactField::City));
    }
    " SIA Linden ".clone_into(&mut spelled.company_name);
    "Linden.OnMicrosoft.com".clone_into(&mut spelled.domain);
    spelled.microsoft_tenant_id = spelled.microsoft_tenant_id.to_uppercase();
    let answered = world.guard.update(spelled, &["*"]).await;
    assert_eq!(answered, linden);
    world.end().await;
}

#[tokio::test]
async fn tells_the_case_of_a_mailbox_apart() {
    let (world, linden) = World::with_linden().await;
    let mut shouted = linden.clone();
    "Girts.Liepa@linden.example".clone_into(&mut contact(&mut shouted, ContactRole::Primary).email);
    assert_refused(&world.guard.refused(shouted, &["*"]).await, &["primary_contact.email"]);
    world.end().await;
}

#[tokio::test]
async fn does_not_let_anybody_choose_where_a_customer_comes_from() {
    let (world, linden) = World::with_linden().await;
    let ours = world.guard.create(bakery()).await;
    let mut freed = linden.clone();
    freed.set_source(Source::Platform);
    let mut taken = ours.clone();
    taken.set_source(Source::Microsoft);
    for (switched, before) in [(freed, linden), (taken, ours)] {
        for mask in [Some(&["source"][..]), Some(&["*"]), None] {
            let told = world.guard.try_update(switched.clone(), mask).await.expect_err("a refused switch");
            assert_eq!(told.wrong_fields(), fields(["source"]));
        }
        assert_eq!(world.guard.get(&before.name).await, before);
    }
    world.end().await;
}

#[tokio::test]
async fn gives_a_platform_customer_nothing_of_microsofts() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    let mut adorned = ours.clone();
    "Tenant".clone_into(&mut adorned.tenant_name);
    adorned.microsoft_tenant_id = uuid::Uuid::from_u128(5).to_string();
    adorned.set_relationship(Relationship::Active);
    let told = world.guard.refused(adorned, &["tenant_name", "microsoft_tenant_id", "relationship"]).await;
    assert_eq!(told.wrong_fields(), fields(["tenant_name", "microsoft_tenant_id", "relationship"]));
    assert_eq!(world.guard.get(&ours.name).await, ours);
    world.end().await;
}

#[tokio::test]
async fn creates_no_customer_as_microsofts() {
    let world = World::with_customers(0).await;
    let mut posing = bakery();
    posing.set_source(Source::Microsoft);
    posing.microsoft_tenant_id = uuid::Uuid::from_u128(5).to_string();
    posing.set_relationship(Relationship::Active);
    "Tenant".clone_into(&mut posing.tenant_name);
    let request = CreateCustomerRequest {
        parent: "partnerAccounts/contoso".to_owned(),
        customer: Some(posing),
        validate_only: false,
        ..Default::default()
    };
    let told = Told::from(world.guard.customers.clone().create_customer(request).await.expect_err("refused"));
    let expected = fields(["source", "microsoft_tenant_id", "relationship", "tenant_name"]);
    assert_eq!(told.wrong_fields(), expected);
    assert_eq!(world.guard.all("contoso").await.len(), 0);
    world.end().await;
}

#[tokio::test]
async fn holds_while_many_edit_and_partner_center_changes_the_same_customer() {
    let (world, linden) = World::with_linden().await;
    let guard = &world.guard;
    let storm = async {
        for turn in 0..40 {
            let mut edit = with_email(&linden);
            edit.etag.clear();
            edit.labels.insert("turn".to_owned(), turn.to_string());
            let told = guard.refused(edit.clone(), &["primary_contact.email", "labels"]).await;
            assert_eq!(told.reason(), "FIELD_OWNED_BY_PARTNER_CENTER");
            guard.update(edit, &["labels"]).await;
        }
    };
    let upstream = async {
        for turn in 0..5 {
            let email = format!("turn{turn}@linden.example");
            world.change_email(crate::harness::cast::LINDEN, &email);
            guard.refresh(&linden.name).await.expect("a refreshed customer");
        }
    };
    futures::join!(storm, upstream);
    let settled = eventually("the last turns arrive", async || {
        let now = guard.get(&linden.name).await;
        (now.labels.get("turn")? == "39").then_some(now)
    })
    .await;
    let primary = settled.primary_contact.clone().expect("a contact");
    assert_eq!(primary.email, "turn4@linden.example");
    assert_eq!(settled.billing_contact, settled.primary_contact);
    assert_eq!(Some(primary.first_name), linden_profile().first_name);
    world.end().await;
}

#[tokio::test]
async fn names_every_guarded_field_of_a_request_that_changes_them_all() {
    let (world, linden) = World::with_linden().await;
    let mut everything = linden.clone();
    guarded().into_iter().for_each(|field| change(&mut everything, field));
    let told = world.guard.refused(everything, &["*"]).await;
    let refused = told.edit_refused();
    let named: BTreeSet<_> = refused.violations.iter().map(|violation| violation.field.clone()).collect();
    assert_eq!(named.len(), refused.violations.len(), "none twice");
    assert!(named.iter().all(|field| guarded().iter().any(|known| known.to_string() == *field)));
    assert_eq!(refused.violations.len() + usize::try_from(refused.more_violations).expect("a count"), 36);
    assert_eq!(world.guard.get(&linden.name).await, linden);
    world.end().await;
}
