//! Makes a platform customer the record of a customer in Partner Center (R10).
//!
//! What Partner Center says is asked now: nothing older becomes the customer's. Whoever is told of it sees contacts, so
//! that it takes the permission to read customers beside the one to decide.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::access::{Action, Caller, Denied};
use crate::domain::customer::Customer;
use crate::domain::field::Field;
use crate::domain::ids::{CustomerId, PartnerAccountId, TenantId, Version};
use crate::domain::link::{self, CannotLink};
use crate::domain::observation::Observation;
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::create_customer::WriteMode;
use crate::operations::once::{self, Once, Outcome, RequestIdReused};
use crate::operations::questions::{NoAnswer, Questions};
use crate::store::{self, Store, Tx};

/// How often Partner Center is asked again because a newer answer came in between.
const ASKED_MAX: u32 = 3;
/// When to ask again after that.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// When to ask again after the account's credentials were refused: somebody has to mend them first.
const ASK_BLOCKED_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What to link.
#[derive(Clone, Debug)]
pub struct LinkCustomer {
    /// Whose customer.
    pub account: PartnerAccountId,
    /// Which.
    pub id: CustomerId,
    /// The customer in Partner Center.
    pub tenant: TenantId,
    /// The revision the caller has seen, if it says so.
    pub expected: Option<Version>,
    /// Whether it is to be stored.
    pub mode: WriteMode,
}

/// What linking does, or would do.
#[derive(Clone, Debug)]
pub struct LinkedCustomer {
    /// The customer as it was.
    pub before: Customer,
    /// The customer as it is then.
    pub after: Customer,
    /// The fields that only Partner Center can change from then on.
    pub locked: Vec<Field>,
    /// Of those, the ones that had another value.
    pub replaced: Vec<Field>,
    /// Until when it can be undone.
    pub reversible_until: Timestamp,
}

