//! A server for tests that answers as it was told to and remembers what it was asked.

use std::collections::VecDeque;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use futures::StreamExt as _;
use tokio::task::JoinSet;

use crate::clock::{Clock, Timestamp};
use crate::partner_center::PartnerCenter;
use crate::partner_center::settings::{Endpoints, Settings, Timeouts};
use crate::sign_in::Credential;

/// The tenant of the partner in tests.
pub(super) const TENANT: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// The head of a gzip stream (RFC 1952).
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// 10 KiB of spaces, deflated up to a full flush: it may follow itself any number of times.
const DEFLATED_SPACES: [u8; 32] = [
    0xec, 0xc1, 0x01, 0x0d, 0x00, 0x00, 0x00, 0xc2, 0xa0, 0x2a, 0xef, 0x9f, 0xd2, 0x1c, 0x6e, 0x40, 0x01, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x6f, 0x06, 0x00, 0x00, 0xff, 0xff,
];

/// One answer.
pub(super) struct Script {
    response: axum::http::response::Builder,
    body: ScriptedBody,
}

enum ScriptedBody {
    Whole(Vec<u8>),
    Endless,
    Truncated,
    Stalled,
    Silent,
}

impl Script {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { response: Response::builder().status(status), body: ScriptedBody::Whole(body.into()) }
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.response = self.response.header(name, value);
        self
    }

    /// Starts and never ends.
    pub(super) fn endless() -> Self {
        Self { body: ScriptedBody::Endless, ..Self::new(200, "") }
    }

    /// Breaks off before its announced end.
    pub(super) fn truncated() -> Self {
        Self { body: ScriptedBody::Truncated, ..Self::new(200, "") }.header("content-length", "100")
    }

    /// Begins and then says nothing more.
    pub(super) fn stalled() -> Self {
        Self { body: ScriptedBody::Stalled, ..Self::new(200, "") }
    }

    /// Never begins.
    pub(super) fn silent() -> Self {
        Self { body: ScriptedBody::Silent, ..Self::new(200, "") }
    }

    /// Small on the wire, 2 MiB unpacked.
    pub(super) fn gzip_bomb() -> Self {
        Self::new(200, [&GZIP_HEAD, DEFLATED_SPACES.repeat(205).as_slice()].concat()).header("content-encoding", "gzip")
    }

    async fn respond(self) -> Response {
        let body = match self.body {
            ScriptedBody::Whole(bytes) => Body::from(bytes),
            ScriptedBody::Endless => {
                let chunk = Bytes::from_static(&[b' '; 16 * 1024]);
                Body::from_stream(futures::stream::repeat(Ok::<_, std::convert::Infallible>(chunk)))
            }
            ScriptedBody::Truncated => {
                let broken = Err(std::io::Error::other("broken on purpose"));
                Body::from_stream(futures::stream::iter([Ok(Bytes::from_static(b"{\"items\":[")), broken]).boxed())
            }
            ScriptedBody::Stalled => {
                let begun = futures::stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from_static(b"{"))]);
                Body::from_stream(begun.chain(futures::stream::pending()))
            }
            ScriptedBody::Silent => futures::future::pending().await,
        };
        self.response.body(body).expect("a response")
    }
}

/// What the server was asked.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

#[derive(Default)]
struct Desk {
    scripts: Mutex<VecDeque<Script>>,
    requests: Mutex<Vec<Recorded>>,
    signs_in: bool,
    sign_ins: Mutex<usize>,
}

/// A server on this machine that stops when it is dropped.
pub(super) struct ScriptedServer {
    pub(super) address: String,
    desk: Arc<Desk>,
    _tasks: JoinSet<()>,
}

impl ScriptedServer {
    /// Answers every request with the next script.
    pub(super) async fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self::serve(Desk { scripts: Mutex::new(scripts.into_iter().collect()), ..Desk::default() }).await
    }

    async fn serve(desk: Desk) -> Self {
        let desk = Arc::new(desk);
        let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&desk));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.expect("it serves until it is dropped") });
        Self { address, desk, _tasks: tasks }
    }

    /// What was asked so far, sign-ins of [`Partner`] left out.
    pub(super) fn requests(&self) -> Vec<Recorded> {
        self.desk.requests.lock().expect("not poisoned").clone()
    }
}

async fn answer(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.uri.to_string();
    if desk.signs_in && target.ends_with("/oauth2/v2.0/token") {
        let number = {
            let mut sign_ins = desk.sign_ins.lock().expect("not poisoned");
            *sign_ins += 1;
            *sign_ins
        };
        let granted = format!(r#"{{"access_token":"token-{number}","expires_in":3600}}"#);
        return Script::new(200, granted).respond().await;
    }
    let body = axum::body::to_bytes(body, 64 * 1024).await.expect("a short body");
    let body = String::from_utf8(body.to_vec()).expect("a text");
    desk.requests.lock().expect("not poisoned").push(Recorded {
        method: parts.method.to_string(),
        target,
        headers: parts.headers,
        body,
    });
    let script = desk.scripts.lock().expect("not poisoned").pop_front();
    script.unwrap_or_else(|| Script::new(418, "the script has ended")).respond().await
}

/// A client with a server that signs it in and then follows a script.
pub(super) struct Partner {
    pub(super) center: PartnerCenter,
    pub(super) clock: Clock,
    server: ScriptedServer,
}

impl Partner {
    pub(super) async fn answering(scripts: impl IntoIterator<Item = Script>) -> Self {
        let scripts = Mutex::new(scripts.into_iter().collect());
        let server = ScriptedServer::serve(Desk { scripts, signs_in: true, ..Desk::default() }).await;
        let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
        let center = PartnerCenter::new(settings_for(&server.address), clock.clone()).expect("a client");
        Self { center, clock, server }
    }

    pub(super) fn requests(&self) -> Vec<Recorded> {
        self.server.requests()
    }
}

pub(super) fn settings_for(address: &str) -> Settings {
    Settings {
        endpoints: Endpoints {
            api_root: address.to_owned(),
            authority: address.to_owned(),
            audience: "https://audience.example".to_owned(),
        },
        tenant_id: TENANT.parse().expect("an id"),
        client_id: "a-client".to_owned(),
        credential: Credential::Secret("a-client-secret".into()),
        requests_per_minute: NonZeroU32::new(400).expect("not zero"),
        concurrency: NonZeroUsize::new(4).expect("not zero"),
        page_size: 500,
        application_name: "Customer Guard tests".to_owned(),
        timeouts: Timeouts::USUAL,
    }
}
