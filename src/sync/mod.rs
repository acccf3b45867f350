//! Keeps an account level with Partner Center: looks at customers at its own pace and writes through the operations.
//!
//! Signals (the audit log, the list, the night, a caller) only ever mark customers as dirty; the [`drain`] looks at
//! each and applies what it finds. There is one worker per account, so that one account's trouble never delays
//! another's. A worker is woken by the store and by the clock, does a bounded piece of everything that is due, and
//! sleeps again; all it must remember is in the store, so it may be killed anywhere.

mod answers;
mod audit_poll;
mod audit_window;
mod credentials;
mod crew;
mod drain;
mod health;
mod listing;
mod notices;
mod progress;
mod promise;
mod refresh_tokens;
mod removals;
mod resellers;
mod runs;
mod second_looks;
mod seen;
mod setup;
mod shares;
mod supervisor;
mod tickets;
mod trial;
mod trouble;
mod webhook_check;
mod webhook_step;

use std::num::NonZeroUsize;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Timestamp};
use crate::domain::ids::PartnerAccountId;
use crate::domain::lease::Lease;
use crate::domain::policy::SyncPolicy;
use crate::domain::webhook_secret::WebhookSecret;
use crate::partner_center::PartnerCenter;
use crate::partner_center::error::Error as UpstreamError;
use crate::store::{self, Store};
use crate::sync::credentials::Credentials;
use crate::sync::notices::Notices;
use crate::sync::progress::InProgress;
use crate::sync::promise::Promise;
use crate::sync::resellers::Resellers;
use crate::sync::seen::Listings;
use crate::sync::tickets::Tickets;
use crate::sync::trial::Trial;
use crate::sync::trouble::{Duty, LONGEST_ASKED_REST, Trouble};

pub use answers::Answerer;
pub use crew::Crew;
pub use refresh_tokens::keeper;
pub use setup::{Said, Setup};
pub use shares::{Shares, leave};
pub use supervisor::{Supervision, Supervisor};
pub use webhook_check::WebhookPlan;

/// How long to wait after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(5);
/// The longest sleep, so that a clock that was set is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Keeps one account level.
#[derive(Debug)]
pub struct Worker {
    account: PartnerAccountId,
    policy: SyncPolicy,
    concurrency: NonZeroUsize,
    upstream: PartnerCenter,
    store: Store,
    clock: Clock,
    tickets: Tickets,
    credentials: Credentials,
    trial: Trial,
    trouble: Trouble,
    listings: Listings,
    audit: Duty,
    list: Duty,
    user: Duty,
    audit_log_is_unreadable: bool,
    in_progress: InProgress,
    /// Looking at customers failed last time, and not because of them.
    is_broken: bool,
    notices: Notices,
    webhook: Option<WebhookPlan>,
    promise: Promise,
    webhook_due_at: Timestamp,
    /// The wish for another secret that was tried last.
    webhook_wish_tried: Option<Timestamp>,
    /// A secret that is to be registered and could not be yet.
    webhook_secret: Option<WebhookSecret>,
    resellers: Resellers,
}

/// Why a step ended early.
#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// What passes by itself is no error yet: whoever is refused by a store that is busy tries again.
fn tell_of(account: &PartnerAccountId, error: &store::Error) {
    match error {
        store::Error::Busy | store::Error::Unavailable(_) | store::Error::LeaseLost => {
            tracing::warn!(account = %account, error = %error, "synchronization waits for the store");
        }
        store::Error::Full | store::Error::Backstop(_) | store::Error::Corrupt(_) | store::Error::Failed(_) => {
            tracing::error!(account = %account, error = %error, "synchronization cannot use the store");
        }
    }
}

