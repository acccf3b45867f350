//! What customers are and who may change what: pure decisions, no IO, no async, no wire or row types.
//!
//! Reading order: [`ids`], [`contact`], [`customer`], [`field`], then the rule in its two directions:
//! [`ownership`] says who owns a field, [`review`] refuses a caller what Partner Center owns,
//! [`reconcile`] writes only what Partner Center owns.

pub mod access;
pub mod account;
pub mod contact;
pub mod create;
pub mod customer;
pub mod edit;
pub mod field;
pub mod ids;
pub mod observation;
pub mod ownership;
pub mod policy;
pub mod reconcile;
pub mod removal;
pub mod review;
pub mod text;
