//! Certificates, refresh tokens and what goes wrong with signing in, over HTTP.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Named;
use super::answers::{Body, Failure};
use crate::simulator::Simulator;
use crate::simulator::sign_in::SignInMischief;

/// The routes below a partner.
pub(super) fn routes() -> Router<Simulator> {
    Router::new()
        .route("/certificates", post(register).delete(forget))
        .route("/refresh-tokens", post(sign_in).delete(revoke))
        .route("/sign-in-mischief", get(mischief).put(set_mischief))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Certificate {
    pem: String,
}

async fn register(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Body(certificate): Body<Certificate>,
) -> Result<StatusCode, Failure> {
    simulator.register_certificate(partner, &certificate.pem)?;
    Ok(StatusCode::CREATED)
}

async fn forget(State(simulator): State<Simulator>, Named(partner): Named) -> Result<StatusCode, Failure> {
    simulator.forget_certificates(partner)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn sign_in(State(simulator): State<Simulator>, Named(partner): Named) -> Result<Json<Value>, Failure> {
    let token = simulator.sign_user_in(partner)?;
    Ok(Json(json!({"refreshToken": token})))
}

async fn revoke(State(simulator): State<Simulator>, Named(partner): Named) -> Result<StatusCode, Failure> {
    simulator.revoke_refresh_tokens(partner)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn mischief(State(simulator): State<Simulator>, Named(partner): Named) -> Result<Json<SignInMischief>, Failure> {
    Ok(Json(simulator.sign_in_mischief(partner)?))
}

async fn set_mischief(
    State(simulator): State<Simulator>,
    Named(partner): Named,
    Body(mischief): Body<SignInMischief>,
) -> Result<StatusCode, Failure> {
    simulator.set_sign_in_mischief(partner, mischief)?;
    Ok(StatusCode::NO_CONTENT)
}
