//! `refresh`: one customer, as Partner Center says it is now.

use clap::Args;
use customer_guard::grpc::proto;

use super::failure::Failure;
use super::session::Session;
use super::{customer, names};

const EXAMPLES: &str = "\
Waits until Partner Center has answered and the answer is applied. Customers of
the platform's own have nothing to be refreshed from.

Examples:
  customer-guard refresh contoso/ID";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Options {
    /// The customer: ACCOUNT/ID, or its full name
    #[arg(value_name = "CUSTOMER", value_parser = names::customer)]
    name: String,
}

pub(super) async fn run(options: Options, session: &Session) -> Result<(), Failure> {
    let request = proto::RefreshCustomerRequest { name: options.name };
    let refreshed = session.answer(session.sync().refresh_customer(request)).await?;
    customer::print(session, &refreshed).await
}
