//! What an error tells: the `google.rpc` details of a status, typed.

use std::collections::BTreeSet;
use std::time::Duration;

use customer_guard::grpc::proto::EditRefused;
use prost::Message;
use tonic::{Code, Status};
use tonic_types::pb;

/// A status, taken apart.
#[derive(Debug)]
pub struct Told {
    pub code: Code,
    pub message: String,
    /// The details as they travel.
    pub bytes: Vec<u8>,
    details: Vec<prost_types::Any>,
}

impl From<Status> for Told {
    fn from(status: Status) -> Self {
        let bytes = status.details().to_vec();
        let whole = pb::Status::decode(status.details()).expect("details are a google.rpc.Status");
        assert_eq!((whole.code, whole.message.as_str()), (status.code() as i32, status.message()));
        Self { code: status.code(), message: whole.message, bytes, details: whole.details }
    }
}

impl Told {
    /// The detail of that full name, if there is exactly one.
    pub fn detail<M: Message + Default>(&self, name: &str) -> Option<M> {
        let url = format!("type.googleapis.com/{name}");
        let mut found = self.details.iter().filter(|detail| detail.type_url == url);
        let only = found.next()?;
        assert!(found.next().is_none(), "{name} twice");
        Some(M::decode(only.value.as_slice()).expect("a detail of its type"))
    }

    pub fn info(&self) -> pb::ErrorInfo {
        self.detail("google.rpc.ErrorInfo").expect("every error has an ErrorInfo")
    }

    /// The reason, of our domain.
    pub fn reason(&self) -> String {
        let info = self.info();
        assert_eq!(info.domain, "customerguard");
        info.reason
    }

    pub fn metadata(&self, key: &str) -> String {
        self.info().metadata.get(key).cloned().unwrap_or_default()
    }

    pub fn edit_refused(&self) -> EditRefused {
        self.detail("customerguard.v1.EditRefused").expect("a refused edit")
    }

    /// The fields of the refused edit.
    pub fn violated(&self) -> Vec<String> {
        self.edit_refused().violations.into_iter().map(|violation| violation.field).collect()
    }

    pub fn bad_request(&self) -> Vec<pb::bad_request::FieldViolation> {
        self.detail::<pb::BadRequest>("google.rpc.BadRequest").expect("a bad request").field_violations
    }

    /// The fields that are told to be wrong.
    pub fn wrong_fields(&self) -> BTreeSet<String> {
        assert_eq!((self.code, self.reason().as_str()), (Code::InvalidArgument, "INVALID_FIELD"), "{self:?}");
        self.bad_request().into_iter().map(|violation| violation.field).collect()
    }

    pub fn retry_after(&self) -> Option<Duration> {
        let info: pb::RetryInfo = self.detail("google.rpc.RetryInfo")?;
        Duration::try_from(info.retry_delay?).ok()
    }
}

/// A set of texts, to compare with [`Told::wrong_fields`].
pub fn fields<const N: usize>(fields: [&str; N]) -> BTreeSet<String> {
    fields.map(str::to_owned).into()
}
