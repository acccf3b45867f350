//! Puts the services behind a listener, with health and reflection, and stops them.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::InterceptorLayer;
use tonic_health::server::HealthReporter;
use tonic_reflection::server::Builder;

use crate::grpc::customers::Customers;
use crate::grpc::deadline::DeadlineLayer;
use crate::grpc::decisions::Decisions;
use crate::grpc::limits::{self, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
use crate::grpc::partner_accounts::PartnerAccounts;
use crate::grpc::proto::customer_service_server::CustomerServiceServer;
use crate::grpc::proto::decision_service_server::DecisionServiceServer;
use crate::grpc::proto::partner_account_service_server::PartnerAccountServiceServer;
use crate::grpc::proto::sync_service_server::SyncServiceServer;
use crate::grpc::sync::Sync;
use crate::grpc::{Serving, proto};

/// Whose health is told; the empty name stands for the whole.
const SERVICES: [&str; 5] = [
    "",
    "customerguard.v1.CustomerService",
    "customerguard.v1.DecisionService",
    "customerguard.v1.PartnerAccountService",
    "customerguard.v1.SyncService",
];

/// How long open calls may go on after a stop is asked for. An open stream never ends by itself.
const GRACE: Duration = Duration::from_secs(3);

/// Why serving ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The transport failed.
    #[error("the gRPC server failed")]
    Transport(#[source] tonic::transport::Error),
    /// The descriptors built into the binary are broken.
    #[error("reflection cannot be served")]
    Reflection(#[source] tonic_reflection::server::Error),
}

/// Tells health checks whether the services can be used.
#[derive(Clone, Debug)]
pub struct Health(HealthReporter);

impl Health {
    /// The services can, or cannot, be used now.
    pub async fn set(&self, healthy: bool) {
        let status =
            if healthy { tonic_health::ServingStatus::Serving } else { tonic_health::ServingStatus::NotServing };
        for service in SERVICES {
            self.0.set_service_status(service, status).await;
        }
    }
}

/// Serves until `stop`, then lets open calls finish for a moment.
pub async fn serve(
    serving: Arc<Serving>,
    listener: TcpListener,
    stop: CancellationToken,
    when_ready: impl AsyncFnOnce(Health),
) -> Result<(), ServeError> {
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let health = Health(reporter);
    let callers = serving.callers.clone();
    let customers = CustomerServiceServer::new(Customers(Arc::clone(&serving)))
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let decisions = DecisionServiceServer::new(Decisions(Arc::clone(&serving)))
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let partner_accounts = PartnerAccountServiceServer::new(PartnerAccounts(Arc::clone(&serving)))
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let sync = SyncServiceServer::new(Sync(serving))
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let router = limits::server()
        .layer(InterceptorLayer::new(move |request| callers.recognize(request)))
        .layer(DeadlineLayer::USUAL)
        .add_service(health_service)
        .add_service(reflection().build_v1().map_err(ServeError::Reflection)?)
        .add_service(reflection().build_v1alpha().map_err(ServeError::Reflection)?)
        .add_service(customers)
        .add_service(decisions)
        .add_service(partner_accounts)
        .add_service(sync);
    when_ready(health.clone()).await;
    let stopped = async {
        stop.cancelled().await;
        health.set(false).await;
    };
    let connections = limits::connections(listener);
    let out_of_patience = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = router.serve_with_incoming_shutdown(connections, stopped) => served.map_err(ServeError::Transport),
        () = out_of_patience => Ok(()),
    }
}

fn reflection() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
