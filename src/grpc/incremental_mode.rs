//! How changes reach the platform between nights, for callers: by which signals, and why not by others.

use crate::grpc::proto::IncrementalMode;
use crate::store::{Replacement, WebhookStanding, WebhookState};

/// The mode, and why it is that one.
pub(super) fn incremental_mode(webhook: &WebhookStanding) -> (IncrementalMode, String) {
    let (mode, reason) = mode_and_reason(webhook);
    // As long as the setting stands, this happens again whenever that registration comes back: somebody has to see it.
    match &webhook.replacement {
        Some(Replacement { host, at, times }) => {
            let often = if *times == 1 { String::new() } else { format!(", {times} times so far") };
            let told =
                format!("the registration of {host} was replaced at {at}{often}, because webhook_replace_url names it");
            (mode, format!("{reason}; {told}"))
        }
        None => (mode, reason),
    }
}

fn mode_and_reason(webhook: &WebhookStanding) -> (IncrementalMode, String) {
    let whose = webhook.host.as_deref().map_or("nobody's".to_owned(), |host| format!("that of {host}"));
    match (webhook.state, webhook.heard_at) {
        (Some(WebhookState::Ours), Some(_)) => (
            IncrementalMode::Webhook,
            "Partner Center's events come to this service; other changes are found in the audit log and the customer \
             list"
                .to_owned(),
        ),
        (Some(WebhookState::Ours), None) => (
            IncrementalMode::AuditLog,
            "changes are found in the audit log and the customer list; the webhook is registered and no event has come \
             lately"
                .to_owned(),
        ),
        (Some(WebhookState::Foreign), _) => (
            IncrementalMode::AuditLogForeignWebhook,
            format!(
                "the webhook registration in Partner Center belongs to somebody else ({whose}) and is left alone; \
                 changes are found in the audit log and the customer list"
            ),
        ),
        (Some(WebhookState::Lost), _) => {
            let since = webhook.since.map(|since| format!(" since {since}")).unwrap_or_default();
            (
                IncrementalMode::AuditLogLostWebhook,
                format!(
                    "the webhook registration in Partner Center was this service's and is now {whose}{since}; it is \
                     left alone, and changes are found in the audit log and the customer list"
                ),
            )
        }
        (Some(WebhookState::None), _) => (
            IncrementalMode::AuditLog,
            "changes are found in the audit log and the customer list; no webhook is registered".to_owned(),
        ),
        (None, _) => (
            IncrementalMode::AuditLog,
            "changes are found in the audit log and the customer list; who holds the webhook registration has not been \
             seen yet"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn told(state: WebhookState, host: Option<&str>, heard: bool) -> (IncrementalMode, String) {
        let at = Some(Timestamp::from_micros(0));
        incremental_mode(&WebhookStanding {
            state: Some(state),
            since: at,
            host: host.map(str::to_owned),
            heard_at: at.filter(|_| heard),
            ..WebhookStanding::default()
        })
    }

    #[test]
    fn a_registration_that_was_replaced_is_told_with_its_host_and_how_often() {
        let reason = |times| {
            let at = Timestamp::from_micros(0);
            let replacement = Some(Replacement { host: "former.example".to_owned(), at, times });
            let state = Some(WebhookState::Ours);
            incremental_mode(&WebhookStanding { state, replacement, ..WebhookStanding::default() }).1
        };
        assert!(reason(1).contains("; the registration of former.example was replaced at 1970-01-01"), "{}", reason(1));
        assert!(reason(1).ends_with(", because webhook_replace_url names it") && !reason(1).contains("times"));
        assert!(reason(3).contains(", 3 times so far,"), "{}", reason(3));
    }

    #[test]
    fn a_registration_counts_once_it_has_been_heard_from() {
        assert_eq!(told(WebhookState::Ours, None, true).0, IncrementalMode::Webhook);
        assert_eq!(told(WebhookState::Ours, None, false).0, IncrementalMode::AuditLog);
        let (mode, reason) = incremental_mode(&WebhookStanding::default());
        assert_eq!(mode, IncrementalMode::AuditLog);
        assert!(reason.contains("not been seen yet"), "{reason}");
    }

    #[test]
    fn whose_the_registration_is_now_is_said_by_its_host() {
        let (mode, reason) = told(WebhookState::Lost, Some("hooks.other.example"), false);
        assert_eq!(mode, IncrementalMode::AuditLogLostWebhook);
        assert!(reason.contains("hooks.other.example since 1970-01-01T00:00:00"), "{reason}");
        assert!(told(WebhookState::Lost, None, false).1.contains("is now nobody's since"));
        let (mode, reason) = told(WebhookState::Foreign, Some("hooks.other.example"), false);
        assert_eq!(mode, IncrementalMode::AuditLogForeignWebhook);
        assert!(reason.contains("(that of hooks.other.example)"), "{reason}");
    }
}
