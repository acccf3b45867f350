//! `status`: every account in one line, or one account's whole story.

use clap::Args;
use customer_guard::clock::Timestamp;
use customer_guard::grpc::proto;

use super::failure::Failure;
use super::output::write;
use super::record::Record;
use super::screen::{Screen, Tone};
use super::session::Session;
use super::table::{Cell, Column, Table};
use super::times::{age, exact_and_age, read, span};
use super::{json, names, progress, words};

const EXAMPLES: &str = "\
OLDEST is the customer whose last look at it is longest ago; FRESH is when the
audit log was last read to its end, so that changes up to then are known.

Examples:
  customer-guard status
  customer-guard status contoso
  customer-guard status contoso -o json | jq .backlog";

const COLUMNS: [Column; 6] = [
    Column::whole("ACCOUNT"),
    Column::ranked(2, "CUSTOMERS").right(),
    Column::ranked(1, "FRESH"),
    Column::ranked(3, "OLDEST"),
    Column::ranked(4, "FULL SYNC"),
    Column::whole("HELD BACK BY").shortest(20),
];

/// The most accounts that are asked for at once.
const PAGE: i32 = 1000;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Options {
    /// The partner account; without it, all of them at a glance
    #[arg(value_name = "ACCOUNT", value_parser = names::account)]
    account: Option<String>,
}

pub(super) async fn run(options: Options, session: &Session) -> Result<(), Failure> {
    let (screen, now) = (session.output.screen, session.output.now);
    if let Some(account) = options.account {
        let status = of(&account, session).await?;
        return session.output.answer(&status, |status| story(status, screen, now));
    }
    let accounts = every_account(session).await?;
    let mut statuses = Vec::with_capacity(accounts.len());
    for account in &accounts {
        statuses.push(of(&account.name, session).await?);
    }
    if session.output.is_json() {
        let documents = statuses.iter().map(json::line).collect::<Result<Vec<_>, _>>()?;
        return write(&format!("[\n{}\n]\n", documents.join(",\n")));
    }
    let rows: Vec<_> = statuses.iter().zip(&accounts).map(|(status, account)| row(status, account, now)).collect();
    write(&Table::whole(&COLUMNS, &rows, screen))
}

async fn of(account: &str, session: &Session) -> Result<proto::SyncStatus, Failure> {
    let request = proto::GetSyncStatusRequest { name: format!("{account}/syncStatus") };
    session.answer(session.sync().get_sync_status(request)).await
}

async fn every_account(session: &Session) -> Result<Vec<proto::PartnerAccount>, Failure> {
    let mut accounts = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = proto::ListPartnerAccountsRequest { page_size: PAGE, page_token };
        let page = session.answer(session.accounts().list_partner_accounts(request)).await;
        let page = page.map_err(|failure| match failure.is_unknown_call() {
            true => Failure::Ended(
                "the service cannot tell which accounts it has: it may be older than this program\n  \
                 Name one: customer-guard status ACCOUNT"
                    .to_owned(),
            ),
            false => failure,
        })?;
        accounts.extend(page.partner_accounts);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(accounts);
        }
    }
}

fn row(status: &proto::SyncStatus, account: &proto::PartnerAccount, now: Timestamp) -> Vec<Cell> {
    let full_sync = match (&status.running_full_sync, &status.last_full_sync) {
        (Some(running), _) => progress::state_of(running),
        (None, Some(last)) => age(last.end_time.as_ref(), now),
        (None, None) => "never".to_owned(),
    };
    let held_back = match account.state() {
        proto::PartnerAccountState::Disabled => Cell::toned("disabled", Tone::Faint),
        proto::PartnerAccountState::Active | proto::PartnerAccountState::Unspecified => held_back_by(status, now),
    };
    let oldest = match status.oldest_verified_at.as_ref() {
        oldest @ Some(_) if is_late(status, now) => Cell::toned(age(oldest, now), Tone::Bad),
        oldest => age(oldest, now).into(),
    };
    vec![
        names::short(&status.name).into(),
        status.active_customers.to_string().into(),
        age(status.audit_polled_at.as_ref(), now).into(),
        oldest,
        full_sync.into(),
        held_back,
    ]
}

