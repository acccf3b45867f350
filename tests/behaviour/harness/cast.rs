//! Customers that tests play with: one of Microsoft's with every member filled in, and the platform's own.

use std::collections::BTreeMap;

use customer_guard::domain::contact::{ContactField, ContactRole};
use customer_guard::domain::field::Field;
use customer_guard::grpc::proto;
use customer_guard::simulator::customer::{Address, BillingProfile};
use uuid::Uuid;

/// A customer without when and why it was verified: a verification that finds nothing new, which may happen whenever time passes,
/// is no change.
pub fn unverified(customer: proto::Customer) -> proto::Customer {
    proto::Customer { verified_at: None, verify_due_by: None, verified_by: 0, ..customer }
}

/// The tenant of Linden.
pub const LINDEN: Uuid = Uuid::from_u128(0x11de_0000_0000_4000_8000_0000_0000_0001);

/// A billing profile in which nothing is missing.
pub fn linden_profile() -> BillingProfile {
    let text = |value: &str| Some(value.to_owned());
    BillingProfile {
        first_name: text("Ģirts"),
        last_name: text("Liepa"),
        email: text("girts.liepa@linden.example"),
        culture: text("lv-LV"),
        language: text("lv"),
        company_name: text("SIA Linden"),
        default_address: Some(Address {
            country: text("LV"),
            region: text("Baltics"),
            city: text("Rēzekne"),
            state: text("Latvia-East"),
            district: text("Latgale"),
            address_line1: text("Liepu iela 12"),
            address_line2: text("Ieeja no pagalma"),
            address_line3: text("Birojs Nr. 7"),
            postal_code: text("LV-4601"),
            phone_number: text("+371 64 123-456"),
            ..Address::default()
        }),
        ..BillingProfile::default()
    }
}

/// A contact in which nothing is missing.
pub fn whole_contact() -> proto::Contact {
    proto::Contact {
        first_name: "Ada".to_owned(),
        last_name: "Lind".to_owned(),
        email: "ada@bakery.example".to_owned(),
        phone_number: "+372 600 1234".to_owned(),
        language: "et".to_owned(),
        culture: "et-EE".to_owned(),
        address: Some(proto::Address {
            country: "EE".to_owned(),
            region: "North".to_owned(),
            state: "Harju".to_owned(),
            district: "Kesklinn".to_owned(),
            city: "Tallinn".to_owned(),
            address_line1: "Pikk 1".to_owned(),
            address_line2: "Floor 2".to_owned(),
            address_line3: "Room 3".to_owned(),
            postal_code: "10123".to_owned(),
        }),
    }
}

/// A new customer of the platform's own.
pub fn bakery() -> proto::Customer {
    proto::Customer {
        company_name: "Linden Bakery".to_owned(),
        domain: "bakery.example".to_owned(),
        primary_contact: Some(whole_contact()),
        external_reference: "crm-17".to_owned(),
        labels: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
        note: "Pays on time.".to_owned(),
        ..proto::Customer::default()
    }
}

/// The contact of that role, made if it is absent.
pub fn contact(customer: &mut proto::Customer, role: ContactRole) -> &mut proto::Contact {
    let contact = match role {
        ContactRole::Primary => &mut customer.primary_contact,
        ContactRole::Billing => &mut customer.billing_contact,
    };
    contact.get_or_insert_default()
}

/// One member of a contact.
pub fn member(contact: &mut proto::Contact, field: ContactField) -> &mut String {
    match field {
        ContactField::FirstName => &mut contact.first_name,
        ContactField::LastName => &mut contact.last_name,
        ContactField::Email => &mut contact.email,
        ContactField::PhoneNumber => &mut contact.phone_number,
        ContactField::Language => &mut contact.language,
        ContactField::Culture => &mut contact.culture,
        ContactField::Country => &mut contact.address.get_or_insert_default().country,
        ContactField::Region => &mut contact.address.get_or_insert_default().region,
        ContactField::State => &mut contact.address.get_or_insert_default().state,
        ContactField::District => &mut contact.address.get_or_insert_default().district,
        ContactField::City => &mut contact.address.get_or_insert_default().city,
        ContactField::AddressLine1 => &mut contact.address.get_or_insert_default().address_line1,
        ContactField::AddressLine2 => &mut contact.address.get_or_insert_default().address_line2,
        ContactField::AddressLine3 => &mut contact.address.get_or_insert_default().address_line3,
        ContactField::PostalCode => &mut contact.address.get_or_insert_default().postal_code,
    }
}

/// A sound value that none of the customers here has.
pub const fn another(field: ContactField) -> &'static str {
    match field {
        ContactField::FirstName => "Zigrida",
        ContactField::LastName => "Zvaigzne",
        ContactField::Email => "zigrida.zvaigzne@elsewhere.example",
        ContactField::PhoneNumber => "+43 1 5550199",
        ContactField::Language => "fi",
        ContactField::Culture => "fi-FI",
        ContactField::Country => "FI",
        ContactField::Region => "Uusimaa",
        ContactField::State => "Etela-Suomi",
        ContactField::District => "Kallio",
        ContactField::City => "Helsinki",
        ContactField::AddressLine1 => "Mannerheimintie 999",
        ContactField::AddressLine2 => "Staircase Q",
        ContactField::AddressLine3 => "Behind the kiosk",
        ContactField::PostalCode => "00530",
    }
}

/// Gives a field another value than it has.
pub fn change(customer: &mut proto::Customer, field: Field) {
    match field {
        Field::Contact(role, one) => another(one).clone_into(member(contact(customer, role), one)),
        Field::CompanyName => "Zvaigzne Holding".clone_into(&mut customer.company_name),
        Field::TenantName => "Zvaigzne Tenant".clone_into(&mut customer.tenant_name),
        Field::Domain => "zvaigzne.example".clone_into(&mut customer.domain),
        Field::MicrosoftTenantId => customer.microsoft_tenant_id = Uuid::from_u128(99).to_string(),
        Field::Relationship => customer.set_relationship(proto::Relationship::Ended),
        Field::Resellers => customer.resellers.push(proto::Reseller {
            microsoft_tenant_id: Uuid::from_u128(98).to_string(),
            ..proto::Reseller::default()
        }),
        Field::ExternalReference => "another-reference".clone_into(&mut customer.external_reference),
        Field::Labels => customer.labels = BTreeMap::from([("team".to_owned(), "red".to_owned())]),
        Field::Note => "Another note.".clone_into(&mut customer.note),
        Field::Status => customer.set_status(proto::CustomerStatus::Blocked),
    }
}

/// The fields that Partner Center owns of a Microsoft customer: two contacts of 15 members, and six more.
pub fn guarded() -> Vec<Field> {
    let is_guarded = |field: &Field| match field {
        Field::Contact(..)
        | Field::CompanyName
        | Field::TenantName
        | Field::Domain
        | Field::MicrosoftTenantId
        | Field::Relationship
        | Field::Resellers => true,
        Field::ExternalReference | Field::Labels | Field::Note | Field::Status => false,
    };
    Field::all().filter(is_guarded).collect()
}
