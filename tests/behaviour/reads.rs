//! Reading customers: one by name, all of them page by page, how fresh they are, and who may change what.

use std::collections::BTreeSet;
use std::time::Duration;

use customer_guard::grpc::proto::{
    FieldOwner, FixActor, GetFieldOwnershipRequest, ListCustomersRequest, Source, SyncState,
};
use futures::StreamExt;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

use crate::harness::cast::{bakery, guarded};
use crate::harness::{Guard, Plan, World, micros};

/// The names of every customer below a parent, in the order of a walk by pages of that size.
async fn walk(guard: &Guard, parent: &str, page_size: i32) -> Vec<String> {
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListCustomersRequest { parent: parent.to_owned(), page_size, page_token, ..Default::default() };
        let page = guard.customers.clone().list_customers(request).await.expect("a page").into_inner();
        assert!(page.customers.len() <= usize::try_from(page_size).expect("a size"));
        names.extend(page.customers.into_iter().map(|customer| customer.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return names;
        }
    }
}

#[tokio::test]
async fn a_customer_is_returned_by_its_name_as_the_list_shows_it() {
    let world = World::with_customers(3).await;
    let listed = world.guard.all("contoso").await;
    for customer in &listed {
        assert_eq!(world.guard.get(&customer.name).await, *customer);
    }
    assert_eq!(listed.len(), 3);
    world.end().await;
}

