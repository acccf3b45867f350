//! What a caller asks to change: a list of wishes, one per leaf field.
//!
//! Whatever mask a caller used (`*`, nothing, a whole message, a nested path), it arrives here as leaves,
//! so that nothing can hide inside a message.

use std::collections::BTreeMap;

use crate::domain::contact::{Contact, ContactField, ContactRole};
use crate::domain::customer::{CustomerStatus, Source};
use crate::domain::field::Field;

/// One leaf a caller names, with the value it wants there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A member of a contact; empty clears it.
    Contact(ContactRole, ContactField, String),
    /// The billing contact is to follow the primary contact (R7).
    BillingMirrorsPrimary,
    /// The organization's name.
    CompanyName(String),
    /// The organization's domain; empty clears it.
    Domain(String),
    /// Where the customer comes from. Nobody can choose it (R6).
    Source(Source),
    /// The tenant's name. Nobody on the platform can change it.
    TenantName(String),
    /// The tenant id. Nobody on the platform can change it.
    MicrosoftTenantId(String),
    /// The relationship. Nobody on the platform can change it.
    Relationship(WishedRelationship),
    /// The tenants of the resellers that serve it. Nobody on the platform can change them.
    Resellers(Vec<String>),
    /// A caller's own key; empty clears it.
    ExternalReference(String),
    /// All labels at once.
    Labels(BTreeMap<String, String>),
    /// One label; `None` removes it.
    Label(String, Option<String>),
    /// A caller's own words; empty clears them.
    Note(String),
    /// Whether the customer may be served.
    Status(CustomerStatus),
}

/// A relationship as a caller may name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WishedRelationship {
    /// The relationship lives.
    Active,
    /// The relationship ended.
    Ended,
    /// There is no relationship.
    None,
}

impl Wish {
    /// The owned field this wish is about, if it is about exactly one.
    pub const fn field(&self) -> Option<Field> {
        match self {
            Self::Contact(role, member, _) => Some(Field::Contact(*role, *member)),
            Self::BillingMirrorsPrimary | Self::Source(_) => None,
            Self::CompanyName(_) => Some(Field::CompanyName),
            Self::Domain(_) => Some(Field::Domain),
            Self::TenantName(_) => Some(Field::TenantName),
            Self::MicrosoftTenantId(_) => Some(Field::MicrosoftTenantId),
            Self::Relationship(_) => Some(Field::Relationship),
            Self::Resellers(_) => Some(Field::Resellers),
            Self::ExternalReference(_) => Some(Field::ExternalReference),
            Self::Labels(_) | Self::Label(..) => Some(Field::Labels),
            Self::Note(_) => Some(Field::Note),
            Self::Status(_) => Some(Field::Status),
        }
    }
}

/// Everything one request wants to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerEdit {
    /// The leaves, in the order they were named.
    pub wishes: Vec<Wish>,
}

impl CustomerEdit {
    /// Adds a wish.
    pub fn wish(&mut self, wish: Wish) {
        self.wishes.push(wish);
    }

    /// Wishes every member of a contact to be as in `contact`, absent ones absent.
    pub fn replace_contact(&mut self, role: ContactRole, contact: &Contact) {
        for field in ContactField::ALL {
            self.wish(Wish::Contact(role, field, contact.get(field).to_owned()));
        }
    }
}
