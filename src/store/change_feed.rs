//! The change log as a feed: what changed after a place, each customer as it is now.
//!
//! One answer is one consistent read. A customer that changed several times comes once, at the place of the first of
//! these changes, and with everything that happened to it up to the state that is shown: whoever stops at any event and
//! goes on from there later is told of every field that changed between two states it saw.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::TryStreamExt;

use crate::clock::Timestamp;
use crate::domain::change::ChangeKind;
use crate::domain::customer::Customer;
use crate::domain::field::Field;
use crate::domain::ids::{ChangePosition, CustomerId, GenerationId, PartnerAccountId};
use crate::domain::upstream_change::UpstreamChange;
use crate::store::connection::Connection;
use crate::store::customer_row::{self, customer_columns, customer_tables};
use crate::store::row::Row;
use crate::store::statement::{PerDialect, statement};
use crate::store::upstream_changes::upstream_change;
use crate::store::{Error, Place, Store};

/// How many changes are looked at for one answer, those of other accounts as well.
const LOOKED_AT: i64 = 5_000;
/// How many states a reader remembers to have seen; one that is forgotten comes once more.
const SEEN_MAX: usize = 10_000;

const KNOWN: &str = "
    SELECT sequence AS horizon, (SELECT max(sequence) FROM change_log) AS head,
        (SELECT id FROM generation ORDER BY number DESC LIMIT 1) AS generation
    FROM change_log_horizon WHERE only_row = 1";

/// A customer that changed, once or several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerChange {
    /// The customer as it is now.
    pub customer: Customer,
    /// What kinds of changes it went through, in order, each once.
    pub kinds: Vec<ChangeKind>,
    /// The fields they changed; empty for a new customer.
    pub fields: Vec<Field>,
    /// Who made the last of them.
    pub actor: String,
    /// When the last of them was made.
    pub at: Timestamp,
    /// Who made the last of those that came from Partner Center, as far as the audit log tells.
    pub upstream: Option<UpstreamChange>,
    /// The last of them.
    pub last: ChangePosition,
    /// Where whoever has dealt with this event, and with those before it, goes on.
    pub next: ChangePosition,
}

/// What changed after a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangesAfter {
    /// These customers.
    Kept(ChangeBatch),
    /// Changes after it are no longer kept, or the place is of another history than this store's.
    NotKept,
}

/// Customers that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeBatch {
    /// They, in the order of their first change.
    pub changes: Vec<CustomerChange>,
    /// Where to go on.
    pub position: ChangePosition,
    /// Whether that is the end of the log.
    pub caught_up: bool,
    /// The generation it was read in.
    pub generation: Option<GenerationId>,
}

/// Which changes a reader has seen although they lie ahead of it: the state it was shown already had them.
#[derive(Clone, Debug, Default)]
pub struct SeenAhead(HashMap<(PartnerAccountId, CustomerId), ChangePosition>);

impl SeenAhead {
    /// The reader has gone through the batch.
    pub fn note(&mut self, batch: &ChangeBatch) {
        self.0.retain(|_, last| *last > batch.position);
        for change in batch.changes.iter().filter(|change| change.last > batch.position) {
            if self.0.len() < SEEN_MAX {
                self.0.insert((change.customer.account.clone(), change.customer.id), change.last);
            }
        }
    }

    fn has(&self, changed: &Changed) -> bool {
        // Most readers are at the end of the log, where nothing is ahead.
        !self.0.is_empty()
            && self.0.get(&(changed.account.clone(), changed.id)).is_some_and(|last| changed.position <= *last)
    }
}

/// One change, as far as it decides whom to look at.
struct Changed {
    position: ChangePosition,
    account: PartnerAccountId,
    id: CustomerId,
    revision: i64,
}

/// What happened to a customer since a change.
#[derive(Default)]
struct History {
    kinds: BTreeMap<ChangeKind, ChangePosition>,
    fields: BTreeSet<Field>,
    last: Option<(ChangePosition, String, Timestamp)>,
    upstream: Option<(ChangePosition, Option<UpstreamChange>)>,
}

impl Store {
    /// The end of the change log.
    pub async fn here(&self) -> Result<Place, Error> {
        let row = statement(KNOWN).fetch_one(&self.backend).await?;
        Ok(Place { generation: generation(&row)?, position: known(&row)?.1 })
    }

    /// Whether every change after a place is kept.
    pub async fn keeps_changes_after(&self, place: ChangePosition) -> Result<bool, Error> {
        let (horizon, head) = known(&statement(KNOWN).fetch_one(&self.backend).await?)?;
        Ok(horizon <= place && place <= head)
    }

