//! The only place that knows what time it is.
//!
//! Everything that depends on time takes a [`Clock`] or a [`Timestamp`]; tests move a manual clock by
//! hand instead of sleeping. Wall-clock time is shown and scheduled by, never used to decide which of
//! two observations is newer (that is what `domain::observation::ObservationMark` is for).
//!
//! Processes that share a database go by its clock ([`Clock::go_by`]): what one of them puts off for a second is not put off
//! for an hour because another one's machine is an hour behind.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
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

/// By so much two clocks may differ and count as one.
const LIKE: i64 = 100_000;

/// Where the time comes from. Clones of a clock that can be moved share one time.
#[derive(Clone, Debug)]
pub struct Clock(Hands);

/// When another clock was asked for the time.
#[derive(Clone, Copy, Debug)]
pub struct Asked(Timestamp);

#[derive(Clone, Debug)]
enum Hands {
    /// The machine's clock and as many microseconds as the clock gone by is ahead.
    System(Arc<AtomicI64>),
    /// The machine's clock and so many microseconds.
    Shifted(watch::Sender<i64>),
    Manual(watch::Sender<Timestamp>),
    /// As manual, and a sleeper moves it.
    Leaping(watch::Sender<Timestamp>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Hands::System(Arc::default()))
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
            Hands::System(ahead) => shifted(ahead.load(Ordering::Relaxed)),
            Hands::Shifted(shift) => shifted(*shift.borrow()),
            Hands::Manual(time) | Hands::Leaping(time) => *time.borrow(),
        }
    }

    /// What time it is by the machine's own clock, whichever is gone by: for what somebody elsewhere judges by a third one.
    pub fn own(&self) -> Timestamp {
        match &self.0 {
            Hands::System(_) => machine_time(),
            Hands::Shifted(_) | Hands::Manual(_) | Hands::Leaping(_) => self.now(),
        }
    }

    /// To be noted before another clock is asked.
    pub fn asks(&self) -> Asked {
        Asked(machine_time())
    }

    /// From now on this clock goes by another one, which has told its time since it was asked. Returns by how much it was
    /// moved, if it was: however long the answer took, a time that fits what is known moves nothing. A clock that tests move goes
    /// by none.
    pub fn go_by(&self, told: Timestamp, asked: Asked) -> Option<Duration> {
        let Hands::System(ahead) = &self.0 else { return None };
        // The other clock was read some time between the two.
        let (least, most) = (told.0.saturating_sub(machine_time().0), told.0.saturating_sub(asked.0.0));
        let was = ahead.load(Ordering::Relaxed);
        if was >= least.saturating_sub(LIKE) && was <= most.saturating_add(LIKE) {
            return None;
        }
        let is = was.clamp(least, most.max(least));
        ahead.store(is, Ordering::Relaxed);
        Some(Duration::from_micros(is.abs_diff(was)))
    }

    /// Moves the clock forward; the machine's own cannot be moved and ignores it.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Hands::System(_) => {}
            Hands::Shifted(shift) => shift.send_modify(|shift| *shift = shift.saturating_add(micros_of(by))),
            Hands::Manual(time) | Hands::Leaping(time) => time.send_modify(|now| *now = now.plus(by)),
        }
    }

    /// Sets the clock back, as somebody who corrects a machine's may; the machine's own cannot be moved and ignores it.
    pub fn set_back(&self, by: Duration) {
        match &self.0 {
            Hands::System(_) => {}
            Hands::Shifted(shift) => shift.send_modify(|shift| *shift = shift.saturating_sub(micros_of(by))),
            Hands::Manual(time) | Hands::Leaping(time) => time.send_modify(|now| *now = now.minus(by)),
        }
    }

    /// Returns once it is `deadline` or later.
    pub async fn sleep_until(&self, deadline: Timestamp) {
        match &self.0 {
            Hands::System(_) => tokio::time::sleep(deadline.since(self.now())).await,
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

    #[test]
    fn a_clock_goes_by_another_one_unless_what_that_told_fits() {
        let clock = Clock::system();
        let other = |ahead: i64| Timestamp(clock.own().0.saturating_add(ahead));
        let told = |ahead: i64| clock.go_by(other(ahead), clock.asks());
        assert!(told(0).is_none() && told(50_000).is_none() && told(-50_000).is_none(), "it is alike");
        for ahead in [3_600_000_000, -7_000_000, 0] {
            assert!(told(ahead).is_some(), "{ahead}");
            let difference = clock.clone().now().0.abs_diff(other(ahead).0);
            assert!(difference < 1_000_000, "{ahead}: clones share the time, {difference}");
            assert!(told(ahead).is_none(), "it stays so");
        }
        // The answer was under way for an hour: the other clock may have told its time at once.
        let long_ago = Asked(clock.own().minus(Duration::from_secs(3_600)));
        assert!(clock.go_by(other(-1_800_000_000), long_ago).is_none());
        assert!(clock.go_by(other(10_000_000), long_ago).is_some(), "nobody tells what is still to come");
        let manual = Clock::manual(Timestamp(5));
        assert!(manual.go_by(Timestamp(i64::MAX), manual.asks()).is_none());
        assert_eq!((manual.now(), manual.own()), (Timestamp(5), Timestamp(5)));
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
