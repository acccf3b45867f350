//! Ends relationships on complete evidence, when few enough end at once; holds them otherwise (R9).
//!
//! What an operator was asked about stays the operator's: it is never ended here, also not when only few of a held set are
//! left, or when it was turned down and is gone all the same. Paused customers are neither ended nor held.

use std::collections::BTreeSet;

use crate::domain::ids::{RunId, TenantId};
use crate::domain::observation::Observed;
use crate::domain::removal;
use crate::partner_center::PartnerCenter;
use crate::store::{self, CallTally};
use crate::sync::{Interruption, Worker};

/// How many other customers are asked about before the credentials count as unproven.
const CONTROLS: u32 = 3;

impl Worker {
    /// Decides about the customers that seem gone, after a run has looked at all of them.
    pub(super) async fn decide_removals(&mut self, run: RunId) -> Result<(), Interruption> {
        self.release_the_unproven(run).await?;
        let found = self.store.removal_candidates(&self.account).await?;
        let candidates: Vec<_> = found.into_iter().filter(|candidate| candidate.evidence.is_complete()).collect();
        if candidates.is_empty() {
            return Ok(());
        }
        let active = self.store.active_customers(&self.account).await?;
        let few = u64::try_from(candidates.len()).unwrap_or(u64::MAX) <= removal::limit(active);
        // What waits for an operator is not ended because the rest of it came back.
        let waits = candidates.iter().any(|candidate| candidate.is_for_operator);
        let decided = few && !waits;
        // Credentials that have lost their rights make everybody look gone; another customer tells them apart. As long
        // as none does, nothing is decided: the next run asks again.
        if decided && !self.another_customer_is_there(run).await? {
            tracing::warn!(account = %self.account, run = %run, customers = candidates.len(), "customers seem gone, and no other one proves that the credentials still work");
            return Ok(());
        }
        let tenants = candidates.iter().map(|candidate| candidate.tenant_id).collect();
        self.save_departures(&tenants, decided, run).await?;
        tracing::warn!(account = %self.account, run = %run, customers = candidates.len(), ended = decided, "customers are gone in partner center");
        Ok(())
    }

    async fn another_customer_is_there(&mut self, run: RunId) -> Result<bool, Interruption> {
        let upstream = self.upstream.metered();
        let found = self.one_is_there(&upstream).await;
        let (account, calls) = (&self.account, upstream.metered_calls());
        if calls > 0 {
            // Each asks about somebody else, or again with a new token.
            let tally = CallTally { calls, retries: 0 };
            self.store.write("count_calls", async |tx| tx.count_calls(account, run, tally).await).await?;
        }
        found
    }

    async fn one_is_there(&self, upstream: &PartnerCenter) -> Result<bool, Interruption> {
        for tenant in self.store.present_customers(&self.account, CONTROLS).await? {
            let mark = self.next_mark().await?;
            match upstream.observe(tenant, mark).await {
                Ok(observation) if matches!(observation.observed, Observed::Present(_)) => return Ok(true),
                Ok(_) => {}
                Err(error) => {
                    tracing::info!(account = %self.account, error = %error, "a control question was not answered");
                }
            }
        }
        Ok(false)
    }

    /// A held customer that is listed again and still not found is no longer gone as far as can be told: it leaves the hold.
    async fn release_the_unproven(&self, run: RunId) -> Result<(), Interruption> {
        let held = self.store.held_customers(&self.account).await?;
        if held.iter().all(|held| held.evidence.is_complete()) {
            return Ok(());
        }
        let account = &self.account;
        self.store
            .write("release_the_unproven", async |tx| {
                for held in tx.held_customers(account).await? {
                    if held.evidence.is_complete() {
                        continue;
                    }
                    let customer = tx.customer_of_tenant_for_update(account, held.tenant_id).await?;
                    if let Some(departure) = customer.as_ref().and_then(removal::stay) {
                        tx.save_departure(&departure, None, Some(run)).await?;
                    }
                }
                Ok::<_, store::Error>(())
            })
            .await?;
        Ok(())
    }

    /// Ends or holds these customers, on the evidence as it is in the transaction: an operator may have paused or kept one
    /// of them meanwhile.
    async fn save_departures(&self, tenants: &BTreeSet<TenantId>, end: bool, run: RunId) -> Result<(), Interruption> {
        let account = &self.account;
        self.store
            .write("save_departures", async |tx| {
                for candidate in tx.removal_candidates(account).await? {
                    if !tenants.contains(&candidate.tenant_id) {
                        continue;
                    }
                    let Some(customer) = tx.customer_of_tenant_for_update(account, candidate.tenant_id).await? else {
                        continue;
                    };
                    let departure = if end && !candidate.is_for_operator {
                        removal::end(&customer, candidate.evidence, candidate.mark)
                    } else {
                        removal::hold(&customer, candidate.evidence)
                    };
                    if let Some(departure) = departure {
                        tx.save_departure(&departure, None, Some(run)).await?;
                    }
                }
                Ok::<_, store::Error>(())
            })
            .await?;
        Ok(())
    }
}
