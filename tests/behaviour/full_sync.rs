//! The full sync: everybody arrives, once, level with Partner Center.

use std::collections::BTreeSet;
use std::time::Duration;

use customer_guard::grpc::proto::{SyncRunCause, SyncRunState};

use crate::harness::{Plan, World, eventually};

#[tokio::test]
async fn brings_every_customer_of_every_account_exactly_once() {
    let plan = Plan { partners: vec!["contoso", "northwind", "fabrikam"], ..Plan::usual() };
    let world = World::with(plan, 620).await;
    for account in ["contoso", "northwind", "fabrikam"] {
        let partner = world.upstream.partner(account).tenant_id;
        let there: BTreeSet<_> =
            world.upstream.simulator.customers(partner).iter().map(|one| one.id.to_string()).collect();
        let here = world.guard.all(account).await;
        let tenants: BTreeSet<_> = here.iter().map(|customer| customer.microsoft_tenant_id.clone()).collect();
        assert_eq!(here.len(), 620, "{account}");
        assert_eq!(tenants, there, "{account}");
    }
    world.end().await;
}

#[tokio::test]
async fn the_first_run_tells_what_it_did() {
    let world = World::with_customers(40).await;
    let run = world.guard.status("contoso").await.last_full_sync.expect("a run");
    assert_eq!(run.cause(), SyncRunCause::First);
    assert_eq!(run.state(), SyncRunState::Succeeded);
    assert_eq!((run.listed, run.wanted, run.fetched, run.created, run.changed), (40, 40, 40, 40, 0));
    world.end().await;
}

#[tokio::test]
async fn the_night_finds_what_no_signal_told() {
    let world = World::with_customers(25).await;
    let partner = world.contoso();
    let customer = world.upstream.simulator.customers(partner).swap_remove(3);
    let silently = |profile: &mut customer_guard::simulator::customer::BillingProfile| {
        profile.email = Some("night.owl@example.com".to_owned());
    };
    world.upstream.simulator.change_silently(partner, customer.id, silently).expect("a known customer");
    world.guard.clock.advance(Duration::from_secs(24 * 60 * 60));
    eventually("the night brings the new e-mail", async || {
        let found = world.guard.of_tenant("contoso", customer.id).await?;
        (found.primary_contact?.email == "night.owl@example.com").then_some(())
    })
    .await;
    world.end().await;
}
