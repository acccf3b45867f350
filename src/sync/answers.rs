//! Answers questions that somebody waits for: asks Partner Center at once, whatever the worker is resting from.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::account::AccountState;
use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::domain::observation::Observation;
use crate::domain::standstill::Standstill;
use crate::operations::questions::{Asked, NoAnswer, Question};
use crate::partner_center::PartnerCenter;
use crate::partner_center::error::{Error, Fate};
use crate::store::{self, Store};
use crate::sync::credentials::Credentials;
use crate::sync::health;
use crate::sync::tickets::Tickets;
use crate::sync::trouble::FIRST_REST;

/// How many questions are open at a time; more wait their turn.
const OPEN_MAX: usize = 4;

/// Answers the questions of one account.
#[derive(Debug)]
pub struct Answerer {
    account: PartnerAccountId,
    upstream: PartnerCenter,
    store: Store,
    clock: Clock,
    tickets: Tickets,
    credentials: Credentials,
    state: AccountState,
}

impl Answerer {
    pub(super) const fn new(
        account: PartnerAccountId,
        upstream: PartnerCenter,
        store: Store,
        clock: Clock,
        tickets: Tickets,
        credentials: Credentials,
    ) -> Self {
        Self { account, upstream, store, clock, tickets, credentials, state: AccountState::Active }
    }

    /// In a disabled account nobody asks about customers any more; whether it could work again is still answered.
    #[must_use]
    pub const fn of_account_that_is(mut self, state: AccountState) -> Self {
        self.state = state;
        self
    }

    /// Answers until `stop`.
    pub async fn run(self, mut asked: Asked, stop: CancellationToken) {
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(()) = open.next() => {}
                question = asked.recv(), if open.len() < OPEN_MAX => match question {
                    Some(question) => open.push(self.answer(question)),
                    None => return,
                },
            }
        }
    }

    async fn answer(&self, question: Question) {
        // Whoever asked may have gone.
        match question {
            Question::Customer { tenant, reply } => {
                let _ = reply.send(self.customer(tenant).await);
            }
            Question::Domain { domain, reply } => {
                let _ = reply.send(self.tenant_of_domain(&domain).await);
            }
            Question::Health { reply } => {
                let _ = reply.send(health::check(&self.upstream, self.clock.now()).await);
            }
        }
    }

    async fn customer(&self, tenant: TenantId) -> Result<Observation, NoAnswer> {
        self.may_ask().await?;
        match self.tickets.next(&self.store, &self.account).await {
            Ok(mark) => self.upstream.observe(tenant, mark).await.map_err(|error| no_answer(&error)),
            Err(error) => Err(self.without_store(&error)),
        }
    }

    async fn tenant_of_domain(&self, domain: &str) -> Result<Option<TenantId>, NoAnswer> {
        self.may_ask().await?;
        self.upstream.tenant_of_domain(domain).await.map_err(|error| no_answer(&error))
    }

    /// Nobody asks about the customers of an account that an operator stopped, nor by credentials that were not accepted:
    /// whatever they show could be another's.
    async fn may_ask(&self) -> Result<(), NoAnswer> {
        let standstill = match self.state {
            AccountState::Active => self.on_trial().await?,
            AccountState::Disabled => Some(Standstill::Disabled),
        };
        match standstill {
            None => Ok(()),
            Some(standstill) => {
                let [reason, remedy] = [standstill.reason(), standstill.remedy()].map(str::to_owned);
                Err(NoAnswer::AccountBlocked { reason, remedy })
            }
        }
    }

    async fn on_trial(&self) -> Result<Option<Standstill>, NoAnswer> {
        let without_store = |error| self.without_store(&error);
        if self.credentials.are_accepted().await.map_err(without_store)? {
            return Ok(None);
        }
        // Credentials that do not even sign in tell more by that.
        self.upstream.sign_in().await.map_err(|error| no_answer(&error))?;
        self.credentials.standstill().await.map_err(without_store)
    }

    fn without_store(&self, error: &store::Error) -> NoAnswer {
        tracing::error!(account = %self.account, error = %error, "a question cannot use the store");
        NoAnswer::Unavailable { cause: "STORE_UNAVAILABLE".to_owned(), retry_after: FIRST_REST }
    }
}

/// What a failed call tells whoever asked.
fn no_answer(error: &Error) -> NoAnswer {
    match error.fate() {
        Fate::AccountBlocked { reason, remedy } | Fate::UserBlocked { reason, remedy } => {
            NoAnswer::AccountBlocked { reason: reason.to_owned(), remedy: remedy.to_owned() }
        }
        Fate::Retry { after } => NoAnswer::Unavailable {
            cause: error.problem.to_string(),
            retry_after: after.unwrap_or(FIRST_REST).max(FIRST_REST),
        },
        Fate::ListingRestart | Fate::CustomerRefused => {
            NoAnswer::Unavailable { cause: error.problem.to_string(), retry_after: FIRST_REST }
        }
    }
}
