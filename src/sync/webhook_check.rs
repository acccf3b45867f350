//! Watches who holds the account's single webhook registration, and holds it itself where it may.
//!
//! The registration is read first, always. There being none, it is made; ours is replaced when its events or our
//! address changed; anybody else's is left alone unless an operator has named exactly that address. Partner Center
//! has no way to write only if nothing changed: between reading and replacing, a moment remains.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::webhook::{CUSTOMER_EVENTS, PublicUrl, TEST_EVENT, WebhookSecret};
use crate::partner_center::error::{Error, Fate};
use crate::partner_center::registration::{Registering, WebhookRegistration};
use crate::store::{self, WebhookPath, WebhookState};
use crate::sync::{Interruption, Worker};

/// How often to look.
const INTERVAL: Duration = Duration::from_secs(3600);
/// When to look again after a failure that passes by itself.
const RETRY: Duration = Duration::from_secs(300);
/// A test event shows every day that events still come.
const TEST_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// Without any event for this long, nobody may rely on them.
const SILENCE: Duration = Duration::from_secs(48 * 3600);

/// How events are to reach this service.
#[derive(Clone)]
pub struct WebhookPlan {
    /// Where Partner Center reaches it.
    pub public_url: PublicUrl,
    /// The one foreign registration that may be replaced, by its exact address. It is a secret.
    pub replace: Option<String>,
}

impl std::fmt::Debug for WebhookPlan {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "WebhookPlan({:?}, replaces one: {})", self.public_url, self.replace.is_some())
    }
}

/// What to do about a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// There is none: make ours.
    Make,
    /// It is ours, and as it should be.
    Keep,
    /// It is ours, or an operator named it: make it what it should be.
    Replace,
    /// It is somebody else's.
    Leave,
}

/// Decides it. `known` is the address that was registered last.
fn step(
    found: Option<&WebhookRegistration>,
    wanted: &WebhookRegistration,
    known: Option<&str>,
    replace: Option<&str>,
) -> Step {
    match found {
        None => Step::Make,
        Some(found) if found == wanted => Step::Keep,
        Some(found) => {
            let may_be = [Some(wanted.url.as_str()), known, replace];
            if may_be.contains(&Some(found.url.as_str())) { Step::Replace } else { Step::Leave }
        }
    }
}

/// The events to register, of those that can be; `None` when none of use can be.
fn wanted_events(supported: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    let wanted = CUSTOMER_EVENTS.into_iter().chain([TEST_EVENT]).filter(|name| supported.contains(*name));
    let wanted: BTreeSet<String> = wanted.map(str::to_owned).collect();
    wanted.iter().any(|name| name != TEST_EVENT).then_some(wanted)
}

/// Who holds a registration that is not ours to touch.
const fn not_ours(found: Option<&WebhookRegistration>, known: Option<&str>) -> WebhookState {
    match (found, known) {
        (_, Some(_)) => WebhookState::Lost,
        (Some(_), None) => WebhookState::Foreign,
        (None, None) => WebhookState::None,
    }
}

impl Worker {
    pub(super) async fn check_webhook(&mut self, now: Timestamp) -> Result<(), Interruption> {
        self.webhook_due_at = now.plus(INTERVAL);
        let account = &self.account;
        self.store.write("forget_webhooks", async |tx| tx.forget_webhooks(account).await).await?;
        match self.look_at_webhook(now).await {
            // Nothing depends on it: an account whose application may not look is synchronized all the same.
            Err(Interruption::Upstream(error)) => {
                tracing::info!(account = %self.account, error = %error, "the webhook registration cannot be seen to");
                self.webhook_due_at = now.plus(retry_of(&error));
                Ok(())
            }
            done => done,
        }
    }

    async fn look_at_webhook(&self, now: Timestamp) -> Result<(), Interruption> {
        let found = self.upstream.webhook_registration().await?;
        let Some(plan) = &self.webhook else { return self.only_look(found.as_ref()).await };
        let Some(path) = self.webhook_path().await? else { return Ok(()) };
        let url = plan.public_url.callback(&self.account, &path.secret);
        let Some(events) = wanted_events(&self.upstream.webhook_events().await?) else {
            tracing::warn!(account = %self.account, "Partner Center offers no event that tells of customers");
            return self.only_look(found.as_ref()).await;
        };
        let wanted = WebhookRegistration { url, events };
        let known = path.registered_url.as_deref();
        match step(found.as_ref(), &wanted, known, plan.replace.as_deref()) {
            Step::Keep => self.keep(&wanted, known, now).await,
            Step::Leave => self.leave(found.as_ref(), known).await,
            Step::Make => {
                if known.is_some() {
                    self.leave(None, known).await?;
                }
                self.register(&wanted, Registering::New).await
            }
            Step::Replace => self.register(&wanted, Registering::Replacing).await,
        }
    }

    /// The account's path, made at first need.
    async fn webhook_path(&self) -> Result<Option<WebhookPath>, Interruption> {
        let Some(fresh) = WebhookSecret::fresh() else {
            tracing::error!(account = %self.account, "the system has no randomness to give for a webhook path");
            return Ok(None);
        };
        let account = &self.account;
        Ok(Some(self.store.write("webhook_path", async |tx| tx.keep_webhook_path(account, &fresh).await).await?))
    }

