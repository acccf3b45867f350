//! How PostgreSQL is opened, and how its transactions begin.
//!
//! Writers take turns, as they do on SQLite: each write transaction holds one advisory lock of the database from before its
//! first read until it has committed. What it has read is then still so when it writes, and the positions of the change log
//! are given out in the order of the commits, so that no reader skips a change that commits later with a lower position.
//! The price is that writes of different accounts wait for each other, for as long as the writer before needs to commit.
//! Readers take no lock and wait for nobody. To let accounts write side by side, this lock becomes one per account, and the
//! change log one of its own that is held from the first position until the commit.

use std::str::FromStr;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, Postgres};

use crate::store::Error;

/// The oldest server that is supported: 14.
const OLDEST_SERVER: i64 = 140_000;
/// Connections of one process.
const CONNECTIONS: u32 = 16;
/// How long a statement waits for a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How many literals a connection keeps prepared.
const STATEMENTS: usize = 512;

/// Begins a write transaction and waits for its turn, in one round trip. The number is the name of the lock. Says nothing of
/// READ WRITE: that would overrule a connection that only looks.
const BEGIN_WRITING: &str = "
    BEGIN ISOLATION LEVEL READ COMMITTED;
    SET LOCAL lock_timeout = '10s';
    SET LOCAL statement_timeout = '30s';
    SET LOCAL idle_in_transaction_session_timeout = '5s';
    SELECT pg_advisory_xact_lock(6071223490117)";

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
pub(super) async fn open(url: &str) -> Result<PgPool, ServerError> {
    let pool = pool().max_connections(CONNECTIONS).connect_with(options(url)?).await.map_err(unreachable)?;
    require_version(&pool).await?;
    Ok(pool)
}

/// Opens a database that exists, to look at it: every write fails.
pub(super) async fn open_for_reading(url: &str) -> Result<PgPool, ServerError> {
    let options = options(url)?.options([("default_transaction_read_only", "on")]);
    let pool = pool().max_connections(4).connect_with(options).await.map_err(unreachable)?;
    require_version(&pool).await?;
    Ok(pool)
}

fn options(url: &str) -> Result<PgConnectOptions, ServerError> {
    let options = PgConnectOptions::from_str(url).map_err(|_| ServerError::Address)?;
    Ok(options.application_name("customer-guard").statement_cache_capacity(STATEMENTS))
}

fn pool() -> PgPoolOptions {
    PgPoolOptions::new().min_connections(1).acquire_timeout(CONNECTION_TIMEOUT)
}

async fn require_version(pool: &PgPool) -> Result<(), ServerError> {
    const ASK: &str = "
        SELECT current_setting('server_version_num')::BIGINT AS number, current_setting('server_version') AS version,
               current_setting('server_encoding') AS encoding";
    let row = sqlx::query(ASK).fetch_one(pool).await.map_err(unreachable)?;
    let number: i64 = sqlx::Row::try_get(&row, "number").map_err(unreachable)?;
    let found: String = sqlx::Row::try_get(&row, "version").map_err(unreachable)?;
    let encoding: String = sqlx::Row::try_get(&row, "encoding").map_err(unreachable)?;
    if number < OLDEST_SERVER {
        return Err(ServerError::TooOld { found });
    }
    if encoding != "UTF8" {
        return Err(ServerError::Encoding { found: encoding });
    }
    Ok(())
}

/// An open transaction. One that is dropped, or whose beginning is, ends with its connection: sqlx would return a connection
/// to the pool that has begun without its knowing, and everybody would wait for the lock that it holds.
pub(super) struct PostgresTransaction(Option<PoolConnection<Postgres>>);

impl PostgresTransaction {
    pub(super) async fn begin_writing(pool: &PgPool) -> Result<Self, Error> {
        Self::begin(pool, BEGIN_WRITING).await
    }

    pub(super) async fn begin_reading(pool: &PgPool) -> Result<Self, Error> {
        Self::begin(pool, BEGIN_READING).await
    }

    async fn begin(pool: &PgPool, text: &'static str) -> Result<Self, Error> {
        let mut begun = Self(Some(pool.acquire().await?));
        begun.say(text).await?;
        Ok(begun)
    }

    pub(super) async fn commit(self) -> Result<(), Error> {
        self.end(COMMIT).await
    }

    pub(super) async fn rollback(self) -> Result<(), Error> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, text: &'static str) -> Result<(), Error> {
        self.say(text).await?;
        // Back to the pool.
        drop(self.0.take());
        Ok(())
    }

    async fn say(&mut self, text: &'static str) -> Result<(), Error> {
        sqlx::raw_sql(text).execute(self.connection()).await?;
        Ok(())
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        // Invariant: only the end takes it, and nothing is left then to ask for it.
        self.0.as_deref_mut().expect("an open transaction has a connection")
    }
}

impl Drop for PostgresTransaction {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn unreachable(error: sqlx::Error) -> ServerError {
    match &error {
        sqlx::Error::Database(database) => ServerError::Unreachable(database.message().to_owned()),
        _ => ServerError::Unreachable(error.to_string()),
    }
}
