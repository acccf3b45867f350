//! Between nights: changes are found in the audit log and the customer list, although the webhook is somebody else's.

use std::time::Duration;

use customer_guard::grpc::proto::{IncrementalMode, SyncState};
use customer_guard::simulator::audit::{AuditEntry, OperationStatus};
use customer_guard::simulator::operations::{AuditTrail, NewCustomer};
use customer_guard::simulator::partner::AuditOrder;
use uuid::Uuid;

use crate::harness::database::{begin_outage, end_outage};
use crate::harness::upstream::Upstream;
use crate::harness::{Plan, World, eventually};

const FOREIGN: &str = "https://somebody.else.example/hook";

/// Three customers of a partner whose only webhook registration belongs to somebody else.
async fn with_a_foreign_webhook() -> World {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 3);
    upstream.simulator.set_foreign_registration(upstream.contoso(), FOREIGN).expect("a known partner");
    let world = World::unsynchronized(Plan::usual(), upstream).await;
    world.guard.wait_for_first_sync("contoso").await;
    world
}

async fn email_of(world: &World, tenant: Uuid) -> String {
    world.customer(tenant).await.primary_contact.expect("a contact").email
}

#[tokio::test]
async fn a_changed_contact_arrives_with_the_audit_log_although_the_webhook_is_foreign() {
    let world = with_a_foreign_webhook().await;
    let tenant = world.tenants()[0];
    world.change_email(tenant, "changed@example.com");
    world.read_audit_log().await;
    assert_eq!(email_of(&world, tenant).await, "changed@example.com");
    world.end().await;
}

#[tokio::test]
async fn a_foreign_registration_is_shown_and_never_touched() {
    let world = with_a_foreign_webhook().await;
    let registration = world.upstream.simulator.registration(world.contoso());
    let status = eventually("the mode is known", async || {
        let status = world.guard.status("contoso").await;
        (status.incremental_mode() == IncrementalMode::AuditLogForeignWebhook).then_some(status)
    })
    .await;
    assert!(status.incremental_mode_reason.contains("belongs to somebody else"), "{status:?}");
    world.pass_a_night().await;
    world.read_audit_log().await;
    assert_eq!(world.upstream.simulator.registration(world.contoso()), registration);
    let calls = world.upstream.simulator.calls(world.contoso());
    assert_eq!(calls.registration_writes, 0);
    assert!(calls.registration >= 2, "it is looked at now and then: {calls:?}");
    world.end().await;
}

#[tokio::test]
async fn an_account_without_a_registration_reads_the_audit_log_too() {
    let world = World::with_customers(1).await;
    assert_eq!(world.guard.status("contoso").await.incremental_mode(), IncrementalMode::AuditLog);
    world.read_audit_log().await;
    assert_eq!(world.upstream.simulator.calls(world.contoso()).registration_writes, 0);
    world.end().await;
}

#[tokio::test]
async fn a_customer_that_accepts_arrives_with_the_audit_log() {
    let world = with_a_foreign_webhook().await;
    let new = world.upstream.simulator.accept_customer(world.contoso(), NewCustomer::default()).expect("a customer");
    world.read_audit_log().await;
    assert_eq!(world.customer(new.id).await.sync_state(), SyncState::Synced);
    assert_eq!(world.upstream.simulator.calls(world.contoso()).list, 1, "the list was not needed");
    world.end().await;
}

#[tokio::test]
async fn a_customer_that_accepts_without_a_trace_arrives_with_the_list() {
    let world = with_a_foreign_webhook().await;
    let silent = |knobs: &mut customer_guard::simulator::partner::Knobs| knobs.acceptance_audited = false;
    world.upstream.simulator.set_knobs(world.contoso(), silent).expect("a known partner");
    let new = world.upstream.simulator.accept_customer(world.contoso(), NewCustomer::default()).expect("a customer");
    world.read_audit_log().await;
    assert!(world.guard.of_tenant("contoso", new.id).await.is_none());
    let run = world.read_list().await;
    assert_eq!((run.listed, run.wanted, run.created), (4, 1, 1));
    assert_eq!(world.customer(new.id).await.domain, new.domain);
    world.end().await;
}

