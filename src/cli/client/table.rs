//! Tables that fit: which columns there is room for, how wide each is, and what is shortened.

use unicode_width::UnicodeWidthStr;

use super::screen::{Screen, Tone, harmless, padded, shortened, shortened_in_front};

/// Between two columns.
const GAP: usize = 2;
/// Where nothing is shortened, one very long value must not push everything behind it out of sight: others are padded to
/// no more than this.
const PADDED: usize = 40;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    heading: &'static str,
    /// Columns of a higher rank are left out first when there is no room; rank 0 never is.
    rank: u8,
    /// To how many columns of the screen it may be shortened; `None` when it is always whole.
    shortest: Option<usize>,
    right: bool,
    /// Whether its beginning goes when it is shortened, and not its end.
    keeps_end: bool,
    /// Whether it goes below its row, whole, when the row has no room for it.
    folds: bool,
}

impl Column {
    /// One that is always there, and whole: what has to be copied.
    pub(super) const fn whole(heading: &'static str) -> Self {
        Self { heading, rank: 0, shortest: None, right: false, keeps_end: false, folds: false }
    }

    /// One that may be left out, the earlier the higher its rank.
    pub(super) const fn ranked(rank: u8, heading: &'static str) -> Self {
        Self { heading, rank, shortest: None, right: false, keeps_end: false, folds: false }
    }

    /// As it is, and it may be shortened.
    pub(super) const fn shortest(self, columns: usize) -> Self {
        Self { shortest: Some(columns), ..self }
    }

    /// As it is, for paths: shortened in front.
    pub(super) const fn keeping_the_end(self) -> Self {
        Self { keeps_end: true, ..self }
    }

    /// The last one, which goes below its row where there is no room beside it.
    pub(super) const fn folding(heading: &'static str) -> Self {
        Self { folds: true, ..Self::whole(heading) }
    }

    /// As it is, for numbers.
    pub(super) const fn right(self) -> Self {
        Self { right: true, ..self }
    }
}

/// One value of a table or a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl Cell {
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        Self { text: harmless(text.as_ref()), tone: Tone::Plain }
    }

    pub(super) fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { tone, ..Self::new(text) }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Self {
        Self::new(text)
    }
}

/// A table whose columns are settled: rows that come later take the places of the first ones.
#[derive(Debug)]
pub(super) struct Table {
    screen: Screen,
    /// Each column with its width; `None` for one that is left out.
    columns: Vec<(Column, Option<usize>)>,
}

