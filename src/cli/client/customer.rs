//! A customer as a record: what it is, whom to write to, and how fresh that is; with the fields that are locked.

use std::collections::BTreeSet;

use clap::ValueEnum;
use customer_guard::clock::Timestamp;
use customer_guard::grpc::proto;

use super::failure::Failure;
use super::names;
use super::output::Output;
use super::record::{LOCK, Record, paragraph};
use super::screen::{Screen, Tone, harmless};
use super::session::Session;
use super::table::Cell;
use super::times::{exact, exact_and_age};
use super::words;

/// How much of a customer is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum View {
    // Everything but contacts, labels, note and reference. The help stays short by not saying so for each value.
    Basic,
    #[default]
    Full,
}

impl View {
    pub(super) fn of_message(self) -> i32 {
        match self {
            Self::Basic => proto::CustomerView::Basic,
            Self::Full => proto::CustomerView::Full,
        }
        .into()
    }
}

/// Prints a customer. In a table its locks are marked, for which the service is asked who owns what.
pub(super) async fn print(session: &Session, customer: &proto::Customer) -> Result<(), Failure> {
    let Output { screen, now, .. } = session.output;
    let ownership = if session.output.is_json() {
        None
    } else {
        let request = proto::GetFieldOwnershipRequest { name: customer.name.clone() };
        // Without it the record is shown all the same, and says that locks are not known.
        session.answer(session.customers().get_field_ownership(request)).await.ok()
    };
    session.output.answer(customer, |customer| text(customer, ownership.as_ref(), screen, now))
}

/// The customer's state in a word or two, and how to feel about it.
pub(super) fn state(customer: &proto::Customer) -> Cell {
    let (mut words, mut tone) = match customer.sync_state() {
        _ if customer.delete_time.is_some() => ("deleted".to_owned(), Tone::Faint),
        proto::SyncState::Unspecified => ("not synced".to_owned(), Tone::Plain),
        state @ (proto::SyncState::Synced | proto::SyncState::NeverSeen) => (words::sync_state(state), Tone::Good),
        state @ proto::SyncState::Ended => (words::sync_state(state), Tone::Faint),
        proto::SyncState::HeldForRemoval => ("held".to_owned(), Tone::Uneasy),
        state @ (proto::SyncState::Paused | proto::SyncState::PendingLink) => (words::sync_state(state), Tone::Uneasy),
        state @ proto::SyncState::Quarantined => (words::sync_state(state), Tone::Bad),
    };
    if customer.source() == proto::Source::Platform && customer.delete_time.is_none() {
        words = "own".to_owned();
    }
    if customer.stale {
        (words, tone) = (format!("{words}, stale"), Tone::Uneasy);
    }
    if customer.status() == proto::CustomerStatus::Blocked {
        words.push_str(", blocked");
    }
    Cell::toned(words, tone)
}

/// The record as text.
pub(super) fn text(
    customer: &proto::Customer,
    ownership: Option<&proto::FieldOwnership>,
    screen: Screen,
    now: Timestamp,
) -> String {
    let locked = Locks::of(ownership);
    let mut record = Record::default();
    identity(&mut record, customer, &locked);
    contacts(&mut record, customer, &locked);
    platforms_own(&mut record, customer, &locked);
    synchronization(&mut record, customer, now);
    let mut text = record.text(screen);
    for candidate in &customer.duplicate_candidates {
        let why = words::duplicate_reason(candidate.reason());
        text.push_str(&paragraph(&format!("May be the same as {}: {why}.", names::short(&candidate.customer)), screen));
    }
    let legend = match ownership {
        None => "Who owns which field could not be found out; `customer-guard ownership` tells.".to_owned(),
        Some(ownership) if record.has_marks() => {
            let fix = ownership.fix.as_ref();
            let instruction = fix.map(|fix| harmless(&fix.instruction)).unwrap_or_default();
            format!("{LOCK} Only Partner Center can change these. {instruction}")
        }
        Some(_) => return text,
    };
    text.push('\n');
    text.push_str(&paragraph(&legend, screen));
    if let Some(fix) = ownership.and_then(|ownership| ownership.fix.as_ref()).filter(|fix| !fix.uri.is_empty()) {
        text.push_str(&format!("{}\n", harmless(&fix.uri)));
    }
    text
}

/// The paths that only Partner Center writes.
struct Locks<'a>(BTreeSet<&'a str>);

impl<'a> Locks<'a> {
    fn of(ownership: Option<&'a proto::FieldOwnership>) -> Self {
        let fields = ownership.map(|ownership| ownership.fields.as_slice()).unwrap_or_default().iter();
        let locked = fields.filter(|field| field.owner() == proto::FieldOwner::PartnerCenter);
        Self(locked.map(|field| field.field.as_str()).collect())
    }

    fn holds(&self, path: &str) -> bool {
        self.0.contains(path)
    }
}

