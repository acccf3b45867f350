//! The address of a PostgreSQL database, which may name several hosts as libpq writes them, and which of them takes writes.

use std::str::FromStr;
use std::time::Duration;

use futures::future::join_all;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Row};

use crate::store::postgres::ServerError;

/// How long one host may take to say what it is.
const ANSWER: Duration = Duration::from_secs(2);
/// How many literals a connection keeps prepared, unless the address says otherwise.
const STATEMENTS: usize = 512;

/// Whether a server takes writes: a standby does not, nor does one that was told to write nothing. In the text protocol, so
/// that nothing is prepared.
const TAKES_WRITES: &str =
    "SELECT NOT (pg_catalog.pg_is_in_recovery() OR current_setting('default_transaction_read_only')::BOOLEAN)";

/// The hosts of one database; there is at least one.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    hosts: Vec<PgConnectOptions>,
    /// Whether connections may keep statements prepared. Behind a pooler that gives each transaction another connection of the
    /// server they must not.
    pub(super) keeps_statements: bool,
}

/// What a host says of itself.
enum Host {
    TakesWrites,
    OnlyReads,
    Away(String),
}

impl Hosts {
    /// The hosts of an address such as `postgres://user:password@one:5432,two:5432/database`, or with `host=one,two` and
    /// `port=5432` or `port=5432,5433` after the question mark.
    pub(super) fn parse(url: &str) -> Result<Self, ServerError> {
        let (scheme, rest) = url.split_once("://").ok_or(ServerError::Address)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, place) = rest.split_at(end);
        // A password may hold an @ and a comma; a host holds neither.
        let (user, named) = authority.rfind('@').map_or(("", authority), |at| authority.split_at(at + 1));
        let (path, query) = place.split_once('?').unwrap_or((place, ""));
        let mut query = Query::parse(query)?;
        let asked = query.take_hosts();
        let hosts: Result<Vec<_>, _> = match (asked, named.contains(',')) {
            (_, true) if query.names_host => Err(ServerError::Address),
            (Some(asked), false) => {
                let one = |more: String| options(&format!("{scheme}://{user}{named}{path}?{}{more}", query.rest));
                asked.into_iter().map(one).collect()
            }
            (None | Some(_), _) => {
                let named: Vec<&str> = named.split(',').collect();
                if named.len() > 1 && named.iter().any(|host| host.is_empty()) {
                    return Err(ServerError::Address);
                }
                let one = |host: &str| options(&format!("{scheme}://{user}{host}{path}?{}", query.rest));
                named.into_iter().map(one).collect()
            }
        };
        let statements = query.statements.unwrap_or(STATEMENTS);
        let hosts = hosts?.into_iter().map(|options| options.statement_cache_capacity(statements)).collect();
        Ok(Self { hosts, keeps_statements: statements > 0 })
    }

    pub(super) const fn many(&self) -> bool {
        self.hosts.len() > 1
    }

    pub(super) fn options(&self, host: usize) -> PgConnectOptions {
        self.hosts[host].clone()
    }

    /// The one to begin with: one that takes writes, and for somebody who only looks any other if there is none.
    pub(super) async fn first(&self, only_looks: bool) -> Result<usize, ServerError> {
        let found = join_all(self.hosts.iter().map(ask)).await;
        if let Some(primary) = found.iter().position(|host| matches!(host, Host::TakesWrites)) {
            return Ok(primary);
        }
        if let Some(standby) = found.iter().position(|host| only_looks && matches!(host, Host::OnlyReads)) {
            return Ok(standby);
        }
        let told = self.hosts.iter().zip(&found).map(|(options, host)| match host {
            Host::TakesWrites | Host::OnlyReads => format!("{} takes no writes", name(options)),
            Host::Away(why) => format!("{}: {why}", name(options)),
        });
        Err(ServerError::Unreachable(told.collect::<Vec<_>>().join("; ")))
    }

    /// The one that takes writes now, if any. Whoever was it stays it for as long as it says so.
    pub(super) async fn primary(&self, current: usize) -> Option<usize> {
        if matches!(ask(&self.hosts[current]).await, Host::TakesWrites) {
            return Some(current);
        }
        let others = self.hosts.iter().enumerate().filter(|(host, _)| *host != current);
        let asked = others.map(|(host, options)| {
            Box::pin(async move { if matches!(ask(options).await, Host::TakesWrites) { Ok(host) } else { Err(()) } })
        });
        futures::future::select_ok(asked).await.ok().map(|(host, _)| host)
    }
}

/// What stands after the question mark, without the hosts, the ports and what this program reads itself.
struct Query {
    rest: String,
    hosts: Vec<String>,
    ports: Vec<String>,
    names_host: bool,
    statements: Option<usize>,
}

