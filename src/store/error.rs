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

impl Error {
    /// Whether the same may succeed in a moment.
    pub const fn passes(&self) -> bool {
        match self {
            Self::Busy | Self::Unavailable(_) => true,
            Self::LeaseLost | Self::Full | Self::Backstop(_) | Self::Corrupt(_) | Self::Failed(_) => false,
        }
    }

    /// A database that is only read, or that reads only.
    pub(super) fn reads_only() -> Self {
        Self::Unavailable(Cause("the database takes no writes".to_owned()))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => from_database(database.as_ref()),
            sqlx::Error::PoolTimedOut => Self::Busy,
            // A protocol that is broken off in the middle is a connection that is lost.
            sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed => Self::Unavailable(Cause(error.to_string())),
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

fn from_postgres(error: &PgDatabaseError) -> Error {
    from_sqlstate(error.code(), error.message())
}

/// By the classes of SQLSTATE. The message holds no value of a row, but for class 22, which quotes what it cannot read; the
/// detail holds the whole row, and is left out.
fn from_sqlstate(code: &str, message: &str) -> Error {
    let cause = || Cause(message.to_owned());
    match (code.get(..2).unwrap_or_default(), code) {
        (_, "53100") => Error::Full,
        // An integrity that fails at the end is a mistake; the rest of its class is bad luck, as is a lock or a statement that
        // took too long.
        (_, "40002") => Error::Failed(cause()),
        (_, "40003") => Error::Unavailable(cause()),
        ("40", _) | (_, "55P03" | "57014") => Error::Busy,
        // A standby, or a server that is told to write nothing; somebody who was silent for too long in a transaction, or in
        // all; a database that is not there yet.
        (_, "25006" | "25P03" | "25P04" | "3D000") => Error::Unavailable(cause()),
        // What the connection keeps prepared is of a table that has a column more since: the next one reads it anew.
        (_, "0A000") if message.starts_with("cached plan") => Error::Unavailable(cause()),
        // Connections, who may connect, resources, operators, the system itself.
        ("08" | "28" | "53" | "57" | "58", _) => Error::Unavailable(cause()),
        ("XX", "XX001" | "XX002") => Error::Corrupt(message.to_owned()),
        ("22", _) => Error::Failed(Cause(format!("a value was refused, SQLSTATE {code}"))),
        _ => Error::Failed(cause()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_retry_can_cure_is_told_from_what_it_cannot() {
        let retried = [
            "08000", "08001", "08003", "08004", "08006", "08P01", "25006", "25P03", "28000", "28P01", "3D000", "40000",
            "40001", "40003", "40P01", "53000", "53200", "53300", "53400", "55P03", "57000", "57014", "57P01", "57P02",
            "57P03", "57P04", "57P05", "58000", "58030",
        ];
        for code in retried {
            let told = from_sqlstate(code, "");
            assert!(matches!(told, Error::Busy | Error::Unavailable(_)), "{code}: {told:?}");
        }
        for code in ["22021", "22P02", "23505", "25P02", "40002", "42501", "42601", "42703", "42P01", "XX000", ""] {
            let told = from_sqlstate(code, "");
            assert!(matches!(told, Error::Failed(_)), "{code}: {told:?}");
        }
        assert!(matches!(from_sqlstate("53100", ""), Error::Full));
        assert!(matches!(from_sqlstate("XX001", ""), Error::Corrupt(_)));
        for error in [
            sqlx::Error::PoolTimedOut,
            sqlx::Error::PoolClosed,
            sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into()),
            sqlx::Error::Tls("no certificate".into()),
            sqlx::Error::Protocol("broken off".to_owned()),
        ] {
            let told = Error::from(error);
            assert!(matches!(told, Error::Busy | Error::Unavailable(_)), "{told:?}");
        }
        assert!(matches!(Error::from(sqlx::Error::RowNotFound), Error::Failed(_)));
    }

    #[test]
    fn a_refused_value_is_not_quoted() {
        let told = from_sqlstate("22P02", "invalid input syntax: ada@example.com");
        assert!(!format!("{told:?}").contains("ada@example.com"), "{told:?}");
    }
}
