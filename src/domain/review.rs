//! The review of a caller's edit against the record it would change (R3, R4, R6, R7).
//!
//! An edit is judged by what it would *change*: a guarded field named with its present value is no edit.
//! A changed guarded field refuses the whole request, and the refusal names every such field.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::access::Enforcement;
use crate::domain::contact::{ContactField, ContactRole};
use crate::domain::customer::{Billing, Customer, Relationship};
use crate::domain::edit::{CustomerEdit, Wish, WishedRelationship};
use crate::domain::field::Field;
use crate::domain::ownership::{Owner, Standing, owner};
use crate::domain::reconcile::differences;
use crate::domain::text::{self, FieldProblem};

/// What a caller that names another `source` is told (R6).
const SOURCE_IS_NOT_CHOSEN: &str = "cannot be chosen or changed by a caller: it says where the customer comes from";

/// Proof that the review saw this edit against the record it will change. Only [`review`] makes one.
#[must_use = "an allowed edit does nothing until it is saved"]
#[derive(Debug)]
pub struct AllowedEdit {
    before: Box<Customer>,
    after: Box<Customer>,
    changed: Vec<Field>,
}

impl AllowedEdit {
    /// The record as the review saw it.
    pub const fn before(&self) -> &Customer {
        &self.before
    }

    /// The record as it is to be; revision and time are still the old ones.
    pub const fn after(&self) -> &Customer {
        &self.after
    }

    /// What differs; empty when the edit changes nothing.
    pub fn changed(&self) -> &[Field] {
        &self.changed
    }
}

/// Which rule refuses a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardRule {
    /// The field is Partner Center's.
    FieldOwnedByPartnerCenter,
    /// The billing contact of a Microsoft customer is its primary contact.
    BillingMirrorsPrimary,
}

impl GuardRule {
    /// Every rule.
    pub const ALL: [Self; 2] = [Self::FieldOwnedByPartnerCenter, Self::BillingMirrorsPrimary];

    /// The rule that guards a field Partner Center owns.
    pub const fn of(field: Field) -> Self {
        match field {
            Field::Contact(ContactRole::Billing, _) => Self::BillingMirrorsPrimary,
            Field::Contact(ContactRole::Primary, _)
            | Field::CompanyName
            | Field::TenantName
            | Field::Domain
            | Field::MicrosoftTenantId
            | Field::Relationship
            | Field::Resellers
            | Field::ExternalReference
            | Field::Labels
            | Field::Note
            | Field::Status => Self::FieldOwnedByPartnerCenter,
        }
    }

    /// The name in errors and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FieldOwnedByPartnerCenter => "FIELD_OWNED_BY_PARTNER_CENTER",
            Self::BillingMirrorsPrimary => "BILLING_MIRRORS_PRIMARY",
        }
    }
}

/// One field a caller may not change, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field.
    pub field: Field,
    /// The rule.
    pub rule: GuardRule,
}

/// A guarded edit turned down: every offending field, and what would have passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Every guarded field the edit would change.
    pub violations: Vec<Violation>,
    /// The fields it would change that are the caller's to change.
    pub acceptable: Vec<Field>,
}

/// What the review says.
#[derive(Debug)]
pub enum Review {
    /// The edit may be saved.
    Allowed(AllowedEdit),
    /// The edit touches what Partner Center owns.
    Refused(Refusal),
    /// So it does, and for this caller that is only reported: the rest of it may be saved.
    Reported(AllowedEdit, Refusal),
    /// The edit is the caller's to make, but its values cannot be stored.
    Invalid(Vec<FieldProblem>),
}

/// Reviews an edit of `customer`. Call it on the record locked by the transaction that will save it.
pub fn review(customer: &Customer, edit: &CustomerEdit, enforcement: Enforcement) -> Review {
    let standing = Standing::of(customer.source(), customer.relationship());
    let mut judged =
        Judged { after: customer.clone(), changed: Vec::new(), violations: Vec::new(), problems: Vec::new() };
    for wish in &edit.wishes {
        judged.judge(customer, standing, wish);
    }
    judged.tidy_up(customer);
    let refusal = Refusal { violations: judged.violations, acceptable: judged.changed };
    let is_guarded = !refusal.violations.is_empty();
    if is_guarded && enforcement == Enforcement::Refuse {
        return Review::Refused(refusal);
    }
    if !judged.problems.is_empty() {
        return Review::Invalid(judged.problems);
    }
    // Not what was named: billing that mirrors changes with the primary contact. What is guarded was never applied.
    let changed = differences(customer, &judged.after);
    let allowed = AllowedEdit { before: Box::new(customer.clone()), after: Box::new(judged.after), changed };
    if is_guarded { Review::Reported(allowed, refusal) } else { Review::Allowed(allowed) }
}

struct Judged {
    after: Customer,
    changed: Vec<Field>,
    violations: Vec<Violation>,
    problems: Vec<FieldProblem>,
}

