//! Each effect of the fault script, as a client meets it.

use std::time::Instant;

use super::*;
use crate::simulator::calls::Route;
use crate::simulator::faults::{Effect, ErrorBody, Fault, RetryAfter, WrongBody};
use crate::simulator::mutation::Mutation;

const LIST: &str = "/v1/customers";

impl World {
    fn once(&self, effect: Effect) {
        let faults = self.simulator.faults(self.contoso);
        faults.push(Fault::once(effect)).unwrap();
    }
}

#[tokio::test]
async fn throttling_tells_seconds_a_date_or_nothing() {
    let world = World::with(1).await;
    for retry_after in [RetryAfter::Seconds(57), RetryAfter::HttpDate(57), RetryAfter::Absent] {
        world.once(Effect::Throttled { retry_after });
        let reply = world.get(LIST).await;
        assert_eq!(reply.status, 429);
        assert_eq!(reply.json()["statusCode"], 429);
        let header = reply.header("Retry-After");
        match retry_after {
            RetryAfter::Seconds(_) => assert_eq!(header, Some("57")),
            RetryAfter::HttpDate(_) => assert!(httpdate::parse_http_date(header.unwrap()).is_ok()),
            RetryAfter::Absent => assert_eq!(header, None),
        }
    }
    assert_eq!(world.get(LIST).await.status, 200);
    assert_eq!(world.simulator.calls(world.contoso).throttled, 3);
}

#[tokio::test]
async fn server_errors_come_with_every_kind_of_body() {
    let world = World::with(1).await;
    for (status, body, start) in
        [(500, ErrorBody::Json, "{\"code\":800003"), (502, ErrorBody::Html, "<html>"), (503, ErrorBody::Empty, "")]
    {
        world.once(Effect::ServerError { status, body });
        let reply = world.get(LIST).await;
        assert_eq!(reply.status, status);
        assert!(reply.text.starts_with(start), "{}", reply.text);
    }
}

#[tokio::test]
async fn a_truncated_body_ends_before_its_length() {
    let world = World::with(20).await;
    world.once(Effect::Truncated);
    let response = world.request(Method::GET, LIST).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.text().await.is_err());
    assert_eq!(world.get(LIST).await.ids().len(), 20);
}

#[tokio::test]
async fn a_reset_connection_brings_no_answer() {
    let world = World::with(1).await;
    // Standing, because clients try again on a kept connection that closes without a byte.
    let faults = world.simulator.faults(world.contoso);
    faults.push(Fault::always(Effect::ConnectionReset)).unwrap();
    let error = world.try_get(LIST).await.err().unwrap();
    assert!(error.is_request(), "{error:?}");
    faults.clear().unwrap();
    assert_eq!(world.get(LIST).await.status, 200);
}

#[tokio::test]
async fn wrong_bodies_come_with_200() {
    let world = World::with(1).await;
    for (body, text) in [
        (WrongBody::Null, "null"),
        (WrongBody::EmptyArray, "[]"),
        (WrongBody::EmptyObject, "{}"),
        (WrongBody::Html, "<html><body>Sign in to your account</body></html>"),
    ] {
        world.once(Effect::WrongBody { body });
        let reply = world.get(LIST).await;
        assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, text));
    }
}

#[tokio::test]
async fn rights_are_refused_although_the_token_is_good() {
    let world = World::with(1).await;
    world.once(Effect::Unauthorized);
    let reply = world.get(LIST).await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (401, ""));
    world.once(Effect::Forbidden { code: 2032 });
    let reply = world.get(LIST).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (403, &json!(2032)));
}

#[tokio::test]
async fn a_delayed_answer_is_late_but_right() {
    let world = World::with(1).await;
    world.once(Effect::Delay { milliseconds: 60 });
    let asked = Instant::now();
    assert_eq!(world.get(LIST).await.ids().len(), 1);
    assert!(asked.elapsed().as_millis() >= 60);
}

#[tokio::test]
async fn latency_delays_every_call() {
    let world = World::with(1).await;
    world.simulator.set_knobs(world.contoso, |knobs| knobs.latency_milliseconds = 20).unwrap();
    let asked = Instant::now();
    world.get(LIST).await;
    world.get(LIST).await;
    assert!(asked.elapsed().as_millis() >= 40);
}

