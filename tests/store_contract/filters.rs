//! Filters and orders: the store finds exactly the customers that `Filter::matches` and `Order::compare` mean.

use std::collections::{BTreeMap, BTreeSet};

use customer_guard::domain::contact::{Contact, ContactField, ContactRole};
use customer_guard::domain::create::{CustomerDraft, admit};
use customer_guard::domain::customer::{Customer, CustomerStatus, Relationship};
use customer_guard::domain::edit::{CustomerEdit, Wish};
use customer_guard::domain::filter::{ChoiceField, Filter, TextField, TimeField};
use customer_guard::domain::ids::PartnerAccountId;
use customer_guard::domain::look::LookCause;
use customer_guard::domain::observation::{MicrosoftProfile, Observed};
use customer_guard::domain::order::{Order, Position};
use customer_guard::domain::pause::{self, PauseReason, Verdict};
use customer_guard::domain::reseller::{ListedReseller, Reseller};
use customer_guard::store::{CustomerQuery, Priority, Store, Tx};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::bench::{Bench, account_id, allowed, email, mark, note, tenant};
use crate::resellers::reseller_id;

contract! {
    a_filter_and_an_order_find_what_they_mean_page_by_page,
    a_customer_moved_while_it_is_walked_past_hides_no_other,
    nobodys_customers_are_no_customers,
}

/// Texts that differ in what engines like to differ in: case, wildcards of LIKE, quotes, length in bytes.
const TEXTS: [&str; 18] = [
    "",
    "Linden",
    "linden",
    "LINDEN BAKERY",
    "Linden Bakery",
    "bakery",
    "Bērziņa",
    "BĒRZIŅA",
    "bērziņa maiznīca",
    "100%",
    "under_score",
    "O'Neil \"x\" \\",
    "a*b",
    "*",
    "日本",
    "日",
    "🍞 and 🧈",
    "\u{10ffff}",
];
const KEYS: [&str; 4] = ["team", "cost-center", "x_1", "never"];
const FLEET: u32 = 48;

fn any_text() -> impl Strategy<Value = &'static str> {
    select(&TEXTS[..])
}

// ---- customers

/// What one customer is made of.
#[derive(Clone, Debug)]
struct Seed {
    is_microsoft: bool,
    account: usize,
    texts: Vec<&'static str>,
    labels: BTreeMap<String, String>,
    is_blocked: bool,
    fate: u8,
    step: u64,
}

fn any_seed() -> impl Strategy<Value = Seed> {
    let labels = proptest::collection::btree_map(
        select(&KEYS[..3]).prop_map(str::to_owned),
        any_text().prop_map(str::to_owned),
        0..3,
    );
    let texts = proptest::collection::vec(any_text(), 40);
    (any::<bool>(), 0_usize..2, texts, labels, any::<bool>(), 0_u8..5, 0_u64..3).prop_map(
        |(is_microsoft, account, texts, labels, is_blocked, fate, step)| Seed {
            is_microsoft,
            account,
            texts,
            labels,
            is_blocked,
            fate,
            step,
        },
    )
}

/// A contact that a caller may store.
fn sound_contact(texts: &[&str]) -> Contact {
    let mut contact = Contact::default();
    for (member, text) in ContactField::ALL.into_iter().zip(texts) {
        let has_value = !text.is_empty();
        contact.set(
            member,
            match member {
                ContactField::Email if has_value => format!("{}@Example.com", text.len()),
                ContactField::PhoneNumber if has_value => "+371 67".to_owned() + &text.len().to_string(),
                ContactField::Language | ContactField::Culture if has_value => "lv".to_owned(),
                ContactField::Country if has_value => "LV".to_owned(),
                _ if has_value && !matches!(member, ContactField::PostalCode) => (*text).to_owned(),
                _ => String::new(),
            },
        );
    }
    contact
}

