//! A row of either engine, and the few types that its columns are read as.

use std::fmt::Display;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, Postgres, Row as _, Sqlite, Type, TypeInfo, ValueRef};

use crate::store::Error;

/// A row that was read.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// Names a column: its name, or its place from 0.
pub(super) trait Place: ColumnIndex<SqliteRow> + ColumnIndex<PgRow> + Display + Copy {}
impl Place for &str {}
impl Place for usize {}

/// What a column can be read as.
pub(super) trait Column<'r>: Sized {
    fn read(row: &'r Row, place: impl Place) -> Result<Self, Error>;
}

impl Row {
    /// The value of a column. The second parameter stands for the way the column is named.
    pub(super) fn try_get<'r, T: Column<'r>, P: Place>(&'r self, place: P) -> Result<T, Error> {
        T::read(self, place)
    }

    fn decoded<'r, T>(&'r self, place: impl Place) -> Result<T, Error>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
    {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(place)?,
            Self::Postgres(row) => row.try_get(place)?,
        })
    }

    /// A whole number of whatever width: PostgreSQL has several of them.
    fn number(&self, place: impl Place) -> Result<Option<i64>, Error> {
        let row = match self {
            Self::Sqlite(row) => return Ok(row.try_get(place)?),
            Self::Postgres(row) => row,
        };
        let is_narrow = row.try_get_raw(place)?.type_info().name() == "INT4";
        Ok(if is_narrow { row.try_get::<Option<i32>, _>(place)?.map(i64::from) } else { row.try_get(place)? })
    }
}

fn another_type(place: impl Display) -> Error {
    Error::Corrupt(format!("column {place} has another type"))
}

macro_rules! decoded {
    ($($type:ty),+) => {
        $(
            impl<'r> Column<'r> for $type {
                fn read(row: &'r Row, place: impl Place) -> Result<Self, Error> {
                    row.decoded(place)
                }
            }
            impl<'r> Column<'r> for Option<$type> {
                fn read(row: &'r Row, place: impl Place) -> Result<Self, Error> {
                    row.decoded(place)
                }
            }
        )+
    };
}
decoded!(&'r str, String, bool, &'r [u8], Vec<u8>);

macro_rules! numbers {
    ($($type:ty),+) => {
        $(
            impl<'r> Column<'r> for $type {
                fn read(row: &'r Row, place: impl Place) -> Result<Self, Error> {
                    <Option<Self>>::read(row, place)?.ok_or_else(|| another_type(place))
                }
            }
            impl<'r> Column<'r> for Option<$type> {
                fn read(row: &'r Row, place: impl Place) -> Result<Self, Error> {
                    let number = row.number(place)?;
                    number.map(<$type>::try_from).transpose().map_err(|_| another_type(place))
                }
            }
        )+
    };
}
numbers!(i64, u32, u8);
