//! Tokens, lists, details, audit queries and registrations, when nothing goes wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::simulator::partner::{AuditOrder, UnauthorizedBody};

#[tokio::test]
async fn version_one_writes_numbers_as_text_and_version_two_as_numbers() {
    let world = World::with(0).await;
    let contoso = &demo_partners()[0];
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_id", contoso.client_id.as_str()),
        ("client_secret", contoso.client_secret.as_str()),
        ("resource", "https://api.partnercenter.microsoft.com"),
    ];
    let path = format!("/{}/oauth2/token", contoso.domain);
    let one = world.post_form(&path, &form).await.json();
    assert_eq!(one["expires_in"], "3599");
    assert_eq!(one["resource"], "https://api.partnercenter.microsoft.com");
    form[3] = ("scope", "https://any.example/.default");
    let path = format!("/{}/oauth2/v2.0/token", contoso.tenant_id);
    let two = world.post_form(&path, &form).await.json();
    assert_eq!(two["expires_in"], 3599);
    assert_eq!(two["resource"], Value::Null);
}

#[tokio::test]
async fn the_token_endpoint_refuses_in_entras_words() {
    let world = World::with(0).await;
    let contoso = &demo_partners()[0];
    let (tenant, client) = (contoso.tenant_id.to_string(), contoso.client_id.as_str());
    let secret = contoso.client_secret.as_str();
    for (tenant, client, secret, scope, status, error, number) in [
        (tenant.as_str(), client, "no", "a/.default", 401, "invalid_client", 7_000_215),
        (&tenant, "other", secret, "a/.default", 400, "unauthorized_client", 700_016),
        ("no.example", client, secret, "a/.default", 400, "invalid_request", 90_002),
        (&tenant, client, secret, "a", 400, "invalid_scope", 70_011),
    ] {
        let form =
            [("grant_type", "client_credentials"), ("client_id", client), ("client_secret", secret), ("scope", scope)];
        let path = format!("/{tenant}/oauth2/v2.0/token");
        let reply = world.post_form(&path, &form).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.json()["error"], error);
        assert_eq!(reply.json()["error_codes"], json!([number]));
    }
}

#[tokio::test]
async fn an_expired_or_revoked_token_is_refused() {
    let mut world = World::with(1).await;
    world.simulator.clock().advance(Duration::from_secs(3599));
    let reply = world.get("/v1/customers").await;
    assert_eq!((reply.status, reply.text.as_str()), (StatusCode::UNAUTHORIZED, ""));
    world.token = world.token_of(0).await;
    assert_eq!(world.get("/v1/customers").await.status, 200);
    world.simulator.revoke_tokens(world.contoso).unwrap();
    world
        .simulator
        .set_knobs(world.contoso, |knobs| {
            knobs.unauthorized_body = UnauthorizedBody::Gateway;
        })
        .unwrap();
    let reply = world.get("/v1/customers").await;
    assert_eq!(reply.json()["statusCode"], 401);
}

#[tokio::test]
async fn a_missing_or_unknown_token_gets_the_gateways_401() {
    let mut world = World::with(1).await;
    world.token = "x.y.z".to_owned();
    let reply = world.get("/v1/customers").await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.json()["statusCode"], 401);
}

#[tokio::test]
async fn a_token_sees_its_own_partner_only() {
    let mut world = World::with(3).await;
    let customer = world.first().id;
    world.token = world.token_of(1).await;
    assert!(world.get("/v1/customers").await.ids().is_empty());
    assert_eq!(world.get(&detail(customer)).await.status, 404);
}

#[tokio::test]
async fn pages_cover_everybody_once() {
    let world = World::with(1203).await;
    let mut page = world.get("/v1/customers").await;
    assert_eq!(page.json()["totalCount"], 500);
    let mut seen = page.ids();
    while page.next_uri().is_some() {
        page = world.follow(&page).await;
        seen.extend(page.ids());
    }
    assert_eq!(seen.len(), 1203);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 1203);
    assert_eq!(world.simulator.calls(world.contoso).list, 3);
}

