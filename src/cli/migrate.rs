//! `migrate`: brings the database's schema up to date without serving, for whoever wants that as a step of its own.

use anyhow::Context;
use clap::Args;
use customer_guard::clock::Clock;
use customer_guard::config::{Config, Environment, settings};
use customer_guard::store::Store;

use super::{FileOption, given, print};

const EXAMPLES: &str = "\
The service does the same when it starts. Neither partner accounts nor their
secrets are needed here. The service must not be running on the same file.

Examples:
  customer-guard migrate --database /var/lib/customer-guard/customer-guard.db";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    #[command(flatten)]
    file: FileOption,
    /// The database file, made if it does not exist, or the address of a PostgreSQL database [env: CUSTOMER_GUARD_DATABASE]
    #[arg(long, value_name = "FILE")]
    database: Option<String>,
}

pub(super) async fn run(options: Options) -> anyhow::Result<()> {
    let flags = given([(settings::DATABASE.key, options.database.as_ref())]);
    let environment = Environment::of_process();
    let database = Config::read_database(options.file.sources(&environment, &flags))?;
    let (store, migrated) = Store::open(&database, Clock::system()).await.context("nothing was migrated")?;
    store.close().await;
    let (file, from, to) = (database, migrated.from, migrated.to);
    let told = match from {
        0 => format!("{file}: made, with schema {to}\n"),
        same if same == to => format!("{file}: schema {to} is up to date\n"),
        older => format!("{file}: brought from schema {older} to {to}\n"),
    };
    print(&told)
}
