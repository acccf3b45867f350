//! The audit log of a partner: what its users and applications did (FACTS.md 5). Changes made by a customer itself
//! are never in it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Answer;
use super::clock;
use super::continuation::{Continuation, Listing};
use super::customer::{Customer, link};
use super::faults::Effect;
use super::guid;
use super::partner::{AuditOrder, PartnerCenter};
use super::query::{FieldFilter, Query};
use super::shape;

/// The default page (FACTS.md 5.1).
const LARGEST_PAGE: usize = 500;

/// The longest window of one query, and how far back it starts when the caller does not say (FACTS.md 5.1).
const WINDOW_DAYS: i64 = 30;

/// How long records are kept (FACTS.md 5.1).
const RETENTION_DAYS: i64 = 90;

/// One record as the truth has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    /// Opaque to readers; ends in the ticks of the operation's date.
    pub id: String,
    /// .NET ticks of the operation's date.
    pub ticks: i64,
    /// What happened, and to whom.
    #[serde(flatten)]
    pub entry: AuditEntry,
}

/// What a record tells beyond its id and time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AuditEntry {
    /// Missing when an add_customer failed (FACTS.md 5.2).
    #[serde(with = "guid::optional")]
    pub customer_id: Option<Uuid>,
    /// May be missing.
    pub customer_name: Option<String>,
    /// Missing when an application acted.
    pub user_principal_name: Option<String>,
    /// A GUID or a name.
    pub application_id: Option<String>,
    /// For example `customer`.
    pub resource_type: String,
    /// For example `update_customer_billing_profile`.
    pub operation_type: String,
    /// How the operation ended, if it did.
    pub operation_status: OperationStatus,
    /// JSON text in PascalCase.
    pub resource_old_value: Option<String>,
    /// JSON text in PascalCase.
    pub resource_new_value: Option<String>,
    /// Pairs of key and value.
    pub customized_data: Vec<(String, Option<String>)>,
}

/// `operationStatus` (FACTS.md 5.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationStatus {
    /// Done.
    #[default]
    Succeeded,
    /// Not done.
    Failed,
    /// Still under way.
    Progress,
    /// Only the swagger knows it.
    Decline,
}

/// The records in the order of their dates.
#[derive(Debug, Default)]
pub(super) struct AuditLog {
    records: BTreeMap<i64, AuditRecord>,
}

impl AuditEntry {
    /// Starts an entry about a customer.
    pub fn about(customer: &Customer, operation_type: &str) -> Self {
        Self {
            customer_id: Some(customer.id),
            customer_name: Some(customer.listed_name().to_owned()),
            resource_type: "customer".to_owned(),
            operation_type: operation_type.to_owned(),
            customized_data: vec![("PrimaryDomainName".to_owned(), Some(customer.domain.clone()))],
            ..Self::default()
        }
    }
}

impl AuditLog {
    /// Writes an entry down and tells the record's id.
    pub(super) fn append(&mut self, partner: Uuid, entry: AuditEntry, at: DateTime<Utc>) -> String {
        let mut ticks = clock::ticks(at);
        // Ticks end the id and order the log, so two records may not share them even if the clock stands still.
        while self.records.contains_key(&ticks) {
            ticks += 1;
        }
        let operation = entry.operation_type.replace('_', "");
        let id = match entry.customer_id {
            Some(customer) => format!("{partner}_{customer}_{operation}_{ticks}"),
            None => format!("{partner}_{operation}_{ticks}"),
        };
        let record = AuditRecord { id: id.clone(), ticks, entry };
        self.records.insert(ticks, record);
        id
    }

    pub(super) fn restore(&mut self, record: AuditRecord) {
        self.records.insert(record.ticks, record);
    }

    pub(super) fn records(&self) -> impl DoubleEndedIterator<Item = &AuditRecord> {
        self.records.values()
    }

    /// Ends an operation under way; tells whether there is such a record.
    pub(super) fn finish(&mut self, id: &str, status: OperationStatus) -> bool {
        let record = self.records.values_mut().find(|record| record.id == id);
        if let Some(record) = record {
            record.entry.operation_status = status;
            return true;
        }
        false
    }
}

impl AuditRecord {
    fn resource(&self, partner: Uuid) -> Value {
        let entry = &self.entry;
        let customized_data: Vec<_> =
            entry.customized_data.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        json!({
            "id": self.id,
            "partnerId": partner.to_string(),
            "customerId": entry.customer_id.map(|id| id.to_string()),
            "customerName": entry.customer_name,
            "userPrincipalName": entry.user_principal_name,
            "applicationId": entry.application_id,
            "resourceType": entry.resource_type,
            "resourceOldValue": entry.resource_old_value,
            "resourceNewValue": entry.resource_new_value,
            "operationType": entry.operation_type,
            "originalCorrelationId": null,
            "operationDate": clock::ticks_as_text(self.ticks),
            "operationStatus": entry.operation_status,
            "customizedData": customized_data,
            "attributes": {"objectType": "AuditRecord"},
        })
    }
}

