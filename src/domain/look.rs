//! Why Partner Center is asked about a customer: what asked for the look, and for which run.

use crate::domain::ids::RunId;

/// What asked for a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LookCause {
    /// A record of the audit log named the customer.
    AuditLog,
    /// An event of Partner Center's named it.
    Webhook,
    /// It was new, changed or missing in the customer list between nights.
    CustomerList,
    /// A full sync that the service began by itself.
    Night,
    /// It had not been looked at for longest.
    Rolling,
    /// A signal's answer was to be confirmed.
    Confirmation,
    /// Somebody asked about this customer.
    Refresh,
    /// A full sync that somebody asked for.
    ManualSync,
}

impl LookCause {
    /// Every cause.
    pub const ALL: [Self; 8] = [
        Self::AuditLog,
        Self::Webhook,
        Self::CustomerList,
        Self::Night,
        Self::Rolling,
        Self::Confirmation,
        Self::Refresh,
        Self::ManualSync,
    ];

    /// The name in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuditLog => "AUDIT_LOG",
            Self::Webhook => "WEBHOOK",
            Self::CustomerList => "CUSTOMER_LIST",
            Self::Night => "NIGHT",
            Self::Rolling => "ROLLING",
            Self::Confirmation => "CONFIRMATION",
            Self::Refresh => "REFRESH",
            Self::ManualSync => "MANUAL_SYNC",
        }
    }

    /// The cause of that name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }
}

/// What asked for a look, and the run that counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookReason {
    /// What asked.
    pub cause: LookCause,
    /// The run that waits for it, if one does.
    pub run: Option<RunId>,
}

impl From<LookCause> for LookReason {
    fn from(cause: LookCause) -> Self {
        Self { cause, run: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_of_exactly_one_cause() {
        for cause in LookCause::ALL {
            assert_eq!(LookCause::named(cause.name()), Some(cause));
        }
        assert_eq!(LookCause::named("night"), None);
    }
}
