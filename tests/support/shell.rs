//! Somebody's shell on a database, whichever engine it is.

use std::path::Path;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};

use crate::postgres_server;

/// A connection of somebody with the engine's own shell: no pragma of ours, no lock file, every right.
pub enum Shell {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Asks either engine.
macro_rules! ask {
    ($shell:expr, $sql:expr, |$query:ident, $connection:ident| $answer:expr) => {
        match $shell {
            Shell::Sqlite($connection) => {
                let $query = sqlx::query(AssertSqlSafe($sql.to_owned()));
                $answer
            }
            Shell::Postgres($connection) => {
                let $query = sqlx::query(AssertSqlSafe($sql.to_owned()));
                $answer
            }
        }
    };
}

impl Shell {
    /// The sqlite3 shell on a file.
    pub async fn on_file(file: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(10));
        Self::Sqlite(options.connect().await.expect("the file opens"))
    }

    /// The psql shell on a database.
    pub async fn on_server(url: &str) -> Self {
        Self::Postgres(postgres_server::connected(url).await)
    }

    /// Whether it is the sqlite3 shell.
    pub const fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Runs a statement as it is typed. PostgreSQL knows neither OR REPLACE nor OR IGNORE; there it runs without.
    pub async fn run(&mut self, sql: &str) -> Result<u64, String> {
        let plain = sql.replacen(" OR REPLACE", "", 1).replacen(" OR IGNORE", "", 1);
        let sql = if self.is_sqlite() { sql } else { &plain };
        ask!(self, sql, |query, connection| {
            let done = query.execute(connection).await;
            done.map(|done| done.rows_affected()).map_err(|error| error.to_string())
        })
    }

    /// The one number a question answers.
    pub async fn number(&mut self, sql: &str) -> i64 {
        ask!(self, sql, |query, connection| query.fetch_one(connection).await.expect(sql).get(0))
    }

    /// The texts a question answers, from its column of that number.
    pub async fn texts(&mut self, sql: &str, column: usize) -> Vec<String> {
        ask!(self, sql, |query, connection| {
            let rows = query.fetch_all(connection).await.expect(sql);
            rows.iter().map(|row| row.get(column)).collect()
        })
    }
}
