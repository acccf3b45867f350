//! The races of two who write at once, each from a store of its own where the engine lets several processes in.
//!
//! The numbers are those under which the races are known to whoever keeps this service reliable.

use std::collections::BTreeSet;

use customer_guard::domain::ids::{RequestId, TenantId};
use customer_guard::domain::observation::{GoneAnswer, ObservationMark, Observed};
use customer_guard::domain::reconcile;
use customer_guard::sealing::Sealed;
use customer_guard::store::{
    DirtyCustomer, Error, Priority, Remembered, Renewal, RequestKey, RunCause, RunKind, Saved, SavedPlan, Store,
};
use futures::future::{join, join_all, join3};

use crate::bench::{Bench, allowed, cause, mark, note, observed, profile, save_one, tenant, work};
use crate::listing::{listed, page};
use crate::runs::{finish, start};

contract! {
    r1_and_r2_edits_and_observations_at_once_lose_nothing_and_mix_nothing,
    r3_of_answers_in_any_order_the_newest_question_wins,
    r4_a_mark_that_comes_during_a_look_asks_for_another,
    r5_a_full_run_and_a_signals_look_at_one_customer_end_with_the_newer_question,
    r7_two_who_start_a_run_at_once_get_the_same_one,
    r9_of_two_who_renew_a_token_at_once_one_wins,
    r10_a_request_that_comes_twice_at_once_has_one_effect,
    r12_an_edit_while_a_customer_is_gone_is_neither_lost_nor_revives_it,
    a_chain_of_decisions_has_no_two_at_one_place,
}

async fn edit_note(store: &Store, bench: &Bench, number: u32, text: &str) -> Result<Saved, Error> {
    let edit = customer_guard::domain::edit::CustomerEdit { wishes: vec![note(text)] };
    store
        .write("edit", async |tx| {
            let found = tx.customer_of_tenant_for_update(&bench.account, tenant(number)).await?;
            tx.save_edit(allowed(&found.expect("it exists"), &edit), "caller").await
        })
        .await
}

async fn observe(store: &Store, bench: &Bench, number: u32, mark: ObservationMark, what: Observed) -> SavedPlan {
    let observation = observed(number, mark, what);
    let saved = store
        .write("observe", async |tx| {
            let local = tx.customer_of_tenant_for_update(&bench.account, observation.tenant_id).await?;
            if tx.has_newer_answer(&bench.account, &observation).await? {
                return Ok::<_, Error>(SavedPlan::Outdated);
            }
            let plan = reconcile::plan(&bench.account, local.as_ref(), &observation, tx.now());
            save_one(tx, plan, &observation, &bench.account, work(number)).await
        })
        .await;
    saved.expect("it is applied")
}

async fn logged(bench: &Bench) -> (i64, i64) {
    let mut shell = bench.shell().await;
    let rows = shell.number("SELECT count(*) FROM change_log").await;
    (rows, shell.number("SELECT CAST(sum(revision) AS BIGINT) FROM customer").await)
}

async fn r1_and_r2_edits_and_observations_at_once_lose_nothing_and_mix_nothing(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    let other = bench.beside().await;
    for round in 0..20_u32 {
        let seed = format!("Round{round}");
        let text = format!("note {round}");
        let (edited, seen) = join(
            edit_note(&other, &bench, 1, &text),
            observe(&bench.store, &bench, 1, mark(1, 11 + i64::from(round)), Observed::Present(profile(&seed))),
        )
        .await;
        assert!(matches!(edited, Ok(Saved::Now(_))), "{edited:?}");
        assert_eq!(seen, SavedPlan::Changed);
        let now = bench.of_tenant(1).await;
        assert_eq!((now.primary_contact, now.note), (profile(&seed).contact, text));
        assert_eq!(now.revision.0, 1 + 2 * (i64::from(round) + 1));
    }
    let (rows, revisions) = logged(&bench).await;
    assert_eq!(rows, revisions, "every revision has its row");
}

