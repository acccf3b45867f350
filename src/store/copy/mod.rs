//! Moves a whole store from SQLite to PostgreSQL: table by table, batch by batch, and compared at the end.
//!
//! Each batch is one transaction, and batches go in the order of the primary key: the last row of a table in the target tells
//! how far it is, so that a copy that was interrupted anywhere goes on when it is started again. The guards of the target
//! sleep meanwhile, and no service opens it: only a copy that was found equal to its source wakes them and is finished.

mod tables;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};

use crate::clock::Clock;
use crate::store::connection::Backend;
use crate::store::copy::tables::{BATCH, Side, Table};
use crate::store::statement::{composed, statement};
use crate::store::{Error, StartError, migrations, postgres, sqlite};

pub use verify::{TableComparison, TableDigest};

/// Rows that a database has before anybody uses it: those of its migrations, and of having been opened. By table, and which.
const FROM_THE_BEGINNING: [(&str, &str); 2] =
    [("change_log_horizon", "TRUE"), ("store_meta", "name = 'match_key_revision'")];

/// Why a store cannot be copied or compared.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is no such file.
    #[error("there is no database file {0}")]
    NoFile(PathBuf),
    /// One of the two cannot be opened.
    #[error(transparent)]
    Open(#[from] StartError),
    /// Written by an older release.
    #[error(
        "{place} has schema {found}, and this release has {known}: bring it up to date first, with `customer-guard migrate`"
    )]
    Older {
        /// Which of the two.
        place: &'static str,
        /// Its schema.
        found: i64,
        /// This release's.
        known: i64,
    },
    /// The two have different tables or columns.
    #[error("the two databases are not of one schema: {0}")]
    Schemas(String),
    /// The target is in use already.
    #[error(
        "the target is not empty: there is something in {0}. A store is copied into a database of its own; make an empty one"
    )]
    NotEmpty(String),
    /// A service has opened the target, and would write into the copy.
    #[error("a service uses the target: stop it, wait a quarter of a minute, and copy again")]
    InUse,
    /// The target holds a copy of another file.
    #[error(
        "the target holds a copy of another database file: go on with that file, or copy into a database that is empty"
    )]
    AnotherSource,
    /// The copy has not come to its end.
    #[error("the copy is not finished: run `customer-guard store copy` again with the same file")]
    Unfinished,
    /// They do not hold the same.
    #[error(
        "source and target differ in {}. Either one was written meanwhile, or somebody changed a row: the copy is not \
         finished. Keep every service off both, and copy again into a database that is empty",
        named(.0)
    )]
    Differs(Vec<TableComparison>),
    /// The copy was finished before, and they do not hold the same any more.
    #[error("the copy was finished before, and one of the two has been used since: they differ in {}", named(.0))]
    DiffersSince(Vec<TableComparison>),
    /// A table could not be read or written.
    #[error("table {table} could not be copied or compared")]
    Table {
        /// The table.
        table: String,
        /// What went wrong.
        #[source]
        source: Error,
    },
    /// Anything else that a database answered.
    #[error(transparent)]
    Store(#[from] Error),
}

/// What has just been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStep {
    /// Rows are in the target, for good.
    Copied,
    /// Rows of the source are in its hash.
    Compared,
}

/// How far a table is.
#[derive(Clone, Copy, Debug)]
pub struct CopyProgress<'a> {
    /// What has just been done.
    pub step: CopyStep,
    /// The table.
    pub table: &'a str,
    /// To how many of its rows, from its beginning.
    pub rows: u64,
    /// Whether these are all.
    pub is_last: bool,
}

