//! `ExplainCustomer`: parse, call the operation, convert.

use tonic::{Request, Response, Status};

use crate::domain::explain::{Live, Verdict};
use crate::domain::ids::PartnerAccountId;
use crate::domain::observation::GoneAnswer;
use crate::domain::text::{FieldProblem, check_domain};
use crate::grpc::convert::{self, time};
use crate::grpc::details::invalid;
use crate::grpc::names::{CustomerName, hold_name, pending_link_name};
use crate::grpc::{Serving, caller, names, proto, status};
use crate::operations::explain_customer::{self, ExplainKey, Explanation};

pub(super) async fn explain_customer(
    serving: &Serving,
    request: Request<proto::ExplainCustomerRequest>,
) -> Result<Response<proto::CustomerExplanation>, Status> {
    let caller = caller::of(&request)?;
    let (account, key) = wanted(request.into_inner()).map_err(|problems| invalid(&problems))?;
    let Serving { store, accounts, questions, clock, .. } = serving;
    let explained =
        explain_customer::explain_customer(store, accounts, questions, &caller, &account, key, clock.now()).await;
    Ok(Response::new(message(&account, explained.map_err(status::explain_customer)?)))
}

fn wanted(request: proto::ExplainCustomerRequest) -> Result<(PartnerAccountId, ExplainKey), Vec<FieldProblem>> {
    use proto::explain_customer_request::Key;

    let mut problems = Vec::new();
    let account = names::account("parent", &request.parent).map_err(|problem| problems.push(problem)).ok();
    let key = match request.key {
        Some(Key::MicrosoftTenantId(id)) => {
            let wrong = |_| FieldProblem::new("microsoft_tenant_id", "must be a UUID");
            id.parse().map(ExplainKey::TenantId).map_err(wrong)
        }
        Some(Key::Domain(domain)) => self::domain(domain.trim()),
        Some(Key::Customer(name)) => names::customer("customer", &name).and_then(|name| match &account {
            Some(account) if *account != name.account => {
                Err(FieldProblem::new("customer", "must be a customer of the parent"))
            }
            Some(_) | None => Ok(ExplainKey::Customer(name.id)),
        }),
        None => Err(FieldProblem::new("key", "is required: a microsoft_tenant_id, a domain or a customer")),
    };
    let key = key.map_err(|problem| problems.push(problem)).ok();
    match (account, key) {
        (Some(account), Some(key)) => Ok((account, key)),
        (None, _) | (_, None) => Err(problems),
    }
}

fn domain(said: &str) -> Result<ExplainKey, FieldProblem> {
    if said.is_empty() {
        return Err(FieldProblem::new("domain", "must not be empty"));
    }
    match check_domain(&said.to_lowercase()) {
        Some(wrong) => Err(FieldProblem::new("domain", wrong)),
        None => Ok(ExplainKey::Domain(said.to_owned())),
    }
}

fn message(account: &PartnerAccountId, explanation: Explanation) -> proto::CustomerExplanation {
    let sync_state = sync_state(&explanation);
    let Explanation { judgement, record, tenant, pending, live, asked_at, trace, listed_at, hold, account_problem } =
        explanation;
    let name = |customer: &crate::domain::customer::Customer| {
        CustomerName { account: customer.account.clone(), id: customer.id }.to_string()
    };
    let link = record.as_ref().and_then(|customer| customer.microsoft.as_ref());
    let quarantine_reason = match (&live, judgement.verdict) {
        (Live::Unusable(reason), Verdict::Quarantined) => Some(reason.clone()),
        (_, Verdict::Quarantined) => trace.as_ref().and_then(|trace| trace.unusable.clone()),
        (_, _) => None,
    };
    let (outcome, detail) = outcome(&live);
    proto::CustomerExplanation {
        verdict: verdict(judgement.verdict).into(),
        explanation: judgement.explanation.into_owned(),
        remedy: judgement.remedy.into_owned(),
        customer: record.as_ref().map(name).unwrap_or_default(),
        microsoft_tenant_id: tenant.map(|tenant| tenant.to_string()).unwrap_or_default(),
        sync_state: sync_state.into(),
        live_answer: Some(proto::LiveAnswer { outcome: outcome.into(), detail, ask_time: asked_at.map(time) }),
        listed: trace.as_ref().is_some_and(|trace| trace.listed),
        listed_at: listed_at.map(time),
        first_seen_at: trace.as_ref().map(|trace| time(trace.first_seen_at)),
        verified_at: link.map(|link| time(link.verified_at)),
        quarantine_reason: quarantine_reason.unwrap_or_default(),
        pause: record.as_ref().and_then(|customer| customer.pause()).map(convert::pause),
        pending_link: tenant.filter(|_| pending).map(|tenant| pending_link_name(account, tenant)).unwrap_or_default(),
        hold: hold.map(|hold| hold_name(account, hold)).unwrap_or_default(),
        account_problem: account_problem.unwrap_or_default(),
    }
}

