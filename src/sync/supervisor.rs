//! Starts, replaces and stops what runs for every account, as the store and this process's share of the accounts say.
//!
//! The store is the truth: an operation writes there and wakes the supervisor, which looks at every account and makes what
//! runs agree with it. It looks again from time to time, so that a wake-up that was lost costs time only. Questions about an
//! account are answered by every process; its worker runs where its lease is. A worker has ended before the next one of its
//! account begins, and before the lease goes to another process; an account that cannot be started never keeps another from it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::domain::account::{AccountState, PartnerKind};
use crate::domain::ids::{Epoch, PartnerAccountId, ReplicaId};
use crate::domain::lease::Lease;
use crate::domain::policy::Pace;
use crate::domain::standstill::Standstill;
use crate::operations::accounts::Accounts;
use crate::operations::credentials;
use crate::operations::questions::Questions;
use crate::partner_center::error::SetupError;
use crate::partner_center::settings::{APPLICATION_NAME, Endpoints, LARGEST_PAGE, Settings, Timeouts};
use crate::sealing::SealingKeys;
use crate::sign_in::Credential;
use crate::store::{self, Holding, KeptAccount, Store};
use crate::sync::{Crew, Said, Setup, WebhookPlan};

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
    /// How an account of the API is to be run; one of the configuration never changes.
    course: Option<Course>,
    started: Option<Started>,
    /// Why it is not synchronized, as long as that has not been noted.
    unsaid: Option<(&'static str, String)>,
}

/// An account that could be started.
#[derive(Debug)]
struct Started {
    crew: Crew,
    state: AccountState,
    stop: CancellationToken,
    answerer: Option<JoinHandle<()>>,
    worker: Option<Working>,
}

/// A worker that runs under a lease.
#[derive(Debug)]
struct Working {
    epoch: Epoch,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Looks after the accounts.
#[derive(Debug)]
pub struct Supervisor {
    store: Store,
    accounts: Accounts,
    questions: Questions,
    clock: Clock,
    keys: Option<SealingKeys>,
    /// The accounts of the configuration.
    configured: Vec<Setup>,
    /// Where every account of the API is reached instead of its cloud.
    endpoints: Option<Endpoints>,
    /// How Partner Center's events reach this service, if they do. It replaces nobody's registration: which one may be,
    /// only the configuration says.
    webhook: Option<WebhookPlan>,
    replica: ReplicaId,
    holding: watch::Receiver<Holding>,
    charges: BTreeMap<PartnerAccountId, Charge>,
}

/// What a supervisor is made of.
#[derive(Debug)]
pub struct Supervision {
    /// The store.
    pub store: Store,
    /// The accounts that are served.
    pub accounts: Accounts,
    /// Where questions are put.
    pub questions: Questions,
    /// The clock.
    pub clock: Clock,
    /// The keys under which secrets of the API's accounts are sealed.
    pub keys: Option<SealingKeys>,
    /// The accounts of the configuration.
    pub configured: Vec<Setup>,
    /// Where every account of the API is reached instead of its cloud.
    pub endpoints: Option<Endpoints>,
    /// How events reach this service.
    pub webhook: Option<WebhookPlan>,
}

/// Why an account was not started.
enum NotStarted {
    StandsStill(Standstill),
    Connection(SetupError),
}

impl Supervisor {
    /// A supervisor that has not looked at anything yet, of the replica that holds what `holding` says.
    pub fn new(made_of: Supervision, replica: ReplicaId, holding: watch::Receiver<Holding>) -> Self {
        let Supervision { store, accounts, questions, clock, keys, configured, endpoints, webhook } = made_of;
        let charges = BTreeMap::new();
        Self { store, accounts, questions, clock, keys, configured, endpoints, webhook, replica, holding, charges }
    }

    /// Looks after accounts until `service` ends; what it starts runs in `tasks` and ends with the service too.
    pub async fn run(mut self, tasks: TaskTracker, service: CancellationToken) {
        let mut changes = self.store.account_changes();
        for setup in std::mem::take(&mut self.configured) {
            let id = setup.account.clone();
            let started = Some(self.start(setup, None, AccountState::Active, &tasks, &service));
            self.charges.insert(id, Charge { course: None, started, unsaid: None });
        }
        loop {
            changes.borrow_and_update();
            let holding = self.holding.borrow_and_update().clone();
            let looked = tokio::select! {
                () = service.cancelled() => return,
                looked = self.look(&holding, &tasks, &service) => looked,
            };
            let pause = match looked {
                Ok(()) => LOOK_AGAIN,
                Err(error) => {
                    tracing::error!(error = %error, "the accounts cannot be looked at");
                    STORE_PAUSE
                }
            };
            tokio::select! {
                () = service.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                _ = changes.changed() => {}
                _ = self.holding.changed() => {}
            }
        }
    }

