//! Settings: a file, overridden by the environment, overridden by the command line; everything that is wrong with
//! them is told at once, each with the setting, what is wrong and what would be right.
//!
//! [`settings`] is the table all of it follows. No component knows this module: it makes each component's own
//! `Settings`. Secrets are read from files and are never shown, nor are values of names that are no setting.

mod accounts;
mod environment;
mod problem;
mod reader;
mod secret;
mod service;
pub mod settings;
mod spelling;
mod template;
mod unknown;
mod upstream_address;
mod value;
mod webhook;

use std::net::SocketAddr;
use std::path::Path;

use crate::app;
use crate::grpc::WatchLimits;
use crate::sealing::SealingKeys;
use crate::store::DatabaseAddress;
use crate::telemetry;

pub use environment::Environment;
pub use problem::{Problem, Problems};
pub use reader::{EffectiveSetting, Origin, Sources};
pub use template::template;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Config {
    /// The service's settings.
    pub app: app::Settings,
    /// How it logs.
    pub log: telemetry::Settings,
    /// Every setting as it is, for people; holds nothing that may not be printed.
    pub effective: Vec<EffectiveSetting>,
}

impl Config {
    /// Reads all of it, or tells everything that is wrong.
    pub fn read(sources: Sources<'_>) -> Result<Self, Problems> {
        let mut reader = reader::Reader::new(sources)?;
        unknown::note_in_file(&mut reader);
        let service = service::read(&mut reader);
        let webhook = webhook::read(&mut reader);
        let sealing_keys = service::sealing_keys(&mut reader);
        let pace = service::pace(&mut reader);
        let ids = accounts::ids(&mut reader);
        unknown::note_in_environment(&mut reader, &ids);
        // With a key they may come from the API.
        if ids.is_empty() && matches!(sealing_keys, Ok(None)) {
            accounts::note_absence(&mut reader);
        }
        let keys = if matches!(sealing_keys, Ok(None)) { accounts::Keys::None } else { accounts::Keys::Given };
        let accounts = accounts::read(&mut reader, ids, pace.as_ref().map_err(|noted| *noted), keys);
        let effective = reader.finish()?;
        // Invariant: nothing was noted, so everything has a value.
        let (Ok(service), Ok(webhook), Ok(accounts), Ok(sealing_keys)) = (service, webhook, accounts, sealing_keys)
        else {
            return Err(Problems(Vec::new()));
        };
        let Ok(pace) = pace.and_then(|pace| pace.whole()) else { return Err(Problems(Vec::new())) };
        let app = app::Settings {
            listen: service.listen,
            database: service.database,
            replica_name: service.replica_name,
            portal: service.portal,
            report_only_callers: service.report_only_callers,
            change_log_retention: service.change_log_retention,
            watching: WatchLimits::USUAL,
            webhook,
            accounts,
            sealing_keys,
            api_accounts: app::ApiAccountSettings { pace, endpoints: None },
        };
        Ok(Self { app, log: service.log, effective })
    }

    /// Reads only where the database is: a migration needs neither accounts nor their secrets.
    pub fn read_database(sources: Sources<'_>) -> Result<DatabaseAddress, Problems> {
        read_one(sources, service::database)
    }

    /// Reads only where the service listens, for whoever asks it something.
    pub fn read_listen(sources: Sources<'_>) -> Result<SocketAddr, Problems> {
        read_one(sources, service::listen)
    }
}

fn read_one<T>(
    sources: Sources<'_>,
    read: impl Fn(&mut reader::Reader<'_>) -> Result<T, reader::Noted>,
) -> Result<T, Problems> {
    let mut reader = reader::Reader::new(sources)?;
    let found = read(&mut reader);
    reader.finish()?;
    // Invariant: nothing was noted, so there is a value.
    found.map_err(|_| Problems(Vec::new()))
}

/// The sealing keys in a file, or what is wrong with it.
pub fn sealing_keys_of(file: &Path) -> Result<SealingKeys, String> {
    secret::sealing_keys(&file.display().to_string())
}

/// The portal link when nobody sets one.
pub fn usual_portal_link() -> Option<crate::grpc::PortalLink> {
    match settings::PORTAL_LINK.fallback {
        settings::Fallback::Value(text) => crate::grpc::PortalLink::new(text),
        settings::Fallback::Required | settings::Fallback::Derived(_) => None,
    }
}

#[cfg(test)]
mod tests;
