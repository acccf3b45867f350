//! Asks Partner Center now whether an account can sign in and do what synchronization needs.
//!
//! What does not work is the answer. Whoever has the account's connection asks; before that the credentials are looked at
//! here, because without them nobody has a connection.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::access::{Action, Caller};
use crate::domain::account::{AccountOrigin, PartnerKind};
use crate::domain::ids::PartnerAccountId;
use crate::domain::standstill::Standstill;
use crate::domain::user_sign_in::{CERTIFICATE_EXPIRED, Warning, certificate_warning};
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
    now: Timestamp,
) -> Result<Vec<HealthCheck>, PartnerAccountError> {
    caller.may(Action::RunSync, account)?;
    accounts.find_in(store, account).await??;
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
    let warning = kept.record.credential.and_then(|kind| certificate_warning(kind, now));
    let mut checks = credentials_checked(warning);
    if checks.iter().any(|check| !check.optional && check.failure.is_some()) {
        return Ok(checks);
    }
    match questions.health(account).await {
        Ok(asked) => checks.extend(asked.into_iter().map(|check| needed_by(kept.record.account.kind, check))),
        Err(no_answer) => checks.push(check(HealthCheckKind::CustomerList, Some(failure(no_answer)))),
    }
    Ok(checks)
}

/// Whether the credentials are valid, and then what warns of their end.
fn credentials_checked(warning: Option<Warning>) -> Vec<HealthCheck> {
    let (is_over, failure) = match warning {
        None => return vec![check(HealthCheckKind::Credentials, None)],
        Some(Warning { reason, detail, since: _ }) => {
            (reason == CERTIFICATE_EXPIRED, Some(Failure { reason, remedy: detail }))
        }
    };
    if is_over {
        return vec![check(HealthCheckKind::Credentials, failure)];
    }
    let ends_soon = HealthCheck { kind: HealthCheckKind::Credentials, optional: true, failure };
    vec![check(HealthCheckKind::Credentials, None), ends_soon]
}

/// Only an indirect provider needs a user: resellers are told to nobody else.
fn needed_by(kind: PartnerKind, check: HealthCheck) -> HealthCheck {
    match (check.kind, kind) {
        (HealthCheckKind::UserSignIn, PartnerKind::IndirectProvider) => HealthCheck { optional: false, ..check },
        (
            HealthCheckKind::Credentials
            | HealthCheckKind::CustomerList
            | HealthCheckKind::AuditLog
            | HealthCheckKind::WebhookRegistration
            | HealthCheckKind::UserSignIn,
            PartnerKind::DirectBill | PartnerKind::IndirectProvider | PartnerKind::IndirectReseller,
        ) => check,
    }
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
