//! A new release takes over from the one before, replica by replica, while callers call and Partner Center changes.
//!
//! `tests/with-the-former-release` builds that one and names its program in `FORMER_RELEASE`. Etags, page tokens and cursors
//! are of one release; callers who meet both begin anew, so these send none.

use std::path::PathBuf;
use std::sync::Arc;

use customer_guard::simulator::customer::BillingProfile;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clients::Clients;
use crate::fleet::{Fleet, THIS_RELEASE};
use crate::watcher::Watcher;

const ACCOUNTS: usize = 12;
/// Calls that are to be answered before the next replica is replaced.
const BETWEEN: usize = 40;

fn change_everybody(fleet: &Fleet, email: &str) {
    for partner in &fleet.partners {
        for customer in fleet.simulator.customers(partner.tenant_id) {
            let change = |profile: &mut BillingProfile| profile.email = Some(email.to_owned());
            fleet.simulator.change_billing_profile(partner.tenant_id, customer.id, change).expect("a known customer");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_replicas_of_the_release_before_and_of_this_one_write_beside_each_other() {
    let Some(former) = std::env::var_os("FORMER_RELEASE").map(PathBuf::from) else {
        eprintln!("SKIPPED: FORMER_RELEASE names no program; tests/with-the-former-release builds one");
        return;
    };
    let Some(mut fleet) = Fleet::of_release(&former, 3, ACCOUNTS).await else { return };
    fleet.wait_until_spread("with the release before").await;
    fleet.wait_until_level().await;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let watcher = tasks.spawn(Watcher::of(&fleet).await.watch(stop.clone()));
    let clients = Arc::new(Clients::of(&fleet).await.without_etags());
    let working = clients.start(&tasks, &stop);
    clients.wait_for(BETWEEN).await;

    fleet.migrate(THIS_RELEASE.as_ref());
    for number in 0..fleet.seats.len() {
        clients.wait_for(BETWEEN).await;
        change_everybody(&fleet, &format!("before{number}@partner.example"));
        fleet.wait_until_level().await;
        fleet.replace(number, THIS_RELEASE.as_ref());
        fleet.wait_until_spread(&format!("with {} of this release", number + 1)).await;
    }
    clients.wait_for(BETWEEN).await;

    stop.cancel();
    for client in working {
        client.await.expect("no client met what it must not");
    }
    println!("{}", watcher.await.expect("the watcher saw nothing it must not"));
    change_everybody(&fleet, "after@partner.example");
    fleet.wait_until_level().await;
    clients.check_what_was_acknowledged(&fleet).await;
    fleet.check_the_database().await;
}
