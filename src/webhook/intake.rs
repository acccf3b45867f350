//! Takes a genuine event: in one transaction it is remembered, so that a repetition has no effect, and its customer
//! is marked to be looked at. What is known of that customer does not change here.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

use crate::clock::Timestamp;
use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::domain::look::LookCause;
use crate::domain::webhook_secret::SecretHash;
use crate::store::{self, Priority, Store, Tx};
use crate::webhook::event::Event;
use crate::webhook::refusal::Refusal;

/// How old an event may be to be as urgent as others; some come up to 48 hours late (FACTS 6.2).
const OLDEST_URGENT: Duration = Duration::from_secs(72 * 3600);
/// How far ahead of our clock Partner Center's may be.
const NEWEST_URGENT: Duration = Duration::from_secs(10 * 60);
/// Discoveries are counted over this time.
const DISCOVERY_WINDOW: Duration = Duration::from_secs(60);

/// How much events may make us do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Customers that may wait because of a signal.
    pub(super) queue: u32,
    /// New customers that events may name within a minute; the list finds the others.
    pub(super) discoveries: u64,
}

impl Bounds {
    pub(super) const USUAL: Self = Self { queue: 10_000, discoveries: 10 };
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Its customer is to be looked at.
    Marked,
    /// It names one new customer too many; the list is to be read instead.
    ListWanted,
    /// It has no effect beyond having been heard.
    Heard,
    /// It was taken before.
    Repeated,
}

/// Takes an event whose exact bytes Microsoft has been proven to have signed.
pub async fn take_proven(
    store: &Store,
    account: &PartnerAccountId,
    secret: SecretHash,
    body: &[u8],
) -> Result<Taken, Refusal> {
    let event = Event::read(body).map_err(|_| Refusal::NoEvent)?;
    take(store, account, secret, body, event, Bounds::USUAL).await
}

/// Takes an event with these bytes that came under that secret. The same bytes under another secret are the same event.
pub(super) async fn take(
    store: &Store,
    account: &PartnerAccountId,
    secret: SecretHash,
    body: &[u8],
    event: Event,
    bounds: Bounds,
) -> Result<Taken, Refusal> {
    let digest = digest(account, body);
    let take = async |tx: &mut Tx| take_once(tx, account, secret, &digest, event, bounds).await;
    let taken = store.write("take_webhook", take).await;
    let failure = match taken {
        Ok(Some(taken)) => return Ok(taken),
        Ok(None) => {
            // Partner Center will send it again; if it gives up before there is room, the list finds the customer.
            let wanted = store.write("want_list", async |tx| tx.want_list(account).await).await;
            match wanted {
                Ok(()) => return Err(Refusal::QueueFull),
                Err(failure) => failure,
            }
        }
        Err(failure) => failure,
    };
    if planted!("event-acknowledged-before-it-is-kept") {
        return Ok(Taken::Marked);
    }
    tracing::error!(account = %account, error = %failure, "a webhook cannot be stored");
    Err(Refusal::StoreUnavailable)
}

/// `None` when there is no room.
async fn take_once(
    tx: &mut Tx,
    account: &PartnerAccountId,
    secret: SecretHash,
    digest: &[u8; 32],
    event: Event,
    bounds: Bounds,
) -> Result<Option<Taken>, store::Error> {
    let is_about_a_customer = match event {
        Event::Customer { .. } => true,
        Event::Test | Event::OfNoUse => false,
    };
    if is_about_a_customer && tx.signals_waiting(account, bounds.queue).await? >= bounds.queue {
        return Ok(None);
    }
    if !tx.meet_webhook(account, digest).await? {
        return Ok(Some(Taken::Repeated));
    }
    tx.note_webhook_heard(account, secret).await?;
    match event {
        Event::Test | Event::OfNoUse => Ok(Some(Taken::Heard)),
        Event::Customer { tenant, at } => mark(tx, account, digest, (tenant, at), bounds).await.map(Some),
    }
}

async fn mark(
    tx: &mut Tx,
    account: &PartnerAccountId,
    digest: &[u8; 32],
    (tenant, at): (TenantId, Option<Timestamp>),
    bounds: Bounds,
) -> Result<Taken, store::Error> {
    let now = tx.now();
    let is_new = !tx.unknown_tenants(account, &[tenant]).await?.is_empty();
    if is_new {
        let discoveries = tx.note_webhook_discovery(account, digest, now.minus(DISCOVERY_WINDOW)).await?;
        if discoveries > bounds.discoveries {
            tx.want_list(account).await?;
            return Ok(Taken::ListWanted);
        }
    }
    let is_timely = at.is_some_and(|at| at >= now.minus(OLDEST_URGENT) && at <= now.plus(NEWEST_URGENT));
    let priority = if is_timely && !is_new { Priority::Signal } else { Priority::Listed };
    tx.mark_dirty(account, &[tenant], priority, LookCause::Webhook).await?;
    Ok(Taken::Marked)
}

/// What an event is remembered by. The same bytes for another account are another event.
fn digest(account: &PartnerAccountId, body: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(account.as_str().as_bytes());
    context.update(&[0]);
    context.update(body);
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;