async fn plant(bench: &Bench, number: u32, account: &PartnerAccountId, seed: &Seed) {
    bench.step(seed.step);
    let customer = if seed.is_microsoft {
        let mut contact = Contact::default();
        for (member, text) in ContactField::ALL.into_iter().zip(&seed.texts[10..]) {
            contact.set(member, *text);
        }
        let profile = MicrosoftProfile {
            company_name: seed.texts[0].to_owned(),
            tenant_name: seed.texts[1].to_owned(),
            domain: seed.texts[2].to_owned(),
            upstream_relationship: seed.texts[3].to_owned(),
            contact,
        };
        let wanted = async |tx: &mut Tx| {
            tx.mark_dirty(account, &[tenant(number)], Priority::Listed, LookCause::CustomerList).await
        };
        bench.store.write("mark", wanted).await.expect("it is marked");
        bench.observe_in(account, number, mark(1, 10), Observed::Present(profile), None).await.expect("it is saved");
        if seed.fate == 1 {
            let unusable = Observed::Unusable("broken".to_owned());
            bench.observe_in(account, number, mark(1, 11), unusable, None).await.expect("it is saved");
        }
        serve(bench, account, number).await;
        let found = bench.store.customer_of_tenant(account, tenant(number)).await;
        found.expect("the store answers").expect("it is there")
    } else {
        let draft = CustomerDraft {
            company_name: format!("{} {}", seed.texts[0], number % 3),
            domain: ["", "linden.example", "xn--80a.example"][number as usize % 3].to_owned(),
            primary_contact: sound_contact(&seed.texts[10..]),
            billing_contact: (seed.fate > 1).then(|| sound_contact(&seed.texts[20..])),
            ..CustomerDraft::default()
        };
        let admitted = admit(account, draft, bench.clock.now()).expect("a sound draft");
        bench.store.write("new", async |tx| tx.save_new(admitted, "caller").await).await.expect("it is saved")
    };
    if seed.is_microsoft && seed.fate == 2 {
        end(bench, &customer).await;
    }
    if seed.is_microsoft && seed.fate == 3 {
        // As if it had never been verified.
        let forget = format!("DELETE FROM upstream_customer WHERE tenant_id = '{}'", tenant(number));
        assert_eq!(bench.shell().await.run(&forget).await, Ok(1));
    }
    if seed.is_microsoft && seed.fate == 4 {
        pause(bench, &customer).await;
    }
    dress(bench, account, &customer, seed).await;
}

/// Every third customer has no reseller, every third one, every third two of three.
async fn serve(bench: &Bench, account: &PartnerAccountId, number: u32) {
    let serving = (0..number % 3).map(|place| reseller_id((number + place) % 3));
    let served = bench.store.write("serve", async |tx| {
        for tenant_id in serving {
            let reseller = Reseller { tenant_id, display_name: "Adatum".to_owned(), mpn_id: String::new() };
            let listed = ListedReseller { reseller, location: String::new(), state: String::new() };
            tx.save_resellers(account, &[listed]).await?;
            tx.list_customers_of_reseller(account, tenant_id, &[tenant(number)]).await?;
        }
        tx.level_resellers(account, tenant(number)).await
    });
    served.await.expect("it is served");
}

async fn pause(bench: &Bench, customer: &Customer) {
    let reason = PauseReason::new("a dispute").expect("a sound reason");
    let Verdict::Do(change) = pause::pause(customer, "ops", reason, bench.clock.now()) else {
        panic!("it can be paused");
    };
    bench.store.write("pause", async |tx| tx.save_pause(&change, "ops").await).await.expect("it is paused");
}

async fn end(bench: &Bench, customer: &Customer) {
    let end = format!(
        "UPDATE customer SET relationship = 'ENDED', sync_state = 'ENDED', observation_ticket = 19,
         revision = revision + 1 WHERE id = '{}'",
        customer.id
    );
    assert_eq!(bench.shell().await.run(&end).await, Ok(1));
}

