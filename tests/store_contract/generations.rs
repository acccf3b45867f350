//! Generations: a place is good in the history it was told in, and a database that was put back is found out.

use std::collections::BTreeSet;
use std::time::Duration;

use customer_guard::domain::ids::ReplicaId;
use customer_guard::domain::ids::{ChangePosition, GenerationId};
use customer_guard::domain::lease::{Lease, Replica};
use customer_guard::store::{Beginning, Error, Place, RunCause, RunKind, RunState};

use crate::bench::{Bench, note, write_something};
use crate::leases::replica;

contract! {
    on sqlite {
        a_place_is_good_up_to_the_end_of_its_generation,
        every_process_that_serves_a_file_begins_a_generation,
        r17_a_file_that_is_older_than_its_witness_was_put_back,
        a_file_that_came_without_its_witness_may_have_been_put_back,
    }
    on postgres {
        a_generation_goes_on_for_as_long_as_the_database_is_the_same,
        r17_a_database_whose_tables_were_made_anew_was_put_back,
        a_server_that_took_over_begins_a_generation_and_is_taken_for_a_restored_one_only_by_who_was_not_there,
    }
}

async fn here(bench: &Bench) -> Place {
    bench.store.here().await.expect("the store answers")
}

async fn goes_on(bench: &Bench, place: Place) -> bool {
    bench.store.continues(&place).await.expect("the store answers")
}

async fn begun(bench: &Bench) -> Beginning {
    bench.store.begin_generation().await.expect("the store answers")
}

async fn a_place_is_good_up_to_the_end_of_its_generation(bench: Bench) {
    let unserved = here(&bench).await;
    assert!(unserved.generation.is_none() && goes_on(&bench, unserved).await);
    let ash = bench.platform_customer("Ash").await;
    assert_eq!(begun(&bench).await, Beginning::Began);
    let first = here(&bench).await;
    bench.edit(ash.id, vec![note("in the first")]).await.expect("an edit");
    let end = here(&bench).await;
    begun(&bench).await;
    bench.edit(ash.id, vec![note("in the second")]).await.expect("an edit");
    let now = here(&bench).await;
    assert_ne!(first.generation, now.generation);
    let beyond = |place: Place, by: i64| Place { position: ChangePosition(place.position.0 + by), ..place };
    let stranger = Place { generation: Some(GenerationId::drawn([1; 8])), position: ChangePosition(1) };
    let before_generations = Place { generation: None, position: first.position };
    for (place, is_good) in [
        (first, true),
        (end, true),
        (beyond(end, 1), false),
        (now, true),
        (beyond(now, 1), false),
        (stranger, false),
        (before_generations, true),
        (beyond(before_generations, 2), false),
    ] {
        assert_eq!(goes_on(&bench, place).await, is_good, "{place:?}");
    }
}

async fn every_process_that_serves_a_file_begins_a_generation(bench: Bench) {
    begun(&bench).await;
    let first = here(&bench).await;
    bench.platform_customer("Ash").await;
    let bench = bench.opened_again().await;
    assert_eq!(begun(&bench).await, Beginning::Began);
    assert_ne!(here(&bench).await.generation, first.generation);
    assert_eq!(bench.store.restored_at().await.expect("the store answers"), None);
}

/// What must hold after a database was put back in which a run was under way and a lease was held.
async fn check_restored(bench: &Bench, lease: Lease) {
    let account = &bench.account;
    let full = bench.store.newest_full_run(account).await.expect("the store answers").expect("a run");
    assert_eq!(full.state, RunState::Failed);
    assert!(full.problem.is_some_and(|problem| problem.contains("put back")));
    assert_eq!(bench.store.restored_at().await.expect("the store answers"), Some(bench.clock.now()));
    let under = bench.store.under(lease.clone());
    let written = under.write("sleeper", async |tx| write_something(tx, account).await).await;
    assert!(matches!(written, Err(Error::LeaseLost)), "{written:?}");
    // Far beyond whatever was given out in the history that is lost.
    let mark = bench.store.write("ticket", async |tx| tx.take_ticket(account).await).await.expect("a place");
    assert!(mark.epoch.0 > lease.epoch.0 + (1 << 31) && mark.ticket.0 > 1 << 31, "{mark:?}");
}

