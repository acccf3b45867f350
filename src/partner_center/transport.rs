//! The one HTTP client: its limits, and one exchange of request and answer within them.
//!
//! No redirects, no proxy, no cookies, no plain HTTP beyond this machine (RELIABILITY 5.7); no answer is held that is
//! longer than it may be, however small it was before decompression; no exchange is repeated here.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response};
use uuid::Uuid;

use crate::clock::Clock;
use crate::partner_center::counts::Counters;
use crate::partner_center::error::{Call, Error, Problem, SetupError, Trace};
use crate::partner_center::pacing::{Pacing, Pause};
use crate::partner_center::retry_after::wait_asked;
use crate::partner_center::settings::{Settings, Timeouts};
use crate::partner_center::skew::Skew;

/// The longest page of customers or audit records (RELIABILITY 2.3).
const PAGE_MAX: usize = 8 * 1024 * 1024;
/// The longest other answer (RELIABILITY 2.3).
const ANSWER_MAX: usize = 1024 * 1024;
/// How much of an answer of failure is looked at; its code comes first.
const FAILURE_MAX: usize = 64 * 1024;
/// The longest cause of a failed connection that is kept for the operator.
const CAUSE_MAX: usize = 300;

impl Call {
    const fn is_page(self) -> bool {
        match self {
            Self::ListCustomers | Self::AuditRecords | Self::ListResellers | Self::ListResellerCustomers => true,
            Self::AccessToken | Self::GetCustomer | Self::WebhookRegistration => false,
        }
    }

    const fn answer_max(self) -> usize {
        if self.is_page() { PAGE_MAX } else { ANSWER_MAX }
    }

    const fn timeout(self, timeouts: Timeouts) -> Duration {
        if self.is_page() { timeouts.page } else { timeouts.call }
    }
}

/// The client with the pace it keeps.
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) client: Client,
    pub(super) pacing: Pacing,
    pub(super) counters: Counters,
    pub(super) clock: Clock,
    pub(super) skew: Skew,
    timeouts: Timeouts,
}

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) after: Option<Duration>,
    /// Whether it says that it is something else than JSON.
    pub(super) is_foreign: bool,
    pub(super) trace: Trace,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Transport {
    /// Whether plain HTTP may be used is settled by the addresses: those of this machine only.
    pub(super) fn new(settings: &Settings, clock: Clock) -> Result<Self, SetupError> {
        let client = Client::builder()
            .connect_timeout(settings.timeouts.connect)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(SetupError::Client)?;
        let pacing = Pacing::new(settings.requests_per_minute, settings.concurrency, clock.clone());
        let timeouts = settings.timeouts;
        Ok(Self { client, pacing, counters: Counters::default(), clock, skew: Skew::default(), timeouts })
    }

    /// Sends a request and reads the whole answer, whatever its status; only 429 is handled here, for all calls.
    pub(super) async fn exchange(&self, call: Call, request: RequestBuilder, trace: Trace) -> Result<Answer, Error> {
        self.counters.sent(call);
        let asked = self.clock.now();
        let sent = request.timeout(call.timeout(self.timeouts)).send().await;
        let response = sent.map_err(|failure| Error::new(call, problem_of(failure), trace))?;
        let trace = answered_trace(response.headers(), trace);
        let status = response.status().as_u16();
        let (now, date) = (self.clock.now(), header(response.headers(), DATE.as_str()));
        let after = wait_asked(header(response.headers(), RETRY_AFTER.as_str()), date, now);
        if call != Call::AccessToken {
            // The sign-in service has a clock of its own.
            self.skew.note(date, asked, now);
        }
        if status == 429 {
            self.counters.throttled();
            return Err(throttled(call, self.pacing.pause(after), trace));
        }
        let is_foreign = header(response.headers(), CONTENT_TYPE.as_str()).is_some_and(is_no_json);
        let body = if response.status().is_success() {
            read_body(response, call.answer_max(), Overflow::Refuse, self.timeouts.idle).await
        } else {
            read_body(response, FAILURE_MAX, Overflow::Cut, self.timeouts.idle).await
        };
        let body = body.map_err(|problem| Error::new(call, problem, trace))?;
        Ok(Answer { status, body, after, is_foreign, trace })
    }
}

pub(super) const fn throttled(call: Call, pause: Pause, trace: Trace) -> Error {
    Error::new(call, Problem::Throttled { until: pause.until, after: pause.after }, trace)
}

/// Fresh ids for one call. They go to Microsoft only and are no ids of ours.
#[expect(clippy::disallowed_methods, reason = "MS-RequestId must be random and names nothing in the domain")]
pub(super) fn fresh_trace() -> Trace {
    Trace { request_id: Uuid::new_v4(), correlation_id: Uuid::new_v4() }
}

/// The ids the server says it used, else ours.
fn answered_trace(headers: &HeaderMap, ours: Trace) -> Trace {
    let answered = |name: &str| header(headers, name).and_then(|text| text.trim().parse().ok());
    Trace {
        request_id: answered("ms-requestid").unwrap_or(ours.request_id),
        correlation_id: answered("ms-correlationid").unwrap_or(ours.correlation_id),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a content type is of something else than JSON, such as the page of somebody between us and Partner Center.
fn is_no_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    !essence.is_empty() && !essence.to_ascii_lowercase().contains("json")
}

/// What to do with a body that is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    Refuse,
    Cut,
}

