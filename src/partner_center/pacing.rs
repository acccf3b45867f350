//! Keeps one account's calls below its rate, few at a time, and silent while Partner Center asked us to wait.
//!
//! While paused, a call fails at once instead of sleeping: the worker decides what to do with the time. Below the
//! rate a call waits its turn. The rate falls by half when we are throttled and comes back step by step, because
//! Microsoft adjusts its limits and does not publish them (FACTS 7).

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::{Clock, Timestamp};

/// The wait when a 429 does not say how long: half of the 60 s window that Microsoft's sample suggests (FACTS 7).
const UNSAID_PAUSE: Duration = Duration::from_secs(30);
/// The shortest wait; retries at once count against the limit (FACTS 7).
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// The longest wait; whatever was asked for, we look again after that.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// The most that is added to a pause so that accounts do not come back all at once.
const JITTER_MAX: Duration = Duration::from_secs(5);
/// The most calls that may follow one another without a pause after a quiet time.
const BURST_MAX: u64 = 10;
/// The smallest share of the rate, in percent.
const SHARE_MIN: u64 = 10;
/// What the share grows by every minute after a pause, in percentage points.
const SHARE_STEP: u64 = 10;
/// Calls are counted in millionths, so that the bucket fills smoothly.
const ONE_CALL: u64 = 1_000_000;

/// Partner Center asked us to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) until: Timestamp,
    pub(super) after: Duration,
}

/// The pace of one account.
#[derive(Debug)]
pub(super) struct Pacing {
    clock: Clock,
    turns: Semaphore,
    bucket: Mutex<Bucket>,
}

impl Pacing {
    pub(super) fn new(requests_per_minute: NonZeroU32, concurrency: NonZeroUsize, clock: Clock) -> Self {
        let bucket = Mutex::new(Bucket::new(u64::from(requests_per_minute.get()), clock.now()));
        Self { clock, turns: Semaphore::new(concurrency.get().min(Semaphore::MAX_PERMITS)), bucket }
    }

    /// Waits for a turn, which lasts as long as the returned permit lives.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, Pause> {
        let permit = self.turns.acquire().await.expect("the semaphore is never closed");
        self.next_call().await?;
        Ok(permit)
    }

    /// Waits until one more call fits the rate; for who has a turn already.
    pub(super) async fn next_call(&self) -> Result<(), Pause> {
        loop {
            let admission = self.bucket().admit(self.clock.now());
            match admission {
                Admission::Now => return Ok(()),
                Admission::At(time) => self.clock.sleep_until(time).await,
                Admission::Never(pause) => return Err(pause),
            }
        }
    }

    /// Silences the account, because a call was answered with 429.
    pub(super) fn pause(&self, asked: Option<Duration>) -> Pause {
        let wait = asked.unwrap_or(UNSAID_PAUSE).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        self.bucket().pause(self.clock.now(), wait + jitter(wait))
    }

    /// Until when the account is silenced.
    pub(super) fn paused_until(&self) -> Option<Timestamp> {
        self.bucket().pause_at(self.clock.now()).map(|pause| pause.until)
    }

    /// How many calls a minute fit the rate as it is now.
    pub(super) fn calls_per_minute(&self) -> u64 {
        let bucket = self.bucket();
        bucket.per_minute * bucket.share_at(self.clock.now()) / 100
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        // A bucket is whole between its statements, so a panic elsewhere leaves nothing half done.
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Up to a tenth of the wait, at most [`JITTER_MAX`].
fn jitter(wait: Duration) -> Duration {
    let most = (wait / 10).min(JITTER_MAX);
    most.mul_f64(rand::random_range(0.0..=1.0))
}

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    Now,
    At(Timestamp),
    Never(Pause),
}

/// A token bucket whose rate can be cut; time is given, never asked for.
#[derive(Debug)]
struct Bucket {
    per_minute: u64,
    /// The share of the rate in percent as it was at `share_since`; it grows from then on.
    share: u64,
    share_since: Timestamp,
    saved: u64,
    filled_at: Timestamp,
    paused_until: Option<Timestamp>,
}

