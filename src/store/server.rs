//! The connections to a PostgreSQL database: to whichever of its hosts takes writes, found anew when that one is lost.
//!
//! The pool connects to one host. Whoever waits for a connection too long, or is refused one, or finds that it writes nothing,
//! asks the hosts again; when another one takes writes, the pool is sent there and what it holds of the former is closed.
//! With one host nobody asks, and the pool waits for it to come back.

use std::sync::Arc;
use std::sync::Mutex as Briefly;
use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgPoolOptions, Postgres};
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::store::Error;
use crate::store::hosts::{Hosts, takes_writes, why};
use crate::store::postgres::ServerError;

/// Connections of one process, and those of them that are kept for what cannot wait: however many questions are slow, a
/// process says that it is alive.
const CONNECTIONS: u32 = 16;
const URGENT_CONNECTIONS: u32 = 3;
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

/// A PostgreSQL database.
#[derive(Clone)]
pub(super) struct Server {
    inner: Arc<Inner>,
    precedence: Precedence,
}

/// Whose turn comes first among the writers of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precedence {
    /// What waits for no other writer of its process, and has connections of its own.
    Urgent,
    /// What somebody waits for.
    Caller,
    /// What nobody waits for. Of that, one at a time stands in the queue: thousands of accounts keep no caller waiting.
    Background,
}

/// A process's turn among its own writers.
pub(super) struct Turn {
    _turn: OwnedSemaphorePermit,
    _background: Option<OwnedSemaphorePermit>,
}

