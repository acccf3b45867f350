//! The list is suddenly empty, half as long or lacks a page, its token expires, the credentials are another tenant's, every
//! detail is forbidden: nobody is ended, and the status says why. Who is really gone ends by the evidence rule, and many at
//! once wait until exactly that set is approved.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use customer_guard::clock::Timestamp;
use customer_guard::grpc::proto::{
    ApproveHoldRequest, Customer, Hold, ListHoldsRequest, Relationship, SyncProblem, SyncRun, SyncRunKind,
    SyncRunState, SyncState,
};
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, Fault};
use customer_guard::simulator::operations::AuditTrail;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::harness::database::count;
use crate::harness::{Plan, World, eventually, micros};

const STEP: Duration = Duration::from_secs(60);

/// An account with one customer, with a few, and with many.
const SIZES: [usize; 3] = [1, 3, 200];

/// What a customer is, apart from when it was verified and how its last look went.
fn value(customer: Customer) -> (String, Customer) {
    let stripped = Customer { verified_at: None, verify_due_by: None, ..customer };
    (stripped.name.clone(), stripped)
}

/// An account of that size whose list has two pages, if there are two customers, and what it holds.
async fn account_of(customers: usize) -> (World, BTreeMap<String, Customer>) {
    let page_size = u16::try_from(customers.div_ceil(2)).expect("a small number");
    let world = World::with(Plan { page_size, ..Plan::usual() }, customers).await;
    let before = world.guard.all("contoso").await.into_iter().map(value).collect::<BTreeMap<_, _>>();
    assert_eq!(before.len(), customers);
    (world, before)
}

/// Everybody is here, active, and as before.
async fn assert_nobody_is_ended(world: &World, before: &BTreeMap<String, Customer>) {
    let after: BTreeMap<_, _> = world.guard.all("contoso").await.into_iter().map(value).collect();
    assert_eq!(after.len(), before.len());
    for (name, was) in before {
        assert_eq!(after[name].relationship(), Relationship::Active, "{name}");
        let facts = |one: &Customer| (one.primary_contact.clone(), one.company_name.clone(), one.domain.clone());
        assert_eq!(facts(&after[name]), facts(was), "{name}");
    }
    let status = world.guard.status("contoso").await;
    assert_eq!(status.active_customers, i64::try_from(before.len()).expect("a small number"));
}

/// The problem, once it is that one: it says what to do.
async fn wait_for_reason(world: &World, reason: &str) -> SyncProblem {
    let problem = eventually(&format!("the status says {reason}"), async || {
        world.advance(STEP);
        world.guard.status("contoso").await.problem.filter(|problem| problem.reason == reason)
    })
    .await;
    assert!(problem.since.is_some());
    assert!(["heck", "set the right", "network"].iter().any(|what| problem.detail.contains(what)), "{problem:?}");
    problem
}

/// Lets the list interval pass and waits until the list was read; time passes meanwhile, in which what failed is tried
/// again.
async fn read_list(world: &World) {
    world.advance(world.plan.list_interval);
    let from = world.guard.clock.now().micros();
    eventually("the list is read", async || {
        world.advance(Duration::from_secs(10));
        let done = |run: &SyncRun| {
            run.kind() == SyncRunKind::ListDiff
                && run.state() == SyncRunState::Succeeded
                && run.start_time.is_some_and(|at| micros(at) >= from)
        };
        world.guard.runs("contoso").await.iter().any(done).then_some(())
    })
    .await;
}

/// As [`read_list`], for the next night.
async fn pass_a_night(world: &World) {
    let night = micros(world.guard.status("contoso").await.next_night_at.expect("there is a next night"));
    world.advance(Timestamp::from_micros(night).since(world.guard.clock.now()));
    eventually("the night is done", async || {
        world.advance(Duration::from_secs(10));
        let done = world.guard.status("contoso").await.last_full_sync?;
        (micros(done.start_time?) >= night).then_some(())
    })
    .await;
}

