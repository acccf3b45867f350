//! `SyncService`: parse, call the operation, convert.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::domain::ids::PartnerAccountId;
use crate::grpc::convert::{self, time};
use crate::grpc::details::invalid;
use crate::grpc::incremental_mode::incremental_mode;
use crate::grpc::page_token::TokenContext;
use crate::grpc::proto;
use crate::grpc::proto::sync_service_server::SyncService;
use crate::grpc::requests::{both, page_size};
use crate::grpc::{Serving, caller, explain, holds, names, pauses, repeat, resellers, status};
use crate::operations::get_sync_status::{SyncStatus, get_sync_status};
use crate::operations::once::{Once, Outcome};
use crate::operations::refresh_customer::refresh_customer;
use crate::operations::start_sync::start_sync;
use crate::operations::sync_runs::{CountedRun, get_sync_run, list_sync_runs};
use crate::store::{RunCause, RunKind, RunState, SyncProblem};

/// The service.
#[derive(Clone, Debug)]
pub struct Sync(pub(super) Arc<Serving>);

#[tonic::async_trait]
impl SyncService for Sync {
    async fn get_sync_status(
        &self,
        request: Request<proto::GetSyncStatusRequest>,
    ) -> Result<Response<proto::SyncStatus>, Status> {
        let caller = caller::of(&request)?;
        let account = names::sync_status("name", &request.get_ref().name).map_err(|problem| invalid(&[problem]))?;
        let now = self.0.clock.now();
        let found = get_sync_status(&self.0.store, &self.0.accounts, &caller, &account, now).await;
        Ok(Response::new(sync_status(&account, found.map_err(status::sync_run)?)))
    }

    async fn start_sync(&self, request: Request<proto::StartSyncRequest>) -> Result<Response<proto::SyncRun>, Status> {
        let caller = caller::of(&request)?;
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let key = repeat::key(&caller, "StartSync", &request_id, &request);
        let account = names::account("parent", &request.parent).map_err(|problem| vec![problem]);
        let (account, key) = both(account, key).map_err(|problems| invalid(&problems))?;
        let answer = |run: &CountedRun| repeat::keep(Ok(sync_run(run)));
        let once = key.map(|key| Once { key, answer: &answer });
        let started = start_sync(&self.0.store, &self.0.accounts, &caller, &account, once).await;
        Ok(Response::new(match started.map_err(status::start_sync)? {
            Outcome::Now(run) => sync_run(&run),
            Outcome::Before(answer) => repeat::again(&answer)?,
        }))
    }

    async fn refresh_customer(
        &self,
        request: Request<proto::RefreshCustomerRequest>,
    ) -> Result<Response<proto::Customer>, Status> {
        let caller = caller::of(&request)?;
        let name = names::customer("name", &request.get_ref().name).map_err(|problem| invalid(&[problem]))?;
        let refreshed =
            refresh_customer(&self.0.store, &self.0.accounts, &caller, &name.account, name.id, self.0.clock.now())
                .await;
        let customer = refreshed.map_err(status::refresh_customer)?;
        let served = self.0.accounts.find(&name.account).map_err(|missing| status::get_customer(missing.into()))?;
        Ok(Response::new(convert::customer(&customer, &served.policy, self.0.clock.now())))
    }

    async fn list_resellers(
        &self,
        request: Request<proto::ListResellersRequest>,
    ) -> Result<Response<proto::ListResellersResponse>, Status> {
        resellers::list_resellers(&self.0, request).await
    }

    async fn explain_customer(
        &self,
        request: Request<proto::ExplainCustomerRequest>,
    ) -> Result<Response<proto::CustomerExplanation>, Status> {
        explain::explain_customer(&self.0, request).await
    }

    async fn list_holds(
        &self,
        request: Request<proto::ListHoldsRequest>,
    ) -> Result<Response<proto::ListHoldsResponse>, Status> {
        holds::list_holds(&self.0, request).await
    }

    async fn approve_hold(&self, request: Request<proto::ApproveHoldRequest>) -> Result<Response<proto::Hold>, Status> {
        holds::approve_hold(&self.0, request).await
    }

    async fn dismiss_hold(&self, request: Request<proto::DismissHoldRequest>) -> Result<Response<proto::Hold>, Status> {
        holds::dismiss_hold(&self.0, request).await
    }

    async fn pause_customer(
        &self,
        request: Request<proto::PauseCustomerRequest>,
    ) -> Result<Response<proto::Customer>, Status> {
        pauses::pause_customer(&self.0, request).await
    }

    async fn resume_customer(
        &self,
        request: Request<proto::ResumeCustomerRequest>,
    ) -> Result<Response<proto::Customer>, Status> {
        pauses::resume_customer(&self.0, request).await
    }

    async fn get_sync_run(
        &self,
        request: Request<proto::GetSyncRunRequest>,
    ) -> Result<Response<proto::SyncRun>, Status> {
        let caller = caller::of(&request)?;
        let (account, id) = names::sync_run("name", &request.get_ref().name).map_err(|problem| invalid(&[problem]))?;
        let found = get_sync_run(&self.0.store, &self.0.accounts, &caller, &account, id).await;
        Ok(Response::new(sync_run(&found.map_err(status::sync_run)?)))
    }

