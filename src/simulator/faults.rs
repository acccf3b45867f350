//! The fault script: what Partner Center does wrong on request. The effects are the failure catalogue the sync
//! engine has to survive; each is one answer a real service or a proxy before it can give.

use std::collections::VecDeque;
use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{Answer, Content};
use super::calls::Route;
use super::continuation;
use super::customer::Relationship;
use super::guid;
use super::mutation::Mutation;

/// One fault: what happens, to which calls, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// What happens.
    #[serde(flatten)]
    pub effect: Effect,
    /// The calls it happens to; without it, the effect's own: listing effects hit lists, customer effects hit
    /// get-by-id, all others hit every call but the token endpoint.
    #[serde(default)]
    pub on: Option<Route>,
    /// How often.
    #[serde(default)]
    pub repeat: Repeat,
}

/// How often a fault strikes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// Once; a call takes at most one such fault, in the order they were pushed.
    #[default]
    Once,
    /// At every matching call until the script is cleared.
    Always,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Effect {
    /// 429 in the gateway's shape.
    Throttled {
        /// The header's form.
        retry_after: RetryAfter,
    },
    /// An error of the server's.
    ServerError {
        /// The HTTP status.
        status: u16,
        /// What stands in the body.
        body: ErrorBody,
    },
    /// The right answer, cut off halfway through its body.
    Truncated,
    /// 200 with a body that is no such resource.
    WrongBody {
        /// What stands there instead.
        body: WrongBody,
    },
    /// The right answer, but said to be a web page.
    WrongContentType,
    /// The right answer, so many bytes a second.
    Drip {
        /// How many.
        bytes_per_second: u32,
    },
    /// An answer that begins and never ends.
    Endless,
    /// An answer that is small on the wire and so long unpacked.
    GzipBomb {
        /// Its length unpacked.
        mebibytes: u32,
    },
    /// The right answer, compressed, cut off halfway.
    TruncatedGzip,
    /// 401 without a body, whatever the token.
    Unauthorized,
    /// 403 with the given code.
    Forbidden {
        /// The API fault's code.
        code: u32,
    },
    /// The right answer, late.
    Delay {
        /// How late.
        milliseconds: u64,
    },
    /// The connection closes without a byte.
    ConnectionReset,
    /// A well-formed list without items and without a next page.
    EmptyList,
    /// A list that ends early as if it were complete.
    ShortList {
        /// How many items it has.
        items: usize,
    },
    /// 400 to a call that brings a continuation token.
    ExpireContinuation,
    /// The next page starts with this page's last item once more.
    DuplicateAcrossPages,
    /// A list shows a customer once more, as a partner with two roles sees it.
    ListedAgain {
        /// The customer.
        #[serde(with = "guid")]
        customer: Uuid,
        /// Whether it stands before everybody, on the first page; else behind everybody, on the last.
        #[serde(default)]
        ahead: bool,
        /// The relationship there; without it, the customer's own.
        #[serde(default)]
        relationship: Option<Relationship>,
        /// The name there; without it, the customer's own.
        #[serde(default)]
        company_name: Option<String>,
    },
    /// `links.next` leads to another host.
    ForeignNextLink {
        /// The other host.
        host: String,
    },
    /// `links.next` leads to this very page.
    LoopingNextLink,
    /// `links.next` leads back to the first page.
    BackwardsNextLink,
    /// `links.next` leads past the next page.
    SkipPage,
    /// `totalCount` is this, whatever the page holds.
    LieTotal {
        /// What it says.
        total_count: u64,
    },
    /// A customer's detail has `"billingProfile": null`.
    NullBillingProfile {
        /// The customer.
        #[serde(with = "guid")]
        customer: Uuid,
    },
    /// A customer's detail is 404/1000 although the list shows the customer.
    DetailNotFound {
        /// The customer.
        #[serde(with = "guid")]
        customer: Uuid,
    },
    /// A customer's detail is 403/20002 although the list shows the customer.
    DetailForbidden {
        /// The customer.
        #[serde(with = "guid")]
        customer: Uuid,
    },
    /// A customer looks odd, in its detail and in the list.
    MutateItem {
        /// The customer.
        #[serde(with = "guid")]
        customer: Uuid,
        /// In which way.
        mutation: Mutation,
    },
    /// A list leaves out a customer that the detail shows.
    HideFromList {
        /// The customer.
        #[serde(with = "guid")]
        customer: Uuid,
    },
}

/// The forms of `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// So many seconds.
    Seconds(u64),
    /// The date so many seconds from now.
    HttpDate(u32),
    /// No header.
    Absent,
}

/// The bodies of a server error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorBody {
    /// The API's fault shape.
    Json,
    /// A proxy's page.
    Html,
    /// Nothing.
    Empty,
}

/// Bodies that are not what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WrongBody {
    /// A sign-in page.
    Html,
    /// `null`.
    Null,
    /// `[]`.
    EmptyArray,
    /// `{}`.
    EmptyObject,
    /// The members that are asked for, each of another type than it should be.
    WrongTypes,
}

