//! Secrets of webhook paths: kept as hashes, replaced with an overlap, and no byte of a former plain one left.

use customer_guard::domain::webhook_secret::{KnownSecret, SecretHash, SecretStage, WebhookSecret};
use customer_guard::store::{Store, WebhookState};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, SqlSafeStr};

use crate::bench::{Bench, Shell};

contract! {
    on sqlite {
        the_present_secret_becomes_a_former_one_when_another_is_adopted,
        an_event_under_the_new_secret_confirms_and_one_under_the_former_does_not,
        what_has_ended_is_forgotten_and_the_present_one_never,
        a_wish_is_granted_by_a_secret_that_is_younger,
        plain_secrets_of_a_former_release_are_hashed_and_leave_no_byte,
    }
    on postgres {
        the_present_secret_becomes_a_former_one_when_another_is_adopted,
        an_event_under_the_new_secret_confirms_and_one_under_the_former_does_not,
        what_has_ended_is_forgotten_and_the_present_one_never,
        a_wish_is_granted_by_a_secret_that_is_younger,
    }
}

const DAY: u64 = 24 * 3600;

fn hash(text: &str) -> SecretHash {
    SecretHash::of(text)
}

impl Bench {
    async fn pend(&self, secret: &str) {
        let pend = self
            .store
            .write("pend", async |tx| tx.keep_pending_webhook_secret(&self.account, hash(secret), None).await);
        pend.await.expect("it is kept");
    }

    async fn adopt(&self, secret: &str) {
        let adopt = self.store.write("adopt", async |tx| tx.adopt_webhook_secret(&self.account, hash(secret)).await);
        adopt.await.expect("it is adopted");
    }

    async fn hear(&self, secret: &str) {
        let hear = self.store.write("hear", async |tx| tx.note_webhook_heard(&self.account, hash(secret)).await);
        hear.await.expect("it is heard");
    }

    async fn forget(&self) -> usize {
        let forget = self.store.write("forget", async |tx| tx.forget_webhook_secrets(&self.account).await);
        forget.await.expect("they are forgotten")
    }

    async fn secret(&self, secret: &str) -> Option<KnownSecret> {
        self.store.webhook_secret(&self.account, hash(secret)).await.expect("the store answers")
    }

    async fn stage(&self, secret: &str) -> Option<SecretStage> {
        self.secret(secret).await.map(|known| known.stage)
    }

    async fn heard(&self) -> bool {
        self.store.webhook_standing(&self.account).await.expect("a standing").heard_at.is_some()
    }
}

async fn the_present_secret_becomes_a_former_one_when_another_is_adopted(bench: Bench) {
    bench.pend("one").await;
    assert_eq!(bench.stage("one").await, Some(SecretStage::Pending));
    assert!(!bench.store.webhook_secrets(&bench.account).await.expect("secrets").was_registered());
    bench.adopt("one").await;
    assert_eq!(bench.stage("one").await, Some(SecretStage::Present));
    assert_eq!(bench.store.webhook_standing(&bench.account).await.expect("a standing").state, Some(WebhookState::Ours));
    bench.step(60);
    bench.pend("two").await;
    assert_eq!(bench.stage("one").await, Some(SecretStage::Present), "a pending one replaces nobody yet");
    bench.adopt("two").await;
    let former = SecretStage::Former { replaced_at: bench.clock.now(), confirmed_at: None };
    assert_eq!((bench.stage("one").await, bench.stage("two").await), (Some(former), Some(SecretStage::Present)));
    bench.adopt("one").await;
    assert_eq!(bench.stage("one").await, Some(SecretStage::Present), "somebody put it back");
    let northwind = bench.add_partner("northwind", 1).await;
    assert_eq!(bench.store.webhook_secret(&northwind, hash("one")).await.expect("the store answers"), None);
}

async fn an_event_under_the_new_secret_confirms_and_one_under_the_former_does_not(bench: Bench) {
    bench.pend("one").await;
    bench.adopt("one").await;
    bench.hear("one").await;
    assert!(bench.heard().await);
    bench.pend("two").await;
    bench.adopt("two").await;
    assert!(!bench.heard().await, "nothing came through the registration as it is");
    let replaced_at = bench.clock.now();
    bench.hear("one").await;
    assert!(!bench.heard().await);
    assert_eq!(bench.stage("one").await, Some(SecretStage::Former { replaced_at, confirmed_at: None }));
    bench.step(5);
    bench.hear("two").await;
    let confirmed_at = Some(bench.clock.now());
    assert!(bench.heard().await);
    assert_eq!(bench.stage("one").await, Some(SecretStage::Former { replaced_at, confirmed_at }));
    // Heard while it was pending, a secret is confirmed when it is adopted.
    bench.pend("three").await;
    bench.hear("three").await;
    let heard_at = Some(bench.clock.now());
    bench.step(5);
    bench.adopt("three").await;
    assert!(bench.heard().await);
    let replaced_at = bench.clock.now();
    assert_eq!(bench.stage("two").await, Some(SecretStage::Former { replaced_at, confirmed_at: heard_at }));
}

async fn what_has_ended_is_forgotten_and_the_present_one_never(bench: Bench) {
    bench.pend("one").await;
    bench.adopt("one").await;
    bench.pend("two").await;
    bench.adopt("two").await;
    bench.hear("two").await;
    bench.pend("never seen").await;
    bench.step(DAY - 1);
    assert_eq!(bench.forget().await, 0);
    bench.step(1);
    assert_eq!(bench.forget().await, 1);
    assert_eq!(bench.stage("one").await, None);
    bench.step(6 * DAY);
    assert_eq!(bench.forget().await, 1);
    assert_eq!(bench.stage("never seen").await, None);
    bench.step(1000 * DAY);
    assert_eq!(bench.forget().await, 0);
    assert_eq!(bench.stage("two").await, Some(SecretStage::Present));
}

