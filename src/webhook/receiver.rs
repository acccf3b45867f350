//! The webhook listener: proves a request step by step, the cheap steps first, and only then does what it asks for.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::StreamExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::ids::PartnerAccountId;
use crate::domain::webhook::PATH;
use crate::domain::webhook_secret::SecretHash;
use crate::operations::accounts::Accounts;
use crate::store::Store;
use crate::webhook::certificates::Certificates;
use crate::webhook::connection::Connections;
use crate::webhook::fetch::{Fetcher, NoFetcher};
use crate::webhook::intake::{self, Taken};
use crate::webhook::rate::Bucket;
use crate::webhook::refusal::Refusal;
use crate::webhook::signature::Claim;
use crate::webhook::trust::Signers;
use crate::webhook::{Settings, path};

/// The longest event.
const BODY_MAX: usize = 64 * 1024;

/// Takes events for the accounts of a store.
#[derive(Debug)]
pub struct Receiver {
    store: Store,
    accounts: Accounts,
    clock: Clock,
    hosts: Vec<String>,
    certificates: Certificates,
    fetcher: Fetcher,
    buckets: Mutex<BTreeMap<PartnerAccountId, Bucket>>,
}

impl Receiver {
    /// A receiver that has fetched nothing yet.
    pub fn new(settings: Settings, store: Store, accounts: Accounts, clock: Clock) -> Result<Self, NoFetcher> {
        let Settings { certificate_hosts, roots, signer_names, fetch } = settings;
        let signers = Signers { roots, names: signer_names };
        Ok(Self {
            store,
            accounts,
            hosts: certificate_hosts.into_iter().collect(),
            certificates: Certificates::new(signers, clock.clone()),
            clock,
            fetcher: Fetcher::new(fetch)?,
            buckets: Mutex::default(),
        })
    }

    /// Answers until `stop`.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let router =
            Router::new().route(&format!("{PATH}/{{account}}/{{secret}}"), post(receive)).with_state(Arc::new(self));
        axum::serve(Connections::of(listener), router).with_graceful_shutdown(stop.cancelled_owned()).await
    }

    async fn take(&self, account: &str, secret: &str, request: Request) -> Result<Taken, Refusal> {
        let found = path::account(&self.store, &self.accounts, account, secret, self.clock.now()).await?;
        let (account, secret) = found;
        let taken = self.take_for(&account, secret, request).await;
        match taken {
            Ok(taken) => tracing::info!(account = %account, taken = ?taken, "a webhook was taken"),
            Err(refusal) => {
                tracing::warn!(account = %account, reason = refusal.name(), "a webhook was refused");
            }
        }
        taken
    }

    async fn take_for(
        &self,
        account: &PartnerAccountId,
        secret: SecretHash,
        request: Request,
    ) -> Result<Taken, Refusal> {
        if !self.admits(account) {
            return Err(Refusal::TooMany);
        }
        let (parts, body) = request.into_parts();
        expect_json(&parts.headers)?;
        let body = whole(body).await?;
        self.prove(&parts.headers, &body).await?;
        intake::take_proven(&self.store, account, secret, &body).await
    }

    fn admits(&self, account: &PartnerAccountId) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.entry(account.clone()).or_default().admits(self.clock.now())
    }

    /// Proves that Microsoft signed exactly these bytes.
    async fn prove(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
        let claim = Claim::read(headers, self.hosts.iter().map(String::as_str))?;
        let signer = self.certificates.signer(&claim.address, self.fetcher.fetch(&claim.address)).await?;
        if signer.signed(claim.algorithm, body, &claim.signature) { Ok(()) } else { Err(Refusal::WrongSignature) }
    }
}

/// The exact bytes that came, at most as many as an event has.
async fn whole(body: Body) -> Result<Vec<u8>, Refusal> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::Interrupted)?;
        if bytes.len() + chunk.len() > BODY_MAX {
            return Err(Refusal::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// What can be seen of a body before it is read.
fn expect_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = declared.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::NotDeclaredJson);
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Refusal::Encoded);
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > BODY_MAX) { Err(Refusal::TooLong) } else { Ok(()) }
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    Path((account, secret)): Path<(String, String)>,
    request: Request,
) -> Response {
    let status = match receiver.take(&account, &secret, request).await {
        Ok(_) => StatusCode::OK,
        Err(refusal) => refusal.status(),
    };
    // One request is all that a connection is for.
    (status, [(CONNECTION, HeaderValue::from_static("close"))]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(pairs: &[(&'static str, &'static str)]) -> Result<(), Refusal> {
        let header = |(name, value): &(&'static str, &'static str)| {
            (name.parse().expect("a name"), HeaderValue::from_static(value))
        };
        expect_json(&pairs.iter().map(header).collect::<HeaderMap>())
    }

    #[test]
    fn a_body_is_plain_json_of_a_length_that_events_have() {
        assert_eq!(expected(&[("content-type", "application/json")]), Ok(()));
        assert_eq!(
            expected(&[("content-type", "application/json; charset=utf-8"), ("content-length", "65536")]),
            Ok(())
        );
        for wrong in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
            assert_eq!(expected(&[("content-type", wrong)]), Err(Refusal::NotDeclaredJson), "{wrong}");
        }
        assert_eq!(expected(&[]), Err(Refusal::NotDeclaredJson));
        let json = ("content-type", "application/json");
        assert_eq!(expected(&[json, ("content-encoding", "gzip")]), Err(Refusal::Encoded));
        assert_eq!(expected(&[json, ("content-length", "65537")]), Err(Refusal::TooLong));
    }

    #[tokio::test]
    async fn a_body_that_does_not_tell_its_length_is_measured() {
        let chunks = |count: usize| {
            let chunks = (0..count).map(|_| Ok::<_, io::Error>(vec![b' '; 1024]));
            Body::from_stream(futures::stream::iter(chunks))
        };
        assert_eq!(whole(chunks(64)).await.map(|bytes| bytes.len()), Ok(BODY_MAX));
        assert_eq!(whole(chunks(65)).await, Err(Refusal::TooLong));
        let broken = futures::stream::iter([Ok(vec![b'{']), Err(io::Error::other("gone"))]);
        assert_eq!(whole(Body::from_stream(broken)).await, Err(Refusal::Interrupted));
    }
}
