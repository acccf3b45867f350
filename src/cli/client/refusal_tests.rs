use super::*;

/// A status with details, as the service makes them.
fn status(code: Code, message: &str, reason: &str, metadata: &[(&str, &str)], details: &[(&str, Vec<u8>)]) -> Status {
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let info = pb::ErrorInfo { reason: reason.to_owned(), domain: "customerguard".to_owned(), metadata };
    let any = |name: &str, value: Vec<u8>| prost_types::Any { type_url: format!("type.googleapis.com/{name}"), value };
    let mut all = vec![any("google.rpc.ErrorInfo", info.encode_to_vec())];
    all.extend(details.iter().map(|(name, value)| any(name, value.clone())));
    let whole = pb::Status { code: code as i32, message: message.to_owned(), details: all };
    Status::with_details(code, message, whole.encode_to_vec().into())
}

fn bad_request(problems: &[(&str, &str)]) -> (&'static str, Vec<u8>) {
    let problem = |(field, description): &(&str, &str)| pb::bad_request::FieldViolation {
        field: (*field).to_owned(),
        description: (*description).to_owned(),
        ..Default::default()
    };
    let request = pb::BadRequest { field_violations: problems.iter().map(problem).collect() };
    ("google.rpc.BadRequest", request.encode_to_vec())
}

fn retry_after(seconds: i64) -> (&'static str, Vec<u8>) {
    let retry_delay = Some(prost_types::Duration { seconds, nanos: 0 });
    ("google.rpc.RetryInfo", pb::RetryInfo { retry_delay }.encode_to_vec())
}

#[test]
fn every_problem_of_a_request_gets_a_line_and_none_is_told_twice() {
    let both = bad_request(&[("note", "is too long"), ("labels", "has 65")]);
    let several = status(Code::InvalidArgument, "the request has 2 problems", "INVALID_FIELD", &[], &[both]);
    let expected = "the request has 2 problems (INVALID_FIELD)\n  note: is too long\n  labels: has 65";
    assert_eq!(Refusal::of(&several).text(), expected);
    let one = bad_request(&[("note", "is too long")]);
    let only = status(Code::InvalidArgument, "note: is too long", "INVALID_FIELD", &[], &[one]);
    assert_eq!(Refusal::of(&only).text(), "note: is too long (INVALID_FIELD)");
}

#[test]
fn a_refused_edit_says_what_to_do_and_what_was_decided() {
    let link = pb::help::Link {
        description: "Change it in Partner Center.".to_owned(),
        url: "https://partner.example/x".to_owned(),
    };
    let violation = pb::precondition_failure::Violation {
        r#type: "FIELD_OWNED_BY_PARTNER_CENTER".to_owned(),
        subject: "partnerAccounts/a/customers/b#domain".to_owned(),
        description: "is companyProfile.domain in Partner Center".to_owned(),
    };
    let refused = proto::EditRefused {
        decision_id: "0198".to_owned(),
        customer: "partnerAccounts/a/customers/b".to_owned(),
        acceptable_fields: vec!["note".to_owned()],
        ..Default::default()
    };
    let details = [
        ("google.rpc.Help", pb::Help { links: vec![link] }.encode_to_vec()),
        ("google.rpc.PreconditionFailure", pb::PreconditionFailure { violations: vec![violation] }.encode_to_vec()),
        ("customerguard.v1.EditRefused", refused.encode_to_vec()),
    ];
    let reason = "FIELD_OWNED_BY_PARTNER_CENTER";
    let status = status(Code::FailedPrecondition, "domain is owned", reason, &[("decisionId", "0198")], &details);
    let expected = "domain is owned (FIELD_OWNED_BY_PARTNER_CENTER)\n  \
                    domain: is companyProfile.domain in Partner Center\n  \
                    These may be changed here: note\n  \
                    Decision: a/0198\n  \
                    Change it in Partner Center.\n  \
                    https://partner.example/x";
    assert_eq!(Refusal::of(&status).text(), expected);
}

#[test]
fn when_to_try_again_is_told_to_people_and_programs() {
    let status = status(
        Code::Unavailable,
        "cannot be asked",
        "SOURCE_UNAVAILABLE",
        &[("cause", "throttled")],
        &[retry_after(12)],
    );
    let refusal = Refusal::of(&status);
    assert_eq!(refusal.text(), "cannot be asked (SOURCE_UNAVAILABLE)\n  cause: throttled\n  Try again in 12 s.");
    let json: serde_json::Value = serde_json::from_str(&refusal.json()).expect("JSON");
    let expected = serde_json::json!({
        "code": "UNAVAILABLE",
        "reason": "SOURCE_UNAVAILABLE",
        "message": "cannot be asked",
        "metadata": {"cause": "throttled"},
        "retryAfterSeconds": 12.0,
    });
    assert_eq!(json, expected);
}

#[test]
fn customers_that_share_a_key_are_listed_by_their_short_names() {
    let customers = [("customers", "partnerAccounts/a/customers/1 partnerAccounts/a/customers/2")];
    let status = status(Code::FailedPrecondition, "several have that key", "AMBIGUOUS_LOOKUP", &customers, &[]);
    let expected = "several have that key (AMBIGUOUS_LOOKUP)\n  customers: a/1\n             a/2";
    assert_eq!(Refusal::of(&status).text(), expected);
}

#[test]
fn a_question_the_service_does_not_know_is_explained() {
    let told = Refusal::of(&Status::unimplemented("anything")).text();
    assert!(told.contains("older than this program"), "{told}");
}
