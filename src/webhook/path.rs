//! Whom a path is about: the account it names, if it also knows a secret of that account's.

use crate::clock::Timestamp;
use crate::domain::ids::PartnerAccountId;
use crate::domain::webhook_secret::SecretHash;
use crate::operations::accounts::Accounts;
use crate::store::Store;
use crate::webhook::refusal::Refusal;

/// The account of a path and the hash of its secret, which may be a former one for a while. Whether the account or the
/// secret was wrong cannot be told apart.
///
/// Only the hash is looked up: how long that takes tells how near it is to another hash, and nothing of a secret.
pub(super) async fn account(
    store: &Store,
    accounts: &Accounts,
    account: &str,
    secret: &str,
    now: Timestamp,
) -> Result<(PartnerAccountId, SecretHash), Refusal> {
    let hash = SecretHash::of(secret);
    let named: PartnerAccountId = account.parse().map_err(|_| Refusal::WrongPath)?;
    // Looked up in any case, so that the time it takes does not tell which accounts there are.
    let known = store.webhook_secret(&named, hash).await.map_err(|_| Refusal::StoreUnavailable)?;
    if !known.is_some_and(|known| known.is_honoured(now)) {
        return Err(Refusal::WrongPath);
    }
    // Asked only by whoever knows a secret of it.
    let served = accounts.find_in(store, &named).await.map_err(|_| Refusal::StoreUnavailable)?;
    served.map(|_| (named, hash)).map_err(|_| Refusal::WrongPath)
}
