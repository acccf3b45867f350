//! A watch that is broken off, anywhere, goes on and misses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use customer_guard::domain::access::Enforcement;
use customer_guard::domain::contact::{ContactField, ContactRole};
use customer_guard::domain::customer::Source;
use customer_guard::domain::deletion::{self, Verdict};
use customer_guard::domain::edit::{CustomerEdit, Wish};
use customer_guard::domain::field::Field;
use customer_guard::domain::ids::{CustomerId, PartnerAccountId};
use customer_guard::domain::review::{Review, review};
use customer_guard::grpc::proto::watch_customers_response::Event;
use customer_guard::grpc::proto::{
    ChangeKind, Customer, CustomerChange, ListCustomersRequest, Relationship, SnapshotCause, SyncRun, SyncRunCause,
    SyncRunKind, SyncRunState,
};
use customer_guard::store::{Error, Store, Tx};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;

use crate::harness::cast::{bakery, contact, member, unverified};
use crate::harness::database::{back_up, count, restore};
use crate::harness::told::Told;
use crate::harness::watcher::{Watcher, from_now_on, resuming, watching};
use crate::harness::{Guard, Plan, World, eventually};

const CONTOSO: &str = "partnerAccounts/contoso";
const CHANGES: i64 = 10_000;

async fn open(guard: &Guard, request: customer_guard::grpc::proto::WatchCustomersRequest) -> Watcher {
    Watcher::open(&guard.customers, request).await.expect("a watch")
}

async fn also_deleted(guard: &Guard) -> BTreeMap<String, Customer> {
    let request =
        ListCustomersRequest { parent: CONTOSO.to_owned(), page_size: 1000, show_deleted: true, ..Default::default() };
    let page = guard.customers.clone().list_customers(request).await.expect("a page").into_inner();
    assert_eq!(page.next_page_token, "");
    page.customers.into_iter().map(|customer| (customer.name.clone(), customer)).collect()
}

/// What a caller believes by what it was told, and the newest state it ever saw of anybody.
#[derive(Default)]
struct Belief {
    customers: BTreeMap<String, Customer>,
    newest: BTreeMap<String, i64>,
}

impl Belief {
    fn see(&mut self, customer: Customer) {
        let newest = self.newest.entry(customer.name.clone()).or_default();
        assert!(*newest <= customer.revision, "{} is shown older than it was: {customer:?}", customer.name);
        *newest = customer.revision;
        self.customers.insert(customer.name.clone(), customer);
    }

    fn heed(&mut self, event: Event) {
        match event {
            Event::SnapshotStart(_) => self.customers.clear(),
            Event::SnapshotCustomer(customer) => self.see(customer),
            Event::SnapshotEnd(_) | Event::Checkpoint(_) => {}
            Event::Change(change) => {
                let is_new = change.kinds().any(|kind| kind == ChangeKind::Created);
                let named = paths(&change);
                let customer = change.customer.expect("a customer");
                match self.customers.get(&customer.name) {
                    Some(before) if !is_new => {
                        let differ = differing(before, &customer);
                        assert!(named.is_superset(&differ), "{differ:?} differ, and {named:?} are told");
                    }
                    Some(_) => {}
                    None => assert!(is_new, "nobody comes from nowhere: {customer:?}"),
                }
                self.see(customer);
            }
        }
    }
}

fn paths(change: &CustomerChange) -> BTreeSet<String> {
    change.changed_fields.iter().flat_map(|mask| mask.paths.iter().cloned()).collect()
}

/// The fields in which two states of a customer differ.
fn differing(before: &Customer, after: &Customer) -> BTreeSet<String> {
    let (mut before, mut after) = (before.clone(), after.clone());
    let differs = |field: &Field| match field {
        Field::Contact(role, one) => {
            let before = member(contact(&mut before, *role), *one);
            before != member(contact(&mut after, *role), *one)
        }
        Field::CompanyName => before.company_name != after.company_name,
        Field::TenantName => before.tenant_name != after.tenant_name,
        Field::Domain => before.domain != after.domain,
        Field::MicrosoftTenantId => before.microsoft_tenant_id != after.microsoft_tenant_id,
        Field::Relationship => before.relationship != after.relationship,
        Field::Resellers => before.resellers != after.resellers,
        Field::ExternalReference => before.external_reference != after.external_reference,
        Field::Labels => before.labels != after.labels,
        Field::Note => before.note != after.note,
        Field::Status => before.status != after.status,
    };
    Field::all().filter(differs).map(|field| field.to_string()).collect()
}