/// Whoever is told how far it is.
pub type Tell<'a> = &'a mut (dyn FnMut(CopyProgress<'_>) + Send);

/// How a copy began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStart {
    /// Into an empty database.
    Fresh,
    /// Where one was interrupted.
    WentOn,
    /// It was finished before, and was only compared.
    WasFinished,
}

/// A copy that is finished, with both sides equal.
#[derive(Clone, Debug)]
pub struct Copied {
    /// How it began.
    pub start: CopyStart,
    /// Rows that were written now, without those of an earlier try.
    pub written: u64,
    /// What both sides hold.
    pub tables: Vec<TableComparison>,
}

/// Copies the store in a file into a PostgreSQL database, or goes on with it, and compares both.
pub async fn copy_store(from: &Path, to: &SecretString, clock: &Clock, tell: Tell<'_>) -> Result<Copied, CopyError> {
    let source = open_source(from).await?;
    let identity = identity(&source).await?;
    let server = postgres::open(to.expose_secret()).await.map_err(StartError::from)?;
    let target = Backend::Postgres(server.clone());
    let start = match begun(&target).await? {
        Some(begun) if !begun.has_rows => CopyStart::Fresh,
        Some(begun) if begun.source != identity => return Err(CopyError::AnotherSource),
        Some(begun) if begun.is_finished => CopyStart::WasFinished,
        Some(_) => CopyStart::WentOn,
        None => CopyStart::Fresh,
    };
    if !migrations::was_migrated(&server).await.map_err(StartError::from)? {
        take(&target, &identity).await?;
    }
    migrations::run_on_postgres(&server).await.map_err(StartError::from)?;
    let tables = tables::shared(&source, &target).await?;
    if start == CopyStart::Fresh {
        begin(&target, &tables, &identity, clock).await?;
    }
    let mut written = 0;
    if start != CopyStart::WasFinished {
        for table in &tables {
            let copied = copy_table(&source, &target, table, tell).await;
            written += copied.map_err(|source| CopyError::Table { table: table.name.clone(), source })?;
        }
    }
    let compared = verify::compare(&source, &target, &tables, tell).await?;
    let is_equal = compared.iter().all(TableComparison::is_equal);
    match start {
        CopyStart::WasFinished if !is_equal => return Err(CopyError::DiffersSince(compared)),
        CopyStart::WasFinished => {}
        CopyStart::Fresh | CopyStart::WentOn if !is_equal => return Err(CopyError::Differs(compared)),
        CopyStart::Fresh | CopyStart::WentOn => finish(&source, &target, &tables, clock).await?,
    }
    source.close().await;
    target.close().await;
    Ok(Copied { start, written, tables: compared })
}

/// Compares the store in a file with its copy. Nobody may write the file meanwhile; the copy is read as it is at one moment.
pub async fn compare_stores(from: &Path, to: &SecretString, tell: Tell<'_>) -> Result<Vec<TableComparison>, CopyError> {
    let source = open_source(from).await?;
    let server = postgres::open_for_reading(to.expose_secret()).await.map_err(StartError::from)?;
    let found = migrations::require_known_to_postgres(&server).await.map_err(StartError::from)?;
    require_schema("the target", found)?;
    let target = Backend::Postgres(server);
    if begun(&target).await?.is_some_and(|begun| !begun.is_finished) {
        return Err(CopyError::Unfinished);
    }
    let tables = tables::shared(&source, &target).await?;
    let compared = verify::compare(&source, &target, &tables, tell).await?;
    source.close().await;
    target.close().await;
    Ok(compared)
}

/// Refuses a database that a copy into it has not come to its end: its guards sleep.
pub(super) async fn refuse_unfinished(target: &Backend) -> Result<(), StartError> {
    let begun = begun(target).await?;
    if begun.is_some_and(|begun| !begun.is_finished) { Err(StartError::UnfinishedCopy) } else { Ok(()) }
}

/// The file, with the lock that a service on it holds, and read only.
async fn open_source(path: &Path) -> Result<Backend, CopyError> {
    if !path.is_file() {
        return Err(CopyError::NoFile(path.to_owned()));
    }
    let witness = sqlite::witness(path).map_err(StartError::from)?;
    let readers = sqlite::open_for_reading(path).await.map_err(StartError::from)?;
    let found = migrations::require_known_to_sqlite(&readers).await.map_err(StartError::from)?;
    require_schema("the source", found)?;
    Ok(Backend::Sqlite { writer: readers.clone(), readers, witness: Some(Arc::new(witness)) })
}

fn require_schema(place: &'static str, found: i64) -> Result<(), CopyError> {
    let known = migrations::known();
    if found == known { Ok(()) } else { Err(CopyError::Older { place, found, known }) }
}

/// Tells this file from every other one, wherever it lies: when its migrations were made, and how many nanoseconds each took.
async fn identity(source: &Backend) -> Result<String, Error> {
    const MADE: &str = "
        SELECT group_concat(version || ' ' || installed_on || ' ' || execution_time || ' ' || hex(checksum))
        FROM (SELECT version, installed_on, execution_time, checksum FROM _sqlx_migrations ORDER BY version)";
    let made: String = statement(MADE).fetch_value(source).await?;
    Ok(hex(digest(&SHA256, made.as_bytes()).as_ref()))
}

/// A copy into this database.
struct Begun {
    source: String,
    /// Whether rows may have come, and the guards sleep.
    has_rows: bool,
    is_finished: bool,
}

async fn begun(target: &Backend) -> Result<Option<Begun>, Error> {
    if !statement("SELECT to_regclass('store_copy') IS NOT NULL").fetch_value::<bool>(target).await? {
        return Ok(None);
    }
    let row = statement("SELECT source, began_at > 0, finished_at IS NOT NULL FROM store_copy");
    let Some(row) = row.fetch_optional(target).await? else { return Ok(None) };
    Ok(Some(Begun { source: row.try_get(0)?, has_rows: row.try_get(1)?, is_finished: row.try_get(2)? }))
}

/// Notes the copy; it may have been noted before.
const NOTE: &str = "
    INSERT INTO store_copy (source, began_at) VALUES ($1, $2)
    ON CONFLICT (only_row) DO UPDATE SET source = excluded.source, began_at = excluded.began_at";

/// Takes a database for the copy in which nothing was ever made, before there is anything that a service could open.
async fn take(target: &Backend, identity: &str) -> Result<(), CopyError> {
    // As the migrations make it.
    const TABLE: &str = r#"
        CREATE TABLE IF NOT EXISTS store_copy (
            only_row BIGINT PRIMARY KEY NOT NULL DEFAULT 1 CHECK (only_row = 1),
            source TEXT COLLATE "C" NOT NULL,
            began_at BIGINT NOT NULL,
            finished_at BIGINT
        )"#;
    const OTHERS: &str = "
        SELECT c.relname::text FROM pg_class c
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
            AND c.relname <> 'store_copy'
        ORDER BY 1 LIMIT 1";
    let mut connection = target.begin_writing().await?;
    if let Some(other) = statement(OTHERS).fetch_optional(&mut connection).await? {
        connection.rollback().await?;
        return Err(CopyError::NotEmpty(other.try_get(0)?));
    }
    statement(TABLE).execute(&mut connection).await?;
    // Whoever serves asks it, with whatever role.
    statement("GRANT SELECT ON store_copy TO PUBLIC").execute(&mut connection).await?;
    statement(NOTE).bind(identity).bind(0_i64).execute(&mut connection).await?;
    Ok(connection.commit().await?)
}

/// Begins to copy into an empty database: from here on no service opens it.
async fn begin(target: &Backend, tables: &[Table], identity: &str, clock: &Clock) -> Result<(), CopyError> {
    const ALIVE: &str = "
        SELECT EXISTS (SELECT 1 FROM replica WHERE alive_until > extract(epoch FROM clock_timestamp()) * 1000000)";
    let mut connection = target.begin_writing().await?;
    if statement(ALIVE).fetch_value::<bool>(&mut connection).await? {
        connection.rollback().await?;
        return Err(CopyError::InUse);
    }
    for table in tables {
        let known = FROM_THE_BEGINNING.iter().find(|(name, _)| *name == table.name).map_or("FALSE", |(_, which)| which);
        let name = table.quoted();
        let others = composed(format!("SELECT EXISTS (SELECT 1 FROM {name} WHERE NOT ({known}))"));
        if others.fetch_value::<bool>(&mut connection).await? {
            connection.rollback().await?;
            return Err(CopyError::NotEmpty(table.name.clone()));
        }
    }
    statement(NOTE).bind(identity).bind(clock.now().micros()).execute(&mut connection).await?;
    for table in tables {
        let name = table.quoted();
        composed(format!("ALTER TABLE {name} DISABLE TRIGGER USER")).execute(&mut connection).await?;
        composed(format!("DELETE FROM {name}")).execute(&mut connection).await?;
    }
    Ok(connection.commit().await?)
}

/// Copies what the target lacks of a table; answers how many rows that was.
async fn copy_table(source: &Backend, target: &Backend, table: &Table, tell: Tell<'_>) -> Result<u64, Error> {
    let mut after = table.last_key(target).await?;
    let name = table.quoted();
    let count = composed(format!("SELECT count(*) FROM {name}")).fetch_value::<i64>(target).await?;
    let before = u64::try_from(count).unwrap_or(0);
    let mut written = 0;
    loop {
        let mut rows = table.page(source, Side::Source, after.as_deref()).await?;
        if !rows.is_empty() {
            let mut connection = target.begin_writing().await?;
            table.insert(&rows).execute(&mut connection).await?;
            connection.commit().await?;
        }
        written += rows.len() as u64;
        let is_last = rows.len() < BATCH;
        tell(CopyProgress { step: CopyStep::Copied, table: &table.name, rows: before + written, is_last });
        if is_last {
            return Ok(written);
        }
        after = rows.pop().map(|row| table.key_of(row));
    }
}

/// Wakes the guards, lets the numbers go on where those of the source end, and marks the copy as finished: all at once.
async fn finish(source: &Backend, target: &Backend, tables: &[Table], clock: &Clock) -> Result<(), CopyError> {
    const GIVEN: &str = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = $1";
    let mut connection = target.begin_writing().await?;
    for table in tables {
        let name = table.quoted();
        for column in &table.columns {
            let Some(sequence) = &column.sequence else { continue };
            // A number that was given is not given again, even if its row is gone.
            let given: i64 = statement(GIVEN).bind(&table.name).fetch_value(source).await?;
            let highest = composed(format!("SELECT coalesce(max(\"{}\"), 0) FROM {name}", column.name));
            let highest: i64 = highest.fetch_value(&mut connection).await?;
            let last = given.max(highest);
            if last > 0 {
                let goes_on = statement("SELECT setval($1::TEXT::regclass, $2)").bind(sequence).bind(last);
                goes_on.fetch_one(&mut connection).await?;
            }
        }
        composed(format!("ALTER TABLE {name} ENABLE TRIGGER USER")).execute(&mut connection).await?;
        // The server has seen none of these rows yet, and would look for them in the wrong way.
        composed(format!("ANALYZE {name}")).execute(&mut connection).await?;
    }
    let done = statement("UPDATE store_copy SET finished_at = $1").bind(clock.now().micros());
    done.execute(&mut connection).await?;
    Ok(connection.commit().await?)
}

fn named(compared: &[TableComparison]) -> String {
    let differing = compared.iter().filter(|table| !table.is_equal());
    let named = differing.map(|one| format!("{} ({} rows and {})", one.table, one.source.rows, one.target.rows));
    named.collect::<Vec<_>>().join(", ")
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Invariant: writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}
