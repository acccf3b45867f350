//! One thing, in groups of named values; what is empty is left out.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::screen::{Screen, Tone};
use super::table::Cell;

/// Marks a value that only Partner Center can change.
pub(super) const LOCK: char = '*';
/// Labels are at least so wide, so that records resemble each other.
const LABEL: usize = 12;

/// A record under construction.
#[derive(Debug, Default)]
pub(super) struct Record {
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    heading: String,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    label: String,
    value: Cell,
    locked: bool,
}

impl Record {
    /// Begins a group; one that stays empty is left out.
    pub(super) fn group(&mut self, heading: impl Into<String>) -> &mut Self {
        self.groups.push(Group { heading: heading.into(), rows: Vec::new() });
        self
    }

    /// Adds a value to the last group, unless it is empty.
    pub(super) fn row(&mut self, label: impl Into<String>, value: impl Into<Cell>) -> &mut Self {
        self.marked(false, label, value)
    }

    /// Adds a value, and whether only Partner Center can change it.
    pub(super) fn marked(&mut self, locked: bool, label: impl Into<String>, value: impl Into<Cell>) -> &mut Self {
        let (label, value) = (label.into(), value.into());
        if let Some(group) = self.groups.last_mut().filter(|_| !value.text.is_empty()) {
            group.rows.push(Row { label, value, locked });
        }
        self
    }

    /// Whether any value is marked.
    pub(super) fn has_marks(&self) -> bool {
        self.groups.iter().flat_map(|group| &group.rows).any(|row| row.locked)
    }

    /// The record as text.
    pub(super) fn text(&self, screen: Screen) -> String {
        let mut text = String::new();
        let labels = self.groups.iter().flat_map(|group| &group.rows).map(|row| row.label.width());
        let width = labels.max().unwrap_or(0).max(LABEL);
        for group in self.groups.iter().filter(|group| !group.rows.is_empty()) {
            let gap = if text.is_empty() { "" } else { "\n" };
            // Invariant: writing to a String cannot fail.
            let _ = writeln!(text, "{gap}{}", screen.toned(&group.heading, Tone::Heading));
            for row in &group.rows {
                row.write(&mut text, width, screen);
            }
        }
        text
    }
}

impl Row {
    fn write(&self, text: &mut String, width: usize, screen: Screen) {
        let mark = if self.locked { LOCK } else { ' ' };
        let pad = width.saturating_sub(self.label.width());
        let mut lead = format!("{mark} {}{:pad$}  ", self.label, "");
        for line in screen.wrapped(&self.value.text, width + 4) {
            // Invariant: writing to a String cannot fail.
            let _ = writeln!(text, "{lead}{}", screen.toned(&line, self.value.tone));
            lead = " ".repeat(width + 4);
        }
    }
}

/// A sentence below a record, wrapped; nothing when it is empty.
pub(super) fn paragraph(text: &str, screen: Screen) -> String {
    screen.wrapped(text, 0).into_iter().filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_values_and_empty_groups_are_left_out_and_locks_are_marked() {
        let mut record = Record::default();
        record.group("Identity").marked(true, "Company", "Rundāle Bakery").row("Domain", "");
        record.group("Contact").row("E-mail", "");
        record.group("Sync").row("State of things", "one two three four five six seven eight nine");
        let expected = "Identity\n\
                        * Company          Rundāle Bakery\n\
                        \n\
                        Sync\n  \
                          State of things  one two three four\n                   \
                          five six seven eight\n                   \
                          nine\n";
        assert_eq!(record.text(Screen { width: Some(40), colored: false }), expected);
        assert!(record.has_marks());
    }
}
