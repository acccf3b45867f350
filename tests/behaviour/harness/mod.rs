//! A service under test: an App, its upstream, its clients, and the time they live in.

pub mod accounts;
pub mod cast;
pub mod certificates;
pub mod client_certificates;
pub mod database;
pub mod hooks;
pub mod told;
pub mod upstream;
pub mod watcher;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use customer_guard::app::{AccountSettings, ApiAccountSettings, App, RunError, Settings, WebhookSettings};
use customer_guard::clock::{Clock, Timestamp};
use customer_guard::domain::account::{Cloud, PartnerAccount, PartnerKind};
use customer_guard::domain::ids::TenantId;
use customer_guard::domain::policy::{Night, Pace, SyncPolicy};
use customer_guard::grpc::PortalLink;
use customer_guard::grpc::WatchLimits;
use customer_guard::grpc::proto;
use customer_guard::grpc::proto::customer_service_client::CustomerServiceClient;
use customer_guard::grpc::proto::partner_account_service_client::PartnerAccountServiceClient;
use customer_guard::grpc::proto::sync_service_client::SyncServiceClient;
use customer_guard::partner_center::settings as partner_center;
use customer_guard::sealing::SealingKeys;
use customer_guard::sign_in::Credential;
use customer_guard::simulator::partner::PartnerKind as SimulatedKind;
use customer_guard::store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Channel;
use uuid::Uuid;

use self::cast::LINDEN;
use self::told::Told;
use self::upstream::{Upstream, noon};

/// How long a state may take to come about before a test gives up.
const PATIENCE: Duration = Duration::from_secs(300);

/// A sealing key.
pub const SEALING_KEY: &str = "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=";

/// What a test may choose; everything else is usual.
pub struct Plan {
    pub partners: Vec<&'static str>,
    pub audit_interval: Duration,
    pub list_interval: Duration,
    pub manual_cooldown: Duration,
    pub verify_within: Duration,
    pub requests_per_minute: u32,
    /// How many customers a page of Partner Center's list holds.
    pub page_size: u16,
    /// How long calls to Partner Center may take.
    pub timeouts: partner_center::Timeouts,
    /// Where the API and the sign-in service are, instead of where the simulator is.
    pub api_root: Option<String>,
    pub authority: Option<String>,
    /// The account whose client secret is not the one Partner Center knows.
    pub wrong_secret_of: Option<&'static str>,
    /// What accounts of the configuration sign in by, where it is not the secret.
    pub credentials: BTreeMap<&'static str, Credential>,
    /// The refresh tokens of accounts of the configuration.
    pub refresh_tokens: BTreeMap<&'static str, String>,
    /// Application and secret by which contoso signs in instead of the partner's own.
    pub contoso_signs_in_as: Option<(String, String)>,
    /// The callers to whom refusals are only reported.
    pub report_only_callers: Vec<&'static str>,
    pub change_log_retention: Duration,
    pub watching: WatchLimits,
    /// The sealing keys, one a line.
    pub sealing_keys: Option<&'static str>,
    /// How Partner Center's events come in; not at all without it.
    pub webhook: Option<WebhookSettings>,
    /// The registration of somebody else's that contoso's may replace.
    pub webhook_replace_url: Option<String>,
    pub clock: Clock,
}

impl Plan {
    /// One account, contoso, on a clock that began to run at noon and can be moved.
    pub fn usual() -> Self {
        Self {
            partners: vec!["contoso"],
            audit_interval: Duration::from_secs(60),
            list_interval: Duration::from_secs(15 * 60),
            manual_cooldown: Duration::from_secs(60 * 60),
            verify_within: Duration::from_secs(24 * 60 * 60),
            requests_per_minute: 600_000,
            page_size: 500,
            timeouts: partner_center::Timeouts::USUAL,
            api_root: None,
            authority: None,
            wrong_secret_of: None,
            credentials: BTreeMap::new(),
            refresh_tokens: BTreeMap::new(),
            contoso_signs_in_as: None,
            report_only_callers: Vec::new(),
            change_log_retention: Duration::from_secs(90 * 24 * 60 * 60),
            watching: WatchLimits::USUAL,
            sealing_keys: Some(SEALING_KEY),
            webhook: None,
            webhook_replace_url: None,
            clock: Clock::running_from(noon()),
        }
    }
}

