//! From the text of a filter to our expression: the grammar is `aip_160`'s, fields, operators and values are ours.
//!
//! What a filter could mean in two ways is refused. All problems of a well-formed filter are told at once.

use aip_160::{Arg, Comparable, Comparator, FilterError, Member, Value};
use chrono::{DateTime, Datelike, Utc};
use unicode_normalization::UnicodeNormalization;

use crate::clock::Timestamp;
use crate::domain::filter::field::{Named, UnknownField};
use crate::domain::filter::place::{Cursor, outside_quotes};
use crate::domain::filter::{
    ChoiceField, Comparison, DEPTH_MAX, Expression, FilterProblem, LENGTH_MAX, TERMS_MAX, Test, TextField, TextTest,
    TimeField,
};
use crate::domain::text;

/// Parses and binds a filter; nothing for an empty one.
pub(super) fn expression(text: &str) -> Result<Option<Expression>, Vec<FilterProblem>> {
    check_bounds(text).map_err(|problem| vec![problem])?;
    let parsed = aip_160::parse_filter_with_max_depth(text, DEPTH_MAX).map_err(|error| vec![syntax(text, &error)])?;
    let Some(root) = parsed.expression else { return Ok(None) };
    let mut binder = Binder { text, cursor: Cursor::new(text), terms: 0, problems: Vec::new() };
    let bound = binder.expression(&root);
    if binder.problems.is_empty() { Ok(bound) } else { Err(binder.problems) }
}

fn problem(text: &str, at: usize, description: impl Into<String>) -> FilterProblem {
    let position = text.get(..at).map_or(0, |before| before.chars().count());
    FilterProblem { position, description: description.into() }
}

/// What the parser is not to be bothered with, or would not tell the place of.
fn check_bounds(text: &str) -> Result<(), FilterProblem> {
    if let Some((at, _)) = text.char_indices().nth(LENGTH_MAX) {
        return Err(problem(text, at, format!("a filter has at most {LENGTH_MAX} characters")));
    }
    let forbidden = |character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t');
    if let Some(at) = text.find(forbidden) {
        return Err(problem(text, at, "control characters are not allowed"));
    }
    let mut depth = 0_usize;
    for (at, character) in outside_quotes(text) {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(problem(text, at, too_deep()));
        }
    }
    Ok(())
}

fn too_deep() -> String {
    format!("parentheses nest at most {DEPTH_MAX} deep")
}

fn syntax(text: &str, error: &FilterError) -> FilterProblem {
    match error {
        FilterError::Syntax { offset, message } => problem(text, *offset, message.clone()),
        FilterError::TooDeep { .. } => problem(text, 0, too_deep()),
        // What the crate's conversions say; parsing says neither, and the enumeration is open.
        other => problem(text, 0, other.to_string()),
    }
}

/// Binds a parsed filter to our fields, noting where it stands and what is wrong.
struct Binder<'a> {
    text: &'a str,
    cursor: Cursor<'a>,
    terms: usize,
    problems: Vec<FilterProblem>,
}

/// A value as it was said.
struct Said {
    at: usize,
    value: Result<String, &'static str>,
}

