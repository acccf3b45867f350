//! The full sync: everybody arrives, once, level with Partner Center.

use std::collections::BTreeSet;
use std::time::Duration;

use customer_guard::clock::Timestamp;
use customer_guard::domain::text::tidy;
use customer_guard::grpc::proto::{
    GetSyncRunRequest, ListSyncRunsRequest, SyncRun, SyncRunCause, SyncRunKind, SyncRunState,
};
use customer_guard::simulator::operations::NewCustomer;

use crate::harness::upstream::{Upstream, noon};
use crate::harness::{Plan, World, eventually, micros};

#[tokio::test]
async fn brings_every_customer_of_every_account_exactly_once() {
    let plan = Plan { partners: vec!["contoso", "northwind", "fabrikam"], page_size: 60, ..Plan::usual() };
    let world = World::with(plan, 150).await;
    for account in ["contoso", "northwind", "fabrikam"] {
        let partner = world.upstream.partner(account).tenant_id;
        let there: BTreeSet<_> =
            world.upstream.simulator.customers(partner).iter().map(|one| one.id.to_string()).collect();
        let here = world.guard.all(account).await;
        let tenants: BTreeSet<_> = here.iter().map(|customer| customer.microsoft_tenant_id.clone()).collect();
        assert_eq!(here.len(), 150, "{account}");
        assert_eq!(tenants, there, "{account}");
    }
    world.end().await;
}

#[tokio::test]
async fn brings_every_member_of_the_billing_profile() {
    let world = World::with_customers(30).await;
    for there in world.upstream.simulator.customers(world.contoso()) {
        let here = world.customer(there.id).await;
        let profile = there.billing_profile;
        let address = profile.default_address.unwrap_or_default();
        let contact = here.primary_contact.clone().expect("a contact");
        let own = contact.address.clone().unwrap_or_default();
        let or_empty = |text: Option<String>| tidy(&text.unwrap_or_default());
        assert_eq!(contact.email, or_empty(profile.email));
        assert_eq!(contact.first_name, or_empty(profile.first_name.or(address.first_name)));
        assert_eq!(contact.last_name, or_empty(profile.last_name.or(address.last_name)));
        assert_eq!((contact.language, contact.culture), (or_empty(profile.language), or_empty(profile.culture)));
        assert_eq!(contact.phone_number, or_empty(address.phone_number));
        assert_eq!((own.country, own.city), (or_empty(address.country), or_empty(address.city)));
        assert_eq!((own.region, own.state), (or_empty(address.region), or_empty(address.state)));
        assert_eq!((own.postal_code, own.district), (or_empty(address.postal_code), or_empty(address.district)));
        assert_eq!(own.address_line1, or_empty(address.address_line1));
        assert_eq!(own.address_line2, or_empty(address.address_line2));
        assert_eq!(own.address_line3, or_empty(address.address_line3));
        assert_eq!(here.company_name, or_empty(profile.company_name.or(Some(there.tenant_name.clone()))));
        assert_eq!((here.tenant_name, here.domain), (tidy(&there.tenant_name), there.domain));
        assert!(here.billing_mirrors_primary);
        assert_eq!(here.billing_contact, here.primary_contact);
    }
    world.end().await;
}

#[tokio::test]
async fn the_first_run_tells_what_it_did() {
    let world = World::with(Plan { page_size: 15, ..Plan::usual() }, 40).await;
    let run = world.guard.status("contoso").await.last_full_sync.expect("a run");
    assert_eq!(
        (run.kind(), run.cause(), run.state()),
        (SyncRunKind::Full, SyncRunCause::First, SyncRunState::Succeeded)
    );
    assert_eq!((run.listed, run.wanted, run.fetched, run.created, run.changed), (40, 40, 40, 40, 0));
    assert_eq!((run.pages, run.listing_restarts, run.unusable, run.missing, run.ended), (3, 0, 0, 0, 0));
    assert_eq!((run.started_by.as_str(), run.problem.as_str()), ("worker", ""));
    let times = [run.start_time, run.list_complete_time, run.end_time].map(|time| micros(time.expect("a time")));
    assert!(times.is_sorted(), "{times:?}");
    world.end().await;
}

#[tokio::test]
async fn an_account_without_customers_is_synchronized_too() {
    let world = World::with_customers(0).await;
    let status = world.guard.status("contoso").await;
    assert_eq!((status.active_customers, status.oldest_verified_at), (0, None));
    assert_eq!(status.last_full_sync.expect("a run").listed, 0);
    world.end().await;
}

#[tokio::test]
async fn the_night_finds_what_no_signal_told_and_counts_it() {
    let world = World::with_customers(25).await;
    let tenant = world.tenants()[3];
    world.change_email_silently(tenant, "night.owl@example.com");
    world.upstream.simulator.rename_tenant(world.contoso(), world.tenants()[4], "Renamed Tenant").expect("known");
    let run = world.pass_a_night().await;
    assert_eq!(run.cause(), SyncRunCause::Nightly);
    assert_eq!((run.listed, run.fetched, run.created, run.changed, run.ended), (25, 25, 0, 2, 0));
    assert_eq!(world.customer(tenant).await.primary_contact.expect("a contact").email, "night.owl@example.com");
    assert_eq!(world.customer(world.tenants()[4]).await.tenant_name, "Renamed Tenant");
    world.end().await;
}

