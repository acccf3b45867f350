//! Second looks: the ones that confirm a signal's answer, and the rolling verification. Both are found by their time, and
//! what was found is not due any more, whoever it is: a worker that comes back at once would never rest.

use std::time::Duration;

use customer_guard::clock::Timestamp;
use customer_guard::domain::observation::{GoneAnswer, Observed};
use customer_guard::domain::policy::CONFIRM_AFTER;
use customer_guard::domain::removal::{self, RemovalEvidence};
use customer_guard::store::{DirtyCustomer, Priority};

use crate::bench::{Bench, mark, profile, tenant};
use crate::pauses::{paused, resumed};

contract! {
    a_signal_is_confirmed_twice_each_time_a_while_after_the_look_before,
    a_newer_signal_begins_the_confirming_looks_anew,
    nothing_is_confirmed_while_a_look_is_owed,
    what_nobody_signalled_is_not_confirmed,
    the_due_confirmation_of_a_paused_customer_is_due_once_and_is_nobodys_work,
    whoever_was_looked_at_longest_ago_is_found_first_and_once,
    whoever_is_waited_for_already_is_not_found,
    an_ended_customer_is_found_once_and_not_marked,
    a_paused_customer_is_found_once_and_is_nobodys_work,
}

async fn take(bench: &Bench) -> Vec<DirtyCustomer> {
    bench.store.dirty_customers(&bench.account, bench.clock.now(), 100).await.expect("the store answers")
}

async fn settle_all(bench: &Bench) {
    for work in take(bench).await {
        bench.store.write("settle", async |tx| tx.settle(&bench.account, work).await).await.expect("it is settled");
    }
}

async fn confirmation_at(bench: &Bench) -> Option<Timestamp> {
    bench.store.next_confirmation_at(&bench.account).await.expect("the store answers")
}

async fn confirm(bench: &Bench, limit: u32) -> u64 {
    let marked = bench.store.write("confirm", async |tx| tx.mark_confirmations(&bench.account, limit).await).await;
    marked.expect("the store answers")
}

async fn oldest_look(bench: &Bench) -> Option<Timestamp> {
    bench.store.oldest_look_at(&bench.account).await.expect("the store answers")
}

async fn verify(bench: &Bench, before: Timestamp, limit: u32) -> u64 {
    let found =
        bench.store.write("verify", async |tx| tx.mark_for_verification(&bench.account, before, limit).await).await;
    found.expect("the store answers")
}

fn tenants(work: &[DirtyCustomer]) -> Vec<u32> {
    let number = |work: &DirtyCustomer| (1..10).find(|number| tenant(*number) == work.tenant_id).expect("one of them");
    work.iter().map(number).collect()
}

async fn a_signal_is_confirmed_twice_each_time_a_while_after_the_look_before(bench: Bench) {
    bench.mark(&[1], Priority::Signal, None).await;
    assert_eq!(confirmation_at(&bench).await, None, "the look itself comes first");
    for after in CONFIRM_AFTER {
        settle_all(&bench).await;
        let due = bench.clock.now().plus(after);
        assert_eq!(confirmation_at(&bench).await, Some(due));
        assert_eq!(confirm(&bench, 100).await, 0, "it is not due yet");
        bench.clock.advance(after);
        assert_eq!(confirm(&bench, 100).await, 1);
        assert_eq!(confirmation_at(&bench).await, None);
        assert_eq!(tenants(&take(&bench).await), [1]);
    }
    settle_all(&bench).await;
    assert_eq!(confirmation_at(&bench).await, None, "two are enough");
}

async fn a_newer_signal_begins_the_confirming_looks_anew(bench: Bench) {
    bench.mark(&[1], Priority::Signal, None).await;
    settle_all(&bench).await;
    bench.clock.advance(CONFIRM_AFTER[0]);
    assert_eq!(confirm(&bench, 100).await, 1);
    bench.mark(&[1], Priority::Signal, None).await;
    assert_eq!(confirmation_at(&bench).await, None);
    settle_all(&bench).await;
    assert_eq!(confirmation_at(&bench).await, Some(bench.clock.now().plus(CONFIRM_AFTER[0])), "the first one again");
}

async fn nothing_is_confirmed_while_a_look_is_owed(bench: Bench) {
    bench.mark(&[1], Priority::Signal, None).await;
    let early = take(&bench).await[0];
    bench.mark(&[1], Priority::Signal, None).await;
    bench.store.write("settle", async |tx| tx.settle(&bench.account, early).await).await.expect("it is settled");
    assert_eq!(confirmation_at(&bench).await, None, "the newer signal has not been looked at");
    settle_all(&bench).await;
    assert!(confirmation_at(&bench).await.is_some());
}

