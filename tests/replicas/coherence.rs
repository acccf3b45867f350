//! One caller, several replicas: it reads what it wrote wherever it asks next, is answered about accounts that the replica it
//! asks does not synchronize, and goes on watching at another one where it left off.

use std::time::{Duration, Instant};

use customer_guard::grpc::proto;
use customer_guard::grpc::proto::customer_service_client::CustomerServiceClient;
use customer_guard::grpc::proto::partner_account_service_client::PartnerAccountServiceClient;
use customer_guard::grpc::proto::sync_service_client::SyncServiceClient;
use customer_guard::grpc::proto::watch_customers_response::Event;
use tokio_util::task::TaskTracker;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::fleet::{Fleet, client, parent};

/// Far more than anything takes, so that a slow machine is no failure.
const PATIENCE: Duration = Duration::from_secs(120);
/// By when another replica has heard of a commit, from when it was acknowledged: many times as long as it takes.
const HEARD_WITHIN: Duration = Duration::from_secs(2);

async fn customers_of(client: &mut CustomerServiceClient<Channel>, number: usize) -> Vec<proto::Customer> {
    let request = proto::ListCustomersRequest { parent: parent(number), page_size: 100, ..Default::default() };
    client.list_customers(request).await.expect("a page").into_inner().customers
}

