//! Playing Microsoft: everything that can happen to a partner and its customers, as methods of [`Simulator`]. The
//! control API calls these same methods, so there is one implementation of each event.

use std::ops::Bound;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::audit::{self, AuditEntry, AuditRecord, OperationStatus};
use super::calls::Calls;
use super::customer::{BillingProfile, Customer, Relationship};
use super::faults::Fault;
use super::guid;
use super::partner::{Knobs, Partner, PartnerCenter, PartnerKind};
use super::past;
use super::profiles::{self, Actor};
use super::registration::Registration;
use super::resellers;
use super::seed;
use super::token;
use super::{Error, Simulator};

/// A customer to come. What is not given is drawn at random, or kept if the tenant was a customer before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct NewCustomer {
    /// The tenant; a former customer's id brings that customer back.
    #[serde(with = "guid::optional")]
    pub id: Option<Uuid>,
    /// The name of tenant and bill-to company.
    pub company_name: Option<String>,
    /// The initial domain.
    pub domain: Option<String>,
    /// What the customer is to the partner.
    pub relationship: Option<Relationship>,
    /// Whether the partner gets delegated admin privileges.
    pub delegated_access: Option<bool>,
    /// The whole billing profile.
    pub billing_profile: Option<BillingProfile>,
}

/// Whether an event is written to the audit log, where Microsoft may or may not do so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditTrail {
    /// A record is written.
    Recorded,
    /// No record is written.
    Omitted,
}

/// A partner's fault script.
#[derive(Clone)]
pub struct Faults {
    simulator: Simulator,
    partner: Uuid,
}

impl Simulator {
    /// Adds a partner. One that exists keeps its customers and gets the new credentials.
    pub fn add_partner(&self, partner: Partner) {
        let mut partners = self.partners_held();
        match partners.get_mut(&partner.tenant_id) {
            Some(center) => center.partner = partner,
            None => {
                partners.insert(partner.tenant_id, PartnerCenter::new(partner));
            }
        }
    }

    /// Lists the partners, ordered by tenant id.
    pub fn partners(&self) -> Vec<Partner> {
        self.partners_held().values().map(|center| center.partner.clone()).collect()
    }

