//! Listings: pages with a place to go on from, and who a complete list lacked.

use customer_guard::domain::observation::ListedCustomer;
use customer_guard::domain::observation::Observed;
use customer_guard::store::{Priority, RunKind, RunState, SyncRun};

use crate::bench::{Bench, mark, profile, tenant};
use crate::runs::{finish, reread, start};

contract! {
    a_page_and_its_place_are_saved_together,
    a_page_is_not_saved_twice,
    a_restarted_listing_forgets_its_pages,
    a_full_run_wants_everybody_it_lists,
    a_list_diff_wants_only_the_new_and_the_changed,
    an_unlisted_active_customer_is_missing,
    r6_a_customer_first_seen_after_the_run_began_is_not_missing,
    a_listed_an_ended_and_a_platform_customer_are_not_missing,
    a_finished_listing_wants_the_missing_and_forgets_its_pages,
}

pub fn listed(number: u32, name: &str) -> ListedCustomer {
    ListedCustomer {
        tenant_id: tenant(number),
        company_name: name.to_owned(),
        domain: "x.example".to_owned(),
        relationship: "reseller".to_owned(),
    }
}

/// Saves a page of these customers and returns the run as it is then, and how many it wants fetched.
pub async fn page(bench: &Bench, run: &SyncRun, customers: &[ListedCustomer], next: Option<&str>) -> (SyncRun, u64) {
    let page = bench.store.listed_page(run, customers).await.expect("the store answers");
    let saved = bench.store.write("page", async |tx| tx.save_page(run, &page, next).await).await;
    (reread(bench, run).await, saved.expect("the page is saved").marked)
}

/// Lists these customers to the end.
pub async fn list(bench: &Bench, kind: RunKind, numbers: &[u32]) -> SyncRun {
    let run = start(bench, kind).await.expect("it starts");
    bench.step(1);
    let customers: Vec<_> = numbers.iter().map(|number| listed(*number, "same")).collect();
    let (run, _) = page(bench, &run, &customers, None).await;
    let missing = bench.store.missing_in_listing(&run, &[]).await.expect("the store answers");
    bench
        .store
        .write("listed", async |tx| tx.finish_listing(&run, &missing).await)
        .await
        .expect("the list is finished");
    let run = reread(bench, &run).await;
    finish(bench, &run, None).await;
    bench.step(1);
    run
}

async fn drain(bench: &Bench) {
    let work = bench.store.dirty_customers(&bench.account, bench.clock.now(), 100).await.expect("the store answers");
    for work in work {
        bench.store.write("settle", async |tx| tx.settle(&bench.account, work).await).await.expect("it is settled");
    }
}

async fn a_page_and_its_place_are_saved_together(bench: Bench) {
    let run = start(&bench, RunKind::Full).await.expect("it starts");
    let (run, marked) = page(&bench, &run, &[listed(1, "a"), listed(2, "b")], Some("/customers?page=2")).await;
    assert_eq!((run.pages, run.listed, run.marked, marked), (1, 2, 2, 2));
    assert_eq!(run.next_link.as_deref(), Some("/customers?page=2"));
    let (run, marked) = page(&bench, &run, &[listed(3, "c")], None).await;
    assert_eq!((run.pages, run.listed, run.marked, marked), (2, 3, 3, 1));
    assert_eq!(run.next_link, None);
}

async fn a_page_is_not_saved_twice(bench: Bench) {
    let run = start(&bench, RunKind::Full).await.expect("it starts");
    page(&bench, &run, &[listed(1, "a")], Some("2")).await;
    // The same page, by somebody who does not know that it was saved.
    let entries = [listed(1, "a"), listed(9, "x")];
    let twice = bench.store.listed_page(&run, &entries).await.expect("the store answers");
    let again = bench.store.write("page", async |tx| tx.save_page(&run, &twice, None).await).await;
    again.expect_err("a page is saved once");
    let run = reread(&bench, &run).await;
    assert_eq!((run.pages, run.listed, run.next_link.as_deref()), (1, 1, Some("2")));
    assert_eq!(bench.store.backlog(&bench.account).await.expect("the store answers").dirty, 1);
}

async fn a_restarted_listing_forgets_its_pages(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.step(1);
    let run = start(&bench, RunKind::Full).await.expect("it starts");
    let (run, _) = page(&bench, &run, &[listed(1, "a")], Some("2")).await;
    assert!(bench.store.missing_in_listing(&run, &[]).await.expect("the store answers").is_empty());
    bench.store.write("restart", async |tx| tx.restart_listing(&run).await).await.expect("it begins anew");
    let run = reread(&bench, &run).await;
    assert_eq!((run.pages, run.listed, run.listing_restarts, run.next_link.as_deref()), (0, 0, 1, None));
    assert_eq!(bench.store.missing_in_listing(&run, &[]).await.expect("the store answers"), [tenant(1)]);
    let (run, _) = page(&bench, &run, &[listed(1, "a")], None).await;
    assert_eq!((run.pages, run.listed), (1, 1));
}

