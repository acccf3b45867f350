//! `config`: tells every problem of a configuration or what it comes to, and writes one to begin with.

use std::fmt::Write;

use clap::{Args, Subcommand};
use customer_guard::config::{Config, EffectiveSetting, Environment, template};

use super::{FileOption, print};

const CHECK: &str = "\
Reads what `serve` would read and starts nothing. Secrets are read but never
shown. Exit code 0 if all is well, 78 if not.

Examples:
  customer-guard config check --config cg.toml";

const TEMPLATE: &str = "\
Examples:
  customer-guard config template > cg.toml";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Tells every problem, or every setting as it is and where it comes from
    #[command(after_help = CHECK)]
    Check(CheckOptions),
    /// Prints a configuration file with every setting and its default
    #[command(after_help = TEMPLATE)]
    Template,
}

#[derive(Debug, Args)]
pub(super) struct CheckOptions {
    #[command(flatten)]
    file: FileOption,
}

pub(super) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Check(options) => {
            let environment = Environment::of_process();
            let config = Config::read(options.file.sources(&environment, &[]))?;
            print(&table(&config.effective))
        }
        Command::Template => print(&template()),
    }
}

/// The settings as they are, each with where it comes from; what may not be printed is not in them.
fn table(settings: &[EffectiveSetting]) -> String {
    let mut text = "# The configuration is sound. Every setting as it is, and where it comes from:\n".to_owned();
    let mut heading = None;
    for setting in settings {
        if setting.account != heading {
            heading.clone_from(&setting.account);
            let account = heading.as_deref().unwrap_or_default();
            // Invariant: writing to a String cannot fail.
            let _ = writeln!(text, "\n[partner_accounts.{account}]");
        }
        let _ = writeln!(text, "{:<60} # {}", setting.assignment, setting.origin);
    }
    text
}
