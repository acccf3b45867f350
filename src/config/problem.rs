//! What is wrong with a configuration, all of it at once, for the person who has to mend it.

use std::fmt;

/// What fits a line of 80 columns beside the number and the indent.
const WIDTH: usize = 75;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting's name in the file, or the file itself.
    pub key: String,
    /// The variable that sets it; empty if none does.
    pub variable: String,
    /// What is wrong. Never holds a value that may not be printed.
    pub what: String,
    /// A line that would be right; empty if there is none.
    pub example: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.key)?;
        if !self.variable.is_empty() {
            let fits = self.key.len() + self.variable.len() + 3 <= WIDTH;
            write!(out, "{}({})", if fits { " " } else { "\n     " }, self.variable)?;
        }
        for line in wrapped(&self.what, WIDTH) {
            write!(out, "\n     {line}")?;
        }
        if !self.example.is_empty() {
            write!(out, "\n     Example: {}", self.example)?;
        }
        Ok(())
    }
}

/// Everything that is wrong; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => out.write_str("the configuration has 1 problem")?,
            count => write!(out, "the configuration has {count} problems")?,
        }
        for (number, problem) in (1..).zip(&self.0) {
            write!(out, "\n\n{number:>3}. {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Breaks text into lines of at most `width` characters, between words.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}
