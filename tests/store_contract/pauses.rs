//! Pauses: a paused customer stays dirty and is nobody's work; what was under way for it is dropped.

use std::time::Duration;

use customer_guard::domain::customer::{SyncState, VisibleState};
use customer_guard::domain::observation::{GoneAnswer, Observed};
use customer_guard::domain::pause::{self, PauseReason, Verdict};
use customer_guard::operations::apply_observations::{Answered, apply_observations};
use customer_guard::store::{CallTally, DirtyCustomer, Priority, RunKind, SavedPlan};

use crate::bench::{Bench, mark, observed, profile, tenant};
use crate::listing::{list, listed, page};
use crate::runs::{finish, reread, start};

contract! {
    a_paused_customer_is_nobodys_work_and_a_resumed_one_is_urgent,
    a_run_neither_wants_nor_waits_for_a_paused_customer,
    an_answer_that_was_under_way_is_neither_applied_nor_settled,
    a_failure_that_was_under_way_is_not_noted,
    a_paused_customer_is_no_removal_candidate,
    a_pause_comes_back_whole_and_covers_the_state_beneath,
    promises_and_counts_leave_the_paused_out,
}

pub async fn paused(bench: &Bench, number: u32, why: &str) {
    let reason = PauseReason::new(why).expect("a sound reason");
    let Verdict::Do(change) = pause::pause(&bench.of_tenant(number).await, "ops", reason, bench.clock.now()) else {
        panic!("{number} can be paused");
    };
    bench.store.write("pause", async |tx| tx.save_pause(&change, "ops").await).await.expect("it is paused");
}

pub async fn resumed(bench: &Bench, number: u32) {
    let Verdict::Do(change) = pause::resume(&bench.of_tenant(number).await) else { panic!("{number} is paused") };
    bench.store.write("resume", async |tx| tx.save_pause(&change, "ops").await).await.expect("it is resumed");
}

async fn take(bench: &Bench) -> Vec<DirtyCustomer> {
    bench.store.dirty_customers(&bench.account, bench.clock.now(), 100).await.expect("the store answers")
}

async fn settle_all(bench: &Bench) {
    for work in take(bench).await {
        bench.store.write("settle", async |tx| tx.settle(&bench.account, work).await).await.expect("it is settled");
    }
}

async fn a_paused_customer_is_nobodys_work_and_a_resumed_one_is_urgent(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    settle_all(&bench).await;
    paused(&bench, 1, "a dispute").await;
    bench.mark(&[1], Priority::Refresh, None).await;
    assert!(take(&bench).await.is_empty());
    assert_eq!(bench.store.next_dirty_at(&bench.account).await.expect("the store answers"), None);
    let backlog = bench.store.backlog(&bench.account).await.expect("the store answers");
    assert_eq!((backlog.dirty, backlog.paused, backlog.next_at), (0, 1, None));
    let progress = bench.store.work_progress(&bench.account, tenant(1)).await.expect("the store answers");
    assert!(progress.is_paused && progress.settled < progress.marked, "{progress:?}");

    resumed(&bench, 1).await;
    bench.microsoft_customer(2, "Eve").await;
    let work = take(&bench).await;
    assert_eq!(work.iter().map(|work| work.tenant_id).collect::<Vec<_>>(), [tenant(1), tenant(2)]);
    assert_eq!(bench.store.backlog(&bench.account).await.expect("the store answers").paused, 0);
}

async fn a_run_neither_wants_nor_waits_for_a_paused_customer(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.microsoft_customer(2, "Eve").await;
    settle_all(&bench).await;
    paused(&bench, 1, "a dispute").await;
    let run = start(&bench, RunKind::Full).await.expect("it starts");
    bench.step(1);
    let (run, marked) = page(&bench, &run, &[listed(1, "a"), listed(2, "b")], None).await;
    assert_eq!((run.listed, run.marked, marked), (2, 1, 1));
    bench.store.write("listed", async |tx| tx.finish_listing(&run, &[]).await).await.expect("it is finished");
    settle_all(&bench).await;
    assert!(bench.store.run_is_drained(&bench.account, run.id, 3).await.expect("the store answers"));
    assert_eq!(bench.store.run_backlog(&bench.account, run.id).await.expect("the store answers"), 0);
    finish(&bench, &run, None).await;

    // Somebody the list lacks is missing, and not asked about.
    let run = start(&bench, RunKind::ListDiff).await.expect("it starts");
    bench
        .store
        .write("listed", async |tx| tx.finish_listing(&run, &[tenant(1), tenant(2)]).await)
        .await
        .expect("it is finished");
    let run = reread(&bench, &run).await;
    assert_eq!((run.missing, run.marked), (2, 1));
    finish(&bench, &run, None).await;

    // What comes of the resumed one is not counted for a run that is over.
    resumed(&bench, 1).await;
    assert_eq!(take(&bench).await.into_iter().find(|work| work.tenant_id == tenant(1)).and_then(|work| work.run), None);
}

