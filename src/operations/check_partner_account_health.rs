//! Asks Partner Center now whether an account can sign in and do what synchronization needs.
//!
//! What does not work is the answer. Whoever has the account's connection asks; before that the credentials are looked at
//! here, because without them nobody has a connection.

use std::time::Duration;

use crate::domain::access::{Action, Caller};
use crate::domain::account::AccountOrigin;
use crate::domain::ids::PartnerAccountId;
use crate::domain::standstill::Standstill;
use crate::operations::accounts::{AccountNotFound, Accounts};
use crate::operations::credentials;
use crate::operations::partner_accounts::PartnerAccountError;
use crate::operations::questions::{Failure, HealthCheck, HealthCheckKind, NoAnswer, Questions};
use crate::sealing::SealingKeys;
use crate::store::Store;

/// How long synchronization may take to go by credentials that were just set. Real time: it is a caller that waits.
const FOLLOWING: Duration = Duration::from_secs(3);

/// Tells each thing that was tried, in order. Needs the permission to run synchronization, whose calls it spends.
pub async fn check_partner_account_health(
    store: &Store,
    accounts: &Accounts,
    keys: Option<&SealingKeys>,
    questions: &Questions,
    caller: &Caller,
    account: &PartnerAccountId,
) -> Result<Vec<HealthCheck>, PartnerAccountError> {
    caller.may(Action::RunSync, account)?;
    accounts.find(account)?;
    let kept = store.kept_account(account).await?.ok_or_else(|| AccountNotFound(account.clone()))?;
    match kept.record.origin {
        // Without its secret the service would not have started.
        AccountOrigin::Configuration => {}
        AccountOrigin::Api => {
            if let Err(standstill) = credentials::opened(&kept, keys) {
                return Ok(vec![check(HealthCheckKind::Credentials, Some(standing(standstill)))]);
            }
            // Otherwise somebody could be told how the credentials fare that were just replaced.
            let followed = accounts.followed(account, kept.record.revision);
            if tokio::time::timeout(FOLLOWING, followed).await.is_err() {
                tracing::warn!(account = %account, "synchronization is slow to follow a change of the account");
            }
        }
    }
    let mut checks = vec![check(HealthCheckKind::Credentials, None)];
    match questions.health(account).await {
        Ok(asked) => checks.extend(asked),
        Err(no_answer) => checks.push(check(HealthCheckKind::CustomerList, Some(failure(no_answer)))),
    }
    Ok(checks)
}

const fn check(kind: HealthCheckKind, failure: Option<Failure>) -> HealthCheck {
    HealthCheck { kind, optional: false, failure }
}

fn standing(standstill: Standstill) -> Failure {
    Failure { reason: standstill.reason().to_owned(), remedy: standstill.remedy().to_owned() }
}

fn failure(no_answer: NoAnswer) -> Failure {
    match no_answer {
        NoAnswer::AccountBlocked { reason, remedy } => Failure { reason, remedy },
        NoAnswer::Unavailable { cause, .. } => Failure::passing(&cause),
    }
}
