//! Leases: accounts are shared by whoever is alive, and a former holder writes nothing more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use customer_guard::domain::ids::{Epoch, PartnerAccountId, ReplicaId};
use customer_guard::domain::lease::{Lease, Replica};
use customer_guard::domain::observation::{ObservationMark, Observed};
use customer_guard::operations::apply_observations::{Answered, apply_observations};
use customer_guard::store::{CallTally, DirtyCustomer, Error, Holding, Priority, Store};
use futures::future::{join, join_all};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bench::{Bench, account_id, allowed, cause, mark, note, observed, profile, tenant, write_something};
use crate::server::waiting;

contract! {
    on sqlite {
        accounts_are_shared_by_whoever_is_alive,
        replicas_that_serve_other_accounts_divide_none_among_each_other,
        a_replica_that_leaves_or_dies_leaves_its_accounts_under_a_new_epoch,
        r8_a_holder_that_slept_while_another_took_its_account_writes_nothing_more,
        an_answer_under_an_older_epoch_changes_nothing,
        a_place_that_is_taken_without_a_lease_lies_after_all_before_it,
        a_lease_that_changes_hands_without_a_new_epoch_is_refused,
        a_process_that_is_alone_takes_over_from_its_predecessor_at_once,
    }
    on postgres {
        accounts_are_shared_by_whoever_is_alive,
        replicas_that_serve_other_accounts_divide_none_among_each_other,
        a_replica_that_leaves_or_dies_leaves_its_accounts_under_a_new_epoch,
        r8_a_holder_that_slept_while_another_took_its_account_writes_nothing_more,
        an_answer_under_an_older_epoch_changes_nothing,
        a_place_that_is_taken_without_a_lease_lies_after_all_before_it,
        a_lease_that_changes_hands_without_a_new_epoch_is_refused,
        replicas_that_share_at_the_same_time_never_hold_the_same_account,
        callers_go_before_the_synchronization_of_however_many_accounts,
        what_one_process_writes_wakes_those_who_wait_in_another,
        a_transaction_that_is_undone_wakes_nobody_elsewhere,
    }
}

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);
/// By when another process has heard of a commit, from when it was acknowledged: many times as long as it takes.
const HEARD_WITHIN: Duration = Duration::from_secs(2);
/// Over at once.
const OVER: Duration = Duration::ZERO;

pub fn replica(bench: &Bench, name: &str) -> Replica {
    Replica { id: ReplicaId::mint(bench.clock.now()), name: name.to_owned() }
}

async fn accounts(bench: &Bench, count: u32) -> BTreeSet<PartnerAccountId> {
    for number in 1..count {
        bench.add_partner(&format!("partner-{number:02}"), number).await;
    }
    let named = (1..count).map(|number| account_id(&format!("partner-{number:02}")));
    named.chain([bench.account.clone()]).collect()
}

async fn shared(store: &Store, replica: &Replica, accounts: &BTreeSet<PartnerAccountId>, term: Duration) -> Holding {
    let shared = store.write("share", async |tx| tx.share_accounts(replica, accounts, term, false).await);
    shared.await.expect("the store answers")
}

async fn given_up(store: &Store, replica: &Replica, accounts: &BTreeSet<PartnerAccountId>) {
    let given = store.write("give_up", async |tx| tx.give_up_accounts(replica.id, accounts).await);
    given.await.expect("the store answers");
}

/// The lease of a replica that holds everything.
async fn sole_lease(bench: &Bench, name: &str, term: Duration) -> Lease {
    let accounts = BTreeSet::from([bench.account.clone()]);
    let holding = shared(&bench.store, &replica(bench, name), &accounts, term).await;
    Lease { account: bench.account.clone(), epoch: holding.held[&bench.account] }
}

/// The only look that is owed.
async fn owed(bench: &Bench) -> DirtyCustomer {
    bench.mark(&[1], Priority::Signal, None).await;
    let owed = bench.store.dirty_customers(&bench.account, bench.clock.now(), 9).await.expect("the store answers");
    assert_eq!(owed.len(), 1);
    owed[0]
}

fn answer(work: DirtyCustomer, seed: &str, mark: ObservationMark) -> Answered {
    Answered { work, observation: observed(1, mark, Observed::Present(profile(seed))), tally: CallTally::default() }
}

