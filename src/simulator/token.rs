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

use super::applications::NoSuchApplication;
use super::guid;
use super::partner::PartnerCenter;
use super::sign_in::SignInOf;

/// What a form calls an assertion that is a JWT.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A tenant that is nobody's here.
const FOREIGN_TENANT: Uuid = Uuid::from_u128(0x9999_9999_0000_4000_8000_0000_0000_0001);

/// The form a client posts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Form {
    grant_type: String,
    client_id: String,
    client_secret: String,
    client_assertion_type: String,
    client_assertion: String,
    refresh_token: String,
    resource: Option<String>,
    scope: Option<String>,
}

/// The endpoint's version, which decides how the audience is named and how numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

impl Version {
    /// Where this version's tokens are asked for, below the authority.
    pub(super) fn address(self, tenant: &str) -> String {
        match self {
            Self::One => format!("/{tenant}/oauth2/token"),
            Self::Two => format!("/{tenant}/oauth2/v2.0/token"),
        }
    }
}

/// What a token says (FACTS.md 1.2).
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    #[serde(with = "guid")]
    pub(super) tid: Uuid,
    pub(super) appid: String,
    /// How the user signed in; empty when there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) amr: Vec<String>,
    /// What the user lets the application do; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) scp: Option<String>,
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
    center: &mut PartnerCenter,
    version: Version,
    form: &Form,
    address: &str,
    now: DateTime<Utc>,
) -> Result<Value, Refusal> {
    let of = form.is_for().ok_or(WRONG_GRANT)?;
    center.sign_ins.refuse(of)?;
    let is_asserted = !form.client_assertion.is_empty() && form.client_assertion_type == ASSERTION_TYPE;
    let tenant = if is_asserted && form.client_id == center.partner.client_id {
        center.sign_ins.take_assertion(&form.client_assertion, &form.client_id, address, now)?;
        center.partner.tenant_id
    } else {
        let known = center
            .tokens_for(&form.client_id, &form.client_secret)
            .map_err(|NoSuchApplication| APPLICATION_NOT_FOUND)?;
        known.ok_or(WRONG_SECRET)?
    };
    let audience = match version {
        Version::One => form.resource.as_deref(),
        Version::Two => form.scope.as_deref().and_then(audience_of),
    };
    let audience = audience.filter(|audience| !audience.is_empty()).ok_or(WRONG_SCOPE)?;
    let is_of_user = of == SignInOf::User;
    if is_of_user {
        center.sign_ins.use_refresh_token(&form.refresh_token, now)?;
    }
    let mischief = center.sign_ins.mischief.clone();
    let goes_wrong = center.sign_ins.goes_wrong(of);
    let newer = (is_of_user && !(goes_wrong && mischief.without_refresh_token))
        .then(|| center.sign_ins.issue_refresh_token(&center.partner.name, now));
    let methods: &[&str] = match of {
        SignInOf::Application => &[],
        SignInOf::User if goes_wrong && mischief.without_mfa => &["pwd"],
        SignInOf::User => &["pwd", "mfa"],
    };
    center.sign_ins.count(of);
    let life = center.knobs.token_lifetime_seconds;
    let issued = now.timestamp();
    let claims = Claims {
        tid: if goes_wrong && mischief.foreign_tenant { FOREIGN_TENANT } else { tenant },
        amr: methods.iter().map(ToString::to_string).collect(),
        scp: is_of_user.then(|| "user_impersonation".to_owned()),
        appid: form.client_id.clone(),
        aud: audience.to_owned(),
        iat: issued,
        nbf: issued,
        exp: issued + i64::from(life),
    };
    let token = claims.encode();
    let mut answer = match version {
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
    };
    if let Some(newer) = newer {
        answer["refresh_token"] = newer.into();
    }
    Ok(answer)
}

/// The resource of a scope that asks for all that was granted; a newer refresh token may be asked for beside it.
fn audience_of(scope: &str) -> Option<&str> {
    let suffix = |scope: &'static str| move |asked: &&str| asked.ends_with(scope);
    let asked =
        scope.split(' ').find(suffix("/.default")).or_else(|| scope.split(' ').find(suffix("/user_impersonation")))?;
    asked.strip_suffix("/.default").or_else(|| asked.strip_suffix("/user_impersonation"))
}

impl Form {
    /// What the sign-in is for; nothing for a grant that is not known.
    pub(super) fn is_for(&self) -> Option<SignInOf> {
        match self.grant_type.as_str() {
            "client_credentials" => Some(SignInOf::Application),
            "refresh_token" => Some(SignInOf::User),
            _ => None,
        }
    }
}

impl Claims {
    /// Whether the application acts for a user.
    pub(super) const fn are_of_user(&self) -> bool {
        self.scp.is_some()
    }

    /// Whether the user signed in with multi-factor authentication.
    pub(super) fn are_multi_factor(&self) -> bool {
        self.amr.iter().any(|method| method == "mfa")
    }

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
        center.knows_application(&self.appid) && self.exp > now.timestamp() && self.iat >= center.tokens_valid_from
    }
}

impl Refusal {
    pub(super) const fn new(status: StatusCode, error: &'static str, number: u32, text: &'static str) -> Self {
        Self { status, error, number, text }
    }

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
