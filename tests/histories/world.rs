//! The system a history happens in: a store in a folder of its own, a worker driven by hand, Partner Center on a port of
//! its own, and one time for all of them. Everything is awaited on one thread, so that a seed is one order of events.

use std::collections::VecDeque;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::DateTime;
use customer_guard::clock::{Clock, Timestamp};
use customer_guard::domain::access::{Caller, Enforcement};
use customer_guard::domain::account::{Cloud, PartnerAccount, PartnerKind};
use customer_guard::domain::contact::{ContactField, ContactRole};
use customer_guard::domain::customer::Customer;
use customer_guard::domain::edit::{CustomerEdit, Wish};
use customer_guard::domain::ids::{PartnerAccountId, TenantId};
use customer_guard::domain::ownership::{Owner, Standing, owner};
use customer_guard::domain::policy::{Night, Pace, SyncPolicy};
use customer_guard::domain::sync_settings::SyncSettings;
use customer_guard::operations::accounts::Accounts;
use customer_guard::operations::apply_observations::{Answered, apply_observations};
use customer_guard::operations::create_customer::WriteMode;
use customer_guard::operations::once::Outcome;
use customer_guard::operations::questions::Questions;
use customer_guard::operations::start_sync::start_sync;
use customer_guard::operations::update_customer::{EditOutcome, UpdateCustomer, update_customer};
use customer_guard::partner_center::{PartnerCenter, settings as upstream};
use customer_guard::simulator::faults::{Effect, Fault};
use customer_guard::simulator::operations::{AuditTrail, NewCustomer};
use customer_guard::simulator::partner::Partner;
use customer_guard::simulator::{Simulator, demo_partners};
use customer_guard::store::{CallTally, ConfiguredAccount, DirtyCustomer, Store};
use customer_guard::sync::Worker;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::history::{History, Manner, Nature, Step, Table};
use crate::invariants::Seen;
use crate::truth::{Heard, Presence, Truth, email};

/// More bounded pieces of work at one moment than this are a worker that never rests.
const TICKS_MAX: u32 = 400;
/// How often the audit log is read.
const AUDIT_INTERVAL: Duration = Duration::from_secs(60);
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
    partner: Partner,
    root: String,
    accounts: Accounts,
    policy: SyncPolicy,
    database: PathBuf,
    // Absent only while it is started again.
    service: Option<Service>,
    slow: VecDeque<Answered>,
    step: usize,
}

