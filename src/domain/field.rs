//! The fields of a customer that somebody owns, by the paths that masks and refusals use.

use std::fmt;

use crate::domain::contact::{ContactField, ContactRole};

/// One field of a customer. Every row of the ownership table is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// A member of the primary or billing contact.
    Contact(ContactRole, ContactField),
    /// The organization's name.
    CompanyName,
    /// The tenant's name.
    TenantName,
    /// The organization's domain.
    Domain,
    /// The Microsoft tenant id.
    MicrosoftTenantId,
    /// Whether Partner Center has the customer.
    Relationship,
    /// The indirect resellers that serve the customer.
    Resellers,
    /// A caller's own key.
    ExternalReference,
    /// A caller's own tags.
    Labels,
    /// A caller's own words.
    Note,
    /// Whether the customer may be served.
    Status,
}

impl Field {
    /// Every field, contacts first.
    pub fn all() -> impl Iterator<Item = Self> {
        let contact = |role| ContactField::ALL.into_iter().map(move |field| Self::Contact(role, field));
        contact(ContactRole::Primary).chain(contact(ContactRole::Billing)).chain([
            Self::CompanyName,
            Self::TenantName,
            Self::Domain,
            Self::MicrosoftTenantId,
            Self::Relationship,
            Self::Resellers,
            Self::ExternalReference,
            Self::Labels,
            Self::Note,
            Self::Status,
        ])
    }

    /// The member of Partner Center's customer resource this field is mapped from, if it has one.
    pub const fn upstream(self) -> Option<&'static str> {
        match self {
            Self::Contact(_, member) => Some(member.upstream()),
            Self::CompanyName => Some("billingProfile.companyName"),
            Self::TenantName => Some("companyProfile.companyName"),
            Self::Domain => Some("companyProfile.domain"),
            Self::MicrosoftTenantId => Some("id"),
            Self::Relationship => Some("relationshipToPartner"),
            // It is no member of the customer: the provider lists the customers of each of its resellers.
            Self::Resellers => Some("relationships"),
            Self::ExternalReference | Self::Labels | Self::Note | Self::Status => None,
        }
    }

    /// The field of that path, if there is one.
    pub fn of_path(path: &str) -> Option<Self> {
        let (role, member) = match path {
            "company_name" => return Some(Self::CompanyName),
            "tenant_name" => return Some(Self::TenantName),
            "domain" => return Some(Self::Domain),
            "microsoft_tenant_id" => return Some(Self::MicrosoftTenantId),
            "relationship" => return Some(Self::Relationship),
            "resellers" => return Some(Self::Resellers),
            "external_reference" => return Some(Self::ExternalReference),
            "labels" => return Some(Self::Labels),
            "note" => return Some(Self::Note),
            "status" => return Some(Self::Status),
            other => match other.split_once('.')? {
                ("primary_contact", member) => (ContactRole::Primary, member),
                ("billing_contact", member) => (ContactRole::Billing, member),
                _ => return None,
            },
        };
        ContactField::ALL.into_iter().find(|field| field.path() == member).map(|field| Self::Contact(role, field))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contact(role, member) => write!(out, "{role}.{}", member.path()),
            Self::CompanyName => out.write_str("company_name"),
            Self::TenantName => out.write_str("tenant_name"),
            Self::Domain => out.write_str("domain"),
            Self::MicrosoftTenantId => out.write_str("microsoft_tenant_id"),
            Self::Relationship => out.write_str("relationship"),
            Self::Resellers => out.write_str("resellers"),
            Self::ExternalReference => out.write_str("external_reference"),
            Self::Labels => out.write_str("labels"),
            Self::Note => out.write_str("note"),
            Self::Status => out.write_str("status"),
        }
    }
}

impl fmt::Display for ContactRole {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Primary => "primary_contact",
            Self::Billing => "billing_contact",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_names_exactly_one_field() {
        for field in Field::all() {
            assert_eq!(Field::of_path(&field.to_string()), Some(field));
        }
        assert_eq!(
            Field::of_path("billing_contact.address.city"),
            Some(Field::Contact(ContactRole::Billing, ContactField::City))
        );
        assert_eq!(Field::of_path("primary_contact"), None);
    }
}
