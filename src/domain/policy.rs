//! What is promised and when work is due, per partner account: pure, including the calendar.

use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use chrono_tz::Tz;
use croner::Cron;

use crate::clock::Timestamp;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How often the audit log may be read.
pub const AUDIT_INTERVAL: RangeInclusive<Duration> = RangeInclusive::new(SECOND, HOUR);
/// How often the customer list may be read.
pub const LIST_INTERVAL: RangeInclusive<Duration> = RangeInclusive::new(SECOND, DAY);
/// Partner Center keeps no promise that is shorter, and a month without a look is no guard.
pub const VERIFY_WITHIN: RangeInclusive<Duration> = RangeInclusive::new(MINUTE, Duration::from_secs(31 * 24 * 3600));
/// How long after a full sync nobody may start another by hand.
pub const MANUAL_COOLDOWN: RangeInclusive<Duration> = RangeInclusive::new(Duration::ZERO, DAY);
/// More calls than Partner Center allows anybody are a slip of the pen.
pub const REQUESTS_PER_MINUTE: RangeInclusive<u32> = RangeInclusive::new(1, 60_000);
/// So many open calls per account that the machine, not Partner Center, would be the limit.
pub const CONCURRENCY: RangeInclusive<u32> = RangeInclusive::new(1, 64);
/// The longest cron expression that is looked at.
const EXPRESSION_MAX: usize = 200;

/// A duration as it would be set, such as `15m`.
pub fn written(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let unit = units.into_iter().find(|(size, _)| seconds >= *size && seconds.is_multiple_of(*size));
    let (size, name) = unit.unwrap_or((1, "s"));
    format!("{}{name}", seconds / size)
}

/// When the night of an account begins: a cron expression in a time zone.
///
/// A local time that a change of clocks skips is taken at the moment of the change; one that happens twice is
/// taken once.
#[derive(Clone, Debug)]
pub struct Night {
    expression: String,
    cron: Cron,
    zone: Tz,
}

/// Why a night cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NightError {
    /// The cron expression.
    #[error("is not a cron expression (minute hour day month weekday)")]
    Cron,
    /// The time zone.
    #[error("is not an IANA time zone")]
    Zone,
    /// The expression is sound and never comes true.
    #[error("never comes")]
    Never,
}

impl Night {
    /// A night from a cron expression and an IANA time zone.
    pub fn new(expression: &str, zone: &str) -> Result<Self, NightError> {
        let short = Some(expression).filter(|text| text.len() <= EXPRESSION_MAX).ok_or(NightError::Cron)?;
        let cron = Cron::from_str(short).map_err(|_| NightError::Cron)?;
        let zone = Tz::from_str(zone).map_err(|_| NightError::Zone)?;
        Ok(Self { expression: expression.to_owned(), cron, zone })
    }

    /// What is wrong with a cron expression, whatever the time zone.
    pub fn check_expression(expression: &str) -> Result<(), NightError> {
        // Any zone and any start will do: only what the expression says is looked at.
        let start = Timestamp::from_micros(1_767_225_600_000_000);
        Self::new(expression, "UTC")?.after(start).map(|_| ()).ok_or(NightError::Never)
    }

    /// What is wrong with a time zone.
    pub fn check_zone(zone: &str) -> Result<(), NightError> {
        Tz::from_str(zone).map(|_| ()).map_err(|_| NightError::Zone)
    }

    /// The cron expression.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The IANA time zone.
    pub fn zone(&self) -> &'static str {
        self.zone.name()
    }

    /// The first night that begins after `instant`; `None` if the expression never comes true again.
    pub fn after(&self, instant: Timestamp) -> Option<Timestamp> {
        let local = instant.to_utc().with_timezone(&self.zone);
        let next = self.cron.find_next_occurrence(&local, false).ok()?;
        Some(next.to_utc().into())
    }
}

impl PartialEq for Night {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression && self.zone == other.zone
    }
}

/// When a customer is looked at again after a signal's look at it, and how long after that a last time. An answer may lag
/// behind an update: some seconds when all is well, which the first look covers, and minutes when Partner Center is
/// behind with itself, which the second does. Later than both only the next night heals.
pub const CONFIRM_AFTER: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(9 * 60)];

/// How an account is kept level, and what its callers are promised.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncPolicy {
    /// When the nightly sync begins.
    pub night: Night,
    /// How often the audit log is read.
    pub audit_interval: Duration,
    /// How often the customer list is read.
    pub list_interval: Duration,
    /// Every customer is verified again within this time.
    pub verify_within: Duration,
    /// How long after a full sync nobody may start another by hand.
    pub manual_cooldown: Duration,
}

/// Everything about how an account is kept level.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    /// When work is due, and what is promised.
    pub policy: SyncPolicy,
    /// How many calls to Partner Center a minute at most.
    pub requests_per_minute: NonZeroU32,
    /// How many of them are open at a time, at most.
    pub concurrency: NonZeroUsize,
}

/// The share of the promised time by which the rolling verification is early at least: an hour of a day.
const VERIFY_EARLY: u32 = 24;

