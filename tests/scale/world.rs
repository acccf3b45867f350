//! Partner Center, the service and its database: a sync with kills in it, and what is true afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use customer_guard::grpc::proto;
use customer_guard::simulator::calls::Calls;
use customer_guard::simulator::demo_partners;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Row};
use tempfile::TempDir;
use uuid::Uuid;

use crate::calls::{self, CONCURRENCY, Route};
use crate::microsoft::Microsoft;
use crate::service::{Service, is_unpaced};
use crate::truth::{Picture, tenant};

const PARENT: &str = "partnerAccounts/contoso";
/// What is promised of the service's memory.
const MEMORY_MAX: u64 = 300 * 1024 * 1024;
/// The highest pace that can be configured.
const REQUESTS_PER_MINUTE: u64 = 60_000;
/// Customers whose every field is compared by eye, so to speak; of the others a hash is.
const SAMPLE: usize = 50;
/// How often a count that somebody waits for is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// A sync takes a second for a thousand customers; this is many times that, and time to start besides.
const PATIENCE_PER_CUSTOMER: Duration = Duration::from_millis(20);

/// When to kill the service: so long after Partner Center was asked so often.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub route: Route,
    pub after: u64,
    pub and: Duration,
}

/// Who is told of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The audit log tells of every second one.
    EverySecond,
    /// The audit log tells of none.
    Nobody,
}

/// What a sync did.
pub struct Sync {
    pub run: proto::SyncRun,
    pub calls: Calls,
    pub kills: u64,
    took: Duration,
    busy: Duration,
}

/// What was ever written of customers: the database counts every write of a customer's row in its revision.
#[derive(Debug)]
pub struct Writes {
    revisions: BTreeMap<Uuid, i64>,
    last_change: i64,
}

pub struct World {
    microsoft: Microsoft,
    service: Option<Service>,
    customers: u64,
    configuration: PathBuf,
    database: PathBuf,
    peak: u64,
    starts: u64,
    began: Calls,
    _folder: TempDir,
}

impl World {
    /// A service that has begun its first sync of so many customers.
    pub async fn with_customers(customers: u64) -> Self {
        let microsoft = Microsoft::with_customers(customers).await;
        let folder = TempDir::new().expect("a folder");
        let [configuration, database] = ["config.toml", "customer-guard.db"].map(|name| folder.path().join(name));
        let secret = folder.path().join("contoso.secret");
        let partner = demo_partners().swap_remove(0);
        std::fs::write(&secret, partner.client_secret).expect("a file");
        #[cfg(unix)]
        std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a mode");
        // Nothing but the syncs that are asked for: the night is far, and audit log and list are read once.
        let text = format!(
            "listen = \"127.0.0.1:0\"\ndatabase = {database:?}\nlog = \"warn,customer_guard=info\"\n\
             night = \"0 {} * * *\"\naudit_interval = \"1h\"\nlist_interval = \"1d\"\nmanual_sync_cooldown = \"0s\"\n\
             requests_per_minute = {REQUESTS_PER_MINUTE}\nconcurrency = {CONCURRENCY}\n\
             [partner_accounts.contoso]\nkind = \"DIRECT_BILL\"\ntenant_id = \"{}\"\nclient_id = \"{}\"\n\
             client_secret_file = {secret:?}\napi_root = \"{root}\"\nauthority = \"{root}\"\n",
            hour_in_half_a_day(),
            partner.tenant_id,
            partner.client_id,
            root = microsoft.root,
        );
        std::fs::write(&configuration, text).expect("a file");
        let began = microsoft.calls().await;
        let service = Some(Service::start(&configuration).await);
        Self { microsoft, service, customers, configuration, database, peak: 0, starts: 1, began, _folder: folder }
    }

    fn service(&mut self) -> &mut Service {
        self.service.as_mut().expect("it runs")
    }

