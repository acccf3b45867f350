//! Holds: parse, call the operation, convert.

use tonic::{Request, Response, Status};

use crate::grpc::{Serving, proto};

pub(super) async fn list_holds(
    _serving: &Serving,
    _request: Request<proto::ListHoldsRequest>,
) -> Result<Response<proto::ListHoldsResponse>, Status> {
    Err(Status::unimplemented("STUB"))
}

pub(super) async fn approve_hold(
    _serving: &Serving,
    _request: Request<proto::ApproveHoldRequest>,
) -> Result<Response<proto::Hold>, Status> {
    Err(Status::unimplemented("STUB"))
}

pub(super) async fn dismiss_hold(
    _serving: &Serving,
    _request: Request<proto::DismissHoldRequest>,
) -> Result<Response<proto::Hold>, Status> {
    Err(Status::unimplemented("STUB"))
}
