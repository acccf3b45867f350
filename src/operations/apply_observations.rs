//! Door two: what Partner Center said is applied, in the order it was asked.
//!
//! An answer that was under way when its customer was paused is dropped, and the customer stays dirty: whoever resumes it
//! has it looked at again.

use crate::domain::ids::PartnerAccountId;
use crate::domain::observation::Observation;
use crate::domain::reconcile::{self, Step};
use crate::store::{self, DirtyCustomer, Priority, SavedPlan, Store};

/// An answer, and the work it settles.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The work that was taken.
    pub work: DirtyCustomer,
    /// The answer.
    pub observation: Observation,
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
            for Answered { work, observation } in answers {
                let local = tx.customer_of_tenant_for_update(account, observation.tenant_id).await?;
                let plan = reconcile::plan(account, local.as_ref(), observation, tx.now());
                if matches!(plan.step(), Step::Paused) {
                    saved.push(SavedPlan::Paused);
                    continue;
                }
                let outcome =
                    if tx.has_newer_answer(account, observation).await? && !planted!("older-answer-overwrites") {
                        SavedPlan::Outdated
                    } else {
                        let alike = match plan.newcomer() {
                            Some(newcomer) => tx.link_candidates(observation.tenant_id, newcomer).await?,
                            None => Vec::new(),
                        };
                        let plan = plan.unless_alike(alike);
                        tx.save_plan(&plan, observation, account, work.run).await?
                    };
                tx.settle(account, *work).await?;
                if outcome == SavedPlan::Outdated {
                    // A newer answer was applied meanwhile; whether it is the newest state, only another look tells.
                    tx.mark_dirty(account, &[work.tenant_id], Priority::Signal, None).await?;
                }
                if let Some(run) = work.run {
                    tx.count_fetched(account, run, outcome != SavedPlan::Quarantined).await?;
                }
                saved.push(outcome);
            }
            Ok(saved)
        })
        .await
}
