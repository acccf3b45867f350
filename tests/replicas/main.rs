//! Several replicas on one PostgreSQL: accounts spread over them, whoever is killed or frozen is replaced, and nothing that
//! was acknowledged is lost.
//!
//! Replicas are processes of their own, clients are real gRPC clients that go from one replica to another, Partner Center is
//! the simulator, and whoever watches looks into the database.
//!
//! - `cargo test --test replicas` does that for 40 seconds, where there is a PostgreSQL;
//! - `REPLICAS_SECONDS=600 cargo test --release --test replicas -- --nocapture` is the whole of it;
//! - `REPLICAS_SEED=17` draws other moments. What happens is printed.

#[path = "../support/postgres.rs"]
mod postgres_server;
#[path = "../support/process.rs"]
#[expect(dead_code, reason = "other suites use other parts of it")]
mod process;
#[path = "../scale/truth.rs"]
mod truth;

mod clients;
mod coherence;
mod fleet;
mod releases;
mod trouble;
mod watcher;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::clients::Clients;
use self::fleet::Fleet;
use self::watcher::Watcher;

/// How long nobody may synchronize an account.
const UNOWNED_MAX: Duration = Duration::from_secs(30);
/// How long a replica is believed to be alive after it last said so: before that is over, nobody sees that an account has no one.
const BELIEVED: Duration = Duration::from_secs(12);

/// A number from the environment.
pub fn setting(name: &str) -> Option<u64> {
    let text = std::env::var_os(name)?.into_string().ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_are_killed_and_frozen_at_random_lose_nothing_and_converge() {
    let Some(mut fleet) = Fleet::of(3, 60).await else { return };
    fleet.wait_until_spread("after the start").await;
    fleet.wait_until_level().await;

    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let watcher = tasks.spawn(Watcher::of(&fleet).await.watch(stop.clone()));
    let clients = Arc::new(Clients::of(&fleet).await);
    let working = clients.start(&tasks, &stop);
    let began = Instant::now();
    let seconds = setting("REPLICAS_SECONDS").unwrap_or(40);
    let happened = trouble::make(&mut fleet, Duration::from_secs(seconds), setting("REPLICAS_SEED").unwrap_or(1)).await;
    println!("{:.0?} of trouble: {happened}", began.elapsed());

    fleet.wait_until_spread("after the trouble").await;
    stop.cancel();
    for client in working {
        client.await.expect("no client met what it must not");
    }
    let seen = watcher.await.expect("the watcher saw nothing it must not");
    println!("{seen}");
    let longest = seen.longest_unowned + BELIEVED;
    assert!(longest < UNOWNED_MAX, "nobody synchronized an account for up to {longest:?}");
    fleet.wait_until_level().await;
    clients.check_what_was_acknowledged(&fleet).await;
    fleet.check_the_database().await;
}
