//! Returns one customer as the store has it.

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::customer::Customer;
use crate::domain::ids::{CustomerId, PartnerAccountId};
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::store::{self, Store};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum GetCustomerError {
    /// The caller may not read there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// No such customer in it.
    #[error("there is no customer {1} in partner account {0}")]
    CustomerNotFound(PartnerAccountId, CustomerId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Returns one customer.
pub async fn get_customer(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
    id: CustomerId,
) -> Result<Customer, GetCustomerError> {
    caller.may(Action::ReadCustomers, account)?;
    accounts.find(account)?;
    let found = store.customer(account, id).await?;
    found.ok_or_else(|| GetCustomerError::CustomerNotFound(account.clone(), id))
}
