//! Many answers at once: each is applied as if it had come alone.

use customer_guard::domain::customer::SyncState;
use customer_guard::domain::look::LookCause;
use customer_guard::domain::observation::{GoneAnswer, Observed};
use customer_guard::operations::apply_observations::{Answered, apply_observations};
use customer_guard::store::{CallTally, DirtyCustomer, Priority, RunKind, SavedPlan};

use crate::bench::{Bench, mark, observed, profile, tenant};
use crate::runs::{reread, start};

contract! {
    a_batch_does_for_each_customer_what_its_answer_says,
    two_answers_about_one_customer_are_applied_one_after_the_other,
    a_mark_that_came_meanwhile_outlives_the_batch,
}

async fn work(bench: &Bench, number: u32) -> DirtyCustomer {
    let dirty = bench.store.dirty_customers(&bench.account, bench.clock.now(), 100).await.expect("the store answers");
    *dirty.iter().find(|work| work.tenant_id == tenant(number)).expect("it is dirty")
}

async fn a_batch_does_for_each_customer_what_its_answer_says(bench: Bench) {
    for (number, name) in [(2, "Same"), (3, "Old"), (4, "Gone"), (5, "Unreadable"), (6, "Newer")] {
        bench.microsoft_customer(number, name).await;
    }
    bench.observe(6, mark(2, 1), Observed::Present(profile("Newer"))).await.expect("a newer answer is known");
    let run = start(&bench, RunKind::Full).await.expect("it starts");
    bench.mark(&[1, 2, 3, 4, 5, 6], Priority::Sweep, Some(run.id)).await;
    bench.mark(&[3], Priority::Signal, None).await;
    bench.step(1);
    let said = [
        (1, Observed::Present(profile("New")), SavedPlan::Created),
        (2, Observed::Present(profile("Same")), SavedPlan::Verified),
        (3, Observed::Present(profile("Changed")), SavedPlan::Changed),
        (4, Observed::Gone(GoneAnswer::NotFound), SavedPlan::NotedGone),
        (5, Observed::Unusable("no contact".to_owned()), SavedPlan::Quarantined),
        (6, Observed::Present(profile("Older")), SavedPlan::Outdated),
    ];
    let mut answers = Vec::new();
    for (number, what, _) in &said {
        let observation = observed(*number, mark(1, 100 + i64::from(*number)), what.clone());
        answers.push(Answered {
            work: work(&bench, *number).await,
            observation,
            tally: CallTally { calls: 2, retries: 1 },
        });
    }
    let saved = apply_observations(&bench.store, &bench.account, &answers).await.expect("it is applied");
    assert_eq!(saved, said.map(|(_, _, saved)| saved));

    let revisions = [(1, 1), (2, 1), (3, 2), (4, 1), (5, 2), (6, 1)];
    for (number, revision) in revisions {
        assert_eq!(bench.of_tenant(number).await.revision.0, revision, "{number}");
    }
    let names = [(1, "New Ltd"), (2, "Same Ltd"), (3, "Changed Ltd"), (5, "Unreadable Ltd"), (6, "Newer Ltd")];
    for (number, name) in names {
        assert_eq!(bench.of_tenant(number).await.company_name, name);
    }
    let link = bench.of_tenant(5).await.microsoft.expect("a customer of Microsoft's");
    assert_eq!(link.sync_state, SyncState::Quarantined);
    for (number, asked_by) in [(1, LookCause::Night), (2, LookCause::CustomerList), (3, LookCause::AuditLog)] {
        let link = bench.of_tenant(number).await.microsoft.expect("a customer of Microsoft's");
        assert_eq!((link.verified_at, link.mark), (bench.clock.now(), mark(1, 100 + i64::from(number))));
        assert_eq!(link.provenance.verified_by, Some(asked_by), "{number}");
    }
    // Whose answer was outdated is looked at again; everybody else is done.
    let dirty = bench.store.dirty_customers(&bench.account, bench.clock.now(), 100).await.expect("the store answers");
    assert_eq!(dirty.iter().map(|work| work.tenant_id).collect::<Vec<_>>(), [tenant(6)]);
    let run = reread(&bench, &run).await;
    assert_eq!((run.fetched, run.unusable), (6, 1));
    assert_eq!(run.tally, CallTally { calls: 12, retries: 6 });
}

async fn two_answers_about_one_customer_are_applied_one_after_the_other(bench: Bench) {
    bench.mark(&[1, 2], Priority::Signal, None).await;
    let (one, two) = (work(&bench, 1).await, work(&bench, 2).await);
    let answer = |work, number, ticket, name| {
        let observation = observed(number, mark(1, ticket), Observed::Present(profile(name)));
        Answered { work, observation, tally: CallTally::default() }
    };
    let answers = [answer(one, 1, 1, "First"), answer(two, 2, 2, "Other"), answer(one, 1, 3, "Second")];
    let saved = apply_observations(&bench.store, &bench.account, &answers).await.expect("it is applied");
    assert_eq!(saved, [SavedPlan::Created, SavedPlan::Created, SavedPlan::Changed]);
    let customer = bench.of_tenant(1).await;
    assert_eq!((customer.company_name.as_str(), customer.revision.0), ("Second Ltd", 2));
}

async fn a_mark_that_came_meanwhile_outlives_the_batch(bench: Bench) {
    bench.mark(&[1, 2], Priority::Sweep, None).await;
    let works = [work(&bench, 1).await, work(&bench, 2).await];
    bench.mark(&[2], Priority::Signal, None).await;
    let answers = [1_u32, 2].map(|number| {
        let observation = observed(number, mark(1, i64::from(number)), Observed::Present(profile("Ada")));
        Answered { work: works[number as usize - 1], observation, tally: CallTally::default() }
    });
    apply_observations(&bench.store, &bench.account, &answers).await.expect("it is applied");
    let dirty = bench.store.dirty_customers(&bench.account, bench.clock.now(), 100).await.expect("the store answers");
    assert_eq!(dirty.iter().map(|work| work.tenant_id).collect::<Vec<_>>(), [tenant(2)]);
}
