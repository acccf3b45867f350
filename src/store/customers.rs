//! Customers: reading them, and the two doors through which they are written.
//!
//! Door one is [`Tx::save_edit`] (and [`Tx::save_new`]): a caller, reviewed. Door two is [`Tx::save_plans`]: Partner
//! Center, by right; a link takes it as well, and what undoes the link gives back what was there. [`Tx::save_departure`]
//! only ends or holds a relationship, [`Tx::save_pause`] only its synchronization, [`Tx::level_resellers`] who serves it. Each writes the change log with it.

use std::collections::HashMap;

use crate::domain::create::AdmittedCustomer;
use crate::domain::customer::{Customer, Relationship, SyncState};
use crate::domain::deletion::Deletion;
use crate::domain::field::Field;
use crate::domain::ids::{CustomerId, PartnerAccountId, RunId, TenantId};
use crate::domain::observation::Observation;
use crate::domain::pause::PauseChange;
use crate::domain::reconcile::{Plan, Step};
use crate::domain::removal::Departure;
use crate::domain::review::AllowedEdit;
use crate::store::changes::{ChangeKind, PARTNER_CENTER};
use crate::store::customer_row::{self, customer_columns, customer_tables};
use crate::store::statement::statement;
use crate::store::{DirtyCustomer, Error, Store, Tx};

const INSERT: &str = "
    INSERT INTO customer (
        account, id, source, revision, company_name, domain, primary_first_name, primary_last_name,
        primary_email, primary_phone_number, primary_language, primary_culture, primary_country, primary_region,
        primary_state, primary_district, primary_city, primary_address_line1, primary_address_line2,
        primary_address_line3, primary_postal_code, billing_first_name, billing_last_name, billing_email,
        billing_phone_number, billing_language, billing_culture, billing_country, billing_region, billing_state,
        billing_district, billing_city, billing_address_line1, billing_address_line2, billing_address_line3,
        billing_postal_code, external_reference, labels, note, status, microsoft_tenant_id, tenant_name,
        relationship, upstream_relationship, sync_state, observation_epoch, observation_ticket, created_at,
        updated_at, deleted_at
    ) VALUES (
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
        $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43,
        $44, $45, $46, $47, $48, $49, $50
    )";

/// What a caller's edit may write. The columns of an observation are not among them: the database then refuses
/// any change of what Partner Center owns.
const UPDATE_BY_CALLER: &str = "
    UPDATE customer SET
        revision = $4, company_name = $5, domain = $6, primary_first_name = $7, primary_last_name = $8,
        primary_email = $9, primary_phone_number = $10, primary_language = $11, primary_culture = $12,
        primary_country = $13, primary_region = $14, primary_state = $15, primary_district = $16,
        primary_city = $17, primary_address_line1 = $18, primary_address_line2 = $19,
        primary_address_line3 = $20, primary_postal_code = $21, billing_first_name = $22,
        billing_last_name = $23, billing_email = $24, billing_phone_number = $25, billing_language = $26,
        billing_culture = $27, billing_country = $28, billing_region = $29, billing_state = $30,
        billing_district = $31, billing_city = $32, billing_address_line1 = $33, billing_address_line2 = $34,
        billing_address_line3 = $35, billing_postal_code = $36, external_reference = $37, labels = $38,
        note = $39, status = $40, updated_at = $49
    WHERE account = $1 AND id = $2 AND revision = $4 - 1";

const UPDATE_BY_OBSERVATION: &str = "
    UPDATE customer SET
        source = $3, revision = $4, company_name = $5, domain = $6, primary_first_name = $7,
        primary_last_name = $8, primary_email = $9, primary_phone_number = $10, primary_language = $11,
        primary_culture = $12, primary_country = $13, primary_region = $14, primary_state = $15,
        primary_district = $16, primary_city = $17, primary_address_line1 = $18, primary_address_line2 = $19,
        primary_address_line3 = $20, primary_postal_code = $21, billing_first_name = $22,
        billing_last_name = $23, billing_email = $24, billing_phone_number = $25, billing_language = $26,
        billing_culture = $27, billing_country = $28, billing_region = $29, billing_state = $30,
        billing_district = $31, billing_city = $32, billing_address_line1 = $33, billing_address_line2 = $34,
        billing_address_line3 = $35, billing_postal_code = $36, external_reference = $37, labels = $38,
        note = $39, status = $40, microsoft_tenant_id = $41, tenant_name = $42, relationship = $43,
        upstream_relationship = $44, sync_state = $45, observation_epoch = $46, observation_ticket = $47,
        updated_at = $49
    WHERE account = $1 AND id = $2 AND revision = $4 - 1";

/// Deletes or brings back, and leaves everything else as it is.
const UPDATE_DELETION: &str = "
    UPDATE customer SET revision = $4, updated_at = $49, deleted_at = $50
    WHERE account = $1 AND id = $2 AND revision = $4 - 1";

