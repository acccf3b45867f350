//! A history: what kind of world it happens in, and what happens, drawn from a seed.

use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, ErrorBody, Fault, RetryAfter, WrongBody};
use customer_guard::simulator::operations::AuditTrail;
use customer_guard::simulator::partner::AuditOrder;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// One history.
#[derive(Clone, Debug)]
pub struct History {
    /// The world it happens in.
    pub nature: Nature,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// How Partner Center behaves throughout a history.
#[derive(Clone, Debug)]
pub struct Nature {
    /// Customers there are at the beginning.
    pub customers: usize,
    /// Items on a page of the list or the log.
    pub page_size: u16,
    /// For how long a detail shows what was before an update.
    pub lag_seconds: u32,
    /// How late the audit log is.
    pub audit_delay_seconds: u32,
    /// Whether it lists everything twice.
    pub audit_duplicates: bool,
    /// Its order.
    pub audit_order: AuditOrder,
    /// What may lie in this world.
    pub liar: Liar,
    /// Whether our clock may be set while it runs.
    pub clock_is_set: bool,
}

/// Which answers may claim falsely that a customer is gone. Never both: that would be the evidence of R9 itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liar {
    /// Lists leave customers out.
    List,
    /// Details deny customers.
    Detail,
}

/// Somebody, by a number that means one of whoever there is.
pub type Who = usize;

/// One thing that happens. Left out steps leave the others meaning what they meant, as far as that is possible.
#[derive(Clone, Debug)]
pub enum Step {
    /// The partner changes a contact; the audit log tells.
    Change(Who),
    /// The customer changes its contact; nothing tells.
    ChangeSilently(Who),
    /// The customer changes its contact; an event tells, and it fares so.
    ChangeByEvent(Who, Delivery),
    /// The partner changes a contact; the audit log says that this is under way, and later that it is done.
    ChangeSlowly(Who),
    /// What the audit log calls under way is done.
    FinishRecords,
    /// The partner changes the bill-to name; list and log tell.
    Rename(Who),
    /// The customer renames its tenant; nothing tells.
    RenameTenant(Who),
    /// A new customer.
    Arrive(AuditTrail),
    /// A new customer with the domain of one of the platform's own.
    ArriveAlike(Who, AuditTrail),
    /// A relationship ends.
    Leave(Who, AuditTrail),
    /// So many relationships end at once; perhaps the list is read twice before anything else happens.
    Exodus(usize, AuditTrail, bool),
    /// A customer that left comes back.
    Return(Who),
    /// One of the events that are on their way arrives.
    EventArrives(usize),
    /// One of the events that have arrived arrives once more.
    EventRepeats(usize),
    /// A caller reads a customer, and remembers what it saw.
    Read(Who),
    /// A caller edits one field that may be Partner Center's.
    EditGuarded(Who, usize, Manner, Seen),
    /// A caller sends back the whole customer as it saw it, with another note.
    EditWhole(Who, Manner, Seen),
    /// A caller edits what is its own.
    EditOwn(Who),
    /// The last edit with a request id comes once more; or its id does, with another edit.
    RepeatEdit(Content),
    /// A caller makes a customer of the platform's own.
    Create,
    /// A caller deletes a customer.
    Delete(Who),
    /// A caller brings a deleted customer back.
    Undelete(Who),
    /// An operator decides about a customer in Partner Center that waits because it looks like one of the platform's.
    DecideLink(Who, LinkRuling),
    /// An operator links one of the platform's own to whoever is there, alike or not.
    Link(Who, Who),
    /// An operator undoes a link.
    Unlink(Who),
    /// An operator pauses a customer.
    Pause(Who),
    /// An operator ends a pause.
    Resume(Who),
    /// An operator looks at the removals that wait.
    LookAtHold,
    /// An operator decides about the removals it saw last.
    DecideHold(HoldRuling),
    /// An operator looks at the removals that wait, somebody comes back, and the operator decides about what it saw.
    DecideHoldLate(Who, HoldRuling),
    /// A caller refreshes a customer, and does not wait.
    Refresh(Who),
    /// A caller starts a full sync.
    StartSync,
    /// A look begins: its place in the order is taken and Partner Center answers, but the answer is slow to arrive.
    AskSlowly(Who),
    /// The oldest slow answer arrives.
    Arrives,
    /// A look begins, an event tells of a change, and the answer arrives after it.
    EventWhileAsked(Who),
    /// A look begins that will find a change, the customer is paused, and the answer arrives after that.
    PauseWhileAsked(Who),
    /// So many looks at customers fail while the next night looks at everybody.
    NightOfFailures(usize),
    /// So many seconds pass, and the worker does what is due.
    Pass(u64),
    /// The worker does one bounded piece of work, in no time.
    Tick,
    /// The next night begins, and the worker does what is due.
    Night,
    /// Our clock is set, by so many seconds; Partner Center's goes right.
    SetClock(i64),
    /// Something goes wrong upstream, soon.
    Fault(Fault),
    /// A list leaves this customer out until things are mended (`Liar::List` only).
    Hide(Who),
    /// The detail of this customer denies it until things are mended (`Liar::Detail` only).
    Deny(Who),
    /// The detail of this customer has no billing profile until things are mended.
    Blank(Who),
    /// The access token is refused from now on; another one would not be.
    RevokeToken,
    /// The application's secret is another one until things are mended.
    RevokeSecret,
    /// Nothing goes wrong upstream any more.
    Mend,
    /// Time passes, and writes to a table fail while the worker does some bounded pieces of work and an event arrives.
    Outage(Table, Moment, u32),
    /// The process is killed and started again.
    Restart,
}

