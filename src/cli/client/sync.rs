//! `sync`: starts a full sync of an account, and waits for its end if asked to.

use std::time::Duration;

use clap::Args;
use customer_guard::grpc::proto;
use tokio::time::{Instant, sleep_until};

use super::failure::Failure;
use super::progress::Progress;
use super::session::Session;
use super::{names, runs};

const EXAMPLES: &str = "\
One that is under way already is joined. Shortly after a full sync another is
refused; the answer says when it will not be.

Examples:
  customer-guard sync contoso
  customer-guard sync contoso --wait && echo level

With --wait the exit code is 1 if the sync fails.";

/// How often a run is asked how far it is.
const ASK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Options {
    /// The partner account
    #[arg(value_name = "ACCOUNT", value_parser = names::account)]
    account: String,
    /// Wait until it is done, and show how far it is
    #[arg(short, long)]
    wait: bool,
}

pub(super) async fn run(options: Options, session: &Session) -> Result<(), Failure> {
    let request = proto::StartSyncRequest { parent: options.account, request_id: String::new() };
    let mut run = session.answer(session.sync().start_sync(request)).await?;
    if options.wait {
        run = end_of(run, session).await?;
    }
    let output = session.output;
    output.answer(&run, |run| runs::text(run, output.screen, output.now))?;
    match run.state() {
        proto::SyncRunState::Failed => Err(Failure::Ended(format!("the sync failed: {}", run.problem))),
        proto::SyncRunState::Succeeded
        | proto::SyncRunState::Listing
        | proto::SyncRunState::Fetching
        | proto::SyncRunState::Unspecified => Ok(()),
    }
}

/// Asks again and again until the run is done.
async fn end_of(mut run: proto::SyncRun, session: &Session) -> Result<proto::SyncRun, Failure> {
    let mut progress = Progress::new(session.output);
    while run.end_time.is_none() {
        progress.show(&run);
        sleep_until(Instant::now() + ASK_EVERY).await;
        let request = proto::GetSyncRunRequest { name: run.name.clone() };
        run = session.answer(session.sync().get_sync_run(request)).await?;
    }
    progress.end();
    Ok(run)
}
