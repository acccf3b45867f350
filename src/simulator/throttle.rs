//! The gateway's limiter: a fixed window of one minute per partner, as the sample's `Retry-After: 57` suggests
//! (FACTS.md 7).

use chrono::{DateTime, TimeDelta, Utc};

const WINDOW_SECONDS: i64 = 60;

/// Counts calls in the running window.
#[derive(Debug, Default)]
pub(super) struct FixedWindow {
    opened: Option<DateTime<Utc>>,
    used: u32,
}

impl FixedWindow {
    /// Admits a call, or tells after how many seconds the next window opens. A refused call counts too: immediate
    /// retries weigh on the limit (FACTS.md 7).
    pub(super) fn admit(&mut self, limit: u32, now: DateTime<Utc>) -> Result<(), u64> {
        let length = TimeDelta::seconds(WINDOW_SECONDS);
        let opened = match self.opened {
            Some(opened) if now >= opened && now < opened + length => opened,
            Some(_) | None => {
                self.opened = Some(now);
                self.used = 0;
                now
            }
        };
        self.used = self.used.saturating_add(1);
        if self.used <= limit {
            return Ok(());
        }
        let left = (opened + length - now).num_milliseconds();
        Err(u64::try_from(left).unwrap_or(0).div_ceil(1000).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_refuses_past_the_limit_and_opens_again_after_a_minute() {
        let start: DateTime<Utc> = "2026-02-03T12:00:00Z".parse().unwrap();
        let mut window = FixedWindow::default();
        assert_eq!(window.admit(2, start), Ok(()));
        assert_eq!(window.admit(2, start + TimeDelta::seconds(1)), Ok(()));
        assert_eq!(window.admit(2, start + TimeDelta::seconds(3)), Err(57));
        assert_eq!(window.admit(2, start + TimeDelta::seconds(60)), Ok(()));
    }

    #[test]
    fn the_last_moment_of_a_window_still_asks_for_a_second() {
        let start: DateTime<Utc> = "2026-02-03T12:00:00Z".parse().unwrap();
        let mut window = FixedWindow::default();
        assert_eq!(window.admit(0, start), Err(60));
        assert_eq!(window.admit(0, start + TimeDelta::milliseconds(59_999)), Err(1));
    }
}
