//! Door two: observations, their order, and what they do to a record.

use customer_guard::domain::contact::{ContactField, ContactRole};
use customer_guard::domain::customer::{Billing, Relationship, SyncState};
use customer_guard::domain::edit::{CustomerEdit, Wish};
use customer_guard::domain::observation::{GoneAnswer, MicrosoftProfile, Observed};
use customer_guard::domain::reconcile;
use customer_guard::domain::removal::{RemovalEvidence, end, hold};
use customer_guard::store::{Error, Priority, Saved, SavedPlan};

use crate::bench::{Bench, allowed, email, mark, note, observed, profile, save_one, work};

contract! {
    a_first_observation_makes_a_customer_that_comes_back_whole,
    a_newer_observation_is_applied_and_comes_back_whole,
    an_agreeing_observation_moves_only_the_time_of_verification,
    an_older_observation_never_overwrites_a_newer_one,
    an_observation_planned_before_a_newer_one_was_saved_is_not_saved,
    an_answer_that_it_is_gone_counts_in_the_order_of_observations,
    an_unusable_record_keeps_the_contacts_and_heals,
    the_platforms_own_fields_survive_every_observation,
    an_ended_customer_revives_with_the_same_id_and_mirrors_again,
    a_held_removal_can_be_ended_on_the_answer_it_was_held_for,
    an_edit_reviewed_before_an_observation_is_stale,
    what_the_guard_lets_slip_the_database_stops,
    tickets_only_grow,
}

const COMPLETE: RemovalEvidence = RemovalEvidence { missing_runs: 2, removal_recorded: false, said_gone: true };

async fn a_first_observation_makes_a_customer_that_comes_back_whole(bench: Bench) {
    let made = bench.microsoft_customer(1, "Ada").await;
    let link = made.microsoft.as_ref().expect("a customer of Microsoft's");
    let seen = profile("Ada");
    let told = MicrosoftProfile {
        company_name: made.company_name.clone(),
        tenant_name: link.tenant_name.clone(),
        domain: made.domain.clone(),
        upstream_relationship: link.upstream_relationship.clone(),
        contact: made.primary_contact.clone(),
    };
    assert_eq!(told, seen);
    assert_eq!((link.mark, link.verified_at), (mark(1, 10), bench.clock.now()));
    assert_eq!((link.relationship, link.sync_state), (Relationship::Active, SyncState::Synced));
    assert_eq!((made.revision.0, made.created_at), (1, bench.clock.now()));
}

async fn a_newer_observation_is_applied_and_comes_back_whole(bench: Bench) {
    let before = bench.microsoft_customer(1, "Ada").await;
    bench.step(60);
    let mut seen = profile("Eve");
    seen.upstream_relationship = "something new".to_owned();
    let saved = bench.observe(1, mark(1, 11), Observed::Present(seen.clone())).await;
    assert_eq!(saved.expect("it is saved"), SavedPlan::Changed);
    let after = bench.of_tenant(1).await;
    let link = after.microsoft.as_ref().expect("a customer of Microsoft's");
    assert_eq!((&after.company_name, &after.domain), (&seen.company_name, &seen.domain));
    assert_eq!((&link.tenant_name, &link.upstream_relationship), (&seen.tenant_name, &seen.upstream_relationship));
    assert_eq!((&after.primary_contact, &after.billing), (&seen.contact, &Billing::MirrorsPrimary));
    assert_eq!((link.mark, link.verified_at), (mark(1, 11), bench.clock.now()));
    assert_eq!((after.id, after.revision.0, after.created_at), (before.id, 2, before.created_at));
}

async fn an_agreeing_observation_moves_only_the_time_of_verification(bench: Bench) {
    let before = bench.microsoft_customer(1, "Ada").await;
    bench.step(60);
    let saved = bench.observe(1, mark(1, 11), Observed::Present(profile("Ada"))).await;
    assert_eq!(saved.expect("it is saved"), SavedPlan::Verified);
    let mut after = bench.of_tenant(1).await;
    let link = after.microsoft.as_mut().expect("a customer of Microsoft's");
    assert_eq!((link.mark, link.verified_at), (mark(1, 11), bench.clock.now()));
    *link = before.microsoft.clone().expect("a customer of Microsoft's");
    assert_eq!(after, before);
}

