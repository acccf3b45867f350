//! What a connection may cost; how long a call may take is `deadline`'s. tonic leaves some of HTTP/2's limits off unless they are set.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use futures::stream::unfold;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::Server;
use tonic::transport::server::Connected;

/// Largest request message.
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// Largest response message: a batch of 1000 of the largest customers there can be.
pub const RESPONSE_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Connections at once.
const CONNECTIONS_MAX: usize = 2_000;
/// Calls at once on one connection.
const STREAMS_MAX: u32 = 100;
/// Resets a peer may force on us before its connection is closed (MadeYouReset); tonic's default is no limit.
const LOCAL_RESETS_MAX: usize = 64;
/// Streams a peer may open and reset before we accept them (rapid reset).
const PENDING_RESETS_MAX: usize = 20;
/// Request headers.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// A silent peer is asked whether it is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// And is gone if it does not answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// A pause after an accept that failed, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server with every limit set.
pub fn server() -> Server {
    Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .http2_max_local_error_reset_streams(Some(LOCAL_RESETS_MAX))
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_MAX))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}

/// The connections of a listener, at most so many at once.
pub fn connections(listener: TcpListener) -> impl Stream<Item = io::Result<Connection>> {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    unfold((listener, slots), async |(listener, slots)| {
        let slot = Arc::clone(&slots).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((socket, peer)) => {
                    // Small answers must not wait for more to send with them.
                    let _ = socket.set_nodelay(true);
                    return Some((Ok(Connection { socket, peer, _slot: slot }), (listener, slots)));
                }
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    })
}

/// An accepted connection.
///
/// It does not offer vectored writes: h2 then gathers small answers into one write instead of flushing each.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    peer: SocketAddr,
    _slot: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = SocketAddr;

    fn connect_info(&self) -> SocketAddr {
        self.peer
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        false
    }
}
