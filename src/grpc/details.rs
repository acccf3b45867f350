//! Builds a `tonic::Status` with `google.rpc` details; every error of the service is made here.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::domain::filter::FilterProblem;
use crate::domain::text::FieldProblem;
use crate::grpc::proto::ErrorReason;

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "customerguard";

/// How many problems of a request one error lists; the details travel in a header.
const LISTED_MAX: usize = 64;
/// How many bytes they may take: paths and label keys that nobody knows can be long.
const LISTED_BYTES_MAX: usize = 3 * 1024;

/// An error under construction.
#[must_use]
pub struct Problem {
    code: Code,
    message: String,
    reason: ErrorReason,
    metadata: HashMap<String, String>,
    details: Vec<prost_types::Any>,
}

impl Problem {
    /// An error of that code and reason; `message` is for people and may change.
    pub fn new(code: Code, reason: ErrorReason, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), reason, metadata: HashMap::new(), details: Vec::new() }
    }

    /// Adds a fact that is a part of the message.
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// Tells when to try again.
    pub fn retry_after(self, after: Duration) -> Self {
        let retry_delay = prost_types::Duration::try_from(after).ok();
        self.detail("google.rpc.RetryInfo", &pb::RetryInfo { retry_delay })
    }

    /// Lists problems of the request, as many as travel well, and says how many more there are.
    pub fn bad_request(self, problems: &[FieldProblem]) -> Self {
        let mut listed = pb::BadRequest::default();
        for problem in problems.iter().take(LISTED_MAX) {
            listed.field_violations.push(field_violation(problem));
            if listed.encoded_len() > LISTED_BYTES_MAX {
                listed.field_violations.pop();
                break;
            }
        }
        let more = problems.len() - listed.field_violations.len();
        if more > 0 {
            let description = format!("and {more} more problems");
            listed.field_violations.push(pb::bad_request::FieldViolation { description, ..Default::default() });
        }
        self.detail("google.rpc.BadRequest", &listed)
    }

    /// Adds a detail by its full name.
    pub fn detail(mut self, name: &str, message: &impl Message) -> Self {
        self.details.push(any(name, message));
        self
    }

    /// How many bytes the details take so far.
    pub fn encoded_len(&self) -> usize {
        self.message_with_details().encoded_len()
    }

    /// The finished status.
    pub fn status(self) -> Status {
        let details = self.message_with_details().encode_to_vec();
        Status::with_details(self.code, self.message, details.into())
    }

    fn message_with_details(&self) -> pb::Status {
        let info = pb::ErrorInfo {
            reason: reason_name(self.reason).to_owned(),
            domain: DOMAIN.to_owned(),
            metadata: self.metadata.clone(),
        };
        let mut details = vec![any("google.rpc.ErrorInfo", &info)];
        details.extend_from_slice(&self.details);
        pb::Status { code: self.code as i32, message: self.message.clone(), details }
    }
}

/// The reason as errors spell it.
pub fn reason_name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

fn any(name: &str, message: &impl Message) -> prost_types::Any {
    prost_types::Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}

fn field_violation(problem: &FieldProblem) -> pb::bad_request::FieldViolation {
    pb::bad_request::FieldViolation {
        field: problem.field.clone(),
        description: problem.description.clone(),
        ..Default::default()
    }
}

/// An error for a filter that cannot be understood: every problem at once, with its place.
pub fn invalid_filter(problems: &[FilterProblem]) -> Status {
    let at = |problem: &FilterProblem| {
        FieldProblem::new("filter", format!("at character {}: {}", problem.position + 1, problem.description))
    };
    let problems: Vec<_> = problems.iter().map(at).collect();
    let message = match problems.as_slice() {
        [only] => format!("filter: {}", only.description),
        several => format!("the filter has {} problems", several.len()),
    };
    Problem::new(Code::InvalidArgument, ErrorReason::InvalidFilter, message).bad_request(&problems).status()
}

/// An error for values that cannot be accepted: every problem at once.
pub fn invalid(problems: &[FieldProblem]) -> Status {
    let message = match problems {
        [only] => format!("{}: {}", only.field, only.description),
        several => format!("the request has {} problems", several.len()),
    };
    Problem::new(Code::InvalidArgument, ErrorReason::InvalidField, message).bad_request(problems).status()
}