async fn assert_recovers(world: &World, before: &BTreeMap<String, Customer>) {
    world.upstream.mend();
    eventually("the status says nothing any more", async || {
        world.advance(STEP);
        let status = world.guard.status("contoso").await;
        (status.problem.is_none() && status.backlog == 0).then_some(())
    })
    .await;
    read_list(world).await;
    read_list(world).await;
    assert_nobody_is_ended(world, before).await;
    for customer in world.guard.all("contoso").await {
        assert_eq!(customer.sync_state(), SyncState::Synced);
    }
    let missing = "SELECT count(*) FROM upstream_customer WHERE missing_runs > 0 OR gone_answer IS NOT NULL";
    assert_eq!(count(&world.guard.database, missing).await, 0, "no evidence is left");
    assert_eq!(world.guard.status("contoso").await.held_removals, 0);
}

/// Nights and lists of it, and what is said of it; then it passes. Without a reason it harms nobody of that few.
async fn assert_harmless(customers: usize, effects: &[Effect], reason: Option<&str>) {
    let (world, before) = account_of(customers).await;
    world.upstream.always(effects.iter().cloned());
    for _ in 0..3 {
        read_list(&world).await;
        assert_nobody_is_ended(&world, &before).await;
    }
    pass_a_night(&world).await;
    pass_a_night(&world).await;
    assert_nobody_is_ended(&world, &before).await;
    match reason {
        Some(reason) => {
            let problem = wait_for_reason(&world, reason).await;
            println!("{customers} customers, {effects:?}: {}: {}", problem.reason, problem.detail);
        }
        None => assert_eq!(world.guard.status("contoso").await.problem, None),
    }
    assert_eq!(world.guard.status("contoso").await.held_removals, 0);
    assert_recovers(&world, &before).await;
    world.end().await;
}

#[tokio::test]
async fn the_list_is_suddenly_empty() {
    for customers in SIZES {
        assert_harmless(customers, &[Effect::EmptyList], Some("LIST_SHRANK")).await;
    }
}

#[tokio::test]
async fn the_list_is_half_as_long() {
    // It ends after the first of its two pages.
    for customers in [3_usize, 200] {
        let items = customers.div_ceil(2);
        assert_harmless(customers, &[Effect::ShortList { items }], Some("LIST_SHRANK")).await;
    }
}

#[tokio::test]
async fn a_page_is_missing() {
    // One customer has no second page to miss.
    for (customers, reason) in [(1, None), (3, Some("LIST_SHRANK")), (200, Some("LIST_SHRANK"))] {
        assert_harmless(customers, &[Effect::SkipPage], reason).await;
    }
}

#[tokio::test]
async fn customers_are_hidden_from_the_list() {
    for customers in [3, 200] {
        let (world, _) = account_of(customers).await;
        let hidden = world.tenants()[customers / 2];
        world.end().await;
        assert_harmless(customers, &[Effect::HideFromList { customer: hidden }], Some("LIST_SHRANK")).await;
    }
}

#[tokio::test]
async fn the_token_expires_while_pages_are_read() {
    for customers in [3, 200] {
        let (world, before) = account_of(customers).await;
        world.upstream.fault(Fault::always(Effect::ExpireContinuation).on(Route::List));
        let problem = wait_for_reason(&world, "CUSTOMER_LIST_UNREADABLE").await;
        println!("{customers} customers: {}: {}", problem.reason, problem.detail);
        world.advance(Duration::from_secs(3 * 24 * 60 * 60));
        wait_for_reason(&world, "CUSTOMER_LIST_UNREADABLE").await;
        assert_nobody_is_ended(&world, &before).await;
        assert_recovers(&world, &before).await;
        world.end().await;
    }
}

#[tokio::test]
async fn every_detail_is_forbidden() {
    for customers in SIZES {
        for (code, reason) in [(20_002, "DETAILS_FORBIDDEN"), (900_416, "DETAILS_UNREADABLE")] {
            let (world, before) = account_of(customers).await;
            world.upstream.fault(Fault::always(Effect::Forbidden { code }).on(Route::Get));
            pass_a_night(&world).await;
            let problem = wait_for_reason(&world, reason).await;
            println!("{customers} customers, 403/{code}: {}: {}", problem.reason, problem.detail);
            read_list(&world).await;
            pass_a_night(&world).await;
            wait_for_reason(&world, reason).await;
            assert_nobody_is_ended(&world, &before).await;
            world.upstream.mend();
            pass_a_night(&world).await;
            assert_recovers(&world, &before).await;
            world.end().await;
        }
    }
}

