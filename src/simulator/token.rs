//! The Entra token endpoint, both versions, and the check of what it issued (FACTS.md 1.2, 1.6). Tokens look like
//! JWTs but are signed with a constant: good enough to tell them from garbage, not meant to keep anybody out.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::guid;
use super::partner::PartnerCenter;

/// The form a client posts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Form {
    grant_type: String,
    client_id: String,
    client_secret: String,
    resource: Option<String>,
    scope: Option<String>,
}

/// The endpoint's version, which decides how the audience is named and how numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// What a token says (FACTS.md 1.2).
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    #[serde(with = "guid")]
    pub(super) tid: Uuid,
    pub(super) appid: String,
    pub(super) aud: String,
    pub(super) iat: i64,
    pub(super) nbf: i64,
    pub(super) exp: i64,
}

/// A refusal of the token endpoint.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    error: &'static str,
    number: u32,
    text: &'static str,
}

/// The tenant in the path is nobody's.
pub(super) const TENANT_NOT_FOUND: Refusal = Refusal {
    status: StatusCode::BAD_REQUEST,
    error: "invalid_request",
    number: 90_002,
    text: "Tenant not found. Check to make sure you have the correct tenant ID.",
};

/// The secret is wrong; a script may also ask for it.
pub(super) const WRONG_SECRET: Refusal = Refusal {
    status: StatusCode::UNAUTHORIZED,
    error: "invalid_client",
    number: 7_000_215,
    text: "Invalid client secret provided.",
};

const APPLICATION_NOT_FOUND: Refusal = Refusal {
    status: StatusCode::BAD_REQUEST,
    error: "unauthorized_client",
    number: 700_016,
    text: "Application was not found in the directory.",
};

const WRONG_GRANT: Refusal = Refusal {
    status: StatusCode::BAD_REQUEST,
    error: "unsupported_grant_type",
    number: 70_003,
    text: "The app requested an unsupported grant type.",
};

const WRONG_SCOPE: Refusal = Refusal {
    status: StatusCode::BAD_REQUEST,
    error: "invalid_scope",
    number: 70_011,
    text: "The provided value for scope or resource is not valid.",
};

/// Issues a token to a partner's application.
///
/// # Errors
///
/// Refuses another grant, application, secret or scope.
pub(super) fn issue(
    center: &PartnerCenter,
    version: Version,
    form: &Form,
    now: DateTime<Utc>,
) -> Result<Value, Refusal> {
    if form.grant_type != "client_credentials" {
        return Err(WRONG_GRANT);
    }
    if form.client_id != center.partner.client_id {
        return Err(APPLICATION_NOT_FOUND);
    }
    if form.client_secret != center.partner.client_secret {
        return Err(WRONG_SECRET);
    }
    let audience = match version {
        Version::One => form.resource.as_deref(),
        Version::Two => form.scope.as_deref().and_then(|scope| scope.strip_suffix("/.default")),
    };
    let audience = audience.filter(|audience| !audience.is_empty()).ok_or(WRONG_SCOPE)?;
    let life = center.knobs.token_lifetime_seconds;
    let issued = now.timestamp();
    let claims = Claims {
        tid: center.partner.tenant_id,
        appid: center.partner.client_id.clone(),
        aud: audience.to_owned(),
        iat: issued,
        nbf: issued,
        exp: issued + i64::from(life),
    };
    let token = claims.encode();
    Ok(match version {
        // Version one writes numbers as text and names the resource.
        Version::One => json!({
            "token_type": "Bearer",
            "expires_in": life.to_string(),
            "ext_expires_in": life.to_string(),
            "expires_on": claims.exp.to_string(),
            "not_before": claims.nbf.to_string(),
            "resource": audience,
            "access_token": token,
        }),
        Version::Two => json!({
            "token_type": "Bearer",
            "expires_in": life,
            "ext_expires_in": life,
            "access_token": token,
        }),
    })
}

impl Claims {
    fn encode(&self) -> String {
        let payload = serde_json::to_vec(self).expect("texts and numbers always have a JSON form");
        let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"RS256","kid":"simulator"}"#);
        let payload = URL_SAFE_NO_PAD.encode(payload);
        format!("{header}.{payload}.{}", signature())
    }

    /// Reads a token's claims; `None` if this endpoint never issued such a token.
    pub(super) fn decode(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (_, payload) = (parts.next()?, parts.next()?);
        if parts.next()? != signature() || parts.next().is_some() {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    /// Tells whether the partner's gateway takes a token with these claims now.
    pub(super) fn are_accepted_by(&self, center: &PartnerCenter, now: DateTime<Utc>) -> bool {
        self.appid == center.partner.client_id && self.exp > now.timestamp() && self.iat >= center.tokens_valid_from
    }
}

impl Refusal {
    /// Turns the refusal into the body of FACTS.md 1.6.
    pub(super) fn answer(&self, now: DateTime<Utc>, correlation: Uuid) -> Response {
        let timestamp = now.format("%Y-%m-%d %H:%M:%SZ").to_string();
        let correlation = correlation.to_string();
        let body = json!({
            "error": self.error,
            "error_description": format!(
                "AADSTS{}: {} Trace ID: {correlation} Correlation ID: {correlation} Timestamp: {timestamp}",
                self.number, self.text
            ),
            "error_codes": [self.number],
            "timestamp": timestamp,
            "trace_id": correlation,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.number),
        });
        (self.status, Json(body)).into_response()
    }
}

/// The second from which tokens issued until now are refused.
pub(super) fn after(now: DateTime<Utc>) -> i64 {
    (now + TimeDelta::seconds(1)).timestamp()
}

fn signature() -> String {
    URL_SAFE_NO_PAD.encode("simulated, not a signature at all")
}
