//! Asks Partner Center one question: pace, token, headers, and one forced refresh of the token when it is refused.
//!
//! There are no other retries: an account's next tick is the retry, so that one place decides how often to ask.

use std::sync::Arc;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;

use crate::clock::Clock;
use crate::partner_center::access_token::{AccessToken, AccessTokens};
use crate::partner_center::blockage::Blockage;
use crate::partner_center::counts::Counters;
use crate::partner_center::error::{Call, Error, Problem, SetupError, Trace};
use crate::partner_center::error_body::Complaint;
use crate::partner_center::identity::Identity;
use crate::partner_center::refresh_token::RefreshTokenKeeper;
use crate::partner_center::settings::{LARGEST_PAGE, Settings, address, below};
use crate::partner_center::transport::{Answer, Transport, fresh_trace, throttled};

/// One account's connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) transport: Transport,
    pub(super) page_size: u16,
    pub(super) tokens: AccessTokens,
    user_tokens: Option<AccessTokens>,
    pub(super) api_root: Url,
    application: HeaderValue,
}

/// A question. Asked by itself it is a read; with an [`Instruction`] it is the one write there is.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) call: Call,
    /// On whose behalf it is asked.
    pub(super) identity: Identity,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) headers: HeaderMap,
}

/// What to do instead of reading. Its body may hold a secret and is never printed.
pub(super) struct Instruction {
    pub(super) method: Method,
    pub(super) body: Value,
}

/// The body of a successful answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) body: Vec<u8>,
    call: Call,
    trace: Trace,
}

impl Reply {
    /// The error that this reply is not what was asked for.
    pub(super) const fn unreadable(&self, what: &'static str) -> Error {
        Error::new(self.call, Problem::Unreadable { what }, self.trace)
    }
}

impl Connection {
    pub(super) fn new(
        settings: &Settings,
        clock: Clock,
        keeper: Option<Arc<dyn RefreshTokenKeeper>>,
    ) -> Result<Self, SetupError> {
        let given = settings.page_size;
        if !(1..=LARGEST_PAGE).contains(&given) {
            return Err(SetupError::PageSize { given, longest: LARGEST_PAGE });
        }
        Ok(Self {
            api_root: address("API root", &settings.endpoints.api_root)?,
            tokens: AccessTokens::new(settings)?,
            user_tokens: keeper.map(|keeper| AccessTokens::of_user(settings, keeper)).transpose()?,
            application: HeaderValue::from_str(&settings.application_name).map_err(|_| SetupError::ApplicationName)?,
            page_size: given,
            transport: Transport::new(settings, clock)?,
        })
    }

    /// Whether there is a user to call for.
    pub(super) const fn has_user(&self) -> bool {
        self.user_tokens.is_some()
    }

    /// Asks, and returns the body of a success.
    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Reply, Error> {
        self.on_behalf(question, None, None).await
    }

    /// As [`Connection::ask`], and counts each request that is sent.
    pub(super) async fn ask_metered(&self, question: Question<'_>, meter: Option<&Counters>) -> Result<Reply, Error> {
        self.on_behalf(question, None, meter).await
    }

    /// Has something done, and returns the body of a success.
    pub(super) async fn tell(&self, question: Question<'_>, instruction: &Instruction) -> Result<Reply, Error> {
        self.on_behalf(question, Some(instruction), None).await
    }

    async fn on_behalf(
        &self,
        question: Question<'_>,
        instruction: Option<&Instruction>,
        meter: Option<&Counters>,
    ) -> Result<Reply, Error> {
        let identity = question.identity;
        self.call(question, instruction, meter).await.map_err(|error| error.on_behalf_of(identity))
    }

    /// Signs the user in, if nobody is.
    pub(super) async fn try_user_sign_in(&self) -> Result<(), Error> {
        let tokens = self.user_tokens.as_ref().ok_or_else(|| no_user(Call::AccessToken, fresh_trace()))?;
        tokens.current(&self.transport).await.map(|_| ()).map_err(|error| error.on_behalf_of(Identity::User))
    }

    /// Signs the user in anew.
    pub(super) async fn renew_user_sign_in(&self) -> Result<(), Error> {
        let tokens = self.user_tokens.as_ref().ok_or_else(|| no_user(Call::AccessToken, fresh_trace()))?;
        tokens.renew(&self.transport).await.map_err(|error| error.on_behalf_of(Identity::User))
    }