/// What can be promised about verification, computed from how many customers there are and how fast they can be asked
/// about: a full sync, or the rolling verification, is one pass over all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarantee {
    /// Within this time every customer is verified again, at the present pace.
    pub within: Duration,
    /// Whether that is within what the account's callers are promised.
    pub is_kept: bool,
    /// How long after its last look a customer is looked at again although nothing signals.
    pub verify_after: Duration,
}

impl Guarantee {
    /// The guarantee for so many customers at that pace.
    ///
    /// A quarter of the pace is left for signals, lists and the log, so a pass takes a third longer than the calls alone
    /// would. Looks that fall due as fast as they were once made are answered that much slower: by the end of a pass one
    /// has waited a quarter of it. So long before the promise is due a look must begin, and a pass and a quarter must fit.
    pub fn of(customers: u64, calls_per_minute: u64, promised: Duration) -> Self {
        let seconds = customers.saturating_mul(60 * 4) / calls_per_minute.saturating_mul(3).max(1);
        let pass = Duration::from_secs(seconds);
        let within = promised.max(pass.saturating_add(pass / 4));
        // However many customers there are, a look is not repeated before half of the time is over.
        let early = (pass / 4).max(promised / VERIFY_EARLY).min(promised / 2);
        Self { within, is_kept: within <= promised, verify_after: promised.saturating_sub(early) }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(text: &str) -> Timestamp {
        DateTime::parse_from_rfc3339(text).expect("a well-formed time").to_utc().into()
    }

    fn nights(zone: &str, expression: &str, from: &str, count: usize) -> Vec<String> {
        let night = Night::new(expression, zone).expect("a sound night");
        let mut last = at(from);
        let mut found = Vec::new();
        for _ in 0..count {
            last = night.after(last).expect("there is always a next night");
            found.push(last.to_utc().format("%m-%d %H:%M").to_string());
        }
        found
    }

    #[test]
    fn a_night_that_the_clocks_skip_begins_at_the_change_and_only_once() {
        // In Riga 03:00 to 04:00 does not exist on 29 March 2026.
        let found = nights("Europe/Riga", "30 3 * * *", "2026-03-27T12:00:00Z", 3);
        assert_eq!(found, ["03-28 01:30", "03-29 01:00", "03-30 00:30"]);
    }

    #[test]
    fn a_night_that_happens_twice_begins_once() {
        // In New York 01:00 to 02:00 happens twice on 1 November 2026.
        let found = nights("America/New_York", "30 1 * * *", "2026-10-31T00:00:00Z", 3);
        assert_eq!(found, ["10-31 05:30", "11-01 05:30", "11-02 06:30"]);
    }

    #[test]
    fn a_change_of_half_an_hour_is_a_change_as_well() {
        let found = nights("Australia/Lord_Howe", "15 2 * * *", "2026-10-02T20:00:00Z", 2);
        assert_eq!(found, ["10-03 15:30", "10-04 15:15"]);
    }

    #[test]
    fn every_date_has_one_night_in_every_zone_whatever_the_clocks_do() {
        for zone in ["Europe/Riga", "America/New_York", "Australia/Lord_Howe"] {
            for minute in (0..5 * 60).step_by(15) {
                let expression = format!("{} {} * * *", minute % 60, minute / 60);
                let night = Night::new(&expression, zone).expect("a sound night");
                let local = |instant: Timestamp| instant.to_utc().with_timezone(&night.zone).date_naive();
                let mut last = night.after(at("2025-12-31T12:00:00Z")).expect("a first night");
                for _ in 0..2 * 365 {
                    let next = night.after(last).expect("a next night");
                    assert_eq!(Some(local(next)), local(last).succ_opt(), "{zone} {expression} after {last}");
                    last = next;
                }
            }
        }
    }

    #[test]
    fn a_promise_that_a_pass_and_a_quarter_fit_into_is_kept_and_begun_early_enough() {
        let day = Duration::from_secs(24 * 3600);
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let small = Guarantee::of(500, 400, day);
        assert_eq!(small, Guarantee { within: day, is_kept: true, verify_after: hours(23) });
        // 300 looks a minute: a pass of 16 hours, whose last look waits 4.
        let large = Guarantee::of(16 * 60 * 300, 400, day);
        assert_eq!(large, Guarantee { within: day, is_kept: true, verify_after: hours(20) });
        let too_large = Guarantee::of(24 * 60 * 300, 400, day);
        assert_eq!(too_large, Guarantee { within: hours(30), is_kept: false, verify_after: hours(18) });
    }

    #[test]
    fn no_number_of_customers_and_no_pace_breaks_the_arithmetic() {
        let day = Duration::from_secs(24 * 3600);
        assert!(Guarantee::of(0, 0, day).is_kept);
        let worst = Guarantee::of(u64::MAX, 0, day);
        assert!(!worst.is_kept && worst.verify_after == day / 2);
        assert!(Guarantee::of(u64::MAX, u64::MAX, day).is_kept);
    }

    #[test]
    fn what_is_no_night_is_refused_with_its_reason() {
        assert_eq!(Night::new("at two", "Europe/Riga"), Err(NightError::Cron));
        assert_eq!(Night::new("0 2 * * *", "Mars/Olympus"), Err(NightError::Zone));
    }
}
