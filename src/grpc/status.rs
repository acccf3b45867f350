//! The one table from what happened to what a caller is told. Exhaustive: a new error must be decided here.

use std::time::Duration;

use tonic::{Code, Status};

use crate::domain::access::Denied;
use crate::domain::ids::{CustomerId, PartnerAccountId};
use crate::grpc::details::{Problem, invalid};
use crate::grpc::names::{CustomerName, account_name, sync_run_name};
use crate::grpc::proto::ErrorReason;
use crate::grpc::refusal::{PortalLink, refused};
use crate::operations::accounts::{AccountNotFound, ServedAccount};
use crate::operations::create_customer::CreateCustomerError;
use crate::operations::get_customer::GetCustomerError;
use crate::operations::list_customers::ListCustomersError;
use crate::operations::refresh_customer::RefreshCustomerError;
use crate::operations::start_sync::StartSyncError;
use crate::operations::sync_runs::SyncRunError;
use crate::operations::update_customer::UpdateCustomerError;
use crate::store;

/// When to try again after the store was busy or away.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// When to try again after the disk was full.
const FULL_RETRY: Duration = Duration::from_secs(30);

/// `GetCustomer`, `GetFieldOwnership`.
pub fn get_customer(error: GetCustomerError) -> Status {
    match error {
        GetCustomerError::Denied(denied) => not_allowed(&denied),
        GetCustomerError::AccountNotFound(missing) => account_not_found(&missing),
        GetCustomerError::CustomerNotFound(account, id) => customer_not_found(account, id),
        GetCustomerError::Store(error) => store(&error),
    }
}

/// `ListCustomers`.
pub fn list_customers(error: ListCustomersError) -> Status {
    match error {
        ListCustomersError::Denied(denied) => not_allowed(&denied),
        ListCustomersError::AccountNotFound(missing) => account_not_found(&missing),
        ListCustomersError::Store(error) => store(&error),
    }
}

/// `CreateCustomer`.
pub fn create_customer(error: CreateCustomerError) -> Status {
    match error {
        CreateCustomerError::Denied(denied) => not_allowed(&denied),
        CreateCustomerError::AccountNotFound(missing) => account_not_found(&missing),
        CreateCustomerError::Invalid(problems) => invalid(&problems),
        CreateCustomerError::Store(error) => store(&error),
    }
}

/// `UpdateCustomer`.
pub fn update_customer(error: UpdateCustomerError, account: Option<&ServedAccount>, portal: &PortalLink) -> Status {
    match (error, account) {
        (UpdateCustomerError::Denied(denied), _) => not_allowed(&denied),
        (UpdateCustomerError::AccountNotFound(missing), _) => account_not_found(&missing),
        (UpdateCustomerError::CustomerNotFound(account, id), _) => customer_not_found(account, id),
        (UpdateCustomerError::Stale(account, id), _) => stale(account, id),
        (UpdateCustomerError::Refused(edit), Some(account)) => refused(&edit, account, portal),
        // An account that is not served has no customer that could be refused.
        (UpdateCustomerError::Refused(_), None) => internal("an edit was refused in an account that is not served"),
        (UpdateCustomerError::Invalid(problems), _) => invalid(&problems),
        (UpdateCustomerError::Store(error), _) => store(&error),
    }
}

/// `StartSync`.
pub fn start_sync(error: StartSyncError) -> Status {
    match error {
        StartSyncError::Denied(denied) => not_allowed(&denied),
        StartSyncError::AccountNotFound(missing) => account_not_found(&missing),
        StartSyncError::Cooldown { account, last, retry_after } => {
            let message = format!(
                "{} was synchronized too recently; a sync by hand is possible in {} s",
                account_name(&account),
                retry_after.as_secs()
            );
            Problem::new(Code::FailedPrecondition, ErrorReason::SyncCooldown, message)
                .with("partnerAccount", account_name(&account))
                .with("lastSyncRun", sync_run_name(&account, last))
                .retry_after(retry_after)
                .status()
        }
        StartSyncError::Store(error) => store(&error),
    }
}

