//! Watching customers change: what is told, to whom, and when a watch ends.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use customer_guard::grpc::WatchLimits;
use customer_guard::grpc::proto::watch_customers_response::Event;
use customer_guard::grpc::proto::{
    ChangeKind, Checkpoint, Customer, CustomerView, DeleteCustomerRequest, Relationship, SnapshotCause,
    UndeleteCustomerRequest, WatchCustomersRequest,
};
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, Fault};
use customer_guard::simulator::operations::AuditTrail;
use tonic::Code;
use tonic::transport::Endpoint;

use crate::harness::cast::bakery;
use crate::harness::told::fields;
use crate::harness::watcher::{Watcher, from_now_on, resuming, watching};
use crate::harness::{Plan, World, eventually, micros, soon};

const CONTOSO: &str = "partnerAccounts/contoso";
const EVERY: &str = "partnerAccounts/-";
/// Quick enough for a test, and slow enough to see that it is quiet.
const QUIET: Duration = Duration::from_millis(200);

/// Contoso's plan with streams that say something every moment.
fn talkative() -> Plan {
    Plan { watching: WatchLimits { quiet: QUIET, ..WatchLimits::USUAL }, ..Plan::usual() }
}

async fn open(world: &World, request: WatchCustomersRequest) -> Watcher {
    Watcher::open(&world.guard.customers, request).await.expect("a watch")
}

/// A watch of what changes in contoso from now on.
async fn from_now(world: &World) -> Watcher {
    let mut watcher = open(world, from_now_on(CONTOSO)).await;
    watcher.checkpoint().await;
    watcher
}

async fn with_note(world: &World, customer: &Customer, note: &str) -> Customer {
    let customer = Customer { note: note.to_owned(), etag: String::new(), ..customer.clone() };
    world.guard.update(customer, &["note"]).await
}

#[tokio::test]
async fn it_begins_with_all_customers_also_deleted_ones_and_goes_on_with_changes() {
    let world = World::with_customers(5).await;
    let deleted = world.guard.create(bakery()).await;
    delete(&world, &deleted.name).await;
    let mut watcher = open(&world, watching(CONTOSO)).await;
    let (cause, customers) = watcher.snapshot().await;
    assert_eq!(cause, SnapshotCause::NoCursor);
    let listed = world.guard.all("contoso").await;
    let (gone, there): (Vec<_>, Vec<_>) = customers.into_iter().partition(|one| one.delete_time.is_some());
    assert_eq!(there, listed);
    assert_eq!(gone.iter().map(|one| &one.name).collect::<Vec<_>>(), [&deleted.name]);
    watcher.checkpoint().await;
    let changed = with_note(&world, &listed[2], "Changed.").await;
    let told = watcher.change().await;
    assert_eq!(told.customer, Some(changed));
    assert_eq!(told.kinds().collect::<Vec<_>>(), [ChangeKind::Edited]);
    assert_eq!(told.changed_fields.expect("a mask").paths, ["note"]);
    assert_eq!((told.actor.as_str(), told.change_time.is_some()), ("loopback", true));
    world.end().await;
}

async fn delete(world: &World, name: &str) -> Customer {
    let request = DeleteCustomerRequest { name: name.to_owned(), ..Default::default() };
    world.guard.customers.clone().delete_customer(request).await.expect("a deletion").into_inner()
}

#[tokio::test]
async fn from_now_on_it_tells_nothing_of_before() {
    let world = World::with_customers(3).await;
    let mut watcher = open(&world, from_now_on(CONTOSO)).await;
    watcher.checkpoint().await;
    let made = world.guard.create(bakery()).await;
    let told = watcher.change().await;
    assert_eq!((told.customer, told.kinds), (Some(made), vec![ChangeKind::Created.into()]));
    assert_eq!(told.changed_fields.unwrap_or_default().paths, [""; 0]);
    world.end().await;
}

