//! What is kept of partner accounts: settings that were not said, revisions, sealed secrets and who may have one.

use std::time::Duration;

use customer_guard::domain::account::{AccountOrigin, AccountRecord, AccountState, PartnerKind};
use customer_guard::domain::account_draft::NewAccount;
use customer_guard::domain::ids::Revision;
use customer_guard::domain::sync_settings::SyncSettings;
use customer_guard::domain::user_sign_in::CredentialKind;
use customer_guard::sealing::Sealed;
use customer_guard::store::{ConfiguredAccount, Error, KeptAccount, TenantChanged};

use crate::bench::{Bench, account_id, partner, tenant};

contract! {
    an_account_is_read_back_as_it_was_made,
    every_change_raises_the_revision_and_wakes_whoever_waits,
    a_change_that_is_undone_wakes_nobody,
    a_secret_that_is_set_again_has_a_later_generation,
    an_account_of_the_configuration_changes_only_when_it_differs,
    an_account_that_the_configuration_takes_over_forgets_its_secret,
    the_database_keeps_tenants_and_secrets_where_they_belong,
    accounts_in_the_way_are_found_by_id_before_tenant,
}

fn settings() -> SyncSettings {
    SyncSettings {
        night: Some("0 3 * * *".to_owned()),
        time_zone: Some("Asia/Tokyo".to_owned()),
        audit_interval: Some(Duration::from_millis(1500)),
        list_interval: None,
        verify_within: Some(Duration::from_secs(31 * 86_400)),
        manual_cooldown: Some(Duration::ZERO),
        requests_per_minute: Some(60_000),
        concurrency: Some(64),
    }
}

fn sealed(byte: u8) -> Sealed {
    Sealed { key_id: "a-key".to_owned(), bytes: vec![byte; 40] }
}

async fn insert(bench: &Bench, name: &str, number: u32) -> AccountRecord {
    let new = NewAccount { account: partner(name, number), state: AccountState::Active, settings: settings() };
    bench.store.write("insert_account", async |tx| tx.insert_account(&new).await).await.expect("a new account")
}

async fn set_secret(bench: &Bench, name: &str, byte: u8) -> Result<AccountRecord, Error> {
    let (id, secret) = (account_id(name), sealed(byte));
    bench
        .store
        .write("save_credentials", async |tx| {
            tx.save_credentials(&id, "an-application", CredentialKind::ClientSecret, &secret, false).await
        })
        .await
}

async fn configure(bench: &Bench, name: &str, number: u32, client_id: &str) -> Result<AccountRecord, TenantChanged> {
    let wanted = ConfiguredAccount {
        account: partner(name, number),
        client_id: client_id.to_owned(),
        credential: CredentialKind::ClientSecret,
        settings: settings(),
    };
    bench.store.write("save_configured_account", async |tx| tx.save_configured_account(&wanted).await).await
}

async fn kept(bench: &Bench, name: &str) -> KeptAccount {
    bench.store.kept_account(&account_id(name)).await.expect("an answer").expect("the account")
}

async fn an_account_is_read_back_as_it_was_made(bench: Bench) {
    let made = insert(&bench, "northwind", 1).await;
    assert_eq!(kept(&bench, "northwind").await, KeptAccount { record: made.clone(), credentials: None });
    assert_eq!((made.origin, made.revision, &made.settings), (AccountOrigin::Api, Revision::FIRST, &settings()));
    let api: Vec<_> =
        bench.store.api_accounts().await.expect("an answer").into_iter().map(|kept| kept.record).collect();
    assert_eq!(api, [made], "contoso is not one of the API's");
    let hindrance = bench.store.hindrance(&account_id("northwind")).await.expect("an answer");
    assert_eq!(hindrance.problem.expect("a problem").reason, "NO_CREDENTIALS");
}

async fn every_change_raises_the_revision_and_wakes_whoever_waits(bench: Bench) {
    let mut changes = bench.store.account_changes();
    let made = insert(&bench, "northwind", 1).await;
    assert!(changes.has_changed().expect("a store"));
    changes.borrow_and_update();
    bench.step(60);
    let mut wanted = made.clone();
    wanted.account.kind = PartnerKind::IndirectProvider;
    wanted.state = AccountState::Disabled;
    wanted.settings = SyncSettings::default();
    let saved = bench.store.write("update_account", async |tx| tx.update_account(&wanted).await).await.expect("saved");
    assert!(changes.has_changed().expect("a store") && saved.updated_at > made.updated_at);
    let expected = AccountRecord { revision: Revision(2), updated_at: saved.updated_at, ..wanted };
    assert_eq!(saved, expected);
    let set = set_secret(&bench, "northwind", 1).await.expect("a secret");
    assert_eq!((set.revision, set.client_id.as_str()), (Revision(3), "an-application"));
    assert_eq!(set.credentials_set_at, Some(set.updated_at));
}