fn identity(record: &mut Record, customer: &proto::Customer, locked: &Locks<'_>) {
    let relationship = match (words::relationship(customer.relationship()), customer.upstream_relationship.as_str()) {
        (word, "") => word,
        (word, upstream) => format!("{word} ({upstream} in Partner Center)"),
    };
    record
        .group("Identity")
        .row("Customer", names::short(&customer.name))
        .marked(locked.holds("company_name"), "Company", &customer.company_name)
        .marked(locked.holds("domain"), "Domain", &customer.domain)
        .row("Source", words::source(customer.source()))
        .marked(locked.holds("tenant_name"), "Tenant", &customer.tenant_name)
        .marked(locked.holds("microsoft_tenant_id"), "Tenant id", &customer.microsoft_tenant_id)
        .marked(locked.holds("relationship"), "Relationship", relationship);
    for reseller in &customer.resellers {
        let name = match reseller.display_name.as_str() {
            "" => reseller.microsoft_tenant_id.clone(),
            name => format!("{name} ({})", reseller.microsoft_tenant_id),
        };
        record.marked(locked.holds("resellers"), "Reseller", name);
    }
}

fn contacts(record: &mut Record, customer: &proto::Customer, locked: &Locks<'_>) {
    contact(record.group("Primary contact"), "primary_contact", customer.primary_contact.as_ref(), locked);
    if customer.billing_mirrors_primary {
        let mirrors = "same as the primary contact";
        record.group("Billing contact").marked(locked.holds("billing_contact.email"), "Everything", mirrors);
    } else {
        contact(record.group("Billing contact"), "billing_contact", customer.billing_contact.as_ref(), locked);
    }
}

fn contact(record: &mut Record, path: &str, contact: Option<&proto::Contact>, locked: &Locks<'_>) {
    let Some(contact) = contact else { return };
    let address = contact.address.clone().unwrap_or_default();
    let person = [&contact.first_name, &contact.last_name].map(String::as_str).join(" ");
    let streets = [&address.address_line1, &address.address_line2, &address.address_line3];
    let street = streets.into_iter().filter(|line| !line.is_empty()).cloned().collect::<Vec<_>>().join(", ");
    let rows = [
        ("first_name", "Person", person.trim()),
        ("email", "E-mail", &contact.email),
        ("phone_number", "Phone", &contact.phone_number),
        ("language", "Language", &contact.language),
        ("culture", "Culture", &contact.culture),
        ("address.address_line1", "Street", &street),
        ("address.postal_code", "Postal code", &address.postal_code),
        ("address.city", "City", &address.city),
        ("address.district", "District", &address.district),
        ("address.state", "State", &address.state),
        ("address.region", "Region", &address.region),
        ("address.country", "Country", &address.country),
    ];
    for (member, label, value) in rows {
        record.marked(locked.holds(&format!("{path}.{member}")), label, value);
    }
}

fn platforms_own(record: &mut Record, customer: &proto::Customer, locked: &Locks<'_>) {
    let blocked = customer.status() == proto::CustomerStatus::Blocked;
    let tone = if blocked { Tone::Bad } else { Tone::Plain };
    let labels = customer.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ");
    record
        .group("The platform's own")
        .row("Status", Cell::toned(words::customer_status(customer.status()), tone))
        .marked(locked.holds("external_reference"), "Reference", &customer.external_reference)
        .marked(locked.holds("labels"), "Labels", labels)
        .marked(locked.holds("note"), "Note", &customer.note);
}

/// When it was verified, and what asked for that.
fn verified(customer: &proto::Customer, now: Timestamp) -> String {
    let at = exact_and_age(customer.verified_at.as_ref(), now);
    match words::verification_cause(customer.verified_by()).as_str() {
        cause if !at.is_empty() && !cause.is_empty() => format!("{at} by {cause}"),
        _ => at,
    }
}

fn synchronization(record: &mut Record, customer: &proto::Customer, now: Timestamp) {
    let at = |time: &Option<prost_types::Timestamp>| exact_and_age(time.as_ref(), now);
    record.group("Record");
    if customer.source() == proto::Source::Microsoft {
        record.row("Sync", state(customer));
    }
    if let Some(pause) = &customer.pause {
        let since = pause.start_time.as_ref().map(exact).unwrap_or_default();
        let paused = format!("since {since} by {}: {}", pause.paused_by, pause.reason);
        record.row("Paused", Cell::toned(paused, Tone::Uneasy));
    }
    record
        .row("Verified", verified(customer, now))
        .row("Due by", at(&customer.verify_due_by))
        .row("Created", at(&customer.create_time))
        .row("Changed", at(&customer.update_time))
        .row("Changed there", customer.last_upstream_change.as_ref().map(words::upstream_change).unwrap_or_default())
        .row("Deleted", at(&customer.delete_time))
        .row("Revision", format!("{} (etag {})", customer.revision, customer.etag));
}

#[cfg(test)]
#[path = "customer_tests.rs"]
mod tests;
