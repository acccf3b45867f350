//! What a write transaction promises: all of it or none of it, and the writer is free afterwards.

use std::pin::pin;
use std::task::Poll;

use customer_guard::domain::contact::ContactRole;
use customer_guard::domain::create::{CustomerDraft, admit};
use customer_guard::store::Error;
use futures::future::poll_fn;

use crate::bench::{Bench, email, note, save_one, tenant, work, write_something};

contract! {
    on sqlite {
        a_committed_write_is_visible_at_once,
        an_error_in_the_body_leaves_nothing_behind,
        r11_a_write_dropped_at_any_moment_leaves_nothing_behind_and_the_writer_free,
        an_abandoned_write_leaves_nothing_behind_and_the_writer_free,
        a_refused_statement_undoes_the_whole_transaction,
        writers_wait_for_their_turn,
        a_write_holds_the_lock_from_its_beginning,
        an_error_quotes_no_row,
    }
    on postgres {
        a_committed_write_is_visible_at_once,
        an_error_in_the_body_leaves_nothing_behind,
        r11_a_write_dropped_at_any_moment_leaves_nothing_behind_and_the_writer_free,
        an_abandoned_write_leaves_nothing_behind_and_the_writer_free,
        a_refused_statement_undoes_the_whole_transaction,
        writers_wait_for_their_turn,
        an_error_quotes_no_row,
    }
}

async fn a_committed_write_is_visible_at_once(bench: Bench) {
    let made = bench.platform_customer("Linden").await;
    assert_eq!(bench.customer(made.id).await, made);
}

async fn an_error_in_the_body_leaves_nothing_behind(bench: Bench) {
    let failed = bench
        .store
        .write("fail", async |tx| {
            write_something(tx, &bench.account).await?;
            Err::<(), _>(Error::Busy)
        })
        .await;
    assert!(matches!(failed, Err(Error::Busy)));
    assert_eq!(bench.store.backlog(&bench.account).await.expect("the store answers").dirty, 0);
    bench.platform_customer("the writer is free").await;
}

/// Drops the future of a write after it was polled once, twice and so on, until it is through by itself.
async fn r11_a_write_dropped_at_any_moment_leaves_nothing_behind_and_the_writer_free(bench: Bench) {
    for polls in 1..200 {
        let draft = CustomerDraft { company_name: format!("after {polls}"), ..CustomerDraft::default() };
        let admitted = admit(&bench.account, draft, bench.clock.now()).expect("a sound draft");
        let id = admitted.customer().id;
        let done = {
            let mut write = pin!(bench.store.write("dropped", async |tx| {
                write_something(tx, &bench.account).await?;
                tx.save_new(admitted, "caller").await
            }));
            let mut left = polls;
            poll_fn(|context| {
                left -= 1;
                match write.as_mut().poll(context) {
                    Poll::Ready(saved) => Poll::Ready(Some(saved)),
                    Poll::Pending if left == 0 => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await
        };
        // The commit may be under way when the future is dropped, so the row may be there; never half of it.
        bench.mark(&[2], customer_guard::store::Priority::Sweep, None).await;
        let mut shell = bench.shell().await;
        let rows = shell.number(&format!("SELECT count(*) FROM customer WHERE id = '{id}'")).await;
        let logged = shell.number(&format!("SELECT count(*) FROM change_log WHERE customer_id = '{id}'")).await;
        assert_eq!(rows, logged, "after {polls} polls");
        if let Some(saved) = done {
            saved.expect("the write that was let through succeeds");
            assert_eq!(rows, 1);
            return;
        }
    }
    panic!("the write never came to its end");
}

async fn an_abandoned_write_leaves_nothing_behind_and_the_writer_free(bench: Bench) {
    let reached = tokio::sync::Notify::new();
    {
        let write = bench.store.write("abandoned", async |tx| {
            write_something(tx, &bench.account).await?;
            reached.notify_one();
            std::future::pending::<Result<(), Error>>().await
        });
        tokio::select! {
            _ = write => panic!("the write never ends by itself"),
            () = reached.notified() => {}
        }
    }
    bench.platform_customer("the writer is free").await;
    assert_eq!(bench.store.backlog(&bench.account).await.expect("the store answers").dirty, 0);
}

async fn a_refused_statement_undoes_the_whole_transaction(bench: Bench) {
    let made = bench.platform_customer("Linden").await;
    let failed = bench
        .store
        .write("refused", async |tx| {
            write_something(tx, &bench.account).await?;
            // The same customer again.
            let draft = CustomerDraft { company_name: "again".to_owned(), ..CustomerDraft::default() };
            let admitted = admit(&crate::bench::account_id("nobody"), draft, tx.now()).expect("a sound draft");
            tx.save_new(admitted, "caller").await
        })
        .await;
    assert!(failed.is_err(), "an account that does not exist has no customers");
    assert_eq!(bench.store.backlog(&bench.account).await.expect("the store answers").dirty, 0);
    bench.edit(made.id, vec![note("the writer is free")]).await.expect("the writer is free");
}

async fn writers_wait_for_their_turn(bench: Bench) {
    let made = bench.platform_customer("Linden").await;
    let edits = (0..40).map(|number| {
        let bench = &bench;
        async move { bench.edit(made.id, vec![email(ContactRole::Primary, &format!("a{number}@example.com"))]).await }
    });
    for saved in futures::future::join_all(edits).await {
        saved.expect("every writer gets its turn");
    }
    assert_eq!(bench.customer(made.id).await.revision.0, 41);
}

async fn an_error_quotes_no_row(bench: Bench) {
    bench.microsoft_customer(1, "Secretperson").await;
    let again = bench
        .store
        .write("again", async |tx| {
            let observation = crate::bench::observed(
                1,
                crate::bench::mark(9, 9),
                customer_guard::domain::observation::Observed::Present(crate::bench::profile("Secretperson")),
            );
            let plan = customer_guard::domain::reconcile::plan(&bench.account, None, &observation, tx.now());
            save_one(tx, plan, &observation, &bench.account, work(1)).await
        })
        .await
        .expect_err("a tenant has one customer");
    let told = format!("{again} {again:?}");
    assert!(!told.contains("ecretperson") && !told.contains(&tenant(1).to_string()), "{told}");
}

/// A transaction that takes the lock only when it first writes fails if somebody wrote after it read.
async fn a_write_holds_the_lock_from_its_beginning(bench: Bench) {
    let mut shell = bench.shell().await;
    shell.run("PRAGMA busy_timeout = 0").await.expect("the pragma is known");
    let refused = bench
        .store
        .write("idle", async |_tx| Ok::<_, Error>(shell.run("UPDATE store_meta SET value = value").await))
        .await
        .expect("the transaction commits");
    assert!(refused.is_err_and(|error| error.contains("locked")));
}
