//! The system a history happens in: a store in a folder of its own, a worker driven by hand, Partner Center on a port of
//! its own, and one time for all of them. Everything is awaited on one thread, so that a seed is one order of events.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::DateTime;
use customer_guard::clock::{Clock, Timestamp};
use customer_guard::domain::access::{Caller, Enforcement};
use customer_guard::domain::account::{Cloud, PartnerAccount, PartnerKind};
use customer_guard::domain::customer::Customer;
use customer_guard::domain::hold::HoldId;
use customer_guard::domain::ids::{CustomerId, PartnerAccountId, ReplicaId, TenantId};
use customer_guard::domain::lease::{Lease, Replica};
use customer_guard::domain::policy::{Night, Pace, SyncPolicy};
use customer_guard::domain::sync_settings::SyncSettings;
use customer_guard::operations::accounts::Accounts;
use customer_guard::operations::apply_observations::Answered;
use customer_guard::partner_center::settings as upstream;
use customer_guard::simulator::operations::AuditTrail;
use customer_guard::simulator::partner::Partner;
use customer_guard::simulator::{Simulator, demo_partners};
use customer_guard::store::{ConfiguredAccount, Store};
use customer_guard::sync::{Answerer, Crew, Said, Setup, Worker};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::callers::Remembered;
use crate::history::{Delivery, History, Moment, Nature, Table};
use crate::invariants::Seen;
use crate::signals::Event;
use crate::truth::{Heard, Truth};

/// More bounded pieces of work at one moment than this are a worker that never rests.
const TICKS_MAX: u32 = 400;
/// How often the audit log is read.
const AUDIT_INTERVAL: Duration = Duration::from_secs(60);
/// How often the list is read.
pub const LIST_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// What a caller writes where it must not, and nobody else writes anywhere.
pub const FORBIDDEN: &str = "forbidden";

/// Where a history happens.
pub struct World {
    pub nature: Nature,
    pub truth: Truth,
    pub seen: Seen,
    pub clock: Clock,
    pub simulator: Simulator,
    pub account: PartnerAccountId,
    pub shell: SqliteConnection,
    pub partner: Partner,
    pub accounts: Accounts,
    /// Answers that are slow to arrive.
    pub slow: VecDeque<Answered>,
    /// Events on their way, and those that arrived.
    pub under_way: Vec<Event>,
    pub arrived: Vec<Event>,
    /// What a caller has read.
    pub views: BTreeMap<CustomerId, Customer>,
    /// The last edit that had a request id.
    pub remembered: Option<Remembered>,
    /// The removals an operator saw last.
    pub hold_seen: Option<HoldId>,
    /// Records of the audit log about what is under way.
    pub unfinished: Vec<(Uuid, String, Timestamp)>,
    /// The number of the step.
    pub step: usize,
    root: String,
    policy: SyncPolicy,
    database: PathBuf,
    // Absent only while it is started again.
    service: Option<Service>,
}

/// What a restart begins anew.
struct Service {
    store: Store,
    crew: Crew,
    worker: Worker,
}

/// More questions about customers at one moment than so many about each are a worker that asks in vain.
const LOOKS_AT_ONCE_MAX: u64 = 5;

fn start() -> Timestamp {
    DateTime::parse_from_rfc3339("2026-03-10T12:00:00Z").expect("a time").to_utc().into()
}

impl World {
    /// Lives through a history and what must follow it. Panics when something does not hold.
    pub async fn live(history: &History) {
        let folder = folder();
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let simulator = simulator(&history.nature);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let root = format!("http://{}", listener.local_addr().expect("an address"));
        let (served, stopped) = (simulator.clone(), stop.clone().cancelled_owned());
        tasks.spawn(async move { served.serve(listener, stopped).await.expect("the simulator serves") });
        let mut world = Self::open(history.nature.clone(), simulator, root, folder.path().join("h.db")).await;
        world.work().await;
        world.check().await;
        for step in &history.steps {
            world.step += 1;
            world.happen(step).await;
            world.check().await;
        }
        world.end_well().await;
        world.store().close().await;
        stop.cancel();
    }

