//! A customer as a row, and a row as a customer.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::domain::contact::{Contact, ContactField};
use crate::domain::customer::{Billing, Customer, CustomerStatus, MicrosoftLink, Relationship, Source, SyncState};
use crate::domain::ids::{Epoch, Revision, Ticket};
use crate::domain::look::LookCause;
use crate::domain::observation::ObservationMark;
use crate::domain::pause::{Pause, PauseReason};
use crate::domain::reseller::Reseller;
use crate::domain::upstream_change::Provenance;
use crate::store::Error;
use crate::store::row::Row;
use crate::store::statement::Statement;
use crate::store::upstream_changes::upstream_change;

/// The columns of a customer (`c`) and of what is known of it upstream (`u`), in the order `customer` reads them.
macro_rules! customer_columns {
    () => {
        "c.account, c.id, c.revision, c.company_name, c.domain,
         c.primary_first_name, c.primary_last_name, c.primary_email, c.primary_phone_number, c.primary_language,
         c.primary_culture, c.primary_country, c.primary_region, c.primary_state, c.primary_district, c.primary_city,
         c.primary_address_line1, c.primary_address_line2, c.primary_address_line3, c.primary_postal_code,
         c.billing_first_name, c.billing_last_name, c.billing_email, c.billing_phone_number, c.billing_language,
         c.billing_culture, c.billing_country, c.billing_region, c.billing_state, c.billing_district, c.billing_city,
         c.billing_address_line1, c.billing_address_line2, c.billing_address_line3, c.billing_postal_code,
         c.external_reference, c.labels, c.note, c.status,
         c.microsoft_tenant_id, c.tenant_name, c.relationship, c.upstream_relationship, c.sync_state,
         c.observation_epoch, c.observation_ticket, c.created_at, c.updated_at, c.deleted_at,
         u.verified_at, u.observed_epoch, u.observed_ticket, u.paused_at, u.paused_by, u.pause_reason, u.verified_by,
         w.record_id, w.operation, w.actor_user, w.actor_application, w.operation_at,
         (
             SELECT '[' || string_agg('[' || json_quote(m.reseller_id) || ',' || json_quote(m.display_name) || ','
                    || json_quote(m.mpn_id) || ']', ',') || ']' FROM customer_reseller m
             WHERE m.account = c.account AND m.tenant_id = c.microsoft_tenant_id AND m.shown
         ) AS resellers"
    };
}
pub(super) use customer_columns;

/// A customer with what is known of it upstream beside it, and who changed it there last (`w`).
macro_rules! customer_tables {
    () => {
        " FROM customer c LEFT JOIN upstream_customer u ON u.account = c.account AND u.tenant_id = c.microsoft_tenant_id
          LEFT JOIN upstream_change w ON w.sequence = u.change_sequence "
    };
}
pub(super) use customer_tables;

const PRIMARY_AT: usize = 5;
const BILLING_AT: usize = PRIMARY_AT + ContactField::ALL.len();

pub(super) fn customer(row: &Row) -> Result<Customer, Error> {
    let text = |column: &str| row.try_get::<String, _>(column);
    Ok(Customer {
        id: parsed(row, "id")?,
        account: parsed(row, "account")?,
        revision: Revision(row.try_get("revision")?),
        company_name: text("company_name")?,
        domain: text("domain")?,
        primary_contact: contact(row, PRIMARY_AT)?.unwrap_or_default(),
        billing: contact(row, BILLING_AT)?.map_or(Billing::MirrorsPrimary, Billing::Own),
        external_reference: text("external_reference")?,
        labels: labels(row.try_get("labels")?)?,
        note: text("note")?,
        status: named(row, "status", status_named)?,
        microsoft: microsoft(row)?,
        created_at: Timestamp::from_micros(row.try_get("created_at")?),
        updated_at: Timestamp::from_micros(row.try_get("updated_at")?),
        deleted_at: row.try_get::<Option<i64>, _>("deleted_at")?.map(Timestamp::from_micros),
    })
}

fn contact(row: &Row, first: usize) -> Result<Option<Contact>, Error> {
    let mut contact = Contact::default();
    for (place, field) in ContactField::ALL.into_iter().enumerate() {
        match row.try_get::<Option<String>, _>(first + place)? {
            Some(value) => contact.set(field, value),
            None => return Ok(None),
        }
    }
    Ok(Some(contact))
}

fn microsoft(row: &Row) -> Result<Option<MicrosoftLink>, Error> {
    let tenant_id: Option<&str> = row.try_get("microsoft_tenant_id")?;
    let Some(tenant_id) = tenant_id else { return Ok(None) };
    let applied = mark(row.try_get("observation_epoch")?, row.try_get("observation_ticket")?);
    let newest = match row.try_get::<Option<i64>, _>("observed_epoch")? {
        Some(epoch) => mark(epoch, row.try_get("observed_ticket")?),
        None => applied,
    };
    let verified_at: Option<i64> = row.try_get("verified_at")?;
    let verified_by: Option<&str> = row.try_get("verified_by")?;
    Ok(Some(MicrosoftLink {
        tenant_id: tenant_id.parse().map_err(|_| corrupt("microsoft_tenant_id"))?,
        tenant_name: row.try_get("tenant_name")?,
        relationship: named(row, "relationship", relationship_named)?,
        upstream_relationship: row.try_get("upstream_relationship")?,
        resellers: row.try_get::<Option<&str>, _>("resellers")?.map_or(Ok(Vec::new()), resellers)?,
        sync_state: named(row, "sync_state", sync_state_named)?,
        paused: pause(row)?,
        verified_at: Timestamp::from_micros(verified_at.unwrap_or(0)),
        provenance: Provenance {
            verified_by: verified_by.and_then(LookCause::named),
            last_change: upstream_change(row)?,
        },
        mark: applied.max(newest),
    }))
}