    async fn runs(&mut self) -> Vec<proto::SyncRun> {
        let request = proto::ListSyncRunsRequest { parent: PARENT.to_owned(), ..Default::default() };
        let runs = self.service().sync.list_sync_runs(request).await.expect("an answer").into_inner().sync_runs;
        runs.into_iter().filter(|run| run.kind() == proto::SyncRunKind::Full).collect()
    }

    /// Has everybody synchronized, and the service killed and started again at these moments, which come in this order.
    pub async fn sync_to_its_end(&mut self, kills: &[Moment]) -> Sync {
        let began = Instant::now();
        if self.runs().await.first().is_some_and(|run| run.end_time.is_some()) {
            self.began = self.microsoft.calls().await;
            let request = proto::StartSyncRequest { parent: PARENT.to_owned(), ..Default::default() };
            self.service().sync.start_sync(request).await.expect("it starts");
        }
        let (mut busy, mut busy_before) = (Duration::ZERO, self.service().process.busy());
        for kill in kills {
            self.wait_for(kill, began).await;
            busy += self.service().process.busy() - std::mem::take(&mut busy_before);
            self.kill(kill).await;
        }
        let run = loop {
            let run = self.runs().await.into_iter().next();
            if let Some(run) = run.filter(|run| run.end_time.is_some()) {
                break run;
            }
            self.be_patient(began);
            tokio::time::sleep(LOOK * 100).await;
        };
        busy += self.service().process.busy() - busy_before;
        let calls = calls::since(self.began, self.microsoft.calls().await);
        let sync = Sync { run, calls, kills: u64::try_from(kills.len()).expect("a few"), took: began.elapsed(), busy };
        self.check_calls(&sync);
        self.check_run(&sync);
        self.remember_peak();
        sync
    }

    fn be_patient(&self, began: Instant) {
        let patience = Duration::from_secs(120) + PATIENCE_PER_CUSTOMER * u32::try_from(self.customers).expect("fewer");
        assert!(began.elapsed() < patience, "the sync does not end");
    }

    async fn wait_for(&mut self, moment: &Moment, began: Instant) {
        while moment.route.of(calls::since(self.began, self.microsoft.calls().await)) < moment.after {
            self.be_patient(began);
            tokio::time::sleep(LOOK).await;
        }
        tokio::time::sleep(moment.and).await;
    }

    async fn kill(&mut self, moment: &Moment) {
        self.remember_peak();
        self.service.take().expect("it runs").process.kill();
        let select = "SELECT state, pages, listed, fetched FROM sync_run ORDER BY id DESC LIMIT 1";
        let run = self.one(select).await;
        let count = |column: &str| run.try_get::<i64, _>(column).expect("a number");
        let state: String = run.try_get("state").expect("a text");
        println!(
            "killed at {moment:?}: {state}, {} pages, {} listed, {} fetched",
            count("pages"),
            count("listed"),
            count("fetched")
        );
        assert!(["LISTING", "FETCHING"].contains(&state.as_str()), "the kill came too late to show anything");
        let select = "SELECT count(*) FROM sync_run WHERE state = 'LISTING' AND pages > 0 AND next_link IS NULL";
        let lost: i64 = self.one(select).await.try_get(0).expect("a count");
        assert_eq!(lost, 0, "a listing that was begun has a place to go on from");
        self.service = Some(Service::start(&self.configuration).await);
        self.starts += 1;
    }

    /// A sync costs what is planned, and what its kills repeated is no more than they may.
    fn check_calls(&self, Sync { calls, kills, .. }: &Sync) {
        let beyond = calls::Plan::of_a_full_sync(self.customers).beyond(*calls);
        let allowed = calls::Plan::repeated_by(*kills);
        let within = beyond.list <= allowed.list && beyond.get <= allowed.get;
        assert!(within, "{kills} kills may repeat {allowed:?}, and {beyond:?} is beyond the plan: {calls:?}");
    }

