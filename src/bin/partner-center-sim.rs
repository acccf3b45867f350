//! A simulated Microsoft Partner Center to run and test against: `partner-center-sim`, then follow the printed lines.
//! It must never be reachable from outside by accident, as whoever reaches it plays Microsoft.

#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Parser;
use customer_guard::simulator::partner::Partner;
use customer_guard::simulator::webhooks::{EventSigner, Signing};
use customer_guard::simulator::{Simulator, demo_partners};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

/// How customers are shared out between partners, in percent; partners beyond the third get none.
const SHARES: [usize; 3] = [60, 30, 10];

/// Plays Microsoft Partner Center and its token endpoint.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen.
    #[arg(long, env = "PARTNER_CENTER_SIM_LISTEN", default_value = "127.0.0.1:8095")]
    listen: SocketAddr,
    /// Allows to listen where other machines can reach it.
    #[arg(long)]
    allow_remote: bool,
    /// A TOML file with [[partner]] tables; without it, the three partners of the demonstration.
    #[arg(long)]
    partners: Option<PathBuf>,
    /// How many customers all partners have together, shared out 60/30/10; only for partners without any.
    #[arg(long, default_value_t = 300)]
    customers: usize,
    /// Chooses which customers are invented.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keeps everything in this file across runs.
    #[arg(long)]
    state: Option<PathBuf>,
    /// Answers 429 past so many calls a minute and partner.
    #[arg(long)]
    limit_per_minute: Option<u32>,
    /// Makes every call take at least so long.
    #[arg(long)]
    latency_ms: Option<u64>,
    /// Sends events to registered addresses, signed with the RSA key in this file (PKCS #8, PEM).
    #[arg(long, requires = "webhook_certificate_url")]
    webhook_key: Option<PathBuf>,
    /// Where the certificate of that key can be fetched.
    #[arg(long, requires = "webhook_key")]
    webhook_certificate_url: Option<String>,
    /// Sends all events here, by plain HTTP, whatever host is registered.
    #[arg(long, requires = "webhook_key")]
    webhook_via: Option<SocketAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartnersFile {
    partner: Vec<Partner>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")))
        .init();
    if !arguments.listen.ip().is_loopback() && !arguments.allow_remote {
        bail!("{} can be reached by other machines; say --allow-remote if that is meant", arguments.listen);
    }
    let simulator = prepare(&arguments)?;
    let listener =
        TcpListener::bind(arguments.listen).await.with_context(|| format!("cannot listen on {}", arguments.listen))?;
    greet(&simulator, listener.local_addr()?);
    simulator.serve(listener, interrupted()).await?;
    save(&simulator, arguments.state.as_deref())
}

/// Brings up the Partner Center the arguments describe.
fn prepare(arguments: &Arguments) -> anyhow::Result<Simulator> {
    let simulator = match &arguments.state {
        Some(path) if path.exists() => {
            Simulator::load(path).with_context(|| format!("cannot read the state in {}", path.display()))?
        }
        Some(_) | None => Simulator::new(),
    };
    let partners = match &arguments.partners {
        Some(path) => read_partners(path)?,
        None => demo_partners(),
    };
    for (position, partner) in partners.into_iter().enumerate() {
        let tenant_id = partner.tenant_id;
        simulator.add_partner(partner);
        let share = SHARES.get(position).copied().unwrap_or(0);
        if simulator.customer_count(tenant_id) == 0 {
            simulator.seed(tenant_id, arguments.customers * share / 100, arguments.seed)?;
        }
        simulator.set_knobs(tenant_id, |knobs| {
            // What is not given stays as the state file has it.
            if arguments.limit_per_minute.is_some() {
                knobs.limit_per_minute = arguments.limit_per_minute;
            }
            if let Some(milliseconds) = arguments.latency_ms {
                knobs.latency_milliseconds = milliseconds;
            }
        })?;
    }
    if let Some(signing) = signing(arguments)? {
        simulator.sign_events(signing);
    }
    if let Some(path) = &arguments.state {
        save(&simulator, Some(path))?;
        simulator.keep_state_in(path.clone());
    }
    Ok(simulator)
}

/// How events are signed, if they are sent.
fn signing(arguments: &Arguments) -> anyhow::Result<Option<Signing>> {
    let (Some(path), Some(url)) = (&arguments.webhook_key, &arguments.webhook_certificate_url) else {
        return Ok(None);
    };
    let unreadable = || format!("{} holds no RSA key in PKCS #8 form", path.display());
    let key = PrivatePkcs8KeyDer::from_pem_file(path).with_context(unreadable)?;
    let signer = EventSigner::new(key.secret_pkcs8_der(), url).with_context(unreadable)?;
    Ok(Some(Signing { signer, impostor: None, via: arguments.webhook_via }))
}

fn read_partners(path: &Path) -> anyhow::Result<Vec<Partner>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file: PartnersFile =
        toml::from_str(&text).with_context(|| format!("{} does not list partners", path.display()))?;
    if file.partner.is_empty() {
        bail!("{} lists no partner", path.display());
    }
    Ok(file.partner)
}

fn greet(simulator: &Simulator, address: SocketAddr) {
    println!("Partner Center (API root)  http://{address}");
    println!("token authority            http://{address}");
    println!("control API, with help     http://{address}/control/v1");
    let partners = simulator.partners();
    for partner in &partners {
        let customers = simulator.customer_count(partner.tenant_id);
        let (name, tenant) = (&partner.name, partner.tenant_id);
        println!("partner {name}, tenant {tenant}: {customers} customers");
    }
    // The first of the demonstration's partners is ordered first as well.
    let Some(partner) = partners.first() else {
        return;
    };
    let (name, tenant) = (&partner.name, partner.tenant_id);
    println!("\nTry:");
    println!(
        "  TOKEN=$(curl -s http://{address}/{tenant}/oauth2/v2.0/token -d grant_type=client_credentials \
         -d client_id={} -d client_secret={} -d scope=https://api.partnercenter.microsoft.com/.default \
         | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')",
        partner.client_id, partner.client_secret
    );
    println!("  curl -s -H \"Authorization: Bearer $TOKEN\" 'http://{address}/v1/customers?size=2'");
    println!("  curl -s -X POST http://{address}/control/v1/partners/{name}/customers/accept -d '{{}}'");
}

fn save(simulator: &Simulator, path: Option<&Path>) -> anyhow::Result<()> {
    match path {
        Some(path) => simulator.save(path).with_context(|| format!("cannot write the state to {}", path.display())),
        None => Ok(()),
    }
}

/// Resolves at Ctrl-C. Without a way to hear of it the process runs until it is killed.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
