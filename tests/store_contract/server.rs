//! What is promised of a database on a server, which several processes use at once.

use std::collections::BTreeSet;
use std::time::Duration;

use customer_guard::clock::Clock;
use customer_guard::domain::ids::ChangePosition;
use customer_guard::store::{ChangesAfter, DatabaseAddress, Error, MigrationError, SeenAhead, StartError, Store};

use crate::bench::{Bench, Shell, note, write_something};

contract! {
    on postgres {
        processes_that_start_at_once_bring_the_schema_up_to_date_once,
        whoever_finds_the_schema_up_to_date_waits_for_nobody_who_changes_it,
        a_schema_is_brought_up_to_date_as_soon_as_nobody_reads_what_is_to_change,
        a_process_goes_by_the_clock_of_the_database,
        a_newer_schema_is_refused,
        whoever_only_looks_writes_nothing,
        a_writer_waits_for_the_writer_of_another_process,
        no_reader_skips_a_change_that_commits_later,
        texts_are_ordered_by_code_points,
        the_service_has_no_right_but_those_it_uses,
        a_schema_that_is_behind_is_the_owners_to_bring_up_to_date,
        an_address_that_nobody_answers_is_told_without_its_password,
    }
    on pgbouncer {
        processes_that_start_at_once_bring_the_schema_up_to_date_once,
        a_newer_schema_is_refused,
        whoever_only_looks_writes_nothing,
        a_writer_waits_for_the_writer_of_another_process,
        no_reader_skips_a_change_that_commits_later,
    }
}

async fn processes_that_start_at_once_bring_the_schema_up_to_date_once(bench: Bench) {
    bench.store.close().await;
    let mut shell = bench.shell().await;
    shell.run("DROP SCHEMA public CASCADE").await.expect("it is emptied");
    shell.run("CREATE SCHEMA public").await.expect("it is empty");
    let everybody = bench.database.as_ref().expect("a server's database").url.clone();
    let address = DatabaseAddress::of(&everybody);
    let opened = (0..4).map(|_| Store::open(&address, bench.clock.clone()));
    let opened = futures::future::join_all(opened).await;
    let from: Vec<i64> = opened.into_iter().map(|opened| opened.expect("it opens").1.from).collect();
    assert_eq!(from.iter().filter(|from| **from == 0).count(), 1, "{from:?}");
    let known = shell.number("SELECT count(*) FROM _sqlx_migrations").await;
    assert!(from.iter().all(|from| *from == 0 || *from == known), "{from:?}");
}

async fn whoever_finds_the_schema_up_to_date_waits_for_nobody_who_changes_it(bench: Bench) {
    let mut shell = bench.shell().await;
    shell.run("BEGIN").await.expect("it begins");
    shell.number("SELECT count(*) FROM (SELECT pg_advisory_xact_lock(6071223490118)) AS locked").await;
    let opened =
        tokio::time::timeout(Duration::from_secs(20), Store::open(&bench.address(), bench.clock.clone())).await;
    opened.expect("it waits for nobody").expect("it opens");
}

/// A long reading, such as a backup's, keeps a table from being changed; callers read and write on.
async fn a_schema_is_brought_up_to_date_as_soon_as_nobody_reads_what_is_to_change(bench: Bench) {
    let everybody = DatabaseAddress::of(&bench.database.as_ref().expect("a server's database").url);
    let mut shell = bench.shell().await;
    for undone in [
        "DELETE FROM _sqlx_migrations WHERE version >= 18",
        "ALTER TABLE replica DROP COLUMN serves",
        "BEGIN",
        "LOCK TABLE replica IN ACCESS SHARE MODE",
    ] {
        shell.run(undone).await.expect(undone);
    }
    let opened = Store::open(&everybody, bench.clock.clone());
    let meanwhile = async {
        let mut looking = bench.shell().await;
        // It waits for the table, and makes way for others again.
        for waits in [1, 0, 1] {
            while looking.number(WAITING_FOR_A_TABLE).await != waits {
                tokio::task::yield_now().await;
            }
        }
        bench.store.write("write", async |tx| write_something(tx, &bench.account).await).await.expect("it is written");
        shell.run("ROLLBACK").await.expect("it ends");
    };
    let (opened, ()) = futures::future::join(opened, meanwhile).await;
    assert_eq!(opened.expect("it opens").1.from, 17);
}

const WAITING_FOR_A_TABLE: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

async fn a_process_goes_by_the_clock_of_the_database(bench: Bench) {
    let clock = Clock::system();
    let hour = Duration::from_secs(3_600);
    let (store, _) = Store::open(&bench.address(), clock.clone()).await.expect("it opens");
    for wrong in [clock.own().plus(hour), clock.own().minus(hour)] {
        clock.go_by(wrong, clock.asks()).expect("it is wrong now");
        let written = store.write("write", async |tx| {
            write_something(tx, &bench.account).await?;
            Ok::<_, Error>(tx.now())
        });
        // Server and test are on one machine.
        let (written, own) = (written.await.expect("it is written"), clock.own());
        assert!(own.since(written).max(written.since(own)) < hour / 60, "{written} {own}");
        assert!(clock.now().since(own) < hour / 60, "and so does every clone");
    }
}

