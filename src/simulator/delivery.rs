//! How the bytes of an answer reach the caller: whole, or in one of the ways a network and a proxy have to spoil them.

use std::io::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{StreamExt, stream};

use super::faults::Effect;

const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const WEB_PAGE: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const MEBIBYTE: usize = 1024 * 1024;

/// How an answer reaches the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    /// `Content-Length` tells the whole length, half of it comes, then the connection closes.
    Truncated,
    /// Compressed, and as if that were all there is: the compressed stream has no end.
    TruncatedGzip,
    /// Whole, but said to be a web page.
    AsWebPage,
    /// So many bytes a second.
    Drip(u32),
    /// Spaces without end.
    Endless,
    /// So many mebibytes of spaces, compressed.
    GzipBomb(u32),
}

impl Delivery {
    /// The delivery that effects ask for; the first one counts.
    pub(super) fn by(effects: &[Effect]) -> Self {
        let spoiled = effects.iter().find_map(|effect| match effect {
            Effect::Truncated => Some(Self::Truncated),
            Effect::TruncatedGzip => Some(Self::TruncatedGzip),
            Effect::WrongContentType => Some(Self::AsWebPage),
            Effect::Drip { bytes_per_second } => Some(Self::Drip(*bytes_per_second)),
            Effect::Endless => Some(Self::Endless),
            Effect::GzipBomb { mebibytes } => Some(Self::GzipBomb(*mebibytes)),
            _ => None,
        });
        spoiled.unwrap_or(Self::Whole)
    }

    /// Makes the response of a body.
    pub(super) fn deliver(self, mut bytes: Vec<u8>, content_type: Option<HeaderValue>) -> Response {
        let length = bytes.len();
        let (body, length, compressed) = match self {
            Self::Whole | Self::AsWebPage => (Body::from(bytes), Some(length), false),
            Self::Truncated => {
                bytes.truncate(length / 2);
                (cut_off(bytes.into()), Some(length), false)
            }
            Self::TruncatedGzip => {
                let mut packed = gzip([bytes.as_slice()].into_iter());
                packed.truncate(packed.len() / 2);
                (Body::from(packed), None, true)
            }
            Self::Drip(bytes_per_second) => (drip(bytes, bytes_per_second), Some(length), false),
            Self::Endless => {
                let chunk = Bytes::from_static(&[b' '; 16 * 1024]);
                (Body::from_stream(stream::repeat(Ok::<_, std::convert::Infallible>(chunk))), None, false)
            }
            Self::GzipBomb(mebibytes) => {
                let spaces = vec![b' '; MEBIBYTE];
                let count = usize::try_from(mebibytes).unwrap_or(usize::MAX);
                (Body::from(gzip(std::iter::repeat_n(spaces.as_slice(), count))), None, true)
            }
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        if compressed {
            headers.insert(header::CONTENT_ENCODING, GZIP);
        }
        let content_type = if self == Self::AsWebPage { Some(WEB_PAGE) } else { content_type };
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        response
    }
}

fn gzip<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for chunk in chunks {
        encoder.write_all(chunk).expect("a vector takes every byte");
    }
    encoder.finish().expect("a vector takes every byte")
}

/// One byte after the other, in real time: a network's slowness is not Partner Center's clock.
fn drip(bytes: Vec<u8>, bytes_per_second: u32) -> Body {
    let pause = Duration::from_secs(1) / bytes_per_second.max(1);
    Body::from_stream(stream::iter(bytes).then(move |byte| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, std::convert::Infallible>(Bytes::copy_from_slice(&[byte]))
    }))
}

/// A body that sends what it is given and then fails, upon which the server closes the connection.
pub(super) fn cut_off(bytes: Bytes) -> Body {
    if bytes.is_empty() {
        // An error before the first poll ends keeps even the response head in the server's buffer.
        return Body::from_stream(stream::once(async { Err::<Bytes, _>(interrupted()) }));
    }
    let sent = stream::once(async { Ok(bytes) });
    let failure = stream::once(async {
        // Giving way once lets the server flush what was sent before it learns of the failure.
        tokio::task::yield_now().await;
        Err(interrupted())
    });
    Body::from_stream(sent.chain(failure))
}

fn interrupted() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut off by the simulator's fault script")
}
