//! How SQLite is opened: one writer, several readers, nothing acknowledged before it is on the disk.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Row};

use crate::store::witness::Witness;

/// Before 3.51.3 a WAL database can be corrupted by a reset at the wrong moment.
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);
/// How long a statement waits for another connection's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a write waits for its turn.
const WRITE_TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a read waits for a connection.
const READ_TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// Read connections; point reads are short, and the machine has few cores.
const READERS: u32 = 4;

/// Why a database file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or its folder.
    #[error("cannot open the database file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: sqlx::Error,
    },
    /// Built against an SQLite with a known way to corrupt a database.
    #[error("SQLite {found} is too old: below 3.51.3 a WAL database can be corrupted")]
    TooOld {
        /// The version of the linked library.
        found: String,
    },
    /// Another process has it.
    #[error("the database {path} is in use by another process; embedded SQLite serves one process at a time")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// It or the lock beside it cannot be made.
    #[error("cannot create the file {path}")]
    Lock {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// The writer of a file, and what keeps other processes out while it lives.
pub(super) struct Writer {
    pub pool: SqlitePool,
    pub witness: Witness,
}

/// Opens or creates the database file, to write.
pub(super) async fn open(path: &Path) -> Result<Writer, OpenError> {
    create_for_its_owner(path).map_err(|source| OpenError::Lock { path: path.to_owned(), source })?;
    let witness = witness(path)?;
    let file_error = |source| OpenError::File { path: path.to_owned(), source };
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(WRITE_TURN_TIMEOUT)
        .after_release(|connection, _| Box::pin(async move { Ok(is_clean(connection)) }))
        .connect_with(options(path).create_if_missing(true))
        .await
        .map_err(file_error)?;
    require_version(&pool).await.map_err(file_error)??;
    Ok(Writer { pool, witness })
}

/// Opens a database file that exists, to look at it. Its schema must not change any more: sqlx reads `SELECT *` with the
/// columns a table had when its connection first saw it.
pub(super) async fn open_for_reading(path: &Path) -> Result<SqlitePool, OpenError> {
    let file_error = |source| OpenError::File { path: path.to_owned(), source };
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(READ_TURN_TIMEOUT)
        .connect_with(options(path).read_only(true).pragma("query_only", "on"));
    readers.await.map_err(file_error)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL loses acknowledged writes in a power cut.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // Without it INSERT OR REPLACE walks past the append-only triggers.
        .pragma("recursive_triggers", "on")
        .pragma("trusted_schema", "off")
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(256)
}

/// SQLite rolls back by itself when the disk is full, and sqlx does not notice: such a connection would refuse
/// every further BEGIN. It is thrown away instead of being kept.
fn is_clean(connection: &SqliteConnection) -> bool {
    !connection.is_in_transaction()
}

async fn require_version(pool: &SqlitePool) -> Result<Result<(), OpenError>, sqlx::Error> {
    let found: String = sqlx::query("SELECT sqlite_version()").fetch_one(pool).await?.try_get(0)?;
    let mut parts = found.split('.').map(|part| u32::from_str(part).unwrap_or(0));
    let mut part = || parts.next().unwrap_or(0);
    let version = (part(), part(), part());
    Ok(if version >= OLDEST_SQLITE { Ok(()) } else { Err(OpenError::TooOld { found }) })
}

/// Makes the file, if it is not there, for its owner's eyes only: it holds contacts. What SQLite puts beside it gets the
/// same permissions.
fn create_for_its_owner(path: &Path) -> std::io::Result<()> {
    match private(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn private(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;

    std::fs::File::options().create_new(true).write(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::File::options().create_new(true).write(true).open(path)
}

/// Keeps other processes off the file for as long as the lock lives.
pub(super) fn witness(database: &Path) -> Result<Witness, OpenError> {
    // A link to the file is the file.
    let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
    let mut path = database.clone().into_os_string();
    path.push(".lock");
    let path = PathBuf::from(path);
    let file = std::fs::File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|source| OpenError::Lock { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(Witness::over(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::InUse { path: database }),
        Err(std::fs::TryLockError::Error(source)) => Err(OpenError::Lock { path, source }),
    }
}
