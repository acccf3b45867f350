//! One account's trouble is nobody else's: fifty accounts on one service, two of them bad for an hour, and how fresh the
//! other forty-eight stay. The hour is the moved clock's; `--nocapture` shows the figures.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use customer_guard::clock::Timestamp;
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::customer::BillingProfile;
use customer_guard::simulator::faults::{Effect, Fault, RetryAfter};
use customer_guard::simulator::partner::{Partner, PartnerKind};
use uuid::Uuid;

use crate::harness::database::{Shell, shell};
use crate::harness::upstream::Upstream;
use crate::harness::{Plan, World, eventually};

const ACCOUNTS: usize = 50;
/// The two that go bad; everybody else is good.
const BAD: [&str; 2] = ["p48", "p49"];
const CUSTOMERS: usize = 4;
const STEP: Duration = Duration::from_secs(20);
/// In each of so many steps one customer of every good account changes.
const STEPS_PER_HINT: usize = 9;
const HOUR: Duration = Duration::from_secs(3600);
/// Real time after which a step counts as over, whoever is not done.
const STEP_PATIENCE: Duration = Duration::from_secs(120);

fn names() -> Vec<&'static str> {
    (0..ACCOUNTS).map(|number| &*Box::leak(format!("p{number:02}").into_boxed_str())).collect()
}

fn partner(number: usize, name: &str) -> Partner {
    let number = number as u128;
    Partner {
        tenant_id: Uuid::from_u128(0xc0de_0000_0000_4000_8000_0001_0000_0000 | number),
        name: name.to_owned(),
        client_id: Uuid::from_u128(0xa99c_0000_0000_4000_8000_0001_0000_0000 | number).to_string(),
        client_secret: format!("{name}-secret"),
        kind: PartnerKind::DirectBill,
        domain: format!("{name}partner.onmicrosoft.com"),
    }
}

/// What the good accounts saw.
#[derive(Default)]
struct Figures {
    hints: Vec<Duration>,
    audit_age: Duration,
    verified_age: Duration,
    unanswered: usize,
    real: Duration,
}

impl Figures {
    fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.hints.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |duration: Duration| duration.as_secs_f64();
        write!(
            out,
            "{:>6} {:>8.1} s {:>8.1} s {:>8.1} s {:>13.1} s {:>13.1} s {:>9.1} s",
            self.hints.len(),
            seconds(self.percentile(50)),
            seconds(self.percentile(99)),
            seconds(self.percentile(100)),
            seconds(self.audit_age),
            seconds(self.verified_age),
            seconds(self.real),
        )
    }
}

/// A change that is on its way: when it was made, and to what.
struct Hint {
    account: &'static str,
    tenant: Uuid,
    email: String,
    made: Timestamp,
}

struct Fleet {
    world: World,
    good: Vec<&'static str>,
    database: Shell,
}

impl Fleet {
    /// Everybody synchronized. The last account has a backlog's worth of customers.
    async fn start() -> Self {
        let upstream = Upstream::start().await;
        let names = names();
        for (number, name) in names.iter().enumerate() {
            upstream.simulator.add_partner(partner(number, name));
            upstream.seed(name, if *name == BAD[1] { 200 } else { CUSTOMERS });
        }
        let world = World::unsynchronized(Plan { partners: names.clone(), ..Plan::usual() }, upstream).await;
        for name in &names {
            world.guard.wait_for_first_sync(name).await;
        }
        let database = shell(&world.guard.database).await;
        let good = names.into_iter().filter(|name| !BAD.contains(name)).collect();
        Self { world, good, database }
    }

    fn fault(&self, account: &str, fault: Fault) {
        let tenant = self.world.upstream.partner(account).tenant_id;
        self.world.upstream.simulator.faults(tenant).push(fault).expect("a known partner");
    }

    fn change(&self, account: &str, tenant: Uuid, email: &str) {
        let partner = self.world.upstream.partner(account).tenant_id;
        let change = |profile: &mut BillingProfile| profile.email = Some(email.to_owned());
        self.world.upstream.simulator.change_billing_profile(partner, tenant, change).expect("a known customer");
    }

    /// How many good accounts have something to do that they have not done.
    async fn behind(&mut self) -> i64 {
        let (now, bad) = (self.world.guard.clock.now().micros(), BAD[0]);
        let behind = format!(
            "SELECT (SELECT count(*) FROM account_sync WHERE account < '{bad}' AND audit_polled_at <= {now} - 60000000)
                  + (SELECT count(*) FROM upstream_customer
                     WHERE account < '{bad}' AND settled < marked AND not_before <= {now})"
        );
        self.database.number(&behind).await
    }