async fn a_change_that_is_undone_wakes_nobody(bench: Bench) {
    let changes = bench.store.account_changes();
    let new = NewAccount { account: partner("northwind", 1), state: AccountState::Active, settings: settings() };
    let undone = bench
        .store
        .write("insert_account", async |tx| {
            tx.insert_account(&new).await?;
            Err::<(), _>(Error::Busy)
        })
        .await;
    assert!(undone.is_err() && !changes.has_changed().expect("a store"));
    assert_eq!(bench.store.kept_account(&account_id("northwind")).await.expect("an answer"), None);
}

async fn a_secret_that_is_set_again_has_a_later_generation(bench: Bench) {
    insert(&bench, "northwind", 1).await;
    for (byte, generation) in [(1, 1), (2, 2), (2, 3)] {
        set_secret(&bench, "northwind", byte).await.expect("a secret");
        let credentials = kept(&bench, "northwind").await.credentials.expect("credentials");
        assert_eq!((credentials.generation, credentials.secret), (generation, sealed(byte)));
    }
    assert_eq!(bench.store.hindrance(&account_id("northwind")).await.expect("an answer").problem, None);
}

async fn an_account_of_the_configuration_changes_only_when_it_differs(bench: Bench) {
    let first = configure(&bench, "northwind", 1, "an-application").await.expect("saved");
    assert_eq!((first.origin, first.settings.clone()), (AccountOrigin::Configuration, settings()));
    bench.step(60);
    assert_eq!(configure(&bench, "northwind", 1, "an-application").await.expect("saved"), first);
    let second = configure(&bench, "northwind", 1, "another-application").await.expect("saved");
    assert!(second.revision > first.revision && second.updated_at > first.updated_at);
    let taken = configure(&bench, "fabrikam", 1, "an-application").await.expect_err("northwind's tenant");
    assert!(taken.to_string().contains("northwind"), "{taken}");
}

async fn an_account_that_the_configuration_takes_over_forgets_its_secret(bench: Bench) {
    let made = insert(&bench, "northwind", 1).await;
    set_secret(&bench, "northwind", 1).await.expect("a secret");
    let changed = configure(&bench, "northwind", 2, "an-application").await.expect_err("another tenant");
    assert!(matches!(changed, TenantChanged::Another { .. }), "{changed}");
    let taken = configure(&bench, "northwind", 1, "another-application").await.expect("taken over");
    assert!(taken.revision > made.revision);
    let now = kept(&bench, "northwind").await;
    assert_eq!((now.record.origin, now.credentials), (AccountOrigin::Configuration, None));
    assert!(bench.store.api_accounts().await.expect("an answer").is_empty());
}

async fn the_database_keeps_tenants_and_secrets_where_they_belong(bench: Bench) {
    let refused = set_secret(&bench, "contoso", 1).await.expect_err("contoso is the configuration's");
    assert!(matches!(refused, Error::Backstop(_)), "{refused}");
    let mut shell = bench.shell().await;
    let moved = format!("UPDATE partner_account SET tenant_id = '{}' WHERE id = 'contoso'", tenant(9));
    shell.run(&moved).await.expect_err("its tenant never changes");
    for wrong in ["origin = 'ELSEWHERE'", "state = 'SLEEPING'", "revision = 0"] {
        let statement = format!("UPDATE partner_account SET {wrong} WHERE id = 'contoso'");
        shell.run(&statement).await.expect_err(wrong);
    }
}

async fn accounts_in_the_way_are_found_by_id_before_tenant(bench: Bench) {
    insert(&bench, "northwind", 1).await;
    let in_the_way = async |name: &str, number: u32| {
        let (id, tenant) = (account_id(name), partner(name, number).tenant_id);
        bench.store.write("look", async |tx| tx.account_in_the_way(&id, tenant).await).await.expect("an answer")
    };
    assert_eq!(in_the_way("northwind", 0).await, Some(account_id("northwind")));
    assert_eq!(in_the_way("fabrikam", 0).await, Some(account_id("contoso")));
    assert_eq!(in_the_way("fabrikam", 2).await, None);
}
