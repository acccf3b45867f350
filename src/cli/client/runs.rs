//! `runs`: passes over an account's customer list, and what came of them.

use clap::{Args, Subcommand};
use customer_guard::clock::Timestamp;
use customer_guard::grpc::proto;

use super::failure::Failure;
use super::listing::{self, Limit};
use super::record::Record;
use super::screen::{Screen, Tone};
use super::session::Session;
use super::table::{Cell, Column};
use super::times::span;
use super::times::{age, exact_and_age};
use super::{names, progress, words};

const LIST: &str = "\
Examples:
  customer-guard runs list contoso
  customer-guard runs list contoso --limit 5 -o json";

const GET: &str = "\
Examples:
  customer-guard runs get contoso/RUN";

const COLUMNS: [Column; 9] = [
    Column::whole("RUN"),
    Column::ranked(2, "KIND"),
    Column::ranked(5, "CAUSE"),
    Column::ranked(1, "STATE"),
    Column::ranked(3, "STARTED"),
    Column::ranked(7, "LISTED").right(),
    Column::ranked(6, "FETCHED").right(),
    Column::ranked(4, "CHANGED").right(),
    Column::ranked(8, "ENDED").right(),
];

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the runs of an account, newest first
    #[command(after_help = LIST)]
    List {
        /// The partner account
        #[arg(value_name = "ACCOUNT", value_parser = names::account)]
        parent: String,
        #[command(flatten)]
        limit: Limit,
    },
    /// Shows one run
    #[command(after_help = GET)]
    Get {
        /// The run: ACCOUNT/RUN, or its full name
        #[arg(value_name = "RUN", value_parser = names::sync_run)]
        name: String,
    },
}

pub(super) async fn run(options: Options, session: &Session) -> Result<(), Failure> {
    let (screen, now) = (session.output.screen, session.output.now);
    match options.command {
        Command::List { parent, limit } => {
            let page = async |page_size, page_token| {
                let request = proto::ListSyncRunsRequest { parent: parent.clone(), page_size, page_token };
                let page = session.answer(session.sync().list_sync_runs(request)).await?;
                Ok((page.sync_runs, page.next_page_token))
            };
            listing::print(session.output, limit, &COLUMNS, |run| row(run, now), page).await
        }
        Command::Get { name } => {
            let run = session.answer(session.sync().get_sync_run(proto::GetSyncRunRequest { name })).await?;
            session.output.answer(&run, |run| text(run, screen, now))
        }
    }
}

fn row(run: &proto::SyncRun, now: Timestamp) -> Vec<Cell> {
    vec![
        names::short(&run.name).into(),
        words::run_kind(run.kind()).into(),
        words::run_cause(run.cause()).into(),
        state(run),
        age(run.start_time.as_ref(), now).into(),
        run.listed.to_string().into(),
        run.fetched.to_string().into(),
        (run.created + run.changed + run.revived).to_string().into(),
        run.ended.to_string().into(),
    ]
}

fn state(run: &proto::SyncRun) -> Cell {
    let tone = match run.state() {
        proto::SyncRunState::Succeeded => Tone::Good,
        proto::SyncRunState::Failed => Tone::Bad,
        proto::SyncRunState::Listing | proto::SyncRunState::Fetching | proto::SyncRunState::Unspecified => Tone::Plain,
    };
    Cell::toned(progress::state_of(run), tone)
}

/// One run as a record.
pub(super) fn text(run: &proto::SyncRun, screen: Screen, now: Timestamp) -> String {
    let at = |time: &Option<prost_types::Timestamp>| exact_and_age(time.as_ref(), now);
    let mut record = Record::default();
    record
        .group("Sync run")
        .row("Run", names::short(&run.name))
        .row("Kind", words::run_kind(run.kind()))
        .row("Cause", format!("{}, started by {}", words::run_cause(run.cause()), run.started_by))
        .row("State", state(run))
        .row("Done by", at(&run.estimated_end_time))
        .row("Problem", Cell::toned(&run.problem, Tone::Bad))
        .row("Started", at(&run.start_time))
        .row("List read", at(&run.list_complete_time))
        .row("Done", at(&run.end_time));
    let restarts = match run.listing_restarts {
        0 => String::new(),
        restarts => format!(", begun anew {restarts} times"),
    };
    let expected = run.customers_expected.map(|expected| format!(", {expected} the time before")).unwrap_or_default();
    let twice = match run.duplicates {
        0 => String::new(),
        duplicates => format!(", {duplicates} shown again"),
    };
    let unusable = if run.unusable > 0 { Tone::Uneasy } else { Tone::Plain };
    record
        .group("Customers")
        .row("Listed", format!("{} on {} pages{expected}{twice}{restarts}", run.listed, run.pages))
        .row("Fetched", format!("{} of {}", run.fetched, run.wanted))
        .row("Unusable", Cell::toned(run.unusable.to_string(), unusable))
        .row("Missing", run.missing.to_string())
        .row("Created", run.created.to_string())
        .row("Changed", run.changed.to_string())
        .row("Ended", run.ended.to_string())
        .row("Revived", run.revived.to_string());
    let repeated = if run.retries > 0 { format!(", {} of them again", run.retries) } else { String::new() };
    let throttled = match run.throttles {
        0 => Cell::new("never"),
        times => Cell::toned(format!("{times} times, rested {}", span(run.throttled_duration.as_ref())), Tone::Uneasy),
    };
    record
        .group("Cost")
        .row("Calls", format!("{}{repeated}", run.calls))
        .row("Throttled", throttled)
        .row("Listing took", span(run.list_duration.as_ref()))
        .row("Fetching took", span(run.fetch_duration.as_ref()));
    record.text(screen)
}
