//! What is remembered of refused edits and of repeated requests.

use customer_guard::domain::access::Enforcement;
use customer_guard::domain::contact::ContactRole;
use customer_guard::domain::edit::CustomerEdit;
use customer_guard::domain::review::{Review, review};
use customer_guard::store::{ChainCheck, DecisionOutcome, Error, Remembered, RequestKey};

use crate::bench::{Bench, email};

contract! {
    the_chain_of_decisions_is_intact_until_somebody_touches_it,
    every_account_has_a_chain_of_its_own,
    an_answer_is_remembered_with_its_effect_or_not_at_all,
}

async fn refuse(bench: &Bench, tenant: u32) {
    let made = bench.microsoft_customer(tenant, "Ada").await;
    for number in 0..3 {
        let edit = CustomerEdit { wishes: vec![email(ContactRole::Primary, &format!("{number}@example.com"))] };
        let Review::Refused(refusal) = review(&made, &edit, Enforcement::Refuse) else {
            panic!("the edit must be refused")
        };
        let saved = bench
            .store
            .write("refuse", async |tx| tx.save_decision(&made, "caller", &refusal, DecisionOutcome::Refused).await)
            .await;
        assert_eq!(saved.expect("the decision is saved").position, number + 1);
    }
}

async fn the_chain_of_decisions_is_intact_until_somebody_touches_it(bench: Bench) {
    refuse(&bench, 1).await;
    let check = async || bench.store.check_decisions(&bench.account).await.expect("the store answers");
    let ChainCheck::Intact(3, last) = check().await else { panic!("three decisions, intact") };
    let mut shell = bench.shell().await;
    // Somebody who takes the triggers away first.
    for trigger in ["decision_is_not_updated", "decision_is_not_deleted"] {
        shell
            .run(&format!("DROP TRIGGER {trigger}{}", if shell.is_sqlite() { "" } else { " ON decision" }))
            .await
            .expect("a trigger");
    }
    for (touched, mended, broken) in [
        ("UPDATE decision SET caller = 'me' WHERE position = 2", "UPDATE decision SET caller = 'caller'", 2),
        ("UPDATE decision SET at = at + 1 WHERE position = 1", "UPDATE decision SET at = at - 1 WHERE position = 1", 1),
        (
            "UPDATE decision SET position = 7 WHERE position = 3",
            "UPDATE decision SET position = 3 WHERE position = 7",
            3,
        ),
    ] {
        shell.run(touched).await.expect("a change");
        assert_eq!(check().await, ChainCheck::Broken(broken), "{touched}");
        shell.run(mended).await.expect("the change taken back");
        assert_eq!(check().await, ChainCheck::Intact(3, last.clone()));
    }
    shell.run("DELETE FROM decision WHERE position = 1").await.expect("a deletion");
    assert_eq!(check().await, ChainCheck::Broken(1));
}

async fn every_account_has_a_chain_of_its_own(bench: Bench) {
    refuse(&bench, 1).await;
    let fabrikam = bench.add_partner("fabrikam", 1).await;
    assert_eq!(bench.store.check_decisions(&fabrikam).await.expect("an answer"), ChainCheck::Intact(0, String::new()));
}

async fn an_answer_is_remembered_with_its_effect_or_not_at_all(bench: Bench) {
    let id = "0198c0de-7000-4000-8000-000000000001".parse().expect("a well-formed id");
    let key = RequestKey { caller: "caller".to_owned(), id, fingerprint: vec![1] };
    let remembered = async |key: &RequestKey| {
        bench.store.write("look", async |tx| tx.remembered(key).await).await.expect("the store answers")
    };
    let undone = bench.store.write("undone", async |tx| {
        tx.remember(&key, b"answer").await?;
        Err::<(), _>(Error::Busy)
    });
    undone.await.expect_err("it is undone");
    assert_eq!(remembered(&key).await, None);
    bench.store.write("done", async |tx| tx.remember(&key, b"answer").await).await.expect("it is done");
    assert_eq!(remembered(&key).await, Some(Remembered::Answer(b"answer".to_vec())));
    let other = RequestKey { fingerprint: vec![2], ..key.clone() };
    assert_eq!(remembered(&other).await, Some(Remembered::AnotherRequest));
    let somebody = RequestKey { caller: "somebody".to_owned(), ..key };
    assert_eq!(remembered(&somebody).await, None);
}
