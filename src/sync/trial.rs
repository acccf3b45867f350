//! The trial of credentials that were never accepted: signs in, reads the whole customer list and a few details, and compares
//! them with what is known. Until the credentials are accepted nothing else is read with them, and no customer, no mark and
//! no run is written.
//!
//! A failure rests as everything else does, and the list is read on where it was; one that breaks off, and every restart,
//! begins it anew. A part of a list is never judged.

use std::collections::HashSet;
use std::time::Duration;

use futures::{StreamExt, stream};

use crate::clock::Timestamp;
use crate::domain::customer::Customer;
use crate::domain::standstill::Standstill;
use crate::domain::trial::{self, BEFORE_EVERYTHING, CredentialTrial, Fingerprint, TrialReport, TrialState, Verdict};
use crate::partner_center::customers::CustomerPage;
use crate::partner_center::error::{Error, Fate};
use crate::partner_center::links::PageLink;
use crate::store::TrialStart;
use crate::sync::trouble::{LONGEST_ASKED_REST, concerns_the_account};
use crate::sync::{Interruption, Worker};

/// How long after a dry run that waits for an operator another one looks whether the difference is still there.
const REPEAT_AFTER: Duration = Duration::from_secs(60 * 60);

/// How far the trial of a worker's credentials is.
#[derive(Debug, Default)]
pub(super) enum Trial {
    /// Nobody has looked whether they were accepted, or a dry run is due.
    #[default]
    Due,
    /// The dry run reads the list.
    Listing(Listing),
    /// They were accepted.
    Passed,
}

/// Where a dry run is in the list. Whom it has met is in the store.
#[derive(Debug, Default)]
pub(super) struct Listing {
    link: Option<PageLink>,
    followed: HashSet<String>,
}

/// What a sample of details came to.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    read: u64,
    differing: u64,
}

impl Worker {
    /// Lets credentials that were accepted pass, and tries others; `Some` is when to go on with that.
    pub(super) async fn try_credentials(&mut self, now: Timestamp) -> Result<Option<Timestamp>, Interruption> {
        if matches!(self.trial, Trial::Passed) {
            return Ok(None);
        }
        if self.credentials.are_accepted().await? {
            self.forget_others().await?;
            self.trial = Trial::Passed;
            return Ok(None);
        }
        let fingerprint = self.credentials.fingerprint().await?;
        match self.trial {
            Trial::Listing(_) | Trial::Passed => {}
            Trial::Due => {
                let found = self.store.credential_trial(&self.account).await?;
                let found = found.filter(|trial| trial.fingerprint == fingerprint);
                if let Some((until, report)) = found.as_ref().and_then(|trial| waiting(trial, now)) {
                    self.say_that_it_waits(&report).await?;
                    return Ok(Some(until));
                }
                if self.begin_trial(fingerprint).await? {
                    return Ok(None);
                }
            }
        }
        if self.list.not_before(now, LONGEST_ASKED_REST) > now {
            return Ok(Some(self.list.not_before(now, LONGEST_ASKED_REST)));
        }
        let error = match self.go_on_with_trial(now, fingerprint).await {
            Err(Interruption::Upstream(error)) => error,
            other => return other,
        };
        self.list_failed(now, Some(&error), &error.to_string()).await?;
        if concerns_the_account(&error) {
            return Err(error.into());
        }
        tracing::warn!(account = %self.account, error = %error, "the dry run of new credentials cannot go on");
        Ok(Some(self.list.not_before(now, LONGEST_ASKED_REST)))
    }

    /// Other credentials may have been tried before these came back: whatever was found about those means nothing now.
    async fn forget_others(&self) -> Result<(), Interruption> {
        let account = &self.account;
        let other = self.store.credential_trial(account).await?;
        if other.is_some_and(|trial| trial.state != TrialState::Accepted) {
            self.store.write("forget_trial", async |tx| tx.forget_trial(account).await).await?;
        }
        Ok(())
    }

    /// Begins the trial by signing in, which only the right tenant's credentials can; returns whether it ended there.
    async fn begin_trial(&mut self, fingerprint: Fingerprint) -> Result<bool, Interruption> {
        let account = &self.account;
        self.upstream.sign_in().await?;
        match self.store.write("begin_trial", async |tx| tx.begin_trial(account, fingerprint).await).await? {
            TrialStart::Accepted(grounds) => {
                tracing::info!(account = %account, grounds = grounds.name(), "the credentials are accepted without a dry run");
                self.trial = Trial::Passed;
                Ok(true)
            }
            TrialStart::DryRun => {
                tracing::info!(account = %account, "a dry run of new credentials begins");
                self.trial = Trial::Listing(Listing::default());
                Ok(false)
            }
        }
    }