/// Gives a customer what the platform says of it; an ended one may have a billing contact of its own.
async fn dress(bench: &Bench, account: &PartnerAccountId, customer: &Customer, seed: &Seed) {
    let mut edit = CustomerEdit::default();
    edit.wish(Wish::ExternalReference(seed.texts[4].to_owned()));
    edit.wish(note(seed.texts[5]));
    edit.wish(Wish::Labels(seed.labels.clone()));
    edit.wish(Wish::Status(if seed.is_blocked { CustomerStatus::Blocked } else { CustomerStatus::Active }));
    let saved = bench.store.write("dress", async |tx| {
        let customer = tx.customer_for_update(account, customer.id).await?.expect("the customer exists");
        let mut edit = edit.clone();
        if customer.relationship() == Some(Relationship::Ended) && seed.is_blocked {
            edit.replace_contact(ContactRole::Billing, &sound_contact(&seed.texts[20..]));
        }
        tx.save_edit(allowed(&customer, &edit), "caller").await
    });
    saved.await.expect("it is saved");
}

// ---- filters

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn order_operator() -> impl Strategy<Value = &'static str> {
    select(vec!["=", "!=", "<", "<=", ">", ">="])
}

/// A text, or a part of one, that can be looked for: not empty, and with no asterisks at its ends.
fn any_part() -> impl Strategy<Value = String> {
    let part = (any_text(), 0_usize..12, 1_usize..6)
        .prop_map(|(text, skipped, length)| text.chars().skip(skipped).take(length).collect::<String>());
    let some = prop_oneof![2 => any_text().prop_map(str::to_owned), 3 => part, 1 => "[a-zA-Z0-9]{1,2}"];
    some.prop_filter("something to look for", |text| !text.is_empty() && !text.starts_with('*') && !text.ends_with('*'))
}

fn any_sought() -> impl Strategy<Value = String> {
    any_part().prop_map(|text| quoted(&text))
}

fn text_term(path: String) -> impl Strategy<Value = String> {
    // What is absent is asked for more often than it is drawn.
    let exact = prop_oneof![1 => any_text(), 1 => Just("")];
    let exact = exact.prop_filter("no asterisk alone", |text| *text != "*").prop_map(str::to_owned);
    let pattern = (any_part(), select(vec![("", "*"), ("*", ""), ("*", "*")]))
        .prop_map(|(part, (before, after))| format!("{before}{part}{after}"));
    let any_pattern = (select(vec!["=", "!="]), prop_oneof![1 => exact, 3 => pattern])
        .prop_map(|(operator, text)| format!("{operator} {}", quoted(&text)));
    let ordered = (select(vec!["<", "<=", ">", ">="]), any_text())
        .prop_map(|(operator, text)| format!("{operator} {}", quoted(text)));
    let rest = prop_oneof![
        4 => any_pattern,
        2 => ordered,
        2 => any_sought().prop_map(|text| format!(":{text}")),
        1 => Just(":*".to_owned()),
    ];
    rest.prop_map(move |rest| format!("{path}{rest}"))
}

fn time_term() -> impl Strategy<Value = String> {
    let test = (order_operator(), 0_i64..60).prop_map(|(operator, seconds)| {
        let time = chrono::DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("a time");
        format!("{operator}\"{}\"", time.to_rfc3339())
    });
    (select(&TimeField::ALL[..]), prop_oneof![5 => test, 1 => Just(":*".to_owned())])
        .prop_map(|(field, rest)| format!("{}{rest}", field.path()))
}

fn choice_term() -> impl Strategy<Value = String> {
    select(&ChoiceField::ALL[..]).prop_flat_map(|field| {
        let prefix = match field {
            ChoiceField::Source => "SOURCE_",
            ChoiceField::Relationship => "RELATIONSHIP_",
            ChoiceField::Status => "CUSTOMER_STATUS_",
            ChoiceField::SyncState => "SYNC_STATE_",
        };
        let word = select([field.words(), &["UNSPECIFIED"]].concat());
        let said = (select(vec!["=", "!=", ":"]), select(vec!["", prefix]), word)
            .prop_map(|(operator, prefix, word)| format!("{operator}{prefix}{word}"));
        prop_oneof![5 => said, 1 => Just(":*".to_owned())].prop_map(move |rest| format!("{}{rest}", field.path()))
    })
}

