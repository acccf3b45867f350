//! That a platform customer is the record of a customer in Partner Center, and that it is not after all (R10).
//!
//! Both directions keep R6: a link takes over only what an observation says, and undoing it gives back only what the
//! customer had before. Nobody gets an editable copy of what Partner Center owns.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::contact::Contact;
use crate::domain::customer::{Billing, Customer, Source};
use crate::domain::field::Field;
use crate::domain::ids::{Revision, TenantId};
use crate::domain::look::LookCause;
use crate::domain::observation::{GoneAnswer, Observation, ObservationMark, Observed};
use crate::domain::ownership::{Owner, Standing, owner};
use crate::domain::reconcile::{differences, shown};
use crate::domain::upstream_change::Provenance;

/// How long a link can be undone, and for how long the former values are kept for that.
pub const REVERSIBLE_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Proof that a customer may become the record of a customer in Partner Center. Only [`link`] makes one.
#[must_use = "a link does nothing until it is saved"]
#[derive(Debug)]
pub struct Linked {
    before: Box<Customer>,
    after: Box<Customer>,
    tenant: TenantId,
    mark: ObservationMark,
    reversible_until: Timestamp,
}

impl Linked {
    /// The record as it is.
    pub const fn before(&self) -> &Customer {
        &self.before
    }

    /// The record as it is to be; the revision is still the old one.
    pub const fn after(&self) -> &Customer {
        &self.after
    }

    /// Whose record it becomes.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The observation its values come from.
    pub const fn mark(&self) -> ObservationMark {
        self.mark
    }

    /// Until when it can be undone.
    pub const fn reversible_until(&self) -> Timestamp {
        self.reversible_until
    }

    /// What differs.
    pub fn changed(&self) -> Vec<Field> {
        differences(&self.before, &self.after)
    }

    /// The fields that only Partner Center can change from then on.
    pub fn locked(&self) -> Vec<Field> {
        let is_locked = |field: &Field| match (owner(Standing::Platform, *field), owner(standing(&self.after), *field))
        {
            (Owner::Platform, Owner::PartnerCenter) => true,
            (Owner::Platform, Owner::Platform) | (Owner::PartnerCenter, _) => false,
        };
        Field::all().filter(is_locked).collect()
    }

    /// Of those, the ones that had a value and have another: what undoing the link brings back.
    pub fn replaced(&self) -> Vec<Field> {
        let changed = self.changed();
        self.locked().into_iter().filter(|field| changed.contains(field) && had_value(&self.before, *field)).collect()
    }
}

fn standing(customer: &Customer) -> Standing {
    Standing::of(customer.source(), customer.relationship())
}

fn had_value(customer: &Customer, field: Field) -> bool {
    match field {
        Field::Contact(role, member) => !customer.contact(role, member).is_empty(),
        Field::CompanyName => !customer.company_name.is_empty(),
        Field::Domain => !customer.domain.is_empty(),
        // A platform customer has none of these.
        Field::TenantName | Field::MicrosoftTenantId | Field::Relationship | Field::Resellers => false,
        Field::ExternalReference | Field::Labels | Field::Note | Field::Status => true,
    }
}

/// Why a customer cannot become the record of a customer in Partner Center.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotLink {
    /// It is Microsoft's already.
    #[error("the customer is Microsoft's already")]
    NotPlatform,
    /// It is deleted.
    #[error("the customer is deleted")]
    Deleted,
    /// Partner Center has no such customer.
    #[error("partner center does not show the customer to the account")]
    Gone(GoneAnswer),
    /// Partner Center's record cannot be applied.
    #[error("partner center's record of the customer cannot be used")]
    Unusable,
}

/// Whether the customer is one that can be linked, whatever Partner Center says.
pub const fn linkable(customer: &Customer) -> Result<(), CannotLink> {
    match (customer.source(), customer.deleted_at) {
        (Source::Microsoft, _) => Err(CannotLink::NotPlatform),
        (Source::Platform, Some(_)) => Err(CannotLink::Deleted),
        (Source::Platform, None) => Ok(()),
    }
}

/// Makes a platform customer the record of the customer in Partner Center that `observation` is about.
pub fn link(customer: &Customer, observation: &Observation, now: Timestamp) -> Result<Linked, CannotLink> {
    linkable(customer)?;
    match &observation.observed {
        Observed::Present(profile) => Ok(Linked {
            before: Box::new(customer.clone()),
            after: Box::new(asked_for(shown(customer, observation, profile, now))),
            tenant: observation.tenant_id,
            mark: observation.mark,
            reversible_until: now.plus(REVERSIBLE_FOR),
        }),
        Observed::Gone(answer) => Err(CannotLink::Gone(*answer)),
        Observed::Unusable(_) => Err(CannotLink::Unusable),
    }
}

/// It was looked at because a caller links it, and nobody in Partner Center changed it.
fn asked_for(mut after: Customer) -> Customer {
    if let Some(link) = &mut after.microsoft {
        link.provenance = Provenance { verified_by: Some(LookCause::Refresh), last_change: None };
    }
    after
}

/// What a customer had before it was linked, of what Partner Center owns since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerValues {
    /// The organization's name.
    pub company_name: String,
    /// The organization's domain.
    pub domain: String,
    /// Whom the platform wrote to.
    pub primary_contact: Contact,
    /// Whom invoices went to.
    pub billing: Billing,
}

/// A link that has not been undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingLink {
    /// Whose record the customer became.
    pub tenant: TenantId,
    /// The revision it got by that.
    pub since: Revision,
    /// Until when it can be undone.
    pub reversible_until: Timestamp,
    /// What it had before; `None` once that is erased.
    pub former: Option<FormerValues>,
}

/// Proof that a link may be undone. Only [`unlink`] makes one.
#[must_use = "undoing a link does nothing until it is saved"]
#[derive(Debug)]
pub struct Unlinked {
    before: Box<Customer>,
    after: Box<Customer>,
    tenant: TenantId,
}

impl Unlinked {
    /// The record as it is to be; the revision is still the old one.
    pub const fn after(&self) -> &Customer {
        &self.after
    }

    /// Whose record it was.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// What differs.
    pub fn changed(&self) -> Vec<Field> {
        differences(&self.before, &self.after)
    }
}

/// The link is too old to be undone: the former values are no longer kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the customer was linked too long ago")]
pub struct LinkExpired;

/// Makes a linked customer the platform's again, with what it had before for what Partner Center owned. What callers wrote
/// meanwhile of what the platform owns stays.
pub fn unlink(customer: &Customer, link: &StandingLink, now: Timestamp) -> Result<Unlinked, LinkExpired> {
    let former = link.former.as_ref().filter(|_| now < link.reversible_until).ok_or(LinkExpired)?;
    let after = Customer {
        company_name: former.company_name.clone(),
        domain: former.domain.clone(),
        primary_contact: former.primary_contact.clone(),
        billing: former.billing.clone(),
        microsoft: None,
        ..customer.clone()
    };
    Ok(Unlinked { before: Box::new(customer.clone()), after: Box::new(after), tenant: link.tenant })
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
