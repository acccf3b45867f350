//! What customers are and who may change what: pure decisions, no IO, no async, no wire or row types.
//!
//! Reading order: [`ids`], [`contact`], [`customer`], [`field`], then the rule in its two directions:
//! [`ownership`] says who owns a field, [`review`] refuses a caller what Partner Center owns,
//! [`reconcile`] writes only what Partner Center owns.

pub mod ids;
pub mod account;
pub mod account_draft;
pub mod lease;
pub mod standstill;
pub mod user_sign_in;
pub mod sync_settings;
pub mod contact;
pub mod customer;
pub mod change;
pub mod field;
pub mod text;
pub mod ownership;
pub mod edit;
pub mod reseller;
pub mod review;
pub mod create;
pub mod deletion;
pub mod likeness;
pub mod observation;
pub mod look;
pub mod upstream_change;
pub mod progress;
pub mod reconcile;
pub mod link;
pub mod removal;
pub mod short_hash;
pub mod hold;
pub mod trial;
pub mod pause;
pub mod explain;
pub mod filter;
pub mod order;
pub mod policy;
pub mod access;
pub mod webhook;
pub mod webhook_secret;
