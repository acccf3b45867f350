//! Commands whose answers a demo does not give by itself: what is asked, what is printed, and how it ends.

use customer_guard::grpc::proto;
use tonic::{Code, Status};

use super::played::Played;
use super::{stderr, stdout};

const NAME: &str = "partnerAccounts/contoso/customers/17";

fn customer() -> proto::Customer {
    proto::Customer {
        name: NAME.to_owned(),
        company_name: "Bakery".to_owned(),
        etag: "r1".to_owned(),
        source: proto::Source::Platform.into(),
        ..Default::default()
    }
}

#[test]
fn a_hold_is_shown_and_decided_by_its_name() {
    let held =
        proto::HeldCustomer { customer: NAME.to_owned(), company_name: "Bakery".to_owned(), ..Default::default() };
    let hold = proto::Hold {
        name: "partnerAccounts/contoso/holds/0a1b".to_owned(),
        state: proto::HoldState::Waiting.into(),
        customer_count: 1,
        customers: vec![held],
        ..Default::default()
    };
    let approved = proto::Hold { state: proto::HoldState::Approved.into(), ..hold.clone() };
    let listed = proto::ListHoldsResponse { holds: vec![hold] };
    let played = Played::new();
    let (played, lists) = played.answers::<proto::ListHoldsRequest, _>("SyncService/ListHolds", [Ok(listed)]);
    let (played, approvals) = played.answers::<proto::ApproveHoldRequest, _>("SyncService/ApproveHold", [Ok(approved)]);
    let changed = Err(Status::aborted("other customers wait now"));
    let (played, _) = played.answers::<proto::DismissHoldRequest, proto::Hold>("SyncService/DismissHold", [changed]);
    let service = played.listen();

    let shown = service.ask("holds list contoso");
    assert!(stdout(&shown).contains("contoso/17") && stdout(&shown).contains("contoso/0a1b"), "{}", stderr(&shown));
    assert_eq!(lists.asked()[0].parent, "partnerAccounts/contoso");
    let json: serde_json::Value =
        serde_json::from_str(stdout(&service.ask("holds list contoso -o json"))).expect("JSON");
    assert_eq!(json[0]["customers"][0]["companyName"], "Bakery");
    // Nobody to ask: what would end is shown, and nothing ends.
    let asked = service.ask("holds approve contoso/0a1b");
    assert_eq!(asked.status.code(), Some(2));
    assert!(stderr(&asked).contains("contoso/17") && stderr(&asked).contains("--yes"), "{}", stderr(&asked));
    assert_eq!(approvals.asked(), []);
    let done = service.ask("holds approve contoso/0a1b --yes");
    assert_eq!(stdout(&done), "contoso/0a1b: approved, 1 customers\n", "{}", stderr(&done));
    assert_eq!(approvals.asked()[0].name, "partnerAccounts/contoso/holds/0a1b");
    assert_eq!(service.ask("holds dismiss contoso/0a1b --yes").status.code(), Some(4));
}

#[test]
fn every_account_is_told_in_one_line_page_after_page() {
    let account = |id: &str| proto::PartnerAccount { name: format!("partnerAccounts/{id}"), ..Default::default() };
    let page = |id: &str, next: &str| {
        let partner_accounts = vec![account(id)];
        Ok(proto::ListPartnerAccountsResponse { partner_accounts, next_page_token: next.to_owned() })
    };
    let status = |id: &str, quarantined| {
        Ok(proto::SyncStatus { name: format!("partnerAccounts/{id}/syncStatus"), quarantined, ..Default::default() })
    };
    let pages = [page("contoso", "more"), page("fabrikam", "")];
    let (played, lists) = Played::new()
        .answers::<proto::ListPartnerAccountsRequest, _>("PartnerAccountService/ListPartnerAccounts", pages);
    let statuses = [status("contoso", 0), status("fabrikam", 4)];
    let (played, _) = played.answers::<proto::GetSyncStatusRequest, _>("SyncService/GetSyncStatus", statuses);
    let service = played.listen();
    let told = service.ask("status");
    let lines: Vec<_> = stdout(&told).lines().collect();
    assert_eq!(lines.len(), 3, "{}", stderr(&told));
    assert!(lines[1].starts_with("contoso ") && lines[1].ends_with("nothing"), "{lines:?}");
    assert!(lines[2].starts_with("fabrikam ") && lines[2].ends_with("4 quarantined"), "{lines:?}");
    assert_eq!(lists.asked()[1].page_token, "more");
}

