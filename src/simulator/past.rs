//! What a customer was before its last updates: get-by-id answers it for a while, because a read after an update may
//! reach a replica that does not know of the update yet.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::customer::Customer;
use super::partner::PartnerCenter;

/// How many updates of one customer are remembered; an older one than these has reached every replica.
const KEPT: usize = 16;

/// What stands behind a customer's id.
#[derive(Debug, Clone)]
pub(super) enum Standing {
    /// It is a customer.
    Customer(Box<Customer>),
    /// It was one.
    Former,
    /// It never was one.
    Unknown,
}

/// What each customer was until when, oldest first.
#[derive(Debug, Default)]
pub(super) struct Past(BTreeMap<Uuid, VecDeque<(DateTime<Utc>, Standing)>>);

/// Remembers what a customer is, because it is about to change.
pub(super) fn remember(center: &mut PartnerCenter, id: Uuid, now: DateTime<Utc>) {
    let standing = present(center, id);
    let kept = center.past.0.entry(id).or_default();
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back((now, standing));
}

/// What get-by-id shows of a customer at that time.
pub(super) fn shown(center: &PartnerCenter, id: Uuid, now: DateTime<Utc>) -> Standing {
    let lag = TimeDelta::seconds(i64::from(center.knobs.lag_seconds));
    let kept = center.past.0.get(&id);
    let behind = kept.and_then(|kept| kept.iter().find(|(until, _)| *until + lag > now));
    behind.map_or_else(|| present(center, id), |(_, standing)| standing.clone())
}

fn present(center: &PartnerCenter, id: Uuid) -> Standing {
    match center.customers.get(&id) {
        Some(customer) => Standing::Customer(Box::new(customer.clone())),
        None if center.former.contains_key(&id) => Standing::Former,
        None => Standing::Unknown,
    }
}
