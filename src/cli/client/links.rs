//! `links`: customers in Partner Center that look like platform customers, and whether they are one.

use clap::{Args, Subcommand};
use customer_guard::clock::Timestamp;
use customer_guard::grpc::proto;

use super::consent::Consent;
use super::failure::Failure;
use super::listing::{self, Limit};
use super::record::{Record, paragraph};
use super::screen::Screen;
use super::session::Session;
use super::table::{Cell, Column};
use super::times::{age, exact_and_age};
use super::{customer, names, words};

const LIST: &str = "\
LOOKS LIKE names the platform customers it may be. Decide with `links accept` or
`links dismiss`.

Examples:
  customer-guard links list contoso
  customer-guard links list contoso -o json";

const ACCEPT: &str = "\
The platform customer becomes a Microsoft customer: it takes over what Partner
Center says, and those fields lock. For 30 days `links undo` brings its own
values back.

Examples:
  customer-guard links accept contoso/ID TENANT_ID --preview
  customer-guard links accept contoso/ID TENANT_ID";

const DISMISS: &str = "\
The customer in Partner Center gets a record of its own, and is not taken for
those platform customers again.

Examples:
  customer-guard links dismiss contoso/TENANT_ID";

const UNDO: &str = "\
Possible for 30 days after `links accept`. The customer in Partner Center gets a
record of its own.

Examples:
  customer-guard links undo contoso/ID --preview
  customer-guard links undo contoso/ID";

const COLUMNS: [Column; 5] = [
    Column::whole("PENDING LINK"),
    Column::ranked(1, "COMPANY").shortest(12),
    Column::ranked(3, "DOMAIN").shortest(14),
    Column::ranked(2, "SINCE"),
    Column::folding("LOOKS LIKE"),
];

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists what waits for a decision, oldest first
    #[command(after_help = LIST)]
    List {
        /// The partner account
        #[arg(value_name = "ACCOUNT", value_parser = names::account)]
        parent: String,
        #[command(flatten)]
        limit: Limit,
    },
    /// Makes a platform customer the record of a customer in Partner Center
    #[command(after_help = ACCEPT)]
    Accept(AcceptOptions),
    /// Decides that they are different
    #[command(after_help = DISMISS)]
    Dismiss {
        /// The pending link: ACCOUNT/TENANT_ID, or its full name
        #[arg(value_name = "LINK", value_parser = names::pending_link)]
        name: String,
    },
    /// Makes a linked customer the platform's own again
    #[command(after_help = UNDO)]
    Undo(UndoOptions),
}

#[derive(Debug, Args)]
struct AcceptOptions {
    /// The platform customer: ACCOUNT/ID, or its full name
    #[arg(value_name = "CUSTOMER", value_parser = names::customer)]
    name: String,
    /// The Microsoft tenant id of the customer in Partner Center
    #[arg(value_name = "TENANT_ID")]
    tenant: String,
    /// Show what it would do, and do nothing
    #[arg(long)]
    preview: bool,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Debug, Args)]
struct UndoOptions {
    /// The customer: ACCOUNT/ID, or its full name
    #[arg(value_name = "CUSTOMER", value_parser = names::customer)]
    name: String,
    /// Show what it would be, and do nothing
    #[arg(long)]
    preview: bool,
    #[command(flatten)]
    consent: Consent,
}

pub(super) async fn run(options: Options, session: &Session) -> Result<(), Failure> {
    match options.command {
        Command::List { parent, limit } => {
            let page = async |page_size, page_token| {
                let request = proto::ListPendingLinksRequest { parent: parent.clone(), page_size, page_token };
                let page = session.answer(session.customers().list_pending_links(request)).await?;
                Ok((page.pending_links, page.next_page_token))
            };
            let now = session.output.now;
            listing::print(session.output, limit, &COLUMNS, |link| row(link, now), page).await
        }
        Command::Accept(options) => accept(options, session).await,
        Command::Dismiss { name } => {
            let request = proto::DismissPendingLinkRequest { name, request_id: String::new() };
            let dismissed = session.answer(session.customers().dismiss_pending_link(request)).await?;
            session.output.answer(&dismissed, |link| {
                let (company, name) = (Cell::new(&link.company_name).text, names::short(&link.name));
                format!("{company} ({name}) gets a record of its own.\n")
            })
        }
        Command::Undo(options) => undo(options, session).await,
    }
}

async fn accept(options: AcceptOptions, session: &Session) -> Result<(), Failure> {
    let AcceptOptions { name, tenant, preview, consent } = options;
    let output = session.output;
    let mut request = proto::LinkCustomerRequest {
        name,
        microsoft_tenant_id: tenant,
        etag: String::new(),
        validate_only: true,
        request_id: String::new(),
    };
    if preview || !consent.is_given() {
        let would = session.answer(session.customers().link_customer(request.clone())).await?;
        if preview {
            return output.answer(&would, |would| linked(would, output.screen, output.now));
        }
        eprintln!("{}", linked(&would, output.screen, output.now));
        consent.ask("Link them?")?;
        // What was shown is what is agreed to: a record that changed meanwhile is refused.
        request.etag = would.before.map(|before| before.etag).unwrap_or_default();
    }
    request.validate_only = false;
    let done = session.answer(session.customers().link_customer(request)).await?;
    output.answer(&done, |done| linked(done, output.screen, output.now))
}