/// A running service.
pub struct Guard {
    pub customers: CustomerServiceClient<Channel>,
    pub sync: SyncServiceClient<Channel>,
    pub accounts: PartnerAccountServiceClient<Channel>,
    pub channel: Channel,
    pub address: SocketAddr,
    /// The service's own store, for what a test does a thousand times.
    pub store: Store,
    pub clock: Clock,
    pub database: PathBuf,
    /// Where events come in, if anywhere.
    pub webhook_address: Option<SocketAddr>,
    stop: CancellationToken,
    run: JoinHandle<Result<(), RunError>>,
}

/// A service, its upstream and the folder they live in.
pub struct World {
    pub upstream: Upstream,
    pub guard: Guard,
    pub folder: tempfile::TempDir,
    pub plan: Plan,
}

impl World {
    /// Contoso with so many seeded customers, synchronized.
    pub async fn with_customers(count: usize) -> Self {
        Self::with(Plan::usual(), count).await
    }

    /// The accounts of the plan with so many seeded customers each, synchronized.
    pub async fn with(plan: Plan, count: usize) -> Self {
        let upstream = Upstream::start().await;
        for name in &plan.partners {
            upstream.seed(name, count);
        }
        let world = Self::unsynchronized(plan, upstream).await;
        for name in world.plan.partners.clone() {
            world.guard.wait_for_first_sync(name).await;
        }
        world
    }

    /// Contoso with Linden alone, synchronized, and Linden.
    pub async fn with_linden() -> (Self, proto::Customer) {
        Self::with_linden_of("contoso").await
    }

    /// As [`World::with_linden`], by that plan.
    pub async fn with_linden_by(plan: Plan) -> (Self, proto::Customer) {
        let account = plan.partners[0];
        let upstream = Upstream::start().await;
        upstream.add_linden(account);
        let world = Self::unsynchronized(plan, upstream).await;
        world.guard.wait_for_first_sync(account).await;
        let linden = world.guard.of_tenant(account, LINDEN).await.expect("Linden has arrived");
        (world, linden)
    }

    /// That account with Linden alone, synchronized, and Linden.
    pub async fn with_linden_of(account: &'static str) -> (Self, proto::Customer) {
        Self::with_linden_by(Plan { partners: vec![account], ..Plan::usual() }).await
    }

