//! Who synchronizes which account: replicas say that they are alive, and share the accounts among themselves.
//!
//! A lease is held by a replica for as long as that replica is alive, which it says by one row; taking one raises the
//! account's epoch. [`Store::under`] binds everything that is written to a lease: each transaction first makes sure that it is
//! still that epoch's, after it got its turn among the writers, so that nobody can take the lease before it has committed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::domain::ids::{Epoch, PartnerAccountId, ReplicaId, Ticket};
use crate::domain::lease::{self, Lease, Living, Replica, Share};
use crate::domain::observation::ObservationMark;
use crate::store::server::Precedence;
use crate::store::statement::{PerDialect, statement};
use crate::store::{Error, Store, Tx};

/// By the database's clock, which is the same for every process.
const NOW: PerDialect = PerDialect {
    sqlite: "SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
    postgres: "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
};

/// How a replica's share stands after it said that it is alive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// The accounts it synchronizes, and under which epoch.
    pub held: BTreeMap<PartnerAccountId, Epoch>,
    /// Accounts it holds as well and is to leave to others: once nothing works on them, by [`Tx::give_up_accounts`].
    pub surplus: BTreeSet<PartnerAccountId>,
}

impl Store {
    /// The same store for whoever holds that lease: once somebody else does, nothing can be written by it. Callers of this
    /// process go first.
    #[must_use]
    pub fn under(&self, lease: Lease) -> Self {
        Self { lease: Some(lease), backend: self.backend.with(Precedence::Background), ..self.clone() }
    }

    /// The same store for what somebody waits for, also where nobody waits for most of what it writes.
    #[must_use]
    pub fn for_who_waits(&self) -> Self {
        Self { backend: self.backend.with(Precedence::Caller), ..self.clone() }
    }

    /// The same store for what cannot wait behind everything else that this process wants of it.
    #[must_use]
    pub fn urgent(&self) -> Self {
        Self { backend: self.backend.with(Precedence::Urgent), ..self.clone() }
    }

    /// Whether other processes may use the database at the same time.
    pub const fn is_shared(&self) -> bool {
        self.backend.is_shared()
    }

    /// Who synchronizes an account now, as an operator calls it.
    pub async fn holder_of(&self, account: &PartnerAccountId) -> Result<Option<String>, Error> {
        const SELECT: &str = "
            SELECT r.name, r.alive_until FROM partner_account a JOIN replica r ON r.id = a.lease_holder WHERE a.id = $1";
        let Some(row) = statement(SELECT).bind(account.as_str()).fetch_optional(&self.backend).await? else {
            return Ok(None);
        };
        let now: i64 = statement(NOW).fetch_value(&self.backend).await?;
        let is_alive = !self.is_shared() || row.try_get::<i64, _>("alive_until")? >= now;
        Ok(if is_alive { Some(row.try_get("name")?) } else { None })
    }
}

impl Store {
    /// Whether some process was believed to be alive so lately.
    pub(super) async fn was_served_within(&self, lately: Duration) -> Result<bool, Error> {
        let now: i64 = statement(NOW).fetch_value(&self.backend).await?;
        let last: Option<i64> = statement("SELECT max(alive_until) FROM replica").fetch_value(&self.backend).await?;
        let lately = i64::try_from(lately.as_micros()).unwrap_or(i64::MAX);
        Ok(last.is_some_and(|last| last >= now.saturating_sub(lately)))
    }
}

/// What those who serve these accounts, and no others, are known by.
fn name_of(accounts: &BTreeSet<PartnerAccountId>) -> String {
    let mut hash = Context::new(&SHA256);
    for account in accounts {
        hash.update(account.as_str().as_bytes());
        hash.update(b"\n");
    }
    STANDARD.encode(hash.finish())
}

impl Tx {
    /// Says that a replica is alive for another `term`, and gives it its share of `accounts`. `is_alone` says that there can
    /// be no other process, whatever the rows of former ones tell. Whoever has been silent for half of its term, or serves
    /// other accounts, keeps what it holds, and nothing of what is left is thought of as its own.
    pub async fn share_accounts(
        &mut self,
        replica: &Replica,
        accounts: &BTreeSet<PartnerAccountId>,
        term: Duration,
        is_alone: bool,
    ) -> Result<Holding, Error> {
        let living = self.say_alive(replica, accounts, term, is_alone).await?;
        let mut epochs = BTreeMap::new();
        let mut holders = BTreeMap::new();
        for (account, holder, epoch) in self.lease_holders().await? {
            if accounts.contains(&account) {
                epochs.insert(account.clone(), epoch);
                holders.insert(account, holder);
            }
        }
        let Share { keep, give_up, take } = lease::share(replica.id, &living, &holders);
        for (account, epoch) in self.take_accounts(replica.id, &take).await? {
            epochs.insert(account, epoch);
        }
        epochs.retain(|account, _| keep.contains(account) || take.contains(account));
        Ok(Holding { held: epochs, surplus: give_up })
    }

