//! When a Microsoft relationship counts as ended: evidence, never absence alone (R9).

use crate::domain::customer::{Customer, Relationship, SyncState};
use crate::domain::field::Field;
use crate::domain::observation::ObservationMark;

/// What has been gathered about one customer that seems gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemovalEvidence {
    /// Complete list runs in a row that lacked the customer.
    pub missing_runs: u32,
    /// The audit log holds a `remove_partner_customer_relationship` of it since it was last listed.
    pub removal_recorded: bool,
    /// A direct question was answered with 404/1000, 404/60003 or 403/20002 after it was last seen.
    pub said_gone: bool,
}

impl RemovalEvidence {
    /// Whether the evidence is complete: the audit record stands for one of the two list runs.
    pub fn is_complete(self) -> bool {
        let recorded = if self.removal_recorded || planted!("one-list-ends") { 1 } else { 0 };
        // At least one complete list must lack the customer, whatever the audit log says.
        self.said_gone && self.missing_runs >= 1 && self.missing_runs + recorded >= 2
    }
}

/// Proof that a relationship may be ended, held, or let stay. Only [`end`], [`hold`] and [`stay`] make one.
#[must_use = "a departure does nothing until it is saved"]
#[derive(Debug)]
pub struct Departure {
    after: Customer,
    changed: Vec<Field>,
}

impl Departure {
    /// The record as it is to be; the revision is still the old one.
    pub const fn after(&self) -> &Customer {
        &self.after
    }

    /// What differs.
    pub fn changed(&self) -> &[Field] {
        &self.changed
    }
}

/// Ends the relationship of a customer whose evidence is complete; `mark` is the answer that said it is gone.
pub fn end(customer: &Customer, evidence: RemovalEvidence, mark: ObservationMark) -> Option<Departure> {
    let mut after = customer.clone();
    let link = after.microsoft.as_mut()?;
    if !evidence.is_complete() || link.relationship == Relationship::Ended || link.paused.is_some() {
        return None;
    }
    link.relationship = Relationship::Ended;
    link.sync_state = SyncState::Ended;
    link.mark = link.mark.max(mark);
    Some(Departure { after, changed: vec![Field::Relationship] })
}

/// Holds the removal of a customer whose evidence is complete for an operator to decide.
pub fn hold(customer: &Customer, evidence: RemovalEvidence) -> Option<Departure> {
    let mut after = customer.clone();
    let link = after.microsoft.as_mut()?;
    let held = matches!(link.sync_state, SyncState::HeldForRemoval | SyncState::Ended);
    if !evidence.is_complete() || held || link.paused.is_some() {
        return None;
    }
    link.sync_state = SyncState::HeldForRemoval;
    Some(Departure { after, changed: Vec::new() })
}

/// Takes a customer out of a hold: it stays.
pub fn stay(customer: &Customer) -> Option<Departure> {
    let mut after = customer.clone();
    let link = after.microsoft.as_mut()?;
    if link.sync_state != SyncState::HeldForRemoval {
        return None;
    }
    link.sync_state = SyncState::Synced;
    Some(Departure { after, changed: Vec::new() })
}

/// How many customers one run may end without asking anybody: max(3, 2 %) of the account's.
pub fn limit(active_customers: u64) -> u64 {
    (active_customers / 50).max(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_alone_is_never_enough() {
        for missing_runs in 0..10 {
            let evidence = RemovalEvidence { missing_runs, ..RemovalEvidence::default() };
            assert!(!evidence.is_complete(), "{missing_runs}");
        }
    }

    #[test]
    fn two_complete_lists_and_a_direct_answer_are_enough_and_an_audit_record_replaces_one_list() {
        let complete = |missing_runs, removal_recorded, said_gone| {
            RemovalEvidence { missing_runs, removal_recorded, said_gone }.is_complete()
        };
        assert!(complete(2, false, true));
        assert!(complete(1, true, true));
        assert!(!complete(1, false, true));
        assert!(!complete(0, true, true));
        assert!(!complete(2, true, false));
    }

    #[test]
    fn the_limit_is_three_or_two_in_a_hundred() {
        assert_eq!([0, 149, 150, 200, 10_000].map(limit), [3, 3, 3, 4, 200]);
    }
}
