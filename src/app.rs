//! Puts the parts together: opens the store, binds the listener, spawns a worker for every account, and stops it all.
//!
//! [`App::build`] does everything that can fail before it returns, so that a busy port or a broken database is an
//! error message, and a test learns its address. [`App::run`] ends when it is told to, or when a part ends that
//! should not: half a service is worse than none.

mod opening;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::opening::{Opened, opened_patiently};
use crate::clock::Clock;
use crate::domain::account::PartnerAccount;
use crate::domain::ids::{PartnerAccountId, ReplicaId};
use crate::domain::lease::Replica;
use crate::domain::policy::{Pace, SyncPolicy};
use crate::domain::sync_settings::SyncSettings;
use crate::domain::webhook::PublicUrl;
use crate::grpc::{self, Callers, PageTokens, PortalLink, Serving, WatchLimits, Watches};
use crate::operations::accounts::Accounts;
use crate::operations::questions::Questions;
use crate::partner_center::error::SetupError;
use crate::partner_center::settings::{Endpoints, Settings as UpstreamSettings};
use crate::sealing::SealingKeys;
use crate::store::{self, ConfiguredAccount, DatabaseAddress, Migrated, Store, TenantChanged};
use crate::sync::{Said, Setup, Shares, Supervision, Supervisor, WebhookPlan, leave};
use crate::webhook::{self, NoFetcher, Receiver};

/// How often readiness is checked.
const READINESS_INTERVAL: Duration = Duration::from_secs(5);
/// How often it is looked, at least, whether changes or former values are old enough to be forgotten.
const FORGETTING_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// When to look again after the store failed.
const FORGETTING_RETRY: Duration = Duration::from_secs(60);
/// How long workers may take to finish the customers they hold.
const WORKER_GRACE: Duration = Duration::from_secs(4);

/// Everything the service needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where gRPC is served; loopback only until callers can prove who they are.
    pub listen: SocketAddr,
    /// Where the database is.
    pub database: DatabaseAddress,
    /// What an operator calls this process, of several that share the database.
    pub replica_name: String,
    /// Where customers can be changed in Partner Center.
    pub portal: PortalLink,
    /// The callers, by subject, to whom a refusal is only reported.
    pub report_only_callers: BTreeSet<String>,
    /// How long changes are kept for watches to resume at.
    pub change_log_retention: Duration,
    /// What watching may cost.
    pub watching: WatchLimits,
    /// How Partner Center's events come in; nobody listens for them without it.
    pub webhook: Option<WebhookSettings>,
    /// The partner accounts of the configuration.
    pub accounts: Vec<AccountSettings>,
    /// The keys under which secrets that come by a call are sealed; without them none can be set.
    pub sealing_keys: Option<SealingKeys>,
    /// What accounts of the API do not say themselves.
    pub api_accounts: ApiAccountSettings,
}

/// What accounts of the API do not say themselves.
#[derive(Clone, Debug)]
pub struct ApiAccountSettings {
    /// How one is kept level, as far as it does not say.
    pub pace: Pace,
    /// Where every one is reached instead of its cloud. For a demo or a test with a Partner Center of its own: a caller
    /// can never choose where secrets are sent.
    pub endpoints: Option<Endpoints>,
}

/// How Partner Center's events come in.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Where they come in. Every event proves itself, so any address may be listened on.
    pub listen: SocketAddr,
    /// Where Partner Center reaches that.
    pub public_url: PublicUrl,
    /// How old the secret in a callback's path may become.
    pub secret_max_age: Duration,
    /// Whom to believe.
    pub receiver: webhook::Settings,
}

/// Everything about one account.
#[derive(Clone, Debug)]
pub struct AccountSettings {
    /// The account.
    pub account: PartnerAccount,
    /// How it is kept level.
    pub policy: SyncPolicy,
    /// How it is reached.
    pub partner_center: UpstreamSettings,
    /// The refresh token of a user that the application acts for.
    pub refresh_token: Option<SecretString>,
    /// The one webhook registration of somebody else's that may be replaced, by its exact address.
    pub webhook_replace_url: Option<SecretString>,
}