    /// A service that has just been started against that upstream.
    pub async fn unsynchronized(plan: Plan, upstream: Upstream) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let guard = Guard::start(&plan, &upstream, folder.path().join("customer-guard.db")).await;
        Self { upstream, guard, folder, plan }
    }

    /// Contoso's tenant.
    pub fn contoso(&self) -> Uuid {
        self.upstream.contoso()
    }

    /// The tenants of contoso's customers in Partner Center, in order.
    pub fn tenants(&self) -> Vec<Uuid> {
        self.upstream.simulator.customers(self.contoso()).iter().map(|customer| customer.id).collect()
    }

    /// Contoso's customer of that tenant.
    pub async fn customer(&self, tenant: Uuid) -> proto::Customer {
        self.guard.of_tenant("contoso", tenant).await.expect("a known tenant")
    }

    /// Gives a customer another e-mail address in Partner Center; the audit log tells.
    pub fn change_email(&self, tenant: Uuid, email: &str) {
        let change = |profile: &mut customer_guard::simulator::customer::BillingProfile| {
            profile.email = Some(email.to_owned());
        };
        self.upstream.simulator.change_billing_profile(self.contoso(), tenant, change).expect("a known customer");
    }

    /// As [`World::change_email`], but the audit log does not tell.
    pub fn change_email_silently(&self, tenant: Uuid, email: &str) {
        let change = |profile: &mut customer_guard::simulator::customer::BillingProfile| {
            profile.email = Some(email.to_owned());
        };
        self.upstream.simulator.change_silently(self.contoso(), tenant, change).expect("a known customer");
    }

    /// Waits until contoso's customer of that tenant has that e-mail address, moving the time by `step` at every look.
    pub async fn wait_for_email(&self, tenant: Uuid, email: &str, step: Duration) {
        eventually(&format!("{email} arrives"), async || {
            self.advance(step);
            let found = self.guard.of_tenant("contoso", tenant).await?;
            (found.primary_contact?.email == email).then_some(())
        })
        .await;
    }

    /// Lets minutes pass until what the audit log said of contoso's customers is confirmed: nobody looks again by itself.
    pub async fn pass_until_confirmed(&self) {
        let owed = "SELECT count(*) FROM upstream_customer WHERE confirms_left > 0 OR settled < marked";
        eventually("what the audit log said is confirmed", async || {
            self.advance(Duration::from_secs(60));
            let is_read = self.guard.status("contoso").await.audit_polled_at.is_some();
            (is_read && database::count(&self.guard.database, owed).await == 0).then_some(())
        })
        .await;
    }

    /// Moves the time of the service and of Partner Center alike. A test has one thread, so that nobody acts on the
    /// new time before the test waits for something.
    pub fn advance(&self, by: Duration) {
        self.upstream.simulator.clock().advance(by);
        self.guard.clock.advance(by);
    }

    /// Lets the audit interval pass and waits until the log was read and everybody it named was looked at. A reading that was
    /// under way ends then as well, and may not have met what has just happened.
    pub async fn read_audit_log(&self) {
        self.advance(self.plan.audit_interval);
        let from = self.guard.clock.now().micros();
        let read = format!("SELECT count(*) FROM account_sync WHERE account = 'contoso' AND audit_read_from >= {from}");
        eventually("the audit log is read", async || {
            let is_read = database::count(&self.guard.database, &read).await == 1;
            (is_read && self.guard.status("contoso").await.backlog == 0).then_some(())
        })
        .await;
    }

    /// Lets the list interval pass and waits until the list was read and everybody it named was looked at.
    pub async fn read_list(&self) -> proto::SyncRun {
        self.advance(self.plan.list_interval);
        self.list_read_since(self.guard.clock.now()).await
    }

    /// Waits until a list was read that began at that time or later. One that had begun before and ended since puts the
    /// next one off: then another interval passes.
    pub async fn list_read_since(&self, from: Timestamp) -> proto::SyncRun {
        let since =
            |at: Option<prost_types::Timestamp>, from: Timestamp| at.is_some_and(|at| micros(at) >= from.micros());
        let mut waited_from = from;
        eventually("the list is read", async || {
            let runs = self.guard.runs("contoso").await;
            let mut lists = runs.iter().filter(|run| run.kind() == proto::SyncRunKind::ListDiff);
            let is_done = |run: &&proto::SyncRun| run.state() == proto::SyncRunState::Succeeded;
            if let Some(read) = lists.clone().filter(is_done).find(|run| since(run.start_time, from)) {
                return Some(read.clone());
            }
            let has_begun = lists.clone().any(|run| since(run.start_time, waited_from));
            if !has_begun && lists.any(|run| since(run.end_time, waited_from)) {
                self.advance(self.plan.list_interval);
                waited_from = self.guard.clock.now();
            }
            None
        })
        .await
    }

    /// Lets the time pass until the next night has begun, and waits until it is done.
    pub async fn pass_a_night(&self) -> proto::SyncRun {
        let night = micros(self.guard.status("contoso").await.next_night_at.expect("there is a next night"));
        self.advance(Timestamp::from_micros(night).since(self.guard.clock.now()));
        eventually("the night is done", async || {
            let done = self.guard.status("contoso").await.last_full_sync?;
            (micros(done.start_time?) >= night).then_some(done)
        })
        .await
    }

    /// Stops the service and starts it again on the same database.
    pub async fn restart(self) -> Self {
        self.restart_after(|| ()).await
    }

    /// As [`World::restart`], by a plan that has changed.
    pub async fn restart_by(mut self, change: impl FnOnce(&mut Plan, &Upstream)) -> Self {
        change(&mut self.plan, &self.upstream);
        self.restart().await
    }

    /// As [`World::restart`], with something that happens while nobody serves.
    pub async fn restart_after(self, meanwhile: impl FnOnce()) -> Self {
        let Self { upstream, guard, folder, plan } = self;
        let database = guard.database.clone();
        guard.stop().await;
        meanwhile();
        let guard = Guard::start(&plan, &upstream, database).await;
        Self { upstream, guard, folder, plan }
    }

    /// Another replica on the same database, where the engine allows one: a file has one process.
    pub async fn beside(&self) -> Option<Guard> {
        if !database::is_postgres() {
            return None;
        }
        let settings = Settings {
            replica_name: "beside".to_owned(),
            ..settings(&self.plan, &self.upstream, &self.guard.database)
        };
        Some(Guard::start_by(settings, &self.plan, &self.upstream, self.guard.database.clone()).await)
    }

    /// Stops everything; what must hold in every world held in this one.
    pub async fn end(self) {
        database::assert_sound(&self.guard.database).await;
        self.guard.stop().await;
        self.upstream.stop().await;
    }
}

