//! The change log as a feed: every customer as it is now, nothing lost at any place, and nothing told twice in a row.

use std::collections::BTreeSet;

use customer_guard::domain::change::ChangeKind;
use customer_guard::domain::contact::{ContactField, ContactRole};
use customer_guard::domain::edit::Wish;
use customer_guard::domain::field::Field;
use customer_guard::domain::ids::{ChangePosition, CustomerId, PartnerAccountId};
use customer_guard::domain::observation::Observed;
use customer_guard::store::{ChangeBatch, ChangesAfter, Error, Freshness, Priority, SeenAhead};

use crate::bench::{Bench, account_id, email, mark, note, profile};

contract! {
    a_customer_that_changed_several_times_comes_once_as_it_is_now,
    whoever_stops_at_an_event_is_told_of_every_field_later,
    what_was_shown_already_does_not_come_again,
    what_is_forgotten_to_be_seen_comes_once_more,
    changes_of_other_accounts_are_passed_over,
    a_new_customer_has_no_changed_fields,
    every_kind_of_change_is_told,
    a_place_after_the_end_is_of_another_history,
    a_committed_change_wakes_and_a_failed_one_does_not,
    an_account_is_fresh_when_nobody_waits_but_for_the_night,
}

const BEGIN: ChangePosition = ChangePosition(0);

async fn after(bench: &Bench, place: ChangePosition, seen: &SeenAhead, limit: u32) -> ChangeBatch {
    let accounts = BTreeSet::from([bench.account.clone()]);
    match bench.store.changes_after(place, &accounts, seen, limit).await.expect("the store answers") {
        ChangesAfter::Kept(batch) => batch,
        ChangesAfter::NotKept => panic!("changes after {place} are kept"),
    }
}

async fn all_after(bench: &Bench, place: ChangePosition) -> ChangeBatch {
    after(bench, place, &SeenAhead::default(), 1000).await
}

fn ids(batch: &ChangeBatch) -> Vec<CustomerId> {
    batch.changes.iter().map(|change| change.customer.id).collect()
}

async fn change(bench: &Bench, id: CustomerId, wish: Wish) {
    bench.edit(id, vec![wish]).await.expect("it is saved");
}

async fn a_customer_that_changed_several_times_comes_once_as_it_is_now(bench: Bench) {
    let linden = bench.microsoft_customer(1, "Ada").await;
    let place = bench.store.here().await.expect("the store answers").position;
    change(&bench, linden.id, note("first")).await;
    bench.step(5);
    bench.observe(1, mark(1, 11), Observed::Unusable("x".to_owned())).await.expect("it is saved");
    bench.observe(1, mark(1, 12), Observed::Present(profile("Bob"))).await.expect("it is saved");
    change(&bench, linden.id, note("second")).await;
    let batch = all_after(&bench, place).await;
    let [told] = batch.changes.as_slice() else { panic!("one event: {batch:?}") };
    assert_eq!(told.customer, bench.customer(linden.id).await);
    assert_eq!(told.kinds, [ChangeKind::Edited, ChangeKind::State, ChangeKind::Synced]);
    let contact = |field| Field::Contact(ContactRole::Primary, field);
    assert!(told.fields.contains(&Field::Note) && told.fields.contains(&contact(ContactField::Email)));
    assert!(!told.fields.contains(&contact(ContactField::Language)), "it stayed as it was");
    assert_eq!((told.actor.as_str(), told.at), ("caller", bench.clock.now()));
    assert_eq!((told.last.0, batch.position, told.next), (place.0 + 4, told.last, told.last));
    assert!(batch.caught_up);
    assert_eq!(all_after(&bench, batch.position).await.changes, []);
}

