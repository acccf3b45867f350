//! How far a sync run is, on standard error: a bar on a terminal, a line for each step elsewhere.

use std::io::IsTerminal;

use customer_guard::clock::{Clock, Timestamp};
use customer_guard::grpc::proto;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Output;
use super::times::age;
use super::words;

const BAR: &str = "{bar:24} {percent:>3} %  {wide_msg}";

/// A run's state, and how far it is while it is under way.
pub(super) fn state_of(run: &proto::SyncRun) -> String {
    let state = words::run_state(run.state());
    match run.end_time {
        None => format!("{state} {} %", run.progress_percent),
        Some(_) => state,
    }
}

/// How many customers it has dealt with, and when it will be done.
pub(super) fn counts_of(run: &proto::SyncRun, now: Timestamp) -> String {
    let counts = match (run.state(), run.customers_expected) {
        (proto::SyncRunState::Listing, Some(expected)) => {
            format!("{} of {expected} listed, {} fetched", run.listed, run.fetched)
        }
        (proto::SyncRunState::Listing, None) => format!("{} listed, {} fetched", run.listed, run.fetched),
        (
            proto::SyncRunState::Unspecified
            | proto::SyncRunState::Fetching
            | proto::SyncRunState::Succeeded
            | proto::SyncRunState::Failed,
            _,
        ) => format!("{} of {} fetched", run.fetched, run.wanted),
    };
    match run.estimated_end_time.as_ref() {
        None => counts,
        end => format!("{counts}, done {}", age(end, now)),
    }
}

/// What has been shown so far.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    told: String,
    output: Output,
    clock: Clock,
}

impl Progress {
    pub(super) fn new(output: Output) -> Self {
        let bar = (std::io::stderr().is_terminal() && !output.is_json()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr());
            // A template that cannot be read leaves the usual bar, which is no worse than none.
            bar.with_style(ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, told: String::new(), output, clock: Clock::system() }
    }

    /// Shows how far the run is.
    pub(super) fn show(&mut self, run: &proto::SyncRun) {
        let now = self.clock.now();
        match &self.bar {
            Some(bar) => {
                bar.set_position(u64::from(run.progress_percent.unsigned_abs()));
                bar.set_message(format!("{}: {}", words::run_state(run.state()), counts_of(run, now)));
            }
            None => {
                let line = format!("{}: {}", state_of(run), counts_of(run, now));
                if line != self.told {
                    self.output.remark(&line);
                    self.told = line;
                }
            }
        }
    }

    /// Takes the bar away.
    pub(super) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(state: proto::SyncRunState) -> proto::SyncRun {
        proto::SyncRun {
            state: state.into(),
            listed: 10,
            fetched: 8,
            wanted: 10,
            progress_percent: 24,
            ..Default::default()
        }
    }

    #[test]
    fn a_run_under_way_tells_how_far_it_is_and_when_it_will_be_done() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let end = Some(prost_types::Timestamp { seconds: 1_700_000_240, nanos: 0 });
        let listing = proto::SyncRun { customers_expected: Some(40), ..run(proto::SyncRunState::Listing) };
        assert_eq!(state_of(&listing), "listing 24 %");
        assert_eq!(counts_of(&listing, now), "10 of 40 listed, 8 fetched");
        let soon = proto::SyncRun { estimated_end_time: end, ..listing };
        assert_eq!(counts_of(&soon, now), "10 of 40 listed, 8 fetched, done in 4 min");
        assert_eq!(counts_of(&run(proto::SyncRunState::Listing), now), "10 listed, 8 fetched");
        assert_eq!(counts_of(&run(proto::SyncRunState::Fetching), now), "8 of 10 fetched");
        let done = proto::SyncRun { end_time: end, ..run(proto::SyncRunState::Succeeded) };
        assert_eq!(state_of(&done), "succeeded");
    }
}