    /// Up to `limit` customers of these accounts that changed after a place, without what the reader has seen.
    pub async fn changes_after(
        &self,
        after: ChangePosition,
        accounts: &BTreeSet<PartnerAccountId>,
        seen: &SeenAhead,
        limit: u32,
    ) -> Result<ChangesAfter, Error> {
        let mut reading = self.backend.begin_reading().await?;
        let row = statement(KNOWN).fetch_one(&mut reading).await?;
        let (horizon, head) = known(&row)?;
        if after < horizon || after > head {
            reading.commit().await?;
            return Ok(ChangesAfter::NotKept);
        }
        let until = ChangePosition(after.0.saturating_add(LOOKED_AT).min(head.0));
        let changed = changed(&mut reading, after, until, accounts, limit).await?;
        let is_full = u32::try_from(changed.len()).is_ok_and(|found| found >= limit);
        let position = changed.last().filter(|_| is_full).map_or(until, |last| last.position);
        let firsts = firsts(changed, seen);
        let histories = histories(&mut reading, &firsts).await?;
        let mut customers = customers(&mut reading, &firsts).await?;
        reading.commit().await?;
        let mut changes = Vec::with_capacity(firsts.len());
        for (number, (first, history)) in firsts.iter().zip(histories).enumerate() {
            let of_nobody = || Error::Corrupt(format!("change {} is of no customer", first.position));
            let customer = customers.remove(&(first.account.clone(), first.id)).ok_or_else(of_nobody)?;
            // Everything before the first change of the next one has been told.
            let next = firsts.get(number + 1).map_or(position, |next| ChangePosition(next.position.0 - 1));
            changes.push(history.change_of(customer, next).ok_or_else(of_nobody)?);
        }
        let generation = generation(&row)?;
        Ok(ChangesAfter::Kept(ChangeBatch { changes, position, caught_up: position >= head, generation }))
    }
}

impl Store {
    /// Whose customers changed after a place and until another one, but for those accounts.
    pub async fn others_that_changed(
        &self,
        after: ChangePosition,
        until: ChangePosition,
        accounts: &BTreeSet<PartnerAccountId>,
    ) -> Result<Vec<PartnerAccountId>, Error> {
        const SELECT: PerDialect = PerDialect {
            sqlite: "
                SELECT DISTINCT +account FROM change_log
                WHERE sequence > $1 AND sequence <= $2 AND +account NOT IN (SELECT value FROM json_each($3))",
            postgres: "
                SELECT DISTINCT account FROM change_log
                WHERE sequence > $1 AND sequence <= $2 AND account NOT IN (SELECT value FROM json_each($3))",
        };
        let accounts = serde_json::Value::from_iter(accounts.iter().map(PartnerAccountId::as_str));
        let others = statement(SELECT).bind(after.0).bind(until.0).bind(accounts.to_string());
        let account = |row: &Row| {
            let account: &str = row.try_get(0)?;
            account.parse().map_err(|_| Error::Corrupt("change_log.account".to_owned()))
        };
        others.fetch_all(&self.backend).await?.iter().map(account).collect()
    }
}

/// Up to which place changes are no longer kept, and the last place.
fn known(row: &Row) -> Result<(ChangePosition, ChangePosition), Error> {
    let horizon: i64 = row.try_get("horizon")?;
    let head: Option<i64> = row.try_get("head")?;
    Ok((ChangePosition(horizon), ChangePosition(head.unwrap_or(horizon))))
}

fn generation(row: &Row) -> Result<Option<GenerationId>, Error> {
    let id: Option<&str> = row.try_get("generation")?;
    id.map(str::parse).transpose().map_err(|_| Error::Corrupt("generation.id".to_owned()))
}

async fn changed(
    reading: &mut Connection,
    after: ChangePosition,
    until: ChangePosition,
    accounts: &BTreeSet<PartnerAccountId>,
    limit: u32,
) -> Result<Vec<Changed>, Error> {
    // The plus keeps SQLite from looking at everything that ever changed in the accounts.
    const SELECT: PerDialect = PerDialect {
        sqlite: "
            SELECT sequence, account, customer_id, revision FROM change_log
            WHERE sequence > $1 AND sequence <= $2 AND +account IN (SELECT value FROM json_each($3))
            ORDER BY sequence LIMIT $4",
        postgres: "
            SELECT sequence, account, customer_id, revision FROM change_log
            WHERE sequence > $1 AND sequence <= $2 AND account IN (SELECT value FROM json_each($3))
            ORDER BY sequence LIMIT $4",
    };
    let accounts = serde_json::Value::from_iter(accounts.iter().map(PartnerAccountId::as_str));
    let rows =
        statement(SELECT).bind(after.0).bind(until.0).bind(accounts.to_string()).bind(limit).fetch_all(reading).await?;
    rows.iter()
        .map(|row| {
            let account: &str = row.try_get("account")?;
            let id: &str = row.try_get("customer_id")?;
            Ok(Changed {
                position: ChangePosition(row.try_get("sequence")?),
                account: account.parse().map_err(|_| corrupt("account"))?,
                id: id.parse().map_err(|_| corrupt("customer_id"))?,
                revision: row.try_get("revision")?,
            })
        })
        .collect()
}

