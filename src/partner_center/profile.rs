//! Turns Partner Center's customer into the domain's profile (R1, R2), or says why it cannot be applied.
//!
//! Never blanks a contact: a record without a billing profile, or with nothing in it, is unusable, not empty (I23).
//! Reasons name members and never quote values.

use crate::domain::contact::{Contact, ContactField};
use crate::domain::ids::TenantId;
use crate::domain::observation::{MicrosoftProfile, Observed};
use crate::domain::text::tidy;
use crate::partner_center::document::{Object, WrongType};

/// The longest text that is taken, in bytes; Microsoft's own limits are far below (FACTS 3.4).
pub(super) const TEXT_MAX: usize = 4 * 1024;

/// Why a customer's record cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Defect {
    #[error("the record has another id than the customer that was asked for")]
    AnotherId,
    #[error("the record has no billing profile")]
    NoBillingProfile,
    #[error("the billing profile has no contact")]
    NoContact,
    #[error("`{0}` is longer than {TEXT_MAX} bytes")]
    TooLong(&'static str),
    #[error("`{0}` holds a NUL character")]
    Nul(&'static str),
    #[error("a text of the record holds half a character")]
    HalfACharacter,
    #[error(transparent)]
    WrongType(#[from] WrongType),
}

/// Reads the answer to "who is `asked`?". One that `is_repaired` has a replacement character for each half character.
pub(super) fn observed(customer: Object<'_>, asked: TenantId, is_repaired: bool) -> Observed {
    match profile(customer, asked).and_then(|profile| whole(profile, is_repaired)) {
        Ok(profile) => Observed::Present(profile),
        Err(defect) => Observed::Unusable(defect.to_string()),
    }
}

fn whole(profile: MicrosoftProfile, is_repaired: bool) -> Result<MicrosoftProfile, Defect> {
    let MicrosoftProfile { company_name, tenant_name, domain, upstream_relationship, contact } = &profile;
    let contact_texts = ContactField::ALL.into_iter().map(|field| contact.get(field));
    let own_texts = [company_name, tenant_name, domain, upstream_relationship].into_iter().map(String::as_str);
    let is_broken = contact_texts.chain(own_texts).any(|text| text.contains(char::REPLACEMENT_CHARACTER));
    if is_repaired && is_broken { Err(Defect::HalfACharacter) } else { Ok(profile) }
}

fn profile(customer: Object<'_>, asked: TenantId) -> Result<MicrosoftProfile, Defect> {
    if text(Some(customer), "id")?.parse() != Ok(asked) {
        return Err(Defect::AnotherId);
    }
    let company = customer.inner("companyProfile")?;
    let billing = customer.inner("billingProfile")?;
    let billing = billing.or(planted!("unusable-record-blanks").then_some(customer)).ok_or(Defect::NoBillingProfile)?;
    let contact = contact(billing)?;
    if contact.is_empty() && !planted!("unusable-record-blanks") {
        return Err(Defect::NoContact);
    }
    let tenant_name = text(company, "companyName")?;
    Ok(MicrosoftProfile {
        company_name: first_present(text(Some(billing), "companyName")?, || Ok(tenant_name.clone()))?,
        tenant_name,
        // A domain has no case; ours are kept in one, so that they are found.
        domain: text(company, "domain")?.to_lowercase(),
        upstream_relationship: text(Some(customer), "relationshipToPartner")?,
        contact,
    })
}

/// R1: the billing profile with its default address, whose names stand in for missing ones (FACTS 3.3).
fn contact(billing: Object<'_>) -> Result<Contact, Defect> {
    let address = billing.inner("defaultAddress")?;
    let mut contact = Contact::default();
    for field in ContactField::ALL {
        let value = match field {
            ContactField::FirstName => first_present(text(Some(billing), "firstName")?, || text(address, "firstName"))?,
            ContactField::LastName => first_present(text(Some(billing), "lastName")?, || text(address, "lastName"))?,
            ContactField::Email => text(Some(billing), "email")?,
            ContactField::Language => text(Some(billing), "language")?,
            ContactField::Culture => text(Some(billing), "culture")?,
            ContactField::PhoneNumber => text(address, "phoneNumber")?,
            ContactField::Country => text(address, "country")?,
            ContactField::Region => text(address, "region")?,
            ContactField::State => text(address, "state")?,
            ContactField::District => text(address, "district")?,
            ContactField::City => text(address, "city")?,
            ContactField::AddressLine1 => text(address, "addressLine1")?,
            ContactField::AddressLine2 => text(address, "addressLine2")?,
            ContactField::AddressLine3 => text(address, "addressLine3")?,
            ContactField::PostalCode => text(address, "postalCode")?,
        };
        contact.set(field, value);
    }
    Ok(contact)
}

fn first_present(value: String, otherwise: impl FnOnce() -> Result<String, Defect>) -> Result<String, Defect> {
    if value.is_empty() { otherwise() } else { Ok(value) }
}

fn text(object: Option<Object<'_>>, name: &'static str) -> Result<String, Defect> {
    let raw = object.map_or(Ok(""), |object| object.text(name))?;
    if raw.len() > TEXT_MAX {
        return Err(Defect::TooLong(name));
    }
    // No keyboard has it, and what reads C strings would see another text than we do.
    if raw.contains('\0') { Err(Defect::Nul(name)) } else { Ok(tidy(raw)) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::partner_center::document::Document;

    const ASKED: &str = "11111111-aaaa-4bbb-8ccc-222222222222";

    fn observed(body: &Value) -> Observed {
        let document = Document::read(body.to_string().as_bytes()).expect("a document");
        super::observed(document.object().expect("an object"), ASKED.parse().expect("an id"), false)
    }

    fn present(body: &Value) -> MicrosoftProfile {
        match observed(body) {
            Observed::Present(profile) => profile,
            other => panic!("{other:?}"),
        }
    }

    fn unusable(body: &Value) -> String {
        match observed(body) {
            Observed::Unusable(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn whole() -> Value {
        json!({
            "id": ASKED, "commerceId": ASKED, "relationshipToPartner": "reseller", "allowDelegatedAccess": false,
            "companyProfile": {"tenantId": ASKED, "domain": "Linden.example", "companyName": "Linden Tenant",
                "email": "it@linden.example", "address": {"country": "LT", "phoneNumber": "1"}},
            "billingProfile": {"id": "x", "firstName": "Ada", "lastName": "Lind", "email": "ada@linden.example",
                "culture": "lv-LV", "language": "lv", "companyName": "SIA Linden",
                "defaultAddress": {"country": "LV", "region": "Baltics", "city": "Re\u{301}zekne", "state": "RZ",
                    "district": "Latgale", "addressLine1": " Liepu 1 ", "addressLine2": "2nd", "addressLine3": "3rd",
                    "postalCode": "LV-4601", "firstName": "Other", "lastName": "Person", "phoneNumber": "+371 6"},
                "attributes": {"etag": "-1", "objectType": "CustomerBillingProfile"}},
        })
    }

    #[test]
    fn the_billing_profile_is_the_contact_and_gives_the_company_name() {
        // R1, R2.
        let profile = present(&whole());
        assert_eq!(profile.company_name, "SIA Linden");
        assert_eq!(profile.tenant_name, "Linden Tenant");
        assert_eq!(profile.domain, "linden.example");
        assert_eq!(profile.upstream_relationship, "reseller");
        let expected = [
            "Ada",
            "Lind",
            "ada@linden.example",
            "+371 6",
            "lv",
            "lv-LV",
            "LV",
            "Baltics",
            "RZ",
            "Latgale",
            "R\u{e9}zekne",
            "Liepu 1",
            "2nd",
            "3rd",
            "LV-4601",
        ];
        for (field, value) in ContactField::ALL.into_iter().zip(expected) {
            assert_eq!(profile.contact.get(field), value, "{field:?}");
        }
    }

    #[test]
    fn names_fall_back_to_the_addresss_and_the_company_name_to_the_tenants() {
        // FACTS 3.3: names may stand in the address only.
        for absent in [Value::Null, json!(""), json!("  ")] {
            let mut body = whole();
            for name in ["firstName", "lastName", "companyName"] {
                body["billingProfile"][name] = absent.clone();
            }
            let profile = present(&body);
            assert_eq!(profile.contact.get(ContactField::FirstName), "Other");
            assert_eq!(profile.contact.get(ContactField::LastName), "Person");
            assert_eq!(profile.company_name, "Linden Tenant");
        }
    }

    #[test]
    fn members_may_be_missing_null_or_in_pascal_case() {
        // FACTS 3.1 to 3.4.
        let profile = present(&json!({"Id": ASKED.to_uppercase(), "CompanyProfile": null, "CustomDomains": null,
            "BillingProfile": {"Email": "ada@linden.example", "FirstName": null, "DefaultAddress": null}}));
        assert_eq!(profile.contact.get(ContactField::Email), "ada@linden.example");
        assert_eq!((profile.tenant_name.as_str(), profile.upstream_relationship.as_str()), ("", ""));
    }

    #[test]
    fn a_record_without_a_contact_never_blanks_one() {
        // RELIABILITY 2.3 and I23.
        let mut body = whole();
        body["billingProfile"] = Value::Null;
        assert_eq!(unusable(&body), "the record has no billing profile");
        body["billingProfile"] = json!({"companyName": "SIA Linden", "email": null, "defaultAddress": {"city": ""}});
        assert_eq!(unusable(&body), "the billing profile has no contact");
    }

    #[test]
    fn a_record_of_somebody_else_is_not_applied() {
        for id in [Value::Null, json!("99999999-aaaa-4bbb-8ccc-222222222222"), json!("x"), json!("")] {
            let mut body = whole();
            body["id"] = id;
            assert_eq!(unusable(&body), "the record has another id than the customer that was asked for");
        }
    }

    #[test]
    fn a_member_of_a_wrong_type_is_named() {
        for (path, member, value) in [
            ("/id", "id", json!(1)),
            ("/billingProfile", "billingProfile", json!("x")),
            ("/billingProfile", "billingProfile", json!([])),
            ("/billingProfile/email", "email", json!({"value": "ada@linden.example"})),
            ("/billingProfile/defaultAddress", "defaultAddress", json!([1])),
            ("/billingProfile/defaultAddress/postalCode", "postalCode", json!(4601)),
            ("/companyProfile/domain", "domain", json!(false)),
            ("/relationshipToPartner", "relationshipToPartner", json!(1)),
        ] {
            let mut body = whole();
            *body.pointer_mut(path).expect("a member") = value;
            let reason = unusable(&body);
            assert!(reason.starts_with(&format!("`{member}` is not ")), "{path}: {reason}");
            assert!(!reason.contains("linden"), "{reason}");
        }
    }

    #[test]
    fn half_a_character_counts_where_a_text_is_used_and_marks_of_direction_are_kept() {
        let id = ASKED.parse().expect("an id");
        let read = |body: &Value| {
            let document = Document::read_forgiving(body.to_string().replace('#', "\\ud800").as_bytes());
            super::observed(document.expect("a document").object().expect("an object"), id, true)
        };
        let mut body = whole();
        body["companyProfile"]["address"]["phoneNumber"] = json!("#");
        body["billingProfile"]["firstName"] = json!("\u{200f}\u{202e}Ada");
        let Observed::Present(profile) = read(&body) else { panic!("nobody uses that phone number") };
        assert_eq!(profile.contact.get(ContactField::FirstName), "\u{200f}\u{202e}Ada");
        body["billingProfile"]["defaultAddress"]["city"] = json!("Riga#");
        assert_eq!(read(&body), Observed::Unusable("a text of the record holds half a character".to_owned()));
    }

    #[test]
    fn a_text_with_a_nul_character_is_not_applied() {
        let mut body = whole();
        body["billingProfile"]["lastName"] = json!("Li\0nd");
        assert_eq!(unusable(&body), "`lastName` holds a NUL character");
    }

    #[test]
    fn a_text_of_absurd_length_is_not_applied() {
        let mut body = whole();
        body["billingProfile"]["defaultAddress"]["city"] = json!("x".repeat(TEXT_MAX));
        present(&body);
        body["billingProfile"]["defaultAddress"]["city"] = json!("x".repeat(TEXT_MAX + 1));
        assert_eq!(unusable(&body), "`city` is longer than 4096 bytes");
    }
}
