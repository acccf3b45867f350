//! How a call comes in: who calls (token), whether it is admitted (limiter), what goes wrong on request (faults), how
//! long it takes (latency), and only then what it asks for.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::body::{Bytes, to_bytes};
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::answer::{Answer, Content, RequestIds};
use super::applications::Sight;
use super::calls::Route;
use super::delivery::Delivery;
use super::faults::{self, Effect, Target};
use super::partner::{Knobs, PartnerCenter, UnauthorizedBody};
use super::query::Query;
use super::token::{self, Claims, Version};
use super::{Error, Simulator, audit, list, profiles, registration, resellers};

/// The largest request body anybody has reason to send.
const LARGEST_BODY: usize = 1024 * 1024;

/// The audience of the retired directory API; its tokens get 401/900420 (FACTS.md 1.2).
const RETIRED_AUDIENCE: &str = "graph.windows.net";

/// What a path and method ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call<'a> {
    ListCustomers,
    ListResellers,
    ResellersOf(&'a str),
    GetCustomer(&'a str),
    GetBilling(&'a str),
    PutBilling(&'a str),
    ListAudit,
    GetAudit(&'a str),
    GetRegistration,
    CreateRegistration,
    UpdateRegistration,
    ListEvents,
    SendTestEvent,
    GetTestEvent(&'a str),
    GetLegalBusiness,
    GetOrganization,
    /// Exists, but not for application credentials (FACTS.md 1.5).
    NeedsUser,
    Unknown,
}

/// What the gate decided about a call.
struct Admission {
    sight: Sight,
    of_user: bool,
    knobs: Knobs,
    effects: Vec<Effect>,
    wait: Duration,
    instead: Option<Answer>,
}

/// Answers every Partner Center call.
pub(super) async fn answer(State(simulator): State<Simulator>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let ids = RequestIds::of(&parts.headers);
    let path = parts.uri.path().to_owned();
    let call = Call::parse(&parts.method, &path);
    let query = Query::read(&parts.uri, &parts.headers);
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        let answer = Answer::new(StatusCode::PAYLOAD_TOO_LARGE, Content::Empty);
        return answer.render(&Knobs::default(), ids, Delivery::Whole);
    };
    let target = call.target(&query);
    let mut admission = match simulator.admit(&parts, target) {
        Ok(admission) => admission,
        Err(refusal) => {
            let refused = refusal.render(&Knobs::default(), ids, Delivery::Whole);
            return dated(refused, simulator.clock().now());
        }
    };
    tokio::time::sleep(admission.wait).await;
    let instead = admission.instead.take();
    let answer = instead.unwrap_or_else(|| {
        let Admission { of_user, effects, sight, .. } = &admission;
        let (of_user, hides) = (*of_user, &sight.hides);
        let asked = Asked { call, of_user, parts: &parts, query: &query, body: &body, effects, hides, ids };
        simulator
            .with(admission.sight.partner, |center, now| asked.of(center, now))
            .unwrap_or_else(|_: Error| missing_token())
    });
    let skew = TimeDelta::try_seconds(admission.knobs.date_skew_seconds).unwrap_or_default();
    let rendered = answer.render(&admission.knobs, ids, Delivery::by(&admission.effects));
    dated(rendered, simulator.clock().now() + skew)
}

/// Says when an answer was made: by Partner Center's clock, not by the machine's.
fn dated(mut response: Response, at: DateTime<Utc>) -> Response {
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(at.into())) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// Answers version one of the token endpoint.
pub(super) async fn token_version_one(
    State(simulator): State<Simulator>,
    Path(tenant): Path<String>,
    form: Result<Form<token::Form>, FormRejection>,
) -> Response {
    issue(&simulator, &tenant, Version::One, form).await
}

/// Answers version two of the token endpoint.
pub(super) async fn token_version_two(
    State(simulator): State<Simulator>,
    Path(tenant): Path<String>,
    form: Result<Form<token::Form>, FormRejection>,
) -> Response {
    issue(&simulator, &tenant, Version::Two, form).await
}

async fn issue(
    simulator: &Simulator,
    tenant: &str,
    version: Version,
    form: Result<Form<token::Form>, FormRejection>,
) -> Response {
    let ids = RequestIds::of(&HeaderMap::new());
    let form = form.map(|form| form.0).unwrap_or_default();
    let target = Target { route: Route::Token, customer: None, continued: false };
    let Some(partner) = simulator.find_partner(tenant) else {
        let now = simulator.clock().now();
        return token::TENANT_NOT_FOUND.answer(now, ids.correlation);
    };
    let struck = simulator.with(partner, |center, now| {
        center.calls.count(Route::Token);
        let effects = center.faults.strike(target);
        let latency = Duration::from_millis(center.knobs.latency_milliseconds);
        let wait = faults::delay(&effects) + latency;
        (faults::replacement(&effects, now), effects, wait)
    });
    let Ok((instead, effects, wait)) = struck else {
        return token::TENANT_NOT_FOUND.answer(simulator.clock().now(), ids.correlation);
    };
    tokio::time::sleep(wait).await;
    if effects.contains(&Effect::Unauthorized) {
        return token::WRONG_SECRET.answer(simulator.clock().now(), ids.correlation);
    }
    if let Some(answer) = instead {
        return answer.render(&Knobs::default(), ids, Delivery::by(&effects));
    }
    let address = version.address(tenant);
    let issued = simulator.with(partner, |center, now| {
        let issued = token::issue(center, version, &form, &address, now);
        let mischief = center.sign_ins.mischief.clone();
        let meant = form.is_for().filter(|of| center.sign_ins.goes_wrong(*of)).map(|_| mischief);
        (issued, meant.unwrap_or_default(), now)
    });
    let (issued, mischief, now) = match issued {
        Ok(issued) => issued,
        Err(_) => return token::TENANT_NOT_FOUND.answer(simulator.clock().now(), ids.correlation),
    };
    tokio::time::sleep(Duration::from_millis(mischief.delay_milliseconds)).await;
    if issued.is_ok() && mischief.lost_answer {
        return Answer::new(StatusCode::OK, Content::Nothing).render(&Knobs::default(), ids, Delivery::Whole);
    }
    match issued {
        Ok(token) if Delivery::by(&effects) != Delivery::Whole => {
            let answer = Answer::new(StatusCode::OK, Content::Verbatim(token));
            answer.render(&Knobs::default(), ids, Delivery::by(&effects))
        }
        Ok(token) => Json(token).into_response(),
        Err(refusal) => refusal.answer(now, ids.correlation),
    }
}

impl Simulator {
    /// Finds a partner by tenant id, domain or short name.
    pub(super) fn find_partner(&self, word: &str) -> Option<Uuid> {
        self.partners_held().values().find(|center| center.is_called(word)).map(|center| center.partner.tenant_id)
    }

    /// Lets a call in, or decides how it is turned away.
    fn admit(&self, parts: &Parts, target: Target) -> Result<Admission, Answer> {
        let claims = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .and_then(Claims::decode)
            .ok_or_else(missing_token)?;
        self.with(claims.tid, |center, now| {
            center.calls.count(target.route);
            let mut effects = Vec::new();
            let instead = refusal(center, &claims, now).or_else(|| {
                effects = center.faults.strike(target);
                faults::replacement(&effects, now)
            });
            let throttled = |answer: &Answer| answer.status == StatusCode::TOO_MANY_REQUESTS;
            if instead.as_ref().is_some_and(throttled) {
                center.calls.throttled += 1;
            }
            let latency = Duration::from_millis(center.knobs.latency_milliseconds);
            Admission {
                of_user: claims.are_of_user(),
                sight: center.sight_of(&claims),
                knobs: center.knobs.clone(),
                wait: faults::delay(&effects) + latency,
                instead,
                effects,
            }
        })
        .map_err(|_| missing_token())
    }
}

/// Refuses a bad token or one call too many.
fn refusal(center: &mut PartnerCenter, claims: &Claims, now: DateTime<Utc>) -> Option<Answer> {
    if claims.aud.contains(RETIRED_AUDIENCE) {
        return Some(Answer::fault(StatusCode::UNAUTHORIZED, 900_420, "The token's audience is no longer supported."));
    }
    if !claims.are_accepted_by(center, now) {
        return Some(match center.knobs.unauthorized_body {
            UnauthorizedBody::Empty => Answer::new(StatusCode::UNAUTHORIZED, Content::Empty),
            UnauthorizedBody::Gateway => missing_token(),
        });
    }
    if claims.are_of_user() && !claims.are_multi_factor() {
        return Some(Answer::mfa_required());
    }
    let limit = center.knobs.limit_per_minute?;
    let seconds = center.window.admit(limit, now).err()?;
    Some(Answer::throttled(seconds))
}

fn missing_token() -> Answer {
    Answer::gateway(StatusCode::UNAUTHORIZED, "Unauthorized. Access token is missing or invalid.")
}

impl<'a> Call<'a> {
    fn parse(method: &Method, path: &'a str) -> Self {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["v1", "customers"]) => Self::ListCustomers,
            ("GET", ["v1", "relationships"]) => Self::ListResellers,
            ("GET", ["v1", "customers", id, "relationships"]) => Self::ResellersOf(id),
            ("GET", ["v1", "customers", "relationshiprequests"])
            | ("GET", ["v1", "customers", _, "profiles", "company"])
            | ("PATCH", ["v1", "customers", _]) => Self::NeedsUser,
            ("GET", ["v1", "customers", id]) => Self::GetCustomer(id),
            ("GET", ["v1", "customers", id, "profiles", "billing"]) => Self::GetBilling(id),
            ("PUT", ["v1", "customers", id, "profiles", "billing"]) => Self::PutBilling(id),
            ("GET", ["v1", "auditrecords"] | ["auditactivity", "v1", "auditrecords"]) => Self::ListAudit,
            ("GET", ["v1", "auditrecords", id] | ["auditactivity", "v1", "auditrecords", id]) => Self::GetAudit(id),
            ("GET", ["v1", "profiles", "legalbusiness"]) => Self::GetLegalBusiness,
            ("GET", ["v1", "profiles", "organization"]) => Self::GetOrganization,
            (method, ["webhooks", "v1", "registration", rest @ ..]) => Self::parse_registration(method, rest),
            _ => Self::Unknown,
        }
    }

    fn parse_registration(method: &str, rest: &[&'a str]) -> Self {
        match (method, rest) {
            ("GET", []) => Self::GetRegistration,
            ("POST", []) => Self::CreateRegistration,
            ("PUT", []) => Self::UpdateRegistration,
            ("GET", ["events"]) => Self::ListEvents,
            ("POST", ["validationEvents"]) => Self::SendTestEvent,
            ("GET", ["validationEvents", id]) => Self::GetTestEvent(id),
            _ => Self::Unknown,
        }
    }

    fn target(self, query: &Query) -> Target {
        let (route, customer) = match self {
            Self::ListCustomers if list::is_about_a_reseller(query) => (Route::ResellerCustomers, None),
            Self::ListCustomers => (Route::List, None),
            Self::ListResellers | Self::ResellersOf(_) => (Route::Resellers, None),
            Self::GetCustomer(id) => (Route::Get, Some(id)),
            Self::GetBilling(id) | Self::PutBilling(id) => (Route::Billing, Some(id)),
            Self::ListAudit | Self::GetAudit(_) => (Route::Audit, None),
            Self::GetRegistration | Self::ListEvents | Self::GetTestEvent(_) => (Route::Registration, None),
            Self::CreateRegistration | Self::UpdateRegistration | Self::SendTestEvent => {
                (Route::RegistrationWrite, None)
            }
            Self::GetLegalBusiness | Self::GetOrganization => (Route::Profile, None),
            Self::NeedsUser | Self::Unknown => (Route::Other, None),
        };
        Target {
            route,
            customer: customer.and_then(|id| Uuid::parse_str(id).ok()),
            continued: query.continuation().is_some(),
        }
    }
}

/// An admitted call with all it brings.
struct Asked<'a> {
    call: Call<'a>,
    of_user: bool,
    parts: &'a Parts,
    query: &'a Query,
    body: &'a Bytes,
    effects: &'a [Effect],
    /// The customers that the application does not see.
    hides: &'a BTreeSet<Uuid>,
    ids: RequestIds,
}

impl Asked<'_> {
    fn of(&self, center: &mut PartnerCenter, now: DateTime<Utc>) -> Answer {
        if self.customer().is_some_and(|id| self.hides.contains(&id)) {
            return profiles::no_relationship();
        }
        let answered = match self.call {
            Call::ListCustomers => list::page(center, self.query, self.of_user, self.effects, self.hides, now),
            Call::ListResellers => resellers::page(center, self.query, self.of_user, self.effects, now),
            Call::ResellersOf(id) => resellers::of_customer(center, id, self.of_user),
            Call::GetCustomer(id) => profiles::customer(center, id, self.effects, now),
            Call::GetBilling(id) => profiles::billing(center, id),
            Call::PutBilling(id) => {
                self.json().and_then(|body| profiles::put_billing(center, id, self.if_match(), body, now))
            }
            Call::ListAudit => audit::page(center, self.query, self.effects, now),
            Call::GetAudit(id) => Ok(audit::one(center, id)),
            Call::GetRegistration => Ok(registration::read(center)),
            Call::CreateRegistration => self.json().and_then(|body| registration::create(center, body, now)),
            Call::UpdateRegistration => self.json().and_then(|body| registration::update(center, body, now)),
            Call::ListEvents => Ok(registration::events()),
            Call::SendTestEvent => registration::send_test_event(center, self.ids.correlation, now),
            Call::GetTestEvent(id) => Ok(registration::test_event(center, id, now)),
            Call::GetLegalBusiness => Ok(profiles::legal_business(center)),
            Call::GetOrganization | Call::NeedsUser if !self.of_user => Err(Answer::application_not_allowed()),
            Call::GetOrganization => Ok(profiles::organization(center)),
            Call::NeedsUser => Ok(Answer::no_items()),
            Call::Unknown => Err(Answer::gateway(StatusCode::NOT_FOUND, "Resource not found")),
        };
        answered.unwrap_or_else(|refusal| refusal)
    }

    /// The customer that the call is about.
    fn customer(&self) -> Option<Uuid> {
        self.call.target(self.query).customer
    }

    fn json(&self) -> Result<Value, Answer> {
        serde_json::from_slice(self.body).map_err(|_| Answer::invalid_request())
    }

    fn if_match(&self) -> Option<&str> {
        self.parts.headers.get(header::IF_MATCH)?.to_str().ok()
    }
}

impl RequestIds {
    /// Takes the caller's ids, or makes them (FACTS.md 1.7).
    #[expect(clippy::disallowed_methods, reason = "an id of Microsoft's, not one of the service's")]
    fn of(headers: &HeaderMap) -> Self {
        let id = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .and_then(|text| Uuid::parse_str(text).ok())
                .unwrap_or_else(Uuid::new_v4)
        };
        Self { request: id("ms-requestid"), correlation: id("ms-correlationid") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_is_not_mistaken_for_a_sub_resource() {
        let parse = |method: Method, path| Call::parse(&method, path);
        assert_eq!(parse(Method::GET, "/v1/customers/x"), Call::GetCustomer("x"));
        assert_eq!(parse(Method::GET, "/v1/customers/relationshiprequests"), Call::NeedsUser);
        assert_eq!(parse(Method::GET, "/v1/customers/x/orders"), Call::Unknown);
        assert_eq!(parse(Method::DELETE, "/webhooks/v1/registration"), Call::Unknown);
    }
}
