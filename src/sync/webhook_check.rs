//! Watches who holds the account's single webhook registration, holds it itself where it may, and renews its secret.
//!
//! The registration is read first, always. There being none, it is made; ours is written again when its events, our
//! address or its secret are to be others; anybody else's is left alone unless an operator has named exactly that
//! address. Partner Center has no way to write only if nothing changed: between reading and replacing, a moment remains.
//!
//! The hash of a new secret is kept before Partner Center is told of it, so that the registration is known as ours
//! wherever the service is killed; the secret it takes the place of is honoured for a while.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::webhook::PublicUrl;
use crate::domain::webhook_secret::{SecretHash, WebhookSecret};
use crate::partner_center::error::{Error, Fate};
use crate::partner_center::registration::{Registering, WebhookRegistration};
use crate::store::{self, WebhookState};
use crate::sync::webhook_step::{Ours, Step, not_ours, step, wanted_events};
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
    /// How old the secret of a path may become.
    pub secret_max_age: Duration,
}

impl std::fmt::Debug for WebhookPlan {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { public_url, replace, secret_max_age } = self;
        write!(out, "WebhookPlan({public_url:?}, replaces one: {}, {secret_max_age:?})", replace.is_some())
    }
}

impl Worker {
    /// Whether the registration is to be looked at: after a while, or because somebody wants another secret. A wish that
    /// was tried waits as everything else does.
    pub(super) async fn is_webhook_due(&mut self, now: Timestamp) -> Result<bool, Interruption> {
        let wish = self.store.webhook_rotation_wanted_at(&self.account).await?;
        let is_news = wish.is_some() && wish != self.webhook_wish_tried;
        self.webhook_wish_tried = wish;
        Ok(is_news || self.webhook_due_at.min(now.plus(self.longest_wait())) <= now)
    }