    /// Leaves accounts to others, who are told.
    pub async fn give_up_accounts(
        &mut self,
        replica: ReplicaId,
        accounts: &BTreeSet<PartnerAccountId>,
    ) -> Result<(), Error> {
        const UPDATE: &str = "
            UPDATE partner_account SET lease_holder = NULL
            WHERE lease_holder = $1 AND id IN (SELECT value FROM json_each($2))";
        let accounts = serde_json::Value::from_iter(accounts.iter().map(PartnerAccountId::as_str)).to_string();
        statement(UPDATE).bind(replica.to_string()).bind(accounts).execute(self.connection()).await?;
        self.wake_accounts();
        Ok(())
    }

    /// The replica ends: its accounts are the others' at once.
    pub async fn leave(&mut self, replica: ReplicaId) -> Result<(), Error> {
        statement("DELETE FROM replica WHERE id = $1").bind(replica.to_string()).execute(self.connection()).await?;
        self.wake_accounts();
        Ok(())
    }

    /// The next place in the order of questions, for whoever asks without holding the account.
    pub async fn take_ticket(&mut self, account: &PartnerAccountId) -> Result<ObservationMark, Error> {
        const UPDATE: &str = "
            UPDATE partner_account SET last_ticket = last_ticket + 1 WHERE id = $1 RETURNING lease_epoch, last_ticket";
        let row = statement(UPDATE).bind(account.as_str()).fetch_one(self.connection()).await?;
        Ok(ObservationMark { epoch: Epoch(row.try_get(0)?), ticket: Ticket(row.try_get(1)?) })
    }

    /// Makes sure that a lease is the newest of its account.
    pub(super) async fn require(&mut self, lease: &Lease) -> Result<(), Error> {
        let epoch: i64 = statement("SELECT lease_epoch FROM partner_account WHERE id = $1")
            .bind(lease.account.as_str())
            .fetch_value(self.connection())
            .await?;
        if epoch == lease.epoch.0 { Ok(()) } else { Err(Error::LeaseLost) }
    }

    async fn say_alive(
        &mut self,
        replica: &Replica,
        accounts: &BTreeSet<PartnerAccountId>,
        term: Duration,
        is_alone: bool,
    ) -> Result<Living, Error> {
        const SAY: &str = "
            INSERT INTO replica (id, name, alive_until, serves) VALUES ($1, $2, $3, $4)
            ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until, serves = excluded.serves";
        let now: i64 = statement(NOW).fetch_value(self.connection()).await?;
        let until = now.saturating_add(i64::try_from(term.as_micros()).unwrap_or(i64::MAX));
        let (id, serves) = (replica.id.to_string(), name_of(accounts));
        let say = statement(SAY).bind(&id).bind(&replica.name).bind(until).bind(&serves);
        say.execute(self.connection()).await?;
        statement("DELETE FROM replica WHERE id <> $1 AND (alive_until < $2 OR $3)")
            .bind(&id)
            .bind(now)
            .bind(is_alone)
            .execute(self.connection())
            .await?;
        let rows = statement("SELECT id, alive_until, serves FROM replica").fetch_all(self.connection()).await?;
        let silent_until = now.saturating_add(i64::try_from(term.as_micros() / 2).unwrap_or(i64::MAX));
        let mut living = Living::default();
        for row in &rows {
            let id = row.try_get::<&str, _>("id")?.parse().map_err(|_| Error::Corrupt("replica.id".to_owned()))?;
            let speaks = id == replica.id || row.try_get::<i64, _>("alive_until")? >= silent_until;
            let serves_the_same = row.try_get::<Option<&str>, _>("serves")?.is_none_or(|theirs| theirs == serves);
            if speaks && serves_the_same {
                living.sharing.insert(id)
            } else {
                living.apart.insert(id)
            };
        }
        Ok(living)
    }

    async fn lease_holders(&mut self) -> Result<Vec<(PartnerAccountId, Option<ReplicaId>, Epoch)>, Error> {
        let corrupt = |column: &str| Error::Corrupt(format!("partner_account.{column}"));
        let rows =
            statement("SELECT id, lease_holder, lease_epoch FROM partner_account").fetch_all(self.connection()).await?;
        rows.iter()
            .map(|row| {
                let account = row.try_get::<&str, _>("id")?.parse().map_err(|_| corrupt("id"))?;
                let holder: Option<&str> = row.try_get("lease_holder")?;
                let holder = holder.map(str::parse).transpose().map_err(|_| corrupt("lease_holder"))?;
                Ok((account, holder, Epoch(row.try_get("lease_epoch")?)))
            })
            .collect()
    }

    async fn take_accounts(
        &mut self,
        replica: ReplicaId,
        accounts: &BTreeSet<PartnerAccountId>,
    ) -> Result<Vec<(PartnerAccountId, Epoch)>, Error> {
        const UPDATE: &str = "
            UPDATE partner_account SET lease_holder = $1, lease_epoch = lease_epoch + 1
            WHERE id IN (SELECT value FROM json_each($2)) RETURNING id, lease_epoch";
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = serde_json::Value::from_iter(accounts.iter().map(PartnerAccountId::as_str));
        let rows =
            statement(UPDATE).bind(replica.to_string()).bind(wanted.to_string()).fetch_all(self.connection()).await?;
        rows.iter()
            .map(|row| {
                let account = row.try_get::<&str, _>("id")?.parse();
                let account = account.map_err(|_| Error::Corrupt("partner_account.id".to_owned()))?;
                Ok((account, Epoch(row.try_get("lease_epoch")?)))
            })
            .collect()
    }
}
