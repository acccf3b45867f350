//! Which part of the world each step moves.

use std::time::Duration;

use customer_guard::domain::access::Enforcement;
use customer_guard::operations::delete_customer::Direction;
use customer_guard::operations::pause_customer::Wanted;
use customer_guard::operations::start_sync::start_sync;
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, ErrorBody, Fault};
use customer_guard::simulator::operations::{AuditTrail, NewCustomer};

use crate::history::Step;
use crate::world::{LIST_INTERVAL, World, caller};

impl World {
    pub async fn happen(&mut self, step: &Step) {
        match step {
            Step::Change(who) => drop(self.change(*who, AuditTrail::Recorded)),
            Step::ChangeSilently(who) => drop(self.change(*who, AuditTrail::Omitted)),
            Step::ChangeByEvent(who, delivery) => {
                if let Some(tenant) = self.change(*who, AuditTrail::Omitted) {
                    self.announce(tenant, *delivery).await;
                }
            }
            Step::ChangeSlowly(who) => self.change_slowly(*who),
            Step::FinishRecords => self.finish_records(),
            Step::Rename(who) => self.rename(*who),
            Step::RenameTenant(who) => self.rename_tenant(*who),
            Step::Arrive(trail) => self.arrive(NewCustomer::default(), *trail),
            Step::ArriveAlike(who, trail) => self.arrive_alike(*who, *trail),
            Step::Leave(who, trail) => self.leave(*who, *trail),
            Step::Exodus(count, trail, is_noticed) => {
                (0..*count).for_each(|who| self.leave(who, *trail));
                for _ in 0..if *is_noticed { 2 } else { 0 } {
                    self.pass(LIST_INTERVAL).await;
                }
            }
            Step::Return(who) => self.come_back(*who),
            Step::EventArrives(which) => self.event_arrives(*which).await,
            Step::EventRepeats(which) => self.event_repeats(*which).await,
            Step::Arrives => self.arrives().await,
            Step::EventWhileAsked(who) => self.event_while_asked(*who).await,
            Step::PauseWhileAsked(who) => self.pause_while_asked(*who).await,
            Step::NightOfFailures(count) => {
                let broken = Effect::ServerError { status: 500, body: ErrorBody::Json };
                (0..*count).for_each(|_| self.fault(Fault::once(broken.clone()).on(Route::Get)));
                self.night().await;
            }
            Step::Pass(seconds) => self.pass(Duration::from_secs(*seconds)).await,
            Step::Tick => drop(self.tick().await),
            Step::Night => self.night().await,
            Step::SetClock(seconds) => self.set_clock(*seconds).await,
            Step::Fault(fault) => self.fault(fault.clone()),
            Step::Hide(who) => self.hide(*who),
            Step::Deny(who) => self.spoil(*who, |customer| Effect::DetailNotFound { customer }),
            Step::Blank(who) => self.spoil(*who, |customer| Effect::NullBillingProfile { customer }),
            Step::RevokeToken => self.simulator.revoke_tokens(self.tenant()).expect("a partner"),
            Step::RevokeSecret => self.revoke_secret(),
            Step::Mend => self.mend(),
            Step::Outage(table, moment, ticks) => self.outage(*table, *moment, *ticks).await,
            Step::Restart => self.restart().await,
            asked => self.is_asked(asked).await,
        }
    }

    /// Steps of callers and operators.
    async fn is_asked(&mut self, step: &Step) {
        match step {
            Step::Read(who) => self.read(*who).await,
            Step::EditGuarded(who, field, manner, seen) => self.edit_guarded(*who, *field, *manner, *seen).await,
            Step::EditWhole(who, manner, seen) => self.edit_whole(*who, *manner, *seen).await,
            Step::EditOwn(who) => self.edit_own(*who).await,
            Step::RepeatEdit(content) => self.repeat_edit(*content).await,
            Step::Create => self.create().await,
            Step::Delete(who) => self.delete(*who, Direction::Delete).await,
            Step::Undelete(who) => self.delete(*who, Direction::Undelete).await,
            Step::DecideLink(who, ruling) => self.decide_link(*who, *ruling).await,
            Step::Link(own, who) => self.link_any(*own, *who).await,
            Step::Unlink(who) => self.unlink(*who).await,
            Step::Pause(who) => self.pause(*who, self.pause_reason()).await,
            Step::Resume(who) => self.pause(*who, Wanted::Resume).await,
            Step::LookAtHold => self.look_at_hold().await,
            Step::DecideHoldLate(who, ruling) => {
                self.look_at_hold().await;
                self.come_back(*who);
                self.pass(LIST_INTERVAL).await;
                self.decide_hold(*ruling).await;
            }
            Step::DecideHold(ruling) => self.decide_hold(*ruling).await,
            Step::Refresh(who) => drop(self.refresh(*who).await),
            Step::StartSync => {
                let by = caller(Enforcement::Refuse);
                drop(start_sync(self.store(), &self.accounts, &by, &self.account, None).await);
            }
            Step::AskSlowly(who) => self.ask_slowly(*who).await,
            other => panic!("{other:?} is nobody's"),
        }
    }
}
