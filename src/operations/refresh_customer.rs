//! Asks Partner Center about one customer now. Marks it as the most urgent work and waits until it is done: the
//! same path as every other look, so there is no second way in which a contact changes.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::access::{Action, Caller, Denied};
use crate::domain::customer::Customer;
use crate::domain::ids::{CustomerId, PartnerAccountId};
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::store::{self, Hindrance, Store};

/// How long a caller waits for Partner Center; below the ten seconds that many clients give a call.
const PATIENCE: Duration = Duration::from_secs(8);
/// When to try again if nothing better is known.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(30);

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
    accounts.find(account)?;
    if let Some(throttled) = throttled(account, &store.hindrance(account).await?, now) {
        return Err(throttled);
    }
    let not_found = || RefreshCustomerError::CustomerNotFound(account.clone(), id);
    let mut changes = store.sync_work_changes(account);
    let (tenant, wanted) = store
        .write("refresh_customer", async |tx| {
            let customer = tx.customer_for_update(account, id).await?.ok_or_else(not_found)?;
            let link = customer.microsoft.ok_or_else(|| RefreshCustomerError::NotMicrosoft(account.clone(), id))?;
            let progress = tx.mark_for_refresh(account, link.tenant_id).await?;
            Ok::<_, RefreshCustomerError>((link.tenant_id, progress))
        })
        .await?;
    let done = async {
        loop {
            changes.borrow_and_update();
            let progress = store.work_progress(account, tenant).await?;
            if progress.settled >= wanted.marked {
                return store.customer(account, id).await?.ok_or_else(not_found);
            }
            if progress.attempts > wanted.attempts {
                return Err(unavailable(account, progress.problem));
            }
            if let Some(throttled) = throttled(account, &store.hindrance(account).await?, now) {
                return Err(throttled);
            }
            if changes.changed().await.is_err() {
                return Err(unavailable(account, None));
            }
        }
    };
    // Real time on purpose: it is a caller that waits.
    match tokio::time::timeout(PATIENCE, done).await {
        Ok(refreshed) => refreshed,
        Err(_) => {
            let problem = store.hindrance(account).await?.problem;
            Err(unavailable(account, problem.map(|problem| problem.reason)))
        }
    }
}

/// Nobody needs to wait while Partner Center wants no calls: they are told how long that will be.
fn throttled(account: &PartnerAccountId, hindrance: &Hindrance, now: Timestamp) -> Option<RefreshCustomerError> {
    let until = hindrance.throttled_until.filter(|until| *until > now)?;
    let cause = "THROTTLED".to_owned();
    Some(RefreshCustomerError::SourceUnavailable { account: account.clone(), cause, retry_after: until.since(now) })
}

fn unavailable(account: &PartnerAccountId, cause: Option<String>) -> RefreshCustomerError {
    RefreshCustomerError::SourceUnavailable {
        account: account.clone(),
        cause: cause.unwrap_or_else(|| "NO_ANSWER_IN_TIME".to_owned()),
        retry_after: TRY_AGAIN_AFTER,
    }
}