#[tokio::test]
async fn whatever_happens_to_a_customer_is_told_as_what_it_is() {
    let world = World::with_customers(5).await;
    let mut watcher = from_now(&world).await;
    let mut kinds = async || {
        let told = watcher.change().await;
        (told.kinds().collect::<Vec<_>>(), told.customer.expect("a customer"), told.actor)
    };
    let ours = world.guard.create(bakery()).await;
    assert_eq!(kinds().await.0, [ChangeKind::Created]);
    let gone = delete(&world, &ours.name).await;
    assert_eq!(kinds().await, (vec![ChangeKind::Deleted], gone, "loopback".to_owned()));
    let request = UndeleteCustomerRequest { name: ours.name.clone(), ..Default::default() };
    let back = world.guard.customers.clone().undelete_customer(request).await.expect("it is back").into_inner();
    assert_eq!(kinds().await, (vec![ChangeKind::Undeleted], back, "loopback".to_owned()));
    let tenant = world.tenants()[0];
    world.change_email(tenant, "new@customer.example");
    world.read_audit_log().await;
    let (kind, synced, actor) = kinds().await;
    assert_eq!((kind, actor.as_str()), (vec![ChangeKind::Synced], "partner-center"));
    assert_eq!(synced.primary_contact.expect("a contact").email, "new@customer.example");
    let simulator = &world.upstream.simulator;
    simulator.remove_relationship(world.contoso(), tenant, AuditTrail::Recorded).expect("a known customer");
    world.read_audit_log().await;
    world.read_list().await;
    let (kind, ended, _) = kinds().await;
    assert_eq!((kind.last(), ended.relationship()), (Some(&ChangeKind::Ended), Relationship::Ended));
    world.end().await;
}

#[tokio::test]
async fn only_wanted_kinds_are_told() {
    let world = World::with_customers(3).await;
    let customer = world.customer(world.tenants()[0]).await;
    let request = WatchCustomersRequest { kinds: vec![ChangeKind::Synced.into()], ..from_now_on(CONTOSO) };
    let mut watcher = open(&world, request).await;
    watcher.checkpoint().await;
    with_note(&world, &customer, "Nobody wants to know.").await;
    world.guard.create(bakery()).await;
    world.change_email(world.tenants()[1], "wanted@customer.example");
    world.read_audit_log().await;
    let told = watcher.change().await;
    assert_eq!(told.kinds().collect::<Vec<_>>(), [ChangeKind::Synced]);
    assert_eq!(told.customer.expect("a customer").name, world.customer(world.tenants()[1]).await.name);
    world.end().await;
}

#[tokio::test]
async fn the_dash_watches_every_account_and_a_name_only_one() {
    let plan = Plan { partners: vec!["contoso", "fabrikam"], ..Plan::usual() };
    let world = World::with(plan, 2).await;
    let mut every = open(&world, watching(EVERY)).await;
    assert_eq!(every.snapshot().await.1.len(), 4);
    assert_eq!(every.checkpoint().await.accounts.len(), 2);
    let mut only = open(&world, watching(CONTOSO)).await;
    assert_eq!(only.snapshot().await.1.len(), 2);
    assert_eq!(only.checkpoint().await.accounts.len(), 1);
    let theirs = world.guard.try_create("fabrikam", bakery()).await.expect("a customer");
    let ours = world.guard.create(bakery()).await;
    assert_eq!(only.change().await.customer.expect("a customer").name, ours.name);
    let told = [every.change().await, every.change().await].map(|told| told.customer.expect("a customer").name);
    assert_eq!(told, [theirs.name, ours.name]);
    world.end().await;
}

#[tokio::test]
async fn a_basic_view_shows_no_personal_data() {
    let world = World::with_customers(0).await;
    let made = world.guard.create(bakery()).await;
    let basic = |request| WatchCustomersRequest { view: CustomerView::Basic.into(), ..request };
    let mut watcher = open(&world, basic(watching(CONTOSO))).await;
    let shown = Customer {
        primary_contact: None,
        billing_contact: None,
        labels: Default::default(),
        note: String::new(),
        external_reference: String::new(),
        ..made.clone()
    };
    assert_eq!(watcher.snapshot().await.1, [shown]);
    with_note(&world, &made, "Secret.").await;
    let told = watcher.change().await;
    assert_eq!(told.changed_fields.expect("a mask").paths, ["note"]);
    let customer = told.customer.expect("a customer");
    assert_eq!((customer.note.as_str(), customer.primary_contact, customer.revision), ("", None, 2));
    world.end().await;
}

