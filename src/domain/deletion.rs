//! Deleting and bringing back customers of the platform's own. Customers of Microsoft's are never deleted here: there is
//! no way around the guard by deleting and creating again (R6).

use crate::clock::Timestamp;
use crate::domain::customer::{Customer, Source};

/// Proof that a customer may be deleted or brought back. Only [`delete`] and [`undelete`] make one.
#[must_use = "a deletion does nothing until it is saved"]
#[derive(Debug)]
pub struct Deletion(Box<Customer>);

impl Deletion {
    /// The record as it is to be; the revision is still the old one.
    pub const fn after(&self) -> &Customer {
        &self.0
    }
}

/// What there is to do.
#[derive(Debug)]
pub enum Verdict {
    /// This.
    Do(Deletion),
    /// Nothing: it is so already.
    AlreadySo,
    /// Partner Center has the customer, or had it.
    NotOurs,
}

/// Deletes a customer of the platform's own.
pub fn delete(customer: &Customer, now: Timestamp) -> Verdict {
    match (customer.source(), customer.deleted_at) {
        (Source::Microsoft, _) => Verdict::NotOurs,
        (Source::Platform, Some(_)) => Verdict::AlreadySo,
        (Source::Platform, None) => {
            Verdict::Do(Deletion(Box::new(Customer { deleted_at: Some(now), ..customer.clone() })))
        }
    }
}

/// Brings a deleted customer back.
pub fn undelete(customer: &Customer) -> Verdict {
    match customer.deleted_at {
        None => Verdict::AlreadySo,
        Some(_) => Verdict::Do(Deletion(Box::new(Customer { deleted_at: None, ..customer.clone() }))),
    }
}
