//! Returns customers page by page, by account and id.

use std::collections::BTreeSet;

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::customer::Customer;
use crate::domain::ids::PartnerAccountId;
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::store::{self, AfterCustomer, Store};

/// Whose customers are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parent {
    /// One account's.
    Account(PartnerAccountId),
    /// Those of every account the caller may read.
    Every,
}

/// One page.
#[derive(Debug)]
pub struct CustomerList {
    /// The customers.
    pub customers: Vec<Customer>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<AfterCustomer>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ListCustomersError {
    /// The caller may not read there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Returns up to `page_size` customers after `after`.
pub async fn list_customers(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    parent: &Parent,
    after: Option<&AfterCustomer>,
    page_size: u32,
) -> Result<CustomerList, ListCustomersError> {
    let accounts: BTreeSet<_> = match parent {
        Parent::Account(account) => {
            caller.may(Action::ReadCustomers, account)?;
            accounts.find(account)?;
            BTreeSet::from([account.clone()])
        }
        Parent::Every => {
            caller.may_somewhere(Action::ReadCustomers)?;
            let served = accounts.iter().map(|served| served.account.id.clone());
            served.filter(|account| caller.scope.contains(account)).collect()
        }
    };
    // One more than asked for tells whether there is another page.
    let mut customers = store.customers(&accounts, after, page_size.saturating_add(1)).await?;
    let wanted = usize::try_from(page_size).unwrap_or(usize::MAX);
    let next = if customers.len() > wanted {
        customers.truncate(wanted);
        customers.last().map(|last| AfterCustomer { account: last.account.clone(), id: last.id })
    } else {
        None
    };
    Ok(CustomerList { customers, next })
}