/// Leaves the observation where it is: a state says nothing of what Partner Center owns.
const UPDATE_STATE: &str = "
    UPDATE customer SET revision = $4, sync_state = $45, updated_at = $49
    WHERE account = $1 AND id = $2 AND revision = $4 - 1";

/// Counts a change of what is kept beside the customer, and leaves the customer as it is.
const UPDATE_BESIDE: &str = "
    UPDATE customer SET revision = $4, updated_at = $49
    WHERE account = $1 AND id = $2 AND revision = $4 - 1";

/// What became of an edit.
#[derive(Debug)]
pub enum Saved {
    /// It was written; the customer as it is now.
    Now(Customer),
    /// It changes nothing; nothing was written.
    Unchanged(Customer),
    /// The record moved on since it was reviewed; nothing was written.
    Stale,
}

/// What became of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavedPlan {
    /// The answer was older than what we show.
    Outdated,
    /// A new customer.
    Created,
    /// The customer changed.
    Changed,
    /// The customer was level already.
    Verified,
    /// The answer could not be applied.
    Quarantined,
    /// Partner Center says it is gone; that is noted as evidence.
    NotedGone,
    /// The customer is paused; nothing was written.
    Paused,
    /// It looks like platform customers and waits for a decision.
    AwaitsLink,
}

impl Store {
    /// One customer.
    pub async fn customer(&self, account: &PartnerAccountId, id: CustomerId) -> Result<Option<Customer>, Error> {
        let row = statement(concat!(
            "SELECT ",
            customer_columns!(),
            customer_tables!(),
            "WHERE c.account = $1 AND c.id = $2"
        ))
        .bind(account.as_str())
        .bind(id.to_string())
        .fetch_optional(&self.backend)
        .await?;
        row.as_ref().map(customer_row::customer).transpose()
    }

    /// The customer of that tenant.
    pub async fn customer_of_tenant(
        &self,
        account: &PartnerAccountId,
        tenant: TenantId,
    ) -> Result<Option<Customer>, Error> {
        let row = statement(SELECT_BY_TENANT)
            .bind(account.as_str())
            .bind(tenant.to_string())
            .fetch_optional(&self.backend)
            .await?;
        row.as_ref().map(customer_row::customer).transpose()
    }
}

const SELECT_BY_TENANT: &str =
    concat!("SELECT ", customer_columns!(), customer_tables!(), "WHERE c.account = $1 AND c.microsoft_tenant_id = $2");

impl Tx {
    /// One customer; nobody else can write it before this transaction ends.
    pub async fn customer_for_update(
        &mut self,
        account: &PartnerAccountId,
        id: CustomerId,
    ) -> Result<Option<Customer>, Error> {
        let row = statement(concat!(
            "SELECT ",
            customer_columns!(),
            customer_tables!(),
            "WHERE c.account = $1 AND c.id = $2"
        ))
        .bind(account.as_str())
        .bind(id.to_string())
        .fetch_optional(self.connection())
        .await?;
        row.as_ref().map(customer_row::customer).transpose()
    }

    /// The customer of that tenant; nobody else can write it before this transaction ends.
    pub async fn customer_of_tenant_for_update(
        &mut self,
        account: &PartnerAccountId,
        tenant: TenantId,
    ) -> Result<Option<Customer>, Error> {
        let row = statement(SELECT_BY_TENANT)
            .bind(account.as_str())
            .bind(tenant.to_string())
            .fetch_optional(self.connection())
            .await?;
        row.as_ref().map(customer_row::customer).transpose()
    }

    /// The customers of those tenants, as far as they have a record; nobody else can write them before this transaction
    /// ends.
    pub async fn customers_of_tenants_for_update(
        &mut self,
        account: &PartnerAccountId,
        tenants: &[TenantId],
    ) -> Result<HashMap<TenantId, Customer>, Error> {
        const SELECT: &str = concat!(
            "SELECT ",
            customer_columns!(),
            customer_tables!(),
            "WHERE c.account = $1 AND c.microsoft_tenant_id IN (SELECT value FROM json_each($2))"
        );
        let tenants = serde_json::Value::from_iter(tenants.iter().map(TenantId::to_string));
        let rows =
            statement(SELECT).bind(account.as_str()).bind(tenants.to_string()).fetch_all(self.connection()).await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in &rows {
            let customer = customer_row::customer(row)?;
            found.extend(customer.microsoft.as_ref().map(|link| link.tenant_id).map(|tenant| (tenant, customer)));
        }
        Ok(found)
    }

