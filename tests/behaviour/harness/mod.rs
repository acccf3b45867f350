//! A service under test: an App, its upstream, its clients, and the time they live in.

use std::future::Future;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use customer_guard::app::{AccountSettings, App, Settings};
use customer_guard::clock::{Clock, Timestamp};
use customer_guard::domain::account::{Cloud, PartnerAccount, PartnerKind};
use customer_guard::domain::ids::TenantId;
use customer_guard::domain::policy::{Night, SyncPolicy};
use customer_guard::grpc::PortalLink;
use customer_guard::grpc::proto;
use customer_guard::grpc::proto::customer_service_client::CustomerServiceClient;
use customer_guard::grpc::proto::sync_service_client::SyncServiceClient;
use customer_guard::partner_center::settings as partner_center;
use customer_guard::simulator::partner::{Partner, PartnerKind as SimulatedKind};
use customer_guard::simulator::{Simulator, demo_partners};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use uuid::Uuid;

/// How long a state may take to come about before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Partner Center, played by the simulator on a port of its own.
pub struct Upstream {
    pub simulator: Simulator,
    root: String,
    stop: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
}

impl Upstream {
    /// With the three demo partners and nobody else.
    pub async fn start() -> Self {
        let simulator = Simulator::new();
        for partner in demo_partners() {
            simulator.add_partner(partner);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let root = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        let served = simulator.clone();
        let stopped = stop.clone().cancelled_owned();
        let server = tokio::spawn(async move { served.serve(listener, stopped).await });
        Self { simulator, root, stop, server }
    }

    /// The partner of that name.
    pub fn partner(&self, name: &str) -> Partner {
        let partners = self.simulator.partners();
        let is_named = |partner: &Partner| partner.domain.starts_with(name);
        partners.into_iter().find(is_named).expect("a demo partner")
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.server.await.expect("the simulator ends").expect("the simulator serves");
    }
}

/// What a test may choose; everything else is usual.
pub struct Plan {
    pub partners: Vec<&'static str>,
    pub audit_interval: Duration,
    pub list_interval: Duration,
    pub manual_cooldown: Duration,
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
            clock: Clock::running_from(noon()),
        }
    }
}

/// Today's noon in UTC, so that the audit log of the simulator, which lives in real time, is about today.
fn noon() -> Timestamp {
    let today = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).date_naive();
    today.and_hms_opt(12, 0, 0).expect("noon exists").and_utc().into()
}

/// A running service.
pub struct Guard {
    pub customers: CustomerServiceClient<Channel>,
    pub sync: SyncServiceClient<Channel>,
    pub channel: Channel,
    pub clock: Clock,
    pub database: PathBuf,
    stop: CancellationToken,
    run: JoinHandle<Result<(), customer_guard::app::RunError>>,
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
            upstream.simulator.seed(upstream.partner(name).tenant_id, count, 7).expect("a known partner");
        }
        let world = Self::unsynchronized(plan, upstream).await;
        for name in world.plan.partners.clone() {
            world.guard.wait_for_first_sync(name).await;
        }
        world
    }

    /// A service that has just been started against that upstream.
    pub async fn unsynchronized(plan: Plan, upstream: Upstream) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let guard = Guard::start(&plan, &upstream, folder.path().join("customer-guard.db")).await;
        Self { upstream, guard, folder, plan }
    }

    /// Contoso's tenant.
    pub fn contoso(&self) -> Uuid {
        self.upstream.partner("contoso").tenant_id
    }

    /// Stops the service and starts it again on the same database.
    pub async fn restart(self) -> Self {
        let Self { upstream, guard, folder, plan } = self;
        let database = guard.database.clone();
        guard.stop().await;
        let guard = Guard::start(&plan, &upstream, database).await;
        Self { upstream, guard, folder, plan }
    }

    pub async fn end(self) {
        self.guard.stop().await;
        self.upstream.stop().await;
    }
}

