//! What is known from outside about each customer: what it ever was, and what the service was told of it.

use std::collections::BTreeMap;

use customer_guard::clock::Timestamp;
use customer_guard::domain::text::tidy;
use customer_guard::simulator::customer::Customer;
use uuid::Uuid;

/// How the newest change of a customer can be known before the night.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The audit log or the list tells.
    Signalled,
    /// A caller asked after it.
    Refreshed,
    /// Not at all.
    Silent,
}

/// One customer, as the history made it.
#[derive(Clone, Debug)]
pub struct Known {
    /// Every e-mail address it ever had in Partner Center, oldest first.
    pub emails: Vec<String>,
    /// The place in `emails` of the newest one that was seen here.
    pub newest_seen: usize,
    /// How its newest change can be known.
    pub heard: Heard,
    /// When it left for the first time.
    pub first_left_at: Option<Timestamp>,
    /// Whether the audit log ever told that it left.
    pub leave_recorded: bool,
    /// Since when it is there; `None` while it is not.
    pub there_since: Option<Timestamp>,
    /// Whether its record could not be read for a while.
    pub was_unreadable: bool,
    /// The label a caller gave it last.
    pub label: Option<String>,
}

/// Everybody, in the order they came.
#[derive(Debug, Default)]
pub struct Truth {
    pub everybody: Vec<Uuid>,
    pub known: BTreeMap<Uuid, Known>,
    /// How many answers about a customer may have been false.
    pub false_details: u32,
}

impl Truth {
    pub fn arrived(&mut self, customer: &Customer, now: Timestamp, heard: Heard) {
        self.everybody.push(customer.id);
        let known = Known {
            emails: vec![email(customer)],
            newest_seen: 0,
            heard,
            first_left_at: None,
            leave_recorded: false,
            there_since: Some(now),
            was_unreadable: false,
            label: None,
        };
        self.known.insert(customer.id, known);
    }

    pub fn of(&mut self, tenant: Uuid) -> &mut Known {
        self.known.get_mut(&tenant).expect("a customer of this history")
    }

    /// One of those that are there, or of those that are not.
    pub fn one(&self, who: usize, there: Presence) -> Option<Uuid> {
        let fits = |tenant: &&Uuid| self.known[*tenant].there_since.is_some() == (there == Presence::There);
        let fitting: Vec<_> = self.everybody.iter().filter(fits).collect();
        (!fitting.is_empty()).then(|| *fitting[who % fitting.len()])
    }

    pub fn there(&self) -> usize {
        self.known.values().filter(|known| known.there_since.is_some()).count()
    }
}

/// Whether a customer is Partner Center's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    There,
    Gone,
}

/// The e-mail address as the service is to show it.
pub fn email(customer: &Customer) -> String {
    tidy(customer.billing_profile.email.as_deref().unwrap_or_default())
}
