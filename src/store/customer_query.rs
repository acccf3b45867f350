//! Lists of customers: a filter, an order and a position as one SELECT, on the reader connections.
//!
//! What customers are meant is decided by `Filter::matches` and `Order::compare`; the SQL here must come to the same
//! answers, so every condition is true or false, never NULL. A value of a caller's is only ever bound.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::domain::contact::{ContactField, ContactRole};
use crate::domain::customer::Customer;
use crate::domain::filter::{ChoiceField, Expression, Filter, MENTIONED_IN, Test, TextField, TextTest, TimeField};
use crate::domain::ids::PartnerAccountId;
use crate::domain::order::{Direction, Key, Order, OrderField, OrderValue, Position};
use crate::store::customer_row::{self, customer_columns, customer_tables};
use crate::store::statement::composed;
use crate::store::{Error, Store};

/// The words of both engines. On PostgreSQL the columns have the collation "C", which their expressions inherit: code points
/// decide there as well, and small letters are made of ASCII letters only.
mod engine {
    /// Before, between and after two texts of which the first contains the second.
    pub(super) const CONTAINS: [&str; 3] = ["instr(", ", ", ") > 0"];
    /// Around a text whose ASCII letters are to be small.
    pub(super) const LOWER_CASE: [&str; 2] = ["lower(", ")"];
    /// Between the labels and the key of one of them; NULL when there is none.
    pub(super) const LABEL: &str = "c.labels ->> ";
    /// True when there is a label.
    pub(super) const ANY_LABEL: &str = "c.labels <> '{}'";
}

/// Which customers are wanted, and in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerQuery {
    /// Those of these accounts.
    pub accounts: BTreeSet<PartnerAccountId>,
    /// Those that fulfil it.
    pub filter: Filter,
    /// Their order.
    pub order: Order,
    /// Whether deleted ones are among them.
    pub deleted: Deleted,
}

/// Whether deleted customers are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deleted {
    /// Only those that are not deleted.
    #[default]
    Hidden,
    /// Deleted ones as well.
    Shown,
}

/// A SELECT and the values of its placeholders.
pub(super) struct BoundQuery {
    // Invariant: made of texts of this program and numbers of placeholders. Test: a_value_never_reaches_the_text
    text: String,
    values: Vec<Value>,
}

#[derive(Debug, PartialEq)]
enum Value {
    Text(String),
    Number(i64),
}

impl Store {
    /// Up to `limit` customers of these accounts that match the filter, in that order, from after that position.
    pub async fn find_customers(
        &self,
        query: &CustomerQuery,
        after: Option<&Position>,
        limit: u32,
    ) -> Result<Vec<Customer>, Error> {
        let CustomerQuery { accounts, order, .. } = query;
        // Account by account where the order allows it: each statement is then a range of the primary key.
        let groups: Vec<BTreeSet<PartnerAccountId>> = match order.by_account_first() {
            Some(direction) => {
                let is_met = |account: &PartnerAccountId| {
                    after.is_some_and(|after| direction.of(account.cmp(&after.account)).is_lt())
                };
                let each = accounts.iter().filter(|account| !is_met(account)).cloned().map(|one| BTreeSet::from([one]));
                match direction {
                    Direction::Ascending => each.collect(),
                    Direction::Descending => each.rev().collect(),
                }
            }
            None if accounts.is_empty() => Vec::new(),
            None => vec![accounts.clone()],
        };
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut customers = Vec::new();
        for group in &groups {
            let rest = u32::try_from(wanted - customers.len()).unwrap_or(limit);
            if rest == 0 {
                break;
            }
            customers.extend(self.run(select(group, query, after, rest)).await?);
        }
        Ok(customers)
    }

    async fn run(&self, query: BoundQuery) -> Result<Vec<Customer>, Error> {
        let mut bound = composed(query.text);
        for value in query.values {
            bound = match value {
                Value::Text(text) => bound.bind(text),
                Value::Number(number) => bound.bind(number),
            };
        }
        let rows = bound.fetch_all(&self.backend).await?;
        rows.iter().map(customer_row::customer).collect()
    }
}

