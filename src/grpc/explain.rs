//! `ExplainCustomer`: parse, call the operation, convert.

use tonic::{Request, Response, Status};

use crate::grpc::{Serving, proto};

pub(super) async fn explain_customer(
    _serving: &Serving,
    _request: Request<proto::ExplainCustomerRequest>,
) -> Result<Response<proto::CustomerExplanation>, Status> {
    Err(Status::unimplemented("STUB"))
}
