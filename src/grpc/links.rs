//! Links between platform customers and customers in Partner Center: parse, call the operation, convert.

use tonic::{Request, Response, Status};

use crate::grpc::{Serving, proto};

pub(super) async fn link_customer(
    _serving: &Serving,
    _request: Request<proto::LinkCustomerRequest>,
) -> Result<Response<proto::LinkCustomerResponse>, Status> {
    Err(Status::unimplemented("STUB"))
}

pub(super) async fn unlink_customer(
    _serving: &Serving,
    _request: Request<proto::UnlinkCustomerRequest>,
) -> Result<Response<proto::Customer>, Status> {
    Err(Status::unimplemented("STUB"))
}

pub(super) async fn list_pending_links(
    _serving: &Serving,
    _request: Request<proto::ListPendingLinksRequest>,
) -> Result<Response<proto::ListPendingLinksResponse>, Status> {
    Err(Status::unimplemented("STUB"))
}

pub(super) async fn dismiss_pending_link(
    _serving: &Serving,
    _request: Request<proto::DismissPendingLinkRequest>,
) -> Result<Response<proto::PendingLink>, Status> {
    Err(Status::unimplemented("STUB"))
}