    async fn list_sync_runs(
        &self,
        request: Request<proto::ListSyncRunsRequest>,
    ) -> Result<Response<proto::ListSyncRunsResponse>, Status> {
        let caller = caller::of(&request)?;
        let request = request.into_inner();
        let mut problems = Vec::new();
        let account = names::account("parent", &request.parent).map_err(|problem| problems.push(problem)).ok();
        let size = page_size(request.page_size).map_err(|problem| problems.push(problem)).ok();
        let (Some(account), Some(size)) = (account, size) else { return Err(invalid(&problems)) };
        let context = TokenContext { list: "ListSyncRuns", parent: &request.parent, caller: &caller.subject };
        let before = self.0.begin_of_page(context, &request.page_token, |place| place.parse().ok()).await?;
        let listed = list_sync_runs(&self.0.store, &self.0.accounts, &caller, &account, before, size).await;
        let listed = listed.map_err(status::sync_run)?;
        let next_page_token = self.0.next_page_token(context, listed.next).await?;
        let sync_runs = listed.runs.iter().map(sync_run).collect();
        Ok(Response::new(proto::ListSyncRunsResponse { sync_runs, next_page_token }))
    }
}

/// A count as a message has it.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn sync_status(account: &PartnerAccountId, status: SyncStatus) -> proto::SyncStatus {
    let SyncStatus {
        sync,
        backlog,
        last_full,
        running_full,
        next_night_at,
        manual_allowed_at,
        pending_links,
        policy,
        guarantee,
        replica,
        resellers,
    } = status;
    let (mode, reason) = incremental_mode(&sync.webhook);
    proto::SyncStatus {
        name: names::sync_status_name(account),
        incremental_mode: mode.into(),
        incremental_mode_reason: reason,
        audit_polled_at: sync.audit_polled_at.map(time),
        listed_at: sync.listed_at.map(time),
        last_full_sync: last_full.as_ref().map(sync_run),
        running_full_sync: running_full.as_ref().map(sync_run),
        next_night_at: next_night_at.map(time),
        manual_sync_allowed_at: manual_allowed_at.map(time),
        active_customers: signed(sync.active_customers),
        oldest_verified_at: sync.oldest_verified_at.map(time),
        verify_within: prost_types::Duration::try_from(policy.verify_within).ok(),
        backlog: signed(backlog.dirty),
        backlog_failing: signed(backlog.failing),
        quarantined: signed(backlog.quarantined),
        held_removals: signed(sync.held_removals),
        throttled_until: sync.throttled_until.map(time),
        problem: sync.problem.map(problem),
        paused: signed(backlog.paused),
        pending_links: signed(pending_links),
        guaranteed_within: guarantee.and_then(|guarantee| prost_types::Duration::try_from(guarantee.within).ok()),
        promise_reachable: guarantee.is_some_and(|guarantee| guarantee.is_kept),
        calls_per_minute: sync.calls_per_minute.map_or(0, signed),
        throttles_last_day: signed(sync.throttles_last_day),
        resellers: Some(resellers::reseller_sync(resellers)),
        replica: replica.unwrap_or_default(),
    }
}

/// A problem as a message.
pub(super) fn problem(problem: SyncProblem) -> proto::SyncProblem {
    proto::SyncProblem { reason: problem.reason, detail: problem.detail, since: Some(time(problem.since)) }
}

fn sync_run(counted: &CountedRun) -> proto::SyncRun {
    let CountedRun { run, counts, outlook } = counted;
    proto::SyncRun {
        name: names::sync_run_name(&run.account, run.id),
        kind: match run.kind {
            RunKind::Full => proto::SyncRunKind::Full,
            RunKind::ListDiff => proto::SyncRunKind::ListDiff,
        }
        .into(),
        cause: match run.cause {
            RunCause::First => proto::SyncRunCause::First,
            RunCause::Nightly => proto::SyncRunCause::Nightly,
            RunCause::Manual => proto::SyncRunCause::Manual,
            RunCause::Scheduled => proto::SyncRunCause::Scheduled,
        }
        .into(),
        state: match run.state {
            RunState::Listing => proto::SyncRunState::Listing,
            RunState::Fetching => proto::SyncRunState::Fetching,
            RunState::Succeeded => proto::SyncRunState::Succeeded,
            RunState::Failed => proto::SyncRunState::Failed,
        }
        .into(),
        started_by: run.started_by.clone(),
        start_time: Some(time(run.started_at)),
        list_complete_time: run.listed_at.map(time),
        end_time: run.finished_at.map(time),
        pages: i32::try_from(run.pages).unwrap_or(i32::MAX),
        listed: signed(run.listed),
        listing_restarts: i32::try_from(run.listing_restarts).unwrap_or(i32::MAX),
        wanted: signed(run.marked),
        fetched: signed(run.fetched),
        unusable: signed(run.unusable),
        created: signed(counts.created),
        changed: signed(counts.changed),
        ended: signed(counts.ended),
        revived: signed(counts.revived),
        missing: signed(run.missing),
        problem: run.problem.clone().unwrap_or_default(),
        calls: signed(run.tally.calls),
        retries: signed(run.tally.retries),
        throttles: signed(run.throttles),
        throttled_duration: span(outlook.throttled_for),
        list_duration: span(outlook.listed_for),
        fetch_duration: outlook.fetched_for.and_then(span),
        customers_expected: run.expected.map(signed),
        progress_percent: i32::from(run.progress),
        estimated_end_time: outlook.ends_at.map(time),
        duplicates: signed(run.duplicates),
    }
}

/// A span as a message has it.
fn span(span: std::time::Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(span).ok()
}
