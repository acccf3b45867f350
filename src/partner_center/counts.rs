//! Counts calls, for run statistics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::partner_center::error::Call;

/// Calls sent since the client was made, whatever came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Pages of the customer list.
    pub list: u64,
    /// Single customers.
    pub get: u64,
    /// Pages of audit records.
    pub audit: u64,
    /// Calls about the webhook registration.
    pub registration: u64,
    /// Pages of resellers and of their customers.
    pub resellers: u64,
    /// Access tokens.
    pub token: u64,
    /// Answers that told us to slow down.
    pub throttled: u64,
}

/// The counting.
#[derive(Debug, Default)]
pub(super) struct Counters {
    list: AtomicU64,
    get: AtomicU64,
    audit: AtomicU64,
    registration: AtomicU64,
    resellers: AtomicU64,
    token: AtomicU64,
    throttled: AtomicU64,
}

impl Counters {
    /// One more call was sent.
    pub(super) fn sent(&self, call: Call) {
        let counter = match call {
            Call::AccessToken => &self.token,
            Call::ListCustomers => &self.list,
            Call::GetCustomer => &self.get,
            Call::AuditRecords => &self.audit,
            Call::WebhookRegistration => &self.registration,
            Call::ListResellers | Call::ListResellerCustomers => &self.resellers,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// One more call was throttled.
    pub(super) fn throttled(&self) {
        self.throttled.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> CallCounts {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CallCounts {
            list: value(&self.list),
            get: value(&self.get),
            audit: value(&self.audit),
            registration: value(&self.registration),
            resellers: value(&self.resellers),
            token: value(&self.token),
            throttled: value(&self.throttled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_call_has_a_count_of_its_own() {
        let counters = Counters::default();
        let calls = [
            Call::AccessToken,
            Call::ListCustomers,
            Call::GetCustomer,
            Call::AuditRecords,
            Call::WebhookRegistration,
            Call::ListResellers,
        ];
        for call in calls {
            counters.sent(call);
        }
        counters.throttled();
        let once = CallCounts { list: 1, get: 1, audit: 1, registration: 1, token: 1, throttled: 1, resellers: 1 };
        assert_eq!(counters.read(), once);
    }
}