impl Guard {
    async fn start(plan: &Plan, upstream: &Upstream, database: PathBuf) -> Self {
        // `RUST_LOG=info cargo test` shows what the service says.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let accounts = plan.partners.iter().map(|name| account(name, plan, upstream)).collect();
        let settings = Settings {
            listen: "127.0.0.1:0".parse().expect("an address"),
            database: database.clone(),
            portal: PortalLink::new("https://portal.example/customers/{tenant_id}").expect("a sound template"),
            accounts,
        };
        let app = App::build(settings, plan.clock.clone()).await.expect("the service starts");
        let channel = Channel::from_shared(format!("http://{}", app.address())).expect("an address").connect().await;
        let address = app.address();
        let stop = CancellationToken::new();
        let run = tokio::spawn(app.run(stop.clone()));
        let channel = match channel {
            Ok(channel) => channel,
            // The listener is bound before the service runs; a first try may only lack an answer.
            Err(_) => Channel::from_shared(format!("http://{address}")).expect("an address").connect_lazy(),
        };
        Self {
            customers: CustomerServiceClient::new(channel.clone()).max_decoding_message_size(16 << 20),
            sync: SyncServiceClient::new(channel.clone()),
            channel,
            clock: plan.clock.clone(),
            database,
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
            let request = proto::ListCustomersRequest { parent, page_size: 1000, page_token };
            let page = self.customers.clone().list_customers(request).await.expect("a page").into_inner();
            customers.extend(page.customers);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return customers;
            }
        }
    }

    pub async fn get(&self, name: &str) -> proto::Customer {
        let request = proto::GetCustomerRequest { name: name.to_owned() };
        self.customers.clone().get_customer(request).await.expect("a customer").into_inner()
    }

    /// The customer of that tenant.
    pub async fn of_tenant(&self, account: &str, tenant: Uuid) -> Option<proto::Customer> {
        let tenant = tenant.to_string();
        self.all(account).await.into_iter().find(|customer| customer.microsoft_tenant_id == tenant)
    }

    pub async fn update(&self, customer: proto::Customer, paths: &[&str]) -> Result<proto::Customer, tonic::Status> {
        let update_mask = Some(prost_types::FieldMask { paths: paths.iter().map(ToString::to_string).collect() });
        let request = proto::UpdateCustomerRequest { customer: Some(customer), update_mask, validate_only: false };
        self.customers.clone().update_customer(request).await.map(tonic::Response::into_inner)
    }

    pub async fn create(&self, account: &str, customer: proto::Customer) -> Result<proto::Customer, tonic::Status> {
        let parent = format!("partnerAccounts/{account}");
        let request = proto::CreateCustomerRequest { parent, customer: Some(customer), validate_only: false };
        self.customers.clone().create_customer(request).await.map(tonic::Response::into_inner)
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.run.await.expect("the service ends").expect("the service ends well");
    }
}

fn account(name: &str, plan: &Plan, upstream: &Upstream) -> AccountSettings {
    let partner = upstream.partner(name);
    let tenant_id = TenantId::new(partner.tenant_id);
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
        policy: SyncPolicy {
            night: Night::new("0 2 * * *", "Europe/Riga").expect("a sound night"),
            audit_interval: plan.audit_interval,
            list_interval: plan.list_interval,
            verify_within: Duration::from_secs(24 * 60 * 60),
            manual_cooldown: plan.manual_cooldown,
        },
        partner_center: partner_center::Settings {
            endpoints: partner_center::Endpoints {
                api_root: upstream.root.clone(),
                authority: upstream.root.clone(),
                audience: "https://api.partnercenter.microsoft.com".to_owned(),
            },
            tenant_id,
            client_id: partner.client_id,
            client_secret: partner.client_secret.into(),
            requests_per_minute: NonZeroU32::new(600_000).expect("not zero"),
            concurrency: NonZeroUsize::new(8).expect("not zero"),
            page_size: 500,
            application_name: "customer-guard tests".to_owned(),
            timeouts: partner_center::Timeouts::USUAL,
        },
    }
}

/// Waits until `state` is there; looks again and again, and gives up after a while.
#[expect(clippy::disallowed_methods, reason = "the one place where a test lets time pass between two looks")]
pub async fn eventually<T>(what: &str, mut state: impl AsyncFnMut() -> Option<T>) -> T {
    let look = async {
        loop {
            if let Some(found) = state().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// Runs a future that must end soon.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("too late: {what}"))
}
