//! Indirect resellers: the partners through whom an indirect provider serves customers, as Partner Center lists them.

use crate::domain::ids::TenantId;

/// An indirect reseller as a customer names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reseller {
    /// The reseller's own tenant.
    pub tenant_id: TenantId,
    /// What it is called in Partner Center; empty when that was not said.
    pub display_name: String,
    /// Its id in the Microsoft Partner Network; empty when that was not said.
    pub mpn_id: String,
}

/// An indirect reseller as the provider's list of relationships shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedReseller {
    /// Who it is.
    pub reseller: Reseller,
    /// The ISO code of its country; empty when that was not said.
    pub location: String,
    /// The state of the relationship in Partner Center's own word, such as `Active`; empty when that was not said.
    pub state: String,
}

/// As many customers of a reseller may be gone from its list at once, all of them, without a second list that says so.
pub const FEW_CUSTOMERS: u64 = 3;

/// Whether an empty list, read to its end, needs a second one before it counts: it may be an answer that went wrong.
pub const fn empty_needs_confirmation(known: u64, few: u64, was_empty_before: bool) -> bool {
    known > few && !was_empty_before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_counts_at_once_only_where_little_would_go() {
        assert!(!empty_needs_confirmation(0, 0, false));
        assert!(empty_needs_confirmation(1, 0, false));
        assert!(!empty_needs_confirmation(1, 0, true));
        assert!(!empty_needs_confirmation(FEW_CUSTOMERS, FEW_CUSTOMERS, false));
        assert!(empty_needs_confirmation(FEW_CUSTOMERS + 1, FEW_CUSTOMERS, false));
    }
}