async fn a_wish_is_granted_by_a_secret_that_is_younger(bench: Bench) {
    bench.pend("one").await;
    bench.adopt("one").await;
    let wish = async || bench.store.webhook_rotation_wanted_at(&bench.account).await.expect("the store answers");
    let want = async || bench.store.write("want", async |tx| tx.want_webhook_rotation(&bench.account).await).await;
    bench.step(1);
    want().await.expect("a wish");
    let first = wish().await;
    bench.step(1);
    want().await.expect("the same wish");
    assert_eq!((wish().await, first.is_some()), (first, true));
    bench.adopt("one").await;
    assert_eq!(wish().await, first, "that secret is older than the wish");
    bench.pend("two").await;
    assert_eq!(wish().await, first);
    bench.adopt("two").await;
    assert_eq!(wish().await, None);
}

/// The migrations of schema 8, which kept secrets as they were.
const BEFORE_HASHES: [(i64, &str, &str); 8] = [
    (1, "customers", include_str!("../../migrations/sqlite/0001_customers.sql")),
    (2, "synchronization", include_str!("../../migrations/sqlite/0002_synchronization.sql")),
    (3, "change_feed", include_str!("../../migrations/sqlite/0003_change_feed.sql")),
    (4, "links", include_str!("../../migrations/sqlite/0004_links.sql")),
    (5, "pauses", include_str!("../../migrations/sqlite/0005_pauses.sql")),
    (6, "partner_accounts", include_str!("../../migrations/sqlite/0006_partner_accounts.sql")),
    (7, "reported_decisions", include_str!("../../migrations/sqlite/0007_reported_decisions.sql")),
    (8, "webhooks", include_str!("../../migrations/sqlite/0008_webhooks.sql")),
];

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

async fn plain_secrets_of_a_former_release_are_hashed_and_leave_no_byte(bench: Bench) {
    let path = bench.path.with_extension("old");
    let options =
        SqliteConnectOptions::new().filename(&path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let mut old = Shell::Sqlite(options.connect().await.expect("the file opens"));
    let migration = |(number, name, text): (i64, &'static str, &'static str)| {
        Migration::new(number, name.into(), MigrationType::Simple, text.into_sql_str(), false)
    };
    let migrator = Migrator::with_migrations(BEFORE_HASHES.into_iter().map(migration).collect());
    migrator.run(old.sqlite()).await.expect("the schema of the former release");
    let bytes = |number: u8| [[0xa5, number].as_slice(), b"canary of thirty-two bytes ...".as_slice()].concat();
    let secret = |number: u8| {
        let bytes: [u8; 32] = bytes(number).try_into().expect("32 bytes");
        WebhookSecret::from_bytes(&bytes)
    };
    for (number, account) in [(1, "contoso"), (2, "northwind")] {
        let hex: String = bytes(number).iter().map(|byte| format!("{byte:02x}")).collect();
        for statement in [
            format!(
                "INSERT INTO partner_account (id, display_name, kind, cloud, tenant_id, created_at, updated_at)
                 VALUES ('{account}', 'C', 'DIRECT_BILL', 'GLOBAL', '0000aaa{number}-aaaa-4bbb-8ccc-0123456789ab', 1, 1)"
            ),
            format!("INSERT INTO webhook_path (account, secret, made_at) VALUES ('{account}', x'{hex}', 17)"),
        ] {
            old.run(&statement).await.expect("a row of the former release");
        }
    }
    // Twice, so that the pages keep what a change of a row leaves behind.
    for url in ["https://hooks.example/webhooks/v1/contoso/canary-of-the-first-address", "https://h.example/canary"] {
        let noted = format!("UPDATE webhook_path SET registered_url = '{url}' WHERE account = 'contoso'");
        old.run(&noted).await.expect("a registration of the former release");
    }
    old.run("PRAGMA wal_checkpoint(FULL)").await.expect("it is written back");
    let plain = std::fs::read(&path).expect("a file");
    assert!(holds(&plain, b"canary of thirty-two") && holds(&plain, b"h.example/canary"), "the scan can find them");
    drop(old);
    let (store, migrated) = Store::open_sqlite(&path, bench.clock.clone()).await.expect("it is brought up to date");
    assert_eq!(migrated.from, 8);
    for entry in std::fs::read_dir(path.parent().expect("a folder")).expect("the folder can be read") {
        let file = entry.expect("an entry").path();
        let found = std::fs::read(&file).expect("a file");
        for part in [b"canary of thirty-two".as_slice(), b"canary-of-the-first", b"h.example/canary"] {
            assert!(!holds(&found, part), "{} holds a secret", file.display());
        }
    }
    let bench = Bench { store, path, ..bench };
    let known = async |account: &str, number| {
        let account = account.parse().expect("an id");
        bench.store.webhook_secret(&account, secret(number).hash()).await.expect("the store answers")
    };
    let contoso = known("contoso", 1).await.expect("its secret");
    assert_eq!((contoso.stage, contoso.made_at.micros()), (SecretStage::Present, 17));
    assert_eq!(
        known("northwind", 2).await.map(|known| known.stage),
        Some(SecretStage::Pending),
        "never seen registered"
    );
    assert_eq!(known("contoso", 2).await, None);
}
