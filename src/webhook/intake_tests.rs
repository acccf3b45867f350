use super::*;
use crate::clock::Clock;
use crate::domain::account::{Cloud, PartnerAccount, PartnerKind};

struct Bench {
    store: Store,
    clock: Clock,
    _folder: tempfile::TempDir,
}

fn id(name: &str) -> PartnerAccountId {
    name.parse().expect("an id")
}

fn tenant(number: u128) -> TenantId {
    TenantId::new(uuid::Uuid::from_u128(number))
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::manual(Timestamp::from_micros(1_800_000_000_000_000));
        let (store, _) = Store::open_sqlite(&folder.path().join("x.db"), clock.clone()).await.expect("a store");
        for (name, number) in [("contoso", 1), ("northwind", 2)] {
            let account = PartnerAccount {
                id: id(name),
                display_name: name.to_owned(),
                kind: PartnerKind::DirectBill,
                cloud: Cloud::Global,
                tenant_id: tenant(number),
            };
            store.write("account", async |tx| tx.save_partner_account(&account).await).await.expect("an account");
        }
        Self { store, clock, _folder: folder }
    }

    async fn take(&self, account: &str, number: u128, bounds: Bounds) -> Result<Taken, Refusal> {
        let event = Event::Customer { tenant: tenant(number), at: Some(self.clock.now()) };
        take(&self.store, &id(account), SecretHash::of("any"), &number.to_be_bytes(), event, bounds).await
    }

    async fn dirty(&self, account: &str) -> usize {
        let customers = self.store.dirty_customers(&id(account), self.clock.now(), 1000).await;
        customers.expect("dirty customers").len()
    }

    async fn wants_list(&self) -> bool {
        self.store.last_readings(&id("contoso")).await.expect("readings").list_wanted_at.is_some()
    }
}

#[tokio::test]
async fn the_same_bytes_count_once_for_an_account() {
    let bench = Bench::new().await;
    assert_eq!(bench.take("contoso", 7, Bounds::USUAL).await, Ok(Taken::Marked));
    assert_eq!(bench.take("contoso", 7, Bounds::USUAL).await, Ok(Taken::Repeated));
    assert_eq!(bench.take("northwind", 7, Bounds::USUAL).await, Ok(Taken::Marked));
    assert_eq!((bench.dirty("contoso").await, bench.dirty("northwind").await), (1, 1));
    let progress = bench.store.work_progress(&id("contoso"), tenant(7)).await.expect("progress");
    assert_eq!(progress.marked, 1);
}

#[tokio::test]
async fn an_event_is_remembered_for_a_week() {
    let bench = Bench::new().await;
    let forget = async || {
        let contoso = id("contoso");
        bench.store.write("forget", async |tx| tx.forget_webhooks(&contoso).await).await.expect("forgotten");
    };
    bench.take("contoso", 7, Bounds::USUAL).await.expect("taken");
    bench.clock.advance(Duration::from_secs(7 * 24 * 3600));
    forget().await;
    assert_eq!(bench.take("contoso", 7, Bounds::USUAL).await, Ok(Taken::Repeated));
    bench.clock.advance(Duration::from_secs(1));
    forget().await;
    assert_eq!(bench.take("contoso", 7, Bounds::USUAL).await, Ok(Taken::Marked));
}

#[tokio::test]
async fn a_minute_has_room_for_so_many_new_customers_and_the_list_finds_the_others() {
    let bench = Bench::new().await;
    let bounds = Bounds { discoveries: 2, ..Bounds::USUAL };
    for number in 10..12 {
        assert_eq!(bench.take("contoso", number, bounds).await, Ok(Taken::Marked));
    }
    assert!(!bench.wants_list().await);
    assert_eq!(bench.take("contoso", 12, bounds).await, Ok(Taken::ListWanted));
    assert_eq!(bench.dirty("contoso").await, 2);
    assert!(bench.wants_list().await);
    bench.clock.advance(Duration::from_secs(61));
    assert_eq!(bench.take("contoso", 13, bounds).await, Ok(Taken::Marked));
}

#[tokio::test]
async fn a_full_queue_takes_nothing_and_remembers_nothing_but_that_the_list_is_wanted() {
    let bench = Bench::new().await;
    let bounds = Bounds { queue: 2, ..Bounds::USUAL };
    for number in 10..12 {
        assert_eq!(bench.take("contoso", number, bounds).await, Ok(Taken::Marked));
    }
    assert_eq!(bench.take("contoso", 12, bounds).await, Err(Refusal::QueueFull));
    assert_eq!(bench.dirty("contoso").await, 2);
    assert!(bench.wants_list().await);
    assert_eq!(bench.take("northwind", 12, bounds).await, Ok(Taken::Marked), "another account has its own");
    let room = Bounds { queue: 3, ..Bounds::USUAL };
    assert_eq!(bench.take("contoso", 12, room).await, Ok(Taken::Marked), "Partner Center sent it again");
}

#[tokio::test]
async fn a_test_is_heard_and_marks_nobody() {
    let bench = Bench::new().await;
    let heard_at = async || bench.store.webhook_standing(&id("contoso")).await.expect("a standing").heard_at;
    assert_eq!(heard_at().await, None);
    let (contoso, secret) = (id("contoso"), SecretHash::of("a secret"));
    let registered = async |tx: &mut Tx| {
        tx.keep_pending_webhook_secret(&contoso, secret, None).await?;
        tx.adopt_webhook_secret(&contoso, secret).await
    };
    bench.store.write("register", registered).await.expect("a registration");
    let taken = take(&bench.store, &contoso, secret, b"{}", Event::Test, Bounds::USUAL).await;
    assert_eq!(taken, Ok(Taken::Heard));
    assert_eq!((heard_at().await, bench.dirty("contoso").await), (Some(bench.clock.now()), 0));
}
