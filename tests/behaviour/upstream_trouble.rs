//! Partner Center in trouble: the account waits and says why, others go on, nothing is ended or blanked, and
//! everything is level again afterwards.

use std::time::Duration;

use customer_guard::grpc::proto::{Customer, Relationship, SyncState};
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, ErrorBody, Fault, RetryAfter, WrongBody};
use customer_guard::simulator::operations::NewCustomer;
use uuid::Uuid;

use crate::harness::cast::unverified;
use crate::harness::upstream::Upstream;
use crate::harness::{Plan, World, eventually, micros};

const STEP: Duration = Duration::from_secs(30);

async fn two_accounts() -> World {
    World::with(Plan { partners: vec!["contoso", "northwind"], ..Plan::usual() }, 4).await
}

/// The reason of contoso's problem, once it has that one.
async fn wait_for_problem(world: &World, reason: &str) {
    eventually(&format!("the status says {reason}"), async || {
        world.advance(STEP);
        let problem = world.guard.status("contoso").await.problem?;
        (problem.reason == reason && !problem.detail.is_empty() && problem.since.is_some()).then_some(())
    })
    .await;
}

async fn wait_for_no_problem(world: &World) {
    eventually("the status says nothing", async || {
        world.advance(STEP);
        world.guard.status("contoso").await.problem.is_none().then_some(())
    })
    .await;
}

/// A change in another account arrives.
async fn assert_northwind_goes_on(world: &World) {
    let northwind = world.upstream.partner("northwind").tenant_id;
    let tenant = world.upstream.simulator.customers(northwind)[0].id;
    let email = "goes.on@northwind.example";
    let change = |profile: &mut customer_guard::simulator::customer::BillingProfile| {
        profile.email = Some(email.to_owned());
    };
    world.upstream.simulator.change_billing_profile(northwind, tenant, change).expect("a known customer");
    world.advance(world.plan.audit_interval);
    eventually("northwind goes on", async || {
        let found = world.guard.of_tenant("northwind", tenant).await?;
        (found.primary_contact?.email == email).then_some(())
    })
    .await;
}

async fn assert_converges(world: &World, tenant: Uuid, before: Vec<Customer>) {
    for customer in world.guard.all("contoso").await {
        assert_eq!(customer.relationship(), Relationship::Active, "nobody ends in trouble");
        let was = before.iter().find(|one| one.name == customer.name).expect("known before").clone();
        assert_eq!(unverified(customer), unverified(was), "nothing is blanked in trouble");
    }
    world.upstream.mend();
    world.wait_for_email(tenant, "converged@example.com", STEP).await;
    wait_for_no_problem(world).await;
    eventually("the backlog is empty", async || {
        world.advance(STEP);
        (world.guard.status("contoso").await.backlog == 0).then_some(())
    })
    .await;
    let settled = world.guard.all("contoso").await;
    assert_eq!(settled.len(), before.len());
    for customer in settled {
        assert_eq!((customer.relationship(), customer.sync_state()), (Relationship::Active, SyncState::Synced));
    }
}

#[tokio::test]
async fn an_unreadable_audit_log_is_said_and_list_and_night_go_on() {
    for effect in [Effect::Forbidden { code: 900_000 }, Effect::ServerError { status: 500, body: ErrorBody::Json }] {
        let world = World::with_customers(3).await;
        world.upstream.fault(Fault::always(effect).on(Route::Audit));
        wait_for_problem(&world, "AUDIT_LOG_UNREADABLE").await;
        let tenant = world.tenants()[0];
        world.upstream.simulator.rename(world.contoso(), tenant, "Listed Ltd").expect("a known customer");
        world.read_list().await;
        assert_eq!(world.customer(tenant).await.company_name, "Listed Ltd");
        world.change_email_silently(tenant, "nightly@example.com");
        world.pass_a_night().await;
        assert_eq!(world.customer(tenant).await.primary_contact.expect("a contact").email, "nightly@example.com");
        let problem = world.guard.status("contoso").await.problem.expect("it still stands");
        assert_eq!(problem.reason, "AUDIT_LOG_UNREADABLE");
        world.upstream.mend();
        wait_for_no_problem(&world).await;
        world.end().await;
    }
}

