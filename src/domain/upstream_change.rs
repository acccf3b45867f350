//! Who in Partner Center made a change, as the audit log tells it, and which changes a record can explain.
//!
//! Nothing is guessed: a change that no record explains is nobody's.

use std::fmt;

use crate::clock::Timestamp;
use crate::domain::change::ChangeKind;
use crate::domain::look::LookCause;

/// The removal of a relationship by the partner.
pub const REMOVAL: &str = "remove_partner_customer_relationship";
/// Operations that end a relationship; they explain nothing else, and nothing else explains an end.
const ENDING: [&str; 3] = [REMOVAL, "delete_customer", "delete_tip_customer"];

/// The name of a user of the partner's. Personal data: it prints nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    /// A name as Partner Center writes it; empty when an application acted.
    pub const fn new(name: String) -> Self {
        Self(name)
    }

    /// The name, for those who may know it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_empty() { "nobody" } else { "somebody" })
    }
}

/// Who did what in Partner Center. What was changed to what is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamChange {
    /// The record's id, an opaque text.
    pub record: String,
    /// What was done, as the audit log calls it, such as `update_customer_billing_profile`.
    pub operation: String,
    /// The user that did it; empty when an application did, or nobody says.
    pub user: UserName,
    /// The application through which it was done, an id or a name; empty when nobody says.
    pub application: String,
    /// When; absent when the record does not say.
    pub at: Option<Timestamp>,
}

impl UpstreamChange {
    /// Whether such a record can be the reason of a change of that kind.
    pub fn explains(&self, kind: ChangeKind) -> bool {
        let ends = ENDING.contains(&self.operation.as_str());
        match kind {
            ChangeKind::Ended => ends,
            ChangeKind::Created | ChangeKind::Synced | ChangeKind::State | ChangeKind::Revived => !ends,
            ChangeKind::Edited
            | ChangeKind::Deleted
            | ChangeKind::Undeleted
            | ChangeKind::Linked
            | ChangeKind::Unlinked => false,
        }
    }
}

/// How a customer came to be as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// What asked for the look that verified it last; absent when that look is older than the memory of it.
    pub verified_by: Option<LookCause>,
    /// Who made the change in Partner Center that was applied last; absent when nothing explains it.
    pub last_change: Option<UpstreamChange>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(operation: &str) -> UpstreamChange {
        UpstreamChange {
            record: "1".to_owned(),
            operation: operation.to_owned(),
            user: UserName::new("agent@contoso.example".to_owned()),
            application: String::new(),
            at: None,
        }
    }

    #[test]
    fn what_ends_a_relationship_explains_its_end_and_nothing_else() {
        for (operation, ended, other) in [
            (REMOVAL, true, false),
            ("delete_customer", true, false),
            ("update_customer_billing_profile", false, true),
            ("dap_admin_relationship_terminated", false, true),
            ("brand_new", false, true),
        ] {
            assert_eq!(record(operation).explains(ChangeKind::Ended), ended, "{operation}");
            assert_eq!(record(operation).explains(ChangeKind::Synced), other, "{operation}");
            assert_eq!(record(operation).explains(ChangeKind::Revived), other, "{operation}");
            assert!(!record(operation).explains(ChangeKind::Edited), "{operation}");
        }
    }

    #[test]
    fn the_user_of_a_record_prints_nothing() {
        let printed = format!("{:?}", record(REMOVAL));
        assert!(printed.contains("somebody") && !printed.contains("agent"), "{printed}");
    }
}