async fn a_full_run_wants_everybody_it_lists(bench: Bench) {
    for _ in 0..2 {
        let run = start(&bench, RunKind::Full).await.expect("it starts");
        let (_, marked) = page(&bench, &run, &[listed(1, "a"), listed(2, "b")], None).await;
        assert_eq!(marked, 2);
        assert_eq!(bench.store.run_backlog(&bench.account, run.id).await.expect("the store answers"), 2);
        drain(&bench).await;
        finish(&bench, &run, None).await;
        bench.step(1);
    }
}

async fn a_list_diff_wants_only_the_new_and_the_changed(bench: Bench) {
    let run = start(&bench, RunKind::ListDiff).await.expect("it starts");
    let (_, marked) = page(&bench, &run, &[listed(1, "a"), listed(2, "b"), listed(3, "c"), listed(4, "d")], None).await;
    assert_eq!(marked, 4);
    drain(&bench).await;
    finish(&bench, &run, None).await;
    bench.step(1);
    let run = start(&bench, RunKind::ListDiff).await.expect("it starts");
    let moved = ListedCustomer { domain: "y.example".to_owned(), ..listed(3, "c") };
    let gone = ListedCustomer { relationship: "none".to_owned(), ..listed(4, "d") };
    let (_, marked) = page(&bench, &run, &[listed(1, "a"), listed(2, "B"), moved, gone, listed(5, "e")], None).await;
    assert_eq!(marked, 4);
    let work = bench.store.dirty_customers(&bench.account, bench.clock.now(), 100).await.expect("the store answers");
    let wanted: Vec<_> = work.iter().map(|work| work.tenant_id).collect();
    assert_eq!(wanted, [tenant(2), tenant(3), tenant(4), tenant(5)]);
    assert!(work.iter().all(|work| work.run == Some(run.id)));
}

async fn an_unlisted_active_customer_is_missing(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.microsoft_customer(2, "Bob").await;
    bench.step(1);
    let run = start(&bench, RunKind::ListDiff).await.expect("it starts");
    let (run, _) = page(&bench, &run, &[listed(1, "a")], None).await;
    assert_eq!(bench.store.missing_in_listing(&run, &[]).await.expect("the store answers"), [tenant(2)]);
}

async fn r6_a_customer_first_seen_after_the_run_began_is_not_missing(bench: Bench) {
    let run = start(&bench, RunKind::ListDiff).await.expect("it starts");
    bench.microsoft_customer(1, "Same instant").await;
    bench.step(1);
    bench.microsoft_customer(2, "Later").await;
    assert!(bench.store.missing_in_listing(&run, &[]).await.expect("the store answers").is_empty());
}

async fn a_listed_an_ended_and_a_platform_customer_are_not_missing(bench: Bench) {
    let fabrikam = bench.add_partner("fabrikam", 1).await;
    bench.microsoft_customer(1, "Ada").await;
    bench.platform_customer("Linden").await;
    bench.platform_customer_of(&fabrikam, "Elsewhere").await;
    bench.microsoft_customer(2, "Ended").await;
    let mut shell = bench.shell().await;
    let end = "UPDATE customer SET relationship = 'ENDED', sync_state = 'ENDED', observation_ticket = 11,
        revision = revision + 1 WHERE company_name = 'Ended Ltd'";
    assert_eq!(shell.run(end).await, Ok(1));
    bench.step(1);
    let run = start(&bench, RunKind::Full).await.expect("it starts");
    let (run, _) = page(&bench, &run, &[listed(1, "a")], None).await;
    assert!(bench.store.missing_in_listing(&run, &[]).await.expect("the store answers").is_empty());
}

async fn a_finished_listing_wants_the_missing_and_forgets_its_pages(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.microsoft_customer(2, "Bob").await;
    drain(&bench).await;
    bench.step(1);
    let run = list(&bench, RunKind::ListDiff, &[1]).await;
    assert_eq!((run.state, run.missing, run.marked), (RunState::Fetching, 1, 2));
    let account = bench.store.account_sync(&bench.account).await.expect("the store answers");
    assert_eq!((account.listed_at, run.listed_at), (run.listed_at, account.listed_at));
    assert!(run.listed_at.is_some());
    let work = bench.store.dirty_customers(&bench.account, bench.clock.now(), 100).await.expect("the store answers");
    assert!(work.iter().any(|work| work.tenant_id == tenant(2) && work.run == Some(run.id)));
    assert_eq!(bench.shell().await.number("SELECT count(*) FROM sync_run_page").await, 0);
    bench.observe(2, mark(1, 20), Observed::Present(profile("Bob"))).await.expect("it is saved");
    bench.mark(&[2], Priority::Sweep, None).await;
}
