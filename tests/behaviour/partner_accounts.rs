//! Partner accounts that come from the API: they are served at once, synchronized once they have credentials, and changed
//! while the service runs.

use std::time::Duration;

use customer_guard::app::{App, StartError};
use customer_guard::grpc::proto::explain_customer_request::Key;
use customer_guard::grpc::proto::{
    AccountOrigin, CheckPartnerAccountHealthRequest, Cloud, ExplainCustomerRequest, ExplanationVerdict,
    HealthCheckKind, ListCustomersRequest, PartnerAccount, PartnerAccountState, PartnerKind, SyncSettings,
};
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, ErrorBody, Fault};
use tonic::Code;

use crate::harness::accounts::{account_of, change, creation};
use crate::harness::cast::bakery;
use crate::harness::database::count;
use crate::harness::told::{Told, fields};
use crate::harness::upstream::Upstream;
use crate::harness::{Plan, World, eventually, micros, settings};

const FIRST: &str = "0198c0de-7000-4000-8000-000000000001";
const ACCOUNTS: &str = "SELECT count(*) FROM partner_account";

/// Contoso in the configuration, and northwind with so many customers in Partner Center only.
async fn world(customers: usize) -> World {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 1);
    upstream.seed("northwind", customers);
    let world = World::unsynchronized(Plan::usual(), upstream).await;
    world.guard.wait_for_first_sync("contoso").await;
    world
}

fn in_state(account: PartnerAccount, state: PartnerAccountState) -> PartnerAccount {
    PartnerAccount { state: state.into(), etag: String::new(), ..account }
}

fn said(told: &Told) -> (Code, String) {
    (told.code, told.reason())
}

