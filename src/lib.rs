//! Customer Guard: the one gRPC service through which a marketplace's services read and write customers.
//!
//! It serves customers with an honest statement of how fresh they are, refuses edits of what Microsoft
//! Partner Center owns, and keeps its store level with Partner Center. `ARCHITECTURE.md` is the map; the
//! modules below stand in reading order.

#![forbid(unsafe_code)]

#[macro_use]
mod planted;

pub mod clock;
pub mod domain;
pub mod sealing;
pub mod sign_in;
pub mod store;
pub mod operations;
pub mod partner_center;
pub mod webhook;
pub mod sync;
pub mod grpc;
pub mod app;
pub mod config;
pub mod telemetry;
pub mod simulator;