    async fn look(
        &mut self,
        holding: &Holding,
        tasks: &TaskTracker,
        service: &CancellationToken,
    ) -> Result<(), store::Error> {
        // What has to end comes first: others wait for it, and it needs no store.
        for charge in self.charges.values_mut() {
            charge.stop_worker_unless(holding).await;
        }
        self.give_up(&holding.surplus).await?;
        let kept = self.store.api_accounts().await?;
        let known: BTreeSet<_> = kept.iter().map(|kept| &kept.record.account.id).collect();
        let of_the_api = self.charges.iter().filter(|(_, charge)| charge.course.is_some()).map(|(id, _)| id.clone());
        for gone in of_the_api.filter(|id| !known.contains(id)).collect::<Vec<_>>() {
            self.stop(&gone).await;
        }
        for kept in &kept {
            self.accounts.put(&kept.record);
            self.follow(kept, tasks, service).await;
        }
        for (account, epoch) in &holding.held {
            if let Some(charge) = self.charges.get_mut(account) {
                let lease = Lease { account: account.clone(), epoch: *epoch };
                charge.work_under(lease, self.holding.clone(), tasks, service).await;
            }
        }
        for account in holding.held.keys() {
            if let Some(charge) = self.charges.get_mut(account) {
                charge.say_what_keeps_it_back(account, &self.store).await?;
            }
        }
        for kept in &kept {
            self.accounts.note_followed(&kept.record.account.id, kept.record.revision);
        }
        Ok(())
    }

    /// Leaves accounts to others, all at once: nobody works for them here any more.
    async fn give_up(&self, surplus: &BTreeSet<PartnerAccountId>) -> Result<(), store::Error> {
        if surplus.is_empty() {
            return Ok(());
        }
        let replica = self.replica;
        let store = self.store.urgent();
        store.write("give_up_accounts", async |tx| tx.give_up_accounts(replica, surplus).await).await
    }

    /// Makes what runs for an account of the API agree with what is kept of it.
    async fn follow(&mut self, kept: &KeptAccount, tasks: &TaskTracker, service: &CancellationToken) {
        let id = &kept.record.account.id;
        let course = Course {
            state: kept.record.state,
            kind: kept.record.account.kind,
            pace: self.accounts.pace_of(&kept.record),
            generation: kept.credentials.as_ref().map(|credentials| credentials.generation),
        };
        if self.charges.get(id).is_some_and(|charge| charge.course.as_ref() == Some(&course)) {
            return;
        }
        self.stop(id).await;
        let state = course.state;
        let setup = match credentials::opened(kept, self.keys.as_ref()) {
            Ok((credential, _)) => self.setup(kept, credential, &course.pace).map_err(NotStarted::Connection),
            Err(standstill) => Err(NotStarted::StandsStill(standstill)),
        };
        let said = |standstill: Standstill| Some((standstill.reason(), standstill.remedy().to_owned()));
        let unsaid = match (&setup, state) {
            (_, AccountState::Disabled) => said(Standstill::Disabled),
            (Ok(_), AccountState::Active) => None,
            (Err(NotStarted::StandsStill(standstill)), AccountState::Active) => said(*standstill),
            (Err(NotStarted::Connection(error)), AccountState::Active) => {
                Some((CONNECTION_UNUSABLE, error.to_string()))
            }
        };
        let identity = kept.credentials.as_ref().map(|credentials| credentials.identity.clone()).unwrap_or_default();
        let started = setup.ok().map(|setup| self.start(setup, Some(identity), state, tasks, service));
        self.charges.insert(id.clone(), Charge { course: Some(course), started, unsaid });
    }

