//! Keeps an account's refresh tokens in the store, sealed, and has the newest one used daily.
//!
//! Whoever keeps a newer one says which version it came from, so that of two who use one at once the second learns of the
//! first and goes on with what that one has kept.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::clock::{Clock, Timestamp};
use crate::domain::ids::PartnerAccountId;
use crate::domain::user_sign_in::USED_EVERY;
use crate::operations::credentials::{open_refresh_token, seal_refresh_token};
use crate::partner_center::error::Fate;
use crate::partner_center::refresh_token::{Barred, KeeperError, RefreshTokenKeeper, RefreshTokens, Refused, Renewed};
use crate::sealing::SealingKeys;
use crate::store::{self, Renewal, Store};
use crate::sync::{Interruption, Worker};

/// How long to wait after a use failed for a while.
const FIRST_REST: Duration = Duration::from_secs(60);

/// The refresh tokens of one account and its application.
#[derive(Debug)]
struct StoredRefreshTokens {
    store: Store,
    keys: SealingKeys,
    account: PartnerAccountId,
    client_id: String,
    clock: Clock,
}

/// Whoever keeps the refresh tokens of that account and application.
pub fn keeper(
    store: &Store,
    keys: &SealingKeys,
    account: &PartnerAccountId,
    client_id: &str,
    clock: &Clock,
) -> Arc<dyn RefreshTokenKeeper> {
    let (store, keys, clock) = (store.clone(), keys.clone(), clock.clone());
    Arc::new(StoredRefreshTokens { store, keys, account: account.clone(), client_id: client_id.to_owned(), clock })
}

impl StoredRefreshTokens {
    fn failed(&self, error: &store::Error) -> KeeperError {
        tracing::error!(account = %self.account, error = %error, "the refresh token cannot use the store");
        KeeperError::Unavailable
    }

    async fn read(&self) -> Result<RefreshTokens, KeeperError> {
        let kept = self.store.refresh_token(&self.account).await.map_err(|error| self.failed(&error))?;
        let kept = kept.ok_or(KeeperError::None)?;
        let open = |sealed| open_refresh_token(&self.keys, &self.account, &self.client_id, sealed);
        let barred = kept.standing.barred(self.clock.now());
        Ok(RefreshTokens {
            version: kept.version,
            barred: barred.map(|refused| Barred { reason: refused.reason.clone(), code: refused.code.clone() }),
            newest: open(&kept.newest).map_err(|_| KeeperError::Unreadable)?,
            // It was sealed no later than the newest, which opens; should it not, there is one less to fall back on.
            former: kept.former.as_ref().and_then(|former| open(former).ok()),
        })
    }

    async fn write(&self, renewed: Renewed) -> Result<bool, KeeperError> {
        let seal = |token| seal_refresh_token(&self.keys, &self.account, &self.client_id, token);
        let Renewed { version, worked, newer } = renewed;
        let (Ok(worked), Ok(newer)) = (seal(&worked), newer.as_ref().map(seal).transpose()) else {
            return Err(KeeperError::Unavailable);
        };
        let (account, renewal) = (&self.account, Renewal { version, worked, newer });
        let kept = self
            .store
            .write("renew_refresh_token", async |tx| tx.renew_refresh_token(account, &renewal).await)
            .await
            .map_err(|error| self.failed(&error))?;
        if !kept {
            tracing::info!(account = %account, "somebody else has renewed the refresh token; theirs is used");
        }
        Ok(kept)
    }

    async fn refuse(&self, version: i64, refused: Refused) -> Result<(), KeeperError> {
        let account = &self.account;
        let Refused { reason, code, remedy } = refused;
        let code = code.as_deref();
        let noted = self
            .store
            .write("note_user_refused", async |tx| tx.note_user_refused(account, version, reason, code, remedy).await)
            .await
            .map_err(|error| self.failed(&error))?;
        if noted {
            tracing::warn!(account = %account, reason, code, "the account's user is ruled out; its application goes on");
        }
        Ok(())
    }
}

impl RefreshTokenKeeper for StoredRefreshTokens {
    fn current(&self) -> BoxFuture<'_, Result<RefreshTokens, KeeperError>> {
        self.read().boxed()
    }

    fn keep(&self, renewed: Renewed) -> BoxFuture<'_, Result<bool, KeeperError>> {
        self.write(renewed).boxed()
    }

    fn note_refused(&self, version: i64, refused: Refused) -> BoxFuture<'_, Result<(), KeeperError>> {
        self.refuse(version, refused).boxed()
    }
}

impl Worker {
    /// Has the refresh token used once a day, whoever else needs it. Nothing of it ever keeps the application from working.
    pub(super) async fn keep_user_signed_in(&mut self, now: Timestamp) -> Result<(), Interruption> {
        if !self.upstream.has_user() || self.user.not_before(now, USED_EVERY) > now {
            return Ok(());
        }
        let Some(kept) = self.store.refresh_token(&self.account).await? else {
            self.user.done(now.plus(USED_EVERY));
            return Ok(());
        };
        let due_at = kept.standing.due_at();
        if due_at > now {
            self.user.done(due_at);
            return Ok(());
        }
        match self.upstream.renew_user_sign_in().await {
            Ok(()) => self.user.done(now.plus(USED_EVERY)),
            Err(error) => {
                tracing::warn!(account = %self.account, error = %error, "the refresh token could not be used");
                match error.fate() {
                    // What rules the user out is remembered with its token, and this duty goes by that.
                    Fate::UserBlocked { .. } | Fate::AccountBlocked { .. } => {
                        self.user.failed(now, FIRST_REST * 15, None)
                    }
                    Fate::Retry { .. } | Fate::ListingRestart | Fate::CustomerRefused => {
                        self.user.failed(now, FIRST_REST, Some(&error));
                    }
                }
            }
        }
        Ok(())
    }
}
