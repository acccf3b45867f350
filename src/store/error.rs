//! What can go wrong in the store, sorted by who has to act.

use sqlx::postgres::PgDatabaseError;

/// A failed store call. Its text never holds values of a row.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another transaction had the lock for too long; try again.
    #[error("the store is busy")]
    Busy,
    /// The database cannot be reached or cannot take writes now; try again later.
    #[error("the store is unavailable")]
    Unavailable(#[source] Cause),
    /// Somebody else synchronizes the account by now: what was to be written is theirs to find out.
    #[error("another replica synchronizes the account now")]
    LeaseLost,
    /// The disk is full; reads go on.
    #[error("the store is full")]
    Full,
    /// The database itself refused a change by the named rule: the layers above have a hole.
    #[error("the database refused a change: {0}")]
    Backstop(String),
    /// A row cannot be read back as what it must be.
    #[error("the store holds something it must not: {0}")]
    Corrupt(String),
    /// Anything else; a bug.
    #[error("the store failed")]
    Failed(#[source] Cause),
}

/// The database's own words, with the details that could quote a row left out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Cause(String);

/// SQLite's primary result codes that have a meaning of their own here.
mod sqlite_code {
    pub const BUSY: u32 = 5;
    pub const LOCKED: u32 = 6;
    pub const READ_ONLY: u32 = 8;
    pub const IO_ERROR: u32 = 10;
    pub const CORRUPT: u32 = 11;
    pub const FULL: u32 = 13;
    pub const CANNOT_OPEN: u32 = 14;
    pub const NOT_A_DATABASE: u32 = 26;
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => from_database(database.as_ref()),
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => {
                Self::Unavailable(Cause(error.to_string()))
            }
            sqlx::Error::ColumnDecode { index, .. } => Self::Corrupt(format!("column {index} has another type")),
            _ => Self::Failed(Cause(error.to_string())),
        }
    }
}

fn from_database(error: &dyn sqlx::error::DatabaseError) -> Error {
    let message = error.message();
    if error.is_check_violation() || message.starts_with("guard") {
        return Error::Backstop(message.to_owned());
    }
    match error.try_downcast_ref::<PgDatabaseError>() {
        Some(error) => from_postgres(error),
        None => from_sqlite(error),
    }
}

fn from_sqlite(error: &dyn sqlx::error::DatabaseError) -> Error {
    let message = error.message();
    let primary_code = error.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
    match primary_code {
        Some(sqlite_code::BUSY | sqlite_code::LOCKED) => Error::Busy,
        Some(sqlite_code::FULL) => Error::Full,
        Some(sqlite_code::CORRUPT | sqlite_code::NOT_A_DATABASE) => Error::Corrupt(message.to_owned()),
        Some(sqlite_code::IO_ERROR | sqlite_code::CANNOT_OPEN | sqlite_code::READ_ONLY) => {
            Error::Unavailable(Cause(message.to_owned()))
        }
        _ => Error::Failed(Cause(message.to_owned())),
    }
}

/// By the classes of SQLSTATE. The message holds no value of a row, but for class 22, which quotes what it cannot read; the
/// detail holds the whole row, and is left out.
fn from_postgres(error: &PgDatabaseError) -> Error {
    let (code, message) = (error.code(), error.message());
    match (&code[..code.len().min(2)], code) {
        // A serialization failure, a deadlock, a lock or a statement that took too long.
        (_, "40001" | "40P01" | "55P03" | "57014") => Error::Busy,
        (_, "53100") => Error::Full,
        // A standby, or a server that is told to write nothing.
        (_, "25006") => Error::Unavailable(Cause(message.to_owned())),
        // Connections, resources, operators, the system itself.
        ("08" | "53" | "57" | "58", _) => Error::Unavailable(Cause(message.to_owned())),
        ("XX", "XX001" | "XX002") => Error::Corrupt(message.to_owned()),
        ("22", _) => Error::Failed(Cause(format!("a value was refused, SQLSTATE {code}"))),
        _ => Error::Failed(Cause(message.to_owned())),
    }
}
