//! Door one: a caller's edit, reviewed inside the transaction that saves it.

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::customer::Customer;
use crate::domain::edit::CustomerEdit;
use crate::domain::ids::{CustomerId, DecisionId, PartnerAccountId, Version};
use crate::domain::review::{self, Refusal, Review};
use crate::domain::text::FieldProblem;
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::create_customer::WriteMode;
use crate::operations::once::{self, Once, Outcome, RequestIdReused};
use crate::store::{self, DecisionOutcome, Saved, Store, Tx};

/// What to change.
#[derive(Debug)]
pub struct UpdateCustomer {
    /// Whose customer.
    pub account: PartnerAccountId,
    /// Which.
    pub id: CustomerId,
    /// The revision the caller has seen, if it says so.
    pub expected: Option<Version>,
    /// What it wants.
    pub edit: CustomerEdit,
    /// Whether it is to be stored.
    pub mode: WriteMode,
}

/// What an edit comes to. Both are committed, and both are what a repetition of the request gets again.
#[derive(Debug)]
pub enum EditOutcome {
    /// The customer as it is now.
    Saved(Box<Customer>),
    /// What Partner Center owns was left as it is, and the rest was saved; the customer as it is now.
    Reported(Box<Customer>, Box<RefusedEdit>),
    /// The edit would change what Partner Center owns.
    Refused(Box<RefusedEdit>),
}

/// An edit that was turned down, or would have been.
#[derive(Debug)]
pub struct RefusedEdit {
    /// The customer as it stays.
    pub customer: Customer,
    /// What was turned down and why.
    pub refusal: Refusal,
    /// Its durable record; absent when nothing was to be written.
    pub decision: Option<DecisionId>,
}

/// Why nothing was decided.
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
    /// The customer is deleted.
    #[error("customer {1} in partner account {0} is deleted")]
    CustomerDeleted(PartnerAccountId, CustomerId),
    /// A customer of Microsoft's has the domain it is to have.
    #[error("customer {1} in partner account {0} has that domain already")]
    Duplicate(PartnerAccountId, CustomerId),
    /// The record changed since the caller read it.
    #[error("customer {1} in partner account {0} changed since it was read")]
    Stale(PartnerAccountId, CustomerId),
    /// Values that cannot be stored, all of them.
    #[error("the edit has {} problems", .0.len())]
    Invalid(Vec<FieldProblem>),
    /// The request id belongs to another request.
    #[error(transparent)]
    RequestIdReused(#[from] RequestIdReused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Changes a customer, or refuses to.
pub async fn update_customer(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    request: UpdateCustomer,
    once: Option<Once<'_, EditOutcome>>,
) -> Result<Outcome<EditOutcome>, UpdateCustomerError> {
    caller.may(Action::WriteCustomers, &request.account)?;
    accounts.find_in(store, &request.account).await??;
    store
        .write("update_customer", async |tx| {
            if let Some(answer) = once::before::<_, UpdateCustomerError>(tx, once.as_ref()).await? {
                return Ok(Outcome::Before(answer));
            }
            let outcome = decide(tx, caller, &request).await?;
            if request.mode == WriteMode::Write {
                once::keep(tx, once.as_ref(), &outcome).await?;
            }
            Ok(Outcome::Now(outcome))
        })
        .await
}

/// A domain that Microsoft has verified for another customer makes no second record, also not later (R10).
async fn domain_is_free(tx: &mut Tx, before: &Customer, after: &Customer) -> Result<(), UpdateCustomerError> {
    if after.domain == before.domain || after.microsoft.is_some() {
        return Ok(());
    }
    match tx.microsoft_customer_of_domain(&after.account, &after.domain).await? {
        Some(there) => Err(UpdateCustomerError::Duplicate(after.account.clone(), there)),
        None => Ok(()),
    }
}

/// Whether the customer was the platform's when the caller saw it and is Microsoft's by now. Whoever edits a contact then
/// is told whose it is, and not merely that the record has changed.
async fn has_become_microsofts(tx: &mut Tx, customer: &Customer, seen: Version) -> Result<bool, store::Error> {
    let link = match &customer.microsoft {
        Some(_) => tx.standing_link(&customer.account, customer.id).await?,
        None => None,
    };
    Ok(link.is_some_and(|link| seen.revision < link.since))
}

async fn decide(tx: &mut Tx, caller: &Caller, request: &UpdateCustomer) -> Result<EditOutcome, UpdateCustomerError> {
    let UpdateCustomer { account, id, expected, edit, mode } = request;
    let stale = || UpdateCustomerError::Stale(account.clone(), *id);
    let found = tx.customer_for_update(account, *id).await?;
    let customer = found.ok_or_else(|| UpdateCustomerError::CustomerNotFound(account.clone(), *id))?;
    let seen_before = expected.filter(|seen| !seen.is(customer.revision, customer.updated_at));
    let seen_before = seen_before.filter(|_| !planted!("etag-ignored"));
    if let Some(seen) = seen_before
        && !has_become_microsofts(tx, &customer, seen).await?
    {
        return Err(stale());
    }
    if customer.deleted_at.is_some() {
        return Err(UpdateCustomerError::CustomerDeleted(account.clone(), *id));
    }
    let review = review::review(&customer, edit, caller.enforcement);
    if seen_before.is_some() && !matches!(review, Review::Refused(_)) {
        return Err(stale());
    }
    if let Review::Allowed(allowed) | Review::Reported(allowed, _) = &review {
        domain_is_free(tx, &customer, allowed.after()).await?;
    }
    match (review, mode) {
        (Review::Invalid(problems), _) => Err(UpdateCustomerError::Invalid(problems)),
        (Review::Allowed(allowed), WriteMode::ValidateOnly) => {
            Ok(EditOutcome::Saved(Box::new(allowed.after().clone())))
        }
        (Review::Allowed(allowed), WriteMode::Write) => match tx.save_edit(allowed, &caller.subject).await? {
            Saved::Now(saved) | Saved::Unchanged(saved) => Ok(EditOutcome::Saved(Box::new(saved))),
            Saved::Stale => Err(stale()),
        },
        (Review::Refused(refusal), WriteMode::ValidateOnly) => {
            Ok(EditOutcome::Refused(Box::new(RefusedEdit { customer, refusal, decision: None })))
        }
        // A refusal commits: its decision is durable.
        (Review::Refused(refusal), WriteMode::Write) => {
            let decision = tx.save_decision(&customer, &caller.subject, &refusal, DecisionOutcome::Refused).await?;
            Ok(EditOutcome::Refused(Box::new(RefusedEdit { customer, refusal, decision: Some(decision.id) })))
        }
        (Review::Reported(rest, refusal), WriteMode::ValidateOnly) => {
            let after = Box::new(rest.after().clone());
            Ok(EditOutcome::Reported(after, Box::new(RefusedEdit { customer, refusal, decision: None })))
        }
        (Review::Reported(rest, refusal), WriteMode::Write) => match tx.save_edit(rest, &caller.subject).await? {
            Saved::Now(saved) | Saved::Unchanged(saved) => {
                let decision =
                    tx.save_decision(&customer, &caller.subject, &refusal, DecisionOutcome::Reported).await?;
                let reported = RefusedEdit { customer, refusal, decision: Some(decision.id) };
                Ok(EditOutcome::Reported(Box::new(saved), Box::new(reported)))
            }
            Saved::Stale => Err(stale()),
        },
    }
}
