//! A server that is lost takes nothing with it: two real PostgreSQL servers, the second a synchronous standby of the first, the
//! real App twice with the addresses of both, and callers over real gRPC who write all the time at one replica and read at the
//! other.
//!
//! The first server is killed, the second promoted; then the lost one comes back as the standby of the other, and so on. In
//! turns a server is not killed but told to write nothing, as before a switch that is planned. Meanwhile callers may be told
//! UNAVAILABLE and nothing else, and nobody waits beyond the deadline of a call. Whoever repeats a request with its id has one
//! effect of it; whatever was acknowledged is there in the end.
//!
//! - `cargo test --test failover` loses a server of each kind once;
//! - `FAILOVERS=20 cargo test --test failover -- --nocapture` is the long run.
//!
//! Where there is no PostgreSQL the test says so and does nothing, unless `CI` or `REQUIRE_POSTGRES=1` is set: then it fails.

mod callers;
mod servers;
mod service;

use std::time::Duration;

use self::callers::Callers;
use self::servers::{Pair, binaries};
use self::service::Service;

/// How often a server is lost when nobody says otherwise.
const USUAL: u64 = 2;
/// How many calls must succeed between two losses, and after the last.
const BETWEEN: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost_with_a_server() {
    let Some(binaries) = binaries() else { return };
    let losses = std::env::var_os("FAILOVERS")
        .map_or(USUAL, |text| text.to_str().and_then(|text| text.parse().ok()).expect("FAILOVERS is a number"));
    let mut pair = Pair::start(binaries).await;
    let service = Service::start(&pair.address(), "one").await;
    let other = Service::start(&pair.address(), "other").await;
    let callers = Callers::start(&service, &other, 4);
    for loss in 1..=losses {
        callers.wait_for(BETWEEN).await;
        let since = std::time::Instant::now();
        if loss % 2 == 1 {
            pair.kill_primary();
        } else {
            pair.fence_primary().await;
        }
        pair.promote_standby().await;
        callers.wait_for(BETWEEN).await;
        println!("loss {loss}: written again for {BETWEEN} calls after {:.1} s", since.elapsed().as_secs_f64());
        if loss < losses {
            pair.replace_lost().await;
        }
    }
    let told = callers.stop().await;
    told.assert_kept(&service).await;
    println!("{} calls acknowledged, {} told UNAVAILABLE and repeated", told.acknowledged(), told.unavailable);
    for service in [service, other] {
        tokio::time::timeout(Duration::from_secs(60), service.stop()).await.expect("the service ends");
    }
}