fn unverified_all(customers: &BTreeMap<String, Customer>) -> Vec<Customer> {
    customers.values().cloned().map(unverified).collect()
}

/// One random change of a random customer, as a caller makes it.
async fn change_somebody(
    tx: &mut Tx,
    account: &PartnerAccountId,
    ids: &[CustomerId],
    dice: &mut StdRng,
) -> Result<(), Error> {
    let id = *ids.choose(dice).expect("somebody");
    let customer = tx.customer_for_update(account, id).await?.expect("a customer");
    let deletes = customer.source() == Source::Platform && dice.random_ratio(1, 8);
    let deletion = if customer.deleted_at.is_some() {
        deletion::undelete(&customer)
    } else if deletes {
        deletion::delete(&customer, tx.now())
    } else {
        Verdict::AlreadySo
    };
    if let Verdict::Do(deletion) = deletion {
        tx.save_deletion(deletion, "tester").await?;
        return Ok(());
    }
    let number = dice.random::<u64>();
    let wish = match (number % 4, customer.source()) {
        (0, _) => Wish::Note(format!("note {number}")),
        (1, _) => Wish::ExternalReference(format!("crm-{number}")),
        (2, Source::Platform) => Wish::Contact(ContactRole::Primary, ContactField::City, format!("City {number}")),
        _ => Wish::Labels([("dice".to_owned(), number.to_string())].into()),
    };
    let Review::Allowed(edit) = review(&customer, &CustomerEdit { wishes: vec![wish] }, Enforcement::Refuse) else {
        panic!("it is allowed")
    };
    tx.save_edit(edit, "tester").await?;
    Ok(())
}

/// Changes customers, a few at a time, until there are enough changes.
async fn keep_changing(store: Store, ids: Vec<CustomerId>, database: std::path::PathBuf, seed: u64) {
    let mut dice = StdRng::seed_from_u64(seed);
    let account: PartnerAccountId = "contoso".parse().expect("a well-formed id");
    while count(&database, "SELECT count(*) FROM change_log").await < CHANGES {
        for _ in 0..5 {
            let some = dice.random_range(1..=80);
            let written = store
                .write("change_somebody", async |tx| {
                    for _ in 0..some {
                        change_somebody(tx, &account, &ids, &mut dice).await?;
                    }
                    Ok::<_, Error>(())
                })
                .await;
            written.expect("it is written");
        }
    }
}

/// Watches, broken off and resumed at random, until everything has been told that was changed before `done`.
async fn watch_badly(guard: &Guard, done: watch::Receiver<bool>, seed: u64) -> (Belief, usize) {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut belief = Belief::default();
    // Cursors since the last snapshot began: what is resumed at an earlier one is a part of what is believed.
    let mut cursors: Vec<String> = Vec::new();
    let mut broken_off = 0;
    loop {
        let was_done = *done.borrow();
        // Mostly where it stopped, sometimes earlier, as after a crash that lost the last cursors.
        let back = if dice.random_ratio(1, 3) { dice.random_range(0..40) } else { 0 };
        let cursor = cursors.len().checked_sub(back + 1).and_then(|place| cursors.get(place)).or(cursors.first());
        let request = cursor.map_or_else(|| watching(CONTOSO), |cursor| resuming(CONTOSO, cursor));
        let mut watcher = open(guard, request).await;
        let patience = dice.random_range(1..500);
        for _ in 0..patience {
            let event = watcher.next().await;
            if let Event::SnapshotStart(_) = event {
                cursors.clear();
            }
            let is_level = matches!(event, Event::Checkpoint(_));
            belief.heed(event);
            cursors.push(watcher.cursor.clone());
            if is_level && was_done {
                return (belief, broken_off);
            }
            // Nothing more will come: whether that was all is seen with a stream that begins after it.
            if is_level && *done.borrow() {
                break;
            }
        }
        broken_off += 1;
    }
}

