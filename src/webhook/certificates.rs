//! Remembers signers' certificates, and bounds how often anything is fetched, whatever is asked for.
//!
//! A certificate that was found good stays in use when its host is down; its validity is judged at every use. What
//! was refused is not fetched again for a minute, and everything together at most once a minute and 20 times a day.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::webhook::certificate_address::CertificateAddress;
use crate::webhook::refusal::Refusal;
use crate::webhook::trust::{Signer, Signers};

/// Addresses that are remembered.
const ENTRIES_MAX: usize = 16;
/// How long a good certificate is not asked for again.
const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);
/// How long one that was refused or could not be had is not asked for again.
const BAD_FOR: Duration = Duration::from_secs(60);
/// The least time between two fetches.
const FETCH_PAUSE: Duration = Duration::from_secs(60);
/// The most fetches in a day.
const FETCHES_PER_DAY: usize = 20;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is known of an address.
#[derive(Clone, Debug)]
struct Known {
    outcome: Result<Signer, Refusal>,
    good_until: Timestamp,
}

/// The certificates of signers.
#[derive(Debug)]
pub(super) struct Certificates {
    signers: Signers,
    clock: Clock,
    known: Mutex<BTreeMap<CertificateAddress, Known>>,
    /// When was fetched within the last day. Whoever holds it is the only one who fetches.
    fetches: tokio::sync::Mutex<VecDeque<Timestamp>>,
}

impl Certificates {
    pub(super) fn new(signers: Signers, clock: Clock) -> Self {
        Self { signers, clock, known: Mutex::default(), fetches: tokio::sync::Mutex::default() }
    }

    /// The signer at an address; `fetch` is awaited only when it is neither known nor fetched too often.
    pub(super) async fn signer(
        &self,
        address: &CertificateAddress,
        fetch: impl Future<Output = Option<Vec<u8>>> + Send,
    ) -> Result<Signer, Refusal> {
        if let Some(known) = self.remembered(address) {
            return known;
        }
        let mut fetches = self.fetches.lock().await;
        // Whoever was waited for may have fetched it.
        if let Some(known) = self.remembered(address) {
            return known;
        }
        let now = self.clock.now();
        let fetched = if may_fetch(&mut fetches, now) {
            fetches.push_back(now);
            fetch.await.ok_or(Refusal::CertificateUnavailable)
        } else {
            Err(Refusal::CertificateUnavailable)
        };
        let now = self.clock.now();
        let outcome = fetched.and_then(|found| self.signers.judge(&found, now));
        self.remember(address, outcome, now)
    }

    /// What is known of an address, while it needs no other look.
    fn remembered(&self, address: &CertificateAddress) -> Option<Result<Signer, Refusal>> {
        let now = self.clock.now();
        let is_current = |known: &&Known| now < known.good_until && known.good_until.since(now) <= GOOD_FOR;
        let known = self.held().get(address).filter(is_current).cloned()?;
        // A certificate may end while it is remembered.
        Some(known.outcome.and_then(|signer| self.signers.judge_again(&signer, now).map(|()| signer)))
    }

    fn remember(
        &self,
        address: &CertificateAddress,
        outcome: Result<Signer, Refusal>,
        now: Timestamp,
    ) -> Result<Signer, Refusal> {
        let mut held = self.held();
        let before = held.remove(address).and_then(|known| known.outcome.ok());
        let still_good = before.filter(|signer| self.signers.judge_again(signer, now).is_ok());
        let (outcome, lasts) = match (outcome, still_good) {
            (Ok(signer), _) => (Ok(signer), GOOD_FOR),
            (Err(Refusal::CertificateUnavailable), Some(signer)) => (Ok(signer), BAD_FOR),
            (Err(refusal), _) => (Err(refusal), BAD_FOR),
        };
        while held.len() >= ENTRIES_MAX {
            // One that is good is the last to go.
            let next = held.iter().min_by_key(|(_, known)| (known.outcome.is_ok(), known.good_until));
            let Some(address) = next.map(|(address, _)| address.clone()) else { break };
            held.remove(&address);
        }
        held.insert(address.clone(), Known { outcome: outcome.clone(), good_until: now.plus(lasts) });
        outcome
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<CertificateAddress, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn may_fetch(fetches: &mut VecDeque<Timestamp>, now: Timestamp) -> bool {
    // One in the future was noted before the clock was set back.
    fetches.retain(|at| *at <= now && now.since(*at) < DAY);
    let rested = fetches.back().is_none_or(|last| now.since(*last) >= FETCH_PAUSE);
    rested && fetches.len() < FETCHES_PER_DAY
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