    /// Creates customers with a history older than the audit log: no record tells of them. The same seed makes the
    /// same customers.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn seed(&self, partner: Uuid, count: usize, seed: u64) -> Result<(), Error> {
        self.with(partner, |center, _| {
            let mut chance = seed::chance(partner, seed);
            let mut drawn = Vec::with_capacity(count);
            for _ in 0..count {
                let customer = seed::draw(&mut chance);
                drawn.push(customer.id);
                center.customers.insert(customer.id, customer);
            }
            resellers::seed(center, &drawn);
        })
    }

    /// The customers of a partner as they truly are; none for an unknown partner.
    pub fn customers(&self, partner: Uuid) -> Vec<Customer> {
        self.with(partner, |center, _| center.customers.values().cloned().collect()).unwrap_or_default()
    }

    /// The customers behind an id whose listed name or domain contains a text, at most `limit` of them.
    pub fn find_customers(&self, partner: Uuid, text: &str, after: Option<Uuid>, limit: usize) -> Vec<Customer> {
        let text = text.to_lowercase();
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.with(partner, |center, _| {
            center
                .customers
                .range((begin, Bound::Unbounded))
                .map(|(_, customer)| customer)
                .filter(|customer| {
                    customer.listed_name().to_lowercase().contains(&text) || customer.domain.contains(&text)
                })
                .take(limit)
                .cloned()
                .collect()
        })
        .unwrap_or_default()
    }

    /// One customer as it truly is.
    pub fn customer(&self, partner: Uuid, id: Uuid) -> Option<Customer> {
        self.with(partner, |center, _| center.customers.get(&id).cloned()).ok().flatten()
    }

    /// How many customers a partner has.
    pub fn customer_count(&self, partner: Uuid) -> usize {
        self.with(partner, |center, _| center.customers.len()).unwrap_or(0)
    }

    /// An existing tenant accepts the reseller relationship, for the first time or again. Whether the audit log tells
    /// is the knob `acceptance_audited`; there never is an `add_customer` record (FACTS.md 5.4). Whoever registered for
    /// it gets an event.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner and for a tenant that is a customer already.
    pub fn accept_customer(&self, partner: Uuid, new: NewCustomer) -> Result<Customer, Error> {
        self.with(partner, |center, now| {
            let customer = arrive(center, new, now)?;
            if center.knobs.acceptance_audited {
                let operation = match center.partner.kind {
                    PartnerKind::DirectBill | PartnerKind::IndirectReseller => {
                        "reseller_relationship_accepted_by_customer"
                    }
                    PartnerKind::IndirectProvider => "indirect_reseller_relationship_accepted_by_customer",
                };
                let entry = AuditEntry::about(&customer, operation);
                profiles::record(center, entry, Actor::Customer, now);
            }
            let event = match center.partner.kind {
                PartnerKind::DirectBill | PartnerKind::IndirectReseller => "reseller-relationship-accepted-by-customer",
                PartnerKind::IndirectProvider => "indirect-reseller-relationship-accepted-by-customer",
            };
            let uri = format!("https://api.partnercenter.microsoft.com/v1/customers/{}", customer.id);
            center.announce(event, ("Customer", uri), None, now);
            Ok(customer)
        })?
    }

    /// The partner creates a customer with a new tenant; the audit log has the whole customer (FACTS.md 5.3).
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner and for a tenant that is a customer already.
    pub fn add_customer(&self, partner: Uuid, new: NewCustomer) -> Result<Customer, Error> {
        self.with(partner, |center, now| {
            let customer = arrive(center, new, now)?;
            let entry = AuditEntry {
                resource_new_value: audit::as_value(customer.resource()),
                ..AuditEntry::about(&customer, "add_customer")
            };
            profiles::record(center, entry, Actor::User, now);
            Ok(customer)
        })?
    }

    /// The partner changes a billing profile; the audit log has the old and the new value.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner or customer.
    pub fn change_billing_profile(
        &self,
        partner: Uuid,
        id: Uuid,
        change: impl FnOnce(&mut BillingProfile),
    ) -> Result<(), Error> {
        self.change_billing(partner, id, change, Actor::User)
    }

    /// The customer changes its billing profile; the audit log does not tell.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner or customer.
    pub fn change_silently(
        &self,
        partner: Uuid,
        id: Uuid,
        change: impl FnOnce(&mut BillingProfile),
    ) -> Result<(), Error> {
        self.change_billing(partner, id, change, Actor::Customer)
    }

    fn change_billing(
        &self,
        partner: Uuid,
        id: Uuid,
        change: impl FnOnce(&mut BillingProfile),
        actor: Actor,
    ) -> Result<(), Error> {
        let found = self.with(partner, |center, now| profiles::change_billing(center, id, change, actor, now))?;
        found.then_some(()).ok_or(Error::UnknownCustomer)
    }

    /// The partner changes the bill-to company name, which lists show too (FACTS.md 2.1).
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner or customer.
    pub fn rename(&self, partner: Uuid, id: Uuid, name: &str) -> Result<(), Error> {
        self.with(partner, |center, now| {
            past::remember(center, id, now);
            let customer = center.customers.get_mut(&id).ok_or(Error::UnknownCustomer)?;
            customer.billing_profile.company_name = Some(name.to_owned());
            let operation = "update_customer_partner_contract_company_name";
            let entry = AuditEntry::about(customer, operation);
            profiles::record(center, entry, Actor::User, now);
            Ok(())
        })?
    }

    /// The customer renames its tenant: neither lists nor the audit log tell (FACTS.md 2.1).
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner or customer.
    pub fn rename_tenant(&self, partner: Uuid, id: Uuid, name: &str) -> Result<(), Error> {
        self.with(partner, |center, now| {
            past::remember(center, id, now);
            let customer = center.customers.get_mut(&id).ok_or(Error::UnknownCustomer)?;
            // A customer without a bill-to name is listed under the name it had when it came.
            let listed = customer.listed_name().to_owned();
            customer.billing_profile.company_name.get_or_insert(listed);
            name.clone_into(&mut customer.tenant_name);
            Ok(())
        })?
    }

    /// The relationship ends: the customer leaves the list and get-by-id answers 403/20002 (FACTS.md 4).
    /// [`Simulator::accept_customer`] with the same id brings it back.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner or customer.
    pub fn remove_relationship(&self, partner: Uuid, id: Uuid, trail: AuditTrail) -> Result<(), Error> {
        self.with(partner, |center, now| {
            past::remember(center, id, now);
            let customer = center.customers.remove(&id).ok_or(Error::UnknownCustomer)?;
            let entry = AuditEntry {
                resource_type: "partner_customer_relationship".to_owned(),
                ..AuditEntry::about(&customer, "remove_partner_customer_relationship")
            };
            center.former.insert(id, customer);
            match trail {
                AuditTrail::Recorded => profiles::record(center, entry, Actor::User, now),
                AuditTrail::Omitted => {}
            }
            Ok(())
        })?
    }

    /// Writes any record, for example a failed `add_customer` without customer or an order of a customer; tells its id.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn append_audit(&self, partner: Uuid, entry: AuditEntry) -> Result<String, Error> {
        self.with(partner, |center, now| center.audit.append(partner, entry, now))
    }

    /// Ends an operation under way: the record keeps its id and changes its status (FACTS.md 5.5).
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner or record.
    pub fn finish_audit(&self, partner: Uuid, record: &str, status: OperationStatus) -> Result<(), Error> {
        let found = self.with(partner, |center, _| center.audit.finish(record, status))?;
        found.then_some(()).ok_or(Error::UnknownAuditRecord)
    }

    /// The audit log of a partner, oldest first, whatever its age.
    pub fn audit_records(&self, partner: Uuid) -> Vec<AuditRecord> {
        self.with(partner, |center, _| center.audit.records().cloned().collect()).unwrap_or_default()
    }

    /// The webhook registration of a partner.
    pub fn registration(&self, partner: Uuid) -> Option<Registration> {
        self.with(partner, |center, _| center.webhooks.registration.clone()).ok().flatten()
    }

    /// Somebody else's software takes the partner's only registration (FACTS.md 6.1).
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn set_foreign_registration(&self, partner: Uuid, url: &str) -> Result<(), Error> {
        self.with(partner, |center, now| {
            center.webhooks.registration = Some(Registration {
                subscriber_id: partner,
                webhook_url: url.to_owned(),
                webhook_events: vec!["test-created".to_owned(), "subscription-updated".to_owned()],
                signature_token_to_ms_signature_header: false,
                last_modified: now.timestamp(),
            });
        })
    }

    /// Takes the registration away, which only Microsoft's support could do.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn remove_registration(&self, partner: Uuid) -> Result<(), Error> {
        self.with(partner, |center, _| center.webhooks.registration = None)
    }

    /// Refuses every access token issued until now. The next second's are good again, as tokens tell whole seconds.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn revoke_tokens(&self, partner: Uuid) -> Result<(), Error> {
        self.with(partner, |center, now| {
            center.tokens_valid_from = token::after(now);
        })
    }

    /// How often the partner called what; zeroes for an unknown partner.
    pub fn calls(&self, partner: Uuid) -> Calls {
        self.with(partner, |center, _| center.calls).unwrap_or_default()
    }

    /// Starts counting anew.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn reset_calls(&self, partner: Uuid) -> Result<(), Error> {
        self.with(partner, |center, _| center.calls = Calls::default())
    }

    /// How Partner Center behaves towards the partner; the defaults for an unknown one.
    pub fn knobs(&self, partner: Uuid) -> Knobs {
        self.with(partner, |center, _| center.knobs.clone()).unwrap_or_default()
    }

    /// Changes how Partner Center behaves towards the partner.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn set_knobs(&self, partner: Uuid, change: impl FnOnce(&mut Knobs)) -> Result<(), Error> {
        self.with(partner, |center, _| change(&mut center.knobs))
    }

    /// The fault script of a partner.
    pub fn faults(&self, partner: Uuid) -> Faults {
        Faults { simulator: self.clone(), partner }
    }
}