/// How an event fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It arrives at once.
    AtOnce,
    /// It arrives twice.
    Twice,
    /// It arrives later, perhaps after younger ones, perhaps never.
    Late,
    /// It is lost.
    Lost,
}

/// What a caller that writes says of what it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    Unsaid,
    /// The revision it read.
    Said,
}

/// What comes under a request id that came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Same,
    Another,
}

/// What an operator decides about a customer that waits for a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRuling {
    /// It is the one that it looks like.
    Same,
    /// It is none of them.
    None,
}

/// What an operator decides about removals that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldRuling {
    Approve,
    Dismiss,
}

/// When an outage happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A minute later: the audit log is to be read again.
    Poll,
    /// A quarter of an hour later: so is the list.
    List,
    /// When the next night begins.
    Night,
}

/// A table whose writes can fail.
#[derive(Clone, Copy, Debug)]
pub enum Table {
    Customer,
    UpstreamCustomer,
    SyncRun,
    AuditRecordSeen,
    AccountSync,
    WebhookSeen,
    ChangeLog,
}

/// What the caller's refusal would come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It is refused.
    Refused,
    /// It is only reported.
    Reported,
}

impl History {
    /// The history of that seed.
    pub fn of(seed: u64) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let nature = Nature::drawn(&mut chance);
        let length = chance.random_range(10..=30);
        // Much happens to one customer, so that it happens at once.
        let favourite = chance.random_range(0..1_000);
        let steps = (0..length).map(|_| Step::drawn(&mut chance, &nature, favourite)).collect();
        Self { nature, steps }
    }

    /// The same steps in plainer worlds, one plainer way at a time.
    pub fn plainer(&self) -> Vec<Self> {
        let ways: [fn(&mut Nature); 4] = [
            |nature| nature.audit_duplicates = false,
            |nature| nature.audit_delay_seconds = 0,
            |nature| nature.lag_seconds = 0,
            |nature| nature.page_size = 500,
        ];
        let plainer = |way: fn(&mut Nature)| {
            let mut history = self.clone();
            way(&mut history.nature);
            history
        };
        ways.into_iter().map(plainer).collect()
    }
}

impl Nature {
    fn drawn(chance: &mut StdRng) -> Self {
        let mut sometimes =
            |most: u32| if chance.random_bool(0.5) { chance.random_range(1..=most / 10) * 10 } else { 0 };
        Self {
            lag_seconds: sometimes(400),
            audit_delay_seconds: sometimes(600),
            customers: chance.random_range(5..=11),
            page_size: if chance.random_bool(0.5) { 3 } else { 500 },
            audit_duplicates: chance.random_bool(0.3),
            audit_order: if chance.random_bool(0.5) { AuditOrder::NewestFirst } else { AuditOrder::OldestFirst },
            liar: if chance.random_bool(0.5) { Liar::List } else { Liar::Detail },
            clock_is_set: chance.random_bool(0.3),
        }
    }
}

