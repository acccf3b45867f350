//! Links between platform customers and customers in Partner Center: parse, call the operation, convert.

use tonic::{Request, Response, Status};

use crate::clock::Timestamp;
use crate::domain::customer::Customer;
use crate::domain::field::Field;
use crate::domain::ids::{PartnerAccountId, TenantId, Version};
use crate::domain::likeness::{Candidate, Likeness};
use crate::domain::text::FieldProblem;
use crate::grpc::convert::{self, time};
use crate::grpc::details::invalid;
use crate::grpc::names::CustomerName;
use crate::grpc::page_token::TokenContext;
use crate::grpc::requests::{both, mode, page_size};
use crate::grpc::{Serving, caller, names, proto, repeat, status};
use crate::operations::link_customer::{self, LinkCustomer, LinkedCustomer};
use crate::operations::once::{Once, Outcome};
use crate::operations::pending_links;
use crate::operations::unlink_customer::{self, UnlinkCustomer};
use crate::store::{PendingLink, PendingPlace};

pub(super) async fn link_customer(
    serving: &Serving,
    request: Request<proto::LinkCustomerRequest>,
) -> Result<Response<proto::LinkCustomerResponse>, Status> {
    let caller = caller::of(&request)?;
    let mut request = request.into_inner();
    let request_id = std::mem::take(&mut request.request_id);
    let key = repeat::key(&caller, "LinkCustomer", &request_id, &request);
    let (wanted, key) = both(link_of(&request), key).map_err(|problems| invalid(&problems))?;
    let answer = |linked: &LinkedCustomer| repeat::keep(link_response(serving, linked));
    let once = key.map(|key| Once { key, answer: &answer });
    let Serving { store, accounts, questions, .. } = serving;
    let linked = link_customer::link_customer(store, accounts, questions, &caller, wanted, once).await;
    let response = match linked.map_err(status::links::link_customer)? {
        Outcome::Now(linked) => link_response(serving, &linked)?,
        Outcome::Before(answer) => repeat::again(&answer)?,
    };
    Ok(Response::new(response))
}

pub(super) async fn unlink_customer(
    serving: &Serving,
    request: Request<proto::UnlinkCustomerRequest>,
) -> Result<Response<proto::Customer>, Status> {
    let caller = caller::of(&request)?;
    let mut request = request.into_inner();
    let request_id = std::mem::take(&mut request.request_id);
    let key = repeat::key(&caller, "UnlinkCustomer", &request_id, &request);
    let (wanted, key) = both(unlink_of(&request), key).map_err(|problems| invalid(&problems))?;
    let answer = |customer: &Customer| repeat::keep(reply(serving, customer));
    let once = key.map(|key| Once { key, answer: &answer });
    let unlinked = unlink_customer::unlink_customer(&serving.store, &serving.accounts, &caller, wanted, once).await;
    let customer = match unlinked.map_err(status::links::unlink_customer)? {
        Outcome::Now(customer) => reply(serving, &customer)?,
        Outcome::Before(answer) => repeat::again(&answer)?,
    };
    Ok(Response::new(customer))
}

pub(super) async fn list_pending_links(
    serving: &Serving,
    request: Request<proto::ListPendingLinksRequest>,
) -> Result<Response<proto::ListPendingLinksResponse>, Status> {
    let caller = caller::of(&request)?;
    let request = request.into_inner();
    let mut problems = Vec::new();
    let account = names::account("parent", &request.parent).map_err(|problem| problems.push(problem)).ok();
    let size = page_size(request.page_size).map_err(|problem| problems.push(problem)).ok();
    let (Some(account), Some(size)) = (account, size) else { return Err(invalid(&problems)) };
    let context = TokenContext { list: "ListPendingLinks", parent: &request.parent, caller: &caller.subject };
    let after = serving.begin_of_page(context, &request.page_token, place_of).await?;
    let listed =
        pending_links::list_pending_links(&serving.store, &serving.accounts, &caller, &account, after, size).await;
    let listed = listed.map_err(status::links::pending_link)?;
    let next = listed.next.map(|next| format!("{} {}", next.noted_at.micros(), next.tenant_id));
    let next_page_token = serving.next_page_token(context, next).await?;
    let pending_links = listed.links.iter().map(|link| pending_link(&account, link)).collect();
    Ok(Response::new(proto::ListPendingLinksResponse { pending_links, next_page_token }))
}

