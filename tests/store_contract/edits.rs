//! Door one: reviewed edits, their revisions and their change log.

use customer_guard::domain::access::Enforcement;
use customer_guard::domain::contact::{ContactField, ContactRole};
use customer_guard::domain::customer::{Billing, CustomerStatus};
use customer_guard::domain::edit::{CustomerEdit, Wish};
use customer_guard::domain::review::{Review, review};
use customer_guard::store::{DecisionOutcome, Saved};

use crate::bench::{Bench, allowed, contact, email, note, tenant};

contract! {
    every_member_of_a_platform_customer_comes_back_as_it_was_saved,
    a_saved_edit_comes_back_as_it_was_saved,
    a_saved_edit_of_a_microsoft_customer_keeps_what_partner_center_owns,
    a_cleared_billing_contact_mirrors_again,
    a_cleared_billing_contact_mirrors_again_even_when_it_was_equal,
    an_edit_reviewed_against_an_older_revision_is_stale,
    an_edit_that_changes_nothing_writes_nothing,
    the_change_log_has_one_row_for_every_revision_and_never_a_gap,
    a_refusal_is_kept_with_paths_and_without_values,
    an_account_does_not_reach_the_customers_of_another,
    ids_are_read_in_any_spelling_and_kept_in_one,
}

async fn every_member_of_a_platform_customer_comes_back_as_it_was_saved(bench: Bench) {
    let made = bench.platform_customer("Linden").await;
    assert_eq!(made.billing, Billing::Own(contact("billing")));
    assert_eq!(bench.customer(made.id).await, made);
}

async fn a_saved_edit_comes_back_as_it_was_saved(bench: Bench) {
    let made = bench.platform_customer("Linden").await;
    bench.step(5);
    let mut edit = CustomerEdit::default();
    edit.replace_contact(ContactRole::Primary, &contact("other"));
    edit.replace_contact(ContactRole::Billing, &contact("another"));
    edit.wish(Wish::CompanyName("Linden 2".to_owned()));
    edit.wish(Wish::Domain("linden.example".to_owned()));
    edit.wish(Wish::ExternalReference("crm-8".to_owned()));
    edit.wish(Wish::Labels([("a".to_owned(), "\"{}é".to_owned())].into()));
    edit.wish(note("other"));
    edit.wish(Wish::Status(CustomerStatus::Blocked));
    let wanted = allowed(&made, &edit).after().clone();
    let Saved::Now(saved) = bench.edit(made.id, edit.wishes).await.expect("the edit is saved") else {
        panic!("the edit must be saved");
    };
    assert_eq!(saved.revision, made.revision.next());
    assert_eq!(saved.updated_at, bench.clock.now());
    assert_eq!(bench.customer(made.id).await, saved);
    let as_wanted =
        customer_guard::domain::customer::Customer { revision: saved.revision, updated_at: saved.updated_at, ..wanted };
    assert_eq!(saved, as_wanted);
}

async fn a_saved_edit_of_a_microsoft_customer_keeps_what_partner_center_owns(bench: Bench) {
    let made = bench.microsoft_customer(1, "Ada").await;
    let mut edit = vec![note("ours"), Wish::Status(CustomerStatus::Blocked)];
    edit.push(Wish::Contact(
        ContactRole::Primary,
        ContactField::Email,
        made.primary_contact.get(ContactField::Email).to_owned(),
    ));
    bench.edit(made.id, edit).await.expect("the edit is saved");
    let now = bench.customer(made.id).await;
    assert_eq!((now.primary_contact, now.billing, now.microsoft), (made.primary_contact, made.billing, made.microsoft));
    assert_eq!((now.note.as_str(), now.status), ("ours", CustomerStatus::Blocked));
}

async fn a_cleared_billing_contact_mirrors_again(bench: Bench) {
    let made = bench.platform_customer("Linden").await;
    bench.edit(made.id, vec![Wish::BillingMirrorsPrimary]).await.expect("the edit is saved");
    assert_eq!(bench.customer(made.id).await.billing, Billing::MirrorsPrimary);
    bench.edit(made.id, vec![email(ContactRole::Primary, "new@example.com")]).await.expect("the edit is saved");
    let now = bench.customer(made.id).await;
    assert_eq!(now.contact(ContactRole::Billing, ContactField::Email), "new@example.com");
}

/// Billing that was set to the primary's very values does not follow it; cleared, it must.
async fn a_cleared_billing_contact_mirrors_again_even_when_it_was_equal(bench: Bench) {
    let made = bench.platform_customer("Linden").await;
    let mut equal = CustomerEdit::default();
    equal.replace_contact(ContactRole::Billing, &made.primary_contact);
    bench.edit(made.id, equal.wishes).await.expect("the edit is saved");
    assert_eq!(bench.customer(made.id).await.billing, Billing::Own(made.primary_contact.clone()));
    bench.edit(made.id, vec![Wish::BillingMirrorsPrimary]).await.expect("the edit is saved");
    assert_eq!(bench.customer(made.id).await.billing, Billing::MirrorsPrimary);
}

