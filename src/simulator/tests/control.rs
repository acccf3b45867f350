//! The control API: a person with curl plays Microsoft.

use serde_json::Value;

use super::*;

const CONTOSO: &str = "/control/v1/partners/contoso";

#[tokio::test]
async fn the_help_page_has_the_callers_own_host_and_valid_bodies() {
    let world = World::with(0).await;
    let help = world.get("/control/v1").await.text;
    assert!(help.contains(world.base.trim_start_matches("http://")));
    assert!(!help.contains("{host}"));
    for line in help.lines().filter(|line| line.contains("-d '")) {
        let body = line.split('\'').nth_back(1).unwrap();
        assert!(serde_json::from_str::<Value>(body).is_ok(), "{line}");
    }
}

#[tokio::test]
async fn partners_are_listed_without_their_secrets() {
    let world = World::with(2).await;
    let reply = world.get("/control/v1/partners").await;
    assert_eq!(reply.json()[0]["customers"], 2);
    assert_eq!(reply.json().as_array().unwrap().len(), 3);
    assert!(!reply.text.contains("secret"));
}

#[tokio::test]
async fn a_contact_is_changed_in_part() {
    let world = World::with(1).await;
    let before = world.first();
    let path = format!("{CONTOSO}/customers/{}/billing-profile", before.id);
    let change = json!({"email": "new@linden.example", "defaultAddress": {"city": "Graz"}});
    assert_eq!(world.send(Method::PATCH, &path, change).await.status, 200);
    let after = world.first().billing_profile;
    assert_eq!(after.email.as_deref(), Some("new@linden.example"));
    let address = after.default_address.unwrap();
    assert_eq!(address.city.as_deref(), Some("Graz"));
    let old = before.billing_profile.default_address.unwrap();
    assert_eq!(address.country, old.country);
    assert_eq!(world.audit().await.len(), 1);
    let silent = format!("{path}?silently");
    world.send(Method::PATCH, &silent, json!({"email": null})).await;
    assert_eq!(world.audit().await.len(), 1);
    assert_eq!(world.first().billing_profile.email, None);
    let wrong = world.send(Method::PATCH, &path, json!({"mail": "x"})).await;
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.json()["message"], "there is no member \"mail\"");
}

#[tokio::test]
async fn a_customer_comes_is_renamed_and_goes() {
    let world = World::with(0).await;
    let accept = format!("{CONTOSO}/customers/accept");
    let wish = json!({"companyName": "Linden Bakery"});
    let customer = world.send(Method::POST, &accept, wish).await;
    assert_eq!(customer.status, 201);
    let id = customer.json()["id"].as_str().unwrap().to_owned();
    let one = format!("{CONTOSO}/customers/{id}");
    let name = json!({"name": "Linden Group"});
    let rename = format!("{one}/rename");
    assert_eq!(world.send(Method::POST, &rename, name.clone()).await.status, 204);
    let rename = format!("{one}/rename-tenant");
    assert_eq!(world.send(Method::POST, &rename, name).await.status, 204);
    assert_eq!(world.get(&one).await.json()["tenantName"], "Linden Group");
    let search = format!("{CONTOSO}/customers?search=linden&limit=9");
    let found = world.get(&search).await;
    assert_eq!(found.json().as_array().unwrap().len(), 1);
    let remove = format!("{one}/remove");
    assert_eq!(world.send(Method::POST, &remove, json!({})).await.status, 204);
    assert_eq!(world.get(&one).await.status, 404);
    assert_eq!(world.audit().await.len(), 3);
    let back = world.send(Method::POST, &accept, json!({"id": id})).await;
    assert_eq!(back.status, 201);
    let twice = world.send(Method::POST, &accept, json!({"id": id})).await;
    assert_eq!(twice.status, 409);
}

#[tokio::test]
async fn faults_knobs_calls_and_registration_are_reached() {
    let world = World::with(1).await;
    let faults = format!("{CONTOSO}/faults");
    let fault = json!({"effect": "throttled", "retryAfter": "absent"});
    assert_eq!(world.send(Method::POST, &faults, fault).await.status, 201);
    assert_eq!(world.get("/v1/customers").await.status, 429);
    assert_eq!(world.get(&faults).await.json(), json!([]));
    let knobs = format!("{CONTOSO}/knobs");
    let changed = world.send(Method::PATCH, &knobs, json!({"limitPerMinute": 0}));
    assert_eq!(changed.await.json()["limitPerMinute"], 0);
    let wrong = world.send(Method::PATCH, &knobs, json!({"limit": 0})).await;
    assert_eq!(wrong.status, 400);
    assert_eq!(world.get("/v1/customers").await.status, 429);
    let calls = world.get(&format!("{CONTOSO}/calls")).await.json();
    assert_eq!((&calls["list"], &calls["throttled"]), (&json!(2), &json!(2)));
    let registration = format!("{CONTOSO}/registration");
    let wish = json!({"webhookUrl": "https://other.example/hook"});
    assert_eq!(world.send(Method::PUT, &registration, wish).await.status, 204);
    let held = world.simulator.registration(world.contoso).unwrap();
    assert_eq!(held.webhook_url, "https://other.example/hook");
}

