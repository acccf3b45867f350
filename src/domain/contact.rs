//! A contact: the person and postal address behind a customer, as one lock covers them.
//!
//! An empty text means *absent*: Partner Center omits members, sends `null` or `""`, and means the same.

use std::fmt;

/// The two contacts a customer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContactRole {
    /// Whom the platform writes to.
    Primary,
    /// Whom invoices go to.
    Billing,
}

/// One member of a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContactField {
    /// Given name.
    FirstName,
    /// Family name.
    LastName,
    /// E-mail address.
    Email,
    /// Telephone number, as written.
    PhoneNumber,
    /// Language of correspondence, such as `en`.
    Language,
    /// Formatting culture, such as `en-US`.
    Culture,
    /// ISO 3166-1 alpha-2 code.
    Country,
    /// Region, where the country uses one beside states.
    Region,
    /// State or province.
    State,
    /// District.
    District,
    /// City.
    City,
    /// First line of the street address.
    AddressLine1,
    /// Second line of the street address.
    AddressLine2,
    /// Third line of the street address.
    AddressLine3,
    /// Postal code.
    PostalCode,
}

impl ContactField {
    /// Every member, in the order the store keeps them.
    pub const ALL: [Self; 15] = [
        Self::FirstName,
        Self::LastName,
        Self::Email,
        Self::PhoneNumber,
        Self::Language,
        Self::Culture,
        Self::Country,
        Self::Region,
        Self::State,
        Self::District,
        Self::City,
        Self::AddressLine1,
        Self::AddressLine2,
        Self::AddressLine3,
        Self::PostalCode,
    ];

    /// The members that make up the postal address.
    pub const ADDRESS: [Self; 9] = [
        Self::Country,
        Self::Region,
        Self::State,
        Self::District,
        Self::City,
        Self::AddressLine1,
        Self::AddressLine2,
        Self::AddressLine3,
        Self::PostalCode,
    ];

    /// The field path below the contact, as update masks and refusals spell it.
    pub const fn path(self) -> &'static str {
        match self {
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::Email => "email",
            Self::PhoneNumber => "phone_number",
            Self::Language => "language",
            Self::Culture => "culture",
            Self::Country => "address.country",
            Self::Region => "address.region",
            Self::State => "address.state",
            Self::District => "address.district",
            Self::City => "address.city",
            Self::AddressLine1 => "address.address_line1",
            Self::AddressLine2 => "address.address_line2",
            Self::AddressLine3 => "address.address_line3",
            Self::PostalCode => "address.postal_code",
        }
    }

    /// The member of Partner Center's customer resource this is mapped from (R1).
    pub const fn upstream(self) -> &'static str {
        match self {
            Self::FirstName => "billingProfile.firstName",
            Self::LastName => "billingProfile.lastName",
            Self::Email => "billingProfile.email",
            Self::PhoneNumber => "billingProfile.defaultAddress.phoneNumber",
            Self::Language => "billingProfile.language",
            Self::Culture => "billingProfile.culture",
            Self::Country => "billingProfile.defaultAddress.country",
            Self::Region => "billingProfile.defaultAddress.region",
            Self::State => "billingProfile.defaultAddress.state",
            Self::District => "billingProfile.defaultAddress.district",
            Self::City => "billingProfile.defaultAddress.city",
            Self::AddressLine1 => "billingProfile.defaultAddress.addressLine1",
            Self::AddressLine2 => "billingProfile.defaultAddress.addressLine2",
            Self::AddressLine3 => "billingProfile.defaultAddress.addressLine3",
            Self::PostalCode => "billingProfile.defaultAddress.postalCode",
        }
    }
}

/// A person and a postal address. Personal data: prints nothing of itself.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Contact {
    // Boxed, so that moving a customer does not move thirty texts.
    members: Box<[String; ContactField::ALL.len()]>,
}

impl Contact {
    /// The value of one member; empty when absent.
    pub fn get(&self, field: ContactField) -> &str {
        &self.members[field as usize]
    }

    /// Sets one member.
    pub fn set(&mut self, field: ContactField, value: impl Into<String>) {
        self.members[field as usize] = value.into();
    }

    /// The same contact with one member set, for building.
    #[must_use]
    pub fn with(mut self, field: ContactField, value: impl Into<String>) -> Self {
        self.set(field, value);
        self
    }

    /// True when no member has a value.
    pub fn is_empty(&self) -> bool {
        self.members.iter().all(String::is_empty)
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Contact(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_has_its_own_place() {
        for (place, field) in ContactField::ALL.into_iter().enumerate() {
            assert_eq!(field as usize, place, "{field:?}");
        }
        for field in ContactField::ADDRESS {
            assert!(field.path().starts_with("address."), "{field:?}");
        }
    }

    #[test]
    fn a_contact_never_prints_what_it_holds() {
        let contact = Contact::default().with(ContactField::Email, "ada@example.com");
        assert_eq!(format!("{contact:?}"), "Contact(redacted)");
    }
}
