//! Asks before something is done that many would notice.

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;

use super::failure::Failure;

/// Consent given beforehand.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Consent {
    /// Do it without asking
    #[arg(short, long)]
    yes: bool,
}

impl Consent {
    /// Whether nobody has to be asked.
    pub(super) fn is_given(self) -> bool {
        self.yes
    }

    /// Asks on the terminal. Where there is none, `--yes` has to say it.
    pub(super) fn ask(self, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Err(Failure::CommandLine("there is no terminal to ask on: say --yes to do it".to_owned()));
        }
        eprint!("{question} [y/N] ");
        // A prompt that stays in a buffer is still answered.
        let _ = std::io::stderr().flush();
        let mut answer = String::new();
        stdin.lock().read_line(&mut answer).map_err(anyhow::Error::from)?;
        let agreed = ["y", "yes"].contains(&answer.trim().to_lowercase().as_str());
        if agreed { Ok(()) } else { Err(Failure::Declined) }
    }
}
