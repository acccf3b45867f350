//! Continuation tokens: opaque to the caller, self-contained so that they survive a restart (FACTS.md 2.1).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::answer::Answer;
use super::guid;
use super::partner::PartnerCenter;

/// The header a caller sends a token back in.
pub(super) const HEADER: &str = "MS-ContinuationToken";

/// Where a listing goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Continuation {
    /// What is listed, so that a token of one listing is no use in another.
    #[serde(rename = "k")]
    pub(super) listing: Listing,
    #[serde(rename = "p", with = "guid")]
    pub(super) partner: Uuid,
    /// Seconds since 1970.
    #[serde(rename = "t")]
    pub(super) issued: i64,
    #[serde(rename = "n")]
    pub(super) size: usize,
    /// The last item already shown; `None` is the beginning.
    #[serde(rename = "a")]
    pub(super) after: Option<String>,
    /// The listing's own conditions.
    #[serde(rename = "c")]
    pub(super) conditions: Vec<String>,
}

/// The listings that have pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Listing {
    #[serde(rename = "c")]
    Customers,
    #[serde(rename = "r")]
    AuditRecords,
    #[serde(rename = "p")]
    Resellers,
}

impl Continuation {
    pub(super) fn encode(&self) -> String {
        let text = serde_json::to_vec(self).expect("texts and numbers always have a JSON form");
        URL_SAFE_NO_PAD.encode(text)
    }

    /// What a token says, whoever it is for.
    pub(super) fn peek(text: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }

    /// Reads a token back.
    ///
    /// # Errors
    ///
    /// Answers 400 for a token that is foreign, for something else, or too old.
    pub(super) fn decode(
        text: &str,
        listing: Listing,
        center: &PartnerCenter,
        now: DateTime<Utc>,
    ) -> Result<Self, Answer> {
        let token = Self::peek(text).ok_or_else(expired)?;
        let lifetime = i64::from(center.knobs.continuation_lifetime_seconds);
        let lives = now.timestamp() < token.issued.saturating_add(lifetime);
        if token.listing == listing && token.partner == center.partner.tenant_id && lives {
            Ok(token)
        } else {
            Err(expired())
        }
    }
}

/// The answer to a token that cannot be used; the true one is not documented (FACTS.md 2.1).
pub(super) fn expired() -> Answer {
    Answer::invalid_input("The continuation token is not valid or has expired.")
}
