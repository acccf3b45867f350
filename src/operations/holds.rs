//! Shows the removals that wait for an operator, and ends or keeps exactly the set that the operator has seen.

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::hold::{Hold, HoldId};
use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::domain::removal;
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::once::{self, Once, Outcome, RequestIdReused};
use crate::store::{self, Store};

/// What an operator decides about a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Its customers end.
    Approve,
    /// Its customers stay.
    Dismiss,
}

/// Why nothing was shown or decided.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The caller may not do this there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// No removal waits.
    #[error("no removal waits in partner account {account}")]
    HoldNotFound {
        /// The account.
        account: PartnerAccountId,
        /// The hold that was meant.
        wanted: HoldId,
    },
    /// Other customers wait.
    #[error("other customers wait in partner account {account} now")]
    HoldChanged {
        /// The account.
        account: PartnerAccountId,
        /// The hold that waits now.
        present: HoldId,
    },
    /// The request id belongs to another request.
    #[error(transparent)]
    RequestIdReused(#[from] RequestIdReused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The removals of an account that wait.
pub async fn list_holds(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
) -> Result<Option<Hold>, HoldError> {
    caller.may(Action::ReadSync, account)?;
    accounts.find_in(store, account).await??;
    Ok(store.hold(account).await?)
}

/// Decides about a hold, and returns it as it was: all of it or, when it is not the one that was seen, nothing.
pub async fn decide_hold(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
    wanted: HoldId,
    ruling: Ruling,
    once: Option<Once<'_, Hold>>,
) -> Result<Outcome<Hold>, HoldError> {
    caller.may(Action::RunSync, account)?;
    accounts.find_in(store, account).await??;
    store
        .write("decide_hold", async |tx| {
            if let Some(answer) = once::before::<_, HoldError>(tx, once.as_ref()).await? {
                return Ok(Outcome::Before(answer));
            }
            let hold = tx.hold(account).await?;
            let hold = hold.ok_or_else(|| HoldError::HoldNotFound { account: account.clone(), wanted })?;
            if hold.id != wanted && !planted!("hold-approves-another-set") {
                return Err(HoldError::HoldChanged { account: account.clone(), present: hold.id });
            }
            for held in &hold.customers {
                let customer = tx.customer_of_tenant_for_update(account, held.tenant_id).await?;
                let departure = customer.as_ref().and_then(|customer| match ruling {
                    Ruling::Approve => removal::end(customer, held.evidence, held.mark),
                    Ruling::Dismiss => removal::stay(customer),
                });
                // Read in this transaction as held, with complete evidence.
                let lost = || store::Error::Corrupt(format!("held customer {} cannot be decided about", held.id));
                tx.save_departure(&departure.ok_or_else(lost)?, Some(&caller.subject), None).await?;
            }
            if ruling == Ruling::Dismiss {
                let tenants: Vec<TenantId> = hold.customers.iter().map(|held| held.tenant_id).collect();
                tx.dismiss_removals(account, &tenants).await?;
            }
            once::keep(tx, once.as_ref(), &hold).await?;
            Ok(Outcome::Now(hold))
        })
        .await
}
