//! What a worker does when Partner Center does not answer: rests, longer each time, and says why.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::partner_center::error::{Error, Fate};
use crate::sync::Worker;

/// The first rest after a failure that passes by itself.
const FIRST_REST: Duration = Duration::from_secs(1);
/// The longest rest after such failures.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// The first rest after a failure that an operator has to mend.
const FIRST_BLOCKED_REST: Duration = Duration::from_secs(15);
/// The longest rest after such failures: a mended account is noticed within it.
const LONGEST_BLOCKED_REST: Duration = Duration::from_secs(300);
/// From this many failures in a row on, the account has a problem that its status shows.
const WORTH_SAYING: u32 = 3;

/// How often it has failed in a row, and until when to rest.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    failures: u32,
    pause_ends_at: Option<Timestamp>,
    said: bool,
    checked: bool,
    answered: bool,
}

impl Trouble {
    pub(super) const fn pause_ends_at(&self) -> Option<Timestamp> {
        self.pause_ends_at
    }

    pub(super) const fn resume(&mut self) {
        self.pause_ends_at = None;
    }

    /// Partner Center answered a question.
    pub(super) const fn note_answer(&mut self) {
        self.answered = true;
    }
}

/// The n-th rest of a series that doubles.
fn doubled(first: Duration, longest: Duration, failures: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(16))).min(longest)
}

/// How long to rest before one customer is tried again.
pub(super) fn customer_rest(attempts: u32) -> Duration {
    const FIRST: Duration = Duration::from_secs(5);
    const LONGEST: Duration = Duration::from_secs(3600);
    doubled(FIRST, LONGEST, attempts.saturating_add(1))
}

impl Worker {
    /// Rests after a failed call, and returns until when.
    pub(super) async fn rest(&mut self, error: &Error) -> Timestamp {
        let now = self.clock.now();
        self.trouble.failures = self.trouble.failures.saturating_add(1);
        let failures = self.trouble.failures;
        let (rest, said) = match error.fate() {
            Fate::Retry { after } => {
                let rest = after.unwrap_or_else(|| doubled(FIRST_REST, LONGEST_REST, failures));
                (rest, (failures >= WORTH_SAYING).then(|| ("SOURCE_UNAVAILABLE", error.to_string())))
            }
            Fate::AccountBlocked { reason, remedy } => {
                let rest = doubled(FIRST_BLOCKED_REST, LONGEST_BLOCKED_REST, failures);
                (rest, Some((reason, remedy.to_owned())))
            }
            Fate::ListingRestart | Fate::CustomerRefused => (doubled(FIRST_REST, LONGEST_REST, failures), None),
        };
        tracing::warn!(account = %self.account, error = %error, rest_seconds = rest.as_secs(), "synchronization rests");
        let until = now.plus(rest);
        self.trouble.pause_ends_at = Some(until);
        self.say(until, said).await;
        until
    }

    async fn say(&mut self, until: Timestamp, said: Option<(&str, String)>) {
        let account = &self.account;
        let throttled = self.upstream.throttled_until();
        let noted = self
            .store
            .write("note_problem", async |tx| {
                if throttled.is_some() {
                    tx.note_throttled(account, until).await?;
                }
                if let Some((reason, detail)) = &said {
                    tx.note_problem(account, reason, detail).await?;
                }
                Ok::<_, crate::store::Error>(())
            })
            .await;
        self.trouble.said |= said.is_some();
        if let Err(error) = noted {
            tracing::error!(account = %self.account, error = %error, "a problem could not be noted");
        }
    }

    /// Everything that was due was answered: what was said about trouble no longer holds.
    pub(super) async fn forget_trouble(&mut self) -> Result<(), crate::store::Error> {
        if !std::mem::take(&mut self.trouble.answered) {
            return Ok(());
        }
        self.trouble.failures = 0;
        // A problem may also stand from before a restart; the audit log's is its own.
        if self.trouble.said || !(self.trouble.checked || self.audit_log_is_unreadable) {
            let account = &self.account;
            self.store.write("clear_problem", async |tx| tx.clear_problem(account).await).await?;
            self.trouble.said = false;
            self.trouble.checked = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_the_longest() {
        let rests: Vec<_> = (1..=8).map(|failures| doubled(FIRST_REST, LONGEST_REST, failures).as_secs()).collect();
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(customer_rest(0).as_secs(), 5);
        assert_eq!(customer_rest(u32::MAX).as_secs(), 3600);
    }
}
