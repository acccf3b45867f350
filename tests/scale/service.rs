//! The service, as a process of its own.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use customer_guard::app::App;
use customer_guard::clock::Clock;
use customer_guard::config::{Config, Environment, Sources};
use customer_guard::grpc::proto::customer_service_client::CustomerServiceClient;
use customer_guard::grpc::proto::sync_service_client::SyncServiceClient;
use customer_guard::telemetry;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::process::{Process, address_in};
use crate::setting;

/// Told to [`serve_without_a_pace`].
const CONFIGURATION: &str = "SCALE_CONFIGURATION";
/// More calls a minute than any machine makes.
const NO_PACE: u32 = 60_000_000;
/// More than the longest answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Service {
    pub process: Process,
    pub customers: CustomerServiceClient<Channel>,
    pub sync: SyncServiceClient<Channel>,
}

impl Service {
    /// Starts it and waits until it serves.
    pub async fn start(configuration: &Path) -> Self {
        let mut command = if is_unpaced() {
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.args(["--exact", "the_service_without_a_pace", "--ignored", "--nocapture"]);
            command
        } else {
            let mut command = Command::new(env!("CARGO_BIN_EXE_customer-guard"));
            command.args(["serve", "--config"]).arg(configuration);
            command
        };
        command.env_clear().env(CONFIGURATION, configuration);
        let mut process = Process::start(command);
        let address = address_in(&process.line_with("serving gRPC on"));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address").timeout(PATIENCE);
        let channel = endpoint.connect().await.expect("the service accepts");
        let customers = CustomerServiceClient::new(channel.clone()).max_decoding_message_size(usize::MAX);
        Self { process, customers, sync: SyncServiceClient::new(channel) }
    }
}

pub fn is_unpaced() -> bool {
    setting("SCALE_UNPACED").is_some_and(|unpaced| unpaced != 0)
}

/// What `customer-guard serve` does, at a pace that no configuration may have: a higher one than Partner Center allows
/// anybody would be a slip of the pen.
pub fn serve_without_a_pace() {
    let file = std::env::var_os(CONFIGURATION).expect("a configuration");
    let environment = Environment::of_process();
    let sources = Sources { file: Some(file.as_ref()), environment: &environment, flags: &[] };
    let mut config = Config::read(sources).unwrap_or_else(|problems| panic!("{problems}"));
    telemetry::start(&config.log).expect("a log");
    for account in &mut config.app.accounts {
        account.partner_center.requests_per_minute = NO_PACE.try_into().expect("not zero");
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let app = App::build(config.app, Clock::system()).await.expect("a sound configuration");
        println!("serving gRPC on {}", app.address());
        app.run(CancellationToken::new()).await.expect("it serves");
    });
}
