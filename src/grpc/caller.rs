//! Who is calling.
//!
//! Until authentication is built the service listens on loopback only, and whoever can connect there may do everything. A
//! caller there may say what it is called: a name for the record, no proof.

use std::collections::BTreeSet;
use std::sync::Arc;

use tonic::{Request, Status};

use crate::domain::access::{Caller, Enforcement};
use crate::domain::text::FieldProblem;
use crate::grpc::details::invalid;

/// The header in which a caller on loopback says what it is called.
const NAME_HEADER: &str = "customerguard-caller";
/// The longest such name.
const NAME_MAX: usize = 100;

/// Tells callers apart, for every request before it reaches a service.
#[derive(Clone, Debug)]
pub struct Callers {
    report_only: Arc<BTreeSet<String>>,
}

impl Callers {
    /// Callers, of whom these subjects are not refused what Partner Center owns; it is only reported.
    pub fn new(report_only: BTreeSet<String>) -> Self {
        Self { report_only: Arc::new(report_only) }
    }

    /// Notes on the request who sent it.
    ///
    /// # Errors
    ///
    /// When the caller's name cannot be one.
    pub fn recognize(&self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let name = match request.metadata().get(NAME_HEADER) {
            None => None,
            Some(given) => Some(name(given.as_bytes()).ok_or_else(|| invalid(&[malformed()]))?),
        };
        let mut caller = Caller::loopback(name);
        if self.report_only.contains(&caller.subject) {
            caller.enforcement = Enforcement::ReportOnly;
        }
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}

fn name(given: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(given).ok()?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@' | b'/');
    ((1..=NAME_MAX).contains(&name.len()) && name.bytes().all(allowed)).then_some(name)
}

fn malformed() -> FieldProblem {
    let wrong = format!("must be 1 to {NAME_MAX} letters, digits and . _ - @ /");
    FieldProblem::new(NAME_HEADER, wrong)
}

/// The caller of a request.
///
/// # Errors
///
/// When the request did not come through our listener: then it is nobody's.
pub fn of<T>(request: &Request<T>) -> Result<Caller, Status> {
    request.extensions().get::<Caller>().cloned().ok_or_else(super::status::nobody)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callers() -> Callers {
        Callers::new(BTreeSet::from(["loopback/importer".to_owned()]))
    }

    fn recognized(name: Option<&str>) -> Result<Caller, Status> {
        let mut request = Request::new(());
        if let Some(name) = name {
            request.metadata_mut().insert(NAME_HEADER, name.parse().expect("a header value"));
        }
        of(&callers().recognize(request)?)
    }

    #[test]
    fn a_caller_is_called_what_it_says_and_only_named_ones_are_not_refused() {
        let importer = recognized(Some("importer")).expect("a caller");
        assert_eq!((importer.subject.as_str(), importer.enforcement), ("loopback/importer", Enforcement::ReportOnly));
        let other = recognized(Some("crm")).expect("a caller");
        assert_eq!((other.subject.as_str(), other.enforcement), ("loopback/crm", Enforcement::Refuse));
        assert_eq!(recognized(None).expect("a caller").subject, "loopback");
    }

    #[test]
    fn a_name_that_cannot_be_one_is_refused_and_so_is_a_request_of_nobody() {
        for name in ["", "a b", "importer\"", &"x".repeat(101)] {
            assert!(recognized(Some(name)).is_err(), "{name:?}");
        }
        assert!(of(&Request::new(())).is_err());
    }
}
