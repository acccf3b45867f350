//! An account that another process made or changed, in a process that has not been told of it: nothing here follows wake-ups.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use customer_guard::domain::access::{Caller, Denied};
use customer_guard::domain::account::{Cloud, PartnerKind};
use customer_guard::domain::account_draft::AccountDraft;
use customer_guard::domain::create::CustomerDraft;
use customer_guard::domain::filter::Filter;
use customer_guard::domain::ids::CustomerId;
use customer_guard::domain::order::Order;
use customer_guard::domain::policy::{Night, Pace, SyncPolicy};
use customer_guard::domain::sync_settings::SyncSettings;
use customer_guard::operations::accounts::{AccountNotFound, Accounts};
use customer_guard::operations::create_customer::{CreateCustomer, WriteMode, create_customer};
use customer_guard::operations::create_partner_account::{CreatePartnerAccount, create_partner_account};
use customer_guard::operations::get_sync_status::get_sync_status;
use customer_guard::operations::list_customers::{ListCustomers, Parent, list_customers};
use customer_guard::operations::once::Outcome;
use customer_guard::operations::partner_accounts::{PartnerAccountError, get_partner_account, list_partner_accounts};
use customer_guard::operations::start_sync::start_sync;
use customer_guard::operations::watch_customers::{Watch, WatchBegin, WatchCustomers, WatchEvent, watch_customers};
use customer_guard::store::{Deleted, Store};

use crate::bench::{Bench, account_id, contact, tenant};

contract! {
    an_account_that_was_just_made_elsewhere_is_found_by_every_kind_of_call,
    an_account_that_was_just_made_elsewhere_is_in_every_list_of_all,
    a_watch_of_all_tells_of_the_customers_of_an_account_that_was_just_made_elsewhere,
    a_watch_that_goes_on_here_tells_of_the_customers_of_an_account_that_was_made_where_it_began,
    settings_that_were_told_are_gone_by,
    an_account_of_another_configuration_is_not_served,
    who_may_not_look_is_told_so_before_anything_is_looked_up,
}

/// What one process knows of the accounts.
fn process() -> Accounts {
    Accounts::new(Pace {
        policy: SyncPolicy {
            night: Night::new("0 2 * * *", "Europe/Riga").expect("a sound night"),
            audit_interval: Duration::from_secs(60),
            list_interval: Duration::from_secs(900),
            verify_within: Duration::from_secs(86_400),
            manual_cooldown: Duration::from_secs(3_600),
        },
        requests_per_minute: NonZeroU32::MIN,
        concurrency: NonZeroUsize::MIN,
    })
}

fn admin() -> Caller {
    Caller::loopback(Some("portal"))
}

/// Made through another process.
async fn made_elsewhere(store: &Store, name: &str, number: u32) {
    let draft = AccountDraft {
        display_name: name.to_owned(),
        kind: Some(PartnerKind::DirectBill),
        cloud: Some(Cloud::Global),
        tenant_id: Some(tenant(0xeeee_0000 + number)),
        state: None,
        settings: SyncSettings::default(),
    };
    let request = CreatePartnerAccount { id: account_id(name), draft, mode: WriteMode::Write };
    create_partner_account(store, &process(), &admin(), request, None).await.expect("a new account");
}

async fn an_account_that_was_just_made_elsewhere_is_found_by_every_kind_of_call(bench: Bench) {
    let here = bench.beside().await;
    let names = ["told", "listed", "written", "synchronized", "asked"];
    for (number, name) in (0..).zip(names) {
        made_elsewhere(&bench.store, name, number).await;
    }
    // Each call is the first that this process hears of its account.
    let accounts = process();
    let [told, listed, written, synchronized, asked] = names.map(account_id);
    let record = get_partner_account(&here, &accounts, &admin(), &told).await.expect("it is told");
    assert_eq!(record.account.display_name, "told");
    let request = ListCustomers {
        parent: Parent::Account(listed.clone()),
        filter: Filter::default(),
        order: Order::default(),
        deleted: Deleted::Hidden,
    };
    let list = list_customers(&here, &accounts, &admin(), request, None, 9).await.expect("a list");
    assert!(list.customers.is_empty());
    let draft = CustomerDraft {
        company_name: "Linden".to_owned(),
        domain: "linden.example".to_owned(),
        primary_contact: contact("primary"),
        ..CustomerDraft::default()
    };
    let request = CreateCustomer { account: written.clone(), draft, mode: WriteMode::Write };
    let made = create_customer(&here, &accounts, &admin(), request, None).await.expect("it is written");
    assert!(matches!(made, Outcome::Now(made) if made.customer.account == written));
    start_sync(&here, &accounts, &admin(), &synchronized, None).await.expect("a run is asked for");
    let now = bench.clock.now();
    get_sync_status(&here, &accounts, &admin(), &asked, now).await.expect("a status");
    // Whoever was met is known from now on; the other accounts of the store are not looked for.
    let known: Vec<_> = accounts.all().iter().map(|served| served.account.id.clone()).collect();
    let mut met = vec![told, listed, written, synchronized, asked];
    met.sort();
    assert_eq!(known, met);
}

/// A customer of an account that another process has just made, written there.
async fn written_elsewhere(store: &Store, name: &str, number: u32) -> CustomerId {
    made_elsewhere(store, name, number).await;
    let draft = CustomerDraft {
        company_name: format!("{name} Ltd"),
        domain: format!("{name}.example"),
        primary_contact: contact(name),
        ..CustomerDraft::default()
    };
    let request = CreateCustomer { account: account_id(name), draft, mode: WriteMode::Write };
    match create_customer(store, &process(), &admin(), request, None).await.expect("it is written") {
        Outcome::Now(made) => made.customer.id,
        Outcome::Before(_) => panic!("it is not repeated"),
    }
}

