//! Holds: a set of removals that waits for an operator, named after whom it holds (R9).

use std::fmt;
use std::str::FromStr;

use crate::clock::Timestamp;
use crate::domain::ids::{CustomerId, MalformedId, TenantId};
use crate::domain::observation::ObservationMark;
use crate::domain::removal::{self, RemovalEvidence};
use crate::domain::short_hash::ShortHash;

/// Which set: the hash over whom it holds. Another set has another id, so that nobody approves what they have not seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HoldId(ShortHash);

impl HoldId {
    /// The id of the set of these tenants, in whatever order they come.
    fn of(tenants: impl IntoIterator<Item = TenantId>) -> Self {
        let mut tenants: Vec<_> = tenants.into_iter().collect();
        tenants.sort_unstable();
        Self(ShortHash::of(tenants.iter().map(|tenant| *tenant.uuid().as_bytes())))
    }
}

impl fmt::Display for HoldId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

impl fmt::Debug for HoldId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for HoldId {
    type Err = MalformedId;

    /// 32 hexadecimal digits in lower case.
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        text.parse().map(Self).map_err(|_| MalformedId("hold"))
    }
}

/// One customer whose removal waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldCustomer {
    /// The customer.
    pub id: CustomerId,
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Its company name.
    pub company_name: String,
    /// What speaks for its removal.
    pub evidence: RemovalEvidence,
    /// What Partner Center answered when it was asked for directly; empty when it has not been asked since.
    pub gone_answer: String,
    /// The newest answer about it.
    pub mark: ObservationMark,
    /// Since when it waits.
    pub since: Timestamp,
}

/// A set of removals that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// Whom it holds: somebody.
    pub customers: Vec<HeldCustomer>,
    /// The active customers of the account, these among them.
    pub active_customers: u64,
}

impl Hold {
    /// The hold of an account, if anybody waits. A customer whose evidence is no longer complete does not: it is on its way
    /// back, and the run that looks at it says so.
    pub fn of(held: Vec<HeldCustomer>, active_customers: u64) -> Option<Self> {
        let customers: Vec<_> = held.into_iter().filter(|held| held.evidence.is_complete()).collect();
        if customers.is_empty() {
            return None;
        }
        let id = HoldId::of(customers.iter().map(|held| held.tenant_id));
        Some(Self { id, customers, active_customers })
    }

    /// Since when the first of them waits.
    pub fn since(&self) -> Option<Timestamp> {
        self.customers.iter().map(|held| held.since).min()
    }

    /// How many customers one run would have ended without asking.
    pub fn limit(&self) -> u64 {
        removal::limit(self.active_customers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Epoch, Ticket};

    fn tenant(number: u32) -> TenantId {
        format!("{number:08x}-aaaa-4bbb-8ccc-0123456789ab").parse().expect("a well-formed id")
    }

    fn held(number: u32, missing_runs: u32) -> HeldCustomer {
        HeldCustomer {
            id: "0198c0de-7000-7000-8000-000000000001".parse().expect("a well-formed id"),
            tenant_id: tenant(number),
            company_name: String::new(),
            evidence: RemovalEvidence { missing_runs, removal_recorded: false, said_gone: true },
            gone_answer: "404/1000".to_owned(),
            mark: ObservationMark { epoch: Epoch(1), ticket: Ticket(1) },
            since: Timestamp::from_micros(i64::from(number)),
        }
    }

    #[test]
    fn a_set_has_one_id_in_whatever_order_and_another_set_has_another() {
        let id = |numbers: &[u32]| HoldId::of(numbers.iter().map(|number| tenant(*number)));
        assert_eq!(id(&[1, 2, 3]), id(&[3, 1, 2]));
        for other in [&[1, 2][..], &[1, 2, 3, 4], &[1, 2, 4], &[]] {
            assert_ne!(id(&[1, 2, 3]), id(other), "{other:?}");
        }
        assert_eq!(id(&[1]).to_string().len(), 32);
        assert_eq!(id(&[1]).to_string().parse(), Ok(id(&[1])));
    }

    #[test]
    fn what_is_not_32_small_hexadecimal_digits_is_no_id() {
        let digits = "0123456789abcdef0123456789abcdef";
        assert!(digits.parse::<HoldId>().is_ok());
        for wrong in ["", "0", &digits[1..], &digits.to_uppercase(), &digits.replace('0', "g"), &"é".repeat(16)] {
            assert!(wrong.parse::<HoldId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn whoever_lacks_evidence_does_not_wait_and_a_hold_of_nobody_is_none() {
        let hold = Hold::of(vec![held(3, 2), held(2, 0), held(4, 2)], 300).expect("two wait");
        assert_eq!(hold.id, HoldId::of([tenant(3), tenant(4)]));
        assert_eq!((hold.since(), hold.limit()), (Some(Timestamp::from_micros(3)), 6));
        assert_eq!(Hold::of(vec![held(2, 0)], 300), None);
    }
}
