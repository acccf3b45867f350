//! How a customer came to be as it is shown, as messages: what asked for the last look, and who changed it in Partner Center.

use crate::domain::look::LookCause;
use crate::domain::upstream_change::UpstreamChange;
use crate::grpc::convert::time;
use crate::grpc::proto;

/// What asked for a look, as a message.
pub fn verification_cause(cause: Option<LookCause>) -> proto::VerificationCause {
    match cause {
        None => proto::VerificationCause::Unspecified,
        Some(LookCause::AuditLog) => proto::VerificationCause::AuditLog,
        Some(LookCause::Webhook) => proto::VerificationCause::Webhook,
        Some(LookCause::CustomerList) => proto::VerificationCause::CustomerList,
        Some(LookCause::Night) => proto::VerificationCause::Night,
        Some(LookCause::Rolling) => proto::VerificationCause::Rolling,
        Some(LookCause::Confirmation) => proto::VerificationCause::Confirmation,
        Some(LookCause::Refresh) => proto::VerificationCause::Refresh,
        Some(LookCause::ManualSync) => proto::VerificationCause::ManualSync,
    }
}

/// A change that was made in Partner Center, as a message.
pub fn upstream_change(change: &UpstreamChange) -> proto::UpstreamChange {
    proto::UpstreamChange {
        operation: change.operation.clone(),
        actor_user: change.user.as_str().to_owned(),
        actor_application: change.application.clone(),
        operation_time: change.at.map(time),
        audit_record_id: change.record.clone(),
    }
}

/// As much of a change as a view shows: a user is personal data.
pub fn in_view(change: proto::UpstreamChange, view: proto::CustomerView) -> proto::UpstreamChange {
    match view {
        proto::CustomerView::Unspecified | proto::CustomerView::Full => change,
        proto::CustomerView::Basic => proto::UpstreamChange { actor_user: String::new(), ..change },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_cause_has_a_name_of_its_own_on_the_wire() {
        let names: BTreeSet<_> = LookCause::ALL.map(|cause| verification_cause(Some(cause)) as i32).into();
        assert_eq!(names.len(), LookCause::ALL.len());
        assert!(!names.contains(&(proto::VerificationCause::Unspecified as i32)));
        for cause in LookCause::ALL {
            assert!(verification_cause(Some(cause)).as_str_name().ends_with(cause.name()));
        }
    }
}
