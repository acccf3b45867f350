//! Holds: parse, call the operation, convert.

use tonic::{Request, Response, Status};

use crate::domain::access::Caller;
use crate::domain::hold::{HeldCustomer, Hold, HoldId};
use crate::domain::ids::PartnerAccountId;
use crate::domain::text::FieldProblem;
use crate::grpc::convert::time;
use crate::grpc::details::invalid;
use crate::grpc::names::{CustomerName, hold_name};
use crate::grpc::requests::both;
use crate::grpc::sync::signed;
use crate::grpc::{Serving, caller, names, proto, repeat, status};
use crate::operations::holds::{self, Ruling, decide_hold};
use crate::operations::once::{Once, Outcome};
use crate::store::RequestKey;

/// How many of its customers a message names.
const NAMED_MAX: usize = 1000;

pub(super) async fn list_holds(
    serving: &Serving,
    request: Request<proto::ListHoldsRequest>,
) -> Result<Response<proto::ListHoldsResponse>, Status> {
    let caller = caller::of(&request)?;
    let account = names::account("parent", &request.get_ref().parent).map_err(|problem| invalid(&[problem]))?;
    let found = holds::list_holds(&serving.store, &serving.accounts, &caller, &account).await;
    let hold = found.map_err(status::hold)?;
    let holds = hold.iter().map(|hold| message(&account, hold, proto::HoldState::Waiting)).collect();
    Ok(Response::new(proto::ListHoldsResponse { holds }))
}

pub(super) async fn approve_hold(
    serving: &Serving,
    request: Request<proto::ApproveHoldRequest>,
) -> Result<Response<proto::Hold>, Status> {
    let caller = caller::of(&request)?;
    let mut request = request.into_inner();
    let request_id = std::mem::take(&mut request.request_id);
    let key = repeat::key(&caller, "ApproveHold", &request_id, &request);
    decide(serving, &caller, &request.name, Ruling::Approve, key).await
}

pub(super) async fn dismiss_hold(
    serving: &Serving,
    request: Request<proto::DismissHoldRequest>,
) -> Result<Response<proto::Hold>, Status> {
    let caller = caller::of(&request)?;
    let mut request = request.into_inner();
    let request_id = std::mem::take(&mut request.request_id);
    let key = repeat::key(&caller, "DismissHold", &request_id, &request);
    decide(serving, &caller, &request.name, Ruling::Dismiss, key).await
}

async fn decide(
    serving: &Serving,
    caller: &Caller,
    name: &str,
    ruling: Ruling,
    key: Result<Option<RequestKey>, FieldProblem>,
) -> Result<Response<proto::Hold>, Status> {
    let wanted: Result<(PartnerAccountId, HoldId), _> = names::hold("name", name).map_err(|problem| vec![problem]);
    let ((account, id), key) = both(wanted, key).map_err(|problems| invalid(&problems))?;
    let decided = match ruling {
        Ruling::Approve => proto::HoldState::Approved,
        Ruling::Dismiss => proto::HoldState::Dismissed,
    };
    let answer = |hold: &Hold| repeat::keep(Ok(message(&account, hold, decided)));
    let once = key.map(|key| Once { key, answer: &answer });
    let outcome = decide_hold(&serving.store, &serving.accounts, caller, &account, id, ruling, once).await;
    let hold = match outcome.map_err(status::hold)? {
        Outcome::Now(hold) => message(&account, &hold, decided),
        Outcome::Before(answer) => repeat::again(&answer)?,
    };
    Ok(Response::new(hold))
}

fn message(account: &PartnerAccountId, hold: &Hold, state: proto::HoldState) -> proto::Hold {
    proto::Hold {
        name: hold_name(account, hold.id),
        state: state.into(),
        customer_count: i64::try_from(hold.customers.len()).unwrap_or(i64::MAX),
        customers: hold.customers.iter().take(NAMED_MAX).map(|held| customer(account, held)).collect(),
        active_customers: signed(hold.active_customers),
        limit: signed(hold.limit()),
        create_time: hold.since().map(time),
    }
}

fn customer(account: &PartnerAccountId, held: &HeldCustomer) -> proto::HeldCustomer {
    proto::HeldCustomer {
        customer: CustomerName { account: account.clone(), id: held.id }.to_string(),
        microsoft_tenant_id: held.tenant_id.to_string(),
        company_name: held.company_name.clone(),
        missing_runs: i32::try_from(held.evidence.missing_runs).unwrap_or(i32::MAX),
        removal_recorded: held.evidence.removal_recorded,
        gone_answer: held.gone_answer.clone(),
    }
}
