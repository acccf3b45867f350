//! Reads an event that is proven genuine, as a hint: whom to look at. Nothing else in it is used, and no address in
//! it is ever asked.

use chrono::DateTime;
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::domain::ids::TenantId;
use crate::domain::webhook::{CUSTOMER_EVENTS, TEST_EVENT};

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Somebody asked Partner Center to send it.
    Test,
    /// A customer may look different.
    Customer {
        /// Which.
        tenant: TenantId,
        /// When it happened, if it says so.
        at: Option<Timestamp>,
    },
    /// It names no customer, or is of a kind that is of no use.
    OfNoUse,
}

/// The bytes are no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoEvent;

impl Event {
    pub(super) fn read(body: &[u8]) -> Result<Self, NoEvent> {
        let bare = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let Ok(Value::Object(members)) = serde_json::from_slice(bare) else { return Err(NoEvent) };
        let name = text(&members, "EventName").ok_or(NoEvent)?;
        if name == TEST_EVENT {
            return Ok(Self::Test);
        }
        if !CUSTOMER_EVENTS.contains(&name) {
            return Ok(Self::OfNoUse);
        }
        let resource = text(&members, "ResourceUri").and_then(tenant_of_resource);
        let audit = || ["AuditUri", "AuditUrl"].into_iter().find_map(|name| tenant_of_audit(text(&members, name)?));
        let at = text(&members, "ResourceChangeUtcDate").and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        Ok(match resource.or_else(audit) {
            Some(tenant) => Self::Customer { tenant, at: at.map(|at| at.to_utc().into()) },
            None => Self::OfNoUse,
        })
    }
}

/// A member whatever its case; the documentation and the service spell names differently (FACTS 6.2).
fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str())
}

/// `…/customers/{customer}…`, or `…/granularAdminRelationships/{partner}-{customer}…`.
fn tenant_of_resource(uri: &str) -> Option<TenantId> {
    let mut segments = uri.split(['/', '?', '#']);
    while let Some(segment) = segments.next() {
        if segment.eq_ignore_ascii_case("customers") {
            return tenant(segments.next()?);
        }
        if segment.eq_ignore_ascii_case("granularAdminRelationships") {
            let (partner, customer) = segments.next()?.split_at_checked(37)?;
            return tenant(partner.strip_suffix('-')?).and(tenant(customer));
        }
    }
    None
}

/// `…/auditrecords/{partner}_{customer}_{operation}_{time}`.
fn tenant_of_audit(uri: &str) -> Option<TenantId> {
    let id = uri.rsplit('/').next()?;
    let mut parts = id.split('_');
    tenant(parts.next()?)?;
    tenant(parts.next()?)
}

/// A tenant id in its usual form and no other.
fn tenant(text: &str) -> Option<TenantId> {
    let found: TenantId = text.parse().ok().filter(|_| text.len() == 36)?;
    (!found.uuid().is_nil()).then_some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PARTNER: &str = "99999999-aaaa-4bbb-8ccc-222222222222";
    const CUSTOMER: &str = "11111111-aaaa-4bbb-8ccc-222222222222";
    const ACCEPTED: &str = "reseller-relationship-accepted-by-customer";

    fn read(event: &Value) -> Result<Event, NoEvent> {
        Event::read(event.to_string().as_bytes())
    }

    fn whom(event: &Value) -> Option<String> {
        match read(event).expect("an event") {
            Event::Customer { tenant, .. } => Some(tenant.to_string()),
            Event::Test | Event::OfNoUse => None,
        }
    }

    #[test]
    fn an_acceptance_names_its_customer_and_its_time() {
        let event = json!({
            "EventName": ACCEPTED,
            "ResourceUri": format!("https://api.partnercenter.microsoft.com/v1/customers/{CUSTOMER}"),
            "ResourceName": "Customer",
            "AuditUri": null,
            "ResourceChangeUtcDate": "2026-02-03T04:05:06.0700000+00:00",
        });
        let Ok(Event::Customer { tenant, at: Some(at) }) = read(&event) else { panic!("{:?}", read(&event)) };
        assert_eq!((tenant.to_string().as_str(), at.to_string().as_str()), (CUSTOMER, "2026-02-03T04:05:06.070000Z"));
    }

    #[test]
    fn the_customer_is_found_by_pattern_wherever_an_event_may_name_it() {
        let found = |member: &str, uri: String| whom(&json!({"eventName": ACCEPTED, member: uri}));
        let expected = Some(CUSTOMER.to_owned());
        assert_eq!(
            found("resourceUri", format!("http://x/webhooks/v1/customers/{CUSTOMER}/subscriptions/1")),
            expected
        );
        assert_eq!(
            found("ResourceUri", format!("https://x/granularAdminRelationships/{PARTNER}-{CUSTOMER}")),
            expected
        );
        assert_eq!(found("AuditUri", format!("https://x/auditrecords/{PARTNER}_{CUSTOMER}_accepted_639")), expected);
        assert_eq!(found("AuditUrl", format!("https://x/v1/auditrecords/{PARTNER}_{CUSTOMER}_a_1")), expected);
    }

    #[test]
    fn what_is_no_customer_s_id_names_nobody() {
        let nil = "00000000-0000-0000-0000-000000000000";
        let braced = format!("{{{CUSTOMER}}}");
        for id in ["", "usagerecords", nil, &braced, &CUSTOMER.replace('-', ""), "../../v1", "%31", "é"] {
            let event = json!({"EventName": ACCEPTED, "ResourceUri": format!("https://x/v1/customers/{id}")});
            assert_eq!(read(&event), Ok(Event::OfNoUse), "{id}");
        }
        for uri in ["granularAdminRelationships/é", "customers", "granularAdminRelationships/", "auditrecords/a_b"] {
            let event = json!({"EventName": ACCEPTED, "ResourceUri": uri, "AuditUri": uri});
            assert_eq!(read(&event), Ok(Event::OfNoUse), "{uri}");
        }
        assert_eq!(read(&json!({"EventName": ACCEPTED, "ResourceUri": null})), Ok(Event::OfNoUse));
    }

    #[test]
    fn other_events_are_of_no_use_and_a_test_is_a_test() {
        let uri = format!("https://x/v1/customers/{CUSTOMER}");
        assert_eq!(read(&json!({"EventName": "invoice-ready", "ResourceUri": uri})), Ok(Event::OfNoUse));
        assert_eq!(read(&json!({"EventName": "made-up-later", "ResourceUri": uri})), Ok(Event::OfNoUse));
        assert_eq!(read(&json!({"EventName": "test-created"})), Ok(Event::Test));
    }

    #[test]
    fn what_has_no_name_is_no_event() {
        for body in ["", "null", "[]", "{}", r#"{"EventName":5}"#, "<html>", "{\"EventName\":\"x\""] {
            assert_eq!(Event::read(body.as_bytes()), Err(NoEvent), "{body}");
        }
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(Event::read(deep.as_bytes()), Err(NoEvent));
    }
}
