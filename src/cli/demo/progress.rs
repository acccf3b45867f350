//! Shows the first sync on standard error: a bar in a terminal, a few plain lines elsewhere. It only reads the store.

use std::io::IsTerminal;
use std::time::Duration;

use customer_guard::app::App;
use customer_guard::domain::ids::PartnerAccountId;
use customer_guard::store::{Error, RunKind, RunState, Store};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::world::World;

/// How often the store is asked.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The bar fits 80 columns with the longest message.
const BAR: &str = "First sync {bar:30} {pos}/{len} customers, {msg}";

/// The first sync of every account the demo came with.
pub(super) struct FirstSync {
    store: Store,
    accounts: Vec<Expected>,
}

struct Expected {
    account: PartnerAccountId,
    /// What the simulator holds: the run itself knows only when it has read the list.
    customers: u64,
}

/// How watching ended.
pub(super) enum Outcome {
    /// Every account has been synchronized.
    Level,
    /// The demo was stopped before that.
    Stopped,
}

/// How far all accounts are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    fetched: u64,
    wanted: u64,
    accounts_left: usize,
    in_trouble: usize,
}

impl FirstSync {
    pub(super) fn new(app: &App, world: &World) -> Self {
        // Accounts that somebody created are synchronized when they can be; the demo does not wait for them.
        let expected = |account: PartnerAccountId| {
            let partner = world.partners().iter().find(|partner| partner.name == account.as_str())?;
            Some(Expected { customers: world.customer_count(partner), account })
        };
        let ids = app.accounts().all().into_iter().map(|served| served.account.id.clone());
        let accounts = ids.filter_map(expected).collect();
        Self { store: app.store().clone(), accounts }
    }

    /// Shows progress until every account has a full run that succeeded. Says nothing if all have one already.
    pub(super) async fn watch(&self, stop: &CancellationToken) -> Result<Outcome, Error> {
        let mut display = None;
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // A store that is closing is no failure.
                biased;
                () = stop.cancelled() => return Ok(Outcome::Stopped),
                _ = ticks.tick() => {}
            }
            let progress = match self.progress().await {
                Err(_) if stop.is_cancelled() => return Ok(Outcome::Stopped),
                progress => progress?,
            };
            if progress.accounts_left == 0 {
                if let Some(display) = display {
                    finish(display, progress);
                }
                return Ok(Outcome::Level);
            }
            display.get_or_insert_with(|| Display::start(progress)).show(progress);
        }
    }

    async fn progress(&self) -> Result<Progress, Error> {
        let mut all = Progress::default();
        for Expected { account, customers } in &self.accounts {
            if let Some(run) = self.store.last_full_run(account).await? {
                all.fetched += run.marked;
                all.wanted += run.marked;
                continue;
            }
            all.accounts_left += 1;
            all.in_trouble += usize::from(self.store.account_sync(account).await?.problem.is_some());
            let Some(run) = self.store.run_under_way(account, RunKind::Full).await? else {
                all.wanted += customers;
                continue;
            };
            let left = self.store.run_backlog(account, run.id).await?;
            let wanted = if run.state == RunState::Listing { run.marked.max(*customers) } else { run.marked };
            all.fetched += run.marked.saturating_sub(left);
            all.wanted += wanted;
        }
        Ok(all)
    }
}

enum Display {
    Bar(ProgressBar),
    /// The quarter that was told last.
    Lines(u64),
}

impl Display {
    fn start(progress: Progress) -> Self {
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(progress.wanted), ProgressDrawTarget::stderr());
            // A template that cannot be read leaves the usual bar, which is no worse than none.
            bar.set_style(ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar()));
            return Self::Bar(bar);
        }
        eprintln!("First sync: {} customers to fetch", progress.wanted);
        Self::Lines(0)
    }

    fn show(&mut self, progress: Progress) {
        match self {
            Self::Bar(bar) => {
                bar.set_length(progress.wanted);
                bar.set_position(progress.fetched);
                bar.set_message(match progress.in_trouble {
                    0 => format!("{} s", bar.elapsed().as_secs()),
                    _ => "held up; see the log".to_owned(),
                });
            }
            Self::Lines(told) => {
                let quarter = quarter(progress);
                if quarter > *told {
                    *told = quarter;
                    eprintln!("First sync: {} of {} customers", progress.fetched, progress.wanted);
                }
            }
        }
    }
}

fn finish(display: Display, progress: Progress) {
    if let Display::Bar(bar) = &display {
        bar.finish_and_clear();
    }
    eprintln!("First sync: done, {} customers", progress.fetched);
}

/// Which quarter has been completed; the last is told by the end.
const fn quarter(progress: Progress) -> u64 {
    match (progress.fetched * 4).checked_div(progress.wanted) {
        Some(quarter) if quarter < 4 => quarter,
        Some(_) | None => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_are_told_when_they_are_complete() {
        let quarter_at = |fetched| quarter(Progress { fetched, wanted: 100, ..Progress::default() });
        assert_eq!([0, 24, 25, 74, 75, 100].map(quarter_at), [0, 0, 1, 2, 3, 3]);
    }
}
