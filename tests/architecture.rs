//! The shape of the code: who may name whom, which crates live where, and what a file must be like.
//!
//! Changing the shape means changing the tables below in the same commit; that is the point.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every module of the library, and the modules it may name.
const MAY_NAME: [(&str, &[&str]); 16] = [
    // Bugs on purpose, in no normal build; whoever has one names it by the macro.
    ("planted", &[]),
    ("clock", &[]),
    ("domain", &["clock"]),
    // Knows what a sealed secret is, and nothing of whose it is.
    ("sealing", &[]),
    // By what an application proves who it is; knows nothing of whose it is.
    ("sign_in", &["clock", "domain"]),
    ("store", &["clock", "domain", "sealing"]),
    ("operations", &["clock", "domain", "sealing", "sign_in", "store"]),
    ("partner_center", &["clock", "domain", "sign_in"]),
    // HTTP in from Microsoft: it knows nothing of the sync, nor of the client of Partner Center.
    ("webhook", &["clock", "domain", "store", "operations"]),
    ("sync", &["clock", "domain", "sealing", "sign_in", "store", "operations", "partner_center"]),
    ("grpc", &["clock", "domain", "sealing", "sign_in", "store", "operations"]),
    ("telemetry", &[]),
    // Of the store it names only where a database is.
    (
        "config",
        &["clock", "domain", "partner_center", "grpc", "app", "sealing", "sign_in", "store", "telemetry", "webhook"],
    ),
    (
        "app",
        &["clock", "domain", "sealing", "sign_in", "store", "operations", "partner_center", "sync", "grpc", "webhook"],
    ),
    // Plays Microsoft: it knows nothing of the service, and only the demo and the tests know it.
    ("simulator", &[]),
    (
        "cli",
        &[
            "app",
            "clock",
            "config",
            "domain",
            "grpc",
            "operations",
            "partner_center",
            "sealing",
            "sign_in",
            "simulator",
            "store",
            "telemetry",
        ],
    ),
];

/// Crates that only these modules may name.
const CONFINED: [(&str, &[&str]); 17] = [
    ("aip_160", &["domain"]),
    ("sqlx", &["store"]),
    ("tonic", &["grpc", "cli"]),
    ("prost", &["grpc", "cli"]),
    ("prost_types", &["grpc", "cli"]),
    ("prost_reflect", &["cli"]),
    // The webhook fetches certificates, and nothing else.
    ("reqwest", &["partner_center", "simulator", "webhook"]),
    ("tower", &["grpc"]),
    ("http", &["grpc"]),
    ("axum", &["simulator", "partner_center", "webhook"]),
    ("webpki", &["webhook"]),
    ("x509_parser", &["sign_in", "webhook", "simulator"]),
    ("flate2", &["simulator"]),
    ("gethostname", &["config"]),
    ("indicatif", &["cli"]),
    ("clap_complete", &["cli"]),
    ("terminal_size", &["cli"]),
];

/// Names that answer nothing.
const EMPTY_NAMES: [&str; 10] =
    ["utils", "util", "helpers", "helper", "common", "types", "misc", "models", "manager", "handlers"];

const LINES_MAX: usize = 500;

struct Source {
    path: PathBuf,
    module: String,
    text: String,
}

impl Source {
    /// The lines that are code, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = |(number, line): (usize, _)| (number + 1, line);
        self.text.lines().enumerate().map(code).filter(|(_, line): &(usize, &str)| !line.trim_start().starts_with("//"))
    }
}

fn sources() -> Vec<Source> {
    let found = files_below("src");
    assert!(found.len() > 40, "the walk finds the sources");
    found
}

/// The files of Rust below a folder.
fn files_below(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(&root).expect("below it").to_owned();
                let first = below.components().next().expect("a component").as_os_str().to_string_lossy();
                let module = first.trim_end_matches(".rs").to_owned();
                found.push(Source { text: fs::read_to_string(&path).expect("a text"), path: below, module });
            }
        }
    }
    found
}

/// The name of a race's test that begins there, and the number of the race.
fn race(text: &str) -> Option<(u32, &str)> {
    let name = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_').next()?;
    let (number, _) = name.strip_prefix('r')?.split_once('_')?;
    Some((number.parse().ok()?, name))
}

fn names_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        // A log filter in a text names a crate without using it.
        let is_part = |character: char| character.is_alphanumeric() || ['_', ':', '"', ','].contains(&character);
        !before.is_some_and(is_part) && line[at + word.len()..].starts_with("::")
    })
}

