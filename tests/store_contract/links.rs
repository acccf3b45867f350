//! Links: who looks alike, what waits, what a link keeps and gives back, and what the database refuses of it.

use customer_guard::domain::contact::{Contact, ContactField};
use customer_guard::domain::create::{CustomerDraft, admit};
use customer_guard::domain::customer::{Billing, Customer, Source};
use customer_guard::domain::deletion::{self, Verdict};
use customer_guard::domain::edit::Wish;
use customer_guard::domain::ids::CustomerId;
use customer_guard::domain::likeness::{Candidate, Likeness};
use customer_guard::domain::link::{self, REVERSIBLE_FOR};
use customer_guard::domain::observation::{GoneAnswer, MicrosoftProfile, Observed};
use customer_guard::operations::apply_observations::{Answered, apply_observations};
use customer_guard::store::{CallTally, DirtyCustomer, Error, PendingLink, Priority, SavedPlan};

use crate::bench::{Bench, Shell, contact, mark, note, observed, profile, tenant};

contract! {
    candidates_are_those_of_the_account_with_the_domain_or_the_name_and_country,
    at_most_ten_candidates_are_named,
    names_are_made_again_when_they_are_compared_otherwise,
    a_newcomer_that_looks_like_a_platform_customer_waits_and_has_no_record,
    a_pending_link_is_decided_anew_by_every_look,
    writing_a_platform_customer_has_the_pending_links_it_concerns_looked_at,
    a_dismissal_is_about_everybody_alike_and_for_good,
    pending_links_are_listed_by_age_from_any_place,
    a_pending_customer_that_the_list_lacks_is_looked_at,
    a_link_comes_back_whole_and_so_does_the_customer_when_it_is_undone,
    a_customer_may_be_linked_again_after_a_link_was_undone,
    former_values_are_erased_when_their_time_is_over_and_not_before,
    the_database_refuses_a_microsoft_customer_that_no_link_made,
    the_database_refuses_an_invented_link,
    the_database_refuses_to_undo_a_link_to_other_values,
    the_database_refuses_to_undo_a_link_that_is_too_old_or_undone,
    the_database_refuses_to_rewrite_a_link,
    a_linked_customer_is_guarded_as_every_other,
}

/// A platform customer of that name, domain and country.
pub async fn ours(bench: &Bench, name: &str, domain: &str, country: &str) -> Customer {
    let draft = CustomerDraft {
        company_name: name.to_owned(),
        domain: domain.to_owned(),
        primary_contact: Contact::default().with(ContactField::Country, country),
        ..CustomerDraft::default()
    };
    let admitted = admit(&bench.account, draft, bench.clock.now()).expect("a sound draft");
    bench.store.write("new", async |tx| tx.save_new(admitted, "caller").await).await.expect("it is saved")
}

pub fn newcomer(name: &str, domain: &str, country: &str) -> MicrosoftProfile {
    MicrosoftProfile {
        company_name: name.to_owned(),
        domain: domain.to_owned(),
        contact: contact("theirs").with(ContactField::Country, country),
        ..profile("Theirs")
    }
}

/// Looks at a tenant as the synchronizer does.
async fn look(bench: &Bench, number: u32, ticket: i64, what: Observed) -> SavedPlan {
    bench.mark(&[number], Priority::Listed, None).await;
    let now = bench.clock.now();
    let dirty = bench.store.dirty_customers(&bench.account, now, 100).await.expect("the store answers");
    let work = *dirty.iter().find(|work| work.tenant_id == tenant(number)).expect("it is dirty");
    let answers =
        [Answered { work, tally: CallTally::default(), observation: observed(number, mark(1, ticket), what) }];
    let saved = apply_observations(&bench.store, &bench.account, &answers).await.expect("it is applied");
    saved[0]
}

async fn pending(bench: &Bench) -> Vec<PendingLink> {
    bench.store.pending_links(&bench.account, None, 1000).await.expect("the store answers")
}

async fn dirty(bench: &Bench) -> Vec<DirtyCustomer> {
    bench.store.dirty_customers(&bench.account, bench.clock.now(), 100).await.expect("the store answers")
}

async fn candidates(bench: &Bench, new: &Customer) -> Vec<Candidate> {
    let found = bench.store.write("candidates", async |tx| tx.duplicate_candidates(new).await).await;
    found.expect("the store answers")
}

