//! Reads which reseller of an indirect provider serves which customer: after every full sync, and when the audit log tells
//! of a change between the provider and a reseller.
//!
//! It is the last of all duties, a page at a time, and its failures are its own: they put it off and nothing else. What a
//! reseller's list said counts when the list was read to its end; customers come to show it when the round pauses or ends,
//! so that one that moved between two resellers changes once.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::account::PartnerKind;
use crate::domain::ids::TenantId;
use crate::domain::reseller::ListedReseller;
use crate::partner_center::error::{Error, Fate, Problem};
use crate::partner_center::links::PageLink;
use crate::store::{self, ResellerRead, ResellerReading, RoundBegun};
use crate::sync::trouble::{Duty, LONGEST_ASKED_REST};
use crate::sync::{Interruption, Worker};

/// A round begins no sooner after the one before.
const PAUSE: Duration = Duration::from_secs(60);
/// The first rest after a failure that passes by itself.
const FIRST_REST: Duration = Duration::from_secs(60);
/// The rest after a failure that an operator has to mend. New credentials begin a new worker, which tries at once.
const BLOCKED_REST: Duration = Duration::from_secs(15 * 60);
/// So many resellers in a row that cannot be read are no longer about each of them.
const FAILURES_IN_A_ROW: u32 = 5;
/// More pages than this are no list of resellers, nor of one reseller's customers.
const PAGES_MAX: usize = 2_000;
/// How many rows are written at a time.
const BATCH: usize = 500;
/// How many customers are made to follow at a time.
const LEVEL_BATCH: u32 = 100;

/// The resellers of a worker's account.
#[derive(Debug)]
pub(super) struct Resellers {
    kind: PartnerKind,
    /// What was noted of the user, once it was.
    noted: Option<bool>,
    duty: Duty,
    pass: Pass,
}

/// A way through the resellers that are still to be read. Only what the store has survives a restart.
#[derive(Debug, Default)]
struct Pass {
    after: Option<TenantId>,
    open: Option<OpenList>,
    failed: u64,
    failed_in_a_row: u32,
    first_failure: Option<Failure>,
}

/// The customers of one reseller, as far as they were read.
#[derive(Debug)]
struct OpenList {
    reseller: TenantId,
    tenants: BTreeSet<TenantId>,
    next: Option<PageLink>,
    followed: HashSet<PageLink>,
    skipped: usize,
}

/// Why something could not be read.
#[derive(Clone, Debug)]
struct Failure {
    reason: String,
    detail: String,
    rest: Duration,
    error: Option<Error>,
    /// Whether every other question on behalf of the user would meet it as well.
    concerns_all: bool,
}

/// Why a piece of work ended early.
enum Ended {
    Failed(Box<Failure>),
    Interrupted(Interruption),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Failed(Box::new(Failure::of(error)))
    }
}

impl From<store::Error> for Ended {
    fn from(error: store::Error) -> Self {
        Self::Interrupted(error.into())
    }
}

impl Resellers {
    pub(super) fn of(kind: PartnerKind, now: Timestamp) -> Self {
        Self { kind, noted: None, duty: Duty::due_at(now), pass: Pass::default() }
    }

    /// Whether a partner of this kind has resellers of its own.
    const fn applies(&self) -> bool {
        match self.kind {
            PartnerKind::IndirectProvider => true,
            PartnerKind::DirectBill | PartnerKind::IndirectReseller => false,
        }
    }
}

impl Failure {
    fn of(error: Error) -> Self {
        let (reason, detail, rest, concerns_all) = match error.fate() {
            _ if error.says_there_are_no_resellers() => (
                "NOT_AN_INDIRECT_PROVIDER".to_owned(),
                "Partner Center says that this partner has no resellers. Check that the kind of the partner account is \
                 right: only an indirect provider has them."
                    .to_owned(),
                BLOCKED_REST,
                true,
            ),
            Fate::AccountBlocked { reason, remedy } | Fate::UserBlocked { reason, remedy } => {
                (reason.to_owned(), remedy.to_owned(), BLOCKED_REST, true)
            }
            Fate::Retry { .. } | Fate::ListingRestart | Fate::CustomerRefused => {
                let everybody = matches!(error.problem, Problem::Throttled { .. } | Problem::Unreachable { .. });
                let detail = format!("the resellers cannot be read ({error}); what was read before is kept");
                ("RESELLERS_UNREADABLE".to_owned(), detail, FIRST_REST, everybody)
            }
        };
        Self { reason, detail, rest, error: Some(error), concerns_all }
    }