    /// Stores a caller's new customer.
    pub async fn save_new(&mut self, admitted: AdmittedCustomer, caller: &str) -> Result<Customer, Error> {
        let customer = admitted.customer().clone();
        self.insert(&customer).await?;
        self.log_change(&customer, ChangeKind::Created, &[], caller, None).await?;
        self.look_at_pending_links_of(&customer).await?;
        Ok(customer)
    }

    /// Stores a reviewed edit: door one.
    pub async fn save_edit(&mut self, edit: AllowedEdit, caller: &str) -> Result<Saved, Error> {
        // Not `changed`: billing that is to follow an equal primary contact again shows no difference yet.
        if edit.before() == edit.after() {
            return Ok(Saved::Unchanged(edit.before().clone()));
        }
        let after = self.next_revision(edit.after());
        if !self.update(UPDATE_BY_CALLER, &after).await? {
            return Ok(Saved::Stale);
        }
        self.log_change(&after, ChangeKind::Edited, edit.changed(), caller, None).await?;
        self.look_at_pending_links_of(&after).await?;
        Ok(Saved::Now(after))
    }

    /// Stores a deletion, or the return from one.
    pub async fn save_deletion(&mut self, deletion: Deletion, caller: &str) -> Result<Customer, Error> {
        let after = self.next_revision(deletion.after());
        self.update_locked(UPDATE_DELETION, &after).await?;
        let kind = if after.deleted_at.is_some() { ChangeKind::Deleted } else { ChangeKind::Undeleted };
        self.log_change(&after, kind, &[], caller, None).await?;
        self.look_at_pending_links_of(&after).await?;
        Ok(after)
    }

    /// Stores what observations of different customers mean, the answers to those works: door two. What is written alike
    /// for all of them is one statement, because a night has a plan for every customer there is.
    pub async fn save_plans(
        &mut self,
        account: &PartnerAccountId,
        plans: &[(Plan, &Observation, DirtyCustomer)],
    ) -> Result<Vec<SavedPlan>, Error> {
        let mut saved = Vec::with_capacity(plans.len());
        for (plan, observation, work) in plans {
            saved.push((*observation, *work, self.save_step(plan, observation, account, *work).await?));
        }
        self.note_saved(account, &saved).await?;
        Ok(saved.into_iter().map(|(_, _, saved)| saved).collect())
    }

    /// Stores the part of a plan that is written for each customer by itself; [`Tx::note_saved`] has to follow.
    async fn save_step(
        &mut self,
        plan: &Plan,
        observation: &Observation,
        account: &PartnerAccountId,
        work: DirtyCustomer,
    ) -> Result<SavedPlan, Error> {
        let (tenant, run) = (observation.tenant_id, work.run);
        Ok(match plan.step() {
            Step::Outdated => SavedPlan::Outdated,
            Step::Paused => SavedPlan::Paused,
            Step::Create(customer) => {
                self.insert(customer).await?;
                let place = self.log_change(customer, ChangeKind::Created, &[], PARTNER_CENTER, run).await?;
                self.explain_change(account, tenant, ChangeKind::Created, work.marked, place).await?;
                SavedPlan::Created
            }
            Step::AwaitLink(customer, alike) => {
                self.save_pending_link(tenant, customer, alike).await?;
                SavedPlan::AwaitsLink
            }
            Step::Change { before, after, changed } => {
                let after = self.next_revision(after);
                self.update_locked(UPDATE_BY_OBSERVATION, &after).await?;
                let kind = match (before.relationship(), changed.is_empty()) {
                    (Some(Relationship::Ended), _) => ChangeKind::Revived,
                    (_, true) => ChangeKind::State,
                    (_, false) => ChangeKind::Synced,
                };
                let place = self.log_change(&after, kind, changed, PARTNER_CENTER, run).await?;
                if shows_another_record(before, &after, changed) {
                    self.explain_change(account, tenant, kind, work.marked, place).await?;
                }
                SavedPlan::Changed
            }
            Step::Verify(_) => SavedPlan::Verified,
            Step::Quarantine(local, reason) => {
                if let Some(customer) = local {
                    self.save_state(customer, SyncState::Quarantined, run).await?;
                }
                self.note_unusable(account, tenant, reason).await?;
                SavedPlan::Quarantined
            }
            Step::Gone(_, answer) => {
                self.note_gone(account, tenant, observation.mark, *answer).await?;
                SavedPlan::NotedGone
            }
        })
    }

    /// Stores the part of plans that is alike for all: who is there and level, and who waits for no decision any more.
    async fn note_saved(
        &mut self,
        account: &PartnerAccountId,
        saved: &[(&Observation, DirtyCustomer, SavedPlan)],
    ) -> Result<(), Error> {
        let (mut level, mut decided) = (Vec::new(), Vec::new());
        for (observation, work, saved) in saved {
            let (is_level, is_decided) = match saved {
                SavedPlan::Created => (true, true),
                SavedPlan::Changed | SavedPlan::Verified | SavedPlan::AwaitsLink => (true, false),
                SavedPlan::NotedGone => (false, true),
                SavedPlan::Outdated | SavedPlan::Quarantined | SavedPlan::Paused => (false, false),
            };
            level.extend(is_level.then_some((observation.tenant_id, observation.mark, work.cause)));
            decided.extend(is_decided.then_some(observation.tenant_id));
        }
        if !decided.is_empty() {
            self.forget_pending_links(account, &decided).await?;
        }
        if !level.is_empty() {
            self.note_all_present(account, &level).await?;
        }
        Ok(())
    }

