//! The commands that ask a running service, as people and scripts meet them: through pipes.
//!
//! What a terminal shows depends on its width, and is tested where it is laid out.

mod against_the_demo;
mod demo;
mod help;
mod nobody;
mod played;
mod watching;
mod with_a_played_service;

use std::process::{Command, Output, Stdio};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_customer-guard"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> Output {
    program(arguments).output().expect("the program starts")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("text")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("text")
}