/// What of a call decides which faults strike it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) route: Route,
    pub(super) customer: Option<Uuid>,
    pub(super) continued: bool,
}

/// A partner's faults, waiting and standing.
#[derive(Debug, Default)]
pub(super) struct FaultScript {
    faults: VecDeque<Fault>,
}

impl Fault {
    /// Makes a fault that strikes the first matching call.
    pub fn once(effect: Effect) -> Self {
        Self { effect, on: None, repeat: Repeat::Once }
    }

    /// Makes a fault that strikes every matching call.
    pub fn always(effect: Effect) -> Self {
        Self { effect, on: None, repeat: Repeat::Always }
    }

    /// Limits the fault to one kind of call.
    #[must_use]
    pub fn on(self, route: Route) -> Self {
        Self { on: Some(route), ..self }
    }

    fn strikes(&self, target: Target) -> bool {
        self.on.map_or_else(|| self.effect.usually_strikes(target.route), |route| route == target.route)
            && self.effect.fits(target)
    }
}

impl Effect {
    fn usually_strikes(&self, route: Route) -> bool {
        match self {
            Self::EmptyList
            | Self::ShortList { .. }
            | Self::DuplicateAcrossPages
            | Self::ListedAgain { .. }
            | Self::ForeignNextLink { .. }
            | Self::LoopingNextLink
            | Self::BackwardsNextLink
            | Self::SkipPage
            | Self::LieTotal { .. }
            | Self::HideFromList { .. } => route == Route::List,
            Self::NullBillingProfile { .. } | Self::DetailNotFound { .. } | Self::DetailForbidden { .. } => {
                route == Route::Get
            }
            Self::MutateItem { .. } => matches!(route, Route::List | Route::Get),
            Self::ExpireContinuation => matches!(route, Route::List | Route::Audit),
            Self::Throttled { .. }
            | Self::ServerError { .. }
            | Self::Truncated
            | Self::WrongBody { .. }
            | Self::WrongContentType
            | Self::Drip { .. }
            | Self::Endless
            | Self::GzipBomb { .. }
            | Self::TruncatedGzip
            | Self::Unauthorized
            | Self::Forbidden { .. }
            | Self::Delay { .. }
            | Self::ConnectionReset => route != Route::Token,
        }
    }

    fn fits(&self, target: Target) -> bool {
        match self {
            Self::NullBillingProfile { customer }
            | Self::DetailNotFound { customer }
            | Self::DetailForbidden { customer } => target.customer == Some(*customer),
            Self::MutateItem { customer, .. } => target.customer.is_none_or(|asked| asked == *customer),
            Self::ExpireContinuation => target.continued,
            Self::Throttled { .. }
            | Self::ServerError { .. }
            | Self::Truncated
            | Self::WrongBody { .. }
            | Self::WrongContentType
            | Self::Drip { .. }
            | Self::Endless
            | Self::GzipBomb { .. }
            | Self::TruncatedGzip
            | Self::Unauthorized
            | Self::Forbidden { .. }
            | Self::Delay { .. }
            | Self::ConnectionReset
            | Self::EmptyList
            | Self::ShortList { .. }
            | Self::DuplicateAcrossPages
            | Self::ListedAgain { .. }
            | Self::ForeignNextLink { .. }
            | Self::LoopingNextLink
            | Self::BackwardsNextLink
            | Self::SkipPage
            | Self::LieTotal { .. }
            | Self::HideFromList { .. } => true,
        }
    }

    /// The answer given in place of the right one, for effects that have such.
    fn instead(&self, now: DateTime<Utc>) -> Option<Answer> {
        match self {
            Self::Throttled { retry_after } => Some(throttled(*retry_after, now)),
            Self::ServerError { status, body } => Some(server_error(*status, *body)),
            Self::WrongBody { body } => Some(Answer::new(StatusCode::OK, wrong_body(*body))),
            Self::Unauthorized => Some(Answer::new(StatusCode::UNAUTHORIZED, Content::Empty)),
            Self::Forbidden { code } => Some(Answer::fault(StatusCode::FORBIDDEN, *code, "Access is denied.")),
            Self::ConnectionReset => Some(Answer::new(StatusCode::OK, Content::Nothing)),
            Self::ExpireContinuation => Some(continuation::expired()),
            Self::DetailNotFound { .. } => Some(Answer::fault(StatusCode::NOT_FOUND, 1000, "Not found.")),
            Self::DetailForbidden { .. } => Some(Answer::no_relationship()),
            Self::Truncated
            | Self::WrongContentType
            | Self::Drip { .. }
            | Self::Endless
            | Self::GzipBomb { .. }
            | Self::TruncatedGzip
            | Self::Delay { .. }
            | Self::EmptyList
            | Self::ShortList { .. }
            | Self::DuplicateAcrossPages
            | Self::ListedAgain { .. }
            | Self::ForeignNextLink { .. }
            | Self::LoopingNextLink
            | Self::BackwardsNextLink
            | Self::SkipPage
            | Self::LieTotal { .. }
            | Self::NullBillingProfile { .. }
            | Self::MutateItem { .. }
            | Self::HideFromList { .. } => None,
        }
    }
}

