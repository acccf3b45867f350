//! Creates a customer of the platform's own.

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::create::{self, CustomerDraft};
use crate::domain::customer::Customer;
use crate::domain::ids::PartnerAccountId;
use crate::domain::text::FieldProblem;
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::store::{self, Store};

/// What to create.
#[derive(Debug)]
pub struct CreateCustomer {
    /// Where.
    pub account: PartnerAccountId,
    /// What.
    pub draft: CustomerDraft,
    /// Whether it is to be stored.
    pub mode: WriteMode,
}

/// Whether a write is to happen or only to be answered as if it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// Write.
    Write,
    /// Answer as the write would, and write nothing.
    ValidateOnly,
}

/// Why nothing was created.
#[derive(Debug, thiserror::Error)]
pub enum CreateCustomerError {
    /// The caller may not write there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// Values that cannot be stored, all of them.
    #[error("the customer has {} problems", .0.len())]
    Invalid(Vec<FieldProblem>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Creates a customer.
pub async fn create_customer(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    request: CreateCustomer,
) -> Result<Customer, CreateCustomerError> {
    let CreateCustomer { account, draft, mode } = request;
    caller.may(Action::WriteCustomers, &account)?;
    accounts.find(&account)?;
    store
        .write("create_customer", async |tx| {
            let admitted = create::admit(&account, draft, tx.now()).map_err(CreateCustomerError::Invalid)?;
            match mode {
                WriteMode::Write => Ok(tx.save_new(admitted, &caller.subject).await?),
                WriteMode::ValidateOnly => Ok(admitted.customer().clone()),
            }
        })
        .await
}
