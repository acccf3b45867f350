//! A copy from SQLite to PostgreSQL: everything arrives as it was, whatever interrupts it, and nothing is called equal that is
//! not.

use std::collections::BTreeSet;
use std::path::PathBuf;

use customer_guard::clock::Clock;
use customer_guard::domain::ids::CustomerId;
use customer_guard::store::{
    Copied, CopyError, CopyProgress, CopyStart, CopyStep, OpenError, StartError, Store, compare_stores, copy_store,
};
use secrecy::SecretString;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::bench::{Bench, Shell, allowed, note, sqlite_store};
use crate::postgres_server::{self, Database};

/// More than two batches.
const REQUESTS: i64 = 2_500;
/// The last number that the source's change log gave, although its row is gone.
const LAST_NUMBER: i64 = 5_000;

/// A store in a file that nobody has open, and an empty database.
struct Move {
    from: PathBuf,
    clock: Clock,
    customer: CustomerId,
    database: Database,
    _folder: tempfile::TempDir,
}

async fn filled() -> Option<Move> {
    let database = postgres_server::database().await?;
    let bench = sqlite_store().await;
    let customer = bench.platform_customer("Linden \"& Söhne\" \\x41 🦊").await;
    bench.microsoft_customer(1, "Ada").await;
    bench.edit(customer.id, vec![note("two lines,\nand ' \\u0041")]).await.expect("it can be edited");
    let mut shell = bench.shell().await;
    let requests = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {REQUESTS})
         INSERT INTO request_memory (caller, request_id, fingerprint, answer, at)
         SELECT 'c' || (i % 7) || char(65 + i % 58, 228 + i % 9), 'r' || i, unhex(printf('%08x', i)), x'', -9223372036854775807 + i FROM n"
    );
    for statement in [
        requests.as_str(),
        "INSERT INTO reseller (account, tenant_id, display_name, mpn_id, location, state, active, seen_at, was_empty)
            VALUES ('contoso', 'one', 'One', '', 'LV', 'active', 1, 9223372036854775807, 0), ('contoso', 'two', 'Two', '1', '', '', 0, 0, 1)",
        "INSERT INTO reseller_sync (account, has_user, wanted, problem_reason) VALUES ('contoso', 1, 3, '')",
        "INSERT INTO webhook_secret (account, hash, stage, made_at) VALUES ('contoso', zeroblob(32), 'PRESENT', 1)",
        "INSERT INTO credential_acceptance (account, number, fingerprint, grounds, accepted_by, accepted_at)
            VALUES ('contoso', 1, randomblob(32), 'NOBODY_TO_LOSE', 'ada', 1)",
        "INSERT INTO decision (id, account, position, customer_id, caller, violations, acceptable, policy_revision, at, chain_hash)
            VALUES ('d1', 'contoso', 1, 'a', char(1, 8, 9, 10, 13, 31, 127, 34, 92, 8232, 65535, 129418), 'note:R1', '', 1, 5, 'aa')",
        "INSERT INTO replica (id, name, alive_until) VALUES ('r', 'one', 9)",
        "UPDATE partner_account SET lease_holder = 'r', lease_epoch = lease_epoch + 1",
        &format!("UPDATE sqlite_sequence SET seq = {LAST_NUMBER} WHERE name = 'change_log'"),
    ] {
        shell.run(statement).await.unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
    let Bench { store, path, clock, _folder, .. } = bench;
    store.close().await;
    drop(store);
    Some(Move { from: path, clock, customer: customer.id, database, _folder })
}

impl Move {
    fn to(&self) -> SecretString {
        SecretString::from(self.database.url.clone())
    }

    async fn copy(&self) -> Result<Copied, CopyError> {
        copy_store(&self.from, &self.to(), &self.clock, &mut |_| {}).await
    }

    /// Begins to copy, and is gone when that table is that far.
    async fn interrupted(&self, table: &str, rows: u64) {
        let (reached, when) = tokio::sync::oneshot::channel();
        let mut reached = Some(reached);
        let mut tell = |progress: CopyProgress<'_>| {
            let is_there = progress.step == CopyStep::Copied && progress.table == table && progress.rows >= rows;
            if let Some(reached) = reached.take_if(|_| is_there) {
                let _ = reached.send(());
            }
        };
        let to = self.to();
        let copy = copy_store(&self.from, &to, &self.clock, &mut tell);
        tokio::select! {
            biased;
            reached = when => reached.expect("somebody copies"),
            copied = copy => panic!("it came to its end: {copied:?}"),
        }
    }

    async fn source(&self) -> Shell {
        let options = SqliteConnectOptions::new().filename(&self.from);
        Shell::Sqlite(options.connect().await.expect("the file opens"))
    }

    /// Somebody who may change everything, past every guard.
    async fn target(&self) -> Shell {
        let mut shell = Shell::Postgres(postgres_server::connected(&self.database.url).await);
        shell.run("SET session_replication_role = replica").await.expect("a superuser");
        shell
    }

    async fn open(&self) -> Result<Store, StartError> {
        Store::open_postgres(&self.to(), self.clock.clone()).await.map(|(store, _)| store)
    }

    async fn differing(&self) -> Vec<String> {
        let compared = compare_stores(&self.from, &self.to(), &mut |_| {}).await.expect("both are read");
        compared.into_iter().filter(|table| !table.is_equal()).map(|table| table.table).collect()
    }
}

