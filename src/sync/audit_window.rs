//! Which days of the audit log to read.
//!
//! Always today and the day before the last reading, by whichever of the two clocks is further, so that neither a record
//! that comes late nor one at midnight falls into a gap; back to whatever is still under way; and after a long silence
//! everything that was missed, as far as Partner Center remembers.

use chrono::{Days, NaiveDate, TimeDelta};

use crate::clock::Timestamp;

/// One question may ask for 30 days (FACTS 5.1).
const QUESTION_DAYS: u64 = 29;
/// Partner Center keeps 90 days (FACTS 5.1) and refuses a window that begins before them; ten are left for a margin.
const KEPT_DAYS: u64 = 80;
/// A clock that differs by more than a day is a wrong one, not another one.
const SKEW_MAX: TimeDelta = TimeDelta::days(1);

/// The days to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    from: NaiveDate,
    to: NaiveDate,
    /// Whether what happened since the last reading can no longer be read.
    pub(super) has_a_gap: bool,
}

fn utc_day(instant: Timestamp) -> NaiveDate {
    instant.to_utc().date_naive()
}

fn days_before(day: NaiveDate, days: u64) -> NaiveDate {
    day.checked_sub_days(Days::new(days)).unwrap_or(day)
}

impl Window {
    /// The days to read after a reading at `last`, with something under way since `in_progress`, where Partner Center's
    /// clock is `skew` ahead of `now`.
    pub(super) fn of(last: Option<Timestamp>, in_progress: Option<Timestamp>, now: Timestamp, skew: TimeDelta) -> Self {
        let there = (now.to_utc() + skew.clamp(-SKEW_MAX, SKEW_MAX)).date_naive();
        let here = utc_day(now);
        let (today, to) = (here.min(there), here.max(there));
        let kept_since = days_before(today, KEPT_DAYS);
        let since = last.map_or(today, utc_day).min(today);
        if since < kept_since {
            return Self { from: days_before(today, 1), to, has_a_gap: true };
        }
        // What a record is about may have begun the day before it was first seen.
        let waited_for = in_progress.map_or(since, |began| utc_day(began).min(since));
        Self { from: days_before(waited_for, 1).max(kept_since), to, has_a_gap: false }
    }

    /// The questions that read them all, the oldest days first.
    pub(super) fn questions(self) -> impl Iterator<Item = (NaiveDate, NaiveDate)> {
        let after = |day: NaiveDate, days: u64| day.checked_add_days(Days::new(days));
        let mut next = Some(self.from);
        std::iter::from_fn(move || {
            let from = next.filter(|from| *from <= self.to)?;
            let to = after(from, QUESTION_DAYS).map_or(self.to, |end| end.min(self.to));
            next = after(to, 1);
            Some((from, to))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::*;

    const NOON: &str = "2026-03-10T12:00:00Z";

    fn at(text: &str) -> Timestamp {
        DateTime::parse_from_rfc3339(text).expect("a well-formed time").to_utc().into()
    }

    fn written(window: Window) -> Vec<(String, String)> {
        window.questions().map(|(from, to)| (from.to_string(), to.to_string())).collect()
    }

    fn days(from: &str, to: &str) -> Vec<(String, String)> {
        vec![(from.to_owned(), to.to_owned())]
    }

    fn window(last: Option<&str>, now: &str) -> Vec<(String, String)> {
        written(Window::of(last.map(at), None, at(now), TimeDelta::zero()))
    }

    #[test]
    fn the_day_before_the_last_reading_is_read_again() {
        assert_eq!(window(None, NOON), days("2026-03-09", "2026-03-10"));
        assert_eq!(window(Some("2026-03-10T11:59:00Z"), NOON), days("2026-03-09", "2026-03-10"));
        let over_midnight = window(Some("2026-03-09T23:59:00Z"), "2026-03-10T00:00:30Z");
        assert_eq!(over_midnight, days("2026-03-08", "2026-03-10"));
    }

    #[test]
    fn a_long_gap_is_read_to_its_beginning_in_questions_of_thirty_days() {
        let questions = window(Some("2026-01-05T00:00:00Z"), NOON);
        let expected = [("2026-01-04", "2026-02-02"), ("2026-02-03", "2026-03-04"), ("2026-03-05", "2026-03-10")];
        assert_eq!(questions, expected.map(|(from, to)| (from.to_owned(), to.to_owned())));
    }

    #[test]
    fn what_partner_center_has_forgotten_is_a_gap_and_the_reading_begins_anew() {
        let of = |days_ago: u64| {
            let last = at(NOON).minus(Duration::from_secs(days_ago * 24 * 3600));
            Window::of(Some(last), None, at(NOON), TimeDelta::zero())
        };
        assert!(!of(80).has_a_gap);
        assert!(of(81).has_a_gap);
        assert_eq!(written(of(81)), days("2026-03-09", "2026-03-10"));
        let farthest = of(80).questions().next().expect("a question").0;
        assert!(at(NOON).to_utc().date_naive() - farthest <= TimeDelta::days(80), "never what is refused");
    }

    #[test]
    fn what_is_under_way_is_read_back_to() {
        let window = Window::of(Some(at(NOON)), Some(at("2026-03-05T09:00:00Z")), at(NOON), TimeDelta::zero());
        assert_eq!(written(window), days("2026-03-04", "2026-03-10"));
    }

    #[test]
    fn whichever_clock_is_further_says_which_day_it_is() {
        let last = Some(at("2026-03-10T23:57:00Z"));
        let of = |skew| written(Window::of(last, None, at("2026-03-10T23:58:00Z"), skew));
        assert_eq!(of(TimeDelta::minutes(10)), days("2026-03-09", "2026-03-11"));
        assert_eq!(of(TimeDelta::hours(-24)), days("2026-03-08", "2026-03-10"));
        assert_eq!(of(TimeDelta::days(400)), days("2026-03-09", "2026-03-11"), "a wrong clock is not believed");
    }

    #[test]
    fn a_clock_that_went_back_asks_for_no_future() {
        assert_eq!(window(Some("2026-03-20T00:00:00Z"), NOON), days("2026-03-09", "2026-03-10"));
    }
}