impl Step {
    fn drawn(chance: &mut StdRng, nature: &Nature, favourite: Who) -> Self {
        let liar = nature.liar;
        let any: Who = chance.random_range(0..1_000);
        let who = if chance.random_bool(0.5) { favourite } else { any };
        let trail = if chance.random_bool(0.5) { AuditTrail::Recorded } else { AuditTrail::Omitted };
        let manner = if chance.random_bool(0.8) { Manner::Refused } else { Manner::Reported };
        let seen = if chance.random_bool(0.5) { Seen::Said } else { Seen::Unsaid };
        match chance.random_range(0..1_000) {
            0..70 => Self::Change(who),
            70..100 => Self::ChangeSilently(who),
            100..160 => Self::ChangeByEvent(who, delivery(chance)),
            160..180 => Self::ChangeSlowly(who),
            180..195 => Self::FinishRecords,
            195..215 => Self::Rename(who),
            215..225 => Self::RenameTenant(who),
            225..250 => Self::Arrive(trail),
            250..275 => Self::ArriveAlike(who, trail),
            275..325 => Self::Leave(who, trail),
            325..340 => Self::Exodus(chance.random_range(4..=6), trail, chance.random_bool(0.7)),
            340..375 => Self::Return(who),
            375..395 => Self::EventArrives(any),
            395..405 => Self::EventRepeats(any),
            405..425 => Self::Read(who),
            425..465 => Self::EditGuarded(who, chance.random_range(0..7), manner, seen),
            465..490 => Self::EditWhole(who, manner, seen),
            490..515 => Self::EditOwn(who),
            515..525 => Self::RepeatEdit(if chance.random_bool(0.7) { Content::Same } else { Content::Another }),
            525..545 => Self::Create,
            545..555 => Self::Delete(who),
            555..562 => Self::Undelete(who),
            562..582 => {
                Self::DecideLink(who, if chance.random_bool(0.6) { LinkRuling::Same } else { LinkRuling::None })
            }
            582..590 => Self::Link(who, any),
            590..600 => Self::Unlink(who),
            600..618 => Self::Pause(who),
            618..630 => Self::Resume(who),
            630..640 => Self::LookAtHold,
            640..650 => {
                Self::DecideHold(if chance.random_bool(0.6) { HoldRuling::Approve } else { HoldRuling::Dismiss })
            }
            650..675 => Self::Refresh(who),
            675..685 => Self::StartSync,
            685..705 => Self::AskSlowly(who),
            705..735 => Self::Arrives,
            735..745 => Self::EventWhileAsked(who),
            745..752 => Self::PauseWhileAsked(who),
            752..760 => Self::NightOfFailures(chance.random_range(1..=4)),
            760..772 => {
                let ruling = if chance.random_bool(0.7) { HoldRuling::Approve } else { HoldRuling::Dismiss };
                Self::DecideHoldLate(who, ruling)
            }
            772..835 => Self::Pass(chance.random_range(1..=120) * 10),
            835..855 => Self::Tick,
            855..880 => Self::Night,
            880..885 if nature.clock_is_set => Self::SetClock(if chance.random_bool(0.5) { 3_600 } else { -3_600 }),
            880..925 => Self::Fault(fault(chance, liar)),
            925..937 if liar == Liar::List => Self::Hide(who),
            925..937 => Self::Deny(who),
            937..946 => Self::Blank(who),
            946..950 => Self::RevokeToken,
            950..954 => Self::RevokeSecret,
            954..966 => Self::Mend,
            966..985 => Self::Outage(table(chance), moment(chance), chance.random_range(1..=3)),
            _ => Self::Restart,
        }
    }
}

fn delivery(chance: &mut StdRng) -> Delivery {
    [Delivery::AtOnce, Delivery::AtOnce, Delivery::Twice, Delivery::Late, Delivery::Late, Delivery::Lost]
        [chance.random_range(0..6)]
}

fn moment(chance: &mut StdRng) -> Moment {
    [Moment::Poll, Moment::List, Moment::Night][chance.random_range(0..3)]
}

fn table(chance: &mut StdRng) -> Table {
    let tables = [
        Table::UpstreamCustomer,
        Table::UpstreamCustomer,
        Table::Customer,
        Table::SyncRun,
        Table::AuditRecordSeen,
        Table::AccountSync,
        Table::WebhookSeen,
        Table::ChangeLog,
    ];
    tables[chance.random_range(0..tables.len())]
}

fn fault(chance: &mut StdRng, liar: Liar) -> Fault {
    let anywhere = [
        Effect::ServerError { status: 503, body: ErrorBody::Html },
        Effect::ServerError { status: 500, body: ErrorBody::Json },
        Effect::ServerError { status: 500, body: ErrorBody::Json },
        Effect::Truncated,
        Effect::ConnectionReset,
        Effect::WrongBody { body: WrongBody::EmptyObject },
        Effect::Throttled { retry_after: RetryAfter::Seconds(5) },
        Effect::Throttled { retry_after: RetryAfter::Absent },
        Effect::Unauthorized,
        Effect::ExpireContinuation,
        Effect::DuplicateAcrossPages,
        Effect::LoopingNextLink,
    ];
    let lying = match liar {
        Liar::List => [Effect::EmptyList, Effect::ShortList { items: chance.random_range(0..4) }],
        Liar::Detail => [Effect::Forbidden { code: 20002 }, Effect::Forbidden { code: 20002 }],
    };
    let place = chance.random_range(0..anywhere.len() + 3);
    let effect = anywhere.get(place).unwrap_or(&lying[place % 2]).clone();
    let on = [None, Some(Route::Get), Some(Route::Audit), Some(Route::List)][chance.random_range(0..4)];
    match (&effect, on) {
        (Effect::Forbidden { .. }, _) => Fault::once(effect).on(Route::Get),
        (Effect::EmptyList | Effect::ShortList { .. } | Effect::DuplicateAcrossPages | Effect::LoopingNextLink, _) => {
            Fault::once(effect)
        }
        (_, Some(route)) => Fault::once(effect).on(route),
        (_, None) => Fault::once(effect),
    }
}