async fn accounts_are_shared_by_whoever_is_alive(bench: Bench) {
    let accounts = accounts(&bench, 6).await;
    let (first, second) = (replica(&bench, "first"), replica(&bench, "second"));
    let alone = shared(&bench.store, &first, &accounts, LONG).await;
    assert_eq!((alone.held.len(), alone.surplus.len()), (6, 0));
    assert_eq!(bench.store.holder_of(&bench.account).await.expect("the store answers").as_deref(), Some("first"));

    let none_free = shared(&bench.store, &second, &accounts, LONG).await;
    assert_eq!(none_free, Holding::default(), "whoever is alive keeps what it works on");
    let beside = shared(&bench.store, &first, &accounts, LONG).await;
    assert_eq!((beside.held.len(), beside.surplus.len()), (3, 3));
    given_up(&bench.store, &first, &beside.surplus).await;
    let came = shared(&bench.store, &second, &accounts, LONG).await;
    assert_eq!(came.held.keys().cloned().collect::<BTreeSet<_>>(), beside.surplus);
    assert!(came.held.values().all(|epoch| *epoch == Epoch(2)), "{came:?}");
    assert_eq!(shared(&bench.store, &first, &accounts, LONG).await.held, beside.held, "and nothing moves any more");
}

async fn replicas_that_serve_other_accounts_divide_none_among_each_other(bench: Bench) {
    let all = accounts(&bench, 9).await;
    let one = BTreeSet::from([bench.account.clone()]);
    let (first, second, third) = (replica(&bench, "first"), replica(&bench, "second"), replica(&bench, "third"));
    assert_eq!(shared(&bench.store, &first, &one, LONG).await.held.len(), 1);
    // What the first does not serve is all left to the second, which takes nothing from it.
    let rest = shared(&bench.store, &second, &all, LONG).await.held;
    assert_eq!(rest.keys().cloned().collect::<BTreeSet<_>>(), &all - &one);
    // Whoever serves the same shares it.
    shared(&bench.store, &third, &all, LONG).await;
    let beside = shared(&bench.store, &second, &all, LONG).await;
    assert_eq!((beside.held.len(), beside.surplus.len()), (4, 4));
    let kept = shared(&bench.store, &first, &one, LONG).await;
    assert_eq!((kept.held.len(), kept.surplus.len()), (1, 0));
    // One of the former release does not say what it serves, and counts as one that serves the same.
    bench.shell().await.run("UPDATE replica SET serves = NULL").await.expect("somebody with a shell");
    let beside = shared(&bench.store, &second, &all, LONG).await;
    assert_eq!((beside.held.len(), beside.surplus.len()), (3, 5), "{beside:?}");
}

async fn a_replica_that_leaves_or_dies_leaves_its_accounts_under_a_new_epoch(bench: Bench) {
    let accounts = accounts(&bench, 3).await;
    let (leaves, dies, stays) = (replica(&bench, "leaves"), replica(&bench, "dies"), replica(&bench, "stays"));
    assert_eq!(shared(&bench.store, &leaves, &accounts, LONG).await.held.len(), 3);
    bench.store.write("leave", async |tx| tx.leave(leaves.id).await).await.expect("the store answers");
    assert_eq!(bench.store.holder_of(&bench.account).await.expect("the store answers"), None);

    let held = shared(&bench.store, &dies, &accounts, OVER).await.held;
    assert_eq!(held, accounts.iter().map(|account| (account.clone(), Epoch(2))).collect::<BTreeMap<_, _>>());
    // The database's clock goes on by itself; by a microsecond at least.
    let taken = shared(&bench.store, &stays, &accounts, LONG).await.held;
    assert_eq!(taken, accounts.iter().map(|account| (account.clone(), Epoch(3))).collect::<BTreeMap<_, _>>());
    let late = shared(&bench.store, &dies, &accounts, LONG).await;
    assert_eq!(late, Holding::default(), "whoever comes back holds nothing");
}