/// `GetSyncStatus`, `GetSyncRun`, `ListSyncRuns`.
pub fn sync_run(error: SyncRunError) -> Status {
    match error {
        SyncRunError::Denied(denied) => not_allowed(&denied),
        SyncRunError::AccountNotFound(missing) => account_not_found(&missing),
        SyncRunError::RunNotFound(account, id) => {
            let name = sync_run_name(&account, id);
            Problem::new(Code::NotFound, ErrorReason::SyncRunNotFound, format!("there is no {name}"))
                .with("syncRun", name)
                .status()
        }
        SyncRunError::Store(error) => store(&error),
    }
}

/// `RefreshCustomer`.
pub fn refresh_customer(error: RefreshCustomerError) -> Status {
    match error {
        RefreshCustomerError::Denied(denied) => not_allowed(&denied),
        RefreshCustomerError::AccountNotFound(missing) => account_not_found(&missing),
        RefreshCustomerError::CustomerNotFound(account, id) => customer_not_found(account, id),
        RefreshCustomerError::NotMicrosoft(account, id) => {
            let name = CustomerName { account, id };
            let message = format!("{name} is the platform's own and has nothing to be refreshed from");
            Problem::new(Code::FailedPrecondition, ErrorReason::NotAMicrosoftCustomer, message)
                .with("customer", name)
                .status()
        }
        RefreshCustomerError::SourceUnavailable { account, cause, retry_after } => {
            let message = format!("partner center cannot be asked about {} now: {cause}", account_name(&account));
            Problem::new(Code::Unavailable, ErrorReason::SourceUnavailable, message)
                .with("partnerAccount", account_name(&account))
                .with("cause", cause)
                .retry_after(retry_after)
                .status()
        }
        RefreshCustomerError::Store(error) => store(&error),
    }
}

/// A page token that is not one of this list's.
pub fn invalid_page_token() -> Status {
    let message = "page_token is not one of this list's: it was damaged, or another argument or the caller changed";
    Problem::new(Code::InvalidArgument, ErrorReason::InvalidPageToken, message).status()
}

/// The system gave no randomness to seal a page token with.
pub fn no_randomness() -> Status {
    internal("the system has no randomness to give")
}

/// The store failed. Logged here, once; the caller gets a fixed sentence.
pub fn store(error: &store::Error) -> Status {
    match error {
        store::Error::Busy | store::Error::Unavailable(_) => {
            tracing::warn!(error = %error, cause = cause(error), "the store cannot be used");
            Problem::new(Code::Unavailable, ErrorReason::StoreUnavailable, "the store cannot be used now")
                .retry_after(STORE_RETRY)
                .status()
        }
        store::Error::Full => {
            tracing::error!(error = %error, "the store's disk is full");
            Problem::new(Code::ResourceExhausted, ErrorReason::StoreFull, "the store's disk is full")
                .retry_after(FULL_RETRY)
                .status()
        }
        store::Error::Backstop(rule) => {
            tracing::error!(rule = %rule, "the database refused what the guard let through");
            internal("the database refused the change")
        }
        store::Error::Corrupt(_) | store::Error::Failed(_) => {
            tracing::error!(error = %error, cause = cause(error), "the store failed");
            internal("an internal error; the server's log has more")
        }
    }
}

fn cause(error: &store::Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

fn internal(message: &str) -> Status {
    Problem::new(Code::Internal, ErrorReason::Internal, message).status()
}

fn not_allowed(denied: &Denied) -> Status {
    Problem::new(Code::PermissionDenied, ErrorReason::CallerNotAllowed, denied.to_string())
        .with("permission", denied.permission)
        .status()
}

fn account_not_found(missing: &AccountNotFound) -> Status {
    let name = account_name(&missing.0);
    Problem::new(Code::NotFound, ErrorReason::PartnerAccountNotFound, format!("there is no {name}"))
        .with("partnerAccount", name)
        .status()
}

fn customer_not_found(account: PartnerAccountId, id: CustomerId) -> Status {
    let name = CustomerName { account, id };
    Problem::new(Code::NotFound, ErrorReason::CustomerNotFound, format!("there is no {name}"))
        .with("customer", name)
        .status()
}

fn stale(account: PartnerAccountId, id: CustomerId) -> Status {
    let name = CustomerName { account, id };
    let message = format!("{name} changed since its etag was read; read it again");
    Problem::new(Code::Aborted, ErrorReason::StaleEtag, message).with("customer", name).status()
}
