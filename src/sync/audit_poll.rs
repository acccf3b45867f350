//! Reads the audit log: the signal that a contact changed, and the one that works whoever owns the webhook.
//!
//! The log is read by whole UTC days, comes without an order and is late, so today and yesterday are read every time
//! and each record counts once. A record only says which customer to look at; its values are never read.

use std::collections::HashSet;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::ids::TenantId;
use crate::domain::look::LookCause;
use crate::domain::upstream_change::REMOVAL;
use crate::partner_center::audit_records::{self, AuditPage, AuditRecord, AuditStatus};
use crate::partner_center::error::{Call, Error, Problem};
use crate::store::{self, Priority, RunCause, RunKind};
use crate::sync::audit_window::Window;
use crate::sync::progress::{Oldest, WAITED_FOR};
use crate::sync::{Interruption, Worker};

/// Records are met again for two days, or for as long as an older one is under way; after ten nobody asks for them.
const FORGET_AFTER: Duration = Duration::from_secs(10 * 24 * 3600);
/// More pages than this are no day's log.
const PAGES_MAX: usize = 10_000;
/// The problem of an account whose log cannot be read.
const UNREADABLE: &str = "AUDIT_LOG_UNREADABLE";
/// Operations after which other resellers may serve a provider's customers (FACTS 5.3).
const RESELLER_OPERATIONS: [&str; 3] =
    ["create_partner_relationship", "remove_partner_relationship", "extend_relationship"];
/// What they are done to.
const RESELLER_RESOURCE: &str = "partner_relationship";
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

/// Whether it was about the provider and a reseller, which is about no customer.
fn may_change_resellers(record: &AuditRecord) -> bool {
    RESELLER_OPERATIONS.contains(&record.operation.as_str()) || record.resource == RESELLER_RESOURCE
}

