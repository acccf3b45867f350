//! A stateful Microsoft Partner Center on one listener, with the Entra token endpoint, for several partners at once:
//! the world the demonstration, the tests and a developer with curl run Customer Guard against.
//!
//! A tour, in reading order:
//! - [`operations`]: playing Microsoft in Rust; [`control`]: the same over HTTP for a person with curl.
//! - [`partner`], [`applications`], [`customer`], [`resellers`], [`audit`], [`registration`]: what is held, and the JSON it is shown as;
//!   [`webhooks`]:
//!   the events it sends.
//! - `gateway`: how a call comes in (token, limiter, faults, latency), `list` and `profiles`: how it is answered.
//! - [`sign_in`]: certificates, users and their refresh tokens; [`faults`], [`mutation`]: what can go wrong on request, with a call and
//!   with one record, and `delivery` on the way; [`seed`]: where customers come from; `snapshot`: how all is kept.
//!
//! Shapes and numbers come from the project's fact sheet about Partner Center; comments name its sections
//! (`FACTS.md 2.1`). Nothing here calls out but [`webhooks`], when it is told to, and no customer is a real person or company.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::routing::post;
use axum::serve::ListenerExt;
use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use uuid::Uuid;

use self::clock::Clock;
use self::partner::{Partner, PartnerCenter};

pub mod operations;

pub mod control;

pub mod partner;

pub mod applications;

pub mod customer;

pub mod audit;

pub mod registration;

pub mod webhooks;

pub mod resellers;

pub mod calls;

pub mod faults;

pub mod mutation;
pub mod sign_in;

pub mod clock;

pub mod seed;

mod gateway;

mod list;

mod profiles;

mod past;

mod token;

mod throttle;

mod continuation;

mod query;

mod answer;

mod delivery;

mod shape;

mod guid;

mod snapshot;

#[cfg(test)]
mod tests;

/// A handle on a simulated Partner Center; clones share it.
#[derive(Clone, Default)]
pub struct Simulator {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    clock: Clock,
    partners: Mutex<BTreeMap<Uuid, PartnerCenter>>,
    state_file: Mutex<Option<PathBuf>>,
    outbox: webhooks::Outbox,
    /// Held while a state file is written, so that two writers never share the partial file.
    saving: Mutex<()>,
}

/// Why Microsoft cannot be played that way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No partner has this tenant id.
    #[error("there is no such partner")]
    UnknownPartner,
    /// The partner has no relationship with such a customer.
    #[error("the partner has no such customer")]
    UnknownCustomer,
    /// The relationship exists already.
    #[error("the tenant is the partner's customer already")]
    AlreadyACustomer,
    /// The partner has no such reseller.
    #[error("the partner has no such reseller")]
    UnknownReseller,
    /// The text holds no certificate.
    #[error("the text holds no certificate")]
    NoCertificate,
    /// The audit log has no such record.
    #[error("the audit log has no such record")]
    UnknownAuditRecord,
}

impl Simulator {
    /// Makes a Partner Center without partners.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers calls on the listener until `shutdown` resolves, then lets running calls end.
    ///
    /// # Errors
    ///
    /// Fails if the listener does.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let listener = listener.tap_io(|connection| {
            // Only latency is at stake, so a refusal of the option is not worth a word.
            let _ = connection.set_nodelay(true);
        });
        let served = axum::serve(listener, self.router()).with_graceful_shutdown(shutdown);
        tokio::select! {
            served = served => served,
            () = self.send_events() => Ok(()),
        }
    }

    /// The clock all of Partner Center goes by.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    fn router(&self) -> Router {
        Router::new()
            .route("/{tenant}/oauth2/token", post(gateway::token_version_one))
            .route("/{tenant}/oauth2/v2.0/token", post(gateway::token_version_two))
            .nest("/control/v1", control::router(self.clone()))
            .fallback(gateway::answer)
            .with_state(self.clone())
    }

    fn partners_held(&self) -> MutexGuard<'_, BTreeMap<Uuid, PartnerCenter>> {
        // A panic while holding the lock can only come from a caller's closure, which changes one profile at most.
        self.shared.partners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, partner: Uuid, action: impl FnOnce(&mut PartnerCenter, DateTime<Utc>) -> T) -> Result<T, Error> {
        let now = self.shared.clock.now();
        let acted = |center: &mut PartnerCenter| (action(center, now), std::mem::take(&mut center.webhooks.outgoing));
        let (result, events) = self.partners_held().get_mut(&partner).map(acted).ok_or(Error::UnknownPartner)?;
        self.shared.outbox.put(events);
        Ok(result)
    }
}

/// The partners of the demonstration: contoso (direct bill), northwind (indirect provider) and fabrikam (indirect
/// reseller), with ids and secrets that never change.
pub fn demo_partners() -> Vec<Partner> {
    partner::demo_partners()
}
