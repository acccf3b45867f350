//! The schema's history. Forward only, additive, never edited after a release.

use std::borrow::Cow;
use std::error::Error as _;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnection, Postgres};
use sqlx::sqlite::SqlitePool;
use sqlx::{Row, SqlSafeStr, Transaction};
use tokio::time::Instant;

use crate::store::server::Server;

/// Number, name and text of a migration.
type Step = (i64, &'static str, &'static str);

/// Every migration of SQLite.
const SQLITE: [Step; 19] = [
    (1, "customers", include_str!("../../migrations/sqlite/0001_customers.sql")),
    (2, "synchronization", include_str!("../../migrations/sqlite/0002_synchronization.sql")),
    (3, "change_feed", include_str!("../../migrations/sqlite/0003_change_feed.sql")),
    (4, "links", include_str!("../../migrations/sqlite/0004_links.sql")),
    (5, "pauses", include_str!("../../migrations/sqlite/0005_pauses.sql")),
    (6, "partner_accounts", include_str!("../../migrations/sqlite/0006_partner_accounts.sql")),
    (7, "reported_decisions", include_str!("../../migrations/sqlite/0007_reported_decisions.sql")),
    (8, "webhooks", include_str!("../../migrations/sqlite/0008_webhooks.sql")),
    (9, "confirmations", include_str!("../../migrations/sqlite/0009_confirmations.sql")),
    (10, "user_sign_in", include_str!("../../migrations/sqlite/0010_user_sign_in.sql")),
    (11, "resellers", include_str!("../../migrations/sqlite/0011_resellers.sql")),
    (12, "credential_trials", include_str!("../../migrations/sqlite/0012_credential_trials.sql")),
    (13, "run_details", include_str!("../../migrations/sqlite/0013_run_details.sql")),
    (14, "webhook_secrets", include_str!("../../migrations/sqlite/0014_webhook_secrets.sql")),
    (15, "scale", include_str!("../../migrations/sqlite/0015_scale.sql")),
    (16, "replicas", include_str!("../../migrations/sqlite/0016_replicas.sql")),
    (17, "generations", include_str!("../../migrations/sqlite/0017_generations.sql")),
    (18, "served_accounts", include_str!("../../migrations/sqlite/0018_served_accounts.sql")),
    (19, "copied_links", include_str!("../../migrations/sqlite/0019_copied_links.sql")),
];

/// Every migration of PostgreSQL: the same numbers and names.
const POSTGRES: [Step; SQLITE.len()] = [
    (1, "customers", include_str!("../../migrations/postgres/0001_customers.sql")),
    (2, "synchronization", include_str!("../../migrations/postgres/0002_synchronization.sql")),
    (3, "change_feed", include_str!("../../migrations/postgres/0003_change_feed.sql")),
    (4, "links", include_str!("../../migrations/postgres/0004_links.sql")),
    (5, "pauses", include_str!("../../migrations/postgres/0005_pauses.sql")),
    (6, "partner_accounts", include_str!("../../migrations/postgres/0006_partner_accounts.sql")),
    (7, "reported_decisions", include_str!("../../migrations/postgres/0007_reported_decisions.sql")),
    (8, "webhooks", include_str!("../../migrations/postgres/0008_webhooks.sql")),
    (9, "confirmations", include_str!("../../migrations/postgres/0009_confirmations.sql")),
    (10, "user_sign_in", include_str!("../../migrations/postgres/0010_user_sign_in.sql")),
    (11, "resellers", include_str!("../../migrations/postgres/0011_resellers.sql")),
    (12, "credential_trials", include_str!("../../migrations/postgres/0012_credential_trials.sql")),
    (13, "run_details", include_str!("../../migrations/postgres/0013_run_details.sql")),
    (14, "webhook_secrets", include_str!("../../migrations/postgres/0014_webhook_secrets.sql")),
    (15, "scale", include_str!("../../migrations/postgres/0015_scale.sql")),
    (16, "replicas", include_str!("../../migrations/postgres/0016_replicas.sql")),
    (17, "generations", include_str!("../../migrations/postgres/0017_generations.sql")),
    (18, "served_accounts", include_str!("../../migrations/postgres/0018_served_accounts.sql")),
    (19, "copied_links", include_str!("../../migrations/postgres/0019_copied_links.sql")),
];

/// Waits for the others who bring the schema up to date, and then for its turn among the writers, whose statements would
/// otherwise lock tables in another order. The numbers are the names of the locks; they end with the transaction. Whoever freezes
/// meanwhile loses them.
const ALONE: &str = "
    SET LOCAL lock_timeout = '3s';
    SET LOCAL idle_in_transaction_session_timeout = '30s';
    SELECT pg_advisory_xact_lock(6071223490118);
    SELECT pg_advisory_xact_lock(6071223490117)";
