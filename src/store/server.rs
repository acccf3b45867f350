//! The connections to a PostgreSQL database: to whichever of its hosts takes writes, found anew when that one is lost.
//!
//! The pool connects to one host. Whoever waits for a connection too long, or is refused one, or finds that it writes nothing,
//! asks the hosts again; when another one takes writes, the pool is sent there and what it holds of the former is closed.
//! With one host nobody asks, and the pool waits for it to come back.

use std::sync::Arc;
use std::sync::Mutex as Briefly;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgPoolOptions, Postgres};
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::store::Error;
use crate::store::hosts::{Hosts, takes_writes, why};
use crate::store::postgres::ServerError;

/// Connections of one process.
const CONNECTIONS: u32 = 16;
/// Connections of one that only looks.
const LOOKING_CONNECTIONS: u32 = 4;
/// How long a statement waits for a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that was not in use may take to show that it is alive.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// How long somebody waits for a connection before the hosts are asked which of them takes writes.
const SUSPICION: Duration = Duration::from_millis(500);
/// How long what the hosts said is believed.
const BELIEVED: Duration = Duration::from_millis(500);
/// How long the end may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a writer waits for those of its own process.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// A PostgreSQL database.
#[derive(Clone)]
pub(super) struct Server(Arc<Inner>);

struct Inner {
    pool: PgPool,
    hosts: Hosts,
    /// How often another host was found.
    moves: AtomicU64,
    /// Locked while the hosts are asked.
    place: Mutex<Place>,
    /// Connections that are older belong to a host that was left.
    left_at: Arc<Briefly<Option<Instant>>>,
    /// Told of when a new connection turns out to write nothing.
    refused: Arc<Notify>,
    /// One writer of this process at a time asks for the writers' lock, so that those who wait take no connection from the
    /// readers, and a process that freezes has one place in the queue of the others.
    turn: Arc<Semaphore>,
    only_looks: bool,
}

struct Place {
    host: usize,
    asked_at: Option<Instant>,
}

impl Server {
    /// Connects to the host that takes writes; somebody who only looks, to another one if there is none.
    pub(super) async fn connect(url: &str, only_looks: bool) -> Result<Self, ServerError> {
        let hosts = Hosts::parse(url)?;
        let host = hosts.first(only_looks).await?;
        let left_at = Arc::new(Briefly::new(None));
        let must_write = hosts.many() && !only_looks;
        let refused = Arc::new(Notify::new());
        let connected = pool(&left_at, must_write.then(|| Arc::clone(&refused)))
            .max_connections(if only_looks { LOOKING_CONNECTIONS } else { CONNECTIONS })
            .connect_with(hosts.options(host));
        let pool = connected.await.map_err(|error| ServerError::Unreachable(why(&error)))?;
        let place = Mutex::new(Place { host, asked_at: None });
        let (moves, turn) = (AtomicU64::new(0), Arc::new(Semaphore::new(1)));
        Ok(Self(Arc::new(Inner { pool, hosts, moves, place, left_at, refused, turn, only_looks })))
    }

    /// The pool, for what is done once.
    pub(super) fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// Whether everything but reading is refused.
    pub(super) fn only_looks(&self) -> bool {
        self.0.only_looks
    }

    /// Whether a connection may keep statements prepared.
    pub(super) fn keeps_statements(&self) -> bool {
        self.0.hosts.keeps_statements
    }

