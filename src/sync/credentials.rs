//! Whether an account's credentials may be used to synchronize: only once they were accepted. The worker and whoever answers
//! questions beside it ask here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::domain::ids::PartnerAccountId;
use crate::domain::standstill::Standstill;
use crate::domain::trial::{Fingerprint, TrialState};
use crate::partner_center::PartnerCenter;
use crate::store::{self, Store};

/// How long a question waits for a trial that is decided in a moment. Real time: it is a caller that waits.
const MOMENT: Duration = Duration::from_secs(2);

/// The credentials of one account. Clones share what is known of them.
#[derive(Clone, Debug)]
pub(super) struct Credentials(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    account: PartnerAccountId,
    upstream: PartnerCenter,
    store: Store,
    /// What a secret that is kept sealed is known as.
    known_as: Option<Vec<u8>>,
    fingerprint: OnceCell<Fingerprint>,
    /// They were accepted: nobody takes that back while they are used.
    accepted: AtomicBool,
}

impl Credentials {
    pub(super) fn new(
        account: PartnerAccountId,
        upstream: PartnerCenter,
        store: Store,
        known_as: Option<Vec<u8>>,
    ) -> Self {
        let (fingerprint, accepted) = (OnceCell::new(), AtomicBool::new(false));
        Self(Arc::new(Kept { account, upstream, store, known_as, fingerprint, accepted }))
    }

    pub(super) async fn fingerprint(&self) -> Result<Fingerprint, store::Error> {
        let Kept { upstream, store, known_as, fingerprint, .. } = &*self.0;
        let made = async || Ok(upstream.fingerprint(&store.fingerprint_key().await?, known_as.as_deref()));
        fingerprint.get_or_try_init(made).await.copied()
    }

    /// Whether they were accepted. Costs nothing once they were.
    pub(super) async fn are_accepted(&self) -> Result<bool, store::Error> {
        let Kept { account, store, accepted, .. } = &*self.0;
        if accepted.load(Ordering::Acquire) {
            return Ok(true);
        }
        let found = store.accepted_credentials(account).await? == Some(self.fingerprint().await?);
        accepted.fetch_or(found, Ordering::AcqRel);
        Ok(found)
    }

    /// Why nobody may ask about customers with them, after waiting a moment for a trial that is about to be decided.
    pub(super) async fn standstill(&self) -> Result<Option<Standstill>, store::Error> {
        let Kept { account, store, .. } = &*self.0;
        let mut changes = store.sync_work_changes(account);
        let decided = async {
            loop {
                changes.borrow_and_update();
                if self.are_accepted().await? {
                    return Ok(None);
                }
                let trial = store.credential_trial(account).await?;
                if trial.is_some_and(|trial| trial.state == TrialState::Waiting) {
                    return Ok(Some(Standstill::CredentialsNeedApproval));
                }
                if changes.changed().await.is_err() {
                    return Ok(Some(Standstill::CredentialsOnTrial));
                }
            }
        };
        tokio::time::timeout(MOMENT, decided).await.unwrap_or(Ok(Some(Standstill::CredentialsOnTrial)))
    }
}
