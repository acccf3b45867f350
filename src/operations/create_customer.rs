//! Creates a customer of the platform's own, unless Microsoft's customer of the same domain is there already, and tells
//! which customers it may be a second record of (R10).

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::create::{self, CustomerDraft};
use crate::domain::customer::Customer;
use crate::domain::ids::{CustomerId, PartnerAccountId};
use crate::domain::likeness::Candidate;
use crate::domain::text::FieldProblem;
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::once::{self, Once, Outcome, RequestIdReused};
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

/// A new customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedCustomer {
    /// The customer.
    pub customer: Customer,
    /// The ones it may be a second record of.
    pub candidates: Vec<Candidate>,
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
    /// A customer of Microsoft's has the domain.
    #[error("customer {1} in partner account {0} has that domain already")]
    Duplicate(PartnerAccountId, CustomerId),
    /// The request id belongs to another request.
    #[error(transparent)]
    RequestIdReused(#[from] RequestIdReused),
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
    once: Option<Once<'_, CreatedCustomer>>,
) -> Result<Outcome<CreatedCustomer>, CreateCustomerError> {
    let CreateCustomer { account, draft, mode } = request;
    caller.may(Action::WriteCustomers, &account)?;
    accounts.find_in(store, &account).await??;
    store
        .write("create_customer", async |tx| {
            if let Some(answer) = once::before::<_, CreateCustomerError>(tx, once.as_ref()).await? {
                return Ok(Outcome::Before(answer));
            }
            let admitted = create::admit(&account, draft, tx.now()).map_err(CreateCustomerError::Invalid)?;
            let domain = &admitted.customer().domain;
            if let Some(there) = tx.microsoft_customer_of_domain(&account, domain).await? {
                return Err(CreateCustomerError::Duplicate(account.clone(), there));
            }
            let candidates = tx.duplicate_candidates(admitted.customer()).await?;
            match mode {
                WriteMode::ValidateOnly => {
                    let customer = admitted.customer().clone();
                    Ok(Outcome::Now(CreatedCustomer { customer, candidates }))
                }
                WriteMode::Write => {
                    let customer = tx.save_new(admitted, &caller.subject).await?;
                    let created = CreatedCustomer { customer, candidates };
                    once::keep(tx, once.as_ref(), &created).await?;
                    Ok(Outcome::Now(created))
                }
            }
        })
        .await
}
