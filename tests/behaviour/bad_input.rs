//! Bad input: one typed error that names every problem at once, and nothing half-written.

use std::collections::BTreeMap;

use customer_guard::domain::contact::{ContactField, ContactRole};
use customer_guard::grpc::proto::{
    Contact, CreateCustomerRequest, Customer, GetCustomerRequest, GetFieldOwnershipRequest, GetSyncRunRequest,
    GetSyncStatusRequest, ListCustomersRequest, ListSyncRunsRequest, RefreshCustomerRequest, StartSyncRequest,
    UpdateCustomerRequest,
};
use tonic::Code;

use crate::harness::World;
use crate::harness::cast::{bakery, contact, member};
use crate::harness::told::{Told, fields};

const NOBODY: &str = "partnerAccounts/contoso/customers/0198c0de-7000-7000-8000-000000000001";

fn told<T: std::fmt::Debug>(answer: Result<tonic::Response<T>, tonic::Status>) -> Told {
    Told::from(answer.expect_err("a refused request"))
}

#[tokio::test]
async fn a_new_customer_is_told_everything_that_is_wrong_with_it() {
    let world = World::with_customers(0).await;
    let mut wrong = Customer {
        domain: "not a domain".to_owned(),
        external_reference: "x".repeat(201),
        note: "x".repeat(4001),
        labels: BTreeMap::from([("Bad Key".to_owned(), "x".to_owned()), ("long".to_owned(), "x".repeat(256))]),
        ..Customer::default()
    };
    let primary = contact(&mut wrong, ContactRole::Primary);
    "nobody".clone_into(&mut primary.email);
    "call me".clone_into(&mut primary.phone_number);
    "???".clone_into(&mut primary.language);
    "en_US_".clone_into(&mut primary.culture);
    "x".repeat(101).clone_into(&mut primary.first_name);
    let billing = contact(&mut wrong, ContactRole::Billing);
    "Latvia".clone_into(member(billing, ContactField::Country));
    "Ri\u{7}ga".clone_into(member(billing, ContactField::City));
    "\u{202e}agiR".clone_into(member(billing, ContactField::AddressLine1));
    let told = world.guard.try_create("contoso", wrong).await.expect_err("nothing of it is right");
    let expected = fields([
        "primary_contact.email",
        "primary_contact.phone_number",
        "primary_contact.language",
        "primary_contact.culture",
        "primary_contact.first_name",
        "billing_contact.address.country",
        "billing_contact.address.city",
        "billing_contact.address.address_line1",
        "company_name",
        "domain",
        "external_reference",
        "labels.Bad Key",
        "labels.long",
        "note",
    ]);
    assert_eq!(told.wrong_fields(), expected);
    assert_eq!(told.message, "the request has 14 problems");
    assert_eq!(world.guard.all("contoso").await, []);
    world.end().await;
}

#[tokio::test]
async fn an_edit_is_told_everything_that_is_wrong_with_it_and_writes_nothing_of_it() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    let mut edit = ours.clone();
    let primary = contact(&mut edit, ContactRole::Primary);
    "a@b".clone_into(&mut primary.email);
    "lv".clone_into(member(primary, ContactField::Country));
    "".clone_into(&mut edit.company_name);
    edit.labels = (0..65).map(|key| (format!("key-{key}"), String::new())).collect();
    "This part is sound.".clone_into(&mut edit.note);
    let told = world.guard.refused(edit, &["*"]).await;
    // The billing contact of the request is the one that was read, no longer the primary contact of the request.
    let expected = fields(["primary_contact.email", "primary_contact.address.country", "company_name", "labels"]);
    assert_eq!(told.wrong_fields(), expected);
    assert_eq!(world.guard.get(&ours.name).await, ours);
    world.end().await;
}