/// Whether a customer has not been looked at for longer than is promised.
fn is_late(status: &proto::SyncStatus, now: Timestamp) -> bool {
    let oldest = status.oldest_verified_at.as_ref().map(read);
    let within = status.verify_within.and_then(|within| std::time::Duration::try_from(within).ok());
    oldest.zip(within).is_some_and(|(oldest, within)| now.since(oldest) > within)
}

/// What is in the way, in one line: the worst first.
fn held_back_by(status: &proto::SyncStatus, now: Timestamp) -> Cell {
    if let Some(problem) = &status.problem {
        return Cell::toned(format!("{} since {}", problem.reason, age(problem.since.as_ref(), now)), Tone::Bad);
    }
    let throttled = status.throttled_until.as_ref().filter(|until| read(until) > now);
    let count = |number: i64, what: &str| (number > 0).then(|| format!("{number} {what}"));
    let told = [
        throttled.map(|until| format!("throttled, goes on {}", age(Some(until), now))),
        count(status.held_removals, "removals to approve"),
        count(status.pending_links, "links to decide"),
        count(status.quarantined, "quarantined"),
        count(status.backlog_failing, "fetches failing"),
        count(status.paused, "paused"),
        count(status.backlog - status.backlog_failing, "to fetch"),
    ];
    let told: Vec<_> = told.into_iter().flatten().collect();
    if told.is_empty() { Cell::toned("nothing", Tone::Good) } else { Cell::toned(told.join(", "), Tone::Uneasy) }
}

const fn has_resellers(resellers: &proto::ResellerSync) -> bool {
    resellers.state != proto::ResellerSyncState::NotApplicable as i32
}

