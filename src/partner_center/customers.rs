//! The customer list, page by page, and one customer as an observation.
//!
//! The list knows ids and names but no contacts (FACTS 2.1), so it tells whom to look at; only a whole detail, or an
//! answer that says the customer is gone, becomes an observation.

use reqwest::header::HeaderMap;

use crate::domain::ids::TenantId;
use crate::domain::observation::{GoneAnswer, ListedCustomer, Observation, ObservationMark, Observed};
use crate::domain::text::tidy;
use crate::partner_center::PartnerCenter;
use crate::partner_center::document::{Document, Object};
use crate::partner_center::error::{Call, Error, Problem};
use crate::partner_center::identity::Identity;
use crate::partner_center::links::PageLink;
use crate::partner_center::profile;
use crate::partner_center::request::Question;

/// One page of the customer list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerPage {
    /// The customers, in Partner Center's order, which is none.
    pub customers: Vec<ListedCustomer>,
    /// Items without a readable id.
    pub skipped: usize,
    /// How many items there are at least, as the page says. Microsoft counts the page; more items than it says are no
    /// contradiction (FACTS 2.1, 5.1), fewer are.
    pub promised: Option<u64>,
    /// The page after this one; a listing is complete only when there is none.
    pub next: Option<PageLink>,
}

impl PartnerCenter {
    /// One page of the customer list: the first one, or the one that `link` leads to.
    ///
    /// Whether a link was followed before is for the caller to notice: links compare equal when they lead to the same
    /// page.
    ///
    /// # Errors
    ///
    /// [`Fate::ListingRestart`](crate::partner_center::error::Fate) when the listing cannot go on from `link`.
    pub async fn list_customers(&self, link: Option<&PageLink>) -> Result<CustomerPage, Error> {
        let first_page = format!("size={}", self.0.page_size);
        let query = link.map_or(first_page.as_str(), PageLink::query);
        self.customer_page(query, link.and_then(PageLink::header_map).unwrap_or_default()).await
    }

    /// Whether the customer list can be read at all: asks for its smallest page.
    ///
    /// # Errors
    ///
    /// When it cannot.
    pub async fn try_customer_list(&self) -> Result<(), Error> {
        self.customer_page("size=1", HeaderMap::new()).await.map(|_| ())
    }

    /// The page of the customer list that the query asks for.
    pub(super) async fn customer_page(&self, query: &str, headers: HeaderMap) -> Result<CustomerPage, Error> {
        self.customer_page_for(Call::ListCustomers, Identity::Application, query, headers).await
    }

    /// As [`Self::customer_page`], for a call of that kind on behalf of `identity`.
    pub(super) async fn customer_page_for(
        &self,
        call: Call,
        identity: Identity,
        query: &str,
        headers: HeaderMap,
    ) -> Result<CustomerPage, Error> {
        let question = Question { call, identity, path: "/v1/customers", query: Some(query), headers };
        let reply = self.0.ask_metered(question, self.1.as_deref()).await?;
        let document = Document::read_forgiving(&reply.body).map_err(|_| reply.unreadable("no JSON"))?;
        let page = document.object().ok_or_else(|| reply.unreadable("no object"))?;
        // A page without `items` is not an empty page: nobody may look gone because an answer was not a list.
        let items = page.list("items").ok().flatten().ok_or_else(|| reply.unreadable("no list of items"))?;
        let next = PageLink::after(page, "customers").map_err(|_| reply.unreadable("a next link to nowhere"))?;
        let count = items.len();
        let customers: Vec<_> = items.filter_map(|item| listed(item?)).collect();
        let promised = page.number_or_text("totalCount").and_then(|count| count.parse().ok());
        Ok(CustomerPage { skipped: count - customers.len(), promised, customers, next })
    }

    /// Looks at one customer. `mark` is taken before the question is sent and says how new the answer is.
    ///
    /// # Errors
    ///
    /// Every answer but a whole detail and the three that say the customer is gone is an error: an unknown path, a
    /// missing right or a failing gateway must not end anybody.
    pub async fn observe(&self, tenant_id: TenantId, mark: ObservationMark) -> Result<Observation, Error> {
        let path = format!("/v1/customers/{tenant_id}");
        let (call, identity) = (Call::GetCustomer, Identity::Application);
        let question = Question { call, identity, path: &path, query: None, headers: HeaderMap::new() };
        let observed = match self.0.ask_metered(question, self.1.as_deref()).await {
            Ok(reply) => {
                let whole = Document::read(&reply.body);
                // Half a character in a text that nobody uses costs nothing; in one that is used, that customer.
                let is_repaired = whole.is_err();
                let document = whole.or_else(|_| Document::read_forgiving(&reply.body));
                let document = document.map_err(|_| reply.unreadable("no JSON"))?;
                let customer = document.object().ok_or_else(|| reply.unreadable("no object"))?;
                profile::observed(customer, tenant_id, is_repaired)
            }
            Err(error) => match gone_answer(&error) {
                Some(answer) => Observed::Gone(answer),
                None => return Err(error),
            },
        };
        Ok(Observation { tenant_id, mark, observed })
    }
}

