//! Requests that may be repeated: with a request id, the same request has one effect and one answer (AIP-155).

use std::fmt;

use crate::store::{self, Remembered, RequestKey, Tx};

/// How one request is remembered: its key, and how its outcome becomes the answer that is kept.
pub struct Once<'a, T> {
    /// The request.
    pub key: RequestKey,
    /// The outcome as the answer that a repetition gets.
    pub answer: &'a (dyn Fn(&T) -> Vec<u8> + Send + Sync),
}

impl<T> fmt::Debug for Once<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.key, out)
    }
}

/// What a request comes to: something new, or the answer it got before.
#[derive(Debug)]
pub enum Outcome<T> {
    /// It was carried out now.
    Now(T),
    /// It was carried out before, with this answer.
    Before(Vec<u8>),
}

/// The request id belongs to another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request id was used for another request")]
pub struct RequestIdReused;

/// The answer the request got before, if it came before.
pub(super) async fn before<T, E>(tx: &mut Tx, once: Option<&Once<'_, T>>) -> Result<Option<Vec<u8>>, E>
where
    E: From<store::Error> + From<RequestIdReused>,
{
    let Some(once) = once else { return Ok(None) };
    match tx.remembered(&once.key).await? {
        None => Ok(None),
        Some(Remembered::Answer(answer)) => Ok(Some(answer)),
        Some(Remembered::AnotherRequest) => Err(RequestIdReused.into()),
    }
}

/// Keeps the outcome for a repetition, in the transaction that has the effect.
pub(super) async fn keep<T>(tx: &mut Tx, once: Option<&Once<'_, T>>, outcome: &T) -> Result<(), store::Error> {
    match once {
        Some(_) if planted!("request-forgotten") => Ok(()),
        Some(once) => tx.remember(&once.key, &(once.answer)(outcome)).await,
        None => Ok(()),
    }
}
