//! `healthcheck`: asks a running service by the standard gRPC health protocol, for containers and scripts.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use customer_guard::config::{Config, Environment};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{FileOption, print};

/// Beyond this a service is as good as dead to whoever asks.
const PATIENCE: Duration = Duration::from_secs(3);

const EXAMPLES: &str = "\
Exit code 0 if it is healthy, 1 if it is not or does not answer in 3 seconds.

Examples:
  customer-guard healthcheck
  customer-guard healthcheck --address 127.0.0.1:50052";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    #[command(flatten)]
    file: FileOption,
    /// Where the service listens; without it, as the configuration says [env: CUSTOMER_GUARD_LISTEN]
    #[arg(long, value_name = "ADDRESS:PORT")]
    address: Option<SocketAddr>,
}

pub(super) async fn run(options: Options) -> anyhow::Result<()> {
    let address = match options.address {
        Some(address) => address,
        None => Config::read_listen(options.file.sources(&Environment::of_process(), &[]))?,
    };
    let asked = tokio::time::timeout(PATIENCE, ask(address)).await;
    match asked.with_context(|| format!("{address} did not answer within {} s", PATIENCE.as_secs()))?? {
        ServingStatus::Serving => print("healthy\n"),
        other => bail!("{address} answers, and is not healthy: {}", other.as_str_name()),
    }
}

async fn ask(address: SocketAddr) -> anyhow::Result<ServingStatus> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).context("the address is none")?;
    let channel = endpoint.connect().await.with_context(|| format!("nobody answers at {address}"))?;
    let mut health = HealthClient::new(channel);
    let request = HealthCheckRequest { service: String::new() };
    let answer = health.check(request).await.context("the answer is no health status")?;
    Ok(answer.into_inner().status())
}
