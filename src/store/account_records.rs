//! Everything that is kept about a partner account: where it comes from, how it is kept level, and its sealed secret.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::account::{AccountOrigin, AccountRecord, AccountState, PartnerAccount};
use crate::domain::account_draft::NewAccount;
use crate::domain::ids::{PartnerAccountId, Revision, TenantId};
use crate::domain::standstill::Standstill;
use crate::domain::sync_settings::SyncSettings;
use crate::domain::user_sign_in::CredentialKind;
use crate::sealing::Sealed;
use crate::store::row::Row;
use crate::store::statement::statement;
use crate::store::{Error, Store, TenantChanged, Tx, accounts, meta, refresh_tokens};

/// A sealed secret by which an account signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedCredentials {
    /// Grows whenever the secret is set.
    pub generation: i64,
    /// Another one whenever another secret or application is set, and the same while the same is set again.
    pub identity: Vec<u8>,
    /// The secret.
    pub secret: Sealed,
}

/// An account with its sealed secret, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAccount {
    /// The account.
    pub record: AccountRecord,
    /// Its secret.
    pub credentials: Option<SealedCredentials>,
}

/// An account of the configuration, as it is told about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredAccount {
    /// The account.
    pub account: PartnerAccount,
    /// The application that signs in.
    pub client_id: String,
    /// By what it does.
    pub credential: CredentialKind,
    /// How it is kept level, whole.
    pub settings: SyncSettings,
}

/// The accounts of which something is true.
macro_rules! accounts_where {
    ($condition:literal) => {
        concat!(
            "
    SELECT a.*, s.night, s.time_zone, s.audit_interval, s.list_interval, s.verify_within, s.manual_sync_cooldown,
           s.requests_per_minute, s.concurrency, c.generation, c.identity, c.sealed_secret, c.key_id, c.set_at,
           r.set_at AS token_set_at, r.succeeded_at, r.refused_reason, r.refused_code, r.refused_detail,
           r.refused_since, r.refused_at, w.made_at AS webhook_secret_made_at
    FROM partner_account a
    LEFT JOIN partner_account_settings s ON s.account = a.id
    LEFT JOIN partner_account_credentials c ON c.account = a.id
    LEFT JOIN partner_account_refresh_token r ON r.account = a.id
    LEFT JOIN webhook_secret w ON w.account = a.id AND w.stage = 'PRESENT'
    WHERE ",
            $condition,
            " ORDER BY a.id"
        )
    };
}

/// The accounts of a range of ids.
const RANGE: &str = accounts_where!("a.id BETWEEN $1 AND $2");

fn kept(row: &Row) -> Result<KeptAccount, Error> {
    let corrupt = |column: &str| Error::Corrupt(format!("partner_account.{column}"));
    let time = |column: &str| row.try_get::<Option<i64>, _>(column).map(|micros| micros.map(Timestamp::from_micros));
    let generation: Option<i64> = row.try_get("generation")?;
    let credentials = match generation {
        Some(generation) => {
            let secret = Sealed { key_id: row.try_get("key_id")?, bytes: row.try_get("sealed_secret")? };
            Some(SealedCredentials { generation, identity: row.try_get("identity")?, secret })
        }
        None => None,
    };
    let record = AccountRecord {
        account: accounts::account(row)?,
        origin: AccountOrigin::named(row.try_get("origin")?).ok_or_else(|| corrupt("origin"))?,
        state: AccountState::named(row.try_get("state")?).ok_or_else(|| corrupt("state"))?,
        settings: settings(row)?,
        client_id: row.try_get("client_id")?,
        credential: credential_kind(row)?,
        credentials_set_at: time("set_at")?,
        webhook_secret_made_at: time("webhook_secret_made_at")?,
        user: refresh_tokens::standing(row)?,
        trial: None,
        revision: Revision(row.try_get("revision")?),
        created_at: time("created_at")?.ok_or_else(|| corrupt("created_at"))?,
        updated_at: time("updated_at")?.ok_or_else(|| corrupt("updated_at"))?,
    };
    Ok(KeptAccount { record, credentials })
}

