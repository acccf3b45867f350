//! `ownership`: field by field, who may write it, and where what is locked can be changed.

use clap::Args;
use customer_guard::grpc::proto;

use super::failure::Failure;
use super::names;
use super::record::paragraph;
use super::screen::{Screen, Tone, harmless};
use super::session::Session;
use super::table::{Cell, Column, Table};
use super::words;

const EXAMPLES: &str = "\
Examples:
  customer-guard ownership contoso/ID
  customer-guard ownership contoso/ID -o json |
    jq -r '.fields[] | select(.owner == \"FIELD_OWNER_PARTNER_CENTER\").field'";

const COLUMNS: [Column; 4] = [
    Column::whole("FIELD"),
    Column::whole("OWNER"),
    Column::ranked(1, "IN PARTNER CENTER").shortest(17).keeping_the_end(),
    Column::ranked(2, "RULE"),
];

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Options {
    /// The customer: ACCOUNT/ID, or its full name
    #[arg(value_name = "CUSTOMER", value_parser = names::customer)]
    name: String,
}

pub(super) async fn run(options: Options, session: &Session) -> Result<(), Failure> {
    let request = proto::GetFieldOwnershipRequest { name: options.name };
    let ownership = session.answer(session.customers().get_field_ownership(request)).await?;
    session.output.answer(&ownership, |ownership| text(ownership, session.output.screen))
}

fn text(ownership: &proto::FieldOwnership, screen: Screen) -> String {
    let rows: Vec<_> = ownership.fields.iter().map(row).collect();
    let mut text = Table::whole(&COLUMNS, &rows, screen);
    if let Some(fix) = &ownership.fix {
        let uri = if fix.uri.is_empty() { String::new() } else { format!("{}\n", harmless(&fix.uri)) };
        text.push_str(&format!("\n{}{uri}", paragraph(&harmless(&fix.instruction), screen)));
    }
    text
}

fn row(field: &proto::OwnedField) -> Vec<Cell> {
    let tone = match field.owner() {
        proto::FieldOwner::PartnerCenter => Tone::Uneasy,
        proto::FieldOwner::Platform | proto::FieldOwner::Unspecified => Tone::Plain,
    };
    // A field of the platform's may have a counterpart, which is of no use to whoever wants to change it.
    let upstream = if tone == Tone::Uneasy { field.upstream_field.as_str() } else { "" };
    vec![(&field.field).into(), Cell::toned(words::owner(field.owner()), tone), upstream.into(), (&field.rule).into()]
}
