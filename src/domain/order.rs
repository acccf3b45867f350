//! The order of a list of customers (AIP-132 `order_by`), and the place in it where the next page begins.
//!
//! An order is always total: account and id come last. Pages are cut by values, not by counting: the next page begins
//! after the values of the last customer of this one. Customers that do not change are therefore met exactly once. A
//! customer whose value of an ordered field changes while somebody walks the list moves, so it may be met twice or not
//! at all; in the default order nothing ever moves.

use std::cmp::Ordering;
use std::fmt;

use crate::clock::Timestamp;
use crate::domain::customer::Customer;
use crate::domain::filter::{TextField, TimeField};
use crate::domain::ids::{CustomerId, PartnerAccountId};

/// The longest order, in characters: all fields, and room to spare.
pub const LENGTH_MAX: usize = 256;

/// Where and why an order is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderProblem {
    /// How many characters of the order come before the trouble.
    pub position: usize,
    /// What is wrong and what would be right, for a person. Never quotes the order.
    pub description: String,
}

/// What customers are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderField {
    /// The organization's name, by code points.
    CompanyName,
    /// The organization's domain.
    Domain,
    /// A caller's own key.
    ExternalReference,
    /// When the record was made.
    CreateTime,
    /// When it last changed.
    UpdateTime,
    /// The last time Partner Center agreed; absent ones are the earliest.
    VerifiedAt,
    /// The account it belongs to.
    Account,
    /// The platform's id.
    Id,
}

/// Which way an order runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest and earliest first.
    Ascending,
    /// Greatest and latest first.
    Descending,
}

/// One level of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The field.
    pub field: OrderField,
    /// Its direction.
    pub direction: Direction,
}

/// A total order of customers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    // Invariant: every field at most once, and account and id last. Test: an_order_ends_with_account_and_id
    keys: Vec<Key>,
}

/// A value of an ordered field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrderValue {
    /// A text.
    Text(String),
    /// A time; an absent one is the earliest.
    Time(Option<Timestamp>),
}

/// The customer after which a list goes on, by the values it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its account.
    pub account: PartnerAccountId,
    /// Its id.
    pub id: CustomerId,
    /// Its values of the fields before account and id, in the order's order.
    values: Vec<OrderValue>,
}

impl OrderField {
    /// What a caller may order by; `name` is account and id.
    const NAMED: [Self; 6] = [
        Self::CompanyName,
        Self::Domain,
        Self::ExternalReference,
        Self::CreateTime,
        Self::UpdateTime,
        Self::VerifiedAt,
    ];

    fn value(self, customer: &Customer) -> OrderValue {
        let text = |field: TextField| OrderValue::Text(field.value(customer).into_owned());
        match self {
            Self::CompanyName => text(TextField::CompanyName),
            Self::Domain => text(TextField::Domain),
            Self::ExternalReference => text(TextField::ExternalReference),
            Self::CreateTime => OrderValue::Time(TimeField::CreateTime.value(customer)),
            Self::UpdateTime => OrderValue::Time(TimeField::UpdateTime.value(customer)),
            Self::VerifiedAt => OrderValue::Time(TimeField::VerifiedAt.value(customer)),
            Self::Account => OrderValue::Text(customer.account.to_string()),
            Self::Id => OrderValue::Text(customer.id.to_string()),
        }
    }

    const fn is_time(self) -> bool {
        match self {
            Self::CreateTime | Self::UpdateTime | Self::VerifiedAt => true,
            Self::CompanyName | Self::Domain | Self::ExternalReference | Self::Account | Self::Id => false,
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::CompanyName => "company_name",
            Self::Domain => "domain",
            Self::ExternalReference => "external_reference",
            Self::CreateTime => "create_time",
            Self::UpdateTime => "update_time",
            Self::VerifiedAt => "verified_at",
            // Not paths of the API: there they are one, the name.
            Self::Account | Self::Id => "name",
        }
    }
}

impl Direction {
    /// An ordering of values as this direction turns it.
    pub const fn of(self, ordering: Ordering) -> Ordering {
        match self {
            Self::Ascending => ordering,
            Self::Descending => ordering.reverse(),
        }
    }
}

impl Default for Order {
    /// By account and id.
    fn default() -> Self {
        Self::completed(Vec::new(), Direction::Ascending)
    }
}

impl Order {
    /// Parses an order; an empty one is the default.
    pub fn parse(text: &str) -> Result<Self, Vec<OrderProblem>> {
        if text.chars().nth(LENGTH_MAX).is_some() {
            let description = format!("an order has at most {LENGTH_MAX} characters");
            return Err(vec![OrderProblem { position: LENGTH_MAX, description }]);
        }
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut keys: Vec<Key> = Vec::new();
        let mut names = None;
        let mut problems = Vec::new();
        let mut begins = 0;
        for part in text.split(',') {
            let position = begins + part.chars().take_while(|character| character.is_whitespace()).count();
            begins += part.chars().count() + 1;
            let said = keys.iter().any(|key| Some(key.field.path()) == part.split_whitespace().next());
            match key(part) {
                Ok(Key { field, .. }) if said || (field == OrderField::Account && names.is_some()) => {
                    problems.push(OrderProblem { position, description: "is named twice".to_owned() });
                }
                Ok(Key { field: OrderField::Account, direction }) => names = Some(direction),
                // What comes after the name decides nothing.
                Ok(key) if names.is_none() => keys.push(key),
                Ok(_) => {}
                Err(description) => problems.push(OrderProblem { position, description }),
            }
        }
        if problems.is_empty() {
            Ok(Self::completed(keys, names.unwrap_or(Direction::Ascending)))
        } else {
            Err(problems)
        }
    }

