//! The fields a filter or an order may name, and their values as a reader of the customer sees them.
//!
//! An absent text is empty. An absent choice is the empty word. Only a time can be absent for good.

use std::borrow::Cow;
use std::fmt;

use crate::clock::Timestamp;
use crate::domain::contact::{ContactField, ContactRole};
use crate::domain::customer::{Customer, CustomerStatus, Relationship, Source, SyncState, VisibleState};
use crate::domain::text;

/// A field whose values are texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextField {
    /// The organization's name.
    CompanyName,
    /// The tenant's name.
    TenantName,
    /// The organization's domain.
    Domain,
    /// The Microsoft tenant id, in lower case.
    MicrosoftTenantId,
    /// The relationship in Partner Center's own word.
    UpstreamRelationship,
    /// A member of a contact, as a reader sees it: a billing contact that mirrors shows the primary one.
    Contact(ContactRole, ContactField),
    /// A caller's own key.
    ExternalReference,
    /// A caller's own words.
    Note,
    /// The value of the label with that key.
    Label(String),
}

/// A field whose values are points in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeField {
    /// The last time Partner Center agreed; absent for platform customers.
    VerifiedAt,
    /// When the record was made.
    CreateTime,
    /// When it last changed.
    UpdateTime,
}

/// A field whose values are words of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChoiceField {
    /// Where the customer comes from.
    Source,
    /// Whether Partner Center has the customer.
    Relationship,
    /// Whether the customer may be served.
    Status,
    /// The state of its synchronization.
    SyncState,
}

/// A field as a filter names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    ResourceName,
    BillingMirrorsPrimary,
    Labels,
    Reseller,
    Text(TextField),
    Time(TimeField),
    Choice(ChoiceField),
}

/// A path that names no field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnknownField(pub String);

impl Named {
    /// The field of that path, given in its segments.
    pub(super) fn of_path(segments: &[&str]) -> Result<Self, UnknownField> {
        if let ["labels", key] = segments {
            return match text::check_label_key(key) {
                None => Ok(Self::Text(TextField::Label((*key).to_owned()))),
                Some(wrong) => Err(UnknownField(wrong)),
            };
        }
        let path = segments.join(".");
        let text = || TextField::of_path(&path).map(Self::Text);
        let time = || TimeField::ALL.into_iter().find(|field| field.path() == path).map(Self::Time);
        let choice = || ChoiceField::ALL.into_iter().find(|field| field.path() == path).map(Self::Choice);
        let other = || match path.as_str() {
            "name" => Some(Self::ResourceName),
            "billing_mirrors_primary" => Some(Self::BillingMirrorsPrimary),
            "labels" => Some(Self::Labels),
            "reseller" | "resellers" | "resellers.microsoft_tenant_id" => Some(Self::Reseller),
            _ => None,
        };
        let found = text().or_else(time).or_else(choice).or_else(other);
        found.ok_or_else(|| UnknownField("is no field that customers can be filtered by".to_owned()))
    }
}

impl TextField {
    /// Every text field but the labels, of which there is no end.
    pub fn all() -> impl Iterator<Item = Self> {
        let contact = |role| ContactField::ALL.into_iter().map(move |member| Self::Contact(role, member));
        let others = [
            Self::CompanyName,
            Self::TenantName,
            Self::Domain,
            Self::MicrosoftTenantId,
            Self::UpstreamRelationship,
            Self::ExternalReference,
            Self::Note,
        ];
        others.into_iter().chain(contact(ContactRole::Primary)).chain(contact(ContactRole::Billing))
    }

    fn of_path(path: &str) -> Option<Self> {
        Self::all().find(|field| field.to_string() == path)
    }

    /// The value as a reader sees it; empty when absent.
    pub fn value<'a>(&self, customer: &'a Customer) -> Cow<'a, str> {
        let link = customer.microsoft.as_ref();
        let value = match self {
            Self::CompanyName => &customer.company_name,
            Self::TenantName => link.map_or("", |link| &link.tenant_name),
            Self::Domain => &customer.domain,
            Self::MicrosoftTenantId => return link.map(|link| link.tenant_id.to_string()).unwrap_or_default().into(),
            Self::UpstreamRelationship => link.map_or("", |link| &link.upstream_relationship),
            Self::Contact(role, member) => customer.contact(*role, *member),
            Self::ExternalReference => &customer.external_reference,
            Self::Note => &customer.note,
            Self::Label(key) => customer.labels.get(key).map_or("", String::as_str),
        };
        Cow::Borrowed(value)
    }
}

