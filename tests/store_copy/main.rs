//! The real program moves a store from SQLite to PostgreSQL, is killed on the way, and goes on.
//!
//! `COPY_CUSTOMERS` says how many customers the store has; 2,000 unless it is set.

#[path = "../support/postgres.rs"]
mod postgres;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use customer_guard::clock::Clock;
use customer_guard::domain::account::{Cloud, PartnerAccount, PartnerKind};
use customer_guard::store::{Error, StartError, Store};
use secrecy::SecretString;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

/// Far more than a batch takes, so that a slow machine is no failure.
const DEADLINE: Duration = Duration::from_secs(600);
const PASSWORD: &str = "hunter2";

/// Every second customer is Microsoft's; each has a row of the change log, and Microsoft's one of what is known upstream.
const CUSTOMERS: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
    INSERT INTO customer (
        account, id, source, revision, company_name, domain, primary_first_name, primary_last_name, primary_email,
        primary_phone_number, primary_language, primary_culture, primary_country, primary_region, primary_state,
        primary_district, primary_city, primary_address_line1, primary_address_line2, primary_address_line3,
        primary_postal_code, external_reference, labels, note, status, microsoft_tenant_id, tenant_name, relationship,
        upstream_relationship, sync_state, observation_epoch, observation_ticket, created_at, updated_at
    )
    SELECT
        'contoso', printf('%08x-0000-7000-8000-%012x', i, i), iif(i % 2, 'PLATFORM', 'MICROSOFT'), 1, 'Company ' || i,
        'c' || i || '.example.com', 'Ada', 'Łukasz ' || i, 'ada' || i || '@example.com', '+371 67000000', 'lv', 'lv-LV',
        'LV', '', '', '', 'Rīga', 'Street ' || i, '', '', 'LV-1001', 'crm-' || i, '{\"team\":\"north\"}', 'note ' || i,
        'ACTIVE', iif(i % 2, NULL, printf('%08x-aaaa-4bbb-8ccc-0123456789ab', i)), iif(i % 2, NULL, 'Tenant ' || i),
        iif(i % 2, NULL, 'ACTIVE'), iif(i % 2, NULL, 'reseller'), iif(i % 2, NULL, 'SYNCED'), iif(i % 2, NULL, 1),
        iif(i % 2, NULL, i), i, i
    FROM n";
const CHANGES: &str = "
    INSERT INTO change_log (account, customer_id, revision, kind, fields, actor, at)
    SELECT account, id, 1, 'CREATED', '', 'caller', created_at FROM customer";
const UPSTREAM: &str = "
    INSERT INTO upstream_customer (account, tenant_id, listed_name, first_seen_at)
    SELECT account, microsoft_tenant_id, company_name, created_at FROM customer WHERE source = 'MICROSOFT'";

fn customers() -> i64 {
    let asked = std::env::var_os("COPY_CUSTOMERS").map(|count| count.into_string().expect("a text"));
    asked.map_or(2_000, |count| count.parse().expect("a number"))
}

