//! Looks into the database all the while: nobody holds an account for long, and nothing goes backwards.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use sqlx::Row;
use sqlx::postgres::PgConnection;
use tokio_util::sync::CancellationToken;

use crate::fleet::Fleet;

const LOOK: Duration = Duration::from_millis(200);

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub looks: u32,
    pub takeovers: i64,
    pub longest_unowned: Duration,
}

impl fmt::Display for Seen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { looks, takeovers, longest_unowned } = self;
        write!(
            out,
            "{looks} looks: {takeovers} leases changed hands, an account was nobody's for at most {longest_unowned:.1?}"
        )
    }
}

pub struct Watcher {
    shell: PgConnection,
    epochs: HashMap<String, i64>,
    answers: HashMap<(String, String), (i64, i64)>,
    unowned: HashMap<String, Instant>,
    seen: Seen,
}

impl Watcher {
    pub async fn of(fleet: &Fleet) -> Self {
        let (epochs, answers, unowned) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { shell: fleet.shell().await, epochs, answers, unowned, seen: Seen::default() }
    }

    /// Watches until `stop`. Panics at what must not be.
    pub async fn watch(mut self, stop: CancellationToken) -> Seen {
        while !stop.is_cancelled() {
            self.look_at_leases().await;
            self.look_at_answers().await;
            self.seen.looks += 1;
            tokio::time::sleep(LOOK).await;
        }
        self.seen
    }

    async fn look_at_leases(&mut self) {
        const SELECT: &str = "
            SELECT a.id, a.lease_epoch, coalesce(r.alive_until >= extract(epoch FROM clock_timestamp()) * 1000000, FALSE)
            FROM partner_account a LEFT JOIN replica r ON r.id = a.lease_holder";
        let now = Instant::now();
        for row in sqlx::query(SELECT).fetch_all(&mut self.shell).await.expect("the database answers") {
            let (account, epoch, is_held): (String, i64, bool) = (row.get(0), row.get(1), row.get(2));
            let before = self.epochs.insert(account.clone(), epoch).unwrap_or(epoch);
            assert!(epoch >= before, "{account}: epoch {epoch} after {before}");
            self.seen.takeovers += epoch - before;
            // Under another epoch somebody else held it meanwhile.
            if is_held || epoch != before {
                self.unowned.remove(&account);
            }
            if !is_held {
                let since = *self.unowned.entry(account).or_insert(now);
                self.seen.longest_unowned = self.seen.longest_unowned.max(now - since);
            }
        }
    }

    /// No answer of an older epoch, and no answer to an earlier question, after a newer one.
    async fn look_at_answers(&mut self) {
        const SELECT: &str = "SELECT account, tenant_id, observed_epoch, observed_ticket FROM upstream_customer";
        for row in sqlx::query(SELECT).fetch_all(&mut self.shell).await.expect("the database answers") {
            let (customer, answer) = ((row.get(0), row.get(1)), (row.get(2), row.get(3)));
            let before = self.answers.insert(customer, answer).unwrap_or(answer);
            assert!(answer >= before, "{answer:?} after {before:?}");
        }
    }
}
