//! Who may write a field: one pure, exhaustive function (R3).

use crate::domain::customer::{Relationship, Source};
use crate::domain::field::Field;

/// Grows whenever the table below changes; every refusal names the revision it was decided by.
pub const POLICY_REVISION: u32 = 2;

/// Who may write a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Callers of this service.
    Platform,
    /// Microsoft Partner Center only.
    PartnerCenter,
}

/// What decides ownership about a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Made on the platform.
    Platform,
    /// From Microsoft, and Partner Center has it.
    MicrosoftActive,
    /// From Microsoft, and the relationship has ended.
    MicrosoftEnded,
}

impl Standing {
    /// The standing of a customer of that source and relationship.
    pub const fn of(source: Source, relationship: Option<Relationship>) -> Self {
        match (source, relationship) {
            (Source::Platform, None | Some(Relationship::Active | Relationship::Ended)) => Self::Platform,
            (Source::Microsoft, None | Some(Relationship::Active)) => Self::MicrosoftActive,
            (Source::Microsoft, Some(Relationship::Ended)) => Self::MicrosoftEnded,
        }
    }
}

/// Who may write `field` of a customer of that standing.
///
/// No wildcard: a new field, source or relationship must be decided here before the crate compiles.
pub const fn owner(standing: Standing, field: Field) -> Owner {
    match (field, standing) {
        (Field::ExternalReference | Field::Labels | Field::Note | Field::Status, _) => Owner::Platform,
        (Field::Contact(..), Standing::Platform | Standing::MicrosoftEnded) => Owner::Platform,
        (Field::Contact(..), Standing::MicrosoftActive) => Owner::PartnerCenter,
        (
            Field::CompanyName
            | Field::TenantName
            | Field::Domain
            | Field::MicrosoftTenantId
            | Field::Relationship
            | Field::Resellers,
            Standing::Platform,
        ) => Owner::Platform,
        (
            Field::CompanyName
            | Field::TenantName
            | Field::Domain
            | Field::MicrosoftTenantId
            | Field::Relationship
            | Field::Resellers,
            Standing::MicrosoftActive | Standing::MicrosoftEnded,
        ) => Owner::PartnerCenter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contact::{ContactField, ContactRole};

    /// R3 as the design prints it: field, platform customer, Microsoft active, Microsoft ended.
    #[test]
    fn the_table_is_the_one_of_the_design() {
        use Owner::{PartnerCenter as P, Platform as O};
        let table = [
            (Field::Contact(ContactRole::Primary, ContactField::Email), [O, P, O]),
            (Field::Contact(ContactRole::Billing, ContactField::City), [O, P, O]),
            (Field::CompanyName, [O, P, P]),
            (Field::TenantName, [O, P, P]),
            (Field::Domain, [O, P, P]),
            (Field::MicrosoftTenantId, [O, P, P]),
            (Field::Relationship, [O, P, P]),
            (Field::Resellers, [O, P, P]),
            (Field::ExternalReference, [O, O, O]),
            (Field::Labels, [O, O, O]),
            (Field::Note, [O, O, O]),
            (Field::Status, [O, O, O]),
        ];
        for (field, owners) in table {
            let standings = [Standing::Platform, Standing::MicrosoftActive, Standing::MicrosoftEnded];
            assert_eq!(standings.map(|standing| owner(standing, field)), owners, "{field}");
        }
    }

    #[test]
    fn all_members_of_a_contact_have_one_owner() {
        for standing in [Standing::Platform, Standing::MicrosoftActive, Standing::MicrosoftEnded] {
            let first = owner(standing, Field::Contact(ContactRole::Primary, ContactField::FirstName));
            for field in Field::all().filter(|field| matches!(field, Field::Contact(..))) {
                assert_eq!(owner(standing, field), first, "{field}");
            }
        }
    }
}
