//! The store remembers: the only module that names sqlx.
//!
//! One concrete [`Store`], cheap to clone. Reads are methods of the store and use the reader connections;
//! writes are methods of [`Tx`], reached only through [`Store::write`]. There is no method that writes a
//! contact: [`Tx::save_edit`] takes proof of a review, [`Tx::save_plans`] takes plans made from observations.

mod account_records;
mod accounts;
mod address;
mod audit_records;
mod change_feed;
mod change_retention;
mod changes;
mod confirmations;
mod connection;
mod copy;
mod credential_trials;
mod customer_lookup;
mod customer_query;
mod customer_row;
mod customers;
mod decisions;
mod doubts;
mod error;
mod former_webhook_paths;
mod generations;
mod hosts;
mod leases;
mod likeness;
mod listed;
mod links;
mod meta;
mod migrations;
mod pauses;
mod postgres;
mod refresh_tokens;
mod removals;
mod pending_links;
mod requests;
mod reseller_map;
mod resellers;
mod row;
mod run_costs;
mod server;
mod server_identity;
mod settling;
mod sqlite;
mod statement;
mod sync_runs;
mod sync_status;
mod transaction;
mod trace;
mod upstream;
mod upstream_changes;
mod verification;
mod wakeup;
mod webhook_secrets;
mod webhooks;
mod witness;

use std::path::Path;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::clock::Clock;
use crate::domain::lease::Lease;
use crate::store::connection::Backend;
use crate::store::statement::statement;
use crate::store::wakeup::Wakeups;

pub use account_records::{ConfiguredAccount, KeptAccount, SealedCredentials};
pub use accounts::TenantChanged;
pub use address::DatabaseAddress;
pub use change_feed::{ChangeBatch, ChangesAfter, CustomerChange, SeenAhead};
pub use copy::{
    Copied, CopyError, CopyProgress, CopyStart, CopyStep, TableComparison, TableDigest, compare_stores, copy_store,
};
pub use credential_trials::TrialStart;
pub use customer_lookup::SharedKey;
pub use customer_query::{CustomerQuery, Deleted};
pub use customers::{Saved, SavedPlan};
pub use decisions::{ChainCheck, Decision, DecisionOutcome, DecisionQuery};
pub use doubts::Doubts;
pub use error::Error;
pub use generations::{Beginning, Place};
pub use leases::Holding;
pub use listed::ListedPage;
pub use meta::PageTokenKey;
pub use migrations::{Migrated, MigrationError};
pub use pending_links::{PendingLink, PendingPlace};
pub use postgres::ServerError;
pub use refresh_tokens::{KeptRefreshToken, Renewal};
pub use removals::RemovalCandidate;
pub use requests::{Remembered, RequestKey};
pub use reseller_map::ResellerRead;
pub use resellers::{KeptReseller, ResellerCounts, ResellerReading, RoundBegun};
pub use run_costs::{CallTally, RunOutlook};
pub use sqlite::OpenError;
pub use sync_runs::{PageProgress, RunCause, RunCounts, RunKind, RunState, SyncRun};
pub use sync_status::{AccountSync, Freshness, Hindrance, Readings, SyncProblem};
pub use trace::UpstreamTrace;
pub use transaction::{Body, Tx};
pub use upstream::{Backlog, DirtyCustomer, Priority, WorkProgress};
pub use webhook_secrets::WebhookSecrets;
pub use webhooks::{Replacement, WebhookStanding, WebhookState};

/// The store of one Customer Guard.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
    clock: Clock,
    wakeups: Wakeups,
    /// What everything that is written is bound to, if it is.
    lease: Option<Lease>,
}

impl Store {
    /// Opens a database and brings its schema up to date; a file is made if it does not exist.
    pub async fn open(address: &DatabaseAddress, clock: Clock) -> Result<(Self, Migrated), StartError> {
        match address {
            DatabaseAddress::File(path) => Self::open_sqlite(path, clock).await,
            DatabaseAddress::Postgres(url) => Self::open_postgres(url, clock).await,
        }
    }

    /// Opens a database to look at it, also while a service has it: every write fails.
    pub async fn open_for_reading(address: &DatabaseAddress, clock: Clock) -> Result<Self, StartError> {
        match address {
            DatabaseAddress::File(path) => Self::open_sqlite_for_reading(path, clock).await,
            DatabaseAddress::Postgres(url) => Self::open_postgres_for_reading(url, clock).await,
        }
    }

    /// Opens or creates the embedded database and brings its schema up to date.
    pub async fn open_sqlite(path: &Path, clock: Clock) -> Result<(Self, Migrated), StartError> {
        let writer = sqlite::open(path).await?;
        let migrated = migrations::run_on_sqlite(&writer.pool).await?;
        let readers = sqlite::open_for_reading(path).await?;
        let backend = Backend::Sqlite { writer: writer.pool, readers, witness: Some(Arc::new(writer.witness)) };
        let store = Self { backend, clock, wakeups: Wakeups::default(), lease: None };
        store.hash_former_webhook_secrets().await?;
        store.make_match_keys().await?;
        Ok((store, migrated))
    }

    /// Opens a PostgreSQL database and brings its schema up to date. Several processes may do so at once.
    pub async fn open_postgres(url: &SecretString, clock: Clock) -> Result<(Self, Migrated), StartError> {
        let server = postgres::open(url.expose_secret()).await?;
        let backend = Backend::Postgres(server.clone());
        copy::refuse_unfinished(&backend).await?;
        let migrated = migrations::run_on_postgres(&server).await?;
        let store = Self { backend, clock, wakeups: Wakeups::default(), lease: None };
        store.make_match_keys().await?;
        Ok((store, migrated))
    }

    /// Opens a PostgreSQL database to look at it, also while services have it: its schema is left as it is.
    pub async fn open_postgres_for_reading(url: &SecretString, clock: Clock) -> Result<Self, StartError> {
        let server = postgres::open_for_reading(url.expose_secret()).await?;
        migrations::require_known_to_postgres(&server).await?;
        let backend = Backend::Postgres(server);
        copy::refuse_unfinished(&backend).await?;
        Ok(Self { backend, clock, wakeups: Wakeups::default(), lease: None })
    }

    /// Opens the embedded database to look at it, also while a service has it: every write fails.
    pub async fn open_sqlite_for_reading(path: &Path, clock: Clock) -> Result<Self, StartError> {
        let readers = sqlite::open_for_reading(path).await?;
        migrations::require_known_to_sqlite(&readers).await?;
        let backend = Backend::Sqlite { writer: readers.clone(), readers, witness: None };
        Ok(Self { backend, clock, wakeups: Wakeups::default(), lease: None })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), Error> {
        statement("SELECT 1").fetch_one(&self.backend).await?;
        Ok(())
    }

    /// Closes every connection; what is committed is on the disk already.
    pub async fn close(&self) {
        self.backend.close().await;
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Store")
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database itself.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Its schema.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// A copy into it was begun and has not come to its end: its guards sleep.
    #[error(
        "the database holds a copy of a store that is not finished: run `customer-guard store copy` again with the same \
         file, or use another database"
    )]
    UnfinishedCopy,
    /// What is made from its rows.
    #[error(transparent)]
    Rows(#[from] Error),
}
