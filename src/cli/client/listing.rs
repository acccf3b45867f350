//! Lists of any length: page after page, as one table or one JSON array.

use clap::Args;
use prost::{Message, Name};

use super::failure::Failure;
use super::json;
use super::output::{Output, write};
use super::table::{Cell, Column, Table};

/// The most that a page can hold.
const PAGE: usize = 1000;

/// How much of a list is wanted.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Limit {
    /// At most this many
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,
    /// All of them, however many pages that takes
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// One page: what it holds, and the token of the next.
pub(super) type Page<T> = (Vec<T>, String);

/// Prints a list while its pages arrive; `row` makes the cells of `columns`.
pub(super) async fn print<M: Message + Name>(
    output: Output,
    limit: Limit,
    columns: &[Column],
    row: impl Fn(&M) -> Vec<Cell>,
    mut page: impl AsyncFnMut(i32, String) -> Result<Page<M>, Failure>,
) -> Result<(), Failure> {
    let mut listing = Listing::new(output, columns);
    let mut left = if limit.all { usize::MAX } else { limit.limit };
    let mut token = String::new();
    while left > 0 {
        // Invariant: a page is at most 1000.
        let size = i32::try_from(left.min(PAGE)).unwrap_or(i32::MAX);
        let (items, next) = page(size, token).await?;
        left = left.saturating_sub(items.len());
        listing.add(&items, &row)?;
        token = next;
        if token.is_empty() {
            break;
        }
    }
    listing.end(!token.is_empty())
}

/// A list under way.
struct Listing<'a> {
    output: Output,
    columns: &'a [Column],
    table: Option<Table>,
    count: usize,
}

impl<'a> Listing<'a> {
    fn new(output: Output, columns: &'a [Column]) -> Self {
        Self { output, columns, table: None, count: 0 }
    }

    fn add<M: Message + Name>(&mut self, items: &[M], row: &impl Fn(&M) -> Vec<Cell>) -> Result<(), Failure> {
        if items.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        if self.output.is_json() {
            for item in items {
                text.push_str(if self.count == 0 { "[\n" } else { ",\n" });
                text.push_str(&indented(&json::pretty(item)?));
                self.count += 1;
            }
        } else {
            let rows: Vec<_> = items.iter().map(row).collect();
            let table = self.table.get_or_insert_with(|| {
                let table = Table::fitting(self.columns, &rows, self.output.screen);
                text.push_str(&table.headings());
                table
            });
            text.extend(rows.iter().map(|row| table.line(row)));
            self.count += items.len();
        }
        write(&text)
    }

    fn end(self, more: bool) -> Result<(), Failure> {
        if self.output.is_json() {
            return write(if self.count == 0 { "[]\n" } else { "\n]\n" });
        }
        if self.count == 0 {
            self.output.remark("None.");
        }
        if more {
            self.output.remark(&format!("The first {}; --limit COUNT or --all for more.", self.count));
        }
        if let Some(left_out) = self.table.map(|table| table.left_out()).filter(|left_out| !left_out.is_empty()) {
            self.output.remark(&format!("No room for {}; --output json has everything.", left_out.join(", ")));
        }
        Ok(())
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
