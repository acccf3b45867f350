//! `pause` and `resume`: whether what Partner Center says of one customer is applied.

use clap::Args;
use customer_guard::grpc::proto;

use super::failure::Failure;
use super::session::Session;
use super::{customer, names};

const PAUSE: &str = "\
What Partner Center says of the customer is not applied until `resume`. What it
owns stays locked. Pausing a paused customer changes the reason.

Examples:
  customer-guard pause contoso/ID --reason 'merger under way, ask anna'";

const RESUME: &str = "\
The customer is looked at at once.

Examples:
  customer-guard resume contoso/ID";

#[derive(Debug, Args)]
#[command(after_help = PAUSE)]
pub(in crate::cli) struct PauseOptions {
    /// The customer: ACCOUNT/ID, or its full name
    #[arg(value_name = "CUSTOMER", value_parser = names::customer)]
    name: String,
    /// Why, for whoever wonders later
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Args)]
#[command(after_help = RESUME)]
pub(in crate::cli) struct ResumeOptions {
    /// The customer: ACCOUNT/ID, or its full name
    #[arg(value_name = "CUSTOMER", value_parser = names::customer)]
    name: String,
}

pub(super) async fn pause(options: PauseOptions, session: &Session) -> Result<(), Failure> {
    let PauseOptions { name, reason } = options;
    let request = proto::PauseCustomerRequest { name, reason, request_id: String::new() };
    let paused = session.answer(session.sync().pause_customer(request)).await?;
    customer::print(session, &paused).await
}

pub(super) async fn resume(options: ResumeOptions, session: &Session) -> Result<(), Failure> {
    let request = proto::ResumeCustomerRequest { name: options.name, request_id: String::new() };
    let resumed = session.answer(session.sync().resume_customer(request)).await?;
    customer::print(session, &resumed).await
}
