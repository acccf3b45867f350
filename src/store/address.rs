//! Where a database is: a file of its own, or a server.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

/// Where a database is. Printed without the user and the password that an address may hold.
#[derive(Clone)]
pub enum DatabaseAddress {
    /// An embedded file.
    File(PathBuf),
    /// A PostgreSQL database.
    Postgres(SecretString),
}

impl DatabaseAddress {
    /// An address such as `postgres://user:password@host:5432/database`, and else a file.
    pub fn of(text: &str) -> Self {
        let text = text.trim();
        let is_server = ["postgres://", "postgresql://"].into_iter().any(|scheme| text.starts_with(scheme));
        if is_server { Self::Postgres(SecretString::from(text)) } else { Self::File(PathBuf::from(text)) }
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&std::path::Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }
}

impl From<PathBuf> for DatabaseAddress {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl PartialEq for DatabaseAddress {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Postgres(one), Self::Postgres(other)) => one.expose_secret() == other.expose_secret(),
            (Self::File(_), Self::Postgres(_)) | (Self::Postgres(_), Self::File(_)) => false,
        }
    }
}

impl Eq for DatabaseAddress {}

impl fmt::Display for DatabaseAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A scheme that was misspelled: what follows may hold a password.
            Self::File(path) if path.to_string_lossy().contains("://") => {
                out.write_str("(an address of no known kind)")
            }
            Self::File(path) => path.display().fmt(out),
            Self::Postgres(url) => out.write_str(&without_credentials(url.expose_secret())),
        }
    }
}

impl fmt::Debug for DatabaseAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "DatabaseAddress({self})")
    }
}

/// The host and the database of an address. What is before its last `@` and after its first `?` may hold a password; where
/// these are not in this order, nobody knows what is what, and nothing is shown.
fn without_credentials(url: &str) -> String {
    let place = url.split_once("://").map_or("", |(_, rest)| rest);
    let place = match (place.rfind('@'), place.find('?')) {
        (Some(at), Some(mark)) if mark < at => "",
        (at, mark) => &place[at.map_or(0, |at| at + 1)..mark.unwrap_or(place.len())],
    };
    format!("postgres://{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_told_by_its_scheme_and_everything_else_is_a_file() {
        assert_eq!(DatabaseAddress::of("guard.db").file(), Some(std::path::Path::new("guard.db")));
        for url in ["postgres://a@h/d", "postgresql://h/d?host=/run/x"] {
            assert_eq!(DatabaseAddress::of(url).file(), None);
        }
    }

    #[test]
    fn an_address_is_printed_without_user_and_password() {
        for (url, shown) in [
            (" postgres://guard:hunter2@h/d ", "postgres://h/d"),
            ("postgre://guard:hunter2@h/d", "(an address of no known kind)"),
            ("postgres://guard:hunter2@db.example:5432/guard", "postgres://db.example:5432/guard"),
            ("postgresql://guard:hun@ter2@a,b/guard?target_session_attrs=read-write", "postgres://a,b/guard"),
            ("postgres://h/guard?user=guard&password=hunter2", "postgres://h/guard"),
            ("postgres://guard:hun?ter2@h/d", "postgres://"),
            ("postgres://h/d?password=hun@ter2", "postgres://"),
        ] {
            assert_eq!(DatabaseAddress::of(url).to_string(), shown, "{url}");
        }
    }
}
