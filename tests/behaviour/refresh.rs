//! Refreshing one customer: now, or an honest word why not.

use std::time::Duration;

use customer_guard::grpc::proto::{Relationship, SyncState};
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, ErrorBody, Fault, RetryAfter};
use customer_guard::simulator::operations::AuditTrail;
use tonic::Code;

use crate::harness::cast::{LINDEN, bakery};
use crate::harness::told::Told;
use crate::harness::{World, micros, soon};

fn assert_unavailable(told: &Told) {
    assert_eq!((told.code, told.reason().as_str()), (Code::Unavailable, "SOURCE_UNAVAILABLE"));
    assert!(told.retry_after().is_some_and(|wait| wait >= Duration::from_secs(1)), "{told:?}");
    assert_eq!(told.metadata("partnerAccount"), "partnerAccounts/contoso");
    assert!(!told.metadata("cause").is_empty());
}

#[tokio::test]
async fn brings_a_silent_change_at_once() {
    let (world, linden) = World::with_linden().await;
    world.change_email_silently(LINDEN, "asked.for@linden.example");
    let refreshed = soon("a refresh", world.guard.refresh(&linden.name)).await.expect("a refreshed customer");
    assert_eq!(refreshed.primary_contact.clone().expect("a contact").email, "asked.for@linden.example");
    assert!(micros(refreshed.verified_at.expect("a time")) > micros(linden.verified_at.expect("a time")));
    assert_eq!(world.guard.get(&linden.name).await, refreshed);
    world.end().await;
}

#[tokio::test]
async fn of_an_unchanged_customer_verifies_it() {
    let (world, linden) = World::with_linden().await;
    let refreshed = world.guard.refresh(&linden.name).await.expect("a refreshed customer");
    assert!(micros(refreshed.verified_at.expect("a time")) > micros(linden.verified_at.expect("a time")));
    assert_eq!((refreshed.etag, refreshed.update_time), (linden.etag, linden.update_time));
    world.end().await;
}

#[tokio::test]
async fn of_a_platform_customer_has_nobody_to_ask() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    let told = world.guard.refresh(&ours.name).await.expect_err("nothing to refresh from");
    assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "NOT_A_MICROSOFT_CUSTOMER"));
    assert_eq!(told.metadata("customer"), ours.name);
    world.end().await;
}

#[tokio::test]
async fn many_at_once_all_get_the_newest_state() {
    let (world, linden) = World::with_linden().await;
    world.change_email_silently(LINDEN, "newest@linden.example");
    let asked = (0..20).map(|_| world.guard.refresh(&linden.name));
    for answer in futures::future::join_all(asked).await {
        let contact = answer.expect("a refreshed customer").primary_contact;
        assert_eq!(contact.expect("a contact").email, "newest@linden.example");
    }
    world.end().await;
}

#[tokio::test]
async fn says_that_the_source_is_unavailable_when_partner_center_fails() {
    let (world, linden) = World::with_linden().await;
    let error = Effect::ServerError { status: 500, body: ErrorBody::Json };
    world.upstream.fault(Fault::always(error).on(Route::Get));
    let told = soon("an answer", world.guard.refresh(&linden.name)).await.expect_err("no usable answer");
    assert_unavailable(&told);
    let kept = world.guard.get(&linden.name).await;
    assert_eq!((kept.primary_contact, kept.etag), (linden.primary_contact, linden.etag));
    world.end().await;
}

#[tokio::test]
async fn says_that_the_source_is_unavailable_when_it_wants_to_be_left_alone() {
    let (world, linden) = World::with_linden().await;
    let retry_after = RetryAfter::Seconds(300);
    world.upstream.fault(Fault::always(Effect::Throttled { retry_after }));
    let told = soon("an answer", world.guard.refresh(&linden.name)).await.expect_err("no usable answer");
    assert_unavailable(&told);
    // Now that the pause is known, nobody waits, and the time to wait is what is left of it.
    let told = soon("an answer", world.guard.refresh(&linden.name)).await.expect_err("a known pause");
    assert_eq!(told.metadata("cause"), "THROTTLED");
    assert!(told.retry_after().is_some_and(|wait| wait > Duration::from_secs(200)), "{told:?}");
    world.upstream.mend();
    world.advance(Duration::from_secs(400));
    world.guard.refresh(&linden.name).await.expect("a refreshed customer");
    world.end().await;
}

#[tokio::test]
async fn of_a_record_that_cannot_be_applied_returns_the_last_good_one() {
    let (world, linden) = World::with_linden().await;
    world.upstream.always([Effect::NullBillingProfile { customer: LINDEN }]);
    let answered = world.guard.refresh(&linden.name).await.expect("the last good record");
    assert_eq!(answered.sync_state(), SyncState::Quarantined);
    assert_eq!((answered.primary_contact, answered.verified_at), (linden.primary_contact, linden.verified_at));
    world.end().await;
}

#[tokio::test]
async fn alone_ends_nobody() {
    let (world, linden) = World::with_linden().await;
    world.upstream.simulator.remove_relationship(world.contoso(), LINDEN, AuditTrail::Omitted).expect("known");
    for _ in 0..3 {
        let answered = world.guard.refresh(&linden.name).await.expect("the record as it is");
        assert_eq!(answered.relationship(), Relationship::Active);
    }
    world.end().await;
}
