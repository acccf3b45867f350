//! Where the next page of a list is, as Partner Center said it.
//!
//! A link comes from outside and is followed with our credentials. So it contributes its query and its continuation
//! headers and nothing else: scheme, host and path are always our own (RELIABILITY 5.7).

use std::fmt;
use std::str::FromStr;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::partner_center::document::Object;

/// Headers a link may not set, because they would change where or how a request is sent or answered.
const NEVER_FROM_A_LINK: [&str; 10] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "host",
    "proxy-authorization",
    "range",
    "transfer-encoding",
    "upgrade",
];

/// Path segments that may stand before the name of a list: the links' prefix changed in production once (FACTS 2.1),
/// and audit records have two addresses (FACTS 1.1).
const PREFIXES: [&str; 2] = ["v1", "auditactivity"];

/// The next page of a list. Two links are equal when they lead to the same page.
///
/// Its text form ([`fmt::Display`], [`FromStr`]) is opaque and may be stored; it means nothing to another run.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PageLink {
    query: String,
    headers: Vec<(String, String)>,
}

/// A text that is not a stored link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a link to a page")]
pub struct MalformedLink;

impl fmt::Display for PageLink {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        out.write_str(&text)
    }
}

impl FromStr for PageLink {
    type Err = MalformedLink;

    fn from_str(text: &str) -> Result<Self, MalformedLink> {
        let link: Self = serde_json::from_str(text).map_err(|_| MalformedLink)?;
        link.header_map().map(|_| link).ok_or(MalformedLink)
    }
}

impl fmt::Debug for PageLink {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PageLink(opaque)")
    }
}

impl PageLink {
    /// The link to the page after `page`, a page of the list called `list`; `None` on the last page.
    ///
    /// The last page has no `links` or no `links.next` (FACTS 2.1). A link that is there and cannot be followed is an
    /// error, never the end: the end is what makes a listing complete.
    pub(super) fn after(page: Object<'_>, list: &str) -> Result<Option<Self>, MalformedLink> {
        let links = page.inner("links").map_err(|_| MalformedLink)?;
        let next = links.map_or(Ok(None), |links| links.inner("next")).map_err(|_| MalformedLink)?;
        let Some(next) = next else {
            return Ok(None);
        };
        let query = query_of(next.text_or_empty("uri"), list).ok_or(MalformedLink)?;
        let mut headers = Vec::new();
        for header in next.list("headers").map_err(|_| MalformedLink)?.into_iter().flatten() {
            let header = header.ok_or(MalformedLink)?;
            headers.push((header.text_or_empty("key").to_owned(), header.text_or_empty("value").to_owned()));
        }
        let link = Self { query, headers };
        link.header_map().map(|_| Some(link)).ok_or(MalformedLink)
    }

    pub(super) fn query(&self) -> &str {
        &self.query
    }

    /// The headers to add; `None` if one of them is none.
    pub(super) fn header_map(&self) -> Option<HeaderMap> {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            if !NEVER_FROM_A_LINK.contains(&name.as_str()) {
                map.append(name, HeaderValue::from_str(value).ok()?);
            }
        }
        Some(map)
    }
}

