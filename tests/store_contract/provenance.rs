//! How a customer came to be as it is shown: what asked for its last look, and who changed it in Partner Center.

use std::time::Duration;

use customer_guard::clock::Timestamp;
use customer_guard::domain::look::LookCause;
use customer_guard::domain::observation::{GoneAnswer, Observed};
use customer_guard::domain::removal::{RemovalEvidence, end};
use customer_guard::domain::upstream_change::{REMOVAL, UpstreamChange, UserName};
use customer_guard::operations::apply_observations::{Answered, apply_observations};
use customer_guard::store::{CallTally, ChangesAfter, DirtyCustomer, Priority, SavedPlan, SeenAhead};

use crate::bench::{Bench, mark, observed, profile, tenant};

contract! {
    the_most_urgent_mark_gives_the_cause_and_of_equal_ones_the_first,
    a_mark_that_came_meanwhile_asks_for_the_next_look,
    confirming_and_rolling_looks_have_their_causes,
    a_settled_look_leaves_its_cause_with_the_verification,
    the_newest_record_explains_the_change_its_look_found,
    a_record_that_was_met_after_the_look_was_taken_explains_nothing_of_it,
    a_record_that_led_to_nothing_does_not_explain_a_later_change,
    a_confirming_look_may_still_find_what_a_record_told,
    a_change_without_a_record_takes_the_former_explanation_away,
    the_removal_by_the_partner_explains_the_end_and_not_the_return,
    the_feed_tells_who_made_the_last_change_of_partner_centers,
    who_made_a_change_is_erased_with_it_but_for_the_newest,
    records_that_explain_nothing_are_erased_in_time,
}

const AGENT: &str = "agent@contoso.example";

fn record(id: &str, operation: &str, at: i64) -> UpstreamChange {
    UpstreamChange {
        record: id.to_owned(),
        operation: operation.to_owned(),
        user: UserName::new(AGENT.to_owned()),
        application: "Partner Center Web UI".to_owned(),
        at: (at > 0).then(|| Timestamp::from_micros(at)),
    }
}

fn update(id: &str, at: i64) -> UpstreamChange {
    record(id, "update_customer_billing_profile", at)
}

async fn marked_by(bench: &Bench, priority: Priority, cause: LookCause) {
    let marked =
        bench.store.write("mark", async |tx| tx.mark_dirty(&bench.account, &[tenant(1)], priority, cause).await).await;
    marked.expect("it is marked");
}

/// The audit log tells of customer 1.
async fn met(bench: &Bench, record: &UpstreamChange) {
    marked_by(bench, Priority::Signal, LookCause::AuditLog).await;
    let noted =
        bench.store.write("note", async |tx| tx.note_audit_signal(&bench.account, tenant(1), record).await).await;
    noted.expect("it is noted");
}

async fn taken(bench: &Bench) -> DirtyCustomer {
    let dirty = bench.store.dirty_customers(&bench.account, bench.clock.now(), 1).await.expect("the store answers");
    *dirty.first().expect("somebody is dirty")
}

async fn answered(bench: &Bench, work: DirtyCustomer, ticket: i64, what: Observed) -> SavedPlan {
    let answers = [Answered { work, tally: CallTally::default(), observation: observed(1, mark(1, ticket), what) }];
    apply_observations(&bench.store, &bench.account, &answers).await.expect("it is applied")[0]
}

/// Looks at customer 1 and finds that person.
async fn look(bench: &Bench, ticket: i64, person: &str) -> SavedPlan {
    let work = taken(bench).await;
    answered(bench, work, ticket, Observed::Present(profile(person))).await
}

/// The record that explains what customer 1 shows.
async fn explained_by(bench: &Bench) -> Option<String> {
    let link = bench.of_tenant(1).await.microsoft.expect("a customer of Microsoft's");
    link.provenance.last_change.map(|change| change.record)
}

async fn verified_by(bench: &Bench) -> Option<LookCause> {
    bench.of_tenant(1).await.microsoft.expect("a customer of Microsoft's").provenance.verified_by
}

/// Looks until no confirming look is owed any more.
async fn confirm(bench: &Bench, mut ticket: i64, person: &str) {
    while let Some(due) = bench.store.next_confirmation_at(&bench.account).await.expect("the store answers") {
        bench.clock.advance(due.since(bench.clock.now()));
        let marked = bench.store.write("confirm", async |tx| tx.mark_confirmations(&bench.account, 10).await).await;
        assert_eq!(marked.expect("it is marked"), 1);
        look(bench, ticket, person).await;
        ticket += 1;
    }
}

