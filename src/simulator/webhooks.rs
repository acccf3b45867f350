//! Sends events to the registered address, signed as Microsoft signs them (FACTS.md 6.3), and wrongly on request.
//!
//! Nothing is sent before somebody gives it a key: [`Simulator::sign_events`].

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::Simulator;
use super::partner::{Knobs, PartnerCenter};

/// How long a receiver may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// More than any receiver takes.
const OVERSIZE: usize = 80 * 1024;
/// A host that is not Microsoft's.
const OTHER_HOST: &str = "certificates.evil.example";

/// A key that signs events, and where its certificate is.
#[derive(Clone)]
pub struct EventSigner {
    key: Arc<RsaKeyPair>,
    certificate_url: String,
}

/// No events can be signed with that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no RSA key in PKCS #8 form")]
pub struct NoSigningKey;

impl EventSigner {
    /// Signs with a key in PKCS #8 form (DER).
    ///
    /// # Errors
    ///
    /// Fails for any other key.
    pub fn new(key: &[u8], certificate_url: &str) -> Result<Self, NoSigningKey> {
        let key = RsaKeyPair::from_pkcs8(key).map_err(|_| NoSigningKey)?;
        Ok(Self { key: Arc::new(key), certificate_url: certificate_url.to_owned() })
    }

    /// The signature over these bytes, with SHA-256.
    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        // Without randomness the signature stays zeroes, which nobody takes for one.
        let _ = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut signature);
        signature
    }
}

impl fmt::Debug for EventSigner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "EventSigner({})", self.certificate_url)
    }
}

/// How events are signed and where they go.
#[derive(Debug, Clone)]
pub struct Signing {
    /// Microsoft's.
    pub signer: EventSigner,
    /// Somebody else's, for [`Mischief::OtherCertificate`].
    pub impostor: Option<EventSigner>,
    /// Where events go instead of to the registered host, by plain HTTP: as if something that ends TLS stood there.
    pub via: Option<SocketAddr>,
}

/// What goes wrong with events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mischief {
    /// The signature is not one.
    ForgedSignature,
    /// Somebody else signs, with a certificate of their own beside Microsoft's.
    OtherCertificate,
    /// The certificate is on another host.
    OtherHost,
    /// Another algorithm is claimed.
    OtherAlgorithm,
    /// Every event is sent twice.
    Duplicate,
    /// An event waits for the next one, and is sent after it.
    Reversed,
    /// Every event is very long.
    Oversize,
}

/// An event on its way.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    partner: Uuid,
    /// Of a test event.
    correlation: Option<Uuid>,
    url: String,
    in_own_header: bool,
    body: Vec<u8>,
    knobs: Knobs,
}

/// Events that nobody has sent yet.
#[derive(Default)]
pub(super) struct Outbox {
    signing: Mutex<Option<Signing>>,
    waiting: Mutex<VecDeque<Outgoing>>,
    more: Notify,
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outbox {
    pub(super) fn put(&self, events: Vec<Outgoing>) {
        if !events.is_empty() && held(&self.signing).is_some() {
            held(&self.waiting).extend(events);
            self.more.notify_one();
        }
    }

    /// What is to be sent now, in an order that matters only within a batch.
    fn take(&self) -> Vec<Vec<Outgoing>> {
        let mut waiting = held(&self.waiting);
        let is_reversed = |event: &Outgoing| event.knobs.webhook_mischief == Some(Mischief::Reversed);
        let (mut reversed, others): (Vec<_>, Vec<_>) = waiting.drain(..).partition(is_reversed);
        let mut batches: Vec<_> = others.into_iter().map(|event| vec![event]).collect();
        if reversed.len() > 1 {
            reversed.reverse();
            batches.push(reversed);
        } else {
            waiting.extend(reversed);
        }
        batches
    }
}

impl PartnerCenter {
    /// Something happened: whoever registered for it is to be told.
    pub(super) fn announce(
        &mut self,
        name: &str,
        (resource, uri): (&str, String),
        correlation: Option<Uuid>,
        now: DateTime<Utc>,
    ) {
        let Some(registration) = &self.webhooks.registration else { return };
        if !registration.webhook_events.iter().any(|event| event == name) {
            return;
        }
        let at = format!("{}.{:07}+00:00", now.format("%Y-%m-%dT%H:%M:%S"), now.timestamp_subsec_nanos() / 100);
        let event = json!({
            "EventName": name,
            "ResourceUri": uri,
            "ResourceName": resource,
            "AuditUri": null,
            "ResourceChangeUtcDate": at,
        });
        self.webhooks.outgoing.push(Outgoing {
            partner: self.partner.tenant_id,
            correlation,
            url: registration.webhook_url.clone(),
            in_own_header: registration.signature_token_to_ms_signature_header,
            body: event.to_string().into_bytes(),
            knobs: self.knobs.clone(),
        });
    }
}

impl Simulator {
    /// Sends events from now on, signed so.
    pub fn sign_events(&self, signing: Signing) {
        *held(&self.shared.outbox.signing) = Some(signing);
    }