impl Faults {
    /// Adds a fault behind the others.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn push(&self, fault: Fault) -> Result<(), Error> {
        self.simulator.with(self.partner, |center, _| center.faults.push(fault))
    }

    /// Drops all faults, waiting and standing.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn clear(&self) -> Result<(), Error> {
        self.simulator.with(self.partner, |center, _| center.faults.clear())
    }

    /// The faults still to strike; none for an unknown partner.
    pub fn waiting(&self) -> Vec<Fault> {
        self.simulator.with(self.partner, |center, _| center.faults.waiting()).unwrap_or_default()
    }
}

/// Puts a customer into the list.
fn arrive(center: &mut PartnerCenter, new: NewCustomer, now: DateTime<Utc>) -> Result<Customer, Error> {
    if new.id.is_some_and(|id| center.customers.contains_key(&id)) {
        return Err(Error::AlreadyACustomer);
    }
    if let Some(id) = new.id {
        past::remember(center, id, now);
    }
    let returning = new.id.and_then(|id| center.former.remove(&id));
    let mut customer = returning.unwrap_or_else(|| {
        center.draws += 1;
        // Drawn seeds count down from the top, where no caller's seed is likely to be.
        seed::draw(&mut seed::chance(center.partner.tenant_id, u64::MAX - center.draws))
    });
    if let Some(id) = new.id {
        customer.id = id;
    }
    if let Some(profile) = new.billing_profile {
        customer.billing_profile = profile;
    }
    if let Some(name) = new.company_name {
        customer.tenant_name.clone_from(&name);
        customer.billing_profile.company_name = Some(name);
    }
    if let Some(domain) = new.domain {
        customer.domain = domain;
    }
    customer.relationship = new.relationship.unwrap_or(Relationship::Reseller);
    if let Some(delegated_access) = new.delegated_access {
        customer.delegated_access = delegated_access;
    }
    center.customers.insert(customer.id, customer.clone());
    resellers::arrived(center, customer.id);
    Ok(customer)
}