async fn the_most_urgent_mark_gives_the_cause_and_of_equal_ones_the_first(bench: Bench) {
    for (priority, cause, told) in [
        (Priority::Sweep, LookCause::Night, LookCause::Night),
        (Priority::Sweep, LookCause::ManualSync, LookCause::Night),
        (Priority::Listed, LookCause::CustomerList, LookCause::CustomerList),
        (Priority::Sweep, LookCause::Night, LookCause::CustomerList),
        (Priority::Signal, LookCause::Webhook, LookCause::Webhook),
        (Priority::Signal, LookCause::AuditLog, LookCause::Webhook),
        (Priority::Refresh, LookCause::Refresh, LookCause::Refresh),
    ] {
        marked_by(&bench, priority, cause).await;
        assert_eq!(taken(&bench).await.cause, Some(told), "{cause:?}");
    }
}

async fn a_mark_that_came_meanwhile_asks_for_the_next_look(bench: Bench) {
    marked_by(&bench, Priority::Refresh, LookCause::Refresh).await;
    let work = taken(&bench).await;
    marked_by(&bench, Priority::Signal, LookCause::Webhook).await;
    answered(&bench, work, 10, Observed::Present(profile("Ada"))).await;
    assert_eq!(verified_by(&bench).await, Some(LookCause::Refresh));
    look(&bench, 11, "Ada").await;
    assert_eq!(verified_by(&bench).await, Some(LookCause::Webhook));
}

async fn confirming_and_rolling_looks_have_their_causes(bench: Bench) {
    marked_by(&bench, Priority::Signal, LookCause::AuditLog).await;
    look(&bench, 10, "Ada").await;
    assert_eq!(verified_by(&bench).await, Some(LookCause::AuditLog));
    confirm(&bench, 11, "Ada").await;
    assert_eq!(verified_by(&bench).await, Some(LookCause::Confirmation));
    bench.step(3600);
    let now = bench.clock.now();
    let marked = bench.store.write("roll", async |tx| tx.mark_for_verification(&bench.account, now, 10).await).await;
    assert_eq!(marked.expect("it is marked"), 1);
    look(&bench, 20, "Ada").await;
    assert_eq!(verified_by(&bench).await, Some(LookCause::Rolling));
}

async fn a_settled_look_leaves_its_cause_with_the_verification(bench: Bench) {
    marked_by(&bench, Priority::Refresh, LookCause::Refresh).await;
    look(&bench, 10, "Ada").await;
    let before = bench.of_tenant(1).await;
    marked_by(&bench, Priority::Sweep, LookCause::Night).await;
    assert_eq!(look(&bench, 11, "Ada").await, SavedPlan::Verified);
    let after = bench.of_tenant(1).await;
    assert_eq!(verified_by(&bench).await, Some(LookCause::Night));
    assert_eq!(after.revision, before.revision, "no customer row is written for it");
}

async fn the_newest_record_explains_the_change_its_look_found(bench: Bench) {
    met(&bench, &record("added", "add_customer", 1)).await;
    look(&bench, 10, "Ada").await;
    assert_eq!(explained_by(&bench).await.as_deref(), Some("added"));
    for told in [update("new", 9), update("undated", 0), update("old", 7)] {
        met(&bench, &told).await;
    }
    assert_eq!(look(&bench, 11, "Eve").await, SavedPlan::Changed);
    let link = bench.of_tenant(1).await.microsoft.expect("a customer of Microsoft's");
    assert_eq!(link.provenance.last_change, Some(update("new", 9)));
    assert_eq!(bench.shell().await.number("SELECT count(*) FROM audit_signal").await, 0);
}

async fn a_record_that_was_met_after_the_look_was_taken_explains_nothing_of_it(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    let work = taken(&bench).await;
    met(&bench, &update("later", 5)).await;
    answered(&bench, work, 11, Observed::Present(profile("Eve"))).await;
    assert_eq!(explained_by(&bench).await, None);
    look(&bench, 12, "Zoe").await;
    assert_eq!(explained_by(&bench).await.as_deref(), Some("later"));
}

async fn a_record_that_led_to_nothing_does_not_explain_a_later_change(bench: Bench) {
    marked_by(&bench, Priority::Sweep, LookCause::Night).await;
    look(&bench, 10, "Ada").await;
    met(&bench, &record("other", "update_customer_qualification", 5)).await;
    look(&bench, 11, "Ada").await;
    confirm(&bench, 12, "Ada").await;
    marked_by(&bench, Priority::Sweep, LookCause::Night).await;
    assert_eq!(look(&bench, 20, "Eve").await, SavedPlan::Changed);
    assert_eq!(explained_by(&bench).await, None);
}

async fn a_confirming_look_may_still_find_what_a_record_told(bench: Bench) {
    marked_by(&bench, Priority::Sweep, LookCause::Night).await;
    look(&bench, 10, "Ada").await;
    met(&bench, &update("lagging", 5)).await;
    look(&bench, 11, "Ada").await;
    confirm(&bench, 12, "Eve").await;
    assert_eq!(explained_by(&bench).await.as_deref(), Some("lagging"));
}

