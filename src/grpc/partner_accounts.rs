//! `PartnerAccountService`: parse, call the operation, convert.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::grpc::proto::partner_account_service_server::PartnerAccountService;
use crate::grpc::{Serving, proto};

/// The service.
#[derive(Clone, Debug)]
pub struct PartnerAccounts(pub(super) Arc<Serving>);

#[tonic::async_trait]
impl PartnerAccountService for PartnerAccounts {
    async fn get_partner_account(
        &self,
        _request: Request<proto::GetPartnerAccountRequest>,
    ) -> Result<Response<proto::PartnerAccount>, Status> {
        Err(Status::unimplemented("STUB"))
    }

    async fn list_partner_accounts(
        &self,
        _request: Request<proto::ListPartnerAccountsRequest>,
    ) -> Result<Response<proto::ListPartnerAccountsResponse>, Status> {
        Err(Status::unimplemented("STUB"))
    }

    async fn create_partner_account(
        &self,
        _request: Request<proto::CreatePartnerAccountRequest>,
    ) -> Result<Response<proto::PartnerAccount>, Status> {
        Err(Status::unimplemented("STUB"))
    }

    async fn update_partner_account(
        &self,
        _request: Request<proto::UpdatePartnerAccountRequest>,
    ) -> Result<Response<proto::PartnerAccount>, Status> {
        Err(Status::unimplemented("STUB"))
    }

    async fn set_partner_account_credentials(
        &self,
        _request: Request<proto::SetPartnerAccountCredentialsRequest>,
    ) -> Result<Response<proto::PartnerAccount>, Status> {
        Err(Status::unimplemented("STUB"))
    }

    async fn check_partner_account_health(
        &self,
        _request: Request<proto::CheckPartnerAccountHealthRequest>,
    ) -> Result<Response<proto::PartnerAccountHealth>, Status> {
        Err(Status::unimplemented("STUB"))
    }
}
