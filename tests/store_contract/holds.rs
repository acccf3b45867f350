//! Holds: who waits for an operator, and what a decision leaves behind.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};

use customer_guard::clock::Timestamp;
use customer_guard::domain::access::{Caller, Role};
use customer_guard::domain::account::{AccountOrigin, AccountRecord, AccountState};
use customer_guard::domain::customer::SyncState;
use customer_guard::domain::hold::{Hold, HoldId};
use customer_guard::domain::ids::Revision;
use customer_guard::domain::observation::{GoneAnswer, Observed};
use customer_guard::domain::policy::{Night, Pace, SyncPolicy};
use customer_guard::domain::removal;
use customer_guard::domain::sync_settings::SyncSettings;
use customer_guard::operations::accounts::Accounts;
use customer_guard::operations::holds::{HoldError, Ruling, decide_hold, list_holds};
use customer_guard::operations::once::Outcome;
use customer_guard::store::RunKind;

use crate::bench::{Bench, mark, partner, profile, tenant};
use crate::listing::list;
use crate::pauses::{paused, resumed};

contract! {
    whoever_waits_is_the_hold_and_another_set_is_another_hold,
    an_approved_set_ends_under_the_name_of_the_operator,
    a_dismissed_set_stays_without_evidence_and_is_looked_at,
    a_decision_about_another_set_changes_nothing,
    of_a_dismissed_customer_the_next_removal_is_for_an_operator_until_it_is_seen,
    whoever_may_only_look_cannot_decide,
}

/// Customers of these numbers that are gone on complete evidence and held, one second after the other.
async fn held(bench: &Bench, numbers: &[u32]) {
    for number in numbers {
        bench.microsoft_customer(*number, "Ada").await;
    }
    bench.step(1);
    gone(bench, numbers, 11).await;
    hold_candidates(bench).await;
}

/// Complete evidence: two lists, and a direct answer.
async fn gone(bench: &Bench, numbers: &[u32], ticket: i64) {
    list(bench, RunKind::ListDiff, &[]).await;
    list(bench, RunKind::ListDiff, &[]).await;
    for number in numbers {
        let answer = Observed::Gone(GoneAnswer::NoRelationship);
        bench.observe(*number, mark(1, ticket), answer).await.expect("it is noted");
    }
}

async fn hold_candidates(bench: &Bench) {
    for candidate in bench.store.removal_candidates(&bench.account).await.expect("the store answers") {
        let customer = bench.store.customer_of_tenant(&bench.account, candidate.tenant_id).await;
        let customer = customer.expect("the store answers").expect("it is there");
        if let Some(departure) = removal::hold(&customer, candidate.evidence) {
            let save = bench.store.write("hold", async |tx| tx.save_departure(&departure, None, None).await);
            save.await.expect("it is held");
        }
        bench.step(1);
    }
}

async fn hold(bench: &Bench) -> Option<Hold> {
    bench.store.hold(&bench.account).await.expect("the store answers")
}

fn accounts() -> Accounts {
    let policy = SyncPolicy {
        night: Night::new("0 2 * * *", "Europe/Riga").expect("a sound night"),
        audit_interval: std::time::Duration::from_secs(60),
        list_interval: std::time::Duration::from_secs(900),
        verify_within: std::time::Duration::from_secs(86_400),
        manual_cooldown: std::time::Duration::from_secs(3_600),
    };
    let pace = Pace { policy, requests_per_minute: NonZeroU32::MIN, concurrency: NonZeroUsize::MIN };
    let settings = SyncSettings::of(&pace);
    let accounts = Accounts::new(pace);
    accounts.put(&AccountRecord {
        account: partner("contoso", 0),
        origin: AccountOrigin::Configuration,
        state: AccountState::Active,
        settings,
        client_id: "an-application".to_owned(),
        credential: None,
        credentials_set_at: None,
        webhook_secret_made_at: None,
        user: None,
        trial: None,
        revision: Revision::FIRST,
        created_at: Timestamp::from_micros(0),
        updated_at: Timestamp::from_micros(0),
    });
    accounts
}

async fn decide(bench: &Bench, id: HoldId, ruling: Ruling) -> Result<Hold, HoldError> {
    let caller = Caller { subject: "olga".to_owned(), ..Caller::loopback(None) };
    match decide_hold(&bench.store, &accounts(), &caller, &bench.account, id, ruling, None).await? {
        Outcome::Now(hold) => Ok(hold),
        Outcome::Before(_) => panic!("there was none before"),
    }
}

async fn states(bench: &Bench, numbers: &[u32]) -> Vec<SyncState> {
    let mut states = Vec::new();
    for number in numbers {
        states.push(bench.of_tenant(*number).await.microsoft.expect("a customer of Microsoft's").sync_state);
    }
    states
}

