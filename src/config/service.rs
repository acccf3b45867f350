//! Reads what stands for the service, and how accounts are kept level where one may differ from the others.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::reader::{Noted, Reader};
use crate::config::secret;
use crate::config::settings::{self, Setting};
use crate::config::value::{self, Wrong};
use crate::domain::policy::{self, Night, SyncPolicy};
use crate::grpc::PortalLink;
use crate::sealing::SealingKeys;
use crate::store::DatabaseAddress;
use crate::telemetry;

/// What is forgotten within the hour no watch can resume at, and in ten years nobody wants to.
const RETENTION: RangeInclusive<Duration> =
    RangeInclusive::new(Duration::from_secs(3600), Duration::from_secs(3650 * 24 * 3600));

/// What stands once.
pub(super) struct Service {
    pub listen: SocketAddr,
    pub database: DatabaseAddress,
    pub replica_name: String,
    pub portal: PortalLink,
    pub report_only_callers: BTreeSet<String>,
    pub change_log_retention: Duration,
    pub log: telemetry::Settings,
}

/// How an account is kept level, as far as accounts may differ.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    night: String,
    time_zone: String,
    audit_interval: Duration,
    list_interval: Duration,
    verify_within: Duration,
    manual_cooldown: Duration,
    requests_per_minute: NonZeroU32,
    concurrency: NonZeroUsize,
}

impl Pace {
    /// The same as the service uses it.
    pub(super) fn whole(&self) -> Result<policy::Pace, Noted> {
        let policy = SyncPolicy {
            // Both were read, so they are sound.
            night: Night::new(&self.night, &self.time_zone).map_err(|_| Noted)?,
            audit_interval: self.audit_interval,
            list_interval: self.list_interval,
            verify_within: self.verify_within,
            manual_cooldown: self.manual_cooldown,
        };
        Ok(policy::Pace { policy, requests_per_minute: self.requests_per_minute, concurrency: self.concurrency })
    }
}

/// Reads what stands once.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Service, Noted> {
    let listen = listen(reader);
    let database = database(reader);
    let replica_name = reader.optional(&settings::REPLICA_NAME, None, value::replica_name);
    let portal = reader.value(&settings::PORTAL_LINK, None, value::portal_link);
    let report_only_callers = reader.value(&settings::REPORT_ONLY_CALLERS, None, value::names);
    let retention = value::duration(RETENTION);
    let retention = reader.value(&settings::CHANGE_LOG_RETENTION, None, retention);
    let filter = reader.value(&settings::LOG, None, value::log_filter);
    let format = reader.value(&settings::LOG_FORMAT, None, value::log_format);
    let log = telemetry::Settings { filter: filter?, format: format? };
    Ok(Service {
        listen: listen?,
        database: database?,
        replica_name: replica_name?.unwrap_or_else(machine_name),
        portal: portal?,
        report_only_callers: report_only_callers?,
        change_log_retention: retention?,
        log,
    })
}

fn machine_name() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// Reads where the service listens.
pub(super) fn listen(reader: &mut Reader<'_>) -> Result<SocketAddr, Noted> {
    reader.value(&settings::LISTEN, None, value::loopback_address)
}

/// Reads where the database is.
pub(super) fn database(reader: &mut Reader<'_>) -> Result<DatabaseAddress, Noted> {
    reader.value(&settings::DATABASE, None, value::database)
}

/// Reads the keys that seal secrets, if there is a file of them.
pub(super) fn sealing_keys(reader: &mut Reader<'_>) -> Result<Option<SealingKeys>, Noted> {
    reader.optional(&settings::SEALING_KEY_FILE, None, secret::sealing_keys)
}

/// Reads the service's pace.
pub(super) fn pace(reader: &mut Reader<'_>) -> Result<Pace, Noted> {
    read_pace(reader, &Whose::Service)
}

/// Reads an account's pace, which is the service's where it says nothing.
pub(super) fn pace_of_account(
    reader: &mut Reader<'_>,
    account: Option<&str>,
    service: Result<&Pace, Noted>,
) -> Result<Pace, Noted> {
    read_pace(reader, &Whose::Account { account, service: service.ok() })
}

enum Whose<'a> {
    Service,
    /// Without the service's, whose problems are noted already, the account's are still looked for.
    Account {
        account: Option<&'a str>,
        service: Option<&'a Pace>,
    },
}

fn read_pace(reader: &mut Reader<'_>, whose: &Whose<'_>) -> Result<Pace, Noted> {
    let interval = value::duration(policy::AUDIT_INTERVAL);
    let list = value::duration(policy::LIST_INTERVAL);
    let verify = value::duration(policy::VERIFY_WITHIN);
    let cooldown = value::duration(policy::MANUAL_COOLDOWN);
    let night = one(reader, whose, &settings::NIGHT, |pace| pace.night.clone(), value::night);
    let time_zone = one(reader, whose, &settings::TIME_ZONE, |pace| pace.time_zone.clone(), value::time_zone);
    let audit_interval = one(reader, whose, &settings::AUDIT_INTERVAL, |pace| pace.audit_interval, interval);
    let list_interval = one(reader, whose, &settings::LIST_INTERVAL, |pace| pace.list_interval, list);
    let verify_within = one(reader, whose, &settings::VERIFY_WITHIN, |pace| pace.verify_within, verify);
    let manual_cooldown = one(reader, whose, &settings::MANUAL_SYNC_COOLDOWN, |pace| pace.manual_cooldown, cooldown);
    let requests =
        one(reader, whose, &settings::REQUESTS_PER_MINUTE, |pace| pace.requests_per_minute, value::requests_per_minute);
    let concurrency = one(reader, whose, &settings::CONCURRENCY, |pace| pace.concurrency, value::concurrency);
    Ok(Pace {
        night: night?,
        time_zone: time_zone?,
        audit_interval: audit_interval?,
        list_interval: list_interval?,
        verify_within: verify_within?,
        manual_cooldown: manual_cooldown?,
        requests_per_minute: requests?,
        concurrency: concurrency?,
    })
}

fn one<T>(
    reader: &mut Reader<'_>,
    whose: &Whose<'_>,
    setting: &Setting,
    member: impl Fn(&Pace) -> T,
    parse: impl Fn(&str) -> Result<T, Wrong>,
) -> Result<T, Noted> {
    match whose {
        Whose::Service => reader.value(setting, None, parse),
        Whose::Account { account, service } => {
            let own = reader.optional(setting, *account, parse)?;
            own.or_else(|| service.map(member)).ok_or(Noted)
        }
    }
}
