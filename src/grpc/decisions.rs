//! `DecisionService`: parse, call the operation, convert.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::clock::Timestamp;
use crate::domain::field::Field;
use crate::domain::text::FieldProblem;
use crate::grpc::convert::time;
use crate::grpc::details::invalid;
use crate::grpc::page_token::TokenContext;
use crate::grpc::proto::decision_service_server::DecisionService;
use crate::grpc::refusal::field_violation;
use crate::grpc::requests::page_size;
use crate::grpc::{Serving, caller, names, proto, status};
use crate::operations::decisions::{get_decision, list_decisions};
use crate::store::{Decision, DecisionOutcome, DecisionQuery};

/// The service.
#[derive(Clone, Debug)]
pub struct Decisions(pub(super) Arc<Serving>);

#[tonic::async_trait]
impl DecisionService for Decisions {
    async fn get_decision(
        &self,
        request: Request<proto::GetDecisionRequest>,
    ) -> Result<Response<proto::Decision>, Status> {
        let caller = caller::of(&request)?;
        let (account, id) = names::decision("name", &request.get_ref().name).map_err(|problem| invalid(&[problem]))?;
        let found = get_decision(&self.0.store, &self.0.accounts, &caller, &account, id).await;
        Ok(Response::new(decision(&found.map_err(status::decision)?)))
    }

    async fn list_decisions(
        &self,
        request: Request<proto::ListDecisionsRequest>,
    ) -> Result<Response<proto::ListDecisionsResponse>, Status> {
        let caller = caller::of(&request)?;
        let request = request.into_inner();
        let mut problems = Vec::new();
        let account = names::account("parent", &request.parent).map_err(|problem| problems.push(problem)).ok();
        let size = page_size(request.page_size).map_err(|problem| problems.push(problem)).ok();
        let mut query = query(&request, &mut problems);
        let (Some(account), Some(size), true) = (account, size, problems.is_empty()) else {
            return Err(invalid(&problems));
        };
        // Every argument that chooses decisions binds the token.
        let arguments = format!(
            "{} {} {:?} {:?} {}",
            request.parent, request.customer, request.start_time, request.end_time, request.caller
        );
        let context = TokenContext { list: "ListDecisions", parent: &arguments, caller: &caller.subject };
        query.before = self.0.begin_of_page(context, &request.page_token, |place| place.parse().ok()).await?;
        let listed = list_decisions(&self.0.store, &self.0.accounts, &caller, &account, &query, size).await;
        let listed = listed.map_err(status::decision)?;
        let next_page_token = self.0.next_page_token(context, listed.next).await?;
        let decisions = listed.decisions.iter().map(decision).collect();
        Ok(Response::new(proto::ListDecisionsResponse { decisions, next_page_token }))
    }
}

fn query(request: &proto::ListDecisionsRequest, problems: &mut Vec<FieldProblem>) -> DecisionQuery {
    let customer = match request.customer.as_str() {
        "" => None,
        name => match names::customer("customer", name) {
            Ok(named) if format!("partnerAccounts/{}", named.account) == request.parent => Some(named.id),
            Ok(_) => {
                problems.push(FieldProblem::new("customer", "must be a customer of the parent"));
                None
            }
            Err(problem) => {
                problems.push(problem);
                None
            }
        },
    };
    if request.caller.contains(char::is_control) {
        problems.push(FieldProblem::new("caller", "must not contain control characters"));
    }
    let caller = Some(request.caller.clone()).filter(|caller| !caller.is_empty());
    let instant = |given: &Option<prost_types::Timestamp>| given.as_ref().map(micros);
    DecisionQuery {
        customer,
        caller,
        from: instant(&request.start_time),
        until: instant(&request.end_time),
        before: None,
    }
}

fn micros(time: &prost_types::Timestamp) -> Timestamp {
    Timestamp::from_micros(time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos) / 1_000))
}

fn decision(decision: &Decision) -> proto::Decision {
    let customer = names::CustomerName { account: decision.account.clone(), id: decision.customer };
    proto::Decision {
        name: names::decision_name(&decision.account, decision.id),
        customer: customer.to_string(),
        caller: decision.caller.clone(),
        create_time: Some(time(decision.at)),
        violations: decision.refusal.violations.iter().map(field_violation).collect(),
        acceptable_fields: decision.refusal.acceptable.iter().map(Field::to_string).collect(),
        policy_revision: i32::try_from(decision.policy_revision).unwrap_or(i32::MAX),
        chain_hash: decision.chain_hash.clone(),
        outcome: match decision.outcome {
            DecisionOutcome::Refused => proto::DecisionOutcome::Refused,
            DecisionOutcome::Reported => proto::DecisionOutcome::Reported,
        }
        .into(),
    }
}
