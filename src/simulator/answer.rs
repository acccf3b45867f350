//! An answer before it becomes bytes, and the error shapes seen in the field (FACTS.md 8.1).

use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use uuid::Uuid;

use super::delivery::{self, Delivery};
use super::mutation;
use super::partner::Knobs;
use super::shape;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html");
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a call is answered with.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<String>,
    pub(super) content: Content,
}

/// The body of an answer.
#[derive(Debug, PartialEq)]
pub(super) enum Content {
    Empty,
    /// A resource in camelCase with explicit nulls; the partner's knobs choose its dress.
    Resource(Value),
    /// JSON that no knob may touch, for example a gateway's error.
    Verbatim(Value),
    Html(&'static str),
    /// No answer at all: the connection closes without a byte.
    Nothing,
}

/// The numbers that tie an answer to its request (FACTS.md 1.7).
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestIds {
    pub(super) request: Uuid,
    pub(super) correlation: Uuid,
}

impl Answer {
    pub(super) fn new(status: StatusCode, content: Content) -> Self {
        Self { status, retry_after: None, content }
    }

    pub(super) fn resource(resource: Value) -> Self {
        Self::new(StatusCode::OK, Content::Resource(resource))
    }

    /// Shape 1, the API's own fault. `code` is the number seen in the wild.
    pub(super) fn fault(status: StatusCode, code: u32, description: &str) -> Self {
        let body = json!({"code": code, "description": description, "data": [], "source": "PartnerFD"});
        Self::new(status, Content::Verbatim(body))
    }

    /// Shape 2, the gateway's.
    pub(super) fn gateway(status: StatusCode, message: &str) -> Self {
        let body = json!({"statusCode": status.as_u16(), "message": message});
        Self::new(status, Content::Verbatim(body))
    }

    /// Shape 3, the framework's answer to a bad query (FACTS.md 5.5).
    pub(super) fn invalid_request() -> Self {
        let body = json!({"message": "The request is invalid."});
        Self::new(StatusCode::BAD_REQUEST, Content::Verbatim(body))
    }

    pub(super) fn invalid_input(description: &str) -> Self {
        Self::fault(StatusCode::BAD_REQUEST, 800_002, description)
    }

    /// 429 in the gateway's words (FACTS.md 7).
    pub(super) fn throttled(seconds: u64) -> Self {
        let message = format!("Rate limit is exceeded. Try again in {seconds} seconds.");
        Self { retry_after: Some(seconds.to_string()), ..Self::gateway(StatusCode::TOO_MANY_REQUESTS, &message) }
    }

    /// The customer has no relationship with the partner (FACTS.md 8.2).
    pub(super) fn no_relationship() -> Self {
        Self::fault(StatusCode::FORBIDDEN, 20_002, "No relationship between caller and account.")
    }

    /// The call is not open to application credentials (FACTS.md 1.5).
    pub(super) fn application_not_allowed() -> Self {
        Self::fault(StatusCode::FORBIDDEN, 900_329, "This resource can't be accessed by application credentials.")
    }

    /// A user's token without multi-factor authentication (FACTS.md 1.4).
    pub(super) fn mfa_required() -> Self {
        Self::fault(StatusCode::UNAUTHORIZED, 900_421, "MFA required.")
    }

    /// A list that nothing is in.
    pub(super) fn no_items() -> Self {
        Self::resource(json!({"totalCount": 0, "items": [], "attributes": {"objectType": "Collection"}}))
    }

    /// Turns the answer into an HTTP response.
    pub(super) fn render(self, knobs: &Knobs, ids: RequestIds, delivery: Delivery) -> Response {
        let (content_type, text) = match self.content {
            Content::Nothing => return Response::new(delivery::cut_off(Bytes::new())),
            Content::Empty => (None, String::new()),
            Content::Html(page) => (Some(HTML), page.to_owned()),
            Content::Verbatim(body) => (Some(JSON), dressed_error(body, knobs).to_string()),
            Content::Resource(body) if knobs.pascal_case => (Some(JSON), shape::pascal_case(body).to_string()),
            Content::Resource(body) => (Some(JSON), shape::without_nulls(body).to_string()),
        };
        let text = mutation::with_lone_surrogates(text);
        let mut bytes = Vec::with_capacity(text.len() + BYTE_ORDER_MARK.len());
        if knobs.byte_order_mark && content_type == Some(JSON) {
            bytes.extend_from_slice(BYTE_ORDER_MARK);
        }
        bytes.extend_from_slice(text.as_bytes());
        let mut response = delivery.deliver(bytes, content_type);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(value) = self.retry_after.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(header::RETRY_AFTER, value);
        }
        ids.write(&mut response);
        response
    }
}

impl RequestIds {
    fn write(self, response: &mut Response) {
        let request = self.request.to_string();
        let correlation = self.correlation.to_string();
        let vector = format!("{}.0", self.correlation.simple());
        for (name, value) in [
            ("ms-requestid", request.as_str()),
            ("ms-correlationid", correlation.as_str()),
            ("ms-cv", vector.as_str()),
            ("ms-serverid", "simulator-1"),
            ("request-context", "appId=cid-v1:simulator"),
        ] {
            let value = HeaderValue::from_str(value).expect("GUIDs and constants are ASCII");
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
}

fn dressed_error(mut body: Value, knobs: &Knobs) -> Value {
    if knobs.error_code_as_text
        && let Some(code) = body.get_mut("code")
    {
        *code = code.to_string().into();
    }
    body
}
