//! Callers who write all the time at one replica, each its own customers, remember what they were told, and look at another one
//! whether it shows that too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use customer_guard::grpc::proto::customer_service_client::CustomerServiceClient;
use customer_guard::grpc::proto::{
    CreateCustomerRequest, Customer, GetCustomerRequest, ListCustomersRequest, UpdateCustomerRequest,
};
use prost_types::FieldMask;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use crate::service::Service;

/// What a call may take; a caller that hears nothing by then has failed.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long a caller repeats a request.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pause before a repetition.
const PAUSE: Duration = Duration::from_millis(100);
/// How often each customer is edited.
const EDITS: usize = 4;

pub struct Callers {
    succeeded: Arc<AtomicUsize>,
    stop: CancellationToken,
    callers: Vec<JoinHandle<Told>>,
}

/// What callers were told.
#[derive(Default)]
pub struct Told {
    /// Every customer as it was last acknowledged.
    customers: BTreeMap<String, Customer>,
    calls: usize,
    pub unavailable: usize,
}

struct Caller {
    client: CustomerServiceClient<Channel>,
    /// Another replica's.
    elsewhere: CustomerServiceClient<Channel>,
    number: usize,
    requests: usize,
    succeeded: Arc<AtomicUsize>,
    told: Told,
}

impl Callers {
    pub fn start(service: &Service, other: &Service, many: usize) -> Self {
        let (succeeded, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let callers = (0..many).map(|number| {
            let (client, elsewhere) = (client(service), client(other));
            let succeeded = Arc::clone(&succeeded);
            let caller = Caller { client, elsewhere, number, requests: 0, succeeded, told: Told::default() };
            TaskTracker::new().spawn(caller.write_until(stop.clone()))
        });
        let callers = callers.collect();
        Self { succeeded, stop, callers }
    }

    /// Waits until that many calls more have succeeded.
    pub async fn wait_for(&self, more: usize) {
        let wanted = self.succeeded.load(Ordering::Relaxed) + more;
        let since = Instant::now();
        while self.succeeded.load(Ordering::Relaxed) < wanted {
            let has_ended = self.callers.iter().any(JoinHandle::is_finished);
            assert!(!has_ended && since.elapsed() < PATIENCE, "nobody can write any more");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets every caller finish what it has begun.
    pub async fn stop(self) -> Told {
        self.stop.cancel();
        let mut all = Told::default();
        for caller in self.callers {
            let told = caller.await.expect("a caller was told nothing but UNAVAILABLE");
            all.customers.extend(told.customers);
            all.calls += told.calls;
            all.unavailable += told.unavailable;
        }
        all
    }
}

fn client(service: &Service) -> CustomerServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", service.address)).expect("an address");
    CustomerServiceClient::new(endpoint.connect_lazy())
}

impl Caller {
    async fn write_until(mut self, stop: CancellationToken) -> Told {
        let mut made = 0;
        while !stop.is_cancelled() {
            made += 1;
            let mut customer = self.create(format!("caller-{}-{made}", self.number)).await;
            for edit in 1..=EDITS {
                if stop.is_cancelled() {
                    break;
                }
                customer = self.edit(customer, format!("edit {edit}")).await;
            }
        }
        self.told
    }

    async fn create(&mut self, reference: String) -> Customer {
        let customer =
            Customer { company_name: "Linden".to_owned(), external_reference: reference, ..Customer::default() };
        let request = CreateCustomerRequest {
            parent: "partnerAccounts/contoso".to_owned(),
            customer: Some(customer),
            validate_only: false,
            request_id: self.request_id(),
        };
        self.written(request, async |client, request| client.create_customer(request).await).await
    }

    /// Without an etag: an edit that was made and not acknowledged is answered by its request id.
    async fn edit(&mut self, customer: Customer, note: String) -> Customer {
        let request = UpdateCustomerRequest {
            customer: Some(Customer { note, ..customer }),
            update_mask: Some(FieldMask { paths: vec!["note".to_owned()] }),
            validate_only: false,
            request_id: self.request_id(),
        };
        self.written(request, async |client, request| client.update_customer(request).await).await
    }

    /// One of its own for each request.
    fn request_id(&mut self) -> String {
        self.requests += 1;
        format!("0198c0de-{:04x}-4000-8000-{:012x}", self.number, self.requests)
    }

    /// Writes, and looks at the other replica for what was acknowledged.
    async fn written<R: Clone>(
        &mut self,
        request: R,
        call: impl AsyncFn(&mut CustomerServiceClient<Channel>, Request<R>) -> Result<Response<Customer>, Status>,
    ) -> Customer {
        let customer = repeated(&mut self.client, request, &mut self.told.unavailable, call).await;
        self.told.calls += 1;
        self.told.customers.insert(customer.name.clone(), customer.clone());
        self.succeeded.fetch_add(1, Ordering::Relaxed);
        let request = GetCustomerRequest { name: customer.name.clone(), ..Default::default() };
        let get = async |client: &mut CustomerServiceClient<Channel>, request| client.get_customer(request).await;
        let shown = repeated(&mut self.elsewhere, request, &mut self.told.unavailable, get).await;
        let seen = |customer: &Customer| (customer.revision, customer.note.clone());
        assert_eq!(seen(&shown), seen(&customer), "the other replica shows what was acknowledged");
        customer
    }
}

/// Sends a request until it succeeds.
async fn repeated<R: Clone>(
    client: &mut CustomerServiceClient<Channel>,
    request: R,
    unavailable: &mut usize,
    call: impl AsyncFn(&mut CustomerServiceClient<Channel>, Request<R>) -> Result<Response<Customer>, Status>,
) -> Customer {
    let since = Instant::now();
    loop {
        let mut sent = Request::new(request.clone());
        sent.set_timeout(DEADLINE);
        let began = Instant::now();
        match tokio::time::timeout(DEADLINE + Duration::from_secs(2), call(client, sent)).await {
            Ok(Ok(answer)) => return answer.into_inner(),
            Ok(Err(status)) if status.code() == Code::Unavailable => {
                assert!(!status.details().is_empty(), "it says when to come again: {status:?}");
                *unavailable += 1;
            }
            Ok(Err(status)) => panic!("told {status:?} after {:?}", began.elapsed()),
            Err(_) => panic!("a call outlives its deadline"),
        }
        assert!(since.elapsed() < PATIENCE, "a request is never carried out");
        tokio::time::sleep(PAUSE).await;
    }
}

impl Told {
    pub fn acknowledged(&self) -> usize {
        self.calls
    }

    /// Every customer that was acknowledged is there as it was acknowledged last, and nothing else is.
    pub async fn assert_kept(&self, service: &Service) {
        let mut client = client(service);
        let (mut found, mut page_token) = (BTreeMap::new(), String::new());
        loop {
            let parent = "partnerAccounts/contoso".to_owned();
            let filter = "source = PLATFORM".to_owned();
            let request = ListCustomersRequest { parent, page_size: 500, page_token, filter, ..Default::default() };
            let page = client.list_customers(request).await.expect("a page").into_inner();
            found.extend(page.customers.into_iter().map(|customer| (customer.name.clone(), customer)));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let acknowledged: Vec<_> = self.customers.keys().collect();
        assert_eq!(found.keys().collect::<Vec<_>>(), acknowledged, "a customer is lost, or was made twice");
        for (name, told) in &self.customers {
            assert_eq!(&found[name], told, "not as it was acknowledged");
            let edits = told.note.strip_prefix("edit ").map_or(0, |number| number.parse().expect("a number"));
            assert_eq!(told.revision, 1 + edits, "each request has one effect");
        }
    }
}