async fn noted(client: &mut CustomerServiceClient<Channel>, customer: &proto::Customer, note: &str) -> proto::Customer {
    let customer = proto::Customer { note: note.to_owned(), ..customer.clone() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["note".to_owned()] });
    let request = proto::UpdateCustomerRequest { customer: Some(customer), update_mask, ..Default::default() };
    client.update_customer(request).await.expect("a note is anybody's").into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_acknowledged_every_other_one_shows_at_once() {
    let Some(fleet) = Fleet::of(2, 4).await else { return };
    fleet.wait_until_spread("after the start").await;
    fleet.wait_until_level().await;
    let mut clients: Vec<_> = fleet.seats.iter().map(|seat| client(&seat.address.borrow().clone())).collect();
    let mut customer = customers_of(&mut clients[0], 1).await.swap_remove(0);
    for round in 0..40 {
        customer = noted(&mut clients[round % 2], &customer, &format!("round {round}")).await;
        let request = proto::GetCustomerRequest {
            name: customer.name.clone(),
            min_revision: customer.revision,
            ..Default::default()
        };
        let read = clients[(round + 1) % 2].get_customer(request).await.expect("it is not older").into_inner();
        assert_eq!((read.revision, &read.note), (customer.revision, &customer.note));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_one_replica_made_is_there_at_every_other_one_at_once() {
    let Some(fleet) = Fleet::of(2, 2).await else { return };
    let addresses: Vec<_> = fleet.seats.iter().map(|seat| seat.address.borrow().clone()).collect();
    for round in 0..20 {
        let (here, there) = (&addresses[round % 2], &addresses[(round + 1) % 2]);
        let mut accounts = PartnerAccountServiceClient::connect(format!("http://{here}")).await.expect("it accepts");
        let request = proto::CreatePartnerAccountRequest {
            partner_account_id: format!("made-{round}"),
            partner_account: Some(proto::PartnerAccount {
                display_name: format!("Made {round}"),
                kind: proto::PartnerKind::DirectBill.into(),
                cloud: proto::Cloud::Global.into(),
                microsoft_tenant_id: format!("cccc0000-0000-4000-8000-{round:012x}"),
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut elsewhere = client(there);
        let request_there = proto::ListCustomersRequest {
            parent: format!("partnerAccounts/made-{round}"),
            page_size: 1,
            ..Default::default()
        };
        accounts.create_partner_account(request).await.expect("it is made");
        elsewhere.list_customers(request_there).await.expect("it is there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_answers_about_accounts_that_another_one_synchronizes() {
    let Some(fleet) = Fleet::of(2, 4).await else { return };
    fleet.wait_until_spread("after the start").await;
    fleet.wait_until_level().await;
    let mut holders = std::collections::BTreeSet::new();
    for seat in &fleet.seats {
        let address = seat.address.borrow().clone();
        let mut customers = client(&address);
        let mut sync = SyncServiceClient::connect(format!("http://{address}")).await.expect("it accepts");
        for number in 0..fleet.partners.len() {
            let status = proto::GetSyncStatusRequest { name: format!("{}/syncStatus", parent(number)) };
            holders.insert(sync.get_sync_status(status).await.expect("a status").into_inner().replica);
            let customer = customers_of(&mut customers, number).await.swap_remove(0);
            let refresh = proto::RefreshCustomerRequest { name: customer.name.clone() };
            let fresh = sync.refresh_customer(refresh).await.expect("it is looked at").into_inner();
            assert!(fresh.verified_at.map(|at| at.seconds) >= customer.verified_at.map(|at| at.seconds));
            let key = proto::explain_customer_request::Key::Customer(customer.name.clone());
            let request = proto::ExplainCustomerRequest { parent: parent(number), key: Some(key) };
            let explained = sync.explain_customer(request).await.expect("it is explained").into_inner();
            assert!(!explained.explanation.is_empty());
        }
    }
    let names: std::collections::BTreeSet<_> = fleet.seats.iter().map(|seat| seat.name.clone()).collect();
    assert_eq!(holders, names, "every account says who synchronizes it");
    fleet.wait_until_level().await;
}

/// Reads on until the customer has that note; returns the cursor of that message and how many snapshots began.
async fn read_until(watch: &mut Streaming<proto::WatchCustomersResponse>, name: &str, note: &str) -> (String, usize) {
    let mut snapshots = 0;
    let read = async {
        loop {
            let message = watch.message().await.expect("it goes on").expect("it does not end");
            match message.event {
                Some(Event::SnapshotStart(_)) => snapshots += 1,
                Some(Event::SnapshotCustomer(customer)) if customer.name == name && customer.note == note => {
                    return message.cursor;
                }
                Some(Event::Change(proto::CustomerChange { customer: Some(customer), .. }))
                    if customer.name == name && customer.note == note =>
                {
                    return message.cursor;
                }
                _ => {}
            }
        }
    };
    let cursor = tokio::time::timeout(PATIENCE, read).await.expect("the change is told of");
    (cursor, snapshots)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_at_another_replica_where_it_was_left() {
    let Some(mut fleet) = Fleet::of(2, 2).await else { return };
    fleet.wait_until_spread("after the start").await;
    fleet.wait_until_level().await;
    let mut clients: Vec<_> = fleet.seats.iter().map(|seat| client(&seat.address.borrow().clone())).collect();
    let customer = customers_of(&mut clients[1], 0).await.swap_remove(0);
    let request = |cursor: String| proto::WatchCustomersRequest { parent: parent(0), cursor, ..Default::default() };

    // Written at one replica, told of by the other.
    let mut watch = clients[0].watch_customers(request(String::new())).await.expect("a watch").into_inner();
    let customer = noted(&mut clients[1], &customer, "first").await;
    let (_, snapshots) = read_until(&mut watch, &customer.name, "first").await;
    assert_eq!(snapshots, 1);
    // It has nothing left to read now, and waits.
    let customer = noted(&mut clients[1], &customer, "second").await;
    let acknowledged = Instant::now();
    let (cursor, _) = read_until(&mut watch, &customer.name, "second").await;
    let heard = acknowledged.elapsed();
    println!("another replica's watch heard of a change within {heard:.1?}");
    assert!(heard < HEARD_WITHIN, "{heard:?}");
    fleet.seats[0].process.take().expect("it runs").kill();

    let missed = noted(&mut clients[1], &customer, "while nobody watched").await;
    let mut watch = clients[1].watch_customers(request(cursor)).await.expect("a watch").into_inner();
    let (_, snapshots) = read_until(&mut watch, &missed.name, "while nobody watched").await;
    assert_eq!(snapshots, 0, "it goes on where it was left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_starts_although_another_one_is_frozen_in_the_middle_of_a_write() {
    const WAITING: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let Some(mut fleet) = Fleet::of(1, 2).await else { return };
    fleet.seats[0].process.take().expect("it runs").kill();
    let (mut frozen, mut looking) = (fleet.shell().await, fleet.shell().await);
    for held in ["BEGIN", "SELECT pg_advisory_xact_lock(6071223490117)"] {
        sqlx::raw_sql(held).execute(&mut frozen).await.expect(held);
    }
    // It waits, gives up, and waits again: only then the other one thaws.
    let thaws = TaskTracker::new().spawn(async move {
        for waits in [1, 0, 1] {
            while sqlx::query_scalar::<_, i64>(WAITING).fetch_one(&mut looking).await.expect("an answer") != waits {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        sqlx::raw_sql("ROLLBACK").execute(&mut frozen).await.expect("it ends");
    });
    tokio::task::block_in_place(|| fleet.start(0));
    thaws.await.expect("it has waited");
    fleet.wait_until_level().await;
}
