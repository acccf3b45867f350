//! Links: a platform customer becomes the record of a customer in Partner Center, and the platform's again.
//!
//! What the customer had before is kept by the database itself, as it stands in the row, while the link can be undone. It
//! is personal data: it is erased when that time is over, or when it has been given back.

use crate::clock::Timestamp;
use crate::domain::contact::{Contact, ContactField};
use crate::domain::customer::{Billing, Customer};
use crate::domain::ids::{CustomerId, PartnerAccountId, Revision};
use crate::domain::link::{FormerValues, Linked, StandingLink, Unlinked};
use crate::domain::look::LookCause;
use crate::store::changes::ChangeKind;
use crate::store::statement::statement;
use crate::store::upstream::tenant;
use crate::store::{Error, Store, Tx};

impl Store {
    /// When the next former values are to be erased; `None` when there are none.
    pub async fn former_values_end_at(&self) -> Result<Option<Timestamp>, Error> {
        let row = statement("SELECT min(keep_until) FROM customer_link WHERE former IS NOT NULL")
            .fetch_one(&self.backend)
            .await?;
        Ok(row.try_get::<Option<i64>, _>(0)?.map(Timestamp::from_micros))
    }
}

impl Tx {
    /// The link of a customer that has not been undone.
    pub async fn standing_link(
        &mut self,
        account: &PartnerAccountId,
        id: CustomerId,
    ) -> Result<Option<StandingLink>, Error> {
        const SELECT: &str = "
            SELECT tenant_id, linked_revision, keep_until, former FROM customer_link
            WHERE account = $1 AND customer_id = $2 AND unlinked_revision IS NULL";
        let row =
            statement(SELECT).bind(account.as_str()).bind(id.to_string()).fetch_optional(self.connection()).await?;
        let Some(row) = row else { return Ok(None) };
        let former: Option<&str> = row.try_get("former")?;
        Ok(Some(StandingLink {
            tenant: tenant(row.try_get("tenant_id")?)?,
            since: Revision(row.try_get("linked_revision")?),
            reversible_until: Timestamp::from_micros(row.try_get("keep_until")?),
            former: former.map(former_values).transpose()?,
        }))
    }

    /// Makes a customer the record of a customer in Partner Center.
    pub async fn save_link(&mut self, link: &Linked, caller: &str) -> Result<Customer, Error> {
        // The former values are those of the row, and go from it to the link without leaving the database.
        const INSERT: &str = "
            INSERT INTO customer_link
                (account, customer_id, linked_revision, tenant_id, linked_by, linked_at, keep_until, former)
            SELECT account, id, revision + 1, $3, $4, $5, $6, own_values FROM customer_own_values
            WHERE account = $1 AND id = $2 AND revision = $7";
        let (before, tenant) = (link.before(), link.tenant());
        let account = &before.account;
        let now = self.now().micros();
        self.forget_pending_link(account, tenant).await?;
        let noted = statement(INSERT)
            .bind(account.as_str())
            .bind(before.id.to_string())
            .bind(tenant.to_string())
            .bind(caller)
            .bind(now)
            .bind(link.reversible_until().micros())
            .bind(before.revision.0)
            .execute(self.connection())
            .await?;
        expect_one(noted, before)?;
        let after = self.next_revision(link.after());
        self.update_source(&after).await?;
        self.log_change(&after, ChangeKind::Linked, &link.changed(), caller, None).await?;
        self.note_known(account, tenant).await?;
        // It was asked about because a caller links it; nobody in Partner Center changed it.
        self.note_present(account, tenant, link.mark(), Some(LookCause::Refresh)).await?;
        self.forget_last_upstream_change(account, tenant).await?;
        self.look_at_pending_links_of(&after).await?;
        Ok(after)
    }

    /// Makes a linked customer the platform's again, and wants the customer in Partner Center looked at: it gets a record
    /// of its own.
    pub async fn save_unlink(&mut self, unlinked: &Unlinked, caller: &str) -> Result<Customer, Error> {
        const UNDO: &str = "
            UPDATE customer_link SET unlinked_revision = $3, unlinked_by = $4, unlinked_at = $5
            WHERE account = $1 AND customer_id = $2 AND unlinked_revision IS NULL";
        const FORGET: &str = "
            UPDATE customer_link SET former = NULL WHERE account = $1 AND customer_id = $2 AND unlinked_revision = $3";
        let after = self.next_revision(unlinked.after());
        let (account, id, revision) = (after.account.as_str(), after.id.to_string(), after.revision.0);
        let now = self.now().micros();
        let undone = statement(UNDO)
            .bind(account)
            .bind(&id)
            .bind(revision)
            .bind(caller)
            .bind(now)
            .execute(self.connection())
            .await?;
        expect_one(undone, &after)?;
        self.update_source(&after).await?;
        statement(FORGET).bind(account).bind(&id).bind(revision).execute(self.connection()).await?;
        self.log_change(&after, ChangeKind::Unlinked, &unlinked.changed(), caller, None).await?;
        self.dismiss_pair(&after.account, unlinked.tenant(), after.id, caller).await?;
        // A pause was about this record; the one of its own begins without.
        self.note_pause(&after.account, unlinked.tenant(), None).await?;
        self.hide_resellers(&after.account, unlinked.tenant()).await?;
        self.look_at_pending_links_of(&after).await?;
        Ok(after)
    }

    /// Erases the former values whose time is over; returns of how many customers.
    pub async fn forget_former_values(&mut self) -> Result<u64, Error> {
        let now = self.now().micros();
        let done = statement("UPDATE customer_link SET former = NULL WHERE former IS NOT NULL AND keep_until <= $1")
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(done)
    }
}

fn expect_one(rows: u64, customer: &Customer) -> Result<(), Error> {
    if rows == 1 { Ok(()) } else { Err(Error::Corrupt(format!("customer {} has {rows} links to write", customer.id))) }
}

/// The former values as `customer_own_values` tells them.
fn former_values(json: &str) -> Result<FormerValues, Error> {
    let corrupt = || Error::Corrupt("customer_link.former".to_owned());
    let values: serde_json::Value = serde_json::from_str(json).map_err(|_| corrupt())?;
    let text = |name: &str| values.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    let contact = |role: &str| {
        let mut contact = Contact::default();
        for field in ContactField::ALL {
            contact.set(field, text(&format!("{role}_{}", column(field)))?);
        }
        Some(contact)
    };
    Ok(FormerValues {
        company_name: text("company_name").ok_or_else(corrupt)?,
        domain: text("domain").ok_or_else(corrupt)?,
        primary_contact: contact("primary").ok_or_else(corrupt)?,
        billing: contact("billing").map_or(Billing::MirrorsPrimary, Billing::Own),
    })
}

/// The column of a member, without the contact it belongs to.
const fn column(field: ContactField) -> &'static str {
    match field {
        ContactField::FirstName => "first_name",
        ContactField::LastName => "last_name",
        ContactField::Email => "email",
        ContactField::PhoneNumber => "phone_number",
        ContactField::Language => "language",
        ContactField::Culture => "culture",
        ContactField::Country => "country",
        ContactField::Region => "region",
        ContactField::State => "state",
        ContactField::District => "district",
        ContactField::City => "city",
        ContactField::AddressLine1 => "address_line1",
        ContactField::AddressLine2 => "address_line2",
        ContactField::AddressLine3 => "address_line3",
        ContactField::PostalCode => "postal_code",
    }
}
