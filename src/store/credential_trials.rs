//! The trials of new or changed credentials: which were accepted, what a dry run has met, and what came of it.
//!
//! A dry run writes here and nowhere else: no customer, nothing of what is owed to one, and no run. Paused customers are left
//! out, because nobody looks at them.

use crate::clock::Timestamp;
use crate::domain::customer::Customer;
use crate::domain::ids::PartnerAccountId;
use crate::domain::observation::ListedCustomer;
use crate::domain::standstill::Standstill;
use crate::domain::trial::{self, CredentialTrial, Fingerprint, Grounds, SAMPLE_MAX, TrialReport, TrialState, Verdict};
use crate::store::row::Row;
use crate::store::statement::statement;
use crate::store::upstream::tenant;
use crate::store::{Error, RunKind, RunState, Store, Tx};

/// Who accepts when nobody is asked.
const WORKER: &str = "worker";

const TRIAL: &str = "SELECT * FROM credential_trial WHERE account = $1";
const ACCEPTED: &str = "SELECT fingerprint FROM credential_acceptance WHERE account = $1 ORDER BY number DESC LIMIT 1";

/// How a trial begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialStart {
    /// The credentials are accepted, without a dry run.
    Accepted(Grounds),
    /// A dry run reads the list from its beginning.
    DryRun,
}

fn fingerprint(bytes: &[u8]) -> Result<Fingerprint, Error> {
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| Error::Corrupt("a fingerprint is not 32 bytes".to_owned()))?;
    Ok(Fingerprint::new(bytes))
}

fn trial_of(row: &Row) -> Result<CredentialTrial, Error> {
    let time = |column: &str| row.try_get::<Option<i64>, _>(column).map(|micros| micros.map(Timestamp::from_micros));
    let corrupt = |column: &str| Error::Corrupt(format!("credential_trial.{column}"));
    let found = match time("finished_at")? {
        Some(at) => Some((report_of(row)?, at)),
        None => None,
    };
    Ok(CredentialTrial {
        fingerprint: fingerprint(row.try_get("fingerprint")?)?,
        state: TrialState::named(row.try_get("state")?).ok_or_else(|| corrupt("state"))?,
        started_at: time("started_at")?.ok_or_else(|| corrupt("started_at"))?,
        found,
        accepted: time("accepted_at")?.zip(row.try_get("accepted_by")?),
    })
}

