//! The partner's single webhook registration (FACTS 6.1): reads it, writes it, and asks for a test event.
//!
//! Writing it is the only write upstream there is. A registration cannot be deleted, and one that is not ours belongs
//! to somebody: whoever writes has read it first and knows that it may.

use std::collections::BTreeSet;
use std::fmt;

use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use serde_json::{Value, json};

use crate::partner_center::PartnerCenter;
use crate::partner_center::document::Document;
use crate::partner_center::error::{Call, Error};
use crate::partner_center::identity::Identity;
use crate::partner_center::request::{Instruction, Question, Reply};

const REGISTRATION: &str = "/webhooks/v1/registration";
const EVENTS: &str = "/webhooks/v1/registration/events";
const TEST_EVENTS: &str = "/webhooks/v1/registration/validationEvents";

/// Where Partner Center sends which events. The address may hold a secret and is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookRegistration {
    /// The whole address.
    pub url: String,
    /// The events, by name.
    pub events: BTreeSet<String>,
}

/// Whether there is a registration already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registering {
    /// There is none; fails when somebody made one meanwhile.
    New,
    /// There is one, and it may be replaced.
    Replacing,
}

impl WebhookRegistration {
    /// The host of the address, which is no secret.
    pub fn host(&self) -> String {
        let url = Url::parse(&self.url).ok();
        url.as_ref().and_then(Url::host_str).unwrap_or("an address without a host").to_owned()
    }
}

impl fmt::Debug for WebhookRegistration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "WebhookRegistration({}, {:?})", self.host(), self.events)
    }
}

impl PartnerCenter {
    /// Where Partner Center sends its events; `None` when there is no registration.
    pub async fn webhook_registration(&self) -> Result<Option<WebhookRegistration>, Error> {
        let reply = match self.0.ask(question(REGISTRATION)).await {
            Ok(reply) => reply,
            Err(error) if error.status() == Some(404) => return Ok(None),
            Err(error) => return Err(error),
        };
        let document = Document::read(&reply.body).map_err(|_| reply.unreadable("no JSON"))?;
        let registration = document.object().ok_or_else(|| reply.unreadable("no object"))?;
        let url = registration.text("webhookUrl").map_err(|_| reply.unreadable("no webhook URL"))?.trim();
        let events = registration.texts("webhookEvents").unwrap_or_default();
        let events = events.into_iter().map(str::to_owned).collect();
        Ok((!url.is_empty()).then(|| WebhookRegistration { url: url.to_owned(), events }))
    }

    /// The events that can be registered now.
    pub async fn webhook_events(&self) -> Result<BTreeSet<String>, Error> {
        let reply = self.0.ask(question(EVENTS)).await?;
        let bare = reply.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&reply.body);
        serde_json::from_slice(bare).map_err(|_| reply.unreadable("no list of events"))
    }

    /// Has events sent to an address: the only write upstream. The signature is to come in a header of its own, because
    /// what stands between Microsoft and us may want `Authorization` for itself (FACTS 6.3).
    pub async fn register_webhook(
        &self,
        registration: &WebhookRegistration,
        registering: Registering,
    ) -> Result<(), Error> {
        let method = match registering {
            Registering::New => Method::POST,
            Registering::Replacing => Method::PUT,
        };
        let body = json!({
            "WebhookUrl": registration.url,
            "WebhookEvents": registration.events,
            "SignatureTokenToMsSignatureHeader": true,
        });
        self.0.tell(question(REGISTRATION), &Instruction { method, body }).await.map(|_: Reply| ())
    }

    /// Asks for a test event, at most two a minute; it comes to the registered address.
    pub async fn send_webhook_test(&self) -> Result<(), Error> {
        let instruction = Instruction { method: Method::POST, body: Value::Object(serde_json::Map::new()) };
        self.0.tell(question(TEST_EVENTS), &instruction).await.map(|_: Reply| ())
    }
}