struct Inner {
    pool: PgPool,
    urgent: PgPool,
    hosts: Hosts,
    /// How often another host was found.
    moves: watch::Sender<u64>,
    /// Locked while the hosts are asked.
    place: Mutex<Place>,
    /// Connections that are older belong to a host that was left.
    left_at: Arc<Briefly<Option<Instant>>>,
    /// Told of when a new connection turns out to write nothing.
    refused: Arc<Notify>,
    /// One writer of this process at a time asks for the writers' lock, so that those who wait take no connection from the
    /// readers, and a process that freezes has one place in the queue of the others.
    turn: Arc<Semaphore>,
    /// The one of those for whom nobody waits.
    background: Arc<Semaphore>,
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
        let options = || pool(&left_at, must_write.then(|| Arc::clone(&refused)));
        let connections = if only_looks { LOOKING_CONNECTIONS } else { CONNECTIONS - URGENT_CONNECTIONS };
        let connected = options().max_connections(connections).connect_with(hosts.options(host));
        let pool = connected.await.map_err(|error| ServerError::Unreachable(why(&error)))?;
        let urgent = options().max_connections(URGENT_CONNECTIONS).connect_lazy_with(hosts.options(host));
        let place = Mutex::new(Place { host, asked_at: None });
        let moves = watch::Sender::new(0);
        let [turn, background] = [(); 2].map(|()| Arc::new(Semaphore::new(1)));
        let inner = Inner { pool, urgent, hosts, moves, place, left_at, refused, turn, background, only_looks };
        Ok(Self { inner: Arc::new(inner), precedence: Precedence::Caller })
    }

    /// The same with another precedence.
    pub(super) fn with(&self, precedence: Precedence) -> Self {
        Self { precedence, ..self.clone() }
    }

    /// Whose turn comes first.
    pub(super) const fn precedence(&self) -> Precedence {
        self.precedence
    }

    /// The pool, for what is done once.
    pub(super) fn pool(&self) -> &PgPool {
        &self.inner.pool
    }

    /// Whether everything but reading is refused.
    pub(super) fn only_looks(&self) -> bool {
        self.inner.only_looks
    }

    /// Whether a connection may keep statements prepared.
    pub(super) fn keeps_statements(&self) -> bool {
        self.inner.hosts.keeps_statements
    }

    /// Waits until no other writer of this process is under way; what is urgent does not.
    pub(super) async fn turn(&self) -> Result<Option<Turn>, Error> {
        // Nobody closes them.
        let permit = async |of: &Arc<Semaphore>| Arc::clone(of).acquire_owned().await.map_err(|_| Error::Busy);
        let background = match self.precedence {
            Precedence::Urgent => return Ok(None),
            Precedence::Caller => None,
            Precedence::Background => Some(permit(&self.inner.background).await?),
        };
        Ok(Some(Turn { _turn: permit(&self.inner.turn).await?, _background: background }))
    }

    /// A connection to the host that takes writes, and who tells when it is another one.
    pub(super) async fn acquire(&self) -> Result<(PoolConnection<Postgres>, watch::Receiver<u64>), Error> {
        let pool = match self.precedence {
            Precedence::Urgent => &self.inner.urgent,
            Precedence::Caller | Precedence::Background => &self.inner.pool,
        };
        let mut moves = self.inner.moves.subscribe();
        if !self.inner.hosts.many() {
            return Ok((pool.acquire().await?, moves));
        }
        let mut last = None;
        let acquired = timeout(CONNECTION_TIMEOUT, async {
            loop {
                let seen = *moves.borrow_and_update();
                let tried = tokio::select! {
                    biased;
                    acquired = pool.acquire() => Some(acquired),
                    () = self.moved(seen) => None,
                };
                match tried {
                    // It may be one to the former host.
                    Some(Ok(_)) if moves.has_changed().unwrap_or(false) => {}
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
        Ok((acquired?, moves))
    }

    /// A connection has turned out to write nothing.
    pub(super) async fn is_suspect(&self) {
        if self.inner.hosts.many() {
            let seen = *self.inner.moves.borrow();
            self.found_another(seen).await;
        }
    }

    /// Closes every connection; one whose server is silent is left to the system.
    pub(super) async fn close(&self) {
        let closed = async { tokio::join!(self.inner.pool.close(), self.inner.urgent.close()) };
        if timeout(CLOSE_TIMEOUT, closed).await.is_err() {
            tracing::warn!("some connections to the PostgreSQL database could not be closed");
        }
    }

    /// Ends when another host takes writes than at that move.
    async fn moved(&self, seen: u64) {
        loop {
            // Whichever comes first.
            let _ = timeout(SUSPICION, self.inner.refused.notified()).await;
            if self.found_another(seen).await {
                return;
            }
        }
    }

    /// Asks the hosts which of them takes writes, unless somebody has found another one since that move.
    async fn found_another(&self, seen: u64) -> bool {
        let mut place = self.inner.place.lock().await;
        if *self.inner.moves.borrow() != seen {
            return true;
        }
        if place.asked_at.is_some_and(|at| at.elapsed() < BELIEVED) {
            return false;
        }
        let found = self.inner.hosts.primary(place.host).await;
        place.asked_at = Some(Instant::now());
        let Some(host) = found.filter(|host| *host != place.host) else { return false };
        for pool in [&self.inner.pool, &self.inner.urgent] {
            pool.set_connect_options(self.inner.hosts.options(host));
        }
        // Before anybody is told: whoever is told takes none of the old ones.
        *self.inner.left_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Instant::now());
        self.inner.moves.send_modify(|moves| *moves += 1);
        place.host = host;
        tracing::warn!(host, "another host of the PostgreSQL database takes the writes now");
        true
    }
}

/// Connections that are tried before each use. `refused` is told of a host that was the one that takes writes and does so no
/// longer: whoever went on reading there would be told what was.
fn pool(left_at: &Arc<Briefly<Option<Instant>>>, refused: Option<Arc<Notify>>) -> PgPoolOptions {
    let left_at = Arc::clone(left_at);
    // No connection is kept for its own sake: the pool would go on trying to make it for minutes, and not end before.
    let pool = PgPoolOptions::new().min_connections(0).acquire_timeout(CONNECTION_TIMEOUT);
    let refuses = refused.clone();
    // In the place of the pool's own test, which waits for an answer for as long as the system does.
    let pool = pool.test_before_acquire(false).before_acquire(move |connection, about| {
        let left = *left_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let refuses = refuses.clone();
        Box::pin(async move {
            if left.is_some_and(|left| about.age >= left.elapsed()) {
                return Ok(false);
            }
            let Some(refuses) = refuses else {
                timeout(PING_TIMEOUT, connection.ping()).await.unwrap_or_else(|_| Err(silent()))?;
                return Ok(true);
            };
            let is_primary = timeout(PING_TIMEOUT, takes_writes(connection)).await.unwrap_or_else(|_| Err(silent()))?;
            if !is_primary {
                refuses.notify_waiters();
            }
            Ok(is_primary)
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
