//! The only place that knows what time it is.
//!
//! Everything that depends on time takes a [`Clock`] or a [`Timestamp`]; tests move a manual clock by
//! hand instead of sleeping. Wall-clock time is shown and scheduled by, never used to decide which of
//! two observations is newer (that is what `domain::observation::ObservationMark` is for).

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use tokio::sync::watch;

/// A point in time in whole microseconds since the Unix epoch, UTC.
///
/// Microseconds because that is the finest resolution both supported databases keep.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The same instant as a chrono value; out-of-range instants clamp to the epoch.
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }

    /// `self + duration`, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros_of(duration)))
    }

    /// `self - duration`, saturating.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros_of(duration)))
    }

    /// How long from `earlier` to `self`; zero when `earlier` is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn micros_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(instant: DateTime<Utc>) -> Self {
        Self(instant.trunc_subsecs(6).timestamp_micros())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.to_utc().format("%Y-%m-%dT%H:%M:%S%.6fZ"))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Where the time comes from. Clones of a clock that can be moved share one time.
#[derive(Clone, Debug)]
pub struct Clock(Hands);

#[derive(Clone, Debug)]
enum Hands {
    System,
    /// The machine's clock and so many microseconds.
    Shifted(watch::Sender<i64>),
    Manual(watch::Sender<Timestamp>),
    /// As manual, and a sleeper moves it.
    Leaping(watch::Sender<Timestamp>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Hands::System)
    }

    /// A clock that runs like the machine's, from `start`, and can be moved forward.
    pub fn running_from(start: Timestamp) -> Self {
        Self(Hands::Shifted(watch::Sender::new(start.micros().saturating_sub(machine_time().micros()))))
    }

    /// A clock that stands still until it is moved.
    pub fn manual(start: Timestamp) -> Self {
        Self(Hands::Manual(watch::Sender::new(start)))
    }

    /// A clock that stands still until it is moved or somebody sleeps on it: the sleeper moves it to the deadline and does
    /// not wait. For a single thread that drives everything by hand, where nobody else could move it meanwhile.
    pub fn leaping(start: Timestamp) -> Self {
        Self(Hands::Leaping(watch::Sender::new(start)))
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Hands::System => machine_time(),
            Hands::Shifted(shift) => shifted(*shift.borrow()),
            Hands::Manual(time) | Hands::Leaping(time) => *time.borrow(),
        }
    }

    /// Moves the clock forward; the machine's own cannot be moved and ignores it.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Hands::System => {}
            Hands::Shifted(shift) => shift.send_modify(|shift| *shift = shift.saturating_add(micros_of(by))),
            Hands::Manual(time) | Hands::Leaping(time) => time.send_modify(|now| *now = now.plus(by)),
        }
    }

    /// Sets the clock back, as somebody who corrects a machine's may; the machine's own cannot be moved and ignores it.
    pub fn set_back(&self, by: Duration) {
        match &self.0 {
            Hands::System => {}
            Hands::Shifted(shift) => shift.send_modify(|shift| *shift = shift.saturating_sub(micros_of(by))),
            Hands::Manual(time) | Hands::Leaping(time) => time.send_modify(|now| *now = now.minus(by)),
        }
    }

    /// Returns once it is `deadline` or later.
    pub async fn sleep_until(&self, deadline: Timestamp) {
        match &self.0 {
            Hands::System => tokio::time::sleep(deadline.since(self.now())).await,
            Hands::Shifted(shift) => {
                let mut moved = shift.subscribe();
                while self.now() < deadline {
                    let rest = deadline.since(shifted(*moved.borrow_and_update()));
                    // Either the time comes by itself, or the clock is moved and the rest is another one.
                    let _ = tokio::time::timeout(rest, moved.changed()).await;
                }
            }
            Hands::Manual(time) => {
                let mut seen = time.subscribe();
                // The sender lives in `self`, so waiting can end only by the time being reached.
                let _ = seen.wait_for(|now| *now >= deadline).await;
            }
            Hands::Leaping(time) => time.send_modify(|now| *now = deadline.max(*now)),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one reader of the machine's clock")]
fn machine_time() -> Timestamp {
    Utc::now().into()
}

fn shifted(shift: i64) -> Timestamp {
    Timestamp(machine_time().0.saturating_add(shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_keeps_whole_microseconds_of_a_chrono_time() {
        let instant = DateTime::from_timestamp(1_700_000_000, 123_456_789).expect("a valid instant");
        assert_eq!(Timestamp::from(instant).micros(), 1_700_000_000_123_456);
        assert_eq!(Timestamp::from(instant).to_string(), "2023-11-14T22:13:20.123456Z");
    }

    #[tokio::test]
    async fn a_running_clock_wakes_its_sleepers_when_it_is_moved_past_their_deadline() {
        let clock = Clock::running_from(Timestamp::from_micros(0));
        let deadline = clock.now().plus(Duration::from_secs(3600));
        let mover = clock.clone();
        let (_, ()) = tokio::join!(clock.sleep_until(deadline), async { mover.advance(Duration::from_secs(3600)) });
        assert!(clock.now() >= deadline);
    }

    #[tokio::test]
    async fn a_sleeper_on_a_leaping_clock_moves_it_and_never_back() {
        let clock = Clock::leaping(Timestamp::from_micros(0));
        let deadline = clock.now().plus(Duration::from_secs(60));
        clock.sleep_until(deadline).await;
        assert_eq!(clock.now(), deadline);
        clock.sleep_until(Timestamp::from_micros(1)).await;
        assert_eq!(clock.now(), deadline);
    }

    #[tokio::test]
    async fn a_sleeper_on_a_manual_clock_wakes_when_a_clone_is_moved_past_its_deadline() {
        let clock = Clock::manual(Timestamp::from_micros(0));
        let deadline = clock.now().plus(Duration::from_secs(60));
        let sleeper = clock.sleep_until(deadline);
        let mover = clock.clone();
        mover.advance(Duration::from_secs(59));
        assert!(clock.now() < deadline);
        mover.advance(Duration::from_secs(1));
        sleeper.await;
        assert_eq!(clock.now(), deadline);
    }
}