#[tokio::test]
async fn an_account_of_the_api_is_synchronized_without_a_restart_and_again_after_one() {
    let world = world(5).await;
    let made = world.add_account("northwind").await;
    assert_eq!(
        (made.origin(), made.state(), made.cloud()),
        (AccountOrigin::Api, PartnerAccountState::Active, Cloud::Global)
    );
    assert_eq!((made.display_name.as_str(), made.client_id.as_str()), ("northwind", ""));
    let set = world.give_credentials("northwind").await;
    assert_eq!(set.client_id, world.upstream.partner("northwind").client_id);
    assert!(set.credentials_time.is_some() && set.etag != made.etag);
    world.guard.wait_for_first_sync("northwind").await;
    assert_eq!(world.guard.all("northwind").await.len(), 5);
    // It is taken back once everything that was due has been answered, which is after the first sync.
    eventually("no problem is told", async || world.guard.problem("northwind").await.is_none().then_some(())).await;

    let world = world.restart().await;
    assert_eq!(world.guard.account("northwind").await.expect("the account"), set);
    let from = world.guard.clock.now();
    world.advance(world.plan.audit_interval);
    eventually("northwind's audit log is read again", async || {
        let at = world.guard.status("northwind").await.audit_polled_at?;
        (micros(at) > from.micros()).then_some(())
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn an_account_without_credentials_serves_platform_customers_and_says_what_it_lacks() {
    let world = world(2).await;
    world.add_account("northwind").await;
    let made = world.guard.try_create("northwind", bakery()).await.expect("a customer of the platform's own");
    assert_eq!(world.guard.get(&made.name).await, made);
    let status = world.guard.status("northwind").await;
    let problem = status.problem.expect("a problem");
    assert_eq!(problem.reason, "NO_CREDENTIALS");
    assert!(problem.detail.contains("SetPartnerAccountCredentials"), "{}", problem.detail);
    assert!(status.next_night_at.is_some());
    let health = world.guard.health("northwind").await;
    assert!(!health.healthy);
    let [only] = health.checks.as_slice() else { panic!("one check: {health:?}") };
    assert_eq!(
        (only.kind(), only.passed, only.reason.as_str()),
        (HealthCheckKind::Credentials, false, "NO_CREDENTIALS")
    );
    assert!(!only.remedy.is_empty());
    let key = Some(Key::MicrosoftTenantId(made.name.rsplit('/').next().expect("an id").to_owned()));
    let explain = ExplainCustomerRequest { parent: "partnerAccounts/northwind".to_owned(), key };
    let explained = world.guard.sync.clone().explain_customer(explain).await.expect("an explanation").into_inner();
    assert_eq!(explained.verdict(), ExplanationVerdict::AccountBlocked);
    assert!(explained.remedy.contains("SetPartnerAccountCredentials"), "{}", explained.remedy);
    let parent = "partnerAccounts/-".to_owned();
    let every = ListCustomersRequest { parent, ..Default::default() };
    let every = world.guard.customers.clone().list_customers(every).await.expect("a list").into_inner();
    assert!(every.customers.iter().any(|customer| customer.name == made.name));
    assert_eq!(world.upstream.simulator.calls(world.upstream.partner("northwind").tenant_id).token, 0);
    world.end().await;
}

#[tokio::test]
async fn a_wrong_secret_is_told_by_health_and_status_and_a_right_one_heals_at_once() {
    let world = world(3).await;
    world.add_account("northwind").await;
    let partner = world.upstream.partner("northwind");
    world.guard.set_credentials("northwind", &partner.client_id, "not-the-secret").await.expect("credentials");
    let health = world.guard.health("northwind").await;
    let told: Vec<_> = health.checks.iter().map(|check| (check.kind(), check.passed, check.reason.as_str())).collect();
    let expected =
        [(HealthCheckKind::Credentials, true, ""), (HealthCheckKind::CustomerList, false, "CLIENT_SECRET_REFUSED")];
    assert_eq!((told.as_slice(), health.healthy), (expected.as_slice(), false));
    assert!(health.checks[1].remedy.contains("client secret is wrong"), "{}", health.checks[1].remedy);
    world.guard.wait_for_problem("northwind", "CLIENT_SECRET_REFUSED").await;

    // No time passes: what the old worker rested for is over with it.
    world.give_credentials("northwind").await;
    assert!(world.guard.health("northwind").await.healthy, "the new credentials are asked, not the old ones");
    world.guard.wait_for_first_sync("northwind").await;
    eventually("the problem is gone", async || world.guard.problem("northwind").await.is_none().then_some(())).await;
    world.end().await;
}

#[tokio::test]
async fn health_tells_each_thing_that_works_and_what_is_optional() {
    let world = world(1).await;
    let healthy = world.guard.health("contoso").await;
    assert!(healthy.healthy, "{healthy:?}");
    let kinds: Vec<_> = healthy.checks.iter().map(|check| (check.kind(), check.passed, check.optional)).collect();
    let expected = [
        (HealthCheckKind::Credentials, true, false),
        (HealthCheckKind::CustomerList, true, false),
        (HealthCheckKind::AuditLog, true, false),
        (HealthCheckKind::WebhookRegistration, true, true),
    ];
    assert_eq!(kinds, expected);
    world
        .upstream
        .fault(Fault::always(Effect::ServerError { status: 500, body: ErrorBody::Empty }).on(Route::Registration));
    let without_webhook = world.guard.health("contoso").await;
    assert!(without_webhook.healthy && !without_webhook.checks[3].passed, "{without_webhook:?}");
    world.upstream.fault(Fault::always(Effect::ServerError { status: 500, body: ErrorBody::Empty }).on(Route::Audit));
    let without_log = world.guard.health("contoso").await;
    assert!(!without_log.healthy && !without_log.checks[2].passed, "{without_log:?}");
    assert_eq!(without_log.checks[2].reason, "SOURCE_UNAVAILABLE");
    world.upstream.mend();
    world.end().await;
}

#[tokio::test]
async fn a_disabled_account_makes_no_calls_is_still_served_and_goes_on_when_it_is_active_again() {
    let world = world(3).await;
    world.add_account("northwind").await;
    let account = world.give_credentials("northwind").await;
    world.guard.wait_for_first_sync("northwind").await;
    let disabled = in_state(account, PartnerAccountState::Disabled);
    let disabled = world.guard.change_account(change(disabled, &["state"])).await.expect("a change");
    assert_eq!(disabled.state(), PartnerAccountState::Disabled);
    assert_eq!(world.guard.problem("northwind").await.expect("a problem").reason, "ACCOUNT_DISABLED");
    // Health follows the change, so that the worker has ended when it is answered.
    assert!(world.guard.health("northwind").await.healthy);
    let northwind = world.upstream.partner("northwind").tenant_id;
    let before = world.upstream.simulator.calls(northwind);
    world.pass_a_night().await;
    assert_eq!(world.upstream.simulator.calls(northwind), before, "nobody calls for a disabled account");
    let customer = world.guard.all("northwind").await.remove(0);
    let verified = micros(customer.verified_at.expect("a customer of Microsoft's"));
    let told = world.guard.refresh(&customer.name).await.expect_err("nobody looks");
    assert_eq!((told.code, told.metadata("cause").as_str()), (Code::Unavailable, "ACCOUNT_DISABLED"));
    let mut renamed = customer.clone();
    renamed.company_name = "Mine".to_owned();
    assert_eq!(
        world.guard.refused(renamed, &["company_name"]).await.reason(),
        "FIELD_OWNED_BY_PARTNER_CENTER",
        "it is still guarded"
    );
    assert_eq!(world.guard.problem("northwind").await.expect("still").reason, "ACCOUNT_DISABLED");

    let world = world.restart().await;
    assert_eq!(world.guard.problem("northwind").await.expect("still").reason, "ACCOUNT_DISABLED");
    let active = in_state(disabled, PartnerAccountState::Active);
    world.guard.change_account(change(active, &["state"])).await.expect("a change");
    eventually("the night is made up for", async || {
        let status = world.guard.status("northwind").await;
        let last = micros(status.last_full_sync?.start_time?);
        (last > verified && status.problem.is_none()).then_some(())
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn a_new_night_pace_and_promise_take_effect_at_once() {
    let world = world(2).await;
    world.add_account("northwind").await;
    let account = world.give_credentials("northwind").await;
    world.guard.wait_for_first_sync("northwind").await;
    let hour = |hours: i64| Some(prost_types::Duration { seconds: hours * 3600, nanos: 0 });
    let paced = SyncSettings {
        night: "0 5 * * *".to_owned(),
        time_zone: "Asia/Tokyo".to_owned(),
        audit_interval: hour(1),
        verify_within: hour(48),
        ..SyncSettings::default()
    };
    let wanted = PartnerAccount { sync_settings: Some(paced.clone()), ..account.clone() };
    let changed = world.guard.change_account(change(wanted, &["sync_settings"])).await.expect("a change");
    assert_eq!(changed.sync_settings, Some(paced));
    let status = world.guard.status("northwind").await;
    assert_eq!(status.verify_within, hour(48));
    assert_eq!(micros(status.next_night_at.expect("a night")) / 1_000_000 % 86_400, 20 * 3600, "five in Tokyo");
    let customer = world.guard.all("northwind").await.remove(0);
    let [verified, due] = [customer.verified_at, customer.verify_due_by].map(|at| micros(at.expect("a time")));
    assert_eq!(due - verified, 48 * 3600 * 1_000_000);

    // The log is read every hour now and no more every minute.
    assert!(world.guard.health("northwind").await.healthy);
    let polled = async || world.guard.status("northwind").await.audit_polled_at;
    let first = eventually("the new worker reads the log", async || {
        let at = polled().await?;
        (micros(at) >= micros(changed.update_time?)).then_some(at)
    })
    .await;
    let from = world.guard.clock.now();
    world.read_audit_log().await;
    world.read_audit_log().await;
    assert_eq!(polled().await, Some(first), "a minute is too early");
    world.advance(Duration::from_secs(3600));
    eventually("an hour is not", async || (micros(polled().await?) > from.micros()).then_some(())).await;

    // What is taken back is as the configuration says again.
    let empty = PartnerAccount { sync_settings: None, etag: String::new(), ..changed };
    let back = world.guard.change_account(change(empty, &["sync_settings.verify_within"])).await.expect("a change");
    assert_eq!(back.sync_settings.expect("the others").time_zone, "Asia/Tokyo");
    assert_eq!(world.guard.status("northwind").await.verify_within, hour(24));
    world.end().await;
}

#[tokio::test]
async fn an_account_of_the_configuration_is_seen_and_changed_there_only() {
    let world = world(0).await;
    let contoso = world.guard.account("contoso").await.expect("the account");
    assert_eq!(contoso.origin(), AccountOrigin::Configuration);
    assert_eq!(contoso.client_id, world.upstream.partner("contoso").client_id);
    assert_eq!(contoso.sync_settings.clone().expect("settings").time_zone, "Europe/Riga");
    let renamed = PartnerAccount { display_name: "Mine".to_owned(), ..contoso.clone() };
    let told = world.guard.change_account(change(renamed, &["display_name"])).await.expect_err("a refusal");
    let expected = (Code::FailedPrecondition, "ACCOUNT_MANAGED_BY_CONFIGURATION".to_owned());
    assert_eq!(
        (said(&told), told.metadata("partnerAccount")),
        (expected.clone(), "partnerAccounts/contoso".to_owned())
    );
    let told = world.guard.set_credentials("contoso", &contoso.client_id, "secret").await.expect_err("a refusal");
    assert_eq!(said(&told), expected);
    let world = world.restart().await;
    assert_eq!(world.guard.account("contoso").await.expect("the account"), contoso, "a restart changes nothing");
    world.end().await;
}

#[tokio::test]
async fn an_id_or_a_tenant_that_is_taken_is_refused_with_whose_it_is() {
    let world = world(0).await;
    let northwind = account_of(&world.upstream, "northwind");
    let contoso = account_of(&world.upstream, "contoso");
    world.add_account("northwind").await;
    for (id, account, by) in [
        ("contoso", account_of(&world.upstream, "fabrikam"), "contoso"),
        ("northwind", account_of(&world.upstream, "fabrikam"), "northwind"),
        ("another", contoso, "contoso"),
        ("another", northwind, "northwind"),
    ] {
        let told = world.guard.create_account(creation(id, account)).await.expect_err("a refusal");
        assert_eq!(said(&told), (Code::AlreadyExists, "PARTNER_ACCOUNT_EXISTS".to_owned()));
        assert_eq!(told.metadata("partnerAccount"), format!("partnerAccounts/{by}"));
    }
    assert_eq!(count(&world.guard.database, ACCOUNTS).await, 2);
    world.end().await;
}

#[tokio::test]
async fn every_problem_of_a_creation_a_change_and_credentials_is_told_at_once() {
    let world = world(0).await;
    let wrong = PartnerAccount {
        display_name: "x".repeat(201),
        kind: 99,
        microsoft_tenant_id: "northwind.example".to_owned(),
        state: -1,
        sync_settings: Some(SyncSettings {
            night: "at two".to_owned(),
            time_zone: "Mars/Olympus".to_owned(),
            audit_interval: Some(prost_types::Duration { seconds: 3601, nanos: 0 }),
            requests_per_minute: 60_001,
            concurrency: -1,
            ..SyncSettings::default()
        }),
        ..PartnerAccount::default()
    };
    let mut request = creation("North Wind", wrong.clone());
    request.request_id = "seventeen".to_owned();
    let told = world.guard.create_account(request).await.expect_err("nothing of it is right");
    let of_values = [
        "partner_account.display_name",
        "partner_account.kind",
        "partner_account.microsoft_tenant_id",
        "partner_account.state",
        "partner_account.sync_settings.audit_interval",
        "partner_account.sync_settings.concurrency",
        "partner_account.sync_settings.night",
        "partner_account.sync_settings.requests_per_minute",
        "partner_account.sync_settings.time_zone",
    ];
    let mut expected = fields(of_values);
    expected.extend(fields(["partner_account_id", "request_id"]));
    assert_eq!(told.wrong_fields(), expected);
    let told = world.guard.create_account(creation("northwind", PartnerAccount::default())).await.expect_err("empty");
    assert_eq!(told.wrong_fields(), fields(["partner_account.kind", "partner_account.microsoft_tenant_id"]));

    world.add_account("northwind").await;
    let named = PartnerAccount { name: "partnerAccounts/northwind".to_owned(), ..wrong };
    let told = world.guard.change_account(change(named, &["*"])).await.expect_err("nothing of it is right");
    assert_eq!(told.wrong_fields(), fields(of_values));
    let mut moved = account_of(&world.upstream, "contoso");
    moved.name = "partnerAccounts/northwind".to_owned();
    moved.set_cloud(Cloud::China);
    let told = world.guard.change_account(change(moved, &["*"])).await.expect_err("another tenant");
    assert_eq!(told.wrong_fields(), fields(["partner_account.cloud", "partner_account.microsoft_tenant_id"]));

    let told = world.guard.set_credentials("Northwind!", "me", "two words").await.expect_err("nothing of it is right");
    assert_eq!(told.wrong_fields(), fields(["name", "client_id", "client_secret"]));
    assert!(!String::from_utf8_lossy(&told.bytes).contains("two words"));
    world.end().await;
}

#[tokio::test]
async fn every_method_tells_an_unknown_partner_account() {
    let world = world(0).await;
    let partner = world.upstream.partner("fabrikam");
    let named = PartnerAccount { name: "partnerAccounts/fabrikam".to_owned(), ..PartnerAccount::default() };
    let health = CheckPartnerAccountHealthRequest { name: named.name.clone() };
    let told_all = [
        world.guard.account("fabrikam").await.err(),
        world.guard.change_account(change(named, &["display_name"])).await.err(),
        world.guard.set_credentials("fabrikam", &partner.client_id, &partner.client_secret).await.err(),
        world.guard.accounts.clone().check_partner_account_health(health).await.err().map(Told::from),
    ];
    for told in told_all {
        let told = told.expect("no such account");
        assert_eq!(said(&told), (Code::NotFound, "PARTNER_ACCOUNT_NOT_FOUND".to_owned()));
        assert_eq!(told.metadata("partnerAccount"), "partnerAccounts/fabrikam");
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_only_validated_is_answered_as_if_it_were_written_and_is_not() {
    let world = world(0).await;
    let mut request = creation("northwind", account_of(&world.upstream, "northwind"));
    request.validate_only = true;
    let shown = world.guard.create_account(request).await.expect("an answer");
    assert_eq!((shown.name.as_str(), shown.origin()), ("partnerAccounts/northwind", AccountOrigin::Api));
    assert_eq!(count(&world.guard.database, ACCOUNTS).await, 1);
    assert!(world.guard.account("northwind").await.is_err());
    let made = world.add_account("northwind").await;
    let mut request = change(in_state(made.clone(), PartnerAccountState::Disabled), &["state"]);
    request.validate_only = true;
    let shown = world.guard.change_account(request).await.expect("an answer");
    assert_eq!(shown.state(), PartnerAccountState::Disabled);
    assert_eq!(world.guard.account("northwind").await.expect("the account"), made);
    world.end().await;
}

#[tokio::test]
async fn a_creation_that_comes_twice_at_once_makes_one_account_and_a_change_has_one_effect() {
    let world = world(0).await;
    let mut request = creation("northwind", account_of(&world.upstream, "northwind"));
    request.request_id = FIRST.to_owned();
    let (one, two) =
        tokio::join!(world.guard.create_account(request.clone()), world.guard.create_account(request.clone()));
    let made = one.expect("an account");
    assert_eq!(two.expect("the same account"), made);
    assert_eq!(count(&world.guard.database, ACCOUNTS).await, 2);
    request.partner_account_id = "another".to_owned();
    let told = world.guard.create_account(request).await.expect_err("another request");
    assert_eq!(said(&told), (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned()));

    let named = |name: &str| PartnerAccount { display_name: name.to_owned(), etag: String::new(), ..made.clone() };
    let mut first = change(named("First"), &["display_name"]);
    first.request_id = FIRST.replace("0001", "0002");
    let answer = world.guard.change_account(first.clone()).await.expect("a change");
    let second = world.guard.change_account(change(named("Second"), &["display_name"])).await.expect("a change");
    assert_eq!(world.guard.change_account(first).await.expect("the same answer"), answer);
    assert_eq!(world.guard.account("northwind").await.expect("the account"), second);
    world.end().await;
}

#[tokio::test]
async fn a_stale_etag_is_refused_and_a_change_of_nothing_is_none() {
    let world = world(0).await;
    let made = world.add_account("northwind").await;
    let mut sold = made.clone();
    sold.set_kind(PartnerKind::DirectBill);
    let sold = world.guard.change_account(change(sold, &["kind"])).await.expect("a change");
    assert_eq!(sold.kind(), PartnerKind::DirectBill);
    assert_ne!(sold.etag, made.etag);
    let told = world.guard.change_account(change(made, &["display_name"])).await.expect_err("a stale etag");
    assert_eq!(said(&told), (Code::Aborted, "STALE_ETAG".to_owned()));
    assert_eq!(told.metadata("partnerAccount"), "partnerAccounts/northwind");
    let same = world.guard.change_account(change(sold.clone(), &["*"])).await.expect("no change");
    assert_eq!(same, sold);
    world.end().await;
}

#[tokio::test]
async fn accounts_are_listed_by_id_page_by_page() {
    let world = world(0).await;
    for name in ["northwind", "fabrikam"] {
        world.add_account(name).await;
    }
    let (all, end) = world.guard.account_page(0, "").await.expect("a page");
    assert_eq!((all, end.as_str()), (["contoso", "fabrikam", "northwind"].map(str::to_owned).to_vec(), ""));
    let (first, token) = world.guard.account_page(2, "").await.expect("a page");
    assert_eq!(first, ["contoso", "fabrikam"]);
    let (second, end) = world.guard.account_page(2, &token).await.expect("the next page");
    assert_eq!((second.as_slice(), end.as_str()), (["northwind".to_owned()].as_slice(), ""));
    let foreign = world.guard.customers.clone();
    let request = ListCustomersRequest {
        parent: "partnerAccounts/contoso".to_owned(),
        page_token: token.clone(),
        ..ListCustomersRequest::default()
    };
    let told = Told::from(foreign.clone().list_customers(request).await.expect_err("another list's token"));
    assert_eq!(told.reason(), "INVALID_PAGE_TOKEN");
    assert_eq!(world.guard.account_page(1, "nonsense").await.expect_err("no token").reason(), "INVALID_PAGE_TOKEN");
    assert_eq!(world.guard.account_page(-1, "").await.expect_err("negative").wrong_fields(), fields(["page_size"]));
    world.end().await;
}

#[tokio::test]
async fn workers_of_one_account_follow_one_another_however_often_it_changes() {
    let world = world(20).await;
    world.add_account("northwind").await;
    let northwind = world.upstream.partner("northwind").tenant_id;
    let tenants: Vec<_> = world.upstream.simulator.customers(northwind).iter().map(|customer| customer.id).collect();
    let places =
        async || count(&world.guard.database, "SELECT last_ticket FROM partner_account WHERE id = 'northwind'").await;
    let mut taken = vec![places().await];
    for (round, tenant) in tenants.iter().enumerate() {
        let email = format!("round{round}@northwind.example");
        let change = |profile: &mut customer_guard::simulator::customer::BillingProfile| profile.email = Some(email);
        world.upstream.simulator.change_billing_profile(northwind, *tenant, change).expect("a known customer");
        world.give_credentials("northwind").await;
        if round % 2 == 0 {
            // The worker of this round asks something of its own.
            assert!(world.guard.health("northwind").await.healthy);
            world.guard.try_create("northwind", bakery()).await.expect("it is served all the while");
        }
        if round % 5 == 4 {
            let before = *taken.last().expect("one");
            let further = async || Some(places().await).filter(|now| *now > before);
            taken.push(eventually("a new worker takes places of its own", further).await);
        }
    }
    assert!(taken.is_sorted_by(|earlier, later| earlier < later), "{taken:?}");
    eventually("everybody is as in Partner Center", async || {
        world.advance(world.plan.audit_interval);
        let customers = world.guard.all("northwind").await;
        let is_level = |(round, tenant): (usize, &uuid::Uuid)| {
            let found = customers.iter().find(|customer| customer.microsoft_tenant_id == tenant.to_string());
            let email =
                found.and_then(|customer| customer.primary_contact.as_ref()).map(|contact| contact.email.clone());
            email == Some(format!("round{round}@northwind.example"))
        };
        let level = tenants.iter().enumerate().all(is_level);
        (level && world.guard.status("northwind").await.backlog == 0).then_some(())
    })
    .await;
    // One worker reads the log once in an interval; two would read it twelve times. A reading may have begun before the
    // first interval, and the last may not have ended.
    let before = world.upstream.simulator.calls(northwind).audit;
    for _ in 0..6 {
        let from = world.guard.clock.now();
        world.advance(world.plan.audit_interval);
        eventually("the log is read", async || {
            let at = world.guard.status("northwind").await.audit_polled_at?;
            (micros(at) > from.micros()).then_some(())
        })
        .await;
    }
    let readings = world.upstream.simulator.calls(northwind).audit - before;
    assert!((5..=7).contains(&readings), "{readings} readings");
    world.end().await;
}

#[tokio::test]
async fn an_account_that_moves_into_the_configuration_keeps_its_customers_and_forgets_its_secret() {
    let world = world(3).await;
    world.add_account("northwind").await;
    world.give_credentials("northwind").await;
    world.guard.wait_for_first_sync("northwind").await;
    let before = world.guard.all("northwind").await;
    let mut world = world;
    world.plan.partners = vec!["contoso", "northwind"];
    let world = world.restart().await;
    let account = world.guard.account("northwind").await.expect("the account");
    assert_eq!((account.origin(), account.credentials_time), (AccountOrigin::Configuration, None));
    assert_eq!(world.guard.all("northwind").await.len(), before.len());
    assert_eq!(count(&world.guard.database, "SELECT count(*) FROM partner_account_credentials").await, 0);
    assert!(world.guard.health("northwind").await.healthy);

    // One that left the configuration is no more served, and its tenant stays its own.
    let mut world = world;
    world.plan.partners = vec!["contoso"];
    let world = world.restart().await;
    assert_eq!(world.guard.account("northwind").await.expect_err("not served").reason(), "PARTNER_ACCOUNT_NOT_FOUND");
    assert_eq!(world.guard.account_page(0, "").await.expect("a page").0, ["contoso"]);
    let again = creation("northwind", account_of(&world.upstream, "northwind"));
    let told = world.guard.create_account(again).await.expect_err("the id is taken");
    assert_eq!(told.reason(), "PARTNER_ACCOUNT_EXISTS");
    world.end().await;
}

#[tokio::test]
async fn a_configured_account_with_the_tenant_of_another_one_is_refused_by_name() {
    let world = world(0).await;
    let tenant = PartnerAccount { ..account_of(&world.upstream, "northwind") };
    world.guard.create_account(creation("windy", tenant)).await.expect("a new account");
    let World { upstream, guard, folder, plan } = world;
    let both = Plan { partners: vec!["contoso", "northwind"], ..plan };
    let wanted = settings(&both, &upstream, &guard.database);
    guard.stop().await;
    let refused = App::build(wanted, both.clock.clone()).await.err().expect("a refusal");
    assert!(matches!(refused, StartError::Account(_)), "{refused:?}");
    assert!(refused.to_string().contains("northwind") && refused.to_string().contains("windy"), "{refused}");
    drop(folder);
    upstream.stop().await;
}

#[tokio::test]
async fn a_service_without_configured_accounts_serves_those_of_the_api() {
    let upstream = Upstream::start().await;
    upstream.seed("northwind", 2);
    let world = World::unsynchronized(Plan { partners: Vec::new(), ..Plan::usual() }, upstream).await;
    assert_eq!(world.guard.account_page(0, "").await.expect("a page"), (Vec::new(), String::new()));
    world.add_account("northwind").await;
    world.give_credentials("northwind").await;
    world.guard.wait_for_first_sync("northwind").await;
    assert_eq!(world.guard.all("northwind").await.len(), 2);
    world.end().await;
}
