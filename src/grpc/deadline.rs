//! How long a call may take: as long as its caller waits for it, and never longer than any call may.
//!
//! tonic has limits of both kinds, and tells a caller whose call met one that the caller had cancelled it. Here the caller
//! hears what it is, a moment before tonic would speak.

use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use tokio::time::timeout;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::grpc::details::Problem;
use crate::grpc::proto::ErrorReason;

/// How long a call may take, whatever its caller says. A stream has begun by then, and may go on.
const CALL_MAX: Duration = Duration::from_secs(30);
/// So long before its caller stops waiting, a call is ended, so that the caller still hears of it.
const EARLY: Duration = Duration::from_millis(10);
/// When to try again after a call was ended.
const RETRY: Duration = Duration::from_secs(1);
/// How long the caller waits, as a number of at most eight digits and a unit.
const HEADER: &str = "grpc-timeout";

/// Puts the limit around a service.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineLayer {
    longest: Duration,
}

impl DeadlineLayer {
    /// The limit of every call.
    pub const USUAL: Self = Self { longest: CALL_MAX };
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { inner, longest: self.longest }
    }
}

/// A service whose calls end in time.
#[derive(Clone, Debug)]
pub struct Deadline<S> {
    inner: S,
    longest: Duration,
}

impl<S, B> Service<Request<B>> for Deadline<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let patience = patience(request.headers()).map(|patience| patience.saturating_sub(EARLY));
        let longest = self.longest;
        let limit = patience.unwrap_or(longest).min(longest);
        let too_late = move || if limit < longest { deadline_exceeded() } else { took_too_long(longest) };
        let answer = timeout(limit, self.inner.call(request));
        answer.map(move |answer| answer.unwrap_or_else(|_| Ok(too_late().into_http()))).boxed()
    }
}

/// The caller has given up by the time it hears this, and knows why.
fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("there was no answer in time")
}

fn took_too_long(longest: Duration) -> Status {
    let message = format!(
        "the call was ended after {} s; whether it has written anything is not known: repeat it with the same request_id",
        longest.as_secs()
    );
    Problem::new(Code::Unavailable, ErrorReason::Overloaded, message).retry_after(RETRY).status()
}

/// How long the caller waits, if it says so in a way that can be understood.
fn patience(headers: &HeaderMap) -> Option<Duration> {
    let (unit, digits) = headers.get(HEADER)?.as_bytes().split_last()?;
    let is_number = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let number: u64 = std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 60 * 60),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{pending, ready};

    use tonic_types::StatusExt;

    use super::*;

    /// What a caller hears who says that it waits so long.
    async fn heard<A>(waits: Option<&str>, longest: Duration, answer: fn() -> A) -> Option<Status>
    where
        A: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    {
        let mut request = Request::new(());
        if let Some(waits) = waits {
            request.headers_mut().insert(HEADER, waits.parse().expect("a header's value"));
        }
        let mut service = DeadlineLayer { longest }.layer(tower::service_fn(move |_: Request<()>| answer()));
        let answer = service.call(request).await.expect("an answer");
        Status::from_header_map(answer.headers())
    }

    #[tokio::test]
    async fn a_call_that_lasts_longer_than_its_caller_waits_has_exceeded_its_deadline() {
        for waits in ["20m", "1u", "0S", "0n"] {
            let status = heard(Some(waits), CALL_MAX, pending).await.expect("a status");
            assert_eq!(status.code(), Code::DeadlineExceeded, "{waits}");
        }
    }

    #[tokio::test]
    async fn a_caller_who_would_wait_longer_than_any_call_may_take_is_told_to_try_again() {
        for waits in [None, Some("1S"), Some("1H"), Some("soon")] {
            let status = heard(waits, Duration::from_millis(20), pending).await.expect("a status");
            let details = status.get_error_details();
            assert_eq!(status.code(), Code::Unavailable, "{waits:?}");
            assert_eq!(details.error_info().expect("a reason").reason, "OVERLOADED");
            assert_eq!(details.retry_info().expect("a time").retry_delay, Some(RETRY));
        }
    }

    #[tokio::test]
    async fn an_answer_in_time_is_passed_on() {
        assert!(heard(Some("1M"), CALL_MAX, || ready(Ok(Response::new(Body::empty())))).await.is_none());
    }

    #[test]
    fn how_long_a_caller_waits_is_read_as_grpc_writes_it() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, text.parse().expect("a header's value"));
            patience(&headers)
        };
        for (text, milliseconds) in
            [("2H", 7_200_000), ("3M", 180_000), ("4S", 4_000), ("5m", 5), ("6000u", 6), ("7000000n", 7)]
        {
            assert_eq!(read(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        for text in ["", "S", "5", "-1S", "+1S", "1 S", "1s", "123456789S", "1.5S"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