impl Binder<'_> {
    /// The expression, or nothing when it has a problem, which is noted.
    fn expression(&mut self, parsed: &aip_160::Expression) -> Option<Expression> {
        match parsed {
            aip_160::Expression::And(parts) | aip_160::Expression::Sequence(parts) => {
                self.parts(parts).map(Expression::all)
            }
            aip_160::Expression::Or(parts) => self.parts(parts).map(Expression::any),
            aip_160::Expression::Not(part) => {
                self.cursor.past_negation();
                self.expression(part).map(Expression::not)
            }
            aip_160::Expression::Restriction(restriction) => {
                let at = self.cursor.past_term();
                if matches!(restriction.comparable, Comparable::Function(_)) {
                    self.cursor.past_group();
                }
                let said = Said { at: self.cursor.past_value(), value: value(&restriction.arg) };
                let bound = restriction_of(&restriction.comparable, restriction.comparator, &said);
                self.noted(at, said.at, bound)
            }
            aip_160::Expression::Global(comparable) => {
                let at = self.cursor.past_term();
                if matches!(comparable, Comparable::Function(_)) {
                    self.cursor.past_group();
                }
                self.noted(at, at, global(comparable))
            }
        }
    }

    /// Every part is looked at, so that every problem is told.
    fn parts(&mut self, parts: &[aip_160::Expression]) -> Option<Vec<Expression>> {
        let parts: Vec<_> = parts.iter().map(|part| self.expression(part)).collect();
        parts.into_iter().collect()
    }

    fn noted(&mut self, field_at: usize, value_at: usize, bound: Result<Expression, Wrong>) -> Option<Expression> {
        self.terms += 1;
        let wrong = match (self.terms, bound) {
            (..=TERMS_MAX, Ok(bound)) => return Some(bound),
            (..=TERMS_MAX, Err(Wrong::Field(wrong))) => problem(self.text, field_at, wrong),
            (..=TERMS_MAX, Err(Wrong::Value(wrong))) => problem(self.text, value_at, wrong),
            (terms, _) if terms == TERMS_MAX + 1 => {
                problem(self.text, field_at, format!("a filter has at most {TERMS_MAX} tests"))
            }
            _ => return None,
        };
        self.problems.push(wrong);
        None
    }
}

/// What is wrong with a test, and with which side of it.
enum Wrong {
    Field(String),
    Value(String),
}

impl Wrong {
    fn field<T>(wrong: impl Into<String>) -> Result<T, Self> {
        Err(Self::Field(wrong.into()))
    }

    fn value<T>(wrong: impl Into<String>) -> Result<T, Self> {
        Err(Self::Value(wrong.into()))
    }
}

const NO_FUNCTIONS: &str = "there are no functions here";
const PRESENT: &str = "*";

fn value(arg: &Arg) -> Result<String, &'static str> {
    match arg {
        Arg::Comparable(Comparable::Member(member)) => dotted(member).ok_or("must be one value"),
        Arg::Comparable(Comparable::Function(_)) => Err(NO_FUNCTIONS),
        Arg::Composite(_) => Err("must be one value, not an expression"),
    }
}

/// A value, which has dots of its own unless it is quoted.
fn dotted(member: &Member) -> Option<String> {
    if member.is_simple() { Some(member.value.as_str().to_owned()) } else { member.field_path() }
}

fn named(comparable: &Comparable) -> Result<Named, Wrong> {
    let Comparable::Member(member) = comparable else { return Wrong::field(NO_FUNCTIONS) };
    if member.value.is_quoted() {
        return Wrong::field("a field stands here, without quotes");
    }
    let segments: Vec<_> = std::iter::once(&member.value).chain(&member.fields).map(Value::as_str).collect();
    Named::of_path(&segments).map_err(|UnknownField(wrong)| Wrong::Field(wrong))
}

/// A word without a field.
fn global(comparable: &Comparable) -> Result<Expression, Wrong> {
    let Comparable::Member(member) = comparable else { return Wrong::field(NO_FUNCTIONS) };
    if !member.value.is_quoted() && named(comparable).is_ok() {
        return Wrong::field("a field is compared with a value; put it in quotes to look for the word");
    }
    let Some(said) = dotted(member) else { return Wrong::field("must be one value") };
    let sought: String = sought(&said)?.nfc().collect();
    Ok(Expression::Test(Test::Mentions(sought.to_ascii_lowercase())))
}

fn restriction_of(comparable: &Comparable, operator: Comparator, said: &Said) -> Result<Expression, Wrong> {
    let named = named(comparable)?;
    let value = match &said.value {
        Ok(value) => value.as_str(),
        Err(wrong) => return Wrong::value(*wrong),
    };
    match named {
        Named::ResourceName => resource_name(operator, value),
        Named::BillingMirrorsPrimary => billing_mirrors_primary(operator, value),
        Named::Labels => labels(operator, value),
        Named::Reseller => reseller(operator, value),
        Named::Text(field) => text(field, operator, value),
        Named::Time(field) => time(field, operator, value),
        Named::Choice(field) => choice(field, operator, value),
    }
}

