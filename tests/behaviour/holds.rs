//! Removals that are too many at once: an operator sees the set, and decides about exactly that set.

use customer_guard::grpc::proto::{
    ApproveHoldRequest, DismissHoldRequest, Hold, HoldState, ListHoldsRequest, Relationship, SyncState,
};
use customer_guard::simulator::faults::Effect;
use customer_guard::simulator::operations::{AuditTrail, NewCustomer};
use tonic::Code;
use uuid::Uuid;

use crate::harness::World;
use crate::harness::database::count;
use crate::harness::told::{Told, fields};

const FIRST: &str = "0198c0de-7000-4000-8000-000000000001";
const SECOND: &str = "0198c0de-7000-4000-8000-000000000002";

async fn try_list(world: &World, account: &str) -> Result<Vec<Hold>, Told> {
    let request = ListHoldsRequest { parent: format!("partnerAccounts/{account}") };
    let answer = world.guard.sync.clone().list_holds(request).await;
    answer.map(|answer| answer.into_inner().holds).map_err(Told::from)
}

/// The one hold of contoso, if there is one.
async fn hold(world: &World) -> Option<Hold> {
    let mut holds = try_list(world, "contoso").await.expect("holds");
    assert!(holds.len() <= 1, "{holds:?}");
    holds.pop()
}

async fn approve(world: &World, name: &str, request_id: &str) -> Result<Hold, Told> {
    let request = ApproveHoldRequest { name: name.to_owned(), request_id: request_id.to_owned() };
    let answer = world.guard.sync.clone().approve_hold(request).await;
    answer.map(tonic::Response::into_inner).map_err(Told::from)
}

async fn dismiss(world: &World, name: &str, request_id: &str) -> Result<Hold, Told> {
    let request = DismissHoldRequest { name: name.to_owned(), request_id: request_id.to_owned() };
    let answer = world.guard.sync.clone().dismiss_hold(request).await;
    answer.map(tonic::Response::into_inner).map_err(Told::from)
}

/// These leave; the audit log tells and the next list lacks them.
async fn leave(world: &World, tenants: &[Uuid]) {
    for tenant in tenants {
        let left = world.upstream.simulator.remove_relationship(world.contoso(), *tenant, AuditTrail::Recorded);
        left.expect("a known customer");
    }
    world.read_audit_log().await;
    world.read_list().await;
}

async fn come_back(world: &World, tenant: Uuid) {
    let returning = NewCustomer { id: Some(tenant), ..NewCustomer::default() };
    world.upstream.simulator.accept_customer(world.contoso(), returning).expect("a returning customer");
    world.read_audit_log().await;
}

/// So many customers of which the first five have left and are held, and the hold.
async fn with_five_held_of(customers: usize) -> (World, Vec<Uuid>, Hold) {
    let world = World::with_customers(customers).await;
    let tenants = world.tenants();
    leave(&world, &tenants[..5]).await;
    let waiting = hold(&world).await.expect("five wait");
    assert_eq!(waiting.customer_count, 5);
    (world, tenants, waiting)
}

async fn assert_all(world: &World, tenants: &[Uuid], relationship: Relationship, state: SyncState) {
    for tenant in tenants {
        let customer = world.customer(*tenant).await;
        assert_eq!((customer.relationship(), customer.sync_state()), (relationship, state), "{tenant}");
    }
}

