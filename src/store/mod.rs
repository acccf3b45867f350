//! The store remembers: the only module that names sqlx.
//!
//! One concrete [`Store`], cheap to clone. Reads are methods of the store and use the reader connections;
//! writes are methods of [`Tx`], reached only through [`Store::write`]. There is no method that writes a
//! contact: [`Tx::save_edit`] takes proof of a review, [`Tx::save_plans`] takes plans made from observations.

mod account_records;
mod accounts;
mod audit_records;
mod change_feed;
mod change_retention;
mod changes;
mod confirmations;
mod credential_trials;
mod customer_lookup;
mod customer_query;
mod customer_row;
mod customers;
mod decisions;
mod doubts;
mod error;
mod former_webhook_paths;
mod likeness;
mod listed;
mod links;
mod meta;
mod migrations;
mod pauses;
mod refresh_tokens;
mod removals;
mod pending_links;
mod requests;
mod reseller_map;
mod resellers;
mod run_costs;
mod settling;
mod sqlite;
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

use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::SqlitePool;

use crate::clock::Clock;
use crate::store::wakeup::Wakeups;

pub use account_records::{ConfiguredAccount, KeptAccount, SealedCredentials};
pub use accounts::TenantChanged;
pub use change_feed::{ChangeBatch, ChangesAfter, CustomerChange, SeenAhead};
pub use credential_trials::TrialStart;
pub use customer_lookup::SharedKey;
pub use customer_query::{CustomerQuery, Deleted};
pub use customers::{Saved, SavedPlan};
pub use decisions::{ChainCheck, Decision, DecisionOutcome, DecisionQuery};
pub use doubts::Doubts;
pub use error::Error;
pub use meta::PageTokenKey;
pub use migrations::{Migrated, MigrationError};
pub use pending_links::{PendingLink, PendingPlace};
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
    writer: SqlitePool,
    readers: SqlitePool,
    clock: Clock,
    wakeups: Wakeups,
    // Held for as long as any clone lives: no second process may write the file.
    _lock: Option<Arc<std::fs::File>>,
}

impl Store {
    /// Opens or creates the embedded database and brings its schema up to date.
    pub async fn open_sqlite(path: &Path, clock: Clock) -> Result<(Self, Migrated), StartError> {
        let writer = sqlite::open(path).await?;
        let migrated = migrations::run(&writer.pool).await?;
        let store = Self {
            writer: writer.pool,
            readers: sqlite::open_for_reading(path).await?,
            clock,
            wakeups: Wakeups::default(),
            _lock: Some(Arc::new(writer.lock)),
        };
        store.hash_former_webhook_secrets().await?;
        store.make_match_keys().await?;
        Ok((store, migrated))
    }

    /// Opens the embedded database to look at it, also while a service has it: every write fails.
    pub async fn open_sqlite_for_reading(path: &Path, clock: Clock) -> Result<Self, StartError> {
        let readers = sqlite::open_for_reading(path).await?;
        migrations::require_known(&readers).await?;
        Ok(Self { writer: readers.clone(), readers, clock, wakeups: Wakeups::default(), _lock: None })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), Error> {
        sqlx::query("SELECT 1").execute(&self.readers).await?;
        Ok(())
    }

    /// Closes every connection; what is committed is on the disk already.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
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
    /// Its schema.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// What is made from its rows.
    #[error(transparent)]
    Rows(#[from] Error),
}
