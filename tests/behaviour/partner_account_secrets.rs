//! The secrets of accounts of the API: sealed, told to nobody, bound to their account, and lost with the key only.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use customer_guard::grpc::proto::{HealthCheckKind, SetPartnerAccountCredentialsRequest};
use tonic::Code;
use tracing_subscriber::fmt::MakeWriter;

use crate::harness::client_certificates::valid_for;
use crate::harness::database::{count, is_postgres, kept_bytes, shell};
use crate::harness::upstream::Upstream;
use crate::harness::{Plan, SEALING_KEY, World, eventually};

/// Another sealing key.
const NEW_KEY: &str = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=";
/// Both, the new one first.
const BOTH_KEYS: &str = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=\nMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=\n";

async fn world() -> World {
    let upstream = Upstream::start().await;
    upstream.seed("northwind", 2);
    World::unsynchronized(Plan { partners: Vec::new(), ..Plan::usual() }, upstream).await
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Why the account's first check fails; empty when it does not.
async fn credentials_fail(world: &World) -> String {
    let health = world.guard.health("northwind").await;
    assert_eq!(health.checks[0].kind(), HealthCheckKind::Credentials);
    health.checks[0].reason.clone()
}

#[tokio::test]
async fn a_secret_is_in_no_file_no_log_and_no_answer() {
    let log = Log::default();
    let everything = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _here = tracing::subscriber::set_default(everything);
    let world = world().await;
    world.add_account("northwind").await;
    let wrong = "wrong-secret-5b1e0c";
    let partner = world.upstream.partner("northwind");
    let set = world.guard.set_credentials("northwind", &partner.client_id, wrong).await.expect("credentials");
    assert!(!format!("{set:?}").contains(wrong));
    world.guard.wait_for_problem("northwind", "CLIENT_SECRET_REFUSED").await;
    let health = world.guard.health("northwind").await;
    assert!(!format!("{health:?}").contains(wrong));
    world.give_credentials("northwind").await;
    world.guard.wait_for_first_sync("northwind").await;
    let told = world.guard.set_credentials("northwind", "no-id", "a secret with-d4ta").await.expect_err("a refusal");
    assert!(!holds(&told.bytes, "with-d4ta"));

    let secrets = [wrong, partner.client_secret.as_str(), "with-d4ta", SEALING_KEY];
    let scanned = kept_bytes(&world.guard.database).await;
    for (name, bytes) in &scanned {
        for secret in secrets {
            assert!(!holds(bytes, secret), "{name} holds a secret");
        }
        assert!(holds(bytes, "northwind") || bytes.len() < 100_000, "{name} was scanned");
    }
    let expected = if is_postgres() { ["partner_account_credentials", "decision"] } else { [".db-wal", ".db"] };
    for name in expected {
        assert!(scanned.keys().any(|scanned| scanned.ends_with(name)), "{name} is among {:?}", scanned.keys());
    }
    world.end().await;
    let logged = log.0.lock().expect("a log");
    assert!(holds(&logged, "northwind"), "the log was caught");
    for secret in secrets {
        assert!(!holds(&logged, secret), "the log holds a secret");
    }
}

#[tokio::test]
async fn a_private_key_and_every_refresh_token_are_in_no_file_no_log_and_no_answer() {
    let log = Log::default();
    let everything = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _here = tracing::subscriber::set_default(everything);
    let world = world().await;
    world.add_account("northwind").await;
    let (tenant, simulator) = (world.upstream.partner("northwind").tenant_id, world.upstream.simulator.clone());
    let made = valid_for(100, world.guard.clock.now());
    let mut tokens = vec![simulator.sign_user_in(tenant).expect("a known partner")];
    let request = SetPartnerAccountCredentialsRequest {
        client_id: world.upstream.partner("northwind").client_id,
        client_certificate: made.pem(),
        refresh_token: tokens[0].clone(),
        ..SetPartnerAccountCredentialsRequest::default()
    };
    let mut answers = String::new();
    // First the certificate is refused, then the token works, then it is refused: each leaves something in the log.
    answers += &format!("{:?}", world.guard.set_more_credentials("northwind", request.clone()).await.expect("set"));
    world.guard.wait_for_problem("northwind", "CLIENT_CERTIFICATE_REFUSED").await;
    answers += &format!("{:?}", world.guard.problem("northwind").await);
    simulator.register_certificate(tenant, &made.certificate).expect("a certificate");
    world.guard.set_more_credentials("northwind", request.clone()).await.expect("set");
    world.guard.wait_for_first_sync("northwind").await;
    for _ in 0..2 {
        let before = world.guard.account("northwind").await.expect("an account").user_sign_in_time;
        world.advance(Duration::from_secs(24 * 60 * 60));
        eventually("the token is used", async || {
            // What was under way when the day passed was too late, and is tried again a little later.
            world.advance(Duration::from_secs(1));
            let account = world.guard.account("northwind").await.ok()?;
            (account.user_sign_in_time != before).then_some(())
        })
        .await;
        tokens.extend(simulator.newest_refresh_token(tenant));
    }
    simulator.revoke_refresh_tokens(tenant).expect("a known partner");
    world.advance(Duration::from_secs(24 * 60 * 60));
    eventually("the user's token is refused", async || {
        world.advance(Duration::from_secs(1));
        world.guard.problem("northwind").await.filter(|problem| problem.reason == "CONSENT_NEEDED")
    })
    .await;
    answers += &format!("{:?} {:?}", world.guard.problem("northwind").await, world.guard.health("northwind").await);
    let spoilt = SetPartnerAccountCredentialsRequest { client_secret: "a secret".to_owned(), ..request };
    let told = world.guard.set_more_credentials("northwind", spoilt).await.expect_err("a refusal");

    assert_eq!(tokens.len(), 3);
    // A line in the middle of the key is as good as all of it.
    let key = made.key.lines().nth(5).expect("a key of many lines").to_owned();
    let secrets: Vec<&str> = tokens.iter().map(String::as_str).chain([key.as_str()]).collect();
    for (name, bytes) in kept_bytes(&world.guard.database).await {
        assert!(!secrets.iter().any(|secret| holds(&bytes, secret)), "{name} holds a secret");
    }
    world.end().await;
    let logged = log.0.lock().expect("a log");
    assert!(holds(&logged, "CONSENT_NEEDED"), "the log was caught");
    for secret in secrets {
        assert!(!holds(&logged, secret), "the log holds a secret");
        assert!(!holds(answers.as_bytes(), secret) && !holds(&told.bytes, secret), "an answer holds a secret");
    }
}

#[tokio::test]
async fn without_a_sealing_key_no_secret_is_taken() {
    let upstream = Upstream::start().await;
    let plan = Plan { partners: vec!["contoso"], sealing_keys: None, ..Plan::usual() };
    let world = World::unsynchronized(plan, upstream).await;
    world.add_account("northwind").await;
    let partner = world.upstream.partner("northwind");
    let set = world.guard.set_credentials("northwind", &partner.client_id, &partner.client_secret).await;
    let told = set.expect_err("nothing to seal it with");
    assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "SEALING_KEY_MISSING"));
    assert_eq!(count(&world.guard.database, "SELECT count(*) FROM partner_account_credentials").await, 0);
    world.end().await;
}

