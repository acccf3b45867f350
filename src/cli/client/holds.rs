//! `holds`: removals that were more at once than the service does by itself, and what an operator decides about them.

use clap::{Args, Subcommand};
use customer_guard::clock::Timestamp;
use customer_guard::grpc::proto;

use super::consent::Consent;
use super::failure::Failure;
use super::output::write;
use super::record::paragraph;
use super::screen::{Screen, Tone};
use super::session::Session;
use super::table::{Cell, Column, Table};
use super::times::exact_and_age;
use super::{json, names, words};

const LIST: &str = "\
Examples:
  customer-guard holds list contoso
  customer-guard holds list contoso -o json | jq '.[].customers[].companyName'";

const DECIDE: &str = "\
The name holds the hash of the set: if other customers have come to wait since
you looked, nothing happens and you are told to look again.

Examples:
  customer-guard holds approve contoso/HOLD
  customer-guard holds dismiss contoso/HOLD --yes";

const COLUMNS: [Column; 5] = [
    Column::whole("CUSTOMER"),
    Column::ranked(1, "COMPANY").shortest(16),
    Column::ranked(2, "ANSWER"),
    Column::ranked(3, "MISSED").right(),
    Column::ranked(4, "REMOVAL RECORDED"),
];

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the set that waits, and what speaks against each customer
    #[command(after_help = LIST)]
    List {
        /// The partner account
        #[arg(value_name = "ACCOUNT", value_parser = names::account)]
        parent: String,
    },
    /// Ends exactly the customers of a hold
    #[command(after_help = DECIDE)]
    Approve(Decision),
    /// Keeps the customers of a hold, and looks at each again
    #[command(after_help = DECIDE)]
    Dismiss(Decision),
}

#[derive(Debug, Args)]
struct Decision {
    /// The hold: ACCOUNT/HOLD as `holds list` shows it, or its full name
    #[arg(value_name = "HOLD", value_parser = names::hold)]
    name: String,
    #[command(flatten)]
    consent: Consent,
}

pub(super) async fn run(options: Options, session: &Session) -> Result<(), Failure> {
    match options.command {
        Command::List { parent } => list(parent, session).await,
        Command::Approve(Decision { name, consent }) => {
            ask(&name, consent, "End the relationships of these customers?", session).await?;
            let request = proto::ApproveHoldRequest { name, request_id: String::new() };
            decided(&session.answer(session.sync().approve_hold(request)).await?, session)
        }
        Command::Dismiss(Decision { name, consent }) => {
            ask(&name, consent, "Keep these customers?", session).await?;
            let request = proto::DismissHoldRequest { name, request_id: String::new() };
            decided(&session.answer(session.sync().dismiss_hold(request)).await?, session)
        }
    }
}

async fn list(parent: String, session: &Session) -> Result<(), Failure> {
    let found = session.answer(session.sync().list_holds(proto::ListHoldsRequest { parent })).await?;
    if session.output.is_json() {
        let documents = found.holds.iter().map(json::line).collect::<Result<Vec<_>, _>>()?;
        return write(&format!("[{}]\n", documents.join(",\n")));
    }
    if found.holds.is_empty() {
        session.output.remark("No removal waits.");
    }
    for hold in &found.holds {
        write(&text(hold, session.output.screen, session.output.now))?;
        let name = names::short(&hold.name);
        session.output.remark(&format!("To end them: customer-guard holds approve {name}"));
        session.output.remark(&format!("To keep them: customer-guard holds dismiss {name}"));
    }
    Ok(())
}

/// Shows what would be decided about, and asks; a hold that is no longer there is left to the service to tell.
async fn ask(name: &str, consent: Consent, question: &str, session: &Session) -> Result<(), Failure> {
    if consent.is_given() {
        return Ok(());
    }
    let parent = format!("partnerAccounts/{}", names::account_of(name));
    let found = session.answer(session.sync().list_holds(proto::ListHoldsRequest { parent })).await?;
    if let Some(hold) = found.holds.iter().find(|hold| hold.name == name) {
        eprintln!("{}", text(hold, session.output.screen, session.output.now));
        consent.ask(question)?;
    }
    Ok(())
}

fn decided(hold: &proto::Hold, session: &Session) -> Result<(), Failure> {
    session.output.answer(hold, |hold| {
        format!(
            "{}: {}, {} customers\n",
            names::short(&hold.name),
            words::hold_state(hold.state()),
            hold.customer_count
        )
    })
}

fn text(hold: &proto::Hold, screen: Screen, now: Timestamp) -> String {
    let mut text = format!("{}\n", screen.toned(&names::short(&hold.name), Tone::Heading));
    let what = format!(
        "{} of {} active customers seem to be gone in Partner Center; the service ends at most {} at once by itself. \
         Waiting since {}.",
        hold.customer_count,
        hold.active_customers,
        hold.limit,
        exact_and_age(hold.create_time.as_ref(), now),
    );
    text.push_str(&paragraph(&what, screen));
    text.push('\n');
    let rows: Vec<_> = hold.customers.iter().map(row).collect();
    text.push_str(&Table::whole(&COLUMNS, &rows, screen));
    let listed = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    if hold.customer_count > listed {
        text.push_str(&format!("… and {} more\n", hold.customer_count - listed));
    }
    text
}

fn row(held: &proto::HeldCustomer) -> Vec<Cell> {
    vec![
        names::short(&held.customer).into(),
        (&held.company_name).into(),
        (&held.gone_answer).into(),
        format!("{} lists", held.missing_runs).into(),
        if held.removal_recorded { "yes" } else { "no" }.into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_shows_what_would_end_and_why() {
        let held = |id: &str| proto::HeldCustomer {
            customer: format!("partnerAccounts/contoso/customers/{id}"),
            company_name: format!("Company {id}"),
            missing_runs: 2,
            gone_answer: "404/1000".to_owned(),
            ..Default::default()
        };
        let hold = proto::Hold {
            name: "partnerAccounts/contoso/holds/0a1b2c".to_owned(),
            state: proto::HoldState::Waiting.into(),
            customer_count: 1200,
            customers: vec![held("1"), held("2")],
            active_customers: 2000,
            limit: 40,
            create_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        };
        let expected = "\
contoso/0a1b2c
1200 of 2000 active customers seem to be gone in Partner Center; the service ends at most 40 at once by itself. \
Waiting since 2023-11-14T22:13:20Z (1 h ago).

CUSTOMER   COMPANY    ANSWER     MISSED  REMOVAL RECORDED
contoso/1  Company 1  404/1000  2 lists  no
contoso/2  Company 2  404/1000  2 lists  no
… and 1198 more
";
        let now = Timestamp::from_micros(1_700_006_000_000_000);
        assert_eq!(text(&hold, Screen::default(), now), expected);
        let narrow = text(&hold, Screen { width: Some(80), colored: false }, now);
        assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
    }
}
