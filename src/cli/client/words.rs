//! Values of our enumerations as words.

use customer_guard::grpc::proto;

/// The value's name without what all of its kind begin with; empty for the one that says nothing.
fn word(name: &str, kind: &str) -> String {
    match name.strip_prefix(kind).unwrap_or(name) {
        "UNSPECIFIED" => String::new(),
        told => told.to_lowercase().replace('_', " "),
    }
}

macro_rules! words {
    ($($(#[$doc:meta])* $function:ident: $kind:ident, $prefix:literal;)+) => {$(
        $(#[$doc])*
        pub(super) fn $function(value: proto::$kind) -> String {
            word(value.as_str_name(), $prefix)
        }
    )+};
}

words! {
    relationship: Relationship, "RELATIONSHIP_";
    customer_status: CustomerStatus, "CUSTOMER_STATUS_";
    sync_state: SyncState, "SYNC_STATE_";
    run_kind: SyncRunKind, "SYNC_RUN_KIND_";
    run_cause: SyncRunCause, "SYNC_RUN_CAUSE_";
    run_state: SyncRunState, "SYNC_RUN_STATE_";
    verification_cause: VerificationCause, "VERIFICATION_CAUSE_";
    reseller_sync_state: ResellerSyncState, "RESELLER_SYNC_STATE_";
    change_kind: ChangeKind, "CHANGE_KIND_";
    snapshot_cause: SnapshotCause, "SNAPSHOT_CAUSE_";
    hold_state: HoldState, "HOLD_STATE_";
    duplicate_reason: DuplicateReason, "DUPLICATE_REASON_";
    verdict: ExplanationVerdict, "EXPLANATION_VERDICT_";
    live_outcome: LiveOutcome, "LIVE_OUTCOME_";
    outcome: DecisionOutcome, "DECISION_OUTCOME_";
    partner_kind: PartnerKind, "PARTNER_KIND_";
    account_origin: AccountOrigin, "ACCOUNT_ORIGIN_";
    account_state: PartnerAccountState, "PARTNER_ACCOUNT_STATE_";
    credential_kind: CredentialKind, "CREDENTIAL_KIND_";
    trial_state: CredentialTrialState, "CREDENTIAL_TRIAL_STATE_";
    check_kind: HealthCheckKind, "HEALTH_CHECK_KIND_";
}

/// Where a customer comes from.
pub(super) fn source(source: proto::Source) -> &'static str {
    match source {
        proto::Source::Unspecified => "",
        proto::Source::Platform => "platform",
        proto::Source::Microsoft => "Microsoft",
    }
}

/// Who may write a field.
pub(super) fn owner(owner: proto::FieldOwner) -> &'static str {
    match owner {
        proto::FieldOwner::Unspecified => "",
        proto::FieldOwner::Platform => "platform",
        proto::FieldOwner::PartnerCenter => "Partner Center",
    }
}

/// One of Microsoft's clouds.
pub(super) fn cloud(cloud: proto::Cloud) -> &'static str {
    match cloud {
        proto::Cloud::Unspecified | proto::Cloud::Global => "global",
        proto::Cloud::UsGovernment => "US Government",
        proto::Cloud::China => "China (21Vianet)",
    }
}

/// Who did what in Partner Center, and when.
pub(super) fn upstream_change(change: &proto::UpstreamChange) -> String {
    let who = match (change.actor_user.as_str(), change.actor_application.as_str()) {
        ("", "") => String::new(),
        (user, "") => format!(" by {user}"),
        ("", application) => format!(" by {application}"),
        (user, application) => format!(" by {user} with {application}"),
    };
    let when = change.operation_time.as_ref().map(|time| format!(", {}", super::times::exact(time)));
    format!("{}{who}{}", change.operation, when.unwrap_or_default())
}

/// How changes reach the platform between nights.
pub(super) fn incremental_mode(mode: proto::IncrementalMode) -> &'static str {
    match mode {
        proto::IncrementalMode::Unspecified => "",
        proto::IncrementalMode::AuditLog => "audit log",
        proto::IncrementalMode::AuditLogForeignWebhook => "audit log; the webhook is somebody else's",
        proto::IncrementalMode::Webhook => "webhook and audit log",
        proto::IncrementalMode::AuditLogLostWebhook => "audit log; the webhook was lost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_changed_a_customer_is_named_as_far_as_it_is_told() {
        let change = |user: &str, application: &str| {
            upstream_change(&proto::UpstreamChange {
                operation: "update_customer_billing_profile".to_owned(),
                actor_user: user.to_owned(),
                actor_application: application.to_owned(),
                operation_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
                ..Default::default()
            })
        };
        assert_eq!(change("", ""), "update_customer_billing_profile, 2023-11-14T22:13:20Z");
        assert_eq!(
            change("agent@contoso.example", "Partner Center Web UI"),
            "update_customer_billing_profile by agent@contoso.example with Partner Center Web UI, 2023-11-14T22:13:20Z"
        );
        assert!(change("", "a").starts_with("update_customer_billing_profile by a, "));
    }

    #[test]
    fn values_become_words_and_what_says_nothing_stays_silent() {
        assert_eq!(sync_state(proto::SyncState::HeldForRemoval), "held for removal");
        assert_eq!(sync_state(proto::SyncState::Unspecified), "");
        assert_eq!(run_kind(proto::SyncRunKind::ListDiff), "list diff");
    }
}
