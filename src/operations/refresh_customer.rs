//! Asks Partner Center about one customer now.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::access::{Action, Caller, Denied};
use crate::domain::customer::Customer;
use crate::domain::ids::{CustomerId, PartnerAccountId};
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::look_now::{Look, NoLook, look_now};
use crate::store::{self, Store};

/// Why the customer was not refreshed.
#[derive(Debug, thiserror::Error)]
pub enum RefreshCustomerError {
    /// The caller may not read there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// No such customer in it.
    #[error("there is no customer {1} in partner account {0}")]
    CustomerNotFound(PartnerAccountId, CustomerId),
    /// The customer is the platform's own.
    #[error("customer {1} in partner account {0} is the platform's own")]
    NotMicrosoft(PartnerAccountId, CustomerId),
    /// The customer is paused.
    #[error("customer {1} in partner account {0} is paused")]
    Paused(PartnerAccountId, CustomerId),
    /// Partner Center gave no usable answer in time.
    #[error("partner center cannot be asked about partner account {account} now: {cause}")]
    SourceUnavailable {
        /// The account.
        account: PartnerAccountId,
        /// A stable name of what keeps us from asking, or a short description.
        cause: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Refreshes one customer and returns it as it is then.
pub async fn refresh_customer(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
    id: CustomerId,
    now: Timestamp,
) -> Result<Customer, RefreshCustomerError> {
    caller.may(Action::ReadCustomers, account)?;
    let served = accounts.find_in(store, account).await??;
    let not_found = || RefreshCustomerError::CustomerNotFound(account.clone(), id);
    let customer = store.customer(account, id).await?.ok_or_else(not_found)?;
    let link = customer.microsoft.ok_or_else(|| RefreshCustomerError::NotMicrosoft(account.clone(), id))?;
    match look_now(store, &served, link.tenant_id, Look::Anew, now).await {
        Ok(()) => store.customer(account, id).await?.ok_or_else(not_found),
        Err(NoLook::Unavailable { cause, retry_after }) => {
            Err(RefreshCustomerError::SourceUnavailable { account: account.clone(), cause, retry_after })
        }
        Err(NoLook::Paused) => Err(RefreshCustomerError::Paused(account.clone(), id)),
        Err(NoLook::Store(error)) => Err(error.into()),
    }
}
