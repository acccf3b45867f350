//! The real App on a real port, against a simulated Partner Center.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use customer_guard::app::{AccountSettings, ApiAccountSettings, App, RunError, Settings};
use customer_guard::clock::Clock;
use customer_guard::domain::account::{Cloud, PartnerAccount, PartnerKind};
use customer_guard::domain::ids::TenantId;
use customer_guard::domain::policy::{Night, Pace, SyncPolicy};
use customer_guard::grpc::{PortalLink, WatchLimits};
use customer_guard::partner_center::settings as partner_center;
use customer_guard::sign_in::Credential;
use customer_guard::simulator::{Simulator, demo_partners};
use customer_guard::store::DatabaseAddress;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub struct Service {
    pub address: SocketAddr,
    stop: CancellationToken,
    run: JoinHandle<Result<(), RunError>>,
}

impl Service {
    /// With the one account contoso.
    pub async fn start(database: &str, name: &str) -> Self {
        // `RUST_LOG=info` shows what the service says.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let simulator = Simulator::new();
        for partner in demo_partners() {
            simulator.add_partner(partner);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let root = format!("http://{}", listener.local_addr().expect("an address"));
        let (served, stopped) = (simulator.clone(), stop.clone().cancelled_owned());
        tasks.spawn(async move { served.serve(listener, stopped).await.expect("the simulator serves") });
        let app =
            App::build(settings(database, name, &simulator, &root), Clock::system()).await.expect("the service starts");
        let address = app.address();
        let run = tasks.spawn(app.run(stop.clone()));
        Self { address, stop, run }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.run.await.expect("the service ends").expect("the service ends well");
    }
}

fn settings(database: &str, name: &str, simulator: &Simulator, root: &str) -> Settings {
    let is_contoso = |partner: &customer_guard::simulator::partner::Partner| partner.domain.starts_with("contoso");
    let partner = simulator.partners().into_iter().find(is_contoso).expect("a demo partner");
    let tenant_id = TenantId::new(partner.tenant_id);
    let pace = Pace {
        policy: SyncPolicy {
            night: Night::new("0 2 * * *", "Europe/Riga").expect("a sound night"),
            audit_interval: Duration::from_secs(60),
            list_interval: Duration::from_secs(15 * 60),
            verify_within: Duration::from_secs(24 * 60 * 60),
            manual_cooldown: Duration::from_secs(60 * 60),
        },
        requests_per_minute: NonZeroU32::new(6_000).expect("not zero"),
        concurrency: NonZeroUsize::new(4).expect("not zero"),
    };
    let endpoints = partner_center::Endpoints {
        api_root: root.to_owned(),
        authority: root.to_owned(),
        audience: "https://api.partnercenter.microsoft.com".to_owned(),
    };
    let account = AccountSettings {
        account: PartnerAccount {
            id: "contoso".parse().expect("a well-formed id"),
            display_name: partner.name.clone(),
            kind: PartnerKind::DirectBill,
            cloud: Cloud::Global,
            tenant_id,
        },
        policy: pace.policy.clone(),
        refresh_token: None,
        webhook_replace_url: None,
        partner_center: partner_center::Settings {
            endpoints: endpoints.clone(),
            tenant_id,
            client_id: partner.client_id,
            credential: Credential::Secret(partner.client_secret.into()),
            requests_per_minute: pace.requests_per_minute,
            concurrency: pace.concurrency,
            page_size: 500,
            application_name: "customer-guard tests".to_owned(),
            timeouts: partner_center::Timeouts::USUAL,
        },
    };
    Settings {
        replica_name: name.to_owned(),
        listen: "127.0.0.1:0".parse().expect("an address"),
        database: DatabaseAddress::of(database),
        portal: PortalLink::new("https://portal.example/customers/{tenant_id}").expect("a sound template"),
        report_only_callers: BTreeSet::new(),
        change_log_retention: Duration::from_secs(90 * 24 * 60 * 60),
        watching: WatchLimits::USUAL,
        webhook: None,
        accounts: vec![account],
        sealing_keys: None,
        api_accounts: ApiAccountSettings { pace, endpoints: Some(endpoints) },
    }
}