/// The one state of everybody whom Partner Center may have; a customer of the platform's own has none.
fn sync_state(explanation: &Explanation) -> proto::SyncState {
    let unusable = explanation.trace.as_ref().is_some_and(|trace| trace.unusable.is_some());
    let of_record = explanation.record.as_ref().and_then(|customer| customer.visible_state());
    match (of_record, explanation.tenant) {
        (Some(state), _) => convert::sync_state(state),
        (None, None) => proto::SyncState::Unspecified,
        (None, Some(_)) if explanation.pending => proto::SyncState::PendingLink,
        (None, Some(_)) if unusable => proto::SyncState::Quarantined,
        (None, Some(_)) => proto::SyncState::NeverSeen,
    }
}

/// A live answer, and its detail.
fn outcome(live: &Live) -> (proto::LiveOutcome, String) {
    match live {
        Live::NotAsked => (proto::LiveOutcome::Unspecified, String::new()),
        Live::Present => (proto::LiveOutcome::Present, "200".to_owned()),
        Live::Unusable(reason) => (proto::LiveOutcome::Unusable, reason.clone()),
        Live::Gone(answer) => {
            let outcome = match answer {
                GoneAnswer::NoRelationship => proto::LiveOutcome::NoRelationship,
                GoneAnswer::NotFound | GoneAnswer::TenantNotFound => proto::LiveOutcome::NotFound,
            };
            (outcome, answer.code().to_owned())
        }
        Live::Unlisted => (proto::LiveOutcome::NotFound, "no customer is listed with this domain".to_owned()),
        Live::Blocked { reason, .. } => (proto::LiveOutcome::AccountBlocked, reason.clone()),
        Live::Unavailable(cause) => (proto::LiveOutcome::Unavailable, cause.clone()),
    }
}

const fn verdict(verdict: Verdict) -> proto::ExplanationVerdict {
    match verdict {
        Verdict::Synced => proto::ExplanationVerdict::Synced,
        Verdict::FoundNow => proto::ExplanationVerdict::FoundNow,
        Verdict::PendingLink => proto::ExplanationVerdict::PendingLink,
        Verdict::Quarantined => proto::ExplanationVerdict::Quarantined,
        Verdict::Paused => proto::ExplanationVerdict::Paused,
        Verdict::HeldForRemoval => proto::ExplanationVerdict::HeldForRemoval,
        Verdict::Ended => proto::ExplanationVerdict::Ended,
        Verdict::NeverAccepted => proto::ExplanationVerdict::NeverAccepted,
        Verdict::NotFound => proto::ExplanationVerdict::NotFound,
        Verdict::AccountBlocked => proto::ExplanationVerdict::AccountBlocked,
        Verdict::SourceUnavailable => proto::ExplanationVerdict::SourceUnavailable,
        Verdict::PlatformCustomer => proto::ExplanationVerdict::PlatformCustomer,
        Verdict::Leaving => proto::ExplanationVerdict::Leaving,
    }
}
