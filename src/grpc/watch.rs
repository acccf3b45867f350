//! `WatchCustomers`: a stream of changes that can be resumed.
//!
//! Each stream has a task that reads and a short queue that the transport takes from. A receiver that takes nothing
//! stops the reading; the task notices and ends the stream, which the transport alone never would.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::stream::unfold;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};

use crate::domain::change::ChangeKind;
use crate::domain::customer::Customer;
use crate::domain::ids::PartnerAccountId;
use crate::domain::text::FieldProblem;
use crate::grpc::convert::{self, UNKNOWN_VALUE};
use crate::grpc::details::invalid;
use crate::grpc::page_token::TokenContext;
use crate::grpc::proto::watch_customers_response::Event;
use crate::grpc::status::watch as problems;
use crate::grpc::{Serving, caller, names, proto, provenance, status};
use crate::operations::list_customers::Parent;
use crate::operations::watch_customers::{
    SnapshotCause, Watch, WatchBegin, WatchCursor, WatchCustomers, WatchEvent, WatchMessage, watch_customers as begin,
};
use crate::store::{CustomerChange, Freshness};

/// How many messages wait to be taken.
const WAITING_MAX: usize = 16;

/// The stream.
pub(super) type Events = Pin<Box<dyn Stream<Item = Result<proto::WatchCustomersResponse, Status>> + Send>>;

/// What watching may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    /// Watches at once.
    pub at_once: usize,
    /// How long messages wait to be taken before the stream is ended.
    pub patience: Duration,
    /// How long a stream is silent at most.
    pub quiet: Duration,
}

impl WatchLimits {
    /// The usual ones.
    pub const USUAL: Self = Self { at_once: 256, patience: Duration::from_secs(60), quiet: Duration::from_secs(10) };
}

/// The open watches.
#[derive(Debug)]
pub struct Watches {
    limits: WatchLimits,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Watches {
    /// None yet; the tasks of those to come belong to `tasks`.
    pub fn new(limits: WatchLimits, tasks: TaskTracker) -> Self {
        Self { limits, slots: Arc::new(Semaphore::new(limits.at_once)), tasks }
    }
}

pub(super) async fn watch_customers(
    serving: &Arc<Serving>,
    request: Request<proto::WatchCustomersRequest>,
) -> Result<Response<Events>, Status> {
    let caller = caller::of(&request)?;
    let request = request.into_inner();
    let Wanted { parent, start, kinds, view } = wanted(&request).map_err(|problems| invalid(&problems))?;
    let stream =
        Messages { serving: Arc::clone(serving), parent: request.parent, caller: caller.subject.clone(), view };
    let begins = match request.cursor.as_str() {
        "" => start,
        cursor => WatchBegin::After(stream.cursor(cursor).ok_or_else(problems::invalid_cursor)?),
    };
    let Watches { limits, slots, tasks } = &serving.watches;
    let watch = WatchCustomers { parent, begin: begins, kinds, quiet: limits.quiet };
    let watch = begin(&serving.store, &serving.accounts, &caller, watch).await.map_err(problems::watch)?;
    let slot = Arc::clone(slots).try_acquire_owned().map_err(|_| problems::too_many_watches(limits.at_once))?;
    let (queue, taken) = mpsc::channel(WAITING_MAX);
    let (ends, end) = oneshot::channel();
    tasks.spawn(stream.run(watch, slot, queue, ends));
    Ok(Response::new(Box::pin(unfold(Some((taken, end)), next_event))))
}

/// Where a stream's messages are taken, and why there are no more.
type Taken = (mpsc::Receiver<proto::WatchCustomersResponse>, oneshot::Receiver<Status>);

async fn next_event(taken: Option<Taken>) -> Option<(Result<proto::WatchCustomersResponse, Status>, Option<Taken>)> {
    let (mut messages, end) = taken?;
    match messages.recv().await {
        Some(message) => Some((Ok(message), Some((messages, end)))),
        // What was queued has been taken; the last word is why it ended.
        None => Some((Err(end.await.unwrap_or_else(|_| status::broken_stream())), None)),
    }
}

/// What a request asks for, but for its cursor.
struct Wanted {
    parent: Parent,
    start: WatchBegin,
    kinds: std::collections::BTreeSet<ChangeKind>,
    view: proto::CustomerView,
}

fn wanted(request: &proto::WatchCustomersRequest) -> Result<Wanted, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let parent = names::parent("parent", &request.parent).map_err(|problem| problems.push(problem)).ok();
    let start = match proto::WatchStart::try_from(request.start) {
        Ok(proto::WatchStart::Unspecified | proto::WatchStart::Snapshot) => Some(WatchBegin::Snapshot),
        Ok(proto::WatchStart::Now) => Some(WatchBegin::Now),
        Err(_) => {
            problems.push(FieldProblem::new("start", UNKNOWN_VALUE));
            None
        }
    };
    let mut kinds = std::collections::BTreeSet::new();
    for (place, kind) in request.kinds.iter().enumerate() {
        match proto::ChangeKind::try_from(*kind).map(kind_of) {
            Ok(Some(kind)) => {
                kinds.insert(kind);
            }
            Ok(None) => problems.push(FieldProblem::new(format!("kinds[{place}]"), "must say a kind")),
            Err(_) => problems.push(FieldProblem::new(format!("kinds[{place}]"), UNKNOWN_VALUE)),
        }
    }
    let view = proto::CustomerView::try_from(request.view);
    let view = view.map_err(|_| problems.push(FieldProblem::new("view", UNKNOWN_VALUE))).ok();
    match (parent, start, view) {
        (Some(parent), Some(start), Some(view)) if problems.is_empty() => Ok(Wanted { parent, start, kinds, view }),
        _ => Err(problems),
    }
}