fn listed(item: Object<'_>) -> Option<ListedCustomer> {
    let tenant_id = item.text_or_empty("id").trim().parse().ok()?;
    let company = item.inner("companyProfile").ok().flatten();
    let text = |name| company.map(|company| hint(company.text_or_empty(name))).unwrap_or_default();
    Some(ListedCustomer {
        tenant_id,
        company_name: text("companyName"),
        domain: text("domain"),
        relationship: hint(item.text_or_empty("relationshipToPartner")),
    })
}

/// The list's texts only show that something changed, so one that is too long is cut, not refused.
fn hint(raw: &str) -> String {
    tidy(&raw[..raw.floor_char_boundary(profile::TEXT_MAX)])
}

/// FACTS 8.2. A 404 in the gateway's shape has no code and proves nothing: an unknown path gives it too.
fn gone_answer(error: &Error) -> Option<GoneAnswer> {
    let Problem::Refused { status, code: Some(code), .. } = &error.problem else {
        return None;
    };
    match (status, code.as_str()) {
        (404, "1000") => Some(GoneAnswer::NotFound),
        (404, "60003") => Some(GoneAnswer::TenantNotFound),
        (403, "20002") => Some(GoneAnswer::NoRelationship),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Epoch, Ticket};
    use crate::partner_center::error::Fate;
    use crate::partner_center::scripted_server::{Partner, Script};

    const CUSTOMER: &str = "11111111-aaaa-4bbb-8ccc-222222222222";
    const MARK: ObservationMark = ObservationMark { epoch: Epoch(3), ticket: Ticket(14) };

    async fn list(body: impl Into<Vec<u8>>) -> Result<CustomerPage, Error> {
        Partner::answering([Script::new(200, body)]).await.center.list_customers(None).await
    }

    async fn observe(script: Script) -> Result<Observation, Error> {
        let tenant_id = CUSTOMER.parse().expect("an id");
        Partner::answering([script]).await.center.observe(tenant_id, MARK).await
    }

    #[tokio::test]
    async fn a_listing_follows_its_links_to_the_end() {
        // FACTS 2.1: relative link without prefix, continuation token in a header.
        let first = format!(
            r#"{{"totalCount":1,"items":[{{"id":"{CUSTOMER}","companyProfile":{{"tenantId":"{CUSTOMER}",
                "domain":"linden.example","companyName":" Linden Bakery "}},"relationshipToPartner":"reseller"}}],
                "links":{{"next":{{"uri":"/customers?size=7&seekOperation=Next","method":"GET",
                "headers":[{{"key":"MS-ContinuationToken","value":"q1w2,e3r4"}}]}}}}}}"#
        );
        let last = r#"{"totalCount":0,"items":[],"links":{"self":{"uri":"/v1/customers"}}}"#;
        let partner = Partner::answering([Script::new(200, first), Script::new(200, last)]).await;
        let page = partner.center.list_customers(None).await.expect("a page");
        let expected = ListedCustomer {
            tenant_id: CUSTOMER.parse().expect("an id"),
            company_name: "Linden Bakery".to_owned(),
            domain: "linden.example".to_owned(),
            relationship: "reseller".to_owned(),
        };
        assert_eq!((page.customers, page.skipped), (vec![expected], 0));

        let link = page.next.expect("a link").to_string().parse().expect("a stored link");
        let page = partner.center.list_customers(Some(&link)).await.expect("a page");
        assert_eq!(page, CustomerPage { customers: vec![], skipped: 0, promised: Some(0), next: None });

        let requests = partner.requests();
        assert_eq!(requests[0].target, "/v1/customers?size=500");
        assert_eq!(requests[1].target, "/v1/customers?size=7&seekOperation=Next");
        assert_eq!(requests[1].headers["ms-continuationtoken"], "q1w2,e3r4");
        assert_eq!(partner.center.calls().list, 2);
    }

    #[tokio::test]
    async fn a_page_of_another_spelling_and_with_a_byte_order_mark_is_read() {
        // FACTS 3.4 and 9.
        let body = format!("\u{feff}{{\"Items\":[{{\"Id\":\"{CUSTOMER}\",\"CompanyProfile\":null}}],\"Links\":null}}");
        let page = list(body).await.expect("a page");
        assert_eq!(page.customers[0].company_name, "");
        assert_eq!(page.next, None);
    }

    #[tokio::test]
    async fn one_bad_item_costs_only_itself() {
        let long = "é".repeat(profile::TEXT_MAX);
        let body = format!(
            r#"{{"items":[null,5,{{}},{{"id":7}},{{"id":"x"}},{{"id":"{CUSTOMER}","relationshipToPartner":"brand_new",
                "companyProfile":{{"companyName":"{long}","domain":{{}}}}}},
                {{"id":"{CUSTOMER}","companyProfile":{{"companyName":"\ud800"}}}}]}}"#
        );
        let page = list(body).await.expect("a page");
        assert_eq!(page.skipped, 5);
        assert_eq!(page.customers.len(), 2);
        assert_eq!(page.customers[0].company_name.len(), profile::TEXT_MAX);
        assert_eq!(page.customers[0].relationship, "brand_new");
    }

    #[tokio::test]
    async fn what_is_no_list_is_not_an_empty_list() {
        // RELIABILITY 2.3: 200 with HTML, `null`, `[]`, `{}` or wrong types; FACTS 8.1 shape 5.
        for body in ["", "null", "[]", "{}", "<html>", r#"{"items":{}}"#, r#"{"items":null}"#, r#"{"items":[]"#] {
            let error = list(body).await.expect_err("no list");
            assert_eq!(error.fate(), Fate::Retry { after: None }, "{body}");
        }
        let nowhere = r#"{"items":[],"links":{"next":{"uri":"/v1/orders?x=1"}}}"#;
        assert!(list(nowhere).await.is_err());
    }

    #[tokio::test]
    async fn a_listing_that_cannot_go_on_is_started_again() {
        let partner = Partner::answering([Script::new(400, r#"{"code":3000}"#)]).await;
        let error = partner.center.list_customers(None).await.expect_err("expired");
        assert_eq!(error.fate(), Fate::ListingRestart);
    }

    #[tokio::test]
    async fn a_whole_detail_is_an_observation_with_the_given_mark() {
        let body = format!(r#"{{"id":"{CUSTOMER}","billingProfile":{{"email":"a@linden.example"}}}}"#);
        let partner = Partner::answering([Script::new(200, body)]).await;
        let observation = partner.center.observe(CUSTOMER.parse().expect("an id"), MARK).await.expect("an observation");
        assert!(matches!(observation.observed, Observed::Present(_)));
        assert_eq!((observation.tenant_id.to_string().as_str(), observation.mark), (CUSTOMER, MARK));
        assert_eq!(partner.requests()[0].target, format!("/v1/customers/{CUSTOMER}"));
        assert_eq!(partner.center.calls().get, 1);
    }

    #[tokio::test]
    async fn three_answers_say_that_a_customer_is_gone() {
        // FACTS 8.2.
        let answers = [
            (404, r#"{"code":1000,"description":"Not found."}"#, GoneAnswer::NotFound),
            (404, r#"{"code":"60003"}"#, GoneAnswer::TenantNotFound),
            (
                403,
                r#"{"code":20002,"description":"No relationship.","data":[],"source":"PartnerFD"}"#,
                GoneAnswer::NoRelationship,
            ),
        ];
        for (status, body, gone) in answers {
            let observation = observe(Script::new(status, body)).await.expect("an observation");
            assert_eq!(observation.observed, Observed::Gone(gone));
        }
    }

    #[tokio::test]
    async fn no_other_answer_says_that_a_customer_is_gone() {
        // FACTS 8.2, last paragraph: the gateway's 404 proves nothing.
        let answers = [
            (404, r#"{"statusCode":404,"message":"Resource not found"}"#),
            (404, "Not found"),
            (404, r#"{"code":20002}"#),
            (403, r#"{"code":1000}"#),
            (403, r#"{"code":900416}"#),
            (403, ""),
            (400, r#"{"code":60003}"#),
            (410, ""),
        ];
        for (status, body) in answers {
            let error = observe(Script::new(status, body)).await.expect_err("not gone");
            assert_eq!(error.fate(), Fate::CustomerRefused, "{status} {body}");
        }
        assert!(matches!(
            observe(Script::new(403, r#"{"code":900308}"#)).await.expect_err("a right is missing").fate(),
            Fate::AccountBlocked { reason: "ROLE_MISSING", .. }
        ));
    }

    #[tokio::test]
    async fn a_detail_that_cannot_be_read_is_no_observation() {
        for script in [Script::new(200, "null"), Script::new(204, ""), Script::new(200, "<html>"), Script::truncated()]
        {
            let error = observe(script).await.expect_err("unreadable");
            assert_eq!(error.fate(), Fate::Retry { after: None });
        }
    }
}