#[tokio::test]
async fn an_unreadable_customer_list_does_not_keep_changed_contacts_from_arriving() {
    for effect in [
        Effect::ServerError { status: 502, body: ErrorBody::Html },
        Effect::Truncated,
        Effect::WrongBody { body: WrongBody::EmptyObject },
    ] {
        let world = World::with_customers(3).await;
        world.upstream.fault(Fault::always(effect).on(Route::List));
        world.advance(world.plan.list_interval);
        let tenant = world.tenants()[0];
        world.change_email(tenant, "meanwhile@example.com");
        world.wait_for_email(tenant, "meanwhile@example.com", STEP).await;
        world.end().await;
    }
}

#[tokio::test]
async fn throttling_pauses_the_account_as_long_as_it_was_told_and_no_other() {
    let world = two_accounts().await;
    let tenant = world.tenants()[0];
    let retry_after = RetryAfter::Seconds(600);
    world.upstream.fault(Fault::always(Effect::Throttled { retry_after }));
    let asked_at = world.guard.clock.now();
    world.change_email(tenant, "after.the.pause@example.com");
    world.advance(world.plan.audit_interval);
    let until = eventually("the pause is shown", async || world.guard.status("contoso").await.throttled_until).await;
    let pause = Duration::from_micros(micros(until).abs_diff(asked_at.micros()));
    assert!(pause >= Duration::from_secs(600) && pause <= Duration::from_secs(600 + 60 + 70), "{pause:?}");

    let calls = world.upstream.simulator.calls(world.contoso());
    world.upstream.mend();
    assert_northwind_goes_on(&world).await;
    assert_eq!(world.upstream.simulator.calls(world.contoso()), calls, "contoso is left alone");

    world.advance(Duration::from_secs(700));
    world.wait_for_email(tenant, "after.the.pause@example.com", Duration::ZERO).await;
    assert_eq!(world.guard.status("contoso").await.throttled_until, None);
    world.end().await;
}

