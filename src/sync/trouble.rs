//! What a worker does when Partner Center does not answer: rests, longer each time, and says why.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::ids::TenantId;
use crate::operations::apply_observations::Answered;
use crate::partner_center::error::{Error, Fate, Problem};
use crate::store::DirtyCustomer;
use crate::sync::Worker;

/// The first rest after a failure that passes by itself.
pub(super) const FIRST_REST: Duration = Duration::from_secs(1);
/// The longest rest after such failures.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// The first rest after a failure that an operator has to mend.
const FIRST_BLOCKED_REST: Duration = Duration::from_secs(15);
/// The longest rest after such failures: a mended account is noticed within it.
const LONGEST_BLOCKED_REST: Duration = Duration::from_secs(300);
/// The longest rest of one duty that fails while others do not.
const LONGEST_DUTY_REST: Duration = Duration::from_secs(300);
/// No answer makes us wait longer than this, whatever it asks for.
pub(super) const LONGEST_ASKED_REST: Duration = Duration::from_secs(15 * 60);
/// From this many failures in a row on, the account has a problem that its status shows.
const WORTH_SAYING: u32 = 3;

/// The problem of an account whose customer list cannot be read.
const LIST_UNREADABLE: &str = "CUSTOMER_LIST_UNREADABLE";

/// How often it has failed in a row, and until when to rest.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    failures: u32,
    pause_ends_at: Option<Timestamp>,
    said: bool,
    checked: bool,
    answered: bool,
    /// Answers that told the account to slow down and that have been noted.
    throttles_noted: u64,
    /// Customers that were asked about and of whom nothing came: who asks again, repeats.
    unanswered: BTreeSet<TenantId>,
}

impl Trouble {
    pub(super) const fn pause_ends_at(&self) -> Option<Timestamp> {
        self.pause_ends_at
    }

    pub(super) const fn resume(&mut self) {
        self.pause_ends_at = None;
    }

    /// How often the look at a customer has failed, also for what was not its fault.
    pub(super) fn failures_of(&self, work: &DirtyCustomer) -> u32 {
        work.attempts.saturating_add(u32::from(self.unanswered.contains(&work.tenant_id)))
    }

    /// Of these customers nothing came, and of those an answer.
    pub(super) fn note_unanswered(&mut self, unanswered: impl Iterator<Item = TenantId>, answers: &[Answered]) {
        for Answered { work, .. } in answers {
            self.unanswered.remove(&work.tenant_id);
        }
        self.unanswered.extend(unanswered);
    }

    /// Partner Center answered a question.
    pub(super) const fn note_answer(&mut self) {
        self.answered = true;
    }
}

/// How one duty fares. Its failures put itself off and nothing else.
#[derive(Debug)]
pub(super) struct Duty {
    failures: u32,
    not_before: Timestamp,
    said: bool,
}

impl Duty {
    /// A duty that is due at that time.
    pub(super) const fn due_at(not_before: Timestamp) -> Self {
        Self { failures: 0, not_before, said: false }
    }

    /// When it is to be tried: at once when that is further ahead than it is ever put off, because then a clock was set
    /// back.
    pub(super) fn not_before(&self, now: Timestamp, longest: Duration) -> Timestamp {
        if self.not_before.since(now) > longest { now } else { self.not_before }
    }

    /// It was done; it is due again at that time.
    pub(super) const fn done(&mut self, next: Timestamp) {
        self.failures = 0;
        self.not_before = next;
    }

    /// It failed; each time in a row it is put off twice as long, and after what Partner Center asked for.
    pub(super) fn failed(&mut self, now: Timestamp, first: Duration, error: Option<&Error>) {
        self.failures = self.failures.saturating_add(1);
        let asked = match error.map(Error::fate) {
            Some(Fate::Retry { after }) => after.unwrap_or_default().min(LONGEST_ASKED_REST),
            Some(
                Fate::AccountBlocked { .. } | Fate::UserBlocked { .. } | Fate::ListingRestart | Fate::CustomerRefused,
            )
            | None => Duration::ZERO,
        };
        self.not_before = now.plus(asked).plus(doubled(first, LONGEST_DUTY_REST.max(first), self.failures));
    }

    /// Whether it fails, and how often in a row is worth saying.
    pub(super) const fn is_worth_saying(&self) -> bool {
        self.failures >= WORTH_SAYING
    }
}

/// Whether a failure would meet every other question of the account as well.
pub(super) fn concerns_the_account(error: &Error) -> bool {
    match (&error.problem, error.fate()) {
        (_, Fate::AccountBlocked { .. }) => true,
        (Problem::Throttled { .. } | Problem::Unreachable { .. }, _) => true,
        (_, Fate::Retry { .. } | Fate::UserBlocked { .. } | Fate::ListingRestart | Fate::CustomerRefused) => false,
    }
}

