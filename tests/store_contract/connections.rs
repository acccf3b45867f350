//! What is promised when a server, a network or a process fails.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use customer_guard::store::{DatabaseAddress, Error, StartError, Store};
use futures::future::{join, join_all};
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::{Notify, watch};
use tokio_util::task::TaskTracker;

use crate::bench::{Bench, tenant, write_something};
use crate::leases::replica;

/// Far more than anything here may take, and far less than a system gives up a connection after.
const BOUND: Duration = Duration::from_secs(25);

contract! {
    on postgres {
        whoever_freezes_in_a_write_loses_the_lock_and_the_write,
        writes_that_wait_for_others_are_given_up_before_most_callers_are,
        whatever_is_asked_at_once_a_replica_can_say_that_it_is_alive,
        a_host_that_falls_silent_is_left_for_another,
        what_is_under_way_at_a_host_that_falls_silent_is_given_up_when_another_one_is_found,
        connections_that_are_given_back_to_a_silent_host_keep_nobody_from_others,
        a_host_that_was_silent_is_used_again_by_everybody,
        hosts_without_one_that_takes_writes_are_told_without_credentials,
        whoever_only_looks_is_content_with_a_host_that_takes_no_writes,
    }
    on pgbouncer {
        whoever_freezes_in_a_write_loses_the_lock_and_the_write,
    }
}

/// As a process does that is stopped, or cut off from the network, between two statements.
async fn whoever_freezes_in_a_write_loses_the_lock_and_the_write(bench: Bench) {
    let frozen = bench.beside().await;
    let (entered, thaw) = (Notify::new(), Notify::new());
    let write = frozen.write("frozen", async |tx| {
        write_something(tx, &bench.account).await?;
        entered.notify_one();
        thaw.notified().await;
        Ok::<_, Error>(())
    });
    let other = async {
        entered.notified().await;
        let since = Instant::now();
        let written = bench.store.write("other", async |tx| write_something(tx, &bench.account).await).await;
        let waited = since.elapsed();
        thaw.notify_one();
        (written, waited)
    };
    let (frozen, (other, waited)) = join(write, other).await;
    other.expect("the other one gets its turn");
    assert!(waited > Duration::from_secs(2), "it waited for somebody who is there: {waited:?}");
    assert!(matches!(frozen, Err(Error::Unavailable(_))), "{frozen:?}");
    assert_eq!(
        bench.shell().await.number("SELECT CAST(sum(marked) AS BIGINT) FROM upstream_customer").await,
        1,
        "one of two wrote"
    );
}

/// Whoever holds the lock in a shell is not frozen, and keeps it.
async fn writes_that_wait_for_others_are_given_up_before_most_callers_are(bench: Bench) {
    let mut shell = bench.shell().await;
    shell.run("BEGIN").await.expect("it begins");
    shell.number("SELECT count(*) FROM (SELECT pg_advisory_xact_lock(6071223490117)) AS locked").await;
    let since = Instant::now();
    let write = async || {
        let error = bench.store.write("write", async |tx| write_something(tx, &bench.account).await).await;
        (error.expect_err("somebody holds the lock"), since.elapsed())
    };
    for (error, waited) in join_all((0..5).map(|_| write())).await {
        assert!(is_temporary(&error) && waited < Duration::from_secs(10), "{error:?} after {waited:?}");
    }
    const WAITING: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(bench.shell().await.number(WAITING).await, 0, "whoever has given up has left the queue");
    shell.run("ROLLBACK").await.expect("it ends");
    bench.store.write("write", async |tx| write_something(tx, &bench.account).await).await.expect("it is written");
}

async fn whatever_is_asked_at_once_a_replica_can_say_that_it_is_alive(bench: Bench) {
    let mut shell = bench.shell().await;
    shell.run("BEGIN").await.expect("it begins");
    shell.run("LOCK TABLE customer IN ACCESS EXCLUSIVE MODE").await.expect("it is locked");
    let looks = join_all((0..40).map(|number| bench.store.customer_of_tenant(&bench.account, tenant(number))));
    let share = async {
        let (replica, accounts) = (replica(&bench, "one"), BTreeSet::from([bench.account.clone()]));
        let term = Duration::from_secs(12);
        let urgent = bench.store.urgent();
        let shared = urgent.write("share", async |tx| tx.share_accounts(&replica, &accounts, term, false).await);
        shared.await.expect("it is said").held
    };
    // The looks come first, and wait for as long as they are let.
    let held = tokio::select! {
        biased;
        _ = looks => panic!("nobody could look"),
        held = share => held,
    };
    assert!(held.contains_key(&bench.account));
    shell.run("ROLLBACK").await.expect("it ends");
}