#[test]
fn a_module_names_only_the_modules_below_it() {
    let allowed: BTreeMap<_, _> = MAY_NAME.into_iter().collect();
    let mut wrong = Vec::new();
    for source in sources() {
        // The roots name everything: the library lists its modules, a binary wires them.
        if ["lib", "main", "bin"].contains(&source.module.as_str()) {
            continue;
        }
        let Some(may_name) = allowed.get(source.module.as_str()) else {
            wrong.push(format!("{} belongs to no module of the table", source.path.display()));
            continue;
        };
        for (number, line) in source.code() {
            for named in allowed.keys().filter(|named| **named != source.module && !may_name.contains(named)) {
                if line.contains(&format!("crate::{named}::")) || line.contains(&format!("customer_guard::{named}::")) {
                    wrong.push(format!("{}:{number} names {named}", source.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_confined_crate_stays_in_its_modules() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (confined, homes) in CONFINED {
            if homes.contains(&source.module.as_str()) {
                continue;
            }
            for (number, line) in source.code() {
                if names_word(line, confined) {
                    wrong.push(format!("{}:{number} names {confined}", source.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_domain_is_pure() {
    let impure = ["async ", ".await", "tokio", "serde", "std::fs", "std::net", "std::env"];
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.module == "domain") {
        for (number, line) in source.code() {
            wrong.extend(
                impure
                    .iter()
                    .filter(|word| line.contains(**word))
                    .map(|word| format!("{}:{number} {word}", source.path.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for_in_its_first_line() {
    // Files of tests belong to the file they test and follow it.
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|source| !source.text.starts_with("//! ") && !source.path.to_string_lossy().ends_with("_tests.rs"))
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn a_file_has_one_idea_and_a_name_that_tells_it() {
    let mut wrong = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!("{} has {lines} lines", source.path.display()));
        }
        let stem = source.path.file_stem().expect("a name").to_string_lossy().into_owned();
        if EMPTY_NAMES.contains(&stem.as_str()) {
            wrong.push(format!("{} says nothing by its name", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn errors_of_the_database_and_of_partner_center_are_logged_without_their_debug_form() {
    // PostgreSQL's debug form quotes the failing row.
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.module != "simulator") {
        for (number, line) in source.code() {
            if line.contains("error = ?") || line.contains("{error:?}") {
                wrong.push(format!("{}:{number}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_write_transaction_begins_in_one_place_and_immediately() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.module == "store") {
        for (number, line) in source.code() {
            let begins = line.contains(".begin(") || line.contains("begin_with(");
            if begins && !source.path.ends_with("connection.rs") {
                wrong.push(format!("{}:{number} begins a transaction", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Both engines are behind one layer: whoever asks the store something knows neither.
#[test]
fn only_the_layer_below_the_statements_names_an_engine() {
    const LAYER: [&str; 9] = [
        "connection.rs",
        "error.rs",
        "hosts.rs",
        "migrations.rs",
        "postgres.rs",
        "row.rs",
        "server.rs",
        "sqlite.rs",
        "statement.rs",
    ];
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.module == "store") {
        if LAYER.iter().any(|file| source.path.ends_with(file)) {
            continue;
        }
        for (number, line) in source.code().filter(|(_, line)| names_word(line, "sqlx")) {
            wrong.push(format!("{}:{number} {}", source.path.display(), line.trim()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Everything else of a statement is a literal. A filter becomes a question of its own; and a copy of the whole store takes the
/// tables and columns from the schema, so that none of a later migration is forgotten.
#[test]
fn only_filters_and_the_copy_of_a_store_put_statements_together() {
    const TOGETHER: [&str; 4] = ["statement.rs", "customer_query.rs", "copy/mod.rs", "copy/tables.rs"];
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.module == "store") {
        if TOGETHER.iter().any(|file| source.path.ends_with(file)) {
            continue;
        }
        for (number, _) in
            source.code().filter(|(_, line)| line.contains("composed(") || line.contains("AssertSqlSafe"))
        {
            wrong.push(format!("{}:{number}", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// The two doors: a contact is written by these statements and by nothing else.
#[test]
fn only_the_store_of_customers_writes_customers() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.module != "simulator") {
        let text = &source.text;
        let writes = ["INSERT INTO customer ", "UPDATE customer ", "DELETE FROM customer "];
        for statement in writes.iter().filter(|statement| text.contains(**statement)) {
            if !source.path.ends_with("store/customers.rs") {
                wrong.push(format!("{} has {statement}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn state_that_every_part_shares_does_not_exist() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (number, line) in source.code() {
            let shared = ["static ", "OnceLock", "LazyLock", "thread_local!"];
            let found =
                shared.iter().any(|word| line.trim_start().starts_with(word) || line.contains(&format!("pub {word}")));
            if found && !line.contains("'static") {
                wrong.push(format!("{}:{number} {}", source.path.display(), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_race_is_told_with_its_tests() {
    let tests = files_below("tests");
    let tested: BTreeSet<_> =
        tests.iter().flat_map(|file| file.text.split("async fn ").skip(1)).filter_map(race).collect();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/races.md")).expect("the page");
    let told: BTreeSet<_> = page.split('`').filter_map(race).collect();
    assert_eq!(told, tested, "docs/races.md names every test of a race");
    let numbers: BTreeSet<_> = told.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=18).collect(), "every race has a test");
}