/// The pause of a row of `upstream_customer`, while there is one.
pub(super) fn pause(row: &Row) -> Result<Option<Pause>, Error> {
    let since: Option<i64> = row.try_get("paused_at")?;
    let Some(since) = since else { return Ok(None) };
    let reason = PauseReason::stored(row.try_get("pause_reason")?);
    Ok(Some(Pause { by: row.try_get("paused_by")?, since: Timestamp::from_micros(since), reason }))
}

fn mark(epoch: i64, ticket: i64) -> ObservationMark {
    ObservationMark { epoch: Epoch(epoch), ticket: Ticket(ticket) }
}

/// Binds a customer in the order of `customer_columns`, without what is known of it upstream.
pub(super) fn bind<'q>(query: Statement<'q>, customer: &Customer) -> Statement<'q> {
    let link = customer.microsoft.as_ref();
    let mut query = query
        .bind(customer.account.to_string())
        .bind(customer.id.to_string())
        .bind(source_name(customer.source()))
        .bind(customer.revision.0)
        .bind(customer.company_name.clone())
        .bind(customer.domain.clone());
    for field in ContactField::ALL {
        query = query.bind(customer.primary_contact.get(field).to_owned());
    }
    for field in ContactField::ALL {
        query = query.bind(match &customer.billing {
            Billing::MirrorsPrimary => None,
            Billing::Own(contact) => Some(contact.get(field).to_owned()),
        });
    }
    query
        .bind(customer.external_reference.clone())
        .bind(serde_json::Value::from_iter(customer.labels.clone()).to_string())
        .bind(customer.note.clone())
        .bind(status_name(customer.status))
        .bind(link.map(|link| link.tenant_id.to_string()))
        .bind(link.map(|link| link.tenant_name.clone()))
        .bind(link.map(|link| relationship_name(link.relationship)))
        .bind(link.map(|link| link.upstream_relationship.clone()))
        .bind(link.map(|link| sync_state_name(link.sync_state)))
        .bind(link.map(|link| link.mark.epoch.0))
        .bind(link.map(|link| link.mark.ticket.0))
        .bind(customer.created_at.micros())
        .bind(customer.updated_at.micros())
        .bind(customer.deleted_at.map(Timestamp::micros))
}

fn labels(json: &str) -> Result<BTreeMap<String, String>, Error> {
    serde_json::from_str(json).map_err(|_| corrupt("labels"))
}

fn resellers(json: &str) -> Result<Vec<Reseller>, Error> {
    let read: Vec<(String, String, String)> = serde_json::from_str(json).map_err(|_| corrupt("resellers"))?;
    let reseller = |(id, display_name, mpn_id): (String, String, String)| {
        let tenant_id = id.parse().map_err(|_| corrupt("resellers"))?;
        Ok(Reseller { tenant_id, display_name, mpn_id })
    };
    let mut resellers = read.into_iter().map(reseller).collect::<Result<Vec<_>, Error>>()?;
    resellers.sort_unstable();
    Ok(resellers)
}

fn corrupt(column: &str) -> Error {
    Error::Corrupt(format!("customer.{column}"))
}

fn parsed<T: std::str::FromStr>(row: &Row, column: &str) -> Result<T, Error> {
    row.try_get::<&str, _>(column)?.parse().map_err(|_| corrupt(column))
}

fn named<T>(row: &Row, column: &str, of_name: fn(&str) -> Option<T>) -> Result<T, Error> {
    of_name(row.try_get(column)?).ok_or_else(|| corrupt(column))
}

const fn source_name(source: Source) -> &'static str {
    match source {
        Source::Platform => "PLATFORM",
        Source::Microsoft => "MICROSOFT",
    }
}

const fn status_name(status: CustomerStatus) -> &'static str {
    match status {
        CustomerStatus::Active => "ACTIVE",
        CustomerStatus::Blocked => "BLOCKED",
    }
}

fn status_named(name: &str) -> Option<CustomerStatus> {
    [CustomerStatus::Active, CustomerStatus::Blocked].into_iter().find(|status| status_name(*status) == name)
}

const fn relationship_name(relationship: Relationship) -> &'static str {
    match relationship {
        Relationship::Active => "ACTIVE",
        Relationship::Ended => "ENDED",
    }
}

fn relationship_named(name: &str) -> Option<Relationship> {
    [Relationship::Active, Relationship::Ended].into_iter().find(|one| relationship_name(*one) == name)
}

const fn sync_state_name(state: SyncState) -> &'static str {
    match state {
        SyncState::Synced => "SYNCED",
        SyncState::Quarantined => "QUARANTINED",
        SyncState::HeldForRemoval => "HELD_FOR_REMOVAL",
        SyncState::Ended => "ENDED",
    }
}

fn sync_state_named(name: &str) -> Option<SyncState> {
    [SyncState::Synced, SyncState::Quarantined, SyncState::HeldForRemoval, SyncState::Ended]
        .into_iter()
        .find(|state| sync_state_name(*state) == name)
}
