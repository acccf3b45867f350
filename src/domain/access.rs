//! Who is calling, and what they may do in which partner account.

use std::collections::BTreeSet;

use crate::domain::ids::PartnerAccountId;

/// What a caller may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read customers.
    Reader,
    /// Read customers and edit what the platform owns.
    Writer,
    /// Start and look at synchronization.
    SyncOperator,
    /// Everything.
    Admin,
}

/// One thing an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read customers and who owns their fields.
    ReadCustomers,
    /// Create or edit customers.
    WriteCustomers,
    /// Look at refused edits.
    ReadDecisions,
    /// Look at synchronization.
    ReadSync,
    /// Start synchronization, pause and resume customers, explain them, decide about holds and links.
    RunSync,
    /// Look at partner accounts.
    ReadAccounts,
    /// Create and change partner accounts and their credentials, and accept credentials.
    ManageAccounts,
}

impl Action {
    /// The permission's name in errors.
    pub const fn permission(self) -> &'static str {
        match self {
            Self::ReadCustomers => "customers.read",
            Self::WriteCustomers => "customers.write",
            Self::ReadDecisions => "decisions.read",
            Self::ReadSync => "sync.read",
            Self::RunSync => "sync.run",
            Self::ReadAccounts => "accounts.read",
            Self::ManageAccounts => "accounts.manage",
        }
    }

    const fn allowed_to(self, role: Role) -> bool {
        match (self, role) {
            (Self::ReadCustomers | Self::ReadDecisions, Role::Reader | Role::Writer | Role::Admin)
            | (Self::WriteCustomers, Role::Writer | Role::Admin)
            | (Self::ReadSync | Self::ReadAccounts, Role::Reader | Role::Writer | Role::SyncOperator | Role::Admin)
            | (Self::RunSync, Role::SyncOperator | Role::Admin)
            | (Self::ManageAccounts, Role::Admin) => true,
            (Self::ReadCustomers | Self::ReadDecisions, Role::SyncOperator)
            | (Self::WriteCustomers, Role::Reader | Role::SyncOperator)
            | (Self::RunSync, Role::Reader | Role::Writer)
            | (Self::ManageAccounts, Role::Reader | Role::Writer | Role::SyncOperator) => false,
        }
    }
}

/// The partner accounts a caller's roles are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every account, also future ones.
    Every,
    /// Only these.
    Only(BTreeSet<PartnerAccountId>),
}

impl Scope {
    /// Whether the account is in the scope.
    pub fn contains(&self, account: &PartnerAccountId) -> bool {
        match self {
            Self::Every => true,
            Self::Only(accounts) => accounts.contains(account),
        }
    }
}

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// A stable name; decisions and changes are recorded under it.
    pub subject: String,
    /// What it may do.
    pub roles: BTreeSet<Role>,
    /// Where.
    pub scope: Scope,
    /// What happens to its edits of what Partner Center owns.
    pub enforcement: Enforcement,
}

/// What happens to an edit of what Partner Center owns. Guarded fields are written in neither case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// It is refused, whole.
    #[default]
    Refuse,
    /// The refusal is only reported, and the rest of the edit is made: for callers that are still being brought to obey.
    ReportOnly,
}

/// The caller may not do this there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the caller lacks the permission {permission}")]
pub struct Denied {
    /// The missing permission.
    pub permission: &'static str,
}

/// The subject of whoever calls on a loopback connection without a name.
const LOOPBACK: &str = "loopback";

impl Caller {
    /// A caller on a loopback connection of a service without authentication: may do everything, and is called what it
    /// says it is.
    pub fn loopback(name: Option<&str>) -> Self {
        Self {
            subject: name.map_or_else(|| LOOPBACK.to_owned(), |name| format!("{LOOPBACK}/{name}")),
            roles: BTreeSet::from([Role::Admin]),
            scope: Scope::Every,
            enforcement: Enforcement::Refuse,
        }
    }

    /// Whether the caller may do `action` in `account`. Asked before anything is looked up (AIP-211).
    pub fn may(&self, action: Action, account: &PartnerAccountId) -> Result<(), Denied> {
        self.allow(self.scope.contains(account) && self.has_role_for(action), action)
    }

    /// Whether the caller may do `action` somewhere; what it sees is then limited to its scope.
    pub fn may_somewhere(&self, action: Action) -> Result<(), Denied> {
        self.allow(self.has_role_for(action), action)
    }

    fn has_role_for(&self, action: Action) -> bool {
        self.roles.iter().any(|role| action.allowed_to(*role))
    }

    const fn allow(&self, allowed: bool, action: Action) -> Result<(), Denied> {
        if allowed { Ok(()) } else { Err(Denied { permission: action.permission() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(role: Role, account: &str) -> Caller {
        let account = account.parse().expect("a well-formed id");
        Caller {
            subject: "test".to_owned(),
            roles: BTreeSet::from([role]),
            scope: Scope::Only(BTreeSet::from([account])),
            enforcement: Enforcement::Refuse,
        }
    }

    #[test]
    fn a_role_counts_only_in_its_accounts() {
        let writer = caller(Role::Writer, "contoso");
        let [contoso, fabrikam] = ["contoso", "fabrikam"].map(|id| id.parse().expect("a well-formed id"));
        assert_eq!(writer.may(Action::WriteCustomers, &contoso), Ok(()));
        assert_eq!(writer.may(Action::WriteCustomers, &fabrikam), Err(Denied { permission: "customers.write" }));
        assert_eq!(writer.may(Action::RunSync, &contoso), Err(Denied { permission: "sync.run" }));
    }

    #[test]
    fn an_operator_runs_synchronization_without_seeing_contacts() {
        let operator = caller(Role::SyncOperator, "contoso");
        let contoso = "contoso".parse().expect("a well-formed id");
        assert!(operator.may(Action::RunSync, &contoso).is_ok());
        assert!(operator.may(Action::ReadCustomers, &contoso).is_err());
    }
}
