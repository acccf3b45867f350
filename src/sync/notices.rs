//! Says what looks wrong although synchronization goes on: a list that shrank, details that are refused, removals that
//! nobody can prove, a clock that is off. Nothing is decided by a notice; it tells an operator why nothing was.
//!
//! A notice yields to every other problem, and comes back when that has passed. What it says is read from the store, so
//! that a restart forgets none.

use std::time::Duration;

use chrono::TimeDelta;

use crate::clock::Timestamp;
use crate::domain::removal;
use crate::store::{self, Doubts};
use crate::sync::{Interruption, Worker};

/// How often to look while a notice stands; otherwise when a run has ended.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The difference of clocks that is worth saying.
const SKEW_MAX: TimeDelta = TimeDelta::minutes(5);

/// What a notice is about; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notice {
    DetailsForbidden,
    ListShrank,
    RemovalsUnproven,
    DetailsUnreadable,
    ClockSkew,
}

impl Notice {
    const ALL: [Self; 5] =
        [Self::DetailsForbidden, Self::ListShrank, Self::RemovalsUnproven, Self::DetailsUnreadable, Self::ClockSkew];

    /// The stable name; append, never rename.
    const fn reason(self) -> &'static str {
        match self {
            Self::DetailsForbidden => "DETAILS_FORBIDDEN",
            Self::ListShrank => "LIST_SHRANK",
            Self::RemovalsUnproven => "REMOVALS_UNPROVEN",
            Self::DetailsUnreadable => "DETAILS_UNREADABLE",
            Self::ClockSkew => "CLOCK_SKEW",
        }
    }
}

/// What stands, as far as is known.
#[derive(Debug)]
pub(super) struct Notices {
    due_at: Timestamp,
    is_seen: bool,
    doubts: Doubts,
    said: Option<(Notice, String)>,
}

impl Notices {
    /// Nothing was looked at yet: one may stand from before a restart.
    pub(super) const fn unseen(now: Timestamp) -> Self {
        Self { due_at: now, is_seen: false, doubts: Doubts::NONE, said: None }
    }
}

/// The worst of what the doubts and the clocks give reason to say, and in which words.
fn worst(doubts: &Doubts, skew: TimeDelta) -> Option<(Notice, String)> {
    let Doubts { active, forbidden, failing, unproven, .. } = *doubts;
    // Of a few customers, half of them are many.
    let are_many = |count: u64| count > removal::limit(active) || (count > 0 && count * 2 >= active);
    if are_many(forbidden) {
        let detail = format!(
            "{forbidden} of {active} customers are in the customer list, and Partner Center says that they are not ours \
             when asked for them; nobody is ended. Check the application's registration and permissions, and that its \
             credentials are those of this partner account"
        );
        return Some((Notice::DetailsForbidden, detail));
    }
    let Doubts { lacked, found, held, listed, .. } = *doubts;
    // Those that wait for an operator are told of elsewhere, unless nobody at all is listed.
    if found > 0 || are_many(lacked.saturating_sub(held)) || (listed == 0 && lacked > 0) {
        let detail = format!(
            "the last customer list named {listed} customers and lacked {lacked} of {active} known ones, of whom {found} \
             are found by asking for them; nobody is ended by a list alone. Check in Partner Center whether the account \
             sees all of its customers; those that are really gone end after two lists and a direct answer, and many at \
             once wait to be approved"
        );
        return Some((Notice::ListShrank, detail));
    }
    if unproven > 0 {
        let detail = format!(
            "{unproven} customers seem to be gone, and no other customer could be read to prove that the credentials \
             still work; nobody is ended before one can. Check the application's permissions in Partner Center"
        );
        return Some((Notice::RemovalsUnproven, detail));
    }
    if are_many(failing) {
        let problem = doubts.problem.as_deref().unwrap_or("no reason is known");
        let detail = format!(
            "{failing} of {active} customers cannot be read ({problem}); they keep what they have and are tried again. If \
             that does not pass by itself, check the application's permissions and whether Partner Center is available"
        );
        return Some((Notice::DetailsUnreadable, detail));
    }
    (skew.abs() > SKEW_MAX).then(|| {
        let direction = if skew > TimeDelta::zero() { "ahead of" } else { "behind" };
        let detail = format!(
            "Partner Center's clock is {} minutes {direction} this machine's; synchronization goes on, and times that are \
             shown may be wrong. Check the time of this machine (NTP)",
            (skew.abs() + TimeDelta::seconds(30)).num_minutes()
        );
        (Notice::ClockSkew, detail)
    })
}

fn is_notice(reason: &str) -> bool {
    Notice::ALL.into_iter().any(|notice| notice.reason() == reason)
}

impl Worker {
    /// Whether what the status tells is a notice, which only a look takes back.
    pub(super) async fn a_notice_is_told(&self) -> Result<bool, store::Error> {
        let told = self.store.hindrance(&self.account).await?.problem;
        Ok(told.is_some_and(|problem| is_notice(&problem.reason)))
    }