async fn whoever_stops_at_an_event_is_told_of_every_field_later(bench: Bench) {
    let (ash, birch) = (bench.platform_customer("Ash").await.id, bench.platform_customer("Birch").await.id);
    let place = bench.store.here().await.expect("the store answers").position;
    change(&bench, ash, note("one")).await;
    change(&bench, birch, note("two")).await;
    change(&bench, ash, email(ContactRole::Primary, "ash@example.com")).await;
    let batch = all_after(&bench, place).await;
    assert_eq!(ids(&batch), [ash, birch]);
    assert_eq!(batch.changes[0].fields.len(), 2);
    // Birch is not told before Ash, so whoever has Birch has both changes of Ash.
    assert_eq!(batch.changes[0].next.0, place.0 + 1);
    assert_eq!(ids(&all_after(&bench, batch.changes[0].next).await), [birch, ash]);
    assert_eq!(all_after(&bench, batch.changes[1].next).await.changes, []);
}

async fn what_was_shown_already_does_not_come_again(bench: Bench) {
    let (ash, birch) = (bench.platform_customer("Ash").await.id, bench.platform_customer("Birch").await.id);
    let mut place = bench.store.here().await.expect("the store answers").position;
    for round in 0..3 {
        change(&bench, ash, note(&format!("a{round}"))).await;
        change(&bench, birch, note(&format!("b{round}"))).await;
    }
    let mut seen = SeenAhead::default();
    let mut told = Vec::new();
    loop {
        let batch = after(&bench, place, &seen, 1).await;
        told.extend(ids(&batch));
        seen.note(&batch);
        place = batch.position;
        if batch.caught_up {
            break;
        }
    }
    assert_eq!(told, [ash, birch]);
    change(&bench, ash, note("again")).await;
    assert_eq!(ids(&after(&bench, place, &seen, 1).await), [ash], "what is new comes");
}

async fn what_is_forgotten_to_be_seen_comes_once_more(bench: Bench) {
    let ash = bench.platform_customer("Ash").await.id;
    let place = bench.store.here().await.expect("the store answers").position;
    change(&bench, ash, note("one")).await;
    change(&bench, ash, note("two")).await;
    let first = after(&bench, place, &SeenAhead::default(), 1).await;
    let again = after(&bench, first.position, &SeenAhead::default(), 1).await;
    assert_eq!((first.changes[0].customer.clone(), ids(&again)), (again.changes[0].customer.clone(), vec![ash]));
    assert!(!first.caught_up && again.caught_up);
}

async fn changes_of_other_accounts_are_passed_over(bench: Bench) {
    let fabrikam = bench.add_partner("fabrikam", 1).await;
    let ours = bench.platform_customer("Ash").await.id;
    bench.platform_customer_of(&fabrikam, "Birch").await;
    let batch = all_after(&bench, BEGIN).await;
    assert_eq!(ids(&batch), [ours]);
    assert_eq!((batch.position, batch.caught_up), (ChangePosition(2), true));
    let both = BTreeSet::from([bench.account.clone(), fabrikam]);
    let every = bench.store.changes_after(BEGIN, &both, &SeenAhead::default(), 10).await.expect("the store answers");
    let ChangesAfter::Kept(every) = every else { panic!("kept") };
    assert_eq!(every.changes.len(), 2);
    let nobody = BTreeSet::from([account_id("northwind")]);
    let none = bench.store.changes_after(BEGIN, &nobody, &SeenAhead::default(), 10).await.expect("the store answers");
    assert_eq!(
        none,
        ChangesAfter::Kept(ChangeBatch {
            changes: Vec::new(),
            position: ChangePosition(2),
            caught_up: true,
            generation: None
        })
    );
}

async fn a_new_customer_has_no_changed_fields(bench: Bench) {
    let ash = bench.platform_customer("Ash").await.id;
    change(&bench, ash, note("more")).await;
    let batch = all_after(&bench, BEGIN).await;
    assert_eq!(batch.changes[0].kinds, [ChangeKind::Created, ChangeKind::Edited]);
    assert_eq!(batch.changes[0].fields, []);
}