impl Bucket {
    fn new(per_minute: u64, now: Timestamp) -> Self {
        let mut bucket =
            Self { per_minute, share: 100, share_since: now, saved: 0, filled_at: now, paused_until: None };
        bucket.saved = bucket.capacity();
        bucket
    }

    /// A small share of a minute's calls: a burst must not be a way around the rate.
    fn capacity(&self) -> u64 {
        (self.per_minute / 20).clamp(1, BURST_MAX) * ONE_CALL
    }

    fn share_at(&self, now: Timestamp) -> u64 {
        let minutes = now.since(self.share_since).as_secs() / 60;
        minutes.saturating_mul(SHARE_STEP).saturating_add(self.share).min(100)
    }

    /// What a microsecond adds, times 6000: calls a minute × percent, in millionths of a call.
    fn gain(&self, now: Timestamp) -> u64 {
        self.per_minute * self.share_at(now)
    }

    fn admit(&mut self, now: Timestamp) -> Admission {
        if let Some(pause) = self.pause_at(now) {
            return Admission::Never(pause);
        }
        let elapsed = u64::try_from(now.since(self.filled_at).as_micros()).unwrap_or(u64::MAX);
        let gained = elapsed.saturating_mul(self.gain(now)) / 6_000;
        self.saved = self.saved.saturating_add(gained).min(self.capacity());
        self.filled_at = now;
        match self.saved.checked_sub(ONE_CALL) {
            Some(rest) => {
                self.saved = rest;
                Admission::Now
            }
            None => {
                let missing = ONE_CALL - self.saved;
                Admission::At(now.plus(Duration::from_micros((missing * 6_000).div_ceil(self.gain(now)))))
            }
        }
    }

    /// The calls that were under way when the first was throttled are answered with 429 too; together they are one
    /// incident and halve the rate once.
    fn pause(&mut self, now: Timestamp, wait: Duration) -> Pause {
        let running = self.pause_at(now);
        if running.is_none() {
            self.share = (self.share_at(now) / 2).max(SHARE_MIN);
        }
        let until = running.map_or(now.plus(wait), |pause| pause.until.max(now.plus(wait)));
        self.share_since = until;
        self.paused_until = Some(until);
        // No burst after a pause.
        self.saved = 0;
        self.filled_at = until;
        Pause { until, after: until.since(now) }
    }