    /// Looks whether something must be said, after a run and while something is.
    pub(super) async fn look_at_the_notices(&mut self, now: Timestamp, after_a_run: bool) -> Result<(), Interruption> {
        let skew = self.upstream.clock_skew();
        let is_off = skew.abs() > SKEW_MAX;
        let is_due = self.notices.due_at.min(now.plus(LOOK_AGAIN)) <= now;
        let watched = !self.notices.is_seen || self.notices.said.is_some() || is_off;
        let must_look = after_a_run || (is_due && watched);
        if !must_look {
            return Ok(());
        }
        self.notices.due_at = now.plus(LOOK_AGAIN);
        self.notices.doubts = self.store.doubts(&self.account).await?;
        let worst = worst(&self.notices.doubts, skew);
        let told = self.store.hindrance(&self.account).await?.problem;
        let ours_is_told = told.as_ref().is_some_and(|problem| is_notice(&problem.reason));
        let is_as_told = match (&worst, &told) {
            (Some((notice, detail)), Some(told)) => told.reason == notice.reason() && told.detail == *detail,
            (None, _) => !ours_is_told,
            (Some(_), None) => false,
        };
        self.notices.is_seen = true;
        let account = &self.account;
        match &worst {
            _ if is_as_told => {}
            Some((notice, detail)) if told.is_none() || ours_is_told => {
                tracing::warn!(account = %account, reason = notice.reason(), detail, "something looks wrong");
                self.store
                    .write("note_problem", async |tx| tx.note_problem(account, notice.reason(), detail).await)
                    .await?;
            }
            // Something worse is told.
            Some(_) => {}
            None => {
                let cleared = async |tx: &mut store::Tx| tx.clear_problem(account).await;
                self.store.write("clear_problem", cleared).await?;
            }
        }
        self.notices.said = worst;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(doubts: &Doubts, skew_minutes: i64) -> Option<&'static str> {
        let (notice, detail) = worst(doubts, TimeDelta::minutes(skew_minutes))?;
        assert!(!detail.ends_with('.') && detail.len() > 80, "{detail}");
        Some(notice.reason())
    }

    fn of(active: u64) -> Doubts {
        Doubts { active, listed: active, ..Doubts::NONE }
    }

    #[test]
    fn a_few_are_no_notice_and_more_than_may_end_are_one() {
        for (active, few, many) in [(9, 3, 4), (200, 4, 5), (1000, 20, 21)] {
            assert_eq!(reason(&Doubts { lacked: few, ..of(active) }, 0), None);
            assert_eq!(reason(&Doubts { lacked: 1, found: 1, ..of(active) }, 0), Some("LIST_SHRANK"), "a wrong list");
            assert_eq!(reason(&Doubts { lacked: many, ..of(active) }, 0), Some("LIST_SHRANK"));
            assert_eq!(reason(&Doubts { forbidden: few, ..of(active) }, 0), None);
            assert_eq!(reason(&Doubts { forbidden: many, ..of(active) }, 0), Some("DETAILS_FORBIDDEN"));
            assert_eq!(reason(&Doubts { failing: few, ..of(active) }, 0), None);
            assert_eq!(reason(&Doubts { failing: many, ..of(active) }, 0), Some("DETAILS_UNREADABLE"));
        }
    }

    #[test]
    fn all_of_a_few_customers_are_many() {
        for active in 1..=3 {
            assert_eq!(reason(&Doubts { listed: 0, lacked: active, ..of(active) }, 0), Some("LIST_SHRANK"));
            assert_eq!(reason(&Doubts { forbidden: active, ..of(active) }, 0), Some("DETAILS_FORBIDDEN"));
        }
        assert_eq!(reason(&of(0), 0), None);
    }

    #[test]
    fn what_waits_for_an_operator_is_said_elsewhere() {
        assert_eq!(reason(&Doubts { lacked: 10, held: 10, ..of(200) }, 0), None);
        assert_eq!(reason(&Doubts { lacked: 20, held: 10, ..of(200) }, 0), Some("LIST_SHRANK"));
        assert_eq!(reason(&Doubts { lacked: 200, held: 200, listed: 0, ..of(200) }, 0), Some("LIST_SHRANK"));
    }

    #[test]
    fn the_worst_is_said_and_a_clock_comes_last() {
        assert_eq!(reason(&of(5), 5), None);
        assert_eq!(reason(&of(5), -6), Some("CLOCK_SKEW"));
        assert_eq!(reason(&Doubts { unproven: 1, ..of(5) }, 6), Some("REMOVALS_UNPROVEN"));
        assert_eq!(reason(&Doubts { unproven: 1, forbidden: 5, lacked: 5, ..of(5) }, 6), Some("DETAILS_FORBIDDEN"));
    }
}