    async fn open(nature: Nature, simulator: Simulator, root: String, database: PathBuf) -> Self {
        let partner = demo_partners().swap_remove(0);
        let clock = Clock::leaping(start());
        let (store, _) = Store::open_sqlite(&database, clock.clone()).await.expect("a store");
        let policy = SyncPolicy {
            night: Night::new("0 2 * * *", "Etc/UTC").expect("a sound night"),
            audit_interval: AUDIT_INTERVAL,
            list_interval: LIST_INTERVAL,
            verify_within: Duration::from_secs(24 * 60 * 60),
            manual_cooldown: Duration::from_secs(60 * 60),
        };
        let account = PartnerAccount {
            id: "contoso".parse().expect("an id"),
            display_name: "Contoso".to_owned(),
            kind: PartnerKind::DirectBill,
            cloud: Cloud::Global,
            tenant_id: TenantId::new(partner.tenant_id),
        };
        let id = account.id.clone();
        let pace =
            Pace { policy: policy.clone(), requests_per_minute: NonZeroU32::MAX, concurrency: NonZeroUsize::MIN };
        let settings = SyncSettings::of(&pace);
        let configured = ConfiguredAccount {
            account,
            client_id: partner.client_id.clone(),
            credential: customer_guard::domain::user_sign_in::CredentialKind::ClientSecret,
            settings,
        };
        let saved = store.write("configured", async |tx| tx.save_configured_account(&configured).await).await;
        let accounts = Accounts::new(pace);
        accounts.put(&saved.expect("a saved account"));
        let service = Some(service(&id, &policy, store, &clock, &partner, &root, nature.page_size).await);
        let shell = SqliteConnectOptions::new().filename(&database).connect().await.expect("a shell");
        let mut truth = Truth::default();
        for customer in simulator.customers(partner.tenant_id) {
            truth.arrived(&customer, start(), Heard::Signalled);
        }
        Self {
            nature,
            truth,
            seen: Seen::default(),
            clock,
            simulator,
            account: id,
            shell,
            partner,
            accounts,
            slow: VecDeque::new(),
            under_way: Vec::new(),
            arrived: Vec::new(),
            views: BTreeMap::new(),
            remembered: None,
            hold_seen: None,
            unfinished: Vec::new(),
            step: 0,
            root,
            policy,
            database,
            service,
        }
    }

    pub fn tenant(&self) -> Uuid {
        self.partner.tenant_id
    }

    pub fn store(&self) -> &Store {
        &self.service.as_ref().expect("a running service").store
    }

    /// Whoever answers questions beside the worker, in the same order.
    pub fn answerer(&self) -> Answerer {
        self.service.as_ref().expect("a running service").crew.answerer()
    }

    pub async fn tick(&mut self) -> Timestamp {
        self.service.as_mut().expect("a running service").worker.tick().await
    }

    /// Lets time pass on both clocks, and the worker do what is due.
    pub async fn pass(&mut self, time: Duration) {
        self.advance(time);
        self.work().await;
    }

    fn advance(&self, time: Duration) {
        self.simulator.clock().advance(time);
        self.clock.advance(time);
    }

    /// Sets our clock, and leaves Partner Center's.
    pub async fn set_clock(&mut self, seconds: i64) {
        let by = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 {
            self.truth.went_back += by;
            self.clock.set_back(by);
        } else {
            self.clock.advance(by);
        }
        self.work().await;
    }

    /// How long until the next night that no run has made superfluous.
    async fn until_night(&self) -> Duration {
        let newest = self.store().newest_full_run(&self.account).await.expect("an answer");
        let now = self.clock.now();
        let since = newest.map_or(now, |run| run.started_at.max(now));
        self.policy.night.after(since).expect("there is a next night").since(now)
    }

    pub async fn night(&mut self) {
        self.pass(self.until_night().await).await;
    }

    async fn work(&mut self) {
        let asked_before = self.simulator.calls(self.tenant()).get;
        for _ in 0..TICKS_MAX {
            let next = self.tick().await;
            if next > self.clock.now() {
                let asked = self.simulator.calls(self.tenant()).get - asked_before;
                let customers = u64::try_from(self.truth.everybody.len()).expect("few");
                assert!(
                    asked <= customers * LOOKS_AT_ONCE_MAX + 10,
                    "{asked} questions about {customers} customers at one moment"
                );
                return;
            }
        }
        panic!("the worker never rests");
    }

    /// One change is recorded and an event tells of another; a table cannot be written while they are heeded.
    pub async fn outage(&mut self, table: Table, moment: Moment, ticks: u32) {
        let (break_it, mend_it) = statements(table);
        self.change(self.step, AuditTrail::Recorded);
        let changed = self.change(self.step + 1, AuditTrail::Omitted);
        for statement in break_it {
            sqlx::query(*statement).execute(&mut self.shell).await.expect("broken");
        }
        self.advance(match moment {
            Moment::Poll => AUDIT_INTERVAL,
            Moment::List => LIST_INTERVAL,
            Moment::Night => self.until_night().await,
        });
        for _ in 0..ticks {
            self.tick().await;
        }
        if let Some(tenant) = changed {
            self.announce(tenant, Delivery::AtOnce).await;
        }
        for statement in mend_it {
            sqlx::query(*statement).execute(&mut self.shell).await.expect("mended");
        }
    }

