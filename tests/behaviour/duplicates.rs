//! One customer that the list shows several times.

use customer_guard::grpc::proto::{Relationship, SyncRun};
use customer_guard::simulator::customer::Relationship as Upstream;
use customer_guard::simulator::faults::Effect;
use uuid::Uuid;

use crate::harness::{Plan, World};
use crate::provenance::confirmed;

/// Twelve customers in pages of so many.
async fn twelve(page_size: u16) -> World {
    World::with(Plan { page_size, ..Plan::usual() }, 12).await
}

fn again(customer: Uuid, ahead: bool, relationship: Option<Upstream>, company_name: Option<&str>) -> Effect {
    Effect::ListedAgain { customer, ahead, relationship, company_name: company_name.map(str::to_owned) }
}

fn looks(world: &World) -> u64 {
    world.upstream.simulator.calls(world.contoso()).get
}

fn told(run: &SyncRun) -> (i64, i64, i64, i64) {
    (run.listed, run.duplicates, run.wanted, run.missing)
}

#[tokio::test]
async fn a_customer_that_is_shown_twice_alike_is_one_and_costs_nothing() {
    for page_size in [5, 500] {
        let world = twelve(page_size).await;
        let before = looks(&world);
        world.upstream.always([again(world.tenants()[0], false, None, None)]);
        assert_eq!(told(&world.read_list().await), (12, 1, 0, 0));
        assert_eq!(looks(&world), before);
        let night = world.pass_a_night().await;
        assert_eq!((told(&night), night.fetched), ((12, 1, 12, 0), 12));
        assert_eq!(world.guard.all("contoso").await.len(), 12);
        world.end().await;
    }
}

#[tokio::test]
async fn a_customer_in_two_roles_is_looked_at_once_and_no_more_whatever_their_order() {
    for page_size in [5, 500] {
        let world = twelve(page_size).await;
        let tenant = world.tenants()[0];
        let before = looks(&world);
        world.upstream.always([again(tenant, false, Some(Upstream::Advisor), None)]);
        assert_eq!(told(&world.read_list().await), (12, 1, 1, 0));
        assert!(looks(&world) > before, "which of them is right, the detail says");
        let shown = world.customer(tenant).await;
        assert_eq!((shown.upstream_relationship.as_str(), shown.relationship()), ("reseller", Relationship::Active));
        confirmed(&world).await;
        world.pass_a_night().await;
        let before = looks(&world);
        assert_eq!(told(&world.read_list().await), (12, 1, 0, 0));
        world.upstream.mend();
        world.upstream.always([again(tenant, true, Some(Upstream::Advisor), None)]);
        assert_eq!(told(&world.read_list().await), (12, 1, 0, 0));
        assert_eq!(told(&world.read_list().await), (12, 1, 0, 0));
        assert_eq!(looks(&world), before, "the same entries again say nothing new");
        world.end().await;
    }
}

#[tokio::test]
async fn a_further_name_among_the_entries_is_looked_at_and_the_detail_decides() {
    let world = twelve(5).await;
    let tenant = world.tenants()[3];
    let name = world.customer(tenant).await.company_name;
    for other in ["An Older Name", "A Still Older Name"] {
        world.upstream.mend();
        world.upstream.always([again(tenant, false, None, Some(other))]);
        assert_eq!(told(&world.read_list().await), (12, 1, 1, 0));
        assert_eq!(world.customer(tenant).await.company_name, name);
    }
    world.end().await;
}