#[tokio::test]
async fn whoever_is_stopped_at_random_sees_the_final_state_and_never_goes_back() {
    let world = World::with_customers(120).await;
    for _ in 0..40 {
        world.guard.create(bakery()).await;
    }
    let ids = also_deleted(&world.guard).await.into_keys();
    let ids: Vec<CustomerId> =
        ids.map(|name| name.rsplit('/').next().expect("an id").parse().expect("an id")).collect();
    let (tell, done) = watch::channel(false);
    let writers = async {
        let writer = |seed| keep_changing(world.guard.store.clone(), ids.clone(), world.guard.database.clone(), seed);
        let upstream = async {
            for (number, tenant) in world.tenants().into_iter().enumerate().take(60) {
                world.change_email(tenant, &format!("customer{number}@upstream.example"));
                if number % 20 == 19 {
                    world.read_audit_log().await;
                }
            }
        };
        tokio::join!(writer(1), writer(2), upstream);
        tell.send_replace(true);
    };
    let watcher = |seed| watch_badly(&world.guard, done.clone(), seed);
    let (first, second, ()) = tokio::join!(watcher(11), watcher(12), writers);
    let there = also_deleted(&world.guard).await;
    for (belief, broken_off) in [first, second] {
        assert!(unverified_all(&belief.customers) == unverified_all(&there), "what is believed is what is");
        assert!(broken_off > 3, "it was broken off {broken_off} times");
    }
    assert!(count(&world.guard.database, "SELECT count(*) FROM change_log").await >= CHANGES);
    world.end().await;
}

