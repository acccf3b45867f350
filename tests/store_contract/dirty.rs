//! The dirty set: nothing that was wanted is lost, and the most urgent comes first.

use std::time::Duration;

use customer_guard::domain::observation::Observed;
use customer_guard::store::{DirtyCustomer, Priority};

use crate::bench::{Bench, mark, profile, tenant};

contract! {
    a_marked_customer_is_dirty_until_it_is_settled,
    a_customer_marked_while_being_drained_stays_dirty,
    settling_an_old_mark_never_erases_a_newer_one,
    a_storm_of_signals_is_one_row,
    the_most_urgent_customers_are_taken_first,
    a_more_urgent_want_raises_a_customer_and_a_less_urgent_one_does_not_lower_it,
    a_postponed_customer_stays_dirty_and_is_not_taken_before_its_time,
    a_new_want_ends_a_postponement,
    a_want_after_settling_forgets_the_old_urgency,
    accounts_do_not_share_a_dirty_set,
    a_refresh_tells_what_to_wait_for,
}

async fn take(bench: &Bench) -> Vec<DirtyCustomer> {
    bench.store.dirty_customers(&bench.account, bench.clock.now(), 100).await.expect("the store answers")
}

async fn numbers(bench: &Bench) -> Vec<String> {
    take(bench).await.iter().map(|work| work.tenant_id.to_string()[..8].trim_start_matches('0').to_owned()).collect()
}

async fn settle(bench: &Bench, work: DirtyCustomer) {
    let settled = bench.store.write("settle", async |tx| tx.settle(&bench.account, work).await).await;
    settled.expect("the work is settled");
}

async fn postpone(bench: &Bench, work: DirtyCustomer, seconds: u64) {
    let later = bench.clock.now().plus(Duration::from_secs(seconds));
    let postponed =
        bench.store.write("postpone", async |tx| tx.postpone(&bench.account, work, later, "503").await).await;
    postponed.expect("the work is postponed");
}

async fn a_marked_customer_is_dirty_until_it_is_settled(bench: Bench) {
    bench.mark(&[1, 2], Priority::Signal, None).await;
    let work = take(&bench).await;
    assert_eq!(
        work.iter().map(|work| (work.tenant_id, work.marked, work.attempts)).collect::<Vec<_>>(),
        [(tenant(1), 1, 0), (tenant(2), 1, 0)]
    );
    settle(&bench, work[0]).await;
    assert_eq!(numbers(&bench).await, ["2"]);
    settle(&bench, work[1]).await;
    assert_eq!(bench.store.backlog(&bench.account).await.expect("the store answers").dirty, 0);
    assert_eq!(bench.store.next_dirty_at(&bench.account).await.expect("the store answers"), None);
}

async fn a_customer_marked_while_being_drained_stays_dirty(bench: Bench) {
    bench.mark(&[1], Priority::Signal, None).await;
    let work = take(&bench).await;
    bench.mark(&[1], Priority::Signal, None).await;
    settle(&bench, work[0]).await;
    assert_eq!(numbers(&bench).await, ["1"]);
    settle(&bench, take(&bench).await[0]).await;
    assert!(take(&bench).await.is_empty());
}

async fn settling_an_old_mark_never_erases_a_newer_one(bench: Bench) {
    bench.mark(&[1], Priority::Signal, None).await;
    let old = take(&bench).await[0];
    bench.mark(&[1], Priority::Signal, None).await;
    let new = take(&bench).await[0];
    settle(&bench, new).await;
    settle(&bench, old).await;
    assert!(take(&bench).await.is_empty(), "a late settle brings nothing back");
    bench.mark(&[1], Priority::Signal, None).await;
    settle(&bench, new).await;
    settle(&bench, old).await;
    assert_eq!(take(&bench).await[0].marked, 3);
}

async fn a_storm_of_signals_is_one_row(bench: Bench) {
    for _ in 0..50 {
        bench.mark(&[1], Priority::Signal, None).await;
    }
    let work = take(&bench).await;
    assert_eq!((work.len(), work[0].marked), (1, 50));
    settle(&bench, work[0]).await;
    assert!(take(&bench).await.is_empty());
}

