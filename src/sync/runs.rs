//! When runs begin and end: the first, the nightly, the regular list diff.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::ids::RunId;
use crate::store::{RunCause, RunKind, RunState, SyncRun};
use crate::sync::{Interruption, Worker};

/// A full run that failed is tried again after this time.
const RETRY_FAILED_RUN_AFTER: Duration = Duration::from_secs(600);
/// A customer that failed this often no longer keeps a run from ending; it stays dirty.
const ATTEMPTS_A_RUN_WAITS_FOR: u32 = 3;
/// A list that is wanted before its time is read this long after the one before.
const WANTED_LIST_PAUSE: Duration = Duration::from_secs(60);
/// Who starts runs that nobody asked for.
const WORKER: &str = "worker";

impl Worker {
    /// Starts the runs that are due.
    pub(super) async fn start_due_runs(&mut self, now: Timestamp) -> Result<(), Interruption> {
        if let Some(cause) = self.full_run_due(now).await? {
            self.start_run(RunKind::Full, cause).await?;
        }
        if self.list_diff_due_at().await?.is_some_and(|due| due <= now) {
            self.start_run(RunKind::ListDiff, RunCause::Scheduled).await?;
        }
        Ok(())
    }

    /// When the next run is due.
    pub(super) async fn runs_due_at(&self) -> Result<Option<Timestamp>, Interruption> {
        let full = self.full_run_due_at().await?.map(|(due, _)| due);
        Ok([full, self.list_diff_due_at().await?].into_iter().flatten().min())
    }

    /// Starts a run, unless one of that kind is under way.
    pub(super) async fn start_run(&self, kind: RunKind, cause: RunCause) -> Result<(), Interruption> {
        let account = &self.account;
        let started = self
            .store
            .write("start_run", async |tx| match tx.run_under_way(account, kind).await? {
                Some(_) => Ok::<_, Interruption>(None),
                None => Ok(Some(tx.start_run(account, kind, cause, WORKER).await?)),
            })
            .await?;
        if let Some(run) = started {
            tracing::info!(account = %account, run = %run.id, kind = kind.name(), cause = cause.name(), "a sync run starts");
        }
        Ok(())
    }

    async fn full_run_due(&self, now: Timestamp) -> Result<Option<RunCause>, Interruption> {
        let due = self.full_run_due_at().await?;
        Ok(due.filter(|(due, _)| *due <= now).map(|(_, cause)| cause))
    }

    /// When the next full run is due, and why; `None` while one is under way.
    async fn full_run_due_at(&self) -> Result<Option<(Timestamp, RunCause)>, Interruption> {
        let newest = self.store.newest_full_run(&self.account).await?;
        // Whatever was under way when the database was put back has been ended.
        if newest.as_ref().is_some_and(|newest| matches!(newest.state, RunState::Listing | RunState::Fetching)) {
            return Ok(None);
        }
        // What was level in a database that was put back since may not be any more.
        let restored_at = self.store.restored_at().await?;
        let newest = newest.filter(|newest| restored_at.is_none_or(|restored_at| newest.started_at >= restored_at));
        let Some(newest) = newest else { return Ok(Some((Timestamp::from_micros(0), RunCause::First))) };
        let night = self.policy.night.after(newest.started_at).map(|night| (night, RunCause::Nightly));
        Ok(match newest.state {
            RunState::Listing | RunState::Fetching => None,
            // A night that was slept through is made up for: the promise is about time, not about the clock.
            RunState::Succeeded => night,
            RunState::Failed => {
                let again =
                    (newest.finished_at.unwrap_or(newest.started_at).plus(RETRY_FAILED_RUN_AFTER), newest.cause);
                [Some(again), night].into_iter().flatten().min_by_key(|(due, _)| *due)
            }
        })
    }

    /// When the list is to be read again; `None` while it is being read.
    async fn list_diff_due_at(&self) -> Result<Option<Timestamp>, Interruption> {
        for kind in [RunKind::Full, RunKind::ListDiff] {
            if self.store.run_under_way(&self.account, kind).await?.is_some_and(|run| run.state == RunState::Listing) {
                return Ok(None);
            }
        }
        if self.store.run_under_way(&self.account, RunKind::ListDiff).await?.is_some() {
            return Ok(None);
        }
        // Before the first full run there is nothing to compare with.
        let readings = self.store.last_readings(&self.account).await?;
        let interval = self.policy.list_interval;
        let Some(listed_at) = readings.listed_at else { return Ok(None) };
        // One that failed is not begun again before its time either.
        let newest = self.store.newest_list_diff(&self.account).await?;
        let failed_at = newest.filter(|run| run.state == RunState::Failed).and_then(|run| run.finished_at);
        let last = failed_at.map_or(listed_at, |failed_at| failed_at.max(listed_at));
        let last = last.min(self.clock.now());
        // Wanted sooner, but not all the time.
        let wanted = readings.list_wanted_at.filter(|wanted| *wanted >= listed_at);
        let soon = wanted.map(|_| last.plus(interval.min(WANTED_LIST_PAUSE)));
        Ok(Some(soon.unwrap_or_else(|| last.plus(interval))))
    }

    /// Ends the runs that have nobody left to fetch; returns whether there were any.
    pub(super) async fn finish_runs(&mut self) -> Result<bool, Interruption> {
        let mut finished = false;
        for kind in [RunKind::Full, RunKind::ListDiff] {
            let Some(run) = self.store.run_under_way(&self.account, kind).await? else { continue };
            if run.state != RunState::Fetching || !self.is_drained(run.id).await? {
                continue;
            }
            self.decide_removals(run.id).await?;
            self.end_run(&run, None).await?;
            finished = true;
        }
        Ok(finished)
    }

    async fn is_drained(&self, run: RunId) -> Result<bool, Interruption> {
        Ok(self.store.run_is_drained(&self.account, run, ATTEMPTS_A_RUN_WAITS_FOR).await?)
    }

    /// Ends a run; `problem` is why it failed.
    pub(super) async fn end_run(&self, run: &SyncRun, problem: Option<&str>) -> Result<(), Interruption> {
        self.store.write("finish_run", async |tx| tx.finish_run(run, problem).await).await?;
        let outcome = if problem.is_some() { RunState::Failed } else { RunState::Succeeded };
        tracing::info!(
            account = %self.account, run = %run.id, kind = run.kind.name(), outcome = outcome.name(),
            listed = run.listed, fetched = run.fetched, problem, "a sync run ends"
        );
        Ok(())
    }
}
