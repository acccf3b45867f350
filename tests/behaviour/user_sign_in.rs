//! The user half of an account: refresh tokens that are used daily, replaced safely, and refused without stopping the
//! application.

use std::time::Duration;

use customer_guard::app::App;
use customer_guard::grpc::proto::{HealthCheckKind, SetPartnerAccountCredentialsRequest};
use customer_guard::partner_center::PartnerCenter;
use customer_guard::partner_center::settings as upstream_settings;
use customer_guard::sealing::SealingKeys;
use customer_guard::sign_in::Credential;
use customer_guard::simulator::sign_in::{SignInMischief, SignInOf, TokenRefusal};
use customer_guard::sync::keeper;
use tonic::Code;

use crate::harness::database::{begin_outage, count, end_outage};
use crate::harness::upstream::Upstream;
use crate::harness::{Plan, SEALING_KEY, World, eventually, micros, settings};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const NORTHWIND: &str = "northwind";

/// Northwind, an account of the API, synchronized, whose user has signed in once.
async fn world() -> World {
    let upstream = Upstream::start().await;
    upstream.seed(NORTHWIND, 2);
    let world = World::unsynchronized(Plan { partners: Vec::new(), ..Plan::usual() }, upstream).await;
    world.add_account(NORTHWIND).await;
    world.give_refresh_token(NORTHWIND).await;
    world.guard.wait_for_first_sync(NORTHWIND).await;
    signed_in_since(&world, 0).await;
    no_problem(&world).await;
    world
}

fn tenant(world: &World) -> uuid::Uuid {
    world.upstream.partner(NORTHWIND).tenant_id
}

/// How often the user was signed in, as the sign-in service counts it.
fn issued(world: &World) -> u64 {
    world.upstream.simulator.sign_ins(tenant(world), SignInOf::User)
}

fn mischief(world: &World, mischief: SignInMischief) {
    let mischief = SignInMischief { of: Some(SignInOf::User), ..mischief };
    world.upstream.simulator.set_sign_in_mischief(tenant(world), mischief).expect("a known partner");
}

fn mend(world: &World) {
    world.upstream.simulator.set_sign_in_mischief(tenant(world), SignInMischief::default()).expect("a known partner");
}

fn refusing(refusal: TokenRefusal) -> SignInMischief {
    SignInMischief { refusal: Some(refusal), ..SignInMischief::default() }
}

/// Waits until the user has been signed in at that time or later, as the service tells it.
async fn signed_in_since(world: &World, from: i64) -> i64 {
    eventually("the user is signed in", async || {
        let account = world.guard.account(NORTHWIND).await.ok()?;
        account.user_sign_in_time.map(micros).filter(|at| *at >= from)
    })
    .await
}

/// Lets a day pass and waits until the refresh token was used with success.
async fn pass_a_day(world: &World) {
    world.advance(DAY);
    signed_in_since(world, world.guard.clock.now().micros()).await;
}

/// Waits until the account's problem is this, and returns what to do about it.
async fn told(world: &World, reason: &str) -> String {
    world.guard.wait_for_problem(NORTHWIND, reason).await;
    world.guard.problem(NORTHWIND).await.expect("a problem").detail
}

/// Waits until nothing is said of the account: what was said before a worker began ends with its first work.
async fn no_problem(world: &World) {
    eventually("nothing is said", async || world.guard.problem(NORTHWIND).await.is_none().then_some(())).await;
}

async fn user_check(world: &World) -> (bool, bool, String) {
    let health = world.guard.health(NORTHWIND).await;
    let check = health.checks.into_iter().find(|check| check.kind() == HealthCheckKind::UserSignIn);
    check.map(|check| (check.passed, check.optional, check.reason)).expect("the user was tried")
}

