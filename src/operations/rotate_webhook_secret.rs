//! Has a new secret made for the path of an account's callback. The worker registers it; nobody is asked here.

use crate::domain::access::{Action, Caller, Denied};
use crate::domain::account::AccountRecord;
use crate::domain::ids::PartnerAccountId;
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::once::{self, Once, Outcome, RequestIdReused};
use crate::store::{self, Store, WebhookStanding, WebhookState};

/// Whose the registration is, when it is not this service's to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// This service does not listen for events, so nobody would receive what is registered.
    NotReceived,
    /// Nobody has looked yet.
    NotSeenYet,
    /// Nobody.
    None,
    /// Somebody else, at that host.
    Foreign(Option<String>),
    /// Somebody else or nobody; it was this service's.
    Lost(Option<String>),
}

impl Holder {
    /// Its name in errors.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotReceived => "NOT_RECEIVED",
            Self::NotSeenYet => "NOT_SEEN_YET",
            Self::None => "NONE",
            Self::Foreign(_) => "FOREIGN",
            Self::Lost(_) => "LOST",
        }
    }

    /// Whose host it is.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Foreign(host) | Self::Lost(host) => host.as_deref(),
            Self::NotReceived | Self::NotSeenYet | Self::None => None,
        }
    }
}

/// Why no new secret is made.
#[derive(Debug, thiserror::Error)]
pub enum RotateWebhookSecretError {
    /// The caller may not change accounts there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such account.
    #[error(transparent)]
    AccountNotFound(#[from] AccountNotFound),
    /// The registration is not this service's to change.
    #[error("the webhook registration of partner account {} is not ours: {}", .0, .1.name())]
    NotOurs(PartnerAccountId, Holder),
    /// The request id belongs to another request.
    #[error(transparent)]
    RequestIdReused(#[from] RequestIdReused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Keeps the wish for a new secret, and returns the account as it is then. A wish that is there already is the same.
pub async fn rotate_webhook_secret(
    store: &Store,
    accounts: &Accounts,
    caller: &Caller,
    account: &PartnerAccountId,
    receives_events: bool,
    once: Option<Once<'_, AccountRecord>>,
) -> Result<Outcome<AccountRecord>, RotateWebhookSecretError> {
    caller.may(Action::ManageAccounts, account)?;
    accounts.find_in(store, account).await??;
    store
        .write("rotate_webhook_secret", async |tx| {
            if let Some(answer) = once::before::<_, RotateWebhookSecretError>(tx, once.as_ref()).await? {
                return Ok(Outcome::Before(answer));
            }
            let found = tx.account_for_update(account).await?;
            let record = found.ok_or_else(|| AccountNotFound(account.clone()))?;
            if let Some(holder) = somebody_else(receives_events, &tx.webhook_standing(account).await?) {
                return Err(RotateWebhookSecretError::NotOurs(account.clone(), holder));
            }
            tx.want_webhook_rotation(account).await?;
            once::keep(tx, once.as_ref(), &record).await?;
            Ok(Outcome::Now(record))
        })
        .await
}

/// Who is in the way, as the registration was last seen.
fn somebody_else(receives_events: bool, standing: &WebhookStanding) -> Option<Holder> {
    match standing.state {
        _ if !receives_events => Some(Holder::NotReceived),
        None => Some(Holder::NotSeenYet),
        Some(WebhookState::None) => Some(Holder::None),
        Some(WebhookState::Foreign) => Some(Holder::Foreign(standing.host.clone())),
        Some(WebhookState::Lost) => Some(Holder::Lost(standing.host.clone())),
        Some(WebhookState::Ours) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_registration_of_ours_that_is_received_gets_a_new_secret() {
        let host = Some("hooks.other.example".to_owned());
        let standing = |state| WebhookStanding { state, host: host.clone(), ..WebhookStanding::default() };
        let cases = [
            (None, "NOT_SEEN_YET", None),
            (Some(WebhookState::None), "NONE", None),
            (Some(WebhookState::Foreign), "FOREIGN", host.as_deref()),
            (Some(WebhookState::Lost), "LOST", host.as_deref()),
        ];
        for (state, name, host) in cases {
            let holder = somebody_else(true, &standing(state)).expect("somebody is in the way");
            assert_eq!((holder.name(), holder.host()), (name, host));
        }
        assert_eq!(somebody_else(true, &standing(Some(WebhookState::Ours))), None);
        assert_eq!(somebody_else(false, &standing(Some(WebhookState::Ours))), Some(Holder::NotReceived));
    }
}