async fn r8_a_holder_that_slept_while_another_took_its_account_writes_nothing_more(bench: Bench) {
    let made = bench.microsoft_customer(1, "Ada").await;
    let work = owed(&bench).await;
    let backlog = bench.store.backlog(&bench.account).await.expect("the store answers");
    let sleeper = bench.store.under(sole_lease(&bench, "sleeper", OVER).await);
    let asked = answer(work, "Late", mark(1, 50));
    let newer = sole_lease(&bench, "newer", LONG).await;
    let account = &bench.account;

    let applied = apply_observations(&sleeper, account, std::slice::from_ref(&asked)).await;
    assert!(matches!(applied, Err(Error::LeaseLost)), "{applied:?}");
    let wanted = [tenant(1)];
    let marks = sleeper
        .write("mark", async |tx| tx.mark_dirty(account, &wanted, Priority::Signal, cause(Priority::Signal)).await);
    assert!(matches!(marks.await, Err(Error::LeaseLost)));
    let problem = sleeper.write("problem", async |tx| tx.note_problem(account, "LATE", "too late").await).await;
    assert!(matches!(problem, Err(Error::LeaseLost)));
    assert_eq!(bench.of_tenant(1).await, made);
    assert_eq!(bench.store.backlog(account).await.expect("the store answers"), backlog);

    // Whoever holds it writes, and a caller's edit needs no lease.
    let holder = bench.store.under(newer.clone());
    let applied = apply_observations(&holder, account, &[answer(work, "New", mark(newer.epoch.0, 51))]).await;
    applied.expect("the holder writes");
    let edit = customer_guard::domain::edit::CustomerEdit { wishes: vec![note("by a caller")] };
    let now = bench.of_tenant(1).await;
    let edited = bench.store.write("edit", async |tx| tx.save_edit(allowed(&now, &edit), "caller").await).await;
    edited.expect("a caller writes");
    assert_eq!(bench.of_tenant(1).await.primary_contact, profile("New").contact);
}

async fn an_answer_under_an_older_epoch_changes_nothing(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    let (older, newer) = (mark(3, 900), mark(4, 12));
    bench.observe(1, newer, Observed::Present(profile("Newer"))).await.expect("it is saved");
    let late = answer(owed(&bench).await, "Older", older);
    let saved = apply_observations(&bench.store, &bench.account, &[late]).await.expect("the store answers");
    assert_eq!(saved, [customer_guard::store::SavedPlan::Outdated]);
    assert_eq!(bench.of_tenant(1).await.primary_contact, profile("Newer").contact);
    assert_eq!(
        bench.store.backlog(&bench.account).await.expect("the store answers").dirty,
        1,
        "it is asked about again"
    );
}

async fn a_place_that_is_taken_without_a_lease_lies_after_all_before_it(bench: Bench) {
    let lease = sole_lease(&bench, "holder", LONG).await;
    let account = &bench.account;
    let holder = bench.store.under(lease.clone());
    let block = holder.write("block", async |tx| tx.take_tickets(account, lease.epoch, 4096).await).await;
    let block = block.expect("places");
    let visitor = bench.store.write("ticket", async |tx| tx.take_ticket(account).await).await.expect("a place");
    assert_eq!((visitor.epoch, visitor.ticket.0), (lease.epoch, block.ticket.0 + 4096));
}

async fn a_lease_that_changes_hands_without_a_new_epoch_is_refused(bench: Bench) {
    let lease = sole_lease(&bench, "holder", LONG).await;
    let mut shell = bench.shell().await;
    for change in ["lease_holder = 'somebody-else'", "lease_epoch = lease_epoch - 1"] {
        let changed = shell.run(&format!("UPDATE partner_account SET {change} WHERE id = 'contoso'")).await;
        let refused = changed.expect_err("it is refused");
        assert!(refused.contains("guard lease"), "{change}: {refused}");
    }
    drop(shell);
    let wanted = [tenant(1)];
    let holder = bench.store.under(lease);
    let marks = holder.write("mark", async |tx| {
        tx.mark_dirty(&bench.account, &wanted, Priority::Signal, cause(Priority::Signal)).await
    });
    marks.await.expect("it still holds it");
}

async fn a_process_that_is_alone_takes_over_from_its_predecessor_at_once(bench: Bench) {
    let accounts = accounts(&bench, 2).await;
    let (killed, next) = (replica(&bench, "killed"), replica(&bench, "next"));
    let share = async |replica: &Replica| {
        let shared = bench.store.write("share", async |tx| tx.share_accounts(replica, &accounts, LONG, true).await);
        shared.await.expect("the store answers")
    };
    assert_eq!(share(&killed).await.held.len(), 2);
    let taken = share(&next).await;
    assert!(taken.held.len() == 2 && taken.held.values().all(|epoch| *epoch == Epoch(2)), "{taken:?}");
}

