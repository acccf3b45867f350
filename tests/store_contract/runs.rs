//! Sync runs: one of a kind at a time, counted from the change log, pruned.

use customer_guard::domain::ids::RunId;
use customer_guard::domain::observation::{GoneAnswer, Observed};
use customer_guard::domain::removal::{RemovalEvidence, end};
use customer_guard::store::{Error, Priority, RunCause, RunCounts, RunKind, RunState, SyncRun};

use crate::bench::{Bench, mark, profile, tenant};

contract! {
    a_started_run_comes_back_whole,
    only_one_run_of_a_kind_is_under_way_in_an_account,
    what_a_run_changed_is_counted_from_the_change_log,
    a_run_is_drained_when_nobody_it_wants_is_dirty,
    the_newest_two_hundred_list_diffs_are_kept_and_every_full_run,
    a_failed_run_keeps_its_reason,
    runs_are_listed_newest_first_in_pages,
    the_audit_log_is_read_again_from_where_its_last_reading_began,
}

pub async fn start(bench: &Bench, kind: RunKind) -> Result<SyncRun, Error> {
    let account = &bench.account;
    bench.store.write("start", async |tx| tx.start_run(account, kind, RunCause::Manual, "ops").await).await
}

pub async fn finish(bench: &Bench, run: &SyncRun, problem: Option<&str>) {
    let finished = bench.store.write("finish", async |tx| tx.finish_run(run, problem).await).await;
    finished.expect("the run is finished");
}

pub async fn reread(bench: &Bench, run: &SyncRun) -> SyncRun {
    bench.store.sync_run(&bench.account, run.id).await.expect("the store answers").expect("the run exists")
}

async fn a_started_run_comes_back_whole(bench: Bench) {
    let run = start(&bench, RunKind::Full).await.expect("it starts");
    assert_eq!((run.kind, run.cause, run.state), (RunKind::Full, RunCause::Manual, RunState::Listing));
    assert_eq!((run.started_by.as_str(), run.started_at), ("ops", bench.clock.now()));
    assert_eq!(reread(&bench, &run).await, run);
}

async fn only_one_run_of_a_kind_is_under_way_in_an_account(bench: Bench) {
    let fabrikam = bench.add_partner("fabrikam", 1).await;
    let first = start(&bench, RunKind::Full).await.expect("it starts");
    start(&bench, RunKind::Full).await.expect_err("one of a kind");
    let diff = start(&bench, RunKind::ListDiff).await.expect("another kind starts");
    let elsewhere = bench
        .store
        .write("start", async |tx| tx.start_run(&fabrikam, RunKind::Full, RunCause::First, "worker").await)
        .await;
    elsewhere.expect("another account starts");
    bench
        .store
        .write("listed", async |tx| tx.finish_listing(&first, &[]).await)
        .await
        .expect("the listing is finished");
    start(&bench, RunKind::Full).await.expect_err("fetching is still under way");
    let under_way = bench.store.run_under_way(&bench.account, RunKind::Full).await.expect("the store answers");
    assert_eq!(under_way.map(|run| run.id), Some(first.id));
    finish(&bench, &first, None).await;
    finish(&bench, &diff, Some("broken")).await;
    assert_eq!(bench.store.run_under_way(&bench.account, RunKind::Full).await.expect("the store answers"), None);
    bench.step(1);
    start(&bench, RunKind::Full).await.expect("the next one starts");
    let last = bench.store.last_full_run(&bench.account).await.expect("the store answers");
    assert_eq!(last.map(|run| run.id), Some(first.id));
}

async fn what_a_run_changed_is_counted_from_the_change_log(bench: Bench) {
    let started = start(&bench, RunKind::Full).await.expect("it starts");
    let run = started.id;
    bench.mark(&[1, 2, 3, 4], Priority::Sweep, Some(run)).await;
    let observe = async |number: u32, ticket: i64, what: Observed| {
        bench.observe_in(&bench.account, number, mark(1, ticket), what, Some(run)).await.expect("it is saved")
    };
    for number in [1, 2, 3] {
        observe(number, 1, Observed::Present(profile("Ada"))).await;
    }
    observe(1, 2, Observed::Present(profile("Bob"))).await;
    observe(2, 2, Observed::Present(profile("Ada"))).await;
    observe(3, 2, Observed::Unusable("x".to_owned())).await;
    // The same without the run does not count.
    bench.observe(1, mark(1, 3), Observed::Present(profile("Eve"))).await.expect("it is saved");
    observe(2, 3, Observed::Gone(GoneAnswer::NotFound)).await;
    let evidence = RemovalEvidence { missing_runs: 2, removal_recorded: false, said_gone: true };
    let departure = end(&bench.of_tenant(2).await, evidence, mark(1, 3)).expect("the evidence is complete");
    bench.store.write("end", async |tx| tx.save_departure(&departure, None, Some(run)).await).await.expect("it ends");
    observe(2, 4, Observed::Present(profile("Ada"))).await;
    let counts = bench.store.run_counts(&started).await.expect("the store answers");
    assert_eq!(counts, RunCounts { created: 3, changed: 1, ended: 1, revived: 1 });
}

