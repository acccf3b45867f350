//! Signs in and keeps the token (FACTS 1.2): as the application alone, which needs neither a user nor multi-factor
//! authentication, or for a user.
//!
//! One request at a time, whoever needs the token; those who waited share its outcome, also when it failed. Tokens and
//! secrets are never printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use crate::clock::Timestamp;
use crate::domain::ids::TenantId;
use crate::partner_center::blockage::Blockage;
use crate::partner_center::document::{Document, Object};
use crate::partner_center::error::{Call, Error, Problem, SetupError};
use crate::partner_center::refresh_token::{Granted, RefreshTokenKeeper, UserGrant};
use crate::partner_center::settings::Settings;
use crate::partner_center::token_request::TokenDesk;
use crate::partner_center::transport::{Answer, Transport};

/// How long before its end a token is no longer used.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// The life of a token whose answer does not tell.
const UNSAID_LIFE: Duration = Duration::from_secs(10 * 60);
/// The longest life that is believed.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// A token that Partner Center should accept.
#[derive(Clone, Debug)]
pub(super) struct AccessToken {
    value: SecretString,
    usable_until: Timestamp,
    /// Which sign-in it came from.
    attempt: u64,
}

impl AccessToken {
    /// The value of the `Authorization` header, marked so that it is never printed.
    pub(super) fn bearer(&self) -> HeaderValue {
        let mut header = HeaderValue::from_str(&format!("Bearer {}", self.value.expose_secret()))
            .expect("a token is accepted only if it can be sent in a header");
        header.set_sensitive(true);
        header
    }
}

/// The tokens of one account, of its application or of its user.
#[derive(Debug)]
pub(super) struct AccessTokens {
    desk: TokenDesk,
    grant: Grant,
    held: Mutex<Held>,
    /// How many sign-ins have ended; written under the lock of `held` only.
    attempts: AtomicU64,
}

#[derive(Debug)]
enum Grant {
    Application,
    User(UserGrant),
}

#[derive(Debug, Default)]
struct Held {
    token: Option<AccessToken>,
    failure: Option<Error>,
}

impl AccessTokens {
    /// The application's.
    pub(super) fn new(settings: &Settings) -> Result<Self, SetupError> {
        Self::by(settings, Grant::Application)
    }

    /// The user's.
    pub(super) fn of_user(settings: &Settings, keeper: Arc<dyn RefreshTokenKeeper>) -> Result<Self, SetupError> {
        Self::by(settings, Grant::User(UserGrant::new(keeper)))
    }

    fn by(settings: &Settings, grant: Grant) -> Result<Self, SetupError> {
        let desk = TokenDesk::new(settings)?;
        Ok(Self { desk, grant, held: Mutex::default(), attempts: AtomicU64::new(0) })
    }