async fn an_older_observation_never_overwrites_a_newer_one(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    for (order, newest) in [(mark(2, 5), "Bob"), (mark(2, 9), "Bob")] {
        bench.observe(1, order, Observed::Present(profile(newest))).await.expect("it is saved");
        for older in [order, mark(2, 4), mark(1, 99), mark(1, 10), mark(0, 1000)] {
            for what in [
                Observed::Present(profile("Old")),
                Observed::Unusable("x".to_owned()),
                Observed::Gone(GoneAnswer::NotFound),
            ] {
                let saved = bench.observe(1, older, what).await.expect("it is answered");
                assert_eq!(saved, SavedPlan::Outdated, "{older:?} after {order:?}");
            }
        }
        let now = bench.of_tenant(1).await;
        assert_eq!(now.primary_contact, profile(newest).contact);
        assert_eq!(now.microsoft.map(|link| link.mark), Some(order));
    }
}

/// The plan of a slow answer, made outside of the transaction: the contract forbids it, the store survives it.
async fn an_observation_planned_before_a_newer_one_was_saved_is_not_saved(bench: Bench) {
    let before = bench.microsoft_customer(1, "Ada").await;
    let slow = observed(1, mark(1, 11), Observed::Present(profile("Slow")));
    let plan = reconcile::plan(&bench.account, Some(&before), &slow, bench.clock.now());
    // The newer answer agrees, so the revision does not move.
    bench.observe(1, mark(1, 12), Observed::Present(profile("Ada"))).await.expect("it is saved");
    let saved = bench.store.write("slow", async |tx| save_one(tx, plan, &slow, &bench.account, work(1)).await).await;
    assert!(matches!(saved, Err(Error::Backstop(_) | Error::Corrupt(_))), "{saved:?}");
    assert_eq!(bench.of_tenant(1).await.primary_contact, before.primary_contact);
}

async fn an_answer_that_it_is_gone_counts_in_the_order_of_observations(bench: Bench) {
    let before = bench.microsoft_customer(1, "Ada").await;
    let saved = bench.observe(1, mark(1, 12), Observed::Gone(GoneAnswer::TenantNotFound)).await;
    assert_eq!(saved.expect("it is saved"), SavedPlan::NotedGone);
    let after = bench.of_tenant(1).await;
    assert_eq!((after.revision, &after.primary_contact), (before.revision, &before.primary_contact));
    let saved = bench.observe(1, mark(1, 11), Observed::Present(profile("Late"))).await;
    assert_eq!(saved.expect("it is answered"), SavedPlan::Outdated);
}

async fn an_unusable_record_keeps_the_contacts_and_heals(bench: Bench) {
    let before = bench.microsoft_customer(1, "Ada").await;
    for ticket in [11, 12] {
        let saved = bench.observe(1, mark(1, ticket), Observed::Unusable("no country".to_owned())).await;
        assert_eq!(saved.expect("it is saved"), SavedPlan::Quarantined);
        let held = bench.of_tenant(1).await;
        assert_eq!(held.microsoft.as_ref().map(|link| link.sync_state), Some(SyncState::Quarantined));
        assert_eq!((&held.primary_contact, held.revision.0), (&before.primary_contact, 2));
    }
    let saved = bench.observe(1, mark(1, 13), Observed::Present(profile("Ada"))).await;
    assert_eq!(saved.expect("it is saved"), SavedPlan::Changed);
    let healed = bench.of_tenant(1).await;
    assert_eq!(healed.microsoft.map(|link| link.sync_state), Some(SyncState::Synced));
    let mut shell = bench.shell().await;
    assert_eq!(shell.texts("SELECT kind FROM change_log ORDER BY sequence", 0).await, ["CREATED", "STATE", "STATE"]);
    assert_eq!(shell.number("SELECT count(*) FROM upstream_customer WHERE problem IS NOT NULL").await, 0);
}

async fn the_platforms_own_fields_survive_every_observation(bench: Bench) {
    let made = bench.microsoft_customer(1, "Ada").await;
    let label = Wish::Label("team".to_owned(), Some("north".to_owned()));
    bench.edit(made.id, vec![note("ours"), label]).await.expect("the edit is saved");
    bench.observe(1, mark(1, 11), Observed::Present(profile("Bob"))).await.expect("it is saved");
    bench.observe(1, mark(1, 12), Observed::Unusable("x".to_owned())).await.expect("it is saved");
    bench.observe(1, mark(1, 13), Observed::Present(profile("Eve"))).await.expect("it is saved");
    let now = bench.of_tenant(1).await;
    assert_eq!((now.note.as_str(), now.labels.get("team").map(String::as_str)), ("ours", Some("north")));
}

