//! What a sync should cost, and what it did.

use customer_guard::simulator::calls::Calls;

/// Customers on a page of the list.
const PAGE: u64 = 500;
/// Calls that may be open at a time.
pub const CONCURRENCY: u64 = 64;
/// Customers the service takes for each of them before it writes what it was told.
const BATCH_PER_SLOT: u64 = 4;

/// The calls that are planned and can be told apart while a sync runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    List,
    Get,
}

impl Route {
    pub fn of(self, calls: Calls) -> u64 {
        match self {
            Self::List => calls.list,
            Self::Get => calls.get,
        }
    }
}

/// So many pages and so many single customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub list: u64,
    pub get: u64,
}

impl Plan {
    /// A page for every 500 customers, and one question about each.
    pub const fn of_a_full_sync(customers: u64) -> Self {
        Self { list: customers.div_ceil(PAGE), get: customers }
    }

    /// What so many kills may add: each the page and the drain that were under way.
    pub const fn repeated_by(kills: u64) -> Self {
        Self { list: kills, get: kills * CONCURRENCY * BATCH_PER_SLOT }
    }

    /// What was called beyond the plan; a plan that was not even met is a failure.
    pub fn beyond(self, calls: Calls) -> Self {
        let beyond = |called: u64, planned: u64| {
            called.checked_sub(planned).unwrap_or_else(|| panic!("{calls:?} is less than {self:?}"))
        };
        Self { list: beyond(calls.list, self.list), get: beyond(calls.get, self.get) }
    }
}

/// The calls between two counts.
pub fn since(before: Calls, now: Calls) -> Calls {
    Calls {
        token: now.token - before.token,
        list: now.list - before.list,
        get: now.get - before.get,
        billing: now.billing - before.billing,
        audit: now.audit - before.audit,
        registration: now.registration - before.registration,
        registration_writes: now.registration_writes - before.registration_writes,
        resellers: now.resellers - before.resellers,
        reseller_customers: now.reseller_customers - before.reseller_customers,
        profile: now.profile - before.profile,
        other: now.other - before.other,
        throttled: now.throttled - before.throttled,
    }
}
