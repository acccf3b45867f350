//! How PostgreSQL is opened, and how its transactions begin.
//!
//! Writers take turns, as they do on SQLite: each write transaction holds one advisory lock of the database from before its
//! first read until it has committed. What it has read is then still so when it writes, and the positions of the change log
//! are given out in the order of the commits, so that no reader skips a change that commits later with a lower position.
//! The price is that writes of different accounts wait for each other, for as long as the writer before needs to commit.
//! Readers take no lock and wait for nobody. To let accounts write side by side, this lock becomes one per account, each row of
//! the change log keeps the id of its transaction, and readers of the log go no further than what every transaction under way
//! has passed.

use std::future::Future;
use std::time::Duration;

use futures::stream::{BoxStream, unfold};
use futures::{Stream, TryStreamExt};
use sqlx::Row;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, Postgres};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::clock::Timestamp;
use crate::store::Error;
use crate::store::hosts::why;
use crate::store::server::{Precedence, Server, Turn, give_back, silent};

/// The oldest server that is supported: 14.
const OLDEST_SERVER: i64 = 140_000;
/// How long the server may take to answer a statement: longer than it allows itself. Then nobody is there any more.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);
/// How long a write waits until it begins: for the writes of its own process, for a connection, and for those of other
/// processes, all together. Less than most callers wait.
const PATIENCE: Duration = Duration::from_secs(8);
/// What cannot wait waits longer, so that it keeps its place among the writes of other processes.
const URGENT_PATIENCE: Duration = Duration::from_secs(15);
/// And what nobody waits for, behind everything else of its process; once it has its turn there, callers stand behind it.
const BACKGROUND_PATIENCE: Duration = Duration::from_secs(30);
/// How much later than the server itself its silence is taken for an answer.
const GRACE: Duration = Duration::from_millis(500);

/// Begins a write transaction and waits for its turn, in one round trip; answers whether it can write at all, and what time it is.
/// The number is the name of the lock. Says nothing of READ WRITE: that would overrule a server that is told to write nothing.
/// Whoever holds the lock and says nothing for three seconds is frozen or cut off, and loses it.
macro_rules! begin_writing {
    ($patience:literal) => {
        concat!(
            "
    BEGIN ISOLATION LEVEL READ COMMITTED;
    SET LOCAL lock_timeout = '",
            $patience,
            "';
    SET LOCAL statement_timeout = '30s';
    SET LOCAL idle_in_transaction_session_timeout = '3s';
    SELECT pg_advisory_xact_lock(6071223490117), current_setting('transaction_read_only') AS read_only,
           CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) AS now"
        )
    };
}
/// By how long the server lets it wait for the others, so that the server gives up before we do: whoever only left would stay in
/// the queue.
const BEGIN_WRITING: [(Duration, &str); 6] = [
    (Duration::from_secs(15), begin_writing!("15s")),
    (Duration::from_secs(8), begin_writing!("8s")),
    (Duration::from_secs(4), begin_writing!("4s")),
    (Duration::from_secs(2), begin_writing!("2s")),
    (Duration::from_secs(1), begin_writing!("1s")),
    (Duration::ZERO, begin_writing!("500ms")),
];

/// Begins a transaction whose reads all see one state.
const BEGIN_READING: &str = "
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL statement_timeout = '30s';
    SET LOCAL idle_in_transaction_session_timeout = '60s'";

/// Ends a transaction in which nothing has failed. After a failure PostgreSQL answers COMMIT by a rollback that looks like a
/// success; the question before it fails then.
const COMMIT: &str = "SELECT 1; COMMIT";

/// Why a PostgreSQL database cannot be used. Says nothing of the address, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be read.
    #[error(
        "the address of the PostgreSQL database cannot be read; it looks like postgres://user:password@host:5432/database"
    )]
    Address,
    /// Nobody answers there, or not to us.
    #[error("cannot connect to the PostgreSQL database: {0}")]
    Unreachable(String),
    /// Older than what is supported.
    #[error("the PostgreSQL server has version {found}; it must be 14 or newer")]
    TooOld {
        /// Its version.
        found: String,
    },
    /// Texts would not come back as they were stored.
    #[error("the PostgreSQL database has the encoding {found}; it must be UTF8")]
    Encoding {
        /// Its encoding.
        found: String,
    },
}

