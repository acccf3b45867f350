//! A demo to ask, with 60 customers.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use customer_guard::grpc::proto;
use customer_guard::grpc::proto::customer_service_client::CustomerServiceClient;
use serde_json::Value;
use tempfile::TempDir;

use super::{program, stderr, stdout};

/// A demo that ends with the test.
pub struct Demo {
    child: Child,
    server: String,
    _folder: TempDir,
}

impl Demo {
    /// Starts one and waits until its customers are there.
    pub fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let data = folder.path().to_str().expect("a path that is text");
        let ports = ["--listen", "127.0.0.1:0", "--sim-listen", "127.0.0.1:0", "--data-dir", data];
        let mut command = program(&[&["demo", "--customers", "60"], ports.as_slice()].concat());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
        let mut demo = Self { child, server: String::new(), _folder: folder };
        let lines = BufReader::new(demo.child.stdout.take().expect("standard output is piped")).lines();
        for line in lines.map(|line| line.expect("text")) {
            if let Some(told) = line.trim().strip_prefix("gRPC ") {
                demo.server = told.split(',').next().expect("an address").trim().to_owned();
            }
            if line.contains("Ctrl-C ends the demo") {
                return demo;
            }
        }
        panic!("the demo ended before it was ready");
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = program(&line.split(' ').collect::<Vec<_>>());
        command.env("CUSTOMER_GUARD_SERVER", &self.server);
        command
    }

    pub fn ask(&self, line: &str) -> Output {
        self.command(line).output().expect("the program starts")
    }

    /// What a command that succeeds prints.
    pub fn text(&self, line: &str) -> String {
        let ended = self.ask(line);
        assert_eq!(ended.status.code(), Some(0), "{line}: {}", stderr(&ended));
        stdout(&ended).to_owned()
    }

    /// The same, as JSON.
    pub fn json(&self, line: &str) -> Value {
        let text = self.text(&format!("{line} --output json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}\n{text}"))
    }

    /// How a command that fails ends: its exit code, and the error as JSON.
    pub fn failure(&self, line: &str) -> (Option<i32>, Value) {
        let ended = self.ask(&format!("{line} --output json"));
        assert_eq!(stdout(&ended), "", "{line}");
        let error = serde_json::from_str(stderr(&ended)).unwrap_or_else(|_| panic!("{line}: {}", stderr(&ended)));
        (ended.status.code(), error)
    }

    /// Makes one edit that is refused.
    pub fn refused_edit(&self, name: &str) {
        let customer =
            proto::Customer { name: name.to_owned(), company_name: "Another".to_owned(), ..Default::default() };
        let request = proto::UpdateCustomerRequest { customer: Some(customer), ..Default::default() };
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let client = CustomerServiceClient::connect(format!("http://{}", self.server)).await;
            client.expect("a connection").update_customer(request).await.expect_err("a refusal");
        });
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // A test that failed half-way must not leave it behind; one that has ended cannot be killed, which is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The short form of a customer's name.
pub fn short(customer: &Value) -> String {
    let name = customer["name"].as_str().expect("a name");
    name.replace("partnerAccounts/", "").replace("/customers/", "/")
}
