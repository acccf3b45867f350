//! Questions that are put to Partner Center while somebody waits for the answer.
//!
//! Operations never call the network. Whoever has the connection of an account answers: it takes a question from here,
//! asks, and sends back what was said. Nothing of an answer is written but by the operation that asked.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::domain::observation::Observation;
use crate::domain::standstill::Standstill;

/// How long a caller waits for Partner Center; below the ten seconds that many clients give a call.
pub const PATIENCE: Duration = Duration::from_secs(8);
/// How long a caller waits for a health check, which asks several things in turn; below the longest a call may take.
const HEALTH_PATIENCE: Duration = Duration::from_secs(25);
/// When to ask again if nothing better is known.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(30);
/// Within this time whoever answers for an account has followed whoever did before.
const EXCHANGED_WITHIN: Duration = Duration::from_secs(2);
/// How many questions of an account may wait.
const WAITING_MAX: usize = 64;

/// One question, and where its answer goes.
#[derive(Debug)]
pub enum Question {
    /// What is this customer now?
    Customer {
        /// Whom it is about.
        tenant: TenantId,
        /// The answer.
        reply: oneshot::Sender<Result<Observation, NoAnswer>>,
    },
    /// Which customer has this domain?
    Domain {
        /// The domain.
        domain: String,
        /// The answer.
        reply: oneshot::Sender<Result<Option<TenantId>, NoAnswer>>,
    },
    /// Can the account do what synchronization needs?
    Health {
        /// The answer.
        reply: oneshot::Sender<Vec<HealthCheck>>,
    },
}

/// What a health check tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthCheckKind {
    /// Whether there are credentials.
    Credentials,
    /// Whether the customer list can be read, for which the account has to sign in.
    CustomerList,
    /// Whether the audit log can be read.
    AuditLog,
    /// Whether the webhook registration can be read.
    WebhookRegistration,
    /// Whether the user can be signed in.
    UserSignIn,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What.
    pub kind: HealthCheckKind,
    /// Whether everything synchronization promises can be kept without it.
    pub optional: bool,
    /// Why it does not work, if it does not.
    pub failure: Option<Failure>,
}

/// Why something does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A stable name of what is wrong.
    pub reason: String,
    /// What to do, for an operator.
    pub remedy: String,
}

impl Failure {
    /// One that passes by itself, with a short description without values.
    pub fn passing(cause: &str) -> Self {
        let remedy = format!(
            "Partner Center cannot be asked now ({cause}). If that does not pass by itself, check the network and whether \
             Partner Center is available."
        );
        Self { reason: "SOURCE_UNAVAILABLE".to_owned(), remedy }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The account's credentials or permissions do not work.
    #[error("{reason}: {remedy}")]
    AccountBlocked {
        /// A stable name of what is wrong.
        reason: String,
        /// What to do, for an operator.
        remedy: String,
    },
    /// Partner Center cannot be asked, or gave no usable answer in time.
    #[error("partner center cannot be asked now: {cause}")]
    Unavailable {
        /// A stable name, or a short description without values.
        cause: String,
        /// When to ask again.
        retry_after: Duration,
    },
}

impl NoAnswer {
    fn unavailable(cause: &str) -> Self {
        Self::Unavailable { cause: cause.to_owned(), retry_after: ASK_AGAIN_AFTER }
    }
}

/// Where questions of every account are put. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Questions(watch::Sender<BTreeMap<PartnerAccountId, mpsc::Sender<Question>>>);

impl Default for Questions {
    fn default() -> Self {
        Self(watch::Sender::new(BTreeMap::new()))
    }
}

/// Takes the questions of one account.
pub type Asked = mpsc::Receiver<Question>;

impl Questions {
    /// From now on the questions of an account come here.
    pub fn answered_by(&self, account: &PartnerAccountId) -> Asked {
        let (asks, asked) = mpsc::channel(WAITING_MAX);
        self.0.send_modify(|accounts| {
            accounts.insert(account.clone(), asks);
        });
        asked
    }

    /// Nobody answers the questions of an account any more.
    pub fn no_longer_answered(&self, account: &PartnerAccountId) {
        self.0.send_modify(|accounts| {
            accounts.remove(account);
        });
    }

    /// What a customer is now. Real time on purpose: it is a caller that waits.
    pub async fn customer(&self, account: &PartnerAccountId, tenant: TenantId) -> Result<Observation, NoAnswer> {
        self.ask(account, PATIENCE, |reply| Question::Customer { tenant, reply }).await?
    }

    /// Whether an account can do what synchronization needs.
    pub async fn health(&self, account: &PartnerAccountId) -> Result<Vec<HealthCheck>, NoAnswer> {
        self.ask(account, HEALTH_PATIENCE, |reply| Question::Health { reply }).await
    }

    /// Which customer of the partner has exactly that domain, in whatever case.
    pub async fn tenant_of_domain(
        &self,
        account: &PartnerAccountId,
        domain: String,
    ) -> Result<Option<TenantId>, NoAnswer> {
        self.ask(account, PATIENCE, |reply| Question::Domain { domain, reply }).await?
    }

    /// Waits a moment for somebody who answers: one goes before the next one comes when an account is changed.
    async fn whoever_answers(&self, account: &PartnerAccountId) -> Option<mpsc::Sender<Question>> {
        let mut accounts = self.0.subscribe();
        let found = accounts.wait_for(|accounts| accounts.contains_key(account));
        let accounts = tokio::time::timeout(EXCHANGED_WITHIN, found).await.ok()?.ok()?;
        accounts.get(account).cloned()
    }

    async fn ask<T>(
        &self,
        account: &PartnerAccountId,
        patience: Duration,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, NoAnswer> {
        let asks = self.whoever_answers(account).await.ok_or_else(|| NoAnswer::AccountBlocked {
            reason: Standstill::NoCredentials.reason().to_owned(),
            remedy: Standstill::NoCredentials.remedy().to_owned(),
        })?;
        let (reply, answer) = oneshot::channel();
        asks.try_send(question(reply)).map_err(|_| NoAnswer::unavailable("TOO_MANY_QUESTIONS"))?;
        match tokio::time::timeout(patience, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(NoAnswer::unavailable("NO_ANSWER_IN_TIME")),
        }
    }
}