/// The first change of every customer that the reader has not seen.
fn firsts(changed: Vec<Changed>, seen: &SeenAhead) -> Vec<Changed> {
    let mut met = BTreeSet::new();
    changed.into_iter().filter(|one| !seen.has(one) && met.insert((one.account.clone(), one.id))).collect()
}

/// What happened to each since its first change, up to the state that is read beside it.
async fn histories(reading: &mut Connection, firsts: &[Changed]) -> Result<Vec<History>, Error> {
    const SELECT: &str = "
        SELECT wanted.key AS number, l.sequence, l.kind, l.fields, l.actor, l.at,
               w.record_id, w.operation, w.actor_user, w.actor_application, w.operation_at
        FROM json_each($1) AS wanted CROSS JOIN change_log AS l LEFT JOIN upstream_change AS w ON w.sequence = l.sequence
        WHERE l.account = wanted.value ->> 0 AND l.customer_id = wanted.value ->> 1 AND l.revision >= CAST(wanted.value ->> 2 AS BIGINT)";
    let wanted = firsts.iter().map(|one| serde_json::json!([one.account.as_str(), one.id.to_string(), one.revision]));
    let wanted = serde_json::Value::from_iter(wanted);
    let mut histories: Vec<History> = firsts.iter().map(|_| History::default()).collect();
    let mut rows = statement(SELECT).bind(wanted.to_string()).fetch(reading);
    while let Some(row) = rows.try_next().await? {
        let number: i64 = row.try_get("number")?;
        let history = usize::try_from(number).ok().and_then(|number| histories.get_mut(number));
        history.ok_or_else(|| corrupt("sequence"))?.add(&row)?;
    }
    Ok(histories)
}

async fn customers(
    reading: &mut Connection,
    firsts: &[Changed],
) -> Result<HashMap<(PartnerAccountId, CustomerId), Customer>, Error> {
    const SELECT: &str = concat!(
        "SELECT ",
        customer_columns!(),
        customer_tables!(),
        "WHERE (c.account, c.id) IN (SELECT value ->> 0, value ->> 1 FROM json_each($1))"
    );
    let wanted = firsts.iter().map(|one| serde_json::json!([one.account.as_str(), one.id.to_string()]));
    let wanted = serde_json::Value::from_iter(wanted);
    let rows = statement(SELECT).bind(wanted.to_string()).fetch_all(reading).await?;
    let customers = rows.iter().map(customer_row::customer);
    customers.map(|customer| customer.map(|customer| ((customer.account.clone(), customer.id), customer))).collect()
}

impl History {
    fn add(&mut self, row: &Row) -> Result<(), Error> {
        let position = ChangePosition(row.try_get("sequence")?);
        let kind = ChangeKind::named(row.try_get("kind")?).ok_or_else(|| corrupt("kind"))?;
        let first = self.kinds.entry(kind).or_insert(position);
        *first = position.min(*first);
        let fields: &str = row.try_get("fields")?;
        for path in fields.split(',').filter(|path| !path.is_empty()) {
            self.fields.insert(Field::of_path(path).ok_or_else(|| corrupt("fields"))?);
        }
        let upstream = upstream_change(row)?;
        let newest = self.upstream.as_ref().is_none_or(|(newest, _)| *newest < position);
        if newest && (upstream.is_some() || kind.is_of_partner_center()) {
            self.upstream = Some((position, upstream));
        }
        if self.last.as_ref().is_none_or(|(last, ..)| *last < position) {
            self.last = Some((position, row.try_get("actor")?, Timestamp::from_micros(row.try_get("at")?)));
        }
        Ok(())
    }

    fn change_of(self, customer: Customer, next: ChangePosition) -> Option<CustomerChange> {
        let (last, actor, at) = self.last?;
        let is_new = self.kinds.contains_key(&ChangeKind::Created);
        let mut kinds: Vec<_> = self.kinds.into_iter().collect();
        kinds.sort_by_key(|(_, position)| *position);
        let kinds = kinds.into_iter().map(|(kind, _)| kind).collect();
        let fields = if is_new { Vec::new() } else { self.fields.into_iter().collect() };
        let upstream = self.upstream.and_then(|(_, upstream)| upstream);
        Some(CustomerChange { customer, kinds, fields, actor, at, upstream, last, next })
    }
}

fn corrupt(column: &str) -> Error {
    Error::Corrupt(format!("change_log.{column}"))
}
