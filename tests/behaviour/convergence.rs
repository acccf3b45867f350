//! Whatever order things happen in, two quiet nights later everything is level, and no caller's value ever stood where
//! Partner Center's belongs.

use std::collections::BTreeMap;
use std::time::Duration;

use customer_guard::domain::text::tidy;
use customer_guard::grpc::proto::{Customer, Relationship, SyncState};
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, ErrorBody, Fault, RetryAfter, WrongBody};
use customer_guard::simulator::operations::{AuditTrail, NewCustomer};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use crate::harness::cast::bakery;
use crate::harness::{Plan, World, eventually};

/// What no caller may ever get into a guarded field.
const FORBIDDEN: &str = "caller@forbidden.example";

fn fault(chance: &mut StdRng) -> Fault {
    let effects = [
        Effect::ServerError { status: 503, body: ErrorBody::Empty },
        Effect::Truncated,
        Effect::ConnectionReset,
        Effect::WrongBody { body: WrongBody::EmptyObject },
        Effect::Throttled { retry_after: RetryAfter::Seconds(5) },
        Effect::EmptyList,
        Effect::ShortList { items: 2 },
        Effect::DuplicateAcrossPages,
        Effect::ExpireContinuation,
        Effect::Unauthorized,
        Effect::Forbidden { code: 20002 },
    ];
    let effect = effects[chance.random_range(0..effects.len())].clone();
    match effect {
        Effect::Forbidden { .. } => Fault::once(effect).on(Route::Get),
        other => Fault::once(other),
    }
}

/// One thing that happens in Partner Center.
fn play_microsoft(world: &World, chance: &mut StdRng, step: usize) {
    let (simulator, contoso) = (&world.upstream.simulator, world.contoso());
    let tenants = world.tenants();
    let tenant = tenants[chance.random_range(0..tenants.len())];
    match chance.random_range(0..7) {
        0 | 1 => world.change_email(tenant, &format!("recorded{step}@example.com")),
        2 => world.change_email_silently(tenant, &format!("silent{step}@example.com")),
        3 => simulator.rename(contoso, tenant, &format!("Renamed {step}")).expect("a known customer"),
        4 => drop(simulator.accept_customer(contoso, NewCustomer::default()).expect("a new customer")),
        5 if tenants.len() > 10 => {
            let trail = if chance.random_bool(0.5) { AuditTrail::Recorded } else { AuditTrail::Omitted };
            simulator.remove_relationship(contoso, tenant, trail).expect("a known customer");
            if chance.random_bool(0.5) {
                let returning = NewCustomer { id: Some(tenant), ..NewCustomer::default() };
                simulator.accept_customer(contoso, returning).expect("a returning customer");
            }
        }
        _ => world.upstream.fault(fault(chance)),
    }
}

/// One thing a caller does: edits that must be refused, and edits that must not.
async fn play_caller(world: &World, chance: &mut StdRng, step: usize) {
    let customers = world.guard.all("contoso").await;
    let Some(customer) = customers.get(chance.random_range(0..customers.len().max(1))) else { return };
    let mut edit = Customer { etag: String::new(), ..customer.clone() };
    if edit.relationship() == Relationship::Active && chance.random_bool(0.5) {
        edit.primary_contact.get_or_insert_default().email = FORBIDDEN.to_owned();
        let told = world.guard.refused(edit, &["primary_contact.email"]).await;
        assert_eq!(told.reason(), "FIELD_OWNED_BY_PARTNER_CENTER");
    } else if chance.random_bool(0.8) {
        edit.labels.insert("step".to_owned(), step.to_string());
        world.guard.update(edit, &["labels"]).await;
    } else {
        world.guard.create(bakery()).await;
    }
}

async fn assert_level(world: &World) {
    let mut here: BTreeMap<String, Customer> = BTreeMap::new();
    for customer in world.guard.all("contoso").await {
        let is_ours = customer.microsoft_tenant_id.is_empty();
        assert!(is_ours || here.insert(customer.microsoft_tenant_id.clone(), customer).is_none(), "a tenant twice");
    }
    for there in world.upstream.simulator.customers(world.contoso()) {
        let found = here.remove(&there.id.to_string()).expect("everybody is here");
        assert_eq!((found.relationship(), found.sync_state()), (Relationship::Active, SyncState::Synced));
        assert_eq!(found.billing_contact, found.primary_contact);
        assert_eq!(
            found.primary_contact.expect("a contact").email,
            tidy(&there.billing_profile.email.unwrap_or_default())
        );
        assert_eq!(found.company_name, tidy(&there.billing_profile.company_name.unwrap_or(there.tenant_name)));
    }
    for gone in here.values() {
        assert!(matches!(gone.sync_state(), SyncState::Ended | SyncState::HeldForRemoval), "{:?}", gone.sync_state());
    }
}

/// Sixty steps, then quiet.
async fn converges(seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut world = World::with(Plan { page_size: 5, ..Plan::usual() }, 12).await;
    for step in 0..60 {
        match chance.random_range(0..10) {
            0..5 => play_microsoft(&world, &mut chance, step),
            5..8 => play_caller(&world, &mut chance, step).await,
            8 => world.advance(Duration::from_secs(chance.random_range(1..2_000))),
            _ => world = world.restart().await,
        }
    }
    world.upstream.mend();
    world.advance(Duration::from_secs(20 * 60));
    for _ in 0..2 {
        world.pass_a_night().await;
    }
    eventually("nothing is left to do", async || (world.guard.status("contoso").await.backlog == 0).then_some(()))
        .await;
    assert_level(&world).await;
    world.end().await;
}

#[tokio::test]
async fn of_one_history() {
    converges(1).await;
}

#[tokio::test]
async fn of_another_history() {
    converges(2).await;
}

#[tokio::test]
async fn of_a_third_history() {
    converges(3).await;
}

#[tokio::test]
async fn of_a_tenant_that_comes_and_goes_every_quarter_of_an_hour() {
    let world = World::with_customers(6).await;
    let tenant: Uuid = world.tenants()[0];
    let name = world.customer(tenant).await.name;
    for turn in 0..4 {
        let trail = if turn % 2 == 0 { AuditTrail::Recorded } else { AuditTrail::Omitted };
        world.upstream.simulator.remove_relationship(world.contoso(), tenant, trail).expect("a known customer");
        world.read_audit_log().await;
        world.read_list().await;
        let returning = NewCustomer { id: Some(tenant), ..NewCustomer::default() };
        world.upstream.simulator.accept_customer(world.contoso(), returning).expect("a returning customer");
        world.read_audit_log().await;
        world.read_list().await;
        let back = world.customer(tenant).await;
        assert_eq!((back.sync_state(), &back.name), (SyncState::Synced, &name), "turn {turn}");
    }
    assert_level(&world).await;
    world.end().await;
}