    /// The status of every answer to an event of the partner so far; 0 where there was none.
    pub fn event_answers(&self, partner: Uuid) -> Vec<u16> {
        self.with(partner, |center, _| center.webhooks.answers.clone()).unwrap_or_default()
    }

    /// Sends events as they happen; never ends.
    pub(super) async fn send_events(&self) {
        let mut under_way = JoinSet::new();
        loop {
            for batch in self.shared.outbox.take() {
                let simulator = self.clone();
                under_way.spawn(async move {
                    for event in batch {
                        simulator.send(event).await;
                    }
                });
            }
            tokio::select! {
                () = self.shared.outbox.more.notified() => {}
                Some(_) = under_way.join_next() => {}
            }
        }
    }

    /// Tries until it is taken, as often as Partner Center does.
    async fn send(&self, event: Outgoing) {
        let Some(signing) = held(&self.shared.outbox.signing).clone() else { return };
        tokio::time::sleep(Duration::from_millis(event.knobs.webhook_delay_milliseconds)).await;
        let copies = if event.knobs.webhook_mischief == Some(Mischief::Duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            for attempt in 1..=event.knobs.webhook_attempts {
                let status = post(&event, &signing).await.unwrap_or(0);
                let noted = self.with(event.partner, |center, _| {
                    center.webhooks.answers.push(status);
                    if let Some(correlation) = event.correlation {
                        center.webhooks.note_test_answer(correlation, status);
                    }
                });
                if noted.is_err() || (200..300).contains(&status) {
                    break;
                }
                tracing::warn!(attempt, status, "an event was not taken");
                tokio::time::sleep(Duration::from_millis(event.knobs.webhook_retry_milliseconds)).await;
            }
        }
    }
}

/// Sends an event once; tells the status of the answer, if there was one.
async fn post(event: &Outgoing, signing: &Signing) -> Option<u16> {
    let mischief = event.knobs.webhook_mischief;
    let mut url = Url::parse(&event.url).ok()?;
    if let Some(via) = signing.via {
        let path = url.path().to_owned();
        url = Url::parse(&format!("http://{via}{path}")).ok()?;
    }
    let mut body = event.body.clone();
    if mischief == Some(Mischief::Oversize) {
        body.resize(OVERSIZE, b' ');
    }
    let signer = match mischief {
        Some(Mischief::OtherCertificate) => signing.impostor.as_ref()?,
        _ => &signing.signer,
    };
    let mut signature = signer.sign(&body);
    if mischief == Some(Mischief::ForgedSignature) {
        signature.reverse();
    }
    let algorithm = if mischief == Some(Mischief::OtherAlgorithm) { "rsa-sha1" } else { "rsa-sha256" };
    let mut certificate_url = Url::parse(&signer.certificate_url).ok()?;
    if mischief == Some(Mischief::OtherHost) {
        certificate_url.set_host(Some(OTHER_HOST)).ok()?;
    }
    let header = if event.in_own_header { "x-ms-signature" } else { AUTHORIZATION.as_str() };
    let client = Client::builder().redirect(Policy::none()).no_proxy().timeout(TIMEOUT).build().ok()?;
    let request = client
        .post(url)
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .header(header, format!("Signature {}", STANDARD.encode(signature)))
        .header("x-ms-certificate-url", certificate_url.as_str())
        .header("x-ms-signature-algorithm", algorithm)
        .body(body);
    request.send().await.ok().map(|answer| answer.status().as_u16())
}
