//! The gRPC edge: the only module that names tonic and the generated types.
//!
//! Services convert, call one operation and convert back. Every error is made in [`details`], by the table in
//! [`status`].

mod account_messages;
mod caller;
mod convert;
mod credential_trials;
mod customers;
mod deadline;
mod decisions;
mod details;
mod edit_mask;
mod explain;
mod holds;
mod incremental_mode;
mod limits;
mod links;
mod names;
mod page_token;
mod paging;
mod partner_accounts;
mod pauses;
mod provenance;
pub mod proto;
mod refusal;
mod repeat;
mod requests;
mod resellers;
mod server;
mod status;
mod sync;
mod watch;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::operations::accounts::Accounts;
use crate::operations::questions::Questions;
use crate::sealing::SealingKeys;
use crate::store::Store;

pub use caller::Callers;
pub use page_token::PageTokens;
pub use refusal::PortalLink;
pub use server::{Health, ServeError, serve};
pub use watch::{WatchLimits, Watches};

/// What the services work with.
#[derive(Debug)]
pub struct Serving {
    /// The store.
    pub store: Store,
    /// The accounts.
    pub accounts: Accounts,
    /// What time it is.
    pub clock: Clock,
    /// Seals page tokens.
    pub page_tokens: PageTokens,
    /// Where customers can be changed in Partner Center.
    pub portal: PortalLink,
    /// Who calls.
    pub callers: Callers,
    /// Where questions to Partner Center are put.
    pub questions: Questions,
    /// The open watches.
    pub watches: Watches,
    /// Seals credentials; without it none can be set.
    pub sealing_keys: Option<SealingKeys>,
    /// Whether the service listens for Partner Center's events.
    pub receives_events: bool,
    /// Cancelled when the service is about to stop; streams end then.
    pub stop: CancellationToken,
}