#[tokio::test]
async fn the_list_is_empty_and_every_detail_is_forbidden_for_nights() {
    for customers in SIZES {
        let (world, before) = account_of(customers).await;
        world.upstream.fault(Fault::always(Effect::Forbidden { code: 20_002 }).on(Route::Get));
        world.upstream.always([Effect::EmptyList]);
        for _ in 0..4 {
            pass_a_night(&world).await;
            read_list(&world).await;
            assert_nobody_is_ended(&world, &before).await;
        }
        let problem = wait_for_reason(&world, "LIST_SHRANK").await;
        let held = world.guard.status("contoso").await.held_removals;
        println!("{customers} customers, {held} wait: {}: {}", problem.reason, problem.detail);
        // Of many, all wait for an operator; of a few, nobody proves that the credentials still work.
        assert_eq!(held, if customers > 3 { 200 } else { 0 });
        world.upstream.mend();
        pass_a_night(&world).await;
        assert_recovers(&world, &before).await;
        world.end().await;
    }
}

#[tokio::test]
async fn the_list_is_short_then_empty_then_short_again_and_recovers() {
    for customers in SIZES {
        let (world, before) = account_of(customers).await;
        for effect in [Effect::ShortList { items: 1 }, Effect::EmptyList, Effect::ShortList { items: 0 }] {
            world.upstream.mend();
            world.upstream.always([effect]);
            read_list(&world).await;
            pass_a_night(&world).await;
            assert_nobody_is_ended(&world, &before).await;
        }
        wait_for_reason(&world, "LIST_SHRANK").await;
        assert_recovers(&world, &before).await;
        world.end().await;
    }
}

