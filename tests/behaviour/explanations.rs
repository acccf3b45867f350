//! Why a customer is here, or why not: every reason has a verdict of its own.

use customer_guard::grpc::proto::explain_customer_request::Key;
use customer_guard::grpc::proto::{
    Customer, CustomerExplanation, ExplainCustomerRequest, ExplanationVerdict, LiveOutcome, PauseCustomerRequest,
    Relationship, SyncState,
};
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, ErrorBody, Fault};
use customer_guard::simulator::operations::{AuditTrail, NewCustomer};
use tonic::Code;
use uuid::Uuid;

use crate::harness::cast::{LINDEN, bakery, linden_profile};
use crate::harness::told::{Told, fields};
use crate::harness::upstream::Upstream;
use crate::harness::{Plan, World, eventually, soon};

const STRANGER: Uuid = Uuid::from_u128(0x5757_0000_0000_4000_8000_0000_0000_0007);

async fn try_explain(world: &World, parent: &str, key: Option<Key>) -> Result<CustomerExplanation, Told> {
    let request = ExplainCustomerRequest { parent: parent.to_owned(), key };
    let answer = soon("an explanation", world.guard.sync.clone().explain_customer(request)).await;
    answer.map(tonic::Response::into_inner).map_err(Told::from)
}

async fn explain(world: &World, key: Key) -> CustomerExplanation {
    let told = try_explain(world, "partnerAccounts/contoso", Some(key)).await.expect("an explanation");
    assert!(told.explanation.ends_with('.'), "{told:?}");
    assert!(!told.explanation.contains('@') && !told.remedy.contains('@'), "{told:?}");
    assert_eq!(
        told.live_answer.as_ref().is_some_and(|live| live.ask_time.is_some()),
        outcome(&told) != LiveOutcome::Unspecified
    );
    told
}

async fn explain_tenant(world: &World, tenant: Uuid) -> CustomerExplanation {
    let told = explain(world, Key::MicrosoftTenantId(tenant.to_string())).await;
    assert_eq!(told.microsoft_tenant_id, tenant.to_string());
    told
}

fn outcome(told: &CustomerExplanation) -> LiveOutcome {
    told.live_answer.as_ref().expect("a live answer").outcome()
}

fn detail(told: &CustomerExplanation) -> &str {
    &told.live_answer.as_ref().expect("a live answer").detail
}

fn leave(world: &World, tenant: Uuid, trail: AuditTrail) {
    world.upstream.simulator.remove_relationship(world.contoso(), tenant, trail).expect("a known customer");
}

/// Contoso accepts a customer, and the audit log does not tell.
fn arrive_silently(world: &World, tenant: Uuid, domain: &str) {
    world.upstream.simulator.set_knobs(world.contoso(), |knobs| knobs.acceptance_audited = false).expect("known");
    let new = NewCustomer {
        id: Some(tenant),
        domain: Some(domain.to_owned()),
        billing_profile: Some(linden_profile()),
        ..NewCustomer::default()
    };
    world.upstream.simulator.accept_customer(world.contoso(), new).expect("a new customer");
}

/// Waits for a record without moving the time.
async fn wait_for(world: &World, tenant: Uuid, relationship: Relationship) -> Customer {
    eventually("the customer is fetched", async || {
        let found = world.guard.of_tenant("contoso", tenant).await?;
        (found.relationship() == relationship).then_some(found)
    })
    .await
}