#[tokio::test]
async fn five_percent_at_once_wait_and_end_when_they_are_approved() {
    let (world, tenants, waiting) = with_five_held_of(100).await;
    assert_all(&world, &tenants[..5], Relationship::Active, SyncState::HeldForRemoval).await;
    assert_eq!((waiting.state(), waiting.active_customers, waiting.limit), (HoldState::Waiting, 100, 3));
    assert!(waiting.create_time.is_some());
    let told: Vec<_> = waiting.customers.iter().map(|held| held.microsoft_tenant_id.clone()).collect();
    assert_eq!(told, tenants[..5].iter().map(Uuid::to_string).collect::<Vec<_>>());
    for held in &waiting.customers {
        let customer = world.guard.get(&held.customer).await;
        assert_eq!(
            (&held.company_name, &held.microsoft_tenant_id),
            (&customer.company_name, &customer.microsoft_tenant_id)
        );
        assert_eq!((held.missing_runs, held.removal_recorded, held.gone_answer.as_str()), (1, true, "403/20002"));
    }

    let approved = approve(&world, &waiting.name, "").await.expect("it is approved");
    assert_eq!(approved, Hold { state: HoldState::Approved.into(), ..waiting });
    assert_all(&world, &tenants[..5], Relationship::Ended, SyncState::Ended).await;
    assert_eq!(hold(&world).await, None);
    let status = world.guard.status("contoso").await;
    assert_eq!((status.active_customers, status.held_removals), (95, 0));
    let by_operator = "SELECT count(*) FROM change_log WHERE kind = 'ENDED' AND actor = 'loopback' AND run_id IS NULL";
    assert_eq!(count(&world.guard.database, by_operator).await, 5);

    // From then on a few end by themselves again, and who left may return.
    leave(&world, &tenants[5..6]).await;
    assert_all(&world, &tenants[5..6], Relationship::Ended, SyncState::Ended).await;
    come_back(&world, tenants[0]).await;
    assert_all(&world, &tenants[..1], Relationship::Active, SyncState::Synced).await;
    assert_all(&world, &tenants[6..], Relationship::Active, SyncState::Synced).await;
    world.end().await;
}

#[tokio::test]
async fn another_customer_that_comes_to_wait_makes_it_another_hold() {
    let (world, tenants, seen) = with_five_held_of(20).await;
    leave(&world, &tenants[5..6]).await;
    let present = hold(&world).await.expect("six wait");
    assert_eq!(present.customer_count, 6);
    assert_ne!(present.name, seen.name);
    for told in [approve(&world, &seen.name, "").await, dismiss(&world, &seen.name, "").await] {
        let told = told.expect_err("another set");
        assert_eq!((told.code, told.reason().as_str()), (Code::Aborted, "HOLD_CHANGED"));
        assert_eq!(told.metadata("hold"), present.name);
    }
    assert_all(&world, &tenants[..6], Relationship::Active, SyncState::HeldForRemoval).await;
    approve(&world, &present.name, "").await.expect("it is approved");
    assert_all(&world, &tenants[..6], Relationship::Ended, SyncState::Ended).await;
    world.end().await;
}

#[tokio::test]
async fn r15_a_returned_customer_leaves_the_hold_and_the_rest_can_be_approved() {
    let (world, tenants, seen) = with_five_held_of(20).await;
    come_back(&world, tenants[0]).await;
    let present = hold(&world).await.expect("four wait");
    assert_eq!(present.customer_count, 4);
    let told = approve(&world, &seen.name, "").await.expect_err("another set");
    assert_eq!((told.reason(), told.metadata("hold")), ("HOLD_CHANGED".to_owned(), present.name.clone()));
    approve(&world, &present.name, "").await.expect("it is approved");
    assert_all(&world, &tenants[..1], Relationship::Active, SyncState::Synced).await;
    assert_all(&world, &tenants[1..5], Relationship::Ended, SyncState::Ended).await;
    world.end().await;
}

#[tokio::test]
async fn a_dismissed_set_stays_and_waits_again_on_new_evidence_only() {
    let (world, tenants, seen) = with_five_held_of(20).await;
    let dismissed = dismiss(&world, &seen.name, "").await.expect("it is dismissed");
    assert_eq!(dismissed, Hold { state: HoldState::Dismissed.into(), ..seen.clone() });
    assert_all(&world, &tenants[..5], Relationship::Active, SyncState::Synced).await;
    assert_eq!((hold(&world).await, world.guard.status("contoso").await.held_removals), (None, 0));
    // The audit record from before no longer counts: one list is not enough.
    world.read_list().await;
    assert_eq!(hold(&world).await, None);
    world.read_list().await;
    let again = hold(&world).await.expect("five wait again");
    assert_eq!((again.name, again.customer_count), (seen.name, 5));
    for held in again.customers {
        assert_eq!((held.missing_runs, held.removal_recorded), (2, false));
    }
    world.end().await;
}

