//! Reading a customer as fresh and as new as the caller asks for, or an honest word why not.

use std::time::Duration;

use customer_guard::grpc::proto::{
    Customer, CustomerView, GetCustomerRequest, LookupCustomerRequest, PauseCustomerRequest, UpstreamChange,
    lookup_customer_request,
};
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, ErrorBody, Fault};
use customer_guard::simulator::operations::AuditTrail;
use tonic::Code;

use crate::harness::cast::{LINDEN, bakery};
use crate::harness::database::shell;
use crate::harness::told::{Told, fields};
use crate::harness::{Plan, World, eventually, micros, soon};

const HOUR: Duration = Duration::from_secs(3600);

fn as_fresh_as(name: &str, most: Duration) -> GetCustomerRequest {
    let max_staleness = Some(prost_types::Duration::try_from(most).expect("a short duration"));
    GetCustomerRequest { name: name.to_owned(), max_staleness, ..Default::default() }
}

async fn get(world: &World, request: GetCustomerRequest) -> Result<Customer, Told> {
    let answer = soon("an answer", world.guard.customers.clone().get_customer(request)).await;
    answer.map(tonic::Response::into_inner).map_err(Told::from)
}

fn gets(world: &World) -> u64 {
    world.upstream.simulator.calls(world.contoso()).get
}

/// Nothing but a caller's wish makes anybody look at Linden in these worlds.
async fn quiet_world_with_linden() -> (World, Customer) {
    let plan = Plan { audit_interval: 12 * HOUR, list_interval: 12 * HOUR, ..Plan::usual() };
    let (world, linden) = World::with_linden_by(plan).await;
    world.pass_until_confirmed().await;
    let linden = world.guard.get(&linden.name).await;
    (world, linden)
}

#[tokio::test]
async fn a_customer_that_is_fresh_enough_is_returned_without_asking() {
    let (world, linden) = quiet_world_with_linden().await;
    world.change_email_silently(LINDEN, "unseen@linden.example");
    let before = gets(&world);
    assert_eq!(get(&world, as_fresh_as(&linden.name, HOUR)).await.expect("a customer"), linden);
    assert_eq!(gets(&world), before);
    world.end().await;
}

#[tokio::test]
async fn one_that_is_too_old_is_looked_at_first() {
    let (world, linden) = quiet_world_with_linden().await;
    world.change_email_silently(LINDEN, "seen@linden.example");
    world.advance(2 * HOUR);
    let found = get(&world, as_fresh_as(&linden.name, HOUR)).await.expect("a customer");
    assert_eq!(found.primary_contact.expect("a contact").email, "seen@linden.example");
    let verified_at = micros(found.verified_at.expect("a time"));
    assert!(world.guard.clock.now().micros() - verified_at < 60_000_000, "verified now");
    assert!(!found.stale);
    world.end().await;
}

#[tokio::test]
async fn no_age_at_all_means_a_question_after_the_call() {
    let (world, linden) = quiet_world_with_linden().await;
    world.change_email_silently(LINDEN, "newest@linden.example");
    let found = get(&world, as_fresh_as(&linden.name, Duration::ZERO)).await.expect("a customer");
    assert_eq!(found.primary_contact.expect("a contact").email, "newest@linden.example");
    world.end().await;
}

#[tokio::test]
async fn many_who_wait_share_one_question() {
    let (world, linden) = quiet_world_with_linden().await;
    world.advance(2 * HOUR);
    world.upstream.fault(Fault::always(Effect::Delay { milliseconds: 1_000 }).on(Route::Get));
    let before = gets(&world);
    let others = async {
        eventually("the first question is asked", async || (gets(&world) > before).then_some(())).await;
        futures::future::join_all((0..50).map(|_| get(&world, as_fresh_as(&linden.name, HOUR)))).await
    };
    let (first, others) = futures::join!(get(&world, as_fresh_as(&linden.name, HOUR)), others);
    for answer in others.into_iter().chain([first]) {
        answer.expect("a customer");
    }
    assert_eq!(gets(&world) - before, 1);
    world.end().await;
}