async fn delete(bench: &Bench, id: CustomerId) {
    let deleted = bench.store.write("delete", async |tx| {
        let customer = tx.customer_for_update(&bench.account, id).await?.expect("the customer exists");
        let Verdict::Do(deletion) = deletion::delete(&customer, tx.now()) else { panic!("it can be deleted") };
        tx.save_deletion(deletion, "caller").await
    });
    deleted.await.expect("it is deleted");
}

pub async fn link(
    bench: &Bench,
    id: CustomerId,
    number: u32,
    ticket: i64,
    seen: MicrosoftProfile,
) -> Result<Customer, Error> {
    let observation = observed(number, mark(1, ticket), Observed::Present(seen));
    bench
        .store
        .write("link", async |tx| {
            let customer = tx.customer_for_update(&bench.account, id).await?.expect("the customer exists");
            let linked = link::link(&customer, &observation, tx.now()).expect("it can be linked");
            tx.save_link(&linked, "operator").await
        })
        .await
}

pub async fn unlink(bench: &Bench, id: CustomerId) -> Customer {
    let undone = bench.store.write("unlink", async |tx| {
        let customer = tx.customer_for_update(&bench.account, id).await?.expect("the customer exists");
        let standing = tx.standing_link(&bench.account, id).await?.expect("it is linked");
        let unlinked = link::unlink(&customer, &standing, tx.now()).expect("its time is not over");
        tx.save_unlink(&unlinked, "operator").await
    });
    undone.await.expect("it is unlinked")
}

async fn refused(shell: &mut Shell, statement: &str, rule: &str) {
    let answer = shell.run(statement).await;
    assert!(answer.as_ref().is_err_and(|error| error.contains(rule)), "{statement}\n  wanted {rule}, got {answer:?}");
}

async fn candidates_are_those_of_the_account_with_the_domain_or_the_name_and_country(bench: Bench) {
    let domain = ours(&bench, "Another", "linden.example", "EE").await;
    let name = ours(&bench, "SIA \"Linden\"", "other.example", "LV").await;
    let both = ours(&bench, "linden", "linden.example", "LV").await;
    ours(&bench, "Linden", "", "EE").await;
    ours(&bench, "Linden Bakery", "bakery.example", "LV").await;
    let gone = ours(&bench, "Linden", "linden.example", "LV").await;
    delete(&bench, gone.id).await;
    bench.mark(&[1], Priority::Listed, None).await;
    bench.observe(1, mark(1, 10), Observed::Present(newcomer("LINDEN Ltd.", "m.example", "LV"))).await.expect("saved");
    let theirs = bench.of_tenant(1).await;
    let northwind = bench.add_partner("northwind", 5).await;
    bench.platform_customer_of(&northwind, "Linden").await;

    let new = ours(&bench, "Linden, Ltd", "linden.example", "LV").await;
    let found = candidates(&bench, &new).await;
    let mut expected = vec![
        (Likeness::SameDomain, domain.id),
        (Likeness::SameDomain, both.id),
        (Likeness::SameNameAndCountry, name.id),
        (Likeness::SameNameAndCountry, theirs.id),
    ];
    expected.sort();
    let found: Vec<_> = found.into_iter().map(|candidate| (candidate.likeness, candidate.customer)).collect();
    assert_eq!(found, expected, "the likeliest first, each once, and not itself");

    let nobody = ours(&bench, "...", "", "LV").await;
    ours(&bench, "SIA", "", "LV").await;
    assert_eq!(candidates(&bench, &nobody).await, []);
}

async fn at_most_ten_candidates_are_named(bench: Bench) {
    for _ in 0..12 {
        ours(&bench, "Linden", "linden.example", "LV").await;
    }
    let new = ours(&bench, "Linden", "linden.example", "LV").await;
    assert_eq!(candidates(&bench, &new).await.len(), 10);
}

/// A database of the release before this one has no names at all.
async fn names_are_made_again_when_they_are_compared_otherwise(bench: Bench) {
    let there = ours(&bench, "Linden", "", "LV").await;
    bench.microsoft_customer(1, "Ada").await;
    let new = ours(&bench, "SIA Linden", "", "LV").await;
    bench.store.close().await;
    let mut shell = bench.shell().await;
    assert_eq!(shell.run("DELETE FROM customer_match").await, Ok(3));
    assert_eq!(shell.run("UPDATE store_meta SET value = '0' WHERE name = 'match_key_revision'").await, Ok(1));
    let bench = bench.opened_again().await;
    let found = candidates(&bench, &new).await;
    assert_eq!(found.iter().map(|one| one.customer).collect::<Vec<_>>(), [there.id]);
    assert_eq!(shell.number("SELECT count(*) FROM customer_match WHERE match_key IS NOT NULL").await, 3);
}

