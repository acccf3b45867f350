//! Requests about customers as what the operations take, or everything that is wrong with them.

use std::time::Duration;

use tonic::Status;

use crate::domain::filter::{Filter, FilterProblem};
use crate::domain::ids::{CustomerId, PartnerAccountId, Revision};
use crate::domain::order::{Order, OrderProblem};
use crate::domain::review::value_problems;
use crate::domain::text::FieldProblem;
use crate::grpc::details::{invalid, invalid_filter};
use crate::grpc::{convert, edit_mask, names, proto};
use crate::operations::create_customer::WriteMode;
use crate::operations::delete_customer::{DeleteCustomer, Direction};
use crate::operations::get_customer::GetCustomer;
use crate::operations::list_customers::{ListCustomers, Parent};
use crate::operations::lookup_customer::LookupKey;
use crate::operations::update_customer::UpdateCustomer;
use crate::store::{Deleted, RequestKey};

/// How many customers one call may name.
const BATCH_MAX: usize = 1000;

/// Whether a request is to write.
pub(super) const fn mode(validate_only: bool) -> WriteMode {
    if validate_only { WriteMode::ValidateOnly } else { WriteMode::Write }
}

/// Both, or the problems of both.
pub(super) fn both<T>(
    wanted: Result<T, Vec<FieldProblem>>,
    key: Result<Option<RequestKey>, FieldProblem>,
) -> Result<(T, Option<RequestKey>), Vec<FieldProblem>> {
    match (wanted, key) {
        (Ok(wanted), Ok(key)) => Ok((wanted, key)),
        (Ok(_), Err(problem)) => Err(vec![problem]),
        (Err(problems), Ok(_)) => Err(problems),
        (Err(mut problems), Err(problem)) => {
            problems.push(problem);
            Err(problems)
        }
    }
}

/// The update a request asks for, or everything that is wrong with its shape.
pub(super) fn update_of(request: proto::UpdateCustomerRequest) -> Result<UpdateCustomer, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let Some(customer) = request.customer else {
        return Err(vec![FieldProblem::new("customer", "is required")]);
    };
    let name = names::customer("name", &customer.name).map_err(|problem| problems.push(problem)).ok();
    let expected = match customer.etag.as_str() {
        "" => None,
        etag => convert::version("etag", etag).map_err(|problem| problems.push(problem)).ok(),
    };
    let edit = edit_mask::edit(&customer, request.update_mask.as_ref()).map_err(|more| problems.extend(more)).ok();
    if !problems.is_empty() {
        problems.extend(edit.iter().flat_map(value_problems));
    }
    match (name, edit) {
        (Some(name), Some(edit)) if problems.is_empty() => {
            let mode = mode(request.validate_only);
            Ok(UpdateCustomer { account: name.account, id: name.id, expected, edit, mode })
        }
        _ => Err(problems),
    }
}

/// The deletion a request asks for.
pub(super) fn deletion_of(
    name: &str,
    etag: &str,
    direction: Direction,
    validate_only: bool,
) -> Result<DeleteCustomer, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let name = names::customer("name", name).map_err(|problem| problems.push(problem)).ok();
    let expected = match etag {
        "" => None,
        etag => convert::version("etag", etag).map_err(|problem| problems.push(problem)).ok(),
    };
    match name {
        Some(name) if problems.is_empty() => {
            let mode = mode(validate_only);
            Ok(DeleteCustomer { account: name.account, id: name.id, expected, direction, mode })
        }
        _ => Err(problems),
    }
}

/// How many items a page holds: what is asked for, within bounds.
pub(super) fn page_size(asked: i32) -> Result<u32, FieldProblem> {
    const USUAL: u32 = 100;
    const MOST: u32 = 1000;
    match u32::try_from(asked) {
        Ok(0) => Ok(USUAL),
        Ok(size) => Ok(size.min(MOST)),
        Err(_) => Err(FieldProblem::new("page_size", "must not be negative")),
    }
}

/// What is wrong with the arguments of a list.
#[derive(Debug)]
pub(super) enum ListProblem {
    /// Its form.
    Fields(Vec<FieldProblem>),
    /// The filter, at places.
    Filter(Vec<FilterProblem>),
}

impl ListProblem {
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Fields(problems) => invalid(problems),
            Self::Filter(problems) => invalid_filter(problems),
        }
    }
}