#[test]
fn a_service_that_cannot_list_its_accounts_is_explained() {
    let asked = Played::new().listen().ask("status");
    assert_eq!(asked.status.code(), Some(1));
    assert!(stderr(&asked).contains("customer-guard status ACCOUNT"), "{}", stderr(&asked));
}

#[test]
fn an_account_that_does_not_work_ends_with_1() {
    let check = proto::HealthCheck { reason: "CONSENT_NEEDED".to_owned(), ..Default::default() };
    let health = proto::PartnerAccountHealth {
        name: "partnerAccounts/contoso".to_owned(),
        checks: vec![check],
        ..Default::default()
    };
    let works = proto::PartnerAccountHealth { healthy: true, ..health.clone() };
    let question = "PartnerAccountService/CheckPartnerAccountHealth";
    let (played, _) =
        Played::new().answers::<proto::CheckPartnerAccountHealthRequest, _>(question, [Ok(health), Ok(works)]);
    let service = played.listen();
    let checked = service.ask("accounts check contoso");
    assert_eq!(checked.status.code(), Some(1));
    assert!(stdout(&checked).contains("CONSENT_NEEDED"), "{}", stdout(&checked));
    assert_eq!(service.ask("accounts check contoso").status.code(), Some(0));
}

#[test]
fn a_webhook_secret_is_rotated_or_it_is_said_why_not() {
    let account = proto::PartnerAccount { name: "partnerAccounts/contoso".to_owned(), ..Default::default() };
    let refused = Err(Status::failed_precondition("the registration is somebody else's"));
    let question = "PartnerAccountService/RotateWebhookSecret";
    let (played, asked) =
        Played::new().answers::<proto::RotateWebhookSecretRequest, _>(question, [Ok(account), refused]);
    let service = played.listen();
    let done = service.ask("accounts rotate-webhook-secret contoso");
    assert!(stdout(&done).contains("The webhook path of contoso gets a new secret"), "{}", stderr(&done));
    assert_eq!(asked.asked()[0].name, "partnerAccounts/contoso");
    let refused = service.ask("accounts rotate-webhook-secret contoso");
    assert_ne!(refused.status.code(), Some(0));
    assert!(stderr(&refused).contains("somebody else's"), "{}", stderr(&refused));
}

#[test]
fn a_link_is_made_as_it_was_previewed() {
    let linked = proto::LinkCustomerResponse {
        before: Some(customer()),
        customer: Some(customer()),
        locked_fields: vec!["domain".to_owned()],
        ..Default::default()
    };
    let (played, links) =
        Played::new().answers::<proto::LinkCustomerRequest, _>("CustomerService/LinkCustomer", [Ok(linked)]);
    let service = played.listen();
    let preview = service.ask("links accept contoso/17 0f1e --preview");
    assert!(stdout(&preview).contains("Locked        domain"), "{}", stderr(&preview));
    assert_eq!(service.ask("links accept contoso/17 0f1e").status.code(), Some(2));
    assert!(links.asked().iter().all(|request| request.validate_only), "{:?}", links.asked());
    assert_eq!(service.ask("links accept contoso/17 0f1e --yes").status.code(), Some(0));
    let last = links.asked().pop().expect("a request");
    assert!(!last.validate_only && last.name == NAME && last.microsoft_tenant_id == "0f1e", "{last:?}");
}

#[test]
fn a_pause_gives_its_reason_and_an_explanation_its_key() {
    let paused = proto::Customer { sync_state: proto::SyncState::Paused.into(), ..customer() };
    let (played, pauses) =
        Played::new().answers::<proto::PauseCustomerRequest, _>("SyncService/PauseCustomer", [Ok(paused)]);
    let told = proto::CustomerExplanation { explanation: "All is well.".to_owned(), ..Default::default() };
    let (played, questions) =
        played.answers::<proto::ExplainCustomerRequest, _>("SyncService/ExplainCustomer", [Ok(told)]);
    let service = played.listen();
    assert_eq!(service.ask("pause contoso/17 --reason merger").status.code(), Some(0));
    assert_eq!(pauses.asked()[0].reason, "merger");
    let explained = service.ask("explain contoso --domain a.example");
    assert!(stdout(&explained).contains("All is well."), "{}", stderr(&explained));
    let key = proto::explain_customer_request::Key::Domain("a.example".to_owned());
    assert_eq!(questions.asked()[0].key, Some(key));
}