    /// The tokens of whoever the call is for.
    fn tokens_of(&self, question: &Question<'_>, trace: Trace) -> Result<&AccessTokens, Error> {
        match question.identity {
            Identity::Application => Ok(&self.tokens),
            Identity::User => self.user_tokens.as_ref().ok_or_else(|| no_user(question.call, trace)),
        }
    }

    async fn call(
        &self,
        question: Question<'_>,
        instruction: Option<&Instruction>,
        meter: Option<&Counters>,
    ) -> Result<Reply, Error> {
        let call = question.call;
        let trace = fresh_trace();
        let tokens = self.tokens_of(&question, trace)?;
        let pacing = &self.transport.pacing;
        let _turn = pacing.turn().await.map_err(|pause| throttled(call, pause, trace))?;
        let token = tokens.current(&self.transport).await?;
        let count = || meter.into_iter().for_each(|meter| meter.sent(call));
        count();
        let answer = self.send(&question, instruction, &token, trace).await?;
        if answer.status != 401 {
            return judge(call, answer);
        }
        let fresh = tokens.replace(&token, &self.transport).await?;
        pacing.next_call().await.map_err(|pause| throttled(call, pause, trace))?;
        count();
        let judged = judge(call, self.send(&question, instruction, &fresh, trace).await?);
        // FACTS 1.4: whom Partner Center turns away with a fresh token, another token does not help.
        if let Err(error) = &judged
            && error.status() == Some(401)
        {
            let error = error.clone().on_behalf_of(question.identity);
            tokens.note_refused_call(&error, self.transport.clock.now()).await;
        }
        judged
    }

    /// The headers of FACTS 1.7. Ours stand last, so that nothing a link brings replaces them.
    async fn send(
        &self,
        question: &Question<'_>,
        instruction: Option<&Instruction>,
        token: &AccessToken,
        trace: Trace,
    ) -> Result<Answer, Error> {
        let id =
            |id: uuid::Uuid| HeaderValue::from_str(&id.to_string()).expect("a UUID is hexadecimal digits and hyphens");
        let mut headers = question.headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, token.bearer());
        headers.insert("ms-requestid", id(trace.request_id));
        headers.insert("ms-correlationid", id(trace.correlation_id));
        headers.insert("ms-partnercenter-application", self.application.clone());
        headers.insert("x-locale", HeaderValue::from_static("en-US"));
        let url = below(&self.api_root, question.path, question.query);
        let request = match instruction {
            None => self.transport.client.get(url),
            Some(Instruction { method, body }) => self.transport.client.request(method.clone(), url).json(body),
        };
        let request = request.headers(headers);
        self.transport.exchange(question.call, request, trace).await
    }
}

/// Nothing is sent for a user that there is not.
fn no_user(call: Call, trace: Trace) -> Error {
    let problem = Problem::Blocked { blockage: Blockage::UserSignInMissing, status: None, code: None };
    Error::new(call, problem, trace).on_behalf_of(Identity::User)
}

