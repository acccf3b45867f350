//! What Partner Center and the network do wrong, one row of the failure catalogue after the other: what must happen, and
//! what must never.

use std::time::Duration;

use customer_guard::clock::Timestamp;
use customer_guard::grpc::proto::{Relationship, SyncRun, SyncRunCause, SyncRunKind, SyncState};
use customer_guard::partner_center::settings::Timeouts;
use customer_guard::simulator::audit::{AuditEntry, OperationStatus};
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, ErrorBody, Fault, RetryAfter, WrongBody};
use customer_guard::simulator::mutation::Mutation;
use customer_guard::simulator::operations::NewCustomer;
use customer_guard::simulator::partner::{AuditOrder, Knobs};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::harness::{Plan, World, eventually, micros};

const STEP: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn set_knobs(world: &World, change: impl FnOnce(&mut Knobs)) {
    world.upstream.simulator.set_knobs(world.contoso(), change).expect("a known partner");
}

async fn wait_for_problem(world: &World, reason: &str) -> String {
    eventually(&format!("the status says {reason}"), async || {
        world.advance(STEP);
        let problem = world.guard.status("contoso").await.problem?;
        (problem.reason == reason).then_some(problem.detail)
    })
    .await
}

async fn wait_for_no_problem(world: &World) {
    eventually("the status says nothing", async || {
        world.advance(STEP);
        world.guard.status("contoso").await.problem.is_none().then_some(())
    })
    .await;
}

async fn email_of(world: &World, tenant: Uuid) -> String {
    world.customer(tenant).await.primary_contact.expect("a contact").email
}

