//! `demo`: the service and a simulated Partner Center in one process, with lines to paste, for this machine only.
//!
//! Everything lives in one folder. What is there is gone on with; nothing is made twice.

mod greeting;
mod progress;
mod settings;
mod world;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use customer_guard::app::{App, StartError};
use customer_guard::clock::Clock;
use customer_guard::telemetry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::progress::{FirstSync, Outcome};
use self::world::World;
use super::{print, signals};

/// How long the simulator may take to finish calls after the service has stopped.
const SIMULATOR_PATIENCE: Duration = Duration::from_millis(300);

const EXAMPLES: &str = "\
The simulator plays Microsoft for three partners: contoso (direct bill),
northwind (indirect provider) and fabrikam (indirect reseller). Everything is
kept in the data folder; starting again goes on from there. Delete the folder
to begin anew. Ctrl-C ends the demo.

Examples:
  customer-guard demo
  customer-guard demo --customers 20000 --data-dir ./big-demo
  customer-guard demo --listen 127.0.0.1:0 --sim-listen 127.0.0.1:0";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// Where gRPC is served, a loopback address; port 0 takes any free one
    #[arg(long, default_value = "127.0.0.1:50051", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Where the simulated Partner Center is served, likewise
    #[arg(long, default_value = "127.0.0.1:8095", value_name = "ADDRESS:PORT")]
    sim_listen: SocketAddr,
    /// The folder for everything the demo keeps; made if it does not exist
    #[arg(long, default_value = "demo-data", value_name = "FOLDER")]
    data_dir: PathBuf,
    /// How many customers the three partners have together, shared out 60/30/10 [default: 1800]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(10..=2_000_000))]
    customers: Option<u32>,
    /// Chooses which customers are invented [default: 1]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// How often the audit log is read, in seconds; changes arrive within about this time
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    poll: u64,
}

pub(super) async fn run(options: Options) -> anyhow::Result<()> {
    require_loopback(options.sim_listen)?;
    require_loopback(options.listen)?;
    let folder = made(&options.data_dir)?;
    log_to(&folder.join("customer-guard.log"))?;
    let tasks = TaskTracker::new();
    let stop = signals::stop_token(&tasks)?;

    let listener = TcpListener::bind(options.sim_listen).await;
    let listener = listener.map_err(|error| taken_or(error, options.sim_listen, "--sim-listen"))?;
    let simulator_address = listener.local_addr()?;
    let world = World::open(&folder, options.customers, options.seed).await?;
    print(&world.description(&folder))?;
    let stop_simulator = CancellationToken::new();
    tasks.spawn(world.clone().serve(listener, stop_simulator.clone()));

    let pace = settings::Pace::polling_every(Duration::from_secs(options.poll));
    let settings = settings::settings(options.listen, &folder, &world, simulator_address, &pace)?;
    let app = App::build(settings, Clock::system()).await.map_err(|error| explained(error, &options))?;
    let first_sync = FirstSync::new(&app, &world);
    let greeting = greeting::Greeting { grpc: app.address(), simulator: simulator_address, folder, poll: pace.poll };
    let store = app.store().clone();
    let welcome = async {
        match first_sync.watch(&stop).await? {
            Outcome::Level => print(&greeting.text(&store).await?),
            Outcome::Stopped => Ok(()),
        }
    };
    let (served, welcomed) = tokio::join!(signals::run_until(app, stop.clone()), stopping_on_failure(welcome, &stop));

    stop_simulator.cancel();
    tasks.close();
    // A connection that stays open does not hold up the end; the state is saved below in any case.
    let _ = tokio::time::timeout(SIMULATOR_PATIENCE, tasks.wait()).await;
    world.save().await?;
    served?;
    welcomed?;
    print("The demo has stopped; start it again and it goes on from here.\n")
}

/// Without its welcome the demo is of no use: what went wrong ends it.
async fn stopping_on_failure(
    welcome: impl Future<Output = anyhow::Result<()>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let done = welcome.await;
    if done.is_err() {
        stop.cancel();
    }
    done
}

/// Whoever reaches the simulator plays Microsoft.
fn require_loopback(address: SocketAddr) -> anyhow::Result<()> {
    if !address.ip().is_loopback() {
        bail!(
            "--sim-listen {address} can be reached from other machines; use a loopback address such as 127.0.0.1:8095"
        );
    }
    Ok(())
}

fn made(folder: &Path) -> anyhow::Result<PathBuf> {
    let made = std::fs::create_dir_all(folder).and_then(|()| folder.canonicalize());
    made.with_context(|| format!("the data folder {} cannot be made", folder.display()))
}

fn log_to(file: &Path) -> anyhow::Result<()> {
    let opened = std::fs::File::options().create(true).append(true).open(file);
    telemetry::start_in_file("info", opened.with_context(|| format!("cannot write to {}", file.display()))?)?;
    Ok(())
}

fn explained(error: StartError, options: &Options) -> anyhow::Error {
    match error {
        StartError::Listen { address, source } => taken_or(source, address, "--listen"),
        other => anyhow::Error::new(other).context(format!("the demo in {} cannot start", options.data_dir.display())),
    }
}

fn taken_or(error: std::io::Error, address: SocketAddr, flag: &str) -> anyhow::Error {
    if error.kind() == ErrorKind::AddrInUse {
        let free = SocketAddr::new(address.ip(), 0);
        return anyhow::anyhow!(
            "{address} is taken by another program.\nChoose another address, or any free port with: customer-guard demo {flag} {free}"
        );
    }
    anyhow::Error::new(error).context(format!("cannot listen on {address}"))
}
