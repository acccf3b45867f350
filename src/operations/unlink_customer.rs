//! Undoes a link: the customer is the platform's again, with the values it had before.
//!
//! As linking does, it shows contacts to whoever decides.

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::customer::Customer;
use crate::domain::ids::{CustomerId, PartnerAccountId, Version};
use crate::domain::link;
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::create_customer::WriteMode;
use crate::operations::once::{self, Once, Outcome, RequestIdReused};
use crate::store::{self, Store};

/// What to unlink.
#[derive(Debug)]
pub struct UnlinkCustomer {
    /// Whose customer.
    pub account: PartnerAccountId,
    /// Which.
    pub id: CustomerId,
    /// The revision the caller has seen, if it says so.
    pub expected: Option<Version>,
    /// Whether it is to be stored.
    pub mode: WriteMode,
}

/// Why nothing was unlinked.
#[derive(Debug, thiserror::Error)]
pub enum UnlinkCustomerError {
    /// The caller may not decide there.
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
    /// The customer is not linked.
    #[error("customer {1} in partner account {0} is not linked")]
    NotLinked(PartnerAccountId, CustomerId),
    /// The former values are no longer kept.
    #[error("customer {1} in partner account {0} was linked too long ago")]
    Expired(PartnerAccountId, CustomerId),
    /// The request id belongs to another request.
    #[error(transparent)]
    RequestIdReused(#[from] RequestIdReused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Unlinks a customer.
pub async fn unlink_customer(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    request: UnlinkCustomer,
    once: Option<Once<'_, Customer>>,
) -> Result<Outcome<Customer>, UnlinkCustomerError> {
    let UnlinkCustomer { account, id, expected, mode } = request;
    caller.may(Action::RunSync, &account)?;
    caller.may(Action::ReadCustomers, &account)?;
    accounts.find_in(store, &account).await??;
    store
        .write("unlink_customer", async |tx| {
            if let Some(answer) = once::before::<_, UnlinkCustomerError>(tx, once.as_ref()).await? {
                return Ok(Outcome::Before(answer));
            }
            let found = tx.customer_for_update(&account, id).await?;
            let customer = found.ok_or_else(|| UnlinkCustomerError::CustomerNotFound(account.clone(), id))?;
            if expected.is_some_and(|expected| !expected.is(customer.revision, customer.updated_at)) {
                return Err(UnlinkCustomerError::Stale(account.clone(), id));
            }
            let standing = tx.standing_link(&account, id).await?;
            let standing = standing.ok_or_else(|| UnlinkCustomerError::NotLinked(account.clone(), id))?;
            let unlinked = link::unlink(&customer, &standing, tx.now());
            let unlinked = unlinked.map_err(|_| UnlinkCustomerError::Expired(account.clone(), id))?;
            match mode {
                WriteMode::ValidateOnly => Ok(Outcome::Now(tx.next_revision(unlinked.after()))),
                WriteMode::Write => {
                    let after = tx.save_unlink(&unlinked, &caller.subject).await?;
                    once::keep(tx, once.as_ref(), &after).await?;
                    Ok(Outcome::Now(after))
                }
            }
        })
        .await
}
