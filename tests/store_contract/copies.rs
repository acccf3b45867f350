//! A copy from SQLite to PostgreSQL: everything arrives as it was, whatever interrupts it, and nothing is called equal that is
//! not.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use customer_guard::clock::Clock;
use customer_guard::domain::access::Enforcement;
use customer_guard::domain::contact::ContactRole;
use customer_guard::domain::customer::Customer;
use customer_guard::domain::edit::CustomerEdit;
use customer_guard::domain::ids::{CustomerId, ReplicaId};
use customer_guard::domain::lease::Replica;
use customer_guard::domain::review::{Review, review};
use customer_guard::store::{
    ChainCheck, Copied, CopyError, CopyProgress, CopyStart, CopyStep, DatabaseAddress, DecisionOutcome, OpenError,
    RunCause, RunKind, StartError, Store, compare_stores, copy_store,
};
use secrecy::SecretString;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::bench::{Bench, Shell, allowed, email, note, sqlite_store};
use crate::links::{link, newcomer, ours, unlink};
use crate::postgres_server::{self, Database};

/// More than two batches.
const REQUESTS: i64 = 2_500;
/// The last number that the source's change log gave, although its row is gone.
const LAST_NUMBER: i64 = 5_000;

/// Whatever a text may hold that somebody could stumble over.
const ODD: &str = "\u{1}\u{8}\t\n\r\u{1f}\u{7f}\"\\\u{2028}\u{ffff}🦊";

/// What nobody has written before, so that no table is equal only because it is empty. Guards are not copied, and a link by hand
/// needs one of them gone.
const ONE_ROW_EACH: [&str; 19] = [
    "DROP TRIGGER customer_link_begins_with_a_platform_customer",
    "INSERT INTO customer_link (account, customer_id, linked_revision, tenant_id, linked_by, linked_at, keep_until, former)
        SELECT account, id, 7, 'one', 'ada', 1, 2, NULL FROM customer WHERE source = 'PLATFORM'",
    "INSERT INTO partner_account (id, display_name, kind, cloud, tenant_id, origin, created_at, updated_at)
        VALUES ('fabrikam', 'Fabrikam', 'DIRECT_BILL', 'GLOBAL', 'fabrikam', 'API', 1, 2)",
    "INSERT INTO partner_account_credentials (account, generation, sealed_secret, key_id, set_at, identity)
        VALUES ('fabrikam', 1, x'00ff', 'k', 3, x'')",
    "INSERT OR IGNORE INTO partner_account_settings (account, night, verify_within) VALUES ('fabrikam', '', 0)",
    "INSERT INTO partner_account_refresh_token (account, version, sealed_token, key_id, set_at)
        VALUES ('fabrikam', 1, x'80', 'k', 3)",
    "INSERT INTO generation (number, id, began_after, began_at, server, is_restored) VALUES (1, 'one', 0, 1, '', TRUE)",
    "INSERT INTO audit_record_seen (account, record_id, status, seen_at) VALUES ('contoso', 'r', 's', 1)",
    "INSERT INTO audit_signal
        (account, tenant_id, record_id, operation, actor_user, actor_application, operation_at, marked, met_at)
        VALUES ('contoso', 'one', 'r', 'update_customer', 'u', '', NULL, 1, 2)",
    "INSERT INTO upstream_change (sequence, account, tenant_id, record_id, operation, actor_user, actor_application)
        VALUES (3, 'contoso', 'one', 'r', 'update_customer', '', 'a')",
    "INSERT INTO throttling (account, at, answers) VALUES ('contoso', 1, 2)",
    "INSERT INTO pending_link (account, tenant_id, company_name, domain, noted_at) VALUES ('contoso', 'one', 'One', '', 1)",
    "INSERT INTO pending_link_candidate (account, tenant_id, customer_id, reason)
        VALUES ('contoso', 'one', 'c', 'SAME_DOMAIN')",
    "INSERT INTO dismissed_link (account, tenant_id, customer_id, dismissed_by, at) VALUES ('contoso', 'one', 'c', 'ada', 1)",
    "INSERT INTO customer_reseller (account, tenant_id, reseller_id, listed, shown, pending)
        VALUES ('contoso', 'one', 'two', 1, 0, 1)",
    "INSERT INTO webhook_seen (account, digest, discovery, seen_at) VALUES ('contoso', x'07', 1, 9)",
    "INSERT INTO credential_trial (account, fingerprint, state, started_at) VALUES ('contoso', randomblob(32), 'TRYING', 1)",
    "INSERT INTO credential_trial_seen (account, tenant_id, is_renamed) VALUES ('contoso', 'one', 1)",
    "INSERT INTO sync_run_page (account, run_id, page, tenant_ids)
        SELECT account, id, 1, x'0102' FROM sync_run",
];

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
    for caller in ["caller-7", ODD] {
        bench.refused(caller).await;
    }
    bench
        .store
        .write("run", async |tx| tx.start_run(&bench.account, RunKind::Full, RunCause::Manual, "ada").await)
        .await
        .expect("a run");
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
        "INSERT INTO replica (id, name, alive_until) VALUES ('r', 'one', 9)",
        "UPDATE partner_account SET lease_holder = 'r', lease_epoch = lease_epoch + 1",
        &format!("UPDATE sqlite_sequence SET seq = {LAST_NUMBER} WHERE name = 'change_log'"),
    ]
    .into_iter()
    .chain(ONE_ROW_EACH)
    {
        shell.run(statement).await.unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
    let Bench { store, path, clock, _folder, .. } = bench;
    store.close().await;
    drop(store);
    Some(Move { from: path, clock, customer: customer.id, database, _folder })
}

