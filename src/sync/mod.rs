//! Keeps an account level with Partner Center: looks at customers at its own pace and writes through the operations.
//!
//! Signals (the audit log, the list, the night, a caller) only ever mark customers as dirty; the [`drain`] looks at
//! each and applies what it finds. There is one worker per account, so that one account's trouble never delays
//! another's. A worker is woken by the store and by the clock, does a bounded piece of everything that is due, and
//! sleeps again; all it must remember is in the store, so it may be killed anywhere.

mod audit_poll;
mod drain;
mod listing;
mod removals;
mod runs;
mod tickets;
mod trouble;
mod webhook_check;

use std::num::NonZeroUsize;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Timestamp};
use crate::domain::ids::PartnerAccountId;
use crate::domain::policy::SyncPolicy;
use crate::partner_center::PartnerCenter;
use crate::partner_center::error::Error as UpstreamError;
use crate::store::{self, Store};
use crate::sync::listing::SeenLinks;
use crate::sync::tickets::Tickets;
use crate::sync::trouble::Trouble;

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
    trouble: Trouble,
    seen_links: SeenLinks,
    audit_due_at: Timestamp,
    audit_log_is_unreadable: bool,
    webhook_due_at: Timestamp,
}

/// Why a step ended early.
#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl Worker {
    /// A worker that has not looked at anything yet.
    pub fn new(
        account: PartnerAccountId,
        policy: SyncPolicy,
        concurrency: NonZeroUsize,
        upstream: PartnerCenter,
        store: Store,
        clock: Clock,
    ) -> Self {
        let now = clock.now();
        Self {
            account,
            policy,
            concurrency,
            upstream,
            store,
            clock,
            tickets: Tickets::default(),
            trouble: Trouble::default(),
            seen_links: SeenLinks::default(),
            audit_due_at: now,
            audit_log_is_unreadable: false,
            webhook_due_at: now,
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
        if let Some(until) = self.trouble.pause_ends_at().filter(|until| *until > now) {
            return until;
        }
        match self.work(now).await {
            Ok(next) => next,
            Err(Interruption::Upstream(error)) => self.rest(&error).await,
            Err(Interruption::Store(error)) => {
                tracing::error!(account = %self.account, error = %error, "synchronization cannot use the store");
                now.plus(STORE_PAUSE)
            }
        }
    }

    async fn work(&mut self, now: Timestamp) -> Result<Timestamp, Interruption> {
        self.trouble.resume();
        self.start_due_runs(now).await?;
        if self.audit_due_at <= now {
            self.poll_audit_log_or_say_why_not(now).await?;
            self.audit_due_at = now.plus(self.policy.audit_interval);
        }
        let listed = self.list_next_pages().await;
        // A list that cannot be read does not keep anybody from being looked at.
        let drained_more = self.drain().await?;
        let listed_more = listed?;
        let finished_a_run = self.finish_runs().await?;
        if self.webhook_due_at <= now {
            self.check_webhook(now).await?;
        }
        self.forget_trouble().await?;
        if listed_more || drained_more || finished_a_run {
            return Ok(now);
        }
        self.next_due(now).await
    }

    async fn next_due(&self, now: Timestamp) -> Result<Timestamp, Interruption> {
        let runs_due_at = self.runs_due_at().await?;
        let dirty_at = self.store.next_dirty_at(&self.account).await?;
        let due = [Some(self.audit_due_at), Some(self.webhook_due_at), runs_due_at, dirty_at];
        let soonest = due.into_iter().flatten().min().unwrap_or(self.audit_due_at);
        Ok(soonest.min(now.plus(LONGEST_SLEEP)))
    }

    /// The account whose worker this is.
    pub const fn account(&self) -> &PartnerAccountId {
        &self.account
    }
}