#[tokio::test]
async fn every_table_arrives_as_it_was_but_for_those_about_processes() {
    let Some(a_move) = filled().await else { return };
    let copied = a_move.copy().await.expect("it is copied");
    assert_eq!(copied.start, CopyStart::Fresh);
    let mut source = a_move.source().await;
    let tables = source.texts("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", 0).await;
    let left_out = ["_sqlx_migrations", "replica", "sqlite_sequence", "sqlite_stat1", "wakeup"];
    let expected: BTreeSet<_> = tables.iter().map(String::as_str).filter(|name| !left_out.contains(name)).collect();
    assert_eq!(copied.tables.iter().map(|table| table.table.as_str()).collect::<BTreeSet<_>>(), expected);
    let mut target = a_move.target().await;
    let mut rows = 0;
    for table in &copied.tables {
        let count = format!("SELECT count(*) FROM {}", table.table);
        let (here, there) = (source.number(&count).await, target.number(&count).await);
        assert_eq!((here, there), (there, table.target.rows as i64), "{}", table.table);
        assert!(table.is_equal(), "{table:?}");
        rows += table.target.rows;
    }
    assert_eq!(copied.written, rows);
    assert_eq!(target.number("SELECT count(*) FROM replica").await, 0);
    // Asked in the words of either engine, not by the hash.
    for question in [
        "SELECT note FROM customer ORDER BY id",
        "SELECT company_name FROM customer ORDER BY id",
        "SELECT lease_holder FROM partner_account",
        "SELECT caller FROM decision",
        "SELECT caller || request_id || at FROM request_memory ORDER BY at",
    ] {
        assert_eq!(source.texts(question, 0).await, target.texts(question, 0).await, "{question}");
    }
    let hex = (
        "SELECT lower(hex(fingerprint)) FROM request_memory ORDER BY at",
        "SELECT encode(fingerprint, 'hex') FROM request_memory ORDER BY at",
    );
    assert_eq!(source.texts(hex.0, 0).await, target.texts(hex.1, 0).await);
    assert_eq!(target.texts("SELECT tenant_id FROM reseller WHERE active", 0).await, ["one"]);
    assert_eq!(target.number("SELECT count(*) FROM reseller WHERE read_at IS NULL").await, 2, "absent stays absent");
}

#[tokio::test]
async fn a_finished_copy_has_all_guards_and_gives_no_number_twice() {
    let Some(a_move) = filled().await else { return };
    a_move.copy().await.expect("it is copied");
    let mut shell = Shell::Postgres(postgres_server::connected(&a_move.database.url).await);
    assert_eq!(shell.number("SELECT count(*) FROM pg_trigger WHERE tgenabled <> 'O'").await, 0);
    let refused = shell.run("UPDATE change_log SET actor = 'nobody'").await.expect_err("a guard refuses");
    assert!(refused.contains("guard"), "{refused}");
    let store = a_move.open().await.expect("a service opens it");
    let account = "contoso".parse().expect("an account");
    let edit = customer_guard::domain::edit::CustomerEdit { wishes: vec![note("after")] };
    let edited = store
        .write("edit", async |tx| {
            let customer = tx.customer_for_update(&account, a_move.customer).await?.expect("it was copied");
            tx.save_edit(allowed(&customer, &edit), "caller").await
        })
        .await;
    edited.expect("it can be edited");
    assert_eq!(shell.number("SELECT max(sequence) FROM change_log").await, LAST_NUMBER + 1);
}

#[tokio::test]
async fn an_interrupted_copy_lets_nobody_in_and_goes_on() {
    let Some(a_move) = filled().await else { return };
    a_move.interrupted("change_log", 1).await;
    a_move.interrupted("request_memory", 2_000).await;
    assert!(matches!(a_move.open().await, Err(StartError::UnfinishedCopy)));
    let compared = compare_stores(&a_move.from, &a_move.to(), &mut |_| {}).await;
    assert!(matches!(compared, Err(CopyError::Unfinished)), "{compared:?}");
    let mut target = a_move.target().await;
    assert_eq!(target.number("SELECT count(*) FROM request_memory").await, 2_000);
    let copied = a_move.copy().await.expect("it goes on");
    let all: u64 = copied.tables.iter().map(|table| table.source.rows).sum();
    assert_eq!(copied.start, CopyStart::WentOn);
    assert!(copied.written >= 500 && copied.written < all - 2_000, "{} of {all}", copied.written);
    a_move.open().await.expect("it is finished").close().await;
    let again = a_move.copy().await.expect("a copy that is finished is compared");
    assert_eq!((again.start, again.written), (CopyStart::WasFinished, 0));
}

