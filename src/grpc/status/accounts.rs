//! Errors of partner accounts.

use tonic::{Code, Status};

use super::{account_not_found, no_randomness, not_allowed, request_id_reused, store};
use crate::domain::ids::PartnerAccountId;
use crate::grpc::details::{Problem, invalid};
use crate::grpc::names::account_name;
use crate::grpc::proto::ErrorReason;
use crate::operations::accept_credentials::AcceptCredentialsError;
use crate::operations::create_partner_account::CreatePartnerAccountError;
use crate::operations::partner_accounts::PartnerAccountError;
use crate::operations::rotate_webhook_secret::{Holder, RotateWebhookSecretError};
use crate::operations::set_partner_account_credentials::SetCredentialsError;
use crate::operations::update_partner_account::UpdatePartnerAccountError;

/// `GetPartnerAccount`, `ListPartnerAccounts`, `CheckPartnerAccountHealth`.
pub fn partner_account(error: PartnerAccountError) -> Status {
    match error {
        PartnerAccountError::Denied(denied) => not_allowed(&denied),
        PartnerAccountError::AccountNotFound(missing) => account_not_found(&missing),
        PartnerAccountError::Store(error) => store(&error),
    }
}

/// `CreatePartnerAccount`.
pub fn create_partner_account(error: CreatePartnerAccountError) -> Status {
    match error {
        CreatePartnerAccountError::Denied(denied) => not_allowed(&denied),
        CreatePartnerAccountError::Invalid(problems) => invalid(&problems),
        CreatePartnerAccountError::IdTaken(id) => {
            let name = account_name(&id);
            taken(format!("{name} exists, or existed in the configuration; choose another id"), Some(name))
        }
        CreatePartnerAccountError::TenantTaken { account, by } => {
            let other = by.as_ref().map(account_name);
            let whose = other.as_deref().unwrap_or("another partner account");
            taken(format!("the tenant of {} belongs to {whose} already", account_name(&account)), other)
        }
        CreatePartnerAccountError::RequestIdReused(_) => request_id_reused(),
        CreatePartnerAccountError::Store(error) => store(&error),
    }
}

/// `UpdatePartnerAccount`.
pub fn update_partner_account(error: UpdatePartnerAccountError) -> Status {
    match error {
        UpdatePartnerAccountError::Denied(denied) => not_allowed(&denied),
        UpdatePartnerAccountError::AccountNotFound(missing) => account_not_found(&missing),
        UpdatePartnerAccountError::Configured(id) => configured(&id),
        UpdatePartnerAccountError::Stale(id) => {
            let name = account_name(&id);
            let message = format!("{name} changed since its etag was read; read it again");
            Problem::new(Code::Aborted, ErrorReason::StaleEtag, message).with("partnerAccount", name).status()
        }
        UpdatePartnerAccountError::Invalid(problems) => invalid(&problems),
        UpdatePartnerAccountError::RequestIdReused(_) => request_id_reused(),
        UpdatePartnerAccountError::Store(error) => store(&error),
    }
}

/// `SetPartnerAccountCredentials`.
pub fn set_credentials(error: SetCredentialsError) -> Status {
    match error {
        SetCredentialsError::Denied(denied) => not_allowed(&denied),
        SetCredentialsError::AccountNotFound(missing) => account_not_found(&missing),
        SetCredentialsError::Configured(id) => configured(&id),
        SetCredentialsError::NoSealingKey => {
            let message = "the service has no key to seal secrets with; its operator sets sealing_key_file";
            Problem::new(Code::FailedPrecondition, ErrorReason::SealingKeyMissing, message).status()
        }
        SetCredentialsError::NoRandomness(_) => no_randomness(),
        SetCredentialsError::Store(error) => store(&error),
    }
}

/// `RotateWebhookSecret`.
pub fn rotate_webhook_secret(error: RotateWebhookSecretError) -> Status {
    match error {
        RotateWebhookSecretError::Denied(denied) => not_allowed(&denied),
        RotateWebhookSecretError::AccountNotFound(missing) => account_not_found(&missing),
        RotateWebhookSecretError::NotOurs(id, holder) => not_ours(&id, &holder),
        RotateWebhookSecretError::RequestIdReused(_) => request_id_reused(),
        RotateWebhookSecretError::Store(error) => store(&error),
    }
}

fn not_ours(id: &PartnerAccountId, holder: &Holder) -> Status {
    let name = account_name(id);
    let of = |host: &Option<String>| host.as_ref().map_or("nobody's".to_owned(), |host| format!("that of {host}"));
    let why = match holder {
        Holder::NotReceived => "this service does not listen for Partner Center's events; its operator sets \
                                webhook_listen"
            .to_owned(),
        Holder::NotSeenYet => {
            "who holds the webhook registration has not been seen yet; ask again in a while".to_owned()
        }
        Holder::None => "no webhook is registered".to_owned(),
        Holder::Foreign(host) => format!("the webhook registration is {} and is left alone", of(host)),
        Holder::Lost(host) => {
            format!("the webhook registration was this service's and is now {}; it is left alone", of(host))
        }
    };
    let message = format!("{name} gets no new webhook secret: {why}");
    let problem = Problem::new(Code::FailedPrecondition, ErrorReason::WebhookNotOurs, message)
        .with("partnerAccount", name)
        .with("registration", holder.name());
    match holder.host() {
        Some(host) => problem.with("host", host).status(),
        None => problem.status(),
    }
}

/// `AcceptCredentials`.
pub fn accept_credentials(error: AcceptCredentialsError) -> Status {
    match error {
        AcceptCredentialsError::Denied(denied) => not_allowed(&denied),
        AcceptCredentialsError::AccountNotFound(missing) => account_not_found(&missing),
        AcceptCredentialsError::NothingWaits(account) => {
            let name = account_name(&account);
            let message = format!("no credentials of {name} wait to be accepted");
            Problem::new(Code::NotFound, ErrorReason::CredentialTrialNotFound, message)
                .with("partnerAccount", name)
                .status()
        }
        AcceptCredentialsError::TrialChanged { account, present } => {
            let name = account_name(&account);
            let message = format!(
                "the dry run of the credentials of {name} found something else since; look at its credential_trial and \
                 decide about {present}"
            );
            Problem::new(Code::Aborted, ErrorReason::CredentialTrialChanged, message)
                .with("partnerAccount", name)
                .with("trialId", present)
                .status()
        }
        AcceptCredentialsError::RequestIdReused(_) => request_id_reused(),
        AcceptCredentialsError::Store(error) => store(&error),
    }
}

fn taken(message: String, by: Option<String>) -> Status {
    let problem = Problem::new(Code::AlreadyExists, ErrorReason::PartnerAccountExists, message);
    match by {
        Some(name) => problem.with("partnerAccount", name).status(),
        None => problem.status(),
    }
}

fn configured(id: &PartnerAccountId) -> Status {
    let name = account_name(id);
    let message = format!("{name} comes from the service's configuration and is changed there");
    Problem::new(Code::FailedPrecondition, ErrorReason::AccountManagedByConfiguration, message)
        .with("partnerAccount", name)
        .status()
}