async fn what_nobody_signalled_is_not_confirmed(bench: Bench) {
    for (number, priority) in [(1, Priority::Sweep), (2, Priority::Confirm), (3, Priority::Refresh)] {
        bench.mark(&[number], priority, None).await;
        settle_all(&bench).await;
        assert_eq!(confirmation_at(&bench).await, None, "{priority:?}");
    }
    bench.mark(&[4], Priority::Listed, None).await;
    settle_all(&bench).await;
    assert!(confirmation_at(&bench).await.is_some());
}

async fn the_due_confirmation_of_a_paused_customer_is_due_once_and_is_nobodys_work(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.microsoft_customer(2, "Eve").await;
    settle_all(&bench).await;
    paused(&bench, 1, "a dispute").await;
    bench.clock.advance(CONFIRM_AFTER[0]);
    // One at a time, so that a paused one at the front would keep the others from their turn.
    while confirmation_at(&bench).await.is_some_and(|due| due <= bench.clock.now()) {
        assert_eq!(confirm(&bench, 1).await, 1, "something is due, and nothing is marked");
    }
    assert_eq!(tenants(&take(&bench).await), [2]);
    settle_all(&bench).await;
    let next = bench.store.next_dirty_at(&bench.account).await.expect("the store answers");
    assert_eq!(next, None, "a paused customer is no reason to come back");
    resumed(&bench, 1).await;
    settle_all(&bench).await;
    assert!(confirmation_at(&bench).await.is_some(), "a resumed one is confirmed like any signal");
}

async fn whoever_was_looked_at_longest_ago_is_found_first_and_once(bench: Bench) {
    let began = bench.clock.now();
    for (number, name) in [(1, "Ada"), (2, "Eve"), (3, "Ida")] {
        bench.microsoft_customer(number, name).await;
        settle_all(&bench).await;
        bench.step(10);
    }
    assert_eq!(oldest_look(&bench).await, Some(began));
    assert_eq!(verify(&bench, began.minus(Duration::from_secs(1)), 100).await, 0);
    assert_eq!(verify(&bench, bench.clock.now(), 2).await, 2);
    assert_eq!(tenants(&take(&bench).await), [1, 2]);
    assert_eq!(oldest_look(&bench).await, Some(began.plus(Duration::from_secs(20))));
    settle_all(&bench).await;
    assert_eq!(oldest_look(&bench).await, Some(began.plus(Duration::from_secs(20))), "they were looked at just now");
}

async fn whoever_is_waited_for_already_is_not_found(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    settle_all(&bench).await;
    bench.mark(&[1], Priority::Signal, None).await;
    assert_eq!(oldest_look(&bench).await, None);
    assert_eq!(verify(&bench, bench.clock.now(), 100).await, 0);
}

async fn an_ended_customer_is_found_once_and_not_marked(bench: Bench) {
    let customer = bench.microsoft_customer(1, "Ada").await;
    bench.observe(1, mark(1, 11), Observed::Gone(GoneAnswer::NotFound)).await.expect("the store answers");
    settle_all(&bench).await;
    let evidence = RemovalEvidence { missing_runs: 2, removal_recorded: false, said_gone: true };
    let departure = removal::end(&customer, evidence, mark(1, 11)).expect("the evidence is complete");
    let ended = bench.store.write("end", async |tx| tx.save_departure(&departure, None, None).await).await;
    ended.expect("it ends");
    assert!(oldest_look(&bench).await.is_some());
    assert_eq!(verify(&bench, bench.clock.now(), 100).await, 1);
    assert!(take(&bench).await.is_empty());
    assert_eq!(oldest_look(&bench).await, None, "and not again");
}

async fn a_paused_customer_is_found_once_and_is_nobodys_work(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.microsoft_customer(2, "Eve").await;
    settle_all(&bench).await;
    let before = bench.of_tenant(1).await;
    paused(&bench, 1, "a dispute").await;
    bench.step(10);
    while oldest_look(&bench).await.is_some_and(|looked_at| looked_at <= bench.clock.now()) {
        assert_eq!(verify(&bench, bench.clock.now(), 1).await, 1, "somebody is due, and nobody is found");
    }
    assert_eq!(tenants(&take(&bench).await), [2]);
    let verified = bench.of_tenant(1).await.microsoft.map(|link| link.verified_at);
    assert_eq!(verified, before.microsoft.map(|link| link.verified_at), "nobody looked at the paused one");
    resumed(&bench, 1).await;
    let answer = Observed::Present(profile("Ada"));
    assert_eq!(tenants(&take(&bench).await), [1, 2], "the resumed one is urgent");
    bench.observe(1, mark(1, 12), answer).await.expect("the store answers");
    settle_all(&bench).await;
    assert_eq!(oldest_look(&bench).await, Some(bench.clock.now()));
}
