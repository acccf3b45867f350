//! The engine behind a store, and the ways to it: a pool for one statement, a transaction for several.

use std::sync::Arc;

use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Sqlite, Transaction};

use crate::clock::Timestamp;
use crate::domain::ids::ChangePosition;
use crate::store::Error;
use crate::store::postgres::PostgresTransaction;
use crate::store::server::{Precedence, Server};
use crate::store::witness::Witness;

/// The engine of a store.
#[derive(Clone)]
pub(super) enum Backend {
    /// An embedded file: one writer, several readers.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
        // Held for as long as any clone lives: no second process may write the file. Whoever only looks has none.
        witness: Option<Arc<Witness>>,
    },
    /// A server that others may use as well.
    Postgres(Server),
}

/// Where a statement runs.
pub(super) enum Access<'c> {
    SqlitePool(&'c SqlitePool),
    Sqlite(&'c mut SqliteConnection),
    Postgres(PostgresAccess<'c>),
}

/// Where a statement runs on PostgreSQL: over a connection of its own, or in a transaction.
pub(super) enum PostgresAccess<'c> {
    Server(&'c Server),
    Transaction(&'c mut PostgresTransaction),
}

/// An open transaction.
pub(super) enum Connection {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(PostgresTransaction),
}

impl Backend {
    /// The same for those whose turn comes before or after others of its process. An embedded file has one writer, for whom nobody
    /// waits long.
    pub(super) fn with(&self, precedence: Precedence) -> Self {
        match self {
            Self::Sqlite { .. } => self.clone(),
            Self::Postgres(server) => Self::Postgres(server.with(precedence)),
        }
    }

    /// Begins a transaction that may write, and waits for its turn: nobody else writes before it ends.
    pub(super) async fn begin_writing(&self) -> Result<Connection, Error> {
        Ok(match self {
            // IMMEDIATE takes the write lock now: a deferred transaction that reads first fails when it then writes.
            Self::Sqlite { writer, .. } => Connection::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(server) => Connection::Postgres(Box::pin(PostgresTransaction::begin_writing(server)).await?),
        })
    }

    /// Begins a transaction whose reads all see the store as it is at the first of them.
    pub(super) async fn begin_reading(&self) -> Result<Connection, Error> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Connection::Sqlite(readers.begin_with("BEGIN DEFERRED").await?),
            Self::Postgres(server) => Connection::Postgres(Box::pin(PostgresTransaction::begin_reading(server)).await?),
        })
    }

    /// Whether other processes may use the database at the same time.
    pub(super) const fn is_shared(&self) -> bool {
        match self {
            Self::Sqlite { .. } => false,
            Self::Postgres(_) => true,
        }
    }

    /// The connection that writes the embedded file.
    pub(super) const fn sqlite_writer(&self) -> Option<&SqlitePool> {
        match self {
            Self::Sqlite { writer, .. } => Some(writer),
            Self::Postgres(_) => None,
        }
    }

    /// A change of a customer was committed.
    pub(super) fn note_change(&self, position: ChangePosition) {
        match self {
            Self::Sqlite { witness, .. } => witness.iter().for_each(|witness| witness.note(position)),
            Self::Postgres(_) => {}
        }
    }

    /// Closes every connection.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers, .. } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(server) => server.close().await,
        }
    }
}

impl Connection {
    /// What time it was by the clock that every process goes by when this began to write; a file has one process.
    pub(super) const fn began_at(&self) -> Option<Timestamp> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(transaction) => transaction.began_at(),
        }
    }

    /// Ends it and keeps what it wrote.
    pub(super) async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await?,
            Self::Postgres(transaction) => Box::pin(transaction.commit()).await?,
        }
        Ok(())
    }

    /// Ends it and forgets what it wrote.
    pub(super) async fn rollback(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(transaction) => transaction.rollback().await?,
            Self::Postgres(transaction) => Box::pin(transaction.rollback()).await?,
        }
        Ok(())
    }
}

/// A read of its own, on any connection.
impl<'c> From<&'c Backend> for Access<'c> {
    fn from(backend: &'c Backend) -> Self {
        match backend {
            Backend::Sqlite { readers, .. } => Self::SqlitePool(readers),
            Backend::Postgres(server) => Self::Postgres(PostgresAccess::Server(server)),
        }
    }
}

impl<'c> From<&'c mut Connection> for Access<'c> {
    fn from(connection: &'c mut Connection) -> Self {
        match connection {
            Connection::Sqlite(transaction) => Self::Sqlite(transaction),
            Connection::Postgres(transaction) => Self::Postgres(PostgresAccess::Transaction(transaction)),
        }
    }
}

impl<'c> From<&'c SqlitePool> for Access<'c> {
    fn from(pool: &'c SqlitePool) -> Self {
        Self::SqlitePool(pool)
    }
}
