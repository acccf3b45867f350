//! A partner account: one Partner Center connection.

use crate::clock::Timestamp;
use crate::domain::ids::{PartnerAccountId, Revision, TenantId};
use crate::domain::sync_settings::SyncSettings;
use crate::domain::trial::CredentialTrial;
use crate::domain::user_sign_in::{CredentialKind, UserStanding};

/// How the partner sells; decides who can change a customer in Partner Center.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartnerKind {
    /// Sells to customers and bills them itself.
    DirectBill,
    /// A distributor that sells through resellers.
    IndirectProvider,
    /// Sells through a distributor and cannot change customers in Partner Center.
    IndirectReseller,
}

impl PartnerKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::DirectBill, Self::IndirectProvider, Self::IndirectReseller];

    /// The name used in configuration and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DirectBill => "DIRECT_BILL",
            Self::IndirectProvider => "INDIRECT_PROVIDER",
            Self::IndirectReseller => "INDIRECT_RESELLER",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Which of Microsoft's clouds the partner's tenant lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// The worldwide cloud.
    Global,
    /// Microsoft's cloud for the US Government.
    UsGovernment,
    /// The cloud in China, operated by 21Vianet.
    China,
}

impl Cloud {
    /// Every cloud.
    pub const ALL: [Self; 3] = [Self::Global, Self::UsGovernment, Self::China];

    /// The name used in configuration and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Global => "GLOBAL",
            Self::UsGovernment => "US_GOVERNMENT",
            Self::China => "CHINA",
        }
    }

    /// The cloud of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cloud| cloud.name() == name)
    }
}

/// Where an account comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountOrigin {
    /// The service's configuration, which alone changes it.
    Configuration,
    /// A call.
    Api,
}

impl AccountOrigin {
    /// Every origin.
    pub const ALL: [Self; 2] = [Self::Configuration, Self::Api];

    /// The name used in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "CONFIGURATION",
            Self::Api => "API",
        }
    }

    /// The origin of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.name() == name)
    }
}

/// Whether an account is synchronized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// It is.
    Active,
    /// An operator stopped it; its customers are served and guarded as they are.
    Disabled,
}

impl AccountState {
    /// Every state.
    pub const ALL: [Self; 2] = [Self::Active, Self::Disabled];

    /// The name used in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Disabled => "DISABLED",
        }
    }

    /// The state of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// One Partner Center connection, without its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerAccount {
    /// The name callers use.
    pub id: PartnerAccountId,
    /// A name for people.
    pub display_name: String,
    /// How the partner sells.
    pub kind: PartnerKind,
    /// Where its tenant lives.
    pub cloud: Cloud,
    /// The partner's own tenant.
    pub tenant_id: TenantId,
}

/// Everything that is kept about a partner account and may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// The account.
    pub account: PartnerAccount,
    /// Where it comes from.
    pub origin: AccountOrigin,
    /// Whether it is synchronized.
    pub state: AccountState,
    /// How it is kept level, as far as it says.
    pub settings: SyncSettings,
    /// The application that signs in; empty before anybody said.
    pub client_id: String,
    /// By what its application signs in, once it can.
    pub credential: Option<CredentialKind>,
    /// When its credentials were set by a call.
    pub credentials_set_at: Option<Timestamp>,
    /// When the present secret of its webhook path was made.
    pub webhook_secret_made_at: Option<Timestamp>,
    /// How its user fares; nothing without a refresh token.
    pub user: Option<UserStanding>,
    /// The trial of its credentials, if these needed one.
    pub trial: Option<CredentialTrial>,
    /// Grows with every change.
    pub revision: Revision,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}
