//! Whether new or changed credentials may be synchronized with: what a dry run with them found, and what follows from it.
//!
//! Credentials that sign in to the right tenant can still show another list: another application, one that lost a right, a
//! sandbox. So what they show is compared with what is known before anything is written by them.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;

use crate::clock::Timestamp;
use crate::domain::customer::Customer;
use crate::domain::ids::{Epoch, MalformedId, PartnerAccountId, Ticket};
use crate::domain::observation::{Observation, ObservationMark, Observed};
use crate::domain::reconcile;
use crate::domain::short_hash::ShortHash;

/// How many customers are looked at in detail, at most.
pub const SAMPLE_MAX: u32 = 25;

/// So many customers may differ without anybody being asked, however few there are.
const FLOOR: u64 = 3;

/// The place in the order of questions of what a dry run asks: before every other, so that its answers apply to nobody.
pub const BEFORE_EVERYTHING: ObservationMark = ObservationMark { epoch: Epoch(0), ticket: Ticket(0) };

/// The key under which credentials are fingerprinted. It never leaves the store it was drawn in.
pub struct FingerprintKey([u8; 32]);

impl FingerprintKey {
    /// The key of these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The fingerprint of whatever signs in, part by part. No part can be mistaken for two.
    pub fn fingerprint(&self, parts: &[&[u8]]) -> Fingerprint {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        for part in parts {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        let mut fingerprint = [0; 32];
        for (byte, signed) in fingerprint.iter_mut().zip(context.sign().as_ref()) {
            *byte = *signed;
        }
        Fingerprint(fingerprint)
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("FingerprintKey(redacted)")
    }
}

/// Tells credentials apart without telling them: a keyed hash of whatever signs in, and of where.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Fingerprint({})", ShortHash::of([self.0]))
    }
}

/// What a dry run found: the list against the known customers, and a sample of details against their records. Paused
/// customers are left out of all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrialReport {
    /// Customers on the list, whoever they are.
    pub listed: u64,
    /// Known customers: those with an active relationship.
    pub active: u64,
    /// Known customers that are on the list.
    pub present: u64,
    /// Known customers that were on the last list and are not on this one.
    pub missing: u64,
    /// Customers on the list that are not known, and were on no list before.
    pub appeared: u64,
    /// Known customers that the list shows with another name, domain or relationship than the last one.
    pub renamed: u64,
    /// Known customers, present and not renamed, whose details could be read for comparison.
    pub sampled: u64,
    /// Of these, the ones whose details are not what is known of them.
    pub differing: u64,
}

impl TrialReport {
    /// How many known customers would change: the missing, the renamed, and as large a part of the others as of the sample.
    pub const fn changed(&self) -> u64 {
        let alike = self.present.saturating_sub(self.renamed);
        let estimated = if self.sampled == 0 { 0 } else { self.differing.saturating_mul(alike).div_ceil(self.sampled) };
        self.missing.saturating_add(self.renamed).saturating_add(estimated)
    }

    /// How many may change without anybody being asked: max(3, 20 %) of the known customers.
    pub fn limit(&self) -> u64 {
        (self.active / 5).max(FLOOR)
    }

    fn numbers(&self) -> [u64; 8] {
        let Self { listed, active, present, missing, appeared, renamed, sampled, differing } = *self;
        [listed, active, present, missing, appeared, renamed, sampled, differing]
    }
}

/// What follows from a dry run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The credentials are taken.
    Accept,
    /// An operator decides.
    AskOperator,
}

/// Judges a dry run that read the list to its end. Newcomers are no risk. A list that has nobody left of those it had is
/// another list, however short both are.
pub fn judge(report: &TrialReport) -> Verdict {
    let is_another_list = report.present == 0 && report.missing > 0;
    if is_another_list || report.changed() > report.limit() { Verdict::AskOperator } else { Verdict::Accept }
}

/// Whether Partner Center describes a customer in another way than its record. A record that cannot be applied changes
/// nothing, so it is no difference.
pub fn differs(customer: &Customer, observed: &Observed, now: Timestamp) -> bool {
    match observed {
        Observed::Present(profile) => {
            let Some(link) = &customer.microsoft else { return true };
            let observation =
                Observation { tenant_id: link.tenant_id, mark: BEFORE_EVERYTHING, observed: observed.clone() };
            !reconcile::differences(customer, &reconcile::shown(customer, &observation, profile, now)).is_empty()
        }
        Observed::Unusable(_) => false,
        Observed::Gone(_) => true,
    }
}

/// Names a dry run and what it found, so that an operator accepts exactly what was seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TrialId(ShortHash);

impl TrialId {
    fn of(account: &PartnerAccountId, fingerprint: &Fingerprint, report: &TrialReport) -> Self {
        let numbers = report.numbers().map(u64::to_be_bytes).concat();
        Self(ShortHash::of([fingerprint.bytes().as_slice(), &numbers, account.as_str().as_bytes()]))
    }
}

impl fmt::Display for TrialId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

impl fmt::Debug for TrialId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for TrialId {
    type Err = MalformedId;

    /// 32 hexadecimal digits in lower case.
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        text.parse().map(Self).map_err(|_| MalformedId("trial"))
    }
}

/// How far the trial of an account's credentials is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialState {
    /// The dry run has not come to its end.
    Trying,
    /// So much differs that an operator has to decide.
    Waiting,
    /// The credentials were accepted after it.
    Accepted,
}

impl TrialState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Trying, Self::Waiting, Self::Accepted];

    /// The name used in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trying => "TRYING",
            Self::Waiting => "WAITING",
            Self::Accepted => "ACCEPTED",
        }
    }

    /// The state of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Why credentials were accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grounds {
    /// The account had no customer that could be lost.
    NobodyToLose,
    /// The account was synchronized by an earlier release, which accepted whatever signed in.
    KnownBefore,
    /// The dry run found little that differs.
    LittleDiffers,
    /// An operator accepted what it found.
    Operator,
}

impl Grounds {
    /// The name used in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NobodyToLose => "NOBODY_TO_LOSE",
            Self::KnownBefore => "KNOWN_BEFORE",
            Self::LittleDiffers => "LITTLE_DIFFERS",
            Self::Operator => "OPERATOR",
        }
    }
}

/// The trial of an account's present credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialTrial {
    /// Which credentials.
    pub fingerprint: Fingerprint,
    /// How far it is.
    pub state: TrialState,
    /// When it began.
    pub started_at: Timestamp,
    /// What the last dry run found and when; nothing before it came to its end.
    pub found: Option<(TrialReport, Timestamp)>,
    /// When the credentials were accepted, and by whom.
    pub accepted: Option<(Timestamp, String)>,
}

impl CredentialTrial {
    /// The name of what was found, once it was.
    pub fn id(&self, account: &PartnerAccountId) -> Option<TrialId> {
        self.found.as_ref().map(|(report, _)| TrialId::of(account, &self.fingerprint, report))
    }
}

/// What an operator is told of a dry run that waits.
pub fn waiting_detail(report: &TrialReport) -> String {
    let TrialReport { listed, active, present, missing, renamed, sampled, differing, .. } = report;
    format!(
        "The new credentials list {listed} customers. Of {active} known ones {present} are there, {missing} are missing, \
         {renamed} have another name, domain or relationship, and {differing} of {sampled} that were looked at differ: \
         more than the {} that may change unasked. Nothing was written. Look at credential_trial of the partner account \
         and accept it with AcceptCredentials, or set other credentials.",
        report.limit()
    )
}

#[cfg(test)]
#[path = "trial_tests.rs"]
mod tests;
