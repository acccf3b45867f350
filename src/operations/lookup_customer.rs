//! Finds customers by their names, all at once, or one by another key.

use std::collections::BTreeMap;

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::customer::Customer;
use crate::domain::ids::{CustomerId, PartnerAccountId, TenantId};
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::store::{self, SharedKey, Store};

/// How many customers with the same key are named.
const NAMED: u32 = 5;

/// By what to find a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupKey {
    /// The Microsoft tenant id.
    TenantId(TenantId),
    /// The domain.
    Domain(String),
    /// The caller's own key.
    ExternalReference(String),
}

/// Why nothing was found.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The caller may not read there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// No customer has the key.
    #[error("no customer in partner account {0} has that key")]
    NotFound(PartnerAccountId),
    /// Several have it.
    #[error("several customers in partner account {0} have that key")]
    Ambiguous(PartnerAccountId, Vec<CustomerId>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Finds the one customer with that key.
pub async fn lookup_customer(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
    key: &LookupKey,
) -> Result<Customer, LookupError> {
    caller.may(Action::ReadCustomers, account)?;
    accounts.find_in(store, account).await??;
    let mut found = match key {
        LookupKey::TenantId(tenant) => store.customer_of_tenant(account, *tenant).await?.into_iter().collect(),
        LookupKey::Domain(domain) => {
            store.customers_sharing(account, SharedKey::Domain(&domain.to_lowercase()), NAMED).await?
        }
        LookupKey::ExternalReference(reference) => {
            store.customers_sharing(account, SharedKey::ExternalReference(reference), NAMED).await?
        }
    };
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(LookupError::NotFound(account.clone())),
        (Some(last), false) => {
            let ids = found.iter().map(|customer| customer.id).chain([last.id]).collect();
            Err(LookupError::Ambiguous(account.clone(), ids))
        }
    }
}

/// Returns several customers in the order they are named; `None` for one that does not exist.
pub async fn batch_get_customers(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    wanted: &[(PartnerAccountId, CustomerId)],
) -> Result<Vec<Option<Customer>>, LookupError> {
    let mut by_account: BTreeMap<&PartnerAccountId, Vec<CustomerId>> = BTreeMap::new();
    for (account, id) in wanted {
        by_account.entry(account).or_default().push(*id);
    }
    let mut found = BTreeMap::new();
    for (account, ids) in by_account {
        caller.may(Action::ReadCustomers, account)?;
        accounts.find_in(store, account).await??;
        found.insert(account, store.customers_by_id(account, &ids).await?);
    }
    let customer = |(account, id): &(PartnerAccountId, CustomerId)| found.get(account)?.get(id).cloned();
    Ok(wanted.iter().map(customer).collect())
}