#[tokio::test]
async fn the_night_begins_at_two_in_riga_and_not_a_moment_before() {
    let world = World::with_customers(2).await;
    let night = Timestamp::from_micros(micros(world.guard.status("contoso").await.next_night_at.expect("a night")));
    let riga = night.to_utc().with_timezone(&chrono_tz::Europe::Riga).format("%H:%M:%S").to_string();
    assert_eq!(riga, "02:00:00");

    world.advance(night.since(world.guard.clock.now()).saturating_sub(Duration::from_secs(30)));
    world.list_read_since(world.guard.clock.now()).await;
    let full = |runs: Vec<SyncRun>| runs.iter().filter(|run| run.kind() == SyncRunKind::Full).count();
    assert_eq!(full(world.guard.runs("contoso").await), 1);

    let run = world.pass_a_night().await;
    assert_eq!(run.cause(), SyncRunCause::Nightly);
    let late = Duration::from_micros(micros(run.start_time.expect("a time")).abs_diff(night.micros()));
    assert!(late < Duration::from_secs(20), "{late:?} after two");
    assert_eq!(full(world.guard.runs("contoso").await), 2);
    world.end().await;
}

#[tokio::test]
async fn nights_that_were_slept_through_are_made_up_for_once() {
    let world = World::with_customers(2).await;
    world.advance(Duration::from_secs(3 * 24 * 60 * 60));
    let from = world.guard.clock.now().micros();
    eventually("the night is made up for", async || {
        let done = world.guard.status("contoso").await.last_full_sync?;
        (micros(done.start_time?) >= from).then_some(())
    })
    .await;
    world.read_list().await;
    let nights = world.guard.runs("contoso").await;
    assert_eq!(nights.iter().filter(|run| run.cause() == SyncRunCause::Nightly).count(), 1);
    world.end().await;
}

#[tokio::test]
async fn customers_that_come_and_go_while_the_list_is_read_do_no_harm() {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 60);
    let (simulator, contoso) = (upstream.simulator.clone(), upstream.contoso());
    simulator.set_knobs(contoso, |knobs| knobs.latency_milliseconds = 5).expect("a known partner");
    let world = World::unsynchronized(Plan { page_size: 7, ..Plan::usual() }, upstream).await;
    for _ in 0..20 {
        simulator.accept_customer(contoso, NewCustomer::default()).expect("a new customer");
        tokio::task::yield_now().await;
    }
    world.guard.wait_for_first_sync("contoso").await;
    world.read_list().await;
    let here: BTreeSet<_> = world.guard.all("contoso").await.into_iter().map(|one| one.microsoft_tenant_id).collect();
    let there: BTreeSet<_> = world.tenants().iter().map(ToString::to_string).collect();
    assert_eq!((here.len(), &here), (80, &there));
    world.end().await;
}

#[tokio::test]
async fn runs_are_listed_page_by_page_newest_first_and_found_by_name() {
    let world = World::with_customers(3).await;
    for _ in 0..4 {
        world.read_list().await;
    }
    let all = world.guard.runs("contoso").await;
    assert_eq!(all.len(), 5);
    assert_eq!(all[4].cause(), SyncRunCause::First);
    let starts: Vec<_> = all.iter().map(|run| micros(run.start_time.expect("a time"))).collect();
    assert!(starts.is_sorted_by(|newer, older| newer >= older), "{starts:?}");
    let mut paged = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListSyncRunsRequest { parent: "partnerAccounts/contoso".to_owned(), page_size: 2, page_token };
        let page = world.guard.sync.clone().list_sync_runs(request).await.expect("a page").into_inner();
        assert!(page.sync_runs.len() <= 2);
        paged.extend(page.sync_runs);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, all);
    for run in all {
        let request = GetSyncRunRequest { name: run.name.clone() };
        assert_eq!(world.guard.sync.clone().get_sync_run(request).await.expect("a run").into_inner(), run);
    }
    world.end().await;
}

#[tokio::test]
async fn the_status_tells_where_the_account_stands() {
    let world = World::with_customers(5).await;
    let status = world.guard.status("contoso").await;
    assert_eq!(status.name, "partnerAccounts/contoso/syncStatus");
    assert_eq!((status.active_customers, status.backlog, status.quarantined, status.held_removals), (5, 0, 0, 0));
    assert_eq!(status.verify_within.map(|within| within.seconds), Some(24 * 60 * 60));
    assert!(micros(status.oldest_verified_at.expect("a time")) >= noon().micros());
    assert!(status.audit_polled_at.is_some() && status.listed_at.is_some());
    assert_eq!((status.throttled_until, status.problem, status.running_full_sync), (None, None, None));
    world.end().await;
}
