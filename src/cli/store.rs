//! `store copy` and `store verify`: moves the store from its file to a PostgreSQL server, and shows that nothing was lost.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use customer_guard::clock::Clock;
use customer_guard::config::{Config, Environment, settings};
use customer_guard::store::{
    CopyProgress, CopyStart, CopyStep, DatabaseAddress, TableComparison, compare_stores, copy_store,
};
use secrecy::SecretString;

use super::{FileOption, given, print};

/// How many rows of a table pass between two lines about it.
const ROWS_BETWEEN_LINES: u64 = 10_000;

const COPY_EXAMPLES: &str = "\
Stop the service first, and start it on the new database when the copy is
finished. The file stays as it is. The database must be empty; its schema is
made. A copy that was interrupted goes on when it is started again; until it is
finished, and found equal to the file, no service opens the database.

Examples:
  customer-guard store copy --from customer-guard.db \\
    --to 'postgres://guard:password@db.example:5432/guard'

Exit codes: 0 copied and equal; 1 not finished, and why; 78 a wrong setting.";

const VERIFY_EXAMPLES: &str = "\
Compares, for every table, the number of rows and a SHA-256 over all of them.
Only right after the copy are both the same: a service changes its database.

Examples:
  customer-guard store verify --from customer-guard.db \\
    --to 'postgres://guard:password@db.example:5432/guard'

Exit codes: 0 equal; 1 a table differs, or could not be read; 78 a wrong
setting.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Copies the store in a file to a PostgreSQL database, and compares both
    #[command(after_help = COPY_EXAMPLES)]
    Copy(Options),
    /// Compares the store in a file with its copy in a PostgreSQL database
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(Options),
}

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    file: FileOption,
    /// The database file to copy from; nobody may use it meanwhile
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The address of the PostgreSQL database to copy to [env: CUSTOMER_GUARD_DATABASE]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
}

pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Copy(options) => copy(&options).await,
        Command::Verify(options) => verify(&options).await,
    }
}

async fn copy(options: &Options) -> anyhow::Result<()> {
    let (target, url) = target(options)?;
    let clock = Clock::system();
    let copied = copy_store(&options.from, &url, &clock, &mut progress).await.context("the store was not copied")?;
    list(&copied.tables)?;
    let (from, tables) = (options.from.display(), copied.tables.len());
    let rows: u64 = copied.tables.iter().map(|table| table.target.rows).sum();
    let how = match copied.start {
        CopyStart::Fresh => format!("copied: {rows} rows of {tables} tables"),
        CopyStart::WentOn => format!("copied: {rows} rows of {tables} tables, {} of them now", copied.written),
        CopyStart::WasFinished => format!("was copied before: {rows} rows of {tables} tables"),
    };
    print(&format!("{target}: {how}, equal to {from}; the service can be started on it\n"))
}

async fn verify(options: &Options) -> anyhow::Result<()> {
    let (target, url) = target(options)?;
    let compared = compare_stores(&options.from, &url, &mut progress).await.context("nothing was verified")?;
    list(&compared)?;
    let differing: Vec<_> = compared.iter().filter(|table| !table.is_equal()).map(|table| &*table.table).collect();
    if differing.is_empty() {
        let tables = compared.len();
        return print(&format!("{target}: {tables} tables are equal to {}\n", options.from.display()));
    }
    bail!("{target} differs from {} in: {}", options.from.display(), differing.join(", "))
}

/// Where to copy to, as it may be shown, and its whole address.
fn target(options: &Options) -> anyhow::Result<(DatabaseAddress, SecretString)> {
    let flags = given([(settings::DATABASE.key, options.to.as_ref())]);
    let environment = Environment::of_process();
    let database = Config::read_database(options.file.sources(&environment, &flags))?;
    match &database {
        DatabaseAddress::Postgres(url) => Ok((database.clone(), url.clone())),
        DatabaseAddress::File(_) => {
            bail!("{database} is no PostgreSQL database; --to looks like postgres://user:password@host:5432/name")
        }
    }
}

fn list(tables: &[TableComparison]) -> anyhow::Result<()> {
    for TableComparison { table, source, target } in tables {
        let line = if source == target {
            format!("{table}: {} rows, sha256 {}\n", source.rows, source.sha256)
        } else {
            let (rows, hash) = ((source.rows, target.rows), (&source.sha256, &target.sha256));
            format!("{table}: DIFFERENT, {} rows and {}, sha256 {} and {}\n", rows.0, rows.1, hash.0, hash.1)
        };
        print(&line)?;
    }
    Ok(())
}

fn progress(progress: CopyProgress<'_>) {
    if progress.rows > 0 && (progress.is_last || progress.rows.is_multiple_of(ROWS_BETWEEN_LINES)) {
        let done = match progress.step {
            CopyStep::Copied => "copied",
            CopyStep::Compared => "compared",
        };
        eprintln!("{}: {} rows {done}", progress.table, progress.rows);
    }
}
