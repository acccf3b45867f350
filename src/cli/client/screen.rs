//! What is written on: how wide it is, whether it shows colours, and text that cannot harm it.

use std::fmt::Write;
use std::io::IsTerminal;

use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Below this nothing can be laid out; text then runs over the edge instead.
const NARROWEST: usize = 40;

/// What standard output is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Screen {
    /// Its width; `None` when it is no terminal and everything is written in full.
    pub(super) width: Option<usize>,
    /// Whether it shows colours.
    pub(super) colored: bool,
}

/// What a piece of text is, for its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    #[default]
    Plain,
    Heading,
    Faint,
    Good,
    Uneasy,
    Bad,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Heading => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Uneasy => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
        }
    }
}

impl Screen {
    /// Standard output as it is. `NO_COLOR` and its like are heeded.
    pub(super) fn of_stdout() -> Self {
        let out = std::io::stdout();
        let columns = terminal_size::terminal_size_of(&out).map(|(width, _)| usize::from(width.0).max(NARROWEST));
        let is_terminal = out.is_terminal();
        let colored = is_terminal && AutoStream::choice(&out) != ColorChoice::Never;
        Self { width: columns.filter(|_| is_terminal), colored }
    }

    /// Standard error as it is; what it shows has no colours.
    pub(super) fn of_stderr() -> Self {
        let columns = terminal_size::terminal_size_of(std::io::stderr());
        Self { width: columns.map(|(width, _)| usize::from(width.0).max(NARROWEST)), colored: false }
    }

    /// Lines that are wrapped one by one; what goes on below a line stands further in than it.
    pub(super) fn wrapped_lines(self, text: &str) -> String {
        let mut all = Vec::new();
        for line in text.lines() {
            let indent = line.len() - line.trim_start().len();
            let mut lead = " ".repeat(indent);
            for part in self.wrapped(line.trim_start(), indent + 2) {
                all.push(format!("{lead}{part}"));
                lead = " ".repeat(indent + 2);
            }
        }
        all.join("\n")
    }

    /// The text in its tone.
    pub(super) fn toned(self, text: &str, tone: Tone) -> String {
        let style = tone.style();
        match self.colored && tone != Tone::Plain && !text.is_empty() {
            true => format!("{style}{text}{style:#}"),
            false => text.to_owned(),
        }
    }

    /// Words over as many lines as they need, each below `indent` columns of room.
    pub(super) fn wrapped(self, text: &str, indent: usize) -> Vec<String> {
        let Some(width) = self.width else { return vec![text.to_owned()] };
        let room = width.saturating_sub(indent).max(NARROWEST / 2);
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            match lines.last_mut() {
                Some(line) if line.width() + 1 + word.width() <= room => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
        }
        lines
    }
}

/// The text without what would steer a terminal: values come from people and from elsewhere.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// The text in at most `room` columns, with an ellipsis where something is missing.
pub(super) fn shortened(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 1;
    for letter in text.chars() {
        used += letter.width().unwrap_or(0);
        if used > room {
            break;
        }
        short.push(letter);
    }
    let end = short.trim_end().len();
    short.truncate(end);
    short.push('…');
    short
}

/// As `shortened`, and what is missing is the beginning: for paths, whose end tells them apart.
pub(super) fn shortened_in_front(text: &str, room: usize) -> String {
    let reversed = |text: &str| text.chars().rev().collect::<String>();
    reversed(&shortened(&reversed(text), room))
}

/// The text and as many spaces as bring it to `width`.
pub(super) fn padded(text: &str, shown: &str, width: usize) -> String {
    let mut padded = text.to_owned();
    // Invariant: writing to a String cannot fail.
    let _ = write!(padded, "{:1$}", "", width.saturating_sub(shown.width()));
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shortened_by_columns_and_not_by_letters() {
        assert_eq!(shortened("Rundāle Bakery", 14), "Rundāle Bakery");
        assert_eq!(shortened("Rundāle Bakery", 9), "Rundāle…");
        assert_eq!(shortened_in_front("billingProfile.defaultAddress.city", 20), "…defaultAddress.city");
        assert_eq!(shortened("東京商事株式会社", 8).width(), 7);
    }

    #[test]
    fn what_steers_a_terminal_is_taken_out() {
        assert_eq!(harmless("a\u{1b}[31mred\nb"), "a [31mred b");
    }

    #[test]
    fn colours_are_for_screens_that_show_them() {
        assert_eq!(Screen::default().toned("x", Tone::Bad), "x");
        let colored = Screen { colored: true, ..Screen::default() };
        assert_eq!(colored.toned("x", Tone::Bad), "\u{1b}[31mx\u{1b}[0m");
    }

    #[test]
    fn words_wrap_within_the_width() {
        let screen = Screen { width: Some(40), colored: false };
        assert_eq!(screen.wrapped("one two three four five six", 20), ["one two three four", "five six"]);
        assert_eq!(Screen::default().wrapped("one two", 20), ["one two"]);
        let told = "customer-guard: the service cannot be asked now\n  Try again in a moment or in two, as you like.";
        let wrapped =
            "customer-guard: the service cannot be\n  asked now\n  Try again in a moment or in two, as\n    you like.";
        assert_eq!(screen.wrapped_lines(told), wrapped);
    }
}