/// What a restart begins anew.
struct Service {
    store: Store,
    worker: Worker,
}

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
            list_interval: Duration::from_secs(15 * 60),
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
        let configured = ConfiguredAccount { account, client_id: partner.client_id.clone(), settings };
        let saved = store.write("configured", async |tx| tx.save_configured_account(&configured).await).await;
        let accounts = Accounts::new(pace);
        accounts.put(&saved.expect("a saved account"));
        let service = Some(service(&id, &policy, store, &clock, &partner, &root, nature.page_size));
        let shell = SqliteConnectOptions::new().filename(&database).connect().await.expect("a shell");
        let mut truth = Truth::default();
        for customer in simulator.customers(partner.tenant_id) {
            truth.arrived(&customer, start(), Heard::Signalled);
        }
        let seen = Seen::default();
        let (slow, step) = (VecDeque::new(), 0);
        Self {
            nature,
            truth,
            seen,
            clock,
            simulator,
            account: id,
            shell,
            partner,
            root,
            accounts,
            policy,
            database,
            service,
            slow,
            step,
        }
    }

    pub fn tenant(&self) -> Uuid {
        self.partner.tenant_id
    }

    pub fn store(&self) -> &Store {
        &self.service.as_ref().expect("a running service").store
    }

    async fn tick(&mut self) -> Timestamp {
        self.service.as_mut().expect("a running service").worker.tick().await
    }

    async fn happen(&mut self, step: &Step) {
        match step {
            Step::Change(who) => self.change(*who, AuditTrail::Recorded),
            Step::ChangeSilently(who) => self.change(*who, AuditTrail::Omitted),
            Step::Rename(who) => {
                let Some(tenant) = self.truth.one(*who, Presence::There) else { return };
                let name = format!("Renamed {}", self.step);
                self.simulator.rename(self.tenant(), tenant, &name).expect("a customer");
                self.truth.of(tenant).heard = Heard::Signalled;
            }
            Step::RenameTenant(who) => {
                let Some(tenant) = self.truth.one(*who, Presence::There) else { return };
                let name = format!("Tenant {}", self.step);
                self.simulator.rename_tenant(self.tenant(), tenant, &name).expect("a customer");
                self.truth.of(tenant).heard = Heard::Silent;
            }
            Step::Arrive(trail) => {
                let new = NewCustomer::default();
                let arrived = match trail {
                    AuditTrail::Recorded => self.simulator.add_customer(self.tenant(), new),
                    AuditTrail::Omitted => {
                        let audited = |audited| {
                            move |knobs: &mut customer_guard::simulator::partner::Knobs| {
                                knobs.acceptance_audited = audited;
                            }
                        };
                        self.simulator.set_knobs(self.tenant(), audited(false)).expect("a partner");
                        let arrived = self.simulator.accept_customer(self.tenant(), new);
                        self.simulator.set_knobs(self.tenant(), audited(true)).expect("a partner");
                        arrived
                    }
                };
                self.truth.arrived(&arrived.expect("a new customer"), self.clock.now(), Heard::Signalled);
            }
            Step::Leave(who, trail) => {
                let Some(tenant) = self.truth.one(*who, Presence::There).filter(|_| self.truth.there() > 3) else {
                    return;
                };
                self.simulator.remove_relationship(self.tenant(), tenant, *trail).expect("a customer");
                let now = self.clock.now();
                let known = self.truth.of(tenant);
                known.there_since = None;
                known.first_left_at.get_or_insert(now);
                known.leave_recorded |= *trail == AuditTrail::Recorded;
            }
            Step::Return(who) => {
                let Some(tenant) = self.truth.one(*who, Presence::Gone) else { return };
                let returning = NewCustomer { id: Some(tenant), ..NewCustomer::default() };
                self.simulator.accept_customer(self.tenant(), returning).expect("a former customer");
                let now = self.clock.now();
                let known = self.truth.of(tenant);
                known.there_since = Some(now);
                known.heard = Heard::Signalled;
            }
            Step::EditGuarded(who, field, manner) => self.edit_guarded(*who, *field, *manner).await,
            Step::EditOwn(who) => self.edit_own(*who).await,
            Step::Refresh(who) => drop(self.refresh(*who).await),
            Step::StartSync => {
                drop(start_sync(self.store(), &self.accounts, &caller(Enforcement::Refuse), &self.account, None).await)
            }
            Step::AskSlowly(who) => self.ask_slowly(*who).await,
            Step::Arrives => self.arrives().await,
            Step::Pass(seconds) => self.pass(Duration::from_secs(*seconds)).await,
            Step::Tick => drop(self.tick().await),
            Step::Night => self.night().await,
            Step::Fault(fault) => self.fault(fault.clone()),
            Step::Hide(who) => {
                let Some(customer) = self.truth.one(*who, Presence::There) else { return };
                self.fault(Fault::always(Effect::HideFromList { customer }));
            }
            Step::Blank(who) => {
                let Some(customer) = self.truth.one(*who, Presence::There) else { return };
                self.truth.of(customer).was_unreadable = true;
                self.fault(Fault::always(Effect::NullBillingProfile { customer }));
            }
            Step::Mend => self.mend(),
            Step::Outage(table) => self.outage(*table).await,
            Step::Restart => self.restart().await,
        }
    }

    fn change(&mut self, who: usize, trail: AuditTrail) {
        let Some(tenant) = self.truth.one(who, Presence::There) else { return };
        let new = format!("step{}@customer.example", self.step);
        let set = |profile: &mut customer_guard::simulator::customer::BillingProfile| profile.email = Some(new.clone());
        let heard = match trail {
            AuditTrail::Recorded => {
                self.simulator.change_billing_profile(self.tenant(), tenant, set).expect("a customer");
                Heard::Signalled
            }
            AuditTrail::Omitted => {
                self.simulator.change_silently(self.tenant(), tenant, set).expect("a customer");
                Heard::Silent
            }
        };
        let email = email(&self.simulator.customer(self.tenant(), tenant).expect("a customer"));
        let known = self.truth.of(tenant);
        known.emails.push(email);
        known.heard = heard;
    }

    async fn local(&self, who: usize) -> Option<(Uuid, Customer)> {
        let tenant = *self.truth.everybody.get(who % self.truth.everybody.len())?;
        let found = self.store().customer_of_tenant(&self.account, TenantId::new(tenant)).await.expect("an answer");
        found.map(|customer| (tenant, customer))
    }

    async fn edit(&self, customer: &Customer, wish: Wish, enforcement: Enforcement) -> EditOutcome {
        let request = UpdateCustomer {
            account: self.account.clone(),
            id: customer.id,
            expected: None,
            edit: CustomerEdit { wishes: vec![wish] },
            mode: WriteMode::Write,
        };
        let edited = update_customer(self.store(), &self.accounts, &caller(enforcement), request, None).await;
        match edited {
            Ok(Outcome::Now(outcome)) => outcome,
            other => panic!("an edit comes to a decision, not to {other:?}"),
        }
    }

    async fn edit_guarded(&mut self, who: usize, field: usize, manner: Manner) {
        let Some((_, customer)) = self.local(who).await else { return };
        let text = format!("{FORBIDDEN}{}", self.step);
        let contact = |role, member, text: &str| Wish::Contact(role, member, text.to_owned());
        let wish = match field {
            0 => contact(ContactRole::Primary, ContactField::Email, &format!("{text}@caller.example")),
            1 => contact(ContactRole::Billing, ContactField::Email, &format!("{text}@caller.example")),
            2 => contact(ContactRole::Primary, ContactField::FirstName, &text),
            3 => contact(ContactRole::Billing, ContactField::City, &text),
            4 => contact(ContactRole::Billing, ContactField::LastName, &text),
            5 => Wish::CompanyName(text),
            _ => Wish::Domain(format!("{text}.example")),
        };
        let standing = Standing::of(customer.source(), customer.relationship());
        let guarded = wish.field().is_some_and(|field| owner(standing, field) == Owner::PartnerCenter);
        let enforcement = match manner {
            Manner::Refused => Enforcement::Refuse,
            Manner::Reported => Enforcement::ReportOnly,
        };
        let outcome = self.edit(&customer, wish, enforcement).await;
        match (&outcome, guarded, manner) {
            (EditOutcome::Refused(refused), true, Manner::Refused) => {
                assert!(refused.decision.is_some(), "{refused:?}")
            }
            (EditOutcome::Reported(_, refused), true, Manner::Reported) => {
                assert!(refused.decision.is_some(), "{refused:?}");
            }
            (EditOutcome::Saved(_), false, _) => {}
            _ => panic!("a guarded edit ({guarded}, {manner:?}) came to {outcome:?}"),
        }
    }

    async fn edit_own(&mut self, who: usize) {
        let Some((tenant, customer)) = self.local(who).await else { return };
        let value = self.step.to_string();
        let outcome =
            self.edit(&customer, Wish::Label("own".to_owned(), Some(value.clone())), Enforcement::Refuse).await;
        assert!(matches!(outcome, EditOutcome::Saved(_)), "{outcome:?}");
        self.truth.of(tenant).label = Some(value);
    }

    /// Marks a customer as a caller's refresh does; returns the work that owes.
    async fn refresh(&mut self, who: usize) -> Option<DirtyCustomer> {
        let (tenant, _) = self.local(who).await?;
        let (account, tenant_id) = (&self.account, TenantId::new(tenant));
        let marked = self
            .store()
            .write("mark_for_refresh", async |tx| tx.mark_for_refresh(account, tenant_id).await)
            .await
            .expect("marked");
        let known = self.truth.of(tenant);
        if known.heard == Heard::Silent {
            known.heard = Heard::Refreshed;
        }
        Some(DirtyCustomer { tenant_id, marked: marked.marked, attempts: 0, run: None, cause: None })
    }

    async fn ask_slowly(&mut self, who: usize) {
        let Some(work) = self.refresh(who).await else { return };
        // Through the worker's own answerer, so that the question has its place in the worker's order.
        let questions = Questions::default();
        let asked = questions.answered_by(&self.account);
        let answerer = self.service.as_ref().expect("a running service").worker.answerer();
        let answer = tokio::select! {
            answer = questions.customer(&self.account, work.tenant_id) => answer,
            () = answerer.run(asked, CancellationToken::new()) => panic!("the answerer ends"),
        };
        // What is not answered stays owed.
        if let Ok(observation) = answer {
            self.slow.push_back(Answered { work, observation, tally: CallTally::default() });
        }
    }

    async fn arrives(&mut self) {
        let Some(answered) = self.slow.pop_front() else { return };
        let saved = apply_observations(self.store(), &self.account, &[answered]).await;
        if let Err(error) = saved {
            panic!("an answer cannot be applied: {error}");
        }
    }

    pub async fn pass(&mut self, time: Duration) {
        self.simulator.clock().advance(time);
        self.clock.advance(time);
        self.work().await;
    }

    pub async fn night(&mut self) {
        let night = self.policy.night.after(self.clock.now()).expect("there is a next night");
        self.pass(night.since(self.clock.now())).await;
    }

    async fn work(&mut self) {
        for _ in 0..TICKS_MAX {
            let next = self.tick().await;
            if next > self.clock.now() {
                return;
            }
        }
        panic!("the worker never rests");
    }

    fn fault(&mut self, fault: Fault) {
        use customer_guard::simulator::calls::Route;
        let strikes_details = matches!(fault.on, None | Some(Route::Get));
        if strikes_details && matches!(fault.effect, Effect::Forbidden { .. } | Effect::WrongBody { .. }) {
            self.truth.false_details += 1;
        }
        self.simulator.faults(self.tenant()).push(fault).expect("a partner");
    }

    pub fn mend(&self) {
        self.simulator.faults(self.tenant()).clear().expect("a partner");
    }

    /// One bounded piece of work while a table cannot be written.
    async fn outage(&mut self, table: Table) {
        let (break_it, mend_it) = statements(table);
        for statement in break_it {
            sqlx::query(*statement).execute(&mut self.shell).await.expect("broken");
        }
        // So long that the log is to be read again: what fails then is the most that one piece of work can be.
        self.simulator.clock().advance(AUDIT_INTERVAL);
        self.clock.advance(AUDIT_INTERVAL);
        self.tick().await;
        for statement in mend_it {
            sqlx::query(*statement).execute(&mut self.shell).await.expect("mended");
        }
    }

    async fn restart(&mut self) {
        // What a process that died had asked for reaches nobody.
        self.slow.clear();
        if let Some(service) = self.service.take() {
            service.store.close().await;
        }
        let (store, _) = Store::open_sqlite(&self.database, self.clock.clone()).await.expect("a store");
        let (policy, page_size) = (&self.policy, self.nature.page_size);
        self.service = Some(service(&self.account, policy, store, &self.clock, &self.partner, &self.root, page_size));
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

fn caller(enforcement: Enforcement) -> Caller {
    Caller { enforcement, ..Caller::loopback(Some("history")) }
}

fn service(
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
        client_secret: partner.client_secret.clone().into(),
        requests_per_minute: NonZeroU32::MAX,
        concurrency: NonZeroUsize::MIN,
        page_size,
        application_name: "customer-guard histories".to_owned(),
        timeouts: upstream::Timeouts::USUAL,
    };
    let center = PartnerCenter::new(settings, clock.clone()).expect("a client");
    let worker = Worker::new(account.clone(), policy.clone(), NonZeroUsize::MIN, center, store.clone(), clock.clone());
    Service { store, worker }
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
    }
}
