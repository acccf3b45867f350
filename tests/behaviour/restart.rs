//! The service is stopped, anywhere, and started again on the same database.

use std::collections::BTreeSet;
use std::time::Duration;

use customer_guard::grpc::proto::{ListCustomersRequest, SyncRunCause, SyncRunKind, SyncState};
use customer_guard::simulator::partner::Knobs;

use crate::harness::cast::bakery;
use crate::harness::database::{begin_outage, end_outage};
use crate::harness::upstream::Upstream;
use crate::harness::{Plan, World, eventually};

#[tokio::test]
async fn keeps_everything_and_starts_no_other_first_sync() {
    let world = World::with_customers(12).await;
    world.guard.create(bakery()).await;
    let mut edited = world.guard.all("contoso").await.swap_remove(3);
    edited.labels.insert("tier".to_owned(), "gold".to_owned());
    world.guard.update(edited, &["labels"]).await;
    let (customers, runs) = (world.guard.all("contoso").await, world.guard.runs("contoso").await);
    let world = world.restart().await;
    assert_eq!(world.guard.all("contoso").await, customers);
    world.read_audit_log().await;
    assert_eq!(world.guard.runs("contoso").await, runs);
    world.end().await;
}

#[tokio::test]
async fn page_tokens_from_before_still_work() {
    let world = World::with_customers(9).await;
    let ask = |page_token: String| ListCustomersRequest {
        parent: "partnerAccounts/contoso".to_owned(),
        page_size: 4,
        page_token,
        ..Default::default()
    };
    let all: Vec<_> = world.guard.all("contoso").await.into_iter().map(|customer| customer.name).collect();
    let first = world.guard.customers.clone().list_customers(ask(String::new())).await.expect("a page").into_inner();
    let world = world.restart().await;
    let second =
        world.guard.customers.clone().list_customers(ask(first.next_page_token)).await.expect("a page").into_inner();
    let walked: Vec<_> = first.customers.into_iter().chain(second.customers).map(|customer| customer.name).collect();
    assert_eq!(walked, all[..8]);
    world.end().await;
}

#[tokio::test]
async fn a_change_that_came_while_it_was_down_arrives() {
    let world = World::with_customers(3).await;
    let tenant = world.tenants()[1];
    let (simulator, contoso) = (world.upstream.simulator.clone(), world.contoso());
    let change = move |profile: &mut customer_guard::simulator::customer::BillingProfile| {
        profile.email = Some("meanwhile@example.com".to_owned());
    };
    let world = world.restart_after(|| simulator.change_billing_profile(contoso, tenant, change).expect("known")).await;
    world.wait_for_email(tenant, "meanwhile@example.com", Duration::ZERO).await;
    world.end().await;
}

/// Stops the first sync of 60 customers once `reached` says so, and starts it again.
async fn interrupted_first_sync(reached: impl Fn(u64, u64) -> bool) {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 60);
    let slow = |knobs: &mut Knobs| knobs.latency_milliseconds = 25;
    upstream.simulator.set_knobs(upstream.contoso(), slow).expect("a known partner");
    let world = World::unsynchronized(Plan { page_size: 10, ..Plan::usual() }, upstream).await;
    eventually("the first sync is mid-way", async || {
        let calls = world.upstream.simulator.calls(world.contoso());
        reached(calls.list, calls.get).then_some(())
    })
    .await;
    assert_eq!(world.guard.status("contoso").await.last_full_sync, None, "it is not done yet");
    let world = world.restart().await;
    world.guard.wait_for_first_sync("contoso").await;

    let here = world.guard.all("contoso").await;
    let tenants: BTreeSet<_> = here.iter().map(|customer| customer.microsoft_tenant_id.clone()).collect();
    assert_eq!((here.len(), tenants), (60, world.tenants().iter().map(ToString::to_string).collect()));
    assert!(here.iter().all(|customer| customer.sync_state() == SyncState::Synced));
    let runs = world.guard.runs("contoso").await;
    let full: Vec<_> = runs.iter().filter(|run| run.kind() == SyncRunKind::Full).collect();
    assert_eq!(full.len(), 1, "the run that was under way went on");
    assert_eq!((full[0].cause(), full[0].listed, full[0].created), (SyncRunCause::First, 60, 60));
    world.end().await;
}

#[tokio::test]
async fn a_first_sync_that_was_stopped_while_it_listed_goes_on_where_it_was() {
    interrupted_first_sync(|lists, _| lists >= 3).await;
}

#[tokio::test]
async fn a_first_sync_that_was_stopped_while_it_fetched_goes_on_where_it_was() {
    interrupted_first_sync(|_, gets| gets >= 20).await;
}

#[tokio::test]
async fn a_sync_that_is_stopped_again_and_again_still_ends_level() {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 50);
    let slow = |knobs: &mut Knobs| knobs.latency_milliseconds = 15;
    upstream.simulator.set_knobs(upstream.contoso(), slow).expect("a known partner");
    let mut world = World::unsynchronized(Plan { page_size: 10, ..Plan::usual() }, upstream).await;
    for stop in 1..=6 {
        eventually("it gets on a little", async || {
            let calls = world.upstream.simulator.calls(world.contoso());
            (calls.list + calls.get >= stop * 8).then_some(())
        })
        .await;
        world = world.restart().await;
    }
    world.guard.wait_for_first_sync("contoso").await;
    let here = world.guard.all("contoso").await;
    let tenants: BTreeSet<_> = here.iter().map(|customer| customer.microsoft_tenant_id.clone()).collect();
    assert_eq!((here.len(), tenants.len()), (50, 50));
    assert!(here.iter().all(|customer| customer.sync_state() == SyncState::Synced));
    world.end().await;
}

#[tokio::test]
async fn a_stop_between_the_last_page_and_the_end_of_the_list_repeats_that_page_alone() {
    let world = World::with(Plan { page_size: 10, manual_cooldown: Duration::ZERO, ..Plan::usual() }, 30).await;
    let database = world.guard.database.clone();
    begin_outage(&database, "UPDATE OF state", "sync_run", "new.state = 'FETCHING'").await;
    let (simulator, contoso) = (world.upstream.simulator.clone(), world.contoso());
    let pages_read = || simulator.calls(contoso).list;
    let before = pages_read();
    world.guard.start_sync("contoso").await.expect("it starts");
    eventually("the end of the list is read", async || (pages_read() >= before + 3).then_some(())).await;
    eventually("it is read again, because it could not be kept", async || {
        world.advance(Duration::from_secs(5));
        (pages_read() >= before + 4).then_some(())
    })
    .await;
    let world = world.restart().await;
    end_outage(&database, "sync_run").await;
    let before = pages_read();
    world.advance(Duration::from_secs(5));
    let run = eventually("the sync has ended", async || {
        let runs = world.guard.runs("contoso").await;
        runs.into_iter().find(|run| run.cause() == SyncRunCause::Manual && run.end_time.is_some())
    })
    .await;
    assert_eq!((run.pages, run.listed, run.duplicates, run.listing_restarts), (3, 30, 0, 0), "{run:?}");
    assert!(pages_read() <= before + 1, "one page is repeated");
    world.end().await;
}
