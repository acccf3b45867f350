//! Tells why a customer is here, or why not: what the store knows, and what Partner Center says when it is asked now.
//!
//! The answer is told and not applied: a customer that Partner Center shows otherwise than its record does is marked, and
//! fetched the way every other is. The question costs a call upstream, so whoever may run synchronization may ask.

use crate::clock::Timestamp;
use crate::domain::access::{Action, Caller, Denied};
use crate::domain::customer::{Customer, SyncState, VisibleState};
use crate::domain::explain::{Facts, Judgement, Live, Record, judge};
use crate::domain::hold::HoldId;
use crate::domain::ids::{CustomerId, PartnerAccountId, TenantId};
use crate::domain::look::LookCause;
use crate::domain::observation::Observed;
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::questions::{NoAnswer, PATIENCE, Questions};
use crate::store::{self, Priority, SharedKey, Store, UpstreamTrace};

/// By what a customer is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExplainKey {
    /// The Microsoft tenant id.
    TenantId(TenantId),
    /// A domain.
    Domain(String),
    /// The customer.
    Customer(CustomerId),
}

/// Why nothing was explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainCustomerError {
    /// The caller may not ask there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// No such customer in it.
    #[error("there is no customer {1} in partner account {0}")]
    CustomerNotFound(PartnerAccountId, CustomerId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Why a customer is here, or why not.
#[derive(Debug)]
pub struct Explanation {
    /// What it comes to.
    pub judgement: Judgement,
    /// The customer's record.
    pub record: Option<Customer>,
    /// Its tenant.
    pub tenant: Option<TenantId>,
    /// Whether it waits because it looks like a platform customer.
    pub pending: bool,
    /// What Partner Center says now.
    pub live: Live,
    /// When it was asked; absent when it was not.
    pub asked_at: Option<Timestamp>,
    /// What the account has met of the tenant.
    pub trace: Option<UpstreamTrace>,
    /// When the list was last read to its end.
    pub listed_at: Option<Timestamp>,
    /// The hold that its removal waits in.
    pub hold: Option<HoldId>,
    /// What keeps the account from being synchronized.
    pub account_problem: Option<String>,
}

/// Whom a key means, as far as the store can tell.
struct Meant {
    tenant: Option<TenantId>,
    /// A customer of the platform's own.
    platform: Option<Customer>,
    /// By what Partner Center may find the tenant.
    domain: Option<String>,
}

/// Explains a customer.
pub async fn explain_customer(
    store: &Store,
    accounts: &Accounts,
    questions: &Questions,
    caller: &Caller,
    account: &PartnerAccountId,
    key: ExplainKey,
    now: Timestamp,
) -> Result<Explanation, ExplainCustomerError> {
    caller.may(Action::RunSync, account)?;
    accounts.find_in(store, account).await??;
    let Meant { tenant, platform, domain } = meant(store, account, key).await?;
    // There may be two questions; a caller waits for both no longer than for one. Real time on purpose.
    let asked = tokio::time::timeout(PATIENCE, ask(questions, account, tenant, domain)).await;
    let (tenant, live) = asked.unwrap_or_else(|_| (tenant, Live::Unavailable("NO_ANSWER_IN_TIME".to_owned())));
    let asked_at = (live != Live::NotAsked).then_some(now);
    // Read after the answer came, so that the two fit.
    let (customer, trace, pending) = match tenant {
        Some(tenant) => (
            store.customer_of_tenant(account, tenant).await?,
            store.upstream_trace(account, tenant).await?,
            store.awaits_link(account, tenant).await?,
        ),
        None => (None, None, false),
    };
    let record = match (&customer, &platform, tenant) {
        (Some(customer), _, _) => customer.visible_state().map_or(Record::Platform, Record::Microsoft),
        // Once Partner Center has a tenant with its domain, that tenant is what is asked about.
        (None, Some(_), None) => Record::Platform,
        (None, _, _) => Record::None,
    };
    let unusable = trace.as_ref().is_some_and(|trace| trace.unusable.is_some());
    let judgement = judge(Facts { record, pending, unusable, live: &live });
    if let (true, Some(tenant)) = (judgement.look, tenant) {
        store
            .write("explain_customer", async |tx| {
                tx.mark_dirty(account, &[tenant], Priority::Signal, LookCause::Refresh).await
            })
            .await?;
    }
    let hold = match (record, tenant) {
        (Record::Microsoft(VisibleState::Kept(SyncState::HeldForRemoval)), Some(tenant)) => {
            let hold = store.hold(account).await?;
            hold.filter(|hold| hold.customers.iter().any(|held| held.tenant_id == tenant)).map(|hold| hold.id)
        }
        (Record::None | Record::Platform | Record::Microsoft(_), _) => None,
    };
    let noted = store.hindrance(account).await?.problem.map(|problem| problem.reason);
    let account_problem = match &live {
        Live::Blocked { reason, .. } => Some(reason.clone()),
        Live::NotAsked | Live::Present | Live::Unusable(_) | Live::Gone(_) | Live::Unlisted | Live::Unavailable(_) => {
            noted
        }
    };
    let listed_at = store.last_readings(account).await?.listed_at;
    let record = customer.or(platform);
    Ok(Explanation { judgement, record, tenant, pending, live, asked_at, trace, listed_at, hold, account_problem })
}

/// Of several customers with a domain, the one of Microsoft's is meant.
async fn meant(store: &Store, account: &PartnerAccountId, key: ExplainKey) -> Result<Meant, ExplainCustomerError> {
    match key {
        ExplainKey::TenantId(tenant) => Ok(Meant { tenant: Some(tenant), platform: None, domain: None }),
        ExplainKey::Customer(id) => {
            let found = store.customer(account, id).await?;
            let customer = found.ok_or_else(|| ExplainCustomerError::CustomerNotFound(account.clone(), id))?;
            if let Some(link) = &customer.microsoft {
                return Ok(Meant { tenant: Some(link.tenant_id), platform: None, domain: None });
            }
            let domain = Some(customer.domain.clone()).filter(|domain| !domain.is_empty());
            Ok(Meant { tenant: None, platform: Some(customer), domain })
        }
        ExplainKey::Domain(domain) => {
            let known = match store.tenant_with_domain(account, &domain.to_lowercase()).await? {
                Some(tenant) => Some(tenant),
                None => store.tenant_listed_with_domain(account, &domain).await?,
            };
            let key = domain.to_lowercase();
            let platform = match known {
                Some(_) => None,
                None => store.customers_sharing(account, SharedKey::Domain(&key), 1).await?.pop(),
            };
            Ok(Meant { tenant: known, platform, domain: Some(domain) })
        }
    }
}

/// What Partner Center says now, and of which tenant: one that is not known here is looked for by its domain first.
async fn ask(
    questions: &Questions,
    account: &PartnerAccountId,
    known: Option<TenantId>,
    domain: Option<String>,
) -> (Option<TenantId>, Live) {
    let tenant = match (known, domain) {
        (Some(tenant), _) => tenant,
        (None, None) => return (None, Live::NotAsked),
        (None, Some(domain)) => match questions.tenant_of_domain(account, domain).await {
            Ok(Some(tenant)) => tenant,
            Ok(None) => return (None, Live::Unlisted),
            Err(no_answer) => return (None, unanswered(no_answer)),
        },
    };
    let live = match questions.customer(account, tenant).await {
        Ok(observation) => match observation.observed {
            Observed::Present(_) => Live::Present,
            Observed::Unusable(reason) => Live::Unusable(reason),
            Observed::Gone(answer) => Live::Gone(answer),
        },
        Err(no_answer) => unanswered(no_answer),
    };
    (Some(tenant), live)
}

fn unanswered(no_answer: NoAnswer) -> Live {
    match no_answer {
        NoAnswer::AccountBlocked { reason, remedy } => Live::Blocked { reason, remedy },
        NoAnswer::Unavailable { cause, .. } => Live::Unavailable(cause),
    }
}
