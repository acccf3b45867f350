//! Whether two stores hold the same: for every table, how many rows and a hash over all of them in the order of their key.
//!
//! Both engines order a key alike, by numbers and by bytes, and their values are hashed in one form.

use aws_lc_rs::digest::{Context, SHA256};

use crate::store::connection::Backend;
use crate::store::copy::tables::{BATCH, Cell, Side, Table};
use crate::store::copy::{CopyError, CopyProgress, CopyStep, Tell, hex};

/// What one store holds of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDigest {
    /// How many rows.
    pub rows: u64,
    /// SHA-256 over all of them, in hexadecimal digits.
    pub sha256: String,
}

/// What both stores hold of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableComparison {
    /// The table.
    pub table: String,
    /// The one that was copied from.
    pub source: TableDigest,
    /// The one that was copied to.
    pub target: TableDigest,
}

impl TableComparison {
    /// Whether both hold the same rows.
    pub fn is_equal(&self) -> bool {
        self.source == self.target
    }
}

/// Compares all tables; each store as it is at one moment.
pub(super) async fn compare(
    source: &Backend,
    target: &Backend,
    tables: &[Table],
    tell: Tell<'_>,
) -> Result<Vec<TableComparison>, CopyError> {
    let silent: Tell<'_> = &mut |_| {};
    let theirs = digests(target, Side::Target, tables, silent);
    let (source, target) = futures::future::try_join(digests(source, Side::Source, tables, tell), theirs).await?;
    let both = tables.iter().zip(source.into_iter().zip(target));
    Ok(both.map(|(table, (source, target))| TableComparison { table: table.name.clone(), source, target }).collect())
}

async fn digests(store: &Backend, side: Side, tables: &[Table], tell: Tell<'_>) -> Result<Vec<TableDigest>, CopyError> {
    let mut connection = store.begin_reading().await?;
    let mut digests = Vec::with_capacity(tables.len());
    for table in tables {
        let (mut hash, mut rows, mut after) = (Context::new(&SHA256), 0, None);
        loop {
            let page = table.page(&mut connection, side, after.as_deref()).await;
            let mut page = page.map_err(|source| CopyError::Table { table: table.name.clone(), source })?;
            page.iter().flatten().for_each(|cell| cell.feed(&mut hash));
            rows += page.len() as u64;
            let is_last = page.len() < BATCH;
            let last = page.pop().map(|row| table.key_of(row));
            tell(CopyProgress { step: CopyStep::Compared, table: &table.name, rows, is_last });
            if is_last {
                break;
            }
            after = last;
        }
        digests.push(TableDigest { rows, sha256: hex(hash.finish().as_ref()) });
    }
    connection.commit().await?;
    Ok(digests)
}

impl Cell {
    /// Each value tells what it is and where it ends, so that no two rows look alike.
    fn feed(&self, hash: &mut Context) {
        let mut told = |kind: u8, value: &[u8]| {
            hash.update(&[kind]);
            hash.update(&(value.len() as u64).to_be_bytes());
            hash.update(value);
        };
        match self {
            Self::Absent => told(0, &[]),
            Self::Number(number) => told(1, &number.to_be_bytes()),
            Self::Text(text) => told(2, text.as_bytes()),
            Self::Bytes(bytes) => told(3, bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(cells: &[Cell]) -> String {
        let mut hash = Context::new(&SHA256);
        cells.iter().for_each(|cell| cell.feed(&mut hash));
        hex(hash.finish().as_ref())
    }

    #[test]
    fn values_that_look_alike_have_different_hashes() {
        let text = |text: &str| Cell::Text(text.to_owned());
        let rows = [
            vec![text("ab"), text("c")],
            vec![text("a"), text("bc")],
            vec![text("abc"), text("")],
            vec![text("abc"), Cell::Absent],
            vec![Cell::Bytes(b"abc".to_vec()), Cell::Absent],
            vec![Cell::Number(0), Cell::Absent],
            vec![Cell::Number(1), Cell::Absent],
            vec![Cell::Number(-1), Cell::Absent],
        ];
        let hashes: std::collections::BTreeSet<_> = rows.iter().map(|row| hash(row)).collect();
        assert_eq!(hashes.len(), rows.len());
    }
}