#[tokio::test]
async fn whatever_is_done_to_a_customer_we_do_not_know_makes_it_worth_a_look() {
    let world = World::with_customers(1).await;
    let silent = |knobs: &mut customer_guard::simulator::partner::Knobs| knobs.acceptance_audited = false;
    world.upstream.simulator.set_knobs(world.contoso(), silent).expect("a known partner");
    let new = world.upstream.simulator.accept_customer(world.contoso(), NewCustomer::default()).expect("a customer");
    let order = AuditEntry::about(&new, "create_order");
    world.upstream.simulator.append_audit(world.contoso(), order).expect("a known partner");
    world.read_audit_log().await;
    world.customer(new.id).await;
    world.end().await;
}

#[tokio::test]
async fn a_log_that_shows_nothing_new_is_read_without_writing_down_its_records_again() {
    let world = World::with_customers(2).await;
    let tenants = world.tenants();
    let customer = |tenant| world.upstream.simulator.customer(world.contoso(), tenant).expect("a known customer");
    world.change_email(tenants[0], "changed@example.com");
    let under_way = AuditEntry {
        operation_status: OperationStatus::Progress,
        ..AuditEntry::about(&customer(tenants[1]), "update_customer")
    };
    for entry in [under_way, AuditEntry::about(&customer(tenants[1]), "create_order")] {
        world.upstream.simulator.append_audit(world.contoso(), entry).expect("a known partner");
    }
    world.read_audit_log().await;
    assert_eq!(email_of(&world, tenants[0]).await, "changed@example.com");
    // Whatever is written down of a record from now on fails, and the reading with it.
    begin_outage(&world.guard.database, "INSERT", "audit_record_seen", "1 = 1").await;
    for _ in 0..2 {
        world.read_audit_log().await;
    }
    end_outage(&world.guard.database, "audit_record_seen").await;
    world.change_email(tenants[0], "again@example.com");
    world.read_audit_log().await;
    assert_eq!(email_of(&world, tenants[0]).await, "again@example.com");
    world.end().await;
}

#[tokio::test]
async fn a_renamed_customer_follows() {
    let world = World::with_customers(2).await;
    let tenant = world.tenants()[1];
    world.upstream.simulator.rename(world.contoso(), tenant, "Renamed Ltd").expect("a known customer");
    world.read_audit_log().await;
    assert_eq!(world.customer(tenant).await.company_name, "Renamed Ltd");
    world.end().await;
}

#[tokio::test]
async fn a_rename_is_found_by_the_list_when_the_audit_log_has_been_cut_off() {
    let world = World::with_customers(3).await;
    let tenant = world.tenants()[1];
    let change = |profile: &mut customer_guard::simulator::customer::BillingProfile| {
        profile.company_name = Some("Renamed Ltd".to_owned());
    };
    world.upstream.simulator.change_silently(world.contoso(), tenant, change).expect("a known customer");
    let run = world.read_list().await;
    assert_eq!((run.wanted, run.fetched, run.changed), (1, 1, 1));
    assert_eq!(world.customer(tenant).await.company_name, "Renamed Ltd");
    world.end().await;
}

#[tokio::test]
async fn records_of_failures_of_work_in_progress_and_without_a_customer_do_nothing() {
    let world = World::with_customers(2).await;
    let one = world.upstream.simulator.customers(world.contoso()).swap_remove(0);
    world.change_email_silently(one.id, "silent@example.com");
    let about = |operation_status| AuditEntry {
        operation_status,
        ..AuditEntry::about(&one, "update_customer_billing_profile")
    };
    let nobody = AuditEntry { operation_type: "add_customer".to_owned(), ..AuditEntry::default() };
    for entry in
        [about(OperationStatus::Failed), about(OperationStatus::Progress), about(OperationStatus::Decline), nobody]
    {
        world.upstream.simulator.append_audit(world.contoso(), entry).expect("a known partner");
    }
    let before = world.upstream.simulator.calls(world.contoso()).get;
    world.read_audit_log().await;
    world.read_audit_log().await;
    assert_eq!(world.upstream.simulator.calls(world.contoso()).get, before);
    assert_ne!(email_of(&world, one.id).await, "silent@example.com");
    world.end().await;
}

