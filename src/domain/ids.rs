//! Identities and counters, one type each, so that two of them cannot be swapped.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::{NoContext, Uuid};

use crate::clock::Timestamp;

/// An id text that is not of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed {0}")]
pub struct MalformedId(pub &'static str);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The id as a UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            fn from_str(text: &str) -> Result<Self, MalformedId> {
                Uuid::try_parse(text).map(Self).map_err(|_| MalformedId($what))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.hyphenated(), out)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }
    };
}

macro_rules! minted {
    ($($name:ident),+) => {$(
        impl $name {
            /// A new id that sorts by the time it was made (UUID version 7).
            #[expect(clippy::disallowed_methods, reason = "ids are made here and nowhere else")]
            pub fn mint(now: Timestamp) -> Self {
                let micros = u64::try_from(now.micros()).unwrap_or(0);
                let nanos = u32::try_from(micros % 1_000_000).unwrap_or(0) * 1_000;
                Self(Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, micros / 1_000_000, nanos)))
            }
        }
    )+};
}

uuid_id! {
    /// The platform's id of a customer; stays the same when its relationship ends and returns.
    CustomerId, "customer id"
}
uuid_id! {
    /// A Microsoft tenant id: the customer's directory id, which is also Partner Center's customer id.
    TenantId, "Microsoft tenant id"
}
uuid_id! {
    /// The id of a durable refusal.
    DecisionId, "decision id"
}
uuid_id! {
    /// The id of one sync run.
    RunId, "sync run id"
}
uuid_id! {
    /// A caller's id of a request that may be repeated.
    RequestId, "request id"
}
uuid_id! {
    /// The id of a process that serves a store, drawn anew whenever it starts.
    ReplicaId, "replica id"
}
minted!(CustomerId, DecisionId, RunId, ReplicaId);

impl TenantId {
    /// A tenant id from a UUID that Microsoft gave.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }
}

/// The name by which callers and configuration know one Partner Center connection.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartnerAccountId(Arc<str>);

impl PartnerAccountId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PartnerAccountId {
    type Err = MalformedId;

    /// Lower-case letters, digits and inner hyphens, starting with a letter, 63 characters at most (AIP-122).
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let well_formed = text.len() <= 63
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && !text.ends_with('-')
            && text.bytes().all(allowed);
        if well_formed { Ok(Self(text.into())) } else { Err(MalformedId("partner account id")) }
    }
}

impl fmt::Display for PartnerAccountId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for PartnerAccountId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, out)
            }
        }
    };
}

counter! {
    /// Grows by exactly one with every change of a customer; on the wire it is the etag.
    Revision
}
counter! {
    /// A place in the order in which changes of customers were committed; the change log gives each a number.
    ChangePosition
}
counter! {
    /// A number from the database, taken before a question is sent to Partner Center.
    Ticket
}
counter! {
    /// Which holder of an account's sync lease asked; a later holder's epoch is larger.
    Epoch
}

/// A stretch of the store's history; drawn by chance, so that no two are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GenerationId(u64);

impl GenerationId {
    /// One of bytes that nobody can guess.
    pub const fn drawn(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

impl fmt::Display for GenerationId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

impl FromStr for GenerationId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = MalformedId("generation");
        if text.len() != 16 {
            return Err(malformed);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| malformed)
    }
}

/// Which state of a record somebody has seen: the revision it had and when it got it. Two states of the same revision are of
/// two histories, one of which was lost when the database was put back; what was told before there were times has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// How often it had changed.
    pub revision: Revision,
    /// When it had changed last.
    pub changed_at: Option<Timestamp>,
}

impl Version {
    /// Whether a record of that revision, which changed last at that time, is the one that was seen.
    pub fn is(&self, revision: Revision, changed_at: Timestamp) -> bool {
        self.revision == revision && self.changed_at.is_none_or(|seen| seen == changed_at)
    }
}

impl Revision {
    /// The revision of a customer that has just been created.
    pub const FIRST: Self = Self(1);

    /// The revision after one more change.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partner_account_ids_are_lower_case_names() {
        for good in ["contoso", "a", "north-wind-2"] {
            assert!(good.parse::<PartnerAccountId>().is_ok(), "{good}");
        }
        for bad in ["", "-", "Contoso", "2fast", "ends-", "a/b", "a b", "é", &"x".repeat(64)] {
            assert!(bad.parse::<PartnerAccountId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn minted_ids_sort_by_the_time_they_were_made() {
        let early = CustomerId::mint(Timestamp::from_micros(1_700_000_000_000_000));
        let late = CustomerId::mint(Timestamp::from_micros(1_700_000_000_002_000));
        assert!(early < late);
        assert_eq!(early.to_string().parse(), Ok(early));
    }
}
