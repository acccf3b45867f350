//! A statement and its values, for whichever engine the store runs on.
//!
//! The text is one literal that both engines understand, or a [`PerDialect`] where they differ. Values are collected in a
//! small neutral form, always bound, and every literal is kept prepared by the connection it runs on.

use std::borrow::Cow;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use sqlx::postgres::{PgArguments, PgConnection, Postgres};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{Arguments, AssertSqlSafe, Executor as _, SqlSafeStr, SqlStr};

use crate::store::Error;
use crate::store::connection::{Access, Connection, PostgresAccess};
use crate::store::postgres::PostgresTransaction;
use crate::store::row::{Column, Row};

/// One statement in the words of each engine.
#[derive(Clone, Copy, Debug)]
pub(super) struct PerDialect {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

impl From<&'static str> for PerDialect {
    fn from(both: &'static str) -> Self {
        Self { sqlite: both, postgres: both }
    }
}

/// A statement in which SQLite is told the index, between the two texts: without statistics it would choose another one.
/// PostgreSQL has statistics, and no words for it.
macro_rules! by_index {
    ($before:expr, $($index:literal, $after:expr),+ $(,)?) => {
        $crate::store::statement::PerDialect {
            sqlite: concat!($before, $(" INDEXED BY ", $index, " ", $after),+),
            postgres: concat!($before, $(" ", $after),+),
        }
    };
}
pub(super) use by_index;

/// A value that is bound. An absent one has a type as well, because PostgreSQL asks for it.
#[derive(Debug)]
pub(super) enum Value<'q> {
    Text(Option<Cow<'q, str>>),
    Number(Option<i64>),
    Bytes(Option<Cow<'q, [u8]>>),
    Truth(Option<bool>),
}

/// What can be bound.
pub(super) trait Bind<'q> {
    /// It as a value; `None` is an absent one of that type.
    fn value(this: Option<Self>) -> Value<'q>
    where
        Self: Sized;
}

macro_rules! binds {
    ($($type:ty => $variant:ident by $convert:expr),+ $(,)?) => {
        $(impl<'q> Bind<'q> for $type {
            fn value(this: Option<Self>) -> Value<'q> {
                Value::$variant(this.map($convert))
            }
        })+
    };
}

binds! {
    &'q str => Text by Cow::Borrowed,
    &'q String => Text by |text| Cow::Borrowed(text.as_str()),
    String => Text by Cow::Owned,
    i64 => Number by |number| number,
    i32 => Number by i64::from,
    u32 => Number by i64::from,
    u8 => Number by i64::from,
    &'q [u8] => Bytes by Cow::Borrowed,
    &'q Vec<u8> => Bytes by |bytes| Cow::Borrowed(bytes.as_slice()),
    Vec<u8> => Bytes by Cow::Owned,
    bool => Truth by |truth| truth,
}

impl<'q, T: Bind<'q>> Bind<'q> for Option<T> {
    fn value(this: Option<Self>) -> Value<'q> {
        T::value(this.flatten())
    }
}

impl<'q, T> Bind<'q> for &'q Option<T>
where
    &'q T: Bind<'q>,
{
    fn value(this: Option<Self>) -> Value<'q> {
        <&'q T>::value(this.and_then(Option::as_ref))
    }
}

#[derive(Clone, Debug)]
enum Text {
    Literal(PerDialect),
    Composed(String),
}

type PostgresQuery = Query<'static, Postgres, PgArguments>;

/// A way to run a query over a connection, with its answer.
type Ask<T> = for<'c> fn(PostgresQuery, &'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>;

/// A statement that waits to be run.
#[must_use = "a statement does nothing until it is run"]
#[derive(Debug)]
pub(super) struct Statement<'q> {
    text: Text,
    values: Vec<Value<'q>>,
}

/// A statement of this program.
pub(super) fn statement<'q>(text: impl Into<PerDialect>) -> Statement<'q> {
    Statement { text: Text::Literal(text.into()), values: Vec::new() }
}

/// A statement that was put together from texts of this program; see `customer_query` and `copy`. It is not kept prepared: hardly two
/// of them are the same text, and they would push out what is used all the time.
pub(super) fn composed<'q>(text: String) -> Statement<'q> {
    Statement { text: Text::Composed(text), values: Vec::new() }
}

impl<'q> Statement<'q> {
    /// Binds the next value.
    pub(super) fn bind(mut self, value: impl Bind<'q>) -> Self {
        if self.values.capacity() == 0 {
            self.values.reserve(8);
        }
        self.values.push(Bind::value(Some(value)));
        self
    }

    /// Runs it and returns how many rows it wrote.
    pub(super) async fn execute(self, on: impl Into<Access<'_>>) -> Result<u64, Error> {
        Ok(match on.into() {
            Access::SqlitePool(pool) => self.for_sqlite()?.execute(pool).await?.rows_affected(),
            Access::Sqlite(connection) => self.for_sqlite()?.execute(connection).await?.rows_affected(),
            Access::Postgres(on) => {
                self.on_postgres(on, |query, connection| connection.execute(query)).await?.rows_affected()
            }
        })
    }

    /// Runs it and returns its first row, if it has one.
    pub(super) async fn fetch_optional(self, on: impl Into<Access<'_>>) -> Result<Option<Row>, Error> {
        Ok(match on.into() {
            Access::SqlitePool(pool) => self.for_sqlite()?.fetch_optional(pool).await?.map(Row::Sqlite),
            Access::Sqlite(connection) => self.for_sqlite()?.fetch_optional(connection).await?.map(Row::Sqlite),
            Access::Postgres(on) => {
                self.on_postgres(on, |query, connection| connection.fetch_optional(query)).await?.map(Row::Postgres)
            }
        })
    }

