//! Reads the audit log: who was touched, how, and whether it worked.
//!
//! A record only says *look at this customer* (R8). What it says was changed may be personal data or worse, and is
//! skipped while parsing (see `document`). The log's order means nothing, and its records repeat (FACTS 5.1, 5.5).

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use crate::clock::Timestamp;
use crate::domain::ids::TenantId;
use crate::domain::text::tidy;
use crate::domain::upstream_change::{UpstreamChange, UserName};
use crate::partner_center::PartnerCenter;
use crate::partner_center::document::{Document, Object};
use crate::partner_center::error::{Call, Error, Problem};
use crate::partner_center::identity::Identity;
use crate::partner_center::links::PageLink;
use crate::partner_center::request::Question;
use crate::partner_center::transport::fresh_trace;

/// The longest id that is kept; Microsoft's have up to about 150 characters (FACTS 5.2).
const ID_MAX: usize = 512;
/// The longest name of an operation, resource or status that is kept.
const NAME_MAX: usize = 128;

/// The longest name of a user or an application that is kept; a user's has at most 113 characters in Entra.
const ACTOR_MAX: usize = 256;

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AuditStatus {
    /// It worked.
    Succeeded,
    /// It did not.
    Failed,
    /// It is under way; another record may follow.
    Progress,
    /// Somebody said no.
    Declined,
    /// A status we do not know, in lower case; new ones arrive unannounced.
    Other(String),
}

/// One record of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// The record's id; made of its other members when it has none.
    pub id: String,
    /// The customer it is about; some records have none.
    pub customer: Option<TenantId>,
    /// What was done, in lower case, such as `update_customer_billing_profile`.
    pub operation: String,
    /// To what, in lower case, such as `customer`.
    pub resource: String,
    /// How it ended.
    pub status: AuditStatus,
    /// When.
    pub at: Option<Timestamp>,
    /// The user that did it; empty when an application did.
    pub user: UserName,
    /// The application through which it was done, an id or a name; some records have none.
    pub application: String,
}

impl AuditRecord {
    /// What the record says of who did what.
    pub fn change(&self) -> UpstreamChange {
        UpstreamChange {
            record: self.id.clone(),
            operation: self.operation.clone(),
            user: self.user.clone(),
            application: self.application.clone(),
            at: self.at,
        }
    }
}

/// One page of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPage {
    /// The records, in no order to rely on.
    pub records: Vec<AuditRecord>,
    /// Items that are no records.
    pub skipped: usize,
    /// The page after this one.
    pub next: Option<PageLink>,
}

impl PartnerCenter {
    /// One page of the records of the UTC days `from` to `to`, both included: the first one, or the one that `link`
    /// leads to.
    ///
    /// Partner Center keeps 90 days and serves at most 30 at a time (FACTS 5.1).
    ///
    /// # Errors
    ///
    /// [`Fate::ListingRestart`](crate::partner_center::error::Fate) when the window is refused or cannot go on from
    /// `link`.
    pub async fn audit_records(
        &self,
        from: NaiveDate,
        to: NaiveDate,
        link: Option<&PageLink>,
    ) -> Result<AuditPage, Error> {
        let first_page = format!(
            "startDate={}&endDate={}&size={}",
            from.format("%Y-%m-%d"),
            to.format("%Y-%m-%d"),
            self.0.page_size
        );
        let question = Question {
            call: Call::AuditRecords,
            identity: Identity::Application,
            path: "/v1/auditrecords",
            query: Some(link.map_or(&first_page, PageLink::query)),
            headers: link.and_then(PageLink::header_map).unwrap_or_default(),
        };
        let reply = self.0.ask(question).await?;
        let document = Document::read_forgiving(&reply.body).map_err(|_| reply.unreadable("no JSON"))?;
        let page = document.object().ok_or_else(|| reply.unreadable("no object"))?;
        let items = page.list("items").ok().flatten().ok_or_else(|| reply.unreadable("no list of items"))?;
        let next = PageLink::after(page, "auditrecords").map_err(|_| reply.unreadable("a next link to nowhere"))?;
        let count = items.len();
        let records: Vec<_> = items.flatten().map(record).collect();
        Ok(AuditPage { skipped: count - records.len(), records, next })
    }
}

