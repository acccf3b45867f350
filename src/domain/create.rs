//! A caller's new customer: always the platform's own, never Microsoft's (R6).

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::domain::contact::{Contact, ContactField, ContactRole};
use crate::domain::customer::{Billing, Customer, CustomerStatus};
use crate::domain::field::Field;
use crate::domain::ids::{CustomerId, PartnerAccountId, Revision};
use crate::domain::review::{check_company_name, check_external_reference, check_labels, check_note};
use crate::domain::text::{self, FieldProblem};

/// What a caller says about a customer it wants to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerDraft {
    /// The organization's name; required.
    pub company_name: String,
    /// The organization's domain.
    pub domain: String,
    /// Whom the platform writes to.
    pub primary_contact: Contact,
    /// Whom invoices go to; absent mirrors the primary contact (R7).
    pub billing_contact: Option<Contact>,
    /// A caller's own key.
    pub external_reference: String,
    /// A caller's own tags.
    pub labels: BTreeMap<String, String>,
    /// A caller's own words.
    pub note: String,
    /// Whether the customer may be served; absent means it may.
    pub status: Option<CustomerStatus>,
}

/// Proof that a draft can be stored. Only [`admit`] makes one, and its customer is the platform's.
#[must_use = "an admitted customer does nothing until it is saved"]
#[derive(Debug)]
pub struct AdmittedCustomer(Customer);

impl AdmittedCustomer {
    /// The customer as it is to be stored.
    pub const fn customer(&self) -> &Customer {
        &self.0
    }
}

/// Admits a draft, or tells everything that is wrong with it.
pub fn admit(
    account: &PartnerAccountId,
    draft: CustomerDraft,
    now: Timestamp,
) -> Result<AdmittedCustomer, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let primary_contact = admit_contact(ContactRole::Primary, &draft.primary_contact, &mut problems);
    let billing = match draft.billing_contact {
        Some(contact) => match admit_contact(ContactRole::Billing, &contact, &mut problems) {
            same if same == primary_contact => Billing::MirrorsPrimary,
            own => Billing::Own(own),
        },
        None => Billing::MirrorsPrimary,
    };
    let customer = Customer {
        id: CustomerId::mint(now),
        account: account.clone(),
        revision: Revision::FIRST,
        company_name: text::tidy(&draft.company_name),
        domain: text::tidy(&draft.domain).to_lowercase(),
        primary_contact,
        billing,
        external_reference: text::tidy(&draft.external_reference),
        labels: draft.labels,
        note: text::tidy(&draft.note),
        status: draft.status.unwrap_or(CustomerStatus::Active),
        microsoft: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    problems.extend(check_company_name(&customer.company_name));
    problems.extend(text::check_domain(&customer.domain).map(|wrong| FieldProblem::new(Field::Domain, wrong)));
    problems.extend(check_external_reference(&customer.external_reference));
    problems.extend(check_labels(&customer.labels));
    problems.extend(check_note(&customer.note));
    if problems.is_empty() { Ok(AdmittedCustomer(customer)) } else { Err(problems) }
}

fn admit_contact(role: ContactRole, raw: &Contact, problems: &mut Vec<FieldProblem>) -> Contact {
    let mut contact = Contact::default();
    for member in ContactField::ALL {
        let value = text::tidy(raw.get(member));
        let wrong = text::check_contact(member, &value);
        problems.extend(wrong.map(|wrong| FieldProblem::new(Field::Contact(role, member), wrong)));
        contact.set(member, value);
    }
    contact
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> PartnerAccountId {
        "contoso".parse().expect("a well-formed id")
    }

    #[test]
    fn every_problem_of_a_draft_is_told_at_once() {
        let draft = CustomerDraft {
            primary_contact: Contact::default().with(ContactField::Email, "nobody"),
            billing_contact: Some(Contact::default().with(ContactField::Country, "Mars")),
            labels: BTreeMap::from([("Bad Key".to_owned(), "x".to_owned())]),
            note: "x".repeat(text::NOTE_MAX + 1),
            ..CustomerDraft::default()
        };
        let problems = admit(&account(), draft, Timestamp::from_micros(0)).expect_err("nothing of it is right");
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        let expected =
            ["primary_contact.email", "billing_contact.address.country", "company_name", "labels.Bad Key", "note"];
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_new_customer_is_the_platforms_and_its_billing_mirrors_primary_until_set() {
        let draft = CustomerDraft { company_name: " Linden Bakery ".to_owned(), ..CustomerDraft::default() };
        let admitted = admit(&account(), draft, Timestamp::from_micros(1)).expect("a sound draft");
        assert_eq!(admitted.customer().company_name, "Linden Bakery");
        assert_eq!(admitted.customer().billing, Billing::MirrorsPrimary);
        assert!(admitted.customer().microsoft.is_none());
    }
}