async fn fill(path: &Path, customers: i64) {
    let (store, _) = Store::open_sqlite(path, Clock::system()).await.expect("a new store");
    let partner = PartnerAccount {
        id: "contoso".parse().expect("an id"),
        display_name: "Contoso".to_owned(),
        kind: PartnerKind::DirectBill,
        cloud: Cloud::Global,
        tenant_id: "ffff0000-aaaa-4bbb-8ccc-0123456789ab".parse().expect("a tenant"),
    };
    let saved = async |tx: &mut customer_guard::store::Tx| {
        tx.save_partner_account(&partner).await.map_err(|error| Error::Backstop(error.to_string()))
    };
    store.write("partner", saved).await.expect("a partner account");
    store.close().await;
    drop(store);
    let mut shell = SqliteConnectOptions::new().filename(path).connect().await.expect("the file opens");
    for statement in [CUSTOMERS, CHANGES, UPSTREAM, "DELETE FROM store_meta WHERE name = 'match_key_revision'"] {
        sqlx::query(statement).bind(customers).execute(&mut shell).await.expect(statement);
    }
    shell.close().await.expect("it is closed");
    // Whatever a service makes of these rows when it starts, it makes now.
    Store::open_sqlite(path, Clock::system()).await.expect("it opens").0.close().await;
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_customer-guard"));
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What it said, without the password, and how much memory it took at most, in KiB.
fn run(arguments: &[&str]) -> (Output, u64) {
    let child = program(arguments).spawn().expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let memory = std::thread::spawn(move || {
        let mut peak = 0;
        while let Some(now) = peak_in(&std::fs::read_to_string(&status).unwrap_or_default()) {
            peak = now;
            std::thread::sleep(Duration::from_millis(20));
        }
        peak
    });
    let output = child.wait_with_output().expect("the program ends");
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    assert!(!String::from_utf8_lossy(&said).contains(PASSWORD), "the password is printed");
    (output, memory.join().expect("it is looked at"))
}

/// Gone once it has ended.
fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

async fn number(connection: &mut PgConnection, question: &str) -> i64 {
    let row = sqlx::query(AssertSqlSafe(question.to_owned())).fetch_one(connection).await.expect(question);
    row.get(0)
}

/// Waits until half of the customers are there, and then lets nobody write any more. The number is that of the writers' lock.
async fn stopped_half_way(watching: &mut PgConnection, customers: i64) {
    let since = Instant::now();
    while number(watching, "SELECT count(*) FROM customer").await < customers / 2 {
        assert!(since.elapsed() < DEADLINE, "no customer is copied");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    sqlx::query("SELECT pg_advisory_lock(6071223490117)").execute(watching).await.expect("the lock is given");
}

#[tokio::test]
async fn a_copy_that_is_killed_half_way_goes_on_and_is_equal() {
    let Some(database) = postgres::database().await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guard.db");
    let customers = customers();
    fill(&path, customers).await;
    let mut watching = postgres::connected(&database.url).await;
    let url = database.url.replacen("postgres@localhost", &format!("postgres:{PASSWORD}@localhost"), 1);
    let arguments =
        |what: &'static str| ["store", what, "--from", path.to_str().expect("text"), "--to", &url].map(str::to_owned);
    let (copy, verify) = (arguments("copy"), arguments("verify"));
    let (copy, verify) = (copy.each_ref().map(String::as_str), verify.each_ref().map(String::as_str));

    let since = Instant::now();
    let mut first = program(&copy).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    stopped_half_way(&mut watching, customers).await;
    first.kill().expect("it is killed");
    let ended = first.wait().expect("it ends");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(9), "it ran until it was killed: {ended}");
    let until_killed = since.elapsed();
    let there = number(&mut watching, "SELECT count(*) FROM customer").await;
    assert_eq!(number(&mut watching, "SELECT count(*) FROM store_copy WHERE finished_at IS NULL").await, 1);
    sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut watching).await.expect("the lock is free");

    let opened = Store::open_postgres(&SecretString::from(database.url.clone()), Clock::system()).await;
    assert!(matches!(opened, Err(StartError::UnfinishedCopy)), "no service opens half a store");
    let (refused, _) = run(&["migrate", "--database", &url]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("`customer-guard store copy` again"), "{refused:?}");
    assert_eq!(run(&verify).0.status.code(), Some(1), "an unfinished copy is not verified");

    let since = Instant::now();
    let (second, peak) = run(&copy);
    let until_done = since.elapsed();
    let said = String::from_utf8_lossy(&second.stdout).into_owned();
    assert_eq!(second.status.code(), Some(0), "{}", String::from_utf8_lossy(&second.stderr));
    assert!(said.contains("of them now, equal to") && said.contains(&format!("customer: {customers} rows, sha256 ")));
    let since = Instant::now();
    let (verified, _) = run(&verify);
    let until_verified = since.elapsed();
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stderr));
    assert_eq!(number(&mut watching, "SELECT count(*) FROM customer").await, customers);
    assert_eq!(number(&mut watching, "SELECT count(*) FROM customer_match").await, customers);
    let size = number(&mut watching, "SELECT pg_database_size(current_database())").await;
    println!("{said}");
    println!(
        "{customers} customers: killed after {:.1} s with {there} customers there, went on for {:.1} s with at most {peak} KiB \
         of memory, verified in {:.1} s; {} bytes of the database for each customer",
        until_killed.as_secs_f64(),
        until_done.as_secs_f64(),
        until_verified.as_secs_f64(),
        size / customers,
    );

    // As the service, whose rights were given before the copy.
    let store = Store::open_postgres(&SecretString::from(database.service.clone()), Clock::system()).await;
    let (store, _) = store.expect("a service opens a finished copy");
    let id = format!("{customers:08x}-0000-7000-8000-{customers:012x}").parse().expect("an id");
    let last = store.customer(&"contoso".parse().expect("an id"), id).await.expect("the store answers");
    assert_eq!(last.expect("it was copied").company_name, format!("Company {customers}"));
    sqlx::query("SET session_replication_role = replica").execute(&mut watching).await.expect("a superuser");
    sqlx::query("UPDATE customer SET note = '' WHERE revision = 1 AND external_reference = 'crm-7'")
        .execute(&mut watching)
        .await
        .expect("past the guards");
    let (different, _) = run(&verify);
    assert_eq!(different.status.code(), Some(1), "a difference is a failure");
    assert!(String::from_utf8_lossy(&different.stderr).trim_end().ends_with("in: customer"), "{different:?}");
}
