//! Reads the audit log: the signal that a contact changed, and the one that works whoever owns the webhook.
//!
//! The log is read by whole UTC days, comes without an order and is late, so today and yesterday are read every time
//! and each record counts once. A record only says which customer to look at; its values are never read.

use chrono::{Days, NaiveDate};

use crate::clock::Timestamp;
use crate::domain::ids::TenantId;
use crate::domain::look::LookCause;
use crate::domain::upstream_change::REMOVAL;
use crate::partner_center::audit_records::{AuditRecord, AuditStatus};
use crate::partner_center::error::{Call, Error, Problem};
use crate::store::{self, Priority};
use crate::sync::{Interruption, Worker};

/// The window of one question is at most 30 days (FACTS 5.1).
const WINDOW_DAYS: u64 = 29;
/// Records are met again for two days; after four nobody asks for them.
const FORGET_AFTER: std::time::Duration = std::time::Duration::from_secs(4 * 24 * 3600);
/// More pages than this are no day's log.
const PAGES_MAX: usize = 10_000;
/// The problem of an account whose log cannot be read.
const UNREADABLE: &str = "AUDIT_LOG_UNREADABLE";
/// Operations after which a customer may look different (FACTS 5.3); everything about relationships beside them.
const OPERATIONS: [&str; 8] = [
    "add_customer",
    "update_customer",
    "update_customer_billing_profile",
    "update_customer_partner_contract_company_name",
    "update_company_info",
    "update_customer_qualification",
    "delete_customer",
    "delete_tip_customer",
];

fn may_change_a_customer(operation: &str) -> bool {
    OPERATIONS.contains(&operation) || operation.contains("relationship")
}

/// Whether a failure is the log's; without an access token or a connection nothing else can be read either.
const fn is_about_the_log(error: &Error) -> bool {
    match (error.call, &error.problem) {
        (_, Problem::Throttled { .. } | Problem::Unreachable { .. }) => false,
        (Call::AuditRecords, _) => true,
        (Call::AccessToken | Call::ListCustomers | Call::GetCustomer | Call::WebhookRegistration, _) => false,
    }
}

fn utc_day(instant: Timestamp) -> NaiveDate {
    instant.to_utc().date_naive()
}

/// The days to read: from the day before the last reading, at most a window, up to today.
fn days(last: Option<Timestamp>, now: Timestamp) -> (NaiveDate, NaiveDate) {
    let today = utc_day(now);
    let earliest = today.checked_sub_days(Days::new(WINDOW_DAYS)).unwrap_or(today);
    let since = last.map_or(today, utc_day);
    let from = since.checked_sub_days(Days::new(1)).unwrap_or(since);
    (from.clamp(earliest, today), today)
}

impl Worker {
    /// Reads the log. Put off before the rest is: a log that alone is throttled leaves room for the other duties.
    pub(super) async fn read_audit_log(&mut self, now: Timestamp) -> Result<(), Interruption> {
        let interval = self.policy.audit_interval;
        let read = self.poll_audit_log_or_say_why_not(now).await;
        match &read {
            Ok(()) => self.audit.done(now.plus(interval)),
            Err(Interruption::Upstream(error)) if matches!(error.problem, Problem::Throttled { .. }) => {
                self.audit.failed(now, interval, Some(error));
            }
            // The whole account rests, or the store does; then the log is read first again.
            Err(Interruption::Upstream(_) | Interruption::Store(_)) => {}
        }
        read
    }

    /// An account whose log cannot be read is synchronized by its list and its nights all the same.
    async fn poll_audit_log_or_say_why_not(&mut self, now: Timestamp) -> Result<(), Interruption> {
        let error = match self.poll_audit_log(now).await {
            Ok(()) => return self.say_audit_log_is_read().await,
            Err(Interruption::Upstream(error)) if is_about_the_log(&error) => error,
            Err(interruption) => return Err(interruption),
        };
        tracing::warn!(account = %self.account, error = %error, "the audit log cannot be read");
        let account = &self.account;
        let detail = format!("the audit log cannot be read ({error}); changes are found at night and by the list");
        self.store.write("note_problem", async |tx| tx.note_problem(account, UNREADABLE, &detail).await).await?;
        self.audit_log_is_unreadable = true;
        Ok(())
    }

    async fn say_audit_log_is_read(&mut self) -> Result<(), Interruption> {
        if self.audit_log_is_unreadable {
            let account = &self.account;
            self.store.write("clear_problem", async |tx| tx.clear_problem(account).await).await?;
            self.audit_log_is_unreadable = false;
        }
        Ok(())
    }

    /// Reads the log to its end and marks whom it is about.
    async fn poll_audit_log(&mut self, now: Timestamp) -> Result<(), Interruption> {
        let readings = self.store.last_readings(&self.account).await?;
        let (from, to) = days(readings.audit_polled_at, now);
        let mut link = None;
        for _ in 0..PAGES_MAX {
            let page = self.upstream.audit_records(from, to, link.as_ref()).await?;
            self.trouble.note_answer();
            self.heed(&page.records).await?;
            match page.next {
                Some(next) if link.as_ref() != Some(&next) => link = Some(next),
                // The end, or a link that leads to itself.
                Some(_) | None => break,
            }
        }
        let account = &self.account;
        self.store
            .write("note_audit_polled", async |tx| {
                tx.forget_audit_records(account, now.minus(FORGET_AFTER)).await?;
                tx.note_audit_polled(account, now).await
            })
            .await?;
        Ok(())
    }