#[tokio::test]
async fn the_changed_fields_are_those_that_differ_between_two_states() {
    let world = World::with_customers(10).await;
    let mut watcher = open(&world.guard, watching(CONTOSO)).await;
    let (_, customers) = watcher.snapshot().await;
    let mut known: BTreeMap<String, Customer> =
        customers.into_iter().map(|customer| (customer.name.clone(), customer)).collect();
    for round in 0..4 {
        for (number, customer) in known.values().cloned().enumerate().collect::<Vec<_>>() {
            let note = format!("{round} {number}");
            let update = Customer { note: note.clone(), external_reference: note, etag: String::new(), ..customer };
            world.guard.update(update.clone(), &["note"]).await;
            if number % 2 == 0 {
                world.guard.update(update, &["external_reference"]).await;
            }
        }
        world.change_email(world.tenants()[round], &format!("{round}@upstream.example"));
        world.read_audit_log().await;
        while unverified_all(&known) != unverified_all(&also_deleted(&world.guard).await) {
            let change = watcher.change().await;
            let named = paths(&change);
            let customer = change.customer.expect("a customer");
            let before = known.insert(customer.name.clone(), customer.clone()).expect("a known customer");
            assert_eq!(named, differing(&before, &customer));
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_cursor_from_before_what_is_kept_leads_to_a_snapshot_and_on() {
    let plan = Plan { change_log_retention: Duration::from_secs(2 * 3600), ..Plan::usual() };
    let world = World::with(plan, 4).await;
    let customers = world.guard.all("contoso").await;
    let mut watcher = open(&world.guard, from_now_on(CONTOSO)).await;
    watcher.checkpoint().await;
    let note = |text: &str| Customer { note: text.to_owned(), etag: String::new(), ..customers[0].clone() };
    world.guard.update(note("old"), &["note"]).await;
    watcher.change().await;
    let (old, runs) = (watcher.cursor.clone(), world.guard.runs("contoso").await);
    drop(watcher);
    world.guard.update(note("older than the cursor's resumption"), &["note"]).await;
    world.advance(Duration::from_secs(3 * 3600));
    let kept = "SELECT count(*) FROM change_log";
    eventually("the changes are forgotten", async || (count(&world.guard.database, kept).await == 0).then_some(()))
        .await;
    let mut watcher = open(&world.guard, resuming(CONTOSO, &old)).await;
    let (cause, snapshot) = watcher.snapshot().await;
    let timeless = |customers: Vec<Customer>| customers.into_iter().map(unverified).collect::<Vec<_>>();
    assert_eq!((cause, timeless(snapshot)), (SnapshotCause::CursorTooOld, timeless(world.guard.all("contoso").await)));
    let last = world.guard.update(note("new"), &["note"]).await;
    assert_eq!(watcher.change().await.customer, Some(last.clone()));
    let mut watcher = open(&world.guard, resuming(CONTOSO, &watcher.cursor)).await;
    watcher.checkpoint().await;
    // What the first sync did is still known.
    let first = runs.last().expect("the first run");
    let now = world.guard.runs("contoso").await;
    assert_eq!((now.last(), first.created), (Some(first), 4));
    world.end().await;
}

#[tokio::test]
async fn a_snapshot_is_resumed_where_it_was_broken_off() {
    let world = World::with_customers(450).await;
    let mut met = Vec::new();
    let mut watcher = open(&world.guard, watching(CONTOSO)).await;
    let Event::SnapshotStart(_) = watcher.next().await else { panic!("a snapshot begins") };
    // Twice, once at the end of what is read at a time.
    for part in [200, 33] {
        for _ in 0..part {
            let Event::SnapshotCustomer(customer) = watcher.next().await else { panic!("a customer") };
            met.push(customer);
        }
        watcher = open(&world.guard, resuming(CONTOSO, &watcher.cursor)).await;
    }
    let changed = Customer { note: "Meanwhile.".to_owned(), etag: String::new(), ..met[0].clone() };
    let changed = world.guard.update(changed, &["note"]).await;
    let (rest, counted) = watcher.rest_of_snapshot().await;
    assert_eq!((rest.len(), counted), (217, 217));
    met.extend(rest);
    assert_eq!(watcher.change().await.customer, Some(changed.clone()), "what changed meanwhile follows");
    met[0] = changed;
    assert_eq!(met, world.guard.all("contoso").await);
    world.end().await;
}

#[tokio::test]
async fn a_cursor_that_is_damaged_or_of_another_watch_is_refused() {
    let world = World::with_customers(2).await;
    let mut watcher = open(&world.guard, from_now_on(CONTOSO)).await;
    watcher.checkpoint().await;
    let cursor = watcher.cursor.clone();
    let page_token = {
        let request = ListCustomersRequest { parent: CONTOSO.to_owned(), page_size: 1, ..Default::default() };
        world.guard.customers.clone().list_customers(request).await.expect("a page").into_inner().next_page_token
    };
    let wrong = [
        (CONTOSO, "nonsense".to_owned()),
        (CONTOSO, cursor[1..].to_owned()),
        (CONTOSO, page_token),
        ("partnerAccounts/-", cursor.clone()),
    ];
    for (parent, cursor) in wrong {
        let told = Watcher::open(&world.guard.customers, resuming(parent, &cursor)).await.err().expect("a refusal");
        assert_eq!((told.code, told.reason().as_str()), (tonic::Code::InvalidArgument, "INVALID_CURSOR"), "{cursor}");
    }
    open(&world.guard, resuming(CONTOSO, &cursor)).await.checkpoint().await;
    world.end().await;
}

/// A page of one customer, and what the next page begins with.
async fn page_of_one(world: &World, page_token: &str) -> Result<String, Told> {
    let request = ListCustomersRequest {
        parent: CONTOSO.to_owned(),
        page_size: 1,
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    let page = world.guard.customers.clone().list_customers(request).await;
    page.map(|page| page.into_inner().next_page_token).map_err(Told::from)
}

#[tokio::test]
async fn r17_whoever_knows_more_than_a_restored_database_is_told_so_and_everybody_is_looked_at_before_anybody_ends() {
    let world = World::with_customers(3).await;
    let (database, backup) = (world.guard.database.clone(), world.folder.path().join("backup.db"));
    back_up(&database, &backup).await;
    let kept_token = page_of_one(&world, "").await.expect("a page");
    let mut watcher = open(&world.guard, from_now_on(CONTOSO)).await;
    watcher.checkpoint().await;
    let kept_cursor = watcher.cursor.clone();
    // From here on everything is lost.
    let mut linden = world.guard.all("contoso").await.remove(0);
    let lost = world.guard.create(bakery()).await;
    "lost with the database".clone_into(&mut linden.note);
    let edited = world.guard.update(linden.clone(), &["note"]).await;
    let lost_token = page_of_one(&world, "").await.expect("a page");
    watcher.change().await;
    watcher.change().await;
    let lost_cursor = watcher.cursor.clone();
    drop(watcher);
    let runs = world.guard.runs("contoso").await;
    // Nothing but a look at everybody finds that.
    world.change_email_silently(world.tenants()[1], "found@example.com");

    let world = world.restart_after(move || restore(&backup, &database)).await;
    // As many changes as were lost, and more: places and revisions are the same ones again.
    world.advance(Duration::from_secs(1));
    for number in 0..4 {
        let now = world.guard.get(&linden.name).await;
        let again = Customer { note: format!("since then {number}"), etag: String::new(), ..now };
        let again = world.guard.update(again, &["note"]).await;
        if again.revision == edited.revision {
            let told = world.guard.refused(Customer { note: "again".to_owned(), ..edited.clone() }, &["note"]).await;
            assert_eq!((told.code, told.reason().as_str()), (tonic::Code::Aborted, "STALE_ETAG"));
        }
    }
    let mut watcher = open(&world.guard, resuming(CONTOSO, &lost_cursor)).await;
    let (cause, customers) = watcher.snapshot().await;
    assert_eq!((cause, customers.len()), (SnapshotCause::StoreRestored, 3));
    let told = page_of_one(&world, &lost_token).await.expect_err("it is of a history that is lost");
    assert_eq!((told.code, told.reason().as_str()), (tonic::Code::FailedPrecondition, "STORE_RESTORED"));
    let told = world.guard.refused(Customer { note: "again".to_owned(), ..lost }, &["note"]).await;
    assert_eq!((told.code, told.reason().as_str()), (tonic::Code::NotFound, "CUSTOMER_NOT_FOUND"));
    // What was told before the backup is as good as ever.
    page_of_one(&world, &kept_token).await.expect("the list goes on");
    open(&world.guard, resuming(CONTOSO, &kept_cursor)).await.change().await;

    // Everybody is looked at without a night and without a caller.
    let run = eventually("the account is synchronized in full", async || {
        let newest = world.guard.runs("contoso").await;
        newest.into_iter().find(|run| {
            run.kind() == SyncRunKind::Full && run.state() == SyncRunState::Succeeded && !runs.contains(run)
        })
    })
    .await;
    assert_eq!((run.cause(), run.fetched), (SyncRunCause::First, 3));
    let found = world.customer(world.tenants()[1]).await;
    assert_eq!(found.primary_contact.expect("a contact").email, "found@example.com");
    world.pass_a_night().await;
    let all = world.guard.all("contoso").await;
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|one| one.relationship() == Relationship::Active));
    world.end().await;
}

#[tokio::test]
async fn a_service_that_only_starts_anew_goes_on_in_the_same_history() {
    let world = World::with_customers(3).await;
    let token = page_of_one(&world, "").await.expect("a page");
    let mut watcher = open(&world.guard, from_now_on(CONTOSO)).await;
    watcher.checkpoint().await;
    let cursor = watcher.cursor.clone();
    drop(watcher);
    let runs = world.guard.runs("contoso").await;
    let world = world.restart().await;
    let again = Customer { note: "Since then.".to_owned(), ..world.guard.all("contoso").await.remove(0) };
    let again = world.guard.update(again, &["note"]).await;
    let mut watcher = open(&world.guard, resuming(CONTOSO, &cursor)).await;
    assert_eq!(watcher.change().await.customer, Some(again));
    page_of_one(&world, &token).await.expect("the list goes on");
    let world = world.restart().await;
    open(&world.guard, resuming(CONTOSO, &cursor)).await.change().await;
    world.read_list().await;
    let full = |runs: &[SyncRun]| runs.iter().filter(|run| run.kind() == SyncRunKind::Full).count();
    assert_eq!(full(&world.guard.runs("contoso").await), full(&runs), "nobody was looked at for it");
    world.end().await;
}
