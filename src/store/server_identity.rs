//! What tells a PostgreSQL database from another one that holds the same rows, as far as the server tells it.

use std::fmt;

use crate::store::statement::statement;
use crate::store::{Error, Store};

/// Which database it is. Two are the same unless something that is known of both differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerIdentity {
    /// The server's data folder.
    system: Option<String>,
    /// The database in it, and the table of generations: one that was dropped and made again is another.
    tables: String,
    /// Grows whenever another server takes over, or a server is recovered to an earlier time.
    timeline: Option<String>,
}

impl ServerIdentity {
    /// What the server says. Some that are run by somebody else do not tell everything.
    pub(super) async fn of(store: &Store) -> Result<Self, Error> {
        const TABLES: &str = "
            SELECT (SELECT oid FROM pg_database WHERE datname = current_database())::text || '.' ||
                'generation'::regclass::oid::text";
        const SYSTEM: &str = "SELECT system_identifier::text FROM pg_control_system()";
        const TIMELINE: &str = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)";
        let tables = statement(TABLES).fetch_value(&store.backend).await?;
        let system = known(statement(SYSTEM).fetch_value(&store.backend).await)?;
        let timeline = known(statement(TIMELINE).fetch_value(&store.backend).await)?;
        Ok(Self { system, tables, timeline })
    }

    /// Reads it back from its text; nothing if it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let mut part = || parts.next().map(|part| Some(part.to_owned()).filter(|part| !part.is_empty()));
        let (system, tables, timeline) = (part()?, part()??, part()?);
        Some(Self { system, tables, timeline })
    }

    /// Whether the other is the same database of the same server, or of one that took over from it.
    pub(super) fn is_database_of(&self, other: &Self) -> bool {
        self.tables == other.tables && may_equal(self.system.as_ref(), other.system.as_ref())
    }

    /// Whether nobody took over from the other's server, and it was not recovered to an earlier time.
    pub(super) fn is_timeline_of(&self, other: &Self) -> bool {
        may_equal(self.timeline.as_ref(), other.timeline.as_ref())
    }
}

impl fmt::Display for ServerIdentity {
    /// In the form it is parsed from.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { system, tables, timeline } = self;
        let told = |part: &Option<String>| part.clone().unwrap_or_default();
        write!(out, "{}/{tables}/{}", told(system), told(timeline))
    }
}

/// What the server refuses to tell is not known; that it cannot be asked now is an error.
fn known(told: Result<String, Error>) -> Result<Option<String>, Error> {
    match told {
        Ok(told) => Ok(Some(told)),
        Err(Error::Failed(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn may_equal(one: Option<&String>, other: Option<&String>) -> bool {
    one.zip(other).is_none_or(|(one, other)| one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(text: &str) -> ServerIdentity {
        ServerIdentity::parse(text).expect("an identity")
    }

    #[test]
    fn an_identity_is_read_back_from_its_text() {
        for text in ["71/5.16/00000001", "/5.16/", "71/5.16/", "/5.16/00000002"] {
            assert_eq!(identity(text).to_string(), text);
        }
        for text in ["", "restored", "71/5.16", "71//1"] {
            assert_eq!(ServerIdentity::parse(text), None, "{text}");
        }
    }

    #[test]
    fn databases_differ_by_what_is_known_of_both() {
        let known = identity("71/5.16/00000001");
        for (other, is_database, is_timeline) in [
            ("71/5.16/00000001", true, true),
            ("71/5.16/00000002", true, false),
            ("72/5.16/00000001", false, true),
            ("71/5.17/00000001", false, true),
            ("/5.16/", true, true),
            ("/5.17/", false, true),
        ] {
            let other = identity(other);
            assert_eq!(
                (known.is_database_of(&other), known.is_timeline_of(&other)),
                (is_database, is_timeline),
                "{other}"
            );
            assert_eq!(
                (other.is_database_of(&known), other.is_timeline_of(&known)),
                (is_database, is_timeline),
                "{other}"
            );
        }
    }
}
