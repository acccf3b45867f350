//! The client of Microsoft Partner Center: asks for customers, audit records and the webhook registration, paced and
//! within limits, and answers in the domain's words.
//!
//! It is the only module that names `reqwest`, and Microsoft's JSON does not leave it. It knows the domain and nothing
//! of the store, the sync or callers. It reads; the only thing it ever writes upstream is the partner's webhook
//! registration ([`registration`]), and whether it may is decided by the sync.
//!
//! A tour, from the outside in: [`settings`] says what a connection needs; [`customers`], [`domains`],
//! [`audit_records`], [`relationships`] and [`registration`] are the questions; `request` asks one (pace, token, headers), `access_token` signs in (`token_request` has the form, [`refresh_token`] the user's half), `transport`
//! holds the HTTP client and its limits, `pacing` keeps the rate. Answers are read by `document` and mapped by
//! `profile`; pages go on by [`links`]. What goes wrong is an [`error::Error`] whose [`error::Fate`] says what to do,
//! and `error_body` is where Partner Center's many ways to say no become one.

use std::sync::Arc;

use crate::clock::{Clock, Timestamp};
use crate::partner_center::counts::{CallCounts, Counters};
use crate::partner_center::error::{Error, SetupError};
use crate::partner_center::refresh_token::RefreshTokenKeeper;
use crate::partner_center::request::Connection;
use crate::partner_center::settings::Settings;

pub mod audit_records;
pub mod blockage;
pub mod counts;
pub mod customers;
pub mod domains;
pub mod error;
pub mod identity;
pub mod links;
pub mod refresh_token;
pub mod registration;
pub mod relationships;
pub mod settings;

mod access_token;
mod advice;
mod document;
mod error_body;
mod fingerprint;
mod pacing;
mod profile;
mod request;
mod retry_after;
mod skew;
#[cfg(test)]
mod scripted_server;
mod token_request;
mod transport;

/// One partner account's connection to Partner Center. Clones share its pace, token and counts.
#[derive(Clone, Debug)]
pub struct PartnerCenter(Arc<Connection>, Option<Arc<Counters>>);

impl PartnerCenter {
    /// A client that has not asked anything yet.
    ///
    /// # Errors
    ///
    /// When the settings cannot work, or the system has no certificate authorities to trust.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, SetupError> {
        Connection::new(&settings, clock, None).map(|connection| Self(Arc::new(connection), None))
    }

    /// As [`PartnerCenter::new`], for an account that has a user: its refresh tokens are with `keeper`.
    pub fn with_user(
        settings: Settings,
        keeper: Arc<dyn RefreshTokenKeeper>,
        clock: Clock,
    ) -> Result<Self, SetupError> {
        Connection::new(&settings, clock, Some(keeper)).map(|connection| Self(Arc::new(connection), None))
    }

    /// Until when Partner Center wants no calls; they fail at once with
    /// [`Problem::Throttled`](error::Problem::Throttled) before that, so that the worker can do something else.
    pub fn throttled_until(&self) -> Option<Timestamp> {
        self.0.transport.pacing.paused_until()
    }

    /// How many calls a minute may be made now: the configured rate, or less after Partner Center asked for less.
    pub fn calls_per_minute(&self) -> u64 {
        self.0.transport.pacing.calls_per_minute()
    }

    /// The same connection, which counts beside the rest what is asked through it: pages of customers and single ones.
    #[must_use]
    pub fn metered(&self) -> Self {
        Self(Arc::clone(&self.0), Some(Arc::default()))
    }

    /// How many pages of customers and single ones were asked for through this clone since it was metered.
    pub fn metered_calls(&self) -> u64 {
        let counted = self.1.as_ref().map(|meter| meter.read()).unwrap_or_default();
        counted.list + counted.get
    }

    /// How far Partner Center's clock is ahead of ours, as its last answer says; negative when it is behind.
    pub fn clock_skew(&self) -> chrono::TimeDelta {
        self.0.transport.skew.read()
    }

    /// Whether calls can be made on behalf of a user. Without one they fail with
    /// [`Blockage::UserSignInMissing`](blockage::Blockage::UserSignInMissing), and nothing is sent.
    pub fn has_user(&self) -> bool {
        self.0.has_user()
    }

    /// Whether the user can be signed in: uses a token that works, or the refresh token.
    pub async fn try_user_sign_in(&self) -> Result<(), Error> {
        self.0.try_user_sign_in().await
    }

    /// Uses the user's refresh token although nobody needs it, so that it does not expire.
    pub async fn renew_user_sign_in(&self) -> Result<(), Error> {
        self.0.renew_user_sign_in().await
    }

    /// How many calls were sent since the client was made.
    pub fn calls(&self) -> CallCounts {
        self.0.transport.counters.read()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Epoch, Ticket};
    use crate::domain::observation::ObservationMark;
    use crate::partner_center::scripted_server::{Partner, Script, TENANT};

    fn assert_send<T: Send>(value: T) -> T {
        value
    }

    #[tokio::test]
    async fn clones_share_pace_token_and_counts_and_may_ask_from_any_thread() {
        let partner = Partner::answering([Script::new(404, r#"{"code":1000}"#), Script::new(429, "")]).await;
        let mark = ObservationMark { epoch: Epoch(1), ticket: Ticket(1) };
        let tenant_id = TENANT.parse().expect("an id");
        let clone = partner.center.clone();
        assert_send(partner.center.observe(tenant_id, mark)).await.expect("an observation");
        assert_send(clone.list_customers(None)).await.expect_err("throttled");
        assert_send(clone.webhook_registration()).await.expect_err("held back");
        assert!(partner.center.throttled_until().is_some());
        let expected = CallCounts { get: 1, list: 1, token: 1, throttled: 1, ..CallCounts::default() };
        assert_eq!(partner.center.calls(), expected);
    }
}