/// The settings of a service of that plan.
pub fn settings(plan: &Plan, upstream: &Upstream, database: &Path) -> Settings {
    Settings {
        listen: "127.0.0.1:0".parse().expect("an address"),
        database: database::address(database),
        replica_name: "behaviour".to_owned(),
        portal: PortalLink::new("https://portal.example/customers/{tenant_id}").expect("a sound template"),
        report_only_callers: plan.report_only_callers.iter().map(ToString::to_string).collect(),
        change_log_retention: plan.change_log_retention,
        watching: plan.watching,
        webhook: plan.webhook.clone(),
        accounts: plan.partners.iter().map(|name| account(name, plan, upstream)).collect(),
        sealing_keys: plan.sealing_keys.map(|text| SealingKeys::parse(&text.into()).expect("sealing keys")),
        api_accounts: ApiAccountSettings { pace: pace(plan), endpoints: Some(endpoints(plan, upstream)) },
    }
}

/// How accounts are kept level.
pub fn pace(plan: &Plan) -> Pace {
    Pace {
        policy: SyncPolicy {
            night: Night::new("0 2 * * *", "Europe/Riga").expect("a sound night"),
            audit_interval: plan.audit_interval,
            list_interval: plan.list_interval,
            verify_within: plan.verify_within,
            manual_cooldown: plan.manual_cooldown,
        },
        requests_per_minute: NonZeroU32::new(plan.requests_per_minute).expect("not zero"),
        concurrency: NonZeroUsize::new(8).expect("not zero"),
    }
}

fn endpoints(plan: &Plan, upstream: &Upstream) -> partner_center::Endpoints {
    partner_center::Endpoints {
        api_root: plan.api_root.clone().unwrap_or_else(|| upstream.root.clone()),
        authority: plan.authority.clone().unwrap_or_else(|| upstream.root.clone()),
        audience: "https://api.partnercenter.microsoft.com".to_owned(),
    }
}

impl Guard {
    async fn start(plan: &Plan, upstream: &Upstream, database: PathBuf) -> Self {
        // `RUST_LOG=info cargo test` shows what the service says.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        database::prepare(&database).await;
        Self::start_by(settings(plan, upstream, &database), plan, upstream, database).await
    }

