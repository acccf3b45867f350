//! An update request as leaf wishes: whatever mask a caller used, nothing stays hidden inside a message.

use std::collections::BTreeMap;

use crate::domain::contact::{ContactField, ContactRole};
use crate::domain::customer::Source;
use crate::domain::edit::{CustomerEdit, Wish, WishedRelationship};
use crate::domain::review::value_problems;
use crate::domain::text::FieldProblem;
use crate::grpc::convert::{UNKNOWN_VALUE, contact_of, member, status_of};
use crate::grpc::proto;

/// Paths of what the service sets and no caller owns; naming them is ignored (AIP-203).
const OUTPUT_ONLY: [&str; 16] = [
    "name",
    "upstream_relationship",
    "billing_mirrors_primary",
    "sync_state",
    "verified_at",
    "verified_by",
    "last_upstream_change",
    "verify_due_by",
    "create_time",
    "update_time",
    "delete_time",
    "etag",
    "pause",
    "stale",
    "revision",
    "duplicate_candidates",
];

/// What an absent value means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    /// Clear the field: it was named, or everything was.
    Clears,
    /// Leave the field alone: nothing was named.
    IsNoWish,
}

/// The wishes of an update, or everything that is wrong with its shape.
pub fn edit(
    customer: &proto::Customer,
    mask: Option<&prost_types::FieldMask>,
) -> Result<CustomerEdit, Vec<FieldProblem>> {
    let mut reading = Reading { customer, edit: CustomerEdit::default(), problems: Vec::new() };
    let paths = mask.map_or(&[][..], |mask| mask.paths.as_slice());
    match paths {
        [] => reading.everything(Absent::IsNoWish),
        [only] if only == "*" => reading.everything(Absent::Clears),
        named => named.iter().for_each(|path| reading.path(path)),
    }
    if reading.problems.is_empty() {
        return Ok(reading.edit);
    }
    reading.problems.extend(value_problems(&reading.edit));
    Err(reading.problems)
}

struct Reading<'a> {
    customer: &'a proto::Customer,
    edit: CustomerEdit,
    problems: Vec<FieldProblem>,
}