    /// Reads the next page, and judges when it was the last.
    async fn go_on_with_trial(
        &mut self,
        now: Timestamp,
        fingerprint: Fingerprint,
    ) -> Result<Option<Timestamp>, Interruption> {
        let link = match &self.trial {
            Trial::Listing(listing) => listing.link.clone(),
            Trial::Due | Trial::Passed => return Ok(Some(now)),
        };
        let page = match self.upstream.list_customers(link.as_ref()).await {
            Ok(page) => page,
            Err(error) => {
                if error.fate() == Fate::ListingRestart {
                    self.trial = Trial::Due;
                }
                return Err(error.into());
            }
        };
        self.trouble.note_answer();
        let is_last = page.next.is_none();
        if !self.take_trial_page(now, page).await? {
            return Ok(Some(self.list.not_before(now, LONGEST_ASKED_REST)));
        }
        if is_last { self.end_trial(now, fingerprint).await } else { Ok(Some(now)) }
    }

    /// Takes note of a page; returns whether the list goes on, or ends, as it should.
    async fn take_trial_page(&mut self, now: Timestamp, page: CustomerPage) -> Result<bool, Interruption> {
        let account = &self.account;
        // One that is shorter than it promises shows as customers that are missing.
        let CustomerPage { customers, skipped, next, promised: _ } = page;
        if skipped > 0 {
            tracing::warn!(account = %account, skipped, "list items without a readable id");
        }
        self.store.write("note_seen_on_trial", async |tx| tx.note_seen_on_trial(account, &customers).await).await?;
        let (Some(next), Trial::Listing(listing)) = (next, &mut self.trial) else { return Ok(true) };
        if listing.followed.insert(next.to_string()) {
            listing.link = Some(next);
            return Ok(true);
        }
        self.trial = Trial::Due;
        self.list_failed(now, None, "the customer list leads in a circle").await?;
        Ok(false)
    }

    /// The list was read to its end: looks at a sample, and judges.
    async fn end_trial(&mut self, now: Timestamp, fingerprint: Fingerprint) -> Result<Option<Timestamp>, Interruption> {
        let Sample { read, differing } = self.look_at_sample(now).await?;
        let account = &self.account;
        let judged = self
            .store
            .write("judge_trial", async |tx| tx.judge_trial(account, fingerprint, read, differing).await)
            .await?;
        self.trial = Trial::Due;
        self.list_done(now).await?;
        let Some((verdict, report)) = judged else { return Ok(Some(now)) };
        tracing::info!(account = %self.account, ?report, ?verdict, "a dry run of new credentials ended");
        match verdict {
            Verdict::Accept => {
                self.trial = Trial::Passed;
                Ok(None)
            }
            Verdict::AskOperator => Ok(Some(now)),
        }
    }

    /// Looks at a few known customers in detail. One that cannot be read is left out; when nobody can, it is not about them.
    async fn look_at_sample(&self, now: Timestamp) -> Result<Sample, Interruption> {
        let customers = self.store.trial_sample(&self.account).await?;
        let ask = async |customer: Customer| {
            let Some(link) = &customer.microsoft else { return Ok(None) };
            match self.upstream.observe(link.tenant_id, BEFORE_EVERYTHING).await {
                Ok(observation) => Ok(Some(trial::differs(&customer, &observation.observed, now))),
                // Whoever signed in before was told about it.
                Err(error) if error.fate() == Fate::CustomerRefused => Ok(Some(true)),
                Err(error) => Err(error),
            }
        };
        let mut open = std::pin::pin!(stream::iter(customers).map(ask).buffer_unordered(self.concurrency.get()));
        let mut sample = Sample::default();
        let mut failed: Vec<Error> = Vec::new();
        while let Some(looked) = open.next().await {
            match looked {
                Ok(Some(differs)) => {
                    sample.read += 1;
                    sample.differing += u64::from(differs);
                }
                Ok(None) => {}
                Err(error) if concerns_the_account(&error) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(account = %self.account, error = %error, "a customer of the sample cannot be read");
                    failed.push(error);
                }
            }
        }
        match failed.pop() {
            Some(error) if sample.read == 0 && !failed.is_empty() => Err(error.into()),
            Some(_) | None => Ok(sample),
        }
    }

    /// Something else may have been said of the account since the dry run ended.
    async fn say_that_it_waits(&self, report: &TrialReport) -> Result<(), Interruption> {
        let account = &self.account;
        let reason = Standstill::CredentialsNeedApproval.reason();
        if self.store.hindrance(account).await?.problem.is_some_and(|problem| problem.reason == reason) {
            return Ok(());
        }
        let detail = trial::waiting_detail(report);
        self.store.write("note_problem", async |tx| tx.note_problem(account, reason, &detail).await).await?;
        Ok(())
    }
}

/// Until when a trial waits for an operator before its dry run is repeated, and what it found. A time that is further ahead
/// than that is a clock that was set back.
fn waiting(trial: &CredentialTrial, now: Timestamp) -> Option<(Timestamp, TrialReport)> {
    let (report, finished_at) = trial.found?;
    let until = finished_at.plus(REPEAT_AFTER);
    let waits = trial.state == TrialState::Waiting && until > now && until.since(now) <= REPEAT_AFTER;
    waits.then_some((until, report))
}
