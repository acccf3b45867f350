//! Who a partner is, how its part of the simulated Partner Center behaves, and what that part holds.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::applications::Application;
use super::audit::AuditLog;
use super::calls::Calls;
use super::customer::Customer;
use super::faults::FaultScript;
use super::guid;
use super::past::Past;
use super::query::Query;
use super::registration::Webhooks;
use super::resellers::Resellers;
use super::sign_in::SignIns;
use super::throttle::FixedWindow;
use super::webhooks::Mischief;

/// The default page, and the largest assumed to be honoured (FACTS.md 2.1).
const LARGEST_PAGE: usize = 500;

/// One Partner Center tenant and the application that may call for it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partner {
    /// The partner's own Entra tenant.
    #[serde(with = "guid")]
    pub tenant_id: Uuid,
    /// A short name, accepted by the control API in place of the tenant id.
    pub name: String,
    /// The application id that asks for tokens.
    pub client_id: String,
    /// The application's secret; never printed by `Debug` nor by the control API.
    pub client_secret: String,
    /// What the partner sells as.
    pub kind: PartnerKind,
    /// The partner's verified domain, accepted by the token endpoint in place of the tenant id (FACTS.md 1.2).
    pub domain: String,
}

impl fmt::Debug for Partner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Partner")
            .field("tenant_id", &self.tenant_id)
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The three kinds of partner (FACTS.md 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartnerKind {
    /// Sells to customers directly.
    DirectBill,
    /// A distributor: sees the customers of all its resellers.
    IndirectProvider,
    /// Sells through a distributor.
    IndirectReseller,
}

/// How Partner Center behaves towards one partner where the sources disagree or are silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Knobs {
    /// Whether `links.next.uri` starts with `/v1`; production changed this in November 2021 (FACTS.md 2.1).
    pub link_with_version: bool,
    /// How long a continuation token of a list lives.
    pub continuation_lifetime_seconds: u32,
    /// Whether every JSON body starts with a UTF-8 byte order mark (FACTS.md 9).
    pub byte_order_mark: bool,
    /// Whether answers use PascalCase members and explicit nulls, as PATCH answers do (FACTS.md 3.4).
    pub pascal_case: bool,
    /// Whether `code` in an error is text, as documented, instead of the number seen in the wild (FACTS.md 8.1).
    pub error_code_as_text: bool,
    /// The order of audit records; both have been seen (FACTS.md 5.1).
    pub audit_order: AuditOrder,
    /// Whether the acceptance by an existing customer leaves an audit record; unknown (FACTS.md 5.4).
    pub acceptance_audited: bool,
    /// The life of an access token (FACTS.md 1.2).
    pub token_lifetime_seconds: u32,
    /// The form of a 401 (FACTS.md 8.1, shapes 2 and 4).
    pub unauthorized_body: UnauthorizedBody,
    /// How long every call takes at least.
    pub latency_milliseconds: u64,
    /// Calls a minute before 429; `None` switches the limiter off. Microsoft publishes 500 for the customer
    /// resource (FACTS.md 7).
    pub limit_per_minute: Option<u32>,
    /// What goes wrong with events.
    pub webhook_mischief: Option<Mischief>,
    /// How long an event takes to be sent.
    pub webhook_delay_milliseconds: u64,
    /// How often an event is sent until it is taken (FACTS.md 6.4).
    pub webhook_attempts: u32,
    /// The time between these; Microsoft does not publish it.
    pub webhook_retry_milliseconds: u64,
    /// For how long get-by-id still answers what was before an update.
    pub lag_seconds: u32,
    /// How long after its operation a record appears in the audit log.
    pub audit_delay_seconds: u32,
    /// Whether the audit log lists every record twice.
    pub audit_duplicates: bool,
    /// How many seconds the `Date` of every answer is ahead of the simulated time; negative is behind.
    pub date_skew_seconds: i64,
    /// How many customers or resellers a page has when the caller does not say (FACTS.md 2.1).
    pub usual_page: usize,
}

