//! `resellers`: the indirect resellers of an indirect provider, and how many customers each serves.

use clap::Args;
use customer_guard::clock::Timestamp;
use customer_guard::grpc::proto;

use super::failure::Failure;
use super::listing::{self, Limit};
use super::names;
use super::screen::Tone;
use super::session::Session;
use super::table::{Cell, Column};
use super::times::age;

const EXAMPLES: &str = "\
Only an indirect provider has resellers, and Partner Center tells of them only
to an application that acts for a user; `status ACCOUNT` tells how that stands.

Examples:
  customer-guard resellers northwind
  customer-guard list --filter 'reseller = \"TENANT ID\"'";

const COLUMNS: [Column; 7] = [
    Column::whole("TENANT ID"),
    Column::ranked(1, "NAME").shortest(14),
    Column::ranked(2, "CUSTOMERS").right(),
    Column::ranked(3, "STATE"),
    Column::ranked(6, "COUNTRY"),
    Column::ranked(5, "MPN ID"),
    Column::ranked(4, "READ"),
];

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Options {
    /// The partner account
    #[arg(value_name = "ACCOUNT", value_parser = names::account)]
    parent: String,
    #[command(flatten)]
    limit: Limit,
}

pub(super) async fn run(options: Options, session: &Session) -> Result<(), Failure> {
    let Options { parent, limit } = options;
    let now = session.output.now;
    let page = async |page_size, page_token| {
        let request = proto::ListResellersRequest { parent: parent.clone(), page_size, page_token };
        let page = session.answer(session.sync().list_resellers(request)).await?;
        Ok((page.resellers, page.next_page_token))
    };
    listing::print(session.output, limit, &COLUMNS, |reseller| row(reseller, now), page).await
}

fn row(listed: &proto::IndirectReseller, now: Timestamp) -> Vec<Cell> {
    let reseller = listed.reseller.clone().unwrap_or_default();
    let state = match (listed.active, listed.upstream_state.as_str()) {
        (false, _) => Cell::toned("no longer listed", Tone::Faint),
        (true, "") => "listed".into(),
        (true, state) => state.into(),
    };
    vec![
        reseller.microsoft_tenant_id.into(),
        reseller.display_name.into(),
        listed.customers.to_string().into(),
        state,
        (&listed.location).into(),
        reseller.mpn_id.into(),
        age(listed.read_time.as_ref(), now).into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::screen::Screen;
    use crate::cli::client::table::Table;

    #[test]
    fn a_reseller_is_a_line_that_tells_whether_it_is_still_there() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let reseller = proto::Reseller {
            microsoft_tenant_id: "77777777-0000-4000-8000-000000000001".to_owned(),
            display_name: "Adatum".to_owned(),
            mpn_id: "4700001".to_owned(),
        };
        let listed = proto::IndirectReseller {
            reseller: Some(reseller),
            upstream_state: "Active".to_owned(),
            active: true,
            customers: 12,
            location: "LV".to_owned(),
            ..Default::default()
        };
        let gone = proto::IndirectReseller { active: false, customers: 0, ..listed.clone() };
        let text = Table::whole(&COLUMNS, &[row(&listed, now), row(&gone, now)], Screen::default());
        for part in ["77777777-0000-4000-8000-000000000001", "Adatum", "12", "Active", "no longer listed", "4700001"] {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
    }
}