/// Whether a failure is the log's; without an access token or a connection nothing else can be read either.
const fn is_about_the_log(error: &Error) -> bool {
    match (error.call, &error.problem) {
        // 401 is about the token, with which everything else is asked too (FACTS 8.2).
        (_, Problem::Throttled { .. } | Problem::Unreachable { .. } | Problem::Blocked { status: Some(401), .. }) => {
            false
        }
        (Call::AuditRecords, _) => true,
        (
            Call::AccessToken
            | Call::ListCustomers
            | Call::GetCustomer
            | Call::WebhookRegistration
            | Call::ListResellers
            | Call::ListResellerCustomers,
            _,
        ) => false,
    }
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
        let detail = format!(
            "the audit log cannot be read ({error}); changes are found at night and by the list. If that does not pass by \
             itself, check whether Partner Center is available and lets the application read audit records"
        );
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
        let in_progress = self.in_progress_since(now).await?;
        let window = Window::of(readings.audit_read_from, in_progress, now, self.upstream.clock_skew());
        if window.has_a_gap {
            // Partner Center forgets what is older: the log can no longer say what changed, a look at everybody can.
            tracing::warn!(account = %self.account, "the audit log was not read for so long that everybody is looked at");
            self.start_run(RunKind::Full, RunCause::Scheduled).await?;
        }
        let mut oldest = Oldest::at(now);
        for (from, to) in window.questions() {
            let mut link = None;
            let mut shown = Shown::default();
            loop {
                let page = self.upstream.audit_records(from, to, link.as_ref()).await?;
                self.trouble.note_answer();
                self.heed_resellers(&page.records).await?;
                self.heed(&page.records, &mut oldest, now).await?;
                shown.take(&page)?;
                // The same link would be met as pages that show nothing new.
                match page.next {
                    Some(next) => link = Some(next),
                    None => break,
                }
            }
        }
        let account = &self.account;
        self.store
            .write("note_audit_polled", async |tx| {
                tx.forget_audit_records(account, now.minus(FORGET_AFTER)).await?;
                tx.note_audit_polled(account, now).await
            })
            .await?;
        self.in_progress.read(oldest.found());
        Ok(())
    }

    /// A change between the provider and its resellers makes them worth reading; who else it is about is heeded apart.
    async fn heed_resellers(&self, records: &[AuditRecord]) -> Result<(), Interruption> {
        let told = |record: &&AuditRecord| record.status == AuditStatus::Succeeded && may_change_resellers(record);
        let mut about: Vec<_> = records.iter().filter(told).collect();
        self.leave_out_what_was_met(&mut about, |record| record, RESELLERS_WANTED).await?;
        if about.is_empty() {
            return Ok(());
        }
        let account = &self.account;
        self.store
            .write("heed_reseller_records", async |tx| {
                let mut news = false;
                for record in about {
                    news |= tx.meet_audit_record(account, &record.id, RESELLERS_WANTED).await?;
                }
                if news { tx.want_resellers(account).await } else { Ok::<_, store::Error>(()) }
            })
            .await?;
        Ok(())
    }

    async fn in_progress_since(&self, now: Timestamp) -> Result<Option<Timestamp>, Interruption> {
        match self.in_progress.known() {
            Some(since) => Ok(since),
            None => Ok(self.store.audit_record_in_progress(&self.account, now.minus(WAITED_FOR)).await?),
        }
    }

    /// Leaves out the records that have been met in that status. The log is read by whole days, and most of what it shows has
    /// been met: that takes no turn among the writers.
    async fn leave_out_what_was_met<T>(
        &self,
        shown: &mut Vec<T>,
        record: impl Fn(&T) -> &AuditRecord,
        status: &str,
    ) -> Result<(), Interruption> {
        if shown.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = shown.iter().map(|one| record(one).id.as_str()).collect();
        let met = self.store.met_audit_records(&self.account, &ids, status).await?;
        shown.retain(|one| !met.contains(&record(one).id));
        Ok(())
    }

    /// Marks whom the records are about, and remembers what is under way.
    async fn heed(&self, records: &[AuditRecord], oldest: &mut Oldest, now: Timestamp) -> Result<(), Interruption> {
        let mut about = Vec::new();
        let mut under_way = Vec::new();
        for record in records {
            match (&record.status, record.customer) {
                // A status that nobody knows may mean that something changed: a look costs less than a change unseen.
                (AuditStatus::Succeeded | AuditStatus::Other(_), Some(tenant)) => about.push((record, tenant)),
                (AuditStatus::Progress, Some(_)) if may_change_a_customer(&record.operation) => {
                    oldest.note(record.at.unwrap_or(now));
                    under_way.push(record);
                }
                (AuditStatus::Progress | AuditStatus::Failed | AuditStatus::Declined, _)
                | (AuditStatus::Succeeded | AuditStatus::Other(_), None) => {}
            }
        }
        if about.is_empty() && under_way.is_empty() {
            return Ok(());
        }
        let account = &self.account;
        let tenants: Vec<_> = about.iter().map(|(_, tenant)| *tenant).collect();
        // Whatever is done to a customer we do not know makes it worth a look: an acceptance may leave no other trace
        // (FACTS 5.4).
        let unknown = self.store.unknown_tenants(account, &tenants).await?;
        about.retain(|(record, tenant)| may_change_a_customer(&record.operation) || unknown.contains(tenant));
        self.leave_out_what_was_met(&mut about, |(record, _)| record, SUCCEEDED).await?;
        self.leave_out_what_was_met(&mut under_way, |record| record, PROGRESS).await?;
        if about.is_empty() && under_way.is_empty() {
            return Ok(());
        }
        if planted!("unfinished-record-remembered") {
            self.remember_unfinished(records).await?;
        }
        if planted!("record-remembered-before-marked") {
            return self.heed_in_two_steps(&about).await;
        }
        let marked = self
            .store
            .write("heed_audit_records", async |tx| {
                let mut dirty: Vec<TenantId> = Vec::new();
                let mut removed: Vec<TenantId> = Vec::new();
                let mut explaining: Vec<(TenantId, &AuditRecord)> = Vec::new();
                for (record, tenant) in &about {
                    if !tx.meet_audit_record(account, &record.id, SUCCEEDED).await? {
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
                for record in &under_way {
                    tx.meet_audit_record(account, &record.id, PROGRESS).await?;
                }
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
    /// The planted bug: what is under way counts as heeded.
    async fn remember_unfinished(&self, records: &[AuditRecord]) -> Result<(), Interruption> {
        let account = &self.account;
        let unfinished = records.iter().filter(|record| record.status == AuditStatus::Progress);
        let ids: Vec<_> = unfinished.map(|record| record.id.clone()).collect();
        self.store
            .write("remember", async |tx| {
                for id in &ids {
                    tx.meet_audit_record(account, id, SUCCEEDED).await?;
                }
                Ok::<_, store::Error>(())
            })
            .await?;
        Ok(())
    }

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

/// The status under which a record is remembered that has been acted on.
const SUCCEEDED: &str = "succeeded";
/// As which it is remembered that a record made the resellers worth reading.
const RESELLERS_WANTED: &str = "succeeded, resellers wanted";
/// The status of one that is waited for.
const PROGRESS: &str = "progress";

/// What one reading of a window has shown: whoever follows links must notice that they lead in a circle, and a circle is
/// not the end.
#[derive(Debug, Default)]
struct Shown {
    ids: HashSet<String>,
    stale: u32,
    pages: usize,
}

impl Shown {
    /// A page that names nobody new, and an empty one, of which there may be some.
    const REPEATED: u32 = 10;
    const EMPTY: u32 = 1;
    const STALE_MAX: u32 = 30;

    fn take(&mut self, page: &AuditPage) -> Result<(), Error> {
        let before = self.ids.len();
        self.ids.extend(page.records.iter().map(|record| record.id.clone()));
        let weight = if page.records.is_empty() { Self::EMPTY } else { Self::REPEATED };
        self.stale = if self.ids.len() > before { 0 } else { self.stale + weight };
        self.pages += 1;
        let goes_on = page.next.is_some();
        if goes_on && (self.stale >= Self::STALE_MAX || self.pages >= PAGES_MAX) {
            return Err(audit_records::circle());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
