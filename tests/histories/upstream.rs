//! What happens in Partner Center, and what of it can be known.

use std::time::Duration;

use customer_guard::simulator::audit::{AuditEntry, OperationStatus};
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::customer::BillingProfile;
use customer_guard::simulator::faults::{Effect, Fault};
use customer_guard::simulator::operations::{AuditTrail, NewCustomer};
use customer_guard::simulator::partner::{Knobs, Partner};
use uuid::Uuid;

use crate::history::Who;
use crate::truth::{Face, Heard, Presence};
use crate::world::World;

/// So many stay when others leave.
const STAY: usize = 3;

impl World {
    /// A contact changes; nobody has noted yet what tells of it.
    pub fn set_email(&mut self, tenant: Uuid, trail: AuditTrail) {
        let new = format!("step{}@customer.example", self.step);
        let set = |profile: &mut BillingProfile| profile.email = Some(new);
        match trail {
            AuditTrail::Recorded => self.simulator.change_billing_profile(self.tenant(), tenant, set),
            AuditTrail::Omitted => self.simulator.change_silently(self.tenant(), tenant, set),
        }
        .expect("a customer");
        self.looks_different(tenant);
    }

    /// Notes what a customer looks like now; nothing has told of it yet.
    fn looks_different(&mut self, tenant: Uuid) {
        let face = Face::there(&self.simulator.customer(self.tenant(), tenant).expect("a customer"));
        let known = self.truth.of(tenant);
        if known.faces.last() != Some(&face) {
            known.faces.push(face);
        }
        known.heard = Heard::Silent;
    }

    /// Something tells of everything that has happened to that customer.
    pub fn tells(&mut self, tenant: Uuid) {
        let waiting = self.simulator.faults(self.tenant()).waiting();
        let pending = waiting.iter().filter(|fault| is_false_detail(fault)).count();
        self.truth.signalled(tenant, u32::try_from(pending).expect("few"));
    }

    pub fn change(&mut self, who: Who, trail: AuditTrail) -> Option<Uuid> {
        let tenant = self.truth.one(who, Presence::There)?;
        self.set_email(tenant, trail);
        match trail {
            AuditTrail::Recorded => self.tells(tenant),
            AuditTrail::Omitted => {}
        }
        Some(tenant)
    }

    pub fn change_slowly(&mut self, who: Who) {
        let Some(tenant) = self.change(who, AuditTrail::Omitted) else { return };
        let customer = self.simulator.customer(self.tenant(), tenant).expect("a customer");
        let entry = AuditEntry {
            operation_status: OperationStatus::Progress,
            ..AuditEntry::about(&customer, "update_customer_billing_profile")
        };
        let record = self.simulator.append_audit(self.tenant(), entry).expect("a partner");
        self.unfinished.push((tenant, record, self.clock.now()));
    }

    pub fn finish_records(&mut self) {
        for (tenant, record, since) in std::mem::take(&mut self.unfinished) {
            self.simulator.finish_audit(self.tenant(), &record, OperationStatus::Succeeded).expect("a record");
            // Today and yesterday are read again every time.
            let took = self.clock.now().since(since) + self.truth.went_back;
            if took < Duration::from_secs(20 * 3600) && !self.nature.clock_is_set {
                self.tells(tenant);
            } else {
                self.truth.slow_records.insert(record);
            }
        }
    }

    pub fn rename(&mut self, who: Who) {
        let Some(tenant) = self.truth.one(who, Presence::There) else { return };
        self.simulator.rename(self.tenant(), tenant, &format!("Renamed {}", self.step)).expect("a customer");
        self.looks_different(tenant);
        self.tells(tenant);
    }

    pub fn rename_tenant(&mut self, who: Who) {
        let Some(tenant) = self.truth.one(who, Presence::There) else { return };
        self.simulator.rename_tenant(self.tenant(), tenant, &format!("Tenant {}", self.step)).expect("a customer");
        self.looks_different(tenant);
    }

    pub fn arrive(&mut self, new: NewCustomer, trail: AuditTrail) {
        let arrived = match trail {
            AuditTrail::Recorded => self.simulator.add_customer(self.tenant(), new),
            AuditTrail::Omitted => {
                let audited = |audited| move |knobs: &mut Knobs| knobs.acceptance_audited = audited;
                self.simulator.set_knobs(self.tenant(), audited(false)).expect("a partner");
                let arrived = self.simulator.accept_customer(self.tenant(), new);
                self.simulator.set_knobs(self.tenant(), audited(true)).expect("a partner");
                arrived
            }
        };
        let arrived = arrived.expect("a new customer");
        self.truth.arrived(&arrived, self.clock.now(), Heard::Signalled);
        self.tells(arrived.id);
    }

    pub fn arrive_alike(&mut self, who: Who, trail: AuditTrail) {
        let Some(own) = self.truth.own_one(who, |own| !own.is_deleted && own.linked.is_none()) else { return };
        let domain = self.truth.records[&own].written.as_ref().map(|written| written.domain.clone());
        self.arrive(NewCustomer { domain, ..NewCustomer::default() }, trail);
    }

    pub fn leave(&mut self, who: Who, trail: AuditTrail) {
        let Some(tenant) = self.truth.one(who, Presence::There).filter(|_| self.truth.there() > STAY) else { return };
        self.simulator.remove_relationship(self.tenant(), tenant, trail).expect("a customer");
        let now = self.clock.now();
        let known = self.truth.of(tenant);
        known.there_since = None;
        known.first_left_at.get_or_insert(now);
        known.leave_recorded |= trail == AuditTrail::Recorded;
    }

    pub fn come_back(&mut self, who: Who) {
        let Some(tenant) = self.truth.one(who, Presence::Gone) else { return };
        let returning = NewCustomer { id: Some(tenant), ..NewCustomer::default() };
        self.simulator.accept_customer(self.tenant(), returning).expect("a former customer");
        self.looks_different(tenant);
        self.truth.of(tenant).there_since = Some(self.clock.now());
        self.tells(tenant);
    }

    pub fn fault(&mut self, fault: Fault) {
        if is_false_detail(&fault) {
            self.truth.false_details += 1;
        }
        self.simulator.faults(self.tenant()).push(fault).expect("a partner");
    }

    /// The detail of a customer is wrong until things are mended.
    pub fn spoil(&mut self, who: Who, effect: impl FnOnce(Uuid) -> Effect) {
        let Some(tenant) = self.truth.one(who, Presence::There) else { return };
        let known = self.truth.of(tenant);
        (known.is_spoilt, known.was_spoilt) = (true, true);
        self.fault(Fault::always(effect(tenant)));
    }

    pub fn hide(&mut self, who: Who) {
        let Some(customer) = self.truth.one(who, Presence::There) else { return };
        self.fault(Fault::always(Effect::HideFromList { customer }));
    }

    pub fn revoke_secret(&mut self) {
        let other = Partner { client_secret: "another".to_owned(), ..self.partner.clone() };
        self.simulator.add_partner(other);
        self.simulator.revoke_tokens(self.tenant()).expect("a partner");
    }

    pub fn mend(&mut self) {
        self.simulator.add_partner(self.partner.clone());
        self.simulator.faults(self.tenant()).clear().expect("a partner");
        for known in self.truth.known.values_mut() {
            known.is_spoilt = false;
        }
    }
}

/// Whether a fault makes the detail of a customer say what is not so.
fn is_false_detail(fault: &Fault) -> bool {
    matches!(fault.on, None | Some(Route::Get))
        && matches!(fault.effect, Effect::Forbidden { .. } | Effect::WrongBody { .. })
}
