//! The one table from what happened to what a caller is told. Exhaustive: a new error must be decided here.

mod accounts;
mod explain;
mod holds;
pub mod links;
mod pauses;
pub mod watch;

pub use accounts::{
    accept_credentials, create_partner_account, partner_account, rotate_webhook_secret, set_credentials,
    update_partner_account,
};

use std::time::Duration;

use tonic::{Code, Status};

use crate::domain::access::Denied;
use crate::domain::ids::{CustomerId, PartnerAccountId};
use crate::grpc::details::{Problem, invalid};
use crate::grpc::names::{CustomerName, account_name, decision_name, sync_run_name};
use crate::grpc::proto::ErrorReason;
use crate::operations::accounts::AccountNotFound;
use crate::operations::create_customer::CreateCustomerError;
use crate::operations::decisions::DecisionError;
use crate::operations::delete_customer::DeleteCustomerError;
use crate::operations::get_customer::GetCustomerError;
use crate::operations::list_customers::ListCustomersError;
use crate::operations::lookup_customer::LookupError;
use crate::operations::refresh_customer::RefreshCustomerError;
use crate::operations::start_sync::StartSyncError;
use crate::operations::sync_runs::SyncRunError;
use crate::operations::update_customer::UpdateCustomerError;
use crate::store;

pub use explain::explain_customer;
pub use holds::hold;
pub use pauses::pause_customer;

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
        GetCustomerError::StalenessNotMet { customer, cause, retry_after } => {
            let name = CustomerName { account: customer.account.clone(), id: customer.id };
            let message = format!("{name} cannot be made as fresh as was asked for: {cause}");
            let verified_at = customer.microsoft.map(|link| link.verified_at.to_string());
            Problem::new(Code::Unavailable, ErrorReason::StalenessNotMet, message)
                .with("customer", name)
                .with("cause", cause)
                .with("verifiedAt", verified_at.unwrap_or_default())
                .retry_after(retry_after)
                .status()
        }
        GetCustomerError::RevisionNotReached(customer) => {
            let name = CustomerName { account: customer.account.clone(), id: customer.id };
            let message = format!("{name} is at revision {} and has not reached the one asked for", customer.revision);
            Problem::new(Code::Unavailable, ErrorReason::RevisionNotReached, message)
                .with("customer", name)
                .with("revision", customer.revision)
                .retry_after(STORE_RETRY)
                .status()
        }
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
        CreateCustomerError::Duplicate(account, id) => duplicate(account, id),
        CreateCustomerError::RequestIdReused(_) => request_id_reused(),
        CreateCustomerError::Store(error) => store(&error),
    }
}

/// `UpdateCustomer`. A refusal is no error of the operation; see `refusal`.
pub fn update_customer(error: UpdateCustomerError) -> Status {
    match error {
        UpdateCustomerError::Denied(denied) => not_allowed(&denied),
        UpdateCustomerError::AccountNotFound(missing) => account_not_found(&missing),
        UpdateCustomerError::CustomerNotFound(account, id) => customer_not_found(account, id),
        UpdateCustomerError::CustomerDeleted(account, id) => {
            let name = CustomerName { account, id };
            let message = format!("{name} is deleted; bring it back to change it");
            Problem::new(Code::FailedPrecondition, ErrorReason::CustomerDeleted, message)
                .with("customer", name)
                .status()
        }
        UpdateCustomerError::Duplicate(account, id) => duplicate(account, id),
        UpdateCustomerError::Stale(account, id) => stale(account, id),
        UpdateCustomerError::Invalid(problems) => invalid(&problems),
        UpdateCustomerError::RequestIdReused(_) => request_id_reused(),
        UpdateCustomerError::Store(error) => store(&error),
    }
}

/// `DeleteCustomer`, `UndeleteCustomer`.
pub fn delete_customer(error: DeleteCustomerError) -> Status {
    match error {
        DeleteCustomerError::Denied(denied) => not_allowed(&denied),
        DeleteCustomerError::AccountNotFound(missing) => account_not_found(&missing),
        DeleteCustomerError::CustomerNotFound(account, id) => customer_not_found(account, id),
        DeleteCustomerError::NotOurs(account, id) => {
            let name = CustomerName { account, id };
            let message = format!("{name} comes from Microsoft: its relationship ends in Partner Center");
            Problem::new(Code::FailedPrecondition, ErrorReason::CustomerOwnedByPartnerCenter, message)
                .with("customer", name)
                .status()
        }
        DeleteCustomerError::Duplicate(account, id) => duplicate(account, id),
        DeleteCustomerError::Stale(account, id) => stale(account, id),
        DeleteCustomerError::RequestIdReused(_) => request_id_reused(),
        DeleteCustomerError::Store(error) => store(&error),
    }
}