    fn unreadable(what: &str) -> Self {
        Self {
            reason: "RESELLERS_UNREADABLE".to_owned(),
            detail: format!("the resellers cannot be read ({what}); what was read before is kept"),
            rest: FIRST_REST,
            error: None,
            concerns_all: false,
        }
    }
}

impl Worker {
    /// Does the next piece; returns whether there is more to do at once. Asked only when nothing else is.
    pub(super) async fn look_after_resellers(&mut self, now: Timestamp) -> Result<bool, Interruption> {
        self.note_reseller_user().await?;
        if self.may_read_resellers(now) {
            match self.read_on_in_resellers(now).await {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(Ended::Failed(failure)) => self.resellers_failed(now, *failure).await?,
                Err(Ended::Interrupted(interruption)) => return Err(interruption),
            }
        }
        self.level_resellers().await
    }

    /// When the next piece is due.
    pub(super) async fn resellers_due_at(&self, now: Timestamp) -> Result<Option<Timestamp>, Interruption> {
        if !self.resellers.applies() || !self.upstream.has_user() {
            return Ok(None);
        }
        let standing = self.store.reseller_reading(&self.account).await?;
        let due = standing.and_then(|standing| due_at(&standing, now));
        Ok(due.map(|due| due.max(self.resellers.duty.not_before(now, self.longest_wait()))))
    }

    fn may_read_resellers(&self, now: Timestamp) -> bool {
        let not_before = self.resellers.duty.not_before(now, self.longest_wait());
        self.resellers.applies() && self.upstream.has_user() && not_before <= now
    }

    async fn note_reseller_user(&mut self) -> Result<(), Interruption> {
        let (account, has_user) = (&self.account, self.upstream.has_user());
        if self.resellers.noted == Some(has_user) {
            return Ok(());
        }
        if self.resellers.applies() {
            self.store.write("note_reseller_user", async |tx| tx.note_reseller_user(account, has_user).await).await?;
        } else if self.store.reseller_reading(account).await?.is_some() {
            self.store.write("retire_resellers", async |tx| tx.retire_resellers(account).await).await?;
        }
        self.resellers.noted = Some(has_user);
        Ok(())
    }

    async fn read_on_in_resellers(&mut self, now: Timestamp) -> Result<bool, Ended> {
        let Some(standing) = self.store.reseller_reading(&self.account).await? else { return Ok(false) };
        if due_at(&standing, now).is_none_or(|due| due > now) {
            return Ok(false);
        }
        // A pass that has begun is walked to its end; one that is tried again gives way to a newer wish.
        let is_fresh = self.resellers.pass.after.is_none() && self.resellers.pass.open.is_none();
        let newer = standing.is_wanted() && standing.began_at.is_none_or(|began| began.plus(PAUSE) <= now);
        if !standing.under_way || (is_fresh && newer) {
            self.begin_reseller_round(&standing).await?;
            return Ok(true);
        }
        if self.resellers.pass.open.is_none() {
            let after = self.resellers.pass.after;
            let next = self.store.next_reseller_to_read(&self.account, standing.round, after).await?;
            let Some(reseller) = next else { return self.end_reseller_pass().await };
            self.resellers.pass.open =
                Some(OpenList { reseller, tenants: BTreeSet::new(), next: None, followed: HashSet::new(), skipped: 0 });
        }
        let Some(open) = self.resellers.pass.open.take() else { return Ok(true) };
        let reseller = open.reseller;
        match self.read_reseller_page(open, standing.round).await {
            Ok(()) => Ok(true),
            Err(Ended::Failed(failure)) => self.skip_reseller(reseller, *failure),
            Err(interrupted @ Ended::Interrupted(_)) => Err(interrupted),
        }
    }

