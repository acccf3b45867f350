//! The part of the control API that is about customers.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Named;
use super::answers::{Body, Failure, merged};
use crate::simulator::operations::{AuditTrail, NewCustomer};
use crate::simulator::{Error, Simulator};

/// Customers in one answer when the caller does not say.
const DEFAULT_LIMIT: usize = 20;

/// Which customers to show.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    search: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// `?silently` or nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manner {
    silently: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Name {
    name: String,
}

impl Manner {
    pub(super) fn is_silent(&self) -> bool {
        self.silently.as_deref().is_some_and(|text| text != "false")
    }
}

pub(super) async fn page(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Query(wish): Query<Search>,
) -> Result<Json<Value>, Failure> {
    let after = wish.after.map(|id| parse(&id)).transpose()?;
    let search = wish.search.unwrap_or_default();
    let limit = wish.limit.unwrap_or(DEFAULT_LIMIT);
    let customers = simulator.find_customers(partner, &search, after, limit);
    Ok(Json(json!(customers)))
}

pub(super) async fn one(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Value>, Failure> {
    let customer = simulator.customer(partner, parse(&id)?).ok_or(Error::UnknownCustomer)?;
    Ok(Json(json!(customer)))
}

pub(super) async fn accept(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Body(new): Body<NewCustomer>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let customer = simulator.accept_customer(partner, new)?;
    Ok((StatusCode::CREATED, Json(json!(customer))))
}

pub(super) async fn add(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Body(new): Body<NewCustomer>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let customer = simulator.add_customer(partner, new)?;
    Ok((StatusCode::CREATED, Json(json!(customer))))
}

pub(super) async fn change_billing_profile(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Path((_, id)): Path<(String, String)>,
    Query(manner): Query<Manner>,
    Body(change): Body<Value>,
) -> Result<Json<Value>, Failure> {
    let id = parse(&id)?;
    let customer = simulator.customer(partner, id).ok_or(Error::UnknownCustomer)?;
    let wanted = merged(&customer.billing_profile, change)?;
    if manner.is_silent() {
        simulator.change_silently(partner, id, |profile| *profile = wanted)?;
    } else {
        simulator.change_billing_profile(partner, id, |profile| *profile = wanted)?;
    }
    let changed = simulator.customer(partner, id).ok_or(Error::UnknownCustomer)?;
    Ok(Json(json!(changed.billing_profile)))
}

pub(super) async fn rename(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Path((_, id)): Path<(String, String)>,
    Body(wish): Body<Name>,
) -> Result<StatusCode, Failure> {
    simulator.rename(partner, parse(&id)?, &wish.name)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn rename_tenant(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Path((_, id)): Path<(String, String)>,
    Body(wish): Body<Name>,
) -> Result<StatusCode, Failure> {
    simulator.rename_tenant(partner, parse(&id)?, &wish.name)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Path((_, id)): Path<(String, String)>,
    Query(manner): Query<Manner>,
) -> Result<StatusCode, Failure> {
    let trail = if manner.is_silent() { AuditTrail::Omitted } else { AuditTrail::Recorded };
    simulator.remove_relationship(partner, parse(&id)?, trail)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn parse(id: &str) -> Result<Uuid, Failure> {
    Uuid::parse_str(id).map_err(|error| Failure::bad(&error))
}
