//! Opens the database, and keeps in it what a process keeps from its beginning: a new generation, the accounts of its
//! configuration, and its first refresh tokens.

use std::time::Duration;

use tokio::time::Instant;

use crate::app::{AccountSettings, Settings, StartError};
use crate::clock::Clock;
use crate::grpc::PageTokens;
use crate::operations::accounts::Accounts;
use crate::operations::credentials::{AdoptError, adopt_refresh_token};
use crate::sealing::SealingKeys;
use crate::store::{
    self, Beginning, DatabaseAddress, Migrated, MigrationError, PageTokenKey, ServerError, Store, TenantChanged,
};

/// How long a database that others use may be in the way of the start.
const OPENING_PATIENCE: Duration = Duration::from_secs(60);
/// When to try again.
const OPENING_PAUSE: Duration = Duration::from_secs(1);

/// The database, and what a process keeps of it from its beginning.
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) migrated: Migrated,
    pub(super) page_token_key: PageTokenKey,
    pub(super) accounts: Accounts,
}

/// Waits, for a while, for a database that others use as well: one of them may have frozen in the middle of a write, or its
/// server may just be replaced by another.
pub(super) async fn opened_patiently(settings: &Settings, clock: &Clock) -> Result<Opened, StartError> {
    let until = Instant::now() + OPENING_PATIENCE;
    let mut was_open = false;
    loop {
        match opened(settings, clock).await {
            Err(error) if error.passes(&settings.database, was_open) && Instant::now() < until => {
                was_open |= error.comes_from_an_open_database();
                tracing::warn!(error = %error, "the database cannot be used yet");
                tokio::time::sleep(OPENING_PAUSE).await;
            }
            done => return done,
        }
    }
}

async fn opened(settings: &Settings, clock: &Clock) -> Result<Opened, StartError> {
    let (store, migrated) = Store::open(&settings.database, clock.clone()).await?;
    match begun(settings, &store).await {
        Ok((page_token_key, accounts)) => Ok(Opened { store, migrated, page_token_key, accounts }),
        Err(error) => {
            store.close().await;
            Err(error)
        }
    }
}

async fn begun(settings: &Settings, store: &Store) -> Result<(PageTokenKey, Accounts), StartError> {
    match store.begin_generation().await? {
        Beginning::Restored => tracing::warn!(
            "the database was put back to an earlier state: every account is synchronized in full, and callers who hold \
             something of what was lost are told so"
        ),
        Beginning::Began | Beginning::None => {}
    }
    let page_token_key = store.page_token_key(PageTokens::fresh_key().ok_or(StartError::Randomness)?).await?;
    Ok((page_token_key, accounts(settings, store).await?))
}

impl StartError {
    /// Whether it may be otherwise in a moment: somebody else uses the database, and is in the way. An address that nobody answers
    /// at is a mistake of whoever wrote it, unless somebody answered before.
    const fn passes(&self, database: &DatabaseAddress, was_open: bool) -> bool {
        let passes = match self {
            Self::Store(store::StartError::Rows(error))
            | Self::Write(error)
            | Self::Account(TenantChanged::Store(error)) => error.passes(),
            Self::Store(
                store::StartError::Server(ServerError::Unreachable(_))
                | store::StartError::Migration(MigrationError::Unreadable(_)),
            ) => was_open,
            _ => false,
        };
        passes && matches!(database, DatabaseAddress::Postgres(_))
    }

    const fn comes_from_an_open_database(&self) -> bool {
        matches!(self, Self::Store(store::StartError::Rows(_)) | Self::Write(_) | Self::Account(_))
    }
}

/// The accounts of the configuration, which are kept with it, and those of the API.
async fn accounts(settings: &Settings, store: &Store) -> Result<Accounts, StartError> {
    let accounts = Accounts::new(settings.api_accounts.pace.clone());
    let configured: Vec<_> = settings.accounts.iter().map(AccountSettings::configured).collect();
    let saved = store.write("save_configured_accounts", async |tx| {
        let mut saved = Vec::with_capacity(configured.len());
        for account in &configured {
            saved.push(tx.save_configured_account(account).await?);
        }
        Ok::<_, TenantChanged>(saved)
    });
    for record in saved.await? {
        accounts.put(&record);
    }
    for account in &settings.accounts {
        adopt(account, settings.sealing_keys.as_ref(), store).await?;
    }
    for kept in store.api_accounts().await? {
        accounts.put(&kept.record);
    }
    Ok(accounts)
}

/// Takes over the refresh token that the configuration gives the account, if it is a new one.
async fn adopt(account: &AccountSettings, keys: Option<&SealingKeys>, store: &Store) -> Result<(), StartError> {
    let id = &account.account.id;
    let given = match (&account.refresh_token, keys) {
        (Some(token), Some(keys)) => Some((token, keys)),
        (Some(_), None) => return Err(StartError::NoSealingKey(id.clone())),
        (None, _) => None,
    };
    adopt_refresh_token(store, id, &account.partner_center.client_id, given).await.map_err(|error| match error {
        AdoptError::NoRandomness(_) => StartError::Randomness,
        AdoptError::Store(error) => StartError::Write(error),
    })
}
