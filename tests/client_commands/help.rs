//! Help that fits and teaches, and completions that know every command.

use std::collections::BTreeSet;
use std::process::Command;

use super::{output, stdout};

/// Every command that asks, and the commands below them.
const ASKING: [&str; 30] = [
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
    "accounts trial",
    "accounts accept-credentials",
    "resellers",
    "runs",
    "runs list",
];
/// And those that run the service.
const RUNNING: [&str; 9] =
    ["serve", "demo", "migrate", "config", "audit", "store", "healthcheck", "completions", "version"];

#[test]
fn every_help_fits_80_columns_and_teaches_by_example() {
    let first = output(&["--help"]);
    for name in ASKING.iter().chain(&RUNNING).filter(|name| !name.contains(' ')) {
        assert!(stdout(&first).contains(&format!("\n  {name} ")), "{name} is not in the help");
    }
    for heading in ["Run the service:", "Ask a running service:", "Exit codes:"] {
        assert!(stdout(&first).contains(heading), "{heading}");
    }
    let others = [
        "serve",
        "demo",
        "migrate",
        "config",
        "config check",
        "audit",
        "audit verify",
        "store",
        "store copy",
        "store verify",
        "healthcheck",
        "completions",
    ];
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

#[test]
fn bash_completes_what_comes_after_a_command() {
    let script = output(&["completions", "bash"]);
    let function = stdout(&script).split('(').next().expect("the script begins with a function");
    let completed = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let cursor = words.len() - 1;
        let quoted = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let (now, before) = (words[cursor], words[cursor - 1]);
        let asked = format!(
            "{}\nCOMP_WORDS=({quoted}); COMP_CWORD={cursor}\n{function} customer-guard '{now}' '{before}'\necho \"${{COMPREPLY[@]}}\"",
            stdout(&script)
        );
        let told = Command::new("bash").args(["--norc", "-c", &asked]).output().expect("bash is there");
        String::from_utf8(told.stdout).expect("a text")
    };
    for (line, word) in [
        ("customer-guard ho", "holds"),
        ("customer-guard holds app", "approve"),
        ("customer-guard watch --fr", "--from-now"),
        ("customer-guard links list --out", "--output"),
    ] {
        let words = completed(line);
        assert!(words.split_whitespace().any(|completed| completed == word), "{line}: {words}");
    }
}
