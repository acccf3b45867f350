//! How far a sync run is, on standard error: a bar on a terminal, a line for each step elsewhere.

use std::io::IsTerminal;

use customer_guard::grpc::proto;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Output;
use super::words;

const BAR: &str = "{msg} {bar:30} {pos}/{len} customers, {elapsed}";

/// What has been shown so far.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    told: String,
    output: Output,
}

impl Progress {
    pub(super) fn new(output: Output) -> Self {
        let bar = (std::io::stderr().is_terminal() && !output.is_json()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            // A template that cannot be read leaves the usual bar, which is no worse than none.
            bar.with_style(ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, told: String::new(), output }
    }

    /// Shows how far the run is.
    pub(super) fn show(&mut self, run: &proto::SyncRun) {
        let state = words::run_state(run.state());
        match &self.bar {
            Some(bar) => {
                bar.set_length(run.wanted.max(run.listed).unsigned_abs());
                bar.set_position(run.fetched.unsigned_abs());
                bar.set_message(state);
            }
            None => {
                let line = format!("{state}: {} of {} customers", run.fetched, run.wanted);
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
