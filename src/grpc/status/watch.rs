//! Errors of watches.

use std::time::Duration;

use tonic::{Code, Status};

use super::{account_not_found, not_allowed, store};
use crate::grpc::details::Problem;
use crate::grpc::proto::ErrorReason;
use crate::operations::watch_customers::WatchError;

/// When to try again after too many watched.
const SLOT_RETRY: Duration = Duration::from_secs(10);
/// When to come back after the server stopped: a restart takes a moment.
const RESTART_RETRY: Duration = Duration::from_secs(2);

/// `WatchCustomers`.
pub fn watch(error: WatchError) -> Status {
    match error {
        WatchError::Denied(denied) => not_allowed(&denied),
        WatchError::AccountNotFound(missing) => account_not_found(&missing),
        WatchError::Store(error) => store(&error),
    }
}

/// A cursor that is not one of this watch's.
pub fn invalid_cursor() -> Status {
    let message = "cursor is not one of this watch's: it was damaged, or the parent or the caller changed";
    Problem::new(Code::InvalidArgument, ErrorReason::InvalidCursor, message).status()
}

/// Too many watch.
pub fn too_many_watches(at_once: usize) -> Status {
    let message = format!("{at_once} watches are open, and more are not served at once");
    Problem::new(Code::Unavailable, ErrorReason::Overloaded, message).retry_after(SLOT_RETRY).status()
}

/// Messages were not taken for too long.
pub fn slow_consumer() -> Status {
    let message = "messages of the stream were not taken for too long; resume at the last cursor";
    Problem::new(Code::Aborted, ErrorReason::SlowConsumer, message).status()
}

/// The server is about to stop.
pub fn shutting_down() -> Status {
    let message = "the server is about to stop; resume at the last cursor";
    Problem::new(Code::Unavailable, ErrorReason::ShuttingDown, message).retry_after(RESTART_RETRY).status()
}
