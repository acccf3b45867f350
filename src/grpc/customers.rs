//! `CustomerService`: parse, call the operation, convert.

use std::sync::Arc;

use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

use crate::domain::access::Caller;
use crate::domain::create;
use crate::domain::customer::Customer;
use crate::domain::ids::PartnerAccountId;
use crate::domain::order::{Order, Position};
use crate::domain::text::FieldProblem;
use crate::grpc::details::invalid;
use crate::grpc::page_token::TokenContext;
use crate::grpc::proto;
use crate::grpc::proto::customer_service_server::CustomerService;
use crate::grpc::requests::{batch_of, both, deletion_of, get_of, list_of, lookup_of, mode, update_of};
use crate::grpc::{Serving, caller, convert, links, names, refusal, repeat, status, watch};
use crate::operations::accounts::ServedAccount;
use crate::operations::create_customer::{CreateCustomer, CreatedCustomer, create_customer};
use crate::operations::delete_customer::{DeleteCustomer, Direction, delete_customer};
use crate::operations::get_customer::get_customer;
use crate::operations::get_field_ownership::get_field_ownership;
use crate::operations::list_customers::{CustomerList, ListCustomers, list_customers};
use crate::operations::lookup_customer::{batch_get_customers, lookup_customer};
use crate::operations::once::{Once, Outcome};
use crate::operations::update_customer::{EditOutcome, update_customer};
use crate::store::RequestKey;

/// A page ends once it is larger than this: many clients take no message above 4 MiB.
const PAGE_BYTES: usize = 3 * 1024 * 1024;

/// The response header that tells a caller set to `report_only` what it would have been refused.
const EDIT_REFUSED_HEADER: &str = "customerguard-edit-refused-bin";

/// The service.
#[derive(Clone, Debug)]
pub struct Customers(pub(super) Arc<Serving>);

impl Customers {
    fn reply(&self, customer: &Customer) -> Result<proto::Customer, Status> {
        let served = self.served(&customer.account)?;
        Ok(convert::customer(customer, &served.policy, self.0.clock.now()))
    }

    /// The customers of a page, as many as fit, and where the next one begins.
    fn page(
        &self,
        listed: &CustomerList,
        order: &Order,
        view: proto::CustomerView,
    ) -> Result<(Vec<proto::Customer>, Option<Position>), Status> {
        let mut customers = Vec::with_capacity(listed.customers.len());
        let mut bytes = 0;
        for customer in &listed.customers {
            let reply = convert::in_view(self.reply(customer)?, view);
            bytes += reply.encoded_len();
            customers.push(reply);
            if bytes > PAGE_BYTES && customers.len() < listed.customers.len() {
                return Ok((customers, Some(Position::of(customer, order))));
            }
        }
        Ok((customers, listed.next.clone()))
    }

    fn served(&self, account: &PartnerAccountId) -> Result<Arc<ServedAccount>, Status> {
        self.0.accounts.find(account).map_err(|missing| status::get_customer(missing.into()))
    }

    fn edited(&self, outcome: &EditOutcome) -> Result<proto::Customer, Status> {
        match outcome {
            EditOutcome::Saved(customer) | EditOutcome::Reported(customer, _) => self.reply(customer),
            EditOutcome::Refused(edit) => {
                let served = self.served(&edit.customer.account)?;
                Err(refusal::refused(edit, &served, &self.0.portal))
            }
        }
    }

    fn reported(&self, outcome: &EditOutcome) -> Option<proto::EditRefused> {
        match outcome {
            EditOutcome::Saved(_) | EditOutcome::Refused(_) => None,
            EditOutcome::Reported(_, edit) => {
                let served = self.0.accounts.find(&edit.customer.account).ok()?;
                Some(refusal::reported(edit, &served, &self.0.portal))
            }
        }
    }

    /// A new customer, and the ones it may be a second record of.
    fn created(&self, created: &CreatedCustomer) -> Result<proto::Customer, Status> {
        let CreatedCustomer { customer, candidates } = created;
        let duplicate_candidates = links::duplicates(&customer.account, candidates);
        Ok(proto::Customer { duplicate_candidates, ..self.reply(customer)? })
    }

    fn answered(&self, outcome: Outcome<Customer>) -> Result<Response<proto::Customer>, Status> {
        let customer = match outcome {
            Outcome::Now(customer) => self.reply(&customer)?,
            Outcome::Before(answer) => repeat::again(&answer)?,
        };
        Ok(Response::new(customer))
    }

