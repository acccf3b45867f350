//! The secret of a webhook path: kept as a hash, told to nobody, and replaced while events flow.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use customer_guard::grpc::proto::{IncrementalMode, PartnerAccount, RotateWebhookSecretRequest};
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, ErrorBody, Fault};
use customer_guard::simulator::webhooks::Mischief;
use tonic::Code;
use tracing_subscriber::fmt::MakeWriter;
use uuid::Uuid;

use crate::harness::database::{count, kept_bytes, only_on_sqlite};
use crate::harness::hooks::{Hooked, Post};
use crate::harness::told::Told;
use crate::harness::upstream::Upstream;
use crate::harness::{eventually, micros};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const FOREIGN: &str = "https://hooks.other.example/hook?key=their-secret";
const FIRST: &str = "0198c0de-7000-4000-8000-000000000001";
const WISHES: &str = "SELECT count(*) FROM account_sync WHERE webhook_rotation_wanted_at IS NOT NULL";

async fn rotate_once(hooked: &Hooked, account: &str, request_id: &str) -> Result<PartnerAccount, Told> {
    let name = format!("partnerAccounts/{account}");
    let request = RotateWebhookSecretRequest { name, request_id: request_id.to_owned() };
    let answer = hooked.world.guard.accounts.clone().rotate_webhook_secret(request).await;
    answer.map(tonic::Response::into_inner).map_err(Told::from)
}

async fn rotate(hooked: &Hooked) -> Result<PartnerAccount, Told> {
    rotate_once(hooked, "contoso", "").await
}

fn registered(hooked: &Hooked) -> Option<String> {
    let registration = hooked.world.upstream.simulator.registration(hooked.world.contoso());
    registration.map(|registration| registration.webhook_url)
}

fn writes(hooked: &Hooked) -> u64 {
    hooked.world.upstream.simulator.calls(hooked.world.contoso()).registration_writes
}

async fn wait_for_another_path(hooked: &Hooked, former: &str) -> String {
    eventually("another path is registered", async || Some(hooked.path()).filter(|path| path != former)).await
}

/// When the present secret was made.
async fn made_at(hooked: &Hooked) -> Option<i64> {
    let account = hooked.world.guard.account("contoso").await.expect("an account");
    account.webhook_secret_time.map(micros)
}

async fn wait_for_another_secret(hooked: &Hooked, former: Option<i64>) {
    eventually("the new secret is the present one", async || (made_at(hooked).await != former).then_some(())).await;
}

/// A fresh event about the customer of that number, posted under that path.
fn event_under(hooked: &Hooked, path: &str, customer: usize) -> Post {
    Post { path: path.to_owned(), ..hooked.event(hooked.world.tenants()[customer]) }
}

#[tokio::test]
async fn events_under_the_former_path_count_once_until_the_overlap_ends() {
    let hooked = Hooked::start().await;
    let (former, before) = (hooked.path(), made_at(&hooked).await);
    assert!(before.is_some(), "the present secret has an age");
    let under_way = event_under(&hooked, &former, 0);
    let told = rotate(&hooked).await.expect("a wish");
    assert_eq!(told.webhook_secret_time.map(micros), before, "it is carried out afterwards");
    let present = wait_for_another_path(&hooked, &former).await;
    wait_for_another_secret(&hooked, before).await;
    let tenant = hooked.world.tenants()[0];
    let marks = hooked.marks_of(tenant).await;
    assert_eq!(hooked.send(&under_way).await, StatusCode::OK, "it was sent before");
    assert_eq!(hooked.send(&Post { path: present.clone(), ..under_way.clone() }).await, StatusCode::OK);
    assert_eq!(hooked.send(&under_way).await, StatusCode::OK);
    assert_eq!(hooked.marks_of(tenant).await, marks + 1, "it counts once, whatever its path");

    hooked.wait_for_mode(IncrementalMode::Webhook).await;
    let hooked = hooked.restart().await;
    assert_eq!(hooked.path(), present);
    hooked.world.advance(23 * HOUR);
    assert_eq!(hooked.send(&event_under(&hooked, &former, 1)).await, StatusCode::OK, "within a day");
    hooked.world.advance(2 * HOUR);
    // Nobody but this event names them.
    let stranger = Uuid::from_u128(0xdead_0000_0000_4000_8000_0000_0000_0001);
    let late = Post { path: former, ..hooked.event(stranger) };
    assert_eq!(hooked.send(&late).await, StatusCode::NOT_FOUND, "as any path that nobody knows");
    assert_eq!(hooked.marks_of(stranger).await, 0, "it has no effect");
    assert_eq!(hooked.send(&Post { path: present, ..late }).await, StatusCode::OK);
    assert_eq!(hooked.marks_of(stranger).await, 1);
    hooked.look_at_the_registration().await;
    let former = "SELECT count(*) FROM webhook_secret WHERE stage <> 'PRESENT'";
    eventually("the former one is forgotten", async || {
        (count(&hooked.world.guard.database, former).await == 0).then_some(())
    })
    .await;
    hooked.end().await;
}

