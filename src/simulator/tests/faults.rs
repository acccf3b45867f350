//! Each effect of the fault script, as a client meets it.

use std::time::Instant;

use super::*;
use crate::simulator::calls::Route;
use crate::simulator::faults::{Effect, ErrorBody, Fault, RetryAfter, WrongBody};

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
