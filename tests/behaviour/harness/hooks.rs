//! A world whose webhook registration is ours, and events that a test makes by hand.

use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use customer_guard::app::WebhookSettings;
use customer_guard::domain::webhook::PublicUrl;
use customer_guard::grpc::proto::IncrementalMode;
use serde_json::json;
use uuid::Uuid;

use super::certificates::test_authority::Identity;
use super::certificates::{CertificateHost, MICROSOFT_URL, cast};
use super::upstream::Upstream;
use super::{Guard, Plan, World, database, eventually};

/// Where Partner Center reaches the service.
pub const PUBLIC: &str = "https://hooks.guard.example";

/// How events come in, believed by what that host has.
pub fn webhook(host: &CertificateHost) -> WebhookSettings {
    WebhookSettings {
        listen: "127.0.0.1:0".parse().expect("an address"),
        public_url: PublicUrl::new(PUBLIC).expect("an address"),
        secret_max_age: Duration::from_secs(90 * 24 * 3600),
        receiver: host.settings(),
    }
}

/// A world that events reach.
pub struct Hooked {
    pub world: World,
    pub host: CertificateHost,
}

impl Hooked {
    /// Three customers of contoso, a registration that is ours, and a test event that came.
    pub async fn start() -> Self {
        let upstream = Upstream::start().await;
        upstream.seed("contoso", 3);
        let hooked = Self::of(upstream, |_| ()).await;
        hooked.wait_for_mode(IncrementalMode::Webhook).await;
        hooked
    }

    /// A service that listens, over that upstream.
    pub async fn of(upstream: Upstream, change: impl FnOnce(&mut Plan)) -> Self {
        let host = CertificateHost::start().await;
        let mut plan = Plan { webhook: Some(webhook(&host)), ..Plan::usual() };
        change(&mut plan);
        let knobs = |knobs: &mut customer_guard::simulator::partner::Knobs| {
            // Only an event may tell of a new customer, and it is sent once.
            knobs.acceptance_audited = false;
            knobs.webhook_attempts = 1;
        };
        upstream.simulator.set_knobs(upstream.contoso(), knobs).expect("a known partner");
        let world = World::unsynchronized(plan, upstream).await;
        world.guard.wait_for_first_sync("contoso").await;
        Self { world, host }
    }

    /// A service that opens a database of the release before secrets were hashed, in which the path with this one is
    /// registered.
    pub async fn with_a_former_database(secret: &[u8; 32]) -> Self {
        let upstream = Upstream::start().await;
        upstream.seed("contoso", 1);
        let host = CertificateHost::start().await;
        let plan = Plan { webhook: Some(webhook(&host)), ..Plan::usual() };
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("customer-guard.db");
        let url = format!("{PUBLIC}/webhooks/v1/contoso/{}", URL_SAFE_NO_PAD.encode(secret));
        upstream.simulator.set_foreign_registration(upstream.contoso(), &url).expect("a known partner");
        let made_at = plan.clock.now().micros();
        let tenant = upstream.contoso();
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut former = database::of_schema(&database, 13).await;
        for row in [
            format!(
                "INSERT INTO partner_account (id, display_name, kind, cloud, tenant_id, created_at, updated_at)
                 VALUES ('contoso', 'C', 'DIRECT_BILL', 'GLOBAL', '{tenant}', 1, 1)"
            ),
            "INSERT INTO account_sync (account, webhook_state) VALUES ('contoso', 'OURS')".to_owned(),
            format!(
                "INSERT INTO webhook_path (account, secret, registered_url, made_at)
                 VALUES ('contoso', x'{hex}', '{url}', {made_at})"
            ),
        ] {
            former.run(&row).await.expect("a row of the former release");
        }
        drop(former);
        let guard = Guard::start(&plan, &upstream, database).await;
        guard.wait_for_first_sync("contoso").await;
        Self { world: World { upstream, guard, folder, plan }, host }
    }

