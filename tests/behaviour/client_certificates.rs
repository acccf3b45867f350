//! Accounts whose application signs in by a certificate instead of a secret.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use customer_guard::grpc::proto::{CredentialKind, HealthCheckKind, SetPartnerAccountCredentialsRequest};
use customer_guard::sign_in::Credential;
use customer_guard::sign_in::certificate::ClientCertificate;
use customer_guard::simulator::sign_in::SignInOf;
use serde_json::json;

use crate::harness::client_certificates::{Made, valid_for};
use crate::harness::told::fields;
use crate::harness::upstream::{Upstream, noon};
use crate::harness::{Plan, World, micros};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn world() -> World {
    let upstream = Upstream::start().await;
    upstream.seed("northwind", 2);
    let world = World::unsynchronized(Plan { partners: Vec::new(), ..Plan::usual() }, upstream).await;
    world.add_account("northwind").await;
    world
}

fn with_certificate(world: &World, pem: String) -> SetPartnerAccountCredentialsRequest {
    SetPartnerAccountCredentialsRequest {
        client_id: world.upstream.partner("northwind").client_id,
        client_certificate: pem,
        ..SetPartnerAccountCredentialsRequest::default()
    }
}

fn register(upstream: &Upstream, name: &str, made: &Made) {
    let tenant = upstream.partner(name).tenant_id;
    upstream.simulator.register_certificate(tenant, &made.certificate).expect("a certificate");
}

#[tokio::test]
async fn a_certificate_signs_in_and_its_end_is_shown() {
    let world = world().await;
    let made = valid_for(100, noon());
    register(&world.upstream, "northwind", &made);
    let set = world.guard.set_more_credentials("northwind", with_certificate(&world, made.pem())).await.expect("set");
    assert_eq!(set.credential_kind(), CredentialKind::ClientCertificate);
    let end = micros(set.certificate_expire_time.expect("an end"));
    assert!((end - noon().plus(DAY * 100).micros()).unsigned_abs() <= DAY.as_micros() as u64);
    assert!(!set.has_refresh_token);
    world.guard.wait_for_first_sync("northwind").await;
    assert!(world.guard.health("northwind").await.healthy);
    // A secret in its place is shown as one.
    let set = world.give_credentials("northwind").await;
    assert_eq!((set.credential_kind(), set.certificate_expire_time), (CredentialKind::ClientSecret, None));
    world.end().await;
}

#[tokio::test]
async fn a_certificate_of_the_configuration_signs_in_also_after_a_restart() {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 2);
    let made = valid_for(100, noon());
    register(&upstream, "contoso", &made);
    let certificate = ClientCertificate::parse(&made.pem().into()).expect("a certificate");
    let credentials = [("contoso", Credential::Certificate(certificate))].into();
    let world = World::unsynchronized(Plan { credentials, ..Plan::usual() }, upstream).await;
    world.guard.wait_for_first_sync("contoso").await;
    let account = world.guard.account("contoso").await.expect("an account");
    assert_eq!(account.credential_kind(), CredentialKind::ClientCertificate);
    assert!(account.certificate_expire_time.is_some());
    let world = world.restart().await;
    assert!(world.guard.health("contoso").await.healthy);
    assert_eq!(world.guard.account("contoso").await.expect("an account").etag, account.etag, "nothing changed");
    world.end().await;
}

#[tokio::test]
async fn a_certificate_the_application_does_not_have_is_refused_with_what_to_do() {
    let world = world().await;
    let (made, another) = (valid_for(100, noon()), valid_for(100, noon()));
    register(&world.upstream, "northwind", &another);
    world.guard.set_more_credentials("northwind", with_certificate(&world, made.pem())).await.expect("set");
    world.guard.wait_for_problem("northwind", "CLIENT_CERTIFICATE_REFUSED").await;
    let health = world.guard.health("northwind").await;
    let failed = health.checks.iter().find(|check| !check.passed).expect("a failure");
    assert_eq!(failed.reason, "CLIENT_CERTIFICATE_REFUSED");
    assert!(failed.remedy.contains("Certificates & secrets"), "{}", failed.remedy);
    register(&world.upstream, "northwind", &made);
    world.advance(Duration::from_secs(300));
    world.guard.wait_for_first_sync("northwind").await;
    world.end().await;
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_certificate_is_told_and_nothing_of_it_is_quoted() {
    let world = world().await;
    let (made, another) = (valid_for(100, noon()), valid_for(100, noon()));
    let expired = valid_for(0, noon().minus(DAY));
    let cases = [
        ("hunter2-canary".to_owned(), 2),
        (made.certificate.clone(), 1),
        (format!("{}{}", made.certificate, another.key), 1),
        (expired.pem(), 1),
    ];
    for (pem, count) in cases {
        let told = world.guard.set_more_credentials("northwind", with_certificate(&world, pem)).await;
        let told = told.expect_err("a refusal");
        assert_eq!(told.reason(), "INVALID_FIELD");
        assert_eq!(told.wrong_fields(), fields(["client_certificate"]));
        assert_eq!(told.bad_request().len(), count);
        let quoted = |text: &str| told.bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!quoted("hunter2") && !quoted(&made.key[40..80]) && !quoted(&another.key[40..80]));
    }
    let both = SetPartnerAccountCredentialsRequest {
        client_secret: "a-secret".to_owned(),
        refresh_token: "with space".to_owned(),
        ..with_certificate(&world, made.pem())
    };
    let told = world.guard.set_more_credentials("northwind", both).await.expect_err("a refusal");
    assert_eq!(told.wrong_fields(), fields(["client_certificate", "refresh_token"]));
    world.end().await;
}