#[tokio::test]
async fn without_an_event_under_the_new_path_the_former_one_is_honoured_for_a_week() {
    let hooked = Hooked::start().await;
    let former = hooked.path();
    let silence = |mischief| {
        let knobs = |knobs: &mut customer_guard::simulator::partner::Knobs| knobs.webhook_mischief = mischief;
        hooked.world.upstream.simulator.set_knobs(hooked.world.contoso(), knobs).expect("a known partner");
    };
    silence(Some(Mischief::ForgedSignature));
    let before = made_at(&hooked).await;
    rotate(&hooked).await.expect("a wish");
    wait_for_another_secret(&hooked, before).await;
    hooked.world.advance(6 * DAY);
    assert_eq!(hooked.send(&event_under(&hooked, &former, 0)).await, StatusCode::OK);
    let heard = "SELECT count(*) FROM account_sync WHERE webhook_heard_at IS NOT NULL";
    assert_eq!(count(&hooked.world.guard.database, heard).await, 0, "it tells nothing of the new registration");
    hooked.world.advance(DAY + HOUR);
    assert_eq!(hooked.send(&event_under(&hooked, &former, 1)).await, StatusCode::NOT_FOUND);
    hooked.end().await;
}

#[tokio::test]
async fn a_registration_whose_answer_was_lost_is_known_as_ours_after_a_crash() {
    let hooked = Hooked::start().await;
    let (former, before) = (hooked.path(), made_at(&hooked).await);
    hooked.world.upstream.fault(Fault::once(Effect::Truncated).on(Route::RegistrationWrite));
    rotate(&hooked).await.expect("a wish");
    let present = wait_for_another_path(&hooked, &former).await;
    assert_eq!(made_at(&hooked).await, before, "nobody knows that it is registered");
    assert_eq!(hooked.send(&event_under(&hooked, &present, 0)).await, StatusCode::OK, "it is expected already");
    let hooked = hooked.restart().await;
    wait_for_another_secret(&hooked, before).await;
    hooked.wait_for_mode(IncrementalMode::Webhook).await;
    assert_eq!(hooked.path(), present, "it was not written again");
    assert_eq!(hooked.send(&event_under(&hooked, &former, 1)).await, StatusCode::OK, "the former one is honoured");
    let database = &hooked.world.guard.database;
    assert_eq!(count(database, WISHES).await, 0, "the wish is granted");
    hooked.look_at_the_registration().await;
    assert_eq!(hooked.path(), present, "there is one new secret");
    hooked.end().await;
}

#[tokio::test]
async fn a_rotation_that_partner_center_refuses_is_made_up_for() {
    let hooked = Hooked::start().await;
    let (former, before) = (hooked.path(), made_at(&hooked).await);
    let failure = Effect::ServerError { status: 500, body: ErrorBody::Json };
    hooked.world.upstream.fault(Fault::once(failure).on(Route::RegistrationWrite));
    let tried = writes(&hooked);
    rotate(&hooked).await.expect("a wish");
    eventually("it was tried", async || (writes(&hooked) > tried).then_some(())).await;
    assert_eq!(hooked.path(), former);
    assert_eq!(hooked.send(&hooked.event(hooked.world.tenants()[0])).await, StatusCode::OK);
    let hooked = hooked.restart().await;
    wait_for_another_secret(&hooked, before).await;
    assert_ne!(hooked.path(), former, "the wish outlives the crash");
    hooked.end().await;
}

