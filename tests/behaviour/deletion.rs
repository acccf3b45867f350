//! Deleting customers of the platform's own, and bringing them back.

use customer_guard::grpc::proto::{Customer, DeleteCustomerRequest, ListCustomersRequest, UndeleteCustomerRequest};
use customer_guard::simulator::operations::NewCustomer;
use tonic::Code;

use crate::harness::World;
use crate::harness::cast::bakery;
use crate::harness::told::Told;

async fn delete(world: &World, name: &str, etag: &str) -> Result<Customer, Told> {
    let request = DeleteCustomerRequest { name: name.to_owned(), etag: etag.to_owned(), ..Default::default() };
    let deleted = world.guard.customers.clone().delete_customer(request).await;
    deleted.map(tonic::Response::into_inner).map_err(Told::from)
}

async fn undelete(world: &World, name: &str) -> Result<Customer, Told> {
    let request = UndeleteCustomerRequest { name: name.to_owned(), ..Default::default() };
    let back = world.guard.customers.clone().undelete_customer(request).await;
    back.map(tonic::Response::into_inner).map_err(Told::from)
}

async fn listed(world: &World, show_deleted: bool) -> Vec<String> {
    let parent = "partnerAccounts/contoso".to_owned();
    let request = ListCustomersRequest { parent, show_deleted, ..Default::default() };
    let page = world.guard.customers.clone().list_customers(request).await.expect("a page").into_inner();
    page.customers.into_iter().map(|customer| customer.name).collect()
}

#[tokio::test]
async fn a_deleted_customer_is_kept_and_listed_only_when_asked_for() {
    let world = World::with_customers(0).await;
    let made = world.guard.create(bakery()).await;
    let deleted = delete(&world, &made.name, &made.etag).await.expect("a deletion");
    assert!(deleted.delete_time.is_some() && deleted.etag != made.etag);
    assert_eq!(listed(&world, false).await, Vec::<String>::new());
    assert_eq!(listed(&world, true).await, std::slice::from_ref(&made.name));
    assert_eq!(world.guard.get(&made.name).await, deleted);
    assert_eq!(delete(&world, &made.name, "").await.expect("deleted already"), deleted);

    let told =
        world.guard.refused(Customer { note: "x".to_owned(), etag: String::new(), ..made.clone() }, &["note"]).await;
    assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "CUSTOMER_DELETED"));

    let back = undelete(&world, &made.name).await.expect("a return");
    assert_eq!(back.delete_time, None);
    assert_eq!(undelete(&world, &made.name).await.expect("back already"), back);
    assert_eq!(listed(&world, false).await, [made.name]);
    world.end().await;
}

#[tokio::test]
async fn a_customer_of_microsofts_cannot_be_deleted_and_created_around_the_guard() {
    let (world, linden) = World::with_linden().await;
    let told = delete(&world, &linden.name, "").await.expect_err("Microsoft's");
    assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "CUSTOMER_OWNED_BY_PARTNER_CENTER"));
    let same_domain = Customer { domain: linden.domain.to_uppercase(), ..bakery() };
    let told = world.guard.try_create("contoso", same_domain).await.expect_err("a duplicate");
    assert_eq!((told.code, told.reason().as_str()), (Code::AlreadyExists, "DUPLICATE_CUSTOMER"));
    assert_eq!(told.metadata("customer"), linden.name);
    assert_eq!(world.guard.get(&linden.name).await, linden);
    world.end().await;
}

#[tokio::test]
async fn a_deletion_with_an_old_etag_is_stale_and_one_that_validates_writes_nothing() {
    let world = World::with_customers(0).await;
    let made = world.guard.create(bakery()).await;
    let now = world.guard.update(Customer { note: "newer".to_owned(), ..made.clone() }, &["note"]).await;
    assert_eq!(delete(&world, &made.name, &made.etag).await.expect_err("stale").reason(), "STALE_ETAG");
    let request = DeleteCustomerRequest { name: made.name.clone(), validate_only: true, ..Default::default() };
    let answer = world.guard.customers.clone().delete_customer(request).await.expect("an answer").into_inner();
    assert!(answer.delete_time.is_some());
    assert_eq!(world.guard.get(&made.name).await, now);
    world.end().await;
}

#[tokio::test]
async fn a_second_record_of_microsofts_domain_comes_about_neither_by_an_edit_nor_by_a_return() {
    let (world, linden) = World::with_linden().await;
    let ours = world.guard.create(Customer { domain: String::new(), ..bakery() }).await;
    let wished = Customer { domain: linden.domain.to_uppercase(), ..ours.clone() };
    let told = world.guard.try_update(wished, Some(&["domain"])).await.expect_err("a second record");
    assert_eq!((told.code, told.reason().as_str()), (Code::AlreadyExists, "DUPLICATE_CUSTOMER"));
    assert_eq!(told.metadata("customer"), linden.name);
    assert_eq!(world.guard.get(&ours.name).await, ours);

    let newcomer = "newcomer.onmicrosoft.com";
    let ours = world.guard.update(Customer { domain: newcomer.to_owned(), ..ours }, &["domain"]).await;
    delete(&world, &ours.name, "").await.expect("a deletion");
    let accepted = NewCustomer { domain: Some(newcomer.to_owned()), ..NewCustomer::default() };
    let theirs = world.upstream.simulator.accept_customer(world.contoso(), accepted).expect("accepted").id;
    world.read_list().await;
    let theirs = world.customer(theirs).await;
    let told = undelete(&world, &ours.name).await.expect_err("a second record");
    assert_eq!((told.reason(), told.metadata("customer")), ("DUPLICATE_CUSTOMER".to_owned(), theirs.name));
    world.end().await;
}