#[tokio::test]
async fn records_are_written_and_finished() {
    let world = World::with(0).await;
    let path = format!("{CONTOSO}/audit-records");
    let entry = json!({"operationType": "create_order", "resourceType": "order", "operationStatus": "progress"});
    let record = world.send(Method::POST, &path, entry).await.json();
    let finish = format!("{path}/{}/finish", record["id"].as_str().unwrap());
    let status = json!({"status": "succeeded"});
    assert_eq!(world.send(Method::POST, &finish, status).await.status, 204);
    assert_eq!(world.audit().await[0]["operationStatus"], "succeeded");
}

#[tokio::test]
async fn the_clock_is_stopped_and_moved() {
    let world = World::with(0).await;
    let stop = json!({"stopAt": "2026-02-03T04:05:06Z"});
    world.send(Method::POST, "/control/v1/clock", stop).await;
    let moved = json!({"advanceSeconds": 86_400});
    let reply = world.send(Method::POST, "/control/v1/clock", moved).await;
    assert_eq!(reply.json()["time"], "2026-02-04T04:05:06.000000Z");
}

#[tokio::test]
async fn an_unknown_partner_is_named_as_the_problem() {
    let world = World::with(0).await;
    let reply = world.get("/control/v1/partners/nobody/customers").await;
    assert_eq!(reply.status, 404);
    assert_eq!(reply.json()["message"], "there is no such partner");
}

#[tokio::test]
async fn every_fault_is_reached_and_explained() {
    let world = World::with(1).await;
    let (help, faults) = (world.get("/control/v1").await.text, format!("{CONTOSO}/faults"));
    let id = world.first().id.to_string();
    let bodies = [
        json!({"effect": "throttled", "retryAfter": {"http_date": 60}}),
        json!({"effect": "server_error", "status": 502, "body": "empty"}),
        json!({"effect": "truncated"}),
        json!({"effect": "wrong_body", "body": "wrong_types"}),
        json!({"effect": "wrong_content_type"}),
        json!({"effect": "drip", "bytesPerSecond": 1}),
        json!({"effect": "endless"}),
        json!({"effect": "gzip_bomb", "mebibytes": 64}),
        json!({"effect": "truncated_gzip"}),
        json!({"effect": "unauthorized"}),
        json!({"effect": "forbidden", "code": 20_002}),
        json!({"effect": "delay", "milliseconds": 1}),
        json!({"effect": "connection_reset"}),
        json!({"effect": "empty_list"}),
        json!({"effect": "short_list", "items": 1}),
        json!({"effect": "skip_page"}),
        json!({"effect": "lie_total", "totalCount": 9}),
        json!({"effect": "expire_continuation"}),
        json!({"effect": "duplicate_across_pages"}),
        json!({"effect": "foreign_next_link", "host": "evil.example"}),
        json!({"effect": "looping_next_link"}),
        json!({"effect": "backwards_next_link"}),
        json!({"effect": "null_billing_profile", "customer": id}),
        json!({"effect": "detail_not_found", "customer": id}),
        json!({"effect": "detail_forbidden", "customer": id}),
        json!({"effect": "mutate_item", "customer": id, "mutation": "lone_surrogate"}),
        json!({"effect": "hide_from_list", "customer": id}),
    ];
    for body in &bodies {
        let reply = world.send(Method::POST, &faults, body.clone()).await;
        assert_eq!(reply.status, 201, "{body}: {}", reply.text);
        assert!(help.contains(body["effect"].as_str().unwrap()), "{body} is not explained");
    }
    assert_eq!(world.get(&faults).await.json().as_array().unwrap().len(), bodies.len());
    let knobs = json!({"dateSkewSeconds": -900, "auditOrder": "shuffled"});
    let changed = world.send(Method::PATCH, &format!("{CONTOSO}/knobs"), knobs).await.json();
    assert_eq!((&changed["dateSkewSeconds"], &changed["auditOrder"]), (&json!(-900), &json!("shuffled")));
}
