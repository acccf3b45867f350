//! Pauses of one customer: nothing of it is applied, nothing of it is unlocked, and everybody else goes on.

use customer_guard::grpc::proto::{
    Customer, ListCustomersRequest, ListHoldsRequest, PauseCustomerRequest, Relationship, ResumeCustomerRequest,
    SyncRunState, SyncState,
};
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, Fault};
use customer_guard::simulator::operations::AuditTrail;
use tonic::Code;

use crate::harness::cast::{LINDEN, bakery};
use crate::harness::database::count;
use crate::harness::told::{Told, fields};
use crate::harness::{World, eventually, soon};

const FIRST: &str = "0198c0de-7000-4000-8000-000000000001";
const WHY: &str = "The customer disputes its own record.";

async fn try_pause(world: &World, name: &str, reason: &str, request_id: &str) -> Result<Customer, Told> {
    let request =
        PauseCustomerRequest { name: name.to_owned(), reason: reason.to_owned(), request_id: request_id.to_owned() };
    let answer = world.guard.sync.clone().pause_customer(request).await;
    answer.map(tonic::Response::into_inner).map_err(Told::from)
}

async fn try_resume(world: &World, name: &str, request_id: &str) -> Result<Customer, Told> {
    let request = ResumeCustomerRequest { name: name.to_owned(), request_id: request_id.to_owned() };
    let answer = world.guard.sync.clone().resume_customer(request).await;
    answer.map(tonic::Response::into_inner).map_err(Told::from)
}

async fn pause(world: &World, customer: &Customer) -> Customer {
    try_pause(world, &customer.name, WHY, "").await.expect("it is paused")
}

async fn resume(world: &World, customer: &Customer) -> Customer {
    try_resume(world, &customer.name, "").await.expect("it is resumed")
}

fn email(customer: &Customer) -> &str {
    &customer.primary_contact.as_ref().expect("a contact").email
}

#[tokio::test]
async fn a_change_in_partner_center_waits_for_the_resume_and_comes_with_it() {
    let (world, linden) = World::with_linden().await;
    let paused = pause(&world, &linden).await;
    let told = paused.pause.clone().expect("a pause");
    assert_eq!((told.paused_by.as_str(), told.reason.as_str()), ("loopback", WHY));
    assert_eq!(told.start_time, paused.update_time);
    assert_eq!((paused.sync_state(), paused.verify_due_by), (SyncState::Paused, None));
    assert_eq!((paused.verified_at, paused.revision), (linden.verified_at, linden.revision + 1));

    world.change_email(LINDEN, "during.the.pause@linden.example");
    world.read_audit_log().await;
    world.read_list().await;
    let run = world.pass_a_night().await;
    assert_eq!((run.state(), run.listed, run.wanted, run.fetched), (SyncRunState::Succeeded, 1, 0, 0));
    assert_eq!(world.guard.get(&linden.name).await, paused, "nothing was applied");
    let status = world.guard.status("contoso").await;
    assert_eq!((status.paused, status.backlog, status.active_customers), (1, 0, 1));
    assert_eq!(status.oldest_verified_at, None);

    let resumed = resume(&world, &linden).await;
    assert_eq!((resumed.sync_state(), resumed.pause.as_ref()), (SyncState::Synced, None));
    // At once: the time stands as far as anybody waits for it.
    let level = eventually("the change arrives", async || {
        let customer = world.guard.get(&linden.name).await;
        (email(&customer) == "during.the.pause@linden.example").then_some(customer)
    })
    .await;
    assert!(level.verify_due_by.is_some() && level.revision == linden.revision + 3, "{level:?}");
    let rows = "SELECT count(*) FROM change_log WHERE kind = 'STATE' AND actor = 'loopback' AND fields = ''";
    assert_eq!(count(&world.guard.database, rows).await, 2);
    world.end().await;
}

#[tokio::test]
async fn what_partner_center_owns_stays_locked_and_what_the_platform_owns_does_not() {
    let (world, linden) = World::with_linden().await;
    let mut edit = pause(&world, &linden).await;
    edit.primary_contact.get_or_insert_default().email = "free@elsewhere.example".to_owned();
    "ours".clone_into(&mut edit.note);
    let told = world.guard.refused(edit.clone(), &["primary_contact.email"]).await;
    assert_eq!(told.violated(), ["primary_contact.email"]);
    assert_eq!(told.edit_refused().verify_due_by, None, "nobody promises when it is level again");
    let edited = world.guard.update(edit, &["note"]).await;
    assert_eq!((edited.note.as_str(), edited.sync_state()), ("ours", SyncState::Paused));
    world.end().await;
}