async fn a_newcomer_that_looks_like_a_platform_customer_waits_and_has_no_record(bench: Bench) {
    let domain = ours(&bench, "Another", "linden.example", "EE").await;
    let name = ours(&bench, "Linden", "", "LV").await;
    let seen = newcomer("SIA Linden", "Linden.Example", "LV");
    assert_eq!(look(&bench, 1, 10, Observed::Present(seen)).await, SavedPlan::AwaitsLink);
    let of_tenant = bench.store.customer_of_tenant(&bench.account, tenant(1)).await.expect("the store answers");
    assert_eq!(of_tenant, None);
    let waits = pending(&bench).await.pop().expect("a pending link");
    assert_eq!(
        (waits.tenant_id, waits.company_name.as_str(), waits.noted_at),
        (tenant(1), "SIA Linden", bench.clock.now())
    );
    let named: Vec<_> = waits.candidates.iter().map(|one| (one.customer, one.likeness)).collect();
    assert_eq!(named, [(domain.id, Likeness::SameDomain), (name.id, Likeness::SameNameAndCountry)]);
    assert_eq!(bench.store.count_pending_links(&bench.account).await.expect("the store answers"), 1);
    assert_eq!(dirty(&bench).await, [], "nothing is owed to it");
    // Nobody looks like it: a record.
    assert_eq!(look(&bench, 2, 11, Observed::Present(profile("Ada"))).await, SavedPlan::Created);
    assert_eq!(pending(&bench).await.len(), 1);
}

async fn a_pending_link_is_decided_anew_by_every_look(bench: Bench) {
    let one = ours(&bench, "Another", "linden.example", "EE").await;
    let seen = || Observed::Present(newcomer("SIA Linden", "linden.example", "LV"));
    look(&bench, 1, 10, seen()).await;
    let since = bench.clock.now();
    bench.step(60);
    ours(&bench, "Linden", "", "LV").await;
    assert_eq!(look(&bench, 1, 11, seen()).await, SavedPlan::AwaitsLink);
    let waits = pending(&bench).await;
    assert_eq!((waits.len(), waits[0].candidates.len(), waits[0].noted_at), (1, 2, since));
    // What cannot be read says nothing; what is gone waits no longer.
    assert_eq!(look(&bench, 1, 12, Observed::Unusable("x".to_owned())).await, SavedPlan::Quarantined);
    assert_eq!(pending(&bench).await.len(), 1);
    assert_eq!(look(&bench, 1, 13, Observed::Gone(GoneAnswer::NoRelationship)).await, SavedPlan::NotedGone);
    assert_eq!(pending(&bench).await, []);
    // Back again, under a name and a domain that nobody has.
    look(&bench, 1, 14, seen()).await;
    assert_eq!(look(&bench, 1, 15, Observed::Present(profile("Ada"))).await, SavedPlan::Created);
    assert_eq!(pending(&bench).await, []);
    assert_eq!(bench.customer(one.id).await, one);
}