/// Writes a resource as audit records carry it: JSON text in PascalCase with explicit nulls (FACTS.md 3.4).
pub(super) fn as_value(resource: Value) -> Option<String> {
    Some(shape::pascal_case(resource).to_string())
}

/// Answers `GET /auditactivity/v1/auditrecords/{id}`: 200 with `null` if there is none (FACTS.md 5.1).
pub(super) fn one(center: &PartnerCenter, id: &str) -> Answer {
    let found = center.audit.records().find(|record| record.id == id);
    Answer::resource(found.map_or(Value::Null, |record| record.resource(center.partner.tenant_id)))
}

/// Answers one page of `GET /v1/auditrecords`.
///
/// # Errors
///
/// Answers 400 in the framework's shape for a bad date, window, size or filter, and for a bad continuation token.
pub(super) fn page(
    center: &PartnerCenter,
    query: &Query,
    effects: &[Effect],
    now: DateTime<Utc>,
) -> Result<Answer, Answer> {
    let (page, window) = match query.continuation() {
        Some(token) => {
            let page = Continuation::decode(token, Listing::AuditRecords, center, now)?;
            let window = Window::parse(&page.conditions).ok_or_else(Answer::invalid_request)?;
            (page, window)
        }
        None => first_page(center, query, now)?,
    };
    let after: Option<i64> = page.after.as_deref().and_then(|ticks| ticks.parse().ok());
    let oldest = clock::ticks(now - TimeDelta::days(RETENTION_DAYS));
    let newest = clock::ticks(now - TimeDelta::seconds(i64::from(center.knobs.audit_delay_seconds)));
    let to = window.ticks_to.max(oldest);
    // Ticks are raised to keep records of one moment apart: without a delay none of them is late.
    let to = if center.knobs.audit_delay_seconds == 0 { to } else { to.min(newest) };
    let range = window.ticks_from.max(oldest).min(to)..to;
    let matching = center.audit.records.range(range).map(|(_, record)| record).filter(|record| window.holds(record));
    let (mut items, mut more) = match center.knobs.audit_order {
        AuditOrder::OldestFirst => {
            take_page(matching.filter(|record| after.is_none_or(|after| record.ticks > after)), page.size)
        }
        AuditOrder::NewestFirst | AuditOrder::Shuffled => {
            take_page(matching.rev().filter(|record| after.is_none_or(|after| record.ticks < after)), page.size)
        }
    };
    let uri = window.uri(page.size);
    let mut links = json!({"self": link(&uri)});
    let mut last = items.last().map(|record| record.ticks.to_string());
    let mut host = String::new();
    for effect in effects {
        match effect {
            Effect::LoopingNextLink => (last, more) = (page.after.clone(), true),
            Effect::BackwardsNextLink => (last, more) = (None, true),
            Effect::ForeignNextLink { host: other } => (host, more) = (format!("https://{other}"), true),
            _ => {}
        }
    }
    if center.knobs.audit_order == AuditOrder::Shuffled {
        // The last digits of the ticks are as good as chance, and the same at every reading.
        items.sort_by_key(|record| record.ticks.to_string().bytes().rev().collect::<Vec<_>>());
    }
    if more {
        let next = Continuation { after: last, issued: now.timestamp(), ..page };
        links["next"] = json!({
            "uri": format!("{host}{uri}&seekOperation=Next"),
            "method": "GET",
            "headers": [{"key": super::continuation::HEADER, "value": next.encode()}],
        });
    }
    let partner = center.partner.tenant_id;
    let times = if center.knobs.audit_duplicates { 2 } else { 1 };
    let items: Vec<_> = items.into_iter().flat_map(|record| std::iter::repeat_n(record, times)).collect();
    Ok(Answer::resource(json!({
        "totalCount": items.len(),
        "items": items.iter().map(|record| record.resource(partner)).collect::<Vec<_>>(),
        "links": links,
        "attributes": {"objectType": "Collection"},
    })))
}

fn take_page<'a>(mut records: impl Iterator<Item = &'a AuditRecord>, size: usize) -> (Vec<&'a AuditRecord>, bool) {
    let items = records.by_ref().take(size).collect();
    (items, records.next().is_some())
}

/// What a query asks for.
struct Window {
    ticks_from: i64,
    ticks_to: i64,
    first_day: NaiveDate,
    last_day: NaiveDate,
    filter: Option<FieldFilter>,
}