#[tokio::test]
async fn work_in_progress_counts_once_it_has_succeeded() {
    let world = World::with_customers(2).await;
    let one = world.upstream.simulator.customers(world.contoso()).swap_remove(0);
    let entry = AuditEntry {
        operation_status: OperationStatus::Progress,
        ..AuditEntry::about(&one, "update_customer_billing_profile")
    };
    let record = world.upstream.simulator.append_audit(world.contoso(), entry).expect("a known partner");
    world.read_audit_log().await;
    world.change_email_silently(one.id, "finished@example.com");
    world.upstream.simulator.finish_audit(world.contoso(), &record, OperationStatus::Succeeded).expect("a record");
    world.read_audit_log().await;
    assert_eq!(email_of(&world, one.id).await, "finished@example.com");
    world.end().await;
}

#[tokio::test]
async fn a_record_is_acted_on_once_however_often_its_day_is_read() {
    let world = World::with_customers(3).await;
    world.change_email(world.tenants()[0], "once@example.com");
    world.read_audit_log().await;
    let after_the_first = world.upstream.simulator.calls(world.contoso());
    for _ in 0..5 {
        world.read_audit_log().await;
    }
    let later = world.upstream.simulator.calls(world.contoso());
    assert_eq!(later.get, after_the_first.get + 1, "the first confirming look, and no other");
    assert!(later.audit >= after_the_first.audit + 5);
    world.end().await;
}

#[tokio::test]
async fn a_storm_of_records_about_one_customer_is_one_look() {
    let world = World::with_customers(2).await;
    let tenant = world.tenants()[0];
    let before = world.upstream.simulator.calls(world.contoso()).get;
    for turn in 0..50 {
        world.change_email(tenant, &format!("turn{turn}@example.com"));
    }
    world.read_audit_log().await;
    assert_eq!(email_of(&world, tenant).await, "turn49@example.com");
    assert_eq!(world.upstream.simulator.calls(world.contoso()).get, before + 1);
    world.end().await;
}

#[tokio::test]
async fn a_log_of_several_pages_in_either_order_is_read_to_its_end() {
    for order in [AuditOrder::NewestFirst, AuditOrder::OldestFirst] {
        let world = World::with_customers(2).await;
        world.upstream.simulator.set_knobs(world.contoso(), |knobs| knobs.audit_order = order).expect("known");
        let tenant = world.tenants()[0];
        world.change_email(tenant, "middle@example.com");
        let other = world.upstream.simulator.customers(world.contoso()).swap_remove(1);
        for _ in 0..700 {
            let noise = AuditEntry::about(&other, "create_order");
            world.upstream.simulator.append_audit(world.contoso(), noise).expect("a known partner");
        }
        world.read_audit_log().await;
        assert_eq!(email_of(&world, tenant).await, "middle@example.com", "{order:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn a_record_that_comes_late_is_still_found_the_next_day() {
    let world = World::with_customers(2).await;
    let tenant = world.tenants()[0];
    world.change_email(tenant, "yesterday@example.com");
    // The service sleeps over midnight UTC: the day before the last reading is read again.
    world.advance(Duration::from_secs(14 * 60 * 60));
    world.wait_for_email(tenant, "yesterday@example.com", Duration::ZERO).await;
    world.end().await;
}

#[tokio::test]
async fn a_removal_that_was_recorded_is_looked_at_and_not_believed() {
    let world = World::with_customers(2).await;
    let tenant = world.tenants()[0];
    world.upstream.simulator.remove_relationship(world.contoso(), tenant, AuditTrail::Recorded).expect("known");
    world
        .upstream
        .simulator
        .accept_customer(world.contoso(), NewCustomer { id: Some(tenant), ..NewCustomer::default() })
        .expect("it comes back at once");
    world.read_audit_log().await;
    world.read_list().await;
    assert_eq!(world.customer(tenant).await.sync_state(), SyncState::Synced);
    world.end().await;
}