    async fn heed(&self, records: &[AuditRecord]) -> Result<(), Interruption> {
        let done = |record: &&AuditRecord| record.status == AuditStatus::Succeeded;
        let about: Vec<_> = records.iter().filter(done).filter_map(|record| Some((record, record.customer?))).collect();
        if about.is_empty() {
            return Ok(());
        }
        let account = &self.account;
        if planted!("record-remembered-before-marked") {
            return self.heed_in_two_steps(&about).await;
        }
        let marked = self
            .store
            .write("heed_audit_records", async |tx| {
                let tenants: Vec<_> = about.iter().map(|(_, tenant)| *tenant).collect();
                // Whatever is done to a customer we do not know makes it worth a look: an acceptance may leave no
                // other trace (FACTS 5.4).
                let unknown = tx.unknown_tenants(account, &tenants).await?;
                let mut dirty: Vec<TenantId> = Vec::new();
                let mut removed: Vec<TenantId> = Vec::new();
                let mut explaining: Vec<(TenantId, &AuditRecord)> = Vec::new();
                for (record, tenant) in &about {
                    let heeded = may_change_a_customer(&record.operation) || unknown.contains(tenant);
                    if !heeded || !tx.meet_audit_record(account, &record.id, SUCCEEDED).await? {
                        continue;
                    }
                    dirty.push(*tenant);
                    // Any record may tell of a customer that is new to us; not any tells who changed it.
                    if may_change_a_customer(&record.operation) {
                        explaining.push((*tenant, record));
                    }
                    if record.operation == REMOVAL {
                        removed.push(*tenant);
                    }
                }
                dirty.sort_unstable();
                dirty.dedup();
                if !dirty.is_empty() {
                    tx.mark_dirty(account, &dirty, Priority::Signal, LookCause::AuditLog).await?;
                    for (tenant, record) in explaining {
                        tx.note_audit_signal(account, tenant, &record.change()).await?;
                    }
                    tx.note_removal_recorded(account, &removed).await?;
                }
                Ok::<_, store::Error>(dirty.len())
            })
            .await?;
        if marked > 0 {
            tracing::info!(account = %self.account, customers = marked, "the audit log names customers to look at");
        }
        Ok(())
    }
}

impl Worker {
    /// The planted bug: what is remembered and what is marked commit apart.
    async fn heed_in_two_steps(&self, about: &[(&AuditRecord, TenantId)]) -> Result<(), Interruption> {
        let account = &self.account;
        let new = self
            .store
            .write("remember_audit_records", async |tx| {
                let mut new = Vec::new();
                for (record, tenant) in about {
                    if tx.meet_audit_record(account, &record.id, SUCCEEDED).await? {
                        new.push(*tenant);
                    }
                }
                Ok::<_, store::Error>(new)
            })
            .await?;
        self.store
            .write("mark", async |tx| tx.mark_dirty(account, &new, Priority::Signal, LookCause::AuditLog).await)
            .await?;
        Ok(())
    }
}

/// The status under which a record is remembered.
const SUCCEEDED: &str = "succeeded";

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(text: &str) -> Timestamp {
        DateTime::parse_from_rfc3339(text).expect("a well-formed time").to_utc().into()
    }

    fn window(last: Option<&str>, now: &str) -> (String, String) {
        let (from, to) = days(last.map(at), at(now));
        (from.to_string(), to.to_string())
    }

    #[test]
    fn the_day_before_the_last_reading_is_read_again() {
        assert_eq!(window(None, "2026-03-10T12:00:00Z"), ("2026-03-09".into(), "2026-03-10".into()));
        let just_now = window(Some("2026-03-10T11:59:00Z"), "2026-03-10T12:00:00Z");
        assert_eq!(just_now, ("2026-03-09".into(), "2026-03-10".into()));
        let over_midnight = window(Some("2026-03-09T23:59:00Z"), "2026-03-10T00:00:30Z");
        assert_eq!(over_midnight, ("2026-03-08".into(), "2026-03-10".into()));
    }

    #[test]
    fn a_long_gap_is_read_as_far_back_as_one_question_reaches() {
        let gap = window(Some("2025-12-01T00:00:00Z"), "2026-03-10T12:00:00Z");
        assert_eq!(gap, ("2026-02-09".into(), "2026-03-10".into()));
    }

    #[test]
    fn a_clock_that_went_back_asks_for_no_future() {
        let back = window(Some("2026-03-20T00:00:00Z"), "2026-03-10T12:00:00Z");
        assert_eq!(back, ("2026-03-10".into(), "2026-03-10".into()));
    }

    #[test]
    fn operations_of_customers_and_relationships_are_heeded_and_orders_are_not() {
        for heeded in [
            "update_customer_billing_profile",
            "reseller_relationship_accepted_by_customer",
            "dap_admin_relationship_terminated",
            REMOVAL,
        ] {
            assert!(may_change_a_customer(heeded), "{heeded}");
        }
        for ignored in ["create_order", "update_subscription", "reset_user_password"] {
            assert!(!may_change_a_customer(ignored), "{ignored}");
        }
    }
}
