//! How many requests of an account are let in: a bucket that events can empty and time fills again.

use std::time::Duration;

use crate::clock::Timestamp;

/// Requests a second, on average.
const PER_SECOND: u64 = 20;
/// Requests at once.
const BURST: u64 = 100;
/// How long one request takes to be made up for.
const COST: Duration = Duration::from_millis(1000 / PER_SECOND);

/// The bucket of one account.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// When it would be full again.
    full_at: Option<Timestamp>,
}

impl Bucket {
    /// Lets one more in, or does not.
    pub(super) fn admits(&mut self, now: Timestamp) -> bool {
        let whole = COST.saturating_mul(u32::try_from(BURST).unwrap_or(u32::MAX));
        // A clock that was set back must not keep everybody out.
        let from = self.full_at.unwrap_or(now).max(now).min(now.plus(whole));
        let full_at = from.plus(COST);
        let has_room = full_at.since(now) <= whole;
        if has_room {
            self.full_at = Some(full_at);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_in_and_then_as_many_as_time_makes_room_for() {
        let mut bucket = Bucket::default();
        let start = Timestamp::from_micros(1_700_000_000_000_000);
        let mut let_in = |now| (0..1000).filter(|_| bucket.admits(now)).count();
        assert_eq!(let_in(start), 100);
        assert_eq!(let_in(start.plus(Duration::from_secs(1))), 20);
        assert_eq!(let_in(start.plus(Duration::from_secs(60))), 100);
        assert_eq!(let_in(start), 0, "the clock was set back");
    }
}
