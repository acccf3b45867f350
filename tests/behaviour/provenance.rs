//! How a customer came to be as it is shown: what verified it, and who changed it in Partner Center.

use std::time::Duration;

use customer_guard::domain::policy::CONFIRM_AFTER;
use customer_guard::grpc::proto::{
    Customer, CustomerView, GetCustomerRequest, RefreshCustomerRequest, Relationship, UpstreamChange,
    VerificationCause, WatchCustomersRequest,
};
use customer_guard::simulator::audit::{AuditEntry, OperationStatus};
use customer_guard::simulator::operations::{AuditTrail, NewCustomer};
use uuid::Uuid;

use crate::harness::hooks::Hooked;
use crate::harness::watcher::{Watcher, from_now_on};
use crate::harness::{Plan, World, eventually};

const CONTOSO: &str = "partnerAccounts/contoso";
const OPERATION: &str = "update_customer_billing_profile";
const APPLICATION: &str = "3e5d7f00-1111-4222-8333-444455556666";

async fn three() -> (World, Uuid) {
    let world = World::with(Plan { manual_cooldown: Duration::ZERO, ..Plan::usual() }, 3).await;
    let tenant = world.tenants()[0];
    (world, tenant)
}

async fn cause(world: &World, tenant: Uuid) -> VerificationCause {
    world.customer(tenant).await.verified_by()
}

/// The audit log tells that somebody did something to the customer.
fn record(world: &World, tenant: Uuid, entry: AuditEntry) -> String {
    let entry = AuditEntry { customer_id: Some(tenant), resource_type: "customer".to_owned(), ..entry };
    world.upstream.simulator.append_audit(world.contoso(), entry).expect("a known partner")
}

fn by_application(operation: &str) -> AuditEntry {
    AuditEntry {
        application_id: Some(APPLICATION.to_owned()),
        operation_type: operation.to_owned(),
        ..AuditEntry::default()
    }
}

/// Lets the looks pass that confirm a signal's answer.
pub async fn confirmed(world: &World) {
    for after in CONFIRM_AFTER {
        let looks = || world.upstream.simulator.calls(world.contoso()).get;
        let before = looks();
        world.advance(after + Duration::from_secs(1));
        eventually("a confirming look", async || {
            (looks() > before && world.guard.status("contoso").await.backlog == 0).then_some(())
        })
        .await;
    }
}

async fn in_view(world: &World, name: &str, view: CustomerView) -> Customer {
    let request = GetCustomerRequest { name: name.to_owned(), view: view.into(), ..Default::default() };
    world.guard.customers.clone().get_customer(request).await.expect("a customer").into_inner()
}

#[tokio::test]
async fn every_look_says_what_asked_for_it() {
    let (world, tenant) = three().await;
    assert_eq!(cause(&world, tenant).await, VerificationCause::Night);

    world.change_email(tenant, "told@example.com");
    world.read_audit_log().await;
    assert_eq!(cause(&world, tenant).await, VerificationCause::AuditLog);
    confirmed(&world).await;
    assert_eq!(cause(&world, tenant).await, VerificationCause::Confirmation);

    let name = world.customer(tenant).await.name;
    let request = RefreshCustomerRequest { name: name.clone() };
    let refreshed = world.guard.sync.clone().refresh_customer(request).await.expect("an answer").into_inner();
    assert_eq!(refreshed.verified_by(), VerificationCause::Refresh);

    let run = world.guard.start_sync("contoso").await.expect("a run");
    eventually("the sync by hand ends", async || {
        (world.guard.status("contoso").await.last_full_sync?.name == run.name).then_some(())
    })
    .await;
    assert_eq!(cause(&world, tenant).await, VerificationCause::ManualSync);

    let request =
        GetCustomerRequest { name, max_staleness: Some(prost_types::Duration::default()), ..Default::default() };
    let fresh = world.guard.customers.clone().get_customer(request).await.expect("a fresh one").into_inner();
    assert_eq!(fresh.verified_by(), VerificationCause::Refresh);

    world.pass_a_night().await;
    assert_eq!(cause(&world, tenant).await, VerificationCause::Night);
    let listed = world.guard.all("contoso").await;
    assert!(listed.iter().all(|customer| customer.verified_by() == VerificationCause::Night));
    world.end().await;
}

#[tokio::test]
async fn a_customer_that_only_the_list_tells_of_was_verified_because_of_it() {
    let (world, _) = three().await;
    let silent = |knobs: &mut customer_guard::simulator::partner::Knobs| knobs.acceptance_audited = false;
    world.upstream.simulator.set_knobs(world.contoso(), silent).expect("a known partner");
    let new = world.upstream.simulator.accept_customer(world.contoso(), NewCustomer::default()).expect("a customer");
    world.read_list().await;
    assert_eq!(cause(&world, new.id).await, VerificationCause::CustomerList);
    assert_eq!(world.customer(new.id).await.last_upstream_change, None);
    world.end().await;
}

