//! Looks who owns the account's single webhook registration. Only looks: a foreign one is never touched.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::partner_center::error::Fate;
use crate::store::WebhookState;
use crate::sync::{Interruption, Worker};

/// How often to look.
const INTERVAL: Duration = Duration::from_secs(3600);

impl Worker {
    pub(super) async fn check_webhook(&mut self, now: Timestamp) -> Result<(), Interruption> {
        self.webhook_due_at = now.plus(INTERVAL);
        let state = match self.upstream.webhook_registration().await {
            Ok(Some(_)) => WebhookState::Foreign,
            Ok(None) => WebhookState::None,
            // Nothing depends on it: an account whose application may not look is synchronized all the same.
            Err(error) => {
                tracing::info!(account = %self.account, error = %error, "the webhook registration cannot be read");
                if let Fate::Retry { after } = error.fate() {
                    self.webhook_due_at = now.plus(after.unwrap_or(Duration::from_secs(300)));
                }
                return Ok(());
            }
        };
        let account = &self.account;
        self.store.write("note_webhook", async |tx| tx.note_webhook(account, state).await).await?;
        Ok(())
    }
}
