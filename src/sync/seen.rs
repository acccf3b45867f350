//! What a listing has shown so far: that it leads in no circle, and that it names everybody it says there are.

use std::collections::{HashMap, HashSet};

use crate::domain::ids::{RunId, TenantId};
use crate::partner_center::customers::CustomerPage;
use crate::store::SyncRun;

/// Pages in a row that name nobody new are a circle, as links of a circle need not look alike: so many that repeat what
/// was said, or ten times as many empty ones.
const STALE_MAX: u32 = 30;
const REPEATED: u32 = 10;
const EMPTY: u32 = 1;

/// What every listing under way has shown. A restart forgets it, and learns it again.
#[derive(Debug, Default)]
pub(super) struct Listings(HashMap<RunId, Shown>);

#[derive(Debug, Default)]
struct Shown {
    links: HashSet<String>,
    customers: HashSet<TenantId>,
    stale: u32,
    items: u64,
    promised: u64,
}

impl Listings {
    /// Takes a page with the link after it.
    ///
    /// # Errors
    ///
    /// Why the listing cannot be trusted any more.
    pub(super) fn take(&mut self, run: &SyncRun, page: &CustomerPage, next: Option<&str>) -> Result<(), &'static str> {
        let shown = self.0.entry(run.id).or_insert_with(|| Shown { items: run.listed, ..Shown::default() });
        let count = |items: usize| u64::try_from(items).unwrap_or(u64::MAX);
        shown.items = shown.items.saturating_add(count(page.customers.len() + page.skipped));
        shown.promised = shown.promised.max(page.promised.unwrap_or(0));
        let before = shown.customers.len();
        shown.customers.extend(page.customers.iter().map(|customer| customer.tenant_id));
        let weight = if page.customers.is_empty() { EMPTY } else { REPEATED };
        shown.stale = if shown.customers.len() > before { 0 } else { shown.stale + weight };
        match next {
            Some(next) if !shown.links.insert(next.to_owned()) => Err("the customer list leads in a circle"),
            Some(_) if shown.stale >= STALE_MAX => Err("the customer list leads in a circle"),
            None if shown.items < shown.promised => Err("the customer list has fewer customers than it says"),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn forget(&mut self, run: RunId) {
        self.0.remove(&run);
    }
}
