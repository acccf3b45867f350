//! What a customer is in Partner Center and what the service shows of it, in a form that can be compared.

use std::hash::{DefaultHasher, Hash, Hasher};

use customer_guard::domain::text::tidy;
use customer_guard::grpc::proto;
use customer_guard::simulator::customer::Customer;
use uuid::Uuid;

/// Everything of a customer that Partner Center owns: names, domain, relationship, contact.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Picture(Vec<String>);

impl Picture {
    /// As it is to be shown (R1, R2).
    pub fn expected(customer: &Customer) -> Self {
        let profile = &customer.billing_profile;
        let address = profile.default_address.clone().unwrap_or_default();
        let text = |text: &Option<String>| text.as_deref().map(tidy).unwrap_or_default();
        let first = |one: String, other: String| if one.is_empty() { other } else { one };
        let tenant_name = tidy(&customer.tenant_name);
        let relationship = serde_json::to_value(customer.relationship).expect("a text");
        Self(vec![
            first(text(&profile.company_name), tenant_name.clone()),
            tenant_name,
            tidy(&customer.domain).to_lowercase(),
            relationship.as_str().expect("a text").to_owned(),
            first(text(&profile.first_name), text(&address.first_name)),
            first(text(&profile.last_name), text(&address.last_name)),
            text(&profile.email),
            text(&address.phone_number),
            text(&profile.language),
            text(&profile.culture),
            text(&address.country),
            text(&address.region),
            text(&address.state),
            text(&address.district),
            text(&address.city),
            text(&address.address_line1),
            text(&address.address_line2),
            text(&address.address_line3),
            text(&address.postal_code),
        ])
    }

    /// As it is shown.
    pub fn shown(customer: &proto::Customer) -> Self {
        assert_eq!(customer.relationship(), proto::Relationship::Active, "{}", customer.name);
        assert_eq!(customer.sync_state(), proto::SyncState::Synced, "{}", customer.name);
        assert_eq!(customer.billing_contact, customer.primary_contact, "billing mirrors primary in {}", customer.name);
        let contact = customer.primary_contact.clone().unwrap_or_default();
        let address = contact.address.unwrap_or_default();
        Self(vec![
            customer.company_name.clone(),
            customer.tenant_name.clone(),
            customer.domain.clone(),
            customer.upstream_relationship.clone(),
            contact.first_name,
            contact.last_name,
            contact.email,
            contact.phone_number,
            contact.language,
            contact.culture,
            address.country,
            address.region,
            address.state,
            address.district,
            address.city,
            address.address_line1,
            address.address_line2,
            address.address_line3,
            address.postal_code,
        ])
    }

    /// A number for it, so that all of them fit the memory.
    pub fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        Hash::hash(self, &mut hasher);
        hasher.finish()
    }
}

/// The tenant of a customer that the service shows.
pub fn tenant(customer: &proto::Customer) -> Uuid {
    customer.microsoft_tenant_id.parse().expect("a customer of Microsoft's")
}
