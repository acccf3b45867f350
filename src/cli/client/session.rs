//! The connection to a running service: where it is, how long to wait, and what an answer or its absence means.

use std::time::Duration;

use clap::Args;
use customer_guard::grpc::proto::customer_service_client::CustomerServiceClient;
use customer_guard::grpc::proto::decision_service_client::DecisionServiceClient;
use customer_guard::grpc::proto::partner_account_service_client::PartnerAccountServiceClient;
use customer_guard::grpc::proto::sync_service_client::SyncServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use super::failure::Failure;
use super::output::{Format, Output};
use super::times;

const DEFAULT_SERVER: &str = "http://127.0.0.1:50051";
const AGENT: &str = concat!("customer-guard/", env!("CARGO_PKG_VERSION"));
/// A service that is there takes the connection at once; waiting longer only delays the explanation.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How often a quiet connection is tried, so that a watch hears of one that broke.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// What every command that asks a service understands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection and output")]
pub(super) struct ServiceOptions {
    /// The service to ask
    #[arg(
        long, global = true, value_name = "URL", value_parser = server, default_value = DEFAULT_SERVER,
        env = "CUSTOMER_GUARD_SERVER", hide_env_values = true
    )]
    server: String,
    /// How long one answer may take, such as 500ms, 30s or 2m
    #[arg(long, global = true, value_name = "DURATION", value_parser = times::duration, default_value = "30s")]
    timeout: Duration,
    /// How answers are printed: for people, or for programs as proto3 JSON
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub(super) output: Format,
}

/// The address as a connection wants it. Empty counts as not given, as container tools set what they have no value for.
fn server(text: &str) -> Result<String, String> {
    let address = match text {
        "" => DEFAULT_SERVER.to_owned(),
        text if text.contains("://") => text.to_owned(),
        text => format!("http://{text}"),
    };
    let sound = address.starts_with("http://") && Endpoint::from_shared(address.clone()).is_ok();
    sound.then_some(address).ok_or_else(|| format!("an address is written like {DEFAULT_SERVER}"))
}

/// A connection, and how to print what comes over it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) output: Output,
    server: String,
    timeout: Duration,
    channel: Channel,
}

impl Session {
    /// Connects, or explains why it cannot.
    pub(super) async fn open(options: ServiceOptions, output: Output) -> Result<Self, Failure> {
        let ServiceOptions { server, timeout, output: _ } = options;
        let unreachable = |error: tonic::transport::Error| Failure::unreachable(&server, &error);
        let endpoint = Endpoint::from_shared(server.clone()).and_then(|endpoint| endpoint.user_agent(AGENT));
        let endpoint = endpoint.map_err(unreachable)?.connect_timeout(timeout.min(CONNECT_WITHIN));
        let endpoint = endpoint.http2_keep_alive_interval(KEEP_ALIVE).keep_alive_while_idle(true);
        let channel = endpoint.connect().await.map_err(unreachable)?;
        Ok(Self { output, server, timeout, channel })
    }

    pub(super) fn customers(&self) -> CustomerServiceClient<Channel> {
        CustomerServiceClient::new(self.channel.clone())
    }

    pub(super) fn sync(&self) -> SyncServiceClient<Channel> {
        SyncServiceClient::new(self.channel.clone())
    }

    pub(super) fn decisions(&self) -> DecisionServiceClient<Channel> {
        DecisionServiceClient::new(self.channel.clone())
    }

    pub(super) fn accounts(&self) -> PartnerAccountServiceClient<Channel> {
        PartnerAccountServiceClient::new(self.channel.clone())
    }

    /// Waits for one answer, no longer than `--timeout`.
    pub(super) async fn answer<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(Failure::from(status)),
            Err(_) => Err(Failure::TimedOut { server: self.server.clone(), after: self.timeout }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_leave_out_the_scheme_and_an_empty_one_is_the_default() {
        assert_eq!(server("127.0.0.1:9"), Ok("http://127.0.0.1:9".to_owned()));
        assert_eq!(server("http://guard.example:50051"), Ok("http://guard.example:50051".to_owned()));
        assert_eq!(server(""), Ok(DEFAULT_SERVER.to_owned()));
        for wrong in ["ftp://guard.example", "https://guard.example", "http://", "a b"] {
            assert!(server(wrong).is_err(), "{wrong}");
        }
    }
}
