//! Returns one customer: as the store has it, or as fresh as the caller asks for.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::access::{Action, Caller, Denied};
use crate::domain::customer::{Customer, Relationship};
use crate::domain::ids::{CustomerId, PartnerAccountId, Revision, TenantId};
use crate::operations::accounts::{AccountNotFound, Accounts, ServedAccount};
use crate::operations::look_now::{Look, NoLook, look_now};
use crate::store::{self, Store};

/// Which customer is wanted, and how fresh and new it must be.
#[derive(Debug)]
pub struct GetCustomer {
    /// Whose customer.
    pub account: PartnerAccountId,
    /// Which.
    pub id: CustomerId,
    /// How long ago its last verification may be.
    pub max_staleness: Option<Duration>,
    /// Whether an older one is better than none.
    pub allow_stale: bool,
    /// The revision it must have reached.
    pub min_revision: Option<Revision>,
}

/// The customer.
#[derive(Debug)]
pub struct FoundCustomer {
    /// As it is.
    pub customer: Customer,
    /// Whether it could not be made as fresh as was asked for.
    pub too_old: bool,
}

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
    /// It could not be made as fresh as was asked for.
    #[error("customer {} in partner account {} cannot be made that fresh: {cause}", .customer.id, .customer.account)]
    StalenessNotMet {
        /// As it is.
        customer: Box<Customer>,
        /// A stable name of what keeps us from asking, or a short description.
        cause: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// It has not reached the revision that was asked for.
    #[error("customer {} in partner account {} is at revision {}", .0.id, .0.account, .0.revision)]
    RevisionNotReached(Box<Customer>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Returns one customer.
pub async fn get_customer(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    wanted: &GetCustomer,
    now: Timestamp,
) -> Result<FoundCustomer, GetCustomerError> {
    let GetCustomer { account, id, max_staleness, allow_stale, min_revision } = wanted;
    caller.may(Action::ReadCustomers, account)?;
    let served = accounts.find_in(store, account).await??;
    let customer = present(store, account, *id).await?;
    let found = match max_staleness {
        Some(most) => as_fresh_as(store, &served, customer, *most, now).await,
        None => Ok(customer),
    };
    let found = match found {
        Err(GetCustomerError::StalenessNotMet { customer, .. }) if *allow_stale => {
            FoundCustomer { customer: *customer, too_old: true }
        }
        // Nobody could even be asked to look: the store takes no writes now.
        Err(GetCustomerError::Store(error)) if *allow_stale && error.passes() => {
            FoundCustomer { customer: present(store, account, *id).await?, too_old: true }
        }
        other => FoundCustomer { customer: other?, too_old: false },
    };
    // Every read sees every commit, so a revision that is not there yet will not come by waiting.
    if min_revision.is_some_and(|least| found.customer.revision < least) {
        return Err(GetCustomerError::RevisionNotReached(Box::new(found.customer)));
    }
    Ok(found)
}

async fn present(store: &Store, account: &PartnerAccountId, id: CustomerId) -> Result<Customer, GetCustomerError> {
    let found = store.customer(account, id).await?;
    found.ok_or_else(|| GetCustomerError::CustomerNotFound(account.clone(), id))
}

/// The customer, verified no longer ago than `most`; Partner Center is asked if need be.
async fn as_fresh_as(
    store: &Store,
    served: &ServedAccount,
    customer: Customer,
    most: Duration,
    now: Timestamp,
) -> Result<Customer, GetCustomerError> {
    let oldest = now.minus(most);
    let Some(tenant) = too_old(&customer, oldest) else { return Ok(customer) };
    // Whoever takes no age at all wants a question that is sent after the call.
    let look = if most.is_zero() { Look::Anew } else { Look::Shared };
    let (cause, retry_after) = match look_now(store, served, tenant, look, now).await {
        Ok(()) => {
            let looked_at = present(store, &customer.account, customer.id).await?;
            if too_old(&looked_at, oldest).is_none() {
                return Ok(looked_at);
            }
            // Partner Center answered, and its answer could not be applied.
            let progress = store.work_progress(&customer.account, tenant).await?;
            (progress.problem.unwrap_or_else(|| "GONE_IN_PARTNER_CENTER".to_owned()), RETRY_UNUSABLE_AFTER)
        }
        Err(NoLook::Unavailable { cause, retry_after }) => (cause, retry_after),
        Err(NoLook::Paused) => ("CUSTOMER_PAUSED".to_owned(), RETRY_UNUSABLE_AFTER),
        Err(NoLook::Store(error)) => return Err(error.into()),
    };
    let customer = Box::new(present(store, &customer.account, customer.id).await?);
    Err(GetCustomerError::StalenessNotMet { customer, cause, retry_after })
}

/// When to ask again for a record that Partner Center gives and that cannot be applied.
const RETRY_UNUSABLE_AFTER: Duration = Duration::from_secs(300);

/// The tenant to ask about, when the customer was verified before `oldest`. What nobody verifies is never too old.
fn too_old(customer: &Customer, oldest: Timestamp) -> Option<TenantId> {
    let link = customer.microsoft.as_ref()?;
    let old = link.relationship == Relationship::Active && link.verified_at < oldest;
    old.then_some(link.tenant_id)
}