async fn whoever_waits_is_the_hold_and_another_set_is_another_hold(bench: Bench) {
    assert_eq!(hold(&bench).await, None);
    let from = bench.clock.now();
    held(&bench, &[1, 2, 3]).await;
    let whole = hold(&bench).await.expect("three wait");
    assert_eq!(whole.customers.iter().map(|held| held.tenant_id).collect::<Vec<_>>(), [1, 2, 3].map(tenant));
    let first = &whole.customers[0];
    assert_eq!((first.gone_answer.as_str(), first.company_name.as_str()), ("403/20002", "Ada Ltd"));
    assert_eq!((first.evidence.missing_runs, first.evidence.removal_recorded), (2, false));
    assert_eq!((whole.active_customers, whole.limit()), (3, 3));
    assert!(whole.since().is_some_and(|since| since > from && since < bench.clock.now()), "{whole:?}");

    paused(&bench, 2, "a dispute").await;
    let less = hold(&bench).await.expect("two wait");
    assert_eq!(less.customers.iter().map(|held| held.tenant_id).collect::<Vec<_>>(), [1, 3].map(tenant));
    assert_ne!(less.id, whole.id);
    resumed(&bench, 2).await;
    assert_eq!(hold(&bench).await, Some(whole.clone()));

    // Listed again, and not yet looked at: no longer gone as far as can be told.
    list(&bench, RunKind::ListDiff, &[3]).await;
    assert_eq!(hold(&bench).await.map(|hold| hold.customers.len()), Some(2));
    bench.observe(1, mark(1, 20), Observed::Present(profile("Ada"))).await.expect("it is saved");
    assert_eq!(hold(&bench).await.map(|hold| hold.customers.len()), Some(1));
}

async fn an_approved_set_ends_under_the_name_of_the_operator(bench: Bench) {
    held(&bench, &[1, 2]).await;
    bench.microsoft_customer(7, "Eve").await;
    let waiting = hold(&bench).await.expect("two wait");
    assert_eq!(decide(&bench, waiting.id, Ruling::Approve).await.expect("it is approved"), waiting);
    assert_eq!(states(&bench, &[1, 2, 7]).await, [SyncState::Ended, SyncState::Ended, SyncState::Synced]);
    assert_eq!(hold(&bench).await, None);
    assert!(bench.store.removal_candidates(&bench.account).await.expect("the store answers").is_empty());
    let mut shell = bench.shell().await;
    let logged = "SELECT count(*) FROM change_log WHERE kind = 'ENDED' AND actor = 'olga' AND run_id IS NULL";
    assert_eq!(shell.number(logged).await, 2);
    let told = decide(&bench, waiting.id, Ruling::Approve).await.expect_err("nobody waits");
    assert!(matches!(told, HoldError::HoldNotFound { .. }), "{told}");
}

async fn a_dismissed_set_stays_without_evidence_and_is_looked_at(bench: Bench) {
    held(&bench, &[1, 2]).await;
    let work = bench.store.dirty_customers(&bench.account, bench.clock.now(), 9).await.expect("the store answers");
    for work in work {
        bench.store.write("settle", async |tx| tx.settle(&bench.account, work).await).await.expect("it is settled");
    }
    let waiting = hold(&bench).await.expect("two wait");
    decide(&bench, waiting.id, Ruling::Dismiss).await.expect("it is dismissed");
    assert_eq!(states(&bench, &[1, 2]).await, [SyncState::Synced; 2]);
    assert_eq!(hold(&bench).await, None);
    let mut shell = bench.shell().await;
    let spoken_against =
        "SELECT count(*) FROM upstream_customer WHERE missing_runs <> 0 OR removal_recorded_at IS NOT NULL
        OR gone_answer IS NOT NULL OR gone_at IS NOT NULL";
    assert_eq!(shell.number(spoken_against).await, 0);
    let work = bench.store.dirty_customers(&bench.account, bench.clock.now(), 9).await.expect("the store answers");
    assert_eq!(work.len(), 2);
    assert_eq!(
        shell.number("SELECT count(*) FROM upstream_customer WHERE priority = 20").await,
        2,
        "as after a signal"
    );
    assert_eq!(shell.number("SELECT count(*) FROM change_log WHERE kind = 'STATE' AND actor = 'olga'").await, 2);
}

async fn a_decision_about_another_set_changes_nothing(bench: Bench) {
    held(&bench, &[1, 2]).await;
    let seen = hold(&bench).await.expect("two wait");
    held(&bench, &[3]).await;
    let present = hold(&bench).await.expect("three wait");
    for ruling in [Ruling::Approve, Ruling::Dismiss] {
        match decide(&bench, seen.id, ruling).await {
            Err(HoldError::HoldChanged { present: told, .. }) => assert_eq!(told, present.id),
            other => panic!("the set is another: {other:?}"),
        }
    }
    assert_eq!(hold(&bench).await, Some(present));
}

async fn of_a_dismissed_customer_the_next_removal_is_for_an_operator_until_it_is_seen(bench: Bench) {
    held(&bench, &[1, 2]).await;
    let waiting = hold(&bench).await.expect("two wait");
    decide(&bench, waiting.id, Ruling::Dismiss).await.expect("it is dismissed");
    bench.observe(2, mark(1, 20), Observed::Present(profile("Ada"))).await.expect("it is saved");
    gone(&bench, &[1, 2], 30).await;
    let candidates = bench.store.removal_candidates(&bench.account).await.expect("the store answers");
    let whose: BTreeMap<_, _> =
        candidates.iter().map(|candidate| (candidate.tenant_id, candidate.is_for_operator)).collect();
    assert_eq!(whose, BTreeMap::from([(tenant(1), true), (tenant(2), false)]));
}

async fn whoever_may_only_look_cannot_decide(bench: Bench) {
    held(&bench, &[1]).await;
    let reader = Caller { roles: [Role::Reader].into(), ..Caller::loopback(None) };
    let seen = list_holds(&bench.store, &accounts(), &reader, &bench.account).await;
    let seen = seen.expect("it may look").expect("one waits");
    for ruling in [Ruling::Approve, Ruling::Dismiss] {
        let told = decide_hold(&bench.store, &accounts(), &reader, &bench.account, seen.id, ruling, None).await;
        assert!(matches!(told, Err(HoldError::Denied(_))), "{told:?}");
    }
    assert_eq!(hold(&bench).await, Some(seen));
}
