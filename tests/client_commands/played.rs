//! A service that answers what a test tells it to, and remembers what it was asked.

use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::Router;
use axum::routing::{MethodRouter, post};
use futures::StreamExt;
use futures::stream::{self, Stream};
use prost::Message;
use tokio::runtime::Runtime;
use tonic::codegen::Service;
use tonic::server::Grpc;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::program;

/// A service with some questions; every other is unknown to it.
pub struct Played {
    router: Router,
}

/// A played service that listens, until it is dropped.
pub struct Listening {
    pub server: String,
    _runtime: Runtime,
}

/// The answers to one question: each is given once, the last one for ever.
#[derive(Clone)]
pub struct Answers<Req, Answer> {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Req>>>,
}

impl<Req: Clone, Answer: Clone> Answers<Req, Answer> {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        Self { answers, asked: Arc::default() }
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Req> {
        self.asked.lock().expect("no panic").clone()
    }

    fn next(&self, request: Req) -> Answer {
        self.asked.lock().expect("no panic").push(request);
        let mut answers = self.answers.lock().expect("no panic");
        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }.expect("an answer")
    }
}

/// One answer, or an error.
pub type Unary<Req, Resp> = Answers<Req, Result<Resp, Status>>;
/// What a stream brings, and how it ends: with an error, or never.
pub type Streamed<Req, Resp> = Answers<Req, (Vec<Resp>, Option<Status>)>;

impl<Req: Clone, Resp: Clone> Service<Request<Req>> for Unary<Req, Resp> {
    type Response = Response<Resp>;
    type Error = Status;
    type Future = Ready<Result<Response<Resp>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Req>) -> Self::Future {
        ready(self.next(request.into_inner()).map(Response::new))
    }
}

/// A stream's messages as tonic wants them.
type Messages<Resp> = Pin<Box<dyn Stream<Item = Result<Resp, Status>> + Send>>;

/// The same answers, as a service of streams.
#[derive(Clone)]
struct Streams<Req, Resp>(Streamed<Req, Resp>);

impl<Req: Clone, Resp: Clone + Send + 'static> Service<Request<Req>> for Streams<Req, Resp> {
    type Response = Response<Messages<Resp>>;
    type Error = Status;
    type Future = Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Req>) -> Self::Future {
        let (messages, end) = self.0.next(request.into_inner());
        let messages = stream::iter(messages.into_iter().map(Ok));
        let messages: Messages<Resp> = match end {
            Some(status) => messages.chain(stream::iter([Err(status)])).boxed(),
            None => messages.chain(stream::pending()).boxed(),
        };
        ready(Ok(Response::new(messages)))
    }
}

impl Played {
    pub fn new() -> Self {
        Self { router: Router::new() }
    }

    /// Adds a question such as `SyncService/ListHolds`, and what is answered to it.
    pub fn answers<Req, Resp>(
        self,
        question: &str,
        answers: impl IntoIterator<Item = Result<Resp, Status>>,
    ) -> (Self, Unary<Req, Resp>)
    where
        Req: Message + Default + Clone + 'static,
        Resp: Message + Clone + 'static,
    {
        let answers = Unary::<Req, Resp>::new(answers);
        let service = answers.clone();
        let route = post(move |request: axum::extract::Request| async move {
            Grpc::new(ProstCodec::<Resp, Req>::default()).unary(service, request).await
        });
        (self.with(question, route), answers)
    }

    /// Adds a question that is answered with a stream.
    pub fn streams<Req, Resp>(
        self,
        question: &str,
        answers: impl IntoIterator<Item = (Vec<Resp>, Option<Status>)>,
    ) -> (Self, Streamed<Req, Resp>)
    where
        Req: Message + Default + Clone + 'static,
        Resp: Message + Clone + 'static,
    {
        let answers = Streamed::<Req, Resp>::new(answers);
        let service = Streams(answers.clone());
        let route = post(move |request: axum::extract::Request| async move {
            Grpc::new(ProstCodec::<Resp, Req>::default()).server_streaming(service, request).await
        });
        (self.with(question, route), answers)
    }

    fn with(self, question: &str, route: MethodRouter) -> Self {
        Self { router: self.router.route(&format!("/customerguard.v1.{question}"), route) }
    }

    /// Begins to listen.
    pub fn listen(self) -> Listening {
        let runtime = Runtime::new().expect("a runtime");
        let _entered = runtime.enter();
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let server = incoming.local_addr().expect("an address").to_string();
        let routes = Routes::from(self.router);
        runtime.spawn(Server::builder().add_routes(routes).serve_with_incoming(incoming));
        Listening { server, _runtime: runtime }
    }
}

impl Listening {
    pub fn ask(&self, line: &str) -> Output {
        let mut command = program(&line.split(' ').collect::<Vec<_>>());
        command.env("CUSTOMER_GUARD_SERVER", &self.server).output().expect("the program starts")
    }
}