#[tokio::test]
async fn every_contact_member_has_a_longest_length() {
    let world = World::with_customers(0).await;
    for role in [ContactRole::Primary, ContactRole::Billing] {
        for field in ContactField::ALL {
            let mut wrong = bakery();
            "x".repeat(300).clone_into(member(contact(&mut wrong, role), field));
            let told = world.guard.try_create("contoso", wrong).await.expect_err("too long");
            assert_eq!(told.wrong_fields(), fields([format!("{role}.{}", field.path()).as_str()]));
            assert!(told.bad_request()[0].description.contains("300 characters"), "{told:?}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_description_never_quotes_what_was_given() {
    let world = World::with_customers(0).await;
    let mut wrong = bakery();
    "secret person at home".clone_into(&mut contact(&mut wrong, ContactRole::Primary).email);
    "secret\u{0}street".clone_into(member(contact(&mut wrong, ContactRole::Primary), ContactField::AddressLine1));
    let told = world.guard.try_create("contoso", wrong).await.expect_err("unsound");
    assert!(!format!("{} {}", told.message, String::from_utf8_lossy(&told.bytes)).contains("secret"));
    world.end().await;
}

#[tokio::test]
async fn every_unknown_mask_path_is_told_beside_a_bad_name_and_etag() {
    let world = World::with_customers(0).await;
    let customer =
        Customer { name: "customers/17".to_owned(), etag: "W/\"r7\"".to_owned(), status: 99, ..Customer::default() };
    let paths = ["status", "fax", "primary_contact.fax", "labels.", "*", "primary_contact.", "Note", "\u{202e}"];
    let told = world.guard.refused(customer, &paths).await;
    assert_eq!(told.wrong_fields(), fields(["name", "etag", "status", "update_mask"]));
    let of_mask = told.bad_request().into_iter().filter(|one| one.field == "update_mask");
    let descriptions: Vec<_> = of_mask.map(|one| one.description).collect();
    let expected = [
        "has no field fax",
        "has no field primary_contact.fax",
        "has no field labels.",
        "must stand alone",
        "has no field primary_contact.",
        "has no field Note",
        "has no field \\u{202e}",
    ];
    assert_eq!(descriptions, expected);
    world.end().await;
}

#[tokio::test]
async fn more_problems_than_fit_are_counted() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    let paths: Vec<_> = (0..500).map(|number| format!("nonsense_{number}_{}", "x".repeat(100))).collect();
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    let told = world.guard.refused(ours, &paths).await;
    let listed = told.bad_request();
    assert_eq!((told.code, listed.len()), (Code::InvalidArgument, 28));
    assert_eq!(listed[27].description, "and 473 more problems");
    assert!(told.bytes.len() <= 4096, "{} bytes", told.bytes.len());
    world.end().await;
}

#[tokio::test]
async fn problems_with_long_names_are_counted_rather_than_sent_back() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    let paths: Vec<_> = (0..30).map(|number| format!("{number}{}", "\u{10ffff}".repeat(90))).collect();
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    let of_mask = world.guard.refused(ours.clone(), &paths).await;
    let labels = (0..30).map(|number| (format!("{number}{}", "\u{10ffff}".repeat(70)), String::new())).collect();
    let of_labels = world.guard.refused(Customer { labels, ..ours }, &["labels"]).await;
    for told in [of_mask, of_labels] {
        assert!(told.bytes.len() <= 4096, "{} bytes", told.bytes.len());
        let listed = told.bad_request();
        let last = listed.last().expect("a last one").description.clone();
        assert_eq!(last, format!("and {} more problems", 30 - (listed.len() - 1)));
    }
    world.end().await;
}

#[tokio::test]
async fn unknown_enumeration_numbers_are_told() {
    let world = World::with_customers(0).await;
    let wrong = Customer { source: 77, status: -1, relationship: 55, ..bakery() };
    let told_create = world.guard.try_create("contoso", wrong.clone()).await.expect_err("unknown numbers");
    assert_eq!(told_create.wrong_fields(), fields(["source", "status", "relationship"]));
    let ours = world.guard.create(bakery()).await;
    for mask in [Some(&["source", "status", "relationship"][..]), Some(&["*"]), None] {
        let edit = Customer { name: ours.name.clone(), ..wrong.clone() };
        let told = world.guard.try_update(edit, mask).await.expect_err("unknown numbers");
        assert_eq!(told.wrong_fields(), fields(["source", "status", "relationship"]));
    }
    world.end().await;
}

#[tokio::test]
async fn a_request_without_a_customer_is_told_so() {
    let world = World::with_customers(0).await;
    let mut client = world.guard.customers.clone();
    let update = UpdateCustomerRequest::default();
    assert_eq!(told(client.update_customer(update).await).wrong_fields(), fields(["customer"]));
    let create = CreateCustomerRequest { parent: "partnerAccounts/UPPER".to_owned(), ..Default::default() };
    let told = told(client.create_customer(create).await).wrong_fields();
    assert!(told.is_superset(&fields(["customer", "parent"])), "{told:?}");
    world.end().await;
}

#[tokio::test]
async fn every_method_tells_a_malformed_name() {
    let world = World::with_customers(0).await;
    let (mut customers, mut sync) = (world.guard.customers.clone(), world.guard.sync.clone());
    let overlong = format!("partnerAccounts/{}/customers/17", "x".repeat(5000));
    for bad in
        ["", "nonsense", "partnerAccounts/contoso", "partnerAccounts/contoso/customers/17", &overlong, "\u{0}/\u{202e}"]
    {
        let name = bad.to_owned();
        let told_all = [
            told(customers.get_customer(GetCustomerRequest { name: name.clone(), ..Default::default() }).await),
            told(customers.get_field_ownership(GetFieldOwnershipRequest { name: name.clone() }).await),
            told(sync.get_sync_status(GetSyncStatusRequest { name: name.clone() }).await),
            told(sync.get_sync_run(GetSyncRunRequest { name: name.clone() }).await),
            told(sync.refresh_customer(RefreshCustomerRequest { name }).await),
        ];
        for told in told_all {
            assert_eq!(told.wrong_fields(), fields(["name"]), "{bad}");
            assert!(told.bytes.len() < 1024, "a bad name is not sent back");
        }
    }
    for bad in ["", "-", "partnerAccounts/", "partnerAccounts/a/b", "contoso"] {
        let parent = bad.to_owned();
        let list = ListCustomersRequest { parent: parent.clone(), ..Default::default() };
        let runs = ListSyncRunsRequest { parent: parent.clone(), ..Default::default() };
        let told_all = [
            told(customers.list_customers(list).await),
            told(sync.list_sync_runs(runs).await),
            told(sync.start_sync(StartSyncRequest { parent, ..Default::default() }).await),
        ];
        for told in told_all {
            assert_eq!(told.wrong_fields(), fields(["parent"]), "{bad}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn every_method_tells_an_unknown_partner_account() {
    let world = World::with_customers(0).await;
    let (mut customers, mut sync) = (world.guard.customers.clone(), world.guard.sync.clone());
    let parent = "partnerAccounts/adatum".to_owned();
    let name = NOBODY.replace("contoso", "adatum");
    let update = UpdateCustomerRequest {
        customer: Some(Customer { name: name.clone(), note: "x".to_owned(), ..Customer::default() }),
        ..Default::default()
    };
    let create = CreateCustomerRequest {
        parent: parent.clone(),
        customer: Some(bakery()),
        validate_only: true,
        ..Default::default()
    };
    let run = name.replace("customers", "syncRuns");
    let told_all = [
        told(customers.get_customer(GetCustomerRequest { name: name.clone(), ..Default::default() }).await),
        told(customers.get_field_ownership(GetFieldOwnershipRequest { name: name.clone() }).await),
        told(customers.list_customers(ListCustomersRequest { parent: parent.clone(), ..Default::default() }).await),
        told(customers.create_customer(create).await),
        told(customers.update_customer(update).await),
        told(sync.get_sync_status(GetSyncStatusRequest { name: format!("{parent}/syncStatus") }).await),
        told(sync.start_sync(StartSyncRequest { parent: parent.clone(), ..Default::default() }).await),
        told(sync.get_sync_run(GetSyncRunRequest { name: run }).await),
        told(sync.list_sync_runs(ListSyncRunsRequest { parent: parent.clone(), ..Default::default() }).await),
        told(sync.refresh_customer(RefreshCustomerRequest { name }).await),
    ];
    for (method, told) in told_all.into_iter().enumerate() {
        assert_eq!((told.code, told.reason().as_str()), (Code::NotFound, "PARTNER_ACCOUNT_NOT_FOUND"), "{method}");
        assert_eq!(told.metadata("partnerAccount"), parent, "{method}");
    }
    world.end().await;
}

#[tokio::test]
async fn an_unknown_customer_or_run_is_not_found() {
    let world = World::with_customers(0).await;
    let (mut customers, mut sync) = (world.guard.customers.clone(), world.guard.sync.clone());
    let name = NOBODY.to_owned();
    let update = UpdateCustomerRequest {
        customer: Some(Customer { name: name.clone(), note: "x".to_owned(), ..Customer::default() }),
        ..Default::default()
    };
    let told_all = [
        told(customers.get_customer(GetCustomerRequest { name: name.clone(), ..Default::default() }).await),
        told(customers.get_field_ownership(GetFieldOwnershipRequest { name: name.clone() }).await),
        told(customers.update_customer(update).await),
        told(sync.refresh_customer(RefreshCustomerRequest { name: name.clone() }).await),
    ];
    for told in told_all {
        assert_eq!((told.code, told.reason().as_str()), (Code::NotFound, "CUSTOMER_NOT_FOUND"));
        assert_eq!(told.metadata("customer"), name);
    }
    let run = name.replace("customers", "syncRuns");
    let told = told(sync.get_sync_run(GetSyncRunRequest { name: run.clone() }).await);
    assert_eq!((told.code, told.reason().as_str()), (Code::NotFound, "SYNC_RUN_NOT_FOUND"));
    assert_eq!(told.metadata("syncRun"), run);
    world.end().await;
}

#[tokio::test]
async fn a_customer_of_one_account_is_not_found_below_another() {
    let plan = crate::harness::Plan { partners: vec!["contoso", "northwind"], ..crate::harness::Plan::usual() };
    let world = World::with(plan, 1).await;
    let name = world.guard.all("contoso").await.swap_remove(0).name.replace("contoso", "northwind");
    let told =
        told(world.guard.customers.clone().get_customer(GetCustomerRequest { name, ..Default::default() }).await);
    assert_eq!((told.code, told.reason().as_str()), (Code::NotFound, "CUSTOMER_NOT_FOUND"));
    world.end().await;
}

#[tokio::test]
async fn malformed_etags_are_told() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    for etag in ["r", "7", "\"r-1\"", "*", "r99999999999999999999", "W/\"r1\""] {
        let edit = Customer { etag: etag.to_owned(), ..ours.clone() };
        let told = world.guard.refused(edit, &["note"]).await;
        assert_eq!(told.wrong_fields(), fields(["etag"]), "{etag}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_message_over_the_size_limit_is_refused_and_the_connection_goes_on() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    let edit = Customer { note: "x".repeat(300 * 1024), ..ours.clone() };
    let request =
        UpdateCustomerRequest { customer: Some(edit), update_mask: None, validate_only: false, ..Default::default() };
    let status = world.guard.customers.clone().update_customer(request).await.expect_err("too large");
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert_eq!(world.guard.get(&ours.name).await, ours);
    world.end().await;
}

#[tokio::test]
async fn a_contact_of_control_characters_only_is_told_member_by_member() {
    let world = World::with_customers(0).await;
    let mut wrong = Customer { company_name: "Linden \u{2067}Bakery".to_owned(), ..Customer::default() };
    wrong.primary_contact = Some(Contact { last_name: "Li\u{85}nd".to_owned(), ..Contact::default() });
    wrong.note = "two\nlines\tare fine, a bell \u{7} is not".to_owned();
    wrong.external_reference = "crm\u{0}17".to_owned();
    let told = world.guard.try_create("contoso", wrong).await.expect_err("control characters");
    let expected = fields(["company_name", "primary_contact.last_name", "note", "external_reference"]);
    assert_eq!(told.wrong_fields(), expected);
    world.end().await;
}

#[tokio::test]
async fn wrong_values_are_told_beside_a_wrong_form() {
    let world = World::with_customers(0).await;
    let mut wrong = Customer { status: 99, note: "x".repeat(5_000), ..bakery() };
    wrong.company_name.clear();
    "no address".clone_into(&mut contact(&mut wrong, ContactRole::Primary).email);
    let told = world.guard.try_create("contoso", wrong.clone()).await.expect_err("unsound");
    assert_eq!(told.wrong_fields(), fields(["status", "company_name", "primary_contact.email", "note"]));
    let ours = world.guard.create(bakery()).await;
    let edit = Customer { name: ours.name, etag: "seven".to_owned(), ..wrong };
    let told = world.guard.refused(edit, &["status", "fax", "note", "primary_contact.email"]).await;
    assert_eq!(told.wrong_fields(), fields(["etag", "status", "update_mask", "note", "primary_contact.email"]));
    world.end().await;
}