async fn an_answer_that_was_under_way_is_neither_applied_nor_settled(bench: Bench) {
    let before = bench.microsoft_customer(1, "Ada").await;
    let work = take(&bench).await[0];
    paused(&bench, 1, "a dispute").await;
    for (ticket, what) in [
        (11, Observed::Present(profile("Eve"))),
        (12, Observed::Gone(GoneAnswer::NotFound)),
        (13, Observed::Unusable("broken".to_owned())),
    ] {
        let answer = Answered { work, tally: CallTally::default(), observation: observed(1, mark(1, ticket), what) };
        let saved = apply_observations(&bench.store, &bench.account, &[answer]).await.expect("the store answers");
        assert_eq!(saved, [SavedPlan::Paused]);
    }
    let progress = bench.store.work_progress(&bench.account, tenant(1)).await.expect("the store answers");
    assert_eq!((progress.settled, progress.problem), (0, None));
    let after = bench.of_tenant(1).await;
    assert_eq!((&after.primary_contact, after.revision), (&before.primary_contact, before.revision.next()));
    resumed(&bench, 1).await;
    let again = take(&bench).await[0];
    assert!(again.marked > work.marked, "it is looked at again");
    let answer = Answered {
        work: again,
        tally: CallTally::default(),
        observation: observed(1, mark(1, 14), Observed::Present(profile("Eve"))),
    };
    let saved = apply_observations(&bench.store, &bench.account, &[answer]).await.expect("the store answers");
    assert_eq!(saved, [SavedPlan::Changed]);
    assert!(take(&bench).await.is_empty());
}

async fn a_failure_that_was_under_way_is_not_noted(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    let work = take(&bench).await[0];
    paused(&bench, 1, "a dispute").await;
    let later = bench.clock.now().plus(Duration::from_secs(3600));
    bench
        .store
        .write("postpone", async |tx| tx.postpone(&bench.account, work, later, "503").await)
        .await
        .expect("the store answers");
    let progress = bench.store.work_progress(&bench.account, tenant(1)).await.expect("the store answers");
    assert_eq!((progress.attempts, progress.problem), (0, None));
}

async fn a_paused_customer_is_no_removal_candidate(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.step(1);
    for _ in 0..2 {
        list(&bench, RunKind::ListDiff, &[]).await;
    }
    bench.observe(1, mark(1, 11), Observed::Gone(GoneAnswer::NotFound)).await.expect("it is noted");
    let candidates = async || bench.store.removal_candidates(&bench.account).await.expect("the store answers").len();
    assert_eq!(candidates().await, 1);
    paused(&bench, 1, "a dispute").await;
    assert_eq!(candidates().await, 0);
    resumed(&bench, 1).await;
    assert_eq!(candidates().await, 1);
}

async fn a_pause_comes_back_whole_and_covers_the_state_beneath(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.observe(1, mark(1, 11), Observed::Unusable("broken".to_owned())).await.expect("it is noted");
    let at = bench.clock.now();
    paused(&bench, 1, "a dispute").await;
    bench.step(60);
    paused(&bench, 1, "an audit").await;
    let customer = bench.of_tenant(1).await;
    let pause = customer.pause().expect("it is paused");
    assert_eq!((pause.by.as_str(), pause.since, pause.reason.as_str()), ("ops", at, "an audit"));
    assert_eq!(customer.visible_state(), Some(VisibleState::Paused));
    resumed(&bench, 1).await;
    assert_eq!(bench.of_tenant(1).await.visible_state(), Some(VisibleState::Kept(SyncState::Quarantined)));
    let mut shell = bench.shell().await;
    let logged = shell.texts("SELECT kind || ' ' || actor FROM change_log ORDER BY sequence", 0).await;
    assert_eq!(logged, ["CREATED partner-center", "STATE partner-center", "STATE ops", "STATE ops", "STATE ops"]);
}

async fn promises_and_counts_leave_the_paused_out(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.step(60);
    let second = bench.clock.now();
    bench.microsoft_customer(2, "Eve").await;
    settle_all(&bench).await;
    bench.observe(1, mark(1, 11), Observed::Unusable("broken".to_owned())).await.expect("it is noted");
    assert_eq!(bench.store.backlog(&bench.account).await.expect("the store answers").quarantined, 1);
    paused(&bench, 1, "a dispute").await;
    let sync = bench.store.account_sync(&bench.account).await.expect("the store answers");
    assert_eq!((sync.active_customers, sync.oldest_verified_at), (2, Some(second)));
    assert_eq!(bench.store.backlog(&bench.account).await.expect("the store answers").quarantined, 0);
}
