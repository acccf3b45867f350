//! What a run costs, how far it is, and what the list shows twice.

use std::slice::from_ref;
use std::time::Duration;

use customer_guard::domain::observation::ListedCustomer;
use customer_guard::store::{CallTally, RunKind, SyncRun};

use crate::bench::Bench;
use crate::listing::{list, listed, page};
use crate::runs::{finish, reread, start};

contract! {
    a_customer_that_is_shown_twice_is_listed_once,
    entries_that_differ_want_one_look_and_the_same_ones_again_want_none,
    a_full_run_fetches_a_customer_that_is_shown_differently_once_and_later_lists_know_it,
    an_entry_that_is_new_among_several_wants_a_look,
    a_run_expects_what_the_complete_list_before_it_held,
    progress_never_goes_back_and_is_complete_only_with_the_run,
    calls_are_counted_with_the_retries_among_them,
    every_run_under_way_counts_what_told_the_account_to_slow_down,
    throttles_are_remembered_for_a_day,
}

fn as_advisor(number: u32) -> ListedCustomer {
    ListedCustomer { relationship: "advisor".to_owned(), ..listed(number, "a") }
}

async fn settle_everybody(bench: &Bench) -> usize {
    let now = bench.clock.now();
    let dirty = bench.store.dirty_customers(&bench.account, now, 100).await.expect("the store answers");
    for work in &dirty {
        bench.store.write("settle", async |tx| tx.settle(&bench.account, *work).await).await.expect("it is settled");
    }
    dirty.len()
}

/// One list of these pages; returns the run as it was listed, and how many looks it led to.
async fn pages(bench: &Bench, kind: RunKind, pages: &[&[ListedCustomer]]) -> (SyncRun, usize) {
    let mut run = start(bench, kind).await.expect("it starts");
    for (number, customers) in pages.iter().enumerate() {
        let next = (number + 1 < pages.len()).then(|| format!("page {number}"));
        (run, _) = page(bench, &run, customers, next.as_deref()).await;
    }
    bench.store.write("listed", async |tx| tx.finish_listing(&run, &[]).await).await.expect("it is listed");
    let run = reread(bench, &run).await;
    let looks = settle_everybody(bench).await;
    finish(bench, &run, None).await;
    bench.step(1);
    (run, looks)
}

async fn a_customer_that_is_shown_twice_is_listed_once(bench: Bench) {
    for kind in [RunKind::Full, RunKind::ListDiff, RunKind::Full] {
        let first = [listed(1, "a"), listed(2, "b"), listed(1, "a")];
        let (run, _) = pages(&bench, kind, &[&first, &[listed(2, "b"), listed(3, "c")]]).await;
        assert_eq!((run.listed, run.duplicates, run.pages), (3, 2, 2), "{kind:?}");
        let wanted = if kind == RunKind::Full { 3 } else { 0 };
        assert_eq!(run.marked, wanted, "{kind:?}");
    }
}

async fn entries_that_differ_want_one_look_and_the_same_ones_again_want_none(bench: Bench) {
    let (a, b) = (listed(1, "a"), as_advisor(1));
    let (run, looks) = pages(&bench, RunKind::ListDiff, &[from_ref(&a), from_ref(&b)]).await;
    assert_eq!((run.listed, run.duplicates, run.marked, looks), (1, 1, 1, 1));
    for order in [[&a, &b], [&b, &a], [&a, &b]] {
        let apart = order.map(|entry| [entry.clone()]);
        let (run, looks) = pages(&bench, RunKind::ListDiff, &[&apart[0], &apart[1]]).await;
        assert_eq!((run.listed, run.duplicates, run.marked, looks), (1, 1, 0, 0), "{order:?}");
        let together = order.map(Clone::clone);
        let (_, looks) = pages(&bench, RunKind::ListDiff, &[&together]).await;
        assert_eq!(looks, 0, "{order:?}");
    }
}

async fn a_full_run_fetches_a_customer_that_is_shown_differently_once_and_later_lists_know_it(bench: Bench) {
    let (a, b) = (listed(1, "a"), as_advisor(1));
    for _ in 0..2 {
        let (run, looks) = pages(&bench, RunKind::Full, &[from_ref(&a), from_ref(&b)]).await;
        assert_eq!((run.listed, run.duplicates, run.marked, looks), (1, 1, 1, 1));
        let (_, looks) = pages(&bench, RunKind::ListDiff, &[from_ref(&b), from_ref(&a)]).await;
        assert_eq!(looks, 0);
    }
    assert_eq!(bench.store.next_confirmation_at(&bench.account).await.expect("the store answers"), None);
    // The night learns that only one of them is left, so that the other is news when it comes back.
    pages(&bench, RunKind::Full, &[from_ref(&a)]).await;
    assert_eq!(pages(&bench, RunKind::ListDiff, &[from_ref(&a)]).await.1, 0);
    assert_eq!(pages(&bench, RunKind::ListDiff, &[&[a, b]]).await.1, 1);
}

async fn an_entry_that_is_new_among_several_wants_a_look(bench: Bench) {
    let (a, b, c) = (listed(1, "a"), as_advisor(1), listed(1, "renamed"));
    pages(&bench, RunKind::ListDiff, &[&[a.clone(), b.clone()]]).await;
    assert_eq!(pages(&bench, RunKind::ListDiff, &[&[c.clone(), b.clone()]]).await.1, 1);
    assert_eq!(pages(&bench, RunKind::ListDiff, &[&[b.clone(), c.clone()]]).await.1, 0);
    assert_eq!(pages(&bench, RunKind::ListDiff, &[&[b, c, a]]).await.1, 1);
}

