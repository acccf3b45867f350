//! Races as callers meet them: a customer becomes Microsoft's between a caller's read and its write, an answer is lost after
//! the commit, a retry comes when its first try is forgotten. `r1` and so on are the numbers of the races that the store's
//! contract and the suites of single matters show too.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use customer_guard::grpc::proto::customer_service_client::CustomerServiceClient;
use customer_guard::grpc::proto::{Customer, LinkCustomerRequest, LinkCustomerResponse, UpdateCustomerRequest};
use customer_guard::simulator::operations::NewCustomer;
use prost_types::FieldMask;
use tokio::io::copy;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Code;
use tonic::transport::Channel;

use crate::harness::cast::{LINDEN, bakery, linden_profile, unverified};
use crate::harness::database::{count, rows};
use crate::harness::{World, eventually};

const FIRST: &str = "0198c0de-7000-4000-8000-000000000001";
const SECOND: &str = "0198c0de-7000-4000-8000-000000000002";
const DECISIONS: &str = "SELECT count(*) FROM decision";

fn edit(customer: &Customer, path: &str, value: &str, id: &str) -> UpdateCustomerRequest {
    let mut customer = customer.clone();
    match path {
        "note" => value.clone_into(&mut customer.note),
        "primary_contact.email" => value.clone_into(&mut customer.primary_contact.get_or_insert_default().email),
        other => panic!("{other} is edited by nobody here"),
    }
    UpdateCustomerRequest {
        customer: Some(customer),
        update_mask: Some(FieldMask { paths: vec![path.to_owned()] }),
        validate_only: false,
        request_id: id.to_owned(),
    }
}

/// A world where Linden is in Partner Center and waits, and the customer of the platform's that it will become.
async fn with_a_duplicate() -> (World, Customer) {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    let domain = Some("bakery.example".to_owned());
    let newcomer =
        NewCustomer { id: Some(LINDEN), domain, billing_profile: Some(linden_profile()), ..NewCustomer::default() };
    world.upstream.simulator.accept_customer(world.contoso(), newcomer).expect("new");
    world.read_audit_log().await;
    world.read_list().await;
    (world, ours)
}

/// Partner Center's Linden becomes that customer.
async fn link(world: &World, customer: &Customer) -> LinkCustomerResponse {
    let request = LinkCustomerRequest {
        name: customer.name.clone(),
        microsoft_tenant_id: LINDEN.to_string(),
        ..LinkCustomerRequest::default()
    };
    world.guard.customers.clone().link_customer(request).await.expect("a link").into_inner()
}

fn email(customer: &Customer) -> &str {
    &customer.primary_contact.as_ref().expect("a contact").email
}

#[tokio::test]
async fn r1_an_edit_of_a_contact_that_became_microsofts_since_it_was_read_is_refused_and_written_down_once() {
    let (world, read) = with_a_duplicate().await;
    let linked = link(&world, &read).await.customer.expect("a customer");
    let history = rows(&world.guard.database, "change_log").await;
    for with_etag in [true, false] {
        let etag = if with_etag { read.etag.clone() } else { String::new() };
        let stale = Customer { etag, ..read.clone() };
        let id = if with_etag { FIRST } else { SECOND };
        let request = edit(&stale, "primary_contact.email", "mine@bakery.example", id);
        let told = world.guard.send_update(request.clone()).await.expect_err("a refusal");
        assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "FIELD_OWNED_BY_PARTNER_CENTER"));
        assert_eq!(told.violated(), ["primary_contact.email"]);
        let again = world.guard.send_update(request).await.expect_err("the same refusal");
        assert_eq!(told.edit_refused(), again.edit_refused());
    }
    assert_eq!(count(&world.guard.database, DECISIONS).await, 2, "one for each request");
    assert_eq!(unverified(world.guard.get(&read.name).await), unverified(linked.clone()));
    assert_eq!(rows(&world.guard.database, "change_log").await, history);
    // What is the caller's own is only told to be read again, and so is a contact that was Microsoft's when it was read.
    let told = world.guard.send_update(edit(&read, "note", "Mine.", "")).await.expect_err("it has changed");
    assert_eq!((told.code, told.reason().as_str()), (Code::Aborted, "STALE_ETAG"));
    world.change_email(LINDEN, "later@linden.example");
    world.read_audit_log().await;
    let request = edit(&linked, "primary_contact.email", "mine@bakery.example", "");
    let told = world.guard.send_update(request).await.expect_err("it has changed");
    assert_eq!((told.code, told.reason().as_str()), (Code::Aborted, "STALE_ETAG"));
    assert_eq!(count(&world.guard.database, DECISIONS).await, 2);
    world.end().await;
}

#[tokio::test]
async fn r1_an_edit_and_the_link_at_once_leave_partner_centers_contact_whoever_is_first() {
    for _ in 0..4 {
        let (world, read) = with_a_duplicate().await;
        let request = edit(&read, "primary_contact.email", "mine@bakery.example", FIRST);
        let (edited, linked) = tokio::join!(world.guard.send_update(request), link(&world, &read));
        let before = linked.before.expect("what it was");
        match edited {
            Ok(edited) => {
                assert_eq!((edited.revision, email(&edited)), (read.revision + 1, "mine@bakery.example"));
                assert_eq!(before, edited, "what was acknowledged is what the link replaced");
            }
            Err(told) => {
                assert_eq!(told.reason(), "FIELD_OWNED_BY_PARTNER_CENTER");
                assert_eq!(before, read);
            }
        }
        let now = world.guard.get(&read.name).await;
        assert_eq!((now.revision, email(&now)), (before.revision + 1, "girts.liepa@linden.example"));
        world.end().await;
    }
}