/// The error of a log whose links lead in a circle. It is not at its end, so nothing may count as read.
pub fn circle() -> Error {
    Error::new(Call::AuditRecords, Problem::Unreadable { what: "its pages lead in a circle" }, fresh_trace())
}

fn record(item: Object<'_>) -> AuditRecord {
    let name = |member| cut(item.text_or_empty(member), NAME_MAX).to_lowercase();
    let customer: Option<TenantId> = item.text_or_empty("customerId").trim().parse().ok();
    let operation = name("operationType");
    let written_at = cut(item.text_or_empty("operationDate"), NAME_MAX);
    let given_id = cut(item.text_or_empty("id"), ID_MAX);
    let id = if given_id.is_empty() {
        // Records are told apart by their ids; without one this would hide all but the first such record.
        let whose = customer.map(|customer| customer.to_string()).unwrap_or_default();
        format!("{whose}/{operation}/{written_at}")
    } else {
        given_id.to_owned()
    };
    AuditRecord {
        id,
        customer,
        operation,
        resource: name("resourceType"),
        status: status(name("operationStatus")),
        at: instant(written_at),
        user: UserName::new(actor(item.text_or_empty("userPrincipalName"))),
        application: actor(item.text_or_empty("applicationId")),
    }
}

fn cut(text: &str, longest: usize) -> &str {
    let bare = text.trim();
    &bare[..bare.floor_char_boundary(longest)]
}

/// Who did it, in one line.
fn actor(raw: &str) -> String {
    tidy(cut(raw, ACTOR_MAX)).chars().filter(|character| !character.is_control()).collect()
}

fn status(name: String) -> AuditStatus {
    match name.as_str() {
        "succeeded" => AuditStatus::Succeeded,
        "failed" => AuditStatus::Failed,
        "progress" => AuditStatus::Progress,
        // FACTS 5.2: only Microsoft's own client knows it, in this form.
        "decline" | "declined" => AuditStatus::Declined,
        _ => AuditStatus::Other(name),
    }
}