    /// The pause at `now`. One that lies further ahead than we ever wait was made before the clock was set back.
    fn pause_at(&self, now: Timestamp) -> Option<Pause> {
        let until = self.paused_until.filter(|until| *until > now)?;
        let after = until.since(now);
        (after <= LONGEST_PAUSE + JITTER_MAX).then_some(Pause { until, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn after(seconds: u64) -> Timestamp {
        START.plus(Duration::from_secs(seconds))
    }

    /// How many calls a bucket admits in the `seconds` after `now` when it is asked every millisecond.
    fn admitted(bucket: &mut Bucket, now: Timestamp, seconds: u64) -> u64 {
        let mut admitted = 0;
        for millisecond in 0..seconds * 1_000 {
            while bucket.admit(now.plus(Duration::from_millis(millisecond))) == Admission::Now {
                admitted += 1;
            }
        }
        admitted
    }

    fn pacing(per_minute: u32, concurrency: usize) -> (Pacing, Clock) {
        let clock = Clock::manual(START);
        let per_minute = NonZeroU32::new(per_minute).expect("not zero");
        let concurrency = NonZeroUsize::new(concurrency).expect("not zero");
        (Pacing::new(per_minute, concurrency, clock.clone()), clock)
    }

    #[test]
    fn the_rate_holds_over_a_minute_after_a_small_burst() {
        let mut bucket = Bucket::new(400, START);
        let minute = admitted(&mut bucket, START, 60);
        assert!((400..=410).contains(&minute), "{minute}");
        let next = admitted(&mut bucket, after(60), 60);
        assert!((399..=401).contains(&next), "{next}");
    }

    #[test]
    fn the_slowest_rate_still_moves() {
        let mut bucket = Bucket::new(1, START);
        assert_eq!(bucket.admit(START), Admission::Now);
        assert_eq!(bucket.admit(START), Admission::At(after(60)));
        assert_eq!(bucket.admit(after(60)), Admission::Now);
    }

    #[test]
    fn a_pause_halves_the_rate_which_comes_back_in_five_steps() {
        let mut bucket = Bucket::new(600, START);
        let pause = bucket.pause(START, Duration::from_secs(57));
        assert_eq!(pause, Pause { until: after(57), after: Duration::from_secs(57) });
        assert_eq!(bucket.admit(after(56)), Admission::Never(Pause { after: Duration::from_secs(1), ..pause }));
        let minutes: Vec<u64> = (0..7).map(|minute| admitted(&mut bucket, after(57 + 60 * minute), 60)).collect();
        for (minute, expected) in minutes.iter().zip([300, 360, 420, 480, 540, 600, 600]) {
            assert!(minute.abs_diff(expected) <= 1, "{minutes:?}");
        }
    }

    #[test]
    fn the_answers_of_one_incident_halve_the_rate_once_and_the_longest_pause_holds() {
        let mut bucket = Bucket::new(600, START);
        bucket.pause(START, Duration::from_secs(30));
        bucket.pause(after(1), Duration::from_secs(60));
        bucket.pause(after(2), Duration::from_secs(1));
        assert_eq!(bucket.share, 50);
        assert_eq!(bucket.pause_at(after(2)).map(|pause| pause.until), Some(after(61)));
        bucket.pause(after(61), Duration::from_secs(1));
        assert_eq!(bucket.share, 25);
        for again in 1..10 {
            bucket.pause(after(61 + again), Duration::from_secs(1));
        }
        assert_eq!(bucket.share, SHARE_MIN);
    }

    #[test]
    fn a_clock_that_is_set_back_silences_nobody_for_long() {
        let mut bucket = Bucket::new(600, after(86_400));
        bucket.pause(after(86_400), Duration::from_secs(60));
        assert!(matches!(bucket.admit(START), Admission::At(_)));
        assert_eq!(bucket.admit(after(1)), Admission::Now);
    }

    #[test]
    fn the_wait_asked_for_is_kept_within_bounds() {
        // RELIABILITY 2.3: Retry-After of 0, of 10 days, and none.
        let bounds = [
            (Some(Duration::ZERO), SHORTEST_PAUSE),
            (Some(Duration::from_secs(57)), Duration::from_secs(57)),
            (Some(Duration::from_secs(864_000)), LONGEST_PAUSE),
            (None, UNSAID_PAUSE),
        ];
        for (asked, expected) in bounds {
            let (pacing, clock) = pacing(400, 4);
            let pause = pacing.pause(asked);
            assert!(pause.after >= expected && pause.after <= expected.mul_f64(1.1), "{asked:?} {pause:?}");
            assert_eq!(pacing.paused_until(), Some(pause.until));
            clock.advance(pause.after);
            assert_eq!(pacing.paused_until(), None);
        }
    }

    #[tokio::test]
    async fn a_paused_account_is_told_so_at_once() {
        let (pacing, clock) = pacing(400, 4);
        let pause = pacing.pause(None);
        assert_eq!(pacing.turn().await.err(), Some(pause));
        clock.advance(pause.after + Duration::from_secs(1));
        assert!(pacing.turn().await.is_ok());
    }

    #[tokio::test]
    async fn only_so_many_calls_have_a_turn_at_a_time() {
        let (pacing, _clock) = pacing(400, 2);
        let first = pacing.turn().await.expect("a turn");
        let _second = pacing.turn().await.expect("a turn");
        assert_eq!(pacing.turns.available_permits(), 0);
        drop(first);
        assert_eq!(pacing.turns.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_call_above_the_rate_waits_for_the_clock() {
        let (pacing, clock) = pacing(20, 2);
        pacing.next_call().await.expect("the burst");
        let ((), waited) = tokio::join!(async { clock.advance(Duration::from_secs(3)) }, async {
            pacing.next_call().await.expect("its turn");
            clock.now()
        });
        assert_eq!(waited, after(3));
    }
}