/// Why nothing was linked.
#[derive(Debug, thiserror::Error)]
pub enum LinkCustomerError {
    /// The caller may not decide there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// No such customer in it.
    #[error("there is no customer {1} in partner account {0}")]
    CustomerNotFound(PartnerAccountId, CustomerId),
    /// The customer is Microsoft's already.
    #[error("customer {1} in partner account {0} is Microsoft's already")]
    NotPlatform(PartnerAccountId, CustomerId),
    /// The customer is deleted.
    #[error("customer {1} in partner account {0} is deleted")]
    CustomerDeleted(PartnerAccountId, CustomerId),
    /// The record changed since the caller read it.
    #[error("customer {1} in partner account {0} changed since it was read")]
    Stale(PartnerAccountId, CustomerId),
    /// The customer in Partner Center has a record already.
    #[error("customer {1} in partner account {0} is the record of that tenant already")]
    Duplicate(PartnerAccountId, CustomerId),
    /// Partner Center does not show the customer to the account, or not in a form that can be used.
    #[error("partner center does not show tenant {tenant} to partner account {account}: {answer}")]
    NotInPartnerCenter {
        /// The account.
        account: PartnerAccountId,
        /// The tenant.
        tenant: TenantId,
        /// The answer, as operators know it.
        answer: &'static str,
    },
    /// Partner Center cannot be asked.
    #[error("partner center cannot be asked about partner account {account} now: {cause}")]
    SourceUnavailable {
        /// The account.
        account: PartnerAccountId,
        /// A stable name, or a short description.
        cause: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The request id belongs to another request.
    #[error(transparent)]
    RequestIdReused(#[from] RequestIdReused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl LinkCustomer {
    fn cannot(&self, why: CannotLink) -> LinkCustomerError {
        let account = self.account.clone();
        match why {
            CannotLink::NotPlatform => LinkCustomerError::NotPlatform(account, self.id),
            CannotLink::Deleted => LinkCustomerError::CustomerDeleted(account, self.id),
            CannotLink::Gone(answer) => {
                LinkCustomerError::NotInPartnerCenter { account, tenant: self.tenant, answer: answer.code() }
            }
            CannotLink::Unusable => {
                LinkCustomerError::NotInPartnerCenter { account, tenant: self.tenant, answer: "UNUSABLE" }
            }
        }
    }

    fn unanswered(&self, why: NoAnswer) -> LinkCustomerError {
        let (cause, retry_after) = match why {
            NoAnswer::AccountBlocked { reason, .. } => (reason, ASK_BLOCKED_AGAIN_AFTER),
            NoAnswer::Unavailable { cause, retry_after } => (cause, retry_after),
        };
        LinkCustomerError::SourceUnavailable { account: self.account.clone(), cause, retry_after }
    }
}

/// Links a customer.
pub async fn link_customer(
    store: &Store,
    accounts: &Accounts,
    questions: &Questions,
    caller: &Caller,
    request: LinkCustomer,
    once: Option<Once<'_, LinkedCustomer>>,
) -> Result<Outcome<LinkedCustomer>, LinkCustomerError> {
    caller.may(Action::RunSync, &request.account)?;
    caller.may(Action::ReadCustomers, &request.account)?;
    accounts.find_in(store, &request.account).await??;
    // First what needs no question: a repeated request gets its answer also when Partner Center is away.
    let before = store
        .write("look_before_linking", async |tx| {
            let answer = once::before::<_, LinkCustomerError>(tx, once.as_ref()).await?;
            if answer.is_none() {
                linkable(tx, &request).await?;
            }
            Ok::<_, LinkCustomerError>(answer)
        })
        .await?;
    if let Some(answer) = before {
        return Ok(Outcome::Before(answer));
    }
    for _ in 0..ASKED_MAX {
        let asked = questions.customer(&request.account, request.tenant).await;
        let observation = asked.map_err(|why| request.unanswered(why))?;
        let outcome = store
            .write("link_customer", async |tx| {
                if let Some(answer) = once::before::<_, LinkCustomerError>(tx, once.as_ref()).await? {
                    return Ok(Some(Outcome::Before(answer)));
                }
                let customer = linkable(tx, &request).await?;
                if tx.has_newer_answer(&request.account, &observation).await? {
                    return Ok(None);
                }
                let linked = decide(tx, caller, &request, &customer, &observation).await?;
                if request.mode == WriteMode::Write {
                    once::keep(tx, once.as_ref(), &linked).await?;
                }
                Ok::<_, LinkCustomerError>(Some(Outcome::Now(linked)))
            })
            .await?;
        if let Some(outcome) = outcome {
            return Ok(outcome);
        }
    }
    let cause = "NEWER_ANSWER_MEANWHILE".to_owned();
    Err(LinkCustomerError::SourceUnavailable { account: request.account, cause, retry_after: ASK_AGAIN_AFTER })
}

/// The customer, if it may be linked as far as the store knows.
async fn linkable(tx: &mut Tx, request: &LinkCustomer) -> Result<Customer, LinkCustomerError> {
    let LinkCustomer { account, id, tenant, expected, .. } = request;
    let found = tx.customer_for_update(account, *id).await?;
    let customer = found.ok_or_else(|| LinkCustomerError::CustomerNotFound(account.clone(), *id))?;
    if expected.is_some_and(|expected| !expected.is(customer.revision, customer.updated_at)) {
        return Err(LinkCustomerError::Stale(account.clone(), *id));
    }
    link::linkable(&customer).map_err(|why| request.cannot(why))?;
    match tx.customer_of_tenant_for_update(account, *tenant).await? {
        Some(there) => Err(LinkCustomerError::Duplicate(account.clone(), there.id)),
        None => Ok(customer),
    }
}

async fn decide(
    tx: &mut Tx,
    caller: &Caller,
    request: &LinkCustomer,
    customer: &Customer,
    observation: &Observation,
) -> Result<LinkedCustomer, LinkCustomerError> {
    let linked = link::link(customer, observation, tx.now()).map_err(|why| request.cannot(why))?;
    let after = match request.mode {
        WriteMode::ValidateOnly => tx.next_revision(linked.after()),
        WriteMode::Write => tx.save_link(&linked, &caller.subject).await?,
    };
    Ok(LinkedCustomer {
        before: customer.clone(),
        after,
        locked: linked.locked(),
        replaced: linked.replaced(),
        reversible_until: linked.reversible_until(),
    })
}

#[cfg(test)]
#[path = "link_customer_tests.rs"]
mod tests;
