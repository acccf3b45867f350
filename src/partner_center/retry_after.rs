//! Reads `Retry-After`: seconds or an HTTP date (RFC 9110), and anything else as absent.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

use crate::clock::Timestamp;

/// How long the answer asks us to wait; `None` when it does not say so readably.
///
/// A date is measured against the answer's own `Date` where it has one, so that a clock that is wrong on either side
/// does not turn a minute into an hour.
pub(super) fn wait_asked(retry_after: Option<&str>, date: Option<&str>, now: Timestamp) -> Option<Duration> {
    let asked = retry_after?.trim();
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than fit a number are still a wish to wait long.
        return Some(Duration::from_secs(asked.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let deadline = instant(httpdate::parse_http_date(asked).ok()?);
    let sent = date.and_then(|date| httpdate::parse_http_date(date).ok()).map_or(now, instant);
    Some(deadline.since(sent))
}

fn instant(time: SystemTime) -> Timestamp {
    DateTime::<Utc>::from(time).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[test]
    fn seconds_are_read() {
        assert_eq!(wait_asked(Some("57"), None, NOW), Some(Duration::from_secs(57)));
        assert_eq!(wait_asked(Some(" 0 "), None, NOW), Some(Duration::ZERO));
        let endless = "9".repeat(40);
        assert!(wait_asked(Some(&endless), None, NOW).expect("read") > Duration::from_secs(1_000_000));
    }

    #[test]
    fn a_date_is_read_against_the_date_of_the_answer() {
        // NOW is Tue, 14 Nov 2023 22:13:20 GMT.
        let date = Some("Tue, 14 Nov 2023 22:14:20 GMT");
        assert_eq!(wait_asked(date, None, NOW), Some(Duration::from_secs(60)));
        let skewed = Some("Tue, 14 Nov 2023 22:13:50 GMT");
        assert_eq!(wait_asked(date, skewed, NOW), Some(Duration::from_secs(30)));
        assert_eq!(wait_asked(Some("Mon, 13 Nov 2023 00:00:00 GMT"), None, NOW), Some(Duration::ZERO));
    }

    #[test]
    fn anything_else_is_as_if_it_were_absent() {
        for unreadable in [None, Some(""), Some("soon"), Some("-5"), Some("1.5")] {
            assert_eq!(wait_asked(unreadable, None, NOW), None, "{unreadable:?}");
        }
    }
}