impl Worker {
    /// A worker that has not looked at anything yet; see [`Crew::worker`].
    fn new(
        setup: &Setup,
        lease: Lease,
        store: &Store,
        clock: &Clock,
        tickets: Tickets,
        credentials: Credentials,
    ) -> Self {
        let now = clock.now();
        let Setup { account, kind, policy, concurrency, upstream, webhook } = setup.clone();
        let promise = Promise::unseen(now, policy.verify_within);
        Self {
            account,
            policy,
            concurrency,
            upstream,
            store: store.under(lease),
            clock: clock.clone(),
            tickets,
            credentials,
            trial: Trial::default(),
            trouble: Trouble::default(),
            listings: Listings::default(),
            audit: Duty::due_at(now),
            list: Duty::due_at(now),
            user: Duty::due_at(now),
            audit_log_is_unreadable: false,
            in_progress: InProgress::default(),
            is_broken: false,
            notices: Notices::unseen(now),
            webhook,
            promise,
            webhook_due_at: now,
            webhook_wish_tried: None,
            webhook_secret: None,
            resellers: Resellers::of(kind, now),
        }
    }

    /// Works until `stop`. Whatever is under way then is dropped: what is not in the store is done again.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.store.sync_work_changes(&self.account);
        loop {
            changes.borrow_and_update();
            let next = tokio::select! {
                () = stop.cancelled() => return,
                next = self.tick() => next,
            };
            let clock = self.clock.clone();
            tokio::select! {
                () = stop.cancelled() => return,
                () = clock.sleep_until(next) => {}
                _ = changes.changed(), if self.trouble.pause_ends_at().is_none() => {}
            }
        }
    }

    /// Does a bounded piece of everything that is due, and returns when to come back.
    pub async fn tick(&mut self) -> Timestamp {
        let now = self.clock.now();
        let pause = self.trouble.pause_ends_at().filter(|until| *until > now && until.since(now) <= LONGEST_ASKED_REST);
        if let Some(until) = pause {
            return until.min(now.plus(LONGEST_SLEEP));
        }
        match self.work(now).await {
            Ok(next) => next,
            Err(Interruption::Upstream(error)) => self.rest(&error).await,
            Err(Interruption::Store(error)) => {
                tell_of(&self.account, &error);
                now.plus(STORE_PAUSE)
            }
        }
    }

    async fn work(&mut self, now: Timestamp) -> Result<Timestamp, Interruption> {
        self.trouble.resume();
        self.keep_user_signed_in(now).await?;
        if let Some(next) = self.try_credentials(now).await? {
            return Ok(next);
        }
        self.start_due_runs(now).await?;
        if self.audit.not_before(now, self.longest_wait()) <= now {
            self.read_audit_log(now).await?;
        }
        let listed_more = self.read_list(now).await?;
        self.mark_confirmations(now).await?;
        let drained_more = self.drain().await? || self.mark_for_verification(now).await?;
        let finished_a_run = self.finish_runs().await?;
        if self.is_webhook_due(now).await? {
            self.check_webhook(now).await?;
        }
        self.forget_trouble().await?;
        self.look_at_the_promise(now).await?;
        self.look_at_the_notices(now, finished_a_run).await?;
        if listed_more || drained_more || finished_a_run || self.look_after_resellers(now).await? {
            return Ok(now);
        }
        self.next_due(now).await
    }

    /// No duty is ever put off longer than this; a time that is further ahead is a clock that was set back.
    fn longest_wait(&self) -> Duration {
        LONGEST_ASKED_REST.max(self.policy.audit_interval).max(self.policy.list_interval) * 2
    }

    async fn next_due(&self, now: Timestamp) -> Result<Timestamp, Interruption> {
        let runs_due_at = self.runs_due_at().await?;
        let dirty_at = self.store.next_dirty_at(&self.account).await?;
        let audit = self.audit.not_before(now, self.longest_wait());
        let list = self.list.not_before(now, self.longest_wait());
        let second_look_at = self.second_look_due_at().await?;
        let resellers_at = self.resellers_due_at(now).await?;
        let due = [Some(audit), Some(self.webhook_due_at), runs_due_at, dirty_at, second_look_at, resellers_at];
        let list = Some(list).filter(|due| *due > now);
        let soonest = due.into_iter().chain([list]).flatten().min().unwrap_or(audit);
        Ok(soonest.min(now.plus(LONGEST_SLEEP)))
    }
}
