//! The tables of a store as its own schema tells them, so that a table of a later migration is copied without a change here.
//!
//! The statements are put together from names of the schema, which a caller has no part in; every value is bound.

use std::collections::BTreeMap;

use crate::store::Error;
use crate::store::connection::{Access, Backend};
use crate::store::copy::CopyError;
use crate::store::row::Row;
use crate::store::statement::{Statement, composed, statement};

/// Rows that are read, written and committed together.
pub(super) const BATCH: usize = 1_000;
/// About processes and not about content: who is alive, and what was told to whom. Those of the target are its own.
const LEFT_OUT: [&str; 2] = ["replica", "wakeup"];
/// Each database's record of itself: its migrations, and the copy that is made into it.
const OF_THE_DATABASE: [&str; 2] = ["_sqlx_migrations", "store_copy"];

/// A table that is copied.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// The places of the primary key's columns, in its order.
    key: Vec<usize>,
    refers_to: Vec<String>,
}

/// A column of it.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    kind: Kind,
    /// PostgreSQL keeps it as true or false, and SQLite as 1 or 0.
    is_truth: bool,
    /// The sequence of PostgreSQL that numbers it.
    pub(super) sequence: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Bytes,
}

/// Whose words a statement is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Target,
}

/// One value of a row, the same on both engines.
#[derive(Debug)]
pub(super) enum Cell {
    Absent,
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// What PostgreSQL says of its columns, by table and by column: the type, and the sequence that numbers it.
type Described = BTreeMap<String, BTreeMap<String, (String, Option<String>)>>;

/// Every table that is copied, those that others refer to first. Both sides must have the same tables and columns.
pub(super) async fn shared(source: &Backend, target: &Backend) -> Result<Vec<Table>, CopyError> {
    let mut described = described(target).await?;
    for name in LEFT_OUT.iter().chain(&OF_THE_DATABASE) {
        described.remove(*name);
    }
    let mut tables = of_source(source).await?;
    for table in &mut tables {
        let Some(mut columns) = described.remove(&table.name) else {
            return Err(CopyError::Schemas(format!("the target has no table {}", table.name)));
        };
        for column in &mut table.columns {
            let name = format!("{}.{}", table.name, column.name);
            let (found, sequence) =
                columns.remove(&column.name).ok_or_else(|| CopyError::Schemas(format!("the target has no {name}")))?;
            column.is_truth = found == "boolean";
            column.sequence = sequence;
            let fits = match column.kind {
                Kind::Number => ["bigint", "boolean"].contains(&found.as_str()),
                Kind::Text => found == "text",
                Kind::Bytes => found == "bytea",
            };
            if !fits {
                return Err(CopyError::Schemas(format!("{name} is of the type {found} in the target")));
            }
        }
        if let Some((more, _)) = columns.first_key_value() {
            return Err(CopyError::Schemas(format!("the source has no {}.{more}", table.name)));
        }
    }
    match described.first_key_value() {
        Some((more, _)) => Err(CopyError::Schemas(format!("the source has no table {more}"))),
        None => in_order(tables),
    }
}

async fn of_source(source: &Backend) -> Result<Vec<Table>, CopyError> {
    const COLUMNS: &str = "
        SELECT listed.name, column_of.name, column_of.type, column_of.pk
        FROM sqlite_schema listed, pragma_table_info(listed.name) column_of
        WHERE listed.type = 'table' AND listed.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
        ORDER BY listed.name, column_of.cid";
    const REFERENCES: &str = r#"SELECT DISTINCT "table" FROM pragma_foreign_key_list($1) ORDER BY 1"#;
    let mut tables: Vec<(Table, Vec<(i64, usize)>)> = Vec::new();
    for row in statement(COLUMNS).fetch_all(source).await? {
        let (table, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        if LEFT_OUT.iter().chain(&OF_THE_DATABASE).any(|left| *left == table) {
            continue;
        }
        let kind = match row.try_get::<&str, _>(2)? {
            "INTEGER" => Kind::Number,
            "TEXT" => Kind::Text,
            "BLOB" => Kind::Bytes,
            other => return Err(CopyError::Schemas(format!("{table}.{name} is of the type {other}"))),
        };
        if tables.last().is_none_or(|(last, _)| last.name != table) {
            let (columns, key, refers_to) = (Vec::new(), Vec::new(), Vec::new());
            tables.push((Table { name: table, columns, key, refers_to }, Vec::new()));
        }
        if let Some((table, key)) = tables.last_mut() {
            let place: i64 = row.try_get(3)?;
            if place > 0 {
                key.push((place, table.columns.len()));
            }
            table.columns.push(Column { name, kind, is_truth: false, sequence: None });
        }
    }
    let mut found = Vec::with_capacity(tables.len());
    for (mut table, mut key) in tables {
        key.sort_unstable();
        table.key = key.into_iter().map(|(_, column)| column).collect();
        if table.key.is_empty() {
            return Err(CopyError::Schemas(format!("{} has no primary key", table.name)));
        }
        for row in statement(REFERENCES).bind(&table.name).fetch_all(source).await? {
            table.refers_to.push(row.try_get(0)?);
        }
        found.push(table);
    }
    Ok(found)
}

async fn described(target: &Backend) -> Result<Described, CopyError> {
    const COLUMNS: &str = "
        SELECT c.table_name::TEXT, c.column_name::TEXT, c.data_type::TEXT,
               pg_get_serial_sequence(quote_ident(c.table_name::TEXT), c.column_name::TEXT)
        FROM information_schema.columns c
        JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
        WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'";
    let mut described = Described::new();
    for row in statement(COLUMNS).fetch_all(target).await? {
        let columns = described.entry(row.try_get(0)?).or_default();
        columns.insert(row.try_get(1)?, (row.try_get(2)?, row.try_get(3)?));
    }
    Ok(described)
}

/// A table comes after those that it refers to. One that refers to itself is taken as it is: PostgreSQL judges a whole batch.
fn in_order(mut waiting: Vec<Table>) -> Result<Vec<Table>, CopyError> {
    let mut ordered: Vec<Table> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let still = |name: &String, of: &Table| *name != of.name && waiting.iter().any(|table| table.name == *name);
        let Some(next) = waiting.iter().position(|table| !table.refers_to.iter().any(|name| still(name, table))) else {
            return Err(CopyError::Schemas(format!("{} and others refer to each other", waiting[0].name)));
        };
        ordered.push(waiting.remove(next));
    }
    Ok(ordered)
}

impl Table {
    /// Its name as statements have it.
    pub(super) fn quoted(&self) -> String {
        quoted(&self.name)
    }

