//! Pauses: an operator stops the synchronization of one customer for a while. The guard stays as it is.

use crate::clock::Timestamp;
use crate::domain::customer::{Customer, Relationship};
use crate::domain::text::{FieldProblem, check_text, tidy};

/// The longest reason, in characters.
const REASON_MAX: usize = 500;

/// Why a customer is paused: something on one line that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseReason(String);

impl PauseReason {
    /// A reason in a caller's words, tidied.
    pub fn new(said: &str) -> Result<Self, FieldProblem> {
        let reason = tidy(said);
        if reason.is_empty() {
            return Err(FieldProblem::new("reason", "is required: say why, for whoever wonders later"));
        }
        match check_text(&reason, REASON_MAX) {
            Some(wrong) => Err(FieldProblem::new("reason", wrong)),
            None => Ok(Self(reason)),
        }
    }

    /// A reason as it was stored.
    pub const fn stored(reason: String) -> Self {
        Self(reason)
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A pause of one customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Who paused it.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: PauseReason,
}

/// Proof that a pause may begin, change or end. Only [`pause`] and [`resume`] make one.
#[must_use = "a change of a pause does nothing until it is saved"]
#[derive(Debug)]
pub struct PauseChange(Box<Customer>);

impl PauseChange {
    /// The record as it is to be; the revision is still the old one.
    pub const fn after(&self) -> &Customer {
        &self.0
    }
}

/// What there is to do.
#[derive(Debug)]
pub enum Verdict {
    /// This.
    Do(PauseChange),
    /// Nothing: it is so already.
    AlreadySo,
    /// The customer is the platform's own.
    NotMicrosoft,
    /// The relationship ended: nothing of it is synchronized any more.
    Ended,
}

/// Pauses a customer. One that is paused stays paused since then and by the same caller; only the reason changes.
pub fn pause(customer: &Customer, by: &str, reason: PauseReason, now: Timestamp) -> Verdict {
    let mut after = customer.clone();
    let Some(link) = after.microsoft.as_mut() else { return Verdict::NotMicrosoft };
    match (link.relationship, link.paused.as_mut()) {
        (Relationship::Ended, _) => return Verdict::Ended,
        (Relationship::Active, Some(pause)) if pause.reason == reason => return Verdict::AlreadySo,
        (Relationship::Active, Some(pause)) => pause.reason = reason,
        (Relationship::Active, None) => link.paused = Some(Pause { by: by.to_owned(), since: now, reason }),
    }
    Verdict::Do(PauseChange(Box::new(after)))
}

/// Ends a pause.
pub fn resume(customer: &Customer) -> Verdict {
    let mut after = customer.clone();
    let Some(link) = after.microsoft.as_mut() else { return Verdict::NotMicrosoft };
    match link.paused.take() {
        Some(_) => Verdict::Do(PauseChange(Box::new(after))),
        None => Verdict::AlreadySo,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something_on_one_line_of_at_most_500_characters() {
        assert_eq!(PauseReason::new("  a dispute ").map(|reason| reason.0), Ok("a dispute".to_owned()));
        assert!(PauseReason::new(&"ē".repeat(500)).is_ok());
        for wrong in ["", "  \t", "two\nlines", &"x".repeat(501)] {
            assert_eq!(PauseReason::new(wrong).expect_err(wrong).field, "reason");
        }
    }
}
