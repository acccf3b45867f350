//! Help that fits and teaches, and completions that know every command.

use std::collections::BTreeSet;

use super::{output, stdout};

/// Every command that asks, and the commands below them.
const ASKING: [&str; 27] = [
    "get",
    "list",
    "lookup",
    "explain",
    "ownership",
    "status",
    "sync",
    "refresh",
    "watch",
    "holds",
    "holds list",
    "holds approve",
    "holds dismiss",
    "decisions",
    "decisions list",
    "decisions get",
    "links",
    "links list",
    "links accept",
    "links dismiss",
    "links undo",
    "pause",
    "resume",
    "accounts",
    "accounts check",
    "runs",
    "runs list",
];
/// And those that run the service.
const RUNNING: [&str; 8] = ["serve", "demo", "migrate", "config", "audit", "healthcheck", "completions", "version"];

#[test]
fn every_help_fits_80_columns_and_teaches_by_example() {
    let first = output(&["--help"]);
    for name in ASKING.iter().chain(&RUNNING).filter(|name| !name.contains(' ')) {
        assert!(stdout(&first).contains(&format!("\n  {name} ")), "{name} is not in the help");
    }
    for heading in ["Run the service:", "Ask a running service:", "Exit codes:"] {
        assert!(stdout(&first).contains(heading), "{heading}");
    }
    let others =
        ["serve", "demo", "migrate", "config", "config check", "audit", "audit verify", "healthcheck", "completions"];
    for name in ASKING.iter().chain(&others).chain(&["accounts list", "accounts get", "runs get", ""]) {
        let arguments: Vec<_> = name.split_whitespace().chain(["--help"]).collect();
        let help = output(&arguments);
        assert_eq!(help.status.code(), Some(0), "{name}");
        let wide: Vec<_> = stdout(&help).lines().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{name}: {wide:#?}");
        let is_family = stdout(&help).contains("\nCommands:");
        assert!(is_family || stdout(&help).contains("Examples:\n"), "{name} shows no example");
    }
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = output(&["completions", shell]);
        assert_eq!(script.status.code(), Some(0), "{shell}");
        let words: BTreeSet<_> =
            stdout(&script).split(|letter: char| !letter.is_alphanumeric() && letter != '-').collect();
        for name in ASKING.iter().chain(&RUNNING).flat_map(|name| name.split(' ')) {
            assert!(words.contains(name), "{shell} does not know {name}");
        }
        assert!(stdout(&script).contains("customer-guard"));
    }
}