#[test]
fn a_sync_that_fails_while_it_is_waited_for_ends_with_1() {
    let run = |state: proto::SyncRunState, end: Option<i64>| proto::SyncRun {
        name: "partnerAccounts/contoso/syncRuns/1".to_owned(),
        state: state.into(),
        wanted: 7,
        problem: if end.is_some() { "the list broke off".to_owned() } else { String::new() },
        end_time: end.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 }),
        ..Default::default()
    };
    let started = run(proto::SyncRunState::Fetching, None);
    let failed = run(proto::SyncRunState::Failed, Some(1_700_000_000));
    let (played, _) = Played::new().answers::<proto::StartSyncRequest, _>("SyncService/StartSync", [Ok(started)]);
    let (played, asked) = played.answers::<proto::GetSyncRunRequest, _>("SyncService/GetSyncRun", [Ok(failed)]);
    let service = played.listen();
    assert_eq!(service.ask("sync contoso").status.code(), Some(0));
    let waited = service.ask("sync contoso --wait");
    assert_eq!(waited.status.code(), Some(1));
    let told = "fetching 0 %: 0 of 7 fetched\ncustomer-guard: the sync failed: the list broke off\n";
    assert_eq!(stderr(&waited), told);
    assert_eq!(asked.asked().len(), 1);
}

#[test]
fn every_kind_of_no_has_its_exit_code() {
    let codes = [
        (Code::PermissionDenied, 5),
        (Code::Unauthenticated, 5),
        (Code::ResourceExhausted, 6),
        (Code::AlreadyExists, 4),
        (Code::Internal, 1),
    ];
    for (code, exit) in codes {
        let refused: Result<proto::Customer, _> = Err(Status::new(code, "no"));
        let (played, _) =
            Played::new().answers::<proto::GetCustomerRequest, _>("CustomerService/GetCustomer", [refused]);
        let ended = played.listen().ask("get contoso/17");
        assert_eq!((ended.status.code(), stdout(&ended)), (Some(exit), ""), "{code:?}");
    }
}

#[test]
fn a_trial_is_shown_and_accepted_by_its_name() {
    let trial = proto::CredentialTrial {
        state: proto::CredentialTrialState::NeedsApproval.into(),
        trial_id: "0a1b".to_owned(),
        missing_customers: 10,
        report_time: Some(prost_types::Timestamp::default()),
        ..Default::default()
    };
    let account = proto::PartnerAccount {
        name: "partnerAccounts/contoso".to_owned(),
        client_id: "an-application".to_owned(),
        credential_trial: Some(trial),
        ..Default::default()
    };
    let without = proto::PartnerAccount { credential_trial: None, ..account.clone() };
    let shown = [Ok(account.clone()), Ok(account.clone()), Ok(account.clone()), Ok(without)];
    let (played, _) =
        Played::new().answers::<proto::GetPartnerAccountRequest, _>("PartnerAccountService/GetPartnerAccount", shown);
    let (played, accepted) =
        played.answers::<proto::AcceptCredentialsRequest, _>("PartnerAccountService/AcceptCredentials", [Ok(account)]);
    let service = played.listen();

    let told = service.ask("accounts trial contoso");
    assert!(stdout(&told).contains("needs approval") && stdout(&told).contains("Known, missing  10"), "{told:?}");
    let json: serde_json::Value =
        serde_json::from_str(stdout(&service.ask("accounts trial contoso -o json"))).expect("JSON");
    assert_eq!(json["trialId"], "0a1b");
    // Nobody to ask: what would be accepted is shown, and nothing is.
    let asked = service.ask("accounts accept-credentials contoso 0a1b");
    assert_eq!(asked.status.code(), Some(2));
    assert!(stderr(&asked).contains("Known, missing  10") && stderr(&asked).contains("--yes"), "{}", stderr(&asked));
    assert_eq!(accepted.asked(), []);
    let done = service.ask("accounts accept-credentials contoso 0a1b --yes");
    let expected = "contoso: the credentials of application an-application are accepted\n";
    assert_eq!(stdout(&done), expected, "{}", stderr(&done));
    assert_eq!(accepted.asked()[0].trial_id, "0a1b");
    assert_eq!(stdout(&service.ask("accounts trial contoso -o json")), "null\n");
}
