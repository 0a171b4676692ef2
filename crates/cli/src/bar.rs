//! The progress bar of one task: a moving line on a terminal, plain lines elsewhere.

use crate::report::{count, counted, seconds};
use crate::wire::ProgressView;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal as _, Write as _};

/// Steps of percent between two plain lines.
const PLAIN_STEP: f64 = 10.0;

/// Shows the progress of one task on standard error.
#[derive(Debug)]
pub struct Bar {
    label: String,
    moving: Option<ProgressBar>,
    next_line_at: f64,
}

impl Bar {
    /// A bar for the task that `label` names.
    #[must_use]
    pub fn new(label: &str) -> Self {
        let moving = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(1_000), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{prefix} [{bar:16.green/dim}] {wide_msg}");
            bar.with_style(style.map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("━╸─")))
                .with_prefix(label.to_owned())
        });
        Self { label: label.to_owned(), moving, next_line_at: 0.0 }
    }

    /// Leaves the bar as it stands, with the cursor on a line of its own.
    pub fn leave(&self) {
        if let Some(bar) = &self.moving {
            bar.abandon();
        }
    }

    /// Shows a snapshot.
    pub fn show(&mut self, progress: &ProgressView) {
        let text = line(progress);
        if let Some(bar) = &self.moving {
            bar.set_position(permille(progress.percent));
            bar.set_message(text);
            if progress.state.is_end() {
                bar.abandon();
            }
        } else if progress.percent >= self.next_line_at || progress.state.is_end() {
            self.next_line_at = (progress.percent / PLAIN_STEP).floor() * PLAIN_STEP + PLAIN_STEP;
            // Where this fails, standard error is closed.
            drop(writeln!(std::io::stderr(), "{} {text}", self.label));
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=1000")]
fn permille(percent: f64) -> u64 {
    (percent * 10.0).round().clamp(0.0, 1_000.0) as u64
}

/// One snapshot in words.
#[must_use]
pub fn line(progress: &ProgressView) -> String {
    let ProgressView { state, percent, pages_done, pages_total, candles_stored, duplicates, rate, .. } = progress;
    let mut text = format!("{percent:5.1} % {state}");
    // What matters most comes first: a narrow terminal shows no more.
    if let Some(left) = progress.eta_seconds {
        text += &format!(", {} left", seconds(left));
    }
    if *pages_total > 0 {
        text += &format!(", page {pages_done}/{pages_total}");
    }
    text += &format!(", {}", counted(*candles_stored, "candle"));
    if *duplicates > 0 {
        text += &format!(" (+{} known)", count(*duplicates));
    }
    if *rate > 0.0 {
        text += &format!(", {rate:.0}/s");
    }
    if progress.attempt > 1 {
        text += &format!(", attempt {}", progress.attempt);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(json: &serde_json::Value, expected: &str) {
        let mut whole = json!({"task_id": "x", "state": "running", "percent": 0.0, "pages_done": 0, "pages_total": 0,
            "candles_stored": 0, "duplicates": 0, "rate": 0.0, "eta_seconds": null, "attempt": 1, "started_at": null,
            "updated_at": 5});
        whole.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
        assert_eq!(line(&serde_json::from_value(whole).unwrap()), expected);
    }

    #[test]
    fn lines() {
        check(&json!({"state": "queued"}), "  0.0 % queued, 0 candles");
        check(
            &json!({"percent": 40.1, "pages_done": 2, "pages_total": 5, "candles_stored": 2000, "rate": 812.4,
                "eta_seconds": 3.6, "attempt": 2, "duplicates": 10}),
            " 40.1 % running, 3.6 s left, page 2/5, 2,000 candles (+10 known), 812/s, attempt 2",
        );
    }

    #[test]
    fn positions_stay_on_the_bar() {
        assert_eq!([-1.0, 0.0, 33.3, 100.0, 250.0].map(permille), [0, 0, 333, 1_000, 1_000]);
    }
}