#[tokio::test]
async fn a_customer_who_comes_between_two_pages_may_be_on_the_second() {
    let world = World::with(4).await;
    let page = world.get("/v1/customers?size=2").await;
    let new = crate::simulator::operations::NewCustomer { id: Some(Uuid::from_u128(u128::MAX)), ..Default::default() };
    world.simulator.accept_customer(world.contoso, new).unwrap();
    let rest = world.follow(&page).await;
    assert_eq!(rest.ids().len(), 2);
    assert_eq!(world.follow(&rest).await.ids(), [Uuid::from_u128(u128::MAX)]);
}

#[tokio::test]
async fn the_link_follows_the_knob_and_an_old_token_is_refused() {
    let world = World::with(3).await;
    let page = world.get("/v1/customers?size=2").await;
    assert_eq!(page.next_uri().unwrap(), "/v1/customers?size=2&seekOperation=Next");
    world.simulator.clock().advance(Duration::from_secs(3590));
    assert_eq!(world.follow(&page).await.ids().len(), 1);
    world
        .simulator
        .set_knobs(world.contoso, |knobs| {
            knobs.link_with_version = false;
            knobs.continuation_lifetime_seconds = 10;
        })
        .unwrap();
    assert_eq!(world.follow(&page).await.status, 400);
    let page = world.get("/v1/customers?size=2").await;
    assert!(page.next_uri().unwrap().starts_with("/customers?"));
}

#[tokio::test]
async fn a_list_item_has_exactly_the_documented_members() {
    let world = World::with(1).await;
    let customer = world.first();
    let item = world.get("/v1/customers").await.json()["items"][0].clone();
    let link = |uri: String| json!({"self": {"uri": uri, "method": "GET", "headers": []}});
    let id = customer.id.to_string();
    assert_eq!(
        item,
        json!({
            "id": id,
            "companyProfile": {
                "tenantId": id,
                "domain": customer.domain,
                "companyName": customer.listed_name(),
                "links": link(format!("/customers/{id}/profiles/company")),
                "attributes": {"objectType": "CustomerCompanyProfile"},
            },
            "relationshipToPartner": customer.relationship,
            "links": link(format!("/customers/{id}")),
            "attributes": {"objectType": "Customer"},
        })
    );
}

#[tokio::test]
async fn a_filter_finds_by_the_start_of_a_name() {
    let world = World::with(50).await;
    let customer = world.first();
    let (id, contoso) = (customer.id, world.contoso);
    world.simulator.rename(contoso, id, "Überlinden Bäckerei").unwrap();
    let filter = "%7B%22Field%22%3A%22CompanyName%22%2C%22Value%22%3A%22%C3%BCBERlinden%22%2C%22Operator%22%3A%22starts_with%22%7D";
    let reply = world.get(&format!("/v1/customers?size=0&filter={filter}")).await;
    assert_eq!(reply.ids(), [id]);
    let filter = filter.replace("CompanyName", "IndirectReseller");
    let reply = world.get(&format!("/v1/customers?filter={filter}")).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (403, &json!(900_329)));
}

#[tokio::test]
async fn a_detail_omits_nulls_and_what_needs_delegated_access() {
    let world = World::with(200).await;
    let customers = world.simulator.customers(world.contoso);
    let without = customers.iter().find(|one| !one.delegated_access).unwrap();
    let reply = world.get(&detail(without.id)).await.json();
    assert!(!reply.to_string().contains("null"));
    assert_eq!(reply["companyProfile"]["address"], Value::Null);
    assert_eq!(reply["customDomains"], Value::Null);
    let etag = without.billing_profile.etag();
    assert_eq!(reply["billingProfile"]["attributes"]["etag"], etag.as_str());
    let with = customers.iter().find(|one| one.delegated_access).unwrap();
    let reply = world.get(&detail(with.id)).await.json();
    assert!(reply["companyProfile"]["address"].is_object());
    assert!(reply["customDomains"].is_array());
}

#[tokio::test]
async fn strange_ids_get_the_documented_codes() {
    let world = World::with(1).await;
    let reply = world.get("/v1/customers/abc").await;
    assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (400, &json!(900_118)));
    let reply = world.get(&detail(Uuid::from_u128(9))).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (404, &json!(60_003)));
    let reply = world.get("/v1/nothing").await;
    assert_eq!(reply.json()["statusCode"], 404);
    let reply = world.get("/v1/relationships?relationship_type=x").await;
    assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (403, &json!(900_329)));
}

