//! The control API: playing Microsoft with curl. Everything here calls [`super::operations`]; nothing is implemented
//! twice. Paths are under `/control/v1`, bodies are JSON, `{partner}` is a tenant id, a domain or a short name.
//!
//! | call | does |
//! |---|---|
//! | `GET /` | explains itself, with lines to paste |
//! | `GET /partners`, `POST /partners` | lists, adds a partner |
//! | `POST /partners/{partner}/seed` | creates `{"count", "seed"}` customers without a trace in the audit log |
//! | `GET …/customers?search&after&limit` | the truth, page by page |
//! | `POST …/customers/accept`, `…/add` | an existing tenant accepts / the partner creates; body as [`super::operations::NewCustomer`] |
//! | `GET …/customers/{id}` | the truth about one |
//! | `PATCH …/customers/{id}/billing-profile?silently` | merges members; `null` removes one |
//! | `POST …/customers/{id}/rename`, `…/rename-tenant` | `{"name"}` |
//! | `POST …/customers/{id}/remove?silently` | ends the relationship |
//! | `GET`, `PUT …/customers/{id}/resellers` | who serves the customer: `{"resellers": [ids]}` |
//! | `GET`, `POST …/resellers?silently`; `POST …/resellers/{id}/remove?silently` | the resellers; adds or renames; removes one |
//! | `GET`, `POST …/audit-records`; `POST …/audit-records/{id}/finish` | the log; writes any record; ends one |
//! | `GET`, `PUT`, `DELETE …/registration` | the webhook registration, taken by somebody else, taken away |
//! | `GET`, `POST`, `DELETE …/faults` | the fault script; body as [`Fault`] |
//! | `GET`, `DELETE …/calls` | the counters |
//! | `GET`, `PATCH …/knobs` | see [`super::partner::Knobs`] |
//! | `GET`, `POST`, `DELETE …/applications` | further applications of the partner's; body as [`super::applications::Application`] |
//! | `POST …/revoke-tokens` | refuses every token issued so far |
//! | `POST …/certificates`, `DELETE` | registers `{"pem"}` for the application; takes all away |
//! | `POST …/refresh-tokens`, `DELETE` | the user signs in and gives a refresh token; revokes all |
//! | `GET`, `PUT …/sign-in-mischief` | see [`super::sign_in::SignInMischief`] |
//! | `GET`, `POST /clock` | `{"advanceSeconds"}`, `{"time"}` or `{"stopAt"}` |

mod answers;

mod customers;

mod help;

mod resellers;

mod sign_ins;

use std::time::Duration;

use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use self::answers::{Body, Failure, merged};
use super::Simulator;
use super::applications::Application;
use super::audit::{AuditEntry, OperationStatus};
use super::faults::Fault;
use super::partner::Partner;

/// The routes, to be nested under `/control/v1`.
pub(super) fn router(simulator: Simulator) -> Router<Simulator> {
    let partner = Router::new()
        .route("/seed", post(seed))
        .route("/customers", get(customers::page))
        .route("/customers/accept", post(customers::accept))
        .route("/customers/add", post(customers::add))
        .route("/customers/{id}", get(customers::one))
        .route("/customers/{id}/billing-profile", patch(customers::change_billing_profile))
        .route("/customers/{id}/rename", post(customers::rename))
        .route("/customers/{id}/rename-tenant", post(customers::rename_tenant))
        .route("/customers/{id}/remove", post(customers::remove))
        .route("/customers/{id}/resellers", get(resellers::of_customer).put(resellers::serve))
        .route("/resellers", get(resellers::all).post(resellers::put))
        .route("/resellers/{id}/remove", post(resellers::remove))
        .route("/audit-records", get(audit_records).post(append_audit))
        .route("/audit-records/{id}/finish", post(finish_audit))
        .route("/registration", get(registration).put(set_foreign_registration).delete(remove_registration))
        .route("/faults", get(faults).post(push_fault).delete(clear_faults))
        .route("/calls", get(calls).delete(reset_calls))
        .route("/knobs", get(knobs).patch(set_knobs))
        .route("/applications", get(applications).post(add_application).delete(remove_applications))
        .route("/revoke-tokens", post(revoke_tokens))
        .merge(sign_ins::routes());
    Router::new()
        .route("/", get(help::page))
        .route("/partners", get(partners).post(add_partner))
        .route("/clock", get(clock).post(set_clock))
        .nest("/partners/{partner}", partner)
        .layer(middleware::from_fn_with_state(simulator, keep))
}

/// Saves after every change, before it is answered, if the simulator keeps its state in a file.
async fn keep(State(simulator): State<Simulator>, request: Request, next: Next) -> Response {
    let changes = request.method() != Method::GET;
    let response = next.run(request).await;
    let Some(path) = simulator.state_file() else {
        return response;
    };
    if !changes || !response.status().is_success() {
        return response;
    }
    let saved = tokio::task::spawn_blocking(move || simulator.save(&path)).await;
    match saved {
        Ok(Ok(())) => response,
        Ok(Err(error)) => Failure::not_saved(&error).into_response(),
        Err(error) => Failure::not_saved(&error).into_response(),
    }
}

/// The partner a path names.
struct Named(Uuid);

impl FromRequestParts<Simulator> for Named {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, simulator: &Simulator) -> Result<Self, Self::Rejection> {
        #[derive(Deserialize)]
        struct Segment {
            partner: String,
        }
        let Path(segment) =
            Path::<Segment>::from_request_parts(parts, simulator).await.map_err(|error| Failure::bad(&error))?;
        simulator.find_partner(&segment.partner).map(Self).ok_or_else(|| super::Error::UnknownPartner.into())
    }
}