impl Bench {
    /// Somebody is refused, and that is kept.
    async fn refused(&self, caller: &str) {
        let made = self.of_tenant(1).await;
        let edit = CustomerEdit { wishes: vec![email(ContactRole::Primary, "secret@example.com")] };
        let Review::Refused(refusal) = review(&made, &edit, Enforcement::Refuse) else {
            panic!("the edit must be refused")
        };
        let kept = self
            .store
            .write("refuse", async |tx| tx.save_decision(&made, caller, &refusal, DecisionOutcome::Refused).await);
        kept.await.expect("the decision is saved");
    }
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
        // Whoever opens a store takes everything out of this one.
        assert!(
            table.source.rows > 0 || table.table == "webhook_path",
            "{} is equal only because it is empty",
            table.table
        );
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
        "SELECT coalesce(lease_holder, '') FROM partner_account ORDER BY id",
        "SELECT caller FROM decision ORDER BY position",
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
async fn a_link_that_was_made_in_the_file_is_undone_in_the_copy() {
    let Some(database) = postgres_server::database().await else { return };
    let bench = sqlite_store().await;
    let before = ours(&bench, "Linden \"& Söhne\" \\u0041 / 🦊", "linden.example", "LV").await;
    link(&bench, before.id, 1, 11, newcomer("Linden Ltd", "linden.example", "LV")).await.expect("it is linked");
    let Bench { store, clock, account, path, _folder, .. } = bench;
    store.close().await;
    drop(store);
    let a_move = Move { from: path, clock, customer: before.id, database, _folder };
    a_move.copy().await.expect("it is copied");
    let store = a_move.open().await.expect("a service opens it");
    let Move { from: path, clock, database, _folder, .. } = a_move;
    let bench = Bench { store, clock, account, path, _folder, database: Some(database), through: None };
    let undone = unlink(&bench, before.id).await;
    let what_it_was = |customer: &Customer| {
        (customer.source(), customer.company_name.clone(), customer.domain.clone(), customer.primary_contact.clone())
    };
    assert_eq!(what_it_was(&undone), what_it_was(&before));
}

#[tokio::test]
async fn a_copy_that_ends_before_it_has_made_anything_lets_nobody_in_and_goes_on() {
    let Some(a_move) = filled().await else { return };
    let mut target = a_move.target().await;
    for emptied in ["DROP SCHEMA public CASCADE", "CREATE SCHEMA public"] {
        target.run(emptied).await.expect(emptied);
    }
    {
        let (to, mut tell) = (a_move.to(), |_: CopyProgress<'_>| {});
        let copy = copy_store(&a_move.from, &to, &a_move.clock, &mut tell);
        // Dropped as soon as the database is taken.
        let taken = async {
            const TAKEN: &str = "SELECT count(*) FROM pg_class WHERE relname = 'store_copy'";
            while target.number(TAKEN).await == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = taken => {}
            copied = copy => panic!("it came to its end: {copied:?}"),
        }
    }
    assert!(matches!(a_move.open().await, Err(StartError::UnfinishedCopy)));
    let copied = a_move.copy().await.expect("it goes on");
    assert_eq!(copied.start, CopyStart::Fresh);
    a_move.open().await.expect("a service opens it");
}

#[tokio::test]
async fn a_database_with_something_else_in_it_is_left_as_it_is() {
    let Some(a_move) = filled().await else { return };
    let mut target = a_move.target().await;
    for emptied in ["DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "CREATE VIEW shop AS SELECT 1 AS one"] {
        target.run(emptied).await.expect(emptied);
    }
    let refused = a_move.copy().await.expect_err("it is somebody else's");
    assert!(matches!(&refused, CopyError::NotEmpty(what) if what == "shop"), "{refused}");
    let made = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(target.texts(made, 0).await, ["shop"]);
}

#[tokio::test]
async fn the_chain_of_decisions_is_intact_and_ends_as_before() {
    let Some(a_move) = filled().await else { return };
    let account = "contoso".parse().expect("an account");
    let (before, _) = Store::open_sqlite(&a_move.from, a_move.clock.clone()).await.expect("it opens");
    let in_the_file = before.check_decisions(&account).await.expect("the chain is read");
    assert!(matches!(in_the_file, ChainCheck::Intact(2, _)), "{in_the_file:?}");
    before.close().await;
    drop(before);
    a_move.copy().await.expect("it is copied");
    // As `audit verify` opens it.
    let address = DatabaseAddress::of(&a_move.database.url);
    let store = Store::open_for_reading(&address, a_move.clock.clone()).await.expect("it opens");
    assert_eq!(store.check_decisions(&account).await.expect("the chain is read"), in_the_file);
    store.close().await;
    let mut target = a_move.target().await;
    target.run("UPDATE decision SET caller = 'nobody' WHERE position = 2").await.expect("past the guards");
    let store = Store::open_for_reading(&address, a_move.clock.clone()).await.expect("it opens");
    assert_eq!(store.check_decisions(&account).await.expect("the chain is read"), ChainCheck::Broken(2));
}

#[tokio::test]
async fn a_database_that_a_living_replica_serves_takes_no_copy() {
    let Some(a_move) = filled().await else { return };
    let serving = a_move.open().await.expect("a service runs");
    let replica = Replica { id: ReplicaId::mint(a_move.clock.now()), name: "one".to_owned() };
    let (none, term) = (BTreeSet::new(), Duration::from_secs(3600));
    let alive = serving.write("share", async |tx| tx.share_accounts(&replica, &none, term, false).await);
    alive.await.expect("it says that it is alive");
    let refused = a_move.copy().await;
    assert!(matches!(refused, Err(CopyError::InUse)), "{refused:?}");
    serving.write("leave", async |tx| tx.leave(replica.id).await).await.expect("it leaves");
    serving.close().await;
    let copied = a_move.copy().await.expect("nobody serves any more");
    assert_eq!(copied.start, CopyStart::Fresh, "the refusal took nothing");
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
