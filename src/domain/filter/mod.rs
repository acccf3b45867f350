//! An AIP-160 filter over customers: parsed, typed and bound to our fields.
//!
//! Every test is either true or false of a customer, never unknown: an absent text is the empty text, an absent word is
//! `UNSPECIFIED`, and an absent time equals no time, comes before none and after none. So `!=` is exactly what `=` is
//! not. [`Filter::matches`] is what a filter means; whoever runs filters elsewhere must come to the same answers.

mod field;
mod parse;
mod place;

use std::fmt;

use crate::clock::Timestamp;
use crate::domain::contact::{ContactField, ContactRole};
use crate::domain::customer::{Billing, Customer};
use crate::domain::ids::{CustomerId, PartnerAccountId, TenantId};

pub use field::{ChoiceField, TextField, TimeField};

/// The longest filter, in characters: far more than a person writes, far less than a parser minds.
pub const LENGTH_MAX: usize = 2_048;
/// How deep parentheses may nest.
pub const DEPTH_MAX: usize = 10;
/// How many tests a filter may have: each is evaluated for each customer.
pub const TERMS_MAX: usize = 50;

/// Where and why a filter is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterProblem {
    /// How many characters of the filter come before the trouble.
    pub position: usize,
    /// What is wrong and what would be right, for a person. Never quotes the filter.
    pub description: String,
}

/// What customers are asked for. It holds what a caller seeks, perhaps somebody's address: it prints itself only on
/// demand, with `Display`, in the syntax it is parsed from.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Filter {
    root: Option<Expression>,
}

/// A filter in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// All of these; none of them is `All` itself.
    All(Vec<Self>),
    /// Any of these; none of them is `Any` itself.
    Any(Vec<Self>),
    /// Not this; it is not `Not` itself.
    Not(Box<Self>),
    /// One test.
    Test(Test),
}

/// One test of one customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// It is this customer.
    Is(PartnerAccountId, CustomerId),
    /// Its field has that word; the empty word is `UNSPECIFIED`.
    Choice(ChoiceField, &'static str),
    /// Its billing contact mirrors its primary contact.
    BillingMirrorsPrimary,
    /// It has a label.
    AnyLabel,
    /// It has a label with that key.
    Label(String),
    /// A reseller serves it.
    AnyReseller,
    /// The reseller of that tenant serves it.
    Reseller(TenantId),
    /// Its text passes.
    Text(TextField, TextTest),
    /// Its time is present.
    HasTime(TimeField),
    /// Its time is present and compares so.
    Time(TimeField, Comparison, Timestamp),
    /// One of [`MENTIONED_IN`] mentions the (ASCII lower-case) text.
    Mentions(String),
}

/// One test of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// Compares so, by code points.
    Compares(Comparison, String),
    /// Begins with.
    StartsWith(String),
    /// Ends with.
    EndsWith(String),
    /// Contains.
    Contains(String),
    /// Contains, where A to Z and a to z are the same; the text sought is in lower case.
    Mentions(String),
}

/// How two values compare. What is missing here is the negation of what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same.
    Equal,
    /// Smaller or earlier.
    Less,
    /// Not greater, not later.
    LessOrEqual,
    /// Greater or later.
    Greater,
    /// Not smaller, not earlier.
    GreaterOrEqual,
}

/// Where a word without a field is looked for.
pub const MENTIONED_IN: [TextField; 4] = [
    TextField::CompanyName,
    TextField::Domain,
    TextField::Contact(ContactRole::Primary, ContactField::Email),
    TextField::ExternalReference,
];

impl Filter {
    /// Parses a filter; an empty one matches every customer.
    pub fn parse(text: &str) -> Result<Self, Vec<FilterProblem>> {
        Ok(Self { root: parse::expression(text)? })
    }

    /// The expression; none matches every customer.
    pub const fn expression(&self) -> Option<&Expression> {
        self.root.as_ref()
    }

    /// Whether the customer is asked for.
    pub fn matches(&self, customer: &Customer) -> bool {
        self.root.as_ref().is_none_or(|root| root.matches(customer))
    }
}

impl Expression {
    /// All of these, without a needless level.
    fn all(parts: Vec<Self>) -> Self {
        let inner = |part| if let Self::All(inner) = part { inner } else { vec![part] };
        Self::All(parts.into_iter().flat_map(inner).collect())
    }

    /// Any of these, without a needless level.
    fn any(parts: Vec<Self>) -> Self {
        let inner = |part| if let Self::Any(inner) = part { inner } else { vec![part] };
        Self::Any(parts.into_iter().flat_map(inner).collect())
    }

    /// Not this, without a needless level.
    fn not(part: Self) -> Self {
        if let Self::Not(inner) = part { *inner } else { Self::Not(Box::new(part)) }
    }

    fn matches(&self, customer: &Customer) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(customer)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(customer)),
            Self::Not(part) => !part.matches(customer),
            Self::Test(test) => test.matches(customer),
        }
    }
}

