//! Starts, replaces and stops the workers of accounts that come from the API, as the store says.
//!
//! The store is the truth: an operation writes there and wakes the supervisor, which looks at every account of the API and
//! makes what runs agree with it. It looks again from time to time, so that a wake-up that was lost costs time only. A worker
//! has ended before the next one of its account begins, and an account that cannot be started never keeps another from it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::domain::account::{AccountState, PartnerKind};
use crate::domain::ids::PartnerAccountId;
use crate::domain::policy::Pace;
use crate::domain::standstill::Standstill;
use crate::operations::accounts::Accounts;
use crate::operations::credentials;
use crate::operations::questions::Questions;
use crate::partner_center::PartnerCenter;
use crate::partner_center::error::SetupError;
use crate::partner_center::settings::{APPLICATION_NAME, Endpoints, LARGEST_PAGE, Settings, Timeouts};
use crate::sealing::SealingKeys;
use crate::sign_in::Credential;
use crate::store::{self, KeptAccount, Store};
use crate::sync::refresh_tokens::keeper;
use crate::sync::{WebhookPlan, Worker};

/// How long until the store is looked at without being asked to.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long to wait after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(5);
/// The problem of an account to which no connection can even be prepared.
const CONNECTION_UNUSABLE: &str = "CONNECTION_UNUSABLE";

/// Whatever, when it changes, needs another worker.
#[derive(Clone, Debug, PartialEq)]
struct Course {
    state: AccountState,
    kind: PartnerKind,
    pace: Pace,
    /// Which setting of the credentials; nothing while there are none.
    generation: Option<i64>,
}

/// What runs for one account.
#[derive(Debug)]
struct Charge {
    course: Course,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    /// Why it is not synchronized, as long as that has not been noted.
    unsaid: Option<(&'static str, String)>,
}

/// Looks after the accounts of the API.
#[derive(Debug)]
pub struct Supervisor {
    store: Store,
    accounts: Accounts,
    questions: Questions,
    clock: Clock,
    keys: Option<SealingKeys>,
    /// Where every account is reached instead of its cloud.
    endpoints: Option<Endpoints>,
    /// How Partner Center's events reach this service, if they do. It replaces nobody's registration: which one may be,
    /// only the configuration says.
    webhook: Option<WebhookPlan>,
    charges: BTreeMap<PartnerAccountId, Charge>,
}

/// Why an account was not started.
enum NotStarted {
    StandsStill(Standstill),
    Connection(SetupError),
}

impl Supervisor {
    /// A supervisor that has not looked at anything yet.
    pub const fn new(
        store: Store,
        accounts: Accounts,
        questions: Questions,
        clock: Clock,
        keys: Option<SealingKeys>,
        endpoints: Option<Endpoints>,
        webhook: Option<WebhookPlan>,
    ) -> Self {
        Self { store, accounts, questions, clock, keys, endpoints, webhook, charges: BTreeMap::new() }
    }

    /// Looks after accounts until `service` ends; what it starts runs in `tasks` and ends with the service too.
    pub async fn run(mut self, tasks: TaskTracker, service: CancellationToken) {
        let mut changes = self.store.account_changes();
        loop {
            changes.borrow_and_update();
            let looked = tokio::select! {
                () = service.cancelled() => return,
                looked = self.look(&tasks, &service) => looked,
            };
            let pause = match looked {
                Ok(()) => LOOK_AGAIN,
                Err(error) => {
                    tracing::error!(error = %error, "the accounts of the API cannot be looked at");
                    STORE_PAUSE
                }
            };
            tokio::select! {
                () = service.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                _ = changes.changed() => {}
            }
        }
    }

    async fn look(&mut self, tasks: &TaskTracker, service: &CancellationToken) -> Result<(), store::Error> {
        let kept = self.store.api_accounts().await?;
        let known: BTreeSet<_> = kept.iter().map(|kept| kept.record.account.id.clone()).collect();
        for gone in self.charges.keys().filter(|id| !known.contains(*id)).cloned().collect::<Vec<_>>() {
            self.stop(&gone).await;
        }
        for kept in kept {
            self.accounts.put(&kept.record);
            self.follow(&kept, tasks, service).await?;
            self.accounts.note_followed(&kept.record.account.id, kept.record.revision);
        }
        Ok(())
    }

