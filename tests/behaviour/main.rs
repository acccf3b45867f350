//! How the service behaves: the real App on a real port, a real gRPC client, a real database, and Partner Center
//! played by the simulator over HTTP. One binary; a module for each matter.

#[path = "../support/backups.rs"]
mod backups;
#[path = "../support/postgres.rs"]
mod postgres_server;
#[path = "../support/shell.rs"]
mod shell;
mod harness;

mod reads;
mod freshness;
mod page_tokens;
mod lookups;
mod filters;
mod edits;
mod deletion;
mod repeated_requests;
mod races;
mod refusals;
mod report_only;
mod refusal_details;
mod decisions;
mod bad_input;
mod nul_characters;
mod links;
mod full_sync;
mod listing;
mod manual_sync;
mod incremental_sync;
mod webhooks;
mod webhook_ownership;
mod webhook_secrets;
mod quarantine;
mod upstream_trouble;
mod upstream_oddities;
mod nobody_is_ended;
mod bulkheads;
mod removals;
mod resellers;
mod holds;
mod pauses;
mod explanations;
mod client_certificates;
mod convergence;
mod refresh;
mod restart;
mod watching;
mod user_sign_in;
mod watch_resuming;
mod second_looks;
mod run_details;
mod provenance;
mod duplicates;
mod shutdown;
mod partner_accounts;
mod partner_account_secrets;
mod credential_trials;
mod database_guard;
