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

/// Everything that is wrong with the values of a draft.
pub fn problems(draft: &CustomerDraft) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let contacts =
        [(ContactRole::Primary, Some(&draft.primary_contact)), (ContactRole::Billing, draft.billing_contact.as_ref())];
    for (role, contact) in contacts {
        let Some(contact) = contact else { continue };
        for member in ContactField::ALL {
            let wrong = text::check_contact(member, &text::tidy(contact.get(member)));
            problems.extend(wrong.map(|wrong| FieldProblem::new(Field::Contact(role, member), wrong)));
        }
    }
    let domain = text::check_domain(&text::tidy(&draft.domain).to_lowercase());
    problems.extend(check_company_name(&text::tidy(&draft.company_name)));
    problems.extend(domain.map(|wrong| FieldProblem::new(Field::Domain, wrong)));
    problems.extend(check_external_reference(&text::tidy(&draft.external_reference)));
    problems.extend(check_labels(&draft.labels));
    problems.extend(check_note(&text::tidy(&draft.note)));
    problems
}

/// Admits a draft, or tells everything that is wrong with it.
pub fn admit(
    account: &PartnerAccountId,
    draft: CustomerDraft,
    now: Timestamp,
) -> Result<AdmittedCustomer, Vec<FieldProblem>> {
    let problems = problems(&draft);
    if !problems.is_empty() {
        return Err(problems);
    }
    let primary_contact = tidied(&draft.primary_contact);
    let billing = match draft.billing_contact.as_ref().map(tidied) {
        Some(own) if own != primary_contact => Billing::Own(own),
        Some(_) | None => Billing::MirrorsPrimary,
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
    Ok(AdmittedCustomer(customer))
}

fn tidied(raw: &Contact) -> Contact {
    let mut contact = Contact::default();
    for member in ContactField::ALL {
        contact.set(member, text::tidy(raw.get(member)));
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