/// The test, negated for `!=`.
fn equality(operator: Comparator, test: Test) -> Result<Expression, Wrong> {
    match operator {
        Comparator::Equal | Comparator::Has => Ok(Expression::Test(test)),
        Comparator::NotEqual => Ok(Expression::not(Expression::Test(test))),
        Comparator::LessThan
        | Comparator::LessThanOrEqual
        | Comparator::GreaterThan
        | Comparator::GreaterThanOrEqual => Wrong::field("has no order: compare it with = or !="),
    }
}

fn resource_name(operator: Comparator, value: &str) -> Result<Expression, Wrong> {
    if operator == Comparator::Has {
        return Wrong::field("is compared with = or !=");
    }
    let parsed = || {
        let (account, id) = value.strip_prefix("partnerAccounts/")?.split_once("/customers/")?;
        Some(Test::Is(account.parse().ok()?, id.parse().ok()?))
    };
    match parsed() {
        Some(test) => equality(operator, test),
        None => Wrong::value("must be a name such as partnerAccounts/{partner_account}/customers/{customer}"),
    }
}

fn billing_mirrors_primary(operator: Comparator, value: &str) -> Result<Expression, Wrong> {
    let test = equality(operator, Test::BillingMirrorsPrimary)?;
    match value {
        "true" => Ok(test),
        "false" => Ok(Expression::not(test)),
        PRESENT if operator == Comparator::Has => Ok(test),
        _ => Wrong::value("must be true or false"),
    }
}

fn labels(operator: Comparator, value: &str) -> Result<Expression, Wrong> {
    if operator != Comparator::Has {
        return Wrong::field("ask labels:key for a label, or compare labels.key with a value");
    }
    if value == PRESENT {
        return Ok(Expression::Test(Test::AnyLabel));
    }
    match text::check_label_key(value) {
        None => Ok(Expression::Test(Test::Label(value.to_owned()))),
        Some(wrong) => Wrong::value(wrong),
    }
}

fn reseller(operator: Comparator, value: &str) -> Result<Expression, Wrong> {
    if operator == Comparator::Has && value == PRESENT {
        return Ok(Expression::Test(Test::AnyReseller));
    }
    // The operator is told first: a tenant that is none cannot be ordered either.
    equality(operator, Test::AnyReseller)?;
    match value.parse() {
        Ok(tenant) => equality(operator, Test::Reseller(tenant)),
        Err(_) => Wrong::value("must be the tenant id of a reseller; ask reseller:* whether there is one"),
    }
}

fn text(field: TextField, operator: Comparator, value: &str) -> Result<Expression, Wrong> {
    let test = match (operator, &field) {
        (Comparator::Has, TextField::Label(key)) if value == PRESENT => {
            return Ok(Expression::Test(Test::Label(key.clone())));
        }
        (Comparator::Has, _) if value == PRESENT => {
            let absent = TextTest::Compares(Comparison::Equal, String::new());
            return Ok(Expression::not(Expression::Test(Test::Text(field, absent))));
        }
        (Comparator::Has, _) => TextTest::Mentions(kept(&field, sought(value)?).to_ascii_lowercase()),
        (Comparator::Equal | Comparator::NotEqual, _) => pattern(&field, value)?,
        (Comparator::LessThan, _) => TextTest::Compares(Comparison::Less, kept(&field, value)),
        (Comparator::LessThanOrEqual, _) => TextTest::Compares(Comparison::LessOrEqual, kept(&field, value)),
        (Comparator::GreaterThan, _) => TextTest::Compares(Comparison::Greater, kept(&field, value)),
        (Comparator::GreaterThanOrEqual, _) => TextTest::Compares(Comparison::GreaterOrEqual, kept(&field, value)),
    };
    let test = Expression::Test(Test::Text(field, test));
    Ok(if operator == Comparator::NotEqual { Expression::not(test) } else { test })
}

