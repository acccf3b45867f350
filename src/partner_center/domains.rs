//! Which customer of the partner has a domain.
//!
//! Partner Center finds customers by the beginning of their domain, and only by the one domain that its list shows (FACTS
//! 2.1, 2.2); what begins alike and goes on otherwise is left out here.

use reqwest::header::HeaderMap;
use serde::Serialize;

use crate::domain::ids::TenantId;
use crate::partner_center::PartnerCenter;
use crate::partner_center::error::Error;
use crate::partner_center::links::PageLink;

/// More pages than this are no customers of one domain.
const PAGES_MAX: usize = 20;

/// The filter of FACTS 2.2: exactly three texts.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Filter<'a> {
    field: &'a str,
    value: &'a str,
    operator: &'a str,
}

impl PartnerCenter {
    /// The customer of the partner whose domain is exactly that one, in whatever case.
    ///
    /// # Errors
    ///
    /// As [`PartnerCenter::list_customers`].
    pub async fn tenant_of_domain(&self, domain: &str) -> Result<Option<TenantId>, Error> {
        let query = format!("size=0&filter={}", percent_encoded(&filter(domain)));
        let wanted = domain.to_lowercase();
        let mut link: Option<PageLink> = None;
        for _ in 0..PAGES_MAX {
            let page = match &link {
                None => self.customer_page(&query, HeaderMap::new()).await?,
                Some(link) => self.list_customers(Some(link)).await?,
            };
            let found = page.customers.iter().find(|customer| customer.domain.to_lowercase() == wanted);
            if let Some(found) = found {
                return Ok(Some(found.tenant_id));
            }
            match page.next {
                Some(next) if link.as_ref() != Some(&next) => link = Some(next),
                // The end, or a link that leads to itself.
                Some(_) | None => break,
            }
        }
        Ok(None)
    }
}

fn filter(domain: &str) -> String {
    let filter = Filter { field: "Domain", value: domain, operator: "starts_with" };
    // Invariant: three texts are always JSON.
    serde_json::to_string(&filter).expect("texts are JSON")
}

/// Everything but the unreserved characters of RFC 3986 as `%` and its bytes.
fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partner_center::error::Fate;
    use crate::partner_center::scripted_server::{Partner, Script};

    const ONE: &str = "11111111-aaaa-4bbb-8ccc-222222222222";
    const OTHER: &str = "33333333-aaaa-4bbb-8ccc-444444444444";

    fn item(id: &str, domain: &str) -> String {
        format!(r#"{{"id":"{id}","companyProfile":{{"domain":"{domain}"}}}}"#)
    }

    fn page(items: &[String], links: &str) -> Script {
        Script::new(200, format!(r#"{{"items":[{}],"links":{{{links}}}}}"#, items.join(",")))
    }

    #[tokio::test]
    async fn the_question_is_the_documented_one_and_the_whole_domain_must_agree() {
        let items = [item(OTHER, "linden.example.org"), item(ONE, "Linden.Example")];
        let partner = Partner::answering([page(&items, "")]).await;
        let found = partner.center.tenant_of_domain("linden.example").await.expect("an answer");
        assert_eq!(found, Some(ONE.parse().expect("an id")));
        let expected = "/v1/customers?size=0&filter=%7B%22Field%22%3A%22Domain%22%2C%22Value%22%3A%22linden.example%22%2C\
            %22Operator%22%3A%22starts_with%22%7D";
        assert_eq!(partner.requests()[0].target, expected);
    }

    #[tokio::test]
    async fn a_domain_that_only_begins_like_it_is_not_it_and_links_are_followed() {
        let next = r#""next":{"uri":"/customers?size=500&seekOperation=Next","method":"GET",
            "headers":[{"key":"MS-ContinuationToken","value":"t1"}]}"#;
        let begins = page(&[item(OTHER, "linden.example.org")], next);
        let partner = Partner::answering([begins, page(&[item(ONE, "linden.example")], "")]).await;
        let found = partner.center.tenant_of_domain("LINDEN.example").await.expect("an answer");
        assert_eq!(found, Some(ONE.parse().expect("an id")));
        assert_eq!(partner.requests()[1].headers["ms-continuationtoken"], "t1");

        let partner = Partner::answering([page(&[item(OTHER, "linden.example.org")], "")]).await;
        assert_eq!(partner.center.tenant_of_domain("linden.example").await.expect("an answer"), None);
    }

    #[tokio::test]
    async fn a_link_that_leads_to_itself_is_followed_once() {
        let next = r#""next":{"uri":"/customers?size=500&seekOperation=Next","method":"GET","headers":[]}"#;
        let partner = Partner::answering([page(&[], next), page(&[], next), page(&[], next)]).await;
        assert_eq!(partner.center.tenant_of_domain("linden.example").await.expect("an answer"), None);
        assert_eq!(partner.requests().len(), 2);
    }

    #[tokio::test]
    async fn a_search_that_fails_found_nobody_and_proves_nothing() {
        // FACTS 2.2: the filter by domain was seen to answer 500.
        let partner = Partner::answering([Script::new(500, "")]).await;
        let error = partner.center.tenant_of_domain("linden.example").await.expect_err("no answer");
        assert_eq!(error.fate(), Fate::Retry { after: None });
    }

    #[test]
    fn whatever_a_domain_holds_stays_in_its_value() {
        let hostile = "a\"}&size=1 #é";
        assert_eq!(
            percent_encoded(&filter(hostile)),
            "%7B%22Field%22%3A%22Domain%22%2C%22Value%22%3A%22a%5C%22%7D%26size%3D1%20%23%C3%A9%22%2C%22Operator%22%3A%22starts_with%22%7D"
        );
    }
}
