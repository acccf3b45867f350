//! Door two: what Partner Center said is applied, in the order it was asked.
//!
//! An answer that was under way when its customer was paused is dropped, and the customer stays dirty: whoever resumes it
//! has it looked at again.

use std::collections::BTreeSet;

use crate::domain::ids::PartnerAccountId;
use crate::domain::look::LookCause;
use crate::domain::observation::Observation;
use crate::domain::reconcile::{self, Step};
use crate::store::{self, CallTally, DirtyCustomer, Priority, SavedPlan, Store};

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
            for Answered { work, observation, tally } in answers {
                let local = tx.customer_of_tenant_for_update(account, observation.tenant_id).await?;
                let plan = reconcile::plan(account, local.as_ref(), observation, tx.now());
                if let Some(run) = work.run {
                    tx.count_calls(account, run, *tally).await?;
                }
                if matches!(plan.step(), Step::Paused) {
                    saved.push(SavedPlan::Paused);
                    continue;
                }
                let outcome =
                    if tx.has_newer_answer(account, observation).await? && !planted!("older-answer-overwrites") {
                        SavedPlan::Outdated
                    } else {
                        let alike = match plan.newcomer() {
                            Some(_) if planted!("newcomer-joins-unasked") => Vec::new(),
                            Some(newcomer) => tx.link_candidates(observation.tenant_id, newcomer).await?,
                            None => Vec::new(),
                        };
                        let plan = plan.unless_alike(alike);
                        tx.save_plan(&plan, observation, account, *work).await?
                    };
                tx.settle(account, *work).await?;
                if outcome == SavedPlan::Outdated {
                    // A newer answer was applied meanwhile; whether it is the newest state, only another look tells.
                    let cause = work.cause.unwrap_or(LookCause::Confirmation);
                    tx.mark_dirty(account, &[work.tenant_id], Priority::Signal, cause).await?;
                }
                tx.forget_idle_audit_signals(account, work.tenant_id, outcome).await?;
                if let Some(run) = work.run {
                    tx.count_fetched(account, run, outcome != SavedPlan::Quarantined).await?;
                }
                saved.push(outcome);
            }
            let runs: BTreeSet<_> = answers.iter().filter_map(|answer| answer.work.run).collect();
            for run in runs {
                tx.note_progress(account, run).await?;
            }
            Ok(saved)
        })
        .await
}
