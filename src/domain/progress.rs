//! How far a run is, and when it will be done: computed from what it has counted, and never ahead of it.

use std::time::Duration;

use crate::clock::Timestamp;

/// The share of a run's way that is the reading of the list, in percent, when every customer is fetched: there are
/// hundreds of customers on a page.
const LIST_SHARE_OF_FULL: u64 = 10;
/// The same when only the new and the changed are fetched.
const LIST_SHARE_OF_DIFF: u64 = 90;
/// More is never said before a run is done.
const ALMOST: u64 = 99;

/// What a run has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Whether it fetches every customer it lists.
    pub fetches_everyone: bool,
    /// Whether the list has been read to its end.
    pub is_listed: bool,
    /// Customers listed.
    pub listed: u64,
    /// Customers that the complete list before held, if there was one.
    pub expected: Option<u64>,
    /// Customers it wants fetched so far.
    pub wanted: u64,
    /// Fetches done.
    pub fetched: u64,
}

impl Counted {
    /// How many fetches it will have done in the end; `None` while that cannot be said.
    fn fetches_in_all(&self) -> Option<u64> {
        match (self.is_listed, self.fetches_everyone) {
            (true, _) => Some(self.wanted),
            (false, true) => self.expected.map(|expected| expected.max(self.wanted)),
            // Nobody knows how many will be new.
            (false, false) => None,
        }
    }

    /// How far it is, in percent, as far as the counts tell; less than 100, because only its end makes a run done.
    pub fn percent(&self) -> u8 {
        let list_share = if self.fetches_everyone { LIST_SHARE_OF_FULL } else { LIST_SHARE_OF_DIFF };
        let listed = match (self.is_listed, self.expected) {
            (true, _) => list_share,
            (false, None) => 0,
            (false, Some(expected)) => part(self.listed, expected.max(1), list_share),
        };
        let fetched = match self.fetches_in_all() {
            None | Some(0) => 0,
            Some(all) => part(self.fetched, all, ALMOST - list_share),
        };
        u8::try_from((listed + fetched).min(ALMOST)).unwrap_or(0)
    }

    /// How much longer it takes at the rate at which it went on for `elapsed`, though no faster than so many calls a
    /// minute; `None` until that can be said.
    pub fn time_left(&self, elapsed: Duration, calls_per_minute: Option<u64>) -> Option<Duration> {
        let (done, all) = match self.fetches_in_all() {
            Some(all) => (self.fetched, all),
            None => (self.listed, self.expected?),
        };
        let left = all.saturating_sub(done);
        if left == 0 {
            return Some(Duration::ZERO);
        }
        if done == 0 || elapsed.is_zero() {
            return None;
        }
        let measured = elapsed.as_micros().saturating_mul(u128::from(left)) / u128::from(done);
        let measured = Duration::from_micros(u64::try_from(measured).ok()?);
        // A page is one call for many customers, so that the pace says nothing of the list.
        let paced = match (self.fetches_in_all(), calls_per_minute) {
            (Some(_), Some(pace)) if pace > 0 => Duration::from_secs(left.saturating_mul(60) / pace),
            (Some(_) | None, _) => Duration::ZERO,
        };
        Some(measured.max(paced))
    }
}

/// So much of `share` as `done` is of `all`.
fn part(done: u64, all: u64, share: u64) -> u64 {
    done.min(all).saturating_mul(share) / all
}

/// When a run will be done that has `left` to go and may go on at `goes_on`; now, when it may already.
pub fn end_at(now: Timestamp, goes_on: Option<Timestamp>, left: Duration) -> Timestamp {
    goes_on.map_or(now, |goes_on| goes_on.max(now)).plus(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Counted =
        Counted { fetches_everyone: true, is_listed: false, listed: 0, expected: None, wanted: 0, fetched: 0 };

    #[test]
    fn a_full_run_is_mostly_fetching() {
        let halfway = Counted { listed: 500, expected: Some(1000), wanted: 500, ..FULL };
        assert_eq!(halfway.percent(), 5);
        assert_eq!(Counted { fetched: 500, ..halfway }.percent(), 5 + 44);
        let listed = Counted { is_listed: true, listed: 1000, wanted: 1000, ..halfway };
        assert_eq!(listed.percent(), 10);
        assert_eq!(Counted { fetched: 999, ..listed }.percent(), 98);
        assert_eq!(Counted { fetched: 1000, ..listed }.percent(), 99);
        assert_eq!(Counted { fetched: 2000, ..listed }.percent(), 99);
    }

    #[test]
    fn a_first_run_cannot_say_how_far_it_is_before_its_list_is_read() {
        let listing = Counted { listed: 500, wanted: 500, fetched: 400, ..FULL };
        assert_eq!((listing.percent(), listing.time_left(Duration::from_secs(9), Some(600))), (0, None));
    }

    #[test]
    fn a_list_diff_is_mostly_listing_and_one_that_wants_nobody_is_almost_done_when_listed() {
        let diff = Counted { fetches_everyone: false, expected: Some(100), listed: 50, ..FULL };
        assert_eq!(diff.percent(), 45);
        assert_eq!(Counted { is_listed: true, ..diff }.percent(), 90);
        assert_eq!(Counted { is_listed: true, wanted: 2, fetched: 1, ..diff }.percent(), 94);
    }

    #[test]
    fn the_time_left_is_that_of_the_slower_of_rate_and_pace() {
        let run = Counted { is_listed: true, wanted: 300, fetched: 100, ..FULL };
        let left = |elapsed, pace| run.time_left(Duration::from_secs(elapsed), pace).map(|left| left.as_secs());
        assert_eq!(left(60, None), Some(120));
        assert_eq!(left(60, Some(600)), Some(120));
        assert_eq!(left(60, Some(50)), Some(240));
        assert_eq!(left(0, Some(50)), None);
        let none_fetched = Counted { fetched: 0, ..run };
        assert_eq!(none_fetched.time_left(Duration::from_secs(60), Some(50)), None);
        let all_fetched = Counted { fetched: 300, ..run };
        assert_eq!(all_fetched.time_left(Duration::ZERO, None), Some(Duration::ZERO));
    }

    #[test]
    fn a_run_that_rests_goes_on_after_the_rest() {
        let now = Timestamp::from_micros(1_000_000);
        let left = Duration::from_secs(5);
        assert_eq!(end_at(now, None, left), now.plus(left));
        assert_eq!(end_at(now, Some(Timestamp::from_micros(0)), left), now.plus(left));
        let later = now.plus(Duration::from_secs(60));
        assert_eq!(end_at(now, Some(later), left), later.plus(left));
    }
}
