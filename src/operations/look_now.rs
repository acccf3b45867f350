//! Has one customer looked at now, and waits until that is done. The same path as every other look: the customer is marked
//! as the most urgent work, so there is no second way in which a contact changes.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::account::AccountState;
use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::domain::standstill::Standstill;
use crate::domain::trial::TrialState;
use crate::operations::accounts::ServedAccount;
use crate::operations::questions::PATIENCE;
use crate::store::{self, Hindrance, Store};

/// When to try again if nothing better is known.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Whether a look that somebody else waits for already is good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// No: Partner Center is asked after this call.
    Anew,
    /// Yes: everybody who waits shares one question.
    Shared,
}

/// Why nobody looked.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoLook {
    /// Partner Center gave no usable answer in time.
    #[error("partner center cannot be asked now: {cause}")]
    Unavailable {
        /// A stable name of what keeps us from asking, or a short description.
        cause: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The customer is paused.
    #[error("the customer is paused")]
    Paused,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Looks at the customer of that tenant. What came of it is in the store.
pub(super) async fn look_now(
    store: &Store,
    served: &ServedAccount,
    tenant: TenantId,
    look: Look,
    now: Timestamp,
) -> Result<(), NoLook> {
    let account = &served.account.id;
    match served.state {
        AccountState::Active => {}
        // Nobody would look before somebody makes it active again.
        AccountState::Disabled => return Err(unavailable(Some(Standstill::Disabled.reason().to_owned()))),
    }
    not_throttled(&store.hindrance(account).await?, now)?;
    not_waiting_for_approval(store, account).await?;
    let mut changes = store.sync_work_changes(account);
    let wanted = store
        .write("look_now", async |tx| {
            let wanted = match look {
                Look::Anew => tx.mark_for_refresh(account, tenant).await?,
                Look::Shared => tx.join_refresh(account, tenant).await?,
            };
            if wanted.is_paused { Err(NoLook::Paused) } else { Ok(wanted) }
        })
        .await?;
    let done = async {
        loop {
            changes.borrow_and_update();
            let progress = store.work_progress(account, tenant).await?;
            if progress.settled >= wanted.marked {
                return Ok(());
            }
            if progress.is_paused {
                return Err(NoLook::Paused);
            }
            if progress.attempts > wanted.attempts {
                return Err(unavailable(progress.problem));
            }
            not_throttled(&store.hindrance(account).await?, now)?;
            not_waiting_for_approval(store, account).await?;
            if changes.changed().await.is_err() {
                return Err(unavailable(None));
            }
        }
    };
    // Real time on purpose: it is a caller that waits.
    match tokio::time::timeout(PATIENCE, done).await {
        Ok(done) => done,
        Err(_) => {
            let problem = store.hindrance(account).await?.problem.map(|problem| problem.reason);
            let trying = trial_state(store, account).await?.filter(|state| *state == TrialState::Trying);
            Err(unavailable(problem.or(trying.map(|_| Standstill::CredentialsOnTrial.reason().to_owned()))))
        }
    }
}

/// Nobody needs to wait while Partner Center wants no calls: they are told how long that will be.
fn not_throttled(hindrance: &Hindrance, now: Timestamp) -> Result<(), NoLook> {
    match hindrance.throttled_until.filter(|until| *until > now) {
        Some(until) => Err(NoLook::Unavailable { cause: "THROTTLED".to_owned(), retry_after: until.since(now) }),
        None => Ok(()),
    }
}

/// Nobody looks before an operator has accepted the account's new credentials.
async fn not_waiting_for_approval(store: &Store, account: &PartnerAccountId) -> Result<(), NoLook> {
    match trial_state(store, account).await? {
        Some(TrialState::Waiting) => Err(unavailable(Some(Standstill::CredentialsNeedApproval.reason().to_owned()))),
        Some(TrialState::Trying | TrialState::Accepted) | None => Ok(()),
    }
}

async fn trial_state(store: &Store, account: &PartnerAccountId) -> Result<Option<TrialState>, store::Error> {
    Ok(store.credential_trial(account).await?.map(|trial| trial.state))
}

fn unavailable(cause: Option<String>) -> NoLook {
    let cause = cause.unwrap_or_else(|| "NO_ANSWER_IN_TIME".to_owned());
    NoLook::Unavailable { cause, retry_after: TRY_AGAIN_AFTER }
}
