//! Callers that go from replica to replica: they note what was acknowledged, and expect to be refused what is not theirs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use customer_guard::grpc::proto;
use customer_guard::grpc::proto::customer_service_client::CustomerServiceClient;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Channel;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::fleet::{Fleet, client, parent};

/// How long one call is repeated until it has an answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many write at the same time.
const WRITERS: usize = 3;

/// What is to be called, and what was said.
pub struct Clients {
    addresses: Vec<watch::Receiver<String>>,
    accounts: usize,
    /// Microsoft customers that somebody tries to edit.
    guarded: Vec<String>,
    /// The last note of every customer of the platform's that was acknowledged, and its etag's revision.
    acknowledged: Mutex<BTreeMap<String, String>>,
    refused: Mutex<u32>,
    repeated: Mutex<u32>,
    /// How many writes were acknowledged.
    written: watch::Sender<usize>,
    sends_etags: bool,
}

/// Whether the same call may be made again: what a client library is told to retry, and what befalls a connection.
fn passes(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => true,
        // A connection whose other end was killed while the call was under way.
        Code::Unknown => status.message().contains("transport error") || status.message().contains("h2 protocol error"),
        Code::Internal => status.message().contains("h2 protocol error"),
        _ => false,
    }
}

#[expect(clippy::disallowed_methods, reason = "an id of a caller's")]
fn drawn_id() -> String {
    Uuid::now_v7().to_string()
}

impl Clients {
    pub async fn of(fleet: &Fleet) -> Self {
        let mut guarded = Vec::new();
        for number in 0..10 {
            let mut client = client(&fleet.seats[0].address.borrow().clone());
            let request = proto::ListCustomersRequest { parent: parent(number), page_size: 2, ..Default::default() };
            let page = client.list_customers(request).await.expect("a page").into_inner();
            guarded.extend(page.customers.into_iter().map(|customer| customer.name));
        }
        Self {
            addresses: fleet.seats.iter().map(|seat| seat.address.subscribe()).collect(),
            accounts: fleet.partners.len(),
            guarded,
            acknowledged: Mutex::default(),
            refused: Mutex::default(),
            repeated: Mutex::default(),
            written: watch::Sender::default(),
            sends_etags: true,
        }
    }

    /// The same callers, who overwrite whatever is there.
    pub fn without_etags(self) -> Self {
        Self { sends_etags: false, ..self }
    }

    /// Waits until so many more writes are acknowledged.
    pub async fn wait_for(&self, more: usize) {
        let mut written = self.written.subscribe();
        let enough = *written.borrow() + more;
        let waited = tokio::time::timeout(PATIENCE, written.wait_for(|written| *written >= enough)).await;
        waited.expect("callers are answered").expect("callers call");
    }

    /// Starts to call until `stop`.
    pub fn start(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
        let writers = (0..WRITERS).map(|number| {
            let (this, stop) = (Arc::clone(self), stop.clone());
            tasks.spawn(async move { this.write(number, stop).await })
        });
        let intruder = {
            let (this, stop) = (Arc::clone(self), stop.clone());
            tasks.spawn(async move { this.intrude(stop).await })
        };
        writers.chain([intruder]).collect()
    }

    /// Makes one call at one replica after the other until one answers for good.
    async fn call<T, F>(&self, first: usize, call: impl Fn(CustomerServiceClient<Channel>) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let began = Instant::now();
        for turn in first.. {
            let address = self.addresses[turn % self.addresses.len()].borrow().clone();
            match call(client(&address)).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) if passes(&status) => {
                    *self.repeated.lock().expect("nobody panics with it") += 1;
                    assert!(began.elapsed() < PATIENCE, "no replica answers: {status:?}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(status) => return Err(status),
            }
        }
        unreachable!("turns do not end")
    }

