//! Where answers go: standard output as text or JSON, remarks to standard error, and readers that may leave.

use std::io::{ErrorKind, Write};

use clap::ValueEnum;
use customer_guard::clock::Timestamp;
use prost::{Message, Name};

use super::failure::Failure;
use super::json;
use super::screen::Screen;

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    // Tables and records, for people.
    Table,
    // Proto3 JSON, for programs.
    Json,
}

/// How to print, and what time it is while printing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) format: Format,
    pub(super) screen: Screen,
    pub(super) now: Timestamp,
}

impl Output {
    pub(super) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Prints an answer: as JSON, or as the text that `render` makes of it.
    pub(super) fn answer<M: Message + Name>(
        self,
        message: &M,
        render: impl FnOnce(&M) -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => write(&format!("{}\n", json::pretty(message)?)),
            Format::Table => write(&render(message)),
        }
    }

    /// A remark that is no part of the answer. Programs are spared it.
    pub(super) fn remark(self, text: &str) {
        if !self.is_json() {
            eprintln!("{}", Screen::of_stderr().wrapped_lines(text));
        }
    }
}

/// Writes to standard output. A reader that has left ends the command, which is no failure.
pub(super) fn write(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::ReaderLeft,
        _ => Failure::Output(error),
    })
}
