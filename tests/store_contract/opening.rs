//! Opening a store: one process at a time, never a newer schema, and everything is still there.

use customer_guard::store::{Error, MigrationError, OpenError, PageTokenKey, Priority, RunCounts, StartError, Store};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, SqlSafeStr};

use crate::bench::{Bench, Shell, note};

contract! {
    on sqlite {
        reopening_keeps_everything,
        only_its_owner_can_read_the_files,
        a_reader_sees_what_is_written_and_writes_nothing,
        a_second_handle_on_the_same_file_is_refused_until_the_first_is_gone,
        a_database_of_the_first_release_is_brought_up_to_date_with_its_changes,
        a_newer_schema_is_refused,
        a_changed_migration_is_refused,
        the_page_token_key_is_made_once,
        a_full_disk_is_told_and_heals,
        a_file_that_is_no_database_is_refused,
    }
    on postgres {
        the_page_token_key_is_made_once,
    }
}

async fn reopen(bench: &Bench) -> Result<Store, StartError> {
    Store::open_sqlite(&bench.path, bench.clock.clone()).await.map(|(store, _)| store)
}

async fn only_its_owner_can_read_the_files(bench: Bench) {
    use std::os::unix::fs::PermissionsExt;

    bench.platform_customer("Linden").await;
    let folder = std::fs::read_dir(bench.path.parent().expect("a folder")).expect("the folder can be read");
    let files: Vec<_> = folder.map(|entry| entry.expect("a file").path()).collect();
    assert!(files.len() >= 3, "the database, its log and its lock: {files:?}");
    for file in files.iter().filter(|file| !file.to_string_lossy().ends_with(".lock")) {
        let mode = std::fs::metadata(file).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
}

async fn a_reader_sees_what_is_written_and_writes_nothing(bench: Bench) {
    let made = bench.platform_customer("Linden").await;
    let reader = Store::open_sqlite_for_reading(&bench.path, bench.clock.clone()).await.expect("it opens beside");
    assert_eq!(reader.customer(&bench.account, made.id).await.expect("the store answers"), Some(made));
    let account = &bench.account;
    let written = reader.write("no", async |tx| tx.take_ticket(account).await).await;
    assert!(written.is_err(), "a reader must not write");
}

async fn reopening_keeps_everything(mut bench: Bench) {
    let platform = bench.platform_customer("Linden").await;
    let microsoft = bench.microsoft_customer(1, "Ada").await;
    bench.mark(&[7], Priority::Signal, None).await;
    let backlog = bench.store.backlog(&bench.account).await.expect("the store answers");
    bench.store.close().await;
    let path = bench.path.clone();
    let clock = bench.clock.clone();
    let old = std::mem::replace(
        &mut bench.store,
        Store::open_sqlite(&path.with_extension("spare"), clock.clone()).await.expect("it opens").0,
    );
    drop(old);
    let (store, migrated) = Store::open_sqlite(&path, clock).await.expect("it opens again");
    assert_eq!(migrated.from, migrated.to);
    bench.store = store;
    assert_eq!(bench.customer(platform.id).await, platform);
    assert_eq!(bench.customer(microsoft.id).await, microsoft);
    assert_eq!(bench.store.backlog(&bench.account).await.expect("the store answers"), backlog);
    bench.edit(platform.id, vec![note("after")]).await.expect("it can be written");
}

async fn a_second_handle_on_the_same_file_is_refused_until_the_first_is_gone(bench: Bench) {
    let second = reopen(&bench).await;
    assert!(matches!(second, Err(StartError::Open(OpenError::InUse { .. }))));
    let clone = bench.store.clone();
    bench.store.close().await;
    assert!(matches!(reopen(&bench).await, Err(StartError::Open(OpenError::InUse { .. }))), "a clone still lives");
    let Bench { store, path, clock, _folder, .. } = bench;
    drop((store, clone));
    let (store, _) = Store::open_sqlite(&path, clock).await.expect("the first is gone");
    store.ping().await.expect("it answers");
}

/// The migrations that the first release had, as they are and stay.
const FIRST_RELEASE: [(i64, &str, &str); 2] = [
    (1, "customers", include_str!("../../migrations/sqlite/0001_customers.sql")),
    (2, "synchronization", include_str!("../../migrations/sqlite/0002_synchronization.sql")),
];

async fn a_database_of_the_first_release_is_brought_up_to_date_with_its_changes(bench: Bench) {
    const ROWS: &str = "
        SELECT sequence || ' ' || customer_id || ' ' || revision || ' ' || kind || ' ' || fields || ' ' || actor || ' ' ||
            coalesce(run_id, '-') || ' ' || at FROM change_log ORDER BY sequence";
    let path = bench.path.with_extension("old");
    let options =
        SqliteConnectOptions::new().filename(&path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let mut old = Shell::Sqlite(options.connect().await.expect("the file opens"));
    let migration = |(number, name, text): (i64, &'static str, &'static str)| {
        Migration::new(number, name.into(), MigrationType::Simple, text.into_sql_str(), false)
    };
    let migrator = Migrator::with_migrations(FIRST_RELEASE.into_iter().map(migration).collect());
    migrator.run(old.sqlite()).await.expect("the first release's schema");
    for statement in [
        "INSERT INTO partner_account (id, display_name, kind, cloud, tenant_id, created_at, updated_at)
            VALUES ('contoso', 'C', 'DIRECT_BILL', 'GLOBAL', '0000aaaa-aaaa-4bbb-8ccc-0123456789ab', 1, 1)",
        "INSERT INTO sync_run (account, id, kind, cause, state, started_by, started_at) VALUES
            ('contoso', '0198c0de-7000-7000-8000-00000000000a', 'FULL', 'FIRST', 'SUCCEEDED', 'worker', 1),
            ('contoso', '0198c0de-7000-7000-8000-00000000000b', 'FULL', 'NIGHTLY', 'FETCHING', 'worker', 2)",
        "INSERT INTO change_log (sequence, account, customer_id, revision, kind, fields, actor, run_id, at) VALUES
            (3, 'contoso', 'a', 1, 'CREATED', '', 'partner-center', '0198c0de-7000-7000-8000-00000000000a', 5),
            (4, 'contoso', 'a', 2, 'SYNCED', 'domain', 'partner-center', '0198c0de-7000-7000-8000-00000000000a', 6),
            (9, 'contoso', 'a', 3, 'ENDED', 'relationship', 'partner-center', '0198c0de-7000-7000-8000-00000000000b', 7),
            (10, 'contoso', 'a', 4, 'EDITED', 'note,labels', 'portal', NULL, 8)",
        // The last number that was given, although its row is not there.
        "UPDATE sqlite_sequence SET seq = 17 WHERE name = 'change_log'",
    ] {
        old.run(statement).await.expect("a row of the first release");
    }
    let before = old.texts(ROWS, 0).await;
    drop(old);
    let (store, migrated) = Store::open_sqlite(&path, bench.clock.clone()).await.expect("it is brought up to date");
    assert_eq!(migrated.from, 2);
    let bench = Bench { store, path, ..bench };
    let mut shell = bench.shell().await;
    assert_eq!(shell.texts(ROWS, 0).await, before);
    let runs = bench.store.sync_runs(&bench.account, None, 10).await.expect("the store answers");
    let counts: Vec<_> = runs.iter().map(|run| run.counts).collect();
    assert_eq!(counts, [None, Some(RunCounts { created: 1, changed: 1, ended: 0, revived: 0 })]);
    let so_far = bench.store.run_counts(&runs[0]).await.expect("the store answers");
    assert_eq!(so_far, RunCounts { ended: 1, ..RunCounts::default() });
    bench.platform_customer("Linden").await;
    assert_eq!(shell.number("SELECT max(sequence) FROM change_log").await, 18, "no number is given twice");
}

async fn closed_and_changed(bench: Bench, change: &str) -> StartError {
    bench.store.close().await;
    assert_eq!(bench.shell().await.run(change).await, Ok(1));
    let Bench { store, path, clock, _folder, .. } = bench;
    drop(store);
    let refused = Store::open_sqlite(&path, clock.clone()).await.expect_err("it is refused");
    // A refusal does not keep the lock.
    let again = Store::open_sqlite(&path, clock).await.expect_err("it is refused again");
    assert_eq!(again.to_string(), refused.to_string());
    refused
}

async fn a_newer_schema_is_refused(bench: Bench) {
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'from the future', 1, x'00', 1)";
    let refused = closed_and_changed(bench, newer).await;
    assert!(matches!(refused, StartError::Migration(MigrationError::Newer { found: 9999, .. })), "{refused:?}");
}

async fn a_changed_migration_is_refused(bench: Bench) {
    let refused = closed_and_changed(bench, "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1").await;
    assert!(matches!(refused, StartError::Migration(MigrationError::Failed(_))), "{refused:?}");
}

async fn the_page_token_key_is_made_once(bench: Bench) {
    let first = bench.store.page_token_key(PageTokenKey([1; 32])).await.expect("a key is kept");
    let second = bench.store.page_token_key(PageTokenKey([2; 32])).await.expect("the key is read");
    assert_eq!((first, second), (PageTokenKey([1; 32]), PageTokenKey([1; 32])));
}

/// The size limit of the disk is out of a test's reach: `max_page_count` belongs to the store's own connection. A
/// trigger that a shell leaves behind can at least say that the disk is full in the middle of a transaction.
async fn a_full_disk_is_told_and_heals(bench: Bench) {
    let made = bench.platform_customer("Linden").await;
    // RAISE(ROLLBACK) ends the transaction behind sqlx's back, as SQLITE_FULL does.
    let full = "CREATE TRIGGER full_disk AFTER INSERT ON change_log WHEN (SELECT note FROM customer WHERE id = new.customer_id) = 'full'
        BEGIN SELECT RAISE(ROLLBACK, 'the disk is full'); END";
    assert!(bench.shell().await.run(full).await.is_ok());
    for _ in 0..3 {
        bench.mark(&[1], Priority::Sweep, None).await;
        bench.edit(made.id, vec![note("full")]).await.expect_err("it cannot be written");
        assert_eq!(bench.customer(made.id).await, made);
        let failed = bench
            .store
            .write("after", async |tx| {
                crate::bench::write_something(tx, &bench.account).await?;
                Err::<(), _>(Error::Busy)
            })
            .await;
        assert!(matches!(failed, Err(Error::Busy)), "the writer is healthy again");
    }
    assert!(bench.shell().await.run("DROP TRIGGER full_disk").await.is_ok());
    bench.edit(made.id, vec![note("full")]).await.expect("it can be written again");
}

async fn a_file_that_is_no_database_is_refused(bench: Bench) {
    let other = bench.path.with_extension("txt");
    std::fs::write(&other, "this is no database, whatever its name says. ".repeat(100)).expect("the file is written");
    assert!(Store::open_sqlite(&other, bench.clock.clone()).await.is_err());
}