#[tokio::test]
async fn a_list_is_empty_or_short_and_looks_complete() {
    let world = World::with(9).await;
    world.once(Effect::EmptyList);
    let reply = world.get("/v1/customers?size=4").await;
    assert_eq!((reply.ids().len(), reply.next_uri()), (0, None));
    world.once(Effect::ShortList { items: 3 });
    let reply = world.get("/v1/customers?size=4").await;
    assert_eq!((reply.ids().len(), reply.next_uri()), (3, None));
    assert_eq!(reply.json()["totalCount"], 3);
}

#[tokio::test]
async fn a_continuation_expires_and_the_first_page_does_not_use_the_fault_up() {
    let world = World::with(3).await;
    world.once(Effect::ExpireContinuation);
    let page = world.get("/v1/customers?size=2").await;
    assert_eq!(world.follow(&page).await.status, 400);
    assert_eq!(world.follow(&page).await.ids().len(), 1);
}

#[tokio::test]
async fn the_next_page_repeats_an_item() {
    let world = World::with(4).await;
    world.once(Effect::DuplicateAcrossPages);
    let page = world.get("/v1/customers?size=2").await;
    let next = world.follow(&page).await;
    assert_eq!(page.ids()[1], next.ids()[0]);
}

#[tokio::test]
async fn the_next_link_leads_elsewhere_or_nowhere() {
    let world = World::with(4).await;
    world.once(Effect::ForeignNextLink { host: "evil.example".to_owned() });
    let page = world.get("/v1/customers?size=2").await;
    assert!(page.next_uri().unwrap().starts_with("https://evil.example/v1/customers?"));
    world.once(Effect::LoopingNextLink);
    let page = world.get("/v1/customers?size=2").await;
    assert_eq!(world.follow(&page).await.ids(), page.ids());
}

#[tokio::test]
async fn a_customer_is_hidden_lost_or_without_profile() {
    let world = World::with(2).await;
    let customer = world.first().id;
    let path = detail(customer);
    world.once(Effect::HideFromList { customer });
    assert_eq!(world.get(LIST).await.ids().len(), 1);
    assert_eq!(world.get(&path).await.status, 200);
    world.once(Effect::DetailNotFound { customer });
    let reply = world.get(&path).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (404, &json!(1000)));
    world.once(Effect::NullBillingProfile { customer });
    let reply = world.get(&path).await;
    assert!(reply.text.contains(r#""billingProfile":null"#));
    assert!(reply.json()["companyProfile"].is_object());
}

#[tokio::test]
async fn the_token_endpoint_fails_only_when_named() {
    let world = World::with(1).await;
    let faults = world.simulator.faults(world.contoso);
    faults.push(Fault::once(Effect::Unauthorized).on(Route::Token)).unwrap();
    let form = [("grant_type", "client_credentials")];
    let path = format!("/{}/oauth2/v2.0/token", world.contoso);
    let reply = world.post_form(&path, &form).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]), (401, &json!("invalid_client")));
    faults.push(Fault::once(Effect::Unauthorized)).unwrap();
    assert!(!world.token_of(0).await.is_empty());
}

#[tokio::test]
async fn a_fault_strikes_its_own_partner_only() {
    let mut world = World::with(1).await;
    let faults = world.simulator.faults(world.contoso);
    faults.push(Fault::always(Effect::Unauthorized)).unwrap();
    world.token = world.token_of(1).await;
    assert_eq!(world.get(LIST).await.status, 200);
}

#[tokio::test]
async fn an_answer_that_drips_or_never_ends_begins() {
    let world = World::with(1).await;
    for effect in [Effect::Drip { bytes_per_second: 50 }, Effect::Endless] {
        world.once(effect.clone());
        let mut response = world.request(Method::GET, LIST).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let first = response.chunk().await.unwrap().unwrap();
        match effect {
            Effect::Endless => assert!(first.iter().all(|byte| *byte == b' ')),
            _ => assert_eq!(first.len(), 1),
        }
        assert!(response.chunk().await.unwrap().is_some());
    }
}

#[tokio::test]
async fn compressed_answers_are_bombs_or_have_no_end() {
    let world = World::with(20).await;
    world.once(Effect::GzipBomb { mebibytes: 3 });
    let reply = world.get(LIST).await;
    assert_eq!((reply.text.len(), reply.text.trim()), (3 * 1024 * 1024, ""));
    world.once(Effect::TruncatedGzip);
    let response = world.request(Method::GET, LIST).send().await.unwrap();
    assert!(response.text().await.is_err());
}