/// The query of a link, untouched, when its path is that of `list`.
fn query_of(uri: &str, list: &str) -> Option<String> {
    let bare = uri.trim().split('#').next().unwrap_or_default();
    let (address, query) = bare.split_once('?')?;
    let path = match address.split_once("//") {
        // An absolute link (`https://host/path`) or one without a scheme (`//host/path`).
        Some((scheme, rest)) if scheme.is_empty() || scheme.ends_with(':') => rest.split_once('/')?.1,
        _ => address,
    };
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let (last, before) = segments.split_last()?;
    let known = |segment: &&str| PREFIXES.iter().any(|prefix| segment.eq_ignore_ascii_case(prefix));
    (last.eq_ignore_ascii_case(list) && before.iter().all(known) && !query.is_empty()).then(|| query.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partner_center::document::Document;

    fn after(body: &str) -> Result<Option<PageLink>, MalformedLink> {
        let document = Document::read(body.as_bytes()).expect("a document");
        PageLink::after(document.object().expect("an object"), "customers")
    }

    fn next(uri: &str) -> Result<Option<PageLink>, MalformedLink> {
        after(&serde_json::json!({"links": {"next": {"uri": uri, "method": "GET", "headers": []}}}).to_string())
    }

    #[test]
    fn a_link_is_followed_with_and_without_prefix_and_never_to_another_host() {
        // FACTS 2.1: the prefix came and went in production; RELIABILITY 2.3: `links.next` to another host.
        for uri in [
            "/v1/customers?size=500&seekOperation=Next",
            "/customers?size=500&seekOperation=Next",
            "customers?size=500&seekOperation=Next",
            "/v1/v1/customers?size=500&seekOperation=Next",
            "/V1/Customers/?size=500&seekOperation=Next",
            "https://api.partnercenter.microsoft.com/v1/customers?size=500&seekOperation=Next",
            "https://evil.example/v1/customers?size=500&seekOperation=Next",
            "//evil.example/customers?size=500&seekOperation=Next#part",
        ] {
            let link = next(uri).expect("readable").expect("a link");
            assert_eq!(link.query(), "size=500&seekOperation=Next", "{uri}");
        }
    }

    #[test]
    fn a_query_is_left_as_it_is() {
        let query = "size=0&filter=%7B%22Field%22%3A%22CompanyName%22%7D&token=a//b?c+d==";
        assert_eq!(next(&format!("/customers?{query}")).expect("readable").expect("a link").query(), query);
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_an_error_and_not_the_end() {
        for uri in ["", "/v1/customers", "/v1/customers?", "/v1/customers/1?x=1", "/v1/orders?x=1", "/v2/customers?x=1"]
        {
            assert_eq!(next(uri), Err(MalformedLink), "{uri}");
        }
        assert_eq!(after(r#"{"links":{"next":"/customers?size=1"}}"#), Err(MalformedLink));
        assert_eq!(after(r#"{"links":[]}"#), Err(MalformedLink));
        assert_eq!(after(r#"{"links":{"next":{"uri":"/customers?x=1","headers":{}}}}"#), Err(MalformedLink));
        assert_eq!(after(r#"{"links":{"next":{"method":"GET"}}}"#), Err(MalformedLink));
    }

    #[test]
    fn the_last_page_has_no_next_link() {
        for body in ["{}", r#"{"links":null}"#, r#"{"links":{}}"#, r#"{"Links":{"Self":{},"Next":null}}"#] {
            assert_eq!(after(body), Ok(None), "{body}");
        }
    }

    #[test]
    fn continuation_headers_are_added_verbatim_and_dangerous_ones_are_not() {
        let link = after(
            r#"{"links":{"next":{"uri":"/customers?seekOperation=Next","headers":[
                {"key":"MS-ContinuationToken","value":"q1w2,e3 r4=="},
                {"key":"Host","value":"evil.example"},{"key":"Authorization","value":"x"}]}}}"#,
        );
        let headers = link.expect("readable").expect("a link").header_map().expect("headers");
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["ms-continuationtoken"], "q1w2,e3 r4==");
        let smuggled = r#"{"links":{"next":{"uri":"/customers?x=1","headers":[{"key":"A","value":"b\r\nHost: c"}]}}}"#;
        assert_eq!(after(smuggled), Err(MalformedLink));
    }

    #[test]
    fn a_link_survives_being_stored_as_text() {
        let link = after(
            r#"{"links":{"next":{"uri":"/v1/customers?size=2","headers":[{"key":"MS-ContinuationToken","value":"a,b c=="}]}}}"#,
        )
        .expect("readable")
        .expect("a link");
        let text = link.to_string();
        assert_eq!(text.parse(), Ok(link.clone()));
        assert_eq!(format!("{link:?}"), "PageLink(opaque)");
        for malformed in ["", "{}", "/v1/customers?size=2", r#"{"query":"a","headers":[["a b","c"]]}"#] {
            assert_eq!(malformed.parse::<PageLink>(), Err(MalformedLink), "{malformed}");
        }
    }
}