impl Judged {
    fn judge(&mut self, before: &Customer, standing: Standing, wish: &Wish) {
        if !would_change(before, wish) {
            return;
        }
        let Some(field) = wish.field() else {
            match wish {
                Wish::Source(_) => self.problems.push(FieldProblem::new("source", SOURCE_IS_NOT_CHOSEN)),
                _ => self.mirror_billing(before),
            }
            return;
        };
        match owner(standing, field) {
            Owner::PartnerCenter if planted!("guard-forgets-a-field") && field == Field::Domain => {
                self.apply(before, field, wish);
            }
            Owner::PartnerCenter => self.violate(field),
            Owner::Platform => self.apply(before, field, wish),
        }
    }

    fn violate(&mut self, field: Field) {
        let violation = Violation { field, rule: GuardRule::of(field) };
        if !self.violations.contains(&violation) {
            self.violations.push(violation);
        }
    }

    fn change(&mut self, field: Field, problem: Option<FieldProblem>) {
        match problem {
            Some(problem) => self.problems.push(problem),
            None if self.changed.contains(&field) => {}
            None => self.changed.push(field),
        }
    }

    fn mirror_billing(&mut self, before: &Customer) {
        self.after.billing = Billing::MirrorsPrimary;
        for member in ContactField::ALL {
            if before.billing_contact().get(member) != before.primary_contact.get(member) {
                self.change(Field::Contact(ContactRole::Billing, member), None);
            }
        }
    }

    fn apply(&mut self, before: &Customer, field: Field, wish: &Wish) {
        match wish {
            Wish::Contact(role, member, raw) => {
                let value = text::tidy(raw);
                let problem = text::check_contact(*member, &value).map(|wrong| FieldProblem::new(field, wrong));
                match role {
                    ContactRole::Primary => self.after.primary_contact.set(*member, value),
                    ContactRole::Billing => self.set_billing(before, *member, value),
                }
                self.change(field, problem);
            }
            Wish::BillingMirrorsPrimary | Wish::Source(_) => {}
            Wish::CompanyName(raw) => {
                self.after.company_name = text::tidy(raw);
                let problem = check_company_name(&self.after.company_name);
                self.change(field, problem);
            }
            Wish::Domain(raw) => {
                self.after.domain = text::tidy(raw).to_lowercase();
                let problem = text::check_domain(&self.after.domain).map(|wrong| FieldProblem::new(field, wrong));
                self.change(field, problem);
            }
            Wish::TenantName(_) | Wish::MicrosoftTenantId(_) | Wish::Relationship(_) | Wish::Resellers(_) => {
                let wrong = "is set by synchronization with Partner Center and cannot be given to a platform customer";
                self.change(field, Some(FieldProblem::new(field, wrong)));
            }
            Wish::ExternalReference(raw) => {
                self.after.external_reference = text::tidy(raw);
                let problem = check_external_reference(&self.after.external_reference);
                self.change(field, problem);
            }
            Wish::Labels(labels) => {
                self.after.labels = labels.clone();
                self.change(field, None);
            }
            Wish::Label(key, value) => {
                match value {
                    Some(value) => self.after.labels.insert(key.clone(), value.clone()),
                    None => self.after.labels.remove(key),
                };
                self.change(field, None);
            }
            Wish::Note(raw) => {
                self.after.note = text::tidy(raw);
                let problem = check_note(&self.after.note);
                self.change(field, problem);
            }
            Wish::Status(status) => {
                self.after.status = *status;
                self.change(field, None);
            }
        }
    }

    /// A member of a mirrored billing contact changes: billing becomes a contact of its own, as it was.
    fn set_billing(&mut self, before: &Customer, member: ContactField, value: String) {
        if let Billing::MirrorsPrimary = self.after.billing {
            self.after.billing = Billing::Own(before.billing_contact().clone());
        }
        if let Billing::Own(contact) = &mut self.after.billing {
            contact.set(member, value);
        }
    }

    fn tidy_up(&mut self, before: &Customer) {
        // Billing that mirrored, was named, and ends equal to the new primary contact goes on mirroring.
        let equal = matches!(&self.after.billing, Billing::Own(own) if *own == self.after.primary_contact);
        if before.billing == Billing::MirrorsPrimary && equal {
            self.after.billing = Billing::MirrorsPrimary;
        }
        if self.changed.contains(&Field::Labels) {
            let problems = check_labels(&self.after.labels);
            self.changed.retain(|field| *field != Field::Labels || problems.is_empty());
            self.problems.extend(problems);
        }
    }
}