    pub async fn restart(&mut self) {
        self.note_restart();
        // What a process that died had asked for reaches nobody.
        self.slow.clear();
        if let Some(service) = self.service.take() {
            service.store.close().await;
        }
        let (store, _) = Store::open_sqlite(&self.database, self.clock.clone()).await.expect("a store");
        let (policy, page_size) = (&self.policy, self.nature.page_size);
        self.service =
            Some(service(&self.account, policy, store, &self.clock, &self.partner, &self.root, page_size).await);
    }
}

fn folder() -> tempfile::TempDir {
    // Memory where there is some: what a disk does is the store's own tests' concern.
    let shared_memory = Path::new("/dev/shm");
    if shared_memory.is_dir() { tempfile::tempdir_in(shared_memory) } else { tempfile::tempdir() }.expect("a folder")
}

fn simulator(nature: &Nature) -> Simulator {
    let simulator = Simulator::new();
    simulator.clock().stop_at(start().to_utc());
    let partner = demo_partners().swap_remove(0);
    let contoso = partner.tenant_id;
    simulator.add_partner(partner);
    simulator.seed(contoso, nature.customers, 7).expect("a partner");
    let set = |knobs: &mut customer_guard::simulator::partner::Knobs| {
        knobs.lag_seconds = nature.lag_seconds;
        knobs.audit_delay_seconds = nature.audit_delay_seconds;
        knobs.audit_duplicates = nature.audit_duplicates;
        knobs.audit_order = nature.audit_order;
    };
    simulator.set_knobs(contoso, set).expect("a partner");
    simulator
}

/// Who calls.
pub fn caller(enforcement: Enforcement) -> Caller {
    Caller { enforcement, ..Caller::loopback(Some("history")) }
}

async fn service(
    account: &PartnerAccountId,
    policy: &SyncPolicy,
    store: Store,
    clock: &Clock,
    partner: &Partner,
    root: &str,
    page_size: u16,
) -> Service {
    let settings = upstream::Settings {
        endpoints: upstream::Endpoints {
            api_root: root.to_owned(),
            authority: root.to_owned(),
            audience: "https://api.partnercenter.microsoft.com".to_owned(),
        },
        tenant_id: TenantId::new(partner.tenant_id),
        client_id: partner.client_id.clone(),
        credential: customer_guard::sign_in::Credential::Secret(partner.client_secret.clone().into()),
        requests_per_minute: NonZeroU32::MAX,
        concurrency: NonZeroUsize::MIN,
        page_size,
        application_name: "customer-guard histories".to_owned(),
        timeouts: upstream::Timeouts::USUAL,
    };
    let said = Said {
        account: account.clone(),
        kind: PartnerKind::DirectBill,
        policy: policy.clone(),
        partner_center: settings,
        has_user: false,
        webhook: None,
    };
    let crew = Crew::new(Setup::of(said, &store, None, clock).expect("a client"), None, &store, clock);
    let worker = crew.worker(lease(&store, account, clock).await);
    Service { store, crew, worker }
}

/// A service that starts takes over from the one before.
async fn lease(store: &Store, account: &PartnerAccountId, clock: &Clock) -> Lease {
    let replica = Replica { id: ReplicaId::mint(clock.now()), name: "history".to_owned() };
    let accounts = BTreeSet::from([account.clone()]);
    let shared = store
        .write("share", async |tx| tx.share_accounts(&replica, &accounts, Duration::ZERO, true).await)
        .await
        .expect("the account is taken");
    Lease { account: account.clone(), epoch: shared.held[account] }
}

type Statements = &'static [&'static str];

fn statements(table: Table) -> (Statements, Statements) {
    macro_rules! outage {
        ($table:literal) => {
            (
                &[
                    concat!(
                        "CREATE TRIGGER outage_i BEFORE INSERT ON ",
                        $table,
                        " BEGIN SELECT RAISE(ABORT, 'outage'); END"
                    ),
                    concat!(
                        "CREATE TRIGGER outage_u BEFORE UPDATE ON ",
                        $table,
                        " BEGIN SELECT RAISE(ABORT, 'outage'); END"
                    ),
                ],
                &["DROP TRIGGER outage_i", "DROP TRIGGER outage_u"],
            )
        };
    }
    match table {
        Table::Customer => outage!("customer"),
        Table::UpstreamCustomer => outage!("upstream_customer"),
        Table::SyncRun => outage!("sync_run"),
        Table::AuditRecordSeen => outage!("audit_record_seen"),
        Table::AccountSync => outage!("account_sync"),
        Table::WebhookSeen => outage!("webhook_seen"),
        Table::ChangeLog => outage!("change_log"),
    }
}