    async fn write(&self, writer: usize, stop: CancellationToken) {
        let mut round = 0;
        while !stop.is_cancelled() {
            round += 1;
            let number = (writer * 7 + round) % self.accounts;
            let request_id = drawn_id();
            let customer = proto::Customer {
                company_name: format!("Bakery {writer} {round}"),
                note: "new".to_owned(),
                ..Default::default()
            };
            let create = proto::CreateCustomerRequest {
                parent: parent(number),
                customer: Some(customer),
                request_id,
                ..Default::default()
            };
            let made = self
                .call(round, |mut client| {
                    let create = create.clone();
                    async move { client.create_customer(create).await }
                })
                .await;
            let mut customer = made.unwrap_or_else(|status| panic!("a customer is refused: {status:?}"));
            self.acknowledge(&customer);
            for edit in 0..3 {
                // Another replica than the one that answered last: it must know what that one acknowledged.
                customer.note = format!("note {edit}");
                if !self.sends_etags {
                    customer.etag.clear();
                }
                let update = proto::UpdateCustomerRequest {
                    customer: Some(customer.clone()),
                    update_mask: Some(prost_types::FieldMask { paths: vec!["note".to_owned()] }),
                    request_id: drawn_id(),
                    ..Default::default()
                };
                let turn = round + edit + 1;
                let edited = self
                    .call(turn, |mut client| {
                        let update = update.clone();
                        async move { client.update_customer(update).await }
                    })
                    .await;
                customer = edited.unwrap_or_else(|status| panic!("an edit is refused: {status:?}"));
                self.acknowledge(&customer);
                let get = proto::GetCustomerRequest { name: customer.name.clone(), ..Default::default() };
                let read = self
                    .call(turn + 1, |mut client| {
                        let get = get.clone();
                        async move { client.get_customer(get).await }
                    })
                    .await;
                let read = read.expect("it is read");
                let shown = (read.revision, read.note, read.update_time);
                let told = (customer.revision, customer.note.clone(), customer.update_time);
                assert_eq!(shown, told, "another replica shows what was acknowledged");
            }
        }
    }

    fn acknowledge(&self, customer: &proto::Customer) {
        let mut acknowledged = self.acknowledged.lock().expect("nobody panics with it");
        acknowledged.insert(customer.name.clone(), customer.note.clone());
        self.written.send_modify(|written| *written += 1);
    }

    async fn intrude(&self, stop: CancellationToken) {
        let mut turn = 0;
        while !stop.is_cancelled() {
            turn += 1;
            let contact = proto::Contact { email: format!("intruder{turn}@example.com"), ..Default::default() };
            let update = proto::UpdateCustomerRequest {
                customer: Some(proto::Customer {
                    name: self.guarded[turn % self.guarded.len()].clone(),
                    primary_contact: Some(contact),
                    ..Default::default()
                }),
                update_mask: Some(prost_types::FieldMask { paths: vec!["primary_contact.email".to_owned()] }),
                request_id: drawn_id(),
                ..Default::default()
            };
            let refused = self
                .call(turn, |mut client| {
                    let update = update.clone();
                    async move { client.update_customer(update).await }
                })
                .await;
            let status = refused.expect_err("a guarded edit is refused");
            assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
            *self.refused.lock().expect("nobody panics with it") += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Everything that was acknowledged is there, once, and as it was acknowledged last.
    pub async fn check_what_was_acknowledged(&self, fleet: &Fleet) {
        let acknowledged = self.acknowledged.lock().expect("nobody panics with it").clone();
        let mut client = client(&fleet.seats[0].address.borrow().clone());
        let mut found = BTreeMap::new();
        for number in 0..self.accounts {
            let mut page_token = String::new();
            loop {
                let request = proto::ListCustomersRequest {
                    parent: parent(number),
                    page_size: 1_000,
                    filter: "source = \"PLATFORM\"".to_owned(),
                    page_token,
                    ..Default::default()
                };
                let page = client.list_customers(request).await.expect("a page").into_inner();
                found.extend(page.customers.into_iter().map(|customer| (customer.name, customer.note)));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
        }
        assert!(found == acknowledged, "what is stored is what was acknowledged, no more and no less");
        println!(
            "{} customers of four writes each are there, {} guarded edits were refused, {} calls were made again",
            acknowledged.len(),
            self.refused.lock().expect("nobody panics with it"),
            self.repeated.lock().expect("nobody panics with it"),
        );
    }
}
