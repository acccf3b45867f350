//! `serve`: the service itself. It prints nothing but its log.

use clap::Args;
use customer_guard::app::App;
use customer_guard::clock::Clock;
use customer_guard::config::{Config, Environment, settings};
use customer_guard::telemetry;
use tokio_util::task::TaskTracker;

use super::{FileOption, given, signals};

const EXAMPLES: &str = "\
Examples:
  customer-guard serve --config /etc/customer-guard/config.toml
  customer-guard serve --config cg.toml --listen 127.0.0.1:50052 --log debug

SIGINT or SIGTERM ends it within 5 seconds: calls under way are finished first.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    #[command(flatten)]
    file: FileOption,
    /// Where gRPC is served, a loopback address [env: CUSTOMER_GUARD_LISTEN]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The database file, or the address of a PostgreSQL database [env: CUSTOMER_GUARD_DATABASE]
    #[arg(long, value_name = "FILE")]
    database: Option<String>,
    /// What is logged, such as info or debug [env: CUSTOMER_GUARD_LOG]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// How it is logged, json or text [env: CUSTOMER_GUARD_LOG_FORMAT]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

pub(super) async fn run(options: Options) -> anyhow::Result<()> {
    let flags = given([
        (settings::LISTEN.key, options.listen.as_ref()),
        (settings::DATABASE.key, options.database.as_ref()),
        (settings::LOG.key, options.log.as_ref()),
        (settings::LOG_FORMAT.key, options.log_format.as_ref()),
    ]);
    let environment = Environment::of_process();
    let config = Config::read(options.file.sources(&environment, &flags))?;
    telemetry::start(&config.log)?;
    let served = serve(config).await;
    if let Err(error) = &served {
        // The terminal is told by the caller; here it is for whoever collects the log.
        tracing::error!("the service ended: {error:#}");
    }
    served
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let tasks = TaskTracker::new();
    let stop = signals::stop_token(&tasks)?;
    for one in &config.effective {
        let account = one.account.as_deref();
        tracing::info!(account, setting.origin = %one.origin, "setting {}", one.assignment);
    }
    let app = App::build(config.app, Clock::system()).await?;
    let (address, migrated) = (app.address(), app.migrated());
    tracing::info!(schema.from = migrated.from, schema.to = migrated.to, "the database is ready");
    tracing::info!(listen.address = %address, "serving gRPC on {address}");
    signals::run_until(app, stop).await?;
    tracing::info!("stopped");
    Ok(())
}