/// Opens a database that exists.
pub(super) async fn open(url: &str) -> Result<Server, ServerError> {
    let server = Server::connect(url, false).await?;
    require_version(server.pool()).await?;
    Ok(server)
}

/// Opens a database that exists, to look at it: every write fails.
pub(super) async fn open_for_reading(url: &str) -> Result<Server, ServerError> {
    let server = Server::connect(url, true).await?;
    require_version(server.pool()).await?;
    Ok(server)
}

async fn require_version(pool: &PgPool) -> Result<(), ServerError> {
    const ASK: &str = "
        SELECT current_setting('server_version_num')::BIGINT AS number, current_setting('server_version') AS version,
               current_setting('server_encoding') AS encoding";
    let row = sqlx::raw_sql(ASK).fetch_one(pool).await.map_err(unreachable)?;
    let number: i64 = row.try_get("number").map_err(unreachable)?;
    let found: String = row.try_get("version").map_err(unreachable)?;
    let encoding: String = row.try_get("encoding").map_err(unreachable)?;
    if number < OLDEST_SERVER {
        return Err(ServerError::TooOld { found });
    }
    if encoding != "UTF8" {
        return Err(ServerError::Encoding { found: encoding });
    }
    Ok(())
}

/// A connection that somebody has to himself: for an open transaction, or for one statement.
///
/// One that is dropped before its end, or over which something went wrong, ends with its connection: sqlx would return a
/// connection to the pool that has begun without its knowing, and everybody would wait for the lock that it holds; and over
/// one that the server has left, the pool would wait for an answer.
pub(super) struct PostgresTransaction {
    connection: Option<PoolConnection<Postgres>>,
    line: Line,
    has_begun: bool,
    /// What time it was by the server's clock when it got its turn.
    began_at: Option<Timestamp>,
    keeps_statements: bool,
    // Kept until the connection is given back.
    _turn: Option<Turn>,
}

impl PostgresTransaction {
    pub(super) async fn begin_writing(server: &Server) -> Result<Self, Error> {
        if server.only_looks() {
            return Err(Error::reads_only());
        }
        let (patience, for_others) = match server.precedence() {
            Precedence::Urgent => (URGENT_PATIENCE, URGENT_PATIENCE),
            Precedence::Caller => (PATIENCE, PATIENCE),
            Precedence::Background => (BACKGROUND_PATIENCE, PATIENCE),
        };
        let until = Instant::now() + patience;
        let connected = timeout_at(until, async { Self::on(server, server.turn().await?).await });
        let mut begun = connected.await.unwrap_or(Err(Error::Busy))?;
        begun.has_begun = true;
        let left = until.saturating_duration_since(Instant::now()).min(for_others);
        // Invariant: the last one is for whatever is left. What it took to get here counts as waiting, but for a moment.
        let text = BEGIN_WRITING.iter().find(|(least, _)| left + GRACE >= *least).map_or("", |(_, text)| *text);
        let limit = left + GRACE * 2;
        let answer = begun.ask_within(limit, |connection| sqlx::raw_sql(text).fetch_one(connection)).await?;
        if answer.try_get::<String, _>("read_only")? != "off" {
            drop(begun);
            server.is_suspect().await;
            return Err(Error::reads_only());
        }
        begun.began_at = Some(Timestamp::from_micros(answer.try_get("now")?));
        Ok(begun)
    }

    /// What time it was by the server's clock when this began to write.
    pub(super) const fn began_at(&self) -> Option<Timestamp> {
        self.began_at
    }

    pub(super) async fn begin_reading(server: &Server) -> Result<Self, Error> {
        let mut begun = Self::on(server, None).await?;
        begun.has_begun = true;
        begun.say(BEGIN_READING).await?;
        Ok(begun)
    }

