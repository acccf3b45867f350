//! The only ways in and out: one use case per file, each a free async function.
//!
//! Operations do not know who called them (gRPC, the worker, a test). They ask whether the caller may before they
//! look whether anything exists, decide inside the transaction that writes, and never call the network.

pub mod accounts;
pub mod questions;
pub mod once;
pub mod credentials;
pub mod partner_accounts;
pub mod create_partner_account;
pub mod update_partner_account;
pub mod set_partner_account_credentials;
pub mod accept_credentials;
pub mod check_partner_account_health;
pub mod get_customer;
pub mod lookup_customer;
pub mod list_customers;
pub mod watch_customers;
pub mod create_customer;
pub mod update_customer;
pub mod delete_customer;
pub mod link_customer;
pub mod unlink_customer;
pub mod pending_links;
pub mod get_field_ownership;
pub mod decisions;
pub mod get_sync_status;
pub mod start_sync;
mod look_now;
pub mod refresh_customer;
pub mod rotate_webhook_secret;
pub mod sync_runs;
pub mod list_resellers;
pub mod holds;
pub mod pause_customer;
pub mod explain_customer;
pub mod apply_observations;