    pub(super) async fn check_webhook(&mut self, now: Timestamp) -> Result<(), Interruption> {
        self.webhook_due_at = now.plus(INTERVAL);
        self.store.write("forget_webhooks", async |tx| tx.forget_webhooks(&self.account).await).await?;
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

    async fn look_at_webhook(&mut self, now: Timestamp) -> Result<(), Interruption> {
        let found = self.upstream.webhook_registration().await?;
        let known = self.store.webhook_secrets(&self.account).await?;
        let ours = found.as_ref().and_then(|found| Ours::of(found, &self.account, &known));
        if let Some(ours) = ours.as_ref().filter(|ours| ours.is_news()) {
            // Registered, and killed before that was noted; or one of ours was put back.
            self.adopt(ours.hash).await?;
        }
        // What is in the registration is the present one by now, so that none that is registered is forgotten.
        if known.has_ended(now) {
            let account = &self.account;
            self.store.write("forget_webhook_secrets", async |tx| tx.forget_webhook_secrets(account).await).await?;
        }
        let was_ours = known.was_registered();
        let Some(plan) = self.webhook.clone() else {
            return self.only_look(found.as_ref(), ours.is_some(), was_ours).await;
        };
        let Some(events) = wanted_events(&self.upstream.webhook_events().await?) else {
            tracing::warn!(account = %self.account, "Partner Center offers no event that tells of customers");
            return self.only_look(found.as_ref(), ours.is_some(), was_ours).await;
        };
        let wish = self.store.webhook_rotation_wanted_at(&self.account).await?;
        let is_due = ours.as_ref().is_some_and(|ours| ours.is_due(wish.is_some(), &plan, now));
        let wanted = ours.as_ref().map(|ours| self.registration(&plan, &ours.secret, events.clone()));
        match step(found.as_ref(), wanted.as_ref(), is_due, plan.replace.as_deref()) {
            Step::Keep => self.keep(now).await,
            Step::Leave => self.leave(found.as_ref(), was_ours).await,
            Step::Make => {
                if was_ours {
                    self.leave(None, was_ours).await?;
                }
                self.register_new(&plan, events, Registering::New, None).await
            }
            Step::Rotate => {
                tracing::info!(account = %self.account, asked_for = wish.is_some(), "the webhook path gets a new secret");
                self.register_new(&plan, events, Registering::Replacing, None).await
            }
            Step::Take => {
                let host = found.as_ref().map(WebhookRegistration::host);
                tracing::warn!(
                    account = %self.account,
                    host = host.as_deref(),
                    "somebody else's webhook registration is replaced, because webhook_replace_url names it"
                );
                self.register_new(&plan, events, Registering::Replacing, host.as_deref()).await
            }
            Step::Mend => match (wanted, ours) {
                (Some(wanted), Some(ours)) => self.register(&wanted, ours.hash, Registering::Replacing).await,
                // Invariant: only what is ours is mended.
                (None, _) | (_, None) => Ok(()),
            },
        }
    }

    fn registration(
        &self,
        plan: &WebhookPlan,
        secret: &WebhookSecret,
        events: BTreeSet<String>,
    ) -> WebhookRegistration {
        WebhookRegistration { url: plan.public_url.callback(&self.account, secret), events }
    }

    /// Without an address of our own, a registration of ours is one that nobody receives.
    async fn only_look(
        &self,
        found: Option<&WebhookRegistration>,
        is_ours: bool,
        was_ours: bool,
    ) -> Result<(), Interruption> {
        if !is_ours {
            return self.leave(found, was_ours).await;
        }
        self.refuse_wish("this service receives no events").await?;
        let account = &self.account;
        let noted = async |tx: &mut store::Tx| {
            tx.note_webhook_silent(account).await?;
            tx.note_webhook(account, WebhookState::Ours, None).await
        };
        Ok(self.store.write("note_webhook", noted).await?)
    }

    /// Notes whose it is, and touches nothing.
    async fn leave(&self, found: Option<&WebhookRegistration>, was_ours: bool) -> Result<(), Interruption> {
        let (account, state, host) = (&self.account, not_ours(found, was_ours), found.map(WebhookRegistration::host));
        if state == WebhookState::Lost {
            tracing::warn!(account = %account, host = host.as_deref(), "the webhook registration is no longer ours");
        }
        if found.is_some() {
            self.refuse_wish("the registration is somebody else's").await?;
        }
        let noted = async |tx: &mut store::Tx| {
            tx.note_webhook_silent(account).await?;
            tx.note_webhook(account, state, host.as_deref()).await
        };
        Ok(self.store.write("note_webhook", noted).await?)
    }

    /// Says why nobody gets the new secret that was asked for, if one was.
    async fn refuse_wish(&self, why: &'static str) -> Result<(), Interruption> {
        let account = &self.account;
        if self.store.write("drop_webhook_wish", async |tx| tx.drop_webhook_wish(account).await).await? {
            tracing::warn!(account = %account, why, "the webhook path does not get the new secret that was asked for");
        }
        Ok(())
    }

    /// Registers a new secret. One that could not be registered is tried again, so that there are not ever more of them.
    async fn register_new(
        &mut self,
        plan: &WebhookPlan,
        events: BTreeSet<String>,
        registering: Registering,
        replaces_host: Option<&str>,
    ) -> Result<(), Interruption> {
        let Some(secret) = self.webhook_secret.take().or_else(WebhookSecret::fresh) else {
            tracing::error!(account = %self.account, "the system has no randomness to give for a webhook path");
            return Ok(());
        };
        self.webhook_secret = Some(secret.clone());
        let (account, hash) = (&self.account, secret.hash());
        let keep = async |tx: &mut store::Tx| tx.keep_pending_webhook_secret(account, hash, replaces_host).await;
        self.store.write("keep_pending_webhook_secret", keep).await?;
        self.register(&self.registration(plan, &secret, events), hash, registering).await
    }

    async fn register(
        &mut self,
        wanted: &WebhookRegistration,
        hash: SecretHash,
        registering: Registering,
    ) -> Result<(), Interruption> {
        self.upstream.register_webhook(wanted, registering).await?;
        tracing::info!(account = %self.account, registering = ?registering, "Partner Center sends its events to us");
        self.adopt(hash).await?;
        self.ask_for_test().await
    }

    /// The registration has the secret with that hash.
    async fn adopt(&mut self, hash: SecretHash) -> Result<(), Interruption> {
        // Whatever waited to be registered is, or is not wanted any more.
        self.webhook_secret = None;
        let account = &self.account;
        Ok(self.store.write("adopt_webhook_secret", async |tx| tx.adopt_webhook_secret(account, hash).await).await?)
    }

    /// It is as it should be; whether events come is another question.
    async fn keep(&self, now: Timestamp) -> Result<(), Interruption> {
        let account = &self.account;
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
        Fate::AccountBlocked { .. } | Fate::UserBlocked { .. } | Fate::ListingRestart | Fate::CustomerRefused => {
            INTERVAL
        }
    }
}
