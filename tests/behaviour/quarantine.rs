//! Records that cannot be applied: the last good contact stays, the state says so, and the others go on.

use customer_guard::grpc::proto::{Relationship, SyncState};
use customer_guard::simulator::customer::BillingProfile;
use customer_guard::simulator::faults::{Effect, Fault};

use crate::harness::cast::LINDEN;
use crate::harness::upstream::Upstream;
use crate::harness::{Plan, World};

#[tokio::test]
async fn a_customer_without_a_billing_profile_keeps_its_last_good_contact_and_says_so() {
    let (world, linden) = World::with_linden().await;
    world.upstream.always([Effect::NullBillingProfile { customer: LINDEN }]);
    let run = world.pass_a_night().await;
    assert_eq!((run.fetched, run.unusable, run.changed), (1, 1, 0));
    let kept = world.guard.get(&linden.name).await;
    assert_eq!((kept.sync_state(), kept.relationship()), (SyncState::Quarantined, Relationship::Active));
    assert_eq!((&kept.primary_contact, &kept.company_name), (&linden.primary_contact, &linden.company_name));
    assert_eq!(kept.verified_at, linden.verified_at, "it was not verified");
    assert_eq!(world.guard.status("contoso").await.quarantined, 1);
    world.end().await;
}

#[tokio::test]
async fn a_quarantined_customer_is_still_guarded() {
    let (world, linden) = World::with_linden().await;
    world.upstream.always([Effect::NullBillingProfile { customer: LINDEN }]);
    world.pass_a_night().await;
    let mut edit = world.guard.get(&linden.name).await;
    edit.primary_contact.get_or_insert_default().email = "free@elsewhere.example".to_owned();
    let told = world.guard.refused(edit, &["primary_contact.email"]).await;
    assert_eq!(told.violated(), ["primary_contact.email"]);
    world.end().await;
}

#[tokio::test]
async fn a_quarantined_customer_recovers_with_the_next_good_record() {
    let (world, linden) = World::with_linden().await;
    world.upstream.always([Effect::NullBillingProfile { customer: LINDEN }]);
    world.pass_a_night().await;
    world.upstream.mend();
    world.change_email_silently(LINDEN, "well.again@linden.example");
    world.pass_a_night().await;
    let well = world.guard.get(&linden.name).await;
    assert_eq!(well.sync_state(), SyncState::Synced);
    assert_eq!(well.primary_contact.expect("a contact").email, "well.again@linden.example");
    assert_eq!(world.guard.status("contoso").await.quarantined, 0);
    world.end().await;
}

#[tokio::test]
async fn a_contact_is_never_blanked() {
    let (world, linden) = World::with_linden().await;
    let blank = |profile: &mut BillingProfile| *profile = BillingProfile::default();
    world.upstream.simulator.change_silently(world.contoso(), LINDEN, blank).expect("a known customer");
    world.pass_a_night().await;
    let kept = world.guard.get(&linden.name).await;
    assert_eq!(kept.sync_state(), SyncState::Quarantined);
    assert_eq!(kept.primary_contact, linden.primary_contact);
    world.end().await;
}

#[tokio::test]
async fn a_customer_that_never_had_a_usable_record_is_counted_and_not_created() {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 5);
    let hidden = upstream.simulator.customers(upstream.contoso())[2].id;
    upstream.fault(Fault::always(Effect::NullBillingProfile { customer: hidden }));
    let world = World::unsynchronized(Plan::usual(), upstream).await;
    world.guard.wait_for_first_sync("contoso").await;
    let status = world.guard.status("contoso").await;
    let run = status.last_full_sync.clone().expect("a run");
    assert_eq!((run.listed, run.fetched, run.created, run.unusable), (5, 5, 4, 1));
    assert_eq!((status.active_customers, status.quarantined), (4, 1));
    assert!(world.guard.of_tenant("contoso", hidden).await.is_none());

    world.upstream.mend();
    world.pass_a_night().await;
    assert_eq!(world.customer(hidden).await.sync_state(), SyncState::Synced);
    assert_eq!(world.guard.status("contoso").await.quarantined, 0);
    world.end().await;
}

#[tokio::test]
async fn one_bad_record_does_not_keep_the_others_from_being_synchronized() {
    let world = World::with_customers(6).await;
    let [bad, good] = [world.tenants()[0], world.tenants()[1]];
    world.upstream.always([Effect::NullBillingProfile { customer: bad }]);
    for tenant in [bad, good] {
        world.change_email(tenant, "new@example.com");
    }
    world.read_audit_log().await;
    assert_eq!(world.customer(good).await.primary_contact.expect("a contact").email, "new@example.com");
    assert_eq!(world.customer(bad).await.sync_state(), SyncState::Quarantined);
    world.end().await;
}
