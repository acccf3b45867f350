//! Errors of pauses.

use tonic::{Code, Status};

use crate::grpc::details::Problem;
use crate::grpc::names::CustomerName;
use crate::grpc::proto::ErrorReason;
use crate::grpc::status::{
    account_not_found, customer_not_found, not_allowed, not_microsoft, request_id_reused, store,
};
use crate::operations::pause_customer::PauseCustomerError;

/// `PauseCustomer`, `ResumeCustomer`.
pub fn pause_customer(error: PauseCustomerError) -> Status {
    match error {
        PauseCustomerError::Denied(denied) => not_allowed(&denied),
        PauseCustomerError::AccountNotFound(missing) => account_not_found(&missing),
        PauseCustomerError::CustomerNotFound(account, id) => customer_not_found(account, id),
        PauseCustomerError::NotMicrosoft(account, id) => {
            not_microsoft(account, id, "has no synchronization to be paused or resumed")
        }
        PauseCustomerError::Ended(account, id) => {
            let name = CustomerName { account, id };
            let message = format!("the relationship of {name} has ended; there is no synchronization to be paused");
            Problem::new(Code::FailedPrecondition, ErrorReason::RelationshipEnded, message)
                .with("customer", name)
                .status()
        }
        PauseCustomerError::RequestIdReused(_) => request_id_reused(),
        PauseCustomerError::Store(error) => store(&error),
    }
}