/// Lets the next night pass, which may take a slow machine some minutes.
async fn pass_a_long_night(world: &World) -> SyncRun {
    let night = micros(world.guard.status("contoso").await.next_night_at.expect("there is a next night"));
    world.advance(Timestamp::from_micros(night).since(world.guard.clock.now()));
    loop {
        let done = world
            .guard
            .status("contoso")
            .await
            .last_full_sync
            .filter(|run| run.start_time.is_some_and(|at| micros(at) >= night));
        if let Some(done) = done {
            return done;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Everybody is active and has a contact.
async fn assert_all_are_well(world: &World, customers: usize) {
    let all = world.guard.all("contoso").await;
    assert_eq!(all.len(), customers);
    for customer in all {
        assert_eq!(customer.relationship(), Relationship::Active);
        assert_ne!(customer.primary_contact.expect("a contact").email, "");
    }
}

/// Calls that may take little of the real time that a test waits.
const IMPATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(1),
    call: Duration::from_secs(1),
    page: Duration::from_secs(1),
    idle: Duration::from_millis(400),
};

#[tokio::test]
async fn slow_endless_bloated_and_broken_answers_end_nobody_and_blank_nothing() {
    for effect in [
        Effect::Delay { milliseconds: 30_000 },
        Effect::Drip { bytes_per_second: 1 },
        Effect::Endless,
        Effect::GzipBomb { mebibytes: 64 },
        Effect::TruncatedGzip,
        Effect::WrongContentType,
        Effect::WrongBody { body: WrongBody::WrongTypes },
    ] {
        let world = World::with(Plan { timeouts: IMPATIENT, ..Plan::usual() }, 4).await;
        let tenant = world.tenants()[1];
        world.change_email(tenant, "converged@example.com");
        world.upstream.always([effect.clone()]);
        wait_for_problem(&world, "AUDIT_LOG_UNREADABLE").await;
        assert_all_are_well(&world, 4).await;
        world.upstream.mend();
        world.wait_for_email(tenant, "converged@example.com", STEP).await;
        wait_for_no_problem(&world).await;
        assert_all_are_well(&world, 4).await;
        println!("survived: {effect:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn a_wait_of_ten_days_is_a_quarter_of_an_hour() {
    let world = World::with_customers(2).await;
    let tenant = world.tenants()[0];
    world.change_email(tenant, "soon@example.com");
    world.upstream.fault(Fault::once(Effect::Throttled { retry_after: RetryAfter::Seconds(864_000) }));
    world.advance(world.plan.audit_interval);
    let asked_at = world.guard.clock.now();
    let until = eventually("the pause is shown", async || world.guard.status("contoso").await.throttled_until).await;
    let pause = Duration::from_micros(micros(until).abs_diff(asked_at.micros()));
    assert!(pause <= Duration::from_secs(15 * 60 + 30), "{pause:?}");
    world.advance(Duration::from_secs(16 * 60));
    world.wait_for_email(tenant, "soon@example.com", Duration::ZERO).await;
    world.end().await;
}

#[tokio::test]
async fn a_name_that_does_not_resolve_and_a_handshake_that_fails_are_told_and_pass() {
    let world = World::with(Plan { timeouts: IMPATIENT, ..Plan::usual() }, 3).await;
    let plain = world.upstream.root.replace("http://", "https://");
    let mut world = world;
    for root in ["https://partner-center.invalid".to_owned(), plain] {
        world = world.restart_by(|plan, _| plan.api_root = Some(root.clone())).await;
        let detail = wait_for_problem(&world, "SOURCE_UNAVAILABLE").await;
        println!("{root}: {detail}");
        world.advance(DAY);
        wait_for_problem(&world, "SOURCE_UNAVAILABLE").await;
        assert_all_are_well(&world, 3).await;
    }
    let tenant = world.tenants()[0];
    let world = world.restart_by(|plan, _| plan.api_root = None).await;
    world.change_email(tenant, "resolved@example.com");
    world.wait_for_email(tenant, "resolved@example.com", STEP).await;
    wait_for_no_problem(&world).await;
    world.end().await;
}

#[tokio::test]
async fn an_hour_of_failures_is_an_hour_of_few_calls() {
    // The rests bound the calls as a breaker would: 200 customers wait, and every call fails.
    let errors = [
        Effect::ServerError { status: 500, body: ErrorBody::Json },
        Effect::ServerError { status: 503, body: ErrorBody::Html },
        Effect::ConnectionReset,
    ];
    for (route, most) in [(None, 150), (Some(Route::Get), 250)] {
        for effect in &errors {
            let world = World::with_customers(200).await;
            for tenant in world.tenants() {
                world.change_email(tenant, "after.the.hour@example.com");
            }
            let always = Fault::always(effect.clone());
            world.upstream.fault(route.map_or(always.clone(), |route| always.on(route)));
            world.upstream.simulator.reset_calls(world.contoso()).expect("a known partner");
            for _ in 0..360 {
                world.advance(Duration::from_secs(10));
                // Lets the service do what is due.
                for _ in 0..3 {
                    world.guard.status("contoso").await;
                }
            }
            let calls = world.upstream.simulator.calls(world.contoso());
            let sent = calls.list + calls.get + calls.audit + calls.registration;
            println!("{effect:?} on {route:?}: {sent} calls in an hour {calls:?}");
            // A connection that closes without a byte is tried again by the client below, once.
            let most = if *effect == Effect::ConnectionReset { most * 2 } else { most };
            assert!(sent <= most, "{effect:?} on {route:?}: {calls:?}");
            world.upstream.mend();
            let tenant = world.tenants()[199];
            world.wait_for_email(tenant, "after.the.hour@example.com", STEP).await;
            world.end().await;
        }
    }
}

#[tokio::test]
async fn a_token_that_is_refused_although_it_looks_valid_is_replaced_rarely_and_others_go_on() {
    let plan = Plan { partners: vec!["contoso", "northwind"], ..Plan::usual() };
    let world = World::with(plan, 3).await;
    world.upstream.always([Effect::Unauthorized]);
    world.upstream.simulator.reset_calls(world.contoso()).expect("a known partner");
    // A 401 without a word is how Partner Center asks for a second factor (FACTS 1.4).
    wait_for_problem(&world, "MFA_REQUIRED").await;
    let northwind = world.upstream.partner("northwind").tenant_id;
    let tenant = world.upstream.simulator.customers(northwind)[0].id;
    world.upstream.simulator.rename(northwind, tenant, "Goes On Ltd").expect("a known customer");
    for _ in 0..120 {
        world.advance(STEP);
        world.guard.status("contoso").await;
    }
    let renamed = world.guard.of_tenant("northwind", tenant).await.expect("known");
    assert_eq!(renamed.company_name, "Goes On Ltd");
    let calls = world.upstream.simulator.calls(world.contoso());
    println!("an hour of refused tokens: {calls:?}");
    assert!(calls.token <= 40, "{calls:?}");
    assert_all_are_well(&world, 3).await;
    world.upstream.mend();
    wait_for_no_problem(&world).await;
    world.end().await;
}

/// A host that is not Partner Center's, and whether anybody has connected to it.
struct ForeignHost(TcpListener);

impl ForeignHost {
    async fn listen() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
    }

    fn address(&self) -> String {
        self.0.local_addr().expect("an address").to_string()
    }

    async fn assert_nobody_came(&self) {
        let came = tokio::time::timeout(Duration::from_millis(100), self.0.accept()).await;
        assert!(came.is_err(), "somebody connected to the foreign host");
    }
}

#[tokio::test]
async fn a_next_link_to_another_host_is_followed_on_ours_and_the_other_is_never_connected_to() {
    let foreign = ForeignHost::listen().await;
    let world = World::with(Plan { page_size: 3, ..Plan::usual() }, 9).await;
    let tenant = world.tenants()[4];
    for _ in 0..2 {
        world.upstream.fault(Fault::once(Effect::ForeignNextLink { host: foreign.address() }).on(Route::List));
        world.upstream.fault(Fault::once(Effect::ForeignNextLink { host: foreign.address() }).on(Route::Audit));
    }
    for number in 0..8 {
        world.change_email(tenant, &format!("foreign{number}@example.com"));
    }
    world.read_audit_log().await;
    assert_eq!(email_of(&world, tenant).await, "foreign7@example.com");
    let run = world.read_list().await;
    assert_eq!((run.listed, run.missing), (9, 0), "the whole list was read");
    assert_eq!(world.upstream.simulator.faults(world.contoso()).waiting(), [], "every link was met");
    foreign.assert_nobody_came().await;
    world.end().await;
}

#[tokio::test]
async fn a_list_that_points_backwards_or_lies_about_its_length_is_not_complete() {
    for effect in [Effect::BackwardsNextLink, Effect::LieTotal { total_count: 50 }] {
        let world = World::with(Plan { page_size: 3, ..Plan::usual() }, 9).await;
        let gone = world.tenants()[0];
        world.upstream.fault(Fault::always(effect.clone()).on(Route::List));
        let silently = customer_guard::simulator::operations::AuditTrail::Omitted;
        world.upstream.simulator.remove_relationship(world.contoso(), gone, silently).expect("a known customer");
        set_knobs(&world, |knobs| knobs.acceptance_audited = false);
        let new =
            world.upstream.simulator.accept_customer(world.contoso(), NewCustomer::default()).expect("a customer");
        let detail = wait_for_problem(&world, "CUSTOMER_LIST_UNREADABLE").await;
        println!("{effect:?}: {detail}");
        for _ in 0..200 {
            world.advance(Duration::from_secs(60));
            world.guard.status("contoso").await;
        }
        let lists = world.upstream.simulator.calls(world.contoso()).list;
        assert!(lists < 2_000, "{lists} pages");
        assert_eq!(world.customer(gone).await.relationship(), Relationship::Active, "{effect:?}");
        if effect != Effect::BackwardsNextLink {
            // Whom it does name is known. The list that points backwards never gets beyond its first page.
            world.customer(new.id).await;
        }
        world.upstream.mend();
        eventually("the newcomer is here", async || {
            world.advance(STEP);
            world.guard.of_tenant("contoso", new.id).await
        })
        .await;
        wait_for_no_problem(&world).await;
        world.read_list().await;
        world.read_list().await;
        assert_eq!(world.customer(gone).await.relationship(), Relationship::Ended);
        world.end().await;
    }
}

#[tokio::test]
async fn more_customers_than_the_list_says_are_no_contradiction() {
    let world = World::with(Plan { page_size: 3, ..Plan::usual() }, 9).await;
    world.upstream.fault(Fault::always(Effect::LieTotal { total_count: 2 }).on(Route::List));
    let run = world.read_list().await;
    assert_eq!((run.listed, run.missing), (9, 0));
    world.end().await;
}

#[tokio::test]
async fn an_audit_log_that_leads_in_a_circle_is_not_at_its_end() {
    for effect in [Effect::LoopingNextLink, Effect::BackwardsNextLink] {
        let world = World::with(Plan { page_size: 2, ..Plan::usual() }, 3).await;
        world.upstream.fault(Fault::always(effect).on(Route::Audit));
        let read_at = world.guard.status("contoso").await.audit_polled_at.expect("it was read");
        for number in 0..9 {
            world.change_email(world.tenants()[number % 3], &format!("circle{number}@example.com"));
        }
        let detail = wait_for_problem(&world, "AUDIT_LOG_UNREADABLE").await;
        assert!(detail.contains("circle"), "{detail}");
        assert_eq!(
            world.guard.status("contoso").await.audit_polled_at,
            Some(read_at),
            "what was not read is not fresh"
        );
        world.upstream.mend();
        for (number, tenant) in world.tenants().into_iter().enumerate() {
            world.wait_for_email(tenant, &format!("circle{}@example.com", number + 6), STEP).await;
        }
        world.end().await;
    }
}

#[tokio::test]
async fn of_a_thousand_customers_the_poisoned_are_isolated_and_everybody_else_is_right() {
    let poisons = [
        (Mutation::UnknownMembers, SyncState::Synced),
        (Mutation::UnknownRelationship, SyncState::Synced),
        (Mutation::RightToLeft, SyncState::Synced),
        (Mutation::LongText, SyncState::Quarantined),
        (Mutation::LoneSurrogate, SyncState::Quarantined),
        (Mutation::Nul, SyncState::Quarantined),
        (Mutation::WrongTypes, SyncState::Quarantined),
        (Mutation::NullContact, SyncState::Quarantined),
        (Mutation::NoId, SyncState::Quarantined),
    ];
    let world = World::with(Plan { page_size: 100, ..Plan::usual() }, 1_000).await;
    let tenants = world.tenants();
    for tenant in &tenants {
        world.change_email_silently(*tenant, "right@example.com");
    }
    let victims: Vec<_> =
        tenants.iter().step_by(100).zip(poisons).map(|(tenant, (how, state))| (*tenant, how, state)).collect();
    world.upstream.always(
        victims.iter().map(|(customer, mutation, _)| Effect::MutateItem { customer: *customer, mutation: *mutation }),
    );
    let run = pass_a_long_night(&world).await;
    println!(
        "a night with nine poisoned of a thousand: fetched {}, changed {}, unusable {}, missing {}",
        run.fetched, run.changed, run.unusable, run.missing
    );
    assert_eq!((run.unusable, run.ended), (6, 0));
    for customer in world.guard.all("contoso").await {
        let tenant: Uuid = customer.microsoft_tenant_id.parse().expect("an id");
        let poison = victims.iter().find(|(victim, _, _)| *victim == tenant);
        let expected = poison.map_or(SyncState::Synced, |(_, _, state)| *state);
        assert_eq!(customer.sync_state(), expected, "{poison:?}");
        assert_eq!(customer.relationship(), Relationship::Active, "{poison:?}");
        let email = customer.primary_contact.clone().expect("a contact").email;
        assert_eq!(email == "right@example.com", expected == SyncState::Synced, "{poison:?}: {email}");
        assert_ne!(email, "", "{poison:?}");
    }
    world.upstream.mend();
    pass_a_long_night(&world).await;
    for customer in world.guard.all("contoso").await {
        assert_eq!(customer.sync_state(), SyncState::Synced);
        assert_eq!(customer.primary_contact.expect("a contact").email, "right@example.com");
    }
    world.end().await;
}

#[tokio::test]
async fn one_customer_that_is_forbidden_or_not_found_keeps_what_it_has_and_the_run_succeeds() {
    let world = World::with_customers(20).await;
    let tenants = world.tenants();
    let [forbidden, absent] = [tenants[3], tenants[4]];
    let before = [world.customer(forbidden).await, world.customer(absent).await];
    world
        .upstream
        .always([Effect::DetailForbidden { customer: forbidden }, Effect::DetailNotFound { customer: absent }]);
    let run = world.pass_a_night().await;
    assert_eq!((run.fetched, run.ended, run.missing), (20, 0, 0));
    world.pass_a_night().await;
    for was in before {
        let is = world.guard.get(&was.name).await;
        assert_eq!(
            (is.relationship(), is.primary_contact, is.etag),
            (Relationship::Active, was.primary_contact, was.etag)
        );
    }
    world.end().await;
}

#[tokio::test]
async fn a_clock_that_is_off_is_said_and_changes_nothing_else() {
    for seconds in [900, -900] {
        let world = World::with_customers(2).await;
        let tenant = world.tenants()[0];
        set_knobs(&world, |knobs| knobs.date_skew_seconds = seconds);
        let detail = wait_for_problem(&world, "CLOCK_SKEW").await;
        // The clock may move on between the question and the answer.
        assert!(detail.contains("15 minutes") || detail.contains("14 minutes"), "{detail}");
        for turn in 0..3 {
            let email = format!("skewed{turn}@example.com");
            world.change_email(tenant, &email);
            world.wait_for_email(tenant, &email, STEP).await;
        }
        let name = world.customer(tenant).await.name;
        world.change_email_silently(tenant, "asked.for@example.com");
        let refreshed = world.guard.refresh(&name).await.expect("a refresh");
        assert_eq!(refreshed.primary_contact.expect("a contact").email, "asked.for@example.com");
        assert_eq!(world.guard.status("contoso").await.problem.expect("it stands").reason, "CLOCK_SKEW");
        set_knobs(&world, |knobs| knobs.date_skew_seconds = 0);
        wait_for_no_problem(&world).await;
        // Four minutes are the network's.
        set_knobs(&world, |knobs| knobs.date_skew_seconds = seconds / 4);
        world.read_audit_log().await;
        world.read_list().await;
        assert_eq!(world.guard.status("contoso").await.problem, None);
        world.end().await;
    }
}

#[tokio::test]
async fn audit_records_that_are_late_shuffled_and_doubled_at_once_are_all_heeded() {
    let world = World::with(Plan { page_size: 3, ..Plan::usual() }, 6).await;
    set_knobs(&world, |knobs| {
        knobs.audit_order = AuditOrder::Shuffled;
        knobs.audit_duplicates = true;
        knobs.audit_delay_seconds = 20 * 60;
    });
    let tenants = world.tenants();
    for (turn, tenant) in tenants.iter().cycle().take(30).enumerate() {
        world.change_email(*tenant, &format!("turn{turn}@example.com"));
    }
    world.read_audit_log().await;
    assert_ne!(email_of(&world, tenants[5]).await, "turn29@example.com", "the records are not there yet");
    world.advance(Duration::from_secs(20 * 60));
    for (number, tenant) in tenants.iter().enumerate() {
        world.wait_for_email(*tenant, &format!("turn{}@example.com", 24 + number), STEP).await;
    }
    world.end().await;
}

#[tokio::test]
async fn an_operation_under_way_is_waited_for_for_days_and_over_a_restart() {
    for restarts in [false, true] {
        let mut world = World::with_customers(2).await;
        let one = world.upstream.simulator.customers(world.contoso()).swap_remove(0);
        let entry = AuditEntry {
            operation_status: OperationStatus::Progress,
            ..AuditEntry::about(&one, "update_customer_billing_profile")
        };
        let record = world.upstream.simulator.append_audit(world.contoso(), entry).expect("a known partner");
        world.read_audit_log().await;
        for _ in 0..5 {
            world.pass_a_night().await;
            world.read_audit_log().await;
        }
        if restarts {
            world = world.restart().await;
        }
        world.change_email_silently(one.id, "finished.at.last@example.com");
        world.upstream.simulator.finish_audit(world.contoso(), &record, OperationStatus::Succeeded).expect("a record");
        world.read_audit_log().await;
        assert_eq!(email_of(&world, one.id).await, "finished.at.last@example.com", "restarted: {restarts}");
        world.end().await;
    }
}

#[tokio::test]
async fn a_log_that_was_not_read_for_longer_than_it_is_kept_makes_everybody_be_looked_at() {
    let world = World::with_customers(3).await;
    let error = Effect::ServerError { status: 500, body: ErrorBody::Json };
    world.upstream.fault(Fault::always(error).on(Route::Audit));
    let tenant = world.tenants()[0];
    world.change_email(tenant, "long.ago@example.com");
    world.advance(DAY * 85);
    wait_for_problem(&world, "AUDIT_LOG_UNREADABLE").await;
    world.pass_a_night().await;
    let full = |runs: &[SyncRun]| {
        let of_schedule = |run: &&SyncRun| run.kind() == SyncRunKind::Full && run.cause() == SyncRunCause::Scheduled;
        runs.iter().filter(of_schedule).count()
    };
    assert_eq!(full(&world.guard.runs("contoso").await), 0);
    world.change_email_silently(tenant, "nobody.told@example.com");
    world.upstream.mend();
    world.wait_for_email(tenant, "nobody.told@example.com", STEP).await;
    wait_for_no_problem(&world).await;
    assert_eq!(full(&world.guard.runs("contoso").await), 1, "once");
    world.change_email(tenant, "from.now.on@example.com");
    world.read_audit_log().await;
    assert_eq!(email_of(&world, tenant).await, "from.now.on@example.com");
    world.end().await;
}

#[tokio::test]
async fn a_log_that_was_not_read_for_two_months_is_read_to_where_it_was_left() {
    let world = World::with_customers(3).await;
    let error = Effect::ServerError { status: 500, body: ErrorBody::Json };
    world.upstream.fault(Fault::always(error).on(Route::Audit));
    world.advance(DAY);
    wait_for_problem(&world, "AUDIT_LOG_UNREADABLE").await;
    let tenant = world.tenants()[0];
    let one = world.upstream.simulator.customers(world.contoso()).swap_remove(0);
    let entry = AuditEntry::about(&one, "update_customer_billing_profile");
    world.upstream.simulator.append_audit(world.contoso(), entry).expect("a known partner");
    world.advance(DAY * 60);
    wait_for_problem(&world, "AUDIT_LOG_UNREADABLE").await;
    world.pass_a_night().await;
    world.change_email_silently(tenant, "sixty.days@example.com");
    world.upstream.mend();
    world.wait_for_email(tenant, "sixty.days@example.com", STEP).await;
    let gaps = world.guard.runs("contoso").await;
    assert!(gaps.iter().all(|run| run.kind() != SyncRunKind::Full || run.cause() != SyncRunCause::Scheduled));
    world.end().await;
}
