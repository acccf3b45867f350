//! Changes of customers: their kinds, and where they stand in the order in which they were committed.

/// What kind of change a customer went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// The customer is new.
    Created,
    /// A caller edited it.
    Edited,
    /// Partner Center's values were applied.
    Synced,
    /// Only its synchronization state changed.
    State,
    /// Its relationship ended.
    Ended,
    /// Its relationship returned.
    Revived,
    /// A caller deleted it.
    Deleted,
    /// A caller brought it back.
    Undeleted,
    /// It became the record of a customer in Partner Center.
    Linked,
    /// It became the platform's own again.
    Unlinked,
}

impl ChangeKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Created,
        Self::Edited,
        Self::Synced,
        Self::State,
        Self::Ended,
        Self::Revived,
        Self::Deleted,
        Self::Undeleted,
        Self::Linked,
        Self::Unlinked,
    ];

    /// The name in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Edited => "EDITED",
            Self::Synced => "SYNCED",
            Self::State => "STATE",
            Self::Ended => "ENDED",
            Self::Revived => "REVIVED",
            Self::Deleted => "DELETED",
            Self::Undeleted => "UNDELETED",
            Self::Linked => "LINKED",
            Self::Unlinked => "UNLINKED",
        }
    }

    /// Whether such a change shows what Partner Center says now, where before the record said something else.
    pub const fn is_of_partner_center(self) -> bool {
        match self {
            Self::Created | Self::Synced | Self::Ended | Self::Revived => true,
            Self::Edited | Self::State | Self::Deleted | Self::Undeleted | Self::Linked | Self::Unlinked => false,
        }
    }

    /// The kind of that name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_of_exactly_one_kind() {
        for kind in ChangeKind::ALL {
            assert_eq!(ChangeKind::named(kind.name()), Some(kind));
        }
        assert_eq!(ChangeKind::named("created"), None);
    }
}
