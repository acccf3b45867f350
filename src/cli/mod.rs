//! The command line: what can be said, what the help teaches, and which exit code an end has.

mod audit;
mod client;
mod completions;
mod configuration;
mod demo;
mod healthcheck;
mod help;
mod migrate;
mod serve;
mod signals;
mod store;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use customer_guard::config::{Environment, Problems, Sources};

/// `EX_CONFIG` of sysexits.h: somebody has to change a setting before another try makes sense.
const BAD_CONFIGURATION: u8 = 78;

const EXAMPLES: &str = "\
Examples:
  customer-guard demo                        try everything, with no account
  customer-guard list contoso                then ask it, in another terminal
  customer-guard status contoso
  customer-guard config template > cg.toml   begin a configuration
  customer-guard serve --config cg.toml

Commands that ask take customers as ACCOUNT/ID and print JSON with -o json.
CUSTOMER_GUARD_SERVER says which service is asked.
";

/// Serves a marketplace's customers over gRPC and keeps them level with Microsoft Partner Center.
#[derive(Debug, Parser)]
#[command(version, after_help = format!("{EXAMPLES}\n{}", client::EXIT_CODES), max_term_width = 80)]
#[command(
    long_about = "Serves a marketplace's customers over gRPC, refuses edits of what Microsoft Partner Center owns, \
and keeps the store level with Partner Center by itself.\n\nTo see it work, without an account anywhere: customer-guard demo"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts the service
    Serve(serve::Options),
    /// Tries everything out, with a simulated Partner Center
    Demo(demo::Options),
    /// Brings the database's schema up to date and ends
    Migrate(migrate::Options),
    /// Checks the configuration, or writes one to begin with
    #[command(subcommand)]
    Config(configuration::Command),
    /// Checks the record of refused edits
    #[command(subcommand)]
    Audit(audit::Command),
    /// Moves the store from its file to a PostgreSQL database
    #[command(subcommand)]
    Store(store::Command),
    /// Asks a running service whether it is healthy
    Healthcheck(healthcheck::Options),
    /// Prints what a shell needs to complete these commands
    Completions(completions::Options),
    /// Prints the version
    Version,
    #[command(flatten)]
    Ask(client::Command),
}

impl Arguments {
    /// What was said on the command line. Ends the process if it cannot be understood, or asks for help.
    pub fn of_process() -> Self {
        let said = help::grouped(Self::command()).get_matches();
        Self::from_arg_matches(&said).unwrap_or_else(|error| error.exit())
    }
}

/// Where settings come from, for every command that needs them.
#[derive(Debug, Args)]
struct FileOption {
    /// The configuration file (TOML) [env: CUSTOMER_GUARD_CONFIG]. Variables CUSTOMER_GUARD_* win over what it says
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl FileOption {
    fn sources<'a>(&'a self, environment: &'a Environment, flags: &'a [(&'static str, String)]) -> Sources<'a> {
        Sources { file: self.config.as_deref(), environment, flags }
    }
}

/// The flags that were given, by the key of the setting they stand for.
fn given<const N: usize>(flags: [(&'static str, Option<&String>); N]) -> Vec<(&'static str, String)> {
    flags.into_iter().filter_map(|(key, value)| Some((key, value?.clone()))).collect()
}

/// Does what was said, and says how it ended.
pub async fn run(arguments: Arguments) -> ExitCode {
    let done = match arguments.command {
        Command::Serve(options) => serve::run(options).await,
        Command::Demo(options) => demo::run(options).await,
        Command::Migrate(options) => migrate::run(options).await,
        Command::Config(command) => configuration::run(command),
        Command::Audit(command) => audit::run(command).await,
        Command::Store(command) => store::run(command).await,
        Command::Healthcheck(options) => healthcheck::run(options).await,
        Command::Completions(options) => completions::run(&options, Arguments::command()),
        Command::Ask(command) => return client::run(command).await,
        Command::Version => print(concat!("customer-guard ", env!("CARGO_PKG_VERSION"), "\n")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("customer-guard: {error:#}");
            let is_configuration = error.downcast_ref::<Problems>().is_some();
            if is_configuration { ExitCode::from(BAD_CONFIGURATION) } else { ExitCode::FAILURE }
        }
    }
}

/// Prints to standard output. Whoever reads it may stop at any time, which is no failure of ours.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