/// Waits until the audit log was read after now: the application goes on.
async fn application_goes_on(world: &World) {
    world.advance(world.plan.audit_interval);
    let from = world.guard.clock.now().micros();
    eventually("the audit log is read", async || {
        world.guard.status(NORTHWIND).await.audit_polled_at.map(micros).filter(|at| *at >= from)
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_is_used_at_once_and_told_of() {
    let world = world().await;
    let account = world.guard.account(NORTHWIND).await.expect("an account");
    assert!(account.has_refresh_token && account.user_sign_in_time.is_some());
    assert_eq!(user_check(&world).await, (true, false, String::new()), "an indirect provider needs it");
    no_problem(&world).await;
    assert_eq!(issued(&world), 1, "the check used the token that was there");
    // Without another one, a new secret leaves it.
    world.give_credentials(NORTHWIND).await;
    assert!(world.guard.account(NORTHWIND).await.expect("an account").has_refresh_token);
    world.end().await;
}

#[tokio::test]
async fn it_is_used_every_day_so_that_its_ninety_days_never_end() {
    let world = world().await;
    for _ in 0..100 {
        pass_a_day(&world).await;
    }
    let used = issued(&world);
    assert!((101..=110).contains(&used), "once a day and no more: {used}");
    no_problem(&world).await;
    world.end().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_on_its_way_costs_nothing() {
    let world = world().await;
    mischief(&world, SignInMischief { lost_answer: true, ..SignInMischief::default() });
    let before = issued(&world);
    world.advance(DAY);
    eventually("a token is issued and lost", async || (issued(&world) > before).then_some(())).await;
    mend(&world);
    world.advance(Duration::from_secs(600));
    signed_in_since(&world, world.guard.clock.now().minus(Duration::from_secs(600)).micros()).await;
    world.end().await;
}

#[tokio::test]
async fn a_crash_between_the_answer_and_the_store_loses_no_token() {
    let world = world().await;
    let database = world.guard.database.clone();
    begin_outage(&database, "UPDATE", "partner_account_refresh_token", "true").await;
    let (before, signed_in) = (issued(&world), signed_in_since(&world, 0).await);
    world.advance(DAY);
    eventually("a token is issued that cannot be kept", async || (issued(&world) > before).then_some(())).await;
    application_goes_on(&world).await;
    assert_eq!(signed_in_since(&world, 0).await, signed_in, "what is not kept is not used");
    let world = world.restart().await;
    end_outage(&database, "partner_account_refresh_token").await;
    world.advance(Duration::from_secs(600));
    signed_in_since(&world, signed_in + 1).await;
    assert!(user_check(&world).await.0);
    world.end().await;
}

#[tokio::test]
async fn the_token_before_the_newest_is_kept_until_the_newest_has_worked() {
    let world = world().await;
    let simulator = world.upstream.simulator.clone();
    let newest = simulator.newest_refresh_token(tenant(&world)).expect("a token");
    simulator.revoke_refresh_token(tenant(&world), &newest).expect("a known partner");
    pass_a_day(&world).await;
    no_problem(&world).await;
    pass_a_day(&world).await;
    world.end().await;
}

#[tokio::test]
async fn two_who_use_a_refresh_token_at_once_both_go_on_with_what_is_kept() {
    let world = world().await;
    let partner = world.upstream.partner(NORTHWIND);
    let id = NORTHWIND.parse().expect("an id");
    let keys = SealingKeys::parse(&SEALING_KEY.into()).expect("keys");
    let center = || {
        let settings = upstream_settings::Settings {
            credential: Credential::Secret(partner.client_secret.clone().into()),
            ..settings(&Plan { partners: vec![NORTHWIND], ..Plan::usual() }, &world.upstream, &world.guard.database)
                .accounts
                .remove(0)
                .partner_center
        };
        let keeper = keeper(&world.guard.store, &keys, &id, &partner.client_id, &world.guard.clock);
        PartnerCenter::with_user(settings, keeper, world.guard.clock.clone()).expect("a client")
    };
    mischief(&world, SignInMischief { delay_milliseconds: 100, ..SignInMischief::default() });
    let centers = [center(), center()];
    let before = issued(&world);
    let (one, two) = tokio::join!(centers[0].renew_user_sign_in(), centers[1].renew_user_sign_in());
    one.expect("the winner");
    two.expect("the loser, by what the winner kept");
    assert_eq!(issued(&world) - before, 3, "the loser asked again");
    mend(&world);
    let kept = world.guard.store.refresh_token(&id).await.expect("a store").expect("a token");
    let newest =
        customer_guard::operations::credentials::open_refresh_token(&keys, &id, &partner.client_id, &kept.newest);
    let newest = secrecy::ExposeSecret::expose_secret(&newest.expect("it opens")).to_owned();
    assert_eq!(world.upstream.simulator.newest_refresh_token(partner.tenant_id), Some(newest));
    world.end().await;
}

#[tokio::test]
async fn a_revoked_grant_stops_the_user_alone_and_a_new_token_heals() {
    let world = world().await;
    world.upstream.simulator.revoke_refresh_tokens(tenant(&world)).expect("a known partner");
    world.advance(DAY);
    let remedy = told(&world, "CONSENT_NEEDED").await;
    assert!(remedy.contains("multi-factor") && remedy.contains("refresh token"), "{remedy}");
    let (passed, _, reason) = user_check(&world).await;
    assert!(!passed && reason == "CONSENT_NEEDED");
    let calls = || world.upstream.simulator.calls(tenant(&world)).token;
    application_goes_on(&world).await;
    // The application's token is renewed within the hour; nobody asks for the user.
    let before = calls();
    for _ in 0..10 {
        application_goes_on(&world).await;
        assert_eq!(user_check(&world).await.2, "CONSENT_NEEDED");
    }
    assert!(calls() - before <= 1, "{} sign-ins", calls() - before);
    let world = world.restart().await;
    application_goes_on(&world).await;
    assert_eq!(user_check(&world).await.2, "CONSENT_NEEDED", "a restart does not forget it");
    world.give_refresh_token(NORTHWIND).await;
    eventually("the new token is used", async || user_check(&world).await.0.then_some(())).await;
    no_problem(&world).await;
    world.end().await;
}

#[tokio::test]
async fn a_day_later_a_refused_token_is_tried_again() {
    let world = world().await;
    mischief(&world, refusing(TokenRefusal::ConditionalAccess));
    world.advance(DAY);
    told(&world, "CONDITIONAL_ACCESS").await;
    mend(&world);
    pass_a_day(&world).await;
    no_problem(&world).await;
    world.end().await;
}

#[tokio::test]
async fn every_refusal_of_the_sign_in_service_says_what_to_do() {
    let world = world().await;
    // FACTS 1.6.
    let final_ones = [
        (TokenRefusal::RefreshTokenExpired, "CONSENT_NEEDED", "90 days"),
        (TokenRefusal::GrantRevoked, "CONSENT_NEEDED", "revoked"),
        (TokenRefusal::MfaNeeded, "CONSENT_NEEDED", "multi-factor"),
        (TokenRefusal::MfaEnrolment, "CONSENT_NEEDED", "register"),
        (TokenRefusal::MfaExpired, "CONSENT_NEEDED", "asked for again"),
        (TokenRefusal::InteractionRequired, "CONSENT_NEEDED", "multi-factor"),
        (TokenRefusal::ConsentMissing, "CONSENT_NEEDED", "consented"),
        (TokenRefusal::ConditionalAccess, "CONDITIONAL_ACCESS", "policy"),
    ];
    for (refusal, reason, word) in final_ones {
        mischief(&world, refusing(refusal));
        world.give_refresh_token(NORTHWIND).await;
        let remedy = told(&world, reason).await;
        assert!(remedy.contains(word), "{refusal:?}: {remedy}");
        assert_eq!(user_check(&world).await.2, reason, "{refusal:?}");
        application_goes_on(&world).await;
        mend(&world);
        world.give_refresh_token(NORTHWIND).await;
        eventually("it heals", async || user_check(&world).await.0.then_some(())).await;
    }
    let others = [
        (TokenRefusal::WrongSecret, "CLIENT_SECRET_REFUSED"),
        (TokenRefusal::ExpiredSecret, "CLIENT_SECRET_REFUSED"),
        (TokenRefusal::WrongAssertion, "CLIENT_SECRET_REFUSED"),
        (TokenRefusal::UntimelyAssertion, "SOURCE_UNAVAILABLE"),
        (TokenRefusal::ApplicationNotFound, "APPLICATION_NOT_FOUND"),
        (TokenRefusal::TenantNotFound, "TENANT_NOT_FOUND"),
        (TokenRefusal::InvalidTenant, "TENANT_NOT_FOUND"),
        (TokenRefusal::TemporarilyUnavailable, "SOURCE_UNAVAILABLE"),
        (TokenRefusal::Loop, "SOURCE_UNAVAILABLE"),
    ];
    for (refusal, reason) in others {
        mischief(&world, refusing(refusal));
        world.give_refresh_token(NORTHWIND).await;
        assert_eq!(user_check(&world).await.2, reason, "{refusal:?}");
        application_goes_on(&world).await;
        mend(&world);
    }
    world.end().await;
}

#[tokio::test]
async fn a_token_without_multi_factor_or_of_another_tenant_is_not_used() {
    let world = world().await;
    let wrong = [
        (SignInMischief { without_mfa: true, ..SignInMischief::default() }, "MFA_REQUIRED"),
        (SignInMischief { foreign_tenant: true, ..SignInMischief::default() }, "TENANT_MISMATCH"),
    ];
    for (wrong, reason) in wrong {
        mischief(&world, wrong);
        world.give_refresh_token(NORTHWIND).await;
        told(&world, reason).await;
        assert_eq!(user_check(&world).await.2, reason);
        application_goes_on(&world).await;
    }
    world.end().await;
}

#[tokio::test]
async fn an_answer_without_a_newer_token_keeps_the_one_that_worked() {
    let world = world().await;
    mischief(&world, SignInMischief { without_refresh_token: true, ..SignInMischief::default() });
    for _ in 0..3 {
        pass_a_day(&world).await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_token_that_cannot_be_used_for_sixty_days_raises_an_alarm() {
    let world = world().await;
    mischief(&world, refusing(TokenRefusal::TemporarilyUnavailable));
    world.advance(DAY * 59);
    application_goes_on(&world).await;
    assert_eq!(world.guard.problem(NORTHWIND).await, None);
    world.advance(DAY * 2);
    let remedy = told(&world, "REFRESH_TOKEN_AGING").await;
    assert!(remedy.contains("90 days"), "{remedy}");
    mend(&world);
    world.advance(Duration::from_secs(3600));
    eventually("the alarm ends", async || world.guard.problem(NORTHWIND).await.is_none().then_some(())).await;
    world.end().await;
}

#[tokio::test]
async fn a_file_of_the_configuration_begins_a_line_and_another_one_replaces_it() {
    let upstream = Upstream::start().await;
    upstream.seed(NORTHWIND, 2);
    let partner = upstream.partner(NORTHWIND);
    let first = upstream.simulator.sign_user_in(partner.tenant_id).expect("a known partner");
    let refresh_tokens = [(NORTHWIND, first.clone())].into();
    let world =
        World::unsynchronized(Plan { partners: vec![NORTHWIND], refresh_tokens, ..Plan::usual() }, upstream).await;
    signed_in_since(&world, 0).await;
    // The first one has served; the line goes on with what is kept.
    world.upstream.simulator.revoke_refresh_token(partner.tenant_id, &first).expect("a known partner");
    let mut world = world.restart().await;
    pass_a_day(&world).await;
    // Every token of the line is taken away, and the file gets one of a new sign-in.
    world.upstream.simulator.revoke_refresh_tokens(partner.tenant_id).expect("a known partner");
    world.advance(DAY);
    told(&world, "CONSENT_NEEDED").await;
    let second = world.upstream.simulator.sign_user_in(partner.tenant_id).expect("a known partner");
    world.plan.refresh_tokens = [(NORTHWIND, second)].into();
    let mut world = world.restart().await;
    signed_in_since(&world, world.guard.clock.now().minus(DAY / 2).micros()).await;
    world.plan.refresh_tokens.clear();
    let world = world.restart().await;
    assert!(!world.guard.account(NORTHWIND).await.expect("an account").has_refresh_token, "no file, no user");
    world.end().await;
}

#[tokio::test]
async fn without_a_sealing_key_no_refresh_token_is_taken() {
    let upstream = Upstream::start().await;
    let plan = Plan { partners: vec!["contoso"], sealing_keys: None, ..Plan::usual() };
    let mut world = World::unsynchronized(plan, upstream).await;
    world.add_account(NORTHWIND).await;
    let partner = world.upstream.partner(NORTHWIND);
    let request = SetPartnerAccountCredentialsRequest {
        client_id: partner.client_id,
        client_secret: partner.client_secret,
        refresh_token: "a-token".to_owned(),
        ..SetPartnerAccountCredentialsRequest::default()
    };
    let told = world.guard.set_more_credentials(NORTHWIND, request).await.expect_err("nothing to seal it with");
    assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "SEALING_KEY_MISSING"));
    assert_eq!(count(&world.guard.database, "SELECT count(*) FROM partner_account_refresh_token").await, 0);
    world.plan.refresh_tokens = [("contoso", "a-token".to_owned())].into();
    let other = world.folder.path().join("other.db");
    let refused = App::build(settings(&world.plan, &world.upstream, &other), world.plan.clock.clone()).await;
    let refused = refused.err().expect("it does not start").to_string();
    assert!(refused.contains("sealing key") && !refused.contains("a-token"), "{refused}");
    world.end().await;
}