#[tokio::test]
async fn an_old_secret_is_replaced_by_itself() {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 2);
    let young = |plan: &mut crate::harness::Plan| {
        plan.webhook.as_mut().expect("it listens").secret_max_age = 2 * DAY;
    };
    let hooked = Hooked::of(upstream, young).await;
    hooked.wait_for_mode(IncrementalMode::Webhook).await;
    let (former, before) = (hooked.path(), made_at(&hooked).await);
    hooked.world.advance(DAY);
    hooked.look_at_the_registration().await;
    assert_eq!(hooked.path(), former, "it is not old enough");
    hooked.world.advance(DAY);
    wait_for_another_path(&hooked, &former).await;
    wait_for_another_secret(&hooked, before).await;
    assert_eq!(hooked.send(&event_under(&hooked, &former, 0)).await, StatusCode::OK);
    assert_eq!(hooked.send(&hooked.event(hooked.world.tenants()[1])).await, StatusCode::OK);
    hooked.end().await;
}

#[tokio::test]
async fn a_registration_that_is_not_ours_gets_no_secret_and_the_reason_is_told() {
    let hooked = Hooked::start().await;
    let simulator = &hooked.world.upstream.simulator;
    simulator.set_foreign_registration(hooked.world.contoso(), FOREIGN).expect("a known partner");
    let before = writes(&hooked);
    // It was ours when somebody looked last.
    rotate(&hooked).await.expect("a wish");
    let reason = hooked.wait_for_mode(IncrementalMode::AuditLogLostWebhook).await;
    assert!(!reason.contains("their-secret"), "{reason}");
    assert_eq!((registered(&hooked).as_deref(), writes(&hooked)), (Some(FOREIGN), before));
    assert_eq!(count(&hooked.world.guard.database, WISHES).await, 0, "the wish does not wait for better times");
    let told = rotate(&hooked).await.expect_err("it is not ours");
    assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "WEBHOOK_NOT_OURS"));
    assert_eq!((told.metadata("registration"), told.metadata("host")), ("LOST".into(), "hooks.other.example".into()));
    assert!(!told.message.contains("their-secret"), "{}", told.message);
    hooked.look_at_the_registration().await;
    assert_eq!((registered(&hooked).as_deref(), writes(&hooked)), (Some(FOREIGN), before));
    hooked.end().await;
}

#[tokio::test]
async fn a_request_that_comes_again_has_one_effect() {
    let hooked = Hooked::start().await;
    let (former, before) = (hooked.path(), made_at(&hooked).await);
    let answer = rotate_once(&hooked, "contoso", FIRST).await.expect("a wish");
    let present = wait_for_another_path(&hooked, &former).await;
    wait_for_another_secret(&hooked, before).await;
    let hooked = hooked.restart().await;
    assert_eq!(rotate_once(&hooked, "contoso", FIRST).await.expect("the same answer"), answer);
    hooked.look_at_the_registration().await;
    assert_eq!(count(&hooked.world.guard.database, WISHES).await, 0);
    assert_eq!(hooked.path(), present);
    let other = rotate_once(&hooked, "nobody", "").await.expect_err("no such account");
    assert_eq!(other.reason(), "PARTNER_ACCOUNT_NOT_FOUND");
    let wrong = rotate_once(&hooked, "contoso", "seventeen").await.expect_err("no request id");
    assert_eq!(wrong.reason(), "INVALID_FIELD");
    hooked.end().await;
}