    /// Makes what runs for the account agree with what is kept of it.
    async fn follow(
        &mut self,
        kept: &KeptAccount,
        tasks: &TaskTracker,
        service: &CancellationToken,
    ) -> Result<(), store::Error> {
        let id = &kept.record.account.id;
        let course = Course {
            state: kept.record.state,
            kind: kept.record.account.kind,
            pace: self.accounts.pace_of(&kept.record),
            generation: kept.credentials.as_ref().map(|credentials| credentials.generation),
        };
        if self.charges.get(id).is_none_or(|charge| charge.course != course) {
            self.stop(id).await;
            let mut charge = Charge { course, stop: service.child_token(), tasks: Vec::new(), unsaid: None };
            let started = match credentials::opened(kept, self.keys.as_ref()) {
                Ok((credential, _)) => self.start(kept, credential, &mut charge, tasks, service),
                Err(standstill) => Err(NotStarted::StandsStill(standstill)),
            };
            let said = |standstill: Standstill| Some((standstill.reason(), standstill.remedy().to_owned()));
            charge.unsaid = match (started, charge.course.state) {
                (_, AccountState::Disabled) => said(Standstill::Disabled),
                (Ok(()), AccountState::Active) => None,
                (Err(NotStarted::StandsStill(standstill)), AccountState::Active) => said(standstill),
                (Err(NotStarted::Connection(error)), AccountState::Active) => {
                    Some((CONNECTION_UNUSABLE, error.to_string()))
                }
            };
            self.charges.insert(id.clone(), charge);
        }
        // A worker that was just stopped may have said something else last.
        let unsaid = self.charges.get(id).and_then(|charge| charge.unsaid.as_ref());
        if let Some((reason, detail)) = unsaid {
            tracing::warn!(account = %id, reason, "an account of the API is not synchronized");
            self.store.write("note_problem", async |tx| tx.note_problem(id, reason, detail).await).await?;
        }
        if let Some(charge) = self.charges.get_mut(id) {
            charge.unsaid = None;
        }
        Ok(())
    }

    fn start(
        &self,
        kept: &KeptAccount,
        credential: Credential,
        charge: &mut Charge,
        tasks: &TaskTracker,
        service: &CancellationToken,
    ) -> Result<(), NotStarted> {
        let account = &kept.record.account;
        let Pace { policy, requests_per_minute, concurrency } = charge.course.pace.clone();
        let settings = Settings {
            endpoints: self.endpoints.clone().unwrap_or_else(|| Settings::endpoints_of(account.cloud)),
            tenant_id: account.tenant_id,
            client_id: kept.record.client_id.clone(),
            credential,
            requests_per_minute,
            concurrency,
            page_size: LARGEST_PAGE,
            application_name: APPLICATION_NAME.to_owned(),
            timeouts: Timeouts::USUAL,
        };
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let client_id = &kept.record.client_id;
        let keys = self.keys.as_ref().filter(|_| kept.record.user.is_some());
        let upstream = match keys.map(|keys| keeper(&store, keys, &account.id, client_id, &clock)) {
            Some(keeper) => PartnerCenter::with_user(settings, keeper, clock.clone()),
            None => PartnerCenter::new(settings, clock.clone()),
        };
        let upstream = upstream.map_err(NotStarted::Connection)?;
        let worker = Worker::new(account.id.clone(), policy, concurrency, upstream, store, clock);
        let worker = worker.with_webhook(self.webhook.clone()).of_kind(account.kind);
        let identity = kept.credentials.as_ref().map(|credentials| credentials.identity.clone());
        let worker = worker.with_credentials_known_as(identity.unwrap_or_default());
        let answerer = worker.answerer().of_account_that_is(charge.course.state);
        let asked = self.questions.answered_by(&account.id);
        charge.tasks.push(tasks.spawn(answerer.run(asked, charge.stop.clone())));
        match charge.course.state {
            AccountState::Active => {
                let worker = worker.run_as_part_of(service.clone(), charge.stop.clone());
                charge.tasks.push(tasks.spawn(worker));
                tracing::info!(account = %account.id, "synchronization of an account of the API starts");
            }
            AccountState::Disabled => {}
        }
        Ok(())
    }

    /// Stops what runs for the account, and waits for its end.
    async fn stop(&mut self, id: &PartnerAccountId) {
        // It stays known until it has ended, so that a look that is dropped here is made again.
        let Some(charge) = self.charges.get_mut(id) else { return };
        charge.stop.cancel();
        self.questions.no_longer_answered(id);
        while let Some(task) = charge.tasks.last_mut() {
            // One that panicked has ended the service itself.
            let _ = task.await;
            charge.tasks.pop();
        }
        self.charges.remove(id);
        tracing::info!(account = %id, "what ran for an account of the API has stopped");
    }
}
