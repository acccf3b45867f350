//! The refresh token of an account, sealed: replaced only by whoever saw the one it replaces.

use crate::clock::Timestamp;
use crate::domain::ids::PartnerAccountId;
use crate::domain::user_sign_in::{UserRefusal, UserStanding};
use crate::sealing::Sealed;
use crate::store::row::Row;
use crate::store::statement::statement;
use crate::store::{Error, Store, Tx};

/// A refresh token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRefreshToken {
    /// Grows with every change.
    pub version: i64,
    /// The newest token.
    pub newest: Sealed,
    /// The one by which the newest one came, until the newest one has worked.
    pub former: Option<Sealed>,
    /// Of the configuration's token, if this one descends from one.
    pub configured_fingerprint: Option<Vec<u8>>,
    /// How the user fares.
    pub standing: UserStanding,
}

/// What came of a use of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Which version was used.
    pub version: i64,
    /// The token that worked.
    pub worked: Sealed,
    /// The token it brought; a sign-in service may bring none.
    pub newer: Option<Sealed>,
}

fn kept(row: &Row) -> Result<KeptRefreshToken, Error> {
    let former: Option<Vec<u8>> = row.try_get("former_sealed_token")?;
    let former_key: Option<String> = row.try_get("former_key_id")?;
    Ok(KeptRefreshToken {
        version: row.try_get("version")?,
        newest: Sealed { key_id: row.try_get("key_id")?, bytes: row.try_get("sealed_token")? },
        former: former.zip(former_key).map(|(bytes, key_id)| Sealed { key_id, bytes }),
        configured_fingerprint: row.try_get("configured_fingerprint")?,
        standing: standing(row)?.ok_or_else(|| Error::Corrupt("partner_account_refresh_token.set_at".to_owned()))?,
    })
}

/// How the user of an account fares; nothing in a joined row without a refresh token.
pub(super) fn standing(row: &Row) -> Result<Option<UserStanding>, Error> {
    let time = |column: &str| -> Result<Option<Timestamp>, Error> {
        Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_micros))
    };
    let Some(set_at) = time("token_set_at")? else { return Ok(None) };
    let reason: Option<String> = row.try_get("refused_reason")?;
    let refused = match (reason, time("refused_since")?, time("refused_at")?) {
        (Some(reason), Some(since), Some(at)) => Some(UserRefusal {
            reason,
            code: row.try_get("refused_code")?,
            detail: row.try_get::<Option<String>, _>("refused_detail")?.unwrap_or_default(),
            since,
            at,
        }),
        _ => None,
    };
    Ok(Some(UserStanding { set_at, succeeded_at: time("succeeded_at")?, refused }))
}

impl Store {
    /// The refresh token of an account, if it has one.
    pub async fn refresh_token(&self, account: &PartnerAccountId) -> Result<Option<KeptRefreshToken>, Error> {
        const SELECT: &str = "SELECT *, set_at AS token_set_at FROM partner_account_refresh_token WHERE account = $1";
        let row = statement(SELECT).bind(account.as_str()).fetch_optional(&self.backend).await?;
        row.as_ref().map(kept).transpose()
    }
}

impl Tx {
    /// Sets the refresh token of an account, whatever was there.
    pub async fn put_refresh_token(
        &mut self,
        account: &PartnerAccountId,
        token: &Sealed,
        configured_fingerprint: Option<&[u8]>,
    ) -> Result<(), Error> {
        const UPSERT: &str = "
            INSERT INTO partner_account_refresh_token (account, version, sealed_token, key_id, configured_fingerprint, set_at)
            VALUES ($1, $5, $2, $3, $4, $5)
            ON CONFLICT (account) DO UPDATE
                SET version = partner_account_refresh_token.version + 1, sealed_token = $2, key_id = $3, configured_fingerprint = $4, set_at = $5,
                    former_sealed_token = NULL, former_key_id = NULL, succeeded_at = NULL, refused_reason = NULL,
                    refused_code = NULL, refused_detail = NULL, refused_since = NULL, refused_at = NULL";
        // The first version is the time: one that was read before a token was forgotten fits none that is set later.
        let now = self.now().micros();
        statement(UPSERT)
            .bind(account.as_str())
            .bind(&token.bytes)
            .bind(&token.key_id)
            .bind(configured_fingerprint)
            .bind(now)
            .execute(self.connection())
            .await?;
        self.wake(account);
        Ok(())
    }

    /// Forgets the refresh token of an account.
    pub async fn forget_refresh_token(&mut self, account: &PartnerAccountId) -> Result<(), Error> {
        statement("DELETE FROM partner_account_refresh_token WHERE account = $1")
            .bind(account.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Lets the refresh token be tried again, whatever was said of it: what it is used with has changed.
    pub async fn forgive_refresh_token(&mut self, account: &PartnerAccountId) -> Result<(), Error> {
        const UPDATE: &str = "
            UPDATE partner_account_refresh_token
            SET version = version + 1, refused_reason = NULL, refused_code = NULL, refused_detail = NULL,
                refused_since = NULL, refused_at = NULL
            WHERE account = $1";
        statement(UPDATE).bind(account.as_str()).execute(self.connection()).await?;
        Ok(())
    }

    /// Keeps what came of a use, with the token that worked; `false` when somebody else has changed it since that version.
    pub async fn renew_refresh_token(&mut self, account: &PartnerAccountId, renewal: &Renewal) -> Result<bool, Error> {
        const UPDATE: &str = "
            UPDATE partner_account_refresh_token
            SET version = version + 1, sealed_token = $3, key_id = $4, former_sealed_token = $5, former_key_id = $6,
                succeeded_at = $7, refused_reason = NULL, refused_code = NULL, refused_detail = NULL,
                refused_since = NULL, refused_at = NULL
            WHERE account = $1 AND version = $2";
        let now = self.now().micros();
        let newest = renewal.newer.as_ref().unwrap_or(&renewal.worked);
        let former = renewal.newer.as_ref().map(|_| &renewal.worked);
        let updated = statement(UPDATE)
            .bind(account.as_str())
            .bind(renewal.version)
            .bind(&newest.bytes)
            .bind(&newest.key_id)
            .bind(former.map(|former| &former.bytes))
            .bind(former.map(|former| &former.key_id))
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(updated == 1)
    }

    /// Notes why the user is ruled out; `false` when somebody else has changed the token since that version.
    pub async fn note_user_refused(
        &mut self,
        account: &PartnerAccountId,
        version: i64,
        reason: &str,
        code: Option<&str>,
        detail: &str,
    ) -> Result<bool, Error> {
        const UPDATE: &str = "
            UPDATE partner_account_refresh_token
            SET version = version + 1, refused_code = $4, refused_detail = $5, refused_at = $6,
                refused_since = CASE WHEN refused_reason IS NOT DISTINCT FROM $3 THEN refused_since ELSE $6 END, refused_reason = $3
            WHERE account = $1 AND version = $2";
        let now = self.now().micros();
        let updated = statement(UPDATE)
            .bind(account.as_str())
            .bind(version)
            .bind(reason)
            .bind(code)
            .bind(detail)
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(updated == 1)
    }
}