impl Knobs {
    /// The page size of a call for customers or resellers; `None` if what it says is no number.
    pub(super) fn page_size(&self, query: &Query) -> Option<usize> {
        match query.get("size") {
            None | Some("0") => Some(self.usual_page.max(1)),
            Some(_) => query.size(LARGEST_PAGE),
        }
    }
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            link_with_version: true,
            continuation_lifetime_seconds: 3600,
            byte_order_mark: false,
            pascal_case: false,
            error_code_as_text: false,
            audit_order: AuditOrder::NewestFirst,
            acceptance_audited: true,
            token_lifetime_seconds: 3599,
            unauthorized_body: UnauthorizedBody::Empty,
            latency_milliseconds: 0,
            limit_per_minute: None,
            webhook_mischief: None,
            webhook_delay_milliseconds: 0,
            webhook_attempts: 10,
            webhook_retry_milliseconds: 1000,
            lag_seconds: 0,
            audit_delay_seconds: 0,
            audit_duplicates: false,
            date_skew_seconds: 0,
            usual_page: LARGEST_PAGE,
        }
    }
}

/// The order of an audit listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditOrder {
    /// As in the documentation's samples.
    NewestFirst,
    /// As in a recorded body.
    OldestFirst,
    /// Pages from the newest on, and no order within a page.
    Shuffled,
}

/// What stands in the body of a 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnauthorizedBody {
    /// Nothing.
    Empty,
    /// `{"statusCode":401,"message":"…"}`.
    Gateway,
}

/// Everything the simulator holds for one partner.
pub(super) struct PartnerCenter {
    pub(super) partner: Partner,
    pub(super) knobs: Knobs,
    /// Those that may call beside the partner's own.
    pub(super) applications: Vec<Application>,
    /// Customers with a relationship. Ordered by id, so that a page is found without counting and a new customer may
    /// fall between two pages.
    pub(super) customers: BTreeMap<Uuid, Customer>,
    /// Customers that had a relationship once.
    pub(super) former: BTreeMap<Uuid, Customer>,
    pub(super) resellers: Resellers,
    /// What get-by-id may still answer for a while.
    pub(super) past: Past,
    pub(super) audit: AuditLog,
    pub(super) webhooks: Webhooks,
    pub(super) faults: FaultScript,
    pub(super) sign_ins: SignIns,
    pub(super) calls: Calls,
    pub(super) window: FixedWindow,
    /// Tokens issued before this second are refused.
    pub(super) tokens_valid_from: i64,
    /// How many customers were drawn at random so far; the next draw's seed, so that nothing depends on chance.
    pub(super) draws: u64,
}

impl PartnerCenter {
    pub(super) fn new(partner: Partner) -> Self {
        Self {
            partner,
            knobs: Knobs::default(),
            applications: Vec::new(),
            customers: BTreeMap::new(),
            former: BTreeMap::new(),
            resellers: Resellers::default(),
            past: Past::default(),
            audit: AuditLog::default(),
            webhooks: Webhooks::default(),
            faults: FaultScript::default(),
            sign_ins: SignIns::default(),
            calls: Calls::default(),
            window: FixedWindow::default(),
            tokens_valid_from: i64::MIN,
            draws: 0,
        }
    }

    /// Tells whether a caller's word for a partner (tenant id, domain or short name) means this one.
    pub(super) fn is_called(&self, word: &str) -> bool {
        Uuid::parse_str(word).is_ok_and(|id| id == self.partner.tenant_id)
            || self.partner.domain.eq_ignore_ascii_case(word)
            || self.partner.name.eq_ignore_ascii_case(word)
    }
}

/// The three partners of the demonstration, one of each kind.
pub(super) fn demo_partners() -> Vec<Partner> {
    [
        ("contoso", PartnerKind::DirectBill, 0x1),
        ("northwind", PartnerKind::IndirectProvider, 0x2),
        ("fabrikam", PartnerKind::IndirectReseller, 0x3),
    ]
    .into_iter()
    .map(|(name, kind, number)| Partner {
        tenant_id: Uuid::from_u128(0xc0de_0000_0000_4000_8000_0000_0000_0000 | number),
        name: name.to_owned(),
        client_id: Uuid::from_u128(0xa99c_0000_0000_4000_8000_0000_0000_0000 | number).to_string(),
        client_secret: format!("{name}-demo-secret"),
        kind,
        domain: format!("{name}partner.onmicrosoft.com"),
    })
    .collect()
}
