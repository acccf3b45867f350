//! `CustomerService`: parse, call the operation, convert.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::domain::customer::Customer;
use crate::domain::ids::PartnerAccountId;
use crate::domain::text::FieldProblem;
use crate::grpc::details::invalid;
use crate::grpc::page_token::TokenContext;
use crate::grpc::proto;
use crate::grpc::proto::customer_service_server::CustomerService;
use crate::grpc::{Serving, caller, convert, edit_mask, names, refusal, status};
use crate::operations::create_customer::{CreateCustomer, WriteMode, create_customer};
use crate::operations::get_customer::get_customer;
use crate::operations::get_field_ownership::get_field_ownership;
use crate::operations::list_customers::list_customers;
use crate::operations::update_customer::{UpdateCustomer, update_customer};
use crate::store::AfterCustomer;

/// The service.
#[derive(Clone, Debug)]
pub struct Customers(pub(super) Arc<Serving>);

impl Customers {
    fn reply(&self, customer: &Customer) -> Result<proto::Customer, Status> {
        let served = self.0.accounts.find(&customer.account);
        let served = served.map_err(|missing| status::get_customer(missing.into()))?;
        Ok(convert::customer(customer, &served.policy))
    }
}

const fn mode(validate_only: bool) -> WriteMode {
    if validate_only { WriteMode::ValidateOnly } else { WriteMode::Write }
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

fn place(after: &AfterCustomer) -> String {
    format!("{}/{}", after.account, after.id)
}

fn after(place: &str) -> Option<AfterCustomer> {
    let (account, id) = place.split_once('/')?;
    Some(AfterCustomer { account: account.parse().ok()?, id: id.parse().ok()? })
}

#[tonic::async_trait]
impl CustomerService for Customers {
    async fn get_customer(
        &self,
        request: Request<proto::GetCustomerRequest>,
    ) -> Result<Response<proto::Customer>, Status> {
        let caller = caller::of(&request)?;
        let name = names::customer("name", &request.get_ref().name).map_err(|problem| invalid(&[problem]))?;
        let found = get_customer(&self.0.store, &self.0.accounts, &caller, &name.account, name.id).await;
        Ok(Response::new(self.reply(&found.map_err(status::get_customer)?)?))
    }

    async fn list_customers(
        &self,
        request: Request<proto::ListCustomersRequest>,
    ) -> Result<Response<proto::ListCustomersResponse>, Status> {
        let caller = caller::of(&request)?;
        let request = request.into_inner();
        let mut problems = Vec::new();
        let parent = names::parent("parent", &request.parent).map_err(|problem| problems.push(problem)).ok();
        let size = page_size(request.page_size).map_err(|problem| problems.push(problem)).ok();
        let (Some(parent), Some(size)) = (parent, size) else { return Err(invalid(&problems)) };
        let context = TokenContext { list: "ListCustomers", parent: &request.parent, caller: &caller.subject };
        let from = match request.page_token.as_str() {
            "" => None,
            token => {
                let place = self.0.page_tokens.open(context, token).map_err(|_| status::invalid_page_token())?;
                Some(after(&place).ok_or_else(status::invalid_page_token)?)
            }
        };
        let listed = list_customers(&self.0.store, &self.0.accounts, &caller, &parent, from.as_ref(), size).await;
        let listed = listed.map_err(status::list_customers)?;
        let customers = listed.customers.iter().map(|customer| self.reply(customer)).collect::<Result<_, _>>()?;
        let next_page_token = match &listed.next {
            Some(next) => self.0.page_tokens.seal(context, &place(next)).ok_or_else(status::no_randomness)?,
            None => String::new(),
        };
        Ok(Response::new(proto::ListCustomersResponse { customers, next_page_token }))
    }

    async fn create_customer(
        &self,
        request: Request<proto::CreateCustomerRequest>,
    ) -> Result<Response<proto::Customer>, Status> {
        let caller = caller::of(&request)?;
        let request = request.into_inner();
        let mut problems = Vec::new();
        let account: Option<PartnerAccountId> =
            names::account("parent", &request.parent).map_err(|problem| problems.push(problem)).ok();
        if request.customer.is_none() {
            problems.push(FieldProblem::new("customer", "is required"));
        }
        let draft = convert::draft(request.customer.unwrap_or_default(), &mut problems);
        let (Some(account), true) = (account, problems.is_empty()) else { return Err(invalid(&problems)) };
        let wanted = CreateCustomer { account, draft, mode: mode(request.validate_only) };
        let created = create_customer(&self.0.store, &self.0.accounts, &caller, wanted).await;
        Ok(Response::new(self.reply(&created.map_err(status::create_customer)?)?))
    }

    async fn update_customer(
        &self,
        request: Request<proto::UpdateCustomerRequest>,
    ) -> Result<Response<proto::Customer>, Status> {
        let caller = caller::of(&request)?;
        let request = request.into_inner();
        let wanted = update_of(request).map_err(|problems| invalid(&problems))?;
        let account = wanted.account.clone();
        let updated = update_customer(&self.0.store, &self.0.accounts, &caller, wanted).await;
        let updated = updated
            .map_err(|error| status::update_customer(error, self.0.accounts.find(&account).ok(), &self.0.portal))?;
        Ok(Response::new(self.reply(&updated)?))
    }

    async fn get_field_ownership(
        &self,
        request: Request<proto::GetFieldOwnershipRequest>,
    ) -> Result<Response<proto::FieldOwnership>, Status> {
        let caller = caller::of(&request)?;
        let name = names::customer("name", &request.get_ref().name).map_err(|problem| invalid(&[problem]))?;
        let found = get_field_ownership(&self.0.store, &self.0.accounts, &caller, &name.account, name.id).await;
        let ownership = found.map_err(status::get_customer)?;
        let served = self.0.accounts.find(&name.account).map_err(|missing| status::get_customer(missing.into()))?;
        let fix = refusal::fix(served, &ownership.customer, &self.0.portal);
        Ok(Response::new(convert::field_ownership(&ownership, fix)))
    }
}

/// The update a request asks for, or everything that is wrong with its shape.
fn update_of(request: proto::UpdateCustomerRequest) -> Result<UpdateCustomer, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let Some(customer) = request.customer else {
        return Err(vec![FieldProblem::new("customer", "is required")]);
    };
    let name = names::customer("customer.name", &customer.name).map_err(|problem| problems.push(problem)).ok();
    let expected = match customer.etag.as_str() {
        "" => None,
        etag => convert::revision("customer.etag", etag).map_err(|problem| problems.push(problem)).ok(),
    };
    let edit = edit_mask::edit(&customer, request.update_mask.as_ref()).map_err(|more| problems.extend(more)).ok();
    match (name, edit) {
        (Some(name), Some(edit)) if problems.is_empty() => {
            let mode = mode(request.validate_only);
            Ok(UpdateCustomer { account: name.account, id: name.id, expected, edit, mode })
        }
        _ => Err(problems),
    }
}