    /// Its rows after a key, in the order of the key: at most a batch.
    pub(super) async fn page(
        &self,
        on: impl Into<Access<'_>>,
        side: Side,
        after: Option<&[Cell]>,
    ) -> Result<Vec<Vec<Cell>>, Error> {
        let columns: Vec<_> = self.columns.iter().map(|column| column.selected(side)).collect();
        let key = self.key_columns().join(", ");
        let bound: Vec<_> = (1..=self.key.len()).map(|number| format!("${number}")).collect();
        let after_it = after.map(|_| format!("WHERE ({key}) > ({})", bound.join(", "))).unwrap_or_default();
        let (columns, table) = (columns.join(", "), self.quoted());
        let mut page = composed(format!("SELECT {columns} FROM {table} {after_it} ORDER BY {key} LIMIT {BATCH}"));
        for cell in after.unwrap_or_default() {
            page = cell.bound_to(page)?;
        }
        let rows = page.fetch_all(on).await?;
        rows.iter().map(|row| cells(row, self.columns.iter())).collect()
    }

    /// The key of the last row in the target.
    pub(super) async fn last_key(&self, target: &Backend) -> Result<Option<Vec<Cell>>, Error> {
        let key = self.key_columns();
        let (columns, table, order) = (key.join(", "), self.quoted(), key.join(" DESC, "));
        let last = composed(format!("SELECT {columns} FROM {table} ORDER BY {order} DESC LIMIT 1"));
        let row = last.fetch_optional(target).await?;
        row.map(|row| cells(&row, self.key.iter().map(|place| &self.columns[*place]))).transpose()
    }