/// A sign-in service that gives northwind's token to whoever asks for contoso's.
async fn swapping_authority(world: &World) -> (String, CancellationToken) {
    #[derive(Clone)]
    struct Swap {
        url: String,
        form: Vec<(&'static str, String)>,
    }
    async fn swapped(State(swap): State<Swap>) -> Response {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer = client.post(&swap.url).form(&swap.form).send().await.expect("an answer");
        ([("content-type", "application/json")], answer.text().await.expect("a token")).into_response()
    }
    let northwind = world.upstream.partner("northwind");
    let form = vec![
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", northwind.client_id),
        ("client_secret", northwind.client_secret),
        ("scope", "https://api.partnercenter.microsoft.com/.default".to_owned()),
    ];
    let url = format!("{}/{}/oauth2/v2.0/token", world.upstream.root, northwind.tenant_id);
    let router = Router::new().route("/{tenant}/oauth2/v2.0/token", post(swapped)).with_state(Swap { url, form });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let stop = CancellationToken::new();
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    TaskTracker::new().spawn(async move { served.await.expect("it serves") });
    (address, stop)
}

#[tokio::test]
async fn the_credentials_are_swapped_to_another_tenant() {
    for customers in SIZES {
        let (world, before) = account_of(customers).await;
        world.upstream.seed("northwind", 5);
        let (authority, stop) = swapping_authority(&world).await;
        let world = world.restart_by(|plan, _| plan.authority = Some(authority)).await;
        let problem = wait_for_reason(&world, "TENANT_MISMATCH").await;
        println!("{customers} customers: {}: {}", problem.reason, problem.detail);
        world.advance(Duration::from_secs(3 * 24 * 60 * 60));
        wait_for_reason(&world, "TENANT_MISMATCH").await;
        assert_nobody_is_ended(&world, &before).await;
        let northwind = world.upstream.partner("northwind").tenant_id;
        let calls = world.upstream.simulator.calls(northwind);
        assert_eq!((calls.list, calls.get, calls.audit), (0, 0, 0), "the other partner was not even asked");
        let world = world.restart_by(|plan, _| plan.authority = None).await;
        assert_recovers(&world, &before).await;
        stop.cancel();
        world.end().await;
    }
}

fn leave(world: &World, tenants: &[Uuid], trail: AuditTrail) {
    for tenant in tenants {
        world.upstream.simulator.remove_relationship(world.contoso(), *tenant, trail).expect("a known customer");
    }
}

const NOBODY: [Uuid; 0] = [];

async fn ended(world: &World) -> Vec<Uuid> {
    let all = world.guard.all("contoso").await.into_iter();
    let ended = all.filter(|customer| customer.relationship() == Relationship::Ended);
    let mut ended: Vec<Uuid> = ended.map(|customer| customer.microsoft_tenant_id.parse().expect("an id")).collect();
    ended.sort_unstable();
    ended
}

async fn the_hold(world: &World) -> Option<Hold> {
    let request = ListHoldsRequest { parent: "partnerAccounts/contoso".to_owned() };
    world.guard.sync.clone().list_holds(request).await.expect("holds").into_inner().holds.pop()
}

#[tokio::test]
async fn one_that_is_really_gone_ends_by_the_evidence_rule() {
    for customers in [3, 200] {
        let (world, _) = account_of(customers).await;
        let gone = world.tenants()[1];
        leave(&world, &[gone], AuditTrail::Omitted);
        read_list(&world).await;
        assert_eq!(ended(&world).await, NOBODY, "one list is not enough");
        read_list(&world).await;
        assert_eq!(ended(&world).await, [gone]);
        world.advance(STEP);
        read_list(&world).await;
        assert_eq!(world.guard.status("contoso").await.problem, None, "nothing looks wrong");
        world.end().await;
    }
}

#[tokio::test]
async fn the_last_customer_of_an_account_is_never_proven_gone_and_the_status_says_so() {
    let (world, before) = account_of(1).await;
    leave(&world, &world.tenants(), AuditTrail::Recorded);
    world.read_audit_log().await;
    for _ in 0..3 {
        read_list(&world).await;
    }
    wait_for_reason(&world, "LIST_SHRANK").await;
    assert_nobody_is_ended(&world, &before).await;
    world.end().await;
}

#[tokio::test]
async fn a_few_that_are_gone_while_no_other_answers_are_not_ended_and_the_status_says_why() {
    let (world, before) = account_of(200).await;
    let (gone, others) = (world.tenants()[..2].to_vec(), world.tenants()[2..].to_vec());
    leave(&world, &gone, AuditTrail::Recorded);
    world.read_audit_log().await;
    // Whoever is asked about looks gone, as if the application had lost its rights.
    world.upstream.always(others.iter().map(|customer| Effect::DetailNotFound { customer: *customer }));
    read_list(&world).await;
    assert_nobody_is_ended(&world, &before).await;
    wait_for_reason(&world, "REMOVALS_UNPROVEN").await;
    world.upstream.mend();
    read_list(&world).await;
    assert_eq!(ended(&world).await, gone);
    world.end().await;
}

#[tokio::test]
async fn five_percent_at_once_wait_and_only_the_approved_set_ends_even_while_the_list_is_short() {
    let (world, _) = account_of(200).await;
    let tenants = world.tenants();
    let gone = tenants[60..70].to_vec();
    leave(&world, &gone, AuditTrail::Recorded);
    world.read_audit_log().await;
    // Half of the list is missing besides.
    world.upstream.always([Effect::ShortList { items: 100 }]);
    read_list(&world).await;
    assert_eq!(ended(&world).await, NOBODY);
    wait_for_reason(&world, "LIST_SHRANK").await;
    let waiting = the_hold(&world).await.expect("ten wait");
    let told: Vec<Uuid> = waiting.customers.iter().map(|one| one.microsoft_tenant_id.parse().expect("an id")).collect();
    assert_eq!(told, gone);
    world.upstream.mend();
    pass_a_night(&world).await;
    pass_a_night(&world).await;
    assert_eq!(ended(&world).await, NOBODY, "waiting ends nobody");
    let waiting = the_hold(&world).await.expect("the same ten wait");
    let request = ApproveHoldRequest { name: waiting.name, ..Default::default() };
    world.guard.sync.clone().approve_hold(request).await.expect("it is approved");
    assert_eq!(ended(&world).await, gone);
    read_list(&world).await;
    pass_a_night(&world).await;
    assert_eq!(ended(&world).await, gone, "and nobody else");
    assert_eq!(world.guard.status("contoso").await.problem, None);
    world.end().await;
}
