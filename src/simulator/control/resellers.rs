//! The part of the control API that is about indirect resellers.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Named;
use super::answers::{Body, Failure};
use super::customers::{Manner, parse};
use crate::simulator::Simulator;
use crate::simulator::operations::AuditTrail;
use crate::simulator::resellers::Reseller;

/// Who is to serve a customer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Serving {
    resellers: Vec<String>,
}

fn trail(manner: &Manner) -> AuditTrail {
    if manner.is_silent() { AuditTrail::Omitted } else { AuditTrail::Recorded }
}

pub(super) async fn all(State(simulator): State<Simulator>, Named(partner): Named) -> Json<Value> {
    Json(json!(simulator.resellers(partner)))
}

pub(super) async fn put(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Query(manner): Query<Manner>,
    Body(reseller): Body<Reseller>,
) -> Result<StatusCode, Failure> {
    simulator.put_reseller(partner, reseller, trail(&manner))?;
    Ok(StatusCode::CREATED)
}

pub(super) async fn remove(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Path((_, id)): Path<(String, String)>,
    Query(manner): Query<Manner>,
) -> Result<StatusCode, Failure> {
    simulator.remove_reseller(partner, parse(&id)?, trail(&manner))?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn of_customer(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Value>, Failure> {
    let serving = simulator.resellers_of(partner, parse(&id)?);
    Ok(Json(json!({"resellers": serving.iter().map(ToString::to_string).collect::<Vec<_>>()})))
}

pub(super) async fn serve(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Path((_, id)): Path<(String, String)>,
    Body(serving): Body<Serving>,
) -> Result<StatusCode, Failure> {
    let resellers = serving.resellers.iter().map(|id| parse(id)).collect::<Result<Vec<_>, _>>()?;
    simulator.serve_by(partner, parse(&id)?, &resellers)?;
    Ok(StatusCode::NO_CONTENT)
}