impl Test {
    fn matches(&self, customer: &Customer) -> bool {
        match self {
            Self::Is(account, id) => (&customer.account, customer.id) == (account, *id),
            Self::Choice(field, word) => field.value(customer) == *word,
            Self::BillingMirrorsPrimary => customer.billing == Billing::MirrorsPrimary,
            Self::AnyLabel => !customer.labels.is_empty(),
            Self::Label(key) => customer.labels.contains_key(key),
            Self::AnyReseller => !customer.resellers().is_empty(),
            Self::Reseller(tenant) => customer.resellers().iter().any(|reseller| reseller.tenant_id == *tenant),
            Self::Text(field, test) => test.matches(&field.value(customer)),
            Self::HasTime(field) => field.value(customer).is_some(),
            Self::Time(field, comparison, time) => {
                field.value(customer).is_some_and(|value| comparison.holds(&value, time))
            }
            Self::Mentions(sought) => MENTIONED_IN.iter().any(|field| mentions(&field.value(customer), sought)),
        }
    }
}

impl TextTest {
    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Compares(comparison, text) => comparison.holds(value, text.as_str()),
            Self::StartsWith(text) => value.starts_with(text),
            Self::EndsWith(text) => value.ends_with(text),
            Self::Contains(text) => value.contains(text),
            Self::Mentions(text) => mentions(value, text),
        }
    }
}

/// Only ASCII letters forget their case: that is the most every engine does alike, whatever its locale.
fn mentions(value: &str, sought: &str) -> bool {
    value.to_ascii_lowercase().contains(sought)
}

impl Comparison {
    /// Whether `value` compares so to `other`. Texts compare by code points, as their UTF-8 bytes do.
    pub fn holds<T: Ord + ?Sized>(self, value: &T, other: &T) -> bool {
        match self {
            Self::Equal => value == other,
            Self::Less => value < other,
            Self::LessOrEqual => value <= other,
            Self::Greater => value > other,
            Self::GreaterOrEqual => value >= other,
        }
    }

    /// The operator, in a filter and in SQL.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Filter(redacted)")
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.as_ref().map_or(Ok(()), |root| root.fmt(out))
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => join(out, parts, " AND "),
            Self::Any(parts) => join(out, parts, " OR "),
            Self::Not(part) => {
                out.write_str("NOT ")?;
                part.fmt_within(out, false)
            }
            Self::Test(test) => test.fmt(out),
        }
    }
}

impl Expression {
    /// `OR` binds tighter than `AND`, so `Any` needs no parentheses within `All`.
    fn fmt_within(&self, out: &mut fmt::Formatter<'_>, within_all: bool) -> fmt::Result {
        let bare = match self {
            Self::All(_) => false,
            Self::Any(_) => within_all,
            Self::Not(_) | Self::Test(_) => true,
        };
        if bare { write!(out, "{self}") } else { write!(out, "({self})") }
    }
}

fn join(out: &mut fmt::Formatter<'_>, parts: &[Expression], word: &'static str) -> fmt::Result {
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            out.write_str(word)?;
        }
        part.fmt_within(out, word == " AND ")?;
    }
    Ok(())
}

impl fmt::Display for Test {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(account, id) => write!(out, "name = \"partnerAccounts/{account}/customers/{id}\""),
            Self::Choice(field, "") => write!(out, "{} = {}", field.path(), field::UNSPECIFIED),
            Self::Choice(field, word) => write!(out, "{} = {word}", field.path()),
            Self::BillingMirrorsPrimary => out.write_str("billing_mirrors_primary = true"),
            Self::AnyLabel => out.write_str("labels:*"),
            Self::Label(key) => write!(out, "labels:{key}"),
            Self::AnyReseller => out.write_str("reseller:*"),
            Self::Reseller(tenant) => write!(out, "reseller = \"{tenant}\""),
            Self::Text(field, TextTest::Compares(comparison, text)) => {
                write!(out, "{field} {} {}", comparison.symbol(), Quoted("", text, ""))
            }
            Self::Text(field, TextTest::StartsWith(text)) => write!(out, "{field} = {}", Quoted("", text, "*")),
            Self::Text(field, TextTest::EndsWith(text)) => write!(out, "{field} = {}", Quoted("*", text, "")),
            Self::Text(field, TextTest::Contains(text)) => write!(out, "{field} = {}", Quoted("*", text, "*")),
            Self::Text(field, TextTest::Mentions(text)) => write!(out, "{field}:{}", Quoted("", text, "")),
            Self::HasTime(field) => write!(out, "{}:*", field.path()),
            Self::Time(field, comparison, time) => write!(out, "{} {} \"{time}\"", field.path(), comparison.symbol()),
            Self::Mentions(text) => write!(out, "{}", Quoted("", text, "")),
        }
    }
}

/// A text in quotes, between its wildcards.
struct Quoted<'a>(&'static str, &'a str, &'static str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = self.1.replace('\\', "\\\\").replace('"', "\\\"");
        write!(out, "\"{}{escaped}{}\"", self.0, self.2)
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