#[tokio::test]
async fn a_put_needs_the_present_etag_and_leaves_a_record() {
    let world = World::with(1).await;
    let path = format!("{}/profiles/billing", detail(world.first().id));
    let mut profile = world.get(&path).await.json();
    profile["email"] = "new@linden.example".into();
    let changed = world.send(Method::PUT, &path, profile.clone()).await;
    assert_eq!(changed.status, 200);
    assert_eq!(changed.json()["email"], "new@linden.example");
    let stale = world.send(Method::PUT, &path, profile).await;
    assert_eq!((stale.status.as_u16(), &stale.json()["code"]), (400, &json!(2055)));
    let records = world.audit().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["applicationId"], demo_partners()[0].client_id);
}

#[tokio::test]
async fn request_ids_come_back() {
    let world = World::with(1).await;
    let id = "0f4b2d4e-6f5f-4d8a-9a3e-2f6c1d7b8e90";
    let request = world.request(Method::GET, "/v1/customers").header("MS-RequestId", id);
    let reply = read(request).await.unwrap();
    assert_eq!(reply.header("MS-RequestId"), Some(id));
    let made = reply.header("MS-CorrelationId").unwrap();
    assert!(Uuid::parse_str(made).is_ok());
    assert!(reply.header("MS-ServerId").is_some());
}