    async fn let_a_step_pass(&mut self) {
        self.world.advance(STEP);
        let began = Instant::now();
        while self.behind().await > 0 && began.elapsed() < STEP_PATIENCE {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// When the change arrived, if it did.
    async fn arrived(&mut self, hint: &Hint) -> Option<Timestamp> {
        let Hint { account, tenant, email, .. } = hint;
        let arrived = format!(
            "SELECT CAST(updated_at AS TEXT) FROM customer
             WHERE account = '{account}' AND microsoft_tenant_id = '{tenant}' AND primary_email = '{email}'"
        );
        let found = self.database.texts(&arrived, 0).await.pop();
        found.map(|at| Timestamp::from_micros(at.parse().expect("a number")))
    }

    /// The longest ages of the good accounts' readings of the log and of their customers' verifications.
    async fn ages(&mut self) -> (Duration, Duration) {
        let bad = BAD[0];
        let polled = format!("SELECT min(audit_polled_at) FROM account_sync WHERE account < '{bad}'");
        let verified = format!("SELECT min(verified_at) FROM upstream_customer WHERE account < '{bad}'");
        let (polled, verified) = (self.database.number(&polled).await, self.database.number(&verified).await);
        let now = self.world.guard.clock.now();
        (now.since(Timestamp::from_micros(polled)), now.since(Timestamp::from_micros(verified)))
    }

    /// Lives through so long a time, in which customers of the good accounts change.
    async fn live(&mut self, time: Duration) -> Figures {
        let real = Instant::now();
        let tenants: BTreeMap<_, Vec<Uuid>> = self.good.iter().map(|name| (*name, self.tenants(name))).collect();
        let mut figures = Figures::default();
        let mut open: Vec<Hint> = Vec::new();
        let steps = usize::try_from(time.as_secs() / STEP.as_secs()).expect("a small number");
        for step in 0..steps {
            for (number, account) in self.good.clone().into_iter().enumerate() {
                if (step + number) % STEPS_PER_HINT == 0 {
                    let tenant = tenants[account][step % CUSTOMERS];
                    let email = format!("step{step}@{account}.example");
                    self.change(account, tenant, &email);
                    open.push(Hint { account, tenant, email, made: self.world.guard.clock.now() });
                }
            }
            self.let_a_step_pass().await;
            let mut still_open = Vec::new();
            for hint in open {
                match self.arrived(&hint).await {
                    Some(at) => figures.hints.push(at.since(hint.made)),
                    None => still_open.push(hint),
                }
            }
            open = still_open;
            let (audit, verified) = self.ages().await;
            figures.audit_age = figures.audit_age.max(audit);
            figures.verified_age = figures.verified_age.max(verified);
        }
        let too_late = self.world.guard.clock.now().minus(Duration::from_secs(120));
        figures.unanswered = open.iter().filter(|hint| hint.made < too_late).count();
        figures.real = real.elapsed();
        figures
    }

    fn tenants(&self, account: &str) -> Vec<Uuid> {
        let partner = self.world.upstream.partner(account).tenant_id;
        self.world.upstream.simulator.customers(partner).iter().map(|customer| customer.id).collect()
    }

    /// Lets time pass until the account says that it has that trouble; it rests between its attempts.
    async fn assert_in_trouble(
        &self,
        account: &str,
        is_in_trouble: impl Fn(&customer_guard::grpc::proto::SyncStatus) -> bool,
    ) {
        eventually(&format!("{account} is in trouble"), async || {
            self.world.advance(STEP);
            is_in_trouble(&self.world.guard.status(account).await).then_some(())
        })
        .await;
    }

    async fn end(self) {
        drop(self.database);
        self.world.end().await;
    }
}

fn assert_not_delayed(what: &str, usual: &Figures, beside: &Figures) {
    println!(
        "{:<44} {:>6} {:>10} {:>10} {:>10} {:>15} {:>15} {:>11}",
        "48 accounts", "hints", "p50", "p99", "most", "log at most", "look at most", "real"
    );
    println!("{:<44} {usual}", "alone");
    println!("{what:<44} {beside}");
    assert_eq!((usual.unanswered, beside.unanswered), (0, 0), "every change arrives");
    // RELIABILITY I16: a tenth at most; the clock is read to a step.
    let bound = |usual: Duration| usual.mul_f64(1.1).max(usual + STEP / 10);
    assert!(beside.percentile(99) <= bound(usual.percentile(99)), "{what}: hint to store");
    assert!(beside.audit_age <= bound(usual.audit_age), "{what}: the audit log");
    assert!(beside.verified_age <= bound(usual.verified_age), "{what}: the oldest look");
}

#[tokio::test]
#[ignore = "takes minutes: cargo test --test behaviour -- --ignored --nocapture bulkheads"]
async fn of_fifty_accounts_one_is_throttled_for_an_hour_and_one_lost_its_consent() {
    let mut fleet = Fleet::start().await;
    let usual = fleet.live(HOUR).await;
    let retry_after = RetryAfter::Seconds(60);
    fleet.fault(BAD[0], Fault::always(Effect::Throttled { retry_after }));
    let lost = fleet.world.upstream.partner(BAD[1]).tenant_id;
    fleet.world.upstream.simulator.revoke_tokens(lost).expect("a known partner");
    fleet.fault(BAD[1], Fault::always(Effect::Unauthorized).on(Route::Token));
    let beside = fleet.live(HOUR).await;
    fleet.assert_in_trouble(BAD[0], |status| status.throttled_until.is_some()).await;
    fleet.assert_in_trouble(BAD[1], |status| status.problem.is_some()).await;
    assert_not_delayed("beside a throttled one and one without consent", &usual, &beside);
    fleet.end().await;
}

#[tokio::test]
async fn of_fifty_accounts_one_is_answered_slowly_and_one_drips_a_backlog() {
    let mut fleet = Fleet::start().await;
    let usual = fleet.live(HOUR / 2).await;
    fleet.fault(BAD[0], Fault::always(Effect::Delay { milliseconds: 60_000 }));
    fleet.fault(BAD[1], Fault::always(Effect::Drip { bytes_per_second: 1 }).on(Route::Get));
    for tenant in fleet.tenants(BAD[1]) {
        fleet.change(BAD[1], tenant, "dripping@example.com");
    }
    let beside = fleet.live(HOUR / 2).await;
    fleet.assert_in_trouble(BAD[1], |status| status.backlog == 200).await;
    assert_not_delayed("beside a slow one and one that drips", &usual, &beside);
    fleet.end().await;
}
