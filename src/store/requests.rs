//! Remembered requests: the same request twice has one effect and one answer (AIP-155).
//!
//! The memory is written by the transaction that has the effect, so that a crash keeps both or neither.

use std::time::Duration;

use crate::domain::ids::RequestId;
use crate::store::statement::statement;
use crate::store::{Error, Tx};

/// How long a request is remembered.
const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 3600);

/// A request that may come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// Who asks.
    pub caller: String,
    /// The id the caller gave it.
    pub id: RequestId,
    /// What it asks for, as a digest.
    pub fingerprint: Vec<u8>,
}

/// What is remembered of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// Its answer.
    Answer(Vec<u8>),
    /// The id belongs to another request.
    AnotherRequest,
}

impl Tx {
    /// What is remembered under the request's id.
    pub async fn remembered(&mut self, request: &RequestKey) -> Result<Option<Remembered>, Error> {
        const SELECT: &str = "
            SELECT fingerprint, answer FROM request_memory WHERE caller = $1 AND request_id = $2 AND at >= $3";
        let oldest = self.now().minus(REMEMBERED_FOR).micros();
        let row = statement(SELECT)
            .bind(&request.caller)
            .bind(request.id.to_string())
            .bind(oldest)
            .fetch_optional(self.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let fingerprint: Vec<u8> = row.try_get("fingerprint")?;
        Ok(Some(if fingerprint == request.fingerprint {
            Remembered::Answer(row.try_get("answer")?)
        } else {
            Remembered::AnotherRequest
        }))
    }

    /// Remembers the answer to a request, and forgets those that are a day old.
    pub async fn remember(&mut self, request: &RequestKey, answer: &[u8]) -> Result<(), Error> {
        const INSERT: &str = "
            INSERT INTO request_memory (caller, request_id, fingerprint, answer, at) VALUES ($1, $2, $3, $4, $5)";
        let now = self.now();
        statement("DELETE FROM request_memory WHERE at < $1")
            .bind(now.minus(REMEMBERED_FOR).micros())
            .execute(self.connection())
            .await?;
        statement(INSERT)
            .bind(&request.caller)
            .bind(request.id.to_string())
            .bind(&request.fingerprint)
            .bind(answer)
            .bind(now.micros())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
