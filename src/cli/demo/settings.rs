//! The demo's settings: as a service would have them, but quick, as its Partner Center is on this machine.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use customer_guard::app::{AccountSettings, ApiAccountSettings, Settings};
use customer_guard::config::{sealing_keys_of, usual_portal_link};
use customer_guard::domain::account::{Cloud, PartnerAccount, PartnerKind};
use customer_guard::domain::ids::TenantId;
use customer_guard::domain::policy::{Night, Pace as SyncPace, SyncPolicy};
use customer_guard::grpc::WatchLimits;
use customer_guard::partner_center::settings::{
    APPLICATION_NAME, Endpoints, LARGEST_PAGE, Settings as UpstreamSettings, Timeouts,
};
use customer_guard::sealing::SealingKeys;
use customer_guard::sign_in::Credential;
use customer_guard::simulator::partner::{Partner, PartnerKind as SimulatedKind};
use secrecy::{ExposeSecret, SecretString};

use super::world::World;

/// The simulator has no quota unless somebody sets one; this only keeps the machine usable.
const REQUESTS_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(30_000 - 1);
const CONCURRENCY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8 - 1);
/// The list is read so much less often than the audit log.
const POLLS_PER_LIST: u32 = 3;
const DAY: Duration = Duration::from_secs(24 * 3600);
const COOLDOWN: Duration = Duration::from_secs(60);

/// How often the demo looks.
pub(super) struct Pace {
    /// At the audit log.
    pub poll: Duration,
}

impl Pace {
    pub(super) const fn polling_every(poll: Duration) -> Self {
        Self { poll }
    }
}

/// Settings for the partners of `world`, served at `simulator`.
pub(super) fn settings(
    listen: SocketAddr,
    folder: &Path,
    world: &World,
    simulator: SocketAddr,
    pace: &Pace,
) -> anyhow::Result<Settings> {
    let policy = SyncPolicy {
        night: Night::new("0 2 * * *", "UTC")?,
        audit_interval: pace.poll,
        list_interval: pace.poll * POLLS_PER_LIST,
        verify_within: DAY,
        manual_cooldown: COOLDOWN,
    };
    let accounts = world.partners().iter().map(|partner| {
        let refresh_token = world.sign_user_in(partner)?;
        Ok(AccountSettings { refresh_token, ..account(partner, simulator, &policy)? })
    });
    Ok(Settings {
        listen,
        database: folder.join("customer-guard.db").into(),
        replica_name: "demo".to_owned(),
        change_log_retention: 90 * DAY,
        watching: WatchLimits::USUAL,
        portal: usual_portal_link().context("the usual portal link is broken")?,
        report_only_callers: BTreeSet::new(),
        webhook: None,
        accounts: accounts.collect::<anyhow::Result<_>>()?,
        sealing_keys: Some(sealing_keys(&folder.join("sealing.key"))?),
        api_accounts: ApiAccountSettings {
            pace: SyncPace { policy, requests_per_minute: REQUESTS_PER_MINUTE, concurrency: CONCURRENCY },
            endpoints: Some(endpoints(simulator)),
        },
    })
}

/// The keys in that file; a key of its own is made for a new demo.
fn sealing_keys(file: &Path) -> anyhow::Result<SealingKeys> {
    if !file.exists() {
        let line = SealingKeys::fresh_line()?;
        let mut options = std::fs::File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(file).and_then(|mut file| file.write_all(line.expose_secret().as_bytes()));
        written.with_context(|| format!("{} cannot be written", file.display()))?;
    }
    sealing_keys_of(file).map_err(|wrong| anyhow::anyhow!("{}: {wrong}", file.display()))
}

/// Everybody finds the simulator instead of Microsoft.
fn endpoints(simulator: SocketAddr) -> Endpoints {
    let root = format!("http://{simulator}");
    Endpoints { api_root: root.clone(), authority: root, ..UpstreamSettings::endpoints_of(Cloud::Global) }
}

fn account(partner: &Partner, simulator: SocketAddr, policy: &SyncPolicy) -> anyhow::Result<AccountSettings> {
    let kind = match partner.kind {
        SimulatedKind::DirectBill => PartnerKind::DirectBill,
        SimulatedKind::IndirectProvider => PartnerKind::IndirectProvider,
        SimulatedKind::IndirectReseller => PartnerKind::IndirectReseller,
    };
    let tenant_id = TenantId::new(partner.tenant_id);
    let id = partner.name.parse()?;
    Ok(AccountSettings {
        account: PartnerAccount { id, display_name: partner.name.clone(), kind, cloud: Cloud::Global, tenant_id },
        policy: policy.clone(),
        refresh_token: None,
        webhook_replace_url: None,
        partner_center: UpstreamSettings {
            endpoints: endpoints(simulator),
            tenant_id,
            client_id: partner.client_id.clone(),
            credential: Credential::Secret(SecretString::from(partner.client_secret.clone())),
            requests_per_minute: REQUESTS_PER_MINUTE,
            concurrency: CONCURRENCY,
            page_size: LARGEST_PAGE,
            application_name: APPLICATION_NAME.to_owned(),
            timeouts: Timeouts::USUAL,
        },
    })
}