    /// For one statement that reads. It needs no transaction, unless a pooler could give the two halves of a prepared statement
    /// different connections, or nothing may be written.
    pub(super) async fn for_one_read(server: &Server) -> Result<Self, Error> {
        if server.keeps_statements() && !server.only_looks() {
            Self::on(server, None).await
        } else {
            Self::begin_reading(server).await
        }
    }

    async fn on(server: &Server, turn: Option<Turn>) -> Result<Self, Error> {
        let (connection, moves) = server.acquire().await?;
        let (connection, line) = (Some(connection), Line { moves, is_broken: false });
        let keeps_statements = server.keeps_statements();
        Ok(Self { connection, line, has_begun: false, began_at: None, keeps_statements, _turn: turn })
    }

    pub(super) async fn commit(self) -> Result<(), Error> {
        self.end(COMMIT).await
    }

    pub(super) async fn rollback(self) -> Result<(), Error> {
        // Nobody is there to be told; whoever notices that we are gone rolls back.
        if self.line.is_broken { Ok(()) } else { self.end("ROLLBACK").await }
    }

    async fn end(mut self, text: &'static str) -> Result<(), Error> {
        if self.line.is_broken {
            return Err(Error::from(silent()));
        }
        if self.has_begun {
            self.say(text).await?;
        }
        if let Some(connection) = self.connection.take() {
            give_back(connection);
        }
        Ok(())
    }

    async fn say(&mut self, text: &'static str) -> Result<(), Error> {
        self.ask(|connection| sqlx::raw_sql(text).execute(connection)).await.map(|_| ())
    }

    /// Asks over this connection, and gives up when no answer comes.
    pub(super) async fn ask<'c, T, F>(
        &'c mut self,
        question: impl FnOnce(&'c mut PgConnection) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, sqlx::Error>> + 'c,
        T: 'c,
    {
        self.ask_within(ANSWER_TIMEOUT, question).await
    }

    async fn ask_within<'c, T, F>(
        &'c mut self,
        limit: Duration,
        question: impl FnOnce(&'c mut PgConnection) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, sqlx::Error>> + 'c,
        T: 'c,
    {
        let (connection, line) = self.parts();
        line.hear(limit, question(connection)).await
    }

    /// Whether statements may be kept prepared.
    pub(super) const fn keeps_statements(&self) -> bool {
        self.keeps_statements
    }

    /// As [`ask`](Self::ask), for answers that come one after the other.
    pub(super) fn ask_for_many<'c, T: 'c>(
        &'c mut self,
        question: impl FnOnce(&'c mut PgConnection) -> BoxStream<'c, Result<T, sqlx::Error>>,
    ) -> impl Stream<Item = Result<T, Error>> + Send + 'c {
        let (connection, line) = self.parts();
        unfold((question(connection), line), async |(mut answers, line)| {
            let answer = line.hear(ANSWER_TIMEOUT, answers.try_next()).await.transpose()?;
            Some((answer, (answers, line)))
        })
    }

    /// The connection, and what becomes of it.
    fn parts(&mut self) -> (&mut PgConnection, &mut Line) {
        // Invariant: only the end takes it, and nothing is left then to ask for it.
        (self.connection.as_deref_mut().expect("an open transaction has a connection"), &mut self.line)
    }
}

/// What becomes of a connection while an answer is awaited over it.
struct Line {
    /// Changes when another host takes the writes: then nobody waits for the former one.
    moves: watch::Receiver<u64>,
    /// Over a connection that failed nothing more is said.
    is_broken: bool,
}

impl Line {
    /// Waits so long for an answer.
    async fn hear<T>(
        &mut self,
        limit: Duration,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, Error> {
        let answer = tokio::select! {
            biased;
            answer = timeout(limit, answer) => answer.unwrap_or_else(|_| Err(silent())),
            Ok(()) = self.moves.changed() => Err(silent()),
        };
        let answer = answer.map_err(Error::from);
        self.is_broken |= matches!(answer, Err(Error::Unavailable(_)));
        answer
    }
}

impl Drop for PostgresTransaction {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn unreachable(error: sqlx::Error) -> ServerError {
    ServerError::Unreachable(why(&error))
}
