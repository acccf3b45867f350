//! Notes names that are no setting, with the one that may have been meant. Their values are never shown.

use toml::Value;

use crate::config::problem::Problem;
use crate::config::reader::Reader;
use crate::config::settings::{self, ACCOUNT_PREFIX, ACCOUNTS_TABLE, ACCOUNTS_VARIABLE, FILE_VARIABLE, PREFIX};
use crate::config::spelling::closest;
use crate::domain::ids::PartnerAccountId;

/// What somebody writes who puts the secret itself into the configuration.
const SECRET_ITSELF: &str = "client_secret";

/// Notes what the file holds that is no setting.
pub(super) fn note_in_file(reader: &mut Reader<'_>) {
    let mut problems = Vec::new();
    let known: Vec<&str> = settings::of_service().map(|setting| setting.key).chain([ACCOUNTS_TABLE]).collect();
    for key in reader.table.keys().filter(|key| !known.contains(&key.as_str())) {
        problems.push(unknown(key, key, &known));
    }
    let known: Vec<&str> = settings::of_account().map(|setting| setting.key).collect();
    match reader.table.get(ACCOUNTS_TABLE) {
        None => {}
        Some(Value::Table(accounts)) => {
            for (id, account) in accounts {
                let path = format!("{ACCOUNTS_TABLE}.{id}");
                let Value::Table(account) = account else {
                    problems.push(no_table(path));
                    continue;
                };
                for key in account.keys().filter(|key| !known.contains(&key.as_str())) {
                    problems.push(unknown(&format!("{path}.{key}"), key, &known));
                }
            }
        }
        Some(_) => problems.push(no_table(ACCOUNTS_TABLE.to_owned())),
    }
    for problem in problems {
        reader.note_problem(problem);
    }
}

/// Notes variables that are no setting. A strange one that resembles none is let pass: container platforms set
/// variables such as `CUSTOMER_GUARD_SERVICE_HOST` of their own accord.
pub(super) fn note_in_environment(reader: &mut Reader<'_>, accounts: &[PartnerAccountId]) {
    let mut known: Vec<String> = settings::of_service().map(|setting| setting.variable(None)).collect();
    known.extend([FILE_VARIABLE.to_owned(), ACCOUNTS_VARIABLE.to_owned()]);
    for name in reader.sources.environment.names() {
        let what = if name.starts_with(ACCOUNT_PREFIX) {
            wrong_with_account_variable(name, accounts)
        } else {
            wrong_with_variable(name, known.iter().map(String::as_str))
        };
        if let Some(what) = what {
            let (key, variable, example) = (name.to_owned(), String::new(), String::new());
            reader.note_problem(Problem { key, variable, what, example });
        }
    }
}

fn wrong_with_variable<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    if known.clone().any(|known| known == name) {
        return None;
    }
    // The beginning that all names share must not make them alike.
    let tail = |name: &'a str| name.strip_prefix(PREFIX).unwrap_or(name);
    let suggestion = closest(name.strip_prefix(PREFIX)?, known.map(tail))?;
    meant(Some(&format!("{PREFIX}{suggestion}")))
}

fn wrong_with_account_variable(name: &str, accounts: &[PartnerAccountId]) -> Option<String> {
    let mut nearest = None;
    for account in accounts {
        let known: Vec<_> = settings::of_account().map(|setting| setting.variable(Some(account.as_str()))).collect();
        if known.iter().any(|known| known == name) {
            return None;
        }
        if name.starts_with(&account_variable(account, "")) {
            let given = name.strip_prefix(&account_variable(account, "")).unwrap_or_default().to_lowercase();
            let suggestion = closest(&given, settings::of_account().map(|setting| setting.key));
            nearest = suggestion.map(|key| account_variable(account, &key.to_uppercase())).or(nearest);
        }
    }
    let of_nobody = || format!("is no setting of an account that is served; {ACCOUNTS_VARIABLE} lists the accounts");
    Some(meant(nearest.as_deref()).unwrap_or_else(of_nobody))
}

fn account_variable(account: &PartnerAccountId, key: &str) -> String {
    format!("{ACCOUNT_PREFIX}{}_{key}", account.as_str().to_uppercase().replace('-', "_"))
}

fn unknown(path: &str, key: &str, known: &[&str]) -> Problem {
    let what = if key == SECRET_ITSELF {
        "is no setting: write the secret into a file that only its owner may read, and name the file in \
         client_secret_file"
            .to_owned()
    } else {
        meant(closest(key, known.iter().copied()))
            .unwrap_or_else(|| format!("is no setting; there are {}", known.join(", ")))
    };
    Problem { key: path.to_owned(), variable: String::new(), what, example: String::new() }
}

fn meant(suggestion: Option<&str>) -> Option<String> {
    suggestion.map(|name| format!("is no setting; did you mean {name}?"))
}

fn no_table(key: String) -> Problem {
    let what = "is no table".to_owned();
    Problem { key, variable: String::new(), what, example: "[partner_accounts.contoso]".to_owned() }
}