    /// Ends or holds a relationship on complete evidence, or lets it stay. `caller` is the operator who decided it; the
    /// rest Partner Center did.
    pub async fn save_departure(
        &mut self,
        departure: &Departure,
        caller: Option<&str>,
        run: Option<RunId>,
    ) -> Result<(), Error> {
        let after = self.next_revision(departure.after());
        let (update, kind) = match after.relationship() {
            Some(Relationship::Ended) => (UPDATE_BY_OBSERVATION, ChangeKind::Ended),
            Some(Relationship::Active) | None => (UPDATE_STATE, ChangeKind::State),
        };
        self.update_locked(update, &after).await?;
        if let Some(link) = after.microsoft.as_ref().filter(|link| link.sync_state == SyncState::HeldForRemoval) {
            self.note_held(&after.account, link.tenant_id).await?;
        }
        let actor = caller.unwrap_or(PARTNER_CENTER);
        let place = self.log_change(&after, kind, departure.changed(), actor, run).await?;
        match after.microsoft.as_ref().filter(|_| kind == ChangeKind::Ended) {
            // No look found it: all that was met until now counts.
            Some(link) => self.explain_change(&after.account, link.tenant_id, kind, i64::MAX, place).await,
            None => Ok(()),
        }
    }

    /// Begins, changes or ends a pause.
    pub async fn save_pause(&mut self, change: &PauseChange, caller: &str) -> Result<Customer, Error> {
        let after = self.next_revision(change.after());
        self.update_locked(UPDATE_STATE, &after).await?;
        if let Some(link) = &after.microsoft {
            self.note_pause(&after.account, link.tenant_id, link.paused.as_ref()).await?;
        }
        self.log_change(&after, ChangeKind::State, &[], caller, None).await?;
        Ok(after)
    }

    /// Notes a state of a customer whose relationship is active; an ended one stays ended.
    async fn save_state(&mut self, customer: &Customer, state: SyncState, run: Option<RunId>) -> Result<(), Error> {
        let mut after = self.next_revision(customer);
        match &mut after.microsoft {
            Some(link) if link.relationship == Relationship::Active && link.sync_state != state => {
                link.sync_state = state;
            }
            Some(_) | None => return Ok(()),
        }
        self.update_locked(UPDATE_STATE, &after).await?;
        self.log_change(&after, ChangeKind::State, &[], PARTNER_CENTER, run).await?;
        Ok(())
    }

    /// The record as it is with one more change now.
    pub fn next_revision(&self, customer: &Customer) -> Customer {
        Customer { revision: customer.revision.next(), updated_at: self.now(), ..customer.clone() }
    }

    async fn insert(&mut self, customer: &Customer) -> Result<(), Error> {
        customer_row::bind(statement(INSERT), customer).execute(self.connection()).await?;
        self.note_match_key(customer).await
    }

    /// Writes all of a customer whose source changes: a link that is made or undone.
    pub(super) async fn update_source(&mut self, after: &Customer) -> Result<(), Error> {
        self.update_locked(UPDATE_BY_OBSERVATION, after).await
    }

    /// Something that is kept beside the customer has changed with it.
    pub(super) async fn note_changed(&mut self, after: &Customer) -> Result<(), Error> {
        self.update_locked(UPDATE_BESIDE, after).await
    }

    async fn update_locked(&mut self, text: &'static str, after: &Customer) -> Result<(), Error> {
        if self.update(text, after).await? {
            return Ok(());
        }
        // The row was read in this transaction, so it cannot have moved.
        Err(Error::Corrupt(format!("customer {} is not at the revision it was read with", after.id)))
    }

    async fn update(&mut self, text: &'static str, after: &Customer) -> Result<bool, Error> {
        let done = customer_row::bind(statement(text), after).execute(self.connection()).await?;
        if done != 1 {
            return Ok(false);
        }
        self.note_match_key(after).await?;
        Ok(true)
    }
}

/// Whether what Partner Center says of a customer has changed, and not only how its synchronization stands.
fn shows_another_record(before: &Customer, after: &Customer, changed: &[Field]) -> bool {
    let word = |customer: &Customer| customer.microsoft.as_ref().map(|link| link.upstream_relationship.clone());
    !changed.is_empty() || word(before) != word(after)
}
