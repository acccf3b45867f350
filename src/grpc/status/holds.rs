//! Errors of holds.

use tonic::{Code, Status};

use crate::grpc::details::Problem;
use crate::grpc::names::{account_name, hold_name};
use crate::grpc::proto::ErrorReason;
use crate::grpc::status::{account_not_found, not_allowed, request_id_reused, store};
use crate::operations::holds::HoldError;

/// `ListHolds`, `ApproveHold`, `DismissHold`.
pub fn hold(error: HoldError) -> Status {
    match error {
        HoldError::Denied(denied) => not_allowed(&denied),
        HoldError::AccountNotFound(missing) => account_not_found(&missing),
        HoldError::HoldNotFound { account, wanted } => {
            let message = format!("no removal waits in {}", account_name(&account));
            Problem::new(Code::NotFound, ErrorReason::HoldNotFound, message)
                .with("hold", hold_name(&account, wanted))
                .status()
        }
        HoldError::HoldChanged { account, present } => {
            let present = hold_name(&account, present);
            let message =
                format!("other customers wait now than those of this hold; look at {present} and decide about it");
            Problem::new(Code::Aborted, ErrorReason::HoldChanged, message).with("hold", present).status()
        }
        HoldError::RequestIdReused(_) => request_id_reused(),
        HoldError::Store(error) => store(&error),
    }
}
