//! `lookup`: one customer, by a key that others know it by.

use clap::Args;
use customer_guard::grpc::proto;
use customer_guard::grpc::proto::lookup_customer_request::Key;

use super::customer::{self, View};
use super::failure::Failure;
use super::names;
use super::session::Session;

const USAGE: &str = "\
customer-guard lookup <ACCOUNT> --tenant <TENANT_ID>
       customer-guard lookup <ACCOUNT> --domain <DOMAIN>
       customer-guard lookup <ACCOUNT> --reference <REFERENCE>";

const EXAMPLES: &str = "\
Several customers may have the same domain or reference; then nothing is shown
but their names. `list --filter` shows them all.

Examples:
  customer-guard lookup contoso --tenant 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0
  customer-guard lookup contoso --domain bakery.example
  customer-guard lookup contoso --reference CRM-1042";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub(in crate::cli) struct Options {
    /// The partner account
    #[arg(value_name = "ACCOUNT", value_parser = names::account)]
    parent: String,
    #[command(flatten)]
    by: By,
    /// How much of it to show; basic is without personal data
    #[arg(long, value_enum, default_value_t)]
    view: View,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct By {
    /// The Microsoft tenant id
    #[arg(long, value_name = "TENANT_ID")]
    tenant: Option<String>,
    /// The domain
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// The external reference
    #[arg(long, value_name = "REFERENCE")]
    reference: Option<String>,
}

pub(super) async fn run(options: Options, session: &Session) -> Result<(), Failure> {
    let Options { parent, by, view } = options;
    let tenant = by.tenant.map(Key::MicrosoftTenantId);
    let key = tenant.or(by.domain.map(Key::Domain)).or(by.reference.map(Key::ExternalReference));
    let request = proto::LookupCustomerRequest { parent, key, view: view.of_message() };
    let found = session.answer(session.customers().lookup_customer(request)).await?;
    customer::print(session, &found).await
}
