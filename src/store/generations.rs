//! Generations: which stretch of the store's history something was told in, and whether the database was put back since.
//!
//! A database that is restored goes on from an earlier state, and numbers what happens then as it numbered what was lost.
//! Every stretch has a name drawn by chance and a place in the change log where it began: a place after the end of its own
//! stretch, or of an unknown one, is of a history that is lost. A file begins a generation with every process; a server
//! whenever it is another database, or took over from another server. When the file's witness or the server tells that the
//! database was put back, whatever was under way is given up, and every account is to be synchronized in full.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::ids::{ChangePosition, GenerationId};
use crate::store::connection::Backend;
use crate::store::server_identity::ServerIdentity;
use crate::store::statement::statement;
use crate::store::sync_runs::run;
use crate::store::{Error, Store, Tx};

/// A place in the change log, and the generation it is told in; places of releases before there were any have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The generation.
    pub generation: Option<GenerationId>,
    /// The last change at that time.
    pub position: ChangePosition,
}

/// What came of looking whether a generation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// The generation goes on.
    None,
    /// One began.
    Began,
    /// One began because the database was put back to an earlier state.
    Restored,
}

/// Where the newest generation is.
const NEWEST: &str = "SELECT server FROM generation ORDER BY number DESC LIMIT 1";
/// How many generations are remembered; a place in one that is forgotten counts as lost.
const REMEMBERED: i64 = 1_000;
/// By so much the order of questions and the epochs of leases go on after what was lost: far beyond anything given out there.
const BEYOND: i64 = 1 << 32;
/// As long ago as that, a database that was put back to it would have been served: that takes longer.
const LATELY: Duration = Duration::from_secs(60);
/// Why a run ends that the database was put back into the middle of.
const PUT_BACK: &str = "the database was put back to an earlier state while the run was under way";

impl Store {
    /// A process begins to serve the database.
    pub async fn begin_generation(&self) -> Result<Beginning, Error> {
        let begun = match &self.backend {
            Backend::Sqlite { witness, .. } => {
                let last = witness.as_ref().and_then(|witness| witness.last());
                let is_new = self.newest_generation().await?.is_none();
                let is_restored = match last {
                    _ if is_new => false,
                    Some(last) => !self.continues(&last).await?,
                    // The file came without its witness: nobody knows from when it is.
                    None => true,
                };
                self.write("begin_generation", async |tx| tx.begin_generation("", is_restored).await).await?
            }
            Backend::Postgres(_) => self.generation_of_server(true).await?,
        };
        if let Backend::Sqlite { witness: Some(witness), .. } = &self.backend {
            witness.follow(self.here().await?);
        }
        Ok(begun)
    }

    /// Looks whether the database is still the one it was, while it is being served.
    pub async fn follow_server(&self) -> Result<Beginning, Error> {
        match &self.backend {
            Backend::Sqlite { .. } => Ok(Beginning::None),
            Backend::Postgres(_) => self.generation_of_server(false).await,
        }
    }

    /// Whoever just starts cannot tell a server that took over without a loss from one that was put back to an earlier time,
    /// unless somebody served the database a moment ago; whoever was there takes it for the former.
    async fn generation_of_server(&self, starts: bool) -> Result<Beginning, Error> {
        let now = ServerIdentity::of(self).await?;
        let was_away = starts && !self.was_served_within(LATELY).await?;
        let told = now.to_string();
        // Whether one begins, and then whether the database was put back.
        let begins = |newest: Option<&str>| {
            let Some(newest) = newest else { return Some(false) };
            match ServerIdentity::parse(newest) {
                Some(newest) if now.is_database_of(&newest) && now.is_timeline_of(&newest) => None,
                Some(newest) => Some(was_away || !now.is_database_of(&newest)),
                // That of a file, whose copy this is.
                None => Some(true),
            }
        };
        if begins(self.newest_generation().await?.as_deref()).is_none() {
            return Ok(Beginning::None);
        }
        self.write("begin_generation", async |tx| {
            // Another replica may have been first.
            match begins(tx.newest_generation().await?.as_deref()) {
                Some(is_restored) => tx.begin_generation(&told, is_restored).await,
                None => Ok(Beginning::None),
            }
        })
        .await
    }

