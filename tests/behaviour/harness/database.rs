//! The database, looked at from outside while the service runs.
//!
//! A test names it by a file. With `CUSTOMER_GUARD_TEST_ENGINE=postgres` the file holds the addresses of a PostgreSQL
//! database of its own instead.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use customer_guard::store::DatabaseAddress;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions, SqlSafeStr};

use crate::backups;
use crate::postgres_server::{self, Database};
pub use crate::shell::Shell;

/// Whether the service runs on PostgreSQL.
pub fn is_postgres() -> bool {
    std::env::var_os("CUSTOMER_GUARD_TEST_ENGINE").is_some_and(|engine| engine == "postgres")
}

/// Whether the engine is SQLite; says aloud why a test does nothing where it is another one.
pub fn only_on_sqlite(why: &str) -> bool {
    if is_postgres() {
        eprintln!("ONLY ON SQLITE: {why}");
    }
    !is_postgres()
}

/// The databases of a server, by the files that name them.
static MADE: Mutex<Vec<(PathBuf, Database)>> = Mutex::new(Vec::new());

/// Makes the database of that file, if it is one of a server and does not exist.
pub async fn prepare(file: &Path) {
    // Those of tests that have ended are dropped with their folders.
    MADE.lock().expect("nobody panics with it").retain(|(file, _)| file.exists());
    if is_postgres() && !file.exists() {
        let made = postgres_server::database().await.expect("CUSTOMER_GUARD_TEST_ENGINE=postgres needs PostgreSQL");
        std::fs::write(file, format!("{}\n{}", made.service, made.url)).expect("the file is written");
        MADE.lock().expect("nobody panics with it").push((file.to_owned(), made));
    }
}

/// Where the service finds the database of that file.
pub fn address(file: &Path) -> DatabaseAddress {
    match urls(file) {
        Some((service, _)) => DatabaseAddress::of(&service),
        None => DatabaseAddress::File(file.to_owned()),
    }
}

/// The addresses of the database for the service, and for somebody who may do everything.
fn urls(file: &Path) -> Option<(String, String)> {
    let text = if is_postgres() { std::fs::read_to_string(file).ok()? } else { return None };
    let (service, everybody) = text.split_once('\n')?;
    Some((service.to_owned(), everybody.to_owned()))
}

/// A connection that may write, as anybody with a shell has one.
pub async fn shell(database: &Path) -> Shell {
    match urls(database) {
        Some((_, url)) => Shell::on_server(&url).await,
        None => Shell::on_file(database).await,
    }
}

/// A new database file as the release with that schema made it.
pub async fn of_schema(database: &Path, schema: i64) -> Shell {
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
    Shell::Sqlite(made)
}

/// Copies a database as it is now, also while it is in use.
pub async fn back_up(database: &Path, backup: &Path) {
    match urls(database) {
        Some((_, url)) => backups::of_server(&url, backup),
        None => backups::of_file(database, backup).await,
    }
}

/// Puts a backup in the place of a database that nobody uses.
pub fn restore(backup: &Path, database: &Path) {
    match urls(database) {
        Some((_, url)) => backups::to_server(backup, &url),
        None => backups::to_file(backup, database),
    }
}

/// Has the database refuse such statements of a table from now on, as if it failed in the middle of them.
pub async fn begin_outage(database: &Path, statements: &str, table: &str, when: &str) {
    let mut shell = shell(database).await;
    let begin = if shell.is_sqlite() {
        vec![format!(
            "CREATE TRIGGER outage BEFORE {statements} ON {table} WHEN {when} BEGIN SELECT RAISE(ABORT, 'an outage'); END"
        )]
    } else {
        vec![
            "CREATE FUNCTION outage() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'an outage'; END $$"
                .to_owned(),
            format!(
                "CREATE TRIGGER outage BEFORE {statements} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION outage()"
            ),
        ]
    };
    for statement in begin {
        shell.run(&statement).await.expect("a trigger");
    }
}

/// Has it work again.
pub async fn end_outage(database: &Path, table: &str) {
    drop_trigger(database, "outage", table).await;
}

/// Takes a trigger away.
pub async fn drop_trigger(database: &Path, name: &str, table: &str) {
    let mut shell = shell(database).await;
    let of_table = if shell.is_sqlite() { String::new() } else { format!(" ON {table}") };
    shell.run(&format!("DROP TRIGGER {name}{of_table}")).await.expect("no trigger");
}

/// How many rows a `SELECT count(*)` counts.
pub async fn count(database: &Path, select: &str) -> i64 {
    shell(database).await.number(select).await
}

/// Every row of a table, as text.
pub async fn rows(database: &Path, table: &str) -> Vec<String> {
    let mut shell = shell(database).await;
    let columns = if shell.is_sqlite() {
        format!("SELECT 'quote(' || name || ')' FROM pragma_table_info('{table}') ORDER BY cid")
    } else {
        // What can be read of bytes shows as it is.
        format!(
            "SELECT CASE WHEN data_type = 'bytea' THEN 'encode(' || column_name || ', ''escape'')' ELSE column_name || '::TEXT' END
             FROM information_schema.columns WHERE table_schema = 'public' AND table_name = '{table}' ORDER BY ordinal_position"
        )
    };
    let columns = shell.texts(&columns, 0).await;
    if columns.is_empty() {
        return Vec::new();
    }
    let columns = columns.iter().map(|column| format!("coalesce({column}, 'NULL')")).collect::<Vec<_>>();
    shell.texts(&format!("SELECT {} FROM {table} ORDER BY 1", columns.join("||' '||")), 0).await
}

/// Everything that is kept, by name, as whoever steals it reads it: the files of the folder, or every table of the server's
/// database.
pub async fn kept_bytes(database: &Path) -> BTreeMap<String, Vec<u8>> {
    if !is_postgres() {
        let entries = std::fs::read_dir(database.parent().expect("a folder")).expect("the folder can be read");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        return paths.map(|path| (path.display().to_string(), std::fs::read(&path).expect("a file"))).collect();
    }
    const TABLES: &str = "SELECT table_name::TEXT FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'";
    let mut kept = BTreeMap::new();
    for table in shell(database).await.texts(TABLES, 0).await {
        let rows = rows(database, &table).await.join("\n");
        kept.insert(table, rows.into_bytes());
    }
    kept
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
