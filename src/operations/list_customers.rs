//! Returns customers page by page: all or those that fulfil a filter, by account and id or in another order.

use std::collections::BTreeSet;

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::customer::Customer;
use crate::domain::filter::Filter;
use crate::domain::ids::PartnerAccountId;
use crate::domain::order::{Order, Position};
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::store::{self, CustomerQuery, Deleted, Store};

/// Whose customers are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parent {
    /// One account's.
    Account(PartnerAccountId),
    /// Those of every account the caller may read.
    Every,
}

/// Which customers are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListCustomers {
    /// Whose.
    pub parent: Parent,
    /// Those that fulfil it.
    pub filter: Filter,
    /// Their order.
    pub order: Order,
    /// Whether deleted ones are among them.
    pub deleted: Deleted,
}

/// One page.
#[derive(Debug)]
pub struct CustomerList {
    /// The customers.
    pub customers: Vec<Customer>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<Position>,
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

/// The accounts below a parent whose customers the caller may read.
pub(super) fn readable<E: From<Denied> + From<AccountNotFound>>(
    parent: &Parent,
    accounts: &Accounts,
    caller: &Caller,
) -> Result<BTreeSet<PartnerAccountId>, E> {
    match parent {
        Parent::Account(account) => {
            caller.may(Action::ReadCustomers, account)?;
            accounts.find(account)?;
            Ok(BTreeSet::from([account.clone()]))
        }
        Parent::Every => {
            caller.may_somewhere(Action::ReadCustomers)?;
            let served = accounts.all().into_iter().map(|served| served.account.id.clone());
            Ok(served.filter(|account| caller.scope.contains(account)).collect())
        }
    }
}

/// As [`readable`]; the store is asked about accounts that are not known here.
pub(super) async fn readable_in<E: From<Denied> + From<AccountNotFound> + From<store::Error>>(
    parent: &Parent,
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
) -> Result<BTreeSet<PartnerAccountId>, E> {
    match parent {
        Parent::Account(account) => {
            caller.may(Action::ReadCustomers, account)?;
            accounts.find_in(store, account).await??;
        }
        Parent::Every => {
            caller.may_somewhere(Action::ReadCustomers)?;
            accounts.all_in(store).await?;
        }
    }
    readable(parent, accounts, caller)
}

/// Returns up to `page_size` customers after `after`.
pub async fn list_customers(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    request: ListCustomers,
    after: Option<&Position>,
    page_size: u32,
) -> Result<CustomerList, ListCustomersError> {
    let ListCustomers { parent, filter, order, deleted } = request;
    let accounts = readable_in::<ListCustomersError>(&parent, store, accounts, caller).await?;
    let query = CustomerQuery { accounts, filter, order, deleted };
    // One more than asked for tells whether there is another page.
    let mut customers = store.find_customers(&query, after, page_size.saturating_add(1)).await?;
    let wanted = usize::try_from(page_size).unwrap_or(usize::MAX);
    let more = customers.len() > wanted;
    customers.truncate(wanted);
    let next = customers.last().filter(|_| more).map(|last| Position::of(last, &query.order));
    Ok(CustomerList { customers, next })
}
