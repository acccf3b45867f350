//! `WatchCustomers`: a stream of changes that can be resumed.

use std::pin::Pin;

use futures::Stream;
use tonic::{Request, Response, Status};

use crate::grpc::{Serving, proto};

/// The stream.
pub(super) type Events = Pin<Box<dyn Stream<Item = Result<proto::WatchCustomersResponse, Status>> + Send>>;

pub(super) async fn watch_customers(
    _serving: &Serving,
    _request: Request<proto::WatchCustomersRequest>,
) -> Result<Response<Events>, Status> {
    Err(Status::unimplemented("STUB"))
}