/// A text in the form the field keeps it: NFC, a tenant id in lower case, a label's value as it was given.
fn kept(field: &TextField, value: &str) -> String {
    match field {
        TextField::Label(_) => value.to_owned(),
        TextField::MicrosoftTenantId => value.to_ascii_lowercase(),
        TextField::CompanyName
        | TextField::TenantName
        | TextField::Domain
        | TextField::UpstreamRelationship
        | TextField::Contact(..)
        | TextField::ExternalReference
        | TextField::Note => value.nfc().collect(),
    }
}

/// A text to be equal to, with an asterisk for whatever comes before or after.
fn pattern(field: &TextField, value: &str) -> Result<TextTest, Wrong> {
    let text = |text: &str| kept(field, text);
    let test = match (value.strip_prefix('*'), value.strip_suffix('*')) {
        (None, None) => return Ok(TextTest::Compares(Comparison::Equal, text(value))),
        (None, Some(start)) => TextTest::StartsWith(text(start)),
        (Some(""), Some(_)) => return no_wildcard_alone(),
        (Some(end), None) => TextTest::EndsWith(text(end)),
        (Some(rest), Some(_)) => match rest.strip_suffix('*') {
            Some("") | None => return no_wildcard_alone(),
            Some(middle) => TextTest::Contains(text(middle)),
        },
    };
    Ok(test)
}

fn no_wildcard_alone<T>() -> Result<T, Wrong> {
    Wrong::value("nothing is beside the asterisk; ask field:* whether there is a value")
}

/// A text to be mentioned.
fn sought(value: &str) -> Result<&str, Wrong> {
    if value.is_empty() {
        return Wrong::value("there is nothing to look for");
    }
    if value.starts_with('*') || value.ends_with('*') {
        return Wrong::value("asterisks belong to = and !=; what is looked for here may stand anywhere anyway");
    }
    Ok(value)
}

fn time(field: TimeField, operator: Comparator, value: &str) -> Result<Expression, Wrong> {
    if operator == Comparator::Has && value == PRESENT {
        return Ok(Expression::Test(Test::HasTime(field)));
    }
    let Some(instant) = instant(value) else {
        return Wrong::value("must be a time in quotes such as \"2026-02-28T12:00:00Z\" (RFC 3339)");
    };
    let test = |comparison| Expression::Test(Test::Time(field, comparison, instant));
    Ok(match operator {
        Comparator::Equal | Comparator::Has => test(Comparison::Equal),
        Comparator::NotEqual => Expression::not(test(Comparison::Equal)),
        Comparator::LessThan => test(Comparison::Less),
        Comparator::LessThanOrEqual => test(Comparison::LessOrEqual),
        Comparator::GreaterThan => test(Comparison::Greater),
        Comparator::GreaterThanOrEqual => test(Comparison::GreaterOrEqual),
    })
}

/// An instant of the years 1 to 9999, cut to whole microseconds.
fn instant(value: &str) -> Option<Timestamp> {
    let instant = DateTime::parse_from_rfc3339(value).ok()?.with_timezone(&Utc);
    let timestamp = Timestamp::from(instant);
    (1..=9999).contains(&timestamp.to_utc().year()).then_some(timestamp)
}

fn choice(field: ChoiceField, operator: Comparator, value: &str) -> Result<Expression, Wrong> {
    if operator == Comparator::Has && value == PRESENT {
        return Ok(Expression::not(Expression::Test(Test::Choice(field, ""))));
    }
    // The operator is told first: a word that does not exist cannot be ordered either.
    let of_word = |word| equality(operator, Test::Choice(field, word));
    of_word("")?;
    match field.word(value) {
        Some(word) => of_word(word),
        None => Wrong::value(format!("must be one of {}", field.words().join(", "))),
    }
}
