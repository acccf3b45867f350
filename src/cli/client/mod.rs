//! The commands that ask a running service: each is one file, and here they are listed and started.

mod accounts;
mod consent;
mod credentials;
mod customer;
mod decisions;
mod explain;
mod failure;
mod get;
mod holds;
mod json;
mod links;
mod list;
mod listing;
mod lookup;
mod names;
mod output;
mod ownership;
mod pauses;
mod progress;
mod record;
mod refresh;
mod refusal;
mod resellers;
mod runs;
mod screen;
mod session;
mod status;
mod sync;
mod table;
mod times;
mod trials;
mod watch;
mod words;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use customer_guard::clock::Clock;

pub(super) use self::failure::EXIT_CODES;
use self::failure::Failure;
use self::output::Output;
use self::screen::Screen;
use self::session::{ServiceOptions, Session};

/// The commands, in the order of the help.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Shows one customer
    Get(Asking<get::Options>),
    /// Lists customers, all of them or those that a filter finds
    List(Asking<list::Options>),
    /// Finds a customer by its tenant, domain or reference
    Lookup(Asking<lookup::Options>),
    /// Tells why a customer is here, or why not, and what to do
    Explain(Asking<explain::Options>),
    /// Tells who owns each field of a customer, and where to change it
    Ownership(Asking<ownership::Options>),
    /// Tells how fresh the accounts are and what holds them back
    Status(Asking<status::Options>),
    /// Starts a full sync of an account
    Sync(Asking<sync::Options>),
    /// Asks Partner Center about one customer now
    Refresh(Asking<refresh::Options>),
    /// Shows changes of customers as they happen
    Watch(Asking<watch::Options>),
    /// Shows removals that wait for approval; approves or dismisses them
    Holds(Asking<holds::Options>),
    /// Shows refused edits
    Decisions(Asking<decisions::Options>),
    /// Shows customers that look alike; links them or keeps them apart
    Links(Asking<links::Options>),
    /// Pauses the synchronization of one customer
    Pause(Asking<pauses::PauseOptions>),
    /// Ends a pause
    Resume(Asking<pauses::ResumeOptions>),
    /// Shows and checks partner accounts; accepts new credentials
    Accounts(Asking<accounts::Options>),
    /// Shows the indirect resellers of an indirect provider
    Resellers(Asking<resellers::Options>),
    /// Shows sync runs
    Runs(Asking<runs::Options>),
}

/// A command's own options, and those of every question to a service.
#[derive(Debug, Args)]
pub(super) struct Asking<T: Args> {
    #[command(flatten)]
    what: T,
    #[command(flatten)]
    service: ServiceOptions,
}

impl<T: Args> Asking<T> {
    async fn answered_by(self, command: impl AsyncFnOnce(T, &Session) -> Result<(), Failure>) -> ExitCode {
        let Self { what, service } = self;
        let format = service.output;
        let output = Output { format, screen: Screen::of_stdout(), now: Clock::system().now() };
        let done = match Session::open(service, output).await {
            Ok(session) => command(what, &session).await,
            Err(failure) => Err(failure),
        };
        done.map_or_else(|failure| failure.tell(format), |()| ExitCode::SUCCESS)
    }
}

/// Asks, prints the answer, and says how it ended.
pub(super) async fn run(command: Command) -> ExitCode {
    match command {
        Command::Get(asking) => asking.answered_by(get::run).await,
        Command::List(asking) => asking.answered_by(list::run).await,
        Command::Lookup(asking) => asking.answered_by(lookup::run).await,
        Command::Explain(asking) => asking.answered_by(explain::run).await,
        Command::Ownership(asking) => asking.answered_by(ownership::run).await,
        Command::Status(asking) => asking.answered_by(status::run).await,
        Command::Sync(asking) => asking.answered_by(sync::run).await,
        Command::Refresh(asking) => asking.answered_by(refresh::run).await,
        Command::Watch(asking) => asking.answered_by(watch::run).await,
        Command::Holds(asking) => asking.answered_by(holds::run).await,
        Command::Decisions(asking) => asking.answered_by(decisions::run).await,
        Command::Links(asking) => asking.answered_by(links::run).await,
        Command::Pause(asking) => asking.answered_by(pauses::pause).await,
        Command::Resume(asking) => asking.answered_by(pauses::resume).await,
        Command::Accounts(asking) => asking.answered_by(accounts::run).await,
        Command::Resellers(asking) => asking.answered_by(resellers::run).await,
        Command::Runs(asking) => asking.answered_by(runs::run).await,
    }
}
