//! A customer: the platform's record of an organization, always under one partner account.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::domain::contact::{Contact, ContactField, ContactRole};
use crate::domain::ids::{CustomerId, PartnerAccountId, Revision, TenantId};
use crate::domain::observation::ObservationMark;
use crate::domain::pause::Pause;
use crate::domain::reseller::Reseller;
use crate::domain::upstream_change::Provenance;

/// Where a customer comes from. No caller can choose or change it (R6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Made by a caller.
    Platform,
    /// Mirrors a Partner Center customer.
    Microsoft,
}

/// Whether Partner Center still has the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relationship {
    /// The partner has the customer in Partner Center.
    Active,
    /// The relationship ended, and the evidence for it is complete (R9).
    Ended,
}

/// What the platform does with a customer; the platform's own decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomerStatus {
    /// May be served.
    Active,
    /// Is not to be served.
    Blocked,
}

/// The state of a customer's synchronization as it is kept; a pause covers it, see [`VisibleState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncState {
    /// Level with the last observation.
    Synced,
    /// The last upstream record could not be applied; the last good values are kept.
    Quarantined,
    /// Gone upstream as far as we can tell, waiting for the removal to be decided.
    HeldForRemoval,
    /// The relationship ended.
    Ended,
}

/// The one state of a customer's synchronization that readers see (R12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisibleState {
    /// The state that is kept.
    Kept(SyncState),
    /// An operator has paused it; the state that is kept shows again afterwards.
    Paused,
}

/// The billing contact of a customer (R7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Billing {
    /// Follows the primary contact. Always so for Microsoft customers whose relationship is active.
    MirrorsPrimary,
    /// Its own contact, set on the platform.
    Own(Contact),
}

/// What a customer of Microsoft's has beside the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MicrosoftLink {
    /// The customer's tenant, and its id in Partner Center.
    pub tenant_id: TenantId,
    /// The name of the tenant (company profile), which may differ from the company name.
    pub tenant_name: String,
    /// Whether the relationship lives.
    pub relationship: Relationship,
    /// `relationshipToPartner` as Partner Center words it, kept as an open enumeration.
    pub upstream_relationship: String,
    /// The indirect resellers that serve it, by tenant; none where the partner sells directly.
    pub resellers: Vec<Reseller>,
    /// The state of its synchronization, under a pause if there is one.
    pub sync_state: SyncState,
    /// The pause of its synchronization, while there is one.
    pub paused: Option<Pause>,
    /// The last time an observation agreed with this record or was applied to it.
    pub verified_at: Timestamp,
    /// What asked for that look, and who made the change that was applied last.
    pub provenance: Provenance,
    /// The observation this record shows.
    pub mark: ObservationMark,
}

/// One customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// The platform's id.
    pub id: CustomerId,
    /// The partner account it belongs to.
    pub account: PartnerAccountId,
    /// Grows by one with every change.
    pub revision: Revision,
    /// The organization's name.
    pub company_name: String,
    /// The organization's domain.
    pub domain: String,
    /// Whom the platform writes to.
    pub primary_contact: Contact,
    /// Whom invoices go to.
    pub billing: Billing,
    /// A caller's own key.
    pub external_reference: String,
    /// A caller's own tags.
    pub labels: BTreeMap<String, String>,
    /// A caller's own words.
    pub note: String,
    /// Whether the customer may be served.
    pub status: CustomerStatus,
    /// Present for customers of Microsoft's.
    pub microsoft: Option<MicrosoftLink>,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was deleted; never set for customers of Microsoft's, which end instead.
    pub deleted_at: Option<Timestamp>,
}

impl Customer {
    /// Where the customer comes from.
    pub const fn source(&self) -> Source {
        if self.microsoft.is_some() { Source::Microsoft } else { Source::Platform }
    }

    /// The relationship, for customers of Microsoft's.
    pub fn relationship(&self) -> Option<Relationship> {
        self.microsoft.as_ref().map(|link| link.relationship)
    }

    /// The indirect resellers that serve it, by tenant.
    pub fn resellers(&self) -> &[Reseller] {
        self.microsoft.as_ref().map_or(&[], |link| &link.resellers)
    }

    /// The pause of its synchronization, while there is one.
    pub fn pause(&self) -> Option<&Pause> {
        self.microsoft.as_ref().and_then(|link| link.paused.as_ref())
    }

    /// The state of its synchronization as a reader sees it, for customers of Microsoft's.
    pub fn visible_state(&self) -> Option<VisibleState> {
        let link = self.microsoft.as_ref()?;
        Some(if link.paused.is_some() { VisibleState::Paused } else { VisibleState::Kept(link.sync_state) })
    }

    /// The billing contact as a reader sees it.
    pub const fn billing_contact(&self) -> &Contact {
        match &self.billing {
            Billing::MirrorsPrimary => &self.primary_contact,
            Billing::Own(contact) => contact,
        }
    }

    /// The value of one contact member as a reader sees it.
    pub fn contact(&self, role: ContactRole, field: ContactField) -> &str {
        match role {
            ContactRole::Primary => self.primary_contact.get(field),
            ContactRole::Billing => self.billing_contact().get(field),
        }
    }
}
