//! Tries what synchronization needs, one thing after another, and tells what works and what to do about the rest.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::operations::questions::{Failure, HealthCheck, HealthCheckKind};
use crate::partner_center::PartnerCenter;
use crate::partner_center::error::{Error, Fate};
use crate::sync::trouble::concerns_the_account;

/// How long one answer is waited for. Real time: it is a caller that waits.
const PATIENCE: Duration = Duration::from_secs(8);

/// How one thing went, and whether the next would meet the same failure.
struct Tried {
    failure: Option<Failure>,
    is_the_account: bool,
}

/// Tries everything in order, and stops at a failure that everything else would meet as well.
pub(super) async fn check(upstream: &PartnerCenter, now: Timestamp) -> Vec<HealthCheck> {
    let today = now.to_utc().date_naive();
    let mut checks = Vec::new();
    let user = upstream.has_user().then_some(HealthCheckKind::UserSignIn);
    let kinds = [HealthCheckKind::CustomerList, HealthCheckKind::AuditLog, HealthCheckKind::WebhookRegistration];
    for kind in kinds.into_iter().chain(user) {
        let tried = match kind {
            HealthCheckKind::CustomerList => tried(upstream.try_customer_list()).await,
            HealthCheckKind::AuditLog => tried(upstream.audit_records(today, today, None)).await,
            HealthCheckKind::WebhookRegistration => tried(upstream.webhook_registration()).await,
            HealthCheckKind::UserSignIn => tried(upstream.try_user_sign_in()).await,
            // Whoever has a connection has credentials.
            HealthCheckKind::Credentials => continue,
        };
        let optional = matches!(kind, HealthCheckKind::WebhookRegistration | HealthCheckKind::UserSignIn);
        checks.push(HealthCheck { kind, optional, failure: tried.failure });
        if tried.is_the_account {
            break;
        }
    }
    checks
}

async fn tried<T>(question: impl Future<Output = Result<T, Error>>) -> Tried {
    match tokio::time::timeout(PATIENCE, question).await {
        Ok(Ok(_)) => Tried { failure: None, is_the_account: false },
        Ok(Err(error)) => Tried { is_the_account: concerns_the_account(&error), failure: Some(failure(&error)) },
        Err(_) => Tried { failure: Some(Failure::passing("no whole answer in time")), is_the_account: false },
    }
}

fn failure(error: &Error) -> Failure {
    match error.fate() {
        Fate::AccountBlocked { reason, remedy } | Fate::UserBlocked { reason, remedy } => {
            Failure { reason: reason.to_owned(), remedy: remedy.to_owned() }
        }
        Fate::Retry { .. } | Fate::ListingRestart | Fate::CustomerRefused => {
            Failure::passing(&error.problem.to_string())
        }
    }
}
