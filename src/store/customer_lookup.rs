//! Finding customers by other keys than their place in a list.

use std::collections::HashMap;

use crate::domain::customer::Customer;
use crate::domain::ids::{CustomerId, PartnerAccountId};
use crate::store::customer_row::{self, customer_columns, customer_tables};
use crate::store::statement::statement;
use crate::store::{Error, Store, Tx};

/// A key that several customers may share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedKey<'a> {
    /// The domain, in lower case.
    Domain(&'a str),
    /// The caller's own key.
    ExternalReference(&'a str),
}

impl Store {
    /// The customers of these ids; the ones that do not exist are left out.
    pub async fn customers_by_id(
        &self,
        account: &PartnerAccountId,
        ids: &[CustomerId],
    ) -> Result<HashMap<CustomerId, Customer>, Error> {
        const SELECT: &str = concat!(
            "SELECT ",
            customer_columns!(),
            customer_tables!(),
            "WHERE c.account = $1 AND c.id IN (SELECT value FROM json_each($2))"
        );
        let ids = serde_json::Value::from_iter(ids.iter().map(CustomerId::to_string));
        let rows = statement(SELECT).bind(account.as_str()).bind(ids.to_string()).fetch_all(&self.backend).await?;
        let customers = rows.iter().map(customer_row::customer);
        customers.map(|customer| customer.map(|customer| (customer.id, customer))).collect()
    }

    /// Up to `limit` customers that share the key and are not deleted.
    pub async fn customers_sharing(
        &self,
        account: &PartnerAccountId,
        key: SharedKey<'_>,
        limit: u32,
    ) -> Result<Vec<Customer>, Error> {
        const BY_DOMAIN: &str = concat!(
            "SELECT ",
            customer_columns!(),
            customer_tables!(),
            "WHERE c.account = $1 AND c.domain = $2 AND c.domain <> '' AND c.deleted_at IS NULL ORDER BY c.id LIMIT $3"
        );
        const BY_REFERENCE: &str = concat!(
            "SELECT ",
            customer_columns!(),
            customer_tables!(),
            "WHERE c.account = $1 AND c.external_reference = $2 AND c.external_reference <> '' AND c.deleted_at IS NULL
             ORDER BY c.id LIMIT $3"
        );
        let (text, value) = match key {
            SharedKey::Domain(domain) => (BY_DOMAIN, domain),
            SharedKey::ExternalReference(reference) => (BY_REFERENCE, reference),
        };
        let rows = statement(text).bind(account.as_str()).bind(value).bind(limit).fetch_all(&self.backend).await?;
        rows.iter().map(customer_row::customer).collect()
    }
}

impl Tx {
    /// The customer of Microsoft's that has that domain, if there is one: Microsoft has verified that it is its own.
    pub async fn microsoft_customer_of_domain(
        &mut self,
        account: &PartnerAccountId,
        domain: &str,
    ) -> Result<Option<CustomerId>, Error> {
        const SELECT: &str = "
            SELECT id FROM customer
            WHERE account = $1 AND domain = $2 AND domain <> '' AND source = 'MICROSOFT' ORDER BY id LIMIT 1";
        let row = statement(SELECT).bind(account.as_str()).bind(domain).fetch_optional(self.connection()).await?;
        let Some(row) = row else { return Ok(None) };
        let id: &str = row.try_get(0)?;
        id.parse().map(Some).map_err(|_| Error::Corrupt("customer.id".to_owned()))
    }
}
