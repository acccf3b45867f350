//! The help's first page: the commands in two groups, by who uses them.

use std::fmt::Write;

use clap::Command;

/// The commands that run the service; all others ask one.
const RUN: [&str; 9] =
    ["serve", "demo", "migrate", "config", "audit", "store", "healthcheck", "completions", "version"];

/// The command line with its help in groups.
pub(super) fn grouped(command: Command) -> Command {
    let header = *command.get_styles().get_header();
    let literal = *command.get_styles().get_literal();
    let listed: Vec<(String, String)> = command
        .get_subcommands()
        .map(|sub| (sub.get_name().to_owned(), sub.get_about().map(ToString::to_string).unwrap_or_default()))
        .collect();
    let width = listed.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let group = |heading: &str, runs: bool| {
        let mut text = format!("{header}{heading}:{header:#}\n");
        for (name, about) in listed.iter().filter(|(name, _)| RUN.contains(&name.as_str()) == runs) {
            // Invariant: writing to a String cannot fail.
            let _ = writeln!(text, "  {literal}{name:width$}{literal:#}  {about}");
        }
        text
    };
    let template = format!(
        "{{before-help}}{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}\n{}\n{header}Options:{header:#}\n\
         {{options}}{{after-help}}",
        group("Run the service", true),
        group("Ask a running service", false),
    );
    command.help_template(template)
}
