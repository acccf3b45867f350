//! When a relationship ends: on complete evidence only, few at a time, and never for good.

use customer_guard::domain::contact::{ContactField, ContactRole};
use customer_guard::grpc::proto::{Customer, Relationship, SyncState};
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, Fault};
use customer_guard::simulator::operations::{AuditTrail, NewCustomer};
use tonic::Code;
use uuid::Uuid;

use crate::harness::World;
use crate::harness::cast::{contact, member};

fn remove(world: &World, tenant: Uuid, trail: AuditTrail) {
    world.upstream.simulator.remove_relationship(world.contoso(), tenant, trail).expect("a known customer");
}

async fn assert_active(world: &World, tenant: Uuid) {
    let customer = world.customer(tenant).await;
    assert_eq!((customer.relationship(), customer.sync_state()), (Relationship::Active, SyncState::Synced));
}

/// Five customers of which the first has ended, as it was and as it is.
async fn with_an_ended_customer() -> (World, Customer, Customer) {
    let world = World::with_customers(5).await;
    let tenant = world.tenants()[0];
    let before = world.customer(tenant).await;
    remove(&world, tenant, AuditTrail::Recorded);
    world.read_audit_log().await;
    world.read_list().await;
    let ended = world.customer(tenant).await;
    (world, before, ended)
}

#[tokio::test]
async fn a_recorded_removal_ends_after_the_next_complete_list() {
    let world = World::with_customers(5).await;
    let tenant = world.tenants()[0];
    remove(&world, tenant, AuditTrail::Recorded);
    world.read_audit_log().await;
    assert_active(&world, tenant).await;
    let run = world.read_list().await;
    assert_eq!((run.listed, run.missing, run.ended), (4, 1, 1));
    let ended = world.customer(tenant).await;
    assert_eq!((ended.relationship(), ended.sync_state()), (Relationship::Ended, SyncState::Ended));
    assert_eq!(ended.verify_due_by, None);
    assert_eq!(world.guard.status("contoso").await.active_customers, 4);
    world.end().await;
}

#[tokio::test]
async fn a_removal_without_a_record_needs_two_complete_lists() {
    let world = World::with_customers(5).await;
    let tenant = world.tenants()[0];
    remove(&world, tenant, AuditTrail::Omitted);
    assert_eq!(world.read_list().await.ended, 0);
    assert_active(&world, tenant).await;
    assert_eq!(world.read_list().await.ended, 1);
    assert_eq!(world.customer(tenant).await.relationship(), Relationship::Ended);
    world.end().await;
}

#[tokio::test]
async fn a_night_counts_as_a_complete_list() {
    let world = World::with_customers(5).await;
    let tenant = world.tenants()[0];
    remove(&world, tenant, AuditTrail::Omitted);
    assert_eq!(world.pass_a_night().await.ended, 0);
    assert_eq!(world.pass_a_night().await.ended, 1);
    assert_eq!(world.customer(tenant).await.sync_state(), SyncState::Ended);
    world.end().await;
}

#[tokio::test]
async fn an_ended_customer_keeps_its_values_and_its_name() {
    let (world, before, ended) = with_an_ended_customer().await;
    assert_eq!(ended.name, before.name);
    assert_eq!((&ended.primary_contact, &ended.billing_contact), (&before.primary_contact, &before.billing_contact));
    assert_eq!((&ended.company_name, &ended.domain), (&before.company_name, &before.domain));
    assert_eq!(ended.microsoft_tenant_id, before.microsoft_tenant_id);
    world.end().await;
}

#[tokio::test]
async fn the_contacts_of_an_ended_customer_are_the_platforms_and_its_identity_is_not() {
    let (world, _, ended) = with_an_ended_customer().await;
    let mut edit = ended.clone();
    "kept@platform.example".clone_into(&mut contact(&mut edit, ContactRole::Primary).email);
    "Salaspils".clone_into(member(contact(&mut edit, ContactRole::Billing), ContactField::City));
    let edited = world.guard.update(edit, &["primary_contact.email", "billing_contact.address.city"]).await;
    assert_eq!(edited.primary_contact.clone().expect("a contact").email, "kept@platform.example");
    assert!(!edited.billing_mirrors_primary);

    let mut renamed = edited.clone();
    "Another Name".clone_into(&mut renamed.company_name);
    let told = world.guard.refused(renamed, &["company_name"]).await;
    assert_eq!((told.code, told.violated()), (Code::FailedPrecondition, vec!["company_name".to_owned()]));
    assert_eq!(told.edit_refused().verify_due_by, None);
    world.pass_a_night().await;
    assert_eq!(world.guard.get(&edited.name).await, edited);
    world.end().await;
}

