//! Starting where it may not, and stopping in time.

use std::time::{Duration, Instant};

use customer_guard::app::{App, StartError};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::database::only_on_sqlite;
use crate::harness::upstream::Upstream;
use crate::harness::{Plan, World, eventually, settings};

/// What a stop may take on a machine that is busy; what it waits for lasts a minute or for ever.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_stop_with_an_open_stream_ends_soon_and_says_not_serving() {
    let world = World::with_customers(2).await;
    let mut health = HealthClient::new(world.guard.channel.clone());
    let mut watch = health.watch(HealthCheckRequest::default()).await.expect("a stream").into_inner();
    let first = watch.message().await.expect("an answer").expect("one").status();
    assert_eq!(first, ServingStatus::Serving);
    let began = Instant::now();
    let World { upstream, guard, .. } = world;
    guard.stop().await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    let last = watch.message().await.expect("an answer").expect("one").status();
    assert_eq!(last, ServingStatus::NotServing);
    upstream.stop().await;
}

#[tokio::test]
async fn a_stop_while_partner_center_does_not_answer_ends_soon() {
    let world = World::with_customers(2).await;
    let silent = |knobs: &mut customer_guard::simulator::partner::Knobs| knobs.latency_milliseconds = 60_000;
    world.upstream.simulator.set_knobs(world.contoso(), silent).expect("a known partner");
    let before = world.upstream.simulator.calls(world.contoso()).audit;
    world.advance(world.plan.audit_interval);
    let asked = async || (world.upstream.simulator.calls(world.contoso()).audit > before).then_some(());
    eventually("it waits for an answer", asked).await;
    let began = Instant::now();
    world.guard.stop().await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_second_service_on_the_same_database_is_refused() {
    if !only_on_sqlite("a server serves several processes") {
        return;
    }
    let world = World::with_customers(2).await;
    let second = settings(&world.plan, &world.upstream, &world.guard.database);
    let refused = App::build(second, world.plan.clock.clone()).await.err().expect("a refusal");
    assert!(matches!(refused, StartError::Store(_)), "{refused:?}");
    assert!(refused.to_string().contains("in use by another process"), "{refused}");
    assert_eq!(world.guard.all("contoso").await.len(), 2, "the first is not disturbed");
    world.end().await;
}

#[tokio::test]
async fn a_database_is_free_again_after_a_stop() {
    let world = World::with_customers(2).await;
    let world = world.restart().await.restart().await;
    assert_eq!(world.guard.all("contoso").await.len(), 2);
    world.end().await;
}

#[tokio::test]
async fn an_address_that_is_not_loopback_is_refused_before_anything_is_written() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("customer-guard.db");
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:50051"] {
        let mut open = settings(&Plan::usual(), &upstream, &database);
        open.listen = listen.parse().expect("an address");
        let refused = App::build(open, Plan::usual().clock).await.err().expect("a refusal");
        assert!(matches!(refused, StartError::NotLoopback(_)), "{refused:?}");
    }
    assert!(!database.exists());
    upstream.stop().await;
}

#[tokio::test]
async fn a_busy_port_is_refused() {
    let world = World::with_customers(0).await;
    let folder = tempfile::tempdir().expect("a folder");
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mut busy = settings(&world.plan, &world.upstream, &folder.path().join("another.db"));
    busy.listen = taken.local_addr().expect("an address");
    let refused = App::build(busy, world.plan.clock.clone()).await.err().expect("a refusal");
    assert!(matches!(refused, StartError::Listen { .. }), "{refused:?}");
    world.end().await;
}

#[tokio::test]
async fn an_account_that_turns_into_another_tenant_is_refused() {
    let world = World::with_customers(1).await;
    let World { upstream, guard, folder, plan } = world;
    let mut swapped = settings(&plan, &upstream, &guard.database);
    guard.stop().await;
    swapped.accounts[0].account.tenant_id = customer_guard::domain::ids::TenantId::new(uuid::Uuid::from_u128(1));
    let refused = App::build(swapped, plan.clock.clone()).await.err().expect("a refusal");
    assert!(matches!(refused, StartError::Account(_)), "{refused:?}");
    drop(folder);
    upstream.stop().await;
}