#[tokio::test]
async fn answers_change_their_dress_with_the_knobs() {
    let world = World::with(1).await;
    world
        .simulator
        .set_knobs(world.contoso, |knobs| {
            knobs.byte_order_mark = true;
            knobs.pascal_case = true;
            knobs.error_code_as_text = true;
        })
        .unwrap();
    let reply = world.request(Method::GET, &detail(world.first().id));
    let bytes = reply.send().await.unwrap().bytes().await.unwrap();
    let body: Value = serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap()).unwrap();
    assert!(body["BillingProfile"]["DefaultAddress"]["City"].is_string());
    assert!(body.as_object().unwrap().contains_key("AssociatedPartnerId"));
    let reply = world.get(&detail(Uuid::from_u128(9))).await;
    assert!(reply.text.contains(r#""code":"60003""#));
}

#[tokio::test]
async fn the_limiter_answers_429_until_its_window_ends() {
    let world = World::with(1).await;
    world.simulator.set_knobs(world.contoso, |knobs| knobs.limit_per_minute = Some(2)).unwrap();
    assert_eq!(world.get("/v1/customers").await.status, 200);
    assert_eq!(world.get("/v1/customers").await.status, 200);
    let reply = world.get("/v1/customers").await;
    assert_eq!(reply.status, 429);
    assert_eq!(reply.header("Retry-After"), Some("60"));
    assert_eq!(reply.json(), json!({"statusCode": 429, "message": "Rate limit is exceeded. Try again in 60 seconds."}));
    world.simulator.clock().advance(Duration::from_secs(60));
    assert_eq!(world.get("/v1/customers").await.status, 200);
    let calls = world.simulator.calls(world.contoso);
    assert_eq!((calls.list, calls.throttled), (4, 1));
}

#[tokio::test]
async fn audit_records_come_in_pages_in_either_order() {
    let world = World::with(1).await;
    let id = world.first().id;
    for number in 0..5 {
        let name = format!("Name {number}");
        world.simulator.rename(world.contoso, id, &name).unwrap();
    }
    for order in [AuditOrder::NewestFirst, AuditOrder::OldestFirst] {
        world.simulator.set_knobs(world.contoso, |knobs| knobs.audit_order = order).unwrap();
        let today = world.today();
        let path = format!("/v1/auditrecords?startDate={today}&endDate={today}&size=2");
        let mut page = world.get(&path).await;
        let mut dates = Vec::new();
        loop {
            let items = page.json()["items"].as_array().unwrap().clone();
            dates.extend(items.iter().map(|item| item["operationDate"].to_string()));
            if page.next_uri().is_none() {
                break;
            }
            page = world.follow(&page).await;
        }
        assert_eq!(dates.len(), 5);
        assert_eq!(dates.is_sorted(), order == AuditOrder::OldestFirst);
    }
}

#[tokio::test]
async fn audit_queries_keep_to_days_window_and_retention() {
    let mut world = World::with(1).await;
    let (contoso, id) = (world.contoso, world.first().id);
    let evening = "2026-02-03T23:26:00Z".parse().unwrap();
    world.simulator.clock().stop_at(evening);
    world.token = world.token_of(0).await;
    world.simulator.rename(contoso, id, "Old").unwrap();
    let count = async |world: &World, query: &str| {
        let reply = world.get(&format!("/v1/auditrecords{query}")).await;
        (reply.status.as_u16(), reply.json()["items"].as_array().map(Vec::len))
    };
    assert_eq!(count(&world, "?startDate=2026-02-03&endDate=2026-02-03").await, (200, Some(1)));
    assert_eq!(count(&world, "").await, (200, Some(1)));
    assert_eq!(count(&world, "?startDate=2026-02-02&endDate=2026-02-02").await, (200, Some(0)));
    assert_eq!(count(&world, "?startDate=2026-01-01&endDate=2026-02-03").await, (400, None));
    assert_eq!(count(&world, "?startDate=2025-11-01").await, (400, None));
    assert_eq!(count(&world, "?startDate=soon").await, (400, None));
    let customer = format!(
        "?filter=%7B%22Field%22%3A%22CustomerId%22%2C%22Value%22%3A%22{id}%22%2C%22Operator%22%3A%22equals%22%7D"
    );
    assert_eq!(count(&world, &customer).await, (200, Some(1)));
    assert_eq!(count(&world, &customer.replace("equals", "like")).await, (400, None));
    let ninety_one_days = Duration::from_secs(91 * 86_400);
    world.simulator.clock().advance(ninety_one_days);
    world.token = world.token_of(0).await;
    assert_eq!(count(&world, "?startDate=2026-02-03&endDate=2026-02-04").await, (400, None));
}

#[tokio::test]
async fn a_registration_is_made_once_and_then_replaced() {
    let world = World::with(0).await;
    let path = "/webhooks/v1/registration";
    assert_eq!(world.get(path).await.status, 404);
    let wish = json!({"WebhookUrl": "https://guard.example/hook?k=1", "WebhookEvents": ["test-created"]});
    assert_eq!(world.send(Method::PUT, path, wish.clone()).await.status, 404);
    assert_eq!(world.send(Method::POST, path, wish.clone()).await.status, 200);
    assert_eq!(world.send(Method::POST, path, wish.clone()).await.status, 409);
    assert_eq!(world.get(path).await.json()["webhookUrl"], "https://guard.example/hook?k=1");
    let unknown = json!({"webhookUrl": "https://x.example", "webhookEvents": ["no-such-event"]});
    assert_eq!(world.send(Method::PUT, path, unknown).await.status, 400);
    let events = world.get("/webhooks/v1/registration/events").await.json();
    assert!(events.as_array().unwrap().contains(&json!("test-created")));
    let calls = world.simulator.calls(world.contoso);
    assert_eq!((calls.registration, calls.registration_writes), (3, 4));
}

#[tokio::test]
async fn two_test_events_a_minute_are_taken() {
    let world = World::with(0).await;
    let path = "/webhooks/v1/registration/validationEvents";
    assert_eq!(world.send(Method::POST, path, json!({})).await.status, 400);
    let url = "https://other.example/hook";
    world.simulator.set_foreign_registration(world.contoso, url).unwrap();
    let first = world.send(Method::POST, path, json!({})).await.json();
    assert_eq!(world.send(Method::POST, path, json!({})).await.status, 200);
    assert_eq!(world.send(Method::POST, path, json!({})).await.status, 429);
    let id = first["correlationId"].as_str().unwrap();
    let event = world.get(&format!("{path}/{id}")).await.json();
    assert_eq!((&event["status"], &event["callbackUrl"]), (&json!("pending"), &json!(url)));
    assert_eq!(world.get(&format!("{path}/{}", Uuid::nil())).await.status, 404);
}

#[tokio::test]
async fn the_partners_own_profiles_tell_its_tenant() {
    let world = World::with(0).await;
    let profile = world.get("/v1/profiles/legalbusiness").await.json();
    assert_eq!(profile["id"], world.contoso.to_string());
    assert_eq!(profile["companyName"], "contoso");
    // FACTS.md 1.5: this one is for applications with a user only.
    let refused = world.get("/v1/profiles/organization").await;
    assert_eq!((refused.status.as_u16(), refused.json()["code"].as_u64()), (403, Some(900_329)));
}