fn credential_kind(row: &Row) -> Result<Option<CredentialKind>, Error> {
    let name: Option<String> = row.try_get("credential_kind")?;
    let expires_at: Option<i64> = row.try_get("certificate_expires_at")?;
    let Some(name) = name else { return Ok(None) };
    let kind = CredentialKind::named(&name, expires_at.map(Timestamp::from_micros));
    kind.map(Some).ok_or_else(|| Error::Corrupt("partner_account.credential_kind".to_owned()))
}

fn settings(row: &Row) -> Result<SyncSettings, Error> {
    let duration = |column: &str| -> Result<Option<Duration>, Error> {
        let micros: Option<i64> = row.try_get(column)?;
        Ok(micros.map(|micros| Duration::from_micros(micros.unsigned_abs())))
    };
    Ok(SyncSettings {
        night: row.try_get("night")?,
        time_zone: row.try_get("time_zone")?,
        audit_interval: duration("audit_interval")?,
        list_interval: duration("list_interval")?,
        verify_within: duration("verify_within")?,
        manual_cooldown: duration("manual_sync_cooldown")?,
        requests_per_minute: row.try_get("requests_per_minute")?,
        concurrency: row.try_get("concurrency")?,
    })
}

impl Store {
    /// The account of that id.
    pub async fn kept_account(&self, id: &PartnerAccountId) -> Result<Option<KeptAccount>, Error> {
        let row = statement(RANGE).bind(id.as_str()).bind(id.as_str()).fetch_optional(&self.backend).await?;
        let Some(mut kept) = row.as_ref().map(kept).transpose()? else { return Ok(None) };
        kept.record.trial = self.credential_trial(id).await?;
        Ok(Some(kept))
    }

    /// The account of that id, if it is one of the API; without a trial of its credentials.
    pub async fn account_of_the_api(&self, id: &PartnerAccountId) -> Result<Option<AccountRecord>, Error> {
        let row = statement(RANGE).bind(id.as_str()).bind(id.as_str()).fetch_optional(&self.backend).await?;
        let found = row.as_ref().map(kept).transpose()?.map(|kept| kept.record);
        Ok(found.filter(|record| record.origin == AccountOrigin::Api))
    }

    /// The accounts from one id to another, both included, by id.
    pub async fn account_records(
        &self,
        from: &PartnerAccountId,
        to: &PartnerAccountId,
    ) -> Result<Vec<AccountRecord>, Error> {
        let rows = statement(RANGE).bind(from.as_str()).bind(to.as_str()).fetch_all(&self.backend).await?;
        let mut trials: BTreeMap<_, _> = self.credential_trials(from, to).await?.into_iter().collect();
        let record = |row| {
            let mut record = kept(row)?.record;
            record.trial = trials.remove(&record.account.id);
            Ok(record)
        };
        rows.iter().map(record).collect()
    }

    /// Every account of the API, by id.
    pub async fn api_accounts(&self) -> Result<Vec<KeptAccount>, Error> {
        const SELECT: &str = accounts_where!("a.origin = 'API'");
        let rows = statement(SELECT).fetch_all(&self.backend).await?;
        rows.iter().map(kept).collect()
    }

    /// Every account of the API but those; without trials of their credentials.
    pub async fn api_accounts_but(&self, known: &BTreeSet<PartnerAccountId>) -> Result<Vec<AccountRecord>, Error> {
        const SELECT: &str = accounts_where!("a.origin = 'API' AND a.id NOT IN (SELECT value FROM json_each($1))");
        let known = serde_json::Value::from_iter(known.iter().map(PartnerAccountId::as_str)).to_string();
        let rows = statement(SELECT).bind(known).fetch_all(&self.backend).await?;
        rows.iter().map(|row| kept(row).map(|kept| kept.record)).collect()
    }
}

impl Tx {
    /// The account of that id, before it is changed.
    pub async fn account_for_update(&mut self, id: &PartnerAccountId) -> Result<Option<AccountRecord>, Error> {
        let row = statement(RANGE).bind(id.as_str()).bind(id.as_str()).fetch_optional(self.connection()).await?;
        let Some(mut record) = row.as_ref().map(kept).transpose()?.map(|kept| kept.record) else { return Ok(None) };
        record.trial = self.credential_trial(id).await?;
        Ok(Some(record))
    }