    /// Waits until no other writer of this process is under way.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        let turn = timeout(TURN_TIMEOUT, Arc::clone(&self.0.turn).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or(Error::Busy)
    }

    /// A connection to the host that takes writes.
    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>, Error> {
        if !self.0.hosts.many() {
            return Ok(self.0.pool.acquire().await?);
        }
        let mut last = None;
        let acquired = timeout(CONNECTION_TIMEOUT, async {
            loop {
                let seen = self.0.moves.load(Ordering::Acquire);
                let tried = tokio::select! {
                    biased;
                    acquired = self.0.pool.acquire() => Some(acquired),
                    () = self.moved(seen) => None,
                };
                match tried {
                    Some(Ok(connection)) => return Ok(connection),
                    Some(Err(sqlx::Error::PoolClosed)) => return Err(sqlx::Error::PoolClosed),
                    Some(Err(error)) => {
                        last = Some(error);
                        if !self.found_another(seen).await {
                            sleep(SUSPICION).await;
                        }
                    }
                    // To the host that was found.
                    None => {}
                }
            }
        });
        let acquired = acquired.await.unwrap_or_else(|_| Err(last.unwrap_or(sqlx::Error::PoolTimedOut)));
        Ok(acquired?)
    }

    /// A connection has turned out to write nothing.
    pub(super) async fn is_suspect(&self) {
        if self.0.hosts.many() {
            self.found_another(self.0.moves.load(Ordering::Acquire)).await;
        }
    }

    /// Closes every connection; one whose server is silent is left to the system.
    pub(super) async fn close(&self) {
        if timeout(CLOSE_TIMEOUT, self.0.pool.close()).await.is_err() {
            tracing::warn!("some connections to the PostgreSQL database could not be closed");
        }
    }

    /// Ends when another host takes writes than at that move.
    async fn moved(&self, seen: u64) {
        loop {
            // Whichever comes first.
            let _ = timeout(SUSPICION, self.0.refused.notified()).await;
            if self.found_another(seen).await {
                return;
            }
        }
    }

    /// Asks the hosts which of them takes writes, unless somebody has found another one since that move.
    async fn found_another(&self, seen: u64) -> bool {
        let mut place = self.0.place.lock().await;
        if self.0.moves.load(Ordering::Acquire) != seen {
            return true;
        }
        if place.asked_at.is_some_and(|at| at.elapsed() < BELIEVED) {
            return false;
        }
        let found = self.0.hosts.primary(place.host).await;
        place.asked_at = Some(Instant::now());
        let Some(host) = found.filter(|host| *host != place.host) else { return false };
        self.0.pool.set_connect_options(self.0.hosts.options(host));
        // Before anybody is told: whoever is told takes none of the old ones.
        *self.0.left_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Instant::now());
        self.0.moves.fetch_add(1, Ordering::Release);
        place.host = host;
        tracing::warn!(host, "another host of the PostgreSQL database takes the writes now");
        true
    }
}

fn pool(left_at: &Arc<Briefly<Option<Instant>>>, refused: Option<Arc<Notify>>) -> PgPoolOptions {
    let left_at = Arc::clone(left_at);
    // No connection is kept for its own sake: the pool would go on trying to make it for minutes, and not end before.
    let pool = PgPoolOptions::new().min_connections(0).acquire_timeout(CONNECTION_TIMEOUT);
    // In the place of the pool's own test, which waits for an answer for as long as the system does.
    let pool = pool.test_before_acquire(false).before_acquire(move |connection, about| {
        let left = *left_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Box::pin(async move {
            if left.is_some_and(|left| about.age >= left.elapsed()) {
                return Ok(false);
            }
            timeout(PING_TIMEOUT, connection.ping()).await.unwrap_or_else(|_| Err(silent()))?;
            Ok(true)
        })
    });
    let Some(refused) = refused else { return pool };
    pool.after_connect(move |connection, _| {
        let refused = Arc::clone(&refused);
        Box::pin(async move {
            let answer = timeout(PING_TIMEOUT, takes_writes(connection)).await.unwrap_or_else(|_| Err(silent()))?;
            if answer {
                return Ok(());
            }
            refused.notify_waiters();
            Err(std::io::Error::other("the host takes no writes").into())
        })
    })
}

/// Gives a connection back to the pool. That tests it first, and by itself would wait for the answer of a server that has
/// fallen silent for as long as the system does, while nobody has the place of the connection.
pub(super) fn give_back(mut connection: PoolConnection<Postgres>) {
    TaskTracker::new().spawn(timeout(PING_TIMEOUT, connection.return_to_pool()));
}

/// A server that says nothing.
pub(super) fn silent() -> sqlx::Error {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "the server does not answer").into()
}
