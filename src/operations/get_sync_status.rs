//! Tells how fresh an account is and what holds it back.

use crate::clock::Timestamp;
use crate::domain::access::{Action, Caller};
use crate::domain::account::PartnerKind;
use crate::domain::ids::PartnerAccountId;
use crate::domain::policy::{Guarantee, SyncPolicy};
use crate::domain::user_sign_in::{Warning, certificate_warning, user_warning};
use crate::operations::accounts::Accounts;
use crate::operations::sync_runs::{CountedRun, SyncRunError, counted};
use crate::store::{AccountSync, Backlog, ResellerCounts, ResellerReading, RunKind, Store, SyncProblem};

/// How the reading of an account's resellers stands.
#[derive(Debug)]
pub struct ResellerStanding {
    /// Whether a partner of its kind has resellers.
    pub applies: bool,
    /// What its worker noted, once it ran.
    pub reading: Option<ResellerReading>,
    /// What is known.
    pub counts: ResellerCounts,
}

/// How synchronization of an account stands.
#[derive(Debug)]
pub struct SyncStatus {
    /// What the store knows.
    pub sync: AccountSync,
    /// What is owed.
    pub backlog: Backlog,
    /// The full run that succeeded last.
    pub last_full: Option<CountedRun>,
    /// The full run that is under way.
    pub running_full: Option<CountedRun>,
    /// When the next night begins.
    pub next_night_at: Option<Timestamp>,
    /// From when a run may be started by hand, if not now.
    pub manual_allowed_at: Option<Timestamp>,
    /// Customers in Partner Center that wait for a decision.
    pub pending_links: u64,
    /// What the account's callers are promised.
    pub policy: SyncPolicy,
    /// How the reading of its resellers stands.
    pub resellers: ResellerStanding,
    /// What the replica that synchronizes it is called, if one does.
    pub replica: Option<String>,
    /// What can be kept of that, once the account's pace is known.
    pub guarantee: Option<Guarantee>,
}

/// What does not keep the account from being synchronized, or not yet, and is for an operator to see.
async fn warning(
    store: &Store,
    account: &PartnerAccountId,
    now: Timestamp,
) -> Result<Option<SyncProblem>, SyncRunError> {
    let Some(kept) = store.kept_account(account).await? else { return Ok(None) };
    let user = kept.record.user.as_ref().and_then(|user| user_warning(user, now));
    let warning = user.or_else(|| certificate_warning(kept.record.credential?, now));
    Ok(warning.map(|Warning { reason, detail, since }| SyncProblem { reason, detail, since }))
}

/// Tells how synchronization of an account stands.
pub async fn get_sync_status(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
    now: Timestamp,
) -> Result<SyncStatus, SyncRunError> {
    caller.may(Action::ReadSync, account)?;
    let served = accounts.find_in(store, account).await??;
    let policy = served.policy.clone();
    // The runs first: what is told of the account is then never older than the run it is told beside.
    let last_full = match store.last_full_run(account).await? {
        Some(run) => Some(counted(store, run).await?),
        None => None,
    };
    let running_full = match store.run_under_way(account, RunKind::Full).await? {
        Some(run) => Some(counted(store, run).await?),
        None => None,
    };
    let mut sync = store.account_sync(account).await?;
    // A pause that is over holds nothing back any more.
    sync.throttled_until = sync.throttled_until.filter(|until| *until > now);
    if sync.problem.is_none() {
        sync.problem = warning(store, account, now).await?;
    }
    let backlog = store.backlog(account).await?;
    let pending_links = store.count_pending_links(account).await?;
    let finished_at = last_full.as_ref().and_then(|last| last.run.finished_at);
    let manual_allowed_at = finished_at.map(|at| at.plus(policy.manual_cooldown)).filter(|at| *at > now);
    let guarantee = sync.calls_per_minute.map(|pace| Guarantee::of(sync.active_customers, pace, policy.verify_within));
    let resellers = ResellerStanding {
        applies: served.account.kind == PartnerKind::IndirectProvider,
        reading: store.reseller_reading(account).await?,
        counts: store.reseller_counts(account).await?,
    };
    Ok(SyncStatus {
        resellers,
        replica: store.holder_of(account).await?,
        guarantee,
        sync,
        backlog,
        last_full,
        running_full,
        next_night_at: policy.night.after(now),
        manual_allowed_at,
        pending_links,
        policy,
    })
}
