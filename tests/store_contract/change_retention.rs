//! How long changes are kept: old ones go, in order, and whoever reads on from before them is told.

use std::collections::BTreeSet;
use std::time::Duration;

use customer_guard::clock::Timestamp;
use customer_guard::domain::ids::ChangePosition;
use customer_guard::domain::observation::Observed;
use customer_guard::store::{ChangesAfter, RunCounts, RunKind, SeenAhead};

use crate::bench::{Bench, Shell, mark, note, profile};
use crate::runs::{finish, reread, start};

contract! {
    old_changes_are_forgotten_and_the_horizon_tells,
    changes_above_the_horizon_cannot_be_deleted_by_hand,
    the_horizon_moves_forward_only,
    a_wrong_clock_forgets_nothing_that_is_young_and_holds_nothing_for_ever,
    a_great_many_changes_are_forgotten_and_numbers_go_on,
    a_run_under_way_keeps_the_changes_it_is_counted_by,
    what_an_ended_run_changed_is_known_for_good,
}

const HOUR: u64 = 3600;
const KEEP: Duration = Duration::from_secs(HOUR);

async fn forget(bench: &Bench) -> u64 {
    bench.store.forget_changes(KEEP).await.expect("old changes are forgotten")
}

async fn kept(shell: &mut Shell) -> Vec<String> {
    shell.texts("SELECT cast(sequence AS TEXT) FROM change_log ORDER BY sequence", 0).await
}

async fn horizon(shell: &mut Shell) -> i64 {
    shell.number("SELECT sequence FROM change_log_horizon").await
}

/// Changes 1 to so many, at these times before or after now.
async fn changes_at(bench: &Bench, shell: &mut Shell, seconds_from_now: &[i64]) {
    for (number, seconds) in seconds_from_now.iter().enumerate() {
        let at = bench.clock.now().micros() + seconds * 1_000_000;
        let insert = format!(
            "INSERT INTO change_log (account, customer_id, revision, kind, fields, actor, at)
             VALUES ('contoso', 'a', {}, 'EDITED', '', 'x', {at})",
            number + 1
        );
        assert_eq!(shell.run(&insert).await, Ok(1));
    }
}

async fn old_changes_are_forgotten_and_the_horizon_tells(bench: Bench) {
    let old = bench.platform_customer("Old").await.id;
    bench.step(HOUR / 2);
    let young = bench.platform_customer("Young").await.id;
    assert_eq!(forget(&bench).await, 0);
    bench.step(HOUR / 2 + 1);
    assert_eq!(forget(&bench).await, 1);
    let accounts = BTreeSet::from([bench.account.clone()]);
    let after = async |place| {
        let place = ChangePosition(place);
        bench.store.changes_after(place, &accounts, &SeenAhead::default(), 10).await.expect("the store answers")
    };
    assert_eq!(after(0).await, ChangesAfter::NotKept);
    let ChangesAfter::Kept(batch) = after(1).await else { panic!("it is kept") };
    assert_eq!(batch.changes.iter().map(|change| change.customer.id).collect::<Vec<_>>(), [young]);
    // With nothing left, the end is where it was.
    bench.step(HOUR);
    assert_eq!(forget(&bench).await, 1);
    assert_eq!(bench.store.here().await.expect("the store answers").position, ChangePosition(2));
    assert_eq!(after(1).await, ChangesAfter::NotKept);
    bench.edit(old, vec![note("new")]).await.expect("it is saved");
    let ChangesAfter::Kept(batch) = after(2).await else { panic!("it is kept") };
    assert_eq!((batch.changes.len(), batch.position), (1, ChangePosition(3)));
}

async fn changes_above_the_horizon_cannot_be_deleted_by_hand(bench: Bench) {
    let mut shell = bench.shell().await;
    changes_at(&bench, &mut shell, &[0, 0, 0]).await;
    let refused = "guard: the change log is append-only";
    for statement in ["DELETE FROM change_log", "DELETE FROM change_log WHERE sequence = 1"] {
        assert!(shell.run(statement).await.is_err_and(|error| error.contains(refused)), "{statement}");
    }
    assert_eq!(shell.run("UPDATE change_log_horizon SET sequence = 2").await, Ok(1));
    assert!(shell.run("DELETE FROM change_log WHERE sequence >= 2").await.is_err_and(|error| error.contains(refused)));
    assert_eq!(shell.run("DELETE FROM change_log WHERE sequence <= 2").await, Ok(2));
    let back = "INSERT INTO change_log (sequence, account, customer_id, revision, kind, fields, actor, at)
        VALUES (2, 'contoso', 'a', 2, 'EDITED', '', 'x', 1)";
    assert!(shell.run(back).await.is_err_and(|error| error.contains(refused)), "what is forgotten does not return");
    assert_eq!(kept(&mut shell).await, ["3"]);
}

