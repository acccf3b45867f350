//! The simulator's time: the machine's clock, moved or stopped on request, so that days can pass in a test.
//! Nothing else in the simulator may ask the machine what time it is.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};

/// .NET ticks (100 ns since 0001-01-01) at the Unix epoch; audit record ids end in ticks (FACTS.md 5.2).
const TICKS_AT_UNIX_EPOCH: i64 = 621_355_968_000_000_000;

const TICKS_PER_MICROSECOND: i64 = 10;

/// A clock that runs beside the machine's or stands still.
#[derive(Debug, Default)]
pub struct Clock {
    reading: Mutex<Reading>,
}

#[derive(Debug, Clone, Copy)]
enum Reading {
    Running { ahead: TimeDelta },
    Stopped { at: DateTime<Utc> },
}

impl Default for Reading {
    fn default() -> Self {
        Self::Running { ahead: TimeDelta::zero() }
    }
}

impl Clock {
    /// Tells the simulated time.
    pub fn now(&self) -> DateTime<Utc> {
        match *self.reading() {
            Reading::Running { ahead } => machine_time() + ahead,
            Reading::Stopped { at } => at,
        }
    }

    /// Moves the time forward; a stopped clock stays stopped.
    pub fn advance(&self, by: Duration) {
        let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::zero());
        let mut reading = self.reading();
        *reading = match *reading {
            Reading::Running { ahead } => Reading::Running { ahead: ahead + by },
            Reading::Stopped { at } => Reading::Stopped { at: at + by },
        };
    }

    /// Sets the time and lets it run on from there.
    pub fn set_time(&self, at: DateTime<Utc>) {
        *self.reading() = Reading::Running { ahead: at - machine_time() };
    }

    /// Sets the time and stops it there, so that only [`Clock::advance`] moves it.
    pub fn stop_at(&self, at: DateTime<Utc>) {
        *self.reading() = Reading::Stopped { at };
    }

    /// Tells how far the simulated time is ahead of the machine's, in microseconds.
    pub fn ahead_microseconds(&self) -> i64 {
        match *self.reading() {
            // Computed only for a stopped clock: subtracting two readings of a running one would lose the time between.
            Reading::Running { ahead } => ahead.num_microseconds().unwrap_or(0),
            Reading::Stopped { at } => (at - machine_time()).num_microseconds().unwrap_or(0),
        }
    }

    /// Restores what [`Clock::ahead_microseconds`] told.
    pub fn run_ahead(&self, microseconds: i64) {
        *self.reading() = Reading::Running { ahead: TimeDelta::microseconds(microseconds) };
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        // A panic cannot leave a half-written `Reading` behind: it is replaced in one assignment.
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::disallowed_methods, reason = "Microsoft's own clock: the simulator shares none with the service")]
fn machine_time() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// Converts a time to .NET ticks.
pub(super) fn ticks(at: DateTime<Utc>) -> i64 {
    TICKS_AT_UNIX_EPOCH + at.timestamp_micros() * TICKS_PER_MICROSECOND
}

/// Writes ticks as Partner Center writes `operationDate`: RFC 3339 with seven fraction digits and `Z` (FACTS.md 5.2).
pub(super) fn ticks_as_text(ticks: i64) -> String {
    let since_epoch = ticks - TICKS_AT_UNIX_EPOCH;
    let seconds = since_epoch.div_euclid(10_000_000);
    let fraction = since_epoch.rem_euclid(10_000_000);
    let whole = DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default();
    format!("{}.{fraction:07}Z", whole.format("%Y-%m-%dT%H:%M:%S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_clock_moves_only_when_advanced() {
        let clock = Clock::default();
        let noon: DateTime<Utc> = "2026-02-03T12:00:00Z".parse().unwrap();
        clock.stop_at(noon);
        assert_eq!(clock.now(), noon);
        clock.advance(Duration::from_secs(86_400));
        assert_eq!(clock.now(), noon + TimeDelta::days(1));
    }

    #[test]
    fn a_set_clock_runs_on_from_the_given_time() {
        let clock = Clock::default();
        let noon: DateTime<Utc> = "2026-02-03T12:00:00Z".parse().unwrap();
        clock.set_time(noon);
        assert!(clock.now() >= noon);
        assert!(clock.now() < noon + TimeDelta::minutes(1));
    }

    #[test]
    fn ticks_are_written_with_seven_fraction_digits() {
        let at: DateTime<Utc> = "2026-02-03T04:05:06.070001Z".parse().unwrap();
        assert_eq!(ticks_as_text(ticks(at) + 3), "2026-02-03T04:05:06.0700013Z");
    }
}