fn only_account(checkpoint: Checkpoint) -> customer_guard::grpc::proto::AccountFreshness {
    let [account] = checkpoint.accounts.try_into().expect("one account");
    account
}

#[tokio::test]
async fn a_quiet_watch_tells_again_and_again_how_fresh_everything_is() {
    let world = World::with(talkative(), 3).await;
    world.read_audit_log().await;
    let mut watcher = open(&world, from_now_on(CONTOSO)).await;
    let first = only_account(watcher.checkpoint().await);
    assert_eq!((first.partner_account.as_str(), first.problem.as_str()), (CONTOSO, ""));
    let (fresh, polled) = (first.fresh_through.expect("it is fresh"), first.audit_polled_at.expect("it was read"));
    assert!(micros(fresh) <= micros(polled), "the reading began before it ended");
    assert!(first.listed_at.is_some());
    let began = Instant::now();
    let second = only_account(watcher.checkpoint().await);
    assert_eq!(second, first, "nothing has been read meanwhile");
    assert!(began.elapsed() >= QUIET / 2, "{:?}", began.elapsed());
    world.read_audit_log().await;
    let later = eventually("it becomes fresher", async || {
        let now = only_account(watcher.checkpoint().await);
        (now.audit_polled_at != first.audit_polled_at).then_some(now)
    })
    .await;
    assert!(micros(later.fresh_through.expect("it is fresh")) > micros(fresh));
    world.end().await;
}

#[tokio::test]
async fn an_account_is_not_fresh_while_a_change_it_was_told_of_is_not_fetched() {
    let world = World::with(talkative(), 3).await;
    world.read_audit_log().await;
    let mut watcher = open(&world, from_now_on(CONTOSO)).await;
    assert!(only_account(watcher.checkpoint().await).fresh_through.is_some());
    world.upstream.fault(Fault::always(Effect::Truncated).on(Route::Get));
    world.change_email(world.tenants()[0], "late@customer.example");
    world.advance(world.plan.audit_interval);
    let waiting = async || only_account(watcher.checkpoint().await).fresh_through.is_none().then_some(());
    eventually("it waits", waiting).await;
    world.upstream.mend();
    let told = eventually("it has come", async || {
        world.advance(Duration::from_secs(30));
        match watcher.next().await {
            Event::Change(change) => Some(change),
            Event::Checkpoint(checkpoint) => {
                assert_eq!(only_account(checkpoint).fresh_through, None, "the change comes before the freshness");
                None
            }
            other => panic!("{other:?}"),
        }
    })
    .await;
    assert_eq!(told.customer.expect("a customer").primary_contact.expect("a contact").email, "late@customer.example");
    let fresh = async || only_account(watcher.checkpoint().await).fresh_through;
    eventually("it is fresh again", fresh).await;
    world.end().await;
}

#[tokio::test]
async fn a_burst_is_followed_by_a_checkpoint_although_nothing_is_quiet_yet() {
    let world = World::with_customers(1).await;
    let mut watcher = from_now(&world).await;
    let customer = world.customer(world.tenants()[0]).await;
    with_note(&world, &customer, "One.").await;
    watcher.change().await;
    let began = Instant::now();
    watcher.checkpoint().await;
    assert!(began.elapsed() < Duration::from_secs(9), "not only after ten seconds: {:?}", began.elapsed());
    world.end().await;
}

#[tokio::test]
async fn what_keeps_an_account_from_being_synchronized_is_told() {
    let plan = Plan { partners: vec!["contoso"], wrong_secret_of: Some("contoso"), ..talkative() };
    let upstream = crate::harness::upstream::Upstream::start().await;
    let world = World::unsynchronized(plan, upstream).await;
    let mut watcher = open(&world, from_now_on(CONTOSO)).await;
    let problem = async || Some(only_account(watcher.checkpoint().await).problem).filter(|said| !said.is_empty());
    assert_eq!(eventually("a problem is told", problem).await, "CLIENT_SECRET_REFUSED");
    world.end().await;
}

