//! How long changes are kept: the log is shortened from its beginning, and a horizon tells up to where.
//!
//! The order of the log is that of the commits, whatever the clock said then. A change whose time lies ahead of now was
//! written under a clock that has been moved back since; its time says nothing, so its neighbours decide.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::ids::ChangePosition;
use crate::store::statement::statement;
use crate::store::{Error, Store, Tx};

/// How many changes one transaction deletes: others want to write as well.
const AT_ONCE: i64 = 10_000;

impl Store {
    /// Deletes the changes that are older than `keep`, except what runs that are under way are still to be counted by.
    /// Returns how many there were.
    pub async fn forget_changes(&self, keep: Duration) -> Result<u64, Error> {
        let now = self.clock.now();
        self.write("forget_audit_signals", async |tx| tx.forget_old_audit_signals(now.minus(keep)).await).await?;
        let Some(end) = self.last_to_forget(now.minus(keep), now).await? else { return Ok(0) };
        let mut forgotten = 0;
        loop {
            let deleted = self.write("forget_changes", async |tx| tx.forget_some_changes(end).await).await?;
            if deleted == 0 {
                return Ok(forgotten);
            }
            forgotten += deleted;
        }
    }

    /// The last change to forget: all up to it are too old.
    async fn last_to_forget(&self, too_old: Timestamp, now: Timestamp) -> Result<Option<ChangePosition>, Error> {
        const RUNNING_SINCE: &str = "
            SELECT min(started_at) FROM sync_run WHERE state IN ('LISTING', 'FETCHING')";
        const FIRST_KEPT: &str = "
            SELECT sequence FROM change_log WHERE at >= $1 AND at <= $2 ORDER BY sequence LIMIT 1";
        const LAST_TOO_OLD: &str = "
            SELECT sequence FROM change_log WHERE sequence < $1 AND at < $2 ORDER BY sequence DESC LIMIT 1";
        let running: Option<i64> = statement(RUNNING_SINCE).fetch_one(&self.backend).await?.try_get(0)?;
        let too_old = running.map_or(too_old, |since| too_old.min(Timestamp::from_micros(since)));
        let kept =
            statement(FIRST_KEPT).bind(too_old.micros()).bind(now.micros()).fetch_optional(&self.backend).await?;
        let before: i64 = kept.map_or(Ok(i64::MAX), |row| row.try_get(0))?;
        let last = statement(LAST_TOO_OLD).bind(before).bind(too_old.micros()).fetch_optional(&self.backend).await?;
        Ok(last.map(|row| row.try_get(0)).transpose()?.map(ChangePosition))
    }
}

impl Tx {
    /// Deletes the first changes of the log up to `end`, as many as fit into one transaction, and moves the horizon.
    async fn forget_some_changes(&mut self, end: ChangePosition) -> Result<u64, Error> {
        const LAST_OF_SOME: &str = "
            SELECT max(sequence) FROM (SELECT sequence FROM change_log WHERE sequence <= $1 ORDER BY sequence LIMIT $2)
            AS some_changes";
        let row = statement(LAST_OF_SOME).bind(end.0).bind(AT_ONCE).fetch_one(self.connection()).await?;
        let last: Option<i64> = row.try_get(0)?;
        let Some(last) = last else { return Ok(0) };
        statement("UPDATE change_log_horizon SET sequence = $1").bind(last).execute(self.connection()).await?;
        self.forget_upstream_changes(ChangePosition(last)).await?;
        let deleted =
            statement("DELETE FROM change_log WHERE sequence <= $1").bind(last).execute(self.connection()).await?;
        Ok(deleted)
    }
}
