//! Tells who owns each field of a customer.

use crate::domain::access::{Action, Caller};
use crate::domain::customer::Customer;
use crate::domain::field::Field;
use crate::domain::ids::{CustomerId, PartnerAccountId};
use crate::domain::ownership::{Owner, Standing, owner};
use crate::domain::review::GuardRule;
use crate::operations::accounts::Accounts;
use crate::operations::get_customer::GetCustomerError;
use crate::store::Store;

/// One field and its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnedField {
    /// The field.
    pub field: Field,
    /// Who may write it.
    pub owner: Owner,
    /// The rule that takes it from the platform.
    pub rule: Option<GuardRule>,
}

/// Who owns the fields of a customer.
#[derive(Debug)]
pub struct FieldOwnership {
    /// The customer.
    pub customer: Customer,
    /// Every field that somebody owns.
    pub fields: Vec<OwnedField>,
}

/// Tells who owns each field of a customer.
pub async fn get_field_ownership(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
    id: CustomerId,
) -> Result<FieldOwnership, GetCustomerError> {
    caller.may(Action::ReadCustomers, account)?;
    accounts.find_in(store, account).await??;
    let found = store.customer(account, id).await?;
    let customer = found.ok_or_else(|| GetCustomerError::CustomerNotFound(account.clone(), id))?;
    let standing = Standing::of(customer.source(), customer.relationship());
    let fields = Field::all().map(|field| owned(standing, field)).collect();
    Ok(FieldOwnership { customer, fields })
}

const fn owned(standing: Standing, field: Field) -> OwnedField {
    let owner = owner(standing, field);
    let rule = match owner {
        Owner::Platform => None,
        Owner::PartnerCenter => Some(GuardRule::of(field)),
    };
    OwnedField { field, owner, rule }
}