#[tokio::test]
async fn a_returning_customer_revives_under_its_name_and_locks_again() {
    let (world, before, mut ended) = with_an_ended_customer().await;
    "kept@platform.example".clone_into(&mut contact(&mut ended, ContactRole::Primary).email);
    contact(&mut ended, ContactRole::Billing).email = "invoices@platform.example".to_owned();
    ended.labels.insert("tier".to_owned(), "gold".to_owned());
    let edited = world.guard.update(ended, &["primary_contact.email", "billing_contact.email", "labels"]).await;

    let tenant: Uuid = edited.microsoft_tenant_id.parse().expect("a tenant id");
    let returning = NewCustomer { id: Some(tenant), ..NewCustomer::default() };
    world.upstream.simulator.accept_customer(world.contoso(), returning).expect("a returning customer");
    world.read_audit_log().await;
    let revived = world.customer(tenant).await;
    assert_eq!(revived.name, before.name);
    assert_eq!((revived.relationship(), revived.sync_state()), (Relationship::Active, SyncState::Synced));
    assert_eq!(revived.primary_contact, before.primary_contact, "Partner Center's values are back");
    assert_eq!((&revived.billing_contact, revived.billing_mirrors_primary), (&before.billing_contact, true));
    assert_eq!(revived.labels["tier"], "gold");

    let mut edit = revived.clone();
    "again@platform.example".clone_into(&mut contact(&mut edit, ContactRole::Primary).email);
    assert_eq!(world.guard.refused(edit, &["*"]).await.violated(), ["primary_contact.email"]);
    assert_eq!(world.guard.all("contoso").await.len(), 5);
    world.end().await;
}

#[tokio::test]
async fn a_customer_that_is_only_hidden_from_the_list_never_ends() {
    let world = World::with_customers(5).await;
    let tenant = world.tenants()[2];
    world.upstream.always([Effect::HideFromList { customer: tenant }]);
    for _ in 0..3 {
        assert_eq!(world.read_list().await.missing, 1);
    }
    world.pass_a_night().await;
    assert_active(&world, tenant).await;
    world.end().await;
}

#[tokio::test]
async fn a_customer_that_is_listed_but_not_found_never_ends_and_is_not_blanked() {
    let world = World::with_customers(5).await;
    let tenant = world.tenants()[2];
    let before = world.customer(tenant).await;
    world.upstream.always([Effect::DetailNotFound { customer: tenant }]);
    world.pass_a_night().await;
    world.read_list().await;
    world.pass_a_night().await;
    let after = world.customer(tenant).await;
    assert_eq!(after.relationship(), Relationship::Active);
    assert_eq!((&after.primary_contact, &after.etag), (&before.primary_contact, &before.etag));
    world.end().await;
}

#[tokio::test]
async fn three_at_once_end_and_four_are_held() {
    let world = World::with_customers(9).await;
    let tenants = world.tenants();
    for tenant in &tenants[..3] {
        remove(&world, *tenant, AuditTrail::Omitted);
    }
    world.read_list().await;
    assert_eq!(world.read_list().await.ended, 3);

    for tenant in &tenants[3..7] {
        remove(&world, *tenant, AuditTrail::Recorded);
    }
    world.read_audit_log().await;
    assert_eq!(world.read_list().await.ended, 0);
    for tenant in &tenants[3..7] {
        let held = world.customer(*tenant).await;
        assert_eq!((held.relationship(), held.sync_state()), (Relationship::Active, SyncState::HeldForRemoval));
    }
    assert_eq!(world.guard.status("contoso").await.held_removals, 4);
    world.pass_a_night().await;
    assert_eq!(world.guard.status("contoso").await.held_removals, 4, "another run changes nothing about it");
    world.end().await;
}

