//! Door two: what Partner Center said is applied, in the order it was asked.
//!
//! An answer that was under way when its customer was paused is dropped, and the customer stays dirty: whoever resumes it
//! has it looked at again.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::domain::ids::PartnerAccountId;
use crate::domain::look::LookCause;
use crate::domain::observation::Observation;
use crate::domain::reconcile::{self, Step};
use crate::store::{self, CallTally, DirtyCustomer, Priority, SavedPlan, Store, Tx};

/// An answer, and the work it settles.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The work that was taken.
    pub work: DirtyCustomer,
    /// The answer.
    pub observation: Observation,
    /// The calls it took.
    pub tally: CallTally,
}

/// Applies answers in one transaction and settles the work they were fetched for.
pub async fn apply_observations(
    store: &Store,
    account: &PartnerAccountId,
    answers: &[Answered],
) -> Result<Vec<SavedPlan>, store::Error> {
    store
        .write("apply_observations", async |tx| {
            let mut saved = Vec::with_capacity(answers.len());
            // Two answers about one customer are applied one after the other.
            let mut rest = answers;
            while !rest.is_empty() {
                let mut met = HashSet::new();
                let again = rest.iter().position(|answer| !met.insert(answer.observation.tenant_id));
                let (round, later) = rest.split_at(again.unwrap_or(rest.len()));
                saved.extend(apply(tx, account, round).await?);
                rest = later;
            }
            count(tx, account, answers, &saved).await?;
            Ok(saved)
        })
        .await
}

/// Applies answers about different customers. What is read and written alike for each is one statement for all: a night
/// has an answer for every customer there is.
async fn apply(tx: &mut Tx, account: &PartnerAccountId, answers: &[Answered]) -> Result<Vec<SavedPlan>, store::Error> {
    let tenants: Vec<_> = answers.iter().map(|answer| answer.observation.tenant_id).collect();
    let known = tx.customers_of_tenants_for_update(account, &tenants).await?;
    let newest = tx.newest_answers(account, &tenants).await?;
    let now = tx.now();
    let plan = |Answered { observation, .. }: &Answered| {
        let tenant = observation.tenant_id;
        let plan = reconcile::plan(account, known.get(&tenant), observation, now);
        let is_newest = newest.get(&tenant).is_none_or(|newest| *newest < observation.mark);
        let is_judged = is_newest || planted!("older-answer-overwrites") || matches!(plan.step(), Step::Paused);
        if is_judged { plan } else { reconcile::outdated() }
    };
    let plans: Vec<_> = answers.iter().map(plan).collect();
    let newcomers: Vec<_> = answers
        .iter()
        .zip(&plans)
        .filter_map(|(answer, plan)| Some((answer.observation.tenant_id, plan.newcomer()?)))
        .collect();
    let mut alike = match newcomers.as_slice() {
        _ if planted!("newcomer-joins-unasked") => HashMap::new(),
        newcomers => tx.link_candidates(newcomers).await?,
    };
    let plans: Vec<_> = answers
        .iter()
        .zip(plans)
        .map(|(Answered { work, observation, .. }, plan)| {
            let alike = alike.remove(&observation.tenant_id).unwrap_or_default();
            (plan.unless_alike(alike), observation, *work)
        })
        .collect();
    let saved = tx.save_plans(account, &plans).await?;
    settle(tx, account, answers, &saved).await?;
    Ok(saved)
}

/// Settles the work of the answers, but for the paused.
async fn settle(
    tx: &mut Tx,
    account: &PartnerAccountId,
    answers: &[Answered],
    saved: &[SavedPlan],
) -> Result<(), store::Error> {
    let looks: Vec<_> = answers.iter().map(|answer| answer.work).zip(saved.iter().copied()).collect();
    let done: Vec<_> = looks.iter().filter(|(_, saved)| *saved != SavedPlan::Paused).map(|(work, _)| *work).collect();
    tx.settle_all(account, &done).await?;
    for (work, saved) in &looks {
        if *saved != SavedPlan::Outdated {
            continue;
        }
        // A newer answer was applied meanwhile; whether it is the newest state, only another look tells.
        let cause = work.cause.unwrap_or(LookCause::Confirmation);
        tx.mark_dirty(account, &[work.tenant_id], Priority::Signal, cause).await?;
    }
    let settled: Vec<_> = looks.iter().map(|(work, saved)| (work.tenant_id, *saved)).collect();
    tx.forget_idle_audit_signals(account, &settled).await
}

/// Counts the answers for the runs that wanted them, those of the paused only by their calls.
async fn count(
    tx: &mut Tx,
    account: &PartnerAccountId,
    answers: &[Answered],
    saved: &[SavedPlan],
) -> Result<(), store::Error> {
    let mut runs = BTreeMap::new();
    for (Answered { work, tally, .. }, saved) in answers.iter().zip(saved) {
        let Some(run) = work.run else { continue };
        let (calls, fetched, unusable) = runs.entry(run).or_insert((CallTally::default(), 0_u32, 0_u32));
        *calls = calls.and(*tally);
        *fetched += u32::from(*saved != SavedPlan::Paused);
        *unusable += u32::from(*saved == SavedPlan::Quarantined);
    }
    for (run, (calls, fetched, unusable)) in runs {
        tx.count_calls(account, run, calls).await?;
        tx.count_fetched(account, run, fetched, unusable).await?;
        tx.note_progress(account, run).await?;
    }
    Ok(())
}
