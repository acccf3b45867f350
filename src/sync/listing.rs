//! Reads the customer list of the runs under way, page by page. The list says who is new, gone or renamed; it never
//! says anything about a contact, and it changes no customer.

use crate::clock::Timestamp;
use crate::domain::observation::ListedCustomer;
use crate::partner_center::customers::CustomerPage;
use crate::partner_center::error::Fate;
use crate::partner_center::links::PageLink;
use crate::store::{CallTally, RunKind, RunState, SyncRun};
use crate::sync::trouble::concerns_the_account;
use crate::sync::{Interruption, Worker};

/// How often a listing that breaks off begins anew before its run is given up.
const RESTARTS_MAX: u32 = 3;

impl Worker {
    /// Reads on in the list, unless it failed just now; returns whether there is more to read. Only a failure that
    /// concerns the whole account is passed on: a list that cannot be read keeps nobody from being looked at.
    pub(super) async fn read_list(&mut self, now: Timestamp) -> Result<bool, Interruption> {
        if self.list.not_before(now, self.longest_wait()) > now {
            return Ok(false);
        }
        let error = match self.list_next_pages().await {
            Ok(more) => return Ok(more),
            Err(Interruption::Upstream(error)) => error,
            Err(interruption @ Interruption::Store(_)) => return Err(interruption),
        };
        self.list_failed(now, Some(&error), &error.to_string()).await?;
        if concerns_the_account(&error) {
            return Err(error.into());
        }
        tracing::warn!(account = %self.account, error = %error, "the customer list cannot be read");
        Ok(false)
    }

    /// Reads the next page of every run that is listing; returns whether there is more to read.
    async fn list_next_pages(&mut self) -> Result<bool, Interruption> {
        let mut more = false;
        for kind in [RunKind::Full, RunKind::ListDiff] {
            let Some(run) = self.store.run_under_way(&self.account, kind).await? else { continue };
            if run.state == RunState::Listing {
                more = true;
                self.list_next_page(&run).await?;
            }
        }
        Ok(more)
    }

    async fn list_next_page(&mut self, run: &SyncRun) -> Result<(), Interruption> {
        // A link that cannot be read any more is as good as none.
        let link: Option<PageLink> = run.next_link.as_deref().and_then(|link| link.parse().ok());
        let upstream = self.upstream.metered();
        let answer = upstream.list_customers(link.as_ref()).await;
        let tally = CallTally::of(upstream.metered_calls(), run.page_tries);
        match answer {
            Ok(page) => {
                self.trouble.note_answer();
                self.take_page(run, page, tally).await
            }
            Err(error) => {
                self.count_failed_page(run, tally).await?;
                match error.fate() {
                    Fate::ListingRestart => self.begin_anew(run, &error.to_string(), &[]).await,
                    Fate::Retry { .. }
                    | Fate::AccountBlocked { .. }
                    | Fate::UserBlocked { .. }
                    | Fate::CustomerRefused => Err(error.into()),
                }
            }
        }
    }

    async fn count_failed_page(&self, run: &SyncRun, tally: CallTally) -> Result<(), Interruption> {
        // While Partner Center wants no calls, none is made.
        if tally == CallTally::default() {
            return Ok(());
        }
        self.store
            .write("count_failed_page", async |tx| {
                tx.count_calls(&run.account, run.id, tally).await?;
                tx.note_page_failed(run).await
            })
            .await?;
        Ok(())
    }

    async fn take_page(&mut self, run: &SyncRun, page: CustomerPage, tally: CallTally) -> Result<(), Interruption> {
        if page.skipped > 0 {
            tracing::warn!(account = %self.account, run = %run.id, skipped = page.skipped, "list items without a readable id");
        }
        let next = page.next.as_ref().map(ToString::to_string);
        if let Err(problem) = self.listings.take(run, &page, next.as_deref()) {
            self.count_failed_page(run, tally).await?;
            return self.begin_anew(run, problem, &page.customers).await;
        }
        if planted!("page-checkpoint-before-rows") && next.is_some() {
            for customers in [&[], page.customers.as_slice()] {
                let run = SyncRun { pages: run.pages + u32::from(!customers.is_empty()), ..run.clone() };
                let page = self.store.listed_page(&run, customers).await?;
                self.store.write("save_page", async |tx| tx.save_page(&run, &page, next.as_deref()).await).await?;
            }
            return Ok(());
        }
        if next.is_none() {
            return self.take_last_page(run, &page.customers, tally).await;
        }
        let page = self.store.listed_page(run, &page.customers).await?;
        self.store
            .write("save_page", async |tx| {
                tx.count_calls(&run.account, run.id, tally).await?;
                tx.save_page(run, &page, next.as_deref()).await
            })
            .await?;
        Ok(())
    }

    /// Takes the page that has none after it. It is saved together with the end of the listing: a restart between the two
    /// would find no place to go on from, and read the whole list again.
    async fn take_last_page(
        &mut self,
        run: &SyncRun,
        customers: &[ListedCustomer],
        tally: CallTally,
    ) -> Result<(), Interruption> {
        self.listings.forget(run.id);
        let missing = self.store.missing_in_listing(run, customers).await?;
        let page = self.store.listed_page(run, customers).await?;
        self.store
            .write("finish_listing", async |tx| {
                tx.count_calls(&run.account, run.id, tally).await?;
                tx.save_page(run, &page, None).await?;
                tx.finish_listing(run, &missing).await
            })
            .await?;
        self.list_done(self.clock.now()).await?;
        Ok(())
    }

    /// Begins the listing anew. Whom its last page named is noted all the same: they exist, whatever the list lacks.
    async fn begin_anew(&mut self, run: &SyncRun, problem: &str, named: &[ListedCustomer]) -> Result<(), Interruption> {
        tracing::warn!(account = %self.account, run = %run.id, problem, "the listing begins anew");
        self.listings.forget(run.id);
        self.list_failed(self.clock.now(), None, problem).await?;
        let is_last = run.listing_restarts >= RESTARTS_MAX;
        let page = self.store.listed_page(run, named).await?;
        self.store
            .write("restart_listing", async |tx| {
                if !named.is_empty() {
                    tx.save_page(run, &page, None).await?;
                }
                if is_last { Ok(()) } else { tx.restart_listing(run).await }
            })
            .await?;
        if is_last { self.end_run(run, Some(problem)).await } else { Ok(()) }
    }
}