    /// Waits until the incremental mode is that one; returns why it is.
    pub async fn wait_for_mode(&self, mode: IncrementalMode) -> String {
        eventually("the mode is another one", async || {
            let status = self.world.guard.status("contoso").await;
            (status.incremental_mode() == mode).then_some(status.incremental_mode_reason)
        })
        .await
    }

    /// Lets the time pass until the registration has been looked at once more.
    pub async fn look_at_the_registration(&self) {
        let looks = || self.world.upstream.simulator.calls(self.world.contoso()).registration;
        let before = looks();
        self.world.advance(Duration::from_secs(3600));
        eventually("the registration is looked at", async || (looks() > before).then_some(())).await;
    }

    /// The path that is registered.
    pub fn path(&self) -> String {
        let registration = self.world.upstream.simulator.registration(self.world.contoso()).expect("a registration");
        registration.webhook_url.strip_prefix(PUBLIC).expect("ours").to_owned()
    }

    /// A genuine event that names that customer.
    pub fn event(&self, customer: Uuid) -> Post {
        let at = self.world.guard.clock.now().to_utc().to_rfc3339();
        let event = json!({
            "EventName": "reseller-relationship-accepted-by-customer",
            "ResourceUri": format!("{}/v1/customers/{customer}", self.host.evil_url()),
            "ResourceName": "Customer",
            "AuditUri": format!("{}/auditactivity/v1/auditrecords/x", self.host.evil_url()),
            "ResourceChangeUtcDate": at,
        });
        Post::signed(&self.path(), event.to_string().into_bytes(), &cast().microsoft, MICROSOFT_URL)
    }

    /// Sends it and returns the status of the answer.
    pub async fn send(&self, post: &Post) -> StatusCode {
        let address = self.world.guard.webhook_address.expect("somebody listens");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut request = client.post(format!("http://{address}{}", post.path)).body(post.body.clone());
        for (name, value) in &post.headers {
            request = request.header(*name, value);
        }
        request.send().await.expect("an answer").status()
    }

    /// Everything an event could have an effect on, apart from having been fetched for.
    pub async fn effects(&self) -> (i64, i64, usize) {
        let file = &self.world.guard.database;
        let marks =
            database::count(file, "SELECT CAST(coalesce(sum(marked), 0) AS BIGINT) FROM upstream_customer").await;
        let seen = database::count(file, "SELECT count(*) FROM webhook_seen").await;
        (marks, seen, self.host.evil_asked())
    }

    /// How often the customer was wanted.
    pub async fn marks_of(&self, customer: Uuid) -> i64 {
        let select = format!(
            "SELECT CAST(coalesce(sum(marked), 0) AS BIGINT) FROM upstream_customer WHERE account = 'contoso' AND tenant_id = '{customer}'"
        );
        database::count(&self.world.guard.database, &select).await
    }

    pub async fn restart(self) -> Self {
        Self { world: self.world.restart().await, host: self.host }
    }

    pub async fn end(self) {
        assert_eq!(self.host.evil_asked(), 0, "nobody was asked who must not be");
        self.world.end().await;
        self.host.stop().await;
    }
}

/// A request to the listener.
#[derive(Clone)]
pub struct Post {
    pub path: String,
    pub body: Vec<u8>,
    pub headers: Vec<(&'static str, String)>,
}

impl Post {
    /// As Microsoft sends it, signed by that identity.
    pub fn signed(path: &str, body: Vec<u8>, by: &Identity, certificate_url: &str) -> Self {
        let signature = format!("Signature {}", STANDARD.encode(by.sign(256, &body)));
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("x-ms-signature", signature),
            ("x-ms-signature-algorithm", "rsa-sha256".to_owned()),
            ("x-ms-certificate-url", certificate_url.to_owned()),
        ];
        Self { path: path.to_owned(), body, headers }
    }

    /// With another value of a header.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    /// With one more header.
    pub fn and(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Without a header.
    pub fn without(mut self, name: &'static str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self
    }

    pub fn header(&self, name: &str) -> &str {
        &self.headers.iter().find(|(other, _)| *other == name).expect("it is there").1
    }
}