#[tokio::test]
async fn a_customer_that_is_level_is_synced_by_whatever_key() {
    let (world, linden) = World::with_linden().await;
    for key in [
        Key::MicrosoftTenantId(LINDEN.to_string()),
        Key::Domain(linden.domain.to_uppercase()),
        Key::Customer(linden.name.clone()),
    ] {
        let told = explain(&world, key).await;
        assert_eq!((told.verdict(), outcome(&told)), (ExplanationVerdict::Synced, LiveOutcome::Present));
        assert_eq!((told.sync_state(), told.remedy.as_str()), (SyncState::Synced, ""));
        assert_eq!((&told.customer, &told.microsoft_tenant_id), (&linden.name, &linden.microsoft_tenant_id));
        assert_eq!((told.verified_at, told.listed), (linden.verified_at, true));
        assert!(told.listed_at.is_some() && told.first_seen_at.is_some(), "{told:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_quarantined_customer_is_told_its_reason_with_a_record_and_without() {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 2);
    let [never, later] = [0, 1].map(|place| upstream.simulator.customers(upstream.contoso())[place].id);
    upstream.always([Effect::NullBillingProfile { customer: never }]);
    let world = World::unsynchronized(Plan::usual(), upstream).await;
    world.guard.wait_for_first_sync("contoso").await;
    world.upstream.always([Effect::NullBillingProfile { customer: later }]);
    // Before anybody noticed: the live answer tells, and has it looked at.
    let told = explain_tenant(&world, later).await;
    assert_eq!((told.verdict(), told.sync_state()), (ExplanationVerdict::Quarantined, SyncState::Synced));
    eventually("it is noted", async || {
        (world.customer(later).await.sync_state() == SyncState::Quarantined).then_some(())
    })
    .await;
    for (tenant, has_record) in [(never, false), (later, true)] {
        let told = explain_tenant(&world, tenant).await;
        assert_eq!((told.verdict(), outcome(&told)), (ExplanationVerdict::Quarantined, LiveOutcome::Unusable));
        assert_eq!((told.sync_state(), told.customer.is_empty()), (SyncState::Quarantined, !has_record));
        assert!(!told.quarantine_reason.is_empty() && !told.remedy.is_empty(), "{told:?}");
    }
    // Also when nobody can ask.
    let error = Effect::ServerError { status: 500, body: ErrorBody::Json };
    world.upstream.fault(Fault::always(error).on(Route::Get));
    let told = explain_tenant(&world, never).await;
    assert_eq!((told.verdict(), outcome(&told)), (ExplanationVerdict::Quarantined, LiveOutcome::Unavailable));
    assert!(!told.quarantine_reason.is_empty());
    world.end().await;
}

#[tokio::test]
async fn a_paused_customer_is_paused_and_its_live_answer_is_told_all_the_same() {
    let (world, linden) = World::with_linden().await;
    let request =
        PauseCustomerRequest { name: linden.name.clone(), reason: "A dispute.".to_owned(), ..Default::default() };
    let paused = world.guard.sync.clone().pause_customer(request).await.expect("it is paused").into_inner();
    leave(&world, LINDEN, AuditTrail::Omitted);
    let told = explain_tenant(&world, LINDEN).await;
    assert_eq!((told.verdict(), told.sync_state()), (ExplanationVerdict::Paused, SyncState::Paused));
    assert_eq!((outcome(&told), detail(&told)), (LiveOutcome::NoRelationship, "403/20002"));
    assert_eq!(told.pause, paused.pause);
    world.end().await;
}

#[tokio::test]
async fn a_held_a_leaving_and_an_ended_customer_are_told_apart() {
    let world = World::with_customers(9).await;
    let tenants = world.tenants();
    leave(&world, tenants[0], AuditTrail::Omitted);
    let told = explain_tenant(&world, tenants[0]).await;
    assert_eq!((told.verdict(), told.sync_state()), (ExplanationVerdict::Leaving, SyncState::Synced));
    assert_eq!((outcome(&told), told.listed), (LiveOutcome::NoRelationship, true));
    world.read_list().await;
    assert!(!explain_tenant(&world, tenants[0]).await.listed);
    world.read_list().await;
    let told = explain_tenant(&world, tenants[0]).await;
    assert_eq!((told.verdict(), told.sync_state()), (ExplanationVerdict::Ended, SyncState::Ended));

    for tenant in &tenants[1..5] {
        leave(&world, *tenant, AuditTrail::Recorded);
    }
    world.read_audit_log().await;
    world.read_list().await;
    let told = explain_tenant(&world, tenants[1]).await;
    assert_eq!((told.verdict(), told.sync_state()), (ExplanationVerdict::HeldForRemoval, SyncState::HeldForRemoval));
    assert!(told.hold.starts_with("partnerAccounts/contoso/holds/"), "{told:?}");

    // One of each comes back and is looked at because somebody asked.
    for tenant in &tenants[..2] {
        world.upstream.simulator.set_knobs(world.contoso(), |knobs| knobs.acceptance_audited = false).expect("known");
        let returning = NewCustomer { id: Some(*tenant), ..NewCustomer::default() };
        world.upstream.simulator.accept_customer(world.contoso(), returning).expect("a returning customer");
    }
    assert_eq!(explain_tenant(&world, tenants[0]).await.verdict(), ExplanationVerdict::FoundNow);
    assert_eq!(explain_tenant(&world, tenants[1]).await.verdict(), ExplanationVerdict::HeldForRemoval);
    for tenant in &tenants[..2] {
        wait_for(&world, *tenant, Relationship::Active).await;
        let synced = async || (world.customer(*tenant).await.sync_state() == SyncState::Synced).then_some(());
        eventually("it is synced", synced).await;
    }
    world.end().await;
}

#[tokio::test]
async fn who_never_accepted_and_who_does_not_exist_are_told_apart() {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 2);
    let former = upstream.simulator.customers(upstream.contoso())[0].id;
    upstream.simulator.remove_relationship(upstream.contoso(), former, AuditTrail::Omitted).expect("known");
    let world = World::unsynchronized(Plan::usual(), upstream).await;
    world.guard.wait_for_first_sync("contoso").await;
    let told = explain_tenant(&world, former).await;
    assert_eq!((told.verdict(), told.sync_state()), (ExplanationVerdict::NeverAccepted, SyncState::NeverSeen));
    assert_eq!((outcome(&told), detail(&told)), (LiveOutcome::NoRelationship, "403/20002"));
    assert!(told.explanation.contains("GDAP") && told.remedy.contains("invitation"), "{told:?}");
    let told = explain_tenant(&world, STRANGER).await;
    assert_eq!((told.verdict(), told.sync_state()), (ExplanationVerdict::NotFound, SyncState::NeverSeen));
    assert_eq!((outcome(&told), detail(&told)), (LiveOutcome::NotFound, "404/60003"));
    assert_eq!((told.listed, told.first_seen_at, told.verified_at, told.customer.as_str()), (false, None, None, ""));
    // Nobody is remembered because somebody asked.
    assert_eq!(explain_tenant(&world, STRANGER).await.first_seen_at, None);
    world.end().await;
}

#[tokio::test]
async fn one_that_was_not_known_is_found_by_its_tenant_or_its_domain_and_fetched_at_once() {
    let world = World::with_customers(2).await;
    arrive_silently(&world, LINDEN, "linden.onmicrosoft.com");
    arrive_silently(&world, STRANGER, "linden.onmicrosoft.com.example");
    let told = explain(&world, Key::Domain("Linden.OnMicrosoft.com".to_owned())).await;
    assert_eq!((told.verdict(), outcome(&told)), (ExplanationVerdict::FoundNow, LiveOutcome::Present));
    assert_eq!((told.microsoft_tenant_id.clone(), told.sync_state()), (LINDEN.to_string(), SyncState::NeverSeen));
    let linden = wait_for(&world, LINDEN, Relationship::Active).await;
    let told = explain(&world, Key::Domain("linden.onmicrosoft.com".to_owned())).await;
    assert_eq!((told.verdict(), told.customer), (ExplanationVerdict::Synced, linden.name));
    assert!(world.guard.of_tenant("contoso", STRANGER).await.is_none(), "only the one that was asked about");
    assert_eq!(explain_tenant(&world, STRANGER).await.verdict(), ExplanationVerdict::FoundNow);
    wait_for(&world, STRANGER, Relationship::Active).await;
    world.end().await;
}

#[tokio::test]
async fn an_account_whose_credentials_do_not_work_is_blocked_and_says_what_to_do() {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 1);
    let plan = Plan { wrong_secret_of: Some("contoso"), ..Plan::usual() };
    let world = World::unsynchronized(plan, upstream).await;
    for key in
        [Key::MicrosoftTenantId(world.tenants()[0].to_string()), Key::Domain("somebody.onmicrosoft.com".to_owned())]
    {
        let told = explain(&world, key).await;
        assert_eq!((told.verdict(), outcome(&told)), (ExplanationVerdict::AccountBlocked, LiveOutcome::AccountBlocked));
        assert_eq!((detail(&told), told.account_problem.as_str()), ("CLIENT_SECRET_REFUSED", "CLIENT_SECRET_REFUSED"));
        assert!(told.remedy.contains("client secret") && !format!("{told:?}").contains("not-the-secret"), "{told:?}");
        assert_eq!(told.listed_at, None);
    }
    world.end().await;
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_unavailable_and_nobody_is_wronged() {
    let (world, linden) = World::with_linden().await;
    world.upstream.always([Effect::ServerError { status: 500, body: ErrorBody::Html }]);
    for key in [
        Key::Customer(linden.name.clone()),
        Key::MicrosoftTenantId(STRANGER.to_string()),
        Key::Domain("unknown.example".to_owned()),
    ] {
        let told = explain(&world, key).await;
        assert_eq!((told.verdict(), outcome(&told)), (ExplanationVerdict::SourceUnavailable, LiveOutcome::Unavailable));
        assert!(!told.remedy.is_empty() && !detail(&told).is_empty(), "{told:?}");
    }
    assert_eq!(world.guard.get(&linden.name).await, linden);
    world.end().await;
}

#[tokio::test]
async fn a_customer_of_the_platforms_own_is_told_as_such_until_partner_center_has_its_domain() {
    let world = World::with_customers(1).await;
    let ours = world.guard.create(bakery()).await;
    for key in [Key::Customer(ours.name.clone()), Key::Domain("Bakery.Example".to_owned())] {
        let told = explain(&world, key).await;
        assert_eq!((told.verdict(), outcome(&told)), (ExplanationVerdict::PlatformCustomer, LiveOutcome::NotFound));
        assert_eq!((told.sync_state(), told.microsoft_tenant_id.as_str()), (SyncState::Unspecified, ""));
        assert_eq!(told.customer, ours.name);
    }
    let nameless = world.guard.create(Customer { domain: String::new(), ..bakery() }).await;
    let told = explain(&world, Key::Customer(nameless.name)).await;
    assert_eq!((told.verdict(), outcome(&told)), (ExplanationVerdict::PlatformCustomer, LiveOutcome::Unspecified));
    let told = explain(&world, Key::Domain("nobody.example".to_owned())).await;
    assert_eq!((told.verdict(), told.sync_state()), (ExplanationVerdict::NotFound, SyncState::Unspecified));
    assert!(told.explanation.contains("onmicrosoft.com"), "{told:?}");

    // Of two with the domain, the one of Microsoft's is meant.
    arrive_silently(&world, STRANGER, "bakery.example");
    let told = explain(&world, Key::Domain("bakery.example".to_owned())).await;
    assert_eq!((told.verdict(), told.microsoft_tenant_id), (ExplanationVerdict::FoundNow, STRANGER.to_string()));
    world.end().await;
}

#[tokio::test]
async fn whom_to_explain_must_be_said_and_exist() {
    let (world, linden) = World::with_linden().await;
    let contoso = "partnerAccounts/contoso";
    for (key, field) in [
        (None, "key"),
        (Some(Key::MicrosoftTenantId("seventeen".to_owned())), "microsoft_tenant_id"),
        (Some(Key::Domain("  ".to_owned())), "domain"),
        (Some(Key::Domain("not a domain".to_owned())), "domain"),
        (Some(Key::Domain("x".repeat(300))), "domain"),
        (Some(Key::Customer("customers/7".to_owned())), "customer"),
        (Some(Key::Customer(linden.name.replace("contoso", "northwind"))), "customer"),
    ] {
        let told = try_explain(&world, contoso, key).await.expect_err(field);
        assert_eq!(told.wrong_fields(), fields([field]));
    }
    let told = try_explain(&world, "contoso", None).await.expect_err("nothing fits");
    assert_eq!(told.wrong_fields(), fields(["parent", "key"]));
    let nobody = Key::Customer(linden.name.replace("customers/0", "customers/1"));
    let told = try_explain(&world, contoso, Some(nobody)).await.expect_err("nobody");
    assert_eq!((told.code, told.reason().as_str()), (Code::NotFound, "CUSTOMER_NOT_FOUND"));
    let key = Key::MicrosoftTenantId(LINDEN.to_string());
    let told = try_explain(&world, "partnerAccounts/nobody", Some(key)).await.expect_err("no such account");
    assert_eq!(told.reason(), "PARTNER_ACCOUNT_NOT_FOUND");
    world.end().await;
}
