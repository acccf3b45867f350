//! The webhook registration: one per partner, replaced but never deleted, and the test events (FACTS.md 6.1).
//! [`super::webhooks`] sends the events.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Answer;
use super::guid;
use super::partner::PartnerCenter;
use super::shape;
use super::webhooks::Outgoing;

/// The names `GET …/registration/events` offers (FACTS.md 6.2).
const EVENTS: &[&str] = &[
    "test-created",
    "subscription-updated",
    "usagerecords-thresholdExceeded",
    "invoice-ready",
    "referral-created",
    "referral-updated",
    "related-referral-created",
    "related-referral-updated",
    "azure-fraud-event-detected",
    "dap-admin-relationship-approved",
    "dap-admin-relationship-terminated",
    "dap-admin-relationship-terminated-by-microsoft",
    "reseller-relationship-accepted-by-customer",
    "indirect-reseller-relationship-accepted-by-customer",
    "granular-admin-relationship-approved",
    "granular-admin-relationship-activated",
    "granular-admin-relationship-terminated",
    "granular-admin-relationship-expired",
    "granular-admin-access-assignment-created",
    "granular-admin-access-assignment-activated",
    "granular-admin-access-assignment-updated",
    "granular-admin-access-assignment-deleted",
    "new-commerce-migration-created",
    "new-commerce-migration-completed",
    "new-commerce-migration-failed",
    "new-commerce-migration-schedule-failed",
];

/// Test events a minute (FACTS.md 6.1).
const TEST_EVENTS_PER_MINUTE: usize = 2;

/// How long a test event can be asked about (FACTS.md 6.1).
const TEST_EVENT_KEPT_DAYS: i64 = 7;

/// Where a partner's events go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// Who receives the events.
    #[serde(with = "guid")]
    pub subscriber_id: Uuid,
    /// Where to.
    pub webhook_url: String,
    /// Which.
    pub webhook_events: Vec<String>,
    /// Whether the signature comes in `x-ms-signature` instead of `Authorization` (FACTS.md 6.3).
    #[serde(default)]
    pub signature_token_to_ms_signature_header: bool,
    /// Seconds since 1970.
    #[serde(default)]
    pub last_modified: i64,
}

/// A partner's registration and its recent test events.
#[derive(Debug, Default)]
pub(super) struct Webhooks {
    pub(super) registration: Option<Registration>,
    /// Events to be sent.
    pub(super) outgoing: Vec<Outgoing>,
    /// How events were answered.
    pub(super) answers: Vec<u16>,
    test_events: BTreeMap<Uuid, TestEvent>,
}

impl Webhooks {
    /// A test event was answered so.
    pub(super) fn note_test_answer(&mut self, correlation: Uuid, status: u16) {
        if let Some(event) = self.test_events.get_mut(&correlation) {
            event.answered = Some(status);
        }
    }
}

#[derive(Debug)]
struct TestEvent {
    sent: DateTime<Utc>,
    url: String,
    answered: Option<u16>,
}

/// What a caller sends to register.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wish {
    webhook_url: String,
    webhook_events: Vec<String>,
    #[serde(default)]
    signature_token_to_ms_signature_header: bool,
}