fn question(path: &'static str) -> Question<'static> {
    Question {
        call: Call::WebhookRegistration,
        identity: Identity::Application,
        path,
        query: None,
        headers: HeaderMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partner_center::error::Fate;
    use crate::partner_center::scripted_server::{Partner, Script};

    const URL: &str = "https://hooks.example/a?b=c";

    async fn look(status: u16, body: &str) -> Result<Option<WebhookRegistration>, Error> {
        let partner = Partner::answering([Script::new(status, body)]).await;
        let registration = partner.center.webhook_registration().await;
        assert_eq!(partner.requests()[0].target, "/webhooks/v1/registration");
        registration
    }

    fn ours() -> WebhookRegistration {
        WebhookRegistration { url: URL.to_owned(), events: BTreeSet::from(["test-created".to_owned()]) }
    }

    #[tokio::test]
    async fn a_registration_is_read_in_either_spelling() {
        // FACTS 6.1: PascalCase in the documentation, camelCase in the schema; the URL may have a query.
        for body in [
            r#"{"WebhookUrl":"https://hooks.example/a?b=c","WebhookEvents":["test-created"]}"#,
            r#"{"subscriberId":"1","webhookUrl":"https://hooks.example/a?b=c","webhookEvents":["test-created"]}"#,
        ] {
            assert_eq!(look(200, body).await, Ok(Some(ours())));
        }
        let without_events = look(200, r#"{"webhookUrl":"https://hooks.example/a?b=c"}"#).await;
        assert_eq!(without_events, Ok(Some(WebhookRegistration { events: BTreeSet::new(), ..ours() })));
    }

    #[tokio::test]
    async fn a_404_and_an_empty_url_mean_that_there_is_none() {
        assert_eq!(look(404, "").await, Ok(None));
        assert_eq!(look(404, r#"{"code":1000}"#).await, Ok(None));
        assert_eq!(look(200, r#"{"webhookUrl":""}"#).await, Ok(None));
        assert_eq!(look(200, "{}").await, Ok(None));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_not_taken_for_none() {
        for (status, body) in [(200, "<html>"), (200, "null"), (200, r#"{"webhookUrl":5}"#), (500, ""), (400, "")] {
            assert_eq!(look(status, body).await.expect_err("an error").fate(), Fate::Retry { after: None }, "{body}");
        }
    }

    #[tokio::test]
    async fn the_events_that_can_be_registered_are_a_list_of_names() {
        let list = Script::new(200, "\u{feff}[\"test-created\",\"invoice-ready\"]");
        let partner = Partner::answering([list, Script::new(200, "{}")]).await;
        let events = partner.center.webhook_events().await.expect("events");
        assert_eq!(events, BTreeSet::from(["invoice-ready".to_owned(), "test-created".to_owned()]));
        partner.center.webhook_events().await.expect_err("no list");
        assert_eq!(partner.requests()[0].target, "/webhooks/v1/registration/events");
    }

    #[tokio::test]
    async fn a_registration_is_made_by_post_and_replaced_by_put() {
        for (registering, method) in [(Registering::New, "POST"), (Registering::Replacing, "PUT")] {
            let partner = Partner::answering([Script::new(200, "{}")]).await;
            partner.center.register_webhook(&ours(), registering).await.expect("registered");
            let sent = partner.requests().swap_remove(0);
            assert_eq!((sent.method.as_str(), sent.target.as_str()), (method, "/webhooks/v1/registration"));
            assert_eq!(sent.headers["content-type"], "application/json");
            assert_eq!(sent.headers["authorization"], "Bearer token-1");
            let body: Value = serde_json::from_str(&sent.body).expect("JSON");
            let expected = json!({
                "WebhookUrl": URL, "WebhookEvents": ["test-created"], "SignatureTokenToMsSignatureHeader": true,
            });
            assert_eq!(body, expected);
        }
    }

    #[tokio::test]
    async fn a_registration_that_somebody_made_meanwhile_is_an_error_and_stays() {
        let partner = Partner::answering([Script::new(409, r#"{"code":3000}"#)]).await;
        let error = partner.center.register_webhook(&ours(), Registering::New).await.expect_err("somebody's");
        assert_eq!((error.status(), partner.requests().len()), (Some(409), 1));
    }

    #[tokio::test]
    async fn a_test_event_is_asked_for_with_an_empty_object() {
        let partner = Partner::answering([Script::new(200, r#"{"correlationId":"x"}"#)]).await;
        partner.center.send_webhook_test().await.expect("asked");
        let sent = partner.requests().swap_remove(0);
        assert_eq!((sent.method.as_str(), sent.body.as_str()), ("POST", "{}"));
        assert_eq!(sent.target, "/webhooks/v1/registration/validationEvents");
    }

    #[test]
    fn nothing_but_the_host_of_an_address_is_printed() {
        let secret = WebhookRegistration { url: "https://hooks.example/secret?key=x".to_owned(), ..ours() };
        assert_eq!(format!("{secret:?}"), "WebhookRegistration(hooks.example, {\"test-created\"})");
        assert_eq!(WebhookRegistration { url: "nonsense".to_owned(), ..ours() }.host(), "an address without a host");
    }
}
