//! What a run costs and how far it is: counted in the transaction of the page or the answers that are counted, so that a
//! crash loses at most what was under way.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::ids::{PartnerAccountId, RunId};
use crate::domain::progress::{self, Counted};
use crate::store::row::Row;
use crate::store::statement::statement;
use crate::store::{Error, RunKind, RunState, Store, SyncRun, Tx};

/// How long it is remembered that Partner Center told an account to slow down.
pub(super) const THROTTLINGS_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Calls to Partner Center.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallTally {
    /// How many were sent.
    pub calls: u64,
    /// Of those, how many asked again what had failed.
    pub retries: u64,
}

impl CallTally {
    /// What so many calls for one thing are, after it failed `failures` times.
    pub const fn of(calls: u64, failures: u32) -> Self {
        let first = if failures == 0 { 1 } else { 0 };
        Self { calls, retries: calls.saturating_sub(first) }
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { calls: self.calls + other.calls, retries: self.retries + other.retries }
    }
}

/// How long a run takes, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunOutlook {
    /// How long the list was read, so far.
    pub listed_for: Duration,
    /// How long customers were fetched after that, so far.
    pub fetched_for: Option<Duration>,
    /// How long the account rested because it was told to.
    pub throttled_for: Duration,
    /// When it will be done, if that can be said; absent once it is.
    pub ends_at: Option<Timestamp>,
}

/// What an account's run is held back by.
const HELD_BACK: &str = "SELECT calls_per_minute, throttled_until FROM account_sync WHERE account = $1";

impl Store {
    /// How long a run takes, and until when.
    pub async fn run_outlook(&self, run: &SyncRun) -> Result<RunOutlook, Error> {
        let row = statement(HELD_BACK).bind(run.account.as_str()).fetch_optional(&self.backend).await?;
        outlook(run, row.as_ref(), self.clock.now())
    }
}

fn outlook(run: &SyncRun, held_back: Option<&Row>, now: Timestamp) -> Result<RunOutlook, Error> {
    let column = |name: &str| held_back.map_or(Ok(None), |row| row.try_get::<Option<i64>, _>(name));
    let pace = column("calls_per_minute")?.map(i64::unsigned_abs);
    let rests_until = column("throttled_until")?.map(Timestamp::from_micros).filter(|until| *until > now);
    let until = run.finished_at.unwrap_or(now);
    let is_done = run.finished_at.is_some();
    // What it was told to rest and has not rested yet is still ahead.
    let ahead = rests_until.filter(|_| !is_done).map_or(Duration::ZERO, |rests_until| rests_until.since(now));
    let left = if is_done { None } else { run.counted().time_left(now.since(run.started_at), pace) };
    Ok(RunOutlook {
        listed_for: run.listed_at.unwrap_or(until).since(run.started_at),
        fetched_for: run.listed_at.map(|listed_at| until.since(listed_at)),
        throttled_for: run.throttled_for.saturating_sub(ahead),
        ends_at: left.map(|left| progress::end_at(now, rests_until, left)),
    })
}

impl SyncRun {
    /// What it has counted, as far as it tells how far the run is.
    pub const fn counted(&self) -> Counted {
        Counted {
            fetches_everyone: match self.kind {
                RunKind::Full => true,
                RunKind::ListDiff => false,
            },
            is_listed: match self.state {
                RunState::Listing => false,
                RunState::Fetching | RunState::Succeeded | RunState::Failed => true,
            },
            listed: self.listed,
            expected: self.expected,
            wanted: self.marked,
            fetched: self.fetched,
        }
    }
}

impl Tx {
    /// As [`Store::run_outlook`].
    pub async fn run_outlook(&mut self, run: &SyncRun) -> Result<RunOutlook, Error> {
        let now = self.now();
        let row = statement(HELD_BACK).bind(run.account.as_str()).fetch_optional(self.connection()).await?;
        outlook(run, row.as_ref(), now)
    }

    /// Calls were made for a run.
    pub async fn count_calls(&mut self, account: &PartnerAccountId, run: RunId, tally: CallTally) -> Result<(), Error> {
        statement("UPDATE sync_run SET calls = calls + $3, retries = retries + $4 WHERE account = $1 AND id = $2")
            .bind(account.as_str())
            .bind(run.to_string())
            .bind(i64::try_from(tally.calls).unwrap_or(i64::MAX))
            .bind(i64::try_from(tally.retries).unwrap_or(i64::MAX))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The page that the run reads next could not be read; the calls for it are counted beside.
    pub async fn note_page_failed(&mut self, run: &SyncRun) -> Result<(), Error> {
        statement("UPDATE sync_run SET page_tries = page_tries + 1 WHERE account = $1 AND id = $2")
            .bind(run.account.as_str())
            .bind(run.id.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Remembers how far a run is now. It never goes back, also when a listing begins anew.
    pub async fn note_progress(&mut self, account: &PartnerAccountId, run: RunId) -> Result<(), Error> {
        let Some(found) = self.sync_run(account, run).await? else { return Ok(()) };
        let percent = found.counted().percent();
        if percent <= found.progress {
            return Ok(());
        }
        statement("UPDATE sync_run SET progress = $3 WHERE account = $1 AND id = $2")
            .bind(account.as_str())
            .bind(run.to_string())
            .bind(percent)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Partner Center told the account to slow down, in so many answers, and to rest until then; the runs under way count
    /// it.
    pub async fn note_throttled(
        &mut self,
        account: &PartnerAccountId,
        answers: u64,
        until: Timestamp,
    ) -> Result<(), Error> {
        const RUNS: &str = "
            UPDATE sync_run SET throttles = throttles + $2, throttled_for = throttled_for + $3
            WHERE account = $1 AND state IN ('LISTING', 'FETCHING')";
        const NOTE: &str = "
            INSERT INTO throttling (account, at, answers) VALUES ($1, $2, $3)
            ON CONFLICT (account, at) DO UPDATE SET answers = throttling.answers + excluded.answers";
        let now = self.now();
        let answers = i64::try_from(answers).unwrap_or(i64::MAX);
        self.wake(account);
        statement("UPDATE account_sync SET throttled_until = $2 WHERE account = $1")
            .bind(account.as_str())
            .bind(until.micros())
            .execute(self.connection())
            .await?;
        statement(RUNS)
            .bind(account.as_str())
            .bind(answers)
            .bind(i64::try_from(until.since(now).as_micros()).unwrap_or(i64::MAX))
            .execute(self.connection())
            .await?;
        if answers == 0 {
            return Ok(());
        }
        statement(NOTE).bind(account.as_str()).bind(now.micros()).bind(answers).execute(self.connection()).await?;
        statement("DELETE FROM throttling WHERE account = $1 AND at <= $2")
            .bind(account.as_str())
            .bind(now.minus(THROTTLINGS_KEPT).micros())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_call_for_a_thing_is_no_retry_and_every_further_one_is() {
        let told = |calls, failures| CallTally::of(calls, failures).retries;
        assert_eq!([told(0, 0), told(1, 0), told(2, 0), told(0, 1), told(1, 1), told(2, 3)], [0, 0, 1, 0, 1, 2]);
        let sum = CallTally::of(2, 0).and(CallTally::of(1, 1));
        assert_eq!(sum, CallTally { calls: 3, retries: 2 });
    }
}
