//! `decisions`: who was refused what, when, and by which rule.

use clap::{Args, Subcommand};
use customer_guard::clock::Timestamp;
use customer_guard::grpc::proto;

use super::failure::Failure;
use super::listing::{self, Limit};
use super::record::Record;
use super::screen::Screen;
use super::session::Session;
use super::table::{Cell, Column, Table};
use super::times::{self, age, exact_and_age};
use super::{names, words};

const LIST: &str = "\
A time is exact (2026-11-19T08:00:00Z), a day (2026-11-19, UTC) or so long ago
(24h).

Examples:
  customer-guard decisions list contoso
  customer-guard decisions list contoso --since 24h --caller billing
  customer-guard decisions list contoso --customer contoso/ID";

const GET: &str = "\
A refused caller is told the id of its decision; the account is the customer's.

Examples:
  customer-guard decisions get contoso/DECISION";

const COLUMNS: [Column; 6] = [
    Column::whole("DECISION"),
    Column::ranked(2, "WHEN"),
    Column::ranked(3, "OUTCOME"),
    Column::ranked(4, "CALLER").shortest(10),
    Column::ranked(1, "FIELDS").shortest(18),
    Column::ranked(5, "CUSTOMER"),
];

const VIOLATIONS: [Column; 3] = [
    Column::whole("FIELD"),
    Column::whole("RULE"),
    Column::ranked(1, "IN PARTNER CENTER").shortest(17).keeping_the_end(),
];

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the decisions of an account, newest first
    #[command(after_help = LIST)]
    List(ListOptions),
    /// Shows one decision
    #[command(after_help = GET)]
    Get {
        /// The decision: ACCOUNT/DECISION, or its full name
        #[arg(value_name = "DECISION", value_parser = names::decision)]
        name: String,
    },
}

#[derive(Debug, Args)]
struct ListOptions {
    /// The partner account
    #[arg(value_name = "ACCOUNT", value_parser = names::account)]
    parent: String,
    /// Only those about this customer
    #[arg(long, value_name = "CUSTOMER", value_parser = names::customer)]
    customer: Option<String>,
    /// Only those of this caller
    #[arg(long, value_name = "CALLER", default_value = "", hide_default_value = true)]
    caller: String,
    /// Only those taken at this time or later
    #[arg(long, value_name = "TIME", value_parser = times::moment)]
    since: Option<prost_types::Timestamp>,
    /// Only those taken before this time
    #[arg(long, value_name = "TIME", value_parser = times::moment)]
    until: Option<prost_types::Timestamp>,
    #[command(flatten)]
    limit: Limit,
}

pub(super) async fn run(options: Options, session: &Session) -> Result<(), Failure> {
    let (screen, now) = (session.output.screen, session.output.now);
    match options.command {
        Command::List(ListOptions { parent, customer, caller, since, until, limit }) => {
            let page = async |page_size, page_token| {
                let request = proto::ListDecisionsRequest {
                    parent: parent.clone(),
                    page_size,
                    page_token,
                    customer: customer.clone().unwrap_or_default(),
                    caller: caller.clone(),
                    start_time: since,
                    end_time: until,
                };
                let page = session.answer(session.decisions().list_decisions(request)).await?;
                Ok((page.decisions, page.next_page_token))
            };
            listing::print(session.output, limit, &COLUMNS, |decision| row(decision, now), page).await
        }
        Command::Get { name } => {
            let request = proto::GetDecisionRequest { name };
            let decision = session.answer(session.decisions().get_decision(request)).await?;
            session.output.answer(&decision, |decision| text(decision, screen, now))
        }
    }
}

fn row(decision: &proto::Decision, now: Timestamp) -> Vec<Cell> {
    let fields: Vec<_> = decision.violations.iter().map(|violation| violation.field.as_str()).collect();
    vec![
        names::short(&decision.name).into(),
        age(decision.create_time.as_ref(), now).into(),
        words::outcome(decision.outcome()).into(),
        (&decision.caller).into(),
        fields.join(", ").into(),
        names::short(&decision.customer).into(),
    ]
}

fn text(decision: &proto::Decision, screen: Screen, now: Timestamp) -> String {
    let mut record = Record::default();
    record
        .group("Decision")
        .row("Decision", names::short(&decision.name))
        .row("Customer", names::short(&decision.customer))
        .row("Caller", &decision.caller)
        .row("When", exact_and_age(decision.create_time.as_ref(), now))
        .row("Outcome", words::outcome(decision.outcome()))
        .row("Acceptable", decision.acceptable_fields.join(", "))
        .row("Rules", format!("revision {}", decision.policy_revision))
        .row("Chain hash", &decision.chain_hash);
    let rows: Vec<Vec<Cell>> = decision
        .violations
        .iter()
        .map(|told| vec![(&told.field).into(), (&told.rule).into(), (&told.upstream_field).into()])
        .collect();
    format!("{}\n{}", record.text(screen), Table::whole(&VIOLATIONS, &rows, screen))
}
