//! The control API's own explanation, with lines a person can paste.

use axum::http::{HeaderMap, header};

/// Answers `GET /control/v1` with the caller's own host in every line.
pub(super) async fn page(headers: HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1:8095");
    TEXT.replace("{host}", host)
}

const TEXT: &str = r#"Partner Center simulator: play Microsoft

A partner is named by tenant id, domain or short name. Customers are named by tenant id; set ID to one.

Look around
  curl -s http://{host}/control/v1/partners
  curl -s 'http://{host}/control/v1/partners/contoso/customers?limit=5&search=bak'
  curl -s http://{host}/control/v1/partners/contoso/customers/$ID
  curl -s http://{host}/control/v1/partners/contoso/audit-records
  curl -s http://{host}/control/v1/partners/contoso/calls

An existing company accepts the reseller relationship ({} draws one; give members to choose them)
  curl -s -X POST http://{host}/control/v1/partners/contoso/customers/accept -d '{}'
  curl -s -X POST http://{host}/control/v1/partners/contoso/customers/accept -d '{"companyName":"Linden Bakery"}'

The partner creates a customer
  curl -s -X POST http://{host}/control/v1/partners/contoso/customers/add -d '{"companyName":"Harbor Works"}'

The partner changes a contact in Partner Center (null removes a member; ?silently leaves no audit record)
  curl -s -X PATCH http://{host}/control/v1/partners/contoso/customers/$ID/billing-profile -d '{"email":"new@linden.example"}'
  curl -s -X PATCH "http://{host}/control/v1/partners/contoso/customers/$ID/billing-profile?silently" -d '{"defaultAddress":{"phoneNumber":null}}'

Rename the bill-to company; the customer renames its own tenant
  curl -s -X POST http://{host}/control/v1/partners/contoso/customers/$ID/rename -d '{"name":"Linden Group"}'
  curl -s -X POST http://{host}/control/v1/partners/contoso/customers/$ID/rename-tenant -d '{"name":"Linden HQ"}'

End the relationship (?silently leaves no audit record), and bring it back
  curl -s -X POST http://{host}/control/v1/partners/contoso/customers/$ID/remove
  curl -s -X POST http://{host}/control/v1/partners/contoso/customers/accept -d "{\"id\":\"$ID\"}"

An indirect provider's resellers come and go (?silently leaves no audit record), and serve other customers
  curl -s http://{host}/control/v1/partners/northwind/resellers
  curl -s -X POST http://{host}/control/v1/partners/northwind/resellers -d '{"id":"77777777-0000-4000-8000-000000000001","name":"Humongous IT"}'
  curl -s -X POST http://{host}/control/v1/partners/northwind/resellers/$RESELLER/remove
  curl -s -X PUT http://{host}/control/v1/partners/northwind/customers/$ID/resellers -d "{\"resellers\":[\"$RESELLER\"]}"

More audit records: a failed creation without customer; an operation under way, which then ends (set RECORD to its id)
  curl -s -X POST http://{host}/control/v1/partners/contoso/audit-records -d '{"operationType":"add_customer","resourceType":"customer","operationStatus":"failed"}'
  curl -s -X POST http://{host}/control/v1/partners/contoso/audit-records -d '{"operationType":"create_order","resourceType":"order","operationStatus":"progress"}'
  curl -s -X POST http://{host}/control/v1/partners/contoso/audit-records/$RECORD/finish -d '{"status":"succeeded"}'

Somebody else's software takes the webhook registration; it is taken away again
  curl -s -X PUT http://{host}/control/v1/partners/contoso/registration -d '{"webhookUrl":"https://other.example/hook"}'
  curl -s -X DELETE http://{host}/control/v1/partners/contoso/registration

Things go wrong (once, or "repeat":"always"; "on" limits to token, list, get, billing, audit, registration, resellers, reseller_customers, ...)
  curl -s -X POST http://{host}/control/v1/partners/contoso/faults -d '{"effect":"throttled","retryAfter":{"seconds":30},"on":"get"}'
  curl -s -X POST http://{host}/control/v1/partners/contoso/faults -d '{"effect":"server_error","status":503,"body":"html","repeat":"always"}'
  curl -s -X POST http://{host}/control/v1/partners/contoso/faults -d '{"effect":"wrong_body","body":"null"}'
  curl -s -X POST http://{host}/control/v1/partners/contoso/faults -d '{"effect":"short_list","items":3}'
  curl -s -X POST http://{host}/control/v1/partners/contoso/faults -d "{\"effect\":\"detail_not_found\",\"customer\":\"$ID\"}"
  curl -s -X DELETE http://{host}/control/v1/partners/contoso/faults
  curl -s -X POST http://{host}/control/v1/partners/contoso/faults -d '{"effect":"gzip_bomb","mebibytes":64,"on":"list"}'
  curl -s -X POST http://{host}/control/v1/partners/contoso/faults -d "{\"effect\":\"mutate_item\",\"customer\":\"$ID\",\"mutation\":\"lone_surrogate\",\"repeat\":\"always\"}"
  whole calls: throttled {retryAfter: {"seconds": n} (also 0, or 864000), {"http_date": seconds from now} or "absent"},
    server_error {status, body: json, html, empty}, connection_reset, unauthorized, forbidden {code}
  slowly or too much: delay {milliseconds} before the first byte, drip {bytesPerSecond}, endless, gzip_bomb {mebibytes}
  broken on the way: truncated, truncated_gzip, wrong_content_type,
    wrong_body {body: html, null, empty_array, empty_object, wrong_types}
  lists: empty_list, short_list {items}, skip_page, lie_total {totalCount}, hide_from_list {customer},
    duplicate_across_pages, listed_again {customer, ahead, relationship, companyName},
    expire_continuation, looping_next_link, backwards_next_link, foreign_next_link {host};
    the last three with "on":"audit" in the audit log as well
  one customer: null_billing_profile, detail_not_found, detail_forbidden (each {customer}), mutate_item {customer,
    mutation: unknown_members, unknown_relationship, long_text, lone_surrogate, nul, right_to_left, wrong_types,
    null_contact, no_id}
  No TLS is spoken here: a service that is told https://{host} meets a failing handshake. No name is needed here: one
  that is told https://partner-center.invalid meets a failing resolver.

Another application of the partner's, which does not see everybody; all of them are taken away again
  curl -s -X POST http://{host}/control/v1/partners/contoso/applications -d "{\"clientId\":\"another\",\"clientSecret\":\"another-secret\",\"hides\":[\"$ID\"]}"
  curl -s -X DELETE http://{host}/control/v1/partners/contoso/applications

Behaviour, tokens, time
  curl -s http://{host}/control/v1/partners/contoso/knobs
  curl -s -X PATCH http://{host}/control/v1/partners/contoso/knobs -d '{"limitPerMinute":500,"latencyMilliseconds":50}'
  curl -s -X PATCH http://{host}/control/v1/partners/contoso/knobs -d '{"lagSeconds":30,"auditDelaySeconds":120,"auditDuplicates":true}'
  curl -s -X PATCH http://{host}/control/v1/partners/contoso/knobs -d '{"dateSkewSeconds":-900,"auditOrder":"shuffled"}'
  curl -s -X POST http://{host}/control/v1/partners/contoso/revoke-tokens
  curl -s -X POST http://{host}/control/v1/clock -d '{"advanceSeconds":86400}'
  curl -s -X POST http://{host}/control/v1/clock -d '{"stopAt":"2026-02-03T04:05:06Z"}'
"#;
