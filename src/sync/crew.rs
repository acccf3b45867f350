//! Who works for one account in this process: a worker under its lease, and beside it whoever answers questions. They share the
//! connection, the order of questions, and what is known of the credentials.

use crate::clock::Clock;
use crate::domain::lease::Lease;
use crate::store::Store;
use crate::sync::credentials::Credentials;
use crate::sync::tickets::Tickets;
use crate::sync::{Answerer, Setup, Worker};

/// What those who work for one account share.
#[derive(Debug)]
pub struct Crew {
    setup: Setup,
    store: Store,
    clock: Clock,
    tickets: Tickets,
    credentials: Credentials,
}

impl Crew {
    /// Nobody works yet. `identity` is what a secret that is kept sealed is known as.
    pub fn new(setup: Setup, identity: Option<Vec<u8>>, store: &Store, clock: &Clock) -> Self {
        let Setup { account, upstream, .. } = &setup;
        let credentials = Credentials::new(account.clone(), upstream.clone(), store.clone(), identity);
        Self { setup, store: store.clone(), clock: clock.clone(), tickets: Tickets::default(), credentials }
    }

    /// How the account is kept level.
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Whoever answers questions about the account, whichever process synchronizes it.
    pub fn answerer(&self) -> Answerer {
        let Self { setup: Setup { account, upstream, .. }, store, clock, tickets, credentials } = self;
        let (account, upstream, store) = (account.clone(), upstream.clone(), store.clone());
        Answerer::new(account, upstream, store, clock.clone(), tickets.clone(), credentials.clone())
    }

    /// A worker that has not looked at anything yet. The one before it has ended.
    pub fn worker(&self, lease: Lease) -> Worker {
        let Self { setup, store, clock, tickets, credentials } = self;
        tickets.follow(Some(lease.epoch));
        Worker::new(setup, lease, store, clock, tickets.clone(), credentials.clone())
    }

    /// The worker has ended, and the account is another process's to synchronize.
    pub fn without_worker(&self) {
        self.tickets.follow(None);
    }
}