    /// Without an address of our own, a registration of ours is one that nobody receives.
    async fn only_look(&self, found: Option<&WebhookRegistration>) -> Result<(), Interruption> {
        let known = self.store.webhook_path(&self.account).await?.and_then(|path| path.registered_url);
        let is_ours = |found: &WebhookRegistration| known.as_ref() == Some(&found.url);
        let account = &self.account;
        if found.is_some_and(is_ours) {
            let noted = async |tx: &mut store::Tx| {
                tx.note_webhook_silent(account).await?;
                tx.note_webhook(account, WebhookState::Ours, None).await
            };
            return Ok(self.store.write("note_webhook", noted).await?);
        }
        self.leave(found, known.as_deref()).await
    }

    /// Notes whose it is, and touches nothing.
    async fn leave(&self, found: Option<&WebhookRegistration>, known: Option<&str>) -> Result<(), Interruption> {
        let (account, state, host) = (&self.account, not_ours(found, known), found.map(WebhookRegistration::host));
        if state == WebhookState::Lost {
            tracing::warn!(account = %account, host = host.as_deref(), "the webhook registration is no longer ours");
        }
        let noted = async |tx: &mut store::Tx| {
            tx.note_webhook_silent(account).await?;
            tx.note_webhook(account, state, host.as_deref()).await
        };
        Ok(self.store.write("note_webhook", noted).await?)
    }

    async fn register(&self, wanted: &WebhookRegistration, registering: Registering) -> Result<(), Interruption> {
        self.upstream.register_webhook(wanted, registering).await?;
        let account = &self.account;
        tracing::info!(account = %account, registering = ?registering, "Partner Center sends its events to us");
        let url = &wanted.url;
        self.store.write("note_webhook", async |tx| tx.note_webhook_registered(account, url).await).await?;
        self.ask_for_test().await
    }

    /// It is as it should be; whether events come is another question.
    async fn keep(
        &self,
        wanted: &WebhookRegistration,
        known: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Interruption> {
        let account = &self.account;
        if known != Some(wanted.url.as_str()) {
            // Registered, and killed before that was noted.
            let url = &wanted.url;
            self.store.write("note_webhook", async |tx| tx.note_webhook_registered(account, url).await).await?;
        }
        let standing = self.store.webhook_standing(account).await?;
        let was_silent = standing.heard_at.is_some_and(|at| now.since(at) > SILENCE);
        if was_silent {
            tracing::warn!(account = %account, "no webhook has come for two days, although the registration is ours");
        }
        let noted = async |tx: &mut store::Tx| {
            if was_silent {
                tx.note_webhook_silent(account).await?;
            }
            tx.note_webhook(account, WebhookState::Ours, None).await
        };
        self.store.write("note_webhook", noted).await?;
        let interval = if was_silent || standing.heard_at.is_none() { INTERVAL } else { TEST_INTERVAL };
        let is_due = standing.test_asked_at.is_none_or(|at| now.since(at) >= interval);
        if is_due { self.ask_for_test().await } else { Ok(()) }
    }

    async fn ask_for_test(&self) -> Result<(), Interruption> {
        let account = &self.account;
        // Noted before it is asked for: it may be here before the answer is.
        self.store.write("note_webhook_test", async |tx| tx.note_webhook_test_asked(account).await).await?;
        self.upstream.send_webhook_test().await?;
        Ok(())
    }
}

fn retry_of(error: &Error) -> Duration {
    match error.fate() {
        Fate::Retry { after } => after.unwrap_or(RETRY),
        Fate::AccountBlocked { .. } | Fate::ListingRestart | Fate::CustomerRefused => INTERVAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(url: &str, events: &[&str]) -> WebhookRegistration {
        WebhookRegistration { url: url.to_owned(), events: events.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn only_nobody_s_ours_and_the_one_that_was_named_are_written() {
        let wanted = registration("https://ours/2", &["a", "b"]);
        let decide = |found: Option<&WebhookRegistration>, known, replace| step(found, &wanted, known, replace);
        assert_eq!(decide(None, None, None), Step::Make);
        assert_eq!(decide(None, Some("https://ours/2"), Some("https://theirs/1")), Step::Make);
        assert_eq!(decide(Some(&wanted), None, None), Step::Keep);
        let other_events = registration("https://ours/2", &["a"]);
        assert_eq!(decide(Some(&other_events), Some("https://ours/2"), None), Step::Replace);
        let former = registration("https://ours/1", &["a", "b"]);
        assert_eq!(decide(Some(&former), Some("https://ours/1"), None), Step::Replace);
        assert_eq!(decide(Some(&former), None, None), Step::Leave);
        let theirs = registration("https://theirs/1", &["a", "b"]);
        assert_eq!(decide(Some(&theirs), Some("https://ours/2"), None), Step::Leave);
        assert_eq!(decide(Some(&theirs), None, Some("https://theirs/1")), Step::Replace);
        for almost in ["https://theirs/", "https://theirs/1/", "https://THEIRS/1", "https://theirs/12", ""] {
            assert_eq!(decide(Some(&theirs), None, Some(almost)), Step::Leave, "{almost}");
        }
    }

    #[test]
    fn what_was_ours_is_lost_and_what_never_was_is_not() {
        let theirs = registration("https://theirs/1", &[]);
        assert_eq!(not_ours(None, None), WebhookState::None);
        assert_eq!(not_ours(Some(&theirs), None), WebhookState::Foreign);
        assert_eq!(not_ours(Some(&theirs), Some("https://ours/1")), WebhookState::Lost);
        assert_eq!(not_ours(None, Some("https://ours/1")), WebhookState::Lost);
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