async fn an_account_that_was_just_made_elsewhere_is_in_every_list_of_all(bench: Bench) {
    let (here, accounts) = (bench.beside().await, process());
    for (name, number) in [("northwind", 1), ("adatum", 2)] {
        let customer = written_elsewhere(&bench.store, name, number).await;
        let request = ListCustomers {
            parent: Parent::Every,
            filter: Filter::default(),
            order: Order::default(),
            deleted: Deleted::Hidden,
        };
        let list = list_customers(&here, &accounts, &admin(), request, None, 9).await.expect("a list");
        assert!(list.customers.iter().any(|shown| shown.id == customer), "{name}");
    }
    made_elsewhere(&bench.store, "fabrikam", 3).await;
    let list = list_partner_accounts(&here, &accounts, &admin(), None, 9).await.expect("a list");
    let ids: Vec<_> = list.accounts.iter().map(|record| record.account.id.as_str()).collect();
    assert_eq!(ids, ["adatum", "fabrikam", "northwind"], "and none of another configuration");
}

/// A watch of all accounts that never waits.
async fn watch(store: &Store, accounts: &Accounts, begin: WatchBegin) -> Watch {
    let request = WatchCustomers { parent: Parent::Every, begin, kinds: [].into(), quiet: Duration::ZERO };
    watch_customers(store, accounts, &admin(), request).await.expect("a watch")
}

/// The customers that a watch tells of until it is level.
async fn told(watch: &mut Watch) -> Vec<CustomerId> {
    let mut told = Vec::new();
    loop {
        match watch.next().await.expect("it goes on").event {
            WatchEvent::Change(change) => told.push(change.customer.id),
            WatchEvent::SnapshotCustomer(customer) => told.push(customer.id),
            WatchEvent::SnapshotStart(_) | WatchEvent::SnapshotEnd(_) => {}
            WatchEvent::Checkpoint(_) => return told,
        }
    }
}

async fn a_watch_of_all_tells_of_the_customers_of_an_account_that_was_just_made_elsewhere(bench: Bench) {
    let (here, accounts) = (bench.beside().await, process());
    let before = written_elsewhere(&bench.store, "northwind", 1).await;
    let mut all = watch(&here, &accounts, WatchBegin::Snapshot).await;
    assert_eq!(told(&mut all).await, [before], "the snapshot has it");
    let mut changes = watch(&here, &accounts, WatchBegin::Now).await;
    assert!(told(&mut changes).await.is_empty());
    // Nothing here has heard of these.
    let since =
        [written_elsewhere(&bench.store, "adatum", 2).await, written_elsewhere(&bench.store, "fabrikam", 3).await];
    assert_eq!(told(&mut changes).await, since);
    assert_eq!(told(&mut all).await, since);
    // One of another configuration is passed over, and stays so.
    bench.microsoft_customer(1, "Ada").await;
    assert!(told(&mut changes).await.is_empty());
}

async fn a_watch_that_goes_on_here_tells_of_the_customers_of_an_account_that_was_made_where_it_began(bench: Bench) {
    let (there, elsewhere) = (bench.store.clone(), process());
    let mut first = watch(&there, &elsewhere, WatchBegin::Now).await;
    let cursor = first.next().await.expect("it begins").cursor;
    let customer = written_elsewhere(&bench.store, "northwind", 1).await;
    let (here, accounts) = (bench.beside().await, process());
    let mut second = watch(&here, &accounts, WatchBegin::After(cursor)).await;
    assert_eq!(told(&mut second).await, [customer]);
}

async fn settings_that_were_told_are_gone_by(bench: Bench) {
    let here = bench.beside().await;
    made_elsewhere(&bench.store, "northwind", 1).await;
    let (accounts, id) = (process(), account_id("northwind"));
    let first = get_partner_account(&here, &accounts, &admin(), &id).await.expect("it is told");
    let mut wanted = first.clone();
    wanted.settings.verify_within = Some(Duration::from_secs(7_200));
    let changed = bench.store.write("update_account", async |tx| tx.update_account(&wanted).await).await;
    assert!(changed.expect("it is changed").revision > first.revision);
    get_partner_account(&here, &accounts, &admin(), &id).await.expect("it is told");
    let served = accounts.find(&id).expect("it is known");
    assert_eq!(served.policy.verify_within, Duration::from_secs(7_200));
    // An older record that comes late changes nothing.
    accounts.put(&first);
    assert_eq!(accounts.find(&id).expect("it is known").policy.verify_within, Duration::from_secs(7_200));
}

async fn an_account_of_another_configuration_is_not_served(bench: Bench) {
    let accounts = process();
    for id in [&bench.account, &account_id("nobody")] {
        let found = accounts.find_in(&bench.store, id).await.expect("the store answers");
        assert_eq!(found, Err(AccountNotFound(id.clone())));
    }
}

async fn who_may_not_look_is_told_so_before_anything_is_looked_up(bench: Bench) {
    made_elsewhere(&bench.store, "northwind", 1).await;
    let (accounts, stranger) = (process(), Caller { roles: [].into(), ..admin() });
    for name in ["northwind", "nobody"] {
        let refused = get_partner_account(&bench.store, &accounts, &stranger, &account_id(name)).await;
        assert!(matches!(refused, Err(PartnerAccountError::Denied(Denied { .. }))), "{refused:?}");
    }
    assert!(accounts.all().is_empty());
}