#[tokio::test]
async fn throttling_by_date_or_without_a_time_passes_too() {
    for retry_after in [RetryAfter::HttpDate(120), RetryAfter::Absent, RetryAfter::Seconds(0)] {
        let world = World::with_customers(2).await;
        let tenant = world.tenants()[0];
        world.change_email(tenant, "passed@example.com");
        world.upstream.fault(Fault::once(Effect::Throttled { retry_after }).on(Route::Audit));
        world.upstream.fault(Fault::once(Effect::Throttled { retry_after }).on(Route::Get));
        world.wait_for_email(tenant, "passed@example.com", STEP).await;
        assert_eq!(world.upstream.simulator.calls(world.contoso()).throttled, 2, "{retry_after:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once() {
    let world = World::with_customers(4).await;
    let tenant = world.tenants()[0];
    world.upstream.simulator.revoke_tokens(world.contoso()).expect("a known partner");
    let before = world.upstream.simulator.calls(world.contoso()).token;
    for tenant in world.tenants() {
        world.change_email(tenant, "fresh.token@example.com");
    }
    world.read_audit_log().await;
    world.wait_for_email(tenant, "fresh.token@example.com", Duration::ZERO).await;
    assert_eq!(world.upstream.simulator.calls(world.contoso()).token, before + 1);
    assert_eq!(world.guard.status("contoso").await.problem, None);
    world.end().await;
}

#[tokio::test]
async fn a_wrong_client_secret_is_said_and_the_other_account_is_synchronized() {
    let plan = Plan { partners: vec!["contoso", "northwind"], wrong_secret_of: Some("contoso"), ..Plan::usual() };
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 2);
    upstream.seed("northwind", 2);
    let world = World::unsynchronized(plan, upstream).await;
    world.guard.wait_for_first_sync("northwind").await;
    wait_for_problem(&world, "CLIENT_SECRET_REFUSED").await;
    assert_eq!(world.guard.all("contoso").await, []);
    assert_eq!(world.guard.all("northwind").await.len(), 2);
    let detail = world.guard.status("contoso").await.problem.expect("a problem").detail;
    assert!(!detail.contains("not-the-secret"), "{detail}");
    world.end().await;
}

#[tokio::test]
async fn a_secret_that_expires_is_said_by_its_own_name_and_not_as_an_unreadable_log() {
    let world = World::with_customers(2).await;
    let mut contoso = world.upstream.partner("contoso");
    let right = contoso.clone();
    contoso.client_secret = "rotated".to_owned();
    world.upstream.simulator.add_partner(contoso);
    world.upstream.simulator.revoke_tokens(world.contoso()).expect("a known partner");
    world.advance(world.plan.audit_interval);
    let problem = eventually("a problem is said", async || world.guard.status("contoso").await.problem).await;
    assert_eq!(problem.reason, "CLIENT_SECRET_REFUSED");

    world.upstream.simulator.add_partner(right);
    wait_for_no_problem(&world).await;
    let tenant = world.tenants()[0];
    world.change_email(tenant, "mended@example.com");
    world.wait_for_email(tenant, "mended@example.com", STEP).await;
    world.end().await;
}

#[tokio::test]
async fn server_errors_for_a_while_end_nobody_and_blank_nothing() {
    for status in [500, 502, 503, 504] {
        let world = World::with_customers(4).await;
        let before = world.guard.all("contoso").await;
        let tenant = world.tenants()[1];
        world.change_email(tenant, "converged@example.com");
        world.upstream.always([Effect::ServerError { status, body: ErrorBody::Html }]);
        wait_for_problem(&world, "AUDIT_LOG_UNREADABLE").await;
        assert_converges(&world, tenant, before).await;
        world.end().await;
    }
}

#[tokio::test]
async fn truncated_and_wrong_bodies_for_a_while_end_nobody_and_blank_nothing() {
    let bodies = [WrongBody::Html, WrongBody::Null, WrongBody::EmptyArray].map(|body| Effect::WrongBody { body });
    for effect in bodies.into_iter().chain([Effect::Truncated]) {
        let world = World::with_customers(4).await;
        let before = world.guard.all("contoso").await;
        let tenant = world.tenants()[1];
        world.change_email(tenant, "converged@example.com");
        world.upstream.always([effect]);
        wait_for_problem(&world, "AUDIT_LOG_UNREADABLE").await;
        assert_converges(&world, tenant, before).await;
        world.end().await;
    }
}

#[tokio::test]
async fn connections_that_break_for_a_while_end_nobody_and_blank_nothing() {
    let world = two_accounts().await;
    let before = world.guard.all("contoso").await;
    let tenant = world.tenants()[1];
    world.change_email(tenant, "converged@example.com");
    world.upstream.always([Effect::ConnectionReset]);
    wait_for_problem(&world, "AUDIT_LOG_UNREADABLE").await;
    assert_northwind_goes_on(&world).await;
    assert_converges(&world, tenant, before).await;
    world.end().await;
}

#[tokio::test]
async fn an_empty_object_for_a_customer_is_no_customer() {
    let world = World::with_customers(3).await;
    let tenant = world.tenants()[0];
    let before = world.customer(tenant).await;
    world.upstream.fault(Fault::always(Effect::WrongBody { body: WrongBody::EmptyObject }).on(Route::Get));
    world.pass_a_night().await;
    let kept = world.customer(tenant).await;
    assert_eq!((kept.relationship(), kept.primary_contact), (Relationship::Active, before.primary_contact));
    world.upstream.mend();
    world.pass_a_night().await;
    assert_eq!(world.customer(tenant).await.sync_state(), SyncState::Synced);
    world.end().await;
}

#[tokio::test]
async fn one_customer_that_cannot_be_read_does_not_keep_a_night_from_ending() {
    let world = World::with_customers(5).await;
    let tenant = world.tenants()[2];
    world.change_email_silently(world.tenants()[4], "others@example.com");
    world.upstream.always([Effect::DetailNotFound { customer: tenant }]);
    let run = world.pass_a_night().await;
    assert_eq!((run.fetched, run.changed, run.ended), (5, 1, 0));
    world.end().await;
}

#[tokio::test]
async fn oddities_of_the_format_are_read() {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 12);
    let odd = |knobs: &mut customer_guard::simulator::partner::Knobs| {
        knobs.byte_order_mark = true;
        knobs.pascal_case = true;
        knobs.error_code_as_text = true;
        knobs.link_with_version = false;
    };
    upstream.simulator.set_knobs(upstream.contoso(), odd).expect("a known partner");
    let world = World::unsynchronized(Plan { page_size: 5, ..Plan::usual() }, upstream).await;
    world.guard.wait_for_first_sync("contoso").await;
    assert_eq!(world.guard.all("contoso").await.len(), 12);
    let tenant = world.tenants()[0];
    world.change_email(tenant, "odd@example.com");
    world.read_audit_log().await;
    assert_eq!(world.customer(tenant).await.primary_contact.expect("a contact").email, "odd@example.com");
    world.end().await;
}

