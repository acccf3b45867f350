//! Pauses of one customer: parse, call the operation, convert.

use tonic::{Request, Response, Status};

use crate::grpc::{Serving, proto};

pub(super) async fn pause_customer(
    _serving: &Serving,
    _request: Request<proto::PauseCustomerRequest>,
) -> Result<Response<proto::Customer>, Status> {
    Err(Status::unimplemented("STUB"))
}

pub(super) async fn resume_customer(
    _serving: &Serving,
    _request: Request<proto::ResumeCustomerRequest>,
) -> Result<Response<proto::Customer>, Status> {
    Err(Status::unimplemented("STUB"))
}
