//! Two releases on one database: the older one goes on while the newer one adds to the schema, and no migration does more.

use customer_guard::domain::observation::Observed;
use customer_guard::store::{Error, MigrationError, RunCause, RunKind, StartError, Store};

use crate::bench::{Bench, mark, note, profile};

contract! {
    on sqlite {}
    on postgres { r14_a_service_that_runs_goes_on_while_a_newer_release_adds_to_the_schema }
}

/// As often as connections may have to learn of it.
const TRIES: usize = 20;

/// What a caller who repeats gets in the end.
macro_rules! repeated {
    ($call:expr) => {{
        let mut tries = 0;
        loop {
            match $call.await {
                Err(Error::Unavailable(_)) if tries < TRIES => tries += 1,
                answer => break answer.expect("it goes on"),
            }
        }
    }};
}

/// Everything that is read and written here again and again, so that it is kept prepared.
async fn use_everything(store: &Store, bench: &Bench, round: i64) {
    let account = &bench.account;
    let observed = Observed::Present(profile(&format!("Round{round}")));
    repeated!(bench.observe(1, mark(1, 20 + round), observed.clone()));
    let customer = bench.of_tenant(1).await;
    repeated!(bench.edit(customer.id, vec![note(&format!("round {round}"))]));
    repeated!(store.account_sync(account));
    repeated!(store.backlog(account));
    repeated!(store.api_accounts());
    repeated!(store.kept_account(account));
    repeated!(store.credential_trial(account));
    repeated!(store.reseller_reading(account));
    repeated!(store.refresh_token(account));
    repeated!(store.last_full_run(account));
    repeated!(store.run_under_way(account, RunKind::Full));
    let run = repeated!(store.write("run", async |tx| match tx.run_under_way(account, RunKind::Full).await? {
        Some(run) => Ok::<_, Error>(run),
        None => tx.start_run(account, RunKind::Full, RunCause::Manual, "caller").await,
    }));
    assert_eq!(run.account, *account);
}

async fn r14_a_service_that_runs_goes_on_while_a_newer_release_adds_to_the_schema(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    for round in 0..3 {
        use_everything(&bench.store, &bench, round).await;
    }
    let mut shell = bench.shell().await;
    let tables = shell.texts("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'", 0).await;
    for table in tables.iter().filter(|table| *table != "_sqlx_migrations") {
        let added = shell.run(&format!("ALTER TABLE {table} ADD COLUMN of_the_next_release TEXT DEFAULT 'new'")).await;
        added.expect("the owner adds a column");
    }
    let noted = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'of the next release', TRUE, '\\x00', 1)";
    assert_eq!(shell.run(noted).await, Ok(1));
    for round in 3..6 {
        use_everything(&bench.store, &bench, round).await;
    }
    assert_eq!(bench.of_tenant(1).await.note, "round 5");
    let again = Store::open(&bench.address(), bench.clock.clone()).await.expect_err("it is refused");
    assert!(matches!(again, StartError::Migration(MigrationError::Newer { found: 9999, .. })), "{again:?}");
}

/// Whoever serves with the release before must not notice: a migration makes tables, columns, indexes and rules, and takes
/// none of them away. What is not needed any more goes in a later release, when nobody serves with this one.
#[test]
fn since_there_are_replicas_migrations_only_add() {
    const FIRST: u32 = 16;
    const TAKEN_AWAY: [&str; 6] = ["drop table", "drop column", "rename", "alter column", "drop view", "set not null"];
    for engine in ["sqlite", "postgres"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
        let mut met = 0;
        for entry in std::fs::read_dir(folder).expect("the migrations") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if name[..4].parse::<u32>().expect("a number") < FIRST {
                continue;
            }
            met += 1;
            let text = std::fs::read_to_string(&path).expect("a text").to_lowercase();
            let statements = text.lines().filter(|line| !line.trim_start().starts_with("--"));
            for line in statements {
                let taken = TAKEN_AWAY.iter().find(|words| line.contains(*words));
                assert_eq!(taken, None, "{engine}/{name}: {line}");
                let adds_column = line.contains("add column") && line.contains("not null");
                assert!(!adds_column || line.contains("default"), "{engine}/{name}: {line}");
            }
        }
        assert!(met > 0, "the walk finds the migrations");
    }
}