async fn partners(State(simulator): State<Simulator>) -> Json<Value> {
    let partners: Vec<_> = simulator
        .partners()
        .into_iter()
        .map(|partner| {
            json!({
                "tenantId": partner.tenant_id.to_string(),
                "name": partner.name,
                "clientId": partner.client_id,
                "kind": partner.kind,
                "domain": partner.domain,
                "customers": simulator.customer_count(partner.tenant_id),
            })
        })
        .collect();
    Json(partners.into())
}

async fn add_partner(State(simulator): State<Simulator>, Body(partner): Body<Partner>) -> StatusCode {
    simulator.add_partner(partner);
    StatusCode::CREATED
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    count: usize,
    #[serde(default)]
    seed: u64,
}

async fn seed(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Body(wish): Body<Seed>,
) -> Result<Json<Value>, Failure> {
    simulator.seed(partner, wish.count, wish.seed)?;
    Ok(Json(json!({"customers": simulator.customer_count(partner)})))
}

async fn audit_records(State(simulator): State<Simulator>, Named(partner): Named) -> Json<Value> {
    Json(json!(simulator.audit_records(partner)))
}

async fn append_audit(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Body(entry): Body<AuditEntry>,
) -> Result<Json<Value>, Failure> {
    let id = simulator.append_audit(partner, entry)?;
    Ok(Json(json!({"id": id})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Finish {
    #[serde(default)]
    status: OperationStatus,
}

async fn finish_audit(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Path((_, record)): Path<(String, String)>,
    Body(finish): Body<Finish>,
) -> Result<StatusCode, Failure> {
    simulator.finish_audit(partner, &record, finish.status)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn registration(State(simulator): State<Simulator>, Named(partner): Named) -> Json<Value> {
    Json(json!(simulator.registration(partner)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ForeignRegistration {
    webhook_url: String,
}

async fn set_foreign_registration(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Body(wish): Body<ForeignRegistration>,
) -> Result<StatusCode, Failure> {
    simulator.set_foreign_registration(partner, &wish.webhook_url)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_registration(State(simulator): State<Simulator>, Named(partner): Named) -> Result<StatusCode, Failure> {
    simulator.remove_registration(partner)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn faults(State(simulator): State<Simulator>, Named(partner): Named) -> Json<Value> {
    Json(json!(simulator.faults(partner).waiting()))
}

async fn push_fault(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Body(fault): Body<Fault>,
) -> Result<StatusCode, Failure> {
    simulator.faults(partner).push(fault)?;
    Ok(StatusCode::CREATED)
}

async fn clear_faults(State(simulator): State<Simulator>, Named(partner): Named) -> Result<StatusCode, Failure> {
    simulator.faults(partner).clear()?;
    Ok(StatusCode::NO_CONTENT)
}

async fn calls(State(simulator): State<Simulator>, Named(partner): Named) -> Json<Value> {
    Json(json!(simulator.calls(partner)))
}

async fn reset_calls(State(simulator): State<Simulator>, Named(partner): Named) -> Result<StatusCode, Failure> {
    simulator.reset_calls(partner)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn knobs(State(simulator): State<Simulator>, Named(partner): Named) -> Json<Value> {
    Json(json!(simulator.knobs(partner)))
}

async fn set_knobs(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Body(change): Body<Value>,
) -> Result<Json<Value>, Failure> {
    let wanted = merged(&simulator.knobs(partner), change)?;
    simulator.set_knobs(partner, |knobs| *knobs = wanted)?;
    Ok(Json(json!(simulator.knobs(partner))))
}

async fn applications(State(simulator): State<Simulator>, Named(partner): Named) -> Json<Value> {
    let shown = |application: Application| {
        let Application { client_id, client_secret: _, tokens_of, shows, hides } = application;
        let hides: Vec<_> = hides.iter().map(Uuid::to_string).collect();
        let name = |id: Option<Uuid>| id.map(|id| id.to_string());
        json!({"clientId": client_id, "tokensOf": name(tokens_of), "shows": name(shows), "hides": hides})
    };
    Json(simulator.applications(partner).into_iter().map(shown).collect())
}

async fn add_application(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Body(application): Body<Application>,
) -> Result<StatusCode, Failure> {
    simulator.add_application(partner, application)?;
    Ok(StatusCode::CREATED)
}

async fn remove_applications(State(simulator): State<Simulator>, Named(partner): Named) -> Result<StatusCode, Failure> {
    simulator.remove_applications(partner)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn revoke_tokens(State(simulator): State<Simulator>, Named(partner): Named) -> Result<StatusCode, Failure> {
    simulator.revoke_tokens(partner)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn clock(State(simulator): State<Simulator>) -> Json<Value> {
    let now = simulator.clock().now();
    Json(json!({"time": now.to_rfc3339_opts(SecondsFormat::Micros, true)}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum ClockChange {
    AdvanceSeconds(u64),
    Time(String),
    StopAt(String),
}

async fn set_clock(
    State(simulator): State<Simulator>,
    Body(change): Body<ClockChange>,
) -> Result<Json<Value>, Failure> {
    let time = |text: String| text.parse::<DateTime<Utc>>().map_err(|error| Failure::bad(&error));
    match change {
        ClockChange::AdvanceSeconds(seconds) => {
            simulator.clock().advance(Duration::from_secs(seconds));
        }
        ClockChange::Time(at) => simulator.clock().set_time(time(at)?),
        ClockChange::StopAt(at) => simulator.clock().stop_at(time(at)?),
    }
    Ok(clock(State(simulator)).await)
}
