//! `get`: one customer, as fresh and as new as is asked for.

use std::time::Duration;

use clap::Args;
use customer_guard::grpc::proto;

use super::customer::{self, View};
use super::failure::Failure;
use super::session::Session;
use super::{names, times};

const EXAMPLES: &str = "\
A star marks what only Partner Center can change. --max-staleness has Partner
Center asked now if the last look at the customer is longer ago; when it gives
no answer in time, the command fails, or with --allow-stale shows what is known.

Examples:
  customer-guard get contoso/ID
  customer-guard get contoso/ID --max-staleness 15m --allow-stale
  customer-guard get contoso/ID -o json | jq .primaryContact.email";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Options {
    /// The customer: ACCOUNT/ID, or its full name
    #[arg(value_name = "CUSTOMER", value_parser = names::customer)]
    name: String,
    /// How long ago the last look at it may be, such as 15m
    #[arg(long, value_name = "DURATION", value_parser = times::duration)]
    max_staleness: Option<Duration>,
    /// Show it as it is when it cannot be made that fresh
    #[arg(long, requires = "max_staleness")]
    allow_stale: bool,
    /// The revision it must have reached, such as that of your last write
    #[arg(long, value_name = "REVISION", default_value_t = 0, hide_default_value = true)]
    min_revision: i64,
    /// How much of it to show; basic is without personal data
    #[arg(long, value_enum, default_value_t)]
    view: View,
}

pub(super) async fn run(options: Options, session: &Session) -> Result<(), Failure> {
    let Options { name, max_staleness, allow_stale, min_revision, view } = options;
    let max_staleness = max_staleness.map(prost_types::Duration::try_from).transpose().map_err(anyhow::Error::from)?;
    let request = proto::GetCustomerRequest { name, view: view.of_message(), max_staleness, allow_stale, min_revision };
    let found = session.answer(session.customers().get_customer(request)).await?;
    customer::print(session, &found).await
}