/// `LookupCustomer`, `BatchGetCustomers`.
pub fn lookup(error: LookupError) -> Status {
    match error {
        LookupError::Denied(denied) => not_allowed(&denied),
        LookupError::AccountNotFound(missing) => account_not_found(&missing),
        LookupError::NotFound(account) => {
            let message = format!("no customer in {} has that key", account_name(&account));
            Problem::new(Code::NotFound, ErrorReason::CustomerNotFound, message)
                .with("partnerAccount", account_name(&account))
                .status()
        }
        LookupError::Ambiguous(account, ids) => {
            let name = |id: &CustomerId| CustomerName { account: account.clone(), id: *id }.to_string();
            let names = ids.iter().map(name).collect::<Vec<_>>().join(" ");
            let message = format!("several customers in {} have that key", account_name(&account));
            Problem::new(Code::FailedPrecondition, ErrorReason::AmbiguousLookup, message)
                .with("customers", names)
                .status()
        }
        LookupError::Store(error) => store(&error),
    }
}

/// `GetDecision`, `ListDecisions`.
pub fn decision(error: DecisionError) -> Status {
    match error {
        DecisionError::Denied(denied) => not_allowed(&denied),
        DecisionError::AccountNotFound(missing) => account_not_found(&missing),
        DecisionError::DecisionNotFound(account, id) => {
            let name = decision_name(&account, id);
            Problem::new(Code::NotFound, ErrorReason::DecisionNotFound, format!("there is no {name}"))
                .with("decision", name)
                .status()
        }
        DecisionError::Store(error) => store(&error),
    }
}

/// A request that did not come through the listener.
pub fn nobody() -> Status {
    tracing::error!("a request has no caller");
    internal("the request has no caller")
}

fn request_id_reused() -> Status {
    let message = "request_id was used for another request within the last 24 hours";
    Problem::new(Code::InvalidArgument, ErrorReason::RequestIdReused, message).status()
}

/// A kept answer that cannot be read back.
pub fn unreadable_answer() -> Status {
    tracing::error!("the kept answer of a repeated request cannot be read");
    internal("the answer to the first request cannot be read back")
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
        StartSyncError::RequestIdReused(_) => request_id_reused(),
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
            not_microsoft(account, id, "has nothing to be refreshed from")
        }
        RefreshCustomerError::Paused(account, id) => {
            let name = CustomerName { account, id };
            let message = format!("the synchronization of {name} is paused; resume it to have it refreshed");
            Problem::new(Code::FailedPrecondition, ErrorReason::CustomerPaused, message).with("customer", name).status()
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

/// A page token was told in a state that is lost.
pub fn store_restored() -> Status {
    let message = "the database was put back to an earlier state after the page token was told; begin the list anew";
    Problem::new(Code::FailedPrecondition, ErrorReason::StoreRestored, message).status()
}

/// The system gave no randomness to seal a page token with.
pub fn no_randomness() -> Status {
    internal("the system has no randomness to give")
}

/// The store failed. Logged here, once; the caller gets a fixed sentence.
pub fn store(error: &store::Error) -> Status {
    match error {
        store::Error::Busy | store::Error::Unavailable(_) | store::Error::LeaseLost => {
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

/// A stream whose task ended without a word.
pub fn broken_stream() -> Status {
    tracing::error!("the task of a stream ended without a word");
    internal("an internal error; the server's log has more")
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

/// `consequence` is what follows from being the platform's own.
fn not_microsoft(account: PartnerAccountId, id: CustomerId, consequence: &str) -> Status {
    let name = CustomerName { account, id };
    let message = format!("{name} is the platform's own and {consequence}");
    Problem::new(Code::FailedPrecondition, ErrorReason::NotAMicrosoftCustomer, message).with("customer", name).status()
}

fn duplicate(account: PartnerAccountId, id: CustomerId) -> Status {
    let name = CustomerName { account, id };
    let message = format!("{name} comes from Microsoft and has that domain already");
    Problem::new(Code::AlreadyExists, ErrorReason::DuplicateCustomer, message).with("customer", name).status()
}

fn stale(account: PartnerAccountId, id: CustomerId) -> Status {
    let name = CustomerName { account, id };
    let message = format!("{name} changed since its etag was read; read it again");
    Problem::new(Code::Aborted, ErrorReason::StaleEtag, message).with("customer", name).status()
}
