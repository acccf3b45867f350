//! What is promised of 200,000 customers in one account: a full sync, then another one with 0.5 % changes, in less than
//! 300 MiB; who did not change is not written; and a process that is killed repeats at most a page and the drain in flight.
//!
//! Partner Center and the service are processes of their own, so that the memory that is measured is the service's alone.
//! Every number is the service's own, of its database, or counted by the simulator.
//!
//! - `cargo test --test scale` runs it with 2,000 customers;
//! - `SCALE_CUSTOMERS=200000 cargo test --release --test scale -- --nocapture --test-threads 1` is the whole of it. At the
//!   highest pace that can be configured, 60,000 calls a minute, each sync takes at least 200 seconds;
//! - with `SCALE_UNPACED=1` the service keeps no pace, which shows how fast it is by itself;
//! - `SCALE_SEED=17` draws other moments to kill it at. They are printed.

mod calls;
mod microsoft;
#[path = "../support/process.rs"]
#[expect(dead_code, reason = "other suites use other parts of it")]
mod process;
mod service;
mod truth;
mod world;

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use self::calls::{Plan, Route};
use self::world::{Moment, World};

/// How many customers there are when nobody says otherwise.
const USUAL: u64 = 2_000;
/// How many of a thousand customers change between the two syncs.
const CHANGED_PER_MILLE: u64 = 5;

/// A number from the environment.
pub fn setting(name: &str) -> Option<u64> {
    let text = std::env::var_os(name)?.into_string().ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn customers() -> u64 {
    setting("SCALE_CUSTOMERS").unwrap_or(USUAL)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_full_syncs_cost_what_is_planned_and_write_only_what_changed() {
    let mut world = World::with_customers(customers()).await;
    let first = world.sync_to_its_end(&[]).await;
    world.check_everybody().await;
    let before = world.writes().await;

    let changed = world.change(CHANGED_PER_MILLE, world::Told::EverySecond).await;
    let second = world.sync_to_its_end(&[]).await;
    world.check_everybody().await;
    assert_eq!(second.run.changed, i64::try_from(changed.len()).expect("a count"));
    world.check_only_these_were_written(&before, &changed).await;
    world.end(&[first, second]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_it_repeats_at_most_a_page_and_the_drain_in_flight() {
    let seed = setting("SCALE_SEED").unwrap_or(1);
    let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut world = World::with_customers(customers()).await;
    let plan = Plan::of_a_full_sync(customers());
    let mut moment = |route, planned: std::ops::Range<u64>| {
        let after = chance.random_range(planned).max(1);
        Moment { route, after, and: Duration::from_micros(chance.random_range(0..20_000)) }
    };
    let first = [
        moment(Route::List, 0..plan.list),
        moment(Route::Get, 0..plan.get / 2),
        moment(Route::Get, plan.get / 2..plan.get * 9 / 10),
    ];
    let mut second = [Route::Get; 2].map(|route| moment(route, plan.get * 6 / 10..plan.get * 9 / 10));
    second.sort_by_key(|moment| moment.after);
    // Not at random: the list was read to its end, and what it lacked is being found out.
    let and = Duration::from_micros(customers()).max(Duration::from_millis(100));
    let end_of_list = Moment { route: Route::List, after: plan.list, and };
    println!("seed {seed}: killed in the first sync at {first:?}, in the second at {end_of_list:?} and {second:?}");

    let first = world.sync_to_its_end(&first).await;
    world.check_everybody().await;
    let before = world.writes().await;
    let changed = world.change(CHANGED_PER_MILLE, world::Told::Nobody).await;
    let second = world.sync_to_its_end(&[end_of_list, second[0], second[1]]).await;
    world.check_everybody().await;
    world.check_only_these_were_written(&before, &changed).await;
    world.end(&[first, second]);
}

/// Not a test: what `SCALE_UNPACED` runs as a process of its own.
#[test]
#[ignore = "the service that SCALE_UNPACED starts"]
fn the_service_without_a_pace() {
    service::serve_without_a_pace();
}
