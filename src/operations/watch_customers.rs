//! Watches customers change: everything after a place, in the order of the commits, or all customers first.
//!
//! A [`Watch`] reads only when it is asked for its next message, so that a slow receiver costs no memory. What it was
//! woken by carries nothing; what it tells is read from the store, each time as it is then.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::domain::access::{Caller, Denied};
use crate::domain::change::ChangeKind;
use crate::domain::customer::Customer;
use crate::domain::ids::{ChangePosition, GenerationId, PartnerAccountId};
use crate::domain::order::{Order, Position};
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::list_customers::{Parent, readable, readable_in};
use crate::store::{
    self, ChangeBatch, ChangesAfter, CustomerChange, CustomerQuery, Deleted, Freshness, Place, SeenAhead, Store,
};

/// How many changes, or customers of a snapshot, are read at a time.
const READ_AT_ONCE: u32 = 200;
/// After a burst of changes is told, a checkpoint follows, but not more often than this.
const BETWEEN_CHECKPOINTS: Duration = Duration::from_secs(1);
/// A watch that is level reads again no sooner than this: many changes in a row are then one reading, also for hundreds
/// of watches.
const BETWEEN_READINGS: Duration = Duration::from_millis(20);

/// What to watch, and from where on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchCustomers {
    /// Whose customers.
    pub parent: Parent,
    /// From where on.
    pub begin: WatchBegin,
    /// Only changes of these kinds; empty means all.
    pub kinds: BTreeSet<ChangeKind>,
    /// How long nothing is told at most.
    pub quiet: Duration,
}

/// Where a watch begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchBegin {
    /// With all customers.
    Snapshot,
    /// With the changes from now on.
    Now,
    /// After that place.
    After(WatchCursor),
}

/// A place in a watch, and the generation of the store it was told in; what cursors hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchCursor {
    /// Nothing in cursors of the first releases.
    pub generation: Option<GenerationId>,
    /// The place.
    pub place: WatchPlace,
}

/// The place in a watch after a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchPlace {
    /// Among the changes: all up to this one are told.
    Changes(ChangePosition),
    /// In a snapshot.
    Snapshot {
        /// The last change when it began; those after it follow the snapshot.
        base: ChangePosition,
        /// The last customer of it that was told.
        after: Option<Position>,
    },
}

/// One message of a watch.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchMessage {
    /// What happened.
    pub event: WatchEvent,
    /// The place after it.
    pub cursor: WatchCursor,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchEvent {
    /// A customer changed.
    Change(Box<CustomerChange>),
    /// All customers follow.
    SnapshotStart(SnapshotCause),
    /// One of all customers.
    SnapshotCustomer(Box<Customer>),
    /// Those were all: so many since the snapshot began or was resumed.
    SnapshotEnd(u64),
    /// Every change is told; how fresh each account was when the last of them was looked for.
    Checkpoint(Vec<(PartnerAccountId, Freshness)>),
}

/// Why all customers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotCause {
    /// The watch began without a place.
    NoCursor,
    /// The changes after its place are no longer kept.
    CursorTooOld,
    /// Its place is of a history that was lost when the database was put back.
    StoreRestored,
}

/// Why a watch does not begin, or ends.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The caller may not read there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Begins a watch.
pub async fn watch_customers(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    request: WatchCustomers,
) -> Result<Watch, WatchError> {
    let WatchCustomers { parent, begin, kinds, quiet } = request;
    readable_in::<WatchError>(&parent, store, accounts, caller).await?;
    let mut watch = Watch {
        store: store.clone(),
        accounts: accounts.clone(),
        caller: caller.clone(),
        parent,
        kinds,
        quiet,
        // From before the first reading, so that no change falls between the two.
        woken: store.customer_changes(),
        generation: None,
        place: WatchPlace::Changes(ChangePosition(0)),
        ready: VecDeque::new(),
        seen: SeenAhead::default(),
        told_of_snapshot: 0,
        is_level: false,
        owes_checkpoint: false,
        read_at: Instant::now(),
        checkpoint_at: None,
    };
    match begin {
        WatchBegin::Snapshot => watch.begin_snapshot(SnapshotCause::NoCursor).await?,
        WatchBegin::Now => {
            let here = store.here().await?;
            watch.generation = here.generation;
            watch.place = WatchPlace::Changes(here.position);
        }
        WatchBegin::After(cursor) => watch.resume(cursor).await?,
    }
    Ok(watch)
}

/// A watch under way.
#[derive(Debug)]
pub struct Watch {
    store: Store,
    accounts: Accounts,
    caller: Caller,
    parent: Parent,
    kinds: BTreeSet<ChangeKind>,
    quiet: Duration,
    woken: watch::Receiver<u64>,
    /// The generation of the store that was read last.
    generation: Option<GenerationId>,
    /// Up to where the store has been read.
    place: WatchPlace,
    /// What has been read and not yet been told.
    ready: VecDeque<WatchMessage>,
    seen: SeenAhead,
    told_of_snapshot: u64,
    /// Whether the last reading reached the end of the log.
    is_level: bool,
    /// Whether changes have been told since the last checkpoint.
    owes_checkpoint: bool,
    read_at: Instant,
    checkpoint_at: Option<Instant>,
}