#[tokio::test]
async fn without_an_answer_it_is_refused_or_returned_as_stale() {
    let (world, linden) = quiet_world_with_linden().await;
    world.advance(2 * HOUR);
    let error = Effect::ServerError { status: 500, body: ErrorBody::Json };
    world.upstream.fault(Fault::always(error).on(Route::Get));
    let told = get(&world, as_fresh_as(&linden.name, HOUR)).await.expect_err("nobody can say");
    assert_eq!((told.code, told.reason().as_str()), (Code::Unavailable, "STALENESS_NOT_MET"));
    assert_eq!(told.metadata("customer"), linden.name);
    assert!(!told.metadata("cause").is_empty() && told.metadata("verifiedAt").ends_with('Z'), "{told:?}");
    assert!(told.retry_after().is_some_and(|wait| wait >= Duration::from_secs(1)), "{told:?}");
    let request = GetCustomerRequest { allow_stale: true, ..as_fresh_as(&linden.name, HOUR) };
    let found = get(&world, request).await.expect("the customer as it is");
    assert_eq!(found, Customer { stale: true, ..linden });
    world.end().await;
}

#[tokio::test]
async fn while_the_store_takes_no_writes_it_is_refused_or_returned_as_stale() {
    let (world, linden) = quiet_world_with_linden().await;
    world.advance(2 * HOUR);
    // Somebody with a shell is in the middle of a write.
    let mut shell = shell(&world.guard.database).await;
    if shell.is_sqlite() {
        shell.run("BEGIN IMMEDIATE").await.expect("it begins");
    } else {
        shell.run("BEGIN").await.expect("it begins");
        shell.number("SELECT count(*) FROM (SELECT pg_advisory_xact_lock(6071223490117)) AS locked").await;
    }
    let told = get(&world, as_fresh_as(&linden.name, HOUR)).await.expect_err("nobody can be asked");
    assert_eq!((told.code, told.reason().as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
    let request = GetCustomerRequest { allow_stale: true, ..as_fresh_as(&linden.name, HOUR) };
    let found = get(&world, request).await.expect("the customer as it is");
    assert_eq!(found, Customer { stale: true, ..linden });
    shell.run("ROLLBACK").await.expect("it ends");
    world.end().await;
}

#[tokio::test]
async fn a_record_that_cannot_be_applied_or_is_gone_is_not_fresh() {
    let (world, linden) = quiet_world_with_linden().await;
    world.advance(2 * HOUR);
    world.upstream.always([Effect::NullBillingProfile { customer: LINDEN }]);
    let told = get(&world, as_fresh_as(&linden.name, HOUR)).await.expect_err("not applicable");
    assert_eq!(told.reason(), "STALENESS_NOT_MET");
    world.upstream.mend();
    world.upstream.simulator.remove_relationship(world.contoso(), LINDEN, AuditTrail::Omitted).expect("known");
    let told = get(&world, as_fresh_as(&linden.name, HOUR)).await.expect_err("gone");
    assert_eq!(
        (told.reason().as_str(), told.metadata("cause").as_str()),
        ("STALENESS_NOT_MET", "GONE_IN_PARTNER_CENTER")
    );
    world.end().await;
}

#[tokio::test]
async fn a_paused_customer_is_not_made_fresher() {
    let (world, linden) = quiet_world_with_linden().await;
    let pause = PauseCustomerRequest { name: linden.name.clone(), reason: "a look".to_owned(), ..Default::default() };
    world.guard.sync.clone().pause_customer(pause).await.expect("a paused customer");
    world.advance(2 * HOUR);
    let told = get(&world, as_fresh_as(&linden.name, HOUR)).await.expect_err("paused");
    assert_eq!((told.reason().as_str(), told.metadata("cause").as_str()), ("STALENESS_NOT_MET", "CUSTOMER_PAUSED"));
    world.end().await;
}

#[tokio::test]
async fn a_platform_customer_is_always_fresh_enough() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    world.advance(2 * HOUR);
    let found = get(&world, as_fresh_as(&ours.name, Duration::ZERO)).await.expect("a customer");
    assert_eq!((found.etag, found.stale), (ours.etag, false));
    world.end().await;
}

#[tokio::test]
async fn a_customer_says_that_it_is_stale_once_the_promise_is_broken() {
    let (world, linden) = quiet_world_with_linden().await;
    assert!(!linden.stale);
    world
        .upstream
        .always([Effect::Throttled { retry_after: customer_guard::simulator::faults::RetryAfter::Seconds(90_000) }]);
    world.advance(25 * HOUR);
    assert!(world.guard.get(&linden.name).await.stale);
    world.upstream.mend();
    world.end().await;
}

#[tokio::test]
async fn a_revision_that_was_reached_is_returned_and_one_that_was_not_is_told() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    let edited = world.guard.update(Customer { note: "seen".to_owned(), ..ours.clone() }, &["note"]).await;
    assert_eq!((ours.revision, edited.revision), (1, 2));
    let at_least = |min_revision| GetCustomerRequest { name: ours.name.clone(), min_revision, ..Default::default() };
    for least in [0, 1, 2] {
        assert_eq!(get(&world, at_least(least)).await.expect("a customer"), edited);
    }
    let told = get(&world, at_least(3)).await.expect_err("there is no such revision yet");
    assert_eq!((told.code, told.reason().as_str()), (Code::Unavailable, "REVISION_NOT_REACHED"));
    assert_eq!((told.metadata("customer"), told.metadata("revision")), (ours.name.clone(), "2".to_owned()));
    assert!(told.retry_after().is_some());
    world.end().await;
}

