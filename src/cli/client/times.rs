//! Times and durations, as people write and read them.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime};
use customer_guard::clock::{Clock, Timestamp};

/// Reads a duration such as `500ms`, `30s`, `15m`, `2h` or `7d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a duration is a number and a unit: 500ms, 30s, 15m, 2h or 7d".to_owned();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let unit = match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" | "min" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        "d" => Duration::from_secs(24 * 3600),
        _ => return Err(wrong()),
    };
    Ok(unit * number)
}

/// Reads a time: exact, a day (UTC), or how long ago.
pub(super) fn moment(text: &str) -> Result<prost_types::Timestamp, String> {
    let exact = DateTime::parse_from_rfc3339(text).map(|time| Timestamp::from(time.to_utc()));
    let day = || text.parse::<NaiveDate>().map(|day| Timestamp::from(day.and_time(NaiveTime::MIN).and_utc()));
    let ago = || duration(text).map(|ago| Clock::system().now().minus(ago));
    let time = exact.or_else(|_| day()).or_else(|_| ago()).map_err(|_| {
        "a time is exact, as 2026-11-19T08:00:00Z, a day, as 2026-11-19, or so long ago, as 24h".to_owned()
    })?;
    let nanos = i32::try_from(time.micros().rem_euclid(1_000_000) * 1000).unwrap_or(0);
    Ok(prost_types::Timestamp { seconds: time.micros().div_euclid(1_000_000), nanos })
}

/// A time of a message as the domain knows it.
pub(super) fn read(time: &prost_types::Timestamp) -> Timestamp {
    let micros = time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos / 1000));
    Timestamp::from_micros(micros)
}

/// A time to the second, in UTC.
pub(super) fn exact(time: &prost_types::Timestamp) -> String {
    read(time).to_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The time of day, in UTC.
pub(super) fn of_day(time: &prost_types::Timestamp) -> String {
    read(time).to_utc().format("%H:%M:%S").to_string()
}

/// How long ago a time is, or how far ahead; empty when there is none.
pub(super) fn age(time: Option<&prost_types::Timestamp>, now: Timestamp) -> String {
    let Some(time) = time.map(read) else { return String::new() };
    let (past, future) = (now.since(time), time.since(now));
    match (rough(past), rough(future)) {
        (Some(ago), _) => format!("{ago} ago"),
        (None, Some(ahead)) => format!("in {ahead}"),
        (None, None) => "just now".to_owned(),
    }
}

/// A time to the second and its age; empty when there is none.
pub(super) fn exact_and_age(time: Option<&prost_types::Timestamp>, now: Timestamp) -> String {
    time.map_or(String::new(), |time| format!("{} ({})", exact(time), age(Some(time), now)))
}

/// A span in the unit that suits it; `None` when it is next to nothing.
fn rough(span: Duration) -> Option<String> {
    let seconds = span.as_secs();
    match seconds {
        0..=1 => None,
        2..=90 => Some(format!("{seconds} s")),
        91..=5_400 => Some(format!("{} min", seconds / 60)),
        5_401..=129_600 => Some(format!("{} h", seconds / 3_600)),
        _ => Some(format!("{} d", seconds / 86_400)),
    }
}

/// A span of a message, roughly.
pub(super) fn span(span: Option<&prost_types::Duration>) -> String {
    let span = span.and_then(|span| Duration::try_from(*span).ok());
    span.map_or(String::new(), |span| rough(span).unwrap_or_else(|| format!("{} s", span.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        for wrong in ["", "5", "m", "-3s", "5 m", "1.5h", "99999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn moments_are_exact_or_days() {
        assert_eq!(moment("2023-11-14T22:13:20Z").map(|time| exact(&time)), Ok("2023-11-14T22:13:20Z".to_owned()));
        assert_eq!(moment("2023-11-14").map(|time| exact(&time)), Ok("2023-11-14T00:00:00Z".to_owned()));
        assert!(moment("24h").is_ok() && moment("yesterday").is_err());
    }

    #[test]
    fn ages_are_told_in_the_unit_that_suits_them() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let at = |ago: i64| prost_types::Timestamp { seconds: 1_700_000_000 - ago, nanos: 0 };
        let told = [0, 42, 180, 7_200, 300_000, -600].map(|ago| age(Some(&at(ago)), now));
        assert_eq!(told, ["just now", "42 s ago", "3 min ago", "2 h ago", "3 d ago", "in 10 min"]);
        assert_eq!(age(None, now), "");
    }
}
