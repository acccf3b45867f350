//! `audit verify`: checks that nobody changed, removed or inserted a decision. The service may be running.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use customer_guard::clock::Clock;
use customer_guard::config::{Config, Environment, settings};
use customer_guard::store::{ChainCheck, Store};

use super::{FileOption, given, print};

const EXAMPLES: &str = "\
Every refused edit is kept as a decision, and the decisions of a partner account
are a chain: each hash covers its decision and the hash before it. Note the last
hash somewhere else, and nobody can rewrite the chain unnoticed.

Examples:
  customer-guard audit verify --database demo-data/customer-guard.db

Exit codes: 0 every chain is intact; 1 one is broken, or could not be read.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Checks the chain of decisions of every partner account
    Verify(Options),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    #[command(flatten)]
    file: FileOption,
    /// The database file, or the address of a PostgreSQL database [env: CUSTOMER_GUARD_DATABASE]
    #[arg(long, value_name = "FILE")]
    database: Option<String>,
}

pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    let Command::Verify(options) = command;
    let flags = given([(settings::DATABASE.key, options.database.as_ref())]);
    let environment = Environment::of_process();
    let database = Config::read_database(options.file.sources(&environment, &flags))?;
    let store = Store::open_for_reading(&database, Clock::system()).await.context("nothing was verified")?;
    let mut broken = 0_u32;
    for account in store.partner_accounts().await? {
        match store.check_decisions(&account.id).await? {
            ChainCheck::Intact(0, _) => print(&format!("{}: no decisions\n", account.id))?,
            ChainCheck::Intact(count, last) => {
                print(&format!("{}: {count} in the chain, intact; the last hash is {last}\n", account.id))?;
            }
            ChainCheck::Broken(position) => {
                broken += 1;
                print(&format!("{}: BROKEN at decision {position}\n", account.id))?;
            }
        }
    }
    store.close().await;
    if broken > 0 { bail!("{broken} chains of decisions are broken") } else { Ok(()) }
}
