//! What a caller puts into the query string: parameters, page size, and filters as JSON text (FACTS.md 2.2, 5.1).

use std::collections::HashMap;

use axum::http::{HeaderMap, Uri};
use serde::Deserialize;

use super::continuation;
use super::shape;

/// The parameters of one call.
#[derive(Debug, Default)]
pub(super) struct Query {
    parameters: HashMap<String, String>,
    continuation: Option<String>,
}

/// `{"Field":…,"Value":…,"Operator":…}`.
#[derive(Debug, Deserialize)]
pub(super) struct FieldFilter {
    pub(super) field: String,
    pub(super) value: String,
    pub(super) operator: String,
}

impl Query {
    /// Reads the query string. Names count without regard to case and to the swagger's `auditRequest.` (FACTS.md 5.1).
    pub(super) fn read(uri: &Uri, headers: &HeaderMap) -> Self {
        let parameters = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map(|query| query.0)
            .unwrap_or_default()
            .into_iter()
            .map(|(name, value)| {
                let name = name.to_ascii_lowercase();
                let short = name.strip_prefix("auditrequest.").unwrap_or(&name);
                (short.to_owned(), value)
            })
            .collect();
        let continuation = headers.get(continuation::HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self { parameters, continuation }
    }

    /// Finds a parameter by its lower-case name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    pub(super) fn continuation(&self) -> Option<&str> {
        self.continuation.as_deref()
    }

    /// The page size, at most `largest`; absent and `0` mean the default. `None` if it is no number.
    pub(super) fn size(&self, largest: usize) -> Option<usize> {
        match self.get("size").map(str::parse::<usize>) {
            None | Some(Ok(0)) => Some(largest),
            Some(Ok(size)) => Some(size.min(largest)),
            Some(Err(_)) => None,
        }
    }
}

impl FieldFilter {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let value = serde_json::from_str(text).ok()?;
        serde_json::from_value(shape::camel_case(value)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_without_case_and_prefix() {
        let uri = Uri::from_static("/v1/auditrecords?auditRequest.startDate=2026-02-03&Size=7");
        let query = Query::read(&uri, &HeaderMap::new());
        assert_eq!(query.get("startdate"), Some("2026-02-03"));
        assert_eq!(query.size(500), Some(7));
    }

    #[test]
    fn a_size_of_zero_means_the_default_and_a_large_one_the_largest() {
        for (text, expected) in [("0", Some(500)), ("9999", Some(500)), ("-1", None)] {
            let uri: Uri = format!("/v1/customers?size={text}").parse().unwrap();
            assert_eq!(Query::read(&uri, &HeaderMap::new()).size(500), expected);
        }
    }
}