async fn a_newer_schema_is_refused(bench: Bench) {
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'later', true, '\\x00', 0)";
    assert_eq!(bench.shell().await.run(newer).await, Ok(1));
    for refused in [
        Store::open(&bench.address(), bench.clock.clone()).await.map(|_| ()),
        Store::open_for_reading(&bench.address(), bench.clock.clone()).await.map(|_| ()),
    ] {
        let refused = refused.expect_err("it is refused");
        assert!(matches!(refused, StartError::Migration(MigrationError::Newer { found: 9999, .. })), "{refused}");
    }
}

async fn whoever_only_looks_writes_nothing(bench: Bench) {
    let made = bench.platform_customer("Linden").await;
    let looking = Store::open_for_reading(&bench.address(), bench.clock.clone()).await.expect("it opens");
    let seen = looking.customer(&bench.account, made.id).await.expect("the store answers");
    assert_eq!(seen, Some(made));
    let refused = looking.write("write", async |tx| write_something(tx, &bench.account).await).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
}

/// Waits until so many wait for a lock.
pub async fn waiting(shell: &mut Shell, many: i64) {
    const WAITING: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    while shell.number(WAITING).await != many {
        tokio::task::yield_now().await;
    }
}

async fn a_writer_waits_for_the_writer_of_another_process(bench: Bench) {
    let made = bench.platform_customer("Linden").await;
    let other = bench.beside().await;
    let (entered, go) = (tokio::sync::Notify::new(), tokio::sync::Notify::new());
    let first = bench.store.write("first", async |tx| {
        let seen = tx.customer_for_update(&bench.account, made.id).await?.expect("it exists");
        entered.notify_one();
        go.notified().await;
        tx.save_edit(crate::bench::allowed(&seen, &edit("first")), "caller").await
    });
    let second = async {
        entered.notified().await;
        let second = other.write("second", async |tx| {
            let seen = tx.customer_for_update(&bench.account, made.id).await?.expect("it exists");
            assert_eq!(seen.note, "first", "it reads what the first has written");
            tx.save_edit(crate::bench::allowed(&seen, &edit("second")), "caller").await
        });
        let released = async {
            waiting(&mut bench.shell().await, 1).await;
            go.notify_one();
        };
        futures::future::join(second, released).await.0
    };
    let (first, second) = futures::future::join(first, second).await;
    first.expect("the first is saved");
    second.expect("the second is saved");
    assert_eq!(bench.customer(made.id).await.revision.0, 3);
}

fn edit(text: &str) -> customer_guard::domain::edit::CustomerEdit {
    customer_guard::domain::edit::CustomerEdit { wishes: vec![note(text)] }
}

/// Whoever follows the log while several processes write meets every customer, whatever commits when.
async fn no_reader_skips_a_change_that_commits_later(bench: Bench) {
    const EACH: usize = 25;
    let (one, two) = (bench.beside().await, bench.beside().await);
    let accounts = BTreeSet::from([bench.account.clone()]);
    let writes = async |store: &Store, name: &str| {
        for number in 0..EACH {
            let draft = customer_guard::domain::create::CustomerDraft {
                company_name: format!("{name} {number}"),
                ..customer_guard::domain::create::CustomerDraft::default()
            };
            let admitted = customer_guard::domain::create::admit(&bench.account, draft, bench.clock.now());
            let admitted = admitted.expect("a sound draft");
            let saved = store.write("new", async |tx| tx.save_new(admitted, "caller").await);
            saved.await.expect("it is saved");
        }
    };
    let follows = async {
        let (mut place, mut met) = (ChangePosition(0), BTreeSet::new());
        while met.len() < 3 * EACH {
            let after = bench.store.changes_after(place, &accounts, &SeenAhead::default(), 7).await;
            let ChangesAfter::Kept(batch) = after.expect("the store answers") else { panic!("the place is kept") };
            met.extend(batch.changes.iter().map(|change| change.customer.id));
            assert!(batch.position >= place);
            place = batch.position;
            tokio::task::yield_now().await;
        }
        met.len()
    };
    let all = futures::future::join4(writes(&one, "one"), writes(&two, "two"), writes(&bench.store, "three"), follows);
    let (.., met) = tokio::time::timeout(std::time::Duration::from_secs(120), all).await.expect("nobody is skipped");
    assert_eq!(met, 3 * EACH);
}

