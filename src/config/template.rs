//! Writes a configuration file that says everything there is to say, with every default.

use std::fmt::Write;

use crate::config::problem::wrapped;
use crate::config::settings::{self, ACCOUNTS_VARIABLE, FILE_VARIABLE, Fallback, Scope, Setting};

const HEAD: &str = "\
# Configuration of Customer Guard.
#
# Every setting is below, with its default and the variable that sets it too.
# Take the # in front of one away to change it. A variable of the environment
# wins over this file, and an option of the command line over both.
# `customer-guard config check` tells every problem at once.
";

const ACCOUNTS: &str = "\
# Partner accounts: one table for each connection to Microsoft Partner Center,
# [partner_accounts.ID]. The id is the account's name in the API: lower-case
# letters, digits and hyphens. In variables it stands in capitals, with _ for -.
";

/// The text of such a file.
pub fn template() -> String {
    let mut text = HEAD.to_owned();
    write_line(&mut text, &format!("#\n# This file is found by --config FILE or {FILE_VARIABLE}=FILE."));
    for setting in settings::of_service() {
        describe(&mut text, setting, None);
    }
    text.push('\n');
    text.push_str(ACCOUNTS);
    for line in wrapped(
        &format!(
            "{ACCOUNTS_VARIABLE}=contoso,northwind says which accounts are served; without it all that have a table are."
        ),
        76,
    ) {
        write_line(&mut text, &format!("# {line}"));
    }
    write_line(&mut text, "\n#[partner_accounts.contoso]");
    for setting in settings::of_account().filter(|setting| setting.scope == Scope::Account) {
        describe(&mut text, setting, Some("CONTOSO"));
    }
    text.push('\n');
    let shared: Vec<_> =
        settings::of_account().filter(|setting| setting.scope != Scope::Account).map(|setting| setting.key).collect();
    for line in wrapped(&format!("An account may have its own {}; otherwise they are as above.", shared.join(", ")), 76)
    {
        write_line(&mut text, &format!("# {line}"));
    }
    text
}

fn describe(text: &mut String, setting: &Setting, account: Option<&str>) {
    let (remark, value) = match setting.fallback {
        Fallback::Required => (" Required.".to_owned(), setting.example),
        Fallback::Value(value) => (String::new(), value),
        Fallback::Derived(from) => (format!(" Default: {from}."), setting.example),
    };
    text.push('\n');
    for line in wrapped(&format!("{}{remark}", setting.doc), 76) {
        write_line(text, &format!("# {line}"));
    }
    write_line(text, &format!("# {}", setting.variable(account)));
    write_line(text, &format!("#{}", setting.assignment(value)));
}

fn write_line(text: &mut String, line: &str) {
    // Invariant: writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}