async fn undo(options: UndoOptions, session: &Session) -> Result<(), Failure> {
    let UndoOptions { name, preview, consent } = options;
    if !preview {
        consent.ask("Make it the platform's own again?")?;
    }
    let request =
        proto::UnlinkCustomerRequest { name, etag: String::new(), validate_only: preview, request_id: String::new() };
    let unlinked = session.answer(session.customers().unlink_customer(request)).await?;
    let output = session.output;
    // Who owns what is asked of the customer as it is, which a preview has not changed.
    let text = |unlinked: &proto::Customer| customer::text(unlinked, None, output.screen, output.now);
    if preview { output.answer(&unlinked, text) } else { customer::print(session, &unlinked).await }
}

fn row(link: &proto::PendingLink, now: Timestamp) -> Vec<Cell> {
    let alike = link.candidates.iter().map(|candidate| {
        format!("{} ({})", names::short(&candidate.customer), words::duplicate_reason(candidate.reason()))
    });
    vec![
        names::short(&link.name).into(),
        (&link.company_name).into(),
        (&link.domain).into(),
        age(link.create_time.as_ref(), now).into(),
        alike.collect::<Vec<_>>().join("; ").into(),
    ]
}

/// What linking does: every field that is replaced, and those that lock as they are.
fn linked(link: &proto::LinkCustomerResponse, screen: Screen, now: Timestamp) -> String {
    let (before, after) = (link.before.clone().unwrap_or_default(), link.customer.clone().unwrap_or_default());
    let kept = link.locked_fields.iter().filter(|field| !link.replaced_fields.contains(field));
    let mut record = Record::default();
    record
        .group("Link")
        .row("Customer", names::short(&after.name))
        .row("Tenant id", &after.microsoft_tenant_id)
        .row("Company", replaced(&before.company_name, &after.company_name))
        .row("Domain", replaced(&before.domain, &after.domain))
        .row("Reversible", exact_and_age(link.reversible_until.as_ref(), now))
        .group("Fields")
        .row("Replaced", link.replaced_fields.join(", "))
        .row("Locked", kept.cloned().collect::<Vec<_>>().join(", "));
    let only = "What is replaced or locked, only Partner Center can change from then on.";
    format!("{}\n{}", record.text(screen), paragraph(only, screen))
}

fn replaced(before: &str, after: &str) -> String {
    if before == after { after.to_owned() } else { format!("{before} -> {after}") }
}

#[cfg(test)]
mod tests {
    use super::super::table::Table;
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000)
    }

    #[test]
    fn a_link_shows_what_is_replaced_and_what_locks() {
        let customer = |company: &str| proto::Customer {
            name: "partnerAccounts/contoso/customers/17".to_owned(),
            company_name: company.to_owned(),
            domain: "bakery.example".to_owned(),
            ..Default::default()
        };
        let link = proto::LinkCustomerResponse {
            customer: Some(customer("Rundāle Bakery SIA")),
            before: Some(customer("Rundale bakery")),
            locked_fields: vec!["company_name".to_owned(), "domain".to_owned()],
            replaced_fields: vec!["company_name".to_owned()],
            reversible_until: Some(prost_types::Timestamp { seconds: 1_702_592_000, nanos: 0 }),
        };
        let expected = "\
Link
  Customer      contoso/17
  Company       Rundale bakery -> Rundāle Bakery SIA
  Domain        bakery.example
  Reversible    2023-12-14T22:13:20Z (in 30 d)

Fields
  Replaced      company_name
  Locked        domain

What is replaced or locked, only Partner Center can change from then on.
";
        assert_eq!(linked(&link, Screen::default(), now()), expected);
    }

    #[test]
    fn a_pending_link_names_whom_it_looks_like() {
        let link = proto::PendingLink {
            name: "partnerAccounts/contoso/pendingLinks/0f1e".to_owned(),
            company_name: "Rundāle Bakery".to_owned(),
            domain: "bakery.example".to_owned(),
            candidates: vec![proto::DuplicateCandidate {
                customer: "partnerAccounts/contoso/customers/17".to_owned(),
                reason: proto::DuplicateReason::SameDomain.into(),
            }],
            create_time: Some(prost_types::Timestamp { seconds: 1_699_999_820, nanos: 0 }),
            ..Default::default()
        };
        let expected = "\
PENDING LINK  COMPANY         DOMAIN          SINCE      LOOKS LIKE
contoso/0f1e  Rundāle Bakery  bakery.example  3 min ago  contoso/17 (same domain)
";
        assert_eq!(Table::whole(&COLUMNS, &[row(&link, now())], Screen::default()), expected);
    }
}
