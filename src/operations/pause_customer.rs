//! Pauses the synchronization of one customer, and resumes it.

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::customer::Customer;
use crate::domain::ids::{CustomerId, PartnerAccountId};
use crate::domain::pause::{self, PauseReason, Verdict};
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::once::{self, Once, Outcome, RequestIdReused};
use crate::store::{self, Store};

/// Which way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Pause it, for that reason.
    Pause(PauseReason),
    /// End its pause.
    Resume,
}

/// Why nothing was paused or resumed.
#[derive(Debug, thiserror::Error)]
pub enum PauseCustomerError {
    /// The caller may not do this there.
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
    /// Nothing of it is synchronized any more.
    #[error("the relationship of customer {1} in partner account {0} has ended")]
    Ended(PartnerAccountId, CustomerId),
    /// The request id belongs to another request.
    #[error(transparent)]
    RequestIdReused(#[from] RequestIdReused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Pauses or resumes a customer, and returns it as it is then.
pub async fn pause_customer(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
    id: CustomerId,
    wanted: Wanted,
    once: Option<Once<'_, Customer>>,
) -> Result<Outcome<Customer>, PauseCustomerError> {
    caller.may(Action::RunSync, account)?;
    accounts.find_in(store, account).await??;
    store
        .write("pause_customer", async |tx| {
            if let Some(answer) = once::before::<_, PauseCustomerError>(tx, once.as_ref()).await? {
                return Ok(Outcome::Before(answer));
            }
            let found = tx.customer_for_update(account, id).await?;
            let customer = found.ok_or_else(|| PauseCustomerError::CustomerNotFound(account.clone(), id))?;
            let verdict = match &wanted {
                Wanted::Pause(reason) => pause::pause(&customer, &caller.subject, reason.clone(), tx.now()),
                Wanted::Resume => pause::resume(&customer),
            };
            let after = match verdict {
                Verdict::Do(change) => tx.save_pause(&change, &caller.subject).await?,
                Verdict::AlreadySo => customer,
                Verdict::NotMicrosoft => return Err(PauseCustomerError::NotMicrosoft(account.clone(), id)),
                Verdict::Ended => return Err(PauseCustomerError::Ended(account.clone(), id)),
            };
            once::keep(tx, once.as_ref(), &after).await?;
            Ok(Outcome::Now(after))
        })
        .await
}
