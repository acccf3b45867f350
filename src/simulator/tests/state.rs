//! What a state file keeps, and the size of it all.

use super::*;
use crate::simulator::operations::{AuditTrail, NewCustomer};

#[tokio::test]
async fn a_second_run_finds_the_same_upstream() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("upstream.json");
    let world = World::with(5).await;
    let contoso = world.contoso;
    let gone = world.first().id;
    let page = world.get("/v1/customers?size=2").await;
    let new = NewCustomer::default();
    world.simulator.accept_customer(contoso, new).unwrap();
    let trail = AuditTrail::Recorded;
    world.simulator.remove_relationship(contoso, gone, trail).unwrap();
    let url = "https://other.example/hook";
    world.simulator.set_foreign_registration(contoso, url).unwrap();
    world.simulator.save(&path).unwrap();

    let second = World::serving(Simulator::load(&path).unwrap()).await;
    assert_eq!(second.simulator.customers(contoso), world.simulator.customers(contoso));
    assert_eq!(second.simulator.audit_records(contoso), world.simulator.audit_records(contoso));
    assert_eq!(second.simulator.registration(contoso), world.simulator.registration(contoso));
    assert_eq!(second.follow(&page).await.status, 200);
    assert_eq!(second.get(&detail(gone)).await.status, 403);
}

#[tokio::test]
async fn every_control_change_is_saved_before_it_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("upstream.json");
    let world = World::with(0).await;
    world.simulator.keep_state_in(path.clone());
    let accept = "/control/v1/partners/contoso/customers/accept";
    world.send(Method::POST, accept, json!({})).await;
    let saved = Simulator::load(&path).unwrap();
    assert_eq!(saved.customers(world.contoso), world.simulator.customers(world.contoso));
    assert_eq!(saved.customer_count(world.contoso), 1);
}

#[tokio::test]
async fn a_drawn_customer_after_a_restart_is_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("upstream.json");
    let world = World::with(0).await;
    let accept = |simulator: &Simulator| {
        let new = NewCustomer::default();
        simulator.accept_customer(world.contoso, new).unwrap().id
    };
    let first = accept(&world.simulator);
    world.simulator.save(&path).unwrap();
    let second = accept(&Simulator::load(&path).unwrap());
    assert_ne!(first, second);
}

#[test]
fn a_file_of_another_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("upstream.json");
    let text = r#"{"version":2,"clock_ahead_microseconds":0,"partners":[]}"#;
    std::fs::write(&path, text).unwrap();
    let error = Simulator::load(&path).err().unwrap();
    assert_eq!(error.to_string(), "the state file has version 2, not 1");
}
