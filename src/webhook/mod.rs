//! HTTP in from Microsoft: takes Partner Center's events on a listener of its own and says whom to look at again.
//!
//! An event proves itself before anything of it is read: its path holds the account's secret ([`path`]), its
//! [`signature`] is made by a certificate from an address of the one allowed form ([`certificate_address`]), fetched
//! within bounds ([`fetch`], [`certificates`]) and standing on a configured root ([`trust`]). Then [`event`] reads
//! whom it is about and [`intake`] remembers it and marks that customer in one transaction; the answer comes after
//! the commit. What the customer now is, only Partner Center's own answer says.
//!
//! This module knows the store and nothing of the sync, callers or the client of Partner Center.

mod certificate_address;
mod certificates;
mod connection;
mod event;
mod fetch;
mod intake;
mod path;
mod rate;
mod receiver;
mod refusal;
mod signature;
#[cfg(test)]
pub(crate) mod test_authority;
mod trust;

use std::collections::BTreeSet;

pub use fetch::{FetchSettings, NoFetcher};
pub use intake::{Taken, take_proven};
pub use receiver::Receiver;
pub use refusal::Refusal;
pub use trust::{NoRoots, Roots};

/// Whom to believe.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The hosts that certificates are fetched from, each by its exact name.
    pub certificate_hosts: BTreeSet<String>,
    /// The authorities behind the signers' certificates.
    pub roots: Roots,
    /// What a signer's certificate is called, in lower case.
    pub signer_names: BTreeSet<String>,
    /// How those hosts are reached.
    pub fetch: FetchSettings,
}