#[tokio::test]
async fn of_two_hundred_four_may_end_at_once_because_that_is_two_percent() {
    let world = World::with_customers(204).await;
    let tenants = world.tenants();
    for tenant in &tenants[..4] {
        remove(&world, *tenant, AuditTrail::Recorded);
    }
    world.read_audit_log().await;
    assert_eq!(world.read_list().await.ended, 4);
    for tenant in &tenants[4..8] {
        remove(&world, *tenant, AuditTrail::Recorded);
    }
    // Of the 200 that are left, four are two percent; of five, one is too many.
    remove(&world, tenants[8], AuditTrail::Recorded);
    world.read_audit_log().await;
    assert_eq!(world.read_list().await.ended, 0);
    assert_eq!(world.guard.status("contoso").await.held_removals, 5);
    world.end().await;
}

#[tokio::test]
async fn a_held_customer_that_is_back_is_synced_again() {
    let world = World::with_customers(9).await;
    let tenants = world.tenants();
    for tenant in &tenants[..4] {
        remove(&world, *tenant, AuditTrail::Recorded);
    }
    world.read_audit_log().await;
    world.read_list().await;
    assert_eq!(world.guard.status("contoso").await.held_removals, 4);
    for tenant in &tenants[..4] {
        let returning = NewCustomer { id: Some(*tenant), ..NewCustomer::default() };
        world.upstream.simulator.accept_customer(world.contoso(), returning).expect("a returning customer");
    }
    world.read_audit_log().await;
    world.read_list().await;
    for tenant in &tenants[..4] {
        assert_active(&world, *tenant).await;
    }
    assert_eq!(world.guard.status("contoso").await.held_removals, 0);
    world.end().await;
}

#[tokio::test]
async fn the_rest_of_a_held_set_is_not_ended_because_some_of_it_came_back() {
    let world = World::with_customers(9).await;
    let tenants = world.tenants();
    for tenant in &tenants[..4] {
        remove(&world, *tenant, AuditTrail::Recorded);
    }
    world.read_audit_log().await;
    world.read_list().await;
    assert_eq!(world.guard.status("contoso").await.held_removals, 4);
    let returning = NewCustomer { id: Some(tenants[0]), ..NewCustomer::default() };
    world.upstream.simulator.accept_customer(world.contoso(), returning).expect("a returning customer");
    world.read_audit_log().await;
    // Three are few enough to end, but an operator has been asked about them.
    assert_eq!(world.read_list().await.ended, 0);
    assert_eq!(world.guard.status("contoso").await.held_removals, 3);
    world.end().await;
}

#[tokio::test]
async fn credentials_that_have_lost_their_rights_end_nobody() {
    let world = World::with_customers(3).await;
    world.upstream.fault(Fault::always(Effect::Forbidden { code: 20002 }).on(Route::Get));
    world.upstream.always([Effect::EmptyList]);
    for _ in 0..3 {
        world.read_list().await;
    }
    world.pass_a_night().await;
    for customer in world.guard.all("contoso").await {
        assert_eq!(customer.relationship(), Relationship::Active);
    }
    world.upstream.mend();
    world.read_list().await;
    world.pass_a_night().await;
    for tenant in world.tenants() {
        assert_active(&world, tenant).await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_few_that_seem_gone_do_not_end_when_another_customer_cannot_be_read_either() {
    let world = World::with_customers(6).await;
    let tenants = world.tenants();
    world.upstream.always(tenants[..2].iter().map(|tenant| Effect::HideFromList { customer: *tenant }));
    world.upstream.fault(Fault::always(Effect::Forbidden { code: 20002 }).on(Route::Get));
    for _ in 0..3 {
        let run = world.read_list().await;
        assert_eq!((run.missing, run.ended), (2, 0));
    }
    // Nothing is decided, neither to end nor to ask an operator: the next run that can tell decides.
    assert_eq!(world.guard.status("contoso").await.held_removals, 0);
    world.upstream.mend();
    world.read_list().await;
    for tenant in tenants {
        assert_active(&world, tenant).await;
    }
    world.end().await;
}

#[tokio::test]
async fn details_that_are_all_forbidden_while_everybody_is_listed_end_nobody() {
    let world = World::with_customers(4).await;
    world.upstream.fault(Fault::always(Effect::Forbidden { code: 20002 }).on(Route::Get));
    world.pass_a_night().await;
    world.pass_a_night().await;
    for tenant in world.tenants() {
        assert_active(&world, tenant).await;
    }
    world.end().await;
}
