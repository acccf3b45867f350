//! `watch`: what it shows, how it goes on after an interruption, and how it ends.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use customer_guard::grpc::proto;
use customer_guard::grpc::proto::watch_customers_response::Event;
use tonic::Status;

use super::played::{Listening, Played, Streamed};
use super::{program, stderr, stdout};

type Watches = Streamed<proto::WatchCustomersRequest, proto::WatchCustomersResponse>;

fn changed(cursor: &str, company: &str) -> proto::WatchCustomersResponse {
    let customer = proto::Customer {
        name: format!("partnerAccounts/contoso/customers/{company}"),
        company_name: company.to_owned(),
        ..Default::default()
    };
    let change = proto::CustomerChange {
        customer: Some(customer),
        kinds: vec![proto::ChangeKind::Ended.into()],
        ..Default::default()
    };
    proto::WatchCustomersResponse { cursor: cursor.to_owned(), event: Some(Event::Change(change)) }
}

fn played(streams: Vec<(Vec<proto::WatchCustomersResponse>, Option<Status>)>) -> (Listening, Watches) {
    let (played, watches) = Played::new().streams("CustomerService/WatchCustomers", streams);
    (played.listen(), watches)
}

fn watch(service: &Listening, arguments: &[&str]) -> Child {
    let mut command = program(&[&["watch", "contoso"], arguments].concat());
    command.env("CUSTOMER_GUARD_SERVER", &service.server).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}

/// Reads so many lines, asks it to stop, and returns them, what it told beside them, and its exit code.
fn lines_until_stopped(mut child: Child, count: usize) -> (Vec<String>, String, Option<i32>) {
    let out = BufReader::new(child.stdout.take().expect("standard output is piped"));
    let lines: Vec<_> = out.lines().take(count).map(|line| line.expect("text")).collect();
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
    let mut told = String::new();
    child.stderr.take().expect("standard error is piped").read_to_string(&mut told).expect("text");
    (lines, told, child.wait().expect("an end").code())
}

#[test]
fn a_watch_that_is_interrupted_goes_on_after_its_last_cursor() {
    let (service, watches) = played(vec![
        (vec![changed("c1", "first"), changed("c2", "second")], Some(Status::unavailable("about to stop"))),
        (vec![changed("c3", "third")], None),
    ]);
    let (lines, told, code) = lines_until_stopped(watch(&service, &["--from-now", "--kind", "ended"]), 3);
    assert_eq!(code, Some(0), "{told}");
    assert!(lines[0].starts_with("ended       contoso/first"), "{lines:?}");
    assert!(lines[2].contains("contoso/third"), "{lines:?}");
    assert!(told.starts_with("Interrupted: about to stop (UNAVAILABLE). Again in 1 s.\n"), "{told}");
    assert!(told.ends_with("To go on from here: customer-guard watch contoso --cursor c3\n"), "{told}");
    let asked = watches.asked();
    let cursors: Vec<_> = asked.iter().map(|request| request.cursor.as_str()).collect();
    assert_eq!(cursors, ["", "c2"]);
    assert_eq!(asked[0].start(), proto::WatchStart::Now);
    assert_eq!(asked[0].kinds, [i32::from(proto::ChangeKind::Ended)]);
    assert_eq!(asked[0].view(), proto::CustomerView::Basic);
}

#[test]
fn in_json_each_message_is_one_line() {
    let checkpoint = proto::WatchCustomersResponse {
        cursor: "c2".to_owned(),
        event: Some(Event::Checkpoint(proto::Checkpoint::default())),
    };
    let (service, _) = played(vec![(vec![changed("c1", "first"), checkpoint], None)]);
    let (lines, _, _) = lines_until_stopped(watch(&service, &["-o", "json"]), 2);
    let messages: Vec<serde_json::Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(messages[0]["change"]["customer"]["companyName"], "first");
    assert_eq!(messages[1], serde_json::json!({"cursor": "c2", "checkpoint": {}}));
}

#[test]
fn what_cannot_be_mended_ends_a_watch_and_so_does_an_interruption_without_reconnect() {
    let (service, watches) = played(vec![(vec![], Some(Status::invalid_argument("no such cursor")))]);
    let ended = service.ask("watch contoso --cursor -c9");
    assert_eq!((ended.status.code(), stdout(&ended)), (Some(7), ""), "{}", stderr(&ended));
    assert_eq!(watches.asked()[0].cursor, "-c9");
    let (service, watches) = played(vec![(vec![changed("c1", "first")], Some(Status::unavailable("gone")))]);
    let ended = service.ask("watch contoso --no-reconnect");
    assert_eq!(ended.status.code(), Some(6), "{}", stderr(&ended));
    assert!(stderr(&ended).contains("--cursor c1\n"), "{}", stderr(&ended));
    assert_eq!(watches.asked().len(), 1);
}