    async fn begin_reseller_round(&mut self, standing: &ResellerReading) -> Result<(), Ended> {
        let (resellers, skipped) = self.list_resellers().await?;
        let account = &self.account;
        for batch in resellers.chunks(BATCH) {
            self.store.write("save_resellers", async |tx| tx.save_resellers(account, batch).await).await?;
        }
        let listed: BTreeSet<_> = resellers.iter().map(|listed| listed.reseller.tenant_id).collect();
        // Nobody is missing from a list of which something could not be read.
        let (wanted, may_lack) = (standing.wanted, skipped > 0);
        let begun = self
            .store
            .write("begin_reseller_round", async |tx| tx.begin_reseller_round(account, wanted, &listed, may_lack).await)
            .await?;
        self.resellers.pass = Pass::default();
        match begun {
            RoundBegun::Begun => {
                tracing::info!(account = %account, resellers = listed.len(), skipped, "the customers of every reseller are read");
                Ok(())
            }
            RoundBegun::EmptyForTheFirstTime => Err(Ended::Failed(Box::new(Failure {
                reason: "RESELLER_LIST_EMPTY".to_owned(),
                detail:
                    "Partner Center lists no reseller at all, where there were some. Nothing is changed unless the \
                         next list is empty as well."
                        .to_owned(),
                concerns_all: true,
                ..Failure::unreadable("")
            }))),
        }
    }

    /// The list of resellers to its end, and how many of its items could not be read.
    async fn list_resellers(&self) -> Result<(Vec<ListedReseller>, usize), Ended> {
        let (mut resellers, mut skipped, mut met) = (Vec::new(), 0, BTreeSet::new());
        let (mut link, mut followed) = (None, HashSet::new());
        for _ in 0..PAGES_MAX {
            let page = self.upstream.list_resellers(link.as_ref()).await?;
            skipped += page.skipped;
            resellers.extend(page.resellers.into_iter().filter(|listed| met.insert(listed.reseller.tenant_id)));
            let Some(next) = page.next else { return Ok((resellers, skipped)) };
            if !followed.insert(next.clone()) {
                break;
            }
            link = Some(next);
        }
        Err(Ended::Failed(Box::new(Failure::unreadable("their list does not end"))))
    }

    async fn read_reseller_page(&mut self, mut open: OpenList, round: i64) -> Result<(), Ended> {
        let page = self.upstream.customers_of_reseller(open.reseller, open.next.as_ref()).await?;
        open.tenants.extend(page.tenants);
        open.skipped += page.skipped;
        match page.next {
            None => {
                self.take_reseller_list(&open, round).await?;
                self.resellers.pass.after = Some(open.reseller);
                self.resellers.pass.failed_in_a_row = 0;
            }
            Some(next) => {
                if open.followed.len() >= PAGES_MAX || !open.followed.insert(next.clone()) {
                    return Err(Ended::Failed(Box::new(Failure::unreadable(
                        "the list of a reseller's customers does not end",
                    ))));
                }
                open.next = Some(next);
                self.resellers.pass.open = Some(open);
            }
        }
        Ok(())
    }

    /// A reseller's list was read to its end: what it has is listed, and what it lacks no longer is.
    async fn take_reseller_list(&self, open: &OpenList, round: i64) -> Result<(), Ended> {
        let (account, reseller, is_empty) = (&self.account, open.reseller, open.tenants.is_empty());
        let judged = self
            .store
            .write("judge_reseller_list", async |tx| tx.judge_reseller_list(account, reseller, is_empty).await);
        let counts = judged.await? == ResellerRead::Counts;
        if !counts {
            tracing::warn!(account = %account, reseller = %reseller, "a reseller has no customers at all, where there were some; nothing is changed unless the next list is empty as well");
        }
        let tenants: Vec<_> = open.tenants.iter().copied().collect();
        for batch in tenants.chunks(BATCH) {
            self.store
                .write("list_customers_of_reseller", async |tx| {
                    tx.list_customers_of_reseller(account, reseller, batch).await
                })
                .await?;
        }
        if counts && open.skipped == 0 {
            self.unlist_what_is_missing(open).await?;
        }
        self.store
            .write("finish_reseller", async |tx| tx.finish_reseller(account, reseller, round, is_empty).await)
            .await?;
        Ok(())
    }