async fn a_run_expects_what_the_complete_list_before_it_held(bench: Bench) {
    assert_eq!(list(&bench, RunKind::Full, &[1, 2, 3]).await.expected, None);
    let broken_off = start(&bench, RunKind::Full).await.expect("it starts");
    assert_eq!(broken_off.expected, Some(3));
    page(&bench, &broken_off, &[listed(1, "same")], Some("2")).await;
    finish(&bench, &broken_off, Some("broken")).await;
    bench.step(1);
    assert_eq!(list(&bench, RunKind::ListDiff, &[1, 2]).await.expected, Some(3));
    assert_eq!(start(&bench, RunKind::Full).await.expect("it starts").expected, Some(2));
}

async fn progress_never_goes_back_and_is_complete_only_with_the_run(bench: Bench) {
    list(&bench, RunKind::Full, &[1, 2, 3, 4]).await;
    settle_everybody(&bench).await;
    let run = start(&bench, RunKind::Full).await.expect("it starts");
    let (run, _) = page(&bench, &run, &[listed(1, "same"), listed(2, "same")], Some("2")).await;
    assert_eq!(run.progress, 5);
    let fetch = async |count: u64| {
        for _ in 0..count {
            let counted = async |tx: &mut customer_guard::store::Tx| {
                tx.count_fetched(&bench.account, run.id, 1, 0).await?;
                tx.note_progress(&bench.account, run.id).await
            };
            bench.store.write("count", counted).await.expect("it is counted");
        }
        reread(&bench, &run).await.progress
    };
    assert_eq!(fetch(2).await, 5 + 44);
    bench.store.write("restart", async |tx| tx.restart_listing(&run).await).await.expect("it begins anew");
    assert_eq!(fetch(0).await, 49);
    let run = reread(&bench, &run).await;
    // Ten instead of four: what is left has grown.
    let many: Vec<_> = (1..=10).map(|number| listed(number, "same")).collect();
    let (run, _) = page(&bench, &run, &many, None).await;
    assert_eq!(run.progress, 49);
    bench.store.write("listed", async |tx| tx.finish_listing(&run, &[]).await).await.expect("it is listed");
    assert_eq!(fetch(8).await, 99);
    let broken = reread(&bench, &run).await;
    finish(&bench, &broken, None).await;
    assert_eq!(reread(&bench, &run).await.progress, 100);
    bench.step(1);
    let failed = start(&bench, RunKind::Full).await.expect("it starts");
    let (failed, _) = page(&bench, &failed, &many, Some("2")).await;
    finish(&bench, &failed, Some("broken")).await;
    assert_eq!(reread(&bench, &failed).await.progress, 10);
}

async fn calls_are_counted_with_the_retries_among_them(bench: Bench) {
    let run = start(&bench, RunKind::Full).await.expect("it starts");
    let count = async |tally: CallTally| {
        let counted = bench.store.write("count", async |tx| tx.count_calls(&bench.account, run.id, tally).await).await;
        counted.expect("it is counted");
    };
    count(CallTally::of(1, 0)).await;
    count(CallTally::of(2, 0)).await;
    count(CallTally::of(1, 3)).await;
    assert_eq!(reread(&bench, &run).await.tally, CallTally { calls: 4, retries: 2 });
    bench.store.write("failed", async |tx| tx.note_page_failed(&run).await).await.expect("it is noted");
    assert_eq!(reread(&bench, &run).await.page_tries, 1);
    let (run, _) = page(&bench, &run, &[listed(1, "a")], Some("2")).await;
    assert_eq!(run.page_tries, 0);
}

async fn throttle(bench: &Bench, answers: u64, seconds: u64) {
    let until = bench.clock.now().plus(Duration::from_secs(seconds));
    let noted =
        bench.store.write("throttled", async |tx| tx.note_throttled(&bench.account, answers, until).await).await;
    noted.expect("it is noted");
}

async fn every_run_under_way_counts_what_told_the_account_to_slow_down(bench: Bench) {
    let over = start(&bench, RunKind::ListDiff).await.expect("it starts");
    finish(&bench, &over, None).await;
    let run = start(&bench, RunKind::Full).await.expect("it starts");
    throttle(&bench, 3, 60).await;
    let noted = reread(&bench, &run).await;
    assert_eq!((noted.throttles, noted.throttled_for), (3, Duration::from_secs(60)));
    assert_eq!(reread(&bench, &over).await.throttles, 0);
    // What is still ahead has not been rested.
    let rested = async || bench.store.run_outlook(&noted).await.expect("the store answers").throttled_for;
    assert_eq!(rested().await, Duration::ZERO);
    bench.step(20);
    assert_eq!(rested().await, Duration::from_secs(20));
    bench.step(60);
    assert_eq!(rested().await, Duration::from_secs(60));
}

async fn throttles_are_remembered_for_a_day(bench: Bench) {
    let told = async || bench.store.account_sync(&bench.account).await.expect("the store answers").throttles_last_day;
    assert_eq!(told().await, 0);
    throttle(&bench, 2, 1).await;
    bench.step(23 * 3600);
    throttle(&bench, 1, 1).await;
    assert_eq!(told().await, 3);
    bench.step(2 * 3600);
    assert_eq!(told().await, 1);
}