    /// The key of a row.
    pub(super) fn key_of(&self, row: Vec<Cell>) -> Vec<Cell> {
        let mut row: Vec<Option<Cell>> = row.into_iter().map(Some).collect();
        self.key.iter().filter_map(|place| row[*place].take()).collect()
    }

    /// Writes rows into the target.
    pub(super) fn insert(&self, rows: &[Vec<Cell>]) -> Statement<'static> {
        let columns: Vec<_> = self.columns.iter().map(|column| quoted(&column.name)).collect();
        let (columns, table) = (columns.join(", "), self.quoted());
        composed(format!(
            "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE
             SELECT {columns} FROM json_populate_recordset(NULL::{table}, $1::TEXT::JSON)"
        ))
        .bind(self.json(rows))
    }

    /// Rows as the JSON that PostgreSQL reads back into exactly them: a value that is not there is absent.
    fn json(&self, rows: &[Vec<Cell>]) -> String {
        let names: Vec<String> = self.columns.iter().map(|column| json_text(&column.name)).collect();
        let mut json = String::from("[");
        for (number, row) in rows.iter().enumerate() {
            json.push_str(if number == 0 { "{" } else { ",{" });
            let mut separator = "";
            for (name, cell) in names.iter().zip(row) {
                let value = match cell {
                    Cell::Absent => continue,
                    Cell::Number(number) => number.to_string(),
                    Cell::Text(text) => json_text(text),
                    // Without the backslashes of JSON: "\x…" as PostgreSQL writes bytes.
                    Cell::Bytes(bytes) => format!("\"\\\\x{}\"", super::hex(bytes)),
                };
                json.extend([separator, name, ":", &value]);
                separator = ",";
            }
            json.push('}');
        }
        json.push(']');
        json
    }

    fn key_columns(&self) -> Vec<String> {
        self.key.iter().map(|place| quoted(&self.columns[*place].name)).collect()
    }
}

impl Column {
    fn selected(&self, side: Side) -> String {
        let name = quoted(&self.name);
        match side {
            Side::Target if self.is_truth => format!("{name}::INTEGER::BIGINT"),
            Side::Source | Side::Target => name,
        }
    }
}

impl Cell {
    fn bound_to<'q>(&'q self, statement: Statement<'q>) -> Result<Statement<'q>, Error> {
        Ok(match self {
            Self::Number(number) => statement.bind(*number),
            Self::Text(text) => statement.bind(text),
            Self::Bytes(bytes) => statement.bind(bytes),
            Self::Absent => return Err(Error::Corrupt("a primary key is not there".to_owned())),
        })
    }
}

fn cells<'c>(row: &Row, columns: impl Iterator<Item = &'c Column>) -> Result<Vec<Cell>, Error> {
    let cell = |(place, column): (usize, &Column)| {
        let cell = match column.kind {
            Kind::Number => row.try_get::<Option<i64>, _>(place)?.map(Cell::Number),
            Kind::Text => row.try_get::<Option<String>, _>(place)?.map(Cell::Text),
            Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(place)?.map(Cell::Bytes),
        };
        Ok(cell.unwrap_or(Cell::Absent))
    };
    columns.enumerate().map(cell).collect()
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, refers_to: &[&str]) -> Table {
        let refers_to = refers_to.iter().map(|name| (*name).to_owned()).collect();
        Table { name: name.to_owned(), columns: Vec::new(), key: Vec::new(), refers_to }
    }

    #[test]
    fn a_table_comes_after_those_that_it_refers_to() {
        let tables = vec![table("a", &["c", "a"]), table("b", &["a", "elsewhere"]), table("c", &[])];
        let ordered = in_order(tables).expect("an order");
        assert_eq!(ordered.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["c", "a", "b"]);
        assert!(in_order(vec![table("a", &["b"]), table("b", &["a"])]).is_err(), "a circle has no order");
    }

    #[test]
    fn a_name_with_a_quote_stays_a_name() {
        assert_eq!(table("a\"; DROP", &[]).quoted(), "\"a\"\"; DROP\"");
    }
}