/// RFC 3339 with seven fractional digits; without a zone it is UTC (FACTS 5.1, 5.2).
fn instant(written: &str) -> Option<Timestamp> {
    let zoned = DateTime::parse_from_rfc3339(written).map(|time| time.to_utc());
    let plain = || NaiveDateTime::parse_from_str(written, "%Y-%m-%dT%H:%M:%S%.f").map(|time| time.and_utc());
    zoned.or_else(|_| plain()).ok().map(Timestamp::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partner_center::error::Fate;
    use crate::partner_center::scripted_server::{Partner, Script};

    const CUSTOMER: &str = "11111111-aaaa-4bbb-8ccc-222222222222";

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 2, day).expect("a day")
    }

    async fn first_page(body: impl Into<Vec<u8>>) -> Result<AuditPage, Error> {
        let partner = Partner::answering([Script::new(200, body)]).await;
        partner.center.audit_records(day(3), day(4), None).await
    }

    #[tokio::test]
    async fn a_window_is_asked_for_by_days_and_followed_by_links() {
        // FACTS 5.1; the other address of FACTS 1.1 leads to the same place.
        let first = r#"{"items":[],"links":{"next":{"uri":"/auditactivity/v1/auditrecords?size=500&seekOperation=Next",
            "headers":[{"key":"MS-ContinuationToken","value":"t"}]}}}"#;
        let partner = Partner::answering([Script::new(200, first), Script::new(200, r#"{"items":[]}"#)]).await;
        let page = partner.center.audit_records(day(3), day(4), None).await.expect("a page");
        let page = partner.center.audit_records(day(3), day(4), page.next.as_ref()).await.expect("a page");
        assert_eq!(page, AuditPage { records: vec![], skipped: 0, next: None });
        let requests = partner.requests();
        assert_eq!(requests[0].target, "/v1/auditrecords?startDate=2026-02-03&endDate=2026-02-04&size=500");
        assert_eq!(requests[1].target, "/v1/auditrecords?size=500&seekOperation=Next");
        assert_eq!(requests[1].headers["ms-continuationtoken"], "t");
        assert_eq!(partner.center.calls().audit, 2);
    }

    #[tokio::test]
    async fn a_record_tells_whom_to_look_at_and_never_what_changed() {
        let page = first_page(format!(
            r#"{{"items":[{{"id":"p_c_1","customerId":"{CUSTOMER}","operationType":"Update_Customer_Billing_Profile",
                "resourceType":"Customer","operationStatus":"succeeded","operationDate":"2026-02-03T04:05:06.0700001Z",
                "userPrincipalName":" agent@contoso.example","applicationId":"Partner Center\u0007 Web UI",
                "resourceOldValue":"{{\"Email\":\"old@linden.example\"}}","ResourceNewValue":{{"Email":"new@linden.example"}},
                "customizedData":[{{"key":"Relationship","value":null}}]}}]}}"#
        ))
        .await
        .expect("a page");
        assert!(!format!("{page:?}").contains("linden"));
        let expected = AuditRecord {
            id: "p_c_1".to_owned(),
            customer: CUSTOMER.parse().ok(),
            operation: "update_customer_billing_profile".to_owned(),
            resource: "customer".to_owned(),
            status: AuditStatus::Succeeded,
            at: Some(Timestamp::from_micros(1_770_091_506_070_000)),
            user: UserName::new("agent@contoso.example".to_owned()),
            application: "Partner Center Web UI".to_owned(),
        };
        assert!(!format!("{page:?}").contains("agent"));
        assert_eq!(page.records, [expected]);
    }

    #[tokio::test]
    async fn records_without_customer_id_or_date_are_still_records() {
        // FACTS 5.2 and 9: failed `add_customer` records have no customer; new values arrive unannounced.
        let page = first_page(
            r#"{"items":[null,"x",{"operationType":"add_customer","operationStatus":"failed"},
                {"operationType":"brand_new","operationStatus":"Pondered","customerId":"contoso","operationDate":"soon"},
                {"id":"1","operationStatus":"decline","operationDate":"2026-02-03T04:05:06"},
                {"id":"2","operationStatus":"progress","resourceType":5}]}"#,
        )
        .await
        .expect("a page");
        assert_eq!(page.skipped, 2);
        let statuses: Vec<_> = page.records.iter().map(|record| record.status.clone()).collect();
        let pondered = AuditStatus::Other("pondered".to_owned());
        assert_eq!(statuses, [AuditStatus::Failed, pondered, AuditStatus::Declined, AuditStatus::Progress]);
        assert!(page.records.iter().all(|record| record.customer.is_none()));
        assert_eq!(page.records[0].id, "/add_customer/");
        assert_ne!(page.records[0].id, page.records[1].id);
        assert_eq!(page.records[2].at, Some(Timestamp::from_micros(1_770_091_506_000_000)));
    }

    #[tokio::test]
    async fn what_is_no_log_is_not_an_empty_log() {
        for body in ["null", "[]", "{}", "", r#"{"items":{}}"#] {
            assert_eq!(first_page(body).await.expect_err("no log").fate(), Fate::Retry { after: None }, "{body}");
        }
    }

    #[tokio::test]
    async fn a_window_that_is_refused_is_started_again() {
        // FACTS 5.5: not the usual shape of an error.
        let partner = Partner::answering([Script::new(400, r#"{"message":"The request is invalid."}"#)]).await;
        let error = partner.center.audit_records(day(3), day(4), None).await.expect_err("refused");
        assert_eq!(error.fate(), Fate::ListingRestart);
    }
}