async fn an_edit_reviewed_against_an_older_revision_is_stale(bench: Bench) {
    let made = bench.platform_customer("Linden").await;
    bench.edit(made.id, vec![note("first")]).await.expect("the edit is saved");
    let late = allowed(&made, &CustomerEdit { wishes: vec![note("second")] });
    let saved =
        bench.store.write("late", async |tx| tx.save_edit(late, "caller").await).await.expect("the store answers");
    assert!(matches!(saved, Saved::Stale), "{saved:?}");
    let now = bench.customer(made.id).await;
    assert_eq!((now.note.as_str(), now.revision.0), ("first", 2));
    assert_eq!(bench.shell().await.number("SELECT count(*) FROM change_log").await, 2);
}

async fn an_edit_that_changes_nothing_writes_nothing(bench: Bench) {
    let made = bench.platform_customer("Linden").await;
    bench.step(5);
    let mut edit = CustomerEdit::default();
    edit.replace_contact(ContactRole::Primary, &made.primary_contact);
    edit.replace_contact(ContactRole::Billing, made.billing_contact());
    let saved = bench.edit(made.id, edit.wishes).await.expect("the store answers");
    assert!(matches!(saved, Saved::Unchanged(_)), "{saved:?}");
    assert_eq!(bench.customer(made.id).await, made);
    assert_eq!(bench.shell().await.number("SELECT count(*) FROM change_log").await, 1);
}

async fn the_change_log_has_one_row_for_every_revision_and_never_a_gap(bench: Bench) {
    use customer_guard::domain::observation::Observed;
    let made = bench.platform_customer("Linden").await;
    let microsoft = bench.microsoft_customer(1, "Ada").await;
    for number in 0..10 {
        bench.edit(made.id, vec![note(&format!("{number}"))]).await.expect("the edit is saved");
        bench.edit(made.id, vec![note(&format!("{number}"))]).await.expect("no edit");
        let what = match number % 3 {
            0 => Observed::Present(crate::bench::profile(&format!("Ada{number}"))),
            1 => Observed::Unusable("no country".to_owned()),
            _ => Observed::Present(crate::bench::profile("Ada")),
        };
        bench.observe(1, crate::bench::mark(1, 20 + number), what).await.expect("the observation is saved");
        bench.edit(microsoft.id, vec![note(&format!("{number}"))]).await.expect("the edit is saved");
    }
    let mut shell = bench.shell().await;
    let gaps = "SELECT count(*) FROM customer c WHERE (SELECT count(*) FROM change_log l
        WHERE l.account = c.account AND l.customer_id = c.id AND l.revision BETWEEN 1 AND c.revision) <> c.revision";
    assert_eq!(shell.number(gaps).await, 0);
    assert_eq!(
        shell.number("SELECT count(*) FROM change_log").await,
        shell.number("SELECT CAST(sum(revision) AS BIGINT) FROM customer").await
    );
    let backwards = "SELECT count(*) FROM change_log a JOIN change_log b USING (account, customer_id)
        WHERE a.revision < b.revision AND a.sequence > b.sequence";
    assert_eq!(shell.number(backwards).await, 0);
}

async fn a_refusal_is_kept_with_paths_and_without_values(bench: Bench) {
    let made = bench.microsoft_customer(1, "Ada").await;
    let edit = CustomerEdit { wishes: vec![email(ContactRole::Billing, "secret@example.com"), note("fine")] };
    let Review::Refused(refusal) = review(&made, &edit, Enforcement::Refuse) else {
        panic!("the edit must be refused")
    };
    let decision = bench
        .store
        .write("refuse", async |tx| tx.save_decision(&made, "caller-7", &refusal, DecisionOutcome::Refused).await)
        .await;
    let decision = decision.expect("the decision is saved");
    let mut shell = bench.shell().await;
    let row = "SELECT id || ' ' || customer_id || ' ' || caller || ' ' || violations || ' ' || acceptable || ' ' || at FROM decision";
    let expected = format!(
        "{} {} caller-7 billing_contact.email:BILLING_MIRRORS_PRIMARY note {}",
        decision.id,
        made.id,
        bench.clock.now().micros()
    );
    assert_eq!(shell.texts(row, 0).await, [expected]);
    assert_eq!(bench.customer(made.id).await, made);
}

async fn an_account_does_not_reach_the_customers_of_another(bench: Bench) {
    let fabrikam = bench.add_partner("fabrikam", 1).await;
    let made = bench.platform_customer("Linden").await;
    bench.microsoft_customer(1, "Ada").await;
    assert_eq!(bench.store.customer(&fabrikam, made.id).await.expect("the store answers"), None);
    assert_eq!(bench.store.customer_of_tenant(&fabrikam, tenant(1)).await.expect("the store answers"), None);
}

async fn ids_are_read_in_any_spelling_and_kept_in_one(bench: Bench) {
    let made = bench.microsoft_customer(0xabcd, "Ada").await;
    let shouted = made.id.to_string().to_uppercase().parse().expect("a UUID in capitals");
    assert_eq!(bench.customer(shouted).await, made);
    let shouted = tenant(0xabcd).to_string().to_uppercase().parse().expect("a UUID in capitals");
    assert_eq!(bench.store.customer_of_tenant(&bench.account, shouted).await.expect("the store answers"), Some(made));
    bench.mark(&[0xabcd], customer_guard::store::Priority::Signal, None).await;
    assert_eq!(bench.shell().await.number("SELECT count(*) FROM upstream_customer").await, 1);
}