    /// What tells these credentials apart from others: where and as what they sign in, and what proves it. `known_as` stands
    /// for the proof where that is not to be hashed.
    pub(super) fn signs_in<'a>(&'a self, known_as: Option<&'a [u8]>) -> [&'a [u8]; 5] {
        self.desk.signs_in(known_as)
    }

    /// The token to use now.
    pub(super) async fn current(&self, transport: &Transport) -> Result<AccessToken, Error> {
        self.token(transport, None).await
    }

    /// Another token than `refused`, which Partner Center did not accept.
    pub(super) async fn replace(&self, refused: &AccessToken, transport: &Transport) -> Result<AccessToken, Error> {
        self.token(transport, Some(refused.attempt)).await
    }

    /// Signs in anew although there may be a token that works.
    pub(super) async fn renew(&self, transport: &Transport) -> Result<(), Error> {
        let held = self.held.lock().await.token.as_ref().map(|token| token.attempt);
        self.token(transport, held).await.map(|_| ())
    }

    /// A call with a fresh token was refused as one that no token helps.
    pub(super) async fn note_refused_call(&self, error: &Error, now: Timestamp) {
        match (&self.grant, &error.problem) {
            (Grant::User(user), Problem::Blocked { .. }) => {
                self.held.lock().await.token = None;
                user.rest_after(error, now).await;
            }
            (Grant::User(_) | Grant::Application, _) => {}
        }
    }

    async fn token(&self, transport: &Transport, refused: Option<u64>) -> Result<AccessToken, Error> {
        let seen = self.attempts.load(Ordering::Acquire);
        let mut held = self.held.lock().await;
        let now = transport.clock.now();
        let usable = |token: &&AccessToken| now < token.usable_until && Some(token.attempt) != refused;
        if let Some(token) = held.token.as_ref().filter(usable) {
            return Ok(token.clone());
        }
        let ended = self.attempts.load(Ordering::Acquire);
        if ended != seen
            && let Some(failure) = &held.failure
        {
            return Err(failure.clone());
        }
        held.token = None;
        let outcome = self.sign_in(transport, ended + 1).await;
        held.token = outcome.as_ref().ok().cloned();
        held.failure = outcome.as_ref().err().cloned();
        self.attempts.store(ended + 1, Ordering::Release);
        outcome
    }

    async fn sign_in(&self, transport: &Transport, attempt: u64) -> Result<AccessToken, Error> {
        let asked_at = transport.clock.now();
        match &self.grant {
            Grant::Application => {
                let scope = [("scope", self.desk.scope.as_str())];
                let answer = self.desk.ask(transport, "client_credentials", &scope).await?;
                self.accept(&answer, asked_at, attempt).map(|granted| granted.token)
            }
            Grant::User(user) => {
                user.sign_in(&self.desk, transport, |answer| self.accept(answer, asked_at, attempt)).await
            }
        }
    }

    fn accept(&self, answer: &Answer, asked_at: Timestamp, attempt: u64) -> Result<Granted<AccessToken>, Error> {
        let error = |problem| Error::new(Call::AccessToken, problem, answer.trace);
        let blocked = |blockage| Err(error(Problem::Blocked { blockage, status: None, code: None }));
        let document = Document::read(&answer.body).map_err(|_| error(Problem::Unreadable { what: "no JSON" }))?;
        let object = document.object().ok_or_else(|| error(Problem::Unreadable { what: "no object" }))?;
        let value = object.text_or_empty("access_token");
        let sendable = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
        if !sendable {
            return Err(error(Problem::Unreadable { what: "no access token" }));
        }
        let claims = Claims::of(value);
        // Invariant I6: with the credentials of another tenant we would mirror that tenant's customers.
        // See `a_token_of_another_tenant_blocks_the_account`.
        if claims.tenant.is_some_and(|tenant| tenant != Some(self.desk.tenant_id)) {
            return blocked(Blockage::TenantMismatch);
        }
        match &self.grant {
            Grant::Application => {}
            // FACTS 1.4: Partner Center takes a user's token only with multi-factor authentication in it.
            Grant::User(_) if claims.multi_factor => {}
            Grant::User(_) => return blocked(Blockage::MfaRequired),
        }
        let life = life_of(object);
        let usable = life.saturating_sub(MARGIN).max(life / 2);
        let newer = object.text_or_empty("refresh_token");
        Ok(Granted {
            token: AccessToken { value: value.into(), usable_until: asked_at.plus(usable), attempt },
            refresh_token: (!newer.is_empty()).then(|| newer.into()),
        })
    }
}

/// `expires_in` is a text in version 1 and a number in version 2 of the protocol (FACTS 1.2).
fn life_of(answer: Object<'_>) -> Duration {
    let seconds = answer.number_or_text("expires_in").and_then(|text| text.parse().ok());
    seconds.map_or(UNSAID_LIFE, Duration::from_secs).min(LONGEST_LIFE)
}

/// What a token says of itself. It only guards against mixed-up credentials and sign-ins that Partner Center would turn
/// away, so the signature is left to Partner Center.
#[derive(Default)]
struct Claims {
    /// The `tid` claim: `None` when the token cannot be read, `Some(None)` when the claim is no tenant id.
    tenant: Option<Option<TenantId>>,
    /// Whether `amr` holds `mfa`.
    multi_factor: bool,
}

impl Claims {
    fn of(token: &str) -> Self {
        Self::read(token).unwrap_or_default()
    }