#[tokio::test]
async fn a_value_that_changed_a_row_that_is_missing_and_one_too_many_are_found() {
    let Some(a_move) = filled().await else { return };
    a_move.copy().await.expect("it is copied");
    let mut target = a_move.target().await;
    assert_eq!(a_move.differing().await, [""; 0]);
    for (change, undo, table) in [
        (
            "UPDATE customer SET note = note || ' ' WHERE source = 'PLATFORM'",
            "UPDATE customer SET note = left(note, -1) WHERE source = 'PLATFORM'",
            "customer",
        ),
        ("UPDATE reseller SET active = NOT active", "UPDATE reseller SET active = NOT active", "reseller"),
        (
            "UPDATE reseller_sync SET problem_reason = NULL",
            "UPDATE reseller_sync SET problem_reason = ''",
            "reseller_sync",
        ),
        (
            "UPDATE request_memory SET answer = '\\x00' WHERE request_id = 'r77'",
            "UPDATE request_memory SET answer = '' WHERE request_id = 'r77'",
            "request_memory",
        ),
        (
            "INSERT INTO store_meta (name, value) VALUES ('more', '')",
            "DELETE FROM store_meta WHERE name = 'more'",
            "store_meta",
        ),
        ("DELETE FROM decision", "", "decision"),
    ] {
        target.run(change).await.expect(change);
        assert_eq!(a_move.differing().await, [table], "{change}");
        if !undo.is_empty() {
            target.run(undo).await.expect(undo);
            assert_eq!(a_move.differing().await, [""; 0], "{undo}");
        }
    }
    let again = a_move.copy().await.expect_err("it is not equal any more");
    assert!(matches!(again, CopyError::DiffersSince(_)) && again.to_string().contains("decision"), "{again}");
}

#[tokio::test]
async fn what_was_written_beside_an_unfinished_copy_keeps_it_unfinished() {
    let Some(a_move) = filled().await else { return };
    a_move.interrupted("request_memory", 1_000).await;
    let mut target = a_move.target().await;
    target.run("UPDATE customer SET company_name = 'Other'").await.expect("past the guards");
    let refused = a_move.copy().await.expect_err("it is not equal");
    assert!(matches!(refused, CopyError::Differs(_)) && refused.to_string().contains("customer ("), "{refused}");
    assert!(matches!(a_move.open().await, Err(StartError::UnfinishedCopy)));
}

#[tokio::test]
async fn a_copy_needs_a_file_that_nobody_uses_and_a_database_of_its_own() {
    let Some(a_move) = filled().await else { return };
    let (serving, _) = Store::open_sqlite(&a_move.from, a_move.clock.clone()).await.expect("a service runs");
    let refused = a_move.copy().await;
    assert!(matches!(refused, Err(CopyError::Open(StartError::Open(OpenError::InUse { .. })))), "{refused:?}");
    serving.close().await;
    drop(serving);
    let nowhere = copy_store(&a_move.from.with_extension("none"), &a_move.to(), &a_move.clock, &mut |_| {}).await;
    assert!(matches!(nowhere, Err(CopyError::NoFile(_))), "{nowhere:?}");
    let mut target = a_move.target().await;
    target
        .run("INSERT INTO store_meta (name, value) VALUES ('page_token_key', 'k')")
        .await
        .expect("a row of a service");
    let refused = a_move.copy().await;
    assert!(matches!(&refused, Err(CopyError::NotEmpty(table)) if table == "store_meta"), "{refused:?}");
    a_move.open().await.expect("a refusal takes nothing").close().await;
    target.run("DELETE FROM store_meta WHERE name = 'page_token_key'").await.expect("it is empty again");
    a_move.interrupted("request_memory", 1_000).await;
    let Some(other) = filled().await else { return };
    let refused = copy_store(&other.from, &a_move.to(), &a_move.clock, &mut |_| {}).await;
    assert!(matches!(refused, Err(CopyError::AnotherSource)), "{refused:?}");
}

#[tokio::test]
async fn databases_of_different_schemas_are_not_copied() {
    let Some(a_move) = filled().await else { return };
    let mut target = a_move.target().await;
    for (change, undo) in [
        ("ALTER TABLE reseller ADD COLUMN more TEXT", "ALTER TABLE reseller DROP COLUMN more"),
        ("CREATE TABLE more (id TEXT PRIMARY KEY)", "DROP TABLE more"),
        (
            "ALTER TABLE reseller RENAME COLUMN location TO place",
            "ALTER TABLE reseller RENAME COLUMN place TO location",
        ),
        ("ALTER TABLE audit_signal RENAME TO other", "ALTER TABLE other RENAME TO audit_signal"),
        (
            "ALTER TABLE throttling ALTER COLUMN answers TYPE TEXT",
            "ALTER TABLE throttling ALTER COLUMN answers TYPE BIGINT USING answers::BIGINT",
        ),
    ] {
        target.run(change).await.expect(change);
        let refused = a_move.copy().await;
        assert!(matches!(refused, Err(CopyError::Schemas(_))), "{change}: {refused:?}");
        target.run(undo).await.expect(undo);
    }
    a_move.source().await.run("DELETE FROM _sqlx_migrations WHERE version > 15").await.expect("an older file");
    let refused = a_move.copy().await;
    assert!(matches!(refused, Err(CopyError::Older { place: "the source", .. })), "{refused:?}");
}
