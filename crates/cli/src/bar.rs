//! Progress bars: moving lines on a terminal, plain lines now and then elsewhere.

use crate::report::{count, counted, seconds};
use candlemill_client::forms::ProgressView;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal as _, Write as _};

/// Steps of percent between two plain lines.
const PLAIN_STEP: f64 = 10.0;
/// Columns of the bar itself.
const BAR: usize = 16;
/// Columns of a line that are neither label nor bar nor words.
const FRAME: usize = 4;
/// Unit of fetches.
const PAGES: &str = "pages";
/// Fewer columns than this are taken for this many.
const MIN_COLUMNS: usize = 40;

/// The bars of several tasks, one below the other.
#[derive(Debug, Default)]
pub struct Bars {
    all: MultiProgress,
    label_columns: usize,
}

impl Bars {
    /// Room for bars with these labels.
    #[must_use]
    pub fn for_labels<'a>(labels: impl Iterator<Item = &'a str>) -> Self {
        let label_columns = labels.map(|label| label.chars().count()).max().unwrap_or(0);
        Self { all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()), label_columns }
    }

    /// One more bar, for the task that `label` names.
    #[must_use]
    pub fn add(&self, label: &str) -> Bar {
        let label = format!("{label:<width$}", width = self.label_columns);
        let moving = std::io::stderr().is_terminal().then(|| self.all.add(styled(ProgressBar::hidden(), &label)));
        Bar { label, moving, next_line_at: 0.0 }
    }
}

/// Shows the progress of one task on standard error.
#[derive(Debug)]
pub struct Bar {
    label: String,
    moving: Option<ProgressBar>,
    next_line_at: f64,
}

fn styled(bar: ProgressBar, label: &str) -> ProgressBar {
    // `wide_msg` is cut to what is left of the line, so that no terminal wraps it.
    let style = ProgressStyle::with_template(&format!("{{prefix}} [{{bar:{BAR}.green/dim}}] {{wide_msg}}"));
    bar.set_length(1_000);
    bar.with_style(style.map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("━╸─")))
        .with_prefix(label.to_owned())
}

impl Bar {
    /// A bar for the task that `label` names.
    #[must_use]
    pub fn new(label: &str) -> Self {
        let target = ProgressDrawTarget::stderr();
        let moving =
            std::io::stderr().is_terminal().then(|| styled(ProgressBar::with_draw_target(Some(1_000), target), label));
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
        if let Some(bar) = &self.moving {
            let columns = usize::from(console::Term::stderr().size().1).max(MIN_COLUMNS);
            bar.set_position(permille(progress.percent));
            bar.set_message(line(progress, columns.saturating_sub(self.label.chars().count() + BAR + FRAME)));
            if progress.state.is_end() {
                bar.abandon();
            }
        } else if progress.percent >= self.next_line_at || progress.state.is_end() {
            self.next_line_at = (progress.percent / PLAIN_STEP).floor() * PLAIN_STEP + PLAIN_STEP;
            // Where this fails, standard error is closed.
            drop(writeln!(std::io::stderr(), "{} {}", self.label, line(progress, usize::MAX)));
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=1000")]
fn permille(percent: f64) -> u64 {
    (percent * 10.0).round().clamp(0.0, 1_000.0) as u64
}

/// One snapshot in at most so many columns of words: whole ones, and what matters least is left out first.
#[must_use]
pub fn line(progress: &ProgressView, columns: usize) -> String {
    let ProgressView { state, percent, done, total, unit, rate, .. } = progress;
    let known = progress.detail("duplicates");
    // In the order of the line, each with how dear it is.
    let mut parts: Vec<(u8, String)> = vec![(0, format!("{percent:5.1} % {state}"))];
    if let Some(stage) = &progress.stage {
        parts.push((1, format!(" ({})", stage.replace('_', " "))));
    }
    if let Some(left) = progress.eta_seconds {
        parts.push((1, format!(", {} left", seconds(left))));
    }
    if progress.counts_units() {
        let unit = unit.strip_suffix('s').unwrap_or(unit);
        parts.push((3, format!(", {unit} {done}/{total}")));
    }
    let stored = progress.details.get("candles_stored");
    // None is news of a fetch alone.
    if let Some(stored) = stored.filter(|stored| **stored > 0 || unit == PAGES) {
        parts.push((2, format!(", {}", counted(*stored, "candle"))));
    }
    if known > 0 {
        parts.push((5, format!(" (+{} known)", count(known))));
    }
    if *rate > 0.0 {
        parts.push((4, format!(", {rate:.0}/s")));
    }
    if progress.attempt > 1 {
        parts.push((2, format!(", attempt {}", progress.attempt)));
    }
    loop {
        let text: String = parts.iter().map(|(_, text)| text.as_str()).collect();
        let least = parts.iter().map(|(dear, _)| *dear).max().unwrap_or(0);
        if text.chars().count() <= columns || least == 0 {
            return text;
        }
        parts.retain(|(dear, _)| *dear < least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn snapshot(more: &Value) -> ProgressView {
        let mut whole = json!({"task_id": "01JC5Y7V9N8B3M2K1H0G9F8E7D", "state": "running", "percent": 0.0, "done": 0, "total": 0,
            "unit": "pages", "candles_stored": 0, "duplicates": 0, "rate": 0.0, "eta_seconds": null, "attempt": 1, "started_at": null,
            "updated_at": 5});
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    fn check(more: &Value, columns: usize, expected: &str) {
        assert_eq!(line(&snapshot(more), columns), expected, "{columns} columns");
    }

    #[test]
    fn lines() {
        check(&json!({"state": "queued"}), 100, "  0.0 % queued, 0 candles");
        check(&json!({"candles_stored": 1}), 100, "  0.0 % running, 1 candle");
        let busy = json!({"percent": 40.1, "done": 2, "total": 5, "candles_stored": 2000, "rate": 812.4, "eta_seconds": 3.6,
            "attempt": 2, "duplicates": 10});
        check(&busy, 90, " 40.1 % running, 3.6 s left, page 2/5, 2,000 candles (+10 known), 812/s, attempt 2");
        check(&busy, 80, " 40.1 % running, 3.6 s left, page 2/5, 2,000 candles, 812/s, attempt 2");
        check(&busy, 65, " 40.1 % running, 3.6 s left, page 2/5, 2,000 candles, attempt 2");
        check(&busy, 60, " 40.1 % running, 3.6 s left, 2,000 candles, attempt 2");
        check(&busy, 30, " 40.1 % running, 3.6 s left");
        check(&busy, 3, " 40.1 % running");
    }

    #[test]
    fn lines_of_a_study() {
        let study = |more: Value| {
            let mut whole = json!({"unit": "per mille", "total": 1_000});
            whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            whole
        };
        check(&study(json!({"state": "queued"})), 100, "  0.0 % queued");
        let computing = study(json!({"percent": 22.0, "done": 220, "stage": "sma_crossover", "eta_seconds": 7.0}));
        check(&computing, 100, " 22.0 % running (sma crossover), 7.0 s left");
        check(&computing, 20, " 22.0 % running");
        let fetching =
            study(json!({"percent": 12.0, "done": 120, "stage": "fetch", "candles_stored": 2000, "rate": 310.0}));
        check(&fetching, 100, " 12.0 % running (fetch), 2,000 candles, 310/s");
    }

    #[test]
    fn positions_stay_on_the_bar() {
        assert_eq!([-1.0, 0.0, 33.3, 100.0, 250.0].map(permille), [0, 0, 333, 1_000, 1_000]);
    }
}