    async fn start_by(settings: Settings, plan: &Plan, upstream: &Upstream, database: PathBuf) -> Self {
        let app = App::build(settings, plan.clock.clone()).await.expect("the service starts");
        let webhook_address = app.webhook_address();
        if let Some(address) = webhook_address {
            upstream.send_events_to(address);
        }
        let (address, store) = (app.address(), app.store().clone());
        // The listener is bound before the service runs, so that nobody is turned away.
        let channel = Channel::from_shared(format!("http://{}", app.address())).expect("an address").connect_lazy();
        let stop = CancellationToken::new();
        let run = TaskTracker::new().spawn(app.run(stop.clone()));
        Self {
            customers: CustomerServiceClient::new(channel.clone()).max_decoding_message_size(16 << 20),
            sync: SyncServiceClient::new(channel.clone()),
            accounts: PartnerAccountServiceClient::new(channel.clone()),
            channel,
            address,
            store,
            clock: plan.clock.clone(),
            database,
            webhook_address,
            stop,
            run,
        }
    }

    /// Waits until the account has been synchronized once.
    pub async fn wait_for_first_sync(&self, account: &str) {
        let status = eventually("the first sync ends", async || {
            let status = self.status(account).await;
            status.last_full_sync.is_some().then_some(status)
        })
        .await;
        assert_eq!(status.backlog, 0, "{status:?}");
    }

    pub async fn status(&self, account: &str) -> proto::SyncStatus {
        let name = format!("partnerAccounts/{account}/syncStatus");
        let request = proto::GetSyncStatusRequest { name };
        self.sync.clone().get_sync_status(request).await.expect("a status").into_inner()
    }

    /// Every customer of an account, page by page.
    pub async fn all(&self, account: &str) -> Vec<proto::Customer> {
        let mut customers = Vec::new();
        let mut page_token = String::new();
        loop {
            let parent = format!("partnerAccounts/{account}");
            let request = proto::ListCustomersRequest { parent, page_size: 1000, page_token, ..Default::default() };
            let page = self.customers.clone().list_customers(request).await.expect("a page").into_inner();
            customers.extend(page.customers);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return customers;
            }
        }
    }

    /// The newest runs of an account, newest first.
    pub async fn runs(&self, account: &str) -> Vec<proto::SyncRun> {
        let parent = format!("partnerAccounts/{account}");
        let request = proto::ListSyncRunsRequest { parent, ..Default::default() };
        self.sync.clone().list_sync_runs(request).await.expect("runs").into_inner().sync_runs
    }

    pub async fn get(&self, name: &str) -> proto::Customer {
        let request = proto::GetCustomerRequest { name: name.to_owned(), ..Default::default() };
        self.customers.clone().get_customer(request).await.expect("a customer").into_inner()
    }

    /// The customer of that tenant.
    pub async fn of_tenant(&self, account: &str, tenant: Uuid) -> Option<proto::Customer> {
        let tenant = tenant.to_string();
        self.all(account).await.into_iter().find(|customer| customer.microsoft_tenant_id == tenant)
    }

    /// Updates by paths; `None` sends no mask at all.
    pub async fn try_update(&self, customer: proto::Customer, mask: Option<&[&str]>) -> Result<proto::Customer, Told> {
        let field_mask =
            |paths: &[&str]| prost_types::FieldMask { paths: paths.iter().map(ToString::to_string).collect() };
        let update_mask = mask.map(field_mask);
        self.send_update(proto::UpdateCustomerRequest {
            customer: Some(customer),
            update_mask,
            validate_only: false,
            ..Default::default()
        })
        .await
    }

    pub async fn send_update(&self, request: proto::UpdateCustomerRequest) -> Result<proto::Customer, Told> {
        let answer = self.customers.clone().update_customer(request).await;
        answer.map(tonic::Response::into_inner).map_err(Told::from)
    }

    pub async fn update(&self, customer: proto::Customer, paths: &[&str]) -> proto::Customer {
        self.try_update(customer, Some(paths)).await.expect("an accepted edit")
    }

    pub async fn refused(&self, customer: proto::Customer, paths: &[&str]) -> Told {
        self.try_update(customer, Some(paths)).await.expect_err("a refused edit")
    }

    pub async fn try_create(&self, account: &str, customer: proto::Customer) -> Result<proto::Customer, Told> {
        let parent = format!("partnerAccounts/{account}");
        let request = proto::CreateCustomerRequest {
            parent,
            customer: Some(customer),
            validate_only: false,
            ..Default::default()
        };
        let answer = self.customers.clone().create_customer(request).await;
        answer.map(tonic::Response::into_inner).map_err(Told::from)
    }

    pub async fn create(&self, customer: proto::Customer) -> proto::Customer {
        self.try_create("contoso", customer).await.expect("a created customer")
    }

    pub async fn refresh(&self, name: &str) -> Result<proto::Customer, Told> {
        let request = proto::RefreshCustomerRequest { name: name.to_owned() };
        let answer = self.sync.clone().refresh_customer(request).await;
        answer.map(tonic::Response::into_inner).map_err(Told::from)
    }

    pub async fn start_sync(&self, account: &str) -> Result<proto::SyncRun, Told> {
        let request = proto::StartSyncRequest { parent: format!("partnerAccounts/{account}"), ..Default::default() };
        let answer = self.sync.clone().start_sync(request).await;
        answer.map(tonic::Response::into_inner).map_err(Told::from)
    }

    pub async fn stop(self) {
        self.stop.cancel();
        // Nothing of the store outlives the service.
        drop(self.store);
        self.run.await.expect("the service ends").expect("the service ends well");
    }
}

