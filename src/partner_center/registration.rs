//! Looks at the partner's single webhook registration (FACTS 6.1). Only looks: a registration cannot be deleted, and
//! one that is not ours belongs to somebody.

use reqwest::header::HeaderMap;

use crate::partner_center::PartnerCenter;
use crate::partner_center::document::Document;
use crate::partner_center::error::{Call, Error};
use crate::partner_center::request::Question;

impl PartnerCenter {
    /// Where Partner Center sends its events; `None` when there is no registration.
    pub async fn webhook_registration(&self) -> Result<Option<String>, Error> {
        let question = Question {
            call: Call::WebhookRegistration,
            path: "/webhooks/v1/registration",
            query: None,
            headers: HeaderMap::new(),
        };
        let reply = match self.0.ask(question).await {
            Ok(reply) => reply,
            Err(error) if error.status() == Some(404) => return Ok(None),
            Err(error) => return Err(error),
        };
        let document = Document::read(&reply.body).map_err(|_| reply.unreadable("no JSON"))?;
        let registration = document.object().ok_or_else(|| reply.unreadable("no object"))?;
        let url = registration.text("webhookUrl").map_err(|_| reply.unreadable("no webhook URL"))?.trim();
        Ok((!url.is_empty()).then(|| url.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partner_center::error::Fate;
    use crate::partner_center::scripted_server::{Partner, Script};

    async fn look(status: u16, body: &str) -> Result<Option<String>, Error> {
        let partner = Partner::answering([Script::new(status, body)]).await;
        let registration = partner.center.webhook_registration().await;
        assert_eq!(partner.requests()[0].target, "/webhooks/v1/registration");
        registration
    }

    #[tokio::test]
    async fn a_registration_is_read_in_either_spelling() {
        // FACTS 6.1: PascalCase in the documentation, camelCase in the schema; the URL may have a query.
        for body in [
            r#"{"WebhookUrl":"https://hooks.example/a?b=c","WebhookEvents":["test-created"]}"#,
            r#"{"subscriberId":"1","webhookUrl":"https://hooks.example/a?b=c"}"#,
        ] {
            assert_eq!(look(200, body).await, Ok(Some("https://hooks.example/a?b=c".to_owned())));
        }
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
}