impl Registration {
    pub(super) fn resource(&self) -> Value {
        json!({
            "subscriberId": self.subscriber_id.to_string(),
            "webhookUrl": self.webhook_url,
            "webhookEvents": self.webhook_events,
            "signatureTokenToMsSignatureHeader": self.signature_token_to_ms_signature_header,
            "lastModifiedTimestamp": DateTime::<Utc>::from_timestamp(self.last_modified, 0)
                .unwrap_or_default()
                .format("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
        })
    }
}

/// Answers `GET …/registration/events`.
pub(super) fn events() -> Answer {
    Answer::resource(json!(EVENTS))
}

/// Answers `GET …/registration`.
pub(super) fn read(center: &PartnerCenter) -> Answer {
    center.webhooks.registration.as_ref().map_or_else(
        || Answer::gateway(StatusCode::NOT_FOUND, "Resource not found"),
        |registration| Answer::resource(registration.resource()),
    )
}

/// Answers `POST …/registration`, which creates.
///
/// # Errors
///
/// Answers 409 if there is one already, 400 for a bad body.
pub(super) fn create(center: &mut PartnerCenter, body: Value, now: DateTime<Utc>) -> Result<Answer, Answer> {
    if center.webhooks.registration.is_some() {
        return Err(Answer::fault(StatusCode::CONFLICT, 3000, "A registration exists already. Use PUT to update it."));
    }
    replace(center, body, now)
}

/// Answers `PUT …/registration`, which replaces URL and events.
///
/// # Errors
///
/// Answers 404 if there is none, 400 for a bad body.
pub(super) fn update(center: &mut PartnerCenter, body: Value, now: DateTime<Utc>) -> Result<Answer, Answer> {
    if center.webhooks.registration.is_none() {
        return Err(read(center));
    }
    replace(center, body, now)
}

/// Answers `POST …/registration/validationEvents`.
///
/// # Errors
///
/// Answers 400 unless `test-created` is registered, 429 past two a minute.
pub(super) fn send_test_event(
    center: &mut PartnerCenter,
    correlation: Uuid,
    now: DateTime<Utc>,
) -> Result<Answer, Answer> {
    let webhooks = &mut center.webhooks;
    let url = webhooks
        .registration
        .as_ref()
        .filter(|registration| registration.webhook_events.iter().any(|event| event == "test-created"))
        .map(|registration| registration.webhook_url.clone())
        .ok_or_else(|| Answer::invalid_input("The event test-created is not registered."))?;
    webhooks.test_events.retain(|_, event| now - event.sent < TimeDelta::days(TEST_EVENT_KEPT_DAYS));
    let recent: Vec<_> = webhooks
        .test_events
        .values()
        .map(|event| 60 - (now - event.sent).num_seconds())
        .filter(|wait| *wait > 0)
        .collect();
    if recent.len() >= TEST_EVENTS_PER_MINUTE {
        let wait = recent.into_iter().min().unwrap_or(1);
        center.calls.throttled += 1;
        return Err(Answer::throttled(u64::try_from(wait).unwrap_or(1)));
    }
    webhooks.test_events.insert(correlation, TestEvent { sent: now, url, answered: None });
    let uri = format!("http://api.partnercenter.microsoft.com/webhooks/v1/registration/validationEvents/{correlation}");
    center.announce("test-created", ("test", uri), Some(correlation), now);
    Ok(Answer::resource(json!({"correlationId": correlation.to_string()})))
}

/// Answers `GET …/registration/validationEvents/{correlationId}`.
pub(super) fn test_event(center: &PartnerCenter, correlation: &str, now: DateTime<Utc>) -> Answer {
    let event = Uuid::parse_str(correlation)
        .ok()
        .and_then(|id| center.webhooks.test_events.get_key_value(&id))
        .filter(|(_, event)| now - event.sent < TimeDelta::days(TEST_EVENT_KEPT_DAYS));
    match event {
        Some((id, event)) => Answer::resource(json!({
            "correlationId": id.to_string(),
            "partnerId": center.partner.tenant_id.to_string(),
            "status": match event.answered {
                None => "pending",
                Some(200..300) => "completed",
                Some(_) => "failed",
            },
            "callbackUrl": event.url,
            "results": event.answered.map(|status| json!({"responseCode": status.to_string()})).into_iter().collect::<Vec<_>>(),
        })),
        None => Answer::gateway(StatusCode::NOT_FOUND, "Resource not found"),
    }
}

fn replace(center: &mut PartnerCenter, body: Value, now: DateTime<Utc>) -> Result<Answer, Answer> {
    let wish: Wish = serde_json::from_value(shape::camel_case(body))
        .map_err(|_| Answer::invalid_input("The registration is not valid."))?;
    let unknown = wish.webhook_events.iter().any(|event| !EVENTS.contains(&event.as_str()));
    if unknown || wish.webhook_url.is_empty() {
        return Err(Answer::invalid_input("The registration is not valid."));
    }
    let registration = Registration {
        subscriber_id: center.partner.tenant_id,
        webhook_url: wish.webhook_url,
        webhook_events: wish.webhook_events,
        signature_token_to_ms_signature_header: wish.signature_token_to_ms_signature_header,
        last_modified: now.timestamp(),
    };
    let resource = registration.resource();
    center.webhooks.registration = Some(registration);
    Ok(Answer::resource(resource))
}