fn reseller_term() -> impl Strategy<Value = String> {
    let path = select(vec!["reseller", "resellers", "resellers.microsoft_tenant_id"]);
    let exact = (select(vec![" = ", " != ", ":"]), 0_u32..4)
        .prop_map(|(operator, number)| format!("{operator}\"{}\"", reseller_id(number)));
    (path, prop_oneof![3 => exact, 1 => Just(":*".to_owned())]).prop_map(|(path, rest)| format!("{path}{rest}"))
}

/// A test of any field.
fn any_term() -> impl Strategy<Value = String> {
    let text_field = select(TextField::all().collect::<Vec<_>>()).prop_map(|field| field.to_string());
    let label = select(&KEYS[..]).prop_map(|key| format!("labels.{key}"));
    let label_or_text = prop_oneof![3 => text_field, 1 => label].prop_flat_map(text_term);
    let mirrors = select(vec!["=true", "= false", "!= true", ":*", ":false"]);
    prop_oneof![
        8 => label_or_text,
        2 => time_term(),
        2 => choice_term(),
        1 => mirrors.prop_map(|rest| format!("billing_mirrors_primary{rest}")),
        1 => reseller_term(),
        1 => select(&KEYS[..]).prop_map(|key| format!("labels:{key}")),
        1 => Just("labels:*".to_owned()),
        1 => any_sought(),
    ]
}

fn any_filter() -> impl Strategy<Value = String> {
    let whole = any_term().prop_recursive(3, 16, 3, |inner| {
        let several = proptest::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            (several, select(vec![" AND ", " OR ", "  ", "\n"]))
                .prop_map(|(parts, between)| format!("({})", parts.join(between))),
            (inner.clone(), select(vec!["NOT ", "-"])).prop_map(|(inner, not)| format!("{not}({inner})")),
            inner.prop_map(|inner| format!("( {inner} )")),
        ]
    });
    prop_oneof![20 => whole, 1 => Just(String::new())]
}

fn any_order() -> impl Strategy<Value = String> {
    let fields = ["company_name", "domain", "external_reference", "create_time", "update_time", "verified_at", "name"];
    let named = proptest::sample::subsequence(fields.to_vec(), 0..4).prop_shuffle();
    named.prop_flat_map(|fields| {
        let directions = proptest::collection::vec(select(vec!["", " desc", "  asc "]), fields.len());
        directions.prop_map(move |directions| {
            let keys: Vec<_> = fields.iter().zip(directions).map(|(field, way)| format!("{field}{way}")).collect();
            keys.join(" ,")
        })
    })
}

// ---- promises

fn query(accounts: &BTreeSet<PartnerAccountId>, filter: &Filter, order: &Order) -> CustomerQuery {
    CustomerQuery {
        accounts: accounts.clone(),
        filter: filter.clone(),
        order: order.clone(),
        ..CustomerQuery::default()
    }
}

/// Every page of a list, the places between them taken through their text.
async fn walk(
    store: &Store,
    accounts: &BTreeSet<PartnerAccountId>,
    filter: &Filter,
    order: &Order,
    page_size: u32,
) -> Vec<Customer> {
    let query = query(accounts, filter, order);
    let mut met = Vec::new();
    let mut after = None;
    loop {
        let page = store.find_customers(&query, after.as_ref(), page_size).await;
        let page = page.expect("the store answers");
        assert!(page.len() <= page_size as usize);
        let Some(last) = page.last() else { return met };
        let position = Position::of(last, order);
        after = Position::parse(&position.to_string(), order);
        assert_eq!(after, Some(position));
        met.extend(page);
    }
}

fn meant(all: &[Customer], accounts: &BTreeSet<PartnerAccountId>, filter: &Filter, order: &Order) -> Vec<Customer> {
    let wanted = |customer: &&Customer| accounts.contains(&customer.account) && filter.matches(customer);
    let mut meant: Vec<_> = all.iter().filter(wanted).cloned().collect();
    meant.sort_by(|left, right| order.compare(left, right));
    meant
}

