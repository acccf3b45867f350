//! The resellers of an indirect provider, for `SyncService`: parse, call the operation, convert.

use tonic::{Request, Response, Status};

use crate::grpc::convert::{reseller, time};
use crate::grpc::details::invalid;
use crate::grpc::page_token::TokenContext;
use crate::grpc::proto;
use crate::grpc::requests::page_size;
use crate::grpc::sync::{problem, signed};
use crate::grpc::{Serving, caller, names, status};
use crate::operations::get_sync_status::ResellerStanding;
use crate::operations::list_resellers::list_resellers as list;
use crate::store::KeptReseller;

/// What an account without a user is told.
const NO_USER: (&str, &str) = (
    "USER_SIGN_IN_MISSING",
    "Partner Center tells which reseller serves which customer only to an application that acts for a user. Set a refresh \
     token of a user of the partner, from a sign-in with multi-factor authentication, for this partner account; everything \
     else works without.",
);

pub(super) async fn list_resellers(
    serving: &Serving,
    request: Request<proto::ListResellersRequest>,
) -> Result<Response<proto::ListResellersResponse>, Status> {
    let caller = caller::of(&request)?;
    let request = request.into_inner();
    let mut problems = Vec::new();
    let account = names::account("parent", &request.parent).map_err(|problem| problems.push(problem)).ok();
    let size = page_size(request.page_size).map_err(|problem| problems.push(problem)).ok();
    let (Some(account), Some(size)) = (account, size) else { return Err(invalid(&problems)) };
    let context = TokenContext { list: "ListResellers", parent: &request.parent, caller: &caller.subject };
    let after = serving.begin_of_page(context, &request.page_token, |place| place.parse().ok()).await?;
    let listed = list(&serving.store, &serving.accounts, &caller, &account, after, size).await;
    let listed = listed.map_err(status::sync_run)?;
    let next_page_token = serving.next_page_token(context, listed.next).await?;
    let resellers = listed.resellers.into_iter().map(indirect_reseller).collect();
    Ok(Response::new(proto::ListResellersResponse { resellers, next_page_token }))
}

fn indirect_reseller(kept: KeptReseller) -> proto::IndirectReseller {
    proto::IndirectReseller {
        reseller: Some(reseller(&kept.listed.reseller)),
        location: kept.listed.location,
        upstream_state: kept.listed.state,
        active: kept.active,
        customers: signed(kept.customers),
        last_seen_time: Some(time(kept.seen_at)),
        read_time: kept.read_at.map(time),
    }
}

/// How the reading of an account's resellers stands, as a message.
pub(super) fn reseller_sync(standing: ResellerStanding) -> proto::ResellerSync {
    use proto::ResellerSyncState as State;
    let ResellerStanding { applies, reading, counts } = standing;
    let has_user = reading.as_ref().is_none_or(|reading| reading.has_user);
    let read_at = reading.as_ref().and_then(|reading| reading.read_at);
    let failure = reading.and_then(|reading| reading.problem);
    let (state, told) = match (applies, has_user, failure, read_at) {
        (false, _, _, _) => (State::NotApplicable, None),
        (true, false, _, _) => (State::NoUserCredentials, Some(no_user())),
        (true, true, Some(failure), _) => (State::Failed, Some(problem(failure))),
        (true, true, None, Some(_)) => (State::Current, None),
        (true, true, None, None) => (State::NeverRead, None),
    };
    proto::ResellerSync {
        state: state.into(),
        resellers: signed(counts.resellers),
        mapped_customers: signed(counts.mapped_customers),
        read_time: read_at.map(time),
        problem: told,
    }
}

fn no_user() -> proto::SyncProblem {
    let (reason, detail) = NO_USER;
    proto::SyncProblem { reason: reason.to_owned(), detail: detail.to_owned(), since: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::store::SyncProblem;
    use crate::store::{ResellerCounts, ResellerReading};

    fn standing(applies: bool, reading: Option<ResellerReading>) -> proto::ResellerSync {
        reseller_sync(ResellerStanding { applies, reading, counts: ResellerCounts::default() })
    }

    fn reading() -> ResellerReading {
        ResellerReading {
            has_user: true,
            wanted: 1,
            round: 0,
            began_at: None,
            under_way: false,
            read_at: None,
            problem: None,
        }
    }

    #[test]
    fn what_is_known_of_resellers_is_in_exactly_one_state() {
        use proto::ResellerSyncState as State;
        let read = ResellerReading { read_at: Some(Timestamp::from_micros(7)), ..reading() };
        let problem = SyncProblem {
            reason: "CONSENT_NEEDED".to_owned(),
            detail: "Sign in.".to_owned(),
            since: Timestamp::from_micros(8),
        };
        let failed = ResellerReading { problem: Some(problem), ..read.clone() };
        let cases = [
            (false, Some(failed.clone()), State::NotApplicable, ""),
            (true, None, State::NeverRead, ""),
            (true, Some(reading()), State::NeverRead, ""),
            (true, Some(read.clone()), State::Current, ""),
            (true, Some(failed.clone()), State::Failed, "CONSENT_NEEDED"),
            (
                true,
                Some(ResellerReading { has_user: false, ..failed }),
                State::NoUserCredentials,
                "USER_SIGN_IN_MISSING",
            ),
        ];
        for (applies, reading, state, reason) in cases {
            let told = standing(applies, reading);
            assert_eq!(told.state(), state);
            assert_eq!(told.problem.map(|problem| problem.reason).unwrap_or_default(), reason);
        }
        assert!(standing(true, Some(read)).read_time.is_some());
    }
}
