//! What a run says of itself: how far it is, when it will be done, and what it cost.

use std::time::Duration;

use customer_guard::grpc::proto::{SyncRun, SyncRunState};
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, ErrorBody, Fault, RetryAfter};

use crate::harness::{Plan, World, eventually, micros};

/// Long enough that no test waits for it.
const REST: u64 = 600;

/// Forty customers in pages of ten, which may be synchronized by hand at any time.
async fn forty() -> World {
    World::with(Plan { page_size: 10, manual_cooldown: Duration::ZERO, ..Plan::usual() }, 40).await
}

/// Partner Center answers for the first page of a list and wants no calls after it.
fn throttle_the_second_page(world: &World) {
    world.upstream.fault(Fault::once(Effect::Delay { milliseconds: 0 }).on(Route::List));
    let retry_after = RetryAfter::Seconds(REST);
    world.upstream.fault(Fault::once(Effect::Throttled { retry_after }).on(Route::List));
}

async fn running(world: &World, what: &str, is_so: impl Fn(&SyncRun) -> bool) -> SyncRun {
    eventually(what, async || world.guard.status("contoso").await.running_full_sync.filter(|run| is_so(run))).await
}

async fn end_of(world: &World, name: &str) -> SyncRun {
    eventually("the run ends", async || {
        let run = world.guard.runs("contoso").await.into_iter().find(|run| run.name == name)?;
        run.end_time.is_some().then_some(run)
    })
    .await
}

fn seconds(duration: Option<prost_types::Duration>) -> i64 {
    duration.expect("a duration").seconds
}

#[tokio::test]
async fn a_run_that_is_held_up_tells_how_far_it_is_and_goes_on_from_there() {
    let world = forty().await;
    throttle_the_second_page(&world);
    let started = world.guard.start_sync("contoso").await.expect("a run");
    assert_eq!((started.customers_expected, started.progress_percent), (Some(40), 0));
    let held = running(&world, "the account rests", |run| run.throttles > 0).await;
    assert_eq!((held.state(), held.listed, held.fetched, held.wanted), (SyncRunState::Listing, 10, 10, 10));
    // A quarter of the list, and a quarter of those it will want.
    assert_eq!(held.progress_percent, 2 + 22);
    assert_eq!((held.calls, held.retries, held.throttles), (12, 0, 1));
    let status = world.guard.status("contoso").await;
    let goes_on = status.throttled_until.expect("it rests");
    assert!(micros(held.estimated_end_time.expect("an estimate")) > micros(goes_on));
    assert_eq!(status.throttles_last_day, 1);
    assert_eq!((held.fetch_duration, held.end_time), (None, None));

    let world = world.restart().await;
    let again = world.guard.runs("contoso").await.into_iter().find(|run| run.name == started.name).expect("the run");
    assert!(again.progress_percent >= held.progress_percent && again.calls >= held.calls, "{again:?}");
    world.advance(Duration::from_secs(REST + 120));
    let done = end_of(&world, &started.name).await;
    assert_eq!((done.state(), done.progress_percent), (SyncRunState::Succeeded, 100));
    assert_eq!((done.listed, done.fetched, done.customers_expected), (40, 40, Some(40)));
    // Four pages and forty customers, and the page that had to be asked for twice.
    assert_eq!((done.calls, done.retries, done.throttles), (45, 1, 1));
    assert_eq!(done.estimated_end_time, None);
    world.end().await;
}

#[tokio::test]
async fn a_throttled_run_says_how_long_it_rested() {
    let world = forty().await;
    throttle_the_second_page(&world);
    let started = world.guard.start_sync("contoso").await.expect("a run");
    let held = running(&world, "the account rests", |run| run.throttles > 0).await;
    assert!(seconds(held.throttled_duration) < 60, "most of the rest is ahead: {held:?}");
    let rate = world.guard.status("contoso").await.calls_per_minute;
    assert_eq!(rate, i64::from(world.plan.requests_per_minute) / 2, "the pace is halved");
    world.advance(Duration::from_secs(REST + 120));
    let done = end_of(&world, &started.name).await;
    let rested = seconds(done.throttled_duration);
    assert!((600..=665).contains(&rested), "{rested}");
    assert!(seconds(done.list_duration) >= rested, "{done:?}");
    let spans = [done.start_time, done.list_complete_time, done.end_time].map(|time| micros(time.expect("a time")));
    assert_eq!(seconds(done.list_duration), (spans[1] - spans[0]) / 1_000_000);
    assert_eq!(seconds(done.fetch_duration), (spans[2] - spans[1]) / 1_000_000);
    world.end().await;
}

#[tokio::test]
async fn the_first_run_expects_nothing_and_counts_its_calls() {
    let world = forty().await;
    let first = world.guard.status("contoso").await.last_full_sync.expect("a run");
    assert_eq!((first.customers_expected, first.progress_percent), (None, 100));
    assert_eq!((first.calls, first.retries, first.throttles, first.duplicates), (44, 0, 0, 0));
    assert_eq!(world.guard.status("contoso").await.calls_per_minute, i64::from(world.plan.requests_per_minute));
    let diff = world.read_list().await;
    assert_eq!((diff.calls, diff.customers_expected, diff.progress_percent), (4, Some(40), 100));
    world.end().await;
}

#[tokio::test]
async fn a_call_that_fails_is_counted_and_so_is_the_one_that_repeats_it() {
    let world = forty().await;
    let failing = || Effect::ServerError { status: 503, body: ErrorBody::Json };
    world.upstream.fault(Fault::once(failing()).on(Route::Get));
    world.upstream.fault(Fault::once(failing()).on(Route::List));
    let started = world.guard.start_sync("contoso").await.expect("a run");
    let done = eventually("the run ends", async || {
        world.advance(Duration::from_secs(1));
        let run = world.guard.runs("contoso").await.into_iter().find(|run| run.name == started.name)?;
        run.end_time.is_some().then_some(run)
    })
    .await;
    assert_eq!((done.state(), done.fetched), (SyncRunState::Succeeded, 40));
    assert_eq!((done.calls, done.retries, done.throttles), (46, 2, 0));
    world.end().await;
}