async fn a_filter_and_an_order_find_what_they_mean_page_by_page(bench: Bench) {
    let accounts = [bench.account.clone(), bench.add_partner("contoso-2", 1).await];
    let mut runner = TestRunner::deterministic();
    for number in 0..FLEET {
        let seed = any_seed().new_tree(&mut runner).expect("a seed").current();
        plant(&bench, number, &accounts[seed.account], &seed).await;
    }
    let both: BTreeSet<_> = accounts.iter().cloned().collect();
    let all = bench
        .store
        .find_customers(&query(&both, &Filter::default(), &Order::default()), None, 1000)
        .await
        .expect("the store answers");
    assert_eq!(all.len(), FLEET as usize);
    let names: Vec<_> =
        all.iter().map(|one| format!("name = \"partnerAccounts/{}/customers/{}\"", one.account, one.id)).collect();
    let runtime = tokio::runtime::Handle::current();
    let store = bench.store.clone();
    let check = move || {
        let filters = prop_oneof![12 => any_filter(), 1 => select(names)];
        let mut runner = TestRunner::new(Config { cases: 1000, failure_persistence: None, ..Config::default() });
        runner.run(&(filters, any_order(), 1_u32..30, 0_usize..3), |(filter, order, page_size, whose)| {
            let filter = Filter::parse(&filter).map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
            let again = Filter::parse(&filter.to_string());
            prop_assert_eq!(again.map(|again| again.expression().cloned()), Ok(filter.expression().cloned()));
            let order = Order::parse(&order).map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
            prop_assert_eq!(Order::parse(&order.to_string()), Ok(order.clone()));
            let accounts: BTreeSet<_> = accounts.iter().skip(whose / 2).take(1 + (whose + 1) % 2).cloned().collect();
            let found = runtime.block_on(walk(&store, &accounts, &filter, &order, page_size));
            prop_assert_eq!(found, meant(&all, &accounts, &filter, &order));
            Ok(())
        })
    };
    // On a thread of its own, so that the runtime of this one can serve it.
    tokio::task::spawn_blocking(check).await.expect("the check ends").unwrap_or_else(|error| panic!("{error}"));
}

async fn a_customer_moved_while_it_is_walked_past_hides_no_other(bench: Bench) {
    let mut customers = Vec::new();
    for name in ["A", "B", "C", "D"] {
        customers.push(bench.platform_customer(name).await);
    }
    let accounts = BTreeSet::from([bench.account.clone()]);
    let order = Order::parse("company_name").expect("a sound order");
    let filter = Filter::default();
    let first =
        bench.store.find_customers(&query(&accounts, &filter, &order), None, 2).await.expect("the store answers");
    let after = Position::of(&first[1], &order);
    // The last one met moves behind all others, and the first to be met before all others.
    for (customer, name) in [(&customers[1], "Z"), (&customers[2], "0")] {
        bench.edit(customer.id, vec![Wish::CompanyName(name.to_owned())]).await.expect("it is saved");
    }
    let rest = bench.store.find_customers(&query(&accounts, &filter, &order), Some(&after), 9).await;
    let rest: Vec<_> = rest.expect("the store answers").into_iter().map(|customer| customer.company_name).collect();
    assert_eq!(rest, ["D", "Z"]);
}

async fn nobodys_customers_are_no_customers(bench: Bench) {
    let customer = bench.platform_customer("Linden").await;
    bench.edit(customer.id, vec![email(ContactRole::Primary, "ada@example.com")]).await.expect("it is saved");
    let filter = Filter::parse("Ada@example").expect("a sound filter");
    for order in ["", "name desc", "company_name"] {
        let order = Order::parse(order).expect("a sound order");
        let found = async |accounts: BTreeSet<_>| {
            let found = bench.store.find_customers(&query(&accounts, &filter, &order), None, 9).await;
            found.expect("the store answers").len()
        };
        assert_eq!(found(BTreeSet::from([bench.account.clone()])).await, 1);
        assert_eq!(found(BTreeSet::from([account_id("fabrikam")])).await, 0);
        assert_eq!(found(BTreeSet::new()).await, 0);
    }
}