impl Watch {
    /// The next message; waits until there is one.
    pub async fn next(&mut self) -> Result<WatchMessage, WatchError> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(message);
            }
            match self.place.clone() {
                WatchPlace::Snapshot { base, after } => self.read_customers(base, after).await?,
                WatchPlace::Changes(position) => self.read_changes(position).await?,
            }
        }
    }

    /// The accounts that are watched now: they come and go while a watch lives.
    fn watched(&self) -> Result<BTreeSet<PartnerAccountId>, WatchError> {
        readable(&self.parent, &self.accounts, &self.caller)
    }

    fn tells(&mut self, event: WatchEvent, place: WatchPlace) {
        let cursor = WatchCursor { generation: self.generation, place };
        self.ready.push_back(WatchMessage { event, cursor });
    }

    async fn resume(&mut self, cursor: WatchCursor) -> Result<(), WatchError> {
        let WatchCursor { generation, place } = cursor;
        let (position, is_snapshot) = match &place {
            WatchPlace::Changes(position) => (*position, false),
            WatchPlace::Snapshot { base, .. } => (*base, true),
        };
        if !self.store.continues(&Place { generation, position }).await? {
            return self.begin_snapshot(SnapshotCause::StoreRestored).await;
        }
        // Of changes it is seen when they are read.
        if is_snapshot && !self.store.keeps_changes_after(position).await? {
            return self.begin_snapshot(SnapshotCause::CursorTooOld).await;
        }
        self.generation = generation;
        self.place = place;
        Ok(())
    }

    async fn begin_snapshot(&mut self, cause: SnapshotCause) -> Result<(), WatchError> {
        // Before the first customer is read: what changes meanwhile is told afterwards.
        let Place { generation, position: base } = self.store.here().await?;
        // Whose customers changed until then is known from now on, also if another process made the account.
        readable_in::<WatchError>(&self.parent, &self.store, &self.accounts, &self.caller).await?;
        self.generation = generation;
        self.seen = SeenAhead::default();
        self.told_of_snapshot = 0;
        self.is_level = false;
        self.place = WatchPlace::Snapshot { base, after: None };
        self.tells(WatchEvent::SnapshotStart(cause), self.place.clone());
        Ok(())
    }

    async fn read_customers(&mut self, base: ChangePosition, after: Option<Position>) -> Result<(), WatchError> {
        let query = CustomerQuery { accounts: self.watched()?, deleted: Deleted::Shown, ..CustomerQuery::default() };
        let customers = self.store.find_customers(&query, after.as_ref(), READ_AT_ONCE).await?;
        let is_last = customers.len() < usize::try_from(READ_AT_ONCE).unwrap_or(usize::MAX);
        for customer in customers {
            self.told_of_snapshot += 1;
            let after = Some(Position::of(&customer, &query.order));
            self.place = WatchPlace::Snapshot { base, after };
            self.tells(WatchEvent::SnapshotCustomer(Box::new(customer)), self.place.clone());
        }
        if is_last {
            self.place = WatchPlace::Changes(base);
            self.tells(WatchEvent::SnapshotEnd(self.told_of_snapshot), self.place.clone());
        }
        Ok(())
    }

    async fn read_changes(&mut self, position: ChangePosition) -> Result<(), WatchError> {
        if self.is_level {
            self.wait().await;
        }
        self.woken.borrow_and_update();
        self.read_at = Instant::now();
        let watched = self.watched()?;
        // Before the changes: what was fresh then is told once all of them are.
        let freshness =
            if self.checkpoint_due_at() <= Some(self.read_at) { Some(self.freshness(&watched).await?) } else { None };
        let changes = self.store.changes_after(position, &watched, &self.seen, READ_AT_ONCE).await?;
        let generation = match &changes {
            ChangesAfter::Kept(batch) => batch.generation,
            ChangesAfter::NotKept => None,
        };
        // Seldom: a process began to serve the database. What was told before may be lost.
        if generation.is_none() || generation != self.generation {
            let told = Place { generation: self.generation, position };
            if !self.store.continues(&told).await? {
                return self.begin_snapshot(SnapshotCause::StoreRestored).await;
            }
        }
        match changes {
            ChangesAfter::NotKept => self.begin_snapshot(SnapshotCause::CursorTooOld).await,
            ChangesAfter::Kept(batch) => {
                if self.meets_others(position, batch.position, &watched).await? {
                    // Read again, with their customers.
                    self.is_level = false;
                    return Ok(());
                }
                self.generation = generation;
                self.tell_changes(batch);
                if let Some(freshness) = freshness.filter(|_| self.is_level) {
                    self.tells(WatchEvent::Checkpoint(freshness), self.place.clone());
                    self.checkpoint_at = Some(self.read_at);
                    self.owes_checkpoint = false;
                }
                Ok(())
            }
        }
    }

    /// Whether customers changed of accounts that are to be watched as well: another process made them, and this one had not
    /// heard of it.
    async fn meets_others(
        &self,
        after: ChangePosition,
        until: ChangePosition,
        watched: &BTreeSet<PartnerAccountId>,
    ) -> Result<bool, WatchError> {
        if matches!(self.parent, Parent::Account(_)) || after == until {
            return Ok(false);
        }
        let others = self.store.others_that_changed(after, until, watched).await?;
        if others.iter().any(|other| self.caller.scope.contains(other)) {
            // Those that other processes are configured with stay unknown.
            self.accounts.all_in(&self.store).await?;
        }
        Ok(self.watched()? != *watched)
    }

    fn tell_changes(&mut self, batch: ChangeBatch) {
        self.seen.note(&batch);
        self.is_level = batch.caught_up;
        self.place = WatchPlace::Changes(batch.position);
        for change in batch.changes {
            if self.kinds.is_empty() || change.kinds.iter().any(|kind| self.kinds.contains(kind)) {
                let place = WatchPlace::Changes(change.next);
                self.tells(WatchEvent::Change(Box::new(change)), place);
                self.owes_checkpoint = true;
            }
        }
    }

    /// When the next checkpoint is due; at once before the first. Real time on purpose: it is the receiver that waits.
    fn checkpoint_due_at(&self) -> Option<Instant> {
        let pause = if self.owes_checkpoint { self.quiet.min(BETWEEN_CHECKPOINTS) } else { self.quiet };
        self.checkpoint_at.map(|last| last + pause)
    }

    /// Waits for a change or the time of the next checkpoint.
    async fn wait(&mut self) {
        let Some(due) = self.checkpoint_due_at() else { return };
        tokio::select! {
            // The counter lives in the store, which lives here.
            _ = self.woken.changed() => tokio::time::sleep_until(self.read_at + BETWEEN_READINGS).await,
            () = tokio::time::sleep_until(due) => {}
        }
    }

    async fn freshness(
        &self,
        watched: &BTreeSet<PartnerAccountId>,
    ) -> Result<Vec<(PartnerAccountId, Freshness)>, WatchError> {
        let mut found = Vec::with_capacity(watched.len());
        for account in watched {
            found.push((account.clone(), self.store.freshness(account).await?));
        }
        Ok(found)
    }
}

