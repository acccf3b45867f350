//! Errors of links.

use tonic::{Code, Status};

use crate::domain::ids::{CustomerId, PartnerAccountId};
use crate::grpc::details::Problem;
use crate::grpc::names::{CustomerName, account_name, pending_link_name};
use crate::grpc::proto::ErrorReason;
use crate::operations::link_customer::LinkCustomerError;
use crate::operations::pending_links::PendingLinkError;
use crate::operations::unlink_customer::UnlinkCustomerError;

/// `LinkCustomer`.
pub fn link_customer(error: LinkCustomerError) -> Status {
    match error {
        LinkCustomerError::Denied(denied) => super::not_allowed(&denied),
        LinkCustomerError::AccountNotFound(missing) => super::account_not_found(&missing),
        LinkCustomerError::CustomerNotFound(account, id) => super::customer_not_found(account, id),
        LinkCustomerError::NotPlatform(account, id) => {
            let message = "comes from Microsoft already; only a customer of the platform's own can be linked";
            precondition(ErrorReason::NotAPlatformCustomer, account, id, message)
        }
        LinkCustomerError::CustomerDeleted(account, id) => {
            precondition(ErrorReason::CustomerDeleted, account, id, "is deleted; bring it back to link it")
        }
        LinkCustomerError::Stale(account, id) => super::stale(account, id),
        LinkCustomerError::Duplicate(account, id) => {
            let name = CustomerName { account, id };
            let message = format!("{name} is the record of that Microsoft tenant already");
            Problem::new(Code::AlreadyExists, ErrorReason::DuplicateCustomer, message).with("customer", name).status()
        }
        LinkCustomerError::NotInPartnerCenter { account, tenant, answer } => {
            let message = format!(
                "partner center does not show tenant {tenant} to {} as a customer that can be used: {answer}",
                account_name(&account)
            );
            Problem::new(Code::FailedPrecondition, ErrorReason::MicrosoftCustomerNotFound, message)
                .with("microsoftTenantId", tenant)
                .with("answer", answer)
                .status()
        }
        LinkCustomerError::SourceUnavailable { account, cause, retry_after } => {
            let message = format!("partner center cannot be asked about {} now: {cause}", account_name(&account));
            Problem::new(Code::Unavailable, ErrorReason::SourceUnavailable, message)
                .with("partnerAccount", account_name(&account))
                .with("cause", cause)
                .retry_after(retry_after)
                .status()
        }
        LinkCustomerError::RequestIdReused(_) => super::request_id_reused(),
        LinkCustomerError::Store(error) => super::store(&error),
    }
}

/// `UnlinkCustomer`.
pub fn unlink_customer(error: UnlinkCustomerError) -> Status {
    match error {
        UnlinkCustomerError::Denied(denied) => super::not_allowed(&denied),
        UnlinkCustomerError::AccountNotFound(missing) => super::account_not_found(&missing),
        UnlinkCustomerError::CustomerNotFound(account, id) => super::customer_not_found(account, id),
        UnlinkCustomerError::Stale(account, id) => super::stale(account, id),
        UnlinkCustomerError::NotLinked(account, id) => {
            precondition(ErrorReason::NotLinked, account, id, "is not linked: there is nothing to undo")
        }
        UnlinkCustomerError::Expired(account, id) => {
            let message = "was linked more than 30 days ago, and its former values are no longer kept";
            precondition(ErrorReason::LinkExpired, account, id, message)
        }
        UnlinkCustomerError::RequestIdReused(_) => super::request_id_reused(),
        UnlinkCustomerError::Store(error) => super::store(&error),
    }
}

/// `ListPendingLinks`, `DismissPendingLink`.
pub fn pending_link(error: PendingLinkError) -> Status {
    match error {
        PendingLinkError::Denied(denied) => super::not_allowed(&denied),
        PendingLinkError::AccountNotFound(missing) => super::account_not_found(&missing),
        PendingLinkError::NotFound(account, tenant) => {
            let name = pending_link_name(&account, tenant);
            Problem::new(Code::NotFound, ErrorReason::PendingLinkNotFound, format!("there is no {name}"))
                .with("pendingLink", name)
                .status()
        }
        PendingLinkError::RequestIdReused(_) => super::request_id_reused(),
        PendingLinkError::Store(error) => super::store(&error),
    }
}

fn precondition(reason: ErrorReason, account: PartnerAccountId, id: CustomerId, what: &str) -> Status {
    let name = CustomerName { account, id };
    Problem::new(Code::FailedPrecondition, reason, format!("{name} {what}")).with("customer", name).status()
}
