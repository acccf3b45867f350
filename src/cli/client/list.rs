//! `list`: customers of one account or of all, one line each.

use clap::Args;
use customer_guard::clock::Timestamp;
use customer_guard::grpc::proto;

use super::customer::{self, View};
use super::failure::Failure;
use super::listing::{self, Limit};
use super::session::Session;
use super::table::{Cell, Column};
use super::{names, times, words};

const EXAMPLES: &str = "\
The filter is in the language of AIP-160: = != < > compare, : means contains,
words that stand alone are looked for in names, domain, e-mail and reference.
OR binds tighter than AND.

Examples:
  customer-guard list contoso
  customer-guard list --filter 'sync_state = QUARANTINED'
  customer-guard list contoso --filter 'company_name:bakery' --order-by domain
  customer-guard list --filter 'NOT verified_at > \"2026-01-01T00:00:00Z\"'
  customer-guard list --all -o json | jq -r '.[].domain'";

/// In the order they stand; the ranks say which go first where there is little room.
const COLUMNS: [Column; 6] = [
    Column::whole("CUSTOMER"),
    Column::ranked(1, "COMPANY").shortest(18),
    Column::ranked(4, "DOMAIN").shortest(14),
    Column::ranked(5, "SOURCE"),
    Column::ranked(2, "STATE").shortest(12),
    Column::ranked(3, "VERIFIED"),
];

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Options {
    /// The partner account, or - for all of them
    #[arg(value_name = "ACCOUNT", value_parser = names::accounts, default_value = "-")]
    parent: String,
    /// Only those that fulfil it
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    filter: String,
    /// In which order, such as "company_name desc, create_time"
    #[arg(long, value_name = "FIELDS", default_value = "", hide_default_value = true)]
    order_by: String,
    /// Deleted ones as well
    #[arg(long)]
    deleted: bool,
    #[command(flatten)]
    limit: Limit,
    /// How much of each, in JSON; basic is without personal data
    #[arg(long, value_enum, default_value_t)]
    view: View,
}

pub(super) async fn run(options: Options, session: &Session) -> Result<(), Failure> {
    let Options { parent, filter, order_by, deleted, limit, view } = options;
    // The table shows nothing personal, so that nothing personal is asked for.
    let view = if session.output.is_json() { view } else { View::Basic };
    let page = async |page_size, page_token| {
        let request = proto::ListCustomersRequest {
            parent: parent.clone(),
            page_size,
            page_token,
            show_deleted: deleted,
            filter: filter.clone(),
            order_by: order_by.clone(),
            view: view.of_message(),
        };
        let page = session.answer(session.customers().list_customers(request)).await?;
        Ok((page.customers, page.next_page_token))
    };
    let now = session.output.now;
    listing::print(session.output, limit, &COLUMNS, |customer| row(customer, now), page).await
}

fn row(customer: &proto::Customer, now: Timestamp) -> Vec<Cell> {
    vec![
        names::short(&customer.name).into(),
        (&customer.company_name).into(),
        (&customer.domain).into(),
        words::source(customer.source()).into(),
        customer::state(customer),
        times::age(customer.verified_at.as_ref(), now).into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::screen::Screen;
    use super::super::table::Table;
    use super::*;

    const NOW: i64 = 1_700_000_000;
    const ID: &str = "0198c0de-7000-7000-8000-000000000001";

    fn at(width: Option<usize>) -> String {
        let customer = |company: &str, domain: &str, source: proto::Source, state: proto::SyncState| proto::Customer {
            name: format!("partnerAccounts/northwind/customers/{ID}"),
            company_name: company.to_owned(),
            domain: domain.to_owned(),
            source: source.into(),
            sync_state: state.into(),
            verified_at: (source == proto::Source::Microsoft)
                .then_some(prost_types::Timestamp { seconds: NOW - 180, nanos: 0 }),
            ..Default::default()
        };
        let customers = [
            customer(
                "Zemgales Maiznīca un Konditoreja SIA",
                "zemgales-maiznica.example",
                proto::Source::Microsoft,
                proto::SyncState::HeldForRemoval,
            ),
            customer("Ann", "ann.example", proto::Source::Platform, proto::SyncState::Unspecified),
        ];
        let rows: Vec<_> =
            customers.iter().map(|customer| row(customer, Timestamp::from_micros(NOW * 1_000_000))).collect();
        Table::whole(&COLUMNS, &rows, Screen { width, colored: false })
    }

    #[test]
    fn at_80_columns_the_name_the_company_and_the_state_remain() {
        let expected = format!(
            "CUSTOMER                                        COMPANY                    STATE\n\
             northwind/{ID}  Zemgales Maiznīca un Kon…  held\n\
             northwind/{ID}  Ann                        own\n"
        );
        assert_eq!(at(Some(80)), expected);
    }

    #[test]
    fn at_160_columns_everything_is_there_and_whole() {
        let expected = format!(
            "CUSTOMER                                        COMPANY                               DOMAIN                     \
             SOURCE     STATE  VERIFIED\n\
             northwind/{ID}  Zemgales Maiznīca un Konditoreja SIA  zemgales-maiznica.example  Microsoft  held   3 \
             min ago\n\
             northwind/{ID}  Ann                                   ann.example                platform   own\n"
        );
        assert_eq!(at(None), expected);
        let fitted = at(Some(160));
        assert_eq!(fitted, expected);
    }
}
