//! Partner accounts that come from the API, made of the partners that the simulator plays.

use customer_guard::grpc::proto::{
    AcceptCredentialsRequest, CheckPartnerAccountHealthRequest, CreatePartnerAccountRequest, GetPartnerAccountRequest,
    ListPartnerAccountsRequest, PartnerAccount, PartnerAccountHealth, PartnerKind, SetPartnerAccountCredentialsRequest,
    SyncProblem, UpdatePartnerAccountRequest,
};
use prost_types::FieldMask;
use tonic::Response;

use crate::harness::told::Told;
use crate::harness::upstream::Upstream;
use crate::harness::{Guard, World, eventually_or};

/// The partner as an account to be created.
pub fn account_of(upstream: &Upstream, name: &str) -> PartnerAccount {
    let mut account = PartnerAccount {
        microsoft_tenant_id: upstream.partner(name).tenant_id.to_string(),
        ..PartnerAccount::default()
    };
    account.set_kind(PartnerKind::IndirectProvider);
    account
}

pub fn creation(id: &str, account: PartnerAccount) -> CreatePartnerAccountRequest {
    CreatePartnerAccountRequest {
        partner_account_id: id.to_owned(),
        partner_account: Some(account),
        ..CreatePartnerAccountRequest::default()
    }
}

pub fn change(account: PartnerAccount, paths: &[&str]) -> UpdatePartnerAccountRequest {
    let update_mask = Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() });
    UpdatePartnerAccountRequest {
        partner_account: Some(account),
        update_mask,
        ..UpdatePartnerAccountRequest::default()
    }
}

fn name(id: &str) -> String {
    format!("partnerAccounts/{id}")
}

impl Guard {
    pub async fn account(&self, id: &str) -> Result<PartnerAccount, Told> {
        let request = GetPartnerAccountRequest { name: name(id) };
        let answer = self.accounts.clone().get_partner_account(request).await;
        answer.map(Response::into_inner).map_err(Told::from)
    }

    /// One page: the ids of its accounts, and the token of the next one.
    pub async fn account_page(&self, page_size: i32, page_token: &str) -> Result<(Vec<String>, String), Told> {
        let request = ListPartnerAccountsRequest { page_size, page_token: page_token.to_owned() };
        let page = self.accounts.clone().list_partner_accounts(request).await.map_err(Told::from)?.into_inner();
        let id = |account: PartnerAccount| account.name.trim_start_matches("partnerAccounts/").to_owned();
        Ok((page.partner_accounts.into_iter().map(id).collect(), page.next_page_token))
    }

    pub async fn create_account(&self, request: CreatePartnerAccountRequest) -> Result<PartnerAccount, Told> {
        let answer = self.accounts.clone().create_partner_account(request).await;
        answer.map(Response::into_inner).map_err(Told::from)
    }

    pub async fn change_account(&self, request: UpdatePartnerAccountRequest) -> Result<PartnerAccount, Told> {
        let answer = self.accounts.clone().update_partner_account(request).await;
        answer.map(Response::into_inner).map_err(Told::from)
    }

    pub async fn set_credentials(&self, id: &str, client_id: &str, secret: &str) -> Result<PartnerAccount, Told> {
        let request = SetPartnerAccountCredentialsRequest {
            name: name(id),
            client_id: client_id.to_owned(),
            client_secret: secret.to_owned(),
            ..SetPartnerAccountCredentialsRequest::default()
        };
        let answer = self.accounts.clone().set_partner_account_credentials(request).await;
        answer.map(Response::into_inner).map_err(Told::from)
    }

    /// As [`Guard::set_credentials`], with whatever the request holds beside the account.
    pub async fn set_more_credentials(
        &self,
        id: &str,
        request: SetPartnerAccountCredentialsRequest,
    ) -> Result<PartnerAccount, Told> {
        let request = SetPartnerAccountCredentialsRequest { name: name(id), ..request };
        let answer = self.accounts.clone().set_partner_account_credentials(request).await;
        answer.map(Response::into_inner).map_err(Told::from)
    }

    pub async fn accept_credentials(&self, id: &str, trial: &str, request_id: &str) -> Result<PartnerAccount, Told> {
        let (trial_id, request_id) = (trial.to_owned(), request_id.to_owned());
        let request = AcceptCredentialsRequest { name: name(id), trial_id, request_id };
        let answer = self.accounts.clone().accept_credentials(request).await;
        answer.map(Response::into_inner).map_err(Told::from)
    }

    pub async fn health(&self, id: &str) -> PartnerAccountHealth {
        let request = CheckPartnerAccountHealthRequest { name: name(id) };
        self.accounts.clone().check_partner_account_health(request).await.expect("an answer").into_inner()
    }

    pub async fn problem(&self, id: &str) -> Option<SyncProblem> {
        self.status(id).await.problem
    }

    pub async fn wait_for_problem(&self, id: &str, reason: &str) {
        let other = std::cell::RefCell::new(None);
        let what = || format!("{id} says {reason}, but {:?}", other.borrow());
        eventually_or(what, async || {
            let problem = self.problem(id).await;
            other.replace(problem.as_ref().map(|problem| problem.reason.clone()));
            problem.filter(|problem| problem.reason == reason && !problem.detail.is_empty())
        })
        .await;
    }
}

impl World {
    /// Makes the partner an account of the API, without credentials.
    pub async fn add_account(&self, name: &str) -> PartnerAccount {
        let account = account_of(&self.upstream, name);
        self.guard.create_account(creation(name, account)).await.expect("a new account")
    }

    /// The user of the partner signs in, and the account gets the refresh token beside its secret.
    pub async fn give_refresh_token(&self, name: &str) -> String {
        let partner = self.upstream.partner(name);
        let refresh_token = self.upstream.simulator.sign_user_in(partner.tenant_id).expect("a known partner");
        let request = SetPartnerAccountCredentialsRequest {
            client_id: partner.client_id,
            client_secret: partner.client_secret,
            refresh_token: refresh_token.clone(),
            ..SetPartnerAccountCredentialsRequest::default()
        };
        self.guard.set_more_credentials(name, request).await.expect("credentials");
        refresh_token
    }

    /// Gives the account the credentials that Partner Center knows.
    pub async fn give_credentials(&self, name: &str) -> PartnerAccount {
        let partner = self.upstream.partner(name);
        let set = self.guard.set_credentials(name, &partner.client_id, &partner.client_secret).await;
        set.expect("credentials")
    }
}