    /// The account that has the id or the tenant already.
    pub async fn account_in_the_way(
        &mut self,
        id: &PartnerAccountId,
        tenant: TenantId,
    ) -> Result<Option<PartnerAccountId>, Error> {
        const SELECT: &str =
            "SELECT id FROM partner_account WHERE id = $1 OR tenant_id = $2 ORDER BY id = $1 DESC LIMIT 1";
        let row =
            statement(SELECT).bind(id.as_str()).bind(tenant.to_string()).fetch_optional(self.connection()).await?;
        let Some(row) = row else { return Ok(None) };
        let found: &str = row.try_get(0)?;
        found.parse().map(Some).map_err(|_| Error::Corrupt("partner_account.id".to_owned()))
    }

    /// Makes a new account of the API, which stands still until it has credentials.
    pub async fn insert_account(&mut self, new: &NewAccount) -> Result<AccountRecord, Error> {
        const INSERT: &str = "
            INSERT INTO partner_account
                (id, display_name, kind, cloud, tenant_id, origin, state, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, 'API', $6, $7, $7)";
        let account = &new.account;
        let now = self.now().micros();
        statement(INSERT)
            .bind(account.id.as_str())
            .bind(&account.display_name)
            .bind(account.kind.name())
            .bind(account.cloud.name())
            .bind(account.tenant_id.to_string())
            .bind(new.state.name())
            .bind(now)
            .execute(self.connection())
            .await?;
        statement("INSERT INTO account_sync (account) VALUES ($1)")
            .bind(account.id.as_str())
            .execute(self.connection())
            .await?;
        self.save_settings(&account.id, &new.settings).await?;
        self.wake_accounts();
        let record = self.changed_account(&account.id).await?;
        self.note_standstill(&record).await?;
        Ok(record)
    }

    /// Saves what changed of an account of the API.
    pub async fn update_account(&mut self, after: &AccountRecord) -> Result<AccountRecord, Error> {
        const UPDATE: &str = "
            UPDATE partner_account SET display_name = $2, kind = $3, state = $4, revision = revision + 1, updated_at = $5
            WHERE id = $1";
        let account = &after.account;
        let now = self.now().micros();
        statement(UPDATE)
            .bind(account.id.as_str())
            .bind(&account.display_name)
            .bind(account.kind.name())
            .bind(after.state.name())
            .bind(now)
            .execute(self.connection())
            .await?;
        self.save_settings(&account.id, &after.settings).await?;
        self.wake_accounts();
        let record = self.changed_account(&account.id).await?;
        self.note_standstill(&record).await?;
        Ok(record)
    }

    /// The account of that id with its sealed secret, before that is set.
    pub async fn kept_account_for_update(&mut self, id: &PartnerAccountId) -> Result<Option<KeptAccount>, Error> {
        let row = statement(RANGE).bind(id.as_str()).bind(id.as_str()).fetch_optional(self.connection()).await?;
        row.as_ref().map(kept).transpose()
    }

    /// Saves the sealed secret of an account of the API, or its sealed certificate with its key. What is not the same as before goes on trial before it is used.
    pub async fn save_credentials(
        &mut self,
        id: &PartnerAccountId,
        client_id: &str,
        kind: CredentialKind,
        secret: &Sealed,
        is_the_same: bool,
    ) -> Result<AccountRecord, Error> {
        const UPSERT: &str = "
            INSERT INTO partner_account_credentials (account, generation, identity, sealed_secret, key_id, set_at)
            VALUES ($1, 1, $6, $2, $3, $4)
            ON CONFLICT (account) DO UPDATE SET
                generation = partner_account_credentials.generation + 1,
                identity = CASE WHEN $5 THEN partner_account_credentials.identity ELSE $6 END, sealed_secret = $2, key_id = $3,
                set_at = $4";
        let now = self.now().micros();
        let drawn = meta::drawn::<16>()?;
        statement(UPSERT)
            .bind(id.as_str())
            .bind(&secret.bytes)
            .bind(&secret.key_id)
            .bind(now)
            .bind(is_the_same)
            .bind(drawn.as_slice())
            .execute(self.connection())
            .await?;
        if !is_the_same {
            self.forget_trial(id).await?;
        }
        statement(
            "UPDATE partner_account SET client_id = $2, revision = revision + 1, updated_at = $3, credential_kind = $4,
                certificate_expires_at = $5
             WHERE id = $1",
        )
        .bind(id.as_str())
        .bind(client_id)
        .bind(now)
        .bind(kind.name())
        .bind(kind.expires_at().map(Timestamp::micros))
        .execute(self.connection())
        .await?;
        self.wake_accounts();
        let record = self.changed_account(id).await?;
        self.note_standstill(&record).await?;
        Ok(record)
    }