    /// How an account of the API is reached.
    fn setup(&self, kept: &KeptAccount, credential: Credential, pace: &Pace) -> Result<Setup, SetupError> {
        let account = &kept.record.account;
        let Pace { policy, requests_per_minute, concurrency } = pace.clone();
        let partner_center = Settings {
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
        let (account, kind) = (account.id.clone(), account.kind);
        let (has_user, webhook) = (kept.record.user.is_some(), self.webhook.clone());
        let said = Said { account, kind, policy, partner_center, has_user, webhook };
        Setup::of(said, &self.store, self.keys.as_ref(), &self.clock)
    }

    /// Starts whoever answers questions about the account. `identity` is what a secret that is kept sealed is known as.
    fn start(
        &self,
        setup: Setup,
        identity: Option<Vec<u8>>,
        state: AccountState,
        tasks: &TaskTracker,
        service: &CancellationToken,
    ) -> Started {
        let stop = service.child_token();
        let crew = Crew::new(setup, identity, &self.store, &self.clock);
        let asked = self.questions.answered_by(&crew.setup().account);
        let answers = crew.answerer().of_account_that_is(state).run(asked, stop.clone());
        let answerer = tasks.spawn(as_part_of(service.clone(), stop.clone(), answers));
        Started { crew, state, stop, answerer: Some(answerer), worker: None }
    }

    /// Stops what runs for the account, and waits for its end.
    async fn stop(&mut self, id: &PartnerAccountId) {
        // It stays known until it has ended, so that a look that is dropped here is made again.
        let Some(charge) = self.charges.get_mut(id) else { return };
        if let Some(started) = &mut charge.started {
            started.stop.cancel();
            self.questions.no_longer_answered(id);
            started.stop_worker().await;
            ended(&mut started.answerer).await;
            tracing::info!(account = %id, "what ran for an account has stopped");
        }
        self.charges.remove(id);
    }
}

impl Charge {
    /// Stops the worker of an account that is not held under its epoch any more.
    async fn stop_worker_unless(&mut self, holding: &Holding) {
        if let Some(started) = &mut self.started
            && let Some(working) = &started.worker
            && (!holds(holding, &started.crew.setup().account, working.epoch) || working.stop.is_cancelled())
        {
            tracing::info!(account = %started.crew.setup().account, "synchronization of an account ends here: it is another's");
            started.stop_worker().await;
            started.crew.without_worker();
        }
    }

    /// Starts the worker under a lease, if the account is to have one and has none.
    async fn work_under(
        &mut self,
        lease: Lease,
        holding: watch::Receiver<Holding>,
        tasks: &TaskTracker,
        service: &CancellationToken,
    ) {
        let Some(started) = self.started.as_mut().filter(|started| started.worker.is_none()) else { return };
        let Started { crew, state, stop, .. } = started;
        match state {
            AccountState::Active => {}
            AccountState::Disabled => return,
        }
        let epoch = lease.epoch;
        let (account, worker) = (lease.account.clone(), crew.worker(lease));
        let stop = stop.child_token();
        let ends = stop_without(holding, account, epoch, stop.clone());
        let work = as_part_of(service.clone(), stop.clone(), worker.run(stop.clone()));
        let task = tasks.spawn(async { tokio::join!(ends, work).1 });
        tracing::info!(account = %crew.setup().account, epoch = epoch.0, "synchronization of an account starts here");
        started.worker = Some(Working { epoch, stop, task });
    }

    async fn say_what_keeps_it_back(&mut self, id: &PartnerAccountId, store: &Store) -> Result<(), store::Error> {
        // A worker that was just stopped may have said something else last.
        if let Some((reason, detail)) = &self.unsaid {
            tracing::warn!(account = %id, reason, "an account of the API is not synchronized");
            store.write("note_problem", async |tx| tx.note_problem(id, reason, detail).await).await?;
            self.unsaid = None;
        }
        Ok(())
    }
}

impl Started {
    async fn stop_worker(&mut self) {
        if let Some(working) = &mut self.worker {
            working.stop.cancel();
            // One that panicked has ended the service itself.
            let _ = (&mut working.task).await;
            self.worker = None;
        }
    }
}

fn holds(holding: &Holding, account: &PartnerAccountId, epoch: Epoch) -> bool {
    holding.held.get(account) == Some(&epoch)
}

/// Stops the work under a lease as soon as it is over: others are about to take the account, also when whoever looks after
/// the work waits for something else.
async fn stop_without(
    mut holding: watch::Receiver<Holding>,
    account: PartnerAccountId,
    epoch: Epoch,
    stop: CancellationToken,
) {
    let over = async { holding.wait_for(|holding| !holds(holding, &account, epoch)).await.map(drop) };
    if stop.run_until_cancelled(over).await.is_some() {
        stop.cancel();
    }
}

/// Does what is to go on until `stop`. If it ends before, so does `service`: half a service is worse than none.
async fn as_part_of(service: CancellationToken, stop: CancellationToken, work: impl Future<Output = ()>) {
    let guard = service.drop_guard();
    work.await;
    if stop.is_cancelled() {
        guard.disarm();
    }
}

async fn ended(task: &mut Option<JoinHandle<()>>) {
    if let Some(running) = task {
        let _ = running.await;
        *task = None;
    }
}