#[tokio::test]
async fn r2_an_edit_acknowledged_before_the_customer_became_microsofts_stands_in_its_history() {
    let (world, read) = with_a_duplicate().await;
    let request = edit(&read, "primary_contact.email", "mine@bakery.example", FIRST);
    let edited = world.guard.send_update(request.clone()).await.expect("it is the platform's");
    let linked = link(&world, &read).await;
    assert_eq!(linked.before, Some(edited.clone()));
    let now = linked.customer.expect("a customer");
    assert_eq!((edited.revision, now.revision), (read.revision + 1, read.revision + 2));
    assert_eq!((email(&edited), email(&now)), ("mine@bakery.example", "girts.liepa@linden.example"));
    let id = read.name.rsplit('/').next().expect("an id");
    let kinds = "SELECT count(*) FROM change_log";
    for (revision, kind) in [(read.revision, "CREATED"), (edited.revision, "EDITED"), (now.revision, "LINKED")] {
        let row = format!("{kinds} WHERE customer_id = '{id}' AND revision = {revision} AND kind = '{kind}'");
        assert_eq!(count(&world.guard.database, &row).await, 1, "{kind}");
    }
    assert_eq!(world.guard.send_update(request).await.expect("its answer stands too"), edited);
    world.end().await;
}

/// A way to a service for one connection, on which the answers can be held back.
struct Way {
    address: SocketAddr,
    silenced: CancellationToken,
}

impl Way {
    async fn to(service: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let silenced = CancellationToken::new();
        let silence = silenced.clone();
        TaskTracker::new().spawn(async move {
            let (client, _) = listener.accept().await.expect("a caller");
            let server = TcpStream::connect(service).await.expect("the service accepts");
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let questions = copy(&mut from_client, &mut to_server);
            let answers = silence.run_until_cancelled(copy(&mut from_server, &mut to_client));
            tokio::join!(questions, answers)
        });
        Self { address, silenced }
    }

    async fn client(&self) -> CustomerServiceClient<Channel> {
        CustomerServiceClient::connect(format!("http://{}", self.address)).await.expect("a connection")
    }
}

/// Sends an edit over a connection on which no answer comes back, and gives up once `done` counts one more.
async fn lose_the_answer(world: &World, request: UpdateCustomerRequest, done: &str) {
    let before = count(&world.guard.database, done).await;
    let way = Way::to(world.guard.address).await;
    let mut client = way.client().await;
    way.silenced.cancel();
    let answer = pin!(client.update_customer(request));
    let is_done =
        eventually("it is committed", async || (count(&world.guard.database, done).await == before + 1).then_some(()));
    tokio::select! {
        answer = answer => panic!("an answer came through: {answer:?}"),
        () = is_done => {}
    }
}

#[tokio::test]
async fn r10_who_lost_the_answer_after_the_commit_is_answered_alike_wherever_it_asks_again() {
    let (world, linden) = World::with_linden().await;
    let beside = world.beside().await;
    let elsewhere = beside.as_ref().unwrap_or(&world.guard);

    let accepted = edit(&linden, "note", "Once.", FIRST);
    lose_the_answer(&world, accepted.clone(), "SELECT count(*) FROM change_log").await;
    let answer = elsewhere.send_update(accepted.clone()).await.expect("the first answer");
    assert_eq!((answer.revision, answer.note.as_str()), (linden.revision + 1, "Once."));
    assert_eq!(world.guard.send_update(accepted).await.expect("the first answer"), answer);
    assert_eq!(world.guard.get(&linden.name).await.revision, linden.revision + 1, "it has one effect");

    let refused = edit(&answer, "primary_contact.email", "mine@linden.example", SECOND);
    lose_the_answer(&world, refused.clone(), DECISIONS).await;
    let told = elsewhere.send_update(refused.clone()).await.expect_err("a refusal");
    assert_eq!(told.reason(), "FIELD_OWNED_BY_PARTNER_CENTER");
    let again = world.guard.send_update(refused).await.expect_err("the same refusal");
    assert_eq!(told.edit_refused(), again.edit_refused());
    assert_eq!(count(&world.guard.database, DECISIONS).await, 1, "it is one decision");

    if let Some(beside) = beside {
        beside.stop().await;
    }
    world.end().await;
}

#[tokio::test]
async fn r16_a_retry_that_comes_when_its_first_try_is_forgotten_is_told_that_the_customer_has_changed() {
    let (world, linden) = World::with_linden().await;
    let request = edit(&linden, "note", "Once.", FIRST);
    let edited = world.guard.send_update(request.clone()).await.expect("an edit");
    let other = edit(&Customer { etag: String::new(), ..edited }, "note", "Since then.", SECOND);
    let since = world.guard.send_update(other).await.expect("an edit");
    world.advance(Duration::from_secs(24 * 3600 + 60));
    let told = world.guard.send_update(request).await.expect_err("it is forgotten");
    assert_eq!((told.code, told.reason().as_str()), (Code::Aborted, "STALE_ETAG"));
    let now = world.guard.get(&linden.name).await;
    assert_eq!((now.revision, now.note), (since.revision, since.note), "it has no second effect");
    world.end().await;
}