#[tokio::test]
async fn a_request_with_problems_is_told_all_of_them() {
    let world = World::with_customers(1).await;
    let wrong = WatchCustomersRequest {
        parent: "contoso".to_owned(),
        cursor: String::new(),
        start: 77,
        kinds: vec![ChangeKind::Edited.into(), 0, 99],
        view: 55,
    };
    let told = Watcher::open(&world.guard.customers, wrong).await.err().expect("a refusal");
    assert_eq!(told.wrong_fields(), fields(["parent", "start", "kinds[1]", "kinds[2]", "view"]));
    let told = Watcher::open(&world.guard.customers, watching("partnerAccounts/nobody")).await.err();
    assert_eq!(told.expect("a refusal").reason(), "PARTNER_ACCOUNT_NOT_FOUND");
    world.end().await;
}

#[tokio::test]
async fn too_many_watches_are_turned_away_until_one_ends() {
    let plan = Plan { watching: WatchLimits { at_once: 2, ..WatchLimits::USUAL }, ..Plan::usual() };
    let world = World::with(plan, 1).await;
    let (first, _second) = (from_now(&world).await, from_now(&world).await);
    let told = Watcher::open(&world.guard.customers, watching(CONTOSO)).await.err().expect("a refusal");
    assert_eq!((told.code, told.reason().as_str()), (Code::Unavailable, "OVERLOADED"));
    assert!(told.retry_after().is_some());
    drop(first);
    eventually("there is room again", async || {
        Watcher::open(&world.guard.customers, watching(CONTOSO)).await.ok().map(|_| ())
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn who_takes_nothing_for_too_long_is_ended_and_resumes_at_its_cursor() {
    let patience = Duration::from_millis(300);
    let plan = Plan { watching: WatchLimits { patience, ..WatchLimits::USUAL }, ..Plan::usual() };
    let world = World::with(plan, 400).await;
    // So much as a network between holds, and no more.
    let endpoint = Endpoint::from_shared(format!("http://{}", world.guard.address)).expect("an address");
    let channel = endpoint.initial_stream_window_size(64 * 1024).connect_lazy();
    let client = customer_guard::grpc::proto::customer_service_client::CustomerServiceClient::new(channel);
    let mut watcher = Watcher::open(&client, watching(CONTOSO)).await.expect("a watch");
    let Event::SnapshotStart(_) = watcher.next().await else { panic!("a snapshot begins") };
    // A receiver that sleeps is the point here.
    tokio::time::sleep(patience * 3).await;
    let mut met = BTreeSet::new();
    let told = loop {
        match watcher.try_next().await {
            Ok(Event::SnapshotCustomer(customer)) => assert!(met.insert(customer.name)),
            Ok(other) => panic!("it was ended before {other:?}"),
            Err(told) => break told,
        }
    };
    assert_eq!((told.code, told.reason().as_str()), (Code::Aborted, "SLOW_CONSUMER"));
    assert!(!met.is_empty() && met.len() < 400, "{}", met.len());
    let mut watcher = open(&world, resuming(CONTOSO, &watcher.cursor)).await;
    let (rest, _) = watcher.rest_of_snapshot().await;
    assert!(rest.into_iter().all(|customer| met.insert(customer.name)));
    assert_eq!(met.len(), 400);
    world.end().await;
}

#[tokio::test]
async fn a_stop_ends_watches_at_once_with_what_to_do_next() {
    let world = World::with_customers(2).await;
    let quiet = from_now(&world).await;
    let mut resumed = from_now(&world).await;
    let customer = world.customer(world.tenants()[0]).await;
    with_note(&world, &customer, "Before.").await;
    resumed.change().await;
    let cursor = resumed.cursor.clone();
    let began = Instant::now();
    let (after, ended) =
        tokio::join!(world.restart(), soon("the watches end", async { [quiet.end().await, resumed.end().await] }));
    assert!(began.elapsed() < Duration::from_secs(15), "streams do not hold a stop up: {:?}", began.elapsed());
    for told in ended {
        assert_eq!((told.code, told.reason().as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
        assert!(told.retry_after().is_some());
    }
    let mut watcher = open(&after, resuming(CONTOSO, &cursor)).await;
    with_note(&after, &customer, "After.").await;
    assert_eq!(watcher.change().await.customer.expect("a customer").note, "After.");
    after.end().await;
}