/// A service that is ready to run.
pub struct App {
    address: SocketAddr,
    listener: TcpListener,
    store: Store,
    serving: Arc<Serving>,
    shares: Shares,
    webhook: Option<(Receiver, TcpListener)>,
    tasks: TaskTracker,
    change_log_retention: Duration,
    supervisor: Supervisor,
    migrated: Migrated,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Anybody on the network could read and write customers.
    #[error(
        "{0} is not a loopback address: callers cannot prove who they are yet, so the service listens on loopback only"
    )]
    NotLoopback(SocketAddr),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::StartError),
    /// A write to the database.
    #[error(transparent)]
    Write(#[from] store::Error),
    /// An account that is another one in the database.
    #[error(transparent)]
    Account(#[from] TenantChanged),
    /// An account's connection.
    #[error("partner account {account} cannot be connected")]
    Connection {
        /// The account.
        account: PartnerAccountId,
        /// Why.
        #[source]
        source: SetupError,
    },
    /// The listener.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The client that would fetch certificates.
    #[error(transparent)]
    Fetcher(#[from] NoFetcher),
    /// There is a refresh token and no key under which its successors are kept.
    #[error("partner account {0} has a refresh token, and there is no sealing key to keep those that follow it")]
    NoSealingKey(PartnerAccountId),
    /// The system has no randomness to give.
    #[error("the system has no randomness to give")]
    Randomness,
}

/// Why the service ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Serving failed.
    #[error(transparent)]
    Serve(#[from] grpc::ServeError),
    /// A part ended that should not have.
    #[error("a part of the service ended by itself; the log tells which")]
    PartEnded,
}

impl AccountSettings {
    /// The account as it is told about.
    fn configured(&self) -> ConfiguredAccount {
        let UpstreamSettings { requests_per_minute, concurrency, client_id, credential, .. } = &self.partner_center;
        let pace =
            Pace { policy: self.policy.clone(), requests_per_minute: *requests_per_minute, concurrency: *concurrency };
        ConfiguredAccount {
            account: self.account.clone(),
            client_id: client_id.clone(),
            credential: credential.kind(),
            settings: SyncSettings::of(&pace),
        }
    }
}

impl App {
    /// Opens everything.
    pub async fn build(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        if !settings.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(settings.listen));
        }
        let Opened { store, migrated, page_token_key, accounts } = opened_patiently(&settings, &clock).await?;
        let plan = settings.webhook.as_ref().map(|webhook| WebhookPlan {
            public_url: webhook.public_url.clone(),
            replace: None,
            secret_max_age: webhook.secret_max_age,
        });
        let configured = setups(&settings.accounts, settings.sealing_keys.as_ref(), plan.as_ref(), &store, &clock)?;
        let webhook = match settings.webhook {
            Some(webhook) => Some(receiver(webhook, &store, &accounts, &clock).await?),
            None => None,
        };
        let (listener, address) = listen(settings.listen).await?;
        let page_tokens = PageTokens::new(&page_token_key);
        let tasks = TaskTracker::new();
        let questions = Questions::default();
        let replica = Replica { id: ReplicaId::mint(clock.now()), name: settings.replica_name };
        let shares = Shares::new(store.clone(), accounts.clone(), replica);
        let supervision = Supervision {
            store: store.clone(),
            accounts: accounts.clone(),
            questions: questions.clone(),
            clock: clock.clone(),
            keys: settings.sealing_keys.clone(),
            configured,
            endpoints: settings.api_accounts.endpoints,
            webhook: plan,
        };
        let supervisor = Supervisor::new(supervision, shares.replica().id, shares.holding());
        let serving = Serving {
            store: store.clone(),
            accounts,
            clock,
            page_tokens,
            portal: settings.portal,
            callers: Callers::new(settings.report_only_callers),
            questions,
            sealing_keys: settings.sealing_keys,
            receives_events: webhook.is_some(),
            watches: Watches::new(settings.watching, tasks.clone()),
            stop: CancellationToken::new(),
        };
        let change_log_retention = settings.change_log_retention;
        let serving = Arc::new(serving);
        Ok(Self {
            address,
            listener,
            store,
            serving,
            shares,
            webhook,
            supervisor,
            tasks,
            change_log_retention,
            migrated,
        })
    }

    /// Where gRPC is served.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where events of Partner Center come in, if anywhere.
    pub fn webhook_address(&self) -> Option<SocketAddr> {
        self.webhook.as_ref().and_then(|(_, listener)| listener.local_addr().ok())
    }

    /// The store, for whoever shows progress.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The accounts, for whoever shows progress.
    pub fn accounts(&self) -> &Accounts {
        &self.serving.accounts
    }

    /// What opening the database did to its schema.
    pub const fn migrated(&self) -> Migrated {
        self.migrated
    }

    /// Serves and synchronizes until `stop`.
    pub async fn run(self, stop: CancellationToken) -> Result<(), RunError> {
        let tasks = self.tasks;
        // A part that ends by itself stops the others.
        let ended = stop.child_token();
        tasks.spawn({
            let (ended, streams) = (ended.clone(), self.serving.stop.clone());
            async move {
                ended.cancelled().await;
                streams.cancel();
            }
        });
        let replica = self.shares.replica().clone();
        for part in [
            self.shares.run(ended.clone()).boxed(),
            self.supervisor.run(tasks.clone(), ended.clone()).boxed(),
            follow_others(self.store.clone(), ended.clone()).boxed(),
        ] {
            let guard = ended.clone().drop_guard();
            tasks.spawn(async move {
                let _stops_the_others = guard;
                part.await;
            });
        }
        if let Some((receiver, listener)) = self.webhook {
            let (stop, guard) = (ended.clone(), ended.clone().drop_guard());
            tasks.spawn(async move {
                let _stops_the_others = guard;
                if let Err(error) = receiver.serve(listener, stop).await {
                    tracing::error!(error = %error, "the webhook listener failed");
                }
            });
        }
        let clock = self.serving.clock.clone();
        tasks.spawn(forget_changes(self.store.clone(), clock, self.change_log_retention, ended.clone()));
        tasks.spawn(forget_former_values(self.store.clone(), self.serving.clock.clone(), ended.clone()));
        let store = self.store.clone();
        let readiness = ended.clone();
        let when_ready = async |health: grpc::Health| {
            health.set(true).await;
            tasks.spawn(watch_readiness(store, health, readiness));
        };
        let served = grpc::serve(self.serving, self.listener, ended.clone(), when_ready).await;
        let asked = stop.is_cancelled();
        ended.cancel();
        tasks.close();
        if tokio::time::timeout(WORKER_GRACE, tasks.wait()).await.is_err() {
            tracing::warn!("some tasks did not stop in time; nothing acknowledged is lost");
        }
        leave(&self.store, &replica).await;
        self.store.close().await;
        served?;
        if asked { Ok(()) } else { Err(RunError::PartEnded) }
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

async fn receiver(
    settings: WebhookSettings,
    store: &Store,
    accounts: &Accounts,
    clock: &Clock,
) -> Result<(Receiver, TcpListener), StartError> {
    let receiver = Receiver::new(settings.receiver, store.clone(), accounts.clone(), clock.clone())?;
    let (listener, _) = listen(settings.listen).await?;
    Ok((receiver, listener))
}

fn setups(
    accounts: &[AccountSettings],
    keys: Option<&SealingKeys>,
    plan: Option<&WebhookPlan>,
    store: &Store,
    clock: &Clock,
) -> Result<Vec<Setup>, StartError> {
    let setup = |account: &AccountSettings| {
        let PartnerAccount { id, kind, .. } = account.account.clone();
        let replace = account.webhook_replace_url.as_ref().map(|url| url.expose_secret().to_owned());
        let said = Said {
            account: id.clone(),
            kind,
            policy: account.policy.clone(),
            partner_center: account.partner_center.clone(),
            has_user: account.refresh_token.is_some(),
            webhook: plan.map(|plan| WebhookPlan { replace, ..plan.clone() }),
        };
        Setup::of(said, store, keys, clock).map_err(|source| StartError::Connection { account: id, source })
    };
    accounts.iter().map(setup).collect()
}

/// Hears what other processes wake somebody for, if there can be any.
async fn follow_others(store: Store, stop: CancellationToken) {
    if store.is_shared() {
        store.follow_other_processes(stop).await;
    } else {
        stop.cancelled().await;
    }
}

/// Forgets changes that are older than `keep`, now and then.
async fn forget_changes(store: Store, clock: Clock, keep: Duration, stop: CancellationToken) {
    loop {
        let next = clock.now().plus(FORGETTING_INTERVAL);
        let forgotten = tokio::select! {
            () = stop.cancelled() => return,
            forgotten = store.forget_changes(keep) => forgotten,
        };
        match forgotten {
            Ok(0) => {}
            Ok(changes) => tracing::info!(changes, "old changes are forgotten"),
            // They are only kept longer.
            Err(error) => tracing::warn!(error = %error, "old changes could not be forgotten"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep_until(next) => {}
        }
    }
}

/// Erases what linked customers had before, once that can no longer be brought back; whatever Partner Center does.
async fn forget_former_values(store: Store, clock: Clock, stop: CancellationToken) {
    loop {
        let forgotten = store.write("forget_former_values", async |tx| tx.forget_former_values().await).await;
        let next = match forgotten {
            Ok(_) => store.former_values_end_at().await,
            Err(error) => Err(error),
        };
        let now = clock.now();
        let wake = match next {
            Ok(next) => next.into_iter().chain([now.plus(FORGETTING_INTERVAL)]).min().unwrap_or(now),
            Err(error) => {
                tracing::warn!(error = %error, "former values of linked customers could not be erased; they will be");
                now.plus(FORGETTING_RETRY)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep_until(wake) => {}
        }
    }
}

/// Readiness follows the store.
async fn watch_readiness(store: Store, health: grpc::Health, stop: CancellationToken) {
    let mut ready = true;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(READINESS_INTERVAL) => {}
        }
        let answers = store.ping().await.is_ok();
        if answers != ready {
            tracing::warn!(ready = answers, "readiness changed with the store");
            health.set(answers).await;
            ready = answers;
        }
    }
}