impl Table {
    /// Settles the columns by the first rows.
    pub(super) fn fitting(columns: &[Column], rows: &[Vec<Cell>], screen: Screen) -> Self {
        let widest = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.text.width()).max();
        let natural = columns.iter().enumerate().map(|(at, column)| {
            let width = column.heading.width().max(widest(at).unwrap_or(0));
            (*column, Some(width))
        });
        let mut table = Self { screen, columns: natural.collect() };
        match screen.width {
            Some(room) => {
                table.fold(room);
                table.leave_out(room);
                table.shorten(room);
            }
            None => table.columns.iter_mut().for_each(|(column, width)| {
                *width = width.map(|natural| if column.shortest.is_some() { natural.min(PADDED) } else { natural });
            }),
        }
        table
    }

    /// Takes what folds out of the rows when they are too wide.
    fn fold(&mut self, room: usize) {
        if self.needed(|_, natural| natural) > room {
            self.columns.iter_mut().filter(|(column, _)| column.folds).for_each(|(_, width)| *width = None);
        }
    }

    /// Leaves out columns, the highest rank first, until the rest has room when it is shortened.
    fn leave_out(&mut self, room: usize) {
        while self.needed(|column, natural| column.shortest.map_or(natural, |least| least.min(natural))) > room {
            let shown = self.columns.iter_mut().filter(|(column, width)| column.rank > 0 && width.is_some());
            let Some((_, width)) = shown.max_by_key(|(column, _)| column.rank) else { return };
            *width = None;
        }
    }

    /// Takes from the widest column that can give, until all have room.
    fn shorten(&mut self, room: usize) {
        while self.needed(|_, width| width) > room {
            let can_give = self.columns.iter_mut().filter_map(|(column, width)| {
                let (least, width) = (column.shortest?, width.as_mut()?);
                (*width > least).then_some(width)
            });
            let Some(widest) = can_give.max() else { return };
            *widest -= 1;
        }
    }

    fn needed(&self, width: impl Fn(&Column, usize) -> usize) -> usize {
        let shown = self.columns.iter().filter_map(|(column, natural)| Some(width(column, (*natural)?) + GAP));
        shown.sum::<usize>().saturating_sub(GAP)
    }

    /// What there was no room for.
    pub(super) fn left_out(&self) -> Vec<&'static str> {
        let hidden = self.columns.iter().filter(|(column, width)| width.is_none() && !column.folds);
        hidden.map(|(column, _)| column.heading).collect()
    }

    /// The line of headings.
    pub(super) fn headings(&self) -> String {
        let headings: Vec<_> =
            self.columns.iter().map(|(column, _)| Cell::toned(column.heading, Tone::Heading)).collect();
        self.row(&headings)
    }

    /// One row, and below it what folds.
    pub(super) fn line(&self, cells: &[Cell]) -> String {
        let mut line = self.row(cells);
        let folded = self.columns.iter().zip(cells).filter(|((column, width), _)| column.folds && width.is_none());
        for ((column, _), cell) in folded.filter(|(_, cell)| !cell.text.is_empty()) {
            let text = format!("  {}: {}", column.heading.to_lowercase(), cell.text);
            line.push_str(&format!("{}\n", self.screen.wrapped_lines(&text)));
        }
        line
    }

    fn row(&self, cells: &[Cell]) -> String {
        let shown = self.columns.iter().zip(cells).filter_map(|((column, width), cell)| {
            let text = match (self.screen.width, (*width)?) {
                // A later row may be wider than the first ones: on a terminal it is shortened, elsewhere it is whole.
                (Some(_), width) if column.shortest.is_some() && column.keeps_end => {
                    shortened_in_front(&cell.text, width)
                }
                (Some(_), width) if column.shortest.is_some() => shortened(&cell.text, width),
                (_, _) => cell.text.clone(),
            };
            let toned = self.screen.toned(&text, cell.tone);
            let width = (*width)?;
            let lead = if column.right { width.saturating_sub(text.width()) } else { 0 };
            Some(format!("{:lead$}{}", "", padded(&toned, &text, width - lead)))
        });
        let line = shown.collect::<Vec<_>>().join(&" ".repeat(GAP));
        format!("{}\n", line.trim_end())
    }

    /// A whole table.
    pub(super) fn whole(columns: &[Column], rows: &[Vec<Cell>], screen: Screen) -> String {
        let table = Self::fitting(columns, rows, screen);
        let lines = rows.iter().map(|row| table.line(row));
        [table.headings()].into_iter().chain(lines).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::whole("ID"),
        Column::ranked(1, "COMPANY").shortest(8),
        Column::ranked(3, "DOMAIN").shortest(10),
        Column::ranked(2, "COUNT").right(),
    ];

    fn rows() -> Vec<Vec<Cell>> {
        vec![
            vec!["contoso/0001".into(), "Rundāle Bakery and Sons".into(), "bakery.example".into(), "7".into()],
            vec!["contoso/0002".into(), "Ann".into(), "ann.example".into(), "1234".into()],
        ]
    }

    fn at(width: Option<usize>) -> String {
        Table::whole(&COLUMNS, &rows(), Screen { width, colored: false })
    }

    #[test]
    fn with_room_everything_is_shown() {
        let text = "ID            COMPANY                  DOMAIN          COUNT\n\
                    contoso/0001  Rundāle Bakery and Sons  bakery.example      7\n\
                    contoso/0002  Ann                      ann.example      1234\n";
        assert_eq!(at(None), text);
        assert_eq!(at(Some(80)), text);
    }

    #[test]
    fn with_less_room_the_wide_is_shortened_and_then_columns_are_left_out() {
        let shortened = "ID            COMPANY         DOMAIN          COUNT\n\
                         contoso/0001  Rundāle Baker…  bakery.example      7\n\
                         contoso/0002  Ann             ann.example      1234\n";
        assert_eq!(at(Some(51)), shortened);
        let left_out = "ID            COMPANY              COUNT\n\
                        contoso/0001  Rundāle Bakery and…      7\n\
                        contoso/0002  Ann                   1234\n";
        assert_eq!(at(Some(40)), left_out);
    }

    #[test]
    fn in_a_pipe_one_long_value_stands_out_and_pads_no_other() {
        let columns = [Column::whole("ID"), Column::ranked(1, "COMPANY").shortest(8), Column::whole("STATE")];
        let long = "x".repeat(60);
        let rows = [vec!["1".into(), (&long).into(), "a".into()], vec!["2".into(), "Ann".into(), "b".into()]];
        let expected = format!("ID  COMPANY{0:35}STATE\n1   {long}  a\n2   Ann{0:39}b\n", "");
        assert_eq!(Table::whole(&columns, &rows, Screen::default()), expected);
    }

    #[test]
    fn what_folds_goes_below_its_row_where_there_is_no_room() {
        let columns = [Column::whole("ID"), Column::folding("LOOKS LIKE")];
        let rows = [vec!["contoso/0001".into(), "contoso/0002 (same domain)".into()]];
        let at = |width| Table::whole(&columns, &rows, Screen { width: Some(width), colored: false });
        assert_eq!(at(60), "ID            LOOKS LIKE\ncontoso/0001  contoso/0002 (same domain)\n");
        let table = Table::fitting(&columns, &rows, Screen { width: Some(39), colored: false });
        assert_eq!(at(39), "ID\ncontoso/0001\n  looks like: contoso/0002 (same\n    domain)\n");
        assert!(table.left_out().is_empty());
    }

    #[test]
    fn nothing_is_wider_than_the_screen_and_ids_stay_whole() {
        for width in 40..100 {
            let text = at(Some(width));
            assert!(text.lines().all(|line| line.width() <= width), "{width}\n{text}");
            assert!(text.contains("contoso/0001"));
        }
    }
}
