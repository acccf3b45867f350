//! What can be asked of a demo: every command gives a table and JSON, and every failure its exit code.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::demo::{Demo, short};
use super::{stderr, stdout};

/// One demo for all of them: starting it takes longer than everything that is asked of it.
#[test]
fn commands_ask_a_running_service() {
    let demo = Demo::start();
    lists_are_tables_or_arrays(&demo);
    let customers = demo.json("list contoso --filter source=MICROSOFT");
    let customer = &customers[0];
    one_customer_is_a_record_or_a_document(&demo, customer);
    a_refusal_is_found_among_the_decisions(&demo, customer);
    synchronization_is_told(&demo);
    resellers_are_told_where_a_user_signs_in(&demo);
    failures_have_their_exit_codes(&demo, &short(customer));
    a_reader_may_leave(&demo);
}

fn lists_are_tables_or_arrays(demo: &Demo) {
    let table = demo.text("list --all");
    let headings: Vec<_> = table.lines().next().expect("headings").split_whitespace().collect();
    assert_eq!(headings, ["CUSTOMER", "COMPANY", "DOMAIN", "SOURCE", "STATE", "VERIFIED"]);
    assert_eq!(table.lines().count(), 61);
    assert!(!table.contains('\u{1b}') && !table.contains('…'), "{table}");
    let all = demo.json("list --all");
    assert_eq!(all.as_array().map(Vec::len), Some(60));
    assert_eq!(demo.json("list contoso").as_array().map(Vec::len), Some(36));
    let first = demo.ask("list --limit 3");
    assert_eq!(
        (stdout(&first).lines().count(), stderr(&first)),
        (4, "The first 3; --limit COUNT or --all for more.\n")
    );
    assert_eq!(demo.json("list contoso --filter company_name=nobody"), serde_json::json!([]));
    let ordered = demo.json("list contoso --order-by domain --limit 10");
    let domains: Vec<_> = ordered.as_array().expect("an array").iter().map(|one| one["domain"].to_string()).collect();
    assert!(domains.is_sorted(), "{domains:?}");
}

fn one_customer_is_a_record_or_a_document(demo: &Demo, customer: &Value) {
    let name = short(customer);
    let tenant = customer["microsoftTenantId"].as_str().expect("a tenant");
    let account = customer["name"].as_str().expect("a name").split('/').nth(1).expect("an account");
    let same = |line: &str| {
        let found = demo.json(line);
        assert_eq!(found["name"], customer["name"], "{line}");
        assert_eq!(found["companyName"], customer["companyName"], "{line}");
    };
    same(&format!("get {name}"));
    same(&format!("get {}", customer["name"].as_str().expect("a name")));
    same(&format!("get {name} --max-staleness 1h --allow-stale --min-revision 1"));
    same(&format!("lookup {account} --tenant {tenant}"));
    same(&format!("lookup {account} --domain {}", customer["domain"].as_str().expect("a domain")));
    same(&format!("refresh {name}"));
    let record = demo.text(&format!("get {name}"));
    for part in
        ["Identity\n", "Primary contact\n", "The platform's own\n", "Record\n", "\n* Company ", "\n* Everything "]
    {
        assert!(record.contains(part), "{part} is missing in:\n{record}");
    }
    assert!(record.contains("* Only Partner Center can change these."), "{record}");
    assert!(!record.contains("* Note") && record.contains("  Status        active"), "{record}");
    let basic = demo.json(&format!("get {name} --view basic"));
    assert_eq!(basic["name"], customer["name"]);
    let ownership = demo.text(&format!("ownership {name}"));
    assert!(ownership.contains("company_name") && ownership.contains("billingProfile.companyName"), "{ownership}");
    let owned = demo.json(&format!("ownership {name}"));
    assert_eq!(owned["fields"][0]["owner"], "FIELD_OWNER_PARTNER_CENTER");
}