const FORGET_STATEMENTS: &str = "DEALLOCATE ALL";
/// For how long it is tried.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long others have in between.
const PAUSE: Duration = Duration::from_secs(1);

/// Why the schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// Written by a newer release.
    #[error("the database has schema {found}, and this release knows only up to {known}: use the newer release")]
    Newer {
        /// The database's.
        found: i64,
        /// This release's.
        known: i64,
    },
    /// A migration failed, or one that was applied has another text now.
    #[error("the schema could not be brought up to date")]
    Failed(#[source] MigrateError),
    /// Whoever opens the database may not change it.
    #[error(
        "the database has schema {found}, this release needs {known}, and this role may not change it: run `customer-guard migrate` \
         with the address of the schema's owner, and give this role its rights"
    )]
    NotOwner {
        /// The database's.
        found: i64,
        /// This release's.
        known: i64,
    },
    /// Whoever opens the database may not even read it.
    #[error(
        "this role may not use the tables: give it its rights as the owner, which is to be done after each `customer-guard \
         migrate` and each `customer-guard store copy` (docs/postgresql.md)"
    )]
    NoRights,
    /// The database did not answer.
    #[error("the schema could not be read")]
    Unreadable(#[source] sqlx::Error),
}

impl MigrationError {
    /// Whether somebody is in the way who will be gone: a lock that took too long, or two who wait for each other.
    fn is_in_the_way(&self) -> bool {
        let cause = match self {
            Self::Failed(MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _))
            | Self::Unreadable(cause) => cause,
            Self::Failed(_) | Self::Newer { .. } | Self::NotOwner { .. } | Self::NoRights => return false,
        };
        let code = cause.as_database_error().and_then(DatabaseError::code);
        code.is_some_and(|code| code == "55P03" || code == "40P01")
    }
}

/// What a migration run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The schema before; 0 for an empty database.
    pub from: i64,
    /// The schema now.
    pub to: i64,
}

/// Brings the schema of SQLite up to this release's, or refuses one that is newer.
pub(super) async fn run_on_sqlite(pool: &SqlitePool) -> Result<Migrated, MigrationError> {
    let mut connection = pool.acquire().await.map_err(MigrationError::Unreadable)?;
    connection.ensure_migrations_table(&table()).await.map_err(MigrationError::Failed)?;
    let from = require_known(&mut *connection).await?;
    drop(connection);
    migrator(&SQLITE).run(pool).await.map_err(MigrationError::Failed)?;
    Ok(Migrated { from, to: known() })
}