async fn r3_of_answers_in_any_order_the_newest_question_wins(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    let other = bench.beside().await;
    let tickets = [40_i64, 12, 33, 57, 21, 60, 18, 59, 11, 44];
    let answers = tickets.into_iter().enumerate().map(|(number, ticket)| {
        let (store, bench) = (if number % 2 == 0 { &other } else { &bench.store }, &bench);
        async move { observe(store, bench, 1, mark(1, ticket), Observed::Present(profile(&format!("T{ticket}")))).await }
    });
    join_all(answers).await;
    assert_eq!(bench.of_tenant(1).await.primary_contact, profile("T60").contact);
}

async fn r4_a_mark_that_comes_during_a_look_asks_for_another(bench: Bench) {
    let other = bench.beside().await;
    for _ in 0..10 {
        bench.mark(&[1], Priority::Signal, None).await;
        let taken: Vec<DirtyCustomer> =
            bench.store.dirty_customers(&bench.account, bench.clock.now(), 1).await.expect("the store answers");
        let marks = async {
            let wanted: [TenantId; 1] = [tenant(1)];
            let marked = other.write("mark", async |tx| {
                tx.mark_dirty(&bench.account, &wanted, Priority::Signal, cause(Priority::Signal)).await
            });
            marked.await.expect("it is marked");
        };
        let settles = async {
            let settled = bench.store.write("settle", async |tx| tx.settle(&bench.account, taken[0]).await);
            settled.await.expect("it is settled");
        };
        join(marks, settles).await;
        assert_eq!(bench.store.backlog(&bench.account).await.expect("the store answers").dirty, 1);
    }
}

async fn r5_a_full_run_and_a_signals_look_at_one_customer_end_with_the_newer_question(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    let other = bench.beside().await;
    for round in 0..10_i64 {
        bench.step(1);
        let run = start(&bench, RunKind::Full).await.expect("it starts");
        let name = format!("Signal{round}");
        let (by_run, by_signal) = (mark(1, 11 + 2 * round), mark(1, 12 + 2 * round));
        let stale = [listed(1, "what the list says")];
        join3(
            page(&bench, &run, &stale, None),
            observe(&other, &bench, 1, by_signal, Observed::Present(profile(&name))),
            observe(&bench.store, &bench, 1, by_run, Observed::Present(profile("Run"))),
        )
        .await;
        let now = bench.of_tenant(1).await;
        assert_eq!((now.company_name, now.primary_contact), (profile(&name).company_name, profile(&name).contact));
        finish(&bench, &run, None).await;
    }
    let (rows, revisions) = logged(&bench).await;
    assert_eq!(rows, revisions);
    assert_eq!(bench.shell().await.number("SELECT count(*) FROM customer").await, 1);
}

async fn r7_two_who_start_a_run_at_once_get_the_same_one(bench: Bench) {
    let other = bench.beside().await;
    let start = async |store: &Store| {
        let started = store
            .write("start", async |tx| match tx.run_under_way(&bench.account, RunKind::Full).await? {
                Some(run) => Ok::<_, Error>(run),
                None => tx.start_run(&bench.account, RunKind::Full, RunCause::Manual, "caller").await,
            })
            .await;
        started.expect("it starts").id
    };
    let (one, two, three) = join3(start(&bench.store), start(&other), start(&other)).await;
    assert_eq!(BTreeSet::from([one.to_string(), two.to_string(), three.to_string()]).len(), 1);
}

async fn r9_of_two_who_renew_a_token_at_once_one_wins(bench: Bench) {
    let sealed = |byte: u8| Sealed { key_id: "a-key".to_owned(), bytes: vec![byte; 40] };
    let other = bench.beside().await;
    let put = bench.store.write("put", async |tx| tx.put_refresh_token(&bench.account, &sealed(1), None).await);
    put.await.expect("a token");
    let kept = bench.store.refresh_token(&bench.account).await.expect("the store answers").expect("a token");
    let renew = async |store: &Store, byte: u8| {
        let renewal = Renewal { version: kept.version, worked: sealed(1), newer: Some(sealed(byte)) };
        store
            .write("renew", async |tx| tx.renew_refresh_token(&bench.account, &renewal).await)
            .await
            .expect("an answer")
    };
    let (one, two) = join(renew(&bench.store, 2), renew(&other, 3)).await;
    assert!(one != two, "exactly one is kept");
    let now = bench.store.refresh_token(&bench.account).await.expect("the store answers").expect("a token");
    assert_eq!(now.newest, sealed(if one { 2 } else { 3 }));
}