/// The list a request asks for, the size of its pages, and how much of each customer it asks for.
pub(super) fn list_of(
    request: &proto::ListCustomersRequest,
) -> Result<(ListCustomers, u32, proto::CustomerView), ListProblem> {
    let mut problems = Vec::new();
    let view = convert::view_of(request.view).map_err(|problem| problems.push(problem)).ok();
    let parent = names::parent("parent", &request.parent).map_err(|problem| problems.push(problem)).ok();
    let size = page_size(request.page_size).map_err(|problem| problems.push(problem)).ok();
    let at = |problem: &OrderProblem| {
        FieldProblem::new("order_by", format!("at character {}: {}", problem.position + 1, problem.description))
    };
    let order = Order::parse(&request.order_by).map_err(|wrong| problems.extend(wrong.iter().map(at))).ok();
    let (Some(parent), Some(size), Some(order), Some(view)) = (parent, size, order, view) else {
        return Err(ListProblem::Fields(problems));
    };
    let filter = Filter::parse(&request.filter).map_err(ListProblem::Filter)?;
    let deleted = if request.show_deleted { Deleted::Shown } else { Deleted::Hidden };
    Ok((ListCustomers { parent, filter, order, deleted }, size, view))
}

/// The customer a request asks for, and how much of it.
pub(super) fn get_of(
    request: &proto::GetCustomerRequest,
) -> Result<(GetCustomer, proto::CustomerView), Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let name = names::customer("name", &request.name).map_err(|problem| problems.push(problem)).ok();
    let view = convert::view_of(request.view).map_err(|problem| problems.push(problem)).ok();
    let max_staleness = match request.max_staleness {
        None => None,
        Some(given) => {
            let wrong = |_| FieldProblem::new("max_staleness", "must be a duration that is not negative");
            Duration::try_from(given).map_err(wrong).map_err(|problem| problems.push(problem)).ok()
        }
    };
    if request.min_revision < 0 {
        problems.push(FieldProblem::new("min_revision", "must not be negative"));
    }
    match (name, view) {
        (Some(name), Some(view)) if problems.is_empty() => {
            let min_revision = (request.min_revision > 0).then_some(Revision(request.min_revision));
            let allow_stale = request.allow_stale;
            let wanted = GetCustomer { account: name.account, id: name.id, max_staleness, allow_stale, min_revision };
            Ok((wanted, view))
        }
        _ => Err(problems),
    }
}

/// Several customers, and how much of each.
type Batch = (Vec<(PartnerAccountId, CustomerId)>, proto::CustomerView);

/// The customers a batch names, and how much of each it asks for.
pub(super) fn batch_of(request: &proto::BatchGetCustomersRequest) -> Result<Batch, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let view = convert::view_of(request.view).map_err(|problem| problems.push(problem)).ok();
    let parent = names::parent("parent", &request.parent).map_err(|problem| problems.push(problem)).ok();
    if request.names.len() > BATCH_MAX {
        let wrong = format!("at most {BATCH_MAX} customers at once, not {}", request.names.len());
        return Err(vec![FieldProblem::new("names", wrong)]);
    }
    let mut wanted = Vec::with_capacity(request.names.len());
    for (place, name) in request.names.iter().enumerate() {
        let field = format!("names[{place}]");
        match names::customer(&field, name) {
            Ok(named) => {
                if matches!(&parent, Some(Parent::Account(account)) if *account != named.account) {
                    problems.push(FieldProblem::new(field, "must be a customer of the parent"));
                }
                wanted.push((named.account, named.id));
            }
            Err(problem) => problems.push(problem),
        }
    }
    match view {
        Some(view) if problems.is_empty() => Ok((wanted, view)),
        Some(_) | None => Err(problems),
    }
}

/// The key a lookup names, and how much of the customer it asks for.
pub(super) fn lookup_of(
    request: proto::LookupCustomerRequest,
) -> Result<(PartnerAccountId, LookupKey, proto::CustomerView), Vec<FieldProblem>> {
    use proto::lookup_customer_request::Key;

    let mut problems = Vec::new();
    let view = convert::view_of(request.view).map_err(|problem| problems.push(problem)).ok();
    let account = names::account("parent", &request.parent).map_err(|problem| problems.push(problem)).ok();
    let said = |field: &str, text: String| {
        if text.trim().is_empty() {
            Err(FieldProblem::new(field, "must not be empty"))
        } else if text.contains(char::is_control) {
            Err(FieldProblem::new(field, "must not contain control characters"))
        } else {
            Ok(text.trim().to_owned())
        }
    };
    let key = match request.key {
        Some(Key::MicrosoftTenantId(id)) => {
            let wrong = |_| FieldProblem::new("microsoft_tenant_id", "must be a UUID");
            id.parse().map(LookupKey::TenantId).map_err(wrong)
        }
        Some(Key::Domain(domain)) => said("domain", domain).map(LookupKey::Domain),
        Some(Key::ExternalReference(reference)) => {
            said("external_reference", reference).map(LookupKey::ExternalReference)
        }
        None => Err(FieldProblem::new("key", "is required: a microsoft_tenant_id, a domain or an external_reference")),
    };
    let key = key.map_err(|problem| problems.push(problem)).ok();
    match (account, key, view) {
        (Some(account), Some(key), Some(view)) => Ok((account, key, view)),
        _ => Err(problems),
    }
}
