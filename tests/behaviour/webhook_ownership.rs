//! Whose the single webhook registration is: made where it is nobody's, watched, and never taken from anybody.

use std::time::Duration;

use axum::http::StatusCode;
use customer_guard::domain::webhook::PublicUrl;
use customer_guard::grpc::proto::IncrementalMode;
use customer_guard::simulator::operations::NewCustomer;
use customer_guard::simulator::registration::Registration;

use crate::harness::eventually;
use crate::harness::hooks::{Hooked, PUBLIC, Post};
use crate::harness::upstream::Upstream;

const FOREIGN: &str = "https://hooks.other.example/hook?key=their-secret";

fn registered(hooked: &Hooked) -> Option<Registration> {
    hooked.world.upstream.simulator.registration(hooked.world.contoso())
}

fn writes(hooked: &Hooked) -> u64 {
    hooked.world.upstream.simulator.calls(hooked.world.contoso()).registration_writes
}

/// A service whose partner's registration is somebody else's.
async fn with_a_foreign_registration(replace: Option<&str>) -> Hooked {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 1);
    upstream.simulator.set_foreign_registration(upstream.contoso(), FOREIGN).expect("a known partner");
    let replace = replace.map(str::to_owned);
    Hooked::of(upstream, |plan| plan.webhook_replace_url = replace).await
}

#[tokio::test]
async fn a_registration_that_is_nobody_s_is_made_and_heard_from() {
    let hooked = Hooked::start().await;
    let made = registered(&hooked).expect("a registration");
    let secret = made.webhook_url.strip_prefix(&format!("{PUBLIC}/webhooks/v1/contoso/")).expect("our path");
    assert_eq!(secret.len(), 43, "256 bits");
    assert!(made.signature_token_to_ms_signature_header);
    for event in ["test-created", "reseller-relationship-accepted-by-customer"] {
        assert!(made.webhook_events.iter().any(|name| name == event), "{event}");
    }
    assert!(!made.webhook_events.iter().any(|name| name == "invoice-ready"), "what is of no use is not asked for");
    assert_eq!(writes(&hooked), 2, "the registration, and the wish for a test event");
    hooked.look_at_the_registration().await;
    assert_eq!((registered(&hooked), writes(&hooked)), (Some(made), 2), "it is left as it is");
    hooked.end().await;
}

#[tokio::test]
async fn a_foreign_registration_is_never_touched_and_shown_by_its_host_only() {
    let hooked = with_a_foreign_registration(Some("https://hooks.other.example/hook")).await;
    let before = registered(&hooked);
    let reason = hooked.wait_for_mode(IncrementalMode::AuditLogForeignWebhook).await;
    assert!(reason.contains("hooks.other.example") && !reason.contains("their-secret"), "{reason}");
    for _ in 0..2 {
        hooked.look_at_the_registration().await;
    }
    let hooked = hooked.restart().await;
    hooked.look_at_the_registration().await;
    assert_eq!((registered(&hooked), writes(&hooked)), (before, 0));
    hooked.end().await;
}

#[tokio::test]
async fn a_foreign_registration_that_is_named_exactly_is_replaced() {
    let hooked = with_a_foreign_registration(Some(FOREIGN)).await;
    hooked.wait_for_mode(IncrementalMode::Webhook).await;
    assert!(hooked.path().starts_with("/webhooks/v1/contoso/"));
    let tenant = hooked.world.tenants()[0];
    assert_eq!(hooked.send(&hooked.event(tenant)).await, StatusCode::OK);
    hooked.end().await;
}