    fn completed(mut keys: Vec<Key>, direction: Direction) -> Self {
        keys.extend([OrderField::Account, OrderField::Id].map(|field| Key { field, direction }));
        Self { keys }
    }

    /// Its levels; the last two are account and id.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The direction in which accounts follow each other, when they come before anything else.
    pub fn by_account_first(&self) -> Option<Direction> {
        self.keys.first().filter(|key| key.field == OrderField::Account).map(|key| key.direction)
    }

    /// How two customers are ordered.
    pub fn compare(&self, left: &Customer, right: &Customer) -> Ordering {
        let by_key = |key: &Key| key.direction.of(key.field.value(left).cmp(&key.field.value(right)));
        self.keys.iter().map(by_key).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    }

    fn fields_before_account(&self) -> impl Iterator<Item = OrderField> {
        self.keys.iter().map(|key| key.field).take_while(|field| *field != OrderField::Account)
    }
}

fn key(part: &str) -> Result<Key, String> {
    let mut words = part.split_whitespace();
    let named = words.next().ok_or("a field is missing here")?;
    let field = OrderField::NAMED.into_iter().chain([OrderField::Account]).find(|field| field.path() == named);
    let field = field.ok_or_else(|| {
        let known: Vec<_> = OrderField::NAMED.into_iter().map(OrderField::path).collect();
        format!("customers are ordered by name, {}", known.join(", "))
    })?;
    let direction = match (words.next(), words.next()) {
        (None | Some("asc"), None) => Direction::Ascending,
        (Some("desc"), None) => Direction::Descending,
        _ => return Err("after a field comes desc, or asc, or nothing".to_owned()),
    };
    Ok(Key { field, direction })
}

impl fmt::Display for Order {
    /// In the syntax it is parsed from.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, key) in self.keys.iter().filter(|key| key.field != OrderField::Id).enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            let direction = match key.direction {
                Direction::Ascending => "",
                Direction::Descending => " desc",
            };
            write!(out, "{comma}{}{direction}", key.field.path())?;
        }
        Ok(())
    }
}

impl Position {
    /// The position of a customer.
    pub fn of(customer: &Customer, order: &Order) -> Self {
        let values = order.fields_before_account().map(|field| field.value(customer)).collect();
        Self { account: customer.account.clone(), id: customer.id, values }
    }

    /// The value of one level of the order the position is of.
    pub fn value(&self, level: usize, field: OrderField) -> OrderValue {
        match (field, self.values.get(level)) {
            (OrderField::Account, _) => OrderValue::Text(self.account.to_string()),
            (OrderField::Id, _) => OrderValue::Text(self.id.to_string()),
            (_, Some(value)) => value.clone(),
            (_, None) if field.is_time() => OrderValue::Time(None),
            (_, None) => OrderValue::Text(String::new()),
        }
    }

    /// Reads a position of that order back from its text; nothing if it is not one.
    pub fn parse(text: &str, order: &Order) -> Option<Self> {
        let (account, rest) = text.split_once('/')?;
        let (id, mut rest) = rest.split_once('/').unwrap_or((rest, ""));
        let mut values = Vec::new();
        for field in order.fields_before_account() {
            let (value, after) = parse_value(rest)?;
            if matches!(value, OrderValue::Time(_)) != field.is_time() {
                return None;
            }
            values.push(value);
            rest = after;
        }
        if !rest.is_empty() {
            return None;
        }
        Some(Self { account: account.parse().ok()?, id: id.parse().ok()?, values })
    }
}

/// One value, and what comes after it.
fn parse_value(text: &str) -> Option<(OrderValue, &str)> {
    let (head, rest) = text.split_once(':')?;
    if let Some(length) = head.strip_prefix('t') {
        let (value, rest) = rest.split_at_checked(length.parse().ok()?)?;
        return Some((OrderValue::Text(value.to_owned()), rest));
    }
    let micros = head.strip_prefix('m')?;
    let time = if micros.is_empty() { None } else { Some(Timestamp::from_micros(micros.parse().ok()?)) };
    Some((OrderValue::Time(time), rest))
}

impl fmt::Display for Position {
    /// In the form it is parsed from: `account/id`, and `/` with the values if there are any.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.account, self.id)?;
        for (number, value) in self.values.iter().enumerate() {
            out.write_str(if number > 0 { "" } else { "/" })?;
            match value {
                // With its length, so that it may hold anything.
                OrderValue::Text(text) => write!(out, "t{}:{text}", text.len())?,
                OrderValue::Time(Some(time)) => write!(out, "m{}:", time.micros())?,
                OrderValue::Time(None) => out.write_str("m:")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