impl fmt::Display for TextField {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CompanyName => out.write_str("company_name"),
            Self::TenantName => out.write_str("tenant_name"),
            Self::Domain => out.write_str("domain"),
            Self::MicrosoftTenantId => out.write_str("microsoft_tenant_id"),
            Self::UpstreamRelationship => out.write_str("upstream_relationship"),
            Self::Contact(role, member) => write!(out, "{role}.{}", member.path()),
            Self::ExternalReference => out.write_str("external_reference"),
            Self::Note => out.write_str("note"),
            Self::Label(key) => write!(out, "labels.{key}"),
        }
    }
}

impl TimeField {
    /// Every time.
    pub const ALL: [Self; 3] = [Self::VerifiedAt, Self::CreateTime, Self::UpdateTime];

    /// The field path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::VerifiedAt => "verified_at",
            Self::CreateTime => "create_time",
            Self::UpdateTime => "update_time",
        }
    }

    /// The value, if the customer has one.
    pub fn value(self, customer: &Customer) -> Option<Timestamp> {
        match self {
            Self::VerifiedAt => customer.microsoft.as_ref().map(|link| link.verified_at),
            Self::CreateTime => Some(customer.created_at),
            Self::UpdateTime => Some(customer.updated_at),
        }
    }
}

impl ChoiceField {
    /// Every enumeration.
    pub const ALL: [Self; 4] = [Self::Source, Self::Relationship, Self::Status, Self::SyncState];

    /// The field path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Relationship => "relationship",
            Self::Status => "status",
            Self::SyncState => "sync_state",
        }
    }

    /// Its words, as the API and the store spell them.
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Source => &["PLATFORM", "MICROSOFT"],
            Self::Relationship => &["ACTIVE", "ENDED"],
            Self::Status => &["ACTIVE", "BLOCKED"],
            Self::SyncState => &["SYNCED", "QUARANTINED", "HELD_FOR_REMOVAL", "ENDED", "PAUSED"],
        }
    }

    /// The prefix of its words in the API.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Source => "SOURCE_",
            Self::Relationship => "RELATIONSHIP_",
            Self::Status => "CUSTOMER_STATUS_",
            Self::SyncState => "SYNC_STATE_",
        }
    }

    /// The word a caller means, with or without its prefix; the empty one for `UNSPECIFIED`.
    pub(super) fn word(self, said: &str) -> Option<&'static str> {
        let bare = said.strip_prefix(self.prefix()).unwrap_or(said);
        if bare == UNSPECIFIED {
            return Some("");
        }
        self.words().iter().find(|word| **word == bare).copied()
    }

    /// The customer's word; empty when absent.
    pub fn value(self, customer: &Customer) -> &'static str {
        match self {
            Self::Source => match customer.source() {
                Source::Platform => "PLATFORM",
                Source::Microsoft => "MICROSOFT",
            },
            Self::Relationship => match customer.relationship() {
                Some(Relationship::Active) => "ACTIVE",
                Some(Relationship::Ended) => "ENDED",
                None => "",
            },
            Self::Status => match customer.status {
                CustomerStatus::Active => "ACTIVE",
                CustomerStatus::Blocked => "BLOCKED",
            },
            Self::SyncState => match customer.visible_state() {
                Some(VisibleState::Kept(SyncState::Synced)) => "SYNCED",
                Some(VisibleState::Kept(SyncState::Quarantined)) => "QUARANTINED",
                Some(VisibleState::Kept(SyncState::HeldForRemoval)) => "HELD_FOR_REMOVAL",
                Some(VisibleState::Kept(SyncState::Ended)) => "ENDED",
                Some(VisibleState::Paused) => "PAUSED",
                None => "",
            },
        }
    }
}

/// How the API spells the absent word of every enumeration.
pub(super) const UNSPECIFIED: &str = "UNSPECIFIED";