fn a_refusal_is_found_among_the_decisions(demo: &Demo, customer: &Value) {
    assert_eq!(demo.json("decisions list contoso"), serde_json::json!([]));
    assert_eq!(stderr(&demo.ask("decisions list contoso")), "None.\n");
    demo.refused_edit(customer["name"].as_str().expect("a name"));
    let decisions = demo.json(&format!("decisions list contoso --since 1h --customer {}", short(customer)));
    assert_eq!(decisions[0]["customer"], customer["name"]);
    assert_eq!(demo.json("decisions list contoso --until 1h"), serde_json::json!([]));
    let id = decisions[0]["name"].as_str().expect("a name").rsplit('/').next().expect("an id").to_owned();
    assert_eq!(demo.json(&format!("decisions get contoso/{id}")), decisions[0]);
    let listed = demo.text("decisions list contoso");
    assert!(listed.contains(&format!("contoso/{id}")) && listed.contains("company_name"), "{listed}");
    let one = demo.text(&format!("decisions get contoso/{id}"));
    assert!(one.contains("billingProfile.companyName") && one.contains("Chain hash"), "{one}");
}

fn synchronization_is_told(demo: &Demo) {
    let status = demo.json("status contoso");
    assert_eq!(status["name"], "partnerAccounts/contoso/syncStatus");
    let story = demo.text("status contoso");
    assert!(story.contains("Held back by") && story.contains("active"), "{story}");
    let runs = demo.json("runs list contoso --all");
    let full = runs.as_array().expect("an array").iter().find(|run| run["kind"] == "SYNC_RUN_KIND_FULL");
    let name = full.expect("a full run")["name"].as_str().expect("a name");
    let name = name.replace("partnerAccounts/", "").replace("/syncRuns/", "/");
    assert!(demo.text("runs list contoso").contains(&name));
    assert!(demo.text(&format!("runs get {name}")).contains("36 of 36"));
    // It was synchronized a moment ago.
    let (code, error) = demo.failure("sync contoso --wait");
    assert_eq!((code, &error["reason"]), (Some(4), &Value::from("SYNC_COOLDOWN")));
    assert!(error["retryAfterSeconds"].as_f64().is_some_and(|after| after > 0.0), "{error}");
}

fn resellers_are_told_where_a_user_signs_in(demo: &Demo) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let resellers = loop {
        let told = demo.json("resellers northwind");
        let resellers = told.as_array().expect("an array");
        if resellers.iter().any(|reseller| reseller["customers"].as_str().is_some_and(|count| count != "0")) {
            break resellers.clone();
        }
        assert!(Instant::now() < deadline, "they are read soon after the first sync");
    };
    let table = demo.text("resellers northwind");
    assert_eq!(table.lines().count(), resellers.len() + 1, "{table}");
    assert_eq!(demo.json("resellers contoso"), serde_json::json!([]), "a direct partner has none");
    assert!(demo.text("accounts get northwind").contains("Acts as user"));
}

fn failures_have_their_exit_codes(demo: &Demo, name: &str) {
    let missing = "contoso/0198c0de-7000-7000-8000-000000000001";
    let (code, error) = demo.failure(&format!("get {missing}"));
    assert_eq!((code, &error["reason"], &error["code"]), (Some(3), &"CUSTOMER_NOT_FOUND".into(), &"NOT_FOUND".into()));
    let told = demo.ask(&format!("get {missing}"));
    assert!(stderr(&told).starts_with("customer-guard: there is no partnerAccounts/contoso/customers/"));
    assert_eq!(demo.failure("status nobody").0, Some(3));
    let (code, error) = demo.failure("list --filter shape=round");
    assert_eq!((code, &error["violations"][0]["field"]), (Some(7), &"filter".into()));
    assert_eq!(demo.failure("get contoso/17").0, Some(7));
    // Whether the service has the question or not, nobody can be asked for consent here.
    let links = demo.ask(&format!("links undo {name}"));
    assert_eq!(links.status.code(), Some(2), "{}", stderr(&links));
    assert!(stderr(&links).contains("--yes"));
    for wrong in
        ["get contoso", "lookup contoso", "list --limit many", "explain contoso", "get", "list --all --limit 3"]
    {
        assert_eq!(demo.ask(wrong).status.code(), Some(2), "{wrong}");
    }
}

fn a_reader_may_leave(demo: &Demo) {
    for line in ["list --all", "list --all -o json"] {
        let mut child =
            demo.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut first = [0; 1];
        let mut out = child.stdout.take().expect("standard output is piped");
        if line.ends_with("json") {
            // One that does not even begin to read.
            drop(out);
        } else {
            out.read_exact(&mut first).expect("a byte");
            drop(out);
        }
        let ended = child.wait_with_output().expect("an end");
        assert_eq!((ended.status.code(), stderr(&ended)), (Some(0), ""), "{line}");
    }
}
