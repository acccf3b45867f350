//! Deletes customers of the platform's own, and brings them back. A deleted customer is kept.

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::customer::Customer;
use crate::domain::deletion::{self, Verdict};
use crate::domain::ids::{CustomerId, PartnerAccountId, Version};
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::create_customer::WriteMode;
use crate::operations::once::{self, Once, Outcome, RequestIdReused};
use crate::store::{self, Store};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Delete it.
    Delete,
    /// Bring it back.
    Undelete,
}

/// What to delete or bring back.
#[derive(Debug)]
pub struct DeleteCustomer {
    /// Whose customer.
    pub account: PartnerAccountId,
    /// Which.
    pub id: CustomerId,
    /// The revision the caller has seen, if it says so.
    pub expected: Option<Version>,
    /// Which way.
    pub direction: Direction,
    /// Whether it is to be stored.
    pub mode: WriteMode,
}

/// Why nothing was deleted or brought back.
#[derive(Debug, thiserror::Error)]
pub enum DeleteCustomerError {
    /// The caller may not write there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// No such customer in it.
    #[error("there is no customer {1} in partner account {0}")]
    CustomerNotFound(PartnerAccountId, CustomerId),
    /// The customer is Microsoft's.
    #[error("customer {1} in partner account {0} is Microsoft's")]
    NotOurs(PartnerAccountId, CustomerId),
    /// A customer of Microsoft's has its domain by now.
    #[error("customer {1} in partner account {0} has that domain already")]
    Duplicate(PartnerAccountId, CustomerId),
    /// The record changed since the caller read it.
    #[error("customer {1} in partner account {0} changed since it was read")]
    Stale(PartnerAccountId, CustomerId),
    /// The request id belongs to another request.
    #[error(transparent)]
    RequestIdReused(#[from] RequestIdReused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Deletes a customer or brings it back.
pub async fn delete_customer(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    request: DeleteCustomer,
    once: Option<Once<'_, Customer>>,
) -> Result<Outcome<Customer>, DeleteCustomerError> {
    let DeleteCustomer { account, id, expected, direction, mode } = request;
    caller.may(Action::WriteCustomers, &account)?;
    accounts.find_in(store, &account).await??;
    store
        .write("delete_customer", async |tx| {
            if let Some(answer) = once::before::<_, DeleteCustomerError>(tx, once.as_ref()).await? {
                return Ok(Outcome::Before(answer));
            }
            let found = tx.customer_for_update(&account, id).await?;
            let customer = found.ok_or_else(|| DeleteCustomerError::CustomerNotFound(account.clone(), id))?;
            if expected.is_some_and(|expected| !expected.is(customer.revision, customer.updated_at)) {
                return Err(DeleteCustomerError::Stale(account.clone(), id));
            }
            if direction == Direction::Undelete && customer.deleted_at.is_some() {
                // Nobody comes back as the second record of an organization (R10).
                if let Some(there) = tx.microsoft_customer_of_domain(&account, &customer.domain).await? {
                    return Err(DeleteCustomerError::Duplicate(account.clone(), there));
                }
            }
            let verdict = match direction {
                Direction::Delete => deletion::delete(&customer, tx.now()),
                Direction::Undelete => deletion::undelete(&customer),
            };
            let after = match (verdict, mode) {
                (Verdict::NotOurs, _) => return Err(DeleteCustomerError::NotOurs(account.clone(), id)),
                (Verdict::AlreadySo, _) => customer,
                (Verdict::Do(deletion), WriteMode::ValidateOnly) => deletion.after().clone(),
                (Verdict::Do(deletion), WriteMode::Write) => tx.save_deletion(deletion, &caller.subject).await?,
            };
            if mode == WriteMode::Write {
                once::keep(tx, once.as_ref(), &after).await?;
            }
            Ok(Outcome::Now(after))
        })
        .await
}