/// Whether the wish differs from what the record shows (R4).
fn would_change(before: &Customer, wish: &Wish) -> bool {
    let link = before.microsoft.as_ref();
    match wish {
        Wish::Contact(role, member, wanted) => {
            text::canonical(*member, wanted) != text::canonical(*member, before.contact(*role, *member))
        }
        Wish::BillingMirrorsPrimary => before.billing != Billing::MirrorsPrimary,
        Wish::Source(wanted) => *wanted != before.source(),
        Wish::CompanyName(wanted) => text::tidy(wanted) != text::tidy(&before.company_name),
        Wish::Domain(wanted) => text::tidy(wanted).to_lowercase() != text::tidy(&before.domain).to_lowercase(),
        Wish::TenantName(wanted) => {
            text::tidy(wanted) != link.map_or(String::new(), |link| text::tidy(&link.tenant_name))
        }
        Wish::MicrosoftTenantId(wanted) => {
            text::tidy(wanted).to_lowercase() != link.map_or(String::new(), |link| link.tenant_id.to_string())
        }
        Wish::Relationship(wanted) => {
            let present = match before.relationship() {
                Some(Relationship::Active) => WishedRelationship::Active,
                Some(Relationship::Ended) => WishedRelationship::Ended,
                None => WishedRelationship::None,
            };
            *wanted != present
        }
        Wish::Resellers(wanted) => {
            let wanted: BTreeSet<_> = wanted.iter().map(|tenant| text::tidy(tenant).to_lowercase()).collect();
            wanted != before.resellers().iter().map(|reseller| reseller.tenant_id.to_string()).collect()
        }
        Wish::ExternalReference(wanted) => text::tidy(wanted) != before.external_reference,
        Wish::Labels(wanted) => *wanted != before.labels,
        Wish::Label(key, wanted) => before.labels.get(key) != wanted.as_ref(),
        Wish::Note(wanted) => text::tidy(wanted) != before.note,
        Wish::Status(wanted) => *wanted != before.status,
    }
}

/// Everything wrong with the values an edit names, whatever the record holds: for a request that is refused already, so
/// that its caller learns of all of it at once.
pub fn value_problems(edit: &CustomerEdit) -> Vec<FieldProblem> {
    edit.wishes.iter().flat_map(wrong_value).collect()
}

fn wrong_value(wish: &Wish) -> Vec<FieldProblem> {
    match wish {
        Wish::Contact(role, member, raw) => {
            let wrong = text::check_contact(*member, &text::tidy(raw));
            wrong.map(|wrong| FieldProblem::new(Field::Contact(*role, *member), wrong)).into_iter().collect()
        }
        Wish::CompanyName(raw) => check_company_name(&text::tidy(raw)).into_iter().collect(),
        Wish::Domain(raw) => {
            let wrong = text::check_domain(&text::tidy(raw).to_lowercase());
            wrong.map(|wrong| FieldProblem::new(Field::Domain, wrong)).into_iter().collect()
        }
        Wish::ExternalReference(raw) => check_external_reference(&text::tidy(raw)).into_iter().collect(),
        Wish::Labels(labels) => check_labels(labels),
        Wish::Label(key, value) => check_labels(&BTreeMap::from([(key.clone(), value.clone().unwrap_or_default())])),
        Wish::Note(raw) => check_note(&text::tidy(raw)).into_iter().collect(),
        Wish::BillingMirrorsPrimary
        | Wish::Source(_)
        | Wish::TenantName(_)
        | Wish::MicrosoftTenantId(_)
        | Wish::Relationship(_)
        | Wish::Resellers(_)
        | Wish::Status(_) => Vec::new(),
    }
}

/// What is wrong with a company name.
pub fn check_company_name(name: &str) -> Option<FieldProblem> {
    let wrong =
        if name.is_empty() { Some("is required".to_owned()) } else { text::check_text(name, text::COMPANY_NAME_MAX) };
    wrong.map(|wrong| FieldProblem::new(Field::CompanyName, wrong))
}

/// What is wrong with an external reference.
pub fn check_external_reference(reference: &str) -> Option<FieldProblem> {
    text::check_text(reference, text::EXTERNAL_REFERENCE_MAX)
        .map(|wrong| FieldProblem::new(Field::ExternalReference, wrong))
}

/// What is wrong with a note.
pub fn check_note(note: &str) -> Option<FieldProblem> {
    text::check_lines(note, text::NOTE_MAX).map(|wrong| FieldProblem::new(Field::Note, wrong))
}

/// Everything wrong with a set of labels.
pub fn check_labels(labels: &BTreeMap<String, String>) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if labels.len() > text::LABELS_MAX {
        let wrong = format!("a customer has at most {} labels, not {}", text::LABELS_MAX, labels.len());
        problems.push(FieldProblem::new(Field::Labels, wrong));
    }
    for (key, value) in labels {
        // A malformed key could be anything: it is named by its escaped, shortened form.
        let shown: String = key.chars().take(text::LABEL_KEY_MAX).flat_map(char::escape_default).collect();
        let wrong = text::check_label_key(key).or_else(|| text::check_text(value, text::LABEL_VALUE_MAX));
        problems.extend(wrong.map(|wrong| FieldProblem::new(format_args!("labels.{shown}"), wrong)));
    }
    problems
}

#[cfg(test)]
#[path = "review_tests.rs"]
mod tests;
