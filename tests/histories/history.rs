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
    /// The partner changes the bill-to name; list and log tell.
    Rename(Who),
    /// The customer renames its tenant; nothing tells.
    RenameTenant(Who),
    /// A new customer.
    Arrive(AuditTrail),
    /// A relationship ends.
    Leave(Who, AuditTrail),
    /// A customer that left comes back.
    Return(Who),
    /// A caller edits what may be Partner Center's.
    EditGuarded(Who, usize, Manner),
    /// A caller edits what is its own.
    EditOwn(Who),
    /// A caller refreshes a customer, and does not wait.
    Refresh(Who),
    /// A caller starts a full sync.
    StartSync,
    /// A look begins: its place in the order is taken and Partner Center answers, but the answer is slow to arrive.
    AskSlowly(Who),
    /// The oldest slow answer arrives.
    Arrives,
    /// So many seconds pass, and the worker does what is due.
    Pass(u64),
    /// The worker does one bounded piece of work, in no time.
    Tick,
    /// The next night begins, and the worker does what is due.
    Night,
    /// Something goes wrong upstream, soon.
    Fault(Fault),
    /// A list leaves this customer out until things are mended (`Liar::List` only).
    Hide(Who),
    /// The detail of this customer has no billing profile until things are mended.
    Blank(Who),
    /// Nothing goes wrong upstream any more.
    Mend,
    /// A minute passes, and writes to a table fail while the worker does one bounded piece of work.
    Outage(Table),
    /// The process is killed and started again.
    Restart,
}

/// A table whose writes can fail.
#[derive(Clone, Copy, Debug)]
pub enum Table {
    Customer,
    UpstreamCustomer,
    SyncRun,
    AuditRecordSeen,
    AccountSync,
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
        let steps = (0..length).map(|_| Step::drawn(&mut chance, nature.liar)).collect();
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
            customers: chance.random_range(5..=9),
            page_size: if chance.random_bool(0.5) { 3 } else { 500 },
            audit_duplicates: chance.random_bool(0.3),
            audit_order: if chance.random_bool(0.5) { AuditOrder::NewestFirst } else { AuditOrder::OldestFirst },
            liar: if chance.random_bool(0.5) { Liar::List } else { Liar::Detail },
        }
    }
}

impl Step {
    fn drawn(chance: &mut StdRng, liar: Liar) -> Self {
        let who: Who = chance.random_range(0..1_000);
        let trail = if chance.random_bool(0.5) { AuditTrail::Recorded } else { AuditTrail::Omitted };
        let manner = if chance.random_bool(0.8) { Manner::Refused } else { Manner::Reported };
        match chance.random_range(0..100) {
            0..10 => Self::Change(who),
            10..16 => Self::ChangeSilently(who),
            16..19 => Self::Rename(who),
            19..20 => Self::RenameTenant(who),
            20..24 => Self::Arrive(trail),
            24..31 => Self::Leave(who, trail),
            31..36 => Self::Return(who),
            36..42 => Self::EditGuarded(who, chance.random_range(0..7), manner),
            42..46 => Self::EditOwn(who),
            46..50 => Self::Refresh(who),
            50..51 => Self::StartSync,
            51..55 => Self::AskSlowly(who),
            55..60 => Self::Arrives,
            60..73 => Self::Pass(chance.random_range(1..=120) * 10),
            73..77 => Self::Tick,
            77..80 => Self::Night,
            80..88 => Self::Fault(fault(chance, liar)),
            88..90 if liar == Liar::List => Self::Hide(who),
            88..91 => Self::Blank(who),
            91..93 => Self::Mend,
            93..97 => Self::Outage(table(chance)),
            _ => Self::Restart,
        }
    }
}

fn table(chance: &mut StdRng) -> Table {
    let tables = [
        Table::UpstreamCustomer,
        Table::UpstreamCustomer,
        Table::Customer,
        Table::SyncRun,
        Table::AuditRecordSeen,
        Table::AccountSync,
    ];
    tables[chance.random_range(0..tables.len())]
}

fn fault(chance: &mut StdRng, liar: Liar) -> Fault {
    let anywhere = [
        Effect::ServerError { status: 503, body: ErrorBody::Html },
        Effect::Truncated,
        Effect::ConnectionReset,
        Effect::WrongBody { body: WrongBody::EmptyObject },
        Effect::Throttled { retry_after: RetryAfter::Seconds(5) },
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
