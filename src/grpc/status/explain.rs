//! Errors of explanations.

use tonic::Status;

use crate::grpc::status::{account_not_found, customer_not_found, not_allowed, store};
use crate::operations::explain_customer::ExplainCustomerError;

/// `ExplainCustomer`.
pub fn explain_customer(error: ExplainCustomerError) -> Status {
    match error {
        ExplainCustomerError::Denied(denied) => not_allowed(&denied),
        ExplainCustomerError::AccountNotFound(missing) => account_not_found(&missing),
        ExplainCustomerError::CustomerNotFound(account, id) => customer_not_found(account, id),
        ExplainCustomerError::Store(error) => store(&error),
    }
}
