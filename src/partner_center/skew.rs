//! How far Partner Center's clock is from ours, as the `Date` of its last answer tells.
//!
//! Nothing is ordered by it: it is shown, and the audit log is asked for the day that either clock shows.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Timestamp;

/// A `Date` has whole seconds only.
const RESOLUTION: TimeDelta = TimeDelta::seconds(1);

/// The difference that was seen last; in microseconds, positive when Partner Center's clock is ahead.
#[derive(Debug, Default)]
pub(super) struct Skew(AtomicI64);

impl Skew {
    /// An answer came: asked for at `asked`, begun at `begun`, and made, as it says, at `date`. An unreadable date tells
    /// nothing.
    pub(super) fn note(&self, date: Option<&str>, asked: Timestamp, begun: Timestamp) {
        let Some(made) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else { return };
        let made = DateTime::<Utc>::from(made);
        // Anywhere between question and answer is right: a slow answer is no wrong clock.
        let (earliest, latest) = (asked.to_utc() - RESOLUTION, begun.to_utc() + RESOLUTION);
        let off = made - made.clamp(earliest, latest.max(earliest));
        self.0.store(off.num_microseconds().unwrap_or(0), Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> TimeDelta {
        TimeDelta::microseconds(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    // Tue, 14 Nov 2023 22:13:20 GMT.
    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn skew(date: &str, took: u64) -> i64 {
        let skew = Skew::default();
        skew.note(Some(date), NOW, NOW.plus(Duration::from_secs(took)));
        skew.read().num_seconds()
    }

    #[test]
    fn a_clock_is_wrong_only_outside_of_the_time_between_question_and_answer() {
        assert_eq!(skew("Tue, 14 Nov 2023 22:13:20 GMT", 0), 0);
        assert_eq!(skew("Tue, 14 Nov 2023 22:14:50 GMT", 100), 0, "a slow answer");
        assert_eq!(skew("Tue, 14 Nov 2023 22:23:21 GMT", 0), 600);
        assert_eq!(skew("Tue, 14 Nov 2023 22:03:19 GMT", 0), -600);
    }

    #[test]
    fn an_unreadable_date_changes_nothing() {
        let skew = Skew::default();
        skew.note(Some("Tue, 14 Nov 2023 22:23:21 GMT"), NOW, NOW);
        for date in [None, Some(""), Some("yesterday")] {
            skew.note(date, NOW, NOW);
        }
        assert_eq!(skew.read().num_seconds(), 600);
    }
}