fn account(name: &str, plan: &Plan, upstream: &Upstream) -> AccountSettings {
    let partner = upstream.partner(name);
    let pace = pace(plan);
    let tenant_id = TenantId::new(partner.tenant_id);
    let is_wrong = plan.wrong_secret_of == Some(name);
    let client_secret = if is_wrong { "not-the-secret".to_owned() } else { partner.client_secret };
    let other = plan.contoso_signs_in_as.clone().filter(|_| name == "contoso");
    let (client_id, client_secret) = other.unwrap_or((partner.client_id, client_secret));
    AccountSettings {
        account: PartnerAccount {
            id: name.parse().expect("a well-formed id"),
            display_name: partner.name.clone(),
            kind: match partner.kind {
                SimulatedKind::DirectBill => PartnerKind::DirectBill,
                SimulatedKind::IndirectProvider => PartnerKind::IndirectProvider,
                SimulatedKind::IndirectReseller => PartnerKind::IndirectReseller,
            },
            cloud: Cloud::Global,
            tenant_id,
        },
        policy: pace.policy,
        refresh_token: plan.refresh_tokens.get(name).cloned().map(Into::into),
        webhook_replace_url: plan.webhook_replace_url.clone().map(Into::into),
        partner_center: partner_center::Settings {
            endpoints: endpoints(plan, upstream),
            tenant_id,
            client_id,
            credential: plan.credentials.get(name).cloned().unwrap_or(Credential::Secret(client_secret.into())),
            requests_per_minute: pace.requests_per_minute,
            concurrency: pace.concurrency,
            page_size: plan.page_size,
            application_name: "customer-guard tests".to_owned(),
            timeouts: plan.timeouts,
        },
    }
}

/// An instant of a message in microseconds.
pub fn micros(time: prost_types::Timestamp) -> i64 {
    time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000
}

/// Waits until `state` is there; looks again and again, and gives up after a while.
pub async fn eventually<T>(what: &str, state: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_or(|| what.to_owned(), state).await
}

/// Waits until `state` is there; `what` is asked for only when that was in vain.
pub async fn eventually_or<T>(what: impl Fn() -> String, mut state: impl AsyncFnMut() -> Option<T>) -> T {
    let look = async {
        loop {
            if let Some(found) = state().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("in vain: {}", what()))
}

/// Runs a future that must end soon.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("too late: {what}"))
}