async fn drained(bench: &Bench, run: RunId) -> bool {
    bench.store.run_is_drained(&bench.account, run, 3).await.expect("the store answers")
}

async fn settle_all(bench: &Bench) {
    let work = bench.store.dirty_customers(&bench.account, bench.clock.now(), 100).await.expect("the store answers");
    for work in work {
        bench.store.write("settle", async |tx| tx.settle(&bench.account, work).await).await.expect("it is settled");
    }
}

async fn a_run_is_drained_when_nobody_it_wants_is_dirty(bench: Bench) {
    let run = start(&bench, RunKind::Full).await.expect("it starts").id;
    assert!(drained(&bench, run).await);
    bench.mark(&[1, 2], Priority::Sweep, Some(run)).await;
    bench.mark(&[3], Priority::Signal, None).await;
    assert!(!drained(&bench, run).await);
    assert_eq!(bench.store.run_backlog(&bench.account, run).await.expect("the store answers"), 2);
    let work = bench.store.dirty_customers(&bench.account, bench.clock.now(), 100).await.expect("the store answers");
    assert_eq!(
        work.iter().map(|work| (work.tenant_id, work.run)).collect::<Vec<_>>(),
        [(tenant(3), None), (tenant(1), Some(run)), (tenant(2), Some(run))]
    );
    // A signal about a customer the run waits for does not take it away from the run.
    bench.mark(&[1], Priority::Signal, None).await;
    settle_all(&bench).await;
    assert!(drained(&bench, run).await);
    bench.mark(&[1], Priority::Signal, None).await;
    assert!(drained(&bench, run).await, "what is wanted after it is settled is not the run's");
}

async fn the_newest_two_hundred_list_diffs_are_kept_and_every_full_run(bench: Bench) {
    let mut diffs = Vec::new();
    for number in 0..205 {
        let kind = if number % 41 == 0 { RunKind::Full } else { RunKind::ListDiff };
        for kind in [RunKind::ListDiff, kind].into_iter().take(if kind == RunKind::Full { 2 } else { 1 }) {
            let run = start(&bench, kind).await.expect("it starts");
            finish(&bench, &run, None).await;
            if kind == RunKind::ListDiff {
                diffs.push(run.id);
            }
            bench.step(1);
        }
    }
    let mut shell = bench.shell().await;
    assert_eq!(shell.number("SELECT count(*) FROM sync_run WHERE kind = 'FULL'").await, 5);
    let kept = shell.texts("SELECT id FROM sync_run WHERE kind = 'LIST_DIFF' ORDER BY id", 0).await;
    let newest: Vec<_> = diffs[5..].iter().map(RunId::to_string).collect();
    assert_eq!(kept, newest);
}

async fn a_failed_run_keeps_its_reason(bench: Bench) {
    let run = start(&bench, RunKind::Full).await.expect("it starts");
    bench.step(7);
    finish(&bench, &run, Some("CREDENTIALS_INVALID")).await;
    let run = reread(&bench, &run).await;
    assert_eq!((run.state, run.problem.as_deref()), (RunState::Failed, Some("CREDENTIALS_INVALID")));
    assert_eq!(run.finished_at, Some(bench.clock.now()));
    assert_eq!(bench.store.last_full_run(&bench.account).await.expect("the store answers"), None);
}

async fn runs_are_listed_newest_first_in_pages(bench: Bench) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        let run = start(&bench, RunKind::Full).await.expect("it starts");
        finish(&bench, &run, None).await;
        ids.insert(0, run.id);
        bench.step(1);
    }
    let mut met = Vec::new();
    loop {
        let page = bench.store.sync_runs(&bench.account, met.last().copied(), 2).await.expect("the store answers");
        if page.is_empty() {
            break;
        }
        met.extend(page.iter().map(|run| run.id));
    }
    assert_eq!(met, ids);
}

async fn the_audit_log_is_read_again_from_where_its_last_reading_began(bench: Bench) {
    let account = &bench.account;
    let began = bench.clock.now();
    // A log that is throttled may be read for days.
    bench.step(3 * 24 * 60 * 60);
    bench.store.write("read", async |tx| tx.note_audit_polled(account, began).await).await.expect("it is noted");
    let readings = bench.store.last_readings(account).await.expect("the store answers");
    assert_eq!(readings.audit_read_from, Some(began));
}
