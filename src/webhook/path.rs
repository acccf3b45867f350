//! Whom a path is about: the account it names, if it also knows that account's secret.

use crate::domain::ids::PartnerAccountId;
use crate::domain::webhook::WebhookSecret;
use crate::operations::accounts::Accounts;
use crate::store::Store;
use crate::webhook::refusal::Refusal;

/// The account of a path. Whether the account or the secret was wrong cannot be told apart.
pub(super) async fn account(
    store: &Store,
    accounts: &Accounts,
    account: &str,
    secret: &str,
) -> Result<PartnerAccountId, Refusal> {
    let named = account.parse().ok().and_then(|id| accounts.find(&id).ok()).map(|served| served.account.id.clone());
    let expected = match &named {
        Some(id) => store.webhook_path(id).await.map_err(|_| Refusal::StoreUnavailable)?.map(|path| path.secret),
        None => None,
    };
    // Compared in any case, so that the time it takes does not tell which accounts there are.
    let known = expected.is_some();
    let is_right = expected.unwrap_or_else(|| WebhookSecret::from_bytes([0; 32])).is(secret);
    named.filter(|_| known && is_right).ok_or(Refusal::WrongPath)
}