/// The customers of these accounts that match the filter, in that order, from after that position.
pub(super) fn select(
    accounts: &BTreeSet<PartnerAccountId>,
    wanted: &CustomerQuery,
    after: Option<&Position>,
    limit: u32,
) -> BoundQuery {
    let CustomerQuery { filter, order, deleted, .. } = wanted;
    let only_account = accounts.first().filter(|_| accounts.len() == 1);
    let mut query = BoundQuery { text: String::new(), values: Vec::new() };
    query.says(concat!("SELECT ", customer_columns!(), customer_tables!(), "WHERE c.account IN ("));
    for (number, account) in accounts.iter().enumerate() {
        query.says(if number > 0 { ", " } else { "" });
        query.binds_text(account.as_str());
    }
    query.says(match deleted {
        Deleted::Hidden => ") AND c.deleted_at IS NULL",
        Deleted::Shown => ")",
    });
    if let Some(after) = after {
        query.says(" AND ");
        query.comes_after(after, order.keys(), 0, only_account);
    }
    if let Some(expression) = filter.expression() {
        query.says(" AND ");
        query.fulfils(expression);
    }
    query.says(" ORDER BY ");
    // One account needs no order among accounts, and then the primary key has the order of ids.
    let levels = order.keys().iter().filter(|key| key.field != OrderField::Account || only_account.is_none());
    for (number, key) in levels.enumerate() {
        query.says(if number > 0 { ", " } else { "" });
        query.names_key(key.field);
        query.says(match key.direction {
            Direction::Ascending => "",
            Direction::Descending => " DESC",
        });
    }
    query.says(" LIMIT ");
    query.binds(Value::Number(limit.into()));
    query
}

impl BoundQuery {
    // The text is safe because there are two ways into it: `says`, which takes nothing but texts of this program, and
    // `binds`, which writes the number of a placeholder. What a caller said is among the values.

    fn says(&mut self, fragment: &'static str) {
        self.text.push_str(fragment);
    }

    fn binds(&mut self, value: Value) {
        self.values.push(value);
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
    }

    fn binds_text(&mut self, text: &str) {
        self.binds(Value::Text(text.to_owned()));
    }

    fn binds_key(&mut self, value: OrderValue) {
        match value {
            OrderValue::Text(text) => self.binds(Value::Text(text)),
            OrderValue::Time(time) => self.binds(Value::Number(sortable(time))),
        }
    }

    /// True of what comes after a position in the order of these keys, the first of which is at `level`.
    fn comes_after(&mut self, after: &Position, keys: &[Key], level: usize, only_account: Option<&PartnerAccountId>) {
        let Some((key, deeper)) = keys.split_first() else { return self.says("FALSE") };
        if let (OrderField::Account, Some(account)) = (key.field, only_account) {
            return match key.direction.of(account.cmp(&after.account)) {
                Ordering::Less => self.says("FALSE"),
                Ordering::Equal => self.comes_after(after, deeper, level + 1, only_account),
                Ordering::Greater => self.says("TRUE"),
            };
        }
        self.says("(");
        self.names_key(key.field);
        self.says(match key.direction {
            Direction::Ascending => " > ",
            Direction::Descending => " < ",
        });
        self.binds_key(after.value(level, key.field));
        if !deeper.is_empty() {
            self.says(" OR (");
            self.names_key(key.field);
            self.says(" = ");
            self.binds_key(after.value(level, key.field));
            self.says(" AND ");
            self.comes_after(after, deeper, level + 1, only_account);
            self.says(")");
        }
        self.says(")");
    }

    /// What is ordered by; never NULL.
    fn names_key(&mut self, field: OrderField) {
        match field {
            OrderField::CompanyName => self.names_text(&TextField::CompanyName),
            OrderField::Domain => self.names_text(&TextField::Domain),
            OrderField::ExternalReference => self.names_text(&TextField::ExternalReference),
            OrderField::CreateTime => self.says(time_column(TimeField::CreateTime)),
            OrderField::UpdateTime => self.says(time_column(TimeField::UpdateTime)),
            OrderField::VerifiedAt => {
                self.says("coalesce(");
                self.says(time_column(TimeField::VerifiedAt));
                self.says(", ");
                self.binds(Value::Number(sortable(None)));
                self.says(")");
            }
            OrderField::Account => self.says("c.account"),
            OrderField::Id => self.says("c.id"),
        }
    }