async fn a_change_without_a_record_takes_the_former_explanation_away(bench: Bench) {
    met(&bench, &record("added", "add_customer", 1)).await;
    look(&bench, 10, "Ada").await;
    confirm(&bench, 11, "Ada").await;
    assert_eq!(explained_by(&bench).await.as_deref(), Some("added"));
    marked_by(&bench, Priority::Sweep, LookCause::Night).await;
    look(&bench, 20, "Ada").await;
    assert_eq!(explained_by(&bench).await.as_deref(), Some("added"), "nothing has changed");
    marked_by(&bench, Priority::Sweep, LookCause::Night).await;
    look(&bench, 21, "Eve").await;
    assert_eq!(explained_by(&bench).await, None);
}

async fn the_removal_by_the_partner_explains_the_end_and_not_the_return(bench: Bench) {
    let customer = bench.microsoft_customer(1, "Ada").await;
    met(&bench, &record("removed", REMOVAL, 5)).await;
    met(&bench, &record("dap", "dap_admin_relationship_terminated", 9)).await;
    let work = taken(&bench).await;
    answered(&bench, work, 11, Observed::Gone(GoneAnswer::NoRelationship)).await;
    let evidence = RemovalEvidence { missing_runs: 1, removal_recorded: true, said_gone: true };
    let departure = end(&customer, evidence, mark(1, 11)).expect("it ends");
    let saved = bench.store.write("end", async |tx| tx.save_departure(&departure, None, None).await).await;
    saved.expect("it is saved");
    assert_eq!(explained_by(&bench).await.as_deref(), Some("removed"));
    met(&bench, &record("again", REMOVAL, 20)).await;
    assert_eq!(look(&bench, 12, "Ada").await, SavedPlan::Changed);
    assert_eq!(explained_by(&bench).await, None);
}

async fn the_feed_tells_who_made_the_last_change_of_partner_centers(bench: Bench) {
    let from = bench.store.here().await.expect("the store answers").position;
    let told = async || {
        let accounts = [bench.account.clone()].into();
        let changes = bench.store.changes_after(from, &accounts, &SeenAhead::default(), 10).await;
        let Ok(ChangesAfter::Kept(batch)) = changes else { panic!("changes are kept") };
        batch.changes[0].upstream.clone().map(|upstream| upstream.record)
    };
    met(&bench, &record("added", "add_customer", 1)).await;
    look(&bench, 10, "Ada").await;
    assert_eq!(told().await.as_deref(), Some("added"));
    let customer = bench.of_tenant(1).await;
    bench.edit(customer.id, vec![crate::bench::note("seen")]).await.expect("it is saved");
    assert_eq!(told().await.as_deref(), Some("added"), "a caller's edit is nobody's in Partner Center");
    met(&bench, &update("updated", 2)).await;
    look(&bench, 11, "Eve").await;
    assert_eq!(told().await.as_deref(), Some("updated"));
    marked_by(&bench, Priority::Sweep, LookCause::Night).await;
    look(&bench, 12, "Zoe").await;
    assert_eq!(told().await, None);
}

async fn who_made_a_change_is_erased_with_it_but_for_the_newest(bench: Bench) {
    const KEPT: &str = "SELECT count(*) FROM upstream_change";
    const DAY: u64 = 24 * 3600;
    met(&bench, &record("added", "add_customer", 1)).await;
    look(&bench, 10, "Ada").await;
    met(&bench, &update("updated", 2)).await;
    look(&bench, 11, "Eve").await;
    assert_eq!(bench.shell().await.number(KEPT).await, 2);
    bench.step(91 * DAY);
    bench.store.forget_changes(Duration::from_secs(90 * DAY)).await.expect("they are forgotten");
    assert_eq!(bench.shell().await.number(KEPT).await, 1);
    assert_eq!(explained_by(&bench).await.as_deref(), Some("updated"));
    // And it goes as soon as it is not the newest.
    marked_by(&bench, Priority::Sweep, LookCause::Night).await;
    look(&bench, 12, "Zoe").await;
    assert_eq!(bench.shell().await.number(KEPT).await, 0);
}

async fn records_that_explain_nothing_are_erased_in_time(bench: Bench) {
    const WAITING: &str = "SELECT count(*) FROM audit_signal";
    bench.microsoft_customer(1, "Ada").await;
    met(&bench, &record("removed", REMOVAL, 5)).await;
    let work = taken(&bench).await;
    answered(&bench, work, 11, Observed::Gone(GoneAnswer::NoRelationship)).await;
    bench.store.forget_changes(Duration::from_secs(3600)).await.expect("nothing is old");
    assert_eq!(bench.shell().await.number(WAITING).await, 1, "its end may still come");
    bench.step(3601);
    bench.store.forget_changes(Duration::from_secs(3600)).await.expect("it is forgotten");
    assert_eq!(bench.shell().await.number(WAITING).await, 0);
}