/// What a wire does not carry. Nothing is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Silence {
    Off,
    /// From the question on by which a pool tests whether a connection lives.
    SinceTested,
    Whole,
}

/// That question: nothing but the end of a statement.
const TEST: &[u8] = b"S\0\0\0\x04";

/// A wire to the server that can fall silent.
struct Wire {
    port: u16,
    silence: watch::Sender<Silence>,
    folder: PathBuf,
    database: String,
}

impl Wire {
    /// Nothing where the server has no socket on this machine.
    async fn to(bench: &Bench) -> Option<Self> {
        let options: PgConnectOptions = bench.database.as_ref()?.url.parse().expect("an address");
        let Some(folder) = options.get_socket().cloned() else {
            eprintln!("SKIPPED: the PostgreSQL of the tests has no socket on this machine");
            return None;
        };
        let socket = folder.join(format!(".s.PGSQL.{}", options.get_port()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (silence, heard) = watch::channel(Silence::Off);
        TaskTracker::new().spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (socket, heard) = (socket.clone(), heard.clone());
                TaskTracker::new().spawn(async move {
                    let far = UnixStream::connect(socket).await.expect("the server is there");
                    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                    join(carried(near_read, far_write, heard.clone()), carried(far_read, near_write, heard)).await;
                });
            }
        });
        let database = options.get_database().expect("a database").to_owned();
        Some(Self { port, silence, folder, database })
    }

    /// The database by this wire alone.
    fn alone(&self) -> DatabaseAddress {
        DatabaseAddress::of(&format!("postgres://postgres@127.0.0.1:{}/{}?sslmode=disable", self.port, self.database))
    }

    /// By this wire, and else past it.
    fn and_directly(&self) -> DatabaseAddress {
        let Self { port, folder, database, .. } = self;
        let folder = folder.display();
        DatabaseAddress::of(&format!(
            "postgres://postgres@localhost/{database}?host=127.0.0.1,{folder}&port={port},5432"
        ))
    }
}

async fn carried(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut silence: watch::Receiver<Silence>,
) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if *silence.borrow() == Silence::SinceTested && bytes[..read] == *TEST {
            std::future::pending().await
        }
        let heard = silence.wait_for(|silence| *silence != Silence::Whole).await.map(drop);
        if heard.is_err() || to.write_all(&bytes[..read]).await.is_err() {
            break;
        }
    }
}

fn is_temporary(error: &Error) -> bool {
    matches!(error, Error::Busy | Error::Unavailable(_))
}

async fn a_host_that_falls_silent_is_left_for_another(bench: Bench) {
    let Some(wire) = Wire::to(&bench).await else { return };
    let (store, _) = Store::open(&wire.and_directly(), bench.clock.clone()).await.expect("it opens");
    let write = async || store.write("write", async |tx| write_something(tx, &bench.account).await).await;
    write().await.expect("it is written");
    wire.silence.send_replace(Silence::Whole);
    let since = Instant::now();
    while let Err(error) = write().await {
        assert!(is_temporary(&error) && since.elapsed() < BOUND, "{error:?} after {:?}", since.elapsed());
    }
    assert!(since.elapsed() < BOUND, "{:?}", since.elapsed());
    // Nobody goes back to the silent one.
    for answer in join_all((0..20).map(|_| store.ping())).await {
        answer.expect("the other host answers");
    }
}