impl FaultScript {
    pub(super) fn push(&mut self, fault: Fault) {
        self.faults.push_back(fault);
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(super) fn waiting(&self) -> Vec<Fault> {
        self.faults.iter().cloned().collect()
    }

    /// Takes what strikes a call: every standing fault that matches and the first matching one-shot, which is used up.
    pub(super) fn strike(&mut self, target: Target) -> Vec<Effect> {
        let mut effects: Vec<Effect> = self
            .faults
            .iter()
            .filter(|fault| fault.repeat == Repeat::Always && fault.strikes(target))
            .map(|fault| fault.effect.clone())
            .collect();
        let first = self.faults.iter().position(|fault| fault.repeat == Repeat::Once && fault.strikes(target));
        if let Some(fault) = first.and_then(|position| self.faults.remove(position)) {
            effects.push(fault.effect);
        }
        effects
    }
}

/// The answer that replaces the right one, if an effect asks for that.
pub(super) fn replacement(effects: &[Effect], now: DateTime<Utc>) -> Option<Answer> {
    effects.iter().find_map(|effect| effect.instead(now))
}

/// How long the effects hold a call up.
pub(super) fn delay(effects: &[Effect]) -> Duration {
    effects
        .iter()
        .map(|effect| match effect {
            Effect::Delay { milliseconds } => Duration::from_millis(*milliseconds),
            _ => Duration::ZERO,
        })
        .sum()
}

fn throttled(retry_after: RetryAfter, now: DateTime<Utc>) -> Answer {
    match retry_after {
        RetryAfter::Seconds(seconds) => Answer::throttled(seconds),
        RetryAfter::HttpDate(seconds) => Answer {
            retry_after: Some(httpdate::fmt_http_date((now + TimeDelta::seconds(i64::from(seconds))).into())),
            ..Answer::throttled(u64::from(seconds))
        },
        RetryAfter::Absent => Answer::gateway(StatusCode::TOO_MANY_REQUESTS, "Rate limit is exceeded."),
    }
}

fn server_error(status: u16, body: ErrorBody) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match body {
        ErrorBody::Json => Answer::fault(status, 800_003, "An unexpected error. Try again."),
        ErrorBody::Html => Answer::new(status, Content::Html("<html><body><h1>Bad gateway</h1></body></html>")),
        ErrorBody::Empty => Answer::new(status, Content::Empty),
    }
}

fn wrong_body(body: WrongBody) -> Content {
    match body {
        WrongBody::Html => Content::Html("<html><body>Sign in to your account</body></html>"),
        WrongBody::Null => Content::Verbatim(Value::Null),
        WrongBody::EmptyArray => Content::Verbatim(json!([])),
        WrongBody::EmptyObject => Content::Verbatim(json!({})),
        WrongBody::WrongTypes => Content::Verbatim(json!({
            "totalCount": "many", "items": {"id": 7}, "links": [], "id": 7, "companyProfile": [], "billingProfile": "x",
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: Target = Target { route: Route::List, customer: None, continued: false };

    #[test]
    fn one_shot_faults_strike_one_after_the_other() {
        let mut script = FaultScript::default();
        script.push(Fault::once(Effect::Unauthorized));
        script.push(Fault::once(Effect::Truncated));
        assert_eq!(script.strike(LIST), [Effect::Unauthorized]);
        assert_eq!(script.strike(LIST), [Effect::Truncated]);
        assert_eq!(script.strike(LIST), []);
    }

    #[test]
    fn a_standing_fault_strikes_beside_a_one_shot() {
        let mut script = FaultScript::default();
        let delay = Effect::Delay { milliseconds: 1 };
        script.push(Fault::always(delay.clone()));
        script.push(Fault::once(Effect::EmptyList));
        assert_eq!(script.strike(LIST), [delay.clone(), Effect::EmptyList]);
        assert_eq!(script.strike(LIST), [delay]);
    }

    #[test]
    fn a_fault_for_another_route_waits() {
        let mut script = FaultScript::default();
        script.push(Fault::once(Effect::Unauthorized).on(Route::Token));
        assert_eq!(script.strike(LIST), []);
        assert_eq!(script.waiting().len(), 1);
    }

    #[test]
    fn a_fault_reads_from_json() {
        let fault: Fault = serde_json::from_value(json!({
            "effect": "throttled", "retryAfter": {"seconds": 5}, "on": "list", "repeat": "always"
        }))
        .unwrap();
        let retry_after = RetryAfter::Seconds(5);
        assert_eq!(fault, Fault::always(Effect::Throttled { retry_after }).on(Route::List));
    }
}