    /// Whether a place that was told lies in the history of this store, and not in one that is lost.
    pub async fn continues(&self, place: &Place) -> Result<bool, Error> {
        const BELONGS: &str = "
            SELECT CASE WHEN own.until IS NULL THEN coalesce(
                (SELECT max(sequence) FROM change_log), (SELECT sequence FROM change_log_horizon WHERE only_row = 1)
            ) ELSE own.until END AS until
            FROM (
                SELECT (SELECT min(n.began_after) FROM generation n WHERE n.number > g.number) AS until
                FROM generation g
                WHERE g.id = $1 OR ($1 IS NULL AND g.number = (SELECT min(number) FROM generation))
            ) AS own";
        let told_in = place.generation.map(|generation| generation.to_string());
        let row = statement(BELONGS).bind(told_in).fetch_optional(&self.backend).await?;
        match row {
            Some(row) => Ok(place.position.0 <= row.try_get::<i64, _>("until")?),
            // A store that nobody has served yet.
            None => Ok(place.generation.is_none()),
        }
    }

    /// When the database was last found to have been put back.
    pub async fn restored_at(&self) -> Result<Option<Timestamp>, Error> {
        let at: Option<i64> =
            statement("SELECT max(began_at) FROM generation WHERE is_restored").fetch_value(&self.backend).await?;
        Ok(at.map(Timestamp::from_micros))
    }

    async fn newest_generation(&self) -> Result<Option<String>, Error> {
        let row = statement(NEWEST).fetch_optional(&self.backend).await?;
        row.map(|row| row.try_get(0)).transpose()
    }
}

impl Tx {
    async fn newest_generation(&mut self) -> Result<Option<String>, Error> {
        let row = statement(NEWEST).fetch_optional(self.connection()).await?;
        row.map(|row| row.try_get(0)).transpose()
    }

    async fn begin_generation(&mut self, server: &str, is_restored: bool) -> Result<Beginning, Error> {
        const BEGIN: &str = "
            INSERT INTO generation (number, id, began_after, began_at, server, is_restored)
            SELECT coalesce((SELECT max(number) FROM generation), 0) + 1, $1,
                coalesce((SELECT max(sequence) FROM change_log), sequence), $2, $3, $4
            FROM change_log_horizon WHERE only_row = 1";
        const FORGET: &str = "
            DELETE FROM generation WHERE NOT is_restored AND number <= (SELECT max(number) FROM generation) - $1";
        let id = GenerationId::drawn(crate::store::meta::drawn::<8>()?);
        statement(BEGIN)
            .bind(id.to_string())
            .bind(self.now().micros())
            .bind(server)
            .bind(is_restored)
            .execute(self.connection())
            .await?;
        statement(FORGET).bind(REMEMBERED).execute(self.connection()).await?;
        if !is_restored {
            return Ok(Beginning::Began);
        }
        self.give_up_what_was_under_way().await?;
        Ok(Beginning::Restored)
    }

    /// What was under way at the time the database was put back to has happened since, differently.
    async fn give_up_what_was_under_way(&mut self) -> Result<(), Error> {
        const UNDER_WAY: &str = "SELECT * FROM sync_run WHERE state IN ('LISTING', 'FETCHING')";
        const BEYOND_THE_LOST: &str = "
            UPDATE partner_account SET
                lease_holder = NULL, lease_epoch = lease_epoch + $1, last_ticket = last_ticket + $1";
        for row in statement(UNDER_WAY).fetch_all(self.connection()).await? {
            let run = run(&row)?;
            self.finish_run(&run, Some(PUT_BACK)).await?;
        }
        statement(BEYOND_THE_LOST).bind(BEYOND).execute(self.connection()).await?;
        self.wake_accounts();
        Ok(())
    }
}
