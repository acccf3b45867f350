//! Keeps a whole Partner Center in one JSON file, so that a second run on the same directory finds the same upstream.
//! Faults, counters and the limiter's window are moods of a run and are not kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Simulator;
use super::applications::Application;
use super::audit::AuditRecord;
use super::customer::Customer;
use super::partner::{Knobs, Partner, PartnerCenter};
use super::registration::Registration;
use super::resellers::Reseller;
use super::sign_in::SignIns;

/// Raised when a file of an older form could no longer be read.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    clock_ahead_microseconds: i64,
    partners: Vec<WrittenPartner<'a>>,
}

#[derive(Serialize)]
struct WrittenPartner<'a> {
    partner: &'a Partner,
    knobs: &'a Knobs,
    applications: &'a [Application],
    draws: u64,
    tokens_valid_from: i64,
    registration: Option<&'a Registration>,
    sign_ins: &'a SignIns,
    customers: Vec<&'a Customer>,
    former: Vec<&'a Customer>,
    audit: Vec<&'a AuditRecord>,
    resellers: Vec<&'a Reseller>,
    serving: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Deserialize)]
struct Read {
    version: u32,
    clock_ahead_microseconds: i64,
    partners: Vec<ReadPartner>,
}

#[derive(Deserialize)]
struct ReadPartner {
    partner: Partner,
    knobs: Knobs,
    #[serde(default)]
    applications: Vec<Application>,
    draws: u64,
    tokens_valid_from: i64,
    registration: Option<Registration>,
    #[serde(default)]
    sign_ins: SignIns,
    customers: Vec<Customer>,
    former: Vec<Customer>,
    audit: Vec<AuditRecord>,
    // What an older file does not have.
    #[serde(default)]
    resellers: Vec<Reseller>,
    #[serde(default)]
    serving: BTreeMap<String, BTreeSet<String>>,
}

impl Simulator {
    /// Writes everything to a file, which is whole or not there: it is written beside its place and then moved.
    /// Blocks; an async caller uses a blocking thread.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let _only_writer = self.shared.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let partial = path.with_extension("partial");
        let mut file = BufWriter::new(File::create(&partial)?);
        {
            let partners = self.partners_held();
            let written = Written {
                version: VERSION,
                clock_ahead_microseconds: self.clock().ahead_microseconds(),
                partners: partners.values().map(WrittenPartner::of).collect(),
            };
            serde_json::to_writer(&mut file, &written)?;
        }
        file.flush()?;
        file.get_ref().sync_all()?;
        drop(file);
        fs::rename(&partial, path)
    }

    /// Reads what [`Simulator::save`] wrote.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or is of another version.
    pub fn load(path: &Path) -> io::Result<Self> {
        let file = BufReader::new(File::open(path)?);
        let read: Read = serde_json::from_reader(file)?;
        if read.version != VERSION {
            let text = format!("the state file has version {}, not {VERSION}", read.version);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let simulator = Self::new();
        simulator.clock().run_ahead(read.clock_ahead_microseconds);
        simulator
            .partners_held()
            .extend(read.partners.into_iter().map(|partner| (partner.partner.tenant_id, partner.into_center())));
        Ok(simulator)
    }

    /// Saves to this file after every change through the control API, before the change is answered.
    pub fn keep_state_in(&self, path: PathBuf) {
        *self.shared.state_file.lock().unwrap_or_else(PoisonError::into_inner) = Some(path);
    }

    pub(super) fn state_file(&self) -> Option<PathBuf> {
        self.shared.state_file.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<'a> WrittenPartner<'a> {
    fn of(center: &'a PartnerCenter) -> Self {
        Self {
            partner: &center.partner,
            knobs: &center.knobs,
            applications: &center.applications,
            draws: center.draws,
            tokens_valid_from: center.tokens_valid_from,
            registration: center.webhooks.registration.as_ref(),
            sign_ins: &center.sign_ins,
            customers: center.customers.values().collect(),
            former: center.former.values().collect(),
            audit: center.audit.records().collect(),
            resellers: center.resellers.resellers.values().collect(),
            serving: texts(&center.resellers.serving),
        }
    }
}

fn texts(serving: &BTreeMap<Uuid, BTreeSet<Uuid>>) -> BTreeMap<String, BTreeSet<String>> {
    let texts = |ids: &BTreeSet<Uuid>| ids.iter().map(Uuid::to_string).collect();
    serving.iter().map(|(customer, ids)| (customer.to_string(), texts(ids))).collect()
}

/// What is no id was written by hand and is left out.
fn ids(serving: &BTreeMap<String, BTreeSet<String>>) -> BTreeMap<Uuid, BTreeSet<Uuid>> {
    let ids = |texts: &BTreeSet<String>| texts.iter().filter_map(|text| text.parse().ok()).collect();
    serving.iter().filter_map(|(customer, texts)| Some((customer.parse().ok()?, ids(texts)))).collect()
}

impl ReadPartner {
    fn into_center(self) -> PartnerCenter {
        let mut center = PartnerCenter::new(self.partner);
        center.knobs = self.knobs;
        center.applications = self.applications;
        center.draws = self.draws;
        center.tokens_valid_from = self.tokens_valid_from;
        center.webhooks.registration = self.registration;
        center.sign_ins = self.sign_ins;
        let keyed = |customers: Vec<Customer>| customers.into_iter().map(|customer| (customer.id, customer)).collect();
        center.customers = keyed(self.customers);
        center.former = keyed(self.former);
        center.resellers.resellers = self.resellers.into_iter().map(|reseller| (reseller.id, reseller)).collect();
        center.resellers.serving = ids(&self.serving);
        for record in self.audit {
            center.audit.restore(record);
        }
        center
    }
}