async fn writing_a_platform_customer_has_the_pending_links_it_concerns_looked_at(bench: Bench) {
    let one = ours(&bench, "Another", "linden.example", "EE").await;
    look(&bench, 1, 10, Observed::Present(newcomer("SIA Linden", "linden.example", "LV"))).await;
    look(&bench, 2, 11, Observed::Present(newcomer("Another AS", "else.example", "EE"))).await;
    let all = || async { dirty(&bench).await.iter().map(|work| work.tenant_id).collect::<Vec<_>>() };
    bench.edit(one.id, vec![note("nothing about who it is")]).await.expect("an edit");
    assert_eq!(all().await, []);
    // No longer of that domain: it is not named any more, before anybody has looked.
    bench.edit(one.id, vec![Wish::Domain(String::new())]).await.expect("an edit");
    assert_eq!(all().await, [tenant(1)]);
    assert_eq!(pending(&bench).await.iter().map(|one| one.candidates.len()).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(
        look(&bench, 1, 12, Observed::Present(newcomer("SIA Linden", "linden.example", "LV"))).await,
        SavedPlan::Created
    );
    // Another one joins, goes and comes back.
    let other = ours(&bench, "Another", "", "EE").await;
    assert_eq!(all().await, [tenant(2)]);
    let seen = || Observed::Present(newcomer("Another AS", "else.example", "EE"));
    look(&bench, 2, 13, seen()).await;
    assert_eq!(pending(&bench).await[0].candidates.len(), 2);
    assert_eq!(all().await, []);
    delete(&bench, other.id).await;
    assert_eq!(all().await, [tenant(2)]);
    assert_eq!(pending(&bench).await[0].candidates.len(), 1);
    // Linked to another tenant.
    look(&bench, 2, 14, seen()).await;
    link(&bench, one.id, 3, 15, profile("Eve")).await.expect("a link");
    assert_eq!(all().await, [tenant(2)]);
    assert_eq!(look(&bench, 2, 16, seen()).await, SavedPlan::Created);
}

async fn a_dismissal_is_about_everybody_alike_and_for_good(bench: Bench) {
    for _ in 0..12 {
        ours(&bench, "Linden", "", "LV").await;
    }
    let seen = || Observed::Present(newcomer("SIA Linden", "linden.example", "LV"));
    look(&bench, 1, 10, seen()).await;
    assert_eq!(pending(&bench).await[0].candidates.len(), 10);
    let dismissed =
        bench.store.write("dismiss", async |tx| tx.dismiss_pending_link(&bench.account, tenant(1), "operator").await);
    dismissed.await.expect("it is dismissed");
    assert_eq!(pending(&bench).await, []);
    assert_eq!(dirty(&bench).await.len(), 1, "it is looked at");
    assert_eq!(look(&bench, 1, 11, seen()).await, SavedPlan::Created);
    let mut shell = bench.shell().await;
    assert_eq!(shell.number("SELECT count(*) FROM dismissed_link WHERE dismissed_by = 'operator'").await, 12);
    // Another tenant is another question.
    assert_eq!(
        look(&bench, 2, 12, Observed::Present(newcomer("Linden", "x.example", "LV"))).await,
        SavedPlan::AwaitsLink
    );
}

async fn pending_links_are_listed_by_age_from_any_place(bench: Bench) {
    ours(&bench, "Linden", "", "LV").await;
    for number in [3, 1, 2, 5, 4] {
        look(&bench, number, i64::from(number) + 10, Observed::Present(newcomer("Linden", "", "LV"))).await;
        bench.step(u64::from(number % 2));
    }
    let all = pending(&bench).await;
    let order: Vec<_> = all.iter().map(|one| one.tenant_id).collect();
    assert_eq!(order, [3, 1, 2, 5, 4].map(tenant));
    let mut paged = Vec::new();
    while paged.len() < all.len() {
        let after = paged.last().map(PendingLink::place);
        let page = bench.store.pending_links(&bench.account, after, 2).await.expect("the store answers");
        assert!(!page.is_empty() && page.len() <= 2);
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let northwind = bench.add_partner("northwind", 5).await;
    assert_eq!(bench.store.pending_links(&northwind, None, 10).await.expect("the store answers"), []);
}

async fn a_pending_customer_that_the_list_lacks_is_looked_at(bench: Bench) {
    use customer_guard::store::{RunCause, RunKind};

    ours(&bench, "Linden", "", "LV").await;
    look(&bench, 1, 10, Observed::Present(newcomer("Linden", "", "LV"))).await;
    bench.step(60);
    let run = bench
        .store
        .write("run", async |tx| tx.start_run(&bench.account, RunKind::ListDiff, RunCause::Scheduled, "worker").await);
    let run = run.await.expect("a run");
    assert_eq!(bench.store.missing_in_listing(&run, &[]).await.expect("the store answers"), [tenant(1)]);
}

async fn a_link_comes_back_whole_and_so_does_the_customer_when_it_is_undone(bench: Bench) {
    let mirrored = ours(&bench, "Līga \"x\" \\ \u{1F34B}", "", "LV").await;
    for (number, before) in [(1, bench.platform_customer("Linden").await), (2, mirrored)] {
        bench.step(60);
        let after = link(&bench, before.id, number, 10, profile("Ada")).await.expect("a link");
        assert_eq!(bench.of_tenant(number).await, after);
        assert_eq!(
            (after.id, after.revision, after.created_at),
            (before.id, before.revision.next(), before.created_at)
        );
        assert_eq!((&after.primary_contact, &after.billing), (&profile("Ada").contact, &Billing::MirrorsPrimary));
        assert_eq!((&after.labels, &after.note), (&before.labels, &before.note));
        let theirs = after.microsoft.as_ref().expect("a customer of Microsoft's");
        assert_eq!((theirs.mark, theirs.verified_at), (mark(1, 10), bench.clock.now()));
        // The next observation is one of a customer that is there.
        assert_eq!(look(&bench, number, 11, Observed::Present(profile("Eve"))).await, SavedPlan::Changed);
        bench.edit(before.id, vec![note("since then")]).await.expect("the platform's own");
        let undone = unlink(&bench, before.id).await;
        assert_eq!(bench.customer(before.id).await, undone);
        let expected = Customer {
            note: "since then".to_owned(),
            revision: undone.revision,
            updated_at: undone.updated_at,
            ..before.clone()
        };
        assert_eq!(undone, expected);
        assert_eq!((undone.source(), undone.revision.0), (Source::Platform, before.revision.0 + 4));
        // The tenant is looked at and gets a record of its own, though it may look like the customer.
        assert!(dirty(&bench).await.iter().any(|work| work.tenant_id == tenant(number)));
        let same_name = newcomer(&before.company_name, &before.domain, "LV");
        assert_eq!(look(&bench, number, 12, Observed::Present(same_name)).await, SavedPlan::Created);
        assert_ne!(bench.of_tenant(number).await.id, before.id);
    }
    let mut shell = bench.shell().await;
    let kinds = shell.texts("SELECT kind FROM change_log WHERE actor = 'operator' ORDER BY sequence", 0).await;
    assert_eq!(kinds, ["LINKED", "UNLINKED", "LINKED", "UNLINKED"]);
}

async fn a_customer_may_be_linked_again_after_a_link_was_undone(bench: Bench) {
    let before = bench.platform_customer("Linden").await;
    link(&bench, before.id, 1, 10, profile("Ada")).await.expect("a link");
    unlink(&bench, before.id).await;
    bench.edit(before.id, vec![Wish::CompanyName("Renamed".to_owned())]).await.expect("an edit");
    link(&bench, before.id, 1, 11, profile("Ada")).await.expect("another link");
    let undone = unlink(&bench, before.id).await;
    assert_eq!((undone.company_name.as_str(), &undone.primary_contact), ("Renamed", &before.primary_contact));
    assert_eq!(bench.shell().await.number("SELECT count(*) FROM customer_link").await, 2);
}

async fn former_values_are_erased_when_their_time_is_over_and_not_before(bench: Bench) {
    const KEPT: &str = "SELECT count(*) FROM customer_link WHERE former IS NOT NULL";
    let forget =
        || async { bench.store.write("forget", async |tx| tx.forget_former_values().await).await.expect("forgotten") };
    let ends_at = || async { bench.store.former_values_end_at().await.expect("the store answers") };
    let [one, two] = [bench.platform_customer("One").await, bench.platform_customer("Two").await];
    assert_eq!(ends_at().await, None);
    link(&bench, one.id, 1, 10, profile("Ada")).await.expect("a link");
    let first_end = bench.clock.now().plus(REVERSIBLE_FOR);
    bench.step(60);
    link(&bench, two.id, 2, 11, profile("Eve")).await.expect("a link");
    assert_eq!(ends_at().await, Some(first_end));
    let mut shell = bench.shell().await;
    bench.step(REVERSIBLE_FOR.as_secs() - 61);
    assert_eq!((forget().await, shell.number(KEPT).await), (0, 2));
    bench.step(1);
    assert_eq!((forget().await, shell.number(KEPT).await), (1, 1));
    let standing = bench.store.write("look", async |tx| tx.standing_link(&bench.account, one.id).await).await;
    assert_eq!(standing.expect("the store answers").map(|link| link.former), Some(None), "the link still stands");
    unlink(&bench, two.id).await;
    assert_eq!((forget().await, shell.number(KEPT).await), (0, 0), "what was given back is not kept");
    let values = "SELECT count(*) FROM customer_link WHERE coalesce(former, '') <> ''";
    assert_eq!(shell.number(values).await, 0);
}

const MICROSOFT_COLUMNS: &str = "source = 'MICROSOFT', tenant_name = 't', relationship = 'ACTIVE',
    upstream_relationship = 'reseller', sync_state = 'SYNCED', observation_epoch = 1, observation_ticket = 99,
    microsoft_tenant_id = '00000001-aaaa-4bbb-8ccc-0123456789ab'";

const PLATFORM_COLUMNS: &str =
    "source = 'PLATFORM', microsoft_tenant_id = NULL, tenant_name = NULL, relationship = NULL,
    upstream_relationship = NULL, sync_state = NULL, observation_epoch = NULL, observation_ticket = NULL";

async fn the_database_refuses_a_microsoft_customer_that_no_link_made(bench: Bench) {
    let made = ours(&bench, "Linden", "", "LV").await;
    let mut shell = bench.shell().await;
    let turn = format!("UPDATE customer SET {MICROSOFT_COLUMNS}, revision = revision + 1 WHERE id = '{}'", made.id);
    refused(&mut shell, &turn, "guard R6: a platform customer becomes a Microsoft customer only by a link").await;
    refused(&mut shell, &turn.replacen("UPDATE", "UPDATE OR REPLACE", 1), "guard R6").await;
    assert_eq!(bench.customer(made.id).await, made);
}

const INTO: &str =
    "customer_link (account, customer_id, linked_revision, tenant_id, linked_by, linked_at, keep_until, former)";

fn invented(id: CustomerId, revision: i64, former: &str) -> String {
    format!(
        "INSERT INTO {INTO} SELECT 'contoso', '{id}', {revision}, '{}', 'me', 1, 9000000000000000000, {former}
         FROM customer_own_values WHERE id = '{id}'",
        tenant(1)
    )
}

async fn the_database_refuses_an_invented_link(bench: Bench) {
    const RULE: &str = "guard R6: a link begins with a platform customer and the values it has";
    let theirs = bench.microsoft_customer(1, "Ada").await;
    let mut shell = bench.shell().await;
    // A customer that came from Partner Center gets no link, at whatever revision and with whatever former values.
    for revision in [1, 2, 3] {
        for former in ["own_values", "NULL", "'{}'", "replace(own_values, 'Ada', 'Mine')"] {
            refused(&mut shell, &invented(theirs.id, revision, former), RULE).await;
        }
    }
    let ours = bench.platform_customer("Linden").await;
    for (revision, former) in
        [(1, "own_values"), (3, "own_values"), (2, "replace(own_values, 'Linden', 'Mine')"), (2, "NULL")]
    {
        refused(&mut shell, &invented(ours.id, revision, former), RULE).await;
    }
    let undone = invented(ours.id, 2, "own_values")
        .replace("keep_until, former)", "keep_until, former, unlinked_revision, unlinked_by, unlinked_at)");
    refused(&mut shell, &undone.replace("own_values\n", "own_values, 3, 'me', 2\n"), RULE).await;
    delete(&bench, ours.id).await;
    refused(&mut shell, &invented(ours.id, 3, "own_values"), RULE).await;
    assert_eq!(shell.number("SELECT count(*) FROM customer_link").await, 0);
}

/// Even somebody who undoes a real link by hand gets nothing back but what the customer had.
async fn the_database_refuses_to_undo_a_link_to_other_values(bench: Bench) {
    let before = bench.platform_customer("Linden").await;
    let linked = link(&bench, before.id, 1, 10, profile("Ada")).await.expect("a link");
    let mut shell = bench.shell().await;
    let turn = format!("UPDATE customer SET {PLATFORM_COLUMNS}, revision = revision + 1 WHERE id = '{}'", before.id);
    refused(&mut shell, &turn, "guard R").await;
    let undo = "UPDATE customer_link SET unlinked_revision = 3, unlinked_by = 'me', unlinked_at = 2";
    assert_eq!(shell.run(undo).await, Ok(1));
    // Now it keeps Partner Center's values, or takes others.
    for (verb, values) in [
        ("UPDATE", ""),
        ("UPDATE OR IGNORE", ", primary_email = 'mine@example.com'"),
        ("UPDATE OR REPLACE", ", company_name = 'Linden', domain = 'example.com'"),
    ] {
        let turn = format!(
            "{verb} customer SET {PLATFORM_COLUMNS}{values}, revision = revision + 1 WHERE id = '{}'",
            before.id
        );
        refused(&mut shell, &turn, "guard R6: a customer is unlinked to the values it had before the link").await;
    }
    assert_eq!(bench.customer(before.id).await, linked);
}

async fn the_database_refuses_to_undo_a_link_that_is_too_old_or_undone(bench: Bench) {
    const RULE: &str = "guard R6: a link is undone once and in its time, and nothing else of it changes";
    let before = bench.platform_customer("Linden").await;
    link(&bench, before.id, 1, 10, profile("Ada")).await.expect("a link");
    let until = bench.clock.now().plus(REVERSIBLE_FOR).micros();
    let mut shell = bench.shell().await;
    for (revision, at) in [(3, until), (3, until + 1), (2, 1), (4, 1), (1, 1)] {
        let undo =
            format!("UPDATE customer_link SET unlinked_revision = {revision}, unlinked_by = 'me', unlinked_at = {at}");
        refused(&mut shell, &undo, RULE).await;
    }
    unlink(&bench, before.id).await;
    link(&bench, before.id, 1, 11, profile("Ada")).await.expect("another link");
    for (first, revision) in [(2, 5), (2, 6)] {
        let again = format!("UPDATE customer_link SET unlinked_revision = {revision} WHERE linked_revision = {first}");
        refused(&mut shell, &again, RULE).await;
    }
    // Without its former values a link cannot be undone.
    assert_eq!(shell.run("UPDATE customer_link SET former = NULL WHERE unlinked_revision IS NULL").await, Ok(1));
    let undo = "UPDATE customer_link SET unlinked_revision = 5, unlinked_by = 'me', unlinked_at = 2 WHERE unlinked_revision IS NULL";
    refused(&mut shell, undo, RULE).await;
}

async fn the_database_refuses_to_rewrite_a_link(bench: Bench) {
    let [one, two] = [bench.platform_customer("One").await, bench.platform_customer("Two").await];
    link(&bench, one.id, 1, 10, profile("Ada")).await.expect("a link");
    unlink(&bench, one.id).await;
    link(&bench, two.id, 2, 11, profile("Eve")).await.expect("a link");
    let mut shell = bench.shell().await;
    let rows = "SELECT string_agg(customer_id || tenant_id || linked_by || keep_until || coalesce(former, '-'), ',') FROM customer_link";
    let before = shell.texts(rows, 0).await;
    for change in [
        "account = 'fabrikam'",
        "customer_id = 'x'",
        "linked_revision = 7",
        "tenant_id = 'x'",
        "linked_by = 'me'",
        "linked_at = 1",
        "keep_until = 9000000000000000000",
        "former = '{}'",
        "former = replace(coalesce(former, '{}'), 'Two', 'Mine')",
        "unlinked_by = 'me', unlinked_revision = coalesce(unlinked_revision, 0) + 1, unlinked_at = 1",
    ] {
        for verb in ["UPDATE", "UPDATE OR REPLACE"] {
            refused(&mut shell, &format!("{verb} customer_link SET {change}"), "guard R6: a link is undone once").await;
        }
    }
    refused(&mut shell, "DELETE FROM customer_link", "guard R6: links are undone, not deleted").await;
    let replaced = "INSERT OR REPLACE INTO customer_link SELECT * FROM customer_link";
    refused(&mut shell, replaced, "guard R6").await;
    assert_eq!(shell.texts(rows, 0).await, before);
}

async fn a_linked_customer_is_guarded_as_every_other(bench: Bench) {
    let before = bench.platform_customer("Linden").await;
    let linked = link(&bench, before.id, 1, 10, profile("Ada")).await.expect("a link");
    let mut shell = bench.shell().await;
    for change in
        ["primary_email = 'x'", "company_name = 'x'", "domain = ''", "relationship = 'ENDED'", "source = 'PLATFORM'"]
    {
        let sql = format!("UPDATE customer SET {change}, revision = revision + 1 WHERE id = '{}'", before.id);
        refused(&mut shell, &sql, "guard R3").await;
    }
    // Nobody links it again, and nobody links another one to its tenant.
    refused(&mut shell, &invented(before.id, 3, "own_values"), "guard R6").await;
    let other = bench.platform_customer("Other").await;
    let taken = link(&bench, other.id, 1, 11, profile("Eve")).await;
    assert!(matches!(taken, Err(Error::Backstop(_))), "{taken:?}");
    assert_eq!(bench.customer(before.id).await, linked);
    assert_eq!(bench.customer(other.id).await, other);
}
