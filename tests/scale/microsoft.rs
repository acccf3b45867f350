//! Partner Center, as a process of its own, and its control interface.

use std::process::Command;
use std::time::Instant;

use customer_guard::simulator::calls::Calls;
use customer_guard::simulator::customer::Customer;
use reqwest::{Client, RequestBuilder};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::process::{Process, address_in};

/// Customers asked for at a time.
const PAGE: usize = 1_000;

pub struct Microsoft {
    process: Process,
    client: Client,
    pub root: String,
}

impl Microsoft {
    /// Starts one whose partner contoso has so many customers.
    pub async fn with_customers(count: u64) -> Self {
        let began = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_partner-center-sim"));
        command.env_clear().args(["--listen", "127.0.0.1:0", "--customers", "0"]);
        let mut process = Process::start(command);
        let root = format!("http://{}", address_in(&process.line_with("API root")));
        let client = Client::builder().no_proxy().build().expect("a client");
        let microsoft = Self { process, client, root };
        let seeded: Value = answer(microsoft.client.post(microsoft.path("seed")).json(&json!({"count": count}))).await;
        assert_eq!(seeded["customers"], count, "no two were drawn with one id");
        let mebibytes = microsoft.process.resident() / (1024 * 1024);
        println!("Partner Center: {count} customers after {:?}, {mebibytes} MiB", began.elapsed());
        microsoft
    }

    fn path(&self, below: &str) -> String {
        format!("{}/control/v1/partners/contoso/{below}", self.root)
    }

    pub async fn calls(&self) -> Calls {
        answer(self.client.get(self.path("calls"))).await
    }

    /// Every customer as it truly is, in the order of ids.
    pub async fn for_each_customer(&self, mut look: impl FnMut(Customer)) {
        let mut after: Option<Uuid> = None;
        loop {
            let below = match after {
                Some(after) => format!("customers?limit={PAGE}&after={after}"),
                None => format!("customers?limit={PAGE}"),
            };
            let page: Vec<Customer> = answer(self.client.get(self.path(&below))).await;
            let Some(last) = page.last() else { return };
            after = Some(last.id);
            page.into_iter().for_each(&mut look);
        }
    }

    pub async fn customer(&self, id: Uuid) -> Customer {
        answer(self.client.get(self.path(&format!("customers/{id}")))).await
    }

    /// Changes the e-mail address of a customer. The audit log tells when it was the partner, not when it was the customer.
    pub async fn change(&self, id: Uuid, email: &str, is_audited: bool) {
        let manner = if is_audited { "" } else { "?silently" };
        let path = self.path(&format!("customers/{id}/billing-profile{manner}"));
        let _: Value = answer(self.client.patch(path).json(&json!({"email": email}))).await;
    }

    pub fn resident(&self) -> u64 {
        self.process.resident()
    }
}

async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> T {
    let response = request.send().await.expect("Partner Center answers");
    let response = response.error_for_status().expect("a success");
    response.json().await.expect("what was asked for")
}