impl Reading<'_> {
    fn everything(&mut self, absent: Absent) {
        let customer = self.customer;
        let said = |text: &str| absent == Absent::Clears || !text.is_empty();
        if said(&customer.company_name) {
            self.edit.wish(Wish::CompanyName(customer.company_name.clone()));
        }
        if said(&customer.domain) {
            self.edit.wish(Wish::Domain(customer.domain.clone()));
        }
        if said(&customer.external_reference) {
            self.edit.wish(Wish::ExternalReference(customer.external_reference.clone()));
        }
        if said(&customer.note) {
            self.edit.wish(Wish::Note(customer.note.clone()));
        }
        if absent == Absent::Clears || !customer.labels.is_empty() {
            self.labels();
        }
        self.contact(ContactRole::Primary, absent);
        self.contact(ContactRole::Billing, absent);
        // What only the service sets is not cleared by leaving it out.
        if !customer.tenant_name.is_empty() {
            self.edit.wish(Wish::TenantName(customer.tenant_name.clone()));
        }
        if !customer.microsoft_tenant_id.is_empty() {
            self.edit.wish(Wish::MicrosoftTenantId(customer.microsoft_tenant_id.clone()));
        }
        if !customer.resellers.is_empty() {
            self.resellers();
        }
        self.source(Absent::IsNoWish);
        self.relationship(Absent::IsNoWish);
        self.status(Absent::IsNoWish);
    }

    fn path(&mut self, path: &str) {
        let customer = self.customer;
        match path {
            "*" => self.problem("must stand alone"),
            "company_name" => self.edit.wish(Wish::CompanyName(customer.company_name.clone())),
            "domain" => self.edit.wish(Wish::Domain(customer.domain.clone())),
            "tenant_name" => self.edit.wish(Wish::TenantName(customer.tenant_name.clone())),
            "microsoft_tenant_id" => self.edit.wish(Wish::MicrosoftTenantId(customer.microsoft_tenant_id.clone())),
            "external_reference" => self.edit.wish(Wish::ExternalReference(customer.external_reference.clone())),
            "note" => self.edit.wish(Wish::Note(customer.note.clone())),
            "labels" => self.labels(),
            "source" => self.source(Absent::Clears),
            "relationship" => self.relationship(Absent::Clears),
            "resellers" => self.resellers(),
            "status" => self.status(Absent::Clears),
            "primary_contact" => self.contact(ContactRole::Primary, Absent::Clears),
            "billing_contact" => self.contact(ContactRole::Billing, Absent::Clears),
            ignored if OUTPUT_ONLY.contains(&ignored) => {}
            other => self.nested_path(other),
        }
    }

    fn nested_path(&mut self, path: &str) {
        match path.split_once('.') {
            Some(("primary_contact", rest)) if self.contact_path(ContactRole::Primary, rest) => {}
            Some(("billing_contact", rest)) if self.contact_path(ContactRole::Billing, rest) => {}
            Some(("labels", key)) if !key.is_empty() => self.label(key.trim_matches('`')),
            _ => {
                let shown: String = path.chars().take(80).flat_map(char::escape_default).collect();
                self.problem(&format!("has no field {shown}"));
            }
        }
    }

    fn problem(&mut self, description: &str) {
        self.problems.push(FieldProblem::new("update_mask", description));
    }

    fn message(&self, role: ContactRole) -> Option<&proto::Contact> {
        match role {
            ContactRole::Primary => self.customer.primary_contact.as_ref(),
            ContactRole::Billing => self.customer.billing_contact.as_ref(),
        }
    }

    fn contact(&mut self, role: ContactRole, absent: Absent) {
        let contact = self.message(role).map(contact_of).unwrap_or_default();
        match (absent, role, contact.is_empty()) {
            (Absent::Clears, ContactRole::Billing, true) => self.edit.wish(Wish::BillingMirrorsPrimary),
            (Absent::Clears, ContactRole::Billing | ContactRole::Primary, _) => {
                self.edit.replace_contact(role, &contact)
            }
            (Absent::IsNoWish, ContactRole::Billing | ContactRole::Primary, _) => {
                for field in ContactField::ALL.into_iter().filter(|field| !contact.get(*field).is_empty()) {
                    self.edit.wish(Wish::Contact(role, field, contact.get(field).to_owned()));
                }
            }
        }
    }

    fn contact_path(&mut self, role: ContactRole, path: &str) -> bool {
        let named = |field: &ContactField| match path {
            "address" => ContactField::ADDRESS.contains(field),
            other => field.path() == other,
        };
        let fields: Vec<_> = ContactField::ALL.into_iter().filter(named).collect();
        for field in &fields {
            let value = self.message(role).map_or("", |contact| member(contact, *field)).to_owned();
            self.edit.wish(Wish::Contact(role, *field, value));
        }
        !fields.is_empty()
    }

    fn labels(&mut self) {
        let labels: BTreeMap<_, _> = self.customer.labels.clone().into_iter().collect();
        self.edit.wish(Wish::Labels(labels));
    }

    fn label(&mut self, key: &str) {
        let value = self.customer.labels.get(key).cloned();
        self.edit.wish(Wish::Label(key.to_owned(), value));
    }

    fn source(&mut self, absent: Absent) {
        match proto::Source::try_from(self.customer.source) {
            Ok(proto::Source::Platform) => self.edit.wish(Wish::Source(Source::Platform)),
            Ok(proto::Source::Microsoft) => self.edit.wish(Wish::Source(Source::Microsoft)),
            Ok(proto::Source::Unspecified) if absent == Absent::IsNoWish => {}
            Ok(proto::Source::Unspecified) => {
                self.problems.push(FieldProblem::new("source", "cannot be cleared: every customer has one"));
            }
            Err(_) => self.problems.push(FieldProblem::new("source", UNKNOWN_VALUE)),
        }
    }

    fn relationship(&mut self, absent: Absent) {
        match proto::Relationship::try_from(self.customer.relationship) {
            Ok(proto::Relationship::Active) => self.edit.wish(Wish::Relationship(WishedRelationship::Active)),
            Ok(proto::Relationship::Ended) => self.edit.wish(Wish::Relationship(WishedRelationship::Ended)),
            Ok(proto::Relationship::Unspecified) if absent == Absent::IsNoWish => {}
            Ok(proto::Relationship::Unspecified) => self.edit.wish(Wish::Relationship(WishedRelationship::None)),
            Err(_) => self.problems.push(FieldProblem::new("relationship", UNKNOWN_VALUE)),
        }
    }

    fn resellers(&mut self) {
        let tenants = self.customer.resellers.iter().map(|reseller| reseller.microsoft_tenant_id.clone());
        self.edit.wish(Wish::Resellers(tenants.collect()));
    }

    fn status(&mut self, absent: Absent) {
        match status_of("status", self.customer.status) {
            Ok(Some(status)) => self.edit.wish(Wish::Status(status)),
            Ok(None) if absent == Absent::IsNoWish => {}
            Ok(None) => self.problems.push(FieldProblem::new("status", "must be ACTIVE or BLOCKED")),
            Err(problem) => self.problems.push(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(paths: &[&str]) -> prost_types::FieldMask {
        prost_types::FieldMask { paths: paths.iter().map(ToString::to_string).collect() }
    }

    fn with_email(email: &str) -> proto::Customer {
        let contact = proto::Contact { email: email.to_owned(), ..Default::default() };
        proto::Customer { primary_contact: Some(contact), ..Default::default() }
    }

    #[test]
    fn every_way_to_name_an_email_is_a_wish_about_the_email() {
        let customer = with_email("new@example.com");
        let wish = Wish::Contact(ContactRole::Primary, ContactField::Email, "new@example.com".to_owned());
        let masks = [
            None,
            Some(mask(&[])),
            Some(mask(&["*"])),
            Some(mask(&["primary_contact"])),
            Some(mask(&["primary_contact.email"])),
        ];
        for mask in masks {
            let edit = edit(&customer, mask.as_ref()).expect("a sound mask");
            assert!(edit.wishes.contains(&wish), "{mask:?}");
        }
    }

    #[test]
    fn an_absent_mask_names_populated_leaves_only_and_a_star_clears_the_rest() {
        let customer = with_email("new@example.com");
        assert_eq!(edit(&customer, None).expect("no mask").wishes.len(), 1);
        let all = edit(&customer, Some(&mask(&["*"]))).expect("a star");
        assert!(all.wishes.contains(&Wish::Contact(ContactRole::Primary, ContactField::City, String::new())));
        assert!(all.wishes.contains(&Wish::BillingMirrorsPrimary));
        assert!(all.wishes.contains(&Wish::Labels(BTreeMap::new())));
    }

    #[test]
    fn an_address_path_names_each_of_its_lines() {
        let edit = edit(&with_email(""), Some(&mask(&["billing_contact.address"]))).expect("a sound mask");
        assert_eq!(edit.wishes.len(), ContactField::ADDRESS.len());
    }

    #[test]
    fn every_unknown_path_is_told() {
        let wrong = mask(&["labels", "primary_contact.fax", "nonsense", "primary_contact.", "*", "address.city"]);
        let problems = edit(&proto::Customer::default(), Some(&wrong)).expect_err("unknown paths");
        let told: Vec<_> = problems.iter().map(|problem| problem.description.as_str()).collect();
        let expected = [
            "has no field primary_contact.fax",
            "has no field nonsense",
            "has no field primary_contact.",
            "must stand alone",
            "has no field address.city",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn one_label_can_be_set_or_removed_by_its_key() {
        let customer =
            proto::Customer { labels: [("team".to_owned(), "blue".to_owned())].into(), ..Default::default() };
        let edit = edit(&customer, Some(&mask(&["labels.team", "labels.old"]))).expect("a sound mask");
        let expected = [Wish::Label("team".to_owned(), Some("blue".to_owned())), Wish::Label("old".to_owned(), None)];
        assert_eq!(edit.wishes, expected);
    }
}