#[tokio::test]
async fn a_right_answer_may_be_said_to_be_a_web_page() {
    let world = World::with(2).await;
    world.once(Effect::WrongContentType);
    let reply = world.get(LIST).await;
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(reply.ids().len(), 2);
}

#[tokio::test]
async fn a_page_is_skipped_or_leads_back_and_a_count_lies() {
    let world = World::with(6).await;
    let all = world.get(LIST).await.ids();
    world.once(Effect::SkipPage);
    let page = world.get("/v1/customers?size=2").await;
    assert_eq!(world.follow(&page).await.ids(), all[4..]);
    let page = world.get("/v1/customers?size=2").await;
    world.once(Effect::BackwardsNextLink);
    let second = world.follow(&page).await;
    assert_eq!(world.follow(&second).await.ids(), all[..2]);
    world.once(Effect::LieTotal { total_count: 99 });
    let reply = world.get(LIST).await;
    assert_eq!((&reply.json()["totalCount"], reply.ids().len()), (&json!(99), 6));
}

#[tokio::test]
async fn the_audit_log_leads_elsewhere_and_back_too() {
    let world = World::with(1).await;
    for number in 0..3 {
        world.simulator.rename(world.contoso, world.first().id, &format!("Name {number}")).unwrap();
    }
    let path = "/v1/auditrecords?size=2";
    for (effect, start) in [
        (Effect::ForeignNextLink { host: "evil.example".to_owned() }, "https://evil.example/v1/auditrecords?"),
        (Effect::LoopingNextLink, "/v1/auditrecords?"),
        (Effect::BackwardsNextLink, "/v1/auditrecords?"),
    ] {
        let faults = world.simulator.faults(world.contoso);
        faults.push(Fault::once(effect).on(Route::Audit)).unwrap();
        let reply = world.get(path).await;
        assert!(reply.next_uri().unwrap().starts_with(start), "{:?}", reply.next_uri());
    }
}

#[tokio::test]
async fn one_customer_is_odd_or_forbidden_and_no_other() {
    let world = World::with(2).await;
    let customers = world.simulator.customers(world.contoso);
    let (customer, other) = (customers[0].id, customers[1].id);
    let faults = world.simulator.faults(world.contoso);
    faults.push(Fault::always(Effect::DetailForbidden { customer })).unwrap();
    let reply = world.get(&detail(customer)).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (403, &json!(20_002)));
    assert_eq!(world.get(&detail(other)).await.status, 200);
    for (mutation, part) in [
        (Mutation::UnknownMembers, "brandNew"),
        (Mutation::UnknownRelationship, "brand_new_kind"),
        (Mutation::LongText, "xxxxxxxxxx"),
        (Mutation::LoneSurrogate, "\\ud800x"),
        (Mutation::Nul, "\\u0000x"),
        (Mutation::RightToLeft, "\u{202e}"),
        (Mutation::WrongTypes, "\"companyProfile\":[\"x\"]"),
    ] {
        faults.clear().unwrap();
        faults.push(Fault::always(Effect::MutateItem { customer, mutation })).unwrap();
        for path in [detail(customer), LIST.to_owned()] {
            assert!(world.get(&path).await.text.contains(part), "{mutation:?} {path}");
        }
        assert!(!world.get(&detail(other)).await.text.contains(part), "{mutation:?}");
    }
    for (mutation, gone) in [(Mutation::NullContact, "/billingProfile/email"), (Mutation::NoId, "/id")] {
        faults.clear().unwrap();
        faults.push(Fault::always(Effect::MutateItem { customer, mutation })).unwrap();
        assert_eq!(world.get(&detail(customer)).await.json().pointer(gone), None, "{mutation:?}");
        assert!(world.get(&detail(other)).await.json().pointer(gone).is_some(), "{mutation:?}");
    }
}

#[tokio::test]
async fn answers_are_dated_by_partner_center_s_own_clock() {
    let world = World::with(1).await;
    world.simulator.clock().stop_at("2026-02-03T04:05:06Z".parse().unwrap());
    let token = world.token_of(0).await;
    let world = World { token, ..world };
    assert_eq!(world.get(LIST).await.header("date"), Some("Tue, 03 Feb 2026 04:05:06 GMT"));
    world.simulator.set_knobs(world.contoso, |knobs| knobs.date_skew_seconds = -906).unwrap();
    assert_eq!(world.get(LIST).await.header("date"), Some("Tue, 03 Feb 2026 03:50:00 GMT"));
}
