//! The program: reads the command line, does what it says, and ends with its exit code. Nothing else.

#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    cli::run(cli::Arguments::of_process()).await
}
