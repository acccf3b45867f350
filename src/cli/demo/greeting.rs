//! What the demo says when it is ready: where everything is, and three calls to paste that fit the data.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use customer_guard::domain::contact::ContactField;
use customer_guard::domain::customer::{Customer, Relationship};
use customer_guard::domain::ids::PartnerAccountId;
use customer_guard::store::{CustomerQuery, Store};

/// Whose customer the calls are about: a partner that may edit in Partner Center.
const ACCOUNT: &str = "contoso";
/// So many customers are looked through for one that can be shown.
const LOOKED_THROUGH: u32 = 100;
/// The domain of the pasted change.
const PASTED_DOMAIN: &str = "@there.example";

const TEXT: &str = r#"
Customer Guard is ready.

  gRPC            {grpc}, with reflection
  Partner Center  http://{simulator}, simulated
  Play Microsoft  http://{simulator}/control/v1 explains how
  Data folder     {folder}
                  (log: customer-guard.log)

For this machine only: callers cannot prove who they are yet.
Paste into another terminal; grpcurl is at github.com/fullstorydev/grpcurl.

1. List customers:

grpcurl -plaintext -d '{"parent": "partnerAccounts/{account}", "pageSize": 2}' \
  {grpc} customerguard.v1.CustomerService/ListCustomers

2. Change what Partner Center owns, and be refused:

grpcurl -plaintext -d '{"customer": {"name":
  "{name}",
  "primaryContact": {"email": "changed@here.example"}}}' \
  {grpc} customerguard.v1.CustomerService/UpdateCustomer

3. Change it in Partner Center; after about {seconds} s it is here:

microsoft=http://{simulator}/control/v1/partners/{account}/customers
curl -s -X PATCH -d '{"email": "changed@there.example"}' \
  $microsoft/{tenant}/billing-profile
grpcurl -plaintext -d '{"name":
  "{name}"}' \
  {grpc} customerguard.v1.CustomerService/GetCustomer

This program asks, too; customer-guard --help tells more:

customer-guard list {account} --server {grpc}

Ctrl-C ends the demo.
"#;

/// What has to be told.
pub(super) struct Greeting {
    /// Where gRPC is served.
    pub grpc: SocketAddr,
    /// Where the simulator is served.
    pub simulator: SocketAddr,
    /// Where everything is kept.
    pub folder: PathBuf,
    /// How often the audit log is read.
    pub poll: Duration,
}

impl Greeting {
    /// The greeting, with a customer of the store in it.
    pub(super) async fn text(&self, store: &Store) -> anyhow::Result<String> {
        let accounts = BTreeSet::from([ACCOUNT.parse::<PartnerAccountId>()?]);
        let query = CustomerQuery { accounts, ..CustomerQuery::default() };
        let customers = store.find_customers(&query, None, LOOKED_THROUGH).await?;
        let guarded = customers.iter().filter(|customer| customer.relationship() == Some(Relationship::Active));
        // A few have no e-mail address, and some may have been changed by an earlier paste: the change would not show.
        let shows_a_change = |customer: &&Customer| {
            let email = customer.primary_contact.get(ContactField::Email);
            !email.is_empty() && !email.ends_with(PASTED_DOMAIN)
        };
        Ok(self.about(guarded.clone().find(shows_a_change).or_else(|| guarded.clone().next())))
    }

    /// Without a customer, as somebody may have ended every relationship, its ids are left to be filled in.
    fn about(&self, customer: Option<&Customer>) -> String {
        let id = customer.map_or("ID".to_owned(), |customer| customer.id.to_string());
        let tenant = customer.and_then(|customer| customer.microsoft.as_ref());
        let tenant = tenant.map_or("TENANT".to_owned(), |link| link.tenant_id.to_string());
        TEXT.replace("{grpc}", &self.grpc.to_string())
            .replace("{simulator}", &self.simulator.to_string())
            .replace("{folder}", &self.folder.display().to_string())
            .replace("{account}", ACCOUNT)
            .replace("{name}", &format!("partnerAccounts/{ACCOUNT}/customers/{id}"))
            .replace("{tenant}", &tenant)
            .replace("{seconds}", &self.poll.as_secs().to_string())
    }
}