/// What an operator is told of a failure that should pass by itself.
fn unavailable(error: &Error) -> String {
    format!("{error}; if that does not pass by itself, check the network and whether Partner Center is available")
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
                let rest = after
                    .map_or_else(|| doubled(FIRST_REST, LONGEST_REST, failures), |after| after.min(LONGEST_ASKED_REST));
                (rest, (failures >= WORTH_SAYING).then(|| ("SOURCE_UNAVAILABLE", unavailable(error))))
            }
            Fate::AccountBlocked { reason, remedy } => {
                let rest = doubled(FIRST_BLOCKED_REST, LONGEST_BLOCKED_REST, failures);
                (rest, Some((reason, remedy.to_owned())))
            }
            Fate::UserBlocked { .. } | Fate::ListingRestart | Fate::CustomerRefused => {
                (doubled(FIRST_REST, LONGEST_REST, failures), None)
            }
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
        let met = self.upstream.calls().throttled;
        let new = met.saturating_sub(self.trouble.throttles_noted);
        let pace = self.upstream.calls_per_minute();
        let noted = self
            .store
            .write("note_problem", async |tx| {
                if throttled.is_some() {
                    tx.note_throttled(account, new, until).await?;
                    tx.note_pace(account, pace).await?;
                }
                if let Some((reason, detail)) = &said {
                    tx.note_problem(account, reason, detail).await?;
                }
                Ok::<_, crate::store::Error>(())
            })
            .await;
        self.trouble.said |= said.is_some();
        match noted {
            Ok(()) if throttled.is_some() => {
                self.trouble.throttles_noted = met;
                self.promise.pace_noted(pace);
            }
            Ok(()) => {}
            Err(error) => tracing::error!(account = %self.account, error = %error, "a problem could not be noted"),
        }
    }

    /// The list could not be read.
    pub(super) async fn list_failed(
        &mut self,
        now: Timestamp,
        error: Option<&Error>,
        detail: &str,
    ) -> Result<(), crate::store::Error> {
        self.list.failed(now, FIRST_REST, error);
        if self.list.is_worth_saying() {
            let account = &self.account;
            let detail = format!(
                "the customer list cannot be read ({detail}); new customers may be missing, and nobody is ended. If that \
                 does not pass by itself, check whether Partner Center is available and lets the application read customers"
            );
            self.store
                .write("note_problem", async |tx| tx.note_problem(account, LIST_UNREADABLE, &detail).await)
                .await?;
            self.list.said = true;
        }
        Ok(())
    }

    /// The list was read to its end.
    pub(super) async fn list_done(&mut self, now: Timestamp) -> Result<(), crate::store::Error> {
        self.list.done(now);
        if std::mem::take(&mut self.list.said) {
            let account = &self.account;
            self.store.write("clear_problem", async |tx| tx.clear_problem(account).await).await?;
        }
        Ok(())
    }

    /// Everything that was due was answered: what was said about trouble no longer holds.
    pub(super) async fn forget_trouble(&mut self) -> Result<(), crate::store::Error> {
        if !std::mem::take(&mut self.trouble.answered) {
            return Ok(());
        }
        self.trouble.failures = 0;
        // A problem may also stand from before a restart; those of the audit log and the list are their own, and so
        // is a notice.
        let others = self.audit_log_is_unreadable || self.list.said || self.promise.is_said_to_be_broken();
        if self.trouble.said || !(self.trouble.checked || others) {
            if !self.a_notice_is_told().await? {
                let account = &self.account;
                self.store.write("clear_problem", async |tx| tx.clear_problem(account).await).await?;
            }
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
    fn a_duty_that_a_clock_set_back_has_put_off_is_tried_at_once() {
        let noon = Timestamp::from_micros(1_800_000_000_000_000);
        let longest = Duration::from_secs(1800);
        let mut duty = Duty::due_at(noon);
        duty.done(noon.plus(Duration::from_secs(60)));
        let due = |duty: &Duty, now: Timestamp| duty.not_before(now, longest) <= now;
        assert!(!due(&duty, noon));
        assert!(!due(&duty, noon.minus(Duration::from_secs(600))), "it may wait for so long anyway");
        assert!(due(&duty, noon.minus(Duration::from_secs(3600))));
        duty.done(noon.minus(Duration::from_secs(3540)));
        assert!(!due(&duty, noon.minus(Duration::from_secs(3600))), "and then at its time");
    }

    #[test]
    fn rests_double_up_to_the_longest() {
        let rests: Vec<_> = (1..=8).map(|failures| doubled(FIRST_REST, LONGEST_REST, failures).as_secs()).collect();
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(customer_rest(0).as_secs(), 5);
        assert_eq!(customer_rest(u32::MAX).as_secs(), 3600);
    }
}