#[tokio::test]
async fn a_registration_that_somebody_takes_is_lost_and_stays_theirs() {
    let hooked = Hooked::start().await;
    let simulator = &hooked.world.upstream.simulator;
    simulator.set_foreign_registration(hooked.world.contoso(), FOREIGN).expect("a known partner");
    let (theirs, before) = (registered(&hooked), writes(&hooked));
    hooked.look_at_the_registration().await;
    let reason = hooked.wait_for_mode(IncrementalMode::AuditLogLostWebhook).await;
    assert!(reason.contains("hooks.other.example since 2") && !reason.contains("their-secret"), "{reason}");
    hooked.look_at_the_registration().await;
    let hooked = hooked.restart().await;
    hooked.look_at_the_registration().await;
    assert_eq!(hooked.wait_for_mode(IncrementalMode::AuditLogLostWebhook).await, reason, "the same time is told");
    assert_eq!((registered(&hooked), writes(&hooked)), (theirs, before));
    // The audit log is read as ever.
    let tenant = hooked.world.tenants()[0];
    hooked.world.change_email(tenant, "by-audit@example.com");
    hooked.world.read_audit_log().await;
    let contact = hooked.world.customer(tenant).await.primary_contact.expect("a contact");
    assert_eq!(contact.email, "by-audit@example.com");
    hooked.end().await;
}

#[tokio::test]
async fn a_registration_that_vanished_is_made_again() {
    let hooked = Hooked::start().await;
    let before = registered(&hooked).expect("ours");
    hooked.world.upstream.simulator.remove_registration(hooked.world.contoso()).expect("a known partner");
    hooked.look_at_the_registration().await;
    let again = eventually("it is made again", async || registered(&hooked)).await;
    assert_ne!(again.webhook_url, before.webhook_url, "nobody keeps a secret that could be registered again");
    assert_eq!(again.webhook_events, before.webhook_events);
    hooked.wait_for_mode(IncrementalMode::Webhook).await;
    hooked.end().await;
}

#[tokio::test]
async fn a_registration_of_ours_follows_our_address_and_events() {
    let mut hooked = Hooked::start().await;
    let path = hooked.path();
    let moved = "https://elsewhere.guard.example/hooks";
    let webhook = hooked.world.plan.webhook.as_mut().expect("it listens");
    webhook.public_url = PublicUrl::new(moved).expect("an address");
    let hooked = hooked.restart().await;
    let is_moved = async || registered(&hooked).filter(|made| made.webhook_url == format!("{moved}{path}"));
    eventually("it is at the new address", is_moved).await;
    hooked.end().await;
}

#[tokio::test]
async fn an_account_of_the_api_is_registered_as_well_and_takes_nothing_from_anybody() {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 1);
    upstream.seed("northwind", 2);
    let hooked = Hooked::of(upstream, |_| ()).await;
    hooked.wait_for_mode(IncrementalMode::Webhook).await;
    let world = &hooked.world;
    let northwind = world.upstream.partner("northwind").tenant_id;
    world.add_account("northwind").await;
    let somewhere = Post { path: format!("/webhooks/v1/northwind/{}", "A".repeat(43)), ..hooked.event(northwind) };
    assert_eq!(hooked.send(&somewhere).await, StatusCode::NOT_FOUND, "no event is expected yet");
    world.give_credentials("northwind").await;
    world.guard.wait_for_first_sync("northwind").await;
    eventually("events of northwind come", async || {
        let status = world.guard.status("northwind").await;
        (status.incremental_mode() == IncrementalMode::Webhook).then_some(())
    })
    .await;
    let made = world.upstream.simulator.registration(northwind).expect("a registration");
    let path = made.webhook_url.strip_prefix(PUBLIC).expect("ours");
    assert!(path.starts_with("/webhooks/v1/northwind/"));
    let new = world.upstream.simulator.accept_customer(northwind, NewCustomer::default()).expect("a customer").id;
    eventually("the customer is visible", async || world.guard.of_tenant("northwind", new).await).await;

    world.upstream.simulator.set_foreign_registration(northwind, FOREIGN).expect("a known partner");
    world.advance(Duration::from_secs(3600));
    eventually("northwind's registration is lost", async || {
        let status = world.guard.status("northwind").await;
        (status.incremental_mode() == IncrementalMode::AuditLogLostWebhook).then_some(())
    })
    .await;
    assert_eq!(world.upstream.simulator.registration(northwind).expect("theirs").webhook_url, FOREIGN);
    hooked.end().await;
}
