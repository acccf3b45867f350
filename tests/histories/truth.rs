//! What is known from outside: about each customer in Partner Center, what it ever was and what the service was told of it;
//! about each record, what callers were told is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use customer_guard::clock::Timestamp;
use customer_guard::domain::contact::{ContactField, ContactRole};
use customer_guard::domain::customer::{Customer, Relationship};
use customer_guard::domain::ids::CustomerId;
use customer_guard::domain::text::tidy;
use customer_guard::simulator::customer::Customer as Upstream;
use uuid::Uuid;

/// How the newest change of a customer can be known before the night.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The audit log, the list or an event tells.
    Signalled,
    /// A caller asked after it.
    Refreshed,
    /// Not at all.
    Silent,
}

/// What Partner Center shows of a customer, as the service is to show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Face(pub [(&'static str, String); 7]);

impl Face {
    /// In Partner Center.
    pub fn there(customer: &Upstream) -> Self {
        let profile = &customer.billing_profile;
        let address = profile.default_address.clone().unwrap_or_default();
        let text = |text: &Option<String>| tidy(text.as_deref().unwrap_or_default());
        let named = if profile.first_name.is_some() { &profile.first_name } else { &address.first_name };
        Self([
            ("e-mail", text(&profile.email)),
            ("first name", text(named)),
            ("city", text(&address.city)),
            ("phone", text(&address.phone_number)),
            ("company name", tidy(customer.listed_name())),
            ("tenant name", tidy(&customer.tenant_name)),
            ("domain", tidy(&customer.domain)),
        ])
    }

    /// Here.
    pub fn here(customer: &Customer) -> Self {
        let primary = |member| customer.contact(ContactRole::Primary, member).to_owned();
        let tenant_name = customer.microsoft.as_ref().map(|link| link.tenant_name.clone());
        Self([
            ("e-mail", primary(ContactField::Email)),
            ("first name", primary(ContactField::FirstName)),
            ("city", primary(ContactField::City)),
            ("phone", primary(ContactField::PhoneNumber)),
            ("company name", customer.company_name.clone()),
            ("tenant name", tenant_name.unwrap_or_default()),
            ("domain", customer.domain.clone()),
        ])
    }
}

/// One customer in Partner Center, as the history made it.
#[derive(Clone, Debug)]
pub struct Known {
    /// Everything it ever was in Partner Center, oldest first.
    pub faces: Vec<Face>,
    /// The place in `faces` of the newest one that was seen here.
    pub newest_seen: usize,
    /// How its newest change can be known.
    pub heard: Heard,
    /// When it left for the first time.
    pub first_left_at: Option<Timestamp>,
    /// Whether the audit log ever told that it left.
    pub leave_recorded: bool,
    /// Since when it is there; `None` while it is not.
    pub there_since: Option<Timestamp>,
    /// Whether its detail is wrong until things are mended.
    pub is_spoilt: bool,
    /// Whether that was so at some time since it was signalled.
    pub was_spoilt: bool,
    /// How many false answers were over when it was signalled.
    pub false_before: u32,
    /// While it is paused: what its record shows, and how its relationship stood.
    pub paused: Option<(Face, Option<Relationship>)>,
}

/// What a caller can write of a record, as it is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub company_name: String,
    pub domain: String,
    pub contacts: [String; 30],
}

impl Written {
    pub fn of(customer: &Customer) -> Self {
        let mut members = [ContactRole::Primary, ContactRole::Billing]
            .into_iter()
            .flat_map(|role| ContactField::ALL.map(|member| customer.contact(role, member).to_owned()));
        let contacts = std::array::from_fn(|_| members.next().expect("two contacts of fifteen members"));
        Self { company_name: customer.company_name.clone(), domain: customer.domain.clone(), contacts }
    }
}

/// One record that callers have written or the platform owns.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The label a caller gave it last.
    pub label: Option<String>,
    /// The note a caller gave it last.
    pub note: String,
    /// Everything a caller can write, while Partner Center does not.
    pub written: Option<Written>,
    /// As `written` was before it was linked.
    pub former: Option<Written>,
}

/// A customer of the platform's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Own {
    pub is_deleted: bool,
    /// Whose record it is meanwhile.
    pub linked: Option<Uuid>,
}

/// Everybody, in the order they came.
#[derive(Debug, Default)]
pub struct Truth {
    pub everybody: Vec<Uuid>,
    pub known: BTreeMap<Uuid, Known>,
    /// How many answers about a customer may have been false.
    pub false_details: u32,
    /// Every record that was ever seen, in the order they came.
    pub ids: Vec<CustomerId>,
    pub records: BTreeMap<CustomerId, Record>,
    pub own: BTreeMap<CustomerId, Own>,
    /// Records of the audit log about what took longer than a day.
    pub slow_records: BTreeSet<String>,
    /// Whom an operator told apart.
    pub told_apart: BTreeSet<(Uuid, CustomerId)>,
    /// By how much our clock went back, all in all.
    pub went_back: Duration,
}

impl Truth {
    /// Whether our clock went back at some time.
    pub fn clock_went_back(&self) -> bool {
        !self.went_back.is_zero()
    }

    pub fn arrived(&mut self, customer: &Upstream, now: Timestamp, heard: Heard) {
        self.everybody.push(customer.id);
        let known = Known {
            faces: vec![Face::there(customer)],
            newest_seen: 0,
            heard,
            first_left_at: None,
            leave_recorded: false,
            there_since: Some(now),
            is_spoilt: false,
            was_spoilt: false,
            false_before: self.false_details,
            paused: None,
        };
        self.known.insert(customer.id, known);
    }

    pub fn of(&mut self, tenant: Uuid) -> &mut Known {
        self.known.get_mut(&tenant).expect("a customer of this history")
    }

    /// Something told of everything that has happened to that customer; `pending` answers may still be false.
    pub fn signalled(&mut self, tenant: Uuid, pending: u32) {
        let over = self.false_details.saturating_sub(pending);
        let Some(known) = self.known.get_mut(&tenant) else { return };
        known.heard = Heard::Signalled;
        known.was_spoilt = known.is_spoilt;
        known.false_before = over;
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

    /// One of the records.
    pub fn record(&self, who: usize) -> Option<CustomerId> {
        (!self.ids.is_empty()).then(|| self.ids[who % self.ids.len()])
    }

    /// One of the platform's own that is as wished.
    pub fn own_one(&self, who: usize, fits: impl Fn(&Own) -> bool) -> Option<CustomerId> {
        let fitting: Vec<_> = self.own.iter().filter(|(_, own)| fits(own)).map(|(id, _)| *id).collect();
        (!fitting.is_empty()).then(|| fitting[who % fitting.len()])
    }

    /// The platform's own that a newcomer looks like, and that nobody told apart from it.
    pub fn alike(&self, tenant: Uuid) -> Vec<CustomerId> {
        let domain = self.known[&tenant].faces.last().map(|face| face.0[6].1.to_lowercase()).unwrap_or_default();
        let is_alike = |(id, own): &(&CustomerId, &Own)| {
            let written = self.records[*id].written.as_ref();
            !own.is_deleted
                && own.linked.is_none()
                && written.is_some_and(|written| written.domain == domain)
                && !self.told_apart.contains(&(tenant, **id))
        };
        self.own.iter().filter(is_alike).map(|(id, _)| *id).collect()
    }
}

/// Whether a customer is Partner Center's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    There,
    Gone,
}