    /// Runs it and returns its first row, which there must be.
    pub(super) async fn fetch_one(self, on: impl Into<Access<'_>>) -> Result<Row, Error> {
        self.fetch_optional(on).await?.ok_or_else(|| Error::from(sqlx::Error::RowNotFound))
    }

    /// Runs it and returns the first column of its first row, which there must be.
    pub(super) async fn fetch_value<T: for<'r> Column<'r>>(self, on: impl Into<Access<'_>>) -> Result<T, Error> {
        self.fetch_one(on).await?.try_get(0)
    }

    /// Runs it and returns all of its rows.
    pub(super) async fn fetch_all(self, on: impl Into<Access<'_>>) -> Result<Vec<Row>, Error> {
        Ok(match on.into() {
            Access::SqlitePool(pool) => rows(self.for_sqlite()?.fetch_all(pool).await?, Row::Sqlite),
            Access::Sqlite(connection) => rows(self.for_sqlite()?.fetch_all(connection).await?, Row::Sqlite),
            Access::Postgres(on) => {
                rows(self.on_postgres(on, |query, connection| connection.fetch_all(query)).await?, Row::Postgres)
            }
        })
    }

    /// Runs it on PostgreSQL in the way that `ask` says.
    ///
    /// What PostgreSQL needs is boxed: every future of the service holds that of a statement, also where the engine is SQLite.
    fn on_postgres<'c, T: Send + 'c>(self, on: PostgresAccess<'c>, ask: Ask<T>) -> BoxFuture<'c, Result<T, Error>>
    where
        'q: 'c,
    {
        Box::pin(async move {
            match on {
                PostgresAccess::Server(server) => {
                    let query = self.for_postgres(server.keeps_statements())?;
                    let mut one = PostgresTransaction::for_one_read(server).await?;
                    let answer = one.ask(|connection| ask(query, connection)).await?;
                    one.commit().await?;
                    Ok(answer)
                }
                PostgresAccess::Transaction(transaction) => {
                    let query = self.for_postgres(transaction.keeps_statements())?;
                    transaction.ask(|connection| ask(query, connection)).await
                }
            }
        })
    }

    /// Runs it in a transaction and returns its rows one after the other, for those that are many.
    pub(super) fn fetch<'c>(self, on: &'c mut Connection) -> BoxStream<'c, Result<Row, Error>>
    where
        'q: 'c,
    {
        let opened = match on {
            Connection::Sqlite(connection) => {
                self.for_sqlite().map(|query| sqlite_rows(query.fetch(&mut **connection)))
            }
            Connection::Postgres(transaction) => self.for_postgres(transaction.keeps_statements()).map(|query| {
                transaction.ask_for_many(|connection| query.fetch(connection)).map_ok(Row::Postgres).boxed()
            }),
        };
        opened.unwrap_or_else(|error| futures::stream::once(async move { Err(error) }).boxed())
    }

    fn for_sqlite(self) -> Result<Query<'static, Sqlite, SqliteArguments>, Error> {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(self.values.len(), 0);
        for value in self.values {
            let added = match value {
                Value::Text(text) => arguments.add(text.map(Cow::into_owned)),
                Value::Number(number) => arguments.add(number),
                Value::Bytes(bytes) => arguments.add(bytes.map(Cow::into_owned)),
                Value::Truth(truth) => arguments.add(truth),
            };
            added.map_err(sqlx::Error::Encode)?;
        }
        let (text, is_literal) = self.text.of(|text| text.sqlite);
        Ok(sqlx::query_with(text, arguments).persistent(is_literal))
    }

    fn for_postgres(self, keeps_statements: bool) -> Result<PostgresQuery, Error> {
        let mut arguments = PgArguments::default();
        arguments.reserve(self.values.len(), 0);
        for value in self.values {
            let added = match value {
                Value::Text(text) => arguments.add(text.as_deref()),
                Value::Number(number) => arguments.add(number),
                Value::Bytes(bytes) => arguments.add(bytes.as_deref()),
                Value::Truth(truth) => arguments.add(truth),
            };
            added.map_err(sqlx::Error::Encode)?;
        }
        let (text, is_literal) = self.text.of(|text| text.postgres);
        Ok(sqlx::query_with(text, arguments).persistent(is_literal && keeps_statements))
    }
}

impl Text {
    /// The text, and whether it is one of the program's own.
    fn of(self, dialect: fn(PerDialect) -> &'static str) -> (SqlStr, bool) {
        match self {
            Self::Literal(texts) => (dialect(texts).into_sql_str(), true),
            // Made by `customer_query` and `copy`, which write nothing of a caller's into it.
            Self::Composed(text) => (AssertSqlSafe(text).into_sql_str(), false),
        }
    }
}

fn rows<R>(found: Vec<R>, row: fn(R) -> Row) -> Vec<Row> {
    found.into_iter().map(row).collect()
}

fn sqlite_rows<'c>(
    found: BoxStream<'c, Result<sqlx::sqlite::SqliteRow, sqlx::Error>>,
) -> BoxStream<'c, Result<Row, Error>> {
    found.map_ok(Row::Sqlite).map_err(Error::from).boxed()
}
