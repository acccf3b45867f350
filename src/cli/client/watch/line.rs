//! One message of a watch as a line, or as two where one has no room.

use customer_guard::grpc::proto;
use customer_guard::grpc::proto::watch_customers_response::Event;

use super::super::screen::{Screen, Tone, harmless, padded, shortened};
use super::super::{customer, names, times, words};

/// From this width on an event is one line.
const ONE_LINE: usize = 120;
/// The kinds of a change, in a column.
const KINDS: usize = 10;
/// An account and an id, in a column.
const CUSTOMER: usize = 46;

/// The text of a message; `None` for one that only says that all is well.
pub(super) fn of(message: &proto::WatchCustomersResponse, screen: Screen) -> Option<String> {
    match message.event.as_ref()? {
        Event::Change(change) => Some(change_line(change, screen)),
        Event::SnapshotStart(start) => {
            let cause = words::snapshot_cause(start.cause());
            Some(format!("{}\n", screen.toned(&format!("Snapshot ({cause}):"), Tone::Faint)))
        }
        Event::SnapshotCustomer(customer) => {
            let state = customer::state(customer);
            Some(laid_out(screen, None, (&state.text, state.tone), customer, ""))
        }
        Event::SnapshotEnd(end) => {
            let told = format!("The snapshot is complete with {} customers; changes follow.", end.customers);
            Some(format!("{}\n", screen.toned(&told, Tone::Faint)))
        }
        Event::Checkpoint(_) => None,
    }
}

fn change_line(change: &proto::CustomerChange, screen: Screen) -> String {
    let unknown = proto::Customer::default();
    let kinds = change.kinds().map(words::change_kind).collect::<Vec<_>>().join(",");
    let tone = match change.kinds().next_back() {
        Some(proto::ChangeKind::Created | proto::ChangeKind::Revived | proto::ChangeKind::Undeleted) => Tone::Good,
        Some(proto::ChangeKind::Ended | proto::ChangeKind::Deleted) => Tone::Bad,
        Some(proto::ChangeKind::State | proto::ChangeKind::Linked | proto::ChangeKind::Unlinked) => Tone::Uneasy,
        Some(proto::ChangeKind::Edited | proto::ChangeKind::Synced | proto::ChangeKind::Unspecified) | None => {
            Tone::Plain
        }
    };
    let fields = change.changed_fields.as_ref().map(|mask| mask.paths.join(", ")).unwrap_or_default();
    let customer = change.customer.as_ref().unwrap_or(&unknown);
    laid_out(screen, change.change_time.as_ref(), (&kinds, tone), customer, &fields)
}

/// Time, what happened, to whom; and behind or below it the company and its changed fields.
fn laid_out(
    screen: Screen,
    time: Option<&prost_types::Timestamp>,
    (what, tone): (&str, Tone),
    customer: &proto::Customer,
    fields: &str,
) -> String {
    let is_narrow = screen.width.is_some_and(|width| width < ONE_LINE);
    let time = time.map(if screen.width.is_some() { times::of_day } else { times::exact });
    let time = time.map_or(String::new(), |time| format!("{time}  "));
    let company = harmless(&customer.company_name);
    let rest = if fields.is_empty() { company } else { format!("{company}: {}", harmless(fields)) };
    let name = names::short(&customer.name);
    let what = padded(&screen.toned(what, tone), what, KINDS);
    let (first, indent) = match is_narrow {
        true => (format!("{time}{what}  {name}\n"), time.len()),
        false => (format!("{time}{what}  {}  ", padded(&name, &name, CUSTOMER)), 0),
    };
    let used = if is_narrow { indent } else { time.len() + KINDS + CUSTOMER + 4 };
    let room = screen.width.map_or(usize::MAX, |width| width.saturating_sub(used));
    format!("{first}{:indent$}{}\n", "", shortened(&rest, room))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0198c0de-7000-7000-8000-000000000001";

    fn change() -> proto::WatchCustomersResponse {
        let change = proto::CustomerChange {
            customer: Some(proto::Customer {
                name: format!("partnerAccounts/northwind/customers/{ID}"),
                company_name: "Rundāle Bakery".to_owned(),
                ..Default::default()
            }),
            kinds: vec![proto::ChangeKind::Created.into(), proto::ChangeKind::Synced.into()],
            changed_fields: Some(prost_types::FieldMask {
                paths: vec!["domain".to_owned(), "primary_contact.email".to_owned()],
            }),
            actor: "partner-center".to_owned(),
            change_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            upstream_change: None,
        };
        proto::WatchCustomersResponse { cursor: "c".to_owned(), event: Some(Event::Change(change)) }
    }

    fn at(width: Option<usize>) -> String {
        of(&change(), Screen { width, colored: false }).expect("a line")
    }

    #[test]
    fn an_event_is_one_line_where_there_is_room_and_two_where_there_is_not() {
        let whole = format!(
            "2023-11-14T22:13:20Z  created,synced  northwind/{ID}  Rundāle Bakery: domain, primary_contact.email\n"
        );
        assert_eq!(at(None), whole);
        let two = format!(
            "22:13:20  created,synced  northwind/{ID}\n          Rundāle Bakery: domain, primary_contact.email\n"
        );
        assert_eq!(at(Some(80)), two);
        assert_eq!(at(Some(160)).lines().count(), 1);
        assert!(at(Some(130)).chars().count() <= 131, "{}", at(Some(130)));
    }

    #[test]
    fn a_snapshot_is_framed_and_a_checkpoint_is_silent() {
        let line = |event| {
            let message = proto::WatchCustomersResponse { cursor: String::new(), event: Some(event) };
            of(&message, Screen::default())
        };
        let start = proto::SnapshotStart { cause: proto::SnapshotCause::CursorTooOld.into() };
        assert_eq!(line(Event::SnapshotStart(start)).as_deref(), Some("Snapshot (cursor too old):\n"));
        let end = proto::SnapshotEnd { customers: 7 };
        assert!(line(Event::SnapshotEnd(end)).is_some_and(|line| line.contains("7 customers")));
        assert_eq!(line(Event::Checkpoint(proto::Checkpoint::default())), None);
    }
}