    /// A run has the same counts however often it was interrupted: what it counts commits with what it did.
    fn check_run(&self, Sync { run, calls, .. }: &Sync) {
        let customers = i64::try_from(self.customers).expect("fewer");
        assert_eq!(run.state(), proto::SyncRunState::Succeeded, "{run:?}");
        let pages = i32::try_from(calls::Plan::of_a_full_sync(self.customers).list).expect("fewer");
        assert_eq!((run.pages, run.listed, run.listing_restarts, run.missing), (pages, customers, 0, 0), "{run:?}");
        assert_eq!((run.wanted, run.fetched, run.unusable), (customers, customers, 0), "{run:?}");
        let none = [calls.billing, calls.registration_writes, calls.resellers, calls.reseller_customers];
        assert_eq!(none, [0; 4], "{calls:?}");
        assert_eq!([calls.profile, calls.other, calls.throttled], [0; 3], "{calls:?}");
        // A sign-in for every process, and the audit log of at most three days.
        assert!(calls.token <= self.starts && calls.audit <= 3 * self.starts, "{calls:?}");
        assert!(calls.registration <= self.starts, "{calls:?}");
    }

    fn remember_peak(&mut self) {
        let peak = self.service().process.peak();
        self.peak = self.peak.max(peak);
        assert!(self.peak < MEMORY_MAX, "{} MiB of resident memory", self.peak / (1024 * 1024));
    }