    /// A text as a reader sees it; never NULL.
    fn names_text(&mut self, field: &TextField) {
        match field {
            TextField::CompanyName => self.says("c.company_name"),
            TextField::TenantName => self.says("coalesce(c.tenant_name, '')"),
            TextField::Domain => self.says("c.domain"),
            TextField::MicrosoftTenantId => self.says("coalesce(c.microsoft_tenant_id, '')"),
            TextField::UpstreamRelationship => self.says("coalesce(c.upstream_relationship, '')"),
            TextField::Contact(ContactRole::Primary, member) => self.says(primary_column(*member)),
            TextField::Contact(ContactRole::Billing, member) => {
                self.says("coalesce(");
                self.says(billing_column(*member));
                self.says(", ");
                self.says(primary_column(*member));
                self.says(")");
            }
            TextField::ExternalReference => self.says("c.external_reference"),
            TextField::Note => self.says("c.note"),
            TextField::Label(key) => {
                self.says("coalesce(");
                self.names_label(key);
                self.says(", '')");
            }
        }
    }

    fn names_label(&mut self, key: &str) {
        self.says("(");
        self.says(engine::LABEL);
        self.binds_text(key);
        self.says(")");
    }

    fn fulfils(&mut self, expression: &Expression) {
        match expression {
            Expression::All(parts) => self.fulfils_each(parts, " AND ", "TRUE"),
            Expression::Any(parts) => self.fulfils_each(parts, " OR ", "FALSE"),
            Expression::Not(part) => {
                self.says("(NOT ");
                self.fulfils(part);
                self.says(")");
            }
            Expression::Test(test) => {
                self.says("(");
                self.passes(test);
                self.says(")");
            }
        }
    }

    fn fulfils_each(&mut self, parts: &[Expression], between: &'static str, without: &'static str) {
        self.says("(");
        self.says(if parts.is_empty() { without } else { "" });
        for (number, part) in parts.iter().enumerate() {
            self.says(if number > 0 { between } else { "" });
            self.fulfils(part);
        }
        self.says(")");
    }

    fn passes(&mut self, test: &Test) {
        match test {
            Test::Is(account, id) => {
                self.says("c.account = ");
                self.binds_text(account.as_str());
                self.says(" AND c.id = ");
                self.binds(Value::Text(id.to_string()));
            }
            Test::Choice(field, word) => {
                self.says(choice_column(*field));
                self.says(" = ");
                self.binds_text(word);
            }
            Test::BillingMirrorsPrimary => self.says("c.billing_first_name IS NULL"),
            Test::AnyLabel => self.says(engine::ANY_LABEL),
            Test::Label(key) => {
                self.names_label(key);
                self.says(" IS NOT NULL");
            }
            Test::AnyReseller => self.says(
                "EXISTS (SELECT 1 FROM customer_reseller m
                 WHERE m.account = c.account AND m.tenant_id = c.microsoft_tenant_id AND m.shown)",
            ),
            Test::Reseller(tenant) => {
                // The customers of one reseller, by an index of their own, and NULL for nobody.
                self.says(
                    "c.microsoft_tenant_id IS NOT NULL AND (c.account, c.microsoft_tenant_id) IN (
                     SELECT m.account, m.tenant_id FROM customer_reseller m WHERE m.shown AND m.reseller_id = ",
                );
                self.binds_text(&tenant.to_string());
                self.says(")");
            }
            Test::Text(field, test) => self.passes_text(field, test),
            Test::HasTime(field) => {
                self.says(time_column(*field));
                self.says(" IS NOT NULL");
            }
            Test::Time(field, comparison, time) => {
                self.says("coalesce(");
                self.says(time_column(*field));
                self.says(comparison.symbol());
                self.binds(Value::Number(time.micros()));
                self.says(", FALSE)");
            }
            Test::Mentions(sought) => {
                for (number, field) in MENTIONED_IN.iter().enumerate() {
                    self.says(if number > 0 { " OR " } else { "" });
                    self.mentions(field, sought);
                }
            }
        }
    }

    fn passes_text(&mut self, field: &TextField, test: &TextTest) {
        match test {
            TextTest::Compares(comparison, text) => {
                self.names_text(field);
                self.says(comparison.symbol());
                self.binds_text(text);
            }
            TextTest::StartsWith(text) => {
                self.says("substr(");
                self.names_text(field);
                self.says(", 1, ");
                self.binds(Value::Number(length(text)));
                self.says(") = ");
                self.binds_text(text);
            }
            TextTest::EndsWith(text) => {
                self.says("length(");
                self.names_text(field);
                self.says(") >= ");
                self.binds(Value::Number(length(text)));
                self.says(" AND substr(");
                self.names_text(field);
                self.says(", length(");
                self.names_text(field);
                self.says(") + 1 - ");
                self.binds(Value::Number(length(text)));
                self.says(") = ");
                self.binds_text(text);
            }
            TextTest::Contains(text) => {
                let [before, between, after] = engine::CONTAINS;
                self.says(before);
                self.names_text(field);
                self.says(between);
                self.binds_text(text);
                self.says(after);
            }
            TextTest::Mentions(text) => self.mentions(field, text),
        }
    }

    fn mentions(&mut self, field: &TextField, sought: &str) {
        let [before, between, after] = engine::CONTAINS;
        let [before_lower, after_lower] = engine::LOWER_CASE;
        self.says(before);
        self.says(before_lower);
        self.names_text(field);
        self.says(after_lower);
        self.says(between);
        self.binds_text(sought);
        self.says(after);
    }
}