/// Reads at most `limit` bytes after decompression, chunk by chunk.
async fn read_body(
    mut response: Response,
    limit: usize,
    overflow: Overflow,
    idle: Duration,
) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    loop {
        let read = tokio::time::timeout(idle, response.chunk()).await.map_err(|_| Problem::TimedOut)?;
        let Some(chunk) = read.map_err(problem_of)? else { break };
        let room = limit - body.len();
        if chunk.len() <= room {
            body.extend_from_slice(&chunk);
        } else if overflow == Overflow::Refuse {
            return Err(Problem::TooLong { limit });
        } else {
            body.extend_from_slice(&chunk[..room]);
            break;
        }
    }
    Ok(body)
}

/// Only the cause of a failed connection is told: later ones could quote what was sent or answered.
fn problem_of(failure: reqwest::Error) -> Problem {
    if failure.is_connect() {
        Problem::Unreachable { cause: cause_of(&failure.without_url()) }
    } else if failure.is_timeout() {
        Problem::TimedOut
    } else {
        Problem::Interrupted
    }
}

fn cause_of(failure: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut source = failure.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    causes.dedup();
    causes.join(": ").chars().take(CAUSE_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::partner_center::scripted_server::{Script, ScriptedServer, settings_for};

    async fn get(server: &ScriptedServer, call: Call) -> Result<Answer, Error> {
        get_from(&server.address, call).await
    }

    async fn get_from(address: &str, call: Call) -> Result<Answer, Error> {
        let mut settings = settings_for(address);
        settings.timeouts.call = Duration::from_millis(500);
        let transport = Transport::new(&settings, Clock::manual(Timestamp::from_micros(0))).expect("a transport");
        let request = transport.client.get(format!("{address}/v1/thing"));
        transport.exchange(call, request, fresh_trace()).await
    }

    #[tokio::test]
    async fn an_endless_answer_is_dropped_at_its_limit() {
        // RELIABILITY 2.3: endless body.
        let server = ScriptedServer::start([Script::endless()]).await;
        let error = get(&server, Call::GetCustomer).await.expect_err("too long");
        assert_eq!(error.problem, Problem::TooLong { limit: ANSWER_MAX });
    }

    #[tokio::test]
    async fn an_answer_is_measured_after_decompression() {
        let server = ScriptedServer::start([Script::gzip_bomb()]).await;
        let error = get(&server, Call::GetCustomer).await.expect_err("too long");
        assert_eq!(error.problem, Problem::TooLong { limit: ANSWER_MAX });
    }

    #[tokio::test]
    async fn a_long_answer_of_failure_is_cut_and_its_status_kept() {
        let server = ScriptedServer::start([Script::new(502, "x".repeat(FAILURE_MAX * 3))]).await;
        let answer = get(&server, Call::GetCustomer).await.expect("an answer");
        assert_eq!((answer.status, answer.body.len()), (502, FAILURE_MAX));
    }

    #[tokio::test]
    async fn a_truncated_answer_is_no_answer() {
        // RELIABILITY 2.3: Content-Length mismatch.
        let server = ScriptedServer::start([Script::truncated()]).await;
        let error = get(&server, Call::ListCustomers).await.expect_err("truncated");
        assert_eq!(error.problem, Problem::Interrupted);
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_given_up() {
        let server = ScriptedServer::start([Script::silent()]).await;
        let error = get(&server, Call::GetCustomer).await.expect_err("silent");
        assert_eq!(error.problem, Problem::TimedOut);
    }

    #[tokio::test]
    async fn an_answer_that_falls_silent_is_given_up_long_before_the_call_is() {
        let server = ScriptedServer::start([Script::stalled()]).await;
        let mut settings = settings_for(&server.address);
        settings.timeouts.idle = Duration::from_millis(200);
        let transport = Transport::new(&settings, Clock::manual(Timestamp::from_micros(0))).expect("a transport");
        let request = transport.client.get(format!("{}/v1/thing", server.address));
        let given_up = transport.exchange(Call::ListCustomers, request, fresh_trace());
        let error = tokio::time::timeout(settings.timeouts.page / 2, given_up).await.expect("soon");
        assert_eq!(error.expect_err("silent").problem, Problem::TimedOut);
    }

    #[test]
    fn only_what_is_said_to_be_json_or_nothing_at_all_is_json() {
        for json in ["application/json", "application/json; charset=utf-8", "TEXT/JSON", "application/problem+json", ""]
        {
            assert!(!is_no_json(json), "{json}");
        }
        for other in ["text/html", "text/html; profile=json", "application/xml", "text/plain"] {
            assert!(is_no_json(other), "{other}");
        }
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let redirect = Script::new(302, "").header("location", "https://evil.example/");
        let server = ScriptedServer::start([redirect]).await;
        assert_eq!(get(&server, Call::GetCustomer).await.expect("an answer").status, 302);
    }

    #[tokio::test]
    async fn a_refused_connection_says_why() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        drop(listener);
        let error = get_from(&address, Call::GetCustomer).await.expect_err("nobody listens");
        let Problem::Unreachable { cause } = &error.problem else { panic!("{error}") };
        assert!(cause.contains("refused"), "{cause}");
    }

    #[tokio::test]
    async fn the_ids_the_server_answers_with_are_kept() {
        let id = Uuid::from_u128(7);
        let script = Script::new(500, "").header("MS-RequestId", &id.to_string()).header("MS-CorrelationId", "x");
        let server = ScriptedServer::start([script]).await;
        let answer = get(&server, Call::GetCustomer).await.expect("an answer");
        assert_eq!(answer.trace.request_id, id);
        assert_ne!(answer.trace.correlation_id, id);
    }
}
