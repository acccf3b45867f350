//! `PartnerAccountService`: parse, call the operation, convert.

use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;
use tonic::{Request, Response, Status};

use crate::domain::account::AccountRecord;
use crate::grpc::account_messages::{self, creation_of, partner_account, update_of};
use crate::grpc::details::invalid;
use crate::grpc::page_token::TokenContext;
use crate::grpc::proto::partner_account_service_server::PartnerAccountService;
use crate::grpc::requests::{both, page_size};
use crate::grpc::{Serving, caller, credential_trials, names, proto, repeat, status};
use crate::operations::check_partner_account_health::check_partner_account_health;
use crate::operations::create_partner_account::create_partner_account;
use crate::operations::once::{Once, Outcome};
use crate::operations::partner_accounts::{get_partner_account, list_partner_accounts};
use crate::operations::rotate_webhook_secret::rotate_webhook_secret;
use crate::operations::set_partner_account_credentials::{GivenCredentials, set_partner_account_credentials};
use crate::operations::update_partner_account::update_partner_account;

/// The service.
#[derive(Clone, Debug)]
pub struct PartnerAccounts(pub(super) Arc<Serving>);

impl fmt::Debug for proto::SetPartnerAccountCredentialsRequest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, client_id, client_secret: _, client_certificate: _, refresh_token: _ } = self;
        out.debug_struct("SetPartnerAccountCredentialsRequest")
            .field("name", name)
            .field("client_id", client_id)
            .finish_non_exhaustive()
    }
}

fn kept(record: &AccountRecord) -> Vec<u8> {
    repeat::keep(Ok(partner_account(record)))
}

fn answered(outcome: Outcome<AccountRecord>) -> Result<Response<proto::PartnerAccount>, Status> {
    match outcome {
        Outcome::Now(record) => Ok(Response::new(partner_account(&record))),
        Outcome::Before(answer) => repeat::again(&answer).map(Response::new),
    }
}

#[tonic::async_trait]
impl PartnerAccountService for PartnerAccounts {
    async fn get_partner_account(
        &self,
        request: Request<proto::GetPartnerAccountRequest>,
    ) -> Result<Response<proto::PartnerAccount>, Status> {
        let caller = caller::of(&request)?;
        let account = names::account("name", &request.get_ref().name).map_err(|problem| invalid(&[problem]))?;
        let found = get_partner_account(&self.0.store, &self.0.accounts, &caller, &account).await;
        Ok(Response::new(partner_account(&found.map_err(status::partner_account)?)))
    }

    async fn list_partner_accounts(
        &self,
        request: Request<proto::ListPartnerAccountsRequest>,
    ) -> Result<Response<proto::ListPartnerAccountsResponse>, Status> {
        let caller = caller::of(&request)?;
        let request = request.into_inner();
        let size = page_size(request.page_size).map_err(|problem| invalid(&[problem]))?;
        let context = TokenContext { list: "ListPartnerAccounts", parent: "", caller: &caller.subject };
        let after = self.0.begin_of_page(context, &request.page_token, |place| place.parse().ok()).await?;
        let listed = list_partner_accounts(&self.0.store, &self.0.accounts, &caller, after.as_ref(), size).await;
        let listed = listed.map_err(status::partner_account)?;
        let next_page_token = self.0.next_page_token(context, listed.next.as_ref()).await?;
        let partner_accounts = listed.accounts.iter().map(partner_account).collect();
        Ok(Response::new(proto::ListPartnerAccountsResponse { partner_accounts, next_page_token }))
    }

    async fn create_partner_account(
        &self,
        request: Request<proto::CreatePartnerAccountRequest>,
    ) -> Result<Response<proto::PartnerAccount>, Status> {
        let caller = caller::of(&request)?;
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let key = repeat::key(&caller, "CreatePartnerAccount", &request_id, &request);
        let (wanted, key) = both(creation_of(&request), key).map_err(|problems| invalid(&problems))?;
        let once = key.map(|key| Once { key, answer: &kept });
        let created = create_partner_account(&self.0.store, &self.0.accounts, &caller, wanted, once).await;
        answered(created.map_err(status::create_partner_account)?)
    }

    async fn update_partner_account(
        &self,
        request: Request<proto::UpdatePartnerAccountRequest>,
    ) -> Result<Response<proto::PartnerAccount>, Status> {
        let caller = caller::of(&request)?;
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let key = repeat::key(&caller, "UpdatePartnerAccount", &request_id, &request);
        let (wanted, key) = both(update_of(&request), key).map_err(|problems| invalid(&problems))?;
        let once = key.map(|key| Once { key, answer: &kept });
        let updated = update_partner_account(&self.0.store, &self.0.accounts, &caller, wanted, once).await;
        answered(updated.map_err(status::update_partner_account)?)
    }

    async fn set_partner_account_credentials(
        &self,
        request: Request<proto::SetPartnerAccountCredentialsRequest>,
    ) -> Result<Response<proto::PartnerAccount>, Status> {
        let caller = caller::of(&request)?;
        let request = request.into_inner();
        let account = names::account("name", &request.name);
        let given = GivenCredentials {
            client_id: request.client_id,
            client_secret: SecretString::from(request.client_secret),
            client_certificate: SecretString::from(request.client_certificate),
            refresh_token: SecretString::from(request.refresh_token),
        };
        let new = given.read(self.0.clock.now());
        let (account, new) = match (account, new) {
            (Ok(account), Ok(new)) => (account, new),
            (account, new) => {
                let wrong: Vec<_> = account.err().into_iter().chain(new.err().into_iter().flatten()).collect();
                return Err(invalid(&wrong));
            }
        };
        let Serving { store, accounts, sealing_keys, .. } = &*self.0;
        let keys = sealing_keys.as_ref();
        let set = set_partner_account_credentials(store, accounts, keys, &caller, &account, &new).await;
        Ok(Response::new(partner_account(&set.map_err(status::set_credentials)?)))
    }

    async fn accept_credentials(
        &self,
        request: Request<proto::AcceptCredentialsRequest>,
    ) -> Result<Response<proto::PartnerAccount>, Status> {
        credential_trials::accept(&self.0, request).await
    }

    async fn check_partner_account_health(
        &self,
        request: Request<proto::CheckPartnerAccountHealthRequest>,
    ) -> Result<Response<proto::PartnerAccountHealth>, Status> {
        let caller = caller::of(&request)?;
        let account = names::account("name", &request.get_ref().name).map_err(|problem| invalid(&[problem]))?;
        let Serving { store, accounts, sealing_keys, questions, clock, .. } = &*self.0;
        let keys = sealing_keys.as_ref();
        let checked =
            check_partner_account_health(store, accounts, keys, questions, &caller, &account, clock.now()).await;
        let checks = checked.map_err(status::partner_account)?;
        Ok(Response::new(account_messages::health(&account, checks, clock.now())))
    }

    async fn rotate_webhook_secret(
        &self,
        request: Request<proto::RotateWebhookSecretRequest>,
    ) -> Result<Response<proto::PartnerAccount>, Status> {
        let caller = caller::of(&request)?;
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let key = repeat::key(&caller, "RotateWebhookSecret", &request_id, &request);
        let account = names::account("name", &request.name).map_err(|problem| vec![problem]);
        let (account, key) = both(account, key).map_err(|problems| invalid(&problems))?;
        let once = key.map(|key| Once { key, answer: &kept });
        let Serving { store, accounts, receives_events, .. } = &*self.0;
        let wanted = rotate_webhook_secret(store, accounts, &caller, &account, *receives_events, once).await;
        answered(wanted.map_err(status::rotate_webhook_secret)?)
    }
}