async fn the_most_urgent_customers_are_taken_first(bench: Bench) {
    bench.mark(&[4], Priority::Sweep, None).await;
    bench.mark(&[3], Priority::Listed, None).await;
    bench.step(1);
    bench.mark(&[1], Priority::Refresh, None).await;
    bench.mark(&[2, 5], Priority::Signal, None).await;
    assert_eq!(numbers(&bench).await, ["1", "2", "5", "3", "4"]);
    let first = bench.store.dirty_customers(&bench.account, bench.clock.now(), 2).await.expect("the store answers");
    assert_eq!(first.len(), 2);
}

async fn a_more_urgent_want_raises_a_customer_and_a_less_urgent_one_does_not_lower_it(bench: Bench) {
    bench.mark(&[1, 2], Priority::Sweep, None).await;
    bench.mark(&[2], Priority::Signal, None).await;
    bench.mark(&[2], Priority::Sweep, None).await;
    assert_eq!(numbers(&bench).await, ["2", "1"]);
}

async fn a_postponed_customer_stays_dirty_and_is_not_taken_before_its_time(bench: Bench) {
    bench.mark(&[1], Priority::Signal, None).await;
    let work = take(&bench).await[0];
    postpone(&bench, work, 60).await;
    bench.step(59);
    assert!(take(&bench).await.is_empty());
    let backlog = bench.store.backlog(&bench.account).await.expect("the store answers");
    assert_eq!((backlog.dirty, backlog.failing, backlog.quarantined), (1, 1, 0));
    let next = bench.store.next_dirty_at(&bench.account).await.expect("the store answers");
    assert_eq!((next, backlog.next_at), (Some(bench.clock.now().plus(Duration::from_secs(1))), next));
    bench.step(1);
    assert_eq!(take(&bench).await[0].attempts, 1);
}

async fn a_new_want_ends_a_postponement(bench: Bench) {
    bench.mark(&[1], Priority::Signal, None).await;
    postpone(&bench, take(&bench).await[0], 3600).await;
    bench.mark(&[1], Priority::Refresh, None).await;
    assert_eq!(numbers(&bench).await, ["1"]);
}

async fn a_want_after_settling_forgets_the_old_urgency(bench: Bench) {
    bench.mark(&[1], Priority::Refresh, None).await;
    postpone(&bench, take(&bench).await[0], 60).await;
    bench.step(60);
    settle(&bench, take(&bench).await[0]).await;
    bench.mark(&[1], Priority::Sweep, None).await;
    bench.mark(&[2], Priority::Listed, None).await;
    assert_eq!(numbers(&bench).await, ["2", "1"]);
    assert!(take(&bench).await.iter().all(|work| work.attempts == 0));
}

async fn accounts_do_not_share_a_dirty_set(bench: Bench) {
    let fabrikam = bench.add_partner("fabrikam", 1).await;
    bench.mark(&[1], Priority::Signal, None).await;
    let others = bench.store.dirty_customers(&fabrikam, bench.clock.now(), 10).await.expect("the store answers");
    assert!(others.is_empty());
    let work = take(&bench).await[0];
    bench.store.write("settle", async |tx| tx.settle(&fabrikam, work).await).await.expect("nothing to settle");
    assert_eq!(numbers(&bench).await, ["1"]);
}

async fn a_refresh_tells_what_to_wait_for(bench: Bench) {
    bench.mark(&[1], Priority::Sweep, None).await;
    let asked = bench.store.write("refresh", async |tx| tx.mark_for_refresh(&bench.account, tenant(1)).await).await;
    let asked = asked.expect("the customer is marked");
    assert_eq!((asked.marked, asked.settled), (2, 0));
    bench.observe(1, mark(1, 1), Observed::Present(profile("Ada"))).await.expect("it is saved");
    settle(&bench, take(&bench).await[0]).await;
    let now = bench.store.work_progress(&bench.account, tenant(1)).await.expect("the store answers");
    assert_eq!((now.settled, now.problem), (2, None));
}
