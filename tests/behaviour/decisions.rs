//! Refusals are durable decisions, found again, and chained.

use customer_guard::grpc::proto::decision_service_client::DecisionServiceClient;
use customer_guard::grpc::proto::{Customer, Decision, GetDecisionRequest, ListDecisionsRequest};
use tonic::Code;

use crate::harness::World;
use crate::harness::told::{Told, fields};

const CONTOSO: &str = "partnerAccounts/contoso";

async fn list(world: &World, request: ListDecisionsRequest) -> Result<(Vec<Decision>, String), Told> {
    let request = ListDecisionsRequest { parent: CONTOSO.to_owned(), ..request };
    let mut service = DecisionServiceClient::new(world.guard.channel.clone());
    let page = service.list_decisions(request).await.map_err(Told::from)?.into_inner();
    Ok((page.decisions, page.next_page_token))
}

async fn refuse(world: &World, customer: &Customer, name: &str) -> String {
    let wanted = Customer { company_name: name.to_owned(), note: "mine".to_owned(), ..customer.clone() };
    world.guard.refused(wanted, &["company_name", "note"]).await.edit_refused().decision_id
}

#[tokio::test]
async fn a_refusal_is_found_by_the_id_the_caller_was_told() {
    let (world, linden) = World::with_linden().await;
    let id = refuse(&world, &linden, "Secret Name").await;
    let name = format!("{CONTOSO}/decisions/{id}");
    let mut service = DecisionServiceClient::new(world.guard.channel.clone());
    let found = service.get_decision(GetDecisionRequest { name: name.clone() }).await.expect("a decision").into_inner();
    assert_eq!((found.name, found.customer.as_str(), found.caller.as_str()), (name, linden.name.as_str(), "loopback"));
    assert_eq!(found.violations.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), ["company_name"]);
    assert_eq!(found.acceptable_fields, ["note"]);
    assert_eq!(found.chain_hash.len(), 64);
    let unknown = format!("{CONTOSO}/decisions/{}", linden.microsoft_tenant_id);
    let told = service.get_decision(GetDecisionRequest { name: unknown }).await.map_err(Told::from);
    let told = told.expect_err("no such decision");
    assert_eq!((told.code, told.reason().as_str()), (Code::NotFound, "DECISION_NOT_FOUND"));
    world.end().await;
}

#[tokio::test]
async fn decisions_are_listed_newest_first_page_by_page_and_by_customer_caller_and_time() {
    let (world, linden) = World::with_linden().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(format!("{CONTOSO}/decisions/{}", refuse(&world, &linden, &format!("Name {number}")).await));
        world.advance(std::time::Duration::from_secs(1));
    }
    ids.reverse();
    let (mut met, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListDecisionsRequest { page_size: 2, page_token, ..Default::default() };
        let (page, next) = list(&world, request).await.expect("a page");
        met.extend(page);
        page_token = next;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(met.iter().map(|one| one.name.clone()).collect::<Vec<_>>(), ids);

    let names = async |request| list(&world, request).await.expect("a page").0.len();
    let about = |customer: &str| ListDecisionsRequest { customer: customer.to_owned(), ..Default::default() };
    assert_eq!(names(about(&linden.name)).await, 5);
    assert_eq!(names(about(&format!("{CONTOSO}/customers/{}", linden.microsoft_tenant_id))).await, 0);
    let of = |caller: &str| ListDecisionsRequest { caller: caller.to_owned(), ..Default::default() };
    assert_eq!((names(of("loopback")).await, names(of("somebody")).await), (5, 0));
    let [from, until] = [3, 1].map(|place: usize| met[place].create_time);
    let between = ListDecisionsRequest { start_time: from, end_time: until, ..Default::default() };
    assert_eq!(list(&world, between).await.expect("a page").0, met[2..=3]);
    world.end().await;
}

#[tokio::test]
async fn a_page_token_of_another_question_is_refused() {
    let (world, linden) = World::with_linden().await;
    for number in 0..2 {
        refuse(&world, &linden, &format!("Name {number}")).await;
    }
    let (_, page_token) =
        list(&world, ListDecisionsRequest { page_size: 1, ..Default::default() }).await.expect("a page");
    let other = ListDecisionsRequest { page_token, caller: "loopback".to_owned(), ..Default::default() };
    assert_eq!(list(&world, other).await.expect_err("another question").reason(), "INVALID_PAGE_TOKEN");
    let elsewhere = "partnerAccounts/northwind/customers/0198c0de-7000-7000-8000-000000000001".to_owned();
    let told = list(&world, ListDecisionsRequest { customer: elsewhere, ..Default::default() }).await;
    assert_eq!(told.expect_err("not of the parent").wrong_fields(), fields(["customer"]));
    world.end().await;
}
