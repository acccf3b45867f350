//! `watch`: changes of customers as they happen, for as long as somebody wants to see them.

mod line;

use std::ops::ControlFlow;
use std::time::Duration;

use clap::{Args, ValueEnum};
use customer_guard::grpc::proto;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Code, Status};

use super::super::signals;
use super::customer::View;
use super::failure::Failure;
use super::output::write;
use super::refusal::Refusal;
use super::session::Session;
use super::{json, names};

const EXAMPLES: &str = "\
Begins with a snapshot of all customers, and goes on with the changes since;
with --from-now only the changes. Ctrl-C ends it and tells the cursor by which
it can be resumed without missing anything. A connection that breaks is made
again by itself. With -o json each message is one line.

Examples:
  customer-guard watch contoso --from-now
  customer-guard watch --kind ended --kind revived
  customer-guard watch contoso --cursor CURSOR
  customer-guard watch -o json | jq -c 'select(.change)'";

/// How long to wait before the first attempt to connect again; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// And at most.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Options {
    /// The partner account, or - for all of them
    #[arg(value_name = "ACCOUNT", value_parser = names::accounts, default_value = "-")]
    parent: String,
    /// Go on after this cursor, as an earlier watch told it
    #[arg(long, value_name = "CURSOR", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    cursor: String,
    /// Without the snapshot: only what changes from now on
    #[arg(long, conflicts_with = "cursor")]
    from_now: bool,
    /// Only changes of this kind; may be given several times
    #[arg(long = "kind", value_enum, value_name = "KIND")]
    kinds: Vec<Kind>,
    /// How much of each customer, in JSON; basic is without personal data
    #[arg(long, value_enum, default_value_t)]
    view: View,
    /// End when the connection breaks
    #[arg(long)]
    no_reconnect: bool,
}

/// Kinds of changes, as the command line spells them; the proto says what each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Created,
    Edited,
    Synced,
    State,
    Ended,
    Revived,
    Deleted,
    Undeleted,
    Linked,
    Unlinked,
}

impl Kind {
    fn of_message(self) -> i32 {
        match self {
            Self::Created => proto::ChangeKind::Created,
            Self::Edited => proto::ChangeKind::Edited,
            Self::Synced => proto::ChangeKind::Synced,
            Self::State => proto::ChangeKind::State,
            Self::Ended => proto::ChangeKind::Ended,
            Self::Revived => proto::ChangeKind::Revived,
            Self::Deleted => proto::ChangeKind::Deleted,
            Self::Undeleted => proto::ChangeKind::Undeleted,
            Self::Linked => proto::ChangeKind::Linked,
            Self::Unlinked => proto::ChangeKind::Unlinked,
        }
        .into()
    }
}

pub(super) async fn run(options: Options, session: &Session) -> Result<(), Failure> {
    let tasks = TaskTracker::new();
    let stop = signals::stop_token(&tasks).map_err(anyhow::Error::from)?;
    let given = options.cursor.clone();
    let mut watch = Watch::new(options, session);
    let ended = watch.until(&stop).await;
    if !watch.request.cursor.is_empty() && watch.request.cursor != given {
        let (parent, cursor) = (names::short(&watch.request.parent), &watch.request.cursor);
        eprintln!("To go on from here: customer-guard watch {parent} --cursor {cursor}");
    }
    ended
}

/// A watch under way.
struct Watch<'a> {
    session: &'a Session,
    /// What to ask for; its cursor moves on with every message.
    request: proto::WatchCustomersRequest,
    reconnects: bool,
    wait: Duration,
}

impl<'a> Watch<'a> {
    fn new(options: Options, session: &'a Session) -> Self {
        let Options { parent, cursor, from_now, kinds, view, no_reconnect } = options;
        let start = if from_now { proto::WatchStart::Now } else { proto::WatchStart::Snapshot };
        // The lines show nothing personal, so that nothing personal is asked for.
        let view = if session.output.is_json() { view } else { View::Basic };
        let request = proto::WatchCustomersRequest {
            parent,
            cursor,
            start: start.into(),
            kinds: kinds.into_iter().map(Kind::of_message).collect(),
            view: view.of_message(),
        };
        Self { session, request, reconnects: !no_reconnect, wait: FIRST_WAIT }
    }

    /// Shows changes until it is told to stop, or cannot go on.
    async fn until(&mut self, stop: &CancellationToken) -> Result<(), Failure> {
        loop {
            let broken = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                ended = self.stream() => ended?,
            };
            let Some(wait) = self.next_wait(&broken) else { return Err(broken.into()) };
            let why = Refusal::of(&broken);
            self.session.output.remark(&format!("Interrupted: {}. Again in {} s.", why.sentence(), wait.as_secs()));
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep_until(Instant::now() + wait) => {}
            }
        }
    }

    /// Shows what one stream brings, and returns how it broke.
    async fn stream(&mut self) -> Result<Status, Failure> {
        let mut stream = match self.session.customers().watch_customers(self.request.clone()).await {
            Ok(response) => response.into_inner(),
            Err(status) => return Ok(status),
        };
        loop {
            match stream.message().await {
                Ok(Some(message)) => {
                    self.show(&message)?;
                    self.request.cursor = message.cursor;
                    self.wait = FIRST_WAIT;
                }
                Ok(None) => return Ok(Status::unavailable("the service ended the stream")),
                Err(status) => return Ok(status),
            }
        }
    }

    fn show(&self, message: &proto::WatchCustomersResponse) -> Result<(), Failure> {
        let output = self.session.output;
        if output.is_json() {
            return write(&format!("{}\n", json::line(message)?));
        }
        line::of(message, output.screen).map_or(Ok(()), |line| write(&line))
    }

    /// How long to wait before going on; `None` when there is no going on.
    fn next_wait(&mut self, broken: &Status) -> Option<Duration> {
        let passes = match broken.code() {
            // A connection that breaks in the middle of a message is told as unknown.
            Code::Unavailable | Code::Aborted | Code::ResourceExhausted | Code::Unknown | Code::Cancelled => {
                ControlFlow::Continue(())
            }
            Code::Ok
            | Code::InvalidArgument
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss
            | Code::Unauthenticated => ControlFlow::Break(()),
        };
        if passes.is_break() || !self.reconnects {
            return None;
        }
        let wait = Refusal::of(broken).retry_after.unwrap_or_default().max(self.wait);
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        Some(wait)
    }
}
