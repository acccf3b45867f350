//! Pauses of one customer: parse, call the operation, convert.

use tonic::{Request, Response, Status};

use crate::domain::access::Caller;
use crate::domain::customer::Customer;
use crate::domain::pause::PauseReason;
use crate::domain::text::FieldProblem;
use crate::grpc::details::invalid;
use crate::grpc::names::CustomerName;
use crate::grpc::requests::both;
use crate::grpc::{Serving, caller, convert, names, proto, repeat, status};
use crate::operations::once::{Once, Outcome};
use crate::operations::pause_customer::{self, Wanted};
use crate::store::RequestKey;

pub(super) async fn pause_customer(
    serving: &Serving,
    request: Request<proto::PauseCustomerRequest>,
) -> Result<Response<proto::Customer>, Status> {
    let caller = caller::of(&request)?;
    let mut request = request.into_inner();
    let request_id = std::mem::take(&mut request.request_id);
    let key = repeat::key(&caller, "PauseCustomer", &request_id, &request);
    let mut problems = Vec::new();
    let name = names::customer("name", &request.name).map_err(|problem| problems.push(problem)).ok();
    let reason = PauseReason::new(&request.reason).map_err(|problem| problems.push(problem)).ok();
    let wanted = match (name, reason) {
        (Some(name), Some(reason)) => Ok((name, Wanted::Pause(reason))),
        (None, _) | (_, None) => Err(problems),
    };
    change(serving, &caller, wanted, key).await
}

pub(super) async fn resume_customer(
    serving: &Serving,
    request: Request<proto::ResumeCustomerRequest>,
) -> Result<Response<proto::Customer>, Status> {
    let caller = caller::of(&request)?;
    let mut request = request.into_inner();
    let request_id = std::mem::take(&mut request.request_id);
    let key = repeat::key(&caller, "ResumeCustomer", &request_id, &request);
    let name = names::customer("name", &request.name).map_err(|problem| vec![problem]);
    change(serving, &caller, name.map(|name| (name, Wanted::Resume)), key).await
}

async fn change(
    serving: &Serving,
    caller: &Caller,
    wanted: Result<(CustomerName, Wanted), Vec<FieldProblem>>,
    key: Result<Option<RequestKey>, FieldProblem>,
) -> Result<Response<proto::Customer>, Status> {
    let ((name, wanted), key) = both(wanted, key).map_err(|problems| invalid(&problems))?;
    let reply = |customer: &Customer| {
        let served = serving.accounts.find(&customer.account);
        let served = served.map_err(|missing| status::get_customer(missing.into()))?;
        Ok(convert::customer(customer, &served.policy, serving.clock.now()))
    };
    let answer = |customer: &Customer| repeat::keep(reply(customer));
    let once = key.map(|key| Once { key, answer: &answer });
    let changed =
        pause_customer::pause_customer(&serving.store, &serving.accounts, caller, &name.account, name.id, wanted, once);
    let customer = match changed.await.map_err(status::pause_customer)? {
        Outcome::Now(customer) => reply(&customer)?,
        Outcome::Before(answer) => repeat::again(&answer)?,
    };
    Ok(Response::new(customer))
}