async fn texts_are_ordered_by_code_points(bench: Bench) {
    let mut shell = bench.shell().await;
    let other = "SELECT table_name || '.' || column_name FROM information_schema.columns
                 WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'
                     AND table_name <> '_sqlx_migrations'";
    assert_eq!(shell.texts(other, 0).await, [""; 0]);
}

/// As whoever stole the service's password.
async fn as_the_service(bench: &Bench) -> Shell {
    Shell::on_server(&bench.database.as_ref().expect("a server's database").service).await
}

/// The tables of which the store's statements delete rows.
fn deleted_from() -> BTreeSet<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let files = std::fs::read_dir(folder).expect("the store").map(|file| file.expect("a file").path());
    // A copy is made by the owner.
    let files = files.filter(|file| file.is_file());
    let texts: Vec<String> = files.map(|file| std::fs::read_to_string(file).expect("a text")).collect();
    let after = texts.iter().flat_map(|text| text.split("DELETE FROM ").skip(1));
    let name = |text: &str| text.chars().take_while(|one| one.is_ascii_lowercase() || *one == '_').collect::<String>();
    after.map(name).filter(|name| !name.is_empty()).collect()
}

async fn the_service_has_no_right_but_those_it_uses(bench: Bench) {
    let made = bench.platform_customer("Linden").await;
    let mut service = as_the_service(&bench).await;
    assert_eq!(service.texts("SELECT current_user::TEXT", 0).await, ["customer_guard_service"]);
    for statement in [
        "DELETE FROM customer",
        "DELETE FROM decision",
        "UPDATE decision SET caller = 'nobody'",
        "UPDATE change_log SET actor = 'nobody'",
        "DELETE FROM customer_link",
        "TRUNCATE customer",
        "TRUNCATE sync_run_page",
        "CREATE TABLE mine (a BIGINT)",
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (1, '', true, '', 0)",
    ] {
        let told = service.run(statement).await.expect_err(statement);
        assert!(told.contains("permission denied"), "{statement}: {told}");
    }
    for statement in [
        "ALTER TABLE customer DISABLE TRIGGER ALL",
        "DROP TRIGGER customer_is_ended_not_deleted ON customer",
        "ALTER TABLE customer DROP CONSTRAINT billing_mirrors_primary_of_a_microsoft_customer",
        "DROP TABLE change_log",
    ] {
        let told = service.run(statement).await.expect_err(statement);
        assert!(told.contains("must be owner of"), "{statement}: {told}");
    }
    assert_eq!(bench.customer(made.id).await, made);
    let may_delete = "SELECT relname::TEXT FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND has_table_privilege(oid, 'DELETE')";
    let may_delete: BTreeSet<String> = service.texts(may_delete, 0).await.into_iter().collect();
    assert_eq!(may_delete, deleted_from());
}

async fn a_schema_that_is_behind_is_the_owners_to_bring_up_to_date(bench: Bench) {
    bench.store.close().await;
    let (again, migrated) = Store::open(&bench.address(), bench.clock.clone()).await.expect("nothing is to be done");
    assert_eq!(migrated.from, migrated.to);
    again.close().await;
    let mut shell = bench.shell().await;
    shell.run("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM customer_guard_service").await.expect("it is revoked");
    let refused = Store::open(&bench.address(), bench.clock.clone()).await.map(|_| ()).expect_err("it has no rights");
    assert!(matches!(refused, StartError::Migration(MigrationError::NoRights)), "{refused:?}");
    shell.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO customer_guard_service").await.expect("it is granted");
    let newest = "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)";
    assert_eq!(shell.run(newest).await, Ok(1));
    let refused =
        Store::open(&bench.address(), bench.clock.clone()).await.map(|_| ()).expect_err("it is not the owner");
    assert!(
        matches!(refused, StartError::Migration(MigrationError::NotOwner { found, known }) if found + 1 == known && known == migrated.to),
        "{refused:?}"
    );
    shell.run("DROP SCHEMA public CASCADE").await.expect("it is emptied");
    shell.run("CREATE SCHEMA public").await.expect("it is empty");
    let refused =
        Store::open(&bench.address(), bench.clock.clone()).await.map(|_| ()).expect_err("it is not the owner");
    assert!(matches!(refused, StartError::Migration(MigrationError::NotOwner { found: 0, .. })), "{refused:?}");
}

async fn an_address_that_nobody_answers_is_told_without_its_password(bench: Bench) {
    for url in ["postgres://guard:hunter2@127.0.0.1:1/guard", "postgres://guard:hunter2@[nonsense/guard"] {
        let address = DatabaseAddress::of(url);
        let refused = Store::open(&address, bench.clock.clone()).await.map(|_| ()).expect_err("nobody answers");
        let told = format!("{refused} {refused:?} {address} {address:?}");
        assert!(matches!(refused, StartError::Server(_)) && !told.contains("hunter2"), "{told}");
    }
}
