//! The database, looked at from outside while the service runs.
//!
//! A test names it by a file. With `CUSTOMER_GUARD_TEST_ENGINE=postgres` the file holds the address of a PostgreSQL database
//! of its own instead.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use customer_guard::store::DatabaseAddress;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Row, SqlSafeStr};

use crate::postgres_server::{self, Database};

/// Whether the service runs on PostgreSQL.
pub fn is_postgres() -> bool {
    std::env::var_os("CUSTOMER_GUARD_TEST_ENGINE").is_some_and(|engine| engine == "postgres")
}

/// Makes the database of that file, if it is one of a server and does not exist.
pub async fn prepare(file: &Path) {
    // Those of tests that have ended are dropped with their folders.
    static MADE: Mutex<Vec<(PathBuf, Database)>> = Mutex::new(Vec::new());
    MADE.lock().expect("nobody panics with it").retain(|(file, _)| file.exists());
    if is_postgres() && !file.exists() {
        let made = postgres_server::database().await.expect("CUSTOMER_GUARD_TEST_ENGINE=postgres needs PostgreSQL");
        std::fs::write(file, &made.url).expect("the file is written");
        MADE.lock().expect("nobody panics with it").push((file.to_owned(), made));
    }
}

/// Where the database of that file is.
pub fn address(file: &Path) -> DatabaseAddress {
    url(file).map_or_else(|| DatabaseAddress::File(file.to_owned()), |url| DatabaseAddress::of(&url))
}

fn url(file: &Path) -> Option<String> {
    if is_postgres() { std::fs::read_to_string(file).ok().filter(|url| url.starts_with("postgres")) } else { None }
}

/// A connection that only reads.
pub async fn reader(database: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(database).read_only(true);
    options.connect().await.expect("the database file can be read")
}

/// A connection that may write, as anybody with a shell has one.
pub async fn writer(database: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(database).busy_timeout(std::time::Duration::from_secs(10));
    options.connect().await.expect("the database file can be opened")
}

/// A new database as the release with that schema made it.
pub async fn of_schema(database: &Path, schema: i64) -> SqliteConnection {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let migration = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let (number, name) = name.split_once('_').expect("a number and a name");
        let text = AssertSqlSafe(std::fs::read_to_string(&path).expect("a migration")).into_sql_str();
        let number: i64 = number.parse().expect("a number");
        Migration::new(number, name.to_owned().into(), MigrationType::Simple, text, false)
    };
    let all = std::fs::read_dir(folder).expect("the migrations").map(migration);
    let mut wanted: Vec<_> = all.filter(|migration| migration.version <= schema).collect();
    wanted.sort_by_key(|migration| migration.version);
    let options = SqliteConnectOptions::new().filename(database).create_if_missing(true);
    let mut made = options.journal_mode(SqliteJournalMode::Wal).connect().await.expect("the file opens");
    Migrator::with_migrations(wanted).run(&mut made).await.expect("the former schema");
    made
}

/// Copies a database as it is now, also while it is in use.
pub async fn back_up(database: &Path, backup: &Path) {
    let to = backup.to_str().expect("a readable path");
    sqlx::query("VACUUM INTO $1").bind(to).execute(&mut writer(database).await).await.expect("a backup");
}

/// Puts a backup in the place of a database that nobody uses. What a write-ahead log still holds belongs to the database
/// that is replaced, and would be read into the restored one.
pub fn restore(backup: &Path, database: &Path) {
    for beside in ["-wal", "-shm"] {
        let mut file = database.as_os_str().to_owned();
        file.push(beside);
        let removed = std::fs::remove_file(file);
        assert!(removed.is_ok() || removed.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound), "removed");
    }
    std::fs::rename(backup, database).expect("it is restored");
}

/// How many rows a `SELECT count(*)` counts.
pub async fn count(database: &Path, select: &'static str) -> i64 {
    if let Some(url) = url(database) {
        let row = sqlx::query(select).fetch_one(&mut postgres_server::connected(&url).await).await.expect("a count");
        return row.get(0);
    }
    let row = sqlx::query(select).fetch_one(&mut reader(database).await).await.expect("a count");
    row.try_get(0).expect("a number")
}

/// What holds at every moment, whatever a test did.
pub async fn assert_sound(database: &Path) {
    let unlogged = count(
        database,
        "SELECT count(*) FROM customer c
         LEFT JOIN (
            SELECT account, customer_id, count(*) AS kept, min(revision) AS oldest, max(revision) AS newest
            FROM change_log GROUP BY account, customer_id
         ) l ON l.account = c.account AND l.customer_id = c.id
         WHERE CASE WHEN (SELECT sequence FROM change_log_horizon) = 0
            THEN l.kept IS DISTINCT FROM c.revision OR l.newest IS DISTINCT FROM c.revision
            -- What is forgotten was the oldest.
            ELSE l.kept <> l.newest - l.oldest + 1 OR l.newest <> c.revision END",
    );
    assert_eq!(unlogged.await, 0, "every change of a customer is one row of the change log");
    let apart = count(
        database,
        "SELECT count(*) FROM customer
         WHERE source = 'MICROSOFT' AND relationship = 'ACTIVE' AND billing_first_name IS NOT NULL",
    );
    assert_eq!(apart.await, 0, "billing mirrors primary");
    let by_callers = count(
        database,
        "SELECT count(*) FROM change_log l JOIN customer c ON c.account = l.account AND c.id = l.customer_id
         WHERE l.kind = 'EDITED' AND c.source = 'MICROSOFT' AND l.fields LIKE '%company_name%'
             AND NOT EXISTS (SELECT 1 FROM change_log k WHERE k.account = l.account AND k.customer_id = l.customer_id
                             AND k.kind = 'LINKED' AND k.revision > l.revision)",
    );
    assert_eq!(by_callers.await, 0, "no caller renamed a customer of Microsoft's");
    let oversettled = count(database, "SELECT count(*) FROM upstream_customer WHERE settled > marked");
    assert_eq!(oversettled.await, 0, "nothing is settled that was not wanted");
}