#[tokio::test]
async fn an_account_whose_key_is_gone_says_so_and_the_others_go_on() {
    let mut world = world().await;
    world.add_account("northwind").await;
    world.give_credentials("northwind").await;
    world.guard.wait_for_first_sync("northwind").await;
    for keys in [None, Some(NEW_KEY)] {
        world.plan.sealing_keys = keys;
        world.plan.partners = vec!["contoso"];
        world = world.restart().await;
        world.guard.wait_for_problem("northwind", "SEALING_KEY_MISSING").await;
        assert_eq!(credentials_fail(&world).await, "SEALING_KEY_MISSING");
        world.guard.wait_for_first_sync("contoso").await;
        assert_eq!(world.guard.all("northwind").await.len(), 2, "its customers are served as they are");
    }
    // Set again, they are sealed under the key that is there.
    world.give_credentials("northwind").await;
    assert!(world.guard.health("northwind").await.healthy);
    world.end().await;
}

#[tokio::test]
async fn a_key_is_replaced_by_putting_a_new_one_before_it() {
    let mut world = world().await;
    for name in ["northwind", "fabrikam"] {
        world.add_account(name).await;
        world.give_credentials(name).await;
    }
    world.plan.sealing_keys = Some(BOTH_KEYS);
    world = world.restart().await;
    assert!(world.guard.health("northwind").await.healthy, "the old key opens");
    world.give_credentials("northwind").await;
    world.plan.sealing_keys = Some(NEW_KEY);
    world = world.restart().await;
    assert!(world.guard.health("northwind").await.healthy, "the new key sealed");
    world.guard.wait_for_problem("fabrikam", "SEALING_KEY_MISSING").await;
    world.end().await;
}

#[tokio::test]
async fn a_sealed_secret_that_is_copied_to_another_account_does_not_open() {
    let world = world().await;
    for name in ["northwind", "fabrikam"] {
        world.add_account(name).await;
        world.give_credentials(name).await;
    }
    let database = world.guard.database.clone();
    let copied = "UPDATE partner_account_credentials SET sealed_secret =
        (SELECT sealed_secret FROM partner_account_credentials WHERE account = 'fabrikam')
        WHERE account = 'northwind'";
    assert_eq!(shell(&database).await.run(copied).await, Ok(1));
    let world = world.restart().await;
    world.guard.wait_for_problem("northwind", "CREDENTIALS_UNREADABLE").await;
    assert_eq!(credentials_fail(&world).await, "CREDENTIALS_UNREADABLE");
    assert!(world.guard.health("fabrikam").await.healthy, "the other one is not touched");
    world.give_credentials("northwind").await;
    assert!(world.guard.health("northwind").await.healthy, "set again, it heals");
    world.end().await;
}