fn judge(call: Call, answer: Answer) -> Result<Reply, Error> {
    if answer.is_success() && answer.is_foreign {
        return Err(Error::new(call, Problem::Unreadable { what: "it is said to be no JSON" }, answer.trace));
    }
    if answer.is_success() {
        return Ok(Reply { body: answer.body, call, trace: answer.trace });
    }
    let problem = Complaint::read(&answer.body).judge(call, answer.status, answer.after);
    Err(Error::new(call, problem, answer.trace))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::partner_center::error::Fate;
    use crate::partner_center::scripted_server::{Partner, Script, settings_for};

    fn question() -> Question<'static> {
        let (call, identity) = (Call::GetCustomer, Identity::Application);
        Question { call, identity, path: "/v1/customers/1", query: None, headers: HeaderMap::new() }
    }

    async fn ask(partner: &Partner) -> Result<Reply, Error> {
        partner.center.0.ask(question()).await
    }

    #[tokio::test]
    async fn every_call_carries_the_headers_partner_center_wants() {
        let partner = Partner::answering([Script::new(200, "{}"), Script::new(200, "{}")]).await;
        ask(&partner).await.expect("a reply");
        ask(&partner).await.expect("a reply");
        let requests = partner.requests();
        for request in &requests {
            assert_eq!(request.headers["authorization"], "Bearer token-1");
            assert_eq!(request.headers["accept"], "application/json");
            assert_eq!(request.headers["x-locale"], "en-US");
            assert_eq!(request.headers["ms-partnercenter-application"], "Customer Guard tests");
            assert!(request.headers["accept-encoding"].to_str().expect("a text").contains("gzip"));
            assert!(request.headers.contains_key("ms-correlationid"));
        }
        assert_ne!(requests[0].headers["ms-requestid"], requests[1].headers["ms-requestid"]);
    }

    #[tokio::test]
    async fn a_refused_token_is_replaced_once_and_the_call_repeated_under_its_id() {
        // FACTS 8.2: 401 means refresh once; FACTS 1.7: the request id is reused on the retry.
        let partner = Partner::answering([Script::new(401, ""), Script::new(200, "{}")]).await;
        ask(&partner).await.expect("a reply");
        let requests = partner.requests();
        assert_eq!(requests[0].headers["authorization"], "Bearer token-1");
        assert_eq!(requests[1].headers["authorization"], "Bearer token-2");
        assert_eq!(requests[0].headers["ms-requestid"], requests[1].headers["ms-requestid"]);
    }

    #[tokio::test]
    async fn a_fresh_token_that_is_refused_too_blocks_the_account() {
        let unauthorized = || Script::new(401, r#"{"statusCode":401,"message":"Unauthorized"}"#);
        let partner = Partner::answering([unauthorized(), unauthorized(), unauthorized()]).await;
        let error = ask(&partner).await.expect_err("refused");
        let Fate::AccountBlocked { reason, .. } = error.fate() else { panic!("{error}") };
        assert_eq!(reason, "TOKEN_REFUSED");
        assert_eq!(partner.requests().len(), 2);
        assert_eq!(partner.center.calls().token, 2);
    }

    #[tokio::test]
    async fn a_call_for_a_user_the_account_does_not_have_is_not_sent() {
        let partner = Partner::answering([]).await;
        assert!(!partner.center.has_user());
        let question = Question { identity: Identity::User, ..question() };
        let error = partner.center.0.ask(question).await.expect_err("there is no user");
        let Fate::UserBlocked { reason, .. } = error.fate() else { panic!("{error}") };
        assert_eq!(reason, "USER_SIGN_IN_MISSING");
        assert_eq!((partner.requests().len(), partner.center.calls().token), (0, 0));
    }

    #[tokio::test]
    async fn a_429_silences_the_account_for_as_long_as_it_asks() {
        // FACTS 7, the gateway's body.
        let body = r#"{"statusCode":429,"message":"Rate limit is exceeded. Try again in 57 seconds."}"#;
        let throttling = Script::new(429, body).header("retry-after", "57");
        let partner = Partner::answering([throttling, Script::new(200, "{}")]).await;
        let error = ask(&partner).await.expect_err("throttled");
        let Fate::Retry { after: Some(after) } = error.fate() else { panic!("{error}") };
        assert!((57..=63).contains(&after.as_secs()), "{after:?}");
        assert_eq!(partner.center.throttled_until(), Some(partner.clock.now().plus(after)));

        let error = ask(&partner).await.expect_err("still throttled");
        assert_eq!(error.fate(), Fate::Retry { after: Some(after) });
        assert_eq!(partner.requests().len(), 1);

        partner.clock.advance(after + Duration::from_secs(1));
        assert_eq!(partner.center.throttled_until(), None);
        ask(&partner).await.expect("a reply");
        assert_eq!(partner.center.calls().throttled, 1);
    }

    #[tokio::test]
    async fn a_503_passes_its_wait_on_without_silencing_the_account() {
        let partner = Partner::answering([Script::new(503, "<html>").header("retry-after", "20")]).await;
        let error = ask(&partner).await.expect_err("busy");
        assert_eq!(error.fate(), Fate::Retry { after: Some(Duration::from_secs(20)) });
        assert_eq!(partner.center.throttled_until(), None);
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let refused = |change: fn(&mut Settings)| {
            let mut settings = settings_for("http://127.0.0.1:1");
            change(&mut settings);
            let clock = Clock::manual(crate::clock::Timestamp::from_micros(0));
            Connection::new(&settings, clock, None).expect_err("refused").to_string()
        };
        assert_eq!(refused(|settings| settings.page_size = 0), "the page size is 0; it may be 1 to 500");
        assert_eq!(refused(|settings| settings.page_size = 501), "the page size is 501; it may be 1 to 500");
        assert!(refused(|settings| settings.application_name = "a\nb".to_owned()).contains("application name"));
        assert!(refused(|settings| settings.endpoints.api_root = "http://a.example".to_owned()).contains("API root"));
        assert!(refused(|settings| settings.endpoints.authority = "?".to_owned()).contains("authority"));
    }
}
