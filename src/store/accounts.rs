//! Partner accounts: their rows, the epoch of whoever synchronizes them, and the order of questions.

use crate::domain::account::{Cloud, PartnerAccount, PartnerKind};
use crate::domain::ids::{Epoch, PartnerAccountId, Ticket};
use crate::domain::observation::ObservationMark;
use crate::store::row::Row;
use crate::store::statement::statement;
use crate::store::{Error, Store, Tx};

const SELECT: &str = "SELECT id, display_name, kind, cloud, tenant_id FROM partner_account ORDER BY id";

impl Store {
    /// Every partner account, by id.
    pub async fn partner_accounts(&self) -> Result<Vec<PartnerAccount>, Error> {
        let rows = statement(SELECT).fetch_all(&self.backend).await?;
        rows.iter().map(account).collect()
    }
}

pub(super) fn account(row: &Row) -> Result<PartnerAccount, Error> {
    let text = |column: &str| row.try_get::<&str, _>(column);
    let corrupt = |column: &str| Error::Corrupt(format!("partner_account.{column}"));
    Ok(PartnerAccount {
        id: text("id")?.parse().map_err(|_| corrupt("id"))?,
        display_name: text("display_name")?.to_owned(),
        kind: PartnerKind::named(text("kind")?).ok_or_else(|| corrupt("kind"))?,
        cloud: Cloud::named(text("cloud")?).ok_or_else(|| corrupt("cloud"))?,
        tenant_id: text("tenant_id")?.parse().map_err(|_| corrupt("tenant_id"))?,
    })
}

impl Tx {
    /// Makes the account known, or brings what is known of it up to date. Its tenant never changes.
    pub async fn save_partner_account(&mut self, account: &PartnerAccount) -> Result<(), TenantChanged> {
        const UPSERT: &str = "
            INSERT INTO partner_account (id, display_name, kind, cloud, tenant_id, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $6)
            ON CONFLICT (id) DO UPDATE SET display_name = $2, kind = $3, cloud = $4, updated_at = $6
            RETURNING tenant_id";
        const TAKEN: &str = "SELECT id FROM partner_account WHERE tenant_id = $1 AND id <> $2";
        let now = self.now().micros();
        let taken = statement(TAKEN).bind(account.tenant_id.to_string()).bind(account.id.as_str());
        if let Some(by) = taken.fetch_optional(self.connection()).await? {
            let by: String = by.try_get(0)?;
            return Err(TenantChanged::Taken { account: account.id.clone(), by });
        }
        let row = statement(UPSERT)
            .bind(account.id.as_str())
            .bind(&account.display_name)
            .bind(account.kind.name())
            .bind(account.cloud.name())
            .bind(account.tenant_id.to_string())
            .bind(now)
            .fetch_one(self.connection())
            .await?;
        let kept: String = row.try_get(0)?;
        if kept != account.tenant_id.to_string() {
            return Err(TenantChanged::Another { account: account.id.clone() });
        }
        statement("INSERT INTO account_sync (account) VALUES ($1) ON CONFLICT (account) DO NOTHING")
            .bind(account.id.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Takes the next `count` places in the order of questions and returns the first of them.
    pub async fn take_tickets(
        &mut self,
        account: &PartnerAccountId,
        epoch: Epoch,
        count: usize,
    ) -> Result<ObservationMark, Error> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let row =
            statement("UPDATE partner_account SET last_ticket = last_ticket + $2 WHERE id = $1 RETURNING last_ticket")
                .bind(account.as_str())
                .bind(count)
                .fetch_one(self.connection())
                .await?;
        let last: i64 = row.try_get(0)?;
        Ok(ObservationMark { epoch, ticket: Ticket(last - count + 1) })
    }
}

/// Why an account's row was not saved.
#[derive(Debug, thiserror::Error)]
pub enum TenantChanged {
    /// The account is known with another tenant: its customers would be another partner's.
    #[error(
        "partner account {account} belongs to another tenant in the store; use another account id for another tenant"
    )]
    Another {
        /// The account.
        account: PartnerAccountId,
    },
    /// Another account is known with the tenant.
    #[error("partner account {account} has the tenant of partner account {by} in the store; each account has its own")]
    Taken {
        /// The account.
        account: PartnerAccountId,
        /// The one that has the tenant.
        by: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Error),
}
