//! Callers to whom a refusal is only reported: what is guarded stays as it is all the same.

use customer_guard::grpc::proto::decision_service_client::DecisionServiceClient;
use customer_guard::grpc::proto::{Customer, DecisionOutcome, EditRefused, GetDecisionRequest, UpdateCustomerRequest};
use prost::Message;
use prost_types::FieldMask;
use tonic::{Code, Request, Response};

use crate::harness::database::count;
use crate::harness::told::Told;
use crate::harness::{Plan, World};

const DECISIONS: &str = "SELECT count(*) FROM decision";
const ID: &str = "0198c0de-7000-4000-8000-00000000000a";

async fn world() -> (World, Customer) {
    World::with_linden_by(Plan { report_only_callers: vec!["loopback/importer"], ..Plan::usual() }).await
}

fn by(caller: &str, request: UpdateCustomerRequest) -> Request<UpdateCustomerRequest> {
    let mut request = Request::new(request);
    request.metadata_mut().insert("customerguard-caller", caller.parse().expect("a header value"));
    request
}

fn mixed(linden: &Customer) -> UpdateCustomerRequest {
    let mut customer = Customer { note: "from the importer".to_owned(), etag: String::new(), ..linden.clone() };
    customer.primary_contact.as_mut().expect("a contact").email = "wished@linden.example".to_owned();
    let paths = vec!["primary_contact.email".to_owned(), "note".to_owned()];
    UpdateCustomerRequest { customer: Some(customer), update_mask: Some(FieldMask { paths }), ..Default::default() }
}

async fn update(world: &World, caller: &str, request: UpdateCustomerRequest) -> Result<Response<Customer>, Told> {
    world.guard.customers.clone().update_customer(by(caller, request)).await.map_err(Told::from)
}

fn reported(response: &Response<Customer>) -> Option<EditRefused> {
    let header = response.metadata().get_bin("customerguard-edit-refused-bin")?;
    Some(EditRefused::decode(header.to_bytes().expect("bytes")).expect("an EditRefused"))
}

#[tokio::test]
async fn the_free_fields_are_written_the_guarded_ones_are_not_and_the_refusal_is_told() {
    let (world, linden) = world().await;
    let response = update(&world, "importer", mixed(&linden)).await.expect("an edit that is only reported");
    let told = reported(&response).expect("the header");
    let written = response.into_inner();
    assert_eq!(written.note, "from the importer");
    assert_eq!(
        (&written.primary_contact, &written.billing_contact),
        (&linden.primary_contact, &linden.billing_contact)
    );
    assert_eq!(world.guard.get(&linden.name).await, written);
    let fields: Vec<_> = told.violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!((fields, told.acceptable_fields), (vec!["primary_contact.email"], vec!["note".to_owned()]));

    let name = format!("partnerAccounts/contoso/decisions/{}", told.decision_id);
    let mut decisions = DecisionServiceClient::new(world.guard.channel.clone());
    let decision = decisions.get_decision(GetDecisionRequest { name }).await.expect("a decision").into_inner();
    assert_eq!((decision.outcome(), decision.caller.as_str()), (DecisionOutcome::Reported, "loopback/importer"));
    world.end().await;
}

#[tokio::test]
async fn everybody_else_is_refused_as_ever() {
    let (world, linden) = world().await;
    let told = update(&world, "crm", mixed(&linden)).await.expect_err("a refused edit");
    assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "FIELD_OWNED_BY_PARTNER_CENTER"));
    let name = format!("partnerAccounts/contoso/decisions/{}", told.metadata("decisionId"));
    let mut decisions = DecisionServiceClient::new(world.guard.channel.clone());
    let decision = decisions.get_decision(GetDecisionRequest { name }).await.expect("a decision").into_inner();
    assert_eq!((decision.outcome(), decision.caller.as_str()), (DecisionOutcome::Refused, "loopback/crm"));
    assert_eq!(world.guard.get(&linden.name).await, linden);
    world.end().await;
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_answer_and_the_same_report() {
    let (world, linden) = world().await;
    let request = UpdateCustomerRequest { request_id: ID.to_owned(), ..mixed(&linden) };
    let first = update(&world, "importer", request.clone()).await.expect("an answer");
    let second = update(&world, "importer", request).await.expect("the same answer");
    assert_eq!((reported(&second), second.get_ref()), (reported(&first), first.get_ref()));
    assert!(reported(&first).is_some());
    assert_eq!(count(&world.guard.database, DECISIONS).await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_preview_reports_without_a_decision_and_writes_nothing() {
    let (world, linden) = world().await;
    let request = UpdateCustomerRequest { validate_only: true, ..mixed(&linden) };
    let response = update(&world, "importer", request).await.expect("a preview");
    assert_eq!(reported(&response).expect("the header").decision_id, "");
    assert_eq!(response.into_inner().note, "from the importer");
    assert_eq!(world.guard.get(&linden.name).await, linden);
    assert_eq!(count(&world.guard.database, DECISIONS).await, 0);
    world.end().await;
}

#[tokio::test]
async fn a_wrong_free_value_is_refused_and_nothing_is_recorded() {
    let (world, linden) = world().await;
    let mut request = mixed(&linden);
    request.customer.as_mut().expect("a customer").note = "x".repeat(5_000);
    let told = update(&world, "importer", request).await.expect_err("a wrong value");
    assert!(told.wrong_fields().contains("note"));
    assert_eq!(count(&world.guard.database, DECISIONS).await, 0);
    world.end().await;
}