#[tokio::test]
async fn pages_of_any_size_make_the_whole_list_in_one_order() {
    let world = World::with_customers(23).await;
    let all: Vec<_> = world.guard.all("contoso").await.into_iter().map(|customer| customer.name).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 23);
    for page_size in [1, 2, 7, 23, 100, 1000] {
        assert_eq!(walk(&world.guard, "partnerAccounts/contoso", page_size).await, all, "{page_size}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_walk_returns_every_customer_once_while_others_write() {
    let world = World::with_customers(20).await;
    let guard = &world.guard;
    let before: Vec<_> = walk(guard, "partnerAccounts/contoso", 1000).await;
    for page_size in [1, 2, 7, 100, 1000] {
        let writing = async {
            for (turn, name) in before.iter().enumerate() {
                guard.create(bakery()).await;
                let mut customer = guard.get(name).await;
                customer.note = format!("turn {turn} with pages of {page_size}");
                guard.update(customer, &["note"]).await;
            }
        };
        let (walked, ()) = futures::join!(walk(guard, "partnerAccounts/contoso", page_size), writing);
        let once: BTreeSet<_> = walked.iter().collect();
        assert_eq!(once.len(), walked.len(), "repeats with pages of {page_size}");
        assert!(before.iter().all(|name| once.contains(name)), "gaps with pages of {page_size}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_dash_lists_the_customers_of_every_account() {
    let plan = Plan { partners: vec!["contoso", "northwind", "fabrikam"], ..Plan::usual() };
    let world = World::with(plan, 3).await;
    let mut each = Vec::new();
    for account in ["contoso", "fabrikam", "northwind"] {
        each.extend(world.guard.all(account).await.into_iter().map(|customer| customer.name));
    }
    assert_eq!(each.len(), 9);
    assert_eq!(walk(&world.guard, "partnerAccounts/-", 2).await, each);
    world.end().await;
}

#[tokio::test]
async fn a_microsoft_customer_says_how_fresh_it_is() {
    let (world, linden) = World::with_linden().await;
    let verified_at = micros(linden.verified_at.expect("when it was verified"));
    let due_by = micros(linden.verify_due_by.expect("when it is due"));
    assert_eq!(Duration::from_micros(due_by.abs_diff(verified_at)), Duration::from_secs(24 * 60 * 60));
    assert!(verified_at <= world.guard.clock.now().micros());
    assert_eq!((linden.source(), linden.sync_state()), (Source::Microsoft, SyncState::Synced));
    world.end().await;
}

#[tokio::test]
async fn a_platform_customer_says_nothing_about_synchronization() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    assert_eq!((ours.source(), ours.sync_state()), (Source::Platform, SyncState::Unspecified));
    assert_eq!((ours.verified_at, ours.verify_due_by), (None, None));
    assert_eq!((ours.microsoft_tenant_id.as_str(), ours.upstream_relationship.as_str()), ("", ""));
    world.end().await;
}

#[tokio::test]
async fn a_verification_moves_the_time_and_not_the_etag() {
    let (world, linden) = World::with_linden().await;
    world.pass_a_night().await;
    let verified = world.guard.get(&linden.name).await;
    assert!(micros(verified.verified_at.expect("a time")) > micros(linden.verified_at.expect("a time")));
    assert_eq!((verified.etag, verified.update_time), (linden.etag, linden.update_time));
    world.end().await;
}

#[tokio::test]
async fn the_owner_of_every_field_can_be_asked_before_somebody_types() {
    let (world, linden) = World::with_linden().await;
    let ask = async |name: &str| {
        let request = GetFieldOwnershipRequest { name: name.to_owned() };
        world.guard.customers.clone().get_field_ownership(request).await.expect("an answer").into_inner()
    };
    let of_linden = ask(&linden.name).await;
    let is_guarded = |owned: &&customer_guard::grpc::proto::OwnedField| owned.owner() == FieldOwner::PartnerCenter;
    let locked: BTreeSet<_> = of_linden.fields.iter().filter(is_guarded).map(|owned| owned.field.clone()).collect();
    assert_eq!(locked, guarded().iter().map(ToString::to_string).collect());
    assert_eq!(of_linden.fields.len(), 40);
    let fix = of_linden.fix.expect("who can change it");
    assert_eq!(fix.actor(), FixActor::Partner);
    assert_eq!(fix.uri, format!("https://portal.example/customers/{}", linden.microsoft_tenant_id));

    let ours = world.guard.create(bakery()).await;
    let of_ours = ask(&ours.name).await;
    assert_eq!(of_ours.fields.iter().filter(is_guarded).count(), 0);
    assert_eq!((of_ours.fields.len(), of_ours.fix), (40, None));
    world.end().await;
}

#[tokio::test]
async fn health_says_serving_for_the_whole_and_for_each_service() {
    let world = World::with_customers(0).await;
    let mut health = HealthClient::new(world.guard.channel.clone());
    let ours = SERVICES.into_iter().filter(|name| name.starts_with("customerguard."));
    for service in ours.chain([""]) {
        let answer = health.check(HealthCheckRequest { service: service.to_owned() }).await.expect("a known service");
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving, "{service}");
    }
    world.end().await;
}

const SERVICES: [&str; 7] = [
    "customerguard.v1.CustomerService",
    "customerguard.v1.DecisionService",
    "customerguard.v1.PartnerAccountService",
    "customerguard.v1.SyncService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

#[tokio::test]
async fn reflection_v1_lists_the_services() {
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let world = World::with_customers(0).await;
    let ask = v1::ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(world.guard.channel.clone());
    let answers = client.server_reflection_info(futures::stream::iter([ask])).await.expect("reflection");
    let answer = answers.into_inner().next().await.expect("an answer").expect("a good one");
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else { panic!("{answer:?}") };
    let names: BTreeSet<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, expected_services("v1"));
    world.end().await;
}

#[tokio::test]
async fn reflection_v1alpha_lists_the_services() {
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;
    let world = World::with_customers(0).await;
    let ask = v1alpha::ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(world.guard.channel.clone());
    let answers = client.server_reflection_info(futures::stream::iter([ask])).await.expect("reflection");
    let answer = answers.into_inner().next().await.expect("an answer").expect("a good one");
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else { panic!("{answer:?}") };
    let names: BTreeSet<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, expected_services("v1alpha"));
    world.end().await;
}

/// Each version of reflection knows of itself only.
fn expected_services(version: &str) -> BTreeSet<&'static str> {
    let own = format!("grpc.reflection.{version}.ServerReflection");
    SERVICES.into_iter().filter(|name| !name.contains("reflection") || **name == own).collect()
}
