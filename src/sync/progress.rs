//! Operations that the audit log shows as under way: the log is read back to them until they have ended, because a record
//! keeps its date when it changes its mind.

use std::time::Duration;

use crate::clock::Timestamp;

/// For so long an operation may be under way; after that nobody waits for it.
pub(super) const WAITED_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// Since when the oldest of them is under way.
#[derive(Debug, Default)]
pub(super) struct InProgress {
    /// Nothing was read since the start; the store remembers.
    is_known: bool,
    since: Option<Timestamp>,
}

impl InProgress {
    /// What is known, if anything is.
    pub(super) const fn known(&self) -> Option<Option<Timestamp>> {
        if self.is_known { Some(self.since) } else { None }
    }

    /// The log has been read to its end, and this is the oldest operation under way in it.
    pub(super) const fn read(&mut self, since: Option<Timestamp>) {
        self.is_known = true;
        self.since = since;
    }
}

/// The oldest time at which an operation that is waited for began.
#[derive(Debug)]
pub(super) struct Oldest {
    not_before: Timestamp,
    found: Option<Timestamp>,
}

impl Oldest {
    /// None so far.
    pub(super) fn at(now: Timestamp) -> Self {
        Self { not_before: now.minus(WAITED_FOR), found: None }
    }

    /// One that began at that time.
    pub(super) fn note(&mut self, began: Timestamp) {
        if began >= self.not_before {
            self.found = Some(self.found.map_or(began, |found| found.min(began)));
        }
    }

    pub(super) const fn found(&self) -> Option<Timestamp> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_a_week_is_found() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let days_ago = |days: u64| now.minus(Duration::from_secs(days * 24 * 3600));
        let mut oldest = Oldest::at(now);
        assert_eq!(oldest.found(), None);
        for days in [3, 8, 6, 5] {
            oldest.note(days_ago(days));
        }
        assert_eq!(oldest.found(), Some(days_ago(6)));
    }
}
