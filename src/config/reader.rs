//! Finds the value of a setting: flag, then environment, then file, then default; and notes every problem on the way.

use std::fmt;
use std::path::Path;

use toml::{Table, Value};

use crate::config::environment::Environment;
use crate::config::problem::{Problem, Problems};
use crate::config::settings::{ACCOUNTS_TABLE, FILE_VARIABLE, Fallback, Printing, Setting};
use crate::config::value::Wrong;
use crate::store::DatabaseAddress;

/// Where settings come from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The file; without it, the one the environment names, if it does.
    pub file: Option<&'a Path>,
    /// The environment.
    pub environment: &'a Environment,
    /// What the command line says of the service: keys and values.
    pub flags: &'a [(&'static str, String)],
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// The environment.
    Environment,
    /// The file.
    File,
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Flag => "command line",
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
        })
    }
}

/// A setting as it is, for people.
#[derive(Clone, Debug)]
pub struct EffectiveSetting {
    /// The account it is about; `None` for the service.
    pub account: Option<String>,
    /// `key = value`, without a value that may not be printed.
    pub assignment: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// A problem was noted, and there is no value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted;

/// Reads settings one by one.
pub(super) struct Reader<'a> {
    pub(super) sources: Sources<'a>,
    pub(super) table: Table,
    problems: Vec<Problem>,
    effective: Vec<EffectiveSetting>,
}

impl<'a> Reader<'a> {
    /// A reader of these sources; fails at once if the file cannot be read, as everything may be in it.
    pub(super) fn new(sources: Sources<'a>) -> Result<Self, Problems> {
        let file = sources.file.or_else(|| sources.environment.get(FILE_VARIABLE).map(Path::new));
        let table = file.map_or_else(|| Ok(Table::new()), parsed).map_err(|problem| Problems(vec![problem]))?;
        Ok(Self { sources, table, problems: Vec::new(), effective: Vec::new() })
    }

    /// What was read, or everything that is wrong.
    pub(super) fn finish(self) -> Result<Vec<EffectiveSetting>, Problems> {
        if self.problems.is_empty() { Ok(self.effective) } else { Err(Problems(self.problems)) }
    }

    /// The value of a setting that always has one.
    pub(super) fn value<T>(
        &mut self,
        setting: &Setting,
        account: Option<&str>,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Result<T, Noted> {
        if let Some(found) = self.optional(setting, account, &parse)? {
            return Ok(found);
        }
        match setting.fallback {
            Fallback::Value(text) => self.parsed_value(setting, account, text, Origin::Default, parse),
            Fallback::Required | Fallback::Derived(_) => Err(self.note(setting, account, "is required".to_owned())),
        }
    }

    /// The value of a setting, or what stands for it; `shown` is that in writing.
    pub(super) fn value_or<T>(
        &mut self,
        setting: &Setting,
        account: Option<&str>,
        fallback: T,
        shown: &str,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Result<T, Noted> {
        let found = self.optional(setting, account, parse)?;
        if found.is_none() {
            self.show(setting, account, shown, Origin::Default);
        }
        Ok(found.unwrap_or(fallback))
    }

    /// The value of a setting, if anybody set it.
    pub(super) fn optional<T>(
        &mut self,
        setting: &Setting,
        account: Option<&str>,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Noted> {
        match self.find(setting, account)? {
            Some((text, origin)) => self.parsed_value(setting, account, &text, origin, parse).map(Some),
            None => Ok(None),
        }
    }

    /// Notes what is wrong with a setting.
    pub(super) fn note(&mut self, setting: &Setting, account: Option<&str>, what: Wrong) -> Noted {
        self.note_problem(Problem {
            key: key(setting, account),
            variable: setting.variable(account),
            what,
            example: setting.assignment(setting.example),
        })
    }

    /// Notes any other problem.
    pub(super) fn note_problem(&mut self, problem: Problem) -> Noted {
        self.problems.push(problem);
        Noted
    }

    fn parsed_value<T>(
        &mut self,
        setting: &Setting,
        account: Option<&str>,
        text: &str,
        origin: Origin,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Result<T, Noted> {
        match parse(text) {
            Ok(value) => {
                self.show(setting, account, text, origin);
                Ok(value)
            }
            Err(wrong) => {
                let what = match setting.printing {
                    Printing::Allowed => format!("{text:?} from the {origin} {wrong}"),
                    Printing::WithoutCredentials => format!("{} from the {origin} {wrong}", DatabaseAddress::of(text)),
                    Printing::Forbidden => format!("the value from the {origin} {wrong}"),
                };
                Err(self.note(setting, account, what))
            }
        }
    }

    fn find(&mut self, setting: &Setting, account: Option<&str>) -> Result<Option<(String, Origin)>, Noted> {
        let flag = self.sources.flags.iter().find(|(key, _)| account.is_none() && *key == setting.key);
        if let Some((_, value)) = flag {
            return Ok(Some((value.clone(), Origin::Flag)));
        }
        if let Some(value) = self.sources.environment.get(&setting.variable(account)) {
            return Ok(Some((value.to_owned(), Origin::Environment)));
        }
        match self.in_file(setting, account) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some((text.clone(), Origin::File))),
            Some(Value::Integer(number)) => Ok(Some((number.to_string(), Origin::File))),
            Some(other) => {
                let what = format!("is a {} in the file; it is a text or a number", other.type_str());
                Err(self.note(setting, account, what))
            }
        }
    }

    fn in_file(&self, setting: &Setting, account: Option<&str>) -> Option<&Value> {
        match account {
            None => self.table.get(setting.key),
            Some(id) => self.table.get(ACCOUNTS_TABLE)?.get(id)?.get(setting.key),
        }
    }

    fn show(&mut self, setting: &Setting, account: Option<&str>, value: &str, origin: Origin) {
        let assignment = match setting.printing {
            Printing::Allowed => setting.assignment(value),
            Printing::WithoutCredentials => setting.assignment(&DatabaseAddress::of(value).to_string()),
            Printing::Forbidden => format!("{} = (not shown)", setting.key),
        };
        self.effective.push(EffectiveSetting { account: account.map(str::to_owned), assignment, origin });
    }
}

fn key(setting: &Setting, account: Option<&str>) -> String {
    match account {
        Some(id) => format!("{ACCOUNTS_TABLE}.{id}.{}", setting.key),
        None => setting.key.to_owned(),
    }
}

fn parsed(file: &Path) -> Result<Table, Problem> {
    let problem = |what| Problem {
        key: file.display().to_string(),
        variable: String::new(),
        what,
        example: "customer-guard config template > cg.toml".to_owned(),
    };
    let text = std::fs::read_to_string(file).map_err(|error| problem(format!("cannot be read: {error}")))?;
    text.parse::<Table>().map_err(|error| {
        // The error's own text quotes the line, and nobody knows what stands in it.
        let line = error.span().map_or(0, |span| 1 + text.get(..span.start).unwrap_or_default().matches('\n').count());
        problem(format!("is no TOML at line {line}: {}", error.message()))
    })
}
