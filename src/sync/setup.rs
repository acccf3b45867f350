//! How an account is kept level, made in one way wherever the account comes from: of the configuration or of the API.

use std::num::NonZeroUsize;

use crate::clock::Clock;
use crate::domain::account::PartnerKind;
use crate::domain::ids::PartnerAccountId;
use crate::domain::policy::SyncPolicy;
use crate::partner_center::PartnerCenter;
use crate::partner_center::error::SetupError;
use crate::partner_center::settings::Settings;
use crate::sealing::SealingKeys;
use crate::store::Store;
use crate::sync::WebhookPlan;
use crate::sync::refresh_tokens::keeper;

/// How an account is kept level: what every worker of it is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The account.
    pub account: PartnerAccountId,
    /// How the partner sells.
    pub kind: PartnerKind,
    /// How it is kept level.
    pub policy: SyncPolicy,
    /// How many questions may be open at a time.
    pub concurrency: NonZeroUsize,
    /// How it is reached.
    pub upstream: PartnerCenter,
    /// Has events sent to this service as well, where nobody else has them sent elsewhere.
    pub webhook: Option<WebhookPlan>,
}

/// What is said of an account that is to be kept level.
#[derive(Debug)]
pub struct Said {
    /// The account.
    pub account: PartnerAccountId,
    /// How the partner sells.
    pub kind: PartnerKind,
    /// How it is kept level.
    pub policy: SyncPolicy,
    /// How it is reached.
    pub partner_center: Settings,
    /// Whether the application acts for a user whose refresh token is kept.
    pub has_user: bool,
    /// How events reach this service.
    pub webhook: Option<WebhookPlan>,
}

impl Setup {
    /// Prepares the connection. A user is acted for only where there are keys under which refresh tokens are kept.
    pub fn of(said: Said, store: &Store, keys: Option<&SealingKeys>, clock: &Clock) -> Result<Self, SetupError> {
        let Said { account, kind, policy, partner_center: settings, has_user, webhook } = said;
        let concurrency = settings.concurrency;
        let keys = keys.filter(|_| has_user);
        let upstream = match keys.map(|keys| keeper(store, keys, &account, &settings.client_id, clock)) {
            Some(keeper) => PartnerCenter::with_user(settings, keeper, clock.clone())?,
            None => PartnerCenter::new(settings, clock.clone())?,
        };
        Ok(Self { account, kind, policy, concurrency, upstream, webhook })
    }
}
