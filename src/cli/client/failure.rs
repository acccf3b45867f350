//! How a command can end otherwise than well, and the exit code of each end.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use tonic::{Code, Status};

use super::output::Format;
use super::refusal::Refusal;
use super::screen::Screen;

/// What the exit codes mean; the help shows it.
pub(in crate::cli) const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed, or not healthy; 2 the command line is wrong;
3 not found; 4 refused, or not in this state; 5 not allowed; 6 not available
now; 7 a value is not valid; 78 the configuration is wrong, and every problem
has been told.";

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(super) enum Failure {
    /// The service said no.
    Refused(Box<Refusal>),
    /// Nobody answers there.
    Unreachable { server: String, cause: String },
    /// The answer took too long.
    TimedOut { server: String, after: Duration },
    /// The command line lacks something that was needed.
    CommandLine(String),
    /// It was done, and what came of it is a failure.
    Ended(String),
    /// Whoever was asked for consent did not give it.
    Declined,
    /// Whoever read the output has left.
    ReaderLeft,
    /// The output cannot be written.
    Output(std::io::Error),
    /// Something that cannot happen did.
    Internal(anyhow::Error),
}

impl Failure {
    /// A connection that could not be made.
    pub(super) fn unreachable(server: &str, error: &dyn Error) -> Self {
        let mut root = error;
        while let Some(source) = root.source() {
            root = source;
        }
        Self::Unreachable { server: server.to_owned(), cause: root.to_string() }
    }

    /// Whether the service said no because it does not know the question.
    pub(super) fn is_unknown_call(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == Code::Unimplemented)
    }

    /// Tells it on standard error, and returns its exit code.
    pub(super) fn tell(&self, format: Format) -> ExitCode {
        if !matches!(self, Self::ReaderLeft) {
            match format {
                Format::Table => {
                    let told = format!("customer-guard: {}", self.text());
                    eprintln!("{}", Screen::of_stderr().wrapped_lines(&told));
                }
                Format::Json => eprintln!("{}", self.json()),
            }
        }
        ExitCode::from(self.exit_code())
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::ReaderLeft => 0,
            Self::Ended(_) | Self::Declined | Self::Output(_) | Self::Internal(_) => 1,
            Self::CommandLine(_) => 2,
            Self::Unreachable { .. } | Self::TimedOut { .. } => 6,
            Self::Refused(refusal) => match refusal.code {
                Code::NotFound => 3,
                Code::FailedPrecondition | Code::Aborted | Code::AlreadyExists => 4,
                Code::PermissionDenied | Code::Unauthenticated => 5,
                Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => 6,
                Code::InvalidArgument | Code::OutOfRange => 7,
                Code::Ok | Code::Cancelled | Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => 1,
            },
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.text(),
            Self::Unreachable { server, cause } => format!(
                "nothing answers at {server}: {cause}\n  \
                 Is `customer-guard serve` or `customer-guard demo` running? \
                 --server or CUSTOMER_GUARD_SERVER says where."
            ),
            Self::TimedOut { server, after } => {
                format!("{server} gave no answer within {after:?}\n  --timeout says how long to wait.")
            }
            Self::CommandLine(what) | Self::Ended(what) => what.clone(),
            Self::Declined => "nothing was changed".to_owned(),
            Self::ReaderLeft => String::new(),
            Self::Output(error) => format!("the answer cannot be written: {error}"),
            Self::Internal(error) => format!("{error:#}"),
        }
    }

    fn json(&self) -> String {
        let code = match self {
            Self::Refused(refusal) => return refusal.json(),
            Self::Unreachable { .. } => "UNAVAILABLE",
            Self::TimedOut { .. } => "DEADLINE_EXCEEDED",
            Self::CommandLine(_) => "INVALID_ARGUMENT",
            Self::Declined => "CANCELLED",
            Self::Ended(_) | Self::ReaderLeft | Self::Output(_) | Self::Internal(_) => "UNKNOWN",
        };
        // What follows the first line is advice for people.
        let text = self.text();
        serde_json::json!({ "code": code, "message": text.lines().next().unwrap_or_default() }).to_string()
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(Refusal::of(&status)))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_exit_code() {
        let refused = |code| Failure::from(Status::new(code, "")).exit_code();
        let codes = [
            (Code::NotFound, 3),
            (Code::Aborted, 4),
            (Code::AlreadyExists, 4),
            (Code::FailedPrecondition, 4),
            (Code::PermissionDenied, 5),
            (Code::ResourceExhausted, 6),
            (Code::Unavailable, 6),
            (Code::InvalidArgument, 7),
            (Code::Internal, 1),
            (Code::Unimplemented, 1),
        ];
        for (code, exit) in codes {
            assert_eq!(refused(code), exit, "{code:?}");
        }
        assert_eq!(Failure::ReaderLeft.exit_code(), 0);
        assert_eq!(Failure::CommandLine(String::new()).exit_code(), 2);
    }
}
