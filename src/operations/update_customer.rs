//! Door one: a caller's edit, reviewed inside the transaction that saves it.

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::customer::Customer;
use crate::domain::edit::CustomerEdit;
use crate::domain::ids::{CustomerId, PartnerAccountId, Revision};
use crate::domain::review::{self, Refusal, Review};
use crate::domain::text::FieldProblem;
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::create_customer::WriteMode;
use crate::store::{self, Decision, Saved, Store};

/// What to change.
#[derive(Debug)]
pub struct UpdateCustomer {
    /// Whose customer.
    pub account: PartnerAccountId,
    /// Which.
    pub id: CustomerId,
    /// The revision the caller has seen, if it says so.
    pub expected: Option<Revision>,
    /// What it wants.
    pub edit: CustomerEdit,
    /// Whether it is to be stored.
    pub mode: WriteMode,
}

/// An edit that was turned down.
#[derive(Debug)]
pub struct RefusedEdit {
    /// The customer as it stays.
    pub customer: Customer,
    /// What was turned down and why.
    pub refusal: Refusal,
    /// The durable record; absent when nothing was to be written.
    pub decision: Option<Decision>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateCustomerError {
    /// The caller may not write there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// No such customer in it.
    #[error("there is no customer {1} in partner account {0}")]
    CustomerNotFound(PartnerAccountId, CustomerId),
    /// The record changed since the caller read it.
    #[error("customer {1} in partner account {0} changed since it was read")]
    Stale(PartnerAccountId, CustomerId),
    /// The edit would change what Partner Center owns.
    #[error("the edit would change fields that Partner Center owns")]
    Refused(Box<RefusedEdit>),
    /// Values that cannot be stored, all of them.
    #[error("the edit has {} problems", .0.len())]
    Invalid(Vec<FieldProblem>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

enum Outcome {
    Saved(Box<Customer>),
    Refused(Box<RefusedEdit>),
}

/// Changes a customer, or refuses to.
pub async fn update_customer(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    request: UpdateCustomer,
) -> Result<Customer, UpdateCustomerError> {
    let UpdateCustomer { account, id, expected, edit, mode } = request;
    caller.may(Action::WriteCustomers, &account)?;
    accounts.find(&account)?;
    let stale = || UpdateCustomerError::Stale(account.clone(), id);
    let outcome = store
        .write("update_customer", async |tx| {
            let found = tx.customer_for_update(&account, id).await?;
            let customer = found.ok_or_else(|| UpdateCustomerError::CustomerNotFound(account.clone(), id))?;
            if expected.is_some_and(|expected| expected != customer.revision) {
                return Err(stale());
            }
            match (review::review(&customer, &edit), mode) {
                (Review::Invalid(problems), _) => Err(UpdateCustomerError::Invalid(problems)),
                (Review::Allowed(allowed), WriteMode::ValidateOnly) => {
                    Ok(Outcome::Saved(Box::new(allowed.after().clone())))
                }
                (Review::Allowed(allowed), WriteMode::Write) => match tx.save_edit(allowed, &caller.subject).await? {
                    Saved::Now(saved) | Saved::Unchanged(saved) => Ok(Outcome::Saved(Box::new(saved))),
                    Saved::Stale => Err(stale()),
                },
                (Review::Refused(refusal), WriteMode::ValidateOnly) => {
                    Ok(Outcome::Refused(Box::new(RefusedEdit { customer, refusal, decision: None })))
                }
                // A refusal commits: its decision is durable.
                (Review::Refused(refusal), WriteMode::Write) => {
                    let decision = tx.save_decision(&customer, &caller.subject, &refusal).await?;
                    Ok(Outcome::Refused(Box::new(RefusedEdit { customer, refusal, decision: Some(decision) })))
                }
            }
        })
        .await?;
    match outcome {
        Outcome::Saved(customer) => Ok(*customer),
        Outcome::Refused(refused) => Err(UpdateCustomerError::Refused(refused)),
    }
}
