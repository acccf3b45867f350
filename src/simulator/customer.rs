//! A customer as Partner Center knows it, and the JSON it answers with. Every shape here comes from FACTS.md 2.1
//! and 3; members the sources call absent are absent.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::guid;

/// A customer of one partner: the truth, of which each call shows a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Customer {
    /// The customer's Entra tenant.
    #[serde(with = "guid")]
    pub id: Uuid,
    /// The commerce account.
    #[serde(with = "guid::optional", default)]
    pub commerce_id: Option<Uuid>,
    /// The initial domain, usually `*.onmicrosoft.com`.
    pub domain: String,
    /// The name the customer gave its own tenant.
    pub tenant_name: String,
    /// What the customer is to the partner.
    pub relationship: Relationship,
    /// Whether the partner has delegated admin privileges; without them company address, e-mail and custom domains
    /// are not shown (FACTS.md 3.1).
    #[serde(default)]
    pub delegated_access: bool,
    /// The tenant's technical mail address.
    #[serde(default)]
    pub company_email: Option<String>,
    /// The tenant's address.
    #[serde(default)]
    pub company_address: Option<Box<Address>>,
    /// Verified domains beyond the initial one.
    #[serde(default)]
    pub custom_domains: Vec<String>,
    /// The one contact block of a customer (FACTS.md 3.7).
    pub billing_profile: BillingProfile,
}

/// `relationshipToPartner` (FACTS.md 4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relationship {
    /// The partner may transact.
    #[default]
    Reseller,
    /// The partner only administers.
    Advisor,
    /// A telecommunication syndication partner.
    Syndication,
    /// Microsoft's own support.
    MicrosoftSupport,
    /// Anything an SDK does not know.
    Unknown,
    /// No relationship.
    None,
}

/// The billing profile: the legal name and the contact (FACTS.md 3.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BillingProfile {
    /// The profile's own id.
    #[serde(with = "guid::optional")]
    pub id: Option<Uuid>,
    /// Missing when the names were only given in the address.
    pub first_name: Option<String>,
    /// Missing when the names were only given in the address.
    pub last_name: Option<String>,
    /// The contact's e-mail address.
    pub email: Option<String>,
    /// For example `en-US`; the case varies.
    pub culture: Option<String>,
    /// For example `en`.
    pub language: Option<String>,
    /// The bill-to name; may be longer than 130 characters.
    pub company_name: Option<String>,
    /// The bill-to address.
    pub default_address: Option<Address>,
}

/// A postal address with its contact (FACTS.md 3.4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Address {
    /// ISO 3166 code.
    pub country: Option<String>,
    /// A region, where the country has such.
    pub region: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// The state, where the country has such.
    pub state: Option<String>,
    /// The district, where the country has such.
    pub district: Option<String>,
    /// The street.
    pub address_line1: Option<String>,
    /// Floor, suite, building.
    pub address_line2: Option<String>,
    /// Rarely used.
    pub address_line3: Option<String>,
    /// In the country's own format.
    pub postal_code: Option<String>,
    /// May differ from the profile's.
    pub first_name: Option<String>,
    /// May differ from the profile's.
    pub middle_name: Option<String>,
    /// May differ from the profile's.
    pub last_name: Option<String>,
    /// Rarely used.
    pub email_address: Option<String>,
    /// May be the empty string.
    pub phone_number: Option<String>,
}

impl BillingProfile {
    /// Computes the etag: a signed 64-bit number as decimal text that depends on the content alone (FACTS.md 3.5).
    pub fn etag(&self) -> String {
        // FNV-1a: stable across releases, and nobody attacks a simulator's etag.
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let text = as_json(self).to_string();
        let hash = text.bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
        hash.cast_signed().to_string()
    }

    /// Builds the resource with every member, missing ones as null.
    pub(super) fn resource(&self, customer: Uuid) -> Value {
        let mut resource = as_json(self);
        resource["links"] = json!({"self": link(&format!("/v1/customers/{customer}/profiles/billing"))});
        resource["attributes"] = json!({"etag": self.etag(), "objectType": "CustomerBillingProfile"});
        resource
    }
}

impl Customer {
    /// The company name lists show: the bill-to name, not the tenant's own (FACTS.md 2.1).
    pub fn listed_name(&self) -> &str {
        self.billing_profile.company_name.as_deref().unwrap_or(&self.tenant_name)
    }

    /// Builds a list item: no billing profile, no etag, nothing that tells a changed contact (FACTS.md 2.1).
    pub(super) fn list_item(&self) -> Value {
        let id = self.id.to_string();
        json!({
            "id": id,
            "companyProfile": {
                "tenantId": id,
                "domain": self.domain,
                "companyName": self.listed_name(),
                "links": {"self": link(&format!("/customers/{id}/profiles/company"))},
                "attributes": {"objectType": "CustomerCompanyProfile"},
            },
            "relationshipToPartner": self.relationship,
            "links": {"self": link(&format!("/customers/{id}"))},
            "attributes": {"objectType": "Customer"},
        })
    }

    /// Builds the answer of get-by-id with every member, missing ones as null (FACTS.md 3.1).
    pub(super) fn resource(&self) -> Value {
        let id = self.id.to_string();
        let (email, address, custom_domains) = if self.delegated_access {
            (json!(self.company_email), json!(self.company_address), json!(self.custom_domains))
        } else {
            (Value::Null, Value::Null, Value::Null)
        };
        json!({
            "id": id,
            "commerceId": self.commerce_id.map(|id| id.to_string()),
            "companyProfile": {
                "tenantId": id,
                "domain": self.domain,
                "companyName": self.tenant_name,
                "address": address,
                "email": email,
                "organizationRegistrationNumber": null,
                "links": {"self": link(&format!("/v1/customers/{id}/profiles/company"))},
                "attributes": {"objectType": "CustomerCompanyProfile"},
            },
            "billingProfile": self.billing_profile.resource(self.id),
            "relationshipToPartner": self.relationship,
            "allowDelegatedAccess": self.delegated_access,
            "customDomains": custom_domains,
            "associatedPartnerId": null,
            "links": {"self": link(&format!("/v1/customers/{id}"))},
            "attributes": {"objectType": "Customer"},
        })
    }
}

pub(super) fn link(uri: &str) -> Value {
    json!({"uri": uri, "method": "GET", "headers": []})
}

fn as_json(profile: &BillingProfile) -> Value {
    serde_json::to_value(profile).expect("a struct of texts always has a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_etag_depends_on_the_content_alone() {
        let mut profile = BillingProfile::default();
        let before = profile.etag();
        profile.email = Some("a@linden.example".to_owned());
        let changed = profile.etag();
        profile.email = None;
        assert_ne!(before, changed);
        assert_eq!(before, profile.etag());
        assert!(changed.parse::<i64>().is_ok());
    }
}