fn first_page(center: &PartnerCenter, query: &Query, now: DateTime<Utc>) -> Result<(Continuation, Window), Answer> {
    let today = now.date_naive();
    let day = |name: &str| query.get(name).map(|text| parse_day(text).ok_or_else(Answer::invalid_request)).transpose();
    let window_length = TimeDelta::days(WINDOW_DAYS);
    let first_day = day("startdate")?.unwrap_or(today - window_length);
    let last_day = day("enddate")?.unwrap_or_else(|| today.min(first_day + window_length));
    let in_range = first_day >= today - TimeDelta::days(RETENTION_DAYS)
        && last_day >= first_day
        && last_day - first_day <= window_length;
    if !in_range {
        return Err(Answer::invalid_request());
    }
    let filter = query.get("filter").unwrap_or_default().to_owned();
    let conditions = vec![first_day.to_string(), last_day.to_string(), filter];
    let window = Window::parse(&conditions).ok_or_else(Answer::invalid_request)?;
    let page = Continuation {
        listing: Listing::AuditRecords,
        partner: center.partner.tenant_id,
        issued: now.timestamp(),
        size: query.size(LARGEST_PAGE).ok_or_else(Answer::invalid_request)?,
        after: None,
        conditions,
    };
    Ok((page, window))
}

impl Window {
    fn parse(conditions: &[String]) -> Option<Self> {
        let [first_day, last_day, filter] = conditions else {
            return None;
        };
        let (first_day, last_day) = (parse_day(first_day)?, parse_day(last_day)?);
        let filter = match filter.as_str() {
            "" => None,
            text => Some(FieldFilter::parse(text).filter(is_supported)?),
        };
        let midnight = |day: NaiveDate| clock::ticks(day.and_time(chrono::NaiveTime::MIN).and_utc());
        Some(Self {
            ticks_from: midnight(first_day),
            ticks_to: midnight(last_day.succ_opt()?),
            first_day,
            last_day,
            filter,
        })
    }

    fn holds(&self, record: &AuditRecord) -> bool {
        let Some(filter) = &self.filter else {
            return true;
        };
        let entry = &record.entry;
        match filter.field.as_str() {
            "CustomerId" => {
                entry.customer_id.is_some_and(|id| Uuid::parse_str(&filter.value).is_ok_and(|wanted| wanted == id))
            }
            "ResourceType" => {
                // Callers write `Customer` for `customer` and `PartnerRelationship` for `partner_relationship`.
                let plain = |text: &str| text.replace('_', "").to_lowercase();
                plain(&entry.resource_type) == plain(&filter.value)
            }
            _ => entry
                .customer_name
                .as_ref()
                .is_some_and(|name| name.to_lowercase().contains(&filter.value.to_lowercase())),
        }
    }

    fn uri(&self, size: usize) -> String {
        let (first_day, last_day) = (self.first_day, self.last_day);
        format!("/v1/auditrecords?startDate={first_day}&endDate={last_day}&size={size}")
    }
}

/// The three filters the documentation names (FACTS.md 5.1).
fn is_supported(filter: &FieldFilter) -> bool {
    let operator = filter.operator.to_lowercase();
    matches!(
        (filter.field.as_str(), operator.as_str()),
        ("CompanyName", "substring") | ("CustomerId" | "ResourceType", "equals")
    )
}

/// Reads a day in one of the forms callers send (FACTS.md 5.1); a time of day is dropped.
fn parse_day(text: &str) -> Option<NaiveDate> {
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(day);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc().date_naive());
    }
    NaiveDateTime::parse_from_str(text, "%m/%d/%Y %I:%M:%S %p").ok().map(|time| time.date())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_in_every_form_callers_send() {
        let day = NaiveDate::from_ymd_opt(2026, 6, 1);
        for text in ["2026-06-01", "2026-06-01T23:00:00Z", "6/1/2026 12:00:00 AM"] {
            assert_eq!(parse_day(text), day, "{text}");
        }
        assert_eq!(parse_day("yesterday"), None);
    }

    #[test]
    fn two_records_of_one_moment_have_different_ids() {
        let mut log = AuditLog::default();
        let now = "2026-02-03T04:05:06Z".parse().unwrap();
        let entry = AuditEntry {
            operation_type: "add_customer".to_owned(),
            operation_status: OperationStatus::Failed,
            ..AuditEntry::default()
        };
        let partner = Uuid::from_u128(7);
        let first = log.append(partner, entry.clone(), now);
        let second = log.append(partner, entry, now);
        assert_eq!(first, format!("{partner}_addcustomer_{}", clock::ticks(now)));
        assert_ne!(first, second);
    }
}
