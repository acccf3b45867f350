//! What Partner Center said about one customer, and in which order we asked.

use crate::domain::contact::Contact;
use crate::domain::ids::{Epoch, TenantId, Ticket};

/// The place of an observation in the order of questions.
///
/// Taken from the database before the question is sent: later lease holders win, then later tickets.
/// The wall clock has no say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObservationMark {
    /// The lease under which the question was asked.
    pub epoch: Epoch,
    /// The number of the question.
    pub ticket: Ticket,
}

/// A customer as Partner Center described it (R1, R2 already applied).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MicrosoftProfile {
    /// Bill-to company name, else the company profile's.
    pub company_name: String,
    /// The company profile's name.
    pub tenant_name: String,
    /// The company profile's domain.
    pub domain: String,
    /// `relationshipToPartner`, as it is worded.
    pub upstream_relationship: String,
    /// The billing profile as a contact.
    pub contact: Contact,
}

/// Which answer said that a customer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoneAnswer {
    /// 404 with code 1000: not found.
    NotFound,
    /// 404 with code 60003: tenant not found.
    TenantNotFound,
    /// 403 with code 20002: no relationship with the partner.
    NoRelationship,
}

impl GoneAnswer {
    /// The HTTP status and code, as operators know them.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "404/1000",
            Self::TenantNotFound => "404/60003",
            Self::NoRelationship => "403/20002",
        }
    }
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// A complete, well-typed customer.
    Present(MicrosoftProfile),
    /// A customer whose record cannot be applied, with the reason (I23: it alters nothing).
    Unusable(String),
    /// Partner Center says it has no such customer.
    Gone(GoneAnswer),
}

/// One answer about one customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Whom it is about.
    pub tenant_id: TenantId,
    /// When we asked, in the order of questions.
    pub mark: ObservationMark,
    /// What was said.
    pub observed: Observed,
}

/// A customer as Partner Center's list shows it: enough to tell the new, the gone and the renamed, and no contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedCustomer {
    /// Its tenant.
    pub tenant_id: TenantId,
    /// The bill-to name.
    pub company_name: String,
    /// The tenant's domain.
    pub domain: String,
    /// `relationshipToPartner`, as it is worded.
    pub relationship: String,
}