async fn the_horizon_moves_forward_only(bench: Bench) {
    let mut shell = bench.shell().await;
    changes_at(&bench, &mut shell, &[0, 0, 0]).await;
    assert_eq!(shell.run("UPDATE change_log_horizon SET sequence = 2").await, Ok(1));
    for statement in [
        "UPDATE change_log_horizon SET sequence = 1",
        "UPDATE change_log_horizon SET sequence = 4",
        "DELETE FROM change_log_horizon",
        "INSERT OR REPLACE INTO change_log_horizon (only_row, sequence) VALUES (1, 0)",
    ] {
        assert!(shell.run(statement).await.is_err_and(|error| error.contains("guard: ")), "{statement}");
    }
    assert_eq!(horizon(&mut shell).await, 2);
}

async fn a_wrong_clock_forgets_nothing_that_is_young_and_holds_nothing_for_ever(bench: Bench) {
    let mut shell = bench.shell().await;
    let old = -(i64::try_from(2 * HOUR).expect("a small number"));
    let ahead = 1_000_000_000;
    // 2 was written under a clock that ran ahead, and 5 under one that ran behind; 4 and 6 are young.
    changes_at(&bench, &mut shell, &[old, ahead, old, -10, old, -5, ahead]).await;
    assert_eq!(forget(&bench).await, 3);
    assert_eq!(kept(&mut shell).await, ["4", "5", "6", "7"]);
    bench.step(2 * HOUR);
    assert_eq!(forget(&bench).await, 3);
    assert_eq!((kept(&mut shell).await, horizon(&mut shell).await), (vec!["7".to_owned()], 6));
    assert_eq!(forget(&bench).await, 0, "what comes from the future is young, for want of a neighbour");
}

async fn a_great_many_changes_are_forgotten_and_numbers_go_on(bench: Bench) {
    let mut shell = bench.shell().await;
    let insert = "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 25001)
        INSERT INTO change_log (account, customer_id, revision, kind, fields, actor, at)
        SELECT 'contoso', 'a', n, 'EDITED', '', 'x', 1 FROM number";
    assert_eq!(shell.run(insert).await, Ok(25_001));
    assert_eq!(forget(&bench).await, 25_001);
    assert_eq!((kept(&mut shell).await, horizon(&mut shell).await), (Vec::new(), 25_001));
    bench.platform_customer("Next").await;
    assert_eq!(kept(&mut shell).await, ["25002"]);
}

async fn a_run_under_way_keeps_the_changes_it_is_counted_by(bench: Bench) {
    bench.platform_customer("Before").await;
    bench.step(1);
    let run = start(&bench, RunKind::Full).await.expect("it starts");
    bench.mark(&[1], customer_guard::store::Priority::Sweep, Some(run.id)).await;
    let seen = Observed::Present(profile("Ada"));
    bench.observe_in(&bench.account, 1, mark(1, 1), seen, Some(run.id)).await.expect("it is saved");
    bench.step(2 * HOUR);
    assert_eq!(forget(&bench).await, 1, "what came before the run");
    finish(&bench, &run, None).await;
    assert_eq!(forget(&bench).await, 1);
    assert_eq!(reread(&bench, &run).await.counts, Some(RunCounts { created: 1, ..RunCounts::default() }));
}

async fn what_an_ended_run_changed_is_known_for_good(bench: Bench) {
    let run = start(&bench, RunKind::Full).await.expect("it starts");
    bench.mark(&[1, 2], customer_guard::store::Priority::Sweep, Some(run.id)).await;
    for (number, ticket, seed) in [(1, 1, "Ada"), (2, 1, "Bob"), (1, 2, "Eve")] {
        let seen = Observed::Present(profile(seed));
        bench.observe_in(&bench.account, number, mark(1, ticket), seen, Some(run.id)).await.expect("it is saved");
    }
    assert_eq!(reread(&bench, &run).await.counts, None, "it is under way");
    finish(&bench, &run, None).await;
    let counts = RunCounts { created: 2, changed: 1, ended: 0, revived: 0 };
    for _ in 0..2 {
        let run = reread(&bench, &run).await;
        assert_eq!((run.finished_at, run.counts), (Some(start_of(&bench)), Some(counts)));
        assert_eq!(bench.store.run_counts(&run).await.expect("the store answers"), counts);
        if bench.clock.now() == start_of(&bench) {
            bench.step(2 * HOUR);
            assert_eq!(forget(&bench).await, 3);
        }
    }
}

/// The time every bench begins at.
const fn start_of(_: &Bench) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000)
}