async fn what_is_under_way_at_a_host_that_falls_silent_is_given_up_when_another_one_is_found(bench: Bench) {
    let Some(wire) = Wire::to(&bench).await else { return };
    let (store, _) = Store::open(&wire.and_directly(), bench.clock.clone()).await.expect("it opens");
    let entered = Notify::new();
    let write = store.write("write", async |tx| {
        wire.silence.send_replace(Silence::Whole);
        entered.notify_one();
        write_something(tx, &bench.account).await
    });
    let look = async {
        entered.notified().await;
        while store.ping().await.is_err() {}
        Instant::now()
    };
    let (written, found) = join(write, look).await;
    assert!(matches!(written, Err(Error::Unavailable(_))), "{written:?}");
    assert!(found.elapsed() < Duration::from_secs(5), "it went on waiting for {:?}", found.elapsed());
    store.write("write", async |tx| write_something(tx, &bench.account).await).await.expect("it is its turn");
}

async fn connections_that_are_given_back_to_a_silent_host_keep_nobody_from_others(bench: Bench) {
    let Some(wire) = Wire::to(&bench).await else { return };
    let (store, _) = Store::open(&wire.alone(), bench.clock.clone()).await.expect("it opens");
    wire.silence.send_replace(Silence::SinceTested);
    // As many as there may be connections: the pool tests each when it comes back, and hears nothing.
    for answer in join_all((0..16).map(|_| store.ping())).await {
        answer.expect("the host answers");
    }
    wire.silence.send_replace(Silence::Off);
    let since = Instant::now();
    while let Some(error) = join_all((0..20).map(|_| store.ping())).await.into_iter().find_map(Result::err) {
        assert!(is_temporary(&error) && since.elapsed() < BOUND, "{error:?} after {:?}", since.elapsed());
    }
}

async fn a_host_that_was_silent_is_used_again_by_everybody(bench: Bench) {
    let Some(wire) = Wire::to(&bench).await else { return };
    let (store, _) = Store::open(&wire.alone(), bench.clock.clone()).await.expect("it opens");
    for answer in join_all((0..16).map(|_| store.ping())).await {
        answer.expect("the host answers");
    }
    wire.silence.send_replace(Silence::Whole);
    let since = Instant::now();
    // Those who give up early keep no connection from those who come later.
    let impatient = join_all((0..40).map(|_| tokio::time::timeout(Duration::from_millis(300), store.ping()))).await;
    assert!(impatient.iter().all(Result::is_err), "nobody could be answered");
    for answer in join_all((0..20).map(|_| store.ping())).await {
        let error = answer.expect_err("nobody can answer");
        assert!(is_temporary(&error) && since.elapsed() < BOUND, "{error:?} after {:?}", since.elapsed());
    }
    wire.silence.send_replace(Silence::Off);
    for answer in join_all((0..40).map(|_| store.ping())).await {
        answer.expect("the host answers again");
    }
    store.write("write", async |tx| write_something(tx, &bench.account).await).await.expect("it is written");
}

async fn hosts_without_one_that_takes_writes_are_told_without_credentials(bench: Bench) {
    let address = "postgres://guard:hunter2@127.0.0.1:1,[::1]:2,/db?user=guard";
    assert!(Store::open(&DatabaseAddress::of(address), bench.clock.clone()).await.is_err());
    let address = DatabaseAddress::of("postgres://guard:hunter2@127.0.0.1:1,[::1]:2/db");
    let refused = Store::open(&address, bench.clock.clone()).await.map(|_| ()).expect_err("nobody answers");
    let told = format!("{refused}");
    assert!(matches!(refused, StartError::Server(_)), "{refused:?}");
    assert!(told.contains("127.0.0.1:1") && told.contains("[::1]:2"), "{told}");
    assert!(!format!("{told} {refused:?}").contains("hunter2") && !told.contains("guard:"), "{told}");
}

async fn whoever_only_looks_is_content_with_a_host_that_takes_no_writes(bench: Bench) {
    let database = bench.database.as_ref().expect("a database");
    let fence = format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name);
    bench.shell().await.run(&fence).await.expect("it is fenced");
    let refused = Store::open(&bench.address(), bench.clock.clone()).await.map(|_| ()).expect_err("it takes no writes");
    assert!(refused.to_string().contains("takes no writes"), "{refused}");
    let looking = Store::open_for_reading(&bench.address(), bench.clock.clone()).await.expect("it opens");
    looking.ping().await.expect("it answers");
}