/// A run is under way, and the account is held.
async fn busy(bench: &Bench) -> Lease {
    let account = bench.account.clone();
    let started =
        bench.store.write("start", async |tx| tx.start_run(&account, RunKind::Full, RunCause::First, "worker").await);
    started.await.expect("a run");
    let replica = Replica { id: ReplicaId::mint(bench.clock.now()), name: "guard".to_owned() };
    let accounts = [account.clone()].into();
    let shared = bench
        .store
        .write("share", async |tx| tx.share_accounts(&replica, &accounts, Duration::from_secs(60), false).await);
    let epoch = shared.await.expect("a share").held[&account];
    Lease { account, epoch }
}

async fn r17_a_file_that_is_older_than_its_witness_was_put_back(bench: Bench) {
    begun(&bench).await;
    let lease = busy(&bench).await;
    let ash = bench.platform_customer("Ash").await;
    let backup = bench.backed_up().await;
    bench.edit(ash.id, vec![note("lost")]).await.expect("an edit");
    let lost = here(&bench).await;
    let bench = bench.put_back(backup).await;
    bench.step(60);
    assert_eq!(begun(&bench).await, Beginning::Restored);
    check_restored(&bench, lease).await;
    bench.edit(ash.id, vec![note("another one")]).await.expect("an edit");
    assert_eq!(here(&bench).await.position, lost.position, "the same number for another change");
    assert!(!goes_on(&bench, lost).await);
    let bench = bench.opened_again().await;
    assert_eq!(begun(&bench).await, Beginning::Began, "once is enough");
}

async fn a_file_that_came_without_its_witness_may_have_been_put_back(bench: Bench) {
    begun(&bench).await;
    let bench = bench.without_witness().await;
    assert_eq!(begun(&bench).await, Beginning::Restored);
}

async fn a_generation_goes_on_for_as_long_as_the_database_is_the_same(bench: Bench) {
    assert_eq!(begun(&bench).await, Beginning::Began);
    let first = here(&bench).await;
    let beside = bench.beside().await;
    for begun in [beside.begin_generation().await, beside.follow_server().await, bench.store.follow_server().await] {
        assert_eq!(begun.expect("the store answers"), Beginning::None);
    }
    assert_eq!(here(&bench).await, first);
    beside.close().await;
}

async fn r17_a_database_whose_tables_were_made_anew_was_put_back(bench: Bench) {
    begun(&bench).await;
    let lease = busy(&bench).await;
    let ash = bench.platform_customer("Ash").await;
    let backup = bench.backed_up().await;
    bench.edit(ash.id, vec![note("lost")]).await.expect("an edit");
    let lost = here(&bench).await;
    let bench = bench.put_back(backup).await;
    bench.step(60);
    let beside = bench.beside().await;
    let (one, other) = futures::future::join(bench.store.begin_generation(), beside.begin_generation()).await;
    let both = [one.expect("the store answers"), other.expect("the store answers")];
    assert!(both.contains(&Beginning::Restored) && both.contains(&Beginning::None), "one of them: {both:?}");
    beside.close().await;
    check_restored(&bench, lease).await;
    assert!(!goes_on(&bench, lost).await);
}

async fn a_server_that_took_over_begins_a_generation_and_is_taken_for_a_restored_one_only_by_who_was_not_there(
    bench: Bench,
) {
    begun(&bench).await;
    let told = here(&bench).await;
    let promoted = "UPDATE generation SET server = left(server, -8) || '00000000'";
    assert_eq!(bench.shell().await.run(promoted).await, Ok(1));
    assert_eq!(bench.store.follow_server().await.expect("the store answers"), Beginning::Began);
    assert!(goes_on(&bench, told).await);
    assert_ne!(here(&bench).await.generation, told.generation);
    assert_eq!(bench.store.restored_at().await.expect("the store answers"), None);
    // Somebody who comes when another one was there a moment ago takes its word.
    assert_eq!(bench.shell().await.run(promoted).await, Ok(2));
    let (replica, accounts) = (replica(&bench, "survivor"), BTreeSet::from([bench.account.clone()]));
    let alive = async |term: Duration| {
        let said = bench.store.write("alive", async |tx| tx.share_accounts(&replica, &accounts, term, false).await);
        said.await.expect("the store answers");
    };
    alive(Duration::from_secs(12)).await;
    assert_eq!(begun(&bench).await, Beginning::Began);
    let long_ago = "UPDATE replica SET alive_until = alive_until - 80 * 1000000";
    assert_eq!(bench.shell().await.run(long_ago).await, Ok(1));
    assert_eq!(bench.shell().await.run(promoted).await, Ok(3));
    assert_eq!(begun(&bench).await, Beginning::Restored);
}
