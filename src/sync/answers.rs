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
use crate::store::Store;
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
    state: AccountState,
}

impl Answerer {
    pub(super) const fn new(
        account: PartnerAccountId,
        upstream: PartnerCenter,
        store: Store,
        clock: Clock,
        tickets: Tickets,
    ) -> Self {
        Self { account, upstream, store, clock, tickets, state: AccountState::Active }
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
        self.active()?;
        match self.tickets.next(&self.store, &self.account).await {
            Ok(mark) => self.upstream.observe(tenant, mark).await.map_err(|error| no_answer(&error)),
            Err(error) => {
                tracing::error!(account = %self.account, error = %error, "a question cannot use the store");
                Err(NoAnswer::Unavailable { cause: "STORE_UNAVAILABLE".to_owned(), retry_after: FIRST_REST })
            }
        }
    }

    async fn tenant_of_domain(&self, domain: &str) -> Result<Option<TenantId>, NoAnswer> {
        self.active()?;
        self.upstream.tenant_of_domain(domain).await.map_err(|error| no_answer(&error))
    }

    /// Nobody asks about the customers of an account that an operator stopped.
    fn active(&self) -> Result<(), NoAnswer> {
        match self.state {
            AccountState::Active => Ok(()),
            AccountState::Disabled => {
                let [reason, remedy] =
                    [Standstill::Disabled.reason(), Standstill::Disabled.remedy()].map(str::to_owned);
                Err(NoAnswer::AccountBlocked { reason, remedy })
            }
        }
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