    fn read(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        let claims = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        let document = Document::read(&claims).ok()?;
        let object = document.object()?;
        let tenant = object.text_or_empty("tid");
        Some(Self {
            tenant: if tenant.is_empty() { None } else { Some(tenant.parse().ok()) },
            multi_factor: object.texts("amr").is_some_and(|methods| methods.contains(&"mfa")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::partner_center::error::Fate;
    use crate::partner_center::scripted_server::{Script, ScriptedServer, TENANT, settings_for};

    struct Desk {
        server: ScriptedServer,
        tokens: AccessTokens,
        transport: Transport,
        clock: Clock,
    }

    async fn desk(scripts: impl IntoIterator<Item = Script>) -> Desk {
        let server = ScriptedServer::start(scripts).await;
        let settings = settings_for(&server.address);
        let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
        let transport = Transport::new(&settings, clock.clone()).expect("a transport");
        Desk { tokens: AccessTokens::new(&settings).expect("tokens"), server, transport, clock }
    }

    fn granted(token: &str, expires_in: &str) -> Script {
        Script::new(200, format!(r#"{{"token_type":"Bearer","expires_in":{expires_in},"access_token":"{token}"}}"#))
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[tokio::test]
    async fn the_sign_in_is_a_client_credentials_form() {
        // FACTS 1.2, app-only, v2.
        let desk = desk([granted("opaque", "3599")]).await;
        let token = desk.tokens.current(&desk.transport).await.expect("a token");
        assert_eq!(token.bearer(), "Bearer opaque");
        assert!(!format!("{token:?} {:?} {:?}", token.bearer(), desk.tokens).contains("opaque"));
        let request = &desk.server.requests()[0];
        assert_eq!(request.target, format!("/{TENANT}/oauth2/v2.0/token"));
        assert_eq!(
            request.body,
            "grant_type=client_credentials&client_id=a-client&client_secret=a-client-secret\
             &scope=https%3A%2F%2Faudience.example%2F.default"
        );
    }

    #[tokio::test]
    async fn a_token_is_used_until_five_minutes_before_its_end_or_half_of_a_short_life() {
        for (expires_in, usable_seconds) in
            [("3599", 3_299), ("\"3599\"", 3_299), ("480", 240), ("null", 300), ("1e300", 300)]
        {
            let desk = desk([granted("first", expires_in), granted("second", "3600")]).await;
            assert_eq!(desk.tokens.current(&desk.transport).await.expect("a token").bearer(), "Bearer first");
            desk.clock.advance(Duration::from_secs(usable_seconds - 1));
            assert_eq!(desk.tokens.current(&desk.transport).await.expect("a token").bearer(), "Bearer first");
            desk.clock.advance(Duration::from_secs(1));
            assert_eq!(desk.tokens.current(&desk.transport).await.expect("a token").bearer(), "Bearer second");
        }
    }

    #[tokio::test]
    async fn many_who_need_a_token_sign_in_once() {
        let desk = desk([granted("first", "3600"), granted("second", "3600")]).await;
        let all = futures::future::join_all((0..20).map(|_| desk.tokens.current(&desk.transport))).await;
        assert!(all.iter().all(|token| token.as_ref().expect("a token").bearer() == "Bearer first"));
        let refused = all[0].as_ref().expect("a token");
        let all = futures::future::join_all((0..20).map(|_| desk.tokens.replace(refused, &desk.transport))).await;
        assert!(all.iter().all(|token| token.as_ref().expect("a token").bearer() == "Bearer second"));
        assert_eq!(desk.server.requests().len(), 2);
    }

    #[tokio::test]
    async fn many_who_need_a_token_fail_together_and_the_next_one_tries_again() {
        let refusal = Script::new(401, r#"{"error":"invalid_client","error_codes":[7000222]}"#);
        let desk = desk([refusal, granted("first", "3600")]).await;
        let all = futures::future::join_all((0..20).map(|_| desk.tokens.current(&desk.transport))).await;
        assert!(all.iter().all(Result::is_err));
        assert_eq!(desk.server.requests().len(), 1);
        assert!(desk.tokens.current(&desk.transport).await.is_ok());
    }

    #[tokio::test]
    async fn a_token_of_another_tenant_blocks_the_account() {
        let other = r#"{"tid":"99999999-9999-4999-8999-999999999999"}"#;
        for claims in [other, r#"{"tid":"contoso.example"}"#] {
            let desk = desk([granted(&jwt(claims), "3600")]).await;
            let error = desk.tokens.current(&desk.transport).await.expect_err("another tenant");
            let Fate::AccountBlocked { reason, .. } = error.fate() else { panic!("{error}") };
            assert_eq!(reason, "TENANT_MISMATCH");
        }
    }

    #[tokio::test]
    async fn a_token_of_the_tenant_and_one_that_cannot_be_read_are_accepted() {
        let own = jwt(&format!(r#"{{"tid":"{}"}}"#, TENANT.to_uppercase()));
        for token in [own.as_str(), "opaque", "a.b.c", &jwt("{}"), &jwt("[]")] {
            let desk = desk([granted(token, "3600")]).await;
            assert!(desk.tokens.current(&desk.transport).await.is_ok(), "{token}");
        }
    }

    #[tokio::test]
    async fn an_answer_without_a_token_is_not_readable() {
        for body in ["", "null", "<html>", "{}", r#"{"access_token":""}"#, r#"{"access_token":"a\nb"}"#] {
            let desk = desk([Script::new(200, body)]).await;
            let error = desk.tokens.current(&desk.transport).await.expect_err("no token");
            assert_eq!(error.fate(), Fate::Retry { after: None }, "{body}");
        }
    }

    #[tokio::test]
    async fn a_refusal_names_the_sign_in_services_ids_and_number_and_no_text() {
        let desk = desk([Script::new(
            401,
            r#"{"error":"invalid_client","error_description":"AADSTS7000215: a-client-secret","error_codes":[7000215],
                "trace_id":"00000000-0000-0000-0000-00000000000a","correlation_id":"00000000-0000-0000-0000-00000000000b"}"#,
        )])
        .await;
        let error = desk.tokens.current(&desk.transport).await.expect_err("refused");
        assert_eq!(
            error.to_string(),
            "access token: CLIENT_SECRET_REFUSED, status 401, code AADSTS7000215 \
             (MS-RequestId 00000000-0000-0000-0000-00000000000a, MS-CorrelationId 00000000-0000-0000-0000-00000000000b)"
        );
    }
}
