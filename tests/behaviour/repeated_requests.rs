//! Requests with a request id: one effect and one answer, however often they come.

use customer_guard::grpc::proto::{
    CreateCustomerRequest, Customer, DeleteCustomerRequest, UndeleteCustomerRequest, UpdateCustomerRequest,
};
use prost_types::FieldMask;
use tonic::Code;

use crate::harness::World;
use crate::harness::cast::bakery;
use crate::harness::database::count;
use crate::harness::told::{Told, fields};

const FIRST: &str = "0198c0de-7000-4000-8000-000000000001";
const SECOND: &str = "0198c0de-7000-4000-8000-000000000002";
const CUSTOMERS: &str = "SELECT count(*) FROM customer WHERE source = 'PLATFORM'";
const DECISIONS: &str = "SELECT count(*) FROM decision";

fn creation(customer: Customer, id: &str) -> CreateCustomerRequest {
    CreateCustomerRequest {
        parent: "partnerAccounts/contoso".to_owned(),
        customer: Some(customer),
        validate_only: false,
        request_id: id.to_owned(),
    }
}

fn edit(customer: Customer, path: &str, id: &str) -> UpdateCustomerRequest {
    UpdateCustomerRequest {
        customer: Some(customer),
        update_mask: Some(FieldMask { paths: vec![path.to_owned()] }),
        validate_only: false,
        request_id: id.to_owned(),
    }
}

async fn create(world: &World, request: CreateCustomerRequest) -> Result<Customer, Told> {
    let created = world.guard.customers.clone().create_customer(request).await;
    created.map(tonic::Response::into_inner).map_err(Told::from)
}

#[tokio::test]
async fn a_creation_that_comes_twice_at_once_makes_one_customer() {
    let world = World::with_customers(0).await;
    let (one, two) = tokio::join!(create(&world, creation(bakery(), FIRST)), create(&world, creation(bakery(), FIRST)));
    assert_eq!(one.expect("a customer"), two.expect("the same customer"));
    assert_eq!(count(&world.guard.database, CUSTOMERS).await, 1);
    create(&world, creation(bakery(), SECOND)).await.expect("another customer");
    assert_eq!(count(&world.guard.database, CUSTOMERS).await, 2);
    world.end().await;
}

#[tokio::test]
async fn an_edit_that_comes_again_is_answered_as_it_was_even_after_other_edits_and_a_restart() {
    let world = World::with_customers(0).await;
    let made = world.guard.create(bakery()).await;
    let first = edit(Customer { note: "first".to_owned(), ..made.clone() }, "note", FIRST);
    let answer = world.guard.send_update(first.clone()).await.expect("an edit");
    let now = world.guard.update(Customer { note: "second".to_owned(), etag: String::new(), ..made }, &["note"]).await;
    let world = world.restart().await;
    assert_eq!(world.guard.send_update(first).await.expect("the same answer"), answer);
    assert_eq!(world.guard.get(&now.name).await, now, "it has no second effect");
    world.end().await;
}

#[tokio::test]
async fn a_refusal_that_comes_again_is_the_same_decision() {
    let (world, linden) = World::with_linden().await;
    let mut wanted = linden.clone();
    wanted.company_name = "Mine".to_owned();
    let request = edit(wanted, "company_name", FIRST);
    let first = world.guard.send_update(request.clone()).await.expect_err("a refusal");
    let again = world.guard.send_update(request).await.expect_err("the same refusal");
    assert_eq!(first.edit_refused(), again.edit_refused());
    assert_eq!((first.code, first.info()), (again.code, again.info()));
    assert_eq!(count(&world.guard.database, DECISIONS).await, 1);
    world.end().await;
}

#[tokio::test]
async fn an_id_that_was_used_for_another_request_is_refused() {
    let world = World::with_customers(0).await;
    let made = create(&world, creation(bakery(), FIRST)).await.expect("a customer");
    let other = creation(Customer { note: "another".to_owned(), ..bakery() }, FIRST);
    let told = create(&world, other).await.expect_err("another request");
    assert_eq!((told.code, told.reason().as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
    let told = world.guard.send_update(edit(made.clone(), "note", FIRST)).await.expect_err("another rpc");
    assert_eq!(told.reason(), "REQUEST_ID_REUSED");
    let told = world.guard.send_update(edit(made, "note", "seventeen")).await.expect_err("no UUID");
    assert_eq!(told.wrong_fields(), fields(["request_id"]));
    world.end().await;
}

#[tokio::test]
async fn an_id_is_forgotten_after_a_day() {
    let world = World::with_customers(0).await;
    create(&world, creation(bakery(), FIRST)).await.expect("a customer");
    world.advance(std::time::Duration::from_secs(24 * 3600 + 60));
    create(&world, creation(bakery(), FIRST)).await.expect("another customer");
    assert_eq!(count(&world.guard.database, CUSTOMERS).await, 2);
    world.end().await;
}

#[tokio::test]
async fn a_deletion_that_comes_again_does_not_undo_the_return() {
    let world = World::with_customers(0).await;
    let made = world.guard.create(bakery()).await;
    let mut customers = world.guard.customers.clone();
    let deletion =
        DeleteCustomerRequest { name: made.name.clone(), request_id: FIRST.to_owned(), ..Default::default() };
    let deleted = customers.delete_customer(deletion.clone()).await.expect("a deletion").into_inner();
    let back = UndeleteCustomerRequest { name: made.name.clone(), ..Default::default() };
    let back = customers.undelete_customer(back).await.expect("a return").into_inner();
    assert_eq!(customers.delete_customer(deletion).await.expect("the same answer").into_inner(), deleted);
    assert_eq!(world.guard.get(&made.name).await, back);
    world.end().await;
}