#[tokio::test]
async fn the_few_that_are_left_of_a_dismissed_set_are_held_and_not_ended() {
    let (world, tenants, seen) = with_five_held_of(20).await;
    dismiss(&world, &seen.name, "").await.expect("it is dismissed");
    for tenant in &tenants[..3] {
        come_back(&world, *tenant).await;
    }
    for _ in 0..3 {
        world.read_list().await;
    }
    // Two are few enough to end, but an operator has said that they stay.
    assert_all(&world, &tenants[3..5], Relationship::Active, SyncState::HeldForRemoval).await;
    let again = hold(&world).await.expect("two wait");
    approve(&world, &again.name, "").await.expect("it is approved");
    assert_all(&world, &tenants[3..5], Relationship::Ended, SyncState::Ended).await;
    world.end().await;
}

#[tokio::test]
async fn held_customers_that_are_listed_again_and_still_not_found_leave_the_hold() {
    let world = World::with_customers(9).await;
    let tenants = world.tenants();
    let not_found = || tenants[..4].iter().map(|tenant| Effect::DetailNotFound { customer: *tenant });
    world.upstream.always(not_found());
    world.upstream.always(tenants[..4].iter().map(|tenant| Effect::HideFromList { customer: *tenant }));
    world.read_list().await;
    world.read_list().await;
    assert_eq!(hold(&world).await.expect("four wait").customer_count, 4);
    world.upstream.mend();
    world.upstream.always(not_found());
    world.read_list().await;
    assert_eq!((hold(&world).await, world.guard.status("contoso").await.held_removals), (None, 0));
    assert_all(&world, &tenants, Relationship::Active, SyncState::Synced).await;
    world.end().await;
}

#[tokio::test]
async fn a_decision_that_comes_again_is_answered_as_it_was_also_after_a_restart() {
    let (world, tenants, seen) = with_five_held_of(20).await;
    let approved = approve(&world, &seen.name, FIRST).await.expect("it is approved");
    assert_eq!(approve(&world, &seen.name, FIRST).await.expect("the same answer"), approved);
    let world = world.restart().await;
    assert_eq!(approve(&world, &seen.name, FIRST).await.expect("the same answer"), approved);
    let told = dismiss(&world, &seen.name, FIRST).await.expect_err("another request");
    assert_eq!((told.code, told.reason().as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
    let told = approve(&world, &seen.name, SECOND).await.expect_err("nobody waits");
    assert_eq!((told.code, told.reason().as_str()), (Code::NotFound, "HOLD_NOT_FOUND"));
    assert_eq!(told.metadata("hold"), seen.name);

    leave(&world, &tenants[5..10]).await;
    let other = hold(&world).await.expect("five others wait");
    let dismissed = dismiss(&world, &other.name, SECOND).await.expect("it is dismissed");
    assert_eq!(dismiss(&world, &other.name, SECOND).await.expect("the same answer"), dismissed);
    world.end().await;
}

#[tokio::test]
async fn names_that_are_none_and_accounts_that_do_not_exist_are_told() {
    let world = World::with_customers(1).await;
    assert_eq!(hold(&world).await, None);
    let told = try_list(&world, "nobody").await.expect_err("no such account");
    assert_eq!((told.code, told.reason().as_str()), (Code::NotFound, "PARTNER_ACCOUNT_NOT_FOUND"));
    let none = "0".repeat(32);
    let told = approve(&world, &format!("partnerAccounts/nobody/holds/{none}"), "").await.expect_err("no such account");
    assert_eq!(told.reason(), "PARTNER_ACCOUNT_NOT_FOUND");
    let told = approve(&world, &format!("partnerAccounts/contoso/holds/{none}"), "").await.expect_err("nobody waits");
    assert_eq!(told.reason(), "HOLD_NOT_FOUND");
    let told = dismiss(&world, "partnerAccounts/contoso/holds/all", "seventeen").await.expect_err("no names");
    assert_eq!(told.wrong_fields(), fields(["name", "request_id"]));
    world.end().await;
}
