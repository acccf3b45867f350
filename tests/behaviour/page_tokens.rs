//! Page tokens: good for the list they were given by and for nothing else.

use customer_guard::grpc::proto::{ListCustomersRequest, ListSyncRunsRequest};
use tonic::Code;

use crate::harness::told::{Told, fields};
use crate::harness::{Guard, Plan, World};

async fn list(guard: &Guard, parent: &str, page_size: i32, page_token: &str) -> Result<String, Told> {
    let request = ListCustomersRequest {
        parent: parent.to_owned(),
        page_size,
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    let answer = guard.customers.clone().list_customers(request).await;
    answer.map(|page| page.into_inner().next_page_token).map_err(Told::from)
}

fn assert_refused(answer: Result<String, Told>) {
    let told = answer.expect_err("a refused token");
    assert_eq!((told.code, told.reason().as_str()), (Code::InvalidArgument, "INVALID_PAGE_TOKEN"));
}

#[tokio::test]
async fn a_token_of_another_parent_is_refused() {
    let plan = Plan { partners: vec!["contoso", "northwind"], ..Plan::usual() };
    let world = World::with(plan, 3).await;
    let token = list(&world.guard, "partnerAccounts/contoso", 1, "").await.expect("a page");
    assert_refused(list(&world.guard, "partnerAccounts/northwind", 1, &token).await);
    assert_refused(list(&world.guard, "partnerAccounts/-", 1, &token).await);
    list(&world.guard, "partnerAccounts/contoso", 1, &token).await.expect("the next page");
    world.end().await;
}

#[tokio::test]
async fn a_token_of_another_caller_is_refused() {
    let world = World::with_customers(3).await;
    let list_as = async |caller: &str, page_token: &str| {
        let parent = "partnerAccounts/contoso".to_owned();
        let page_token = page_token.to_owned();
        let request = ListCustomersRequest { parent, page_size: 1, page_token, ..Default::default() };
        let mut request = tonic::Request::new(request);
        request.metadata_mut().insert("customerguard-caller", caller.parse().expect("a header value"));
        let answer = world.guard.customers.clone().list_customers(request).await;
        answer.map(|page| page.into_inner().next_page_token).map_err(Told::from)
    };
    let token = list_as("crm", "").await.expect("a page");
    assert_refused(list_as("billing", &token).await);
    assert_refused(list(&world.guard, "partnerAccounts/contoso", 1, &token).await);
    list_as("crm", &token).await.expect("the next page");
    world.end().await;
}

#[tokio::test]
async fn a_damaged_or_invented_token_is_refused() {
    let world = World::with_customers(3).await;
    let token = list(&world.guard, "partnerAccounts/contoso", 1, "").await.expect("a page");
    let swapped: String = token.chars().rev().collect();
    for damaged in [&token[1..], &token[..token.len() - 1], &swapped, "AAAA", "not base64 at all", "\u{202e}"] {
        assert_refused(list(&world.guard, "partnerAccounts/contoso", 1, damaged).await);
    }
    world.end().await;
}

#[tokio::test]
async fn a_token_of_another_list_is_refused_both_ways() {
    let world = World::with_customers(3).await;
    world.read_list().await;
    let parent = "partnerAccounts/contoso".to_owned();
    let runs = async |page_token: String| {
        let request = ListSyncRunsRequest { parent: parent.clone(), page_size: 1, page_token };
        let answer = world.guard.sync.clone().list_sync_runs(request).await;
        answer.map(|page| page.into_inner().next_page_token).map_err(Told::from)
    };
    let of_customers = list(&world.guard, &parent, 1, "").await.expect("a page");
    let of_runs = runs(String::new()).await.expect("a page");
    assert_refused(runs(of_customers).await);
    assert_refused(list(&world.guard, &parent, 1, &of_runs).await);
    world.end().await;
}

#[tokio::test]
async fn a_negative_page_size_and_a_malformed_parent_are_told_at_once() {
    let world = World::with_customers(0).await;
    let told = list(&world.guard, "partnerAccounts/", -1, "").await.expect_err("two problems");
    assert_eq!(told.wrong_fields(), fields(["parent", "page_size"]));
    world.end().await;
}

#[tokio::test]
async fn a_page_size_beyond_the_most_is_the_most() {
    let world = World::with_customers(3).await;
    let token = list(&world.guard, "partnerAccounts/contoso", i32::MAX, "").await.expect("a page");
    assert_eq!(token, "");
    world.end().await;
}