fn story(status: &proto::SyncStatus, screen: Screen, now: Timestamp) -> String {
    let at = |time: &Option<prost_types::Timestamp>| exact_and_age(time.as_ref(), now);
    let uneasy = |number: i64, hint: &str| match number {
        0 => Cell::new("0"),
        number => Cell::toned(format!("{number}{hint}"), Tone::Uneasy),
    };
    let account = names::short(&status.name);
    let mut record = Record::default();
    record.group(format!("Synchronization of {account}")).row("Held back by", held_back_by(status, now));
    if let Some(problem) = &status.problem {
        record.row("Problem", Cell::toned(&problem.detail, Tone::Bad)).row("Since", at(&problem.since));
    }
    let late = if is_late(status, now) { Tone::Bad } else { Tone::Plain };
    record
        .group("Freshness")
        .row("Customers", format!("{} active", status.active_customers))
        .row("Oldest look", Cell::toned(at(&status.oldest_verified_at), late))
        .row("Promised", format!("each again within {}", span(status.verify_within.as_ref())))
        .row("Audit log", at(&status.audit_polled_at))
        .row("Customer list", at(&status.listed_at))
        .row("Changes by", words::incremental_mode(status.incremental_mode()))
        .row("Because", &status.incremental_mode_reason);
    record
        .group("Waiting")
        .row("To fetch", status.backlog.to_string())
        .row("Failing", uneasy(status.backlog_failing, ""))
        .row(
            "Quarantined",
            uneasy(status.quarantined, &format!(": list {account} --filter 'sync_state = QUARANTINED'")),
        )
        .row("Held removals", uneasy(status.held_removals, &format!(": customer-guard holds list {account}")))
        .row("Pending links", uneasy(status.pending_links, &format!(": customer-guard links list {account}")))
        .row("Paused", uneasy(status.paused, ""))
        .row("Throttled until", at(&status.throttled_until))
        .row("Synchronized by", status.replica.clone());
    let throttled = match status.throttles_last_day {
        0 => String::new(),
        times => format!("; told to slow down {times} times in 24 h"),
    };
    if status.calls_per_minute > 0 {
        record.row("Pace", format!("{} calls a minute{throttled}", status.calls_per_minute));
    }
    if let Some(resellers) = status.resellers.as_ref().filter(|resellers| has_resellers(resellers)) {
        let problem = resellers.problem.clone().unwrap_or_default();
        let tone = if problem.reason.is_empty() { Tone::Plain } else { Tone::Uneasy };
        record
            .group("Resellers")
            .row("State", Cell::toned(words::reseller_sync_state(resellers.state()), tone))
            .row("Problem", Cell::toned(problem.detail, tone))
            .row("Resellers", format!("{}: customer-guard resellers {account}", resellers.resellers))
            .row("Customers", format!("{} served by one", resellers.mapped_customers))
            .row("Read", at(&resellers.read_time));
    }
    record.group("Full syncs");
    if let Some(running) = &status.running_full_sync {
        let far = format!("{}: {}", progress::state_of(running), progress::counts_of(running, now));
        record.row("Running", far).row("Started", at(&running.start_time)).row("Run", names::short(&running.name));
    }
    if let Some(last) = &status.last_full_sync {
        record.row("Last", at(&last.end_time)).row("Its run", names::short(&last.name));
    }
    let by_hand = match &status.manual_sync_allowed_at {
        Some(_) => at(&status.manual_sync_allowed_at),
        None => "possible now".to_owned(),
    };
    record.row("Next night", at(&status.next_night_at)).row("By hand", by_hand);
    record.text(screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn now() -> Timestamp {
        Timestamp::from_micros(NOW * 1_000_000)
    }

    fn at(ago: i64) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp { seconds: NOW - ago, nanos: 0 })
    }

    fn status(account: &str) -> proto::SyncStatus {
        proto::SyncStatus {
            name: format!("partnerAccounts/{account}/syncStatus"),
            audit_polled_at: at(20),
            oldest_verified_at: at(36_000),
            verify_within: Some(prost_types::Duration { seconds: 93_600, nanos: 0 }),
            active_customers: 1080,
            last_full_sync: Some(proto::SyncRun { end_time: at(36_000), ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn every_account_is_one_line_that_tells_what_holds_it_back() {
        let account = proto::PartnerAccount::default();
        let disabled =
            proto::PartnerAccount { state: proto::PartnerAccountState::Disabled.into(), ..Default::default() };
        let problem =
            proto::SyncProblem { reason: "CONSENT_NEEDED".to_owned(), since: at(7_200), ..Default::default() };
        let waiting = proto::SyncStatus { held_removals: 12, quarantined: 3, ..status("northwind") };
        let rows = [
            row(&status("contoso"), &account, now()),
            row(&waiting, &account, now()),
            row(&proto::SyncStatus { problem: Some(problem), ..status("fabrikam") }, &account, now()),
            row(&status("tailspin"), &disabled, now()),
        ];
        let expected = "\
ACCOUNT    CUSTOMERS  FRESH     OLDEST    FULL SYNC  HELD BACK BY
contoso         1080  20 s ago  10 h ago  10 h ago   nothing
northwind       1080  20 s ago  10 h ago  10 h ago   12 removals to approve, 3…
fabrikam        1080  20 s ago  10 h ago  10 h ago   CONSENT_NEEDED since 2 h a…
tailspin        1080  20 s ago  10 h ago  10 h ago   disabled
";
        assert_eq!(Table::whole(&COLUMNS, &rows, Screen { width: Some(80), colored: false }), expected);
        let wide = Table::whole(&COLUMNS, &rows, Screen { width: Some(160), colored: false });
        assert!(wide.contains("12 removals to approve, 3 quarantined\n"), "{wide}");
    }

    #[test]
    fn what_is_late_is_told_by_its_tone() {
        let late = proto::SyncStatus { oldest_verified_at: at(100_000), ..status("contoso") };
        assert!(is_late(&late, now()) && !is_late(&status("contoso"), now()));
        assert_eq!(row(&late, &proto::PartnerAccount::default(), now())[3].tone, Tone::Bad);
    }

    #[test]
    fn the_whole_story_says_which_command_helps() {
        let told = proto::SyncStatus { held_removals: 12, pending_links: 1, ..status("contoso") };
        let text = story(&told, Screen::default(), now());
        for part in [
            "Synchronization of contoso",
            "12: customer-guard holds list contoso",
            "1: customer-guard links list contoso",
            "each again within 26 h",
            "possible now",
        ] {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
    }
}