    async fn for_each_shown(&mut self, mut look: impl FnMut(proto::Customer)) {
        let mut page_token = String::new();
        loop {
            let request = proto::ListCustomersRequest {
                parent: PARENT.to_owned(),
                page_size: 1_000,
                page_token,
                ..Default::default()
            };
            let page = self.service().customers.list_customers(request).await.expect("a page").into_inner();
            page.customers.into_iter().for_each(&mut look);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return;
            }
        }
    }

    /// Everybody is shown as Partner Center has them, and nobody else is.
    pub async fn check_everybody(&mut self) {
        let (mut truth, mut shown, mut sample) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let every = usize::try_from(self.customers).expect("fewer").div_ceil(SAMPLE);
        self.microsoft
            .for_each_customer(|customer| {
                let picture = Picture::expected(&customer);
                if truth.len() % every == 0 {
                    sample.push((customer.id, picture.clone()));
                }
                truth.insert(customer.id, picture.hash());
            })
            .await;
        self.for_each_shown(|customer| {
            let twice = shown.insert(tenant(&customer), Picture::shown(&customer).hash());
            assert_eq!(twice, None, "{} is shown once", customer.name);
        })
        .await;
        for (id, picture) in sample {
            let request = proto::LookupCustomerRequest {
                parent: PARENT.to_owned(),
                key: Some(proto::lookup_customer_request::Key::MicrosoftTenantId(id.to_string())),
                ..Default::default()
            };
            let found = self.service().customers.lookup_customer(request).await.expect("a customer").into_inner();
            assert_eq!(Picture::shown(&found), picture);
        }
        assert_eq!(u64::try_from(truth.len()), Ok(self.customers));
        let differing = truth.iter().filter(|(id, picture)| shown.get(id) != Some(picture)).count();
        assert_eq!((differing, shown.len()), (0, truth.len()), "everybody is as Partner Center has them");
    }

    async fn one(&self, select: &'static str) -> sqlx::sqlite::SqliteRow {
        let options = SqliteConnectOptions::new().filename(&self.database).busy_timeout(Duration::from_secs(10));
        let mut connection: SqliteConnection = options.connect().await.expect("the database can be read");
        sqlx::query(select).fetch_one(&mut connection).await.expect("a row")
    }

    /// What was written of customers until now.
    pub async fn writes(&mut self) -> Writes {
        let mut revisions = BTreeMap::new();
        self.for_each_shown(|customer| {
            revisions.insert(tenant(&customer), customer.revision);
        })
        .await;
        // A trigger refuses every write of a customer that does not raise its revision by one.
        let select = "SELECT coalesce(max(sequence), 0), (SELECT sum(revision) FROM customer) FROM change_log";
        let row = self.one(select).await;
        let sum: i64 = row.try_get(1).expect("a number");
        assert_eq!(revisions.values().sum::<i64>(), sum, "the database has nobody who is not shown");
        Writes { revisions, last_change: row.try_get(0).expect("a number") }
    }

    /// Changes so many of a thousand customers in Partner Center; returns whom.
    pub async fn change(&mut self, per_mille: u64, told: Told) -> BTreeSet<Uuid> {
        let mut everybody = Vec::new();
        self.microsoft.for_each_customer(|customer| everybody.push(customer.id)).await;
        let apart = usize::try_from(1_000 / per_mille).expect("few");
        let changed: BTreeSet<_> = everybody.into_iter().step_by(apart).collect();
        for (number, id) in changed.iter().enumerate() {
            let is_audited = told == Told::EverySecond && number % 2 == 0;
            self.microsoft.change(*id, &format!("changed-{number}@harbor.example"), is_audited).await;
        }
        for id in changed.iter().take(1) {
            let email = self.microsoft.customer(*id).await.billing_profile.email;
            assert_eq!(email.as_deref(), Some("changed-0@harbor.example"));
        }
        changed
    }

    /// Since then each of these was written once, and no other customer.
    pub async fn check_only_these_were_written(&mut self, before: &Writes, changed: &BTreeSet<Uuid>) {
        let after = self.writes().await;
        let written: BTreeMap<_, _> = (after.revisions.iter())
            .filter_map(|(id, revision)| Some((*id, revision - before.revisions.get(id)?)))
            .filter(|(_, times)| *times != 0)
            .collect();
        let others = written.keys().filter(|id| !changed.contains(id)).count();
        assert_eq!(others, 0, "customers that did not change were written");
        assert!(changed.iter().all(|id| written.get(id) == Some(&1)), "who changed is written once");
        let changes = i64::try_from(changed.len()).expect("a count");
        assert_eq!(after.last_change - before.last_change, changes, "the change log has a row for each change");
    }

    /// Tells what was measured.
    pub fn end(mut self, syncs: &[Sync]) {
        self.remember_peak();
        let mebibytes = |bytes: u64| bytes / (1024 * 1024);
        let pace = if is_unpaced() { "no pace".to_owned() } else { format!("{REQUESTS_PER_MINUTE} calls a minute") };
        println!("{} customers at {pace}, {CONCURRENCY} calls at a time", self.customers);
        for (number, Sync { run, calls, kills, took, busy }) in (1..).zip(syncs) {
            let plan = calls::Plan::of_a_full_sync(self.customers);
            let beyond = plan.beyond(*calls);
            println!(
                "sync {number}: {:.1} s, {:.0} customers/s, {:.0} µs of processor a customer, {kills} kills, {} created, {} changed",
                took.as_secs_f64(),
                f64::from(u32::try_from(self.customers).expect("fewer")) / took.as_secs_f64(),
                busy.as_secs_f64() * 1e6 / f64::from(u32::try_from(self.customers).expect("fewer")),
                run.created,
                run.changed
            );
            println!(
                "  planned {} pages + {} customers; called {calls:?}, beyond the plan {beyond:?}",
                plan.list, plan.get
            );
        }
        println!(
            "peak of the service {} MiB (of {} allowed), Partner Center {} MiB\n",
            mebibytes(self.peak),
            mebibytes(MEMORY_MAX),
            mebibytes(self.microsoft.resident())
        );
    }
}

/// The hour of the day that is farthest from now, in UTC.
#[expect(clippy::disallowed_methods, reason = "the service runs on the machine's clock, and its night must not come")]
fn hour_in_half_a_day() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    (now.as_secs() / 3_600 + 12) % 24
}