    async fn delete(
        &self,
        caller: &Caller,
        wanted: Result<DeleteCustomer, Vec<FieldProblem>>,
        key: Result<Option<RequestKey>, FieldProblem>,
    ) -> Result<Response<proto::Customer>, Status> {
        let (wanted, key) = both(wanted, key).map_err(|problems| invalid(&problems))?;
        let answer = |customer: &Customer| repeat::keep(self.reply(customer));
        let once = key.map(|key| Once { key, answer: &answer });
        let deleted = delete_customer(&self.0.store, &self.0.accounts, caller, wanted, once).await;
        self.answered(deleted.map_err(status::delete_customer)?)
    }
}

#[tonic::async_trait]
impl CustomerService for Customers {
    async fn get_customer(
        &self,
        request: Request<proto::GetCustomerRequest>,
    ) -> Result<Response<proto::Customer>, Status> {
        let caller = caller::of(&request)?;
        let (wanted, view) = get_of(request.get_ref()).map_err(|problems| invalid(&problems))?;
        let found = get_customer(&self.0.store, &self.0.accounts, &caller, &wanted, self.0.clock.now()).await;
        let found = found.map_err(status::get_customer)?;
        let mut customer = convert::in_view(self.reply(&found.customer)?, view);
        customer.stale |= found.too_old;
        Ok(Response::new(customer))
    }

    async fn batch_get_customers(
        &self,
        request: Request<proto::BatchGetCustomersRequest>,
    ) -> Result<Response<proto::BatchGetCustomersResponse>, Status> {
        let caller = caller::of(&request)?;
        let request = request.into_inner();
        let (wanted, view) = batch_of(&request).map_err(|problems| invalid(&problems))?;
        let found = batch_get_customers(&self.0.store, &self.0.accounts, &caller, &wanted).await;
        let found = found.map_err(status::lookup)?;
        let results = request.names.into_iter().zip(found).map(|(name, customer)| {
            let customer = customer.as_ref().map(|customer| self.reply(customer)).transpose()?;
            let customer = customer.map(|customer| convert::in_view(customer, view));
            Ok(proto::BatchGetCustomersResult { name, customer })
        });
        Ok(Response::new(proto::BatchGetCustomersResponse { results: results.collect::<Result<_, Status>>()? }))
    }

    async fn lookup_customer(
        &self,
        request: Request<proto::LookupCustomerRequest>,
    ) -> Result<Response<proto::Customer>, Status> {
        let caller = caller::of(&request)?;
        let (account, key, view) = lookup_of(request.into_inner()).map_err(|problems| invalid(&problems))?;
        let found = lookup_customer(&self.0.store, &self.0.accounts, &caller, &account, &key).await;
        let customer = self.reply(&found.map_err(status::lookup)?)?;
        Ok(Response::new(convert::in_view(customer, view)))
    }

    async fn list_customers(
        &self,
        request: Request<proto::ListCustomersRequest>,
    ) -> Result<Response<proto::ListCustomersResponse>, Status> {
        let caller = caller::of(&request)?;
        let request = request.into_inner();
        let (wanted, size, view) = list_of(&request).map_err(|error| error.status())?;
        // Everything that chooses or orders customers binds the token, in its canonical form.
        let ListCustomers { filter, order, deleted, .. } = &wanted;
        let arguments = format!("{}\n{filter}\n{order}\n{deleted:?}", request.parent);
        let context = TokenContext { list: "ListCustomers", parent: &arguments, caller: &caller.subject };
        let parse = |place: &str| Position::parse(place, order);
        let from = self.0.begin_of_page(context, &request.page_token, parse).await?;
        let listed =
            list_customers(&self.0.store, &self.0.accounts, &caller, wanted.clone(), from.as_ref(), size).await;
        let listed = listed.map_err(status::list_customers)?;
        let (customers, next) = self.page(&listed, order, view)?;
        let next_page_token = self.0.next_page_token(context, next).await?;
        Ok(Response::new(proto::ListCustomersResponse { customers, next_page_token }))
    }

    async fn create_customer(
        &self,
        request: Request<proto::CreateCustomerRequest>,
    ) -> Result<Response<proto::Customer>, Status> {
        let caller = caller::of(&request)?;
        let mut request = request.into_inner();
        let mut problems = Vec::new();
        let request_id = std::mem::take(&mut request.request_id);
        let key = repeat::key(&caller, "CreateCustomer", &request_id, &request);
        let key = key.unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let account: Option<PartnerAccountId> =
            names::account("parent", &request.parent).map_err(|problem| problems.push(problem)).ok();
        if request.customer.is_none() {
            problems.push(FieldProblem::new("customer", "is required"));
        }
        let draft = convert::draft(request.customer.unwrap_or_default(), &mut problems);
        let (Some(account), true) = (account, problems.is_empty()) else {
            problems.extend(create::problems(&draft));
            return Err(invalid(&problems));
        };
        let wanted = CreateCustomer { account, draft, mode: mode(request.validate_only) };
        let answer = |created: &CreatedCustomer| repeat::keep(self.created(created));
        let once = key.map(|key| Once { key, answer: &answer });
        let created = create_customer(&self.0.store, &self.0.accounts, &caller, wanted, once).await;
        let customer = match created.map_err(status::create_customer)? {
            Outcome::Now(created) => self.created(&created)?,
            Outcome::Before(answer) => repeat::again(&answer)?,
        };
        Ok(Response::new(customer))
    }