pub(super) async fn dismiss_pending_link(
    serving: &Serving,
    request: Request<proto::DismissPendingLinkRequest>,
) -> Result<Response<proto::PendingLink>, Status> {
    let caller = caller::of(&request)?;
    let mut request = request.into_inner();
    let request_id = std::mem::take(&mut request.request_id);
    let key = repeat::key(&caller, "DismissPendingLink", &request_id, &request);
    let name = names::pending_link("name", &request.name).map_err(|problem| vec![problem]);
    let ((account, tenant), key) = both(name, key).map_err(|problems| invalid(&problems))?;
    let answer = |link: &PendingLink| repeat::keep(Ok(pending_link(&account, link)));
    let once = key.map(|key| Once { key, answer: &answer });
    let Serving { store, accounts, .. } = serving;
    let dismissed = pending_links::dismiss_pending_link(store, accounts, &caller, &account, tenant, once).await;
    let link = match dismissed.map_err(status::links::pending_link)? {
        Outcome::Now(link) => pending_link(&account, &link),
        Outcome::Before(answer) => repeat::again(&answer)?,
    };
    Ok(Response::new(link))
}

/// The link a request asks for, or everything that is wrong with it.
fn link_of(request: &proto::LinkCustomerRequest) -> Result<LinkCustomer, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let name = names::customer("name", &request.name).map_err(|problem| problems.push(problem)).ok();
    let tenant: Option<TenantId> = request.microsoft_tenant_id.parse().ok();
    if tenant.is_none() {
        problems.push(FieldProblem::new("microsoft_tenant_id", "is required and must be a UUID"));
    }
    let expected = expected(&request.etag, &mut problems);
    match (name, tenant) {
        (Some(name), Some(tenant)) if problems.is_empty() => {
            let mode = mode(request.validate_only);
            Ok(LinkCustomer { account: name.account, id: name.id, tenant, expected, mode })
        }
        _ => Err(problems),
    }
}

/// What a request asks to undo, or everything that is wrong with it.
fn unlink_of(request: &proto::UnlinkCustomerRequest) -> Result<UnlinkCustomer, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let name = names::customer("name", &request.name).map_err(|problem| problems.push(problem)).ok();
    let expected = expected(&request.etag, &mut problems);
    match name {
        Some(name) if problems.is_empty() => {
            let mode = mode(request.validate_only);
            Ok(UnlinkCustomer { account: name.account, id: name.id, expected, mode })
        }
        _ => Err(problems),
    }
}

fn expected(etag: &str, problems: &mut Vec<FieldProblem>) -> Option<Version> {
    match etag {
        "" => None,
        etag => convert::version("etag", etag).map_err(|problem| problems.push(problem)).ok(),
    }
}

fn place_of(text: &str) -> Option<PendingPlace> {
    let (noted_at, tenant) = text.split_once(' ')?;
    Some(PendingPlace { noted_at: Timestamp::from_micros(noted_at.parse().ok()?), tenant_id: tenant.parse().ok()? })
}

fn reply(serving: &Serving, customer: &Customer) -> Result<proto::Customer, Status> {
    let served = serving.accounts.find(&customer.account);
    let served = served.map_err(|missing| status::get_customer(missing.into()))?;
    Ok(convert::customer(customer, &served.policy, serving.clock.now()))
}

fn link_response(serving: &Serving, linked: &LinkedCustomer) -> Result<proto::LinkCustomerResponse, Status> {
    let paths = |fields: &[Field]| fields.iter().map(Field::to_string).collect();
    Ok(proto::LinkCustomerResponse {
        customer: Some(reply(serving, &linked.after)?),
        before: Some(reply(serving, &linked.before)?),
        locked_fields: paths(&linked.locked),
        replaced_fields: paths(&linked.replaced),
        reversible_until: Some(time(linked.reversible_until)),
    })
}

fn pending_link(account: &PartnerAccountId, link: &PendingLink) -> proto::PendingLink {
    proto::PendingLink {
        name: names::pending_link_name(account, link.tenant_id),
        microsoft_tenant_id: link.tenant_id.to_string(),
        company_name: link.company_name.clone(),
        domain: link.domain.clone(),
        candidates: duplicates(account, &link.candidates),
        create_time: Some(time(link.noted_at)),
    }
}

/// Customers that may be the same organization, as messages.
pub(super) fn duplicates(account: &PartnerAccountId, candidates: &[Candidate]) -> Vec<proto::DuplicateCandidate> {
    let reason = |likeness| match likeness {
        Likeness::SameDomain => proto::DuplicateReason::SameDomain,
        Likeness::SameNameAndCountry => proto::DuplicateReason::SameNameAndCountry,
    };
    let duplicate = |candidate: &Candidate| proto::DuplicateCandidate {
        customer: CustomerName { account: account.clone(), id: candidate.customer }.to_string(),
        reason: reason(candidate.likeness).into(),
    };
    candidates.iter().map(duplicate).collect()
}
