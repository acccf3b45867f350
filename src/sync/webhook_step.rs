//! Decides whose a webhook registration is, and what to do about it.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::domain::ids::PartnerAccountId;
use crate::domain::webhook::{CUSTOMER_EVENTS, TEST_EVENT};
use crate::domain::webhook_secret::{KnownSecret, SecretHash, SecretStage, WebhookSecret};
use crate::partner_center::registration::WebhookRegistration;
use crate::store::{WebhookSecrets, WebhookState};
use crate::sync::webhook_check::WebhookPlan;

/// A registration that is ours: its address holds a secret whose hash is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ours {
    /// The secret, as Partner Center tells it.
    pub(super) secret: WebhookSecret,
    /// Its hash.
    pub(super) hash: SecretHash,
    /// What is known of it.
    pub(super) known: KnownSecret,
}

impl Ours {
    /// The registration as ours, if it is. Where its address leads does not matter: ours may have been another one.
    pub(super) fn of(found: &WebhookRegistration, account: &PartnerAccountId, known: &WebhookSecrets) -> Option<Self> {
        let secret = WebhookSecret::in_address(&found.url, account)?;
        let hash = secret.hash();
        known.find(hash).map(|known| Self { secret, hash, known })
    }

    /// Whether it is not known yet as the one that is registered.
    pub(super) fn is_news(&self) -> bool {
        self.known.stage != SecretStage::Present
    }

    /// Whether another secret is to be registered in its place.
    pub(super) fn is_due(&self, wanted: bool, plan: &WebhookPlan, now: Timestamp) -> bool {
        wanted || now.since(self.known.made_at) >= plan.secret_max_age
    }
}

/// What to do about a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is none: make ours.
    Make,
    /// It is ours, and as it should be.
    Keep,
    /// It is ours, and its address or events are not what they should be.
    Mend,
    /// It is ours, and its secret is to be another one.
    Rotate,
    /// It is somebody else's, and an operator named it: ours takes its place.
    Take,
    /// It is somebody else's.
    Leave,
}

/// Decides it. `wanted` is what ours should be with the secret it has; `is_due` is whether it should have another one.
pub(super) fn step(
    found: Option<&WebhookRegistration>,
    wanted: Option<&WebhookRegistration>,
    is_due: bool,
    replace: Option<&str>,
) -> Step {
    match (found, wanted) {
        (None, _) => Step::Make,
        (Some(_), Some(_)) if is_due => Step::Rotate,
        (Some(found), Some(wanted)) if found == wanted => Step::Keep,
        (Some(_), Some(_)) => Step::Mend,
        (Some(found), None) if replace == Some(found.url.as_str()) => Step::Take,
        (Some(_), None) => Step::Leave,
    }
}

/// The events to register, of those that can be; `None` when none of use can be.
pub(super) fn wanted_events(supported: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    let wanted = CUSTOMER_EVENTS.into_iter().chain([TEST_EVENT]).filter(|name| supported.contains(*name));
    let wanted: BTreeSet<String> = wanted.map(str::to_owned).collect();
    wanted.iter().any(|name| name != TEST_EVENT).then_some(wanted)
}

/// Who holds a registration that is not ours to touch.
pub(super) const fn not_ours(found: Option<&WebhookRegistration>, was_ours: bool) -> WebhookState {
    match (found, was_ours) {
        (_, true) => WebhookState::Lost,
        (Some(_), false) => WebhookState::Foreign,
        (None, false) => WebhookState::None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::webhook::PublicUrl;

    fn registration(url: &str, events: &[&str]) -> WebhookRegistration {
        WebhookRegistration { url: url.to_owned(), events: events.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn only_nobody_s_ours_and_the_one_that_was_named_are_written() {
        let wanted = registration("https://ours/2", &["a", "b"]);
        let theirs = registration("https://theirs/1", &["a", "b"]);
        assert_eq!(step(None, None, false, None), Step::Make);
        assert_eq!(step(None, None, true, Some("https://theirs/1")), Step::Make);
        assert_eq!(step(Some(&wanted), Some(&wanted), false, None), Step::Keep);
        let other_events = registration("https://ours/2", &["a"]);
        assert_eq!(step(Some(&other_events), Some(&wanted), false, None), Step::Mend);
        let former_host = registration("https://ours/1", &["a", "b"]);
        assert_eq!(step(Some(&former_host), Some(&wanted), false, None), Step::Mend);
        for found in [&wanted, &other_events, &former_host] {
            assert_eq!(step(Some(found), Some(&wanted), true, None), Step::Rotate);
        }
        for is_due in [false, true] {
            assert_eq!(step(Some(&theirs), None, is_due, None), Step::Leave);
            assert_eq!(step(Some(&theirs), None, is_due, Some("https://theirs/1")), Step::Take);
            for almost in ["https://theirs/", "https://theirs/1/", "https://THEIRS/1", "https://theirs/12", ""] {
                assert_eq!(step(Some(&theirs), None, is_due, Some(almost)), Step::Leave, "{almost}");
            }
        }
    }

    #[test]
    fn what_was_ours_is_lost_and_what_never_was_is_not() {
        let theirs = registration("https://theirs/1", &[]);
        assert_eq!(not_ours(None, false), WebhookState::None);
        assert_eq!(not_ours(Some(&theirs), false), WebhookState::Foreign);
        assert_eq!(not_ours(Some(&theirs), true), WebhookState::Lost);
        assert_eq!(not_ours(None, true), WebhookState::Lost);
    }

    #[test]
    fn a_secret_is_due_when_somebody_wants_another_or_it_is_old() {
        let day = Duration::from_secs(24 * 3600);
        let made_at = Timestamp::from_micros(0);
        let secret = WebhookSecret::from_bytes(&[1; 32]);
        let known = KnownSecret { made_at, stage: SecretStage::Present };
        let ours = Ours { hash: secret.hash(), secret, known };
        let public_url = PublicUrl::new("https://ours").expect("an address");
        let plan = WebhookPlan { public_url, replace: None, secret_max_age: day * 90 };
        let before = made_at.plus(day * 90).minus(Duration::from_micros(1));
        assert!(!ours.is_due(false, &plan, before));
        assert!(ours.is_due(true, &plan, before));
        assert!(ours.is_due(false, &plan, made_at.plus(day * 90)));
    }

    #[test]
    fn only_events_that_partner_center_offers_are_registered() {
        let offered = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let accepted = "reseller-relationship-accepted-by-customer";
        let wanted = wanted_events(&offered(&["invoice-ready", accepted, TEST_EVENT])).expect("events");
        assert_eq!(wanted, offered(&[accepted, TEST_EVENT]));
        assert_eq!(wanted_events(&offered(&["invoice-ready", TEST_EVENT])), None);
    }
}