#[tokio::test]
async fn an_answer_that_was_under_way_when_the_pause_came_is_not_applied() {
    let (world, linden) = World::with_linden().await;
    world.change_email_silently(LINDEN, "too.late@linden.example");
    world.upstream.fault(Fault::once(Effect::Delay { milliseconds: 500 }).on(Route::Get));
    let asked = world.upstream.simulator.calls(world.contoso()).get;
    let pause_it = async {
        let is_asked = async || (world.upstream.simulator.calls(world.contoso()).get > asked).then_some(());
        eventually("partner center is asked", is_asked).await;
        pause(&world, &linden).await
    };
    let (refreshed, paused) = tokio::join!(soon("a refresh", world.guard.refresh(&linden.name)), pause_it);
    assert_eq!(refreshed.expect_err("nobody looks any more").reason(), "CUSTOMER_PAUSED");
    // A night asks about nobody here, and ends after the late answer came.
    world.pass_a_night().await;
    assert_eq!(world.guard.get(&linden.name).await, paused);
    resume(&world, &linden).await;
    let arrived = async || (email(&world.guard.get(&linden.name).await) == "too.late@linden.example").then_some(());
    eventually("it is looked at again", arrived).await;
    world.end().await;
}

#[tokio::test]
async fn a_refresh_of_a_paused_customer_says_so_at_once() {
    let (world, linden) = World::with_linden().await;
    pause(&world, &linden).await;
    let asked = world.upstream.simulator.calls(world.contoso());
    let told = world.guard.refresh(&linden.name).await.expect_err("it is paused");
    assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "CUSTOMER_PAUSED"));
    assert_eq!(told.metadata("customer"), linden.name);
    assert_eq!(world.upstream.simulator.calls(world.contoso()).get, asked.get);
    world.end().await;
}

#[tokio::test]
async fn a_paused_customer_that_left_neither_ends_nor_waits_for_an_operator() {
    let world = World::with_customers(5).await;
    let tenant = world.tenants()[0];
    let customer = world.customer(tenant).await;
    pause(&world, &customer).await;
    world.upstream.simulator.remove_relationship(world.contoso(), tenant, AuditTrail::Recorded).expect("known");
    world.read_audit_log().await;
    for _ in 0..2 {
        assert_eq!(world.read_list().await.ended, 0);
    }
    let run = world.pass_a_night().await;
    assert_eq!((run.state(), run.wanted, run.fetched, run.missing, run.ended), (SyncRunState::Succeeded, 4, 4, 1, 0));
    let kept = world.customer(tenant).await;
    assert_eq!((kept.relationship(), kept.sync_state()), (Relationship::Active, SyncState::Paused));
    assert_eq!(world.guard.status("contoso").await.held_removals, 0);

    resume(&world, &customer).await;
    let looked_at = async || (world.guard.status("contoso").await.backlog == 0).then_some(());
    eventually("it is looked at", looked_at).await;
    world.read_list().await;
    assert_eq!(world.customer(tenant).await.relationship(), Relationship::Ended);
    world.end().await;
}

#[tokio::test]
async fn a_held_customer_that_is_paused_is_not_a_part_of_the_hold_meanwhile() {
    let world = World::with_customers(9).await;
    let tenants = world.tenants();
    for tenant in &tenants[..4] {
        world.upstream.simulator.remove_relationship(world.contoso(), *tenant, AuditTrail::Recorded).expect("known");
    }
    world.read_audit_log().await;
    world.read_list().await;
    let holds = async || {
        let request = ListHoldsRequest { parent: "partnerAccounts/contoso".to_owned() };
        world.guard.sync.clone().list_holds(request).await.expect("holds").into_inner().holds
    };
    let before = holds().await;
    let held = world.customer(tenants[0]).await;
    pause(&world, &held).await;
    assert_eq!(holds().await[0].customer_count, 3);
    assert_eq!(world.guard.status("contoso").await.held_removals, 3);
    assert_eq!(resume(&world, &held).await.sync_state(), SyncState::HeldForRemoval);
    assert_eq!(holds().await[0].name, before[0].name);
    world.end().await;
}