#[tokio::test]
async fn a_customer_that_an_event_tells_of_was_verified_because_of_it() {
    let Hooked { world, host } = Hooked::start().await;
    let new = world.upstream.simulator.accept_customer(world.contoso(), NewCustomer::default()).expect("a customer");
    let found = eventually("the customer arrives", async || world.guard.of_tenant("contoso", new.id).await).await;
    assert_eq!(found.verified_by(), VerificationCause::Webhook);
    world.end().await;
    drop(host);
}

#[tokio::test]
async fn a_change_by_a_user_names_the_user_where_personal_data_is_shown() {
    let (world, tenant) = three().await;
    let full = from_now_on(CONTOSO);
    let basic = WatchCustomersRequest { view: CustomerView::Basic.into(), ..from_now_on(CONTOSO) };
    let mut watchers = Vec::new();
    for request in [full, basic] {
        let mut watcher = Watcher::open(&world.guard.customers, request).await.expect("a watch");
        watcher.checkpoint().await;
        watchers.push(watcher);
    }
    world.change_email(tenant, "by.a.user@example.com");
    world.read_audit_log().await;

    let records = world.upstream.simulator.audit_records(world.contoso());
    let customer = world.customer(tenant).await;
    let change = customer.last_upstream_change.clone().expect("an explanation");
    assert_eq!(change.operation, OPERATION);
    assert!(change.actor_user.starts_with("agent@contoso"), "{change:?}");
    assert_eq!(change.actor_application, "Partner Center Web UI");
    assert_eq!(change.audit_record_id, records.last().expect("a record").id);
    assert!(change.operation_time.is_some());

    let hidden = UpstreamChange { actor_user: String::new(), ..change.clone() };
    let seen = in_view(&world, &customer.name, CustomerView::Basic).await;
    assert_eq!(seen.last_upstream_change.as_ref(), Some(&hidden));
    let told = watchers[0].change().await;
    assert_eq!(told.upstream_change.as_ref(), Some(&change));
    let told = watchers[1].change().await;
    assert_eq!(told.upstream_change.as_ref(), Some(&hidden));
    assert_eq!(told.customer.expect("a customer").last_upstream_change.as_ref(), Some(&hidden));
    world.end().await;
}

#[tokio::test]
async fn a_change_by_an_application_names_the_application_alone() {
    let (world, tenant) = three().await;
    world.change_email_silently(tenant, "by.a.machine@example.com");
    let id = record(&world, tenant, by_application(OPERATION));
    world.read_audit_log().await;
    let change = world.customer(tenant).await.last_upstream_change.expect("an explanation");
    assert_eq!((change.actor_user.as_str(), change.actor_application.as_str()), ("", APPLICATION));
    assert_eq!(change.audit_record_id, id);
    world.end().await;
}

#[tokio::test]
async fn an_operation_under_way_explains_a_change_once_it_has_succeeded() {
    let (world, tenant) = three().await;
    let entry = AuditEntry { operation_status: OperationStatus::Progress, ..by_application(OPERATION) };
    let id = record(&world, tenant, entry);
    world.read_audit_log().await;
    world.change_email_silently(tenant, "in.the.end@example.com");
    assert_eq!(world.customer(tenant).await.last_upstream_change, None);
    world.upstream.simulator.finish_audit(world.contoso(), &id, OperationStatus::Succeeded).expect("a record");
    world.read_audit_log().await;
    let customer = world.customer(tenant).await;
    assert_eq!(customer.primary_contact.expect("a contact").email, "in.the.end@example.com");
    assert_eq!(customer.last_upstream_change.expect("an explanation").audit_record_id, id);
    world.end().await;
}

#[tokio::test]
async fn a_change_that_nothing_explains_is_nobodys_whatever_was_recorded_before() {
    let (world, tenant) = three().await;
    // Somebody did something that changed nothing here, and the looks for it found nothing.
    record(&world, tenant, by_application("update_customer_qualification"));
    world.read_audit_log().await;
    confirmed(&world).await;
    world.change_email_silently(tenant, "by.itself@example.com");
    world.pass_a_night().await;
    let customer = world.customer(tenant).await;
    assert_eq!(customer.primary_contact.expect("a contact").email, "by.itself@example.com");
    assert_eq!(customer.last_upstream_change, None);

    // A change that was explained, and one after it that is not.
    world.change_email(tenant, "by.a.user@example.com");
    world.read_audit_log().await;
    confirmed(&world).await;
    assert!(world.customer(tenant).await.last_upstream_change.is_some());
    world.change_email_silently(tenant, "by.itself.again@example.com");
    world.pass_a_night().await;
    assert_eq!(world.customer(tenant).await.last_upstream_change, None);
    world.end().await;
}

#[tokio::test]
async fn an_end_names_who_removed_the_relationship() {
    let (world, tenant) = three().await;
    world.upstream.simulator.remove_relationship(world.contoso(), tenant, AuditTrail::Recorded).expect("known");
    world.read_audit_log().await;
    world.read_list().await;
    let ended = world.customer(tenant).await;
    assert_eq!(ended.relationship(), Relationship::Ended);
    let change = ended.last_upstream_change.expect("an explanation");
    assert_eq!(change.operation, "remove_partner_customer_relationship");
    assert!(change.actor_user.starts_with("agent@"), "{change:?}");
    world.end().await;
}