#[tokio::test]
async fn an_audit_log_that_alone_is_throttled_leaves_room_for_everything_else() {
    let world = World::with_customers(5).await;
    let retry_after = RetryAfter::Seconds(5);
    world.upstream.fault(Fault::always(Effect::Throttled { retry_after }).on(Route::Audit));
    let accepted = world.upstream.simulator.accept_customer(world.contoso(), NewCustomer::default()).expect("accepted");
    eventually("the list brings the accepted customer", async || {
        world.advance(Duration::from_secs(30));
        world.guard.of_tenant("contoso", accepted.id).await
    })
    .await;
    world.upstream.mend();
    world.end().await;
}

#[tokio::test]
async fn a_list_that_leads_in_a_circle_is_not_read_again_and_again_and_is_shown() {
    let world = World::with_customers(5).await;
    world.upstream.fault(Fault::always(Effect::LoopingNextLink).on(Route::List));
    world.advance(world.plan.list_interval);
    let mut looks = 0;
    eventually("the status says that the list cannot be read", async || {
        looks += 1;
        world.advance(Duration::from_secs(20));
        let problem = world.guard.status("contoso").await.problem?;
        (problem.reason == "CUSTOMER_LIST_UNREADABLE").then_some(())
    })
    .await;
    let calls = world.upstream.simulator.calls(world.contoso()).list;
    // Each look lets time pass, in which it may be tried again; whoever does not rest asks thousands of times.
    assert!(calls < 10 + 2 * looks, "{calls} calls in {looks} looks");
    world.upstream.mend();
    eventually("the status says no more", async || {
        world.advance(Duration::from_secs(60));
        world.guard.status("contoso").await.problem.is_none().then_some(())
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn a_list_that_cannot_be_read_does_not_slow_the_others_down() {
    let world = World::with_customers(120).await;
    let error = Effect::ServerError { status: 503, body: ErrorBody::Html };
    world.upstream.fault(Fault::always(error).on(Route::List));
    world.advance(world.plan.list_interval);
    for tenant in world.tenants() {
        world.change_email(tenant, "all.of.them@example.com");
    }
    world.advance(world.plan.audit_interval);
    eventually("all of them are changed, without any more time passing", async || {
        let all = world.guard.all("contoso").await;
        let changed = |one: &Customer| {
            one.primary_contact.as_ref().is_some_and(|contact| contact.email == "all.of.them@example.com")
        };
        all.iter().all(changed).then_some(())
    })
    .await;
    let name = world.guard.all("contoso").await[0].name.clone();
    world.guard.refresh(&name).await.expect("a refreshed customer");
    world.upstream.mend();
    world.end().await;
}