/// Makes the messages of one stream.
struct Messages {
    serving: Arc<Serving>,
    parent: String,
    caller: String,
    view: proto::CustomerView,
}

impl Messages {
    /// Reads and queues until the stream ends.
    async fn run(
        self,
        watch: Watch,
        slot: OwnedSemaphorePermit,
        queue: mpsc::Sender<proto::WatchCustomersResponse>,
        ends: oneshot::Sender<Status>,
    ) {
        let end = self.queue_messages(watch, &queue).await;
        drop(slot);
        if let Some(status) = end {
            // The other half may be gone by now.
            let _ = ends.send(status);
        }
    }

    /// Why the stream ended; nothing when its receiver went away.
    async fn queue_messages(
        &self,
        mut watch: Watch,
        queue: &mpsc::Sender<proto::WatchCustomersResponse>,
    ) -> Option<Status> {
        let stopped = self.serving.stop.cancelled();
        tokio::pin!(stopped);
        loop {
            let read = tokio::select! {
                biased;
                () = &mut stopped => return Some(problems::shutting_down()),
                () = queue.closed() => return None,
                read = watch.next() => read,
            };
            let message = match read.map_err(problems::watch).and_then(|message| self.message(message)) {
                Ok(message) => message,
                Err(status) => return Some(status),
            };
            let queued = tokio::select! {
                biased;
                () = &mut stopped => return Some(problems::shutting_down()),
                // Real time on purpose: it is the receiver's network that is slow.
                queued = queue.send_timeout(message, self.serving.watches.limits.patience) => queued,
            };
            match queued {
                Ok(()) => {}
                Err(mpsc::error::SendTimeoutError::Timeout(_)) => return Some(problems::slow_consumer()),
                Err(mpsc::error::SendTimeoutError::Closed(_)) => return None,
            }
        }
    }