#[tokio::test]
async fn a_pause_outlives_a_restart_and_is_found_by_a_filter() {
    let world = World::with_customers(3).await;
    let customer = world.customer(world.tenants()[1]).await;
    let paused = pause(&world, &customer).await;
    let world = world.restart().await;
    assert_eq!(world.guard.get(&customer.name).await, paused);
    let found = async |filter: &str| {
        let parent = "partnerAccounts/contoso".to_owned();
        let request = ListCustomersRequest { parent, filter: filter.to_owned(), ..Default::default() };
        world.guard.customers.clone().list_customers(request).await.expect("a page").into_inner().customers
    };
    assert_eq!(found("sync_state = PAUSED").await, [paused]);
    assert_eq!(found("sync_state = SYNC_STATE_SYNCED").await.len(), 2);
    assert_eq!(found("sync_state != PAUSED").await.len(), 2);
    resume(&world, &customer).await;
    assert_eq!(found("sync_state = PAUSED").await, []);
    world.end().await;
}

#[tokio::test]
async fn pausing_twice_changes_only_the_reason_and_resuming_twice_nothing() {
    let (world, linden) = World::with_linden().await;
    let first = pause(&world, &linden).await;
    assert_eq!(pause(&world, &linden).await, first);
    let second = try_pause(&world, &linden.name, "  Another reason. ", "").await.expect("it is paused");
    let (before, after) = (first.pause.expect("a pause"), second.pause.expect("a pause"));
    assert_eq!((after.reason.as_str(), second.revision), ("Another reason.", first.revision + 1));
    assert_eq!((after.paused_by, after.start_time), (before.paused_by, before.start_time));
    resume(&world, &linden).await;
    let level = async || (world.guard.status("contoso").await.backlog == 0).then_some(());
    eventually("it is looked at", level).await;
    let level = world.guard.get(&linden.name).await;
    assert_eq!(resume(&world, &linden).await, level);
    world.end().await;
}

#[tokio::test]
async fn a_request_that_comes_again_has_one_effect_and_one_answer() {
    let (world, linden) = World::with_linden().await;
    let paused = try_pause(&world, &linden.name, WHY, FIRST).await.expect("it is paused");
    resume(&world, &linden).await;
    assert_eq!(try_pause(&world, &linden.name, WHY, FIRST).await.expect("the same answer"), paused);
    assert_eq!(world.guard.get(&linden.name).await.sync_state(), SyncState::Synced, "it has no second effect");
    for told in
        [try_pause(&world, &linden.name, "Another.", FIRST).await, try_resume(&world, &linden.name, FIRST).await]
    {
        assert_eq!(told.expect_err("another request").reason(), "REQUEST_ID_REUSED");
    }
    world.end().await;
}

#[tokio::test]
async fn whom_and_why_must_make_sense() {
    let world = World::with_customers(5).await;
    let ours = world.guard.create(bakery()).await;
    for told in [try_pause(&world, &ours.name, WHY, "").await, try_resume(&world, &ours.name, "").await] {
        let told = told.expect_err("the platform's own");
        assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "NOT_A_MICROSOFT_CUSTOMER"));
        assert_eq!(told.metadata("customer"), ours.name);
    }
    let nobody = ours.name.replace("partnerAccounts/contoso/customers/0", "partnerAccounts/contoso/customers/1");
    let told = try_pause(&world, &nobody, WHY, "").await.expect_err("nobody");
    assert_eq!((told.code, told.reason().as_str()), (Code::NotFound, "CUSTOMER_NOT_FOUND"));

    let tenant = world.tenants()[0];
    world.upstream.simulator.remove_relationship(world.contoso(), tenant, AuditTrail::Recorded).expect("known");
    world.read_audit_log().await;
    world.read_list().await;
    let ended = world.customer(tenant).await;
    let told = try_pause(&world, &ended.name, WHY, "").await.expect_err("it ended");
    assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "RELATIONSHIP_ENDED"));
    assert_eq!(resume(&world, &ended).await, ended);

    for reason in ["", "  ", "two\nlines", &"x".repeat(501)] {
        let told = try_pause(&world, "customers/7", reason, "seventeen").await.expect_err("nothing fits");
        assert_eq!(told.wrong_fields(), fields(["name", "reason", "request_id"]));
    }
    world.end().await;
}
