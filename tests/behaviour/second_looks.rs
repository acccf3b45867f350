//! Looks that nobody signals: the ones that confirm a signal's answer, and the rolling verification.

use std::time::Duration;

use customer_guard::domain::policy::CONFIRM_AFTER;
use customer_guard::grpc::proto;
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, ErrorBody, Fault};
use prost_types::Duration as ProtoDuration;

use crate::harness::cast::LINDEN;
use crate::harness::upstream::Upstream;
use crate::harness::{Plan, World, eventually};

const NEW: &str = "new@linden.example";
const MOMENT: Duration = Duration::from_secs(1);

fn lag(world: &World, seconds: u32) {
    world.upstream.simulator.set_knobs(world.contoso(), |knobs| knobs.lag_seconds = seconds).expect("a known partner");
}

fn looks(world: &World) -> u64 {
    world.upstream.simulator.calls(world.contoso()).get
}

/// Waits until somebody was looked at once more.
async fn wait_for_a_look(world: &World, looks_before: u64) {
    eventually("one more look", async || {
        // In this order: nothing is owed before the look begins either.
        (looks(world) > looks_before && world.guard.status("contoso").await.backlog == 0).then_some(())
    })
    .await;
}

/// Waits until Linden was looked at once more, and returns its e-mail address then.
async fn email_after_a_look(world: &World, looks_before: u64) -> String {
    wait_for_a_look(world, looks_before).await;
    email(world).await
}

async fn email(world: &World) -> String {
    world.customer(LINDEN).await.primary_contact.expect("a contact").email
}

#[tokio::test]
async fn a_lagging_answer_heals_a_minute_later_without_another_signal() {
    let (world, _) = World::with_linden().await;
    lag(&world, 90);
    world.change_email(LINDEN, NEW);
    let before = looks(&world);
    world.read_audit_log().await;
    assert!(looks(&world) > before, "the signal was looked at");
    assert_ne!(email(&world).await, NEW, "and answered with what was before");
    let before = looks(&world);
    world.advance(CONFIRM_AFTER[0] + MOMENT);
    assert_eq!(email_after_a_look(&world, before).await, NEW);
    world.end().await;
}

#[tokio::test]
async fn an_answer_that_lags_for_minutes_heals_by_the_second_confirming_look() {
    let (world, _) = World::with_linden().await;
    lag(&world, 400);
    world.change_email(LINDEN, NEW);
    world.read_audit_log().await;
    let before = looks(&world);
    world.advance(CONFIRM_AFTER[0] + MOMENT);
    assert_ne!(email_after_a_look(&world, before).await, NEW, "the first one comes too early");
    let before = looks(&world);
    world.advance(CONFIRM_AFTER[1] + MOMENT);
    assert_eq!(email_after_a_look(&world, before).await, NEW);
    world.end().await;
}

#[tokio::test]
async fn a_restart_forgets_no_confirming_look() {
    let (world, _) = World::with_linden().await;
    lag(&world, 90);
    world.change_email(LINDEN, NEW);
    world.read_audit_log().await;
    assert_ne!(email(&world).await, NEW);
    let world = world.restart().await;
    let before = looks(&world);
    world.advance(CONFIRM_AFTER[0] + MOMENT);
    assert_eq!(email_after_a_look(&world, before).await, NEW);
    world.end().await;
}

#[tokio::test]
async fn a_signal_is_looked_at_three_times_and_a_first_sync_once() {
    let world = World::with_customers(4).await;
    assert_eq!(looks(&world), 4);
    let tenant = world.tenants()[0];
    world.change_email(tenant, NEW);
    world.read_audit_log().await;
    for (expected, after) in [(6, CONFIRM_AFTER[0]), (7, CONFIRM_AFTER[1])] {
        let before = looks(&world);
        world.advance(after + MOMENT);
        wait_for_a_look(&world, before).await;
        assert_eq!(looks(&world), expected);
    }
    world.advance(Duration::from_secs(3600));
    world.list_read_since(world.guard.clock.now()).await;
    assert_eq!(looks(&world), 7, "and then no more");
    world.end().await;
}

#[tokio::test]
async fn a_silent_change_is_found_within_the_promised_time_although_no_night_succeeds() {
    let (world, _) = World::with_linden().await;
    world.pass_until_confirmed().await;
    let unreadable = Effect::ServerError { status: 503, body: ErrorBody::Empty };
    world.upstream.fault(Fault::always(unreadable).on(Route::List));
    world.change_email_silently(LINDEN, NEW);
    let before = looks(&world);
    world.advance(Duration::from_secs(22 * 3600));
    eventually("the night has begun", async || world.guard.status("contoso").await.running_full_sync).await;
    assert_eq!((looks(&world), email(&world).await != NEW), (before, true), "nobody looks earlier than must be");
    world.advance(Duration::from_secs(3600) + MOMENT);
    assert_eq!(email_after_a_look(&world, before).await, NEW);
    let status = world.guard.status("contoso").await;
    assert_eq!(status.last_full_sync.expect("the first one").cause(), proto::SyncRunCause::First);
    world.end().await;
}

#[tokio::test]
async fn a_status_tells_that_the_promise_can_be_kept() {
    let world = World::with_customers(3).await;
    let status = eventually("the pace is known", async || {
        let status = world.guard.status("contoso").await;
        status.guaranteed_within.is_some().then_some(status)
    })
    .await;
    assert_eq!(status.guaranteed_within, status.verify_within);
    assert!(status.promise_reachable);
    assert_eq!(status.problem, None);
    world.end().await;
}

#[tokio::test]
async fn a_promise_that_cannot_be_kept_is_a_problem_that_tells_what_can() {
    let plan = Plan { verify_within: Duration::from_secs(1), requests_per_minute: 600, ..Plan::usual() };
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 20);
    let world = World::unsynchronized(plan, upstream).await;
    let status = eventually("the problem is told", async || {
        world.advance(Duration::from_secs(60));
        let status = world.guard.status("contoso").await;
        status.problem.is_some().then_some(status)
    })
    .await;
    let problem = status.problem.expect("a problem");
    assert_eq!(problem.reason, "VERIFICATION_BEHIND_PROMISE", "{problem:?}");
    assert!(problem.detail.contains("20 customers at 600 calls a minute"), "{}", problem.detail);
    assert!(!status.promise_reachable);
    assert_eq!(status.guaranteed_within, Some(ProtoDuration { seconds: 2, nanos: 500_000_000 }));
    world.end().await;
}
