//! Pages of resellers and of their customers, as tolerant as every other answer.

use super::*;
use crate::partner_center::blockage::Blockage;
use crate::partner_center::document::Document;
use crate::partner_center::error::{Fate, Problem, Trace};
use crate::partner_center::error_body::Complaint;
use crate::partner_center::scripted_server::Partner;

const ADATUM: &str = "77777777-0000-4000-8000-000000000001";

fn resellers(body: &str) -> Result<ResellerPage, &'static str> {
    let document = Document::read_forgiving(body.as_bytes()).map_err(|_| "no JSON")?;
    read_page(&document)
}

#[test]
fn a_reseller_is_read_whole() {
    // FACTS 2.3.
    let body = format!(
        r#"{{"totalCount":1,"items":[{{"id":"{ADATUM}","name":" Adatum Cloud ","mpnId":"4700001","location":"LV",
            "relationshipType":"is_indirect_cloud_solution_provider_of","state":"Active",
            "attributes":{{"objectType":"PartnerRelationship"}}}}],"attributes":{{"objectType":"Collection"}}}}"#
    );
    let page = resellers(&body).expect("a page");
    let expected = ListedReseller {
        reseller: Reseller {
            tenant_id: ADATUM.parse().expect("an id"),
            display_name: "Adatum Cloud".to_owned(),
            mpn_id: "4700001".to_owned(),
        },
        location: "LV".to_owned(),
        state: "Active".to_owned(),
    };
    assert_eq!(page, ResellerPage { resellers: vec![expected], skipped: 0, next: None });
}

#[test]
fn other_spellings_missing_members_and_new_words_are_read() {
    let body = format!(
        "\u{feff}{{\"Items\":[{{\"Id\":\"{}\",\"MpnId\":4700001,\"RelationshipType\":\"brand_new\",\"State\":\"Odd\",\
         \"Name\":null}}],\"Links\":null}}",
        ADATUM.to_uppercase()
    );
    let page = resellers(&body).expect("a page");
    assert_eq!(page.resellers[0].reseller.mpn_id, "4700001");
    assert_eq!((page.resellers[0].reseller.display_name.as_str(), page.resellers[0].state.as_str()), ("", "Odd"));
}

#[test]
fn one_bad_item_costs_only_itself_and_the_same_reseller_counts_once() {
    let body = format!(
        r#"{{"items":[null,5,{{}},{{"id":7}},{{"id":"x"}},{{"id":"{ADATUM}","name":"First"}},{{"id":"{ADATUM}"}},
            {{"id":"77777777-0000-4000-8000-000000000002","relationshipType":"is_indirect_reseller_of"}},
            {{"id":"77777777-0000-4000-8000-000000000003","relationshipType":"None"}}]}}"#
    );
    let page = resellers(&body).expect("a page");
    assert_eq!((page.resellers.len(), page.skipped), (1, 5));
    assert_eq!(page.resellers[0].reseller.display_name, "First");
}

#[test]
fn what_is_no_list_is_not_an_empty_list() {
    for body in ["", "null", "[]", "{}", "<html>", r#"{"items":{}}"#, r#"{"items":null}"#, r#"{"items":[]"#] {
        assert!(resellers(body).is_err(), "{body}");
    }
    assert!(resellers(r#"{"items":[],"links":{"next":{"uri":"/v1/orders?x=1"}}}"#).is_err());
    assert_eq!(resellers(r#"{"items":[]}"#).expect("an empty list").resellers, []);
}

#[test]
fn a_list_of_resellers_may_have_pages() {
    let body = r#"{"items":[],"links":{"next":{"uri":"/relationships?size=7&seekOperation=Next","headers":[]}}}"#;
    let next = resellers(body).expect("a page").next.expect("a link");
    assert_eq!(next.query(), "size=7&seekOperation=Next");
}

#[test]
fn the_customers_of_a_reseller_are_asked_for_as_documented() {
    let first = first_page_of(ADATUM.parse().expect("an id"));
    let expected = "size=0&filter=%7B%22Field%22%3A%22IndirectReseller%22%2C%22Value%22%3A%2277777777-0000-4000-8000-\
                    000000000001%22%2C%22Operator%22%3A%22starts_with%22%7D";
    assert_eq!(first, expected);
}

fn judged(call: Call, status: u16, body: &str) -> Error {
    let trace = Trace { request_id: uuid::Uuid::from_u128(1), correlation_id: uuid::Uuid::from_u128(2) };
    let problem = Complaint::read(body.as_bytes()).judge(call, status, None);
    Error::new(call, problem, trace).on_behalf_of(Identity::User)
}

#[test]
fn a_direct_partner_has_no_resellers_and_an_application_alone_may_not_ask() {
    // FACTS 1.5, 2.3, 8.2.
    let direct = r#"{"code":1002,"description":"Authorization failed."}"#;
    for call in [Call::ListResellers, Call::ListResellerCustomers] {
        let error = judged(call, 403, direct);
        assert!(error.says_there_are_no_resellers(), "{error}");
        let alone = judged(call, 403, r#"{"code":900329}"#);
        assert!(!alone.says_there_are_no_resellers());
        assert!(matches!(alone.fate(), Fate::UserBlocked { reason: "APP_ONLY_REFUSED", .. }), "{alone}");
    }
    let elsewhere = judged(Call::ListCustomers, 403, direct);
    assert!(matches!(elsewhere.problem, Problem::Blocked { blockage: Blockage::RoleMissing, .. }), "{elsewhere}");
    assert!(!elsewhere.says_there_are_no_resellers());
}

#[test]
fn one_reseller_that_is_refused_is_not_all_of_them() {
    assert_eq!(judged(Call::ListResellerCustomers, 403, r#"{"code":2}"#).fate(), Fate::ListingRestart);
    assert!(matches!(judged(Call::ListResellers, 403, r#"{"code":2}"#).fate(), Fate::UserBlocked { .. }));
    assert_eq!(judged(Call::ListResellers, 400, "").fate(), Fate::ListingRestart);
}

#[tokio::test]
async fn without_a_user_nothing_is_sent() {
    let partner = Partner::answering([]).await;
    let error = partner.center.list_resellers(None).await.expect_err("there is no user");
    assert!(matches!(error.fate(), Fate::UserBlocked { reason: "USER_SIGN_IN_MISSING", .. }), "{error}");
    partner.center.customers_of_reseller(ADATUM.parse().expect("an id"), None).await.expect_err("there is no user");
    assert_eq!((partner.requests().len(), partner.center.calls().resellers), (0, 0));
}
