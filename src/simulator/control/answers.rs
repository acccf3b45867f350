//! How the control API reads bodies and refuses: every refusal is `{"message"}` and says what was wrong.

use std::fmt::Display;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::simulator::Error;

const LARGEST_BODY: usize = 1024 * 1024;

/// A JSON body, whatever its content type: curl sends a form's unless told otherwise. An empty one counts as `{}`.
pub(super) struct Body<T>(pub(super) T);

/// Why a control call was refused.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    message: String,
}

impl Failure {
    pub(super) fn bad(problem: &impl Display) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: problem.to_string() }
    }

    pub(super) fn not_saved(problem: &impl Display) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: format!("changed, but the state file could not be written: {problem}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::UnknownPartner | Error::UnknownCustomer | Error::UnknownReseller | Error::UnknownAuditRecord => {
                StatusCode::NOT_FOUND
            }
            Error::AlreadyACustomer => StatusCode::CONFLICT,
            Error::NoCertificate => StatusCode::BAD_REQUEST,
        };
        Self { status, message: error.to_string() }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"message": self.message}))).into_response()
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let bytes = to_bytes(request.into_body(), LARGEST_BODY).await.map_err(|error| Failure::bad(&error))?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text).map(Self).map_err(|error| Failure::bad(&error))
    }
}

/// Merges a partial JSON object over a value: members given replace, `null` removes (RFC 7396).
///
/// # Errors
///
/// Fails for members the value does not have and for values of a wrong type.
pub(super) fn merged<T: Serialize + DeserializeOwned>(current: &T, change: Value) -> Result<T, Failure> {
    let mut wanted = serde_json::to_value(current).map_err(|error| Failure::bad(&error))?;
    merge(&mut wanted, change);
    let result: T = serde_json::from_value(wanted.clone()).map_err(|error| Failure::bad(&error))?;
    let known = serde_json::to_value(&result).map_err(|error| Failure::bad(&error))?;
    match unknown_member(&wanted, &known) {
        Some(name) => Err(Failure::bad(&format!("there is no member {name:?}"))),
        None => Ok(result),
    }
}

fn merge(target: &mut Value, change: Value) {
    let Value::Object(members) = change else {
        *target = change;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, member) in members {
        merge(&mut target[name], member);
    }
}

fn unknown_member(wanted: &Value, known: &Value) -> Option<String> {
    wanted.as_object()?.iter().find_map(|(name, member)| {
        known.get(name).map_or_else(|| Some(name.clone()), |known| unknown_member(member, known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::customer::BillingProfile;

    #[test]
    fn a_misspelt_member_is_named() {
        let failure = merged(&BillingProfile::default(), json!({"defaultAddress": {"town": "x"}})).unwrap_err();
        assert_eq!(failure.message, "there is no member \"town\"");
    }

    #[test]
    fn null_removes_and_the_rest_stays() {
        let profile = BillingProfile {
            email: Some("a@linden.example".to_owned()),
            first_name: Some("Käthe".to_owned()),
            ..BillingProfile::default()
        };
        let changed = merged(&profile, json!({"email": null})).unwrap();
        assert_eq!(changed.email, None);
        assert_eq!(changed.first_name.as_deref(), Some("Käthe"));
    }
}