async fn every_kind_of_change_is_told(bench: Bench) {
    let mut shell = bench.shell().await;
    let ash = bench.platform_customer("Ash").await.id;
    for (number, kind) in ChangeKind::ALL.into_iter().enumerate() {
        let (name, revision) = (kind.name(), number + 2);
        let raised = format!("UPDATE customer SET note = '{name}', revision = {revision} WHERE id = '{ash}'");
        assert_eq!(shell.run(&raised).await, Ok(1));
        let logged = format!(
            "INSERT INTO change_log (account, customer_id, revision, kind, fields, actor, at)
             VALUES ('contoso', '{ash}', {revision}, '{name}', 'note', 'x', 1)"
        );
        assert_eq!(shell.run(&logged).await, Ok(1));
        let place = ChangePosition(i64::try_from(revision).expect("a small number") - 1);
        assert_eq!(all_after(&bench, place).await.changes[0].kinds, [kind]);
    }
}

async fn a_place_after_the_end_is_of_another_history(bench: Bench) {
    bench.platform_customer("Ash").await;
    let accounts = BTreeSet::from([bench.account.clone()]);
    for (place, is_kept) in [(0, true), (1, true), (2, false), (i64::MAX, false), (-1, false)] {
        let place = ChangePosition(place);
        let found = bench.store.changes_after(place, &accounts, &SeenAhead::default(), 10).await;
        assert_eq!(found.expect("the store answers") != ChangesAfter::NotKept, is_kept, "{place}");
        assert_eq!(bench.store.keeps_changes_after(place).await.expect("the store answers"), is_kept, "{place}");
    }
}

async fn a_committed_change_wakes_and_a_failed_one_does_not(bench: Bench) {
    let ash = bench.platform_customer("Ash").await;
    let mut woken = bench.store.customer_changes();
    woken.borrow_and_update();
    bench.mark(&[1], Priority::Signal, None).await;
    bench.edit(ash.id, vec![note(&ash.note)]).await.expect("nothing is changed");
    let failed = bench
        .store
        .write("fails", async |tx| {
            let edit = customer_guard::domain::edit::CustomerEdit { wishes: vec![note("lost")] };
            tx.save_edit(crate::bench::allowed(&ash, &edit), "caller").await?;
            Err::<(), _>(Error::Busy)
        })
        .await;
    failed.expect_err("it fails");
    assert!(!woken.has_changed().expect("the store lives"));
    change(&bench, ash.id, note("new")).await;
    assert!(woken.has_changed().expect("the store lives"));
}

async fn freshness(bench: &Bench, account: &PartnerAccountId) -> Freshness {
    bench.store.freshness(account).await.expect("the store answers")
}

async fn an_account_is_fresh_when_nobody_waits_but_for_the_night(bench: Bench) {
    let account = &bench.account;
    assert_eq!(freshness(&bench, account).await, Freshness::default());
    let began = bench.clock.now();
    bench.step(3);
    let noted = bench.store.write("polled", async |tx| tx.note_audit_polled(account, began).await).await;
    noted.expect("it is noted");
    let polled =
        Freshness { fresh_through: Some(began), audit_polled_at: Some(bench.clock.now()), ..Freshness::default() };
    assert_eq!(freshness(&bench, account).await, polled);
    bench.mark(&[1], Priority::Sweep, None).await;
    assert_eq!(freshness(&bench, account).await, polled);
    bench.mark(&[2], Priority::Signal, None).await;
    assert_eq!(freshness(&bench, account).await, Freshness { fresh_through: None, ..polled.clone() });
    for work in bench.store.dirty_customers(account, bench.clock.now(), 10).await.expect("the store answers") {
        bench.store.write("settle", async |tx| tx.settle(account, work).await).await.expect("it is settled");
    }
    let blocked = bench.store.write("blocked", async |tx| tx.note_problem(account, "NO_CREDENTIALS", "x").await).await;
    blocked.expect("it is noted");
    assert_eq!(freshness(&bench, account).await, Freshness { problem: Some("NO_CREDENTIALS".to_owned()), ..polled });
    assert_eq!(freshness(&bench, &account_id("nobody")).await, Freshness::default());
}