async fn callers_go_before_the_synchronization_of_however_many_accounts(bench: Bench) {
    let store = bench.store.under(sole_lease(&bench, "one", LONG).await);
    let mut shell = bench.shell().await;
    shell.run("BEGIN").await.expect("it begins");
    shell.number("SELECT count(*) FROM (SELECT pg_advisory_xact_lock(6071223490117)) AS locked").await;
    let done = std::sync::Mutex::new(Vec::new());
    let write = async |store: &Store, whose: &'static str| {
        let written = store.write(whose, async |tx| write_something(tx, &bench.account).await).await;
        written.expect("it is written");
        done.lock().expect("nobody panics with it").push(whose);
    };
    let synchronization = join_all((0..50).map(|_| write(&store, "account")));
    let caller = async {
        // The first of the accounts has the turn of this process, and waits for that of all.
        waiting(&mut bench.shell().await, 1).await;
        let released = async { shell.run("ROLLBACK").await.expect("it ends") };
        join(write(&bench.store, "caller"), released).await
    };
    join(synchronization, caller).await;
    let done = done.into_inner().expect("nobody panics with it");
    let place = done.iter().position(|whose| *whose == "caller").expect("the caller is done");
    assert!(place <= 2, "{place} accounts went before the caller");
}

async fn replicas_that_share_at_the_same_time_never_hold_the_same_account(bench: Bench) {
    let accounts = accounts(&bench, 12).await;
    let beside = bench.beside().await;
    let (one, other) = (replica(&bench, "one"), replica(&bench, "other"));
    let mut held = (Holding::default(), Holding::default());
    for _ in 0..4 {
        held = join(shared(&bench.store, &one, &accounts, LONG), shared(&beside, &other, &accounts, LONG)).await;
        let both = held.0.held.keys().filter(|account| held.1.held.contains_key(*account)).count();
        assert_eq!(both, 0, "{held:?}");
        join(given_up(&bench.store, &one, &held.0.surplus), given_up(&beside, &other, &held.1.surplus)).await;
    }
    assert_eq!((held.0.held.len(), held.1.held.len()), (6, 6));
}

/// The commit has just been acknowledged.
async fn woken_soon(whom: &str, waits: &mut tokio::sync::watch::Receiver<u64>) {
    let woken = tokio::time::timeout(HEARD_WITHIN, waits.changed()).await;
    woken.unwrap_or_else(|_| panic!("{whom}: not woken within {HEARD_WITHIN:?}")).expect("open");
    waits.borrow_and_update();
}

async fn what_one_process_writes_wakes_those_who_wait_in_another(bench: Bench) {
    let beside = bench.beside().await;
    let stop = CancellationToken::new();
    let following = TaskTracker::new().spawn({
        let (store, stop) = (beside.clone(), stop.clone());
        async move { store.follow_other_processes(stop).await }
    });
    let mut work = beside.sync_work_changes(&bench.account);
    let mut customers = beside.customer_changes();
    let mut accounts = beside.account_changes();
    for _ in 0..3 {
        let wanted = [tenant(9)];
        let marks = bench.store.write("mark", async |tx| {
            tx.mark_dirty(&bench.account, &wanted, Priority::Signal, cause(Priority::Signal)).await
        });
        marks.await.expect("it is marked");
        woken_soon("work", &mut work).await;
        bench.platform_customer("Linden").await;
        woken_soon("customers", &mut customers).await;
        let left = bench.store.write("leave", async |tx| tx.leave(replica(&bench, "nobody").id).await);
        left.await.expect("the store answers");
        woken_soon("accounts", &mut accounts).await;
    }
    stop.cancel();
    following.await.expect("it ends");
}

async fn a_transaction_that_is_undone_wakes_nobody_elsewhere(bench: Bench) {
    let stamps = "SELECT count(*) FROM wakeup WHERE topic LIKE 'work/%'";
    let before = bench.shell().await.number(stamps).await;
    let wanted = [tenant(9)];
    let undone = bench
        .store
        .write("mark", async |tx| {
            tx.mark_dirty(&bench.account, &wanted, Priority::Signal, cause(Priority::Signal)).await?;
            Err::<(), _>(Error::Busy)
        })
        .await;
    assert!(undone.is_err());
    assert_eq!(bench.shell().await.number(stamps).await, before);
}