#[tokio::test]
async fn a_certificate_warns_before_its_end_and_blocks_after_it() {
    let world = world().await;
    let made = valid_for(40, noon());
    register(&world.upstream, "northwind", &made);
    world.guard.set_more_credentials("northwind", with_certificate(&world, made.pem())).await.expect("set");
    world.guard.wait_for_first_sync("northwind").await;
    assert_eq!(world.guard.health("northwind").await.checks.len(), 4);
    world.advance(DAY * 12);
    world.guard.wait_for_problem("northwind", "CLIENT_CERTIFICATE_EXPIRES_SOON").await;
    let health = world.guard.health("northwind").await;
    assert!(health.healthy, "it works yet: {health:?}");
    let warned = health.checks.iter().find(|check| check.reason == "CLIENT_CERTIFICATE_EXPIRES_SOON");
    assert!(warned.is_some_and(|check| check.optional && check.kind() == HealthCheckKind::Credentials));
    world.advance(DAY * 30);
    world.guard.wait_for_problem("northwind", "CLIENT_CERTIFICATE_EXPIRED").await;
    let health = world.guard.health("northwind").await;
    assert!(!health.healthy);
    assert_eq!(health.checks[0].reason, "CLIENT_CERTIFICATE_EXPIRED");
    let renewed = valid_for(100, world.guard.clock.now());
    register(&world.upstream, "northwind", &renewed);
    world.guard.set_more_credentials("northwind", with_certificate(&world, renewed.pem())).await.expect("set");
    assert!(world.guard.health("northwind").await.healthy, "a new one heals at once");
    world.end().await;
}

#[tokio::test]
async fn a_clock_that_is_off_blocks_nobody_and_the_next_assertion_is_in_time() {
    let world = world().await;
    let made = valid_for(100, noon());
    register(&world.upstream, "northwind", &made);
    let ahead = Duration::from_secs(3600);
    world.upstream.simulator.clock().advance(ahead);
    world.guard.set_more_credentials("northwind", with_certificate(&world, made.pem())).await.expect("set");
    let health = world.guard.health("northwind").await;
    let failed = health.checks.iter().find(|check| !check.passed).expect("a failure");
    assert_eq!(failed.reason, "SOURCE_UNAVAILABLE", "it passes by itself");
    // The clock is right again, and nobody sets anything.
    world.guard.clock.advance(ahead);
    world.guard.wait_for_first_sync("northwind").await;
    assert!(world.guard.health("northwind").await.healthy);
    world.end().await;
}

/// What the sign-in service answers to an assertion with those claims.
async fn answered(upstream: &Upstream, certificate: &ClientCertificate, claims: &serde_json::Value) -> u16 {
    let thumbprint = URL_SAFE_NO_PAD.encode(certificate.sha256());
    let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint});
    let [header, claims] = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signature = certificate.sign(format!("{header}.{claims}").as_bytes()).expect("a signature");
    let assertion = format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature));
    let partner = upstream.partner("contoso");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &partner.client_id),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", &assertion),
        ("scope", "https://api.partnercenter.microsoft.com/.default"),
    ];
    let address = format!("{}/{}/oauth2/v2.0/token", upstream.root, partner.tenant_id);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    client.post(address).form(&form).send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn the_simulated_sign_in_service_takes_a_sound_assertion_once() {
    let upstream = Upstream::start().await;
    let made = valid_for(100, noon());
    let certificate = ClientCertificate::parse(&made.pem().into()).expect("a certificate");
    let partner = upstream.partner("contoso");
    let seconds = upstream.simulator.clock().now().timestamp();
    let sound = json!({
        "aud": format!("{}/{}/oauth2/v2.0/token", upstream.root, partner.tenant_id),
        "iss": partner.client_id, "sub": partner.client_id,
        "jti": "first", "nbf": seconds, "exp": seconds + 300,
    });
    assert_eq!(answered(&upstream, &certificate, &sound).await, 401, "it is not registered");
    register(&upstream, "contoso", &made);
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = sound.clone();
        claims[name] = value;
        claims
    };
    for (name, value) in [
        ("aud", json!("https://elsewhere.example/token")),
        ("iss", json!("another")),
        ("sub", json!("another")),
        ("exp", json!(seconds - 1)),
        ("exp", json!(seconds + 3600)),
        ("jti", json!("")),
    ] {
        assert_eq!(answered(&upstream, &certificate, &with(name, value)).await, 401, "{name}");
    }
    assert_eq!(answered(&upstream, &certificate, &sound).await, 200);
    assert_eq!(answered(&upstream, &certificate, &sound).await, 401, "it was used");
    assert_eq!(upstream.simulator.sign_ins(partner.tenant_id, SignInOf::Application), 1);
    upstream.stop().await;
}
