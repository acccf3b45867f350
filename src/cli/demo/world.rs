//! The demo's Partner Center: three partners with customers, kept in one file of the data folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use customer_guard::simulator::partner::{Partner, PartnerKind};
use customer_guard::simulator::{Simulator, demo_partners};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How customers are shared out between the three partners, in percent.
const SHARES: [u32; 3] = [60, 30, 10];
const USUAL_CUSTOMERS: u32 = 1800;
const USUAL_SEED: u64 = 1;
/// Whose single webhook registration belongs to other software, so that the demo shows that none is needed.
const FOREIGN_WEBHOOK: (&str, &str) = ("contoso", "https://billing.contosopartner.example/partner-center");

/// The simulated Partner Center; clones share it.
#[derive(Clone)]
pub(super) struct World {
    simulator: Simulator,
    partners: Arc<[Partner]>,
    state: PathBuf,
    found: Found,
}

/// What the data folder held.
#[derive(Clone, Copy)]
enum Found {
    Nothing,
    /// An earlier demo; what was asked of customers and seed does not count then.
    EarlierDemo {
        wishes: Wishes,
    },
}

/// Whether anybody asked for customers or a seed.
#[derive(Clone, Copy)]
enum Wishes {
    None,
    Ignored,
}

impl World {
    /// Goes on with the Partner Center in the folder, or makes one.
    pub(super) async fn open(folder: &Path, customers: Option<u32>, seed: Option<u64>) -> anyhow::Result<Self> {
        let state = folder.join("partner-center.json");
        let open = move || {
            if state.exists() {
                let wishes = if customers.or(seed.map(|_| 0)).is_some() { Wishes::Ignored } else { Wishes::None };
                let simulator = Simulator::load(&state).with_context(|| {
                    format!("{} cannot be read; delete the data folder to begin anew", state.display())
                })?;
                return Ok(Self::new(simulator, state, Found::EarlierDemo { wishes }));
            }
            let simulator = Simulator::new();
            populate(&simulator, customers.unwrap_or(USUAL_CUSTOMERS), seed.unwrap_or(USUAL_SEED))?;
            simulator.save(&state).with_context(|| format!("cannot write {}", state.display()))?;
            Ok(Self::new(simulator, state, Found::Nothing))
        };
        tokio::task::spawn_blocking(open).await?
    }

    fn new(simulator: Simulator, state: PathBuf, found: Found) -> Self {
        simulator.keep_state_in(state.clone());
        Self { simulator, partners: demo_partners().into(), state, found }
    }

    /// The partners, in the order of the documentation.
    pub(super) fn partners(&self) -> &[Partner] {
        &self.partners
    }

    /// How many customers a partner has now.
    pub(super) fn customer_count(&self, partner: &Partner) -> u64 {
        u64::try_from(self.simulator.customer_count(partner.tenant_id)).unwrap_or(u64::MAX)
    }

    /// What a sign-in of the partner's user brings, where the account has a use for it: resellers are told to users only.
    pub(super) fn sign_user_in(&self, partner: &Partner) -> anyhow::Result<Option<SecretString>> {
        match partner.kind {
            PartnerKind::IndirectProvider => Ok(Some(self.simulator.sign_user_in(partner.tenant_id)?.into())),
            PartnerKind::DirectBill | PartnerKind::IndirectReseller => Ok(None),
        }
    }

    /// What is there, for people.
    pub(super) fn description(&self, folder: &Path) -> String {
        let counts: Vec<_> =
            self.partners.iter().map(|partner| format!("{} {}", partner.name, self.customer_count(partner))).collect();
        let counts = counts.join(", ");
        let folder = folder.display();
        match self.found {
            Found::Nothing => format!("New demo in {folder}\nCustomers in Partner Center: {counts}\n"),
            Found::EarlierDemo { wishes } => {
                let ignored = match wishes {
                    Wishes::None => "",
                    Wishes::Ignored => "--customers and --seed are for a new data folder; ignored\n",
                };
                format!("Found a demo in {folder}, going on with it\nCustomers in Partner Center: {counts}\n{ignored}")
            }
        }
    }

    /// Answers calls until `stop`.
    pub(super) async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        if let Err(error) = self.simulator.serve(listener, stop.cancelled_owned()).await {
            tracing::error!("the simulated Partner Center failed: {error}");
        }
    }

    /// Writes everything to the file.
    pub(super) async fn save(&self) -> anyhow::Result<()> {
        let (simulator, state) = (self.simulator.clone(), self.state.clone());
        let saved = tokio::task::spawn_blocking(move || simulator.save(&state)).await?;
        saved.with_context(|| format!("cannot write {}", self.state.display()))
    }
}

fn populate(simulator: &Simulator, customers: u32, seed: u64) -> anyhow::Result<()> {
    for (partner, share) in demo_partners().into_iter().zip(SHARES) {
        let tenant = partner.tenant_id;
        let is_foreign = partner.name == FOREIGN_WEBHOOK.0;
        simulator.add_partner(partner);
        let count = u64::from(customers) * u64::from(share) / 100;
        simulator.seed(tenant, usize::try_from(count)?, seed)?;
        if is_foreign {
            simulator.set_foreign_registration(tenant, FOREIGN_WEBHOOK.1)?;
        }
    }
    Ok(())
}