/// A time as a number that sorts; an absent one is the earliest.
fn sortable(time: Option<Timestamp>) -> i64 {
    time.map_or(i64::MIN, Timestamp::micros)
}

/// How many characters a text has, as the database counts them.
fn length(text: &str) -> i64 {
    i64::try_from(text.chars().count()).unwrap_or(i64::MAX)
}

/// A time as `customer_row` reads it; NULL when absent.
const fn time_column(field: TimeField) -> &'static str {
    match field {
        TimeField::VerifiedAt => "CASE WHEN c.microsoft_tenant_id IS NOT NULL THEN coalesce(u.verified_at, 0) END",
        TimeField::CreateTime => "c.created_at",
        TimeField::UpdateTime => "c.updated_at",
    }
}

/// A word; empty when absent.
const fn choice_column(field: ChoiceField) -> &'static str {
    match field {
        ChoiceField::Source => "c.source",
        ChoiceField::Relationship => "coalesce(c.relationship, '')",
        ChoiceField::Status => "c.status",
        ChoiceField::SyncState => "CASE WHEN u.paused_at IS NULL THEN coalesce(c.sync_state, '') ELSE 'PAUSED' END",
    }
}

const fn primary_column(member: ContactField) -> &'static str {
    match member {
        ContactField::FirstName => "c.primary_first_name",
        ContactField::LastName => "c.primary_last_name",
        ContactField::Email => "c.primary_email",
        ContactField::PhoneNumber => "c.primary_phone_number",
        ContactField::Language => "c.primary_language",
        ContactField::Culture => "c.primary_culture",
        ContactField::Country => "c.primary_country",
        ContactField::Region => "c.primary_region",
        ContactField::State => "c.primary_state",
        ContactField::District => "c.primary_district",
        ContactField::City => "c.primary_city",
        ContactField::AddressLine1 => "c.primary_address_line1",
        ContactField::AddressLine2 => "c.primary_address_line2",
        ContactField::AddressLine3 => "c.primary_address_line3",
        ContactField::PostalCode => "c.primary_postal_code",
    }
}

const fn billing_column(member: ContactField) -> &'static str {
    match member {
        ContactField::FirstName => "c.billing_first_name",
        ContactField::LastName => "c.billing_last_name",
        ContactField::Email => "c.billing_email",
        ContactField::PhoneNumber => "c.billing_phone_number",
        ContactField::Language => "c.billing_language",
        ContactField::Culture => "c.billing_culture",
        ContactField::Country => "c.billing_country",
        ContactField::Region => "c.billing_region",
        ContactField::State => "c.billing_state",
        ContactField::District => "c.billing_district",
        ContactField::City => "c.billing_city",
        ContactField::AddressLine1 => "c.billing_address_line1",
        ContactField::AddressLine2 => "c.billing_address_line2",
        ContactField::AddressLine3 => "c.billing_address_line3",
        ContactField::PostalCode => "c.billing_postal_code",
    }
}

#[cfg(test)]
#[path = "customer_query_tests.rs"]
mod tests;