async fn r10_a_request_that_comes_twice_at_once_has_one_effect(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    let other = bench.beside().await;
    let id: RequestId = "6f1c9b7e-3a52-4f0e-9d1a-1b2c3d4e5f60".parse().expect("a request id");
    let key = RequestKey { caller: "caller".to_owned(), id, fingerprint: vec![1, 2, 3] };
    let ask = async |store: &Store| {
        let edit = customer_guard::domain::edit::CustomerEdit { wishes: vec![note("once")] };
        let answered = store
            .write("once", async |tx| {
                if let Some(Remembered::Answer(answer)) = tx.remembered(&key).await? {
                    return Ok::<_, Error>(answer);
                }
                let found = tx.customer_of_tenant_for_update(&bench.account, tenant(1)).await?.expect("it exists");
                let Saved::Now(saved) = tx.save_edit(allowed(&found, &edit), "caller").await? else {
                    panic!("nobody else writes");
                };
                let answer = saved.revision.0.to_string().into_bytes();
                tx.remember(&key, &answer).await?;
                Ok(answer)
            })
            .await;
        answered.expect("an answer")
    };
    let (one, two) = join(ask(&bench.store), ask(&other)).await;
    assert_eq!((one.as_slice(), two.as_slice()), (b"2".as_slice(), b"2".as_slice()));
    assert_eq!(bench.of_tenant(1).await.revision.0, 2);
}

async fn r12_an_edit_while_a_customer_is_gone_is_neither_lost_nor_revives_it(bench: Bench) {
    let other = bench.beside().await;
    for number in 1..=10_u32 {
        bench.microsoft_customer(number, "Ada").await;
        let (edited, gone) = join(
            edit_note(&other, &bench, number, "kept"),
            observe(&bench.store, &bench, number, mark(1, 100), Observed::Gone(GoneAnswer::NotFound)),
        )
        .await;
        assert!(matches!(edited, Ok(Saved::Now(_))), "{edited:?}");
        assert_eq!(gone, SavedPlan::NotedGone);
        assert_eq!(bench.of_tenant(number).await.note, "kept");
    }
    let (rows, revisions) = logged(&bench).await;
    assert_eq!(rows, revisions);
}

async fn a_chain_of_decisions_has_no_two_at_one_place(bench: Bench) {
    use customer_guard::domain::access::Enforcement;
    use customer_guard::domain::contact::ContactRole;
    use customer_guard::domain::review::{Review, review};
    use customer_guard::store::{ChainCheck, DecisionOutcome};

    let made = bench.microsoft_customer(1, "Ada").await;
    let other = bench.beside().await;
    let wishes = vec![crate::bench::email(ContactRole::Primary, "mine@example.com")];
    let edit = customer_guard::domain::edit::CustomerEdit { wishes };
    let Review::Refused(refusal) = review(&made, &edit, Enforcement::Refuse) else { panic!("it must be refused") };
    let refusals = (0..20).map(|number| {
        let store = if number % 2 == 0 { &other } else { &bench.store };
        let (made, refusal) = (&made, &refusal);
        async move {
            let saved = store
                .write("refuse", async |tx| tx.save_decision(made, "caller", refusal, DecisionOutcome::Refused).await);
            saved.await.expect("it is recorded").position
        }
    });
    let places: BTreeSet<i64> = join_all(refusals).await.into_iter().collect();
    assert_eq!(places, (1..=20).collect());
    let checked = bench.store.check_decisions(&bench.account).await.expect("the store answers");
    assert!(matches!(checked, ChainCheck::Intact(20, _)), "{checked:?}");
}
