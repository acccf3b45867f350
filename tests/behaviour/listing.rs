//! The customer list as a liar: whatever it leaves out, repeats or leads to, everybody arrives and nobody ends.

use std::collections::BTreeSet;
use std::time::Duration;

use customer_guard::grpc::proto::{Relationship, SyncRun, SyncRunState, SyncState};
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, Fault, WrongBody};
use tokio::net::TcpListener;

use crate::harness::upstream::Upstream;
use crate::harness::{Plan, World, eventually, micros};

/// A first sync of 25 customers in pages of ten, during which these go wrong once each.
async fn first_sync_with(faults: impl IntoIterator<Item = Fault>) -> World {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 25);
    faults.into_iter().for_each(|fault| upstream.fault(fault));
    World::unsynchronized(Plan { page_size: 10, ..Plan::usual() }, upstream).await
}

async fn assert_all_arrive(world: &World) {
    let there: BTreeSet<_> = world.tenants().iter().map(ToString::to_string).collect();
    let here = world.guard.all("contoso").await;
    assert_eq!(here.len(), there.len());
    assert_eq!(here.into_iter().map(|customer| customer.microsoft_tenant_id).collect::<BTreeSet<_>>(), there);
}

async fn assert_nobody_ended(world: &World) {
    for customer in world.guard.all("contoso").await {
        assert_eq!((customer.relationship(), customer.sync_state()), (Relationship::Active, SyncState::Synced));
    }
}

#[tokio::test]
async fn begins_anew_when_its_continuation_has_expired() {
    let world = first_sync_with([Fault::once(Effect::ExpireContinuation).on(Route::List)]).await;
    world.guard.wait_for_first_sync("contoso").await;
    assert_all_arrive(&world).await;
    let run = world.guard.status("contoso").await.last_full_sync.expect("a run");
    assert_eq!((run.listing_restarts, run.listed, run.created), (1, 25, 25));
    world.end().await;
}

#[tokio::test]
async fn begins_anew_when_it_leads_in_a_circle() {
    let world = first_sync_with([Fault::once(Effect::LoopingNextLink)]).await;
    world.guard.wait_for_first_sync("contoso").await;
    assert_all_arrive(&world).await;
    world.end().await;
}

#[tokio::test]
async fn is_given_up_when_it_always_leads_in_a_circle_and_tried_again_later() {
    let world = first_sync_with([Fault::always(Effect::LoopingNextLink)]).await;
    let failed = eventually("the run is given up", async || {
        let newest = world.guard.runs("contoso").await.into_iter().next()?;
        (newest.state() == SyncRunState::Failed).then_some(newest)
    })
    .await;
    assert_eq!(failed.listing_restarts, 3);
    assert!(!failed.problem.is_empty());
    world.upstream.mend();
    world.advance(Duration::from_secs(10 * 60));
    world.guard.wait_for_first_sync("contoso").await;
    assert_all_arrive(&world).await;
    world.end().await;
}

#[tokio::test]
async fn is_never_continued_on_another_host() {
    let stranger = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let host = stranger.local_addr().expect("an address").to_string();
    let world = first_sync_with([Fault::once(Effect::ForeignNextLink { host })]).await;
    world.guard.wait_for_first_sync("contoso").await;
    assert_all_arrive(&world).await;
    let knock = std::pin::pin!(stranger.accept());
    assert!(futures::future::poll_immediate(knock).await.is_none(), "somebody brought our token to another host");
    world.end().await;
}

#[tokio::test]
async fn counts_a_customer_on_two_pages_once() {
    let world = first_sync_with([Fault::always(Effect::DuplicateAcrossPages)]).await;
    world.guard.wait_for_first_sync("contoso").await;
    assert_all_arrive(&world).await;
    let run = world.guard.status("contoso").await.last_full_sync.expect("a run");
    assert_eq!((run.created, run.fetched), (25, run.wanted));
    world.end().await;
}

#[tokio::test]
async fn ends_nobody_when_it_is_empty() {
    let world = World::with_customers(12).await;
    world.upstream.always([Effect::EmptyList]);
    for _ in 0..3 {
        let run = world.read_list().await;
        assert_eq!((run.listed, run.missing), (0, 12));
    }
    world.pass_a_night().await;
    assert_nobody_ended(&world).await;
    world.end().await;
}

#[tokio::test]
async fn ends_nobody_when_it_is_short() {
    let world = World::with_customers(12).await;
    world.upstream.always([Effect::ShortList { items: 11 }]);
    for _ in 0..3 {
        let run = world.read_list().await;
        assert_eq!((run.listed, run.missing), (11, 1));
    }
    assert_nobody_ended(&world).await;
    world.upstream.mend();
    assert_eq!(world.read_list().await.missing, 0);
    world.end().await;
}

#[tokio::test]
async fn a_body_that_is_no_list_is_not_an_empty_one() {
    let world = World::with_customers(6).await;
    for body in [WrongBody::Html, WrongBody::Null, WrongBody::EmptyArray, WrongBody::EmptyObject] {
        world.upstream.fault(Fault::once(Effect::WrongBody { body }).on(Route::List));
    }
    world.upstream.fault(Fault::once(Effect::Truncated).on(Route::List));
    let from = world.guard.clock.now().micros();
    world.advance(world.plan.list_interval);
    let run = eventually("a list is read at last", async || {
        world.advance(Duration::from_secs(10));
        let runs = world.guard.runs("contoso").await;
        let is_it =
            |run: &SyncRun| run.state() == SyncRunState::Succeeded && micros(run.start_time.expect("a time")) >= from;
        runs.into_iter().find(is_it)
    })
    .await;
    assert_eq!(world.upstream.simulator.faults(world.contoso()).waiting(), []);
    assert_eq!(run.listed, 6);
    assert_eq!((run.missing, run.ended), (0, 0));
    assert_nobody_ended(&world).await;
    world.end().await;
}
