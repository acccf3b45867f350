//! One customer and the profiles: get-by-id, the billing profile, and the partner's own (FACTS.md 3, 1.5).

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Answer;
use super::audit::{self, AuditEntry};
use super::customer::{BillingProfile, Customer, link};
use super::faults::Effect;
use super::mutation::mutated;
use super::partner::PartnerCenter;
use super::past::{self, Standing};
use super::shape;

/// Answers `GET /v1/customers/{id}`.
///
/// # Errors
///
/// See [`find`].
pub(super) fn customer(
    center: &PartnerCenter,
    id: &str,
    effects: &[Effect],
    now: DateTime<Utc>,
) -> Result<Answer, Answer> {
    let customer = match past::shown(center, guid(id)?, now) {
        Standing::Customer(customer) => customer,
        Standing::Former => return Err(Answer::no_relationship()),
        Standing::Unknown => return Err(unknown_tenant()),
    };
    let mut resource = mutated(customer.resource(), customer.id, effects);
    let without_profile = effects.iter().any(|effect| matches!(effect, Effect::NullBillingProfile { .. }));
    if without_profile {
        // The null has to reach the caller, so the resource goes out in the dress that keeps nulls.
        resource = shape::without_nulls(resource);
        resource["billingProfile"] = Value::Null;
        let dressed = if center.knobs.pascal_case { shape::pascal_case(resource) } else { resource };
        return Ok(Answer::new(StatusCode::OK, super::answer::Content::Verbatim(dressed)));
    }
    Ok(Answer::resource(resource))
}

/// Answers `GET /v1/customers/{id}/profiles/billing`.
///
/// # Errors
///
/// See [`find`].
pub(super) fn billing(center: &PartnerCenter, id: &str) -> Result<Answer, Answer> {
    let customer = find(center, id)?;
    Ok(Answer::resource(customer.billing_profile.resource(customer.id)))
}

/// Answers `PUT /v1/customers/{id}/profiles/billing` and writes the audit record (FACTS.md 3.6).
///
/// # Errors
///
/// Answers 400/2055 for a stale or missing etag, 400/3000 for a changed country, and as [`find`] does.
pub(super) fn put_billing(
    center: &mut PartnerCenter,
    id: &str,
    if_match: Option<&str>,
    body: Value,
    now: DateTime<Utc>,
) -> Result<Answer, Answer> {
    let current = find(center, id)?;
    let body = shape::camel_case(body);
    let etag = body["attributes"]["etag"].as_str().map(str::to_owned);
    let wanted: BillingProfile =
        serde_json::from_value(body).map_err(|_| Answer::invalid_input("The billing profile is not valid."))?;
    let given = if_match.map(|etag| etag.trim_matches('"').to_owned()).or(etag);
    if given.as_deref() != Some(current.billing_profile.etag().as_str()) {
        return Err(Answer::fault(StatusCode::BAD_REQUEST, 2055, "The etag is no longer valid."));
    }
    let country =
        |profile: &BillingProfile| profile.default_address.as_ref().and_then(|address| address.country.clone());
    let had = country(&current.billing_profile);
    if had.is_some() && had != country(&wanted) {
        return Err(Answer::fault(StatusCode::BAD_REQUEST, 3000, "The country cannot be changed."));
    }
    let id = current.id;
    let actor = Actor::Application;
    change_billing(center, id, |profile| *profile = BillingProfile { id: profile.id, ..wanted }, actor, now);
    billing(center, &id.to_string())
}

/// Who changes a billing profile, hence what the audit log says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    /// The partner's application, through the API.
    Application,
    /// A user of the partner's, in the portal.
    User,
    /// The customer itself: leaves no record.
    Customer,
}

/// Changes a billing profile and, unless the customer itself did it, records old and new value; tells whether there
/// is such a customer.
pub(super) fn change_billing(
    center: &mut PartnerCenter,
    id: Uuid,
    change: impl FnOnce(&mut BillingProfile),
    actor: Actor,
    now: DateTime<Utc>,
) -> bool {
    past::remember(center, id, now);
    let Some(customer) = center.customers.get_mut(&id) else {
        return false;
    };
    let old = customer.billing_profile.resource(id);
    change(&mut customer.billing_profile);
    let new = customer.billing_profile.resource(id);
    let entry = AuditEntry {
        resource_old_value: audit::as_value(old),
        resource_new_value: audit::as_value(new),
        ..AuditEntry::about(customer, "update_customer_billing_profile")
    };
    match actor {
        Actor::Application | Actor::User => record(center, entry, actor, now),
        Actor::Customer => {}
    }
    true
}

/// Records an operation under the actor's name.
pub(super) fn record(center: &mut PartnerCenter, entry: AuditEntry, actor: Actor, now: DateTime<Utc>) {
    let entry = match actor {
        Actor::Application => AuditEntry { application_id: Some(center.partner.client_id.clone()), ..entry },
        Actor::User => AuditEntry {
            user_principal_name: Some(format!("agent@{}", center.partner.domain)),
            application_id: Some("Partner Center Web UI".to_owned()),
            ..entry
        },
        Actor::Customer => entry,
    };
    center.audit.append(center.partner.tenant_id, entry, now);
}

/// Answers `GET /v1/profiles/legalbusiness`.
pub(super) fn legal_business(center: &PartnerCenter) -> Answer {
    Answer::resource(json!({
        "id": center.partner.tenant_id.to_string(),
        "companyName": center.partner.name,
        "profileType": "LegalBusinessProfile",
        "links": {"self": link("/v1/profiles/legalbusiness")},
        "attributes": {"objectType": "PartnerLegalBusinessProfile"},
    }))
}

/// Answers `GET /v1/profiles/organization`.
pub(super) fn organization(center: &PartnerCenter) -> Answer {
    Answer::resource(json!({
        "id": center.partner.tenant_id.to_string(),
        "companyName": center.partner.name,
        "profileType": "OrganizationProfile",
        "links": {"self": link("/v1/profiles/organization")},
        "attributes": {"objectType": "PartnerOrganizationProfile"},
    }))
}

/// Finds a customer with a relationship.
///
/// # Errors
///
/// Answers 400/900118 for an id that is no GUID, 403/20002 for a former customer, 404/60003 for one never known
/// (FACTS.md 4, 8.2).
pub(super) fn find<'a>(center: &'a PartnerCenter, id: &str) -> Result<&'a Customer, Answer> {
    let id = guid(id)?;
    if center.former.contains_key(&id) {
        return Err(Answer::no_relationship());
    }
    center.customers.get(&id).ok_or_else(unknown_tenant)
}

fn guid(id: &str) -> Result<Uuid, Answer> {
    Uuid::parse_str(id).map_err(|_| Answer::fault(StatusCode::BAD_REQUEST, 900_118, "The customer id is not valid."))
}

pub(super) fn no_relationship() -> Answer {
    Answer::fault(StatusCode::FORBIDDEN, 20_002, "No relationship between caller and account.")
}

fn unknown_tenant() -> Answer {
    Answer::fault(StatusCode::NOT_FOUND, 60_003, "Tenant not found.")
}