    async fn unlist_what_is_missing(&self, open: &OpenList) -> Result<(), Ended> {
        let (account, reseller) = (&self.account, open.reseller);
        let limit = u32::try_from(BATCH).unwrap_or(u32::MAX);
        let mut after = None;
        loop {
            let known = self.store.listed_customers_of_reseller(account, reseller, after, limit).await?;
            let Some(last) = known.last().copied() else { return Ok(()) };
            after = Some(last);
            let gone: Vec<_> = known.into_iter().filter(|tenant| !open.tenants.contains(tenant)).collect();
            if gone.is_empty() {
                continue;
            }
            self.store
                .write("unlist_customers_of_reseller", async |tx| {
                    tx.unlist_customers_of_reseller(account, reseller, &gone).await
                })
                .await?;
        }
    }

    /// One reseller cannot be read: it keeps what was read before, and the others are read all the same.
    fn skip_reseller(&mut self, reseller: TenantId, failure: Failure) -> Result<bool, Ended> {
        tracing::warn!(account = %self.account, reseller = %reseller, problem = failure.detail, "a reseller's customers cannot be read");
        let pass = &mut self.resellers.pass;
        pass.after = Some(reseller);
        pass.failed += 1;
        pass.failed_in_a_row += 1;
        if failure.concerns_all || pass.failed_in_a_row >= FAILURES_IN_A_ROW {
            return Err(Ended::Failed(Box::new(failure)));
        }
        pass.first_failure.get_or_insert(failure);
        Ok(true)
    }

    /// Nobody is left to read: the round ends, unless some could not be read; they are tried again.
    async fn end_reseller_pass(&mut self) -> Result<bool, Ended> {
        let pass = std::mem::take(&mut self.resellers.pass);
        if let Some(failure) = pass.first_failure {
            let detail = format!("{} resellers could not be read, the first of them: {}", pass.failed, failure.detail);
            return Err(Ended::Failed(Box::new(Failure { detail, ..failure })));
        }
        let account = &self.account;
        self.store.write("finish_reseller_round", async |tx| tx.finish_reseller_round(account).await).await?;
        self.resellers.duty.done(self.clock.now());
        tracing::info!(account = %account, "the customers of every reseller were read");
        Ok(true)
    }

    async fn resellers_failed(&mut self, now: Timestamp, failure: Failure) -> Result<(), Interruption> {
        self.resellers.pass = Pass::default();
        self.resellers.duty.failed(now, failure.rest, failure.error.as_ref());
        let is_throttled = failure.error.is_some_and(|error| matches!(error.problem, Problem::Throttled { .. }));
        // Being asked to wait is no failure of the reading; what stays away for long is.
        if is_throttled && !self.resellers.duty.is_worth_saying() {
            return Ok(());
        }
        tracing::warn!(account = %self.account, reason = failure.reason, problem = failure.detail, "the resellers cannot be read");
        let account = &self.account;
        self.store
            .write("note_reseller_problem", async |tx| {
                tx.note_reseller_problem(account, &failure.reason, &failure.detail).await
            })
            .await?;
        Ok(())
    }

    /// Makes customers show the resellers that were read; returns whether there were any.
    async fn level_resellers(&self) -> Result<bool, Interruption> {
        let account = &self.account;
        let tenants = self.store.customers_with_other_resellers(account, LEVEL_BATCH).await?;
        if tenants.is_empty() {
            return Ok(false);
        }
        let changed = self
            .store
            .write("level_resellers", async |tx| {
                let mut changed = 0_u32;
                for tenant in &tenants {
                    changed += u32::from(tx.level_resellers(account, *tenant).await?);
                }
                Ok::<_, store::Error>(changed)
            })
            .await?;
        tracing::info!(account = %account, customers = changed, "customers are served by other resellers");
        Ok(true)
    }
}

/// When the account's resellers are to be read on, or once more.
fn due_at(standing: &ResellerReading, now: Timestamp) -> Option<Timestamp> {
    if standing.under_way {
        return Some(now);
    }
    // No round is put off for longer than the pause; a time that is further ahead is a clock that was set back.
    let after_the_last = |began: Timestamp| began.plus(PAUSE).min(now.plus(LONGEST_ASKED_REST));
    standing.is_wanted().then(|| standing.began_at.map_or(now, after_the_last))
}