fn report_of(row: &Row) -> Result<TrialReport, Error> {
    let count = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    Ok(TrialReport {
        listed: count("listed")?,
        active: count("active")?,
        present: count("present")?,
        missing: count("missing")?,
        appeared: count("appeared")?,
        renamed: count("renamed")?,
        sampled: count("sampled")?,
        differing: count("differing")?,
    })
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Store {
    /// The trial of the account's credentials, if these needed one.
    pub async fn credential_trial(&self, account: &PartnerAccountId) -> Result<Option<CredentialTrial>, Error> {
        let row = statement(TRIAL).bind(account.as_str()).fetch_optional(&self.backend).await?;
        row.as_ref().map(trial_of).transpose()
    }

    /// The trials of the accounts from one id to another, both included.
    pub(super) async fn credential_trials(
        &self,
        from: &PartnerAccountId,
        to: &PartnerAccountId,
    ) -> Result<Vec<(PartnerAccountId, CredentialTrial)>, Error> {
        const SELECT: &str = "SELECT * FROM credential_trial WHERE account BETWEEN $1 AND $2 ORDER BY account";
        let rows = statement(SELECT).bind(from.as_str()).bind(to.as_str()).fetch_all(&self.backend).await?;
        rows.iter()
            .map(|row| {
                let account: &str = row.try_get("account")?;
                let account = account.parse().map_err(|_| Error::Corrupt("credential_trial.account".to_owned()))?;
                Ok((account, trial_of(row)?))
            })
            .collect()
    }

    /// Which credentials the account is synchronized with: the ones that were accepted last.
    pub async fn accepted_credentials(&self, account: &PartnerAccountId) -> Result<Option<Fingerprint>, Error> {
        let row = statement(ACCEPTED).bind(account.as_str()).fetch_optional(&self.backend).await?;
        row.map(|row| fingerprint(row.try_get(0)?)).transpose()
    }

    /// Known customers for the dry run under way to look at: at most [`SAMPLE_MAX`], spread over all that the list shows as
    /// before.
    pub async fn trial_sample(&self, account: &PartnerAccountId) -> Result<Vec<Customer>, Error> {
        const SELECT: &str = "
            WITH alike AS (
                SELECT c.microsoft_tenant_id AS tenant_id, row_number() OVER (ORDER BY c.microsoft_tenant_id) AS place,
                       count(*) OVER () AS everybody
                FROM customer c
                JOIN upstream_customer u ON u.account = c.account AND u.tenant_id = c.microsoft_tenant_id
                JOIN credential_trial_seen s ON s.account = c.account AND s.tenant_id = c.microsoft_tenant_id
                WHERE c.account = $1 AND c.relationship = 'ACTIVE' AND u.paused_at IS NULL AND NOT s.is_renamed
            )
            SELECT tenant_id FROM alike WHERE place * $2 / everybody > (place - 1) * $2 / everybody ORDER BY place LIMIT $2";
        let rows = statement(SELECT).bind(account.as_str()).bind(SAMPLE_MAX).fetch_all(&self.backend).await?;
        let mut sample = Vec::with_capacity(rows.len());
        for row in &rows {
            let tenant = tenant(row.try_get(0)?)?;
            // One that was linked or ended meanwhile is not missed.
            sample.extend(self.customer_of_tenant(account, tenant).await?);
        }
        Ok(sample)
    }
}

impl Tx {
    /// The trial of the account's credentials, as it is in this transaction.
    pub async fn credential_trial(&mut self, account: &PartnerAccountId) -> Result<Option<CredentialTrial>, Error> {
        let row = statement(TRIAL).bind(account.as_str()).fetch_optional(self.connection()).await?;
        row.as_ref().map(trial_of).transpose()
    }

    /// Begins the trial of credentials that were just signed in with: accepts them where nothing could be lost, and else
    /// makes room for a dry run. One that waits for an operator goes on waiting while it is repeated.
    pub async fn begin_trial(
        &mut self,
        account: &PartnerAccountId,
        credentials: Fingerprint,
    ) -> Result<TrialStart, Error> {
        const KNOWN: &str = "
            SELECT count(*) FROM customer c
            JOIN upstream_customer u ON u.account = c.account AND u.tenant_id = c.microsoft_tenant_id
            WHERE c.account = $1 AND c.relationship = 'ACTIVE' AND u.paused_at IS NULL";
        const BEGIN: &str = "
            INSERT INTO credential_trial (account, fingerprint, state, started_at) VALUES ($1, $2, 'TRYING', $3)
            ON CONFLICT (account) DO UPDATE SET
                fingerprint = $2, state = 'TRYING', started_at = $3, finished_at = NULL, listed = NULL, active = NULL,
                present = NULL, missing = NULL, appeared = NULL, renamed = NULL, sampled = NULL, differing = NULL,
                accepted_at = NULL, accepted_by = NULL
            WHERE NOT (credential_trial.fingerprint = $2 AND credential_trial.state = 'WAITING')";
        let known: i64 = statement(KNOWN).bind(account.as_str()).fetch_value(self.connection()).await?;
        let before = statement(ACCEPTED).bind(account.as_str()).fetch_optional(self.connection()).await?;
        let grounds = match (known, before) {
            (0, _) => Some(Grounds::NobodyToLose),
            // Customers come by accepted credentials only, so these came by an earlier release.
            (_, None) => Some(Grounds::KnownBefore),
            (_, Some(_)) => None,
        };
        if let Some(grounds) = grounds {
            self.forget_trial(account).await?;
            self.accept(account, credentials, grounds, WORKER, None).await?;
            return Ok(TrialStart::Accepted(grounds));
        }
        self.forget_seen(account).await?;
        let now = self.now().micros();
        statement(BEGIN)
            .bind(account.as_str())
            .bind(credentials.bytes().as_slice())
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(TrialStart::DryRun)
    }

    /// The dry run has met these customers in the list. Meeting one twice is meeting it once.
    pub async fn note_seen_on_trial(
        &mut self,
        account: &PartnerAccountId,
        listed: &[ListedCustomer],
    ) -> Result<(), Error> {
        const INSERT: &str = "
            INSERT INTO credential_trial_seen (account, tenant_id, is_renamed)
            SELECT $1, l.value ->> 'id', EXISTS (
                SELECT 1 FROM upstream_customer u
                WHERE u.account = $1 AND u.tenant_id = l.value ->> 'id' AND u.listed_name IS NOT NULL
                    AND (u.listed_name, u.listed_domain, u.listed_relationship)
                        IS DISTINCT FROM (l.value ->> 'name', l.value ->> 'domain', l.value ->> 'relationship')
            )
            FROM json_each($2) l WHERE true
            ON CONFLICT (account, tenant_id) DO NOTHING";
        let listed = serde_json::Value::from_iter(listed.iter().map(|customer| {
            serde_json::json!({
                "id": customer.tenant_id.to_string(),
                "name": customer.company_name,
                "domain": customer.domain,
                "relationship": customer.relationship,
            })
        }));
        statement(INSERT).bind(account.as_str()).bind(listed.to_string()).execute(self.connection()).await?;
        Ok(())
    }

    /// Judges the dry run, whose list was read to its end, with what its sample came to. Nothing is judged that was
    /// accepted or replaced meanwhile: then there is no outcome.
    pub async fn judge_trial(
        &mut self,
        account: &PartnerAccountId,
        credentials: Fingerprint,
        sampled: u64,
        differing: u64,
    ) -> Result<Option<(Verdict, TrialReport)>, Error> {
        const FINISH: &str = "
            UPDATE credential_trial SET
                state = 'WAITING', finished_at = $2, listed = $3, active = $4, present = $5, missing = $6, appeared = $7,
                renamed = $8, sampled = $9, differing = $10
            WHERE account = $1";
        let found = self.credential_trial(account).await?;
        let on_trial = |trial: &CredentialTrial| match trial.state {
            TrialState::Trying | TrialState::Waiting => trial.fingerprint == credentials,
            TrialState::Accepted => false,
        };
        if !found.as_ref().is_some_and(on_trial) {
            return Ok(None);
        }
        let report = TrialReport { sampled, differing, ..self.list_compared(account).await? };
        self.forget_seen(account).await?;
        let now = self.now().micros();
        statement(FINISH)
            .bind(account.as_str())
            .bind(now)
            .bind(signed(report.listed))
            .bind(signed(report.active))
            .bind(signed(report.present))
            .bind(signed(report.missing))
            .bind(signed(report.appeared))
            .bind(signed(report.renamed))
            .bind(signed(report.sampled))
            .bind(signed(report.differing))
            .execute(self.connection())
            .await?;
        let verdict = trial::judge(&report);
        match verdict {
            Verdict::Accept => {
                self.accept(account, credentials, Grounds::LittleDiffers, WORKER, Some(&report)).await?;
            }
            Verdict::AskOperator => {
                let reason = Standstill::CredentialsNeedApproval.reason();
                self.note_problem(account, reason, &trial::waiting_detail(&report)).await?;
            }
        }
        Ok(Some((verdict, report)))
    }

    /// An operator accepts the credentials of a trial that waits, after what it found.
    pub async fn accept_trial(
        &mut self,
        account: &PartnerAccountId,
        credentials: Fingerprint,
        report: &TrialReport,
        caller: &str,
    ) -> Result<(), Error> {
        self.forget_seen(account).await?;
        self.accept(account, credentials, Grounds::Operator, caller, Some(report)).await
    }

    /// What was found about credentials that are no longer the account's is forgotten; the acceptances stay.
    pub async fn forget_trial(&mut self, account: &PartnerAccountId) -> Result<(), Error> {
        self.forget_seen(account).await?;
        statement("DELETE FROM credential_trial WHERE account = $1")
            .bind(account.as_str())
            .execute(self.connection())
            .await?;
        self.unsay_waiting(account).await
    }

    /// What the list that was met says of the known customers.
    async fn list_compared(&mut self, account: &PartnerAccountId) -> Result<TrialReport, Error> {
        const COMPARE: &str = "
            SELECT count(*) AS active, count(s.tenant_id) AS present,
                   count(*) FILTER (WHERE s.tenant_id IS NULL AND u.listed_name IS NOT NULL) AS missing,
                   count(*) FILTER (WHERE s.is_renamed) AS renamed, 0 AS sampled, 0 AS differing,
                   (SELECT count(*) FROM credential_trial_seen WHERE account = $1) AS listed,
                   (SELECT count(*) FROM credential_trial_seen n
                    LEFT JOIN upstream_customer v ON v.account = n.account AND v.tenant_id = n.tenant_id
                    LEFT JOIN customer k ON k.account = n.account AND k.microsoft_tenant_id = n.tenant_id
                    WHERE n.account = $1 AND v.listed_name IS NULL AND k.relationship IS DISTINCT FROM 'ACTIVE') AS appeared
            FROM customer c
            JOIN upstream_customer u ON u.account = c.account AND u.tenant_id = c.microsoft_tenant_id
            LEFT JOIN credential_trial_seen s ON s.account = c.account AND s.tenant_id = c.microsoft_tenant_id
            WHERE c.account = $1 AND c.relationship = 'ACTIVE' AND u.paused_at IS NULL";
        report_of(&statement(COMPARE).bind(account.as_str()).fetch_one(self.connection()).await?)
    }

    /// From now on the account is synchronized with these credentials. A list that others have begun to read is read anew.
    async fn accept(
        &mut self,
        account: &PartnerAccountId,
        credentials: Fingerprint,
        grounds: Grounds,
        caller: &str,
        report: Option<&TrialReport>,
    ) -> Result<(), Error> {
        const INSERT: &str = "
            INSERT INTO credential_acceptance
                (account, number, fingerprint, grounds, accepted_by, accepted_at, listed, active, present, missing, appeared,
                 renamed, sampled, differing)
            SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
            FROM credential_acceptance WHERE account = $1";
        const SAY: &str = "
            UPDATE credential_trial SET state = 'ACCEPTED', accepted_at = $2, accepted_by = $3 WHERE account = $1";
        let now = self.now().micros();
        let number = |of: fn(&TrialReport) -> u64| report.map(|report| signed(of(report)));
        statement(INSERT)
            .bind(account.as_str())
            .bind(credentials.bytes().as_slice())
            .bind(grounds.name())
            .bind(caller)
            .bind(now)
            .bind(number(|report| report.listed))
            .bind(number(|report| report.active))
            .bind(number(|report| report.present))
            .bind(number(|report| report.missing))
            .bind(number(|report| report.appeared))
            .bind(number(|report| report.renamed))
            .bind(number(|report| report.sampled))
            .bind(number(|report| report.differing))
            .execute(self.connection())
            .await?;
        statement(SAY).bind(account.as_str()).bind(now).bind(caller).execute(self.connection()).await?;
        self.unsay_waiting(account).await?;
        self.wake(account);
        match grounds {
            // The same credentials as before, as far as anybody knows.
            Grounds::KnownBefore => return Ok(()),
            Grounds::NobodyToLose | Grounds::LittleDiffers | Grounds::Operator => {}
        }
        for kind in [RunKind::Full, RunKind::ListDiff] {
            let listing = self.run_under_way(account, kind).await?;
            if let Some(run) = listing.filter(|run| run.state == RunState::Listing && run.pages > 0) {
                self.restart_listing(&run).await?;
            }
        }
        Ok(())
    }

    async fn unsay_waiting(&mut self, account: &PartnerAccountId) -> Result<(), Error> {
        const CLEAR: &str = "
            UPDATE account_sync SET problem_reason = NULL, problem_detail = NULL, problem_since = NULL
            WHERE account = $1 AND problem_reason = $2";
        statement(CLEAR)
            .bind(account.as_str())
            .bind(Standstill::CredentialsNeedApproval.reason())
            .execute(self.connection())
            .await?;
        self.wake(account);
        Ok(())
    }

    async fn forget_seen(&mut self, account: &PartnerAccountId) -> Result<(), Error> {
        statement("DELETE FROM credential_trial_seen WHERE account = $1")
            .bind(account.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