/// The same for PostgreSQL, all in one transaction that holds the lock of the migrations, so that of several processes that
/// start at once one brings the schema up to date and the others find it so. A lock of the session would stay with a pooler.
///
/// Who finds the schema as it should be waits for nobody. Otherwise whatever is in the way, such as a long reading of a table that
/// is to change, is waited for in short pieces: everybody who wants that table would wait as well.
pub(super) async fn run_on_postgres(server: &Server) -> Result<Migrated, MigrationError> {
    if let Some(found) = found_up_to_date(server).await? {
        return Ok(found);
    }
    let until = Instant::now() + PATIENCE;
    loop {
        match run_alone(server).await {
            Err(error) if error.is_in_the_way() && Instant::now() < until => {
                tracing::warn!(error = %error, cause = error.source(), "the schema cannot be brought up to date yet");
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Whether a database on a server was ever migrated.
pub(super) async fn was_migrated(server: &Server) -> Result<bool, MigrationError> {
    let mut transaction = begun(server).await?;
    let has_schema = has_schema(&mut transaction).await?;
    ended(transaction).await?;
    Ok(has_schema)
}

async fn found_up_to_date(server: &Server) -> Result<Option<Migrated>, MigrationError> {
    let mut transaction = begun(server).await?;
    let mut found = None;
    if has_schema(&mut transaction).await? {
        let known = require_known(&mut *transaction).await?;
        let is_up_to_date = is_up_to_date(&mut transaction, &migrator(&POSTGRES)).await?;
        found = is_up_to_date.then_some(Migrated { from: known, to: known });
    }
    ended(transaction).await?;
    Ok(found)
}

async fn run_alone(server: &Server) -> Result<Migrated, MigrationError> {
    let mut transaction = begun(server).await?;
    sqlx::raw_sql(ALONE).execute(&mut *transaction).await.map_err(MigrationError::Unreadable)?;
    let migrated = run_locked(&mut transaction).await?;
    ended(transaction).await?;
    Ok(migrated)
}

async fn ended(mut transaction: Transaction<'static, Postgres>) -> Result<(), MigrationError> {
    sqlx::raw_sql(FORGET_STATEMENTS).execute(&mut *transaction).await.map_err(MigrationError::Unreadable)?;
    transaction.commit().await.map_err(MigrationError::Unreadable)
}

/// The first transaction on a connection that nobody uses afterwards. The migrations prepare statements whatever the address
/// says, and a pooler would give them to somebody else: whatever such a process left there is forgotten first.
async fn begun(server: &Server) -> Result<Transaction<'static, Postgres>, MigrationError> {
    let mut connection = server.pool().acquire().await.map_err(MigrationError::Unreadable)?;
    connection.close_on_drop();
    let mut transaction = Transaction::begin(connection, None).await.map_err(MigrationError::Unreadable)?;
    sqlx::raw_sql(FORGET_STATEMENTS).execute(&mut *transaction).await.map_err(MigrationError::Unreadable)?;
    Ok(transaction)
}

async fn run_locked(connection: &mut PgConnection) -> Result<Migrated, MigrationError> {
    let has_schema = has_schema(connection).await?;
    let from = if has_schema { require_known(connection).await? } else { 0 };
    let mut migrator = migrator(&POSTGRES);
    if has_schema && is_up_to_date(connection, &migrator).await? {
        return Ok(Migrated { from, to: from });
    }
    migrator.set_locking(false);
    migrator.run(connection).await.map_err(|error| {
        if is_forbidden(&error) {
            MigrationError::NotOwner { found: from, known: known() }
        } else {
            MigrationError::Failed(error)
        }
    })?;
    Ok(Migrated { from, to: known() })
}

/// Whether anything was ever migrated.
async fn has_schema(connection: &mut PgConnection) -> Result<bool, MigrationError> {
    const ASK: &str = "SELECT to_regclass($1) IS NOT NULL";
    let asked = sqlx::query(ASK).bind(table().into_owned()).fetch_one(connection).await;
    asked.and_then(|row| row.try_get(0)).map_err(MigrationError::Unreadable)
}

/// Whether there is nothing to do, which nobody needs the owner's rights to find.
async fn is_up_to_date(connection: &mut PgConnection, migrator: &Migrator) -> Result<bool, MigrationError> {
    if connection.dirty_version(&table()).await.map_err(MigrationError::Failed)?.is_some() {
        return Ok(false);
    }
    let applied = connection.list_applied_migrations(&table()).await.map_err(MigrationError::Failed)?;
    let applied = applied.iter().map(|migration| (migration.version, &migration.checksum));
    Ok(applied.eq(migrator.iter().map(|migration| (migration.version, &migration.checksum))))
}

/// Whether the role lacks a right, or sees no schema in which it may make anything.
fn is_forbidden(error: &MigrateError) -> bool {
    let cause = match error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => cause,
        _ => return false,
    };
    cause.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code == "42501" || code == "3F000")
}

fn migrator(steps: &[Step]) -> Migrator {
    let migration = |(number, name, text): &Step| {
        Migration::new(*number, Cow::Borrowed(name), MigrationType::Simple, text.into_sql_str(), false)
    };
    Migrator::with_migrations(steps.iter().map(migration).collect())
}

/// The schema of an SQLite database, unless it is newer than this release's.
pub(super) async fn require_known_to_sqlite(pool: &SqlitePool) -> Result<i64, MigrationError> {
    require_known(&mut *pool.acquire().await.map_err(MigrationError::Unreadable)?).await
}

/// The schema of a PostgreSQL database, unless it is newer than this release's.
pub(super) async fn require_known_to_postgres(server: &Server) -> Result<i64, MigrationError> {
    let mut transaction = begun(server).await?;
    let found = require_known(&mut *transaction).await?;
    ended(transaction).await?;
    Ok(found)
}

async fn require_known(connection: &mut impl Migrate) -> Result<i64, MigrationError> {
    let applied = connection
        .list_applied_migrations(&table())
        .await
        .map_err(|error| if is_forbidden(&error) { MigrationError::NoRights } else { MigrationError::Failed(error) })?;
    let found = applied.iter().map(|migration| migration.version).max().unwrap_or(0);
    if found > known() { Err(MigrationError::Newer { found, known: known() }) } else { Ok(found) }
}

/// The schema of this release.
pub(super) fn known() -> i64 {
    SQLITE.last().map_or(0, |(number, ..)| *number)
}

fn table() -> Cow<'static, str> {
    Migrator::DEFAULT.table_name.clone()
}