    /// Makes an account of the configuration known, or brings what is known of it up to date. One that came from the
    /// API is the configuration's from now on, and its sealed secret is forgotten.
    pub async fn save_configured_account(
        &mut self,
        wanted: &ConfiguredAccount,
    ) -> Result<AccountRecord, TenantChanged> {
        const UPDATE: &str = "
            UPDATE partner_account SET origin = 'CONFIGURATION', state = 'ACTIVE', client_id = $2, revision = revision + 1,
                updated_at = $3, credential_kind = $4, certificate_expires_at = $5
            WHERE id = $1";
        const SIGNS_IN_BY_FILE: &str = "DELETE FROM partner_account_credentials WHERE account = $1";
        let id = &wanted.account.id;
        let before = self.account_for_update(id).await?;
        let as_before = |before: &AccountRecord| {
            before.account == wanted.account
                && (before.origin, before.state) == (AccountOrigin::Configuration, AccountState::Active)
                && (&before.client_id, &before.settings) == (&wanted.client_id, &wanted.settings)
                && before.credential == Some(wanted.credential)
        };
        if let Some(before) = before.filter(as_before) {
            return Ok(before);
        }
        self.save_partner_account(&wanted.account).await?;
        let now = self.now().micros();
        let kind = wanted.credential;
        let rename = statement(UPDATE).bind(id.as_str()).bind(&wanted.client_id).bind(now).bind(kind.name());
        let rename = rename.bind(kind.expires_at().map(Timestamp::micros));
        rename.execute(self.connection()).await?;
        let forget = statement(SIGNS_IN_BY_FILE).bind(id.as_str());
        forget.execute(self.connection()).await?;
        self.save_settings(id, &wanted.settings).await?;
        Ok(self.changed_account(id).await?)
    }

    /// Says or unsays why the account stands still, as far as its record shows it. What Partner Center says of it is left
    /// alone.
    async fn note_standstill(&mut self, record: &AccountRecord) -> Result<(), Error> {
        const CLEAR: &str = "
            UPDATE account_sync SET problem_reason = NULL, problem_detail = NULL, problem_since = NULL
            WHERE account = $1 AND problem_reason IN ($2, $3)";
        let standstill = match (record.state, record.credentials_set_at) {
            (AccountState::Disabled, _) => Standstill::Disabled,
            (AccountState::Active, None) => Standstill::NoCredentials,
            (AccountState::Active, Some(_)) => {
                statement(CLEAR)
                    .bind(record.account.id.as_str())
                    .bind(Standstill::Disabled.reason())
                    .bind(Standstill::NoCredentials.reason())
                    .execute(self.connection())
                    .await?;
                return Ok(());
            }
        };
        self.note_problem(&record.account.id, standstill.reason(), standstill.remedy()).await
    }

    async fn changed_account(&mut self, id: &PartnerAccountId) -> Result<AccountRecord, Error> {
        let record = self.account_for_update(id).await?;
        record.ok_or_else(|| Error::Corrupt("a partner account that was just written is gone".to_owned()))
    }

    async fn save_settings(&mut self, id: &PartnerAccountId, settings: &SyncSettings) -> Result<(), Error> {
        const UPSERT: &str = "
            INSERT INTO partner_account_settings
                (account, night, time_zone, audit_interval, list_interval, verify_within, manual_sync_cooldown,
                 requests_per_minute, concurrency)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (account) DO UPDATE
                SET night = $2, time_zone = $3, audit_interval = $4, list_interval = $5, verify_within = $6,
                    manual_sync_cooldown = $7, requests_per_minute = $8, concurrency = $9";
        let micros = |duration: Option<Duration>| {
            duration.map(|duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
        };
        statement(UPSERT)
            .bind(id.as_str())
            .bind(&settings.night)
            .bind(&settings.time_zone)
            .bind(micros(settings.audit_interval))
            .bind(micros(settings.list_interval))
            .bind(micros(settings.verify_within))
            .bind(micros(settings.manual_cooldown))
            .bind(settings.requests_per_minute)
            .bind(settings.concurrency)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