    async fn update_customer(
        &self,
        request: Request<proto::UpdateCustomerRequest>,
    ) -> Result<Response<proto::Customer>, Status> {
        let caller = caller::of(&request)?;
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let key = repeat::key(&caller, "UpdateCustomer", &request_id, &request);
        let (wanted, key) = both(update_of(request), key).map_err(|problems| invalid(&problems))?;
        let answer =
            |outcome: &EditOutcome| repeat::keep_reported(self.edited(outcome), self.reported(outcome).as_ref());
        let once = key.map(|key| Once { key, answer: &answer });
        let updated = update_customer(&self.0.store, &self.0.accounts, &caller, wanted, once).await;
        let (customer, reported) = match updated.map_err(status::update_customer)? {
            Outcome::Now(outcome) => (self.edited(&outcome)?, self.reported(&outcome)),
            Outcome::Before(answer) => (repeat::again(&answer)?, repeat::reported_again(&answer)),
        };
        let mut response = Response::new(customer);
        if let Some(reported) = reported {
            let header = MetadataValue::from_bytes(&reported.encode_to_vec());
            response.metadata_mut().insert_bin(EDIT_REFUSED_HEADER, header);
        }
        Ok(response)
    }

    async fn delete_customer(
        &self,
        request: Request<proto::DeleteCustomerRequest>,
    ) -> Result<Response<proto::Customer>, Status> {
        let caller = caller::of(&request)?;
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let key = repeat::key(&caller, "DeleteCustomer", &request_id, &request);
        let wanted = deletion_of(&request.name, &request.etag, Direction::Delete, request.validate_only);
        self.delete(&caller, wanted, key).await
    }

    async fn undelete_customer(
        &self,
        request: Request<proto::UndeleteCustomerRequest>,
    ) -> Result<Response<proto::Customer>, Status> {
        let caller = caller::of(&request)?;
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let key = repeat::key(&caller, "UndeleteCustomer", &request_id, &request);
        let wanted = deletion_of(&request.name, &request.etag, Direction::Undelete, request.validate_only);
        self.delete(&caller, wanted, key).await
    }

    type WatchCustomersStream = watch::Events;

    async fn watch_customers(
        &self,
        request: Request<proto::WatchCustomersRequest>,
    ) -> Result<Response<watch::Events>, Status> {
        watch::watch_customers(&self.0, request).await
    }

    async fn link_customer(
        &self,
        request: Request<proto::LinkCustomerRequest>,
    ) -> Result<Response<proto::LinkCustomerResponse>, Status> {
        links::link_customer(&self.0, request).await
    }

    async fn unlink_customer(
        &self,
        request: Request<proto::UnlinkCustomerRequest>,
    ) -> Result<Response<proto::Customer>, Status> {
        links::unlink_customer(&self.0, request).await
    }

    async fn list_pending_links(
        &self,
        request: Request<proto::ListPendingLinksRequest>,
    ) -> Result<Response<proto::ListPendingLinksResponse>, Status> {
        links::list_pending_links(&self.0, request).await
    }

    async fn dismiss_pending_link(
        &self,
        request: Request<proto::DismissPendingLinkRequest>,
    ) -> Result<Response<proto::PendingLink>, Status> {
        links::dismiss_pending_link(&self.0, request).await
    }

    async fn get_field_ownership(
        &self,
        request: Request<proto::GetFieldOwnershipRequest>,
    ) -> Result<Response<proto::FieldOwnership>, Status> {
        let caller = caller::of(&request)?;
        let name = names::customer("name", &request.get_ref().name).map_err(|problem| invalid(&[problem]))?;
        let found = get_field_ownership(&self.0.store, &self.0.accounts, &caller, &name.account, name.id).await;
        let ownership = found.map_err(status::get_customer)?;
        let served = self.served(&name.account)?;
        let fix = refusal::fix(&served, &ownership.customer, &self.0.portal);
        Ok(Response::new(convert::field_ownership(&ownership, fix)))
    }
}