    fn context(&self) -> TokenContext<'_> {
        TokenContext { list: "WatchCustomers", parent: &self.parent, caller: &self.caller }
    }

    fn cursor(&self, cursor: &str) -> Option<WatchCursor> {
        let cursor = self.serving.page_tokens.open(self.context(), cursor).ok()?;
        WatchCursor::parse(&cursor)
    }

    fn message(&self, message: WatchMessage) -> Result<proto::WatchCustomersResponse, Status> {
        let event = match message.event {
            WatchEvent::Change(change) => Event::Change(self.change(&change)?),
            WatchEvent::SnapshotStart(cause) => {
                Event::SnapshotStart(proto::SnapshotStart { cause: cause_of(cause).into() })
            }
            WatchEvent::SnapshotCustomer(customer) => Event::SnapshotCustomer(self.customer(&customer)?),
            WatchEvent::SnapshotEnd(customers) => {
                Event::SnapshotEnd(proto::SnapshotEnd { customers: i64::try_from(customers).unwrap_or(i64::MAX) })
            }
            WatchEvent::Checkpoint(accounts) => {
                Event::Checkpoint(proto::Checkpoint { accounts: accounts.into_iter().map(freshness).collect() })
            }
        };
        let cursor = self.serving.page_tokens.seal(self.context(), &message.cursor.to_string());
        Ok(proto::WatchCustomersResponse { cursor: cursor.ok_or_else(status::no_randomness)?, event: Some(event) })
    }

    fn customer(&self, customer: &Customer) -> Result<proto::Customer, Status> {
        let served = self.serving.accounts.find(&customer.account);
        let served = served.map_err(|missing| problems::watch(missing.into()))?;
        let now = self.serving.clock.now();
        Ok(convert::in_view(convert::customer(customer, &served.policy, now), self.view))
    }

    fn change(&self, change: &CustomerChange) -> Result<proto::CustomerChange, Status> {
        let paths = change.fields.iter().map(ToString::to_string).collect();
        Ok(proto::CustomerChange {
            customer: Some(self.customer(&change.customer)?),
            kinds: change.kinds.iter().map(|kind| kind_name(*kind).into()).collect(),
            changed_fields: Some(prost_types::FieldMask { paths }),
            actor: change.actor.clone(),
            change_time: Some(convert::time(change.at)),
            upstream_change: change
                .upstream
                .as_ref()
                .map(|upstream| provenance::in_view(provenance::upstream_change(upstream), self.view)),
        })
    }
}

fn freshness((account, freshness): (PartnerAccountId, Freshness)) -> proto::AccountFreshness {
    proto::AccountFreshness {
        partner_account: names::account_name(&account),
        fresh_through: freshness.fresh_through.map(convert::time),
        audit_polled_at: freshness.audit_polled_at.map(convert::time),
        listed_at: freshness.listed_at.map(convert::time),
        problem: freshness.problem.unwrap_or_default(),
    }
}

const fn cause_of(cause: SnapshotCause) -> proto::SnapshotCause {
    match cause {
        SnapshotCause::NoCursor => proto::SnapshotCause::NoCursor,
        SnapshotCause::CursorTooOld => proto::SnapshotCause::CursorTooOld,
        SnapshotCause::StoreRestored => proto::SnapshotCause::StoreRestored,
    }
}

const fn kind_of(kind: proto::ChangeKind) -> Option<ChangeKind> {
    match kind {
        proto::ChangeKind::Unspecified => None,
        proto::ChangeKind::Created => Some(ChangeKind::Created),
        proto::ChangeKind::Edited => Some(ChangeKind::Edited),
        proto::ChangeKind::Synced => Some(ChangeKind::Synced),
        proto::ChangeKind::State => Some(ChangeKind::State),
        proto::ChangeKind::Ended => Some(ChangeKind::Ended),
        proto::ChangeKind::Revived => Some(ChangeKind::Revived),
        proto::ChangeKind::Deleted => Some(ChangeKind::Deleted),
        proto::ChangeKind::Undeleted => Some(ChangeKind::Undeleted),
        proto::ChangeKind::Linked => Some(ChangeKind::Linked),
        proto::ChangeKind::Unlinked => Some(ChangeKind::Unlinked),
    }
}

const fn kind_name(kind: ChangeKind) -> proto::ChangeKind {
    match kind {
        ChangeKind::Created => proto::ChangeKind::Created,
        ChangeKind::Edited => proto::ChangeKind::Edited,
        ChangeKind::Synced => proto::ChangeKind::Synced,
        ChangeKind::State => proto::ChangeKind::State,
        ChangeKind::Ended => proto::ChangeKind::Ended,
        ChangeKind::Revived => proto::ChangeKind::Revived,
        ChangeKind::Deleted => proto::ChangeKind::Deleted,
        ChangeKind::Undeleted => proto::ChangeKind::Undeleted,
        ChangeKind::Linked => proto::ChangeKind::Linked,
        ChangeKind::Unlinked => proto::ChangeKind::Unlinked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_on_the_wire() {
        for kind in ChangeKind::ALL {
            assert_eq!(kind_of(kind_name(kind)), Some(kind));
        }
    }
}