async fn end_it(bench: &Bench, ticket: i64) -> Result<(), Error> {
    let customer = bench.of_tenant(1).await;
    let departure = end(&customer, COMPLETE, mark(1, ticket)).expect("the evidence is complete");
    bench.store.write("end", async |tx| tx.save_departure(&departure, None, None).await).await
}

async fn an_ended_customer_revives_with_the_same_id_and_mirrors_again(bench: Bench) {
    let made = bench.microsoft_customer(1, "Ada").await;
    bench.observe(1, mark(1, 11), Observed::Gone(GoneAnswer::NotFound)).await.expect("it is saved");
    end_it(&bench, 11).await.expect("the relationship ends");
    let ended = bench.of_tenant(1).await;
    assert_eq!((ended.relationship(), &ended.primary_contact), (Some(Relationship::Ended), &made.primary_contact));
    bench
        .edit(made.id, vec![email(ContactRole::Billing, "own@example.com"), note("ours")])
        .await
        .expect("it is ours now");
    let saved = bench.observe(1, mark(1, 12), Observed::Present(profile("Back"))).await;
    assert_eq!(saved.expect("it is saved"), SavedPlan::Changed);
    let back = bench.of_tenant(1).await;
    assert_eq!(
        (back.id, back.relationship(), back.billing.clone()),
        (made.id, Some(Relationship::Active), Billing::MirrorsPrimary)
    );
    assert_eq!(back.contact(ContactRole::Billing, ContactField::Email), "Back@example.com");
    assert_eq!(back.note, "ours");
    let kinds = bench.shell().await.texts("SELECT kind FROM change_log ORDER BY sequence", 0).await;
    assert_eq!(kinds, ["CREATED", "ENDED", "EDITED", "REVIVED"]);
}

async fn a_held_removal_can_be_ended_on_the_answer_it_was_held_for(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.observe(1, mark(1, 11), Observed::Gone(GoneAnswer::NotFound)).await.expect("it is saved");
    let departure = hold(&bench.of_tenant(1).await, COMPLETE).expect("the evidence is complete");
    bench.store.write("hold", async |tx| tx.save_departure(&departure, None, None).await).await.expect("it is held");
    end_it(&bench, 11).await.expect("the operator's approval ends the relationship");
    assert_eq!(bench.of_tenant(1).await.relationship(), Some(Relationship::Ended));
}

async fn an_edit_reviewed_before_an_observation_is_stale(bench: Bench) {
    let made = bench.microsoft_customer(1, "Ada").await;
    let late = allowed(&made, &CustomerEdit { wishes: vec![note("late")] });
    bench.observe(1, mark(1, 11), Observed::Present(profile("Bob"))).await.expect("it is saved");
    let saved = bench.store.write("late", async |tx| tx.save_edit(late, "caller").await).await.expect("it is answered");
    assert!(matches!(saved, Saved::Stale), "{saved:?}");
    assert_eq!(bench.of_tenant(1).await.primary_contact, profile("Bob").contact);
}

/// A review that saw a platform customer where the row is a Microsoft one: the layers above have a hole.
async fn what_the_guard_lets_slip_the_database_stops(bench: Bench) {
    let made = bench.microsoft_customer(1, "Ada").await;
    let mut taken_for_ours = made.clone();
    taken_for_ours.microsoft = None;
    for wish in [
        email(ContactRole::Primary, "x@example.com"),
        email(ContactRole::Billing, "x@example.com"),
        Wish::CompanyName("x".to_owned()),
    ] {
        let edit = allowed(&taken_for_ours, &CustomerEdit { wishes: vec![wish] });
        let saved = bench.store.write("hole", async |tx| tx.save_edit(edit, "caller").await).await;
        assert!(matches!(&saved, Err(Error::Backstop(rule)) if rule.contains("guard R3")), "{saved:?}");
    }
    assert_eq!(bench.of_tenant(1).await, made);
    bench.mark(&[1], Priority::Sweep, None).await;
}

async fn tickets_only_grow(bench: Bench) {
    let account = &bench.account;
    let second = customer_guard::domain::ids::Epoch(2);
    let mut last = 0;
    for count in [1_usize, 5, 1, 50] {
        let taken = bench.store.write("tickets", async |tx| tx.take_tickets(account, second, count).await).await;
        let taken = taken.expect("tickets are taken");
        assert_eq!((taken.epoch, taken.ticket.0), (second, last + 1));
        last += i64::try_from(count).expect("a small number");
    }
}