impl Query {
    fn parse(query: &str) -> Result<Self, ServerError> {
        let mut read =
            Self { rest: String::new(), hosts: Vec::new(), ports: Vec::new(), names_host: false, statements: None };
        let list = |value: &str| {
            value.replace("%2C", ",").replace("%2c", ",").split(',').map(str::to_owned).collect::<Vec<_>>()
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "host" | "hostaddr" => {
                    read.names_host = true;
                    read.hosts = list(value).into_iter().map(|host| format!("{key}={host}")).collect();
                }
                "port" => read.ports = list(value),
                "statement-cache-capacity" => {
                    read.statements = Some(value.parse().map_err(|_| ServerError::Address)?);
                }
                // That is what is done anyway; anything else would be another promise.
                "target_session_attrs" if matches!(value, "read-write" | "primary") => {}
                "target_session_attrs" => return Err(ServerError::Address),
                _ => {
                    read.rest.push_str(pair);
                    read.rest.push('&');
                }
            }
        }
        let fits = read.ports.len() <= 1 || read.ports.len() == read.hosts.len();
        if fits { Ok(read) } else { Err(ServerError::Address) }
    }

    /// What each host of the query adds to the rest; nothing if the query names none.
    fn take_hosts(&mut self) -> Option<Vec<String>> {
        let hosts = std::mem::take(&mut self.hosts);
        if hosts.is_empty() {
            for port in &self.ports {
                self.rest.push_str(&format!("port={port}&"));
            }
            return None;
        }
        let port = |number: usize| self.ports.get(number).or(self.ports.first());
        let with_port = |(number, host): (usize, String)| match port(number) {
            Some(port) => format!("{host}&port={port}"),
            None => host,
        };
        Some(hosts.into_iter().enumerate().map(with_port).collect())
    }
}

/// Nothing a pooler would refuse: no parameter of the session but the name.
fn options(url: &str) -> Result<PgConnectOptions, ServerError> {
    let options = PgConnectOptions::from_str(url).map_err(|_| ServerError::Address)?;
    Ok(options.application_name("customer-guard").extra_float_digits(None))
}

/// A host without the user, the password and the database.
fn name(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

async fn ask(options: &PgConnectOptions) -> Host {
    let asked = async {
        let mut connection = options.connect().await?;
        let takes_writes = takes_writes(&mut connection).await?;
        // It has said what it had to.
        let _ = connection.close().await;
        Ok::<_, sqlx::Error>(takes_writes)
    };
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(Ok(true)) => Host::TakesWrites,
        Ok(Ok(false)) => Host::OnlyReads,
        Ok(Err(error)) => Host::Away(why(&error)),
        Err(_) => Host::Away(format!("no answer within {} s", ANSWER.as_secs())),
    }
}

/// Whether the server of a connection takes writes.
pub(super) async fn takes_writes(connection: &mut sqlx::postgres::PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::raw_sql(TAKES_WRITES).fetch_one(connection).await?.try_get(0)
}

/// What a person is told; a refusal of the password would name the user.
pub(super) fn why(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) if database.code().is_some_and(|code| code.starts_with("28")) => {
            "the server refuses the user or the password, or lets nobody in from here".to_owned()
        }
        sqlx::Error::Database(database) => database.message().to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(url: &str) -> Vec<String> {
        let hosts = Hosts::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        hosts.hosts.iter().map(name).collect()
    }

    #[test]
    fn every_host_of_an_address_is_read_as_libpq_writes_it() {
        for (url, read) in [
            ("postgres://guard:pw@one:5433/db", &["one:5433"][..]),
            ("postgres://guard:pw@one:5433,two:5434/db?sslmode=require", &["one:5433", "two:5434"]),
            ("postgresql://one,two:6000/db", &["one:5432", "two:6000"]),
            ("postgres://g:p%40,a@ss@one,two/db", &["one:5432", "two:5432"]),
            ("postgres://g:p@[2001:db8::1]:5433,[::1],three/db", &["[2001:db8::1]:5433", "[::1]:5432", "three:5432"]),
            ("postgres:///db?host=one,two&port=5433,5434", &["one:5433", "two:5434"]),
            ("postgres:///db?host=one%2Ctwo&port=5433", &["one:5433", "two:5433"]),
            ("postgres://g@localhost/db?host=/run/a,/run/b", &["/run/a", "/run/b"]),
            ("postgres://g@localhost/db?host=/run/a", &["/run/a"]),
            ("postgres://g@%2Frun%2Fa/db", &["/run/a"]),
            ("postgres://one,two?dbname=db&target_session_attrs=read-write", &["one:5432", "two:5432"]),
        ] {
            assert_eq!(names(url), read, "{url}");
        }
    }

    #[test]
    fn user_password_and_database_are_those_of_every_host() {
        let hosts = Hosts::parse("postgres://gu%40rd:p,w@one,two/customers").expect("an address");
        for options in &hosts.hosts {
            assert_eq!((options.get_username(), options.get_database()), ("gu@rd", Some("customers")));
            assert!(options.to_url_lossy().as_str().contains(":p%2Cw@"), "the whole password");
        }
    }

    #[test]
    fn the_address_says_whether_statements_are_kept() {
        for (url, kept) in [
            ("postgres://one/db", true),
            ("postgres://one/db?statement-cache-capacity=0", false),
            ("postgres://one,two/db?statement-cache-capacity=7&sslmode=disable", true),
        ] {
            let hosts = Hosts::parse(url).expect("an address");
            assert_eq!(hosts.keeps_statements, kept, "{url}");
        }
        let capacity = |url: &str| Hosts::parse(url).expect("an address").hosts[0].to_url_lossy().to_string();
        assert!(capacity("postgres://one/db").ends_with("statement-cache-capacity=512"));
        assert!(capacity("postgres://one/db?statement-cache-capacity=7").ends_with("statement-cache-capacity=7"));
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for url in [
            "postgres://one,,two/db",
            "postgres://one,two/db?host=three",
            "postgres:///db?host=one,two,three&port=1,2",
            "postgres://one:port/db",
            "postgres://[nonsense/db",
            "postgres://one,two/db?target_session_attrs=standby",
            "postgres://one/db?statement-cache-capacity=few",
        ] {
            assert!(Hosts::parse(url).is_err(), "{url}");
        }
    }
}
