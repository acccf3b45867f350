//! The promises of the store, each kept on every engine the store runs on.
//!
//! A promise is an async function over a fresh [`Bench`](bench::Bench); `contract!` runs it on each engine, and on PostgreSQL
//! once more through PgBouncer. What only one can be asked for stands under `on sqlite`, `on postgres` or `on pgbouncer`. Nothing here looks into tables except where the promise
//! is about them.

/// Runs promises on every engine. A promise that is not listed is dead code and fails the build.
macro_rules! contract {
    ($($promise:ident),+ $(,)?) => {
        contract! { on sqlite { $($promise),+ } on postgres { $($promise),+ } on pgbouncer { $($promise),+ } }
    };
    ($(on $engine:ident { $($promise:ident),* $(,)? })+) => {
        $(mod $engine {
            $(
                #[tokio::test]
                async fn $promise() {
                    if let Some(bench) = crate::bench::$engine().await {
                        super::$promise(bench).await;
                    }
                }
            )*
        })+
    };
}

#[path = "../support/pgbouncer.rs"]
mod pgbouncer;
#[path = "../support/backups.rs"]
mod backups;
#[path = "../support/postgres.rs"]
mod postgres_server;
#[path = "../support/shell.rs"]
mod shell;

mod bench;

mod accounts_elsewhere;
mod backstop;
mod batches;
mod change_feed;
mod change_retention;
mod connections;
mod copies;
mod dirty;
mod durability;
mod edits;
mod listing;
mod links;
mod lists;
mod memory;
mod filters;
mod observations;
mod opening;
mod partner_accounts;
mod credential_trials;
mod plans;
mod refresh_tokens;
mod removal;
mod holds;
mod pauses;
mod second_looks;
mod resellers;
mod runs;
mod webhook_secrets;
mod run_details;
mod provenance;
mod generations;
mod leases;
mod races;
mod server;
mod upgrades;