impl WatchCursor {
    /// Reads a cursor back from its text; nothing if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let told_in = text.split_once(' ').and_then(|(generation, place)| Some((generation.parse().ok()?, place)));
        match told_in {
            Some((generation, place)) => Some(Self { generation: Some(generation), place: WatchPlace::parse(place)? }),
            None => Some(Self { generation: None, place: WatchPlace::parse(text)? }),
        }
    }
}

impl fmt::Display for WatchCursor {
    /// In the form it is parsed from.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(generation) = self.generation {
            write!(out, "{generation} ")?;
        }
        self.place.fmt(out)
    }
}

impl WatchPlace {
    /// Reads a place back from its text; nothing if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let position = |text: &str| text.parse().ok().map(ChangePosition);
        let (word, rest) = text.split_once(' ')?;
        match word {
            "changes" => position(rest).map(Self::Changes),
            "snapshot" => {
                let (base, after) = rest.split_once(' ').map_or((rest, None), |(base, after)| (base, Some(after)));
                let after = match after {
                    Some(after) => Some(Position::parse(after, &Order::default())?),
                    None => None,
                };
                Some(Self::Snapshot { base: position(base)?, after })
            }
            _ => None,
        }
    }
}

impl fmt::Display for WatchPlace {
    /// In the form it is parsed from.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changes(position) => write!(out, "changes {position}"),
            Self::Snapshot { base, after: None } => write!(out, "snapshot {base}"),
            Self::Snapshot { base, after: Some(after) } => write!(out, "snapshot {base} {after}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_from_its_text() {
        let customer = "contoso/0198c0de-7000-7000-8000-000000000001";
        let after = Position::parse(customer, &Order::default());
        assert!(after.is_some());
        let base = ChangePosition(7);
        let places = [
            WatchPlace::Changes(base),
            WatchPlace::Snapshot { base, after: None },
            WatchPlace::Snapshot { base, after },
        ];
        for place in places {
            for generation in [None, Some(GenerationId::drawn([7; 8]))] {
                let cursor = WatchCursor { generation, place: place.clone() };
                assert_eq!(WatchCursor::parse(&cursor.to_string()), Some(cursor));
            }
        }
        for nonsense in ["", "changes", "changes x", "changes 1 2", "snapshot", "snapshot 7 contoso", "snapshot x", "7"]
        {
            assert_eq!(WatchCursor::parse(nonsense), None, "{nonsense}");
            assert_eq!(WatchCursor::parse(&format!("0707070707070707 {nonsense}")), None, "{nonsense}");
        }
    }
}
