//! What the user sees while the set-up runs.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

/// Steps shorter than this were only looked up, and are not worth a line.
const WORTH_A_LINE: Duration = Duration::from_millis(1500);

/// Shows what is being done, on standard error: a spinner on a terminal, a line when done in a log.
#[derive(Debug)]
pub struct Progress {
    steps: usize,
    done: usize,
}

impl Progress {
    /// A display of so many steps.
    pub fn new(steps: usize) -> Self {
        Self { steps, done: 0 }
    }

    /// Does one step.
    pub fn step<T>(&mut self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.done += 1;
        let label = format!("[{}/{}] {what}", self.done, self.steps);
        let spinner = spinner(&label);
        let start = Instant::now();
        let result = work();
        spinner.finish_and_clear();
        if result.is_ok() && start.elapsed() > WORTH_A_LINE {
            eprintln!("{label}: done in {:.0} s", start.elapsed().as_secs_f32());
        }
        result
    }
}

fn spinner(label: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner:.green} {msg} ({elapsed})").expect("the template is valid");
    let spinner = ProgressBar::new_spinner().with_style(style);
    spinner.set_message(label.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}
