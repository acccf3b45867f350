//! A sync by hand: starts, joins the one under way, or waits for the cool-down.

use std::time::Duration;

use customer_guard::grpc::proto::{StartSyncRequest, SyncRunCause, SyncRunState};
use tonic::Code;

use crate::harness::told::{Told, fields};
use crate::harness::{Plan, World, eventually, micros};

const COOLDOWN: Duration = Duration::from_secs(60 * 60);

#[tokio::test]
async fn is_refused_during_the_cool_down_and_told_how_long() {
    let world = World::with_customers(2).await;
    let status = world.guard.status("contoso").await;
    let told = world.guard.start_sync("contoso").await.expect_err("too recent");
    assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "SYNC_COOLDOWN"));
    let last = status.last_full_sync.expect("a run");
    assert_eq!(told.metadata("lastSyncRun"), last.name);
    assert_eq!(told.metadata("partnerAccount"), "partnerAccounts/contoso");
    let wait = told.retry_after().expect("a RetryInfo");
    assert!(wait <= COOLDOWN && wait > COOLDOWN - Duration::from_secs(25), "{wait:?}");
    let allowed_at = micros(status.manual_sync_allowed_at.expect("a time"));
    let ended_at = micros(last.end_time.expect("a time"));
    assert_eq!(Duration::from_micros(allowed_at.abs_diff(ended_at)), COOLDOWN);
    world.end().await;
}

#[tokio::test]
async fn is_allowed_after_the_time_it_was_told_and_finds_silent_changes() {
    let world = World::with_customers(4).await;
    let tenant = world.tenants()[1];
    world.change_email_silently(tenant, "by.hand@example.com");
    let told = world.guard.start_sync("contoso").await.expect_err("too recent");
    world.advance(told.retry_after().expect("a RetryInfo"));
    let started = world.guard.start_sync("contoso").await.expect("a started run");
    assert_eq!(started.cause(), SyncRunCause::Manual);
    assert!(!started.started_by.is_empty() && started.started_by != "worker");
    let done = eventually("the run by hand ends", async || {
        let last = world.guard.status("contoso").await.last_full_sync?;
        (last.name == started.name).then_some(last)
    })
    .await;
    assert_eq!((done.state(), done.changed, done.fetched), (SyncRunState::Succeeded, 1, 4));
    assert_eq!(world.customer(tenant).await.primary_contact.expect("a contact").email, "by.hand@example.com");
    assert_eq!(world.guard.start_sync("contoso").await.expect_err("too recent").reason(), "SYNC_COOLDOWN");
    world.end().await;
}

#[tokio::test]
async fn joins_the_run_that_is_under_way() {
    let world = World::with_customers(10).await;
    let slow = |knobs: &mut customer_guard::simulator::partner::Knobs| knobs.latency_milliseconds = 300;
    world.upstream.simulator.set_knobs(world.contoso(), slow).expect("a known partner");
    world.advance(COOLDOWN);
    let first = world.guard.start_sync("contoso").await.expect("a started run");
    let second = world.guard.start_sync("contoso").await.expect("the same run");
    assert_eq!(first.name, second.name);
    let running = world.guard.status("contoso").await.running_full_sync.expect("it is shown");
    assert_eq!(running.name, first.name);
    world.end().await;
}

#[tokio::test]
async fn of_many_who_start_at_once_all_get_the_same_run() {
    let world = World::with_customers(3).await;
    world.advance(COOLDOWN);
    let starts = (0..10).map(|_| world.guard.start_sync("contoso"));
    let outcomes = futures::future::join_all(starts).await;
    let mut names: Vec<_> = outcomes.into_iter().filter_map(Result::ok).map(|run| run.name).collect();
    names.dedup();
    assert_eq!(names.len(), 1);
    world.end().await;
}

#[tokio::test]
async fn of_one_account_says_nothing_about_another() {
    let plan = Plan { partners: vec!["contoso", "northwind"], ..Plan::usual() };
    let world = World::with(plan, 2).await;
    world.advance(COOLDOWN);
    let started = world.guard.start_sync("contoso").await.expect("a started run");
    eventually("the run by hand ends", async || {
        let last = world.guard.status("contoso").await.last_full_sync?;
        (last.name == started.name).then_some(())
    })
    .await;
    assert_eq!(world.guard.start_sync("contoso").await.expect_err("too recent").reason(), "SYNC_COOLDOWN");
    world.guard.start_sync("northwind").await.expect("another account's run");
    world.end().await;
}

#[tokio::test]
async fn asked_for_twice_with_one_request_id_is_started_once_and_answered_alike() {
    let world = World::with_customers(2).await;
    world.advance(COOLDOWN);
    let start = |id: &str| {
        let parent = "partnerAccounts/contoso".to_owned();
        let request = StartSyncRequest { parent, request_id: id.to_owned() };
        let mut sync = world.guard.sync.clone();
        async move { sync.start_sync(request).await.map(tonic::Response::into_inner).map_err(Told::from) }
    };
    const ID: &str = "0198c0de-7000-4000-8000-00000000000b";
    let (first, second) = tokio::join!(start(ID), start(ID));
    let first = first.expect("a started run");
    assert_eq!(second.expect("the same answer"), first);
    eventually("the run by hand ends", async || {
        let last = world.guard.status("contoso").await.last_full_sync?;
        (last.name == first.name).then_some(())
    })
    .await;
    // Long after the run has ended, in the middle of the cool-down.
    assert_eq!(start(ID).await.expect("the same answer"), first);
    let told = start("no-uuid").await.expect_err("no request id");
    assert_eq!(told.wrong_fields(), fields(["request_id"]));
    world.end().await;
}
