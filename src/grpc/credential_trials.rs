//! Trials of credentials: parse, call the operation, convert.

use tonic::{Request, Response, Status};

use crate::domain::account::AccountRecord;
use crate::domain::ids::PartnerAccountId;
use crate::domain::text::FieldProblem;
use crate::domain::trial::{CredentialTrial, TrialId, TrialState};
use crate::grpc::account_messages::partner_account;
use crate::grpc::convert::time;
use crate::grpc::details::invalid;
use crate::grpc::requests::both;
use crate::grpc::sync::signed;
use crate::grpc::{Serving, caller, names, proto, repeat, status};
use crate::operations::accept_credentials::accept_credentials;
use crate::operations::once::{Once, Outcome};

pub(super) async fn accept(
    serving: &Serving,
    request: Request<proto::AcceptCredentialsRequest>,
) -> Result<Response<proto::PartnerAccount>, Status> {
    let caller = caller::of(&request)?;
    let mut request = request.into_inner();
    let request_id = std::mem::take(&mut request.request_id);
    let key = repeat::key(&caller, "AcceptCredentials", &request_id, &request);
    let ((account, trial), key) = both(wanted(&request), key).map_err(|problems| invalid(&problems))?;
    let answer = |record: &AccountRecord| repeat::keep(Ok(partner_account(record)));
    let once = key.map(|key| Once { key, answer: &answer });
    let outcome = accept_credentials(&serving.store, &serving.accounts, &caller, &account, trial, once).await;
    Ok(Response::new(match outcome.map_err(status::accept_credentials)? {
        Outcome::Now(record) => partner_account(&record),
        Outcome::Before(answer) => repeat::again(&answer)?,
    }))
}

fn wanted(request: &proto::AcceptCredentialsRequest) -> Result<(PartnerAccountId, TrialId), Vec<FieldProblem>> {
    const MALFORMED: &str =
        "must be the trial_id of the account's credential_trial: 32 hexadecimal digits in lower case";
    let account = names::account("name", &request.name);
    let trial = request.trial_id.parse().map_err(|_| FieldProblem::new("trial_id", MALFORMED));
    match (account, trial) {
        (Ok(account), Ok(trial)) => Ok((account, trial)),
        (account, trial) => Err(account.err().into_iter().chain(trial.err()).collect()),
    }
}

/// The trial of an account's credentials as a message.
pub(super) fn message(account: &PartnerAccountId, trial: &CredentialTrial) -> proto::CredentialTrial {
    let mut message = proto::CredentialTrial {
        state: match trial.state {
            TrialState::Trying => proto::CredentialTrialState::DryRun,
            TrialState::Waiting => proto::CredentialTrialState::NeedsApproval,
            TrialState::Accepted => proto::CredentialTrialState::Accepted,
        }
        .into(),
        trial_id: trial.id(account).map(|id| id.to_string()).unwrap_or_default(),
        start_time: Some(time(trial.started_at)),
        ..proto::CredentialTrial::default()
    };
    if let Some((report, found_at)) = &trial.found {
        message.listed_customers = signed(report.listed);
        message.known_customers = signed(report.active);
        message.present_customers = signed(report.present);
        message.missing_customers = signed(report.missing);
        message.new_customers = signed(report.appeared);
        message.renamed_customers = signed(report.renamed);
        message.sampled_customers = signed(report.sampled);
        message.differing_customers = signed(report.differing);
        message.changed_customers = signed(report.changed());
        message.limit = signed(report.limit());
        message.report_time = Some(time(*found_at));
    }
    if let Some((accepted_at, accepted_by)) = &trial.accepted {
        message.accept_time = Some(time(*accepted_at));
        message.accepted_by.clone_from(accepted_by);
    }
    message
}
