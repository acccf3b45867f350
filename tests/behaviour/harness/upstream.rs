//! Partner Center, played by the simulator on a port of its own.

use std::net::SocketAddr;
use std::time::Duration;

use customer_guard::clock::Timestamp;
use customer_guard::simulator::faults::{Effect, Fault};
use customer_guard::simulator::operations::NewCustomer;
use customer_guard::simulator::partner::Partner;
use customer_guard::simulator::webhooks::{EventSigner, Signing};
use customer_guard::simulator::{Simulator, demo_partners};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::cast::{LINDEN, linden_profile};
use super::certificates::test_authority::Identity;
use super::certificates::{IMPOSTOR_URL, MICROSOFT_URL, cast};

/// A Partner Center that can be reached.
pub struct Upstream {
    pub simulator: Simulator,
    pub root: String,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Upstream {
    /// With the three demo partners and nobody else, at today's noon.
    pub async fn start() -> Self {
        let simulator = Simulator::new();
        simulator.clock().set_time(noon().to_utc());
        for partner in demo_partners() {
            simulator.add_partner(partner);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let root = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let served = simulator.clone();
        let stopped = stop.clone().cancelled_owned();
        tasks.spawn(async move { served.serve(listener, stopped).await.expect("the simulator serves") });
        Self { simulator, root, stop, tasks }
    }

    /// The partner of that name.
    pub fn partner(&self, name: &str) -> Partner {
        let partners = self.simulator.partners();
        let is_named = |partner: &Partner| partner.domain.starts_with(name);
        partners.into_iter().find(is_named).expect("a demo partner")
    }

    /// Contoso's tenant.
    pub fn contoso(&self) -> Uuid {
        self.partner("contoso").tenant_id
    }

    /// Gives the partner so many customers; always the same ones.
    pub fn seed(&self, name: &str, count: usize) {
        self.simulator.seed(self.partner(name).tenant_id, count, 7).expect("a known partner");
    }

    /// Gives the partner Linden.
    pub fn add_linden(&self, name: &str) {
        let linden = NewCustomer {
            id: Some(LINDEN),
            domain: Some("linden.onmicrosoft.com".to_owned()),
            billing_profile: Some(linden_profile()),
            ..NewCustomer::default()
        };
        self.simulator.add_customer(self.partner(name).tenant_id, linden).expect("a new customer");
    }

    /// Sends events to that listener, signed with Microsoft's key.
    pub fn send_events_to(&self, address: SocketAddr) {
        let signer = |identity: &Identity, url| EventSigner::new(&identity.key, url).expect("an RSA key");
        let signer_of_microsoft = signer(&cast().microsoft, MICROSOFT_URL);
        let impostor = signer(&cast().impostor, IMPOSTOR_URL);
        let signing = Signing { signer: signer_of_microsoft, impostor: Some(impostor), via: Some(address) };
        self.simulator.sign_events(signing);
    }

    /// What goes wrong with contoso's calls from now on.
    pub fn fault(&self, fault: Fault) {
        self.simulator.faults(self.contoso()).push(fault).expect("a known partner");
    }

    /// As [`Upstream::fault`], with every effect at every call it fits.
    pub fn always(&self, effects: impl IntoIterator<Item = Effect>) {
        effects.into_iter().for_each(|effect| self.fault(Fault::always(effect)));
    }

    /// Nothing goes wrong any more.
    pub fn mend(&self) {
        self.simulator.faults(self.contoso()).clear().expect("a known partner");
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        // A client that keeps its connection open does not keep the test waiting.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.tasks.wait()).await;
    }
}

/// Today's noon in UTC: far from midnight, where the audit log begins a new day.
#[expect(clippy::disallowed_methods, reason = "the one place where a test asks which day it is")]
pub fn noon() -> Timestamp {
    let today = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).date_naive();
    today.and_hms_opt(12, 0, 0).expect("noon exists").and_utc().into()
}