#[tokio::test]
async fn a_registration_that_comes_back_is_replaced_again_only_with_a_word() {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 1);
    upstream.simulator.set_foreign_registration(upstream.contoso(), FOREIGN).expect("a known partner");
    let hooked = Hooked::of(upstream, |plan| plan.webhook_replace_url = Some(FOREIGN.to_owned())).await;
    let reason = hooked.wait_for_mode(IncrementalMode::Webhook).await;
    assert!(reason.contains("the registration of hooks.other.example was replaced at"), "{reason}");
    assert!(!reason.contains("times so far") && !reason.contains("their-secret"), "{reason}");
    let simulator = &hooked.world.upstream.simulator;
    simulator.set_foreign_registration(hooked.world.contoso(), FOREIGN).expect("a known partner");
    hooked.look_at_the_registration().await;
    eventually("it is told again", async || {
        let reason = hooked.world.guard.status("contoso").await.incremental_mode_reason;
        reason.contains("2 times so far").then_some(())
    })
    .await;
    hooked.end().await;
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

async fn assert_nothing_holds(database: &Path, secrets: &[String]) {
    for (name, bytes) in kept_bytes(database).await {
        for secret in secrets {
            assert!(!holds(&bytes, secret), "{name} holds a secret");
        }
    }
}

#[tokio::test]
async fn a_plain_secret_of_a_former_release_stays_registered_and_stays_in_no_file() {
    if !only_on_sqlite("no release that kept secrets ran on another engine") {
        return;
    }
    let secret = *b"canary of thirty-two bytes .....";
    let hooked = Hooked::with_a_former_database(&secret).await;
    let text = hooked.path().rsplit('/').next().expect("a secret").to_owned();
    assert_eq!(hooked.send(&hooked.event(hooked.world.tenants()[0])).await, StatusCode::OK);
    let reason = hooked.wait_for_mode(IncrementalMode::Webhook).await;
    assert!(reason.starts_with("Partner Center's events come to this service"), "{reason}");
    assert!(hooked.path().ends_with(&text), "the secret is the same");
    let plain = String::from_utf8(secret.to_vec()).expect("a text");
    assert_nothing_holds(&hooked.world.guard.database, &[plain, text]).await;
    hooked.end().await;
}

#[tokio::test]
async fn a_secret_is_in_no_file_no_log_and_no_answer() {
    let log = Log::default();
    let ours = tracing_subscriber::EnvFilter::new("info,customer_guard=trace,customer_guard::simulator=off,sqlx=trace");
    let everything = tracing_subscriber::fmt().with_env_filter(ours).with_writer(log.clone()).finish();
    let _here = tracing::subscriber::set_default(everything);
    let hooked = Hooked::start().await;
    let former = hooked.path();
    let before = made_at(&hooked).await;
    hooked.world.upstream.fault(Fault::once(Effect::Truncated).on(Route::RegistrationWrite));
    let told = rotate(&hooked).await.expect("a wish");
    let present = wait_for_another_path(&hooked, &former).await;
    hooked.world.advance(HOUR);
    wait_for_another_secret(&hooked, before).await;
    for path in [&former, &present] {
        assert_eq!(hooked.send(&event_under(&hooked, path, 0)).await, StatusCode::OK);
        let forged = event_under(&hooked, path, 1).with("x-ms-signature", "Signature AAAA");
        assert_eq!(hooked.send(&forged).await, StatusCode::UNAUTHORIZED);
    }
    let secret = |path: &str| path.rsplit('/').next().expect("a secret").to_owned();
    let secrets = [secret(&former), secret(&present)];
    let status = hooked.world.guard.status("contoso").await;
    let account = hooked.world.guard.account("contoso").await.expect("an account");
    let answers = format!("{told:?} {status:?} {account:?}");
    for secret in &secrets {
        assert!(!answers.contains(secret.as_str()), "an answer holds a secret");
    }
    assert_nothing_holds(&hooked.world.guard.database, &secrets).await;
    hooked.end().await;
    let logged = log.0.lock().expect("a log");
    assert!(holds(&logged, "gets a new secret"), "the log was caught");
    for secret in &secrets {
        assert!(!holds(&logged, secret), "the log holds a secret");
    }
}
