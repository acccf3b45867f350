//! What the service says when it says no: its status and `google.rpc` details, as sentences and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use customer_guard::grpc::proto;
use prost::Message;
use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::pb;

use super::names;
use super::screen::harmless;

/// A status, taken apart.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) reason: String,
    /// When to try again, if the service says so.
    pub(super) retry_after: Option<Duration>,
    message: String,
    metadata: BTreeMap<String, String>,
    violations: Vec<Violation>,
    help: Vec<Link>,
    edit_refused: Option<proto::EditRefused>,
}

/// One problem of the request.
#[derive(Debug, Serialize)]
struct Violation {
    field: String,
    description: String,
}

#[derive(Debug, Serialize)]
struct Link {
    description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    url: String,
}

/// The same for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    code: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    violations: &'a [Violation],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    help: &'a [Link],
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<f64>,
}

impl Refusal {
    /// Takes a status apart; what is not known is left out.
    pub(super) fn of(status: &Status) -> Self {
        let mut refusal = Self {
            code: status.code(),
            reason: String::new(),
            retry_after: None,
            message: harmless(status.message()),
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            help: Vec::new(),
            edit_refused: None,
        };
        let details = pb::Status::decode(status.details()).map(|told| told.details).unwrap_or_default();
        for detail in details {
            // A detail that cannot be read is one less; the message tells the matter without it.
            let _ = refusal.take(&detail);
        }
        refusal
    }

    fn take(&mut self, detail: &prost_types::Any) -> Result<(), prost::DecodeError> {
        let value = detail.value.as_slice();
        match detail.type_url.rsplit('/').next().unwrap_or_default() {
            "google.rpc.ErrorInfo" => {
                let info = pb::ErrorInfo::decode(value)?;
                self.reason = info.reason;
                self.metadata.extend(info.metadata);
            }
            "google.rpc.BadRequest" => {
                let problems = pb::BadRequest::decode(value)?.field_violations.into_iter();
                let problem = |told: pb::bad_request::FieldViolation| violation(&told.field, &told.description);
                self.violations.extend(problems.map(problem));
            }
            "google.rpc.PreconditionFailure" => {
                let problems = pb::PreconditionFailure::decode(value)?.violations.into_iter();
                let field =
                    |subject: &str| subject.rsplit_once('#').map_or(String::new(), |(_, field)| field.to_owned());
                self.violations.extend(problems.map(|told| violation(&field(&told.subject), &told.description)));
            }
            "google.rpc.RetryInfo" => {
                let delay = pb::RetryInfo::decode(value)?.retry_delay;
                self.retry_after = delay.and_then(|delay| Duration::try_from(delay).ok());
            }
            "google.rpc.Help" => {
                let link =
                    |link: pb::help::Link| Link { description: harmless(&link.description), url: harmless(&link.url) };
                self.help.extend(pb::Help::decode(value)?.links.into_iter().map(link));
            }
            "customerguard.v1.EditRefused" => self.edit_refused = Some(proto::EditRefused::decode(value)?),
            _ => {}
        }
        Ok(())
    }

    /// A sentence, every problem, when to try again, and what to do about it.
    pub(super) fn text(&self) -> String {
        let mut text = self.sentence();
        let mut line = |told: &str| {
            // Invariant: writing to a String cannot fail.
            let _ = write!(text, "\n  {told}");
        };
        let said = |told: &str| self.message.contains(told);
        for Violation { field, description } in self.violations.iter().filter(|problem| !said(&problem.description)) {
            line(&if field.is_empty() { description.clone() } else { format!("{field}: {description}") });
        }
        match &self.edit_refused {
            Some(refused) => {
                if !refused.acceptable_fields.is_empty() {
                    line(&format!("These may be changed here: {}", refused.acceptable_fields.join(", ")));
                }
                if !refused.decision_id.is_empty() {
                    line(&format!("Decision: {}/{}", names::account_of(&refused.customer), refused.decision_id));
                }
            }
            None => {
                for (key, value) in self.metadata.iter().filter(|(_, value)| !value.is_empty() && !said(value)) {
                    line(&format!("{key}: {}", fact(key, value)));
                }
            }
        }
        for Link { description, url } in &self.help {
            line(description);
            if !url.is_empty() {
                line(url);
            }
        }
        if let Some(after) = self.retry_after {
            line(&format!("Try again in {} s.", after.as_secs().max(1)));
        }
        text
    }

    /// What happened, in one sentence.
    pub(super) fn sentence(&self) -> String {
        let reason = if self.reason.is_empty() { code_name(self.code) } else { &self.reason };
        match self.code {
            Code::Unimplemented => {
                "the service does not know this question: it may be older than this program".to_owned()
            }
            _ if self.message.is_empty() => reason.to_owned(),
            _ => format!("{} ({reason})", self.message),
        }
    }

    /// The same in one JSON document.
    pub(super) fn json(&self) -> String {
        let document = Document {
            code: code_name(self.code),
            reason: &self.reason,
            message: &self.message,
            metadata: &self.metadata,
            violations: &self.violations,
            help: &self.help,
            retry_after_seconds: self.retry_after.map(|after| after.as_secs_f64()),
        };
        // Invariant: texts, numbers and maps of texts always become JSON.
        serde_json::to_string(&document).unwrap_or_default()
    }
}

/// A fact of an error: names are shortened, several of them stand below each other, and other text is as it is.
fn fact(key: &str, value: &str) -> String {
    if !value.starts_with("partnerAccounts/") {
        return harmless(value);
    }
    let below = format!("\n{:1$}", "", key.len() + 4);
    value.split(' ').map(|name| names::short(&harmless(name))).collect::<Vec<_>>().join(&below)
}

fn violation(field: &str, description: &str) -> Violation {
    Violation { field: harmless(field), description: harmless(description) }
}

/// The code as gRPC spells it.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