#[tokio::test]
async fn the_basic_view_holds_no_personal_data_wherever_it_is_asked_for() {
    let (world, linden) = World::with_linden().await;
    let labels = [("team".to_owned(), "north".to_owned())].into();
    let linden = world.guard.update(Customer { labels, note: "n".to_owned(), ..linden }, &["labels", "note"]).await;
    let expected = Customer {
        primary_contact: None,
        billing_contact: None,
        labels: Default::default(),
        note: String::new(),
        external_reference: String::new(),
        last_upstream_change: linden.last_upstream_change.clone().map(|change| {
            assert_ne!(change.actor_user, "", "somebody added it");
            UpstreamChange { actor_user: String::new(), ..change }
        }),
        ..linden.clone()
    };
    let view = CustomerView::Basic.into();
    let parent = "partnerAccounts/contoso".to_owned();
    let got = get(&world, GetCustomerRequest { name: linden.name.clone(), view, ..Default::default() }).await;
    assert_eq!(got.expect("a customer"), expected);
    let mut customers = world.guard.customers.clone();
    let list = customer_guard::grpc::proto::ListCustomersRequest { parent: parent.clone(), view, ..Default::default() };
    assert_eq!(
        customers.list_customers(list).await.expect("a page").into_inner().customers,
        std::slice::from_ref(&expected)
    );
    let key = Some(lookup_customer_request::Key::MicrosoftTenantId(LINDEN.to_string()));
    let lookup = LookupCustomerRequest { parent: parent.clone(), view, key };
    assert_eq!(customers.lookup_customer(lookup).await.expect("a customer").into_inner(), expected);
    let batch =
        customer_guard::grpc::proto::BatchGetCustomersRequest { parent, names: vec![linden.name.clone()], view };
    let results = customers.batch_get_customers(batch).await.expect("a batch").into_inner().results;
    assert_eq!(results[0].customer, Some(expected));
    world.end().await;
}

#[tokio::test]
async fn every_wrong_option_is_told_at_once() {
    let world = World::with_customers(0).await;
    let request = GetCustomerRequest {
        name: "linden".to_owned(),
        view: 99,
        max_staleness: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
        min_revision: -1,
        ..Default::default()
    };
    let told = get(&world, request).await.expect_err("four problems");
    assert_eq!(told.wrong_fields(), fields(["name", "view", "max_staleness", "min_revision"]));
    world.end().await;
}
