//! What children come to together: their states, their counts, their progress.

use candlemill_shared::TimeRange;
use candlemill_shared::children::{Child, ChildCounts, Shown};
use candlemill_shared::progress::Progress;
use candlemill_shared::task::{FetchResult, TaskId, TaskRecord, TaskState};
use mongodb::bson::{Document, doc};
use serde::Deserialize;
use std::collections::HashMap;

/// What is read of a child's record.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) state: TaskState,
    #[serde(default)]
    pub(super) cancel_requested: bool,
    #[serde(default)]
    pub(super) result: Option<Counts>,
    #[serde(default)]
    children: Option<OfChildren>,
}

/// What is read of a child that has children of its own.
#[derive(Debug, Default, Deserialize)]
struct OfChildren {
    #[serde(default)]
    shown: Option<Shown>,
}

impl Found {
    /// What it set out to fetch; once it has ended, what it has fetched.
    pub(super) fn ranges(&self) -> impl Iterator<Item = TimeRange> {
        self.result.iter().flat_map(|result| result.ranges.iter().copied())
    }

    /// How far it is by its record, in percent. Pages tell nothing of one that left them to children and has ended.
    fn percent(&self) -> f64 {
        let counts = self.result.clone().unwrap_or_default();
        let by_pages = Progress::percent_of(counts.pages, counts.pages_total);
        match &self.children {
            _ if self.state == TaskState::Succeeded => 100.0,
            None => by_pages,
            Some(children) => {
                let shown = children.shown.unwrap_or_default().percent;
                if self.state.is_end() { shown } else { shown.max(by_pages) }
            }
        }
    }
}

/// What is read of a child's result.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    inserted: u64,
    duplicate: u64,
    restated: u64,
    rejected: u64,
    pages: u64,
    pages_total: u64,
    calls: u64,
    weight: u64,
    retries: u64,
    gaps_total: u64,
    ranges: Vec<TimeRange>,
}

pub(super) fn shown_by(sum: &Progress) -> Shown {
    let Progress { percent, pages_done, pages_total, candles_stored, duplicates, .. } = *sum;
    Shown { percent, pages_done, pages_total, candles_stored, duplicates }
}

/// What a parent's record says at least of what was shown.
pub(super) fn at_least(shown: &Shown) -> Document {
    let figure = |figure: u64| i64::try_from(figure).unwrap_or(i64::MAX);
    doc! {
        "children.shown.percent": shown.percent,
        "children.shown.pages_done": figure(shown.pages_done),
        "children.shown.pages_total": figure(shown.pages_total),
        "children.shown.candles_stored": figure(shown.candles_stored),
        "children.shown.duplicates": figure(shown.duplicates),
    }
}

/// The snapshot of a parent: the sum of what its children show, or their records say.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of candles and seconds lie far below 2^52"
)]
pub(super) fn sum(
    record: &TaskRecord,
    planned: &[Child],
    found: &HashMap<TaskId, Found>,
    live: &HashMap<TaskId, Progress>,
    now_ms: i64,
) -> Progress {
    let result = record.result.clone().unwrap_or_default();
    let (mut done, mut all) = (0.0, 0.0);
    let mut sum = Progress::from_record(record);
    (sum.candles_stored, sum.duplicates) = (result.inserted, result.duplicate);
    (sum.pages_done, sum.pages_total) = (result.pages, result.pages);
    for child in planned {
        let told = found.get(&child.id);
        let counts = told.and_then(|child| child.result.clone()).unwrap_or_default();
        let kept = told.and_then(|child| child.children.as_ref()?.shown).unwrap_or_default();
        let live = live.get(&child.id);
        // One that ended without success counts as far as it came.
        let percent = live.map_or(0.0, |live| live.percent).max(told.map_or(0.0, Found::percent));
        done += percent / 100.0 * child.candles as f64;
        all += child.candles as f64;
        let live_of = |figure: fn(&Progress) -> u64| live.map_or(0, figure);
        let pages_done = counts.pages.max(live_of(|live| live.pages_done)).max(kept.pages_done);
        sum.pages_done += pages_done;
        sum.pages_total +=
            counts.pages_total.max(live_of(|live| live.pages_total)).max(kept.pages_total).max(pages_done);
        sum.candles_stored += counts.inserted.max(live_of(|live| live.candles_stored)).max(kept.candles_stored);
        sum.duplicates += counts.duplicate.max(live_of(|live| live.duplicates)).max(kept.duplicates);
    }
    // What was shown before stays, also where a child was replayed.
    let shown = record.children.as_ref().and_then(|children| children.shown).unwrap_or_default();
    sum.pages_done = sum.pages_done.max(shown.pages_done);
    sum.pages_total = sum.pages_total.max(shown.pages_total);
    sum.candles_stored = sum.candles_stored.max(shown.candles_stored);
    sum.duplicates = sum.duplicates.max(shown.duplicates);
    let share = (done / all * 1_000.0).floor().max((shown.percent * 10.0).round()).clamp(0.0, 999.0);
    let seconds = (now_ms - record.started_at.unwrap_or(now_ms)).max(0) as f64 / 1_000.0;
    let tenths = |figure: f64| (figure * 10.0).round() / 10.0;
    sum.percent = share / 10.0;
    sum.rate = if seconds > 0.0 { tenths((sum.candles_stored + sum.duplicates) as f64 / seconds) } else { 0.0 };
    sum.eta_seconds = (share > 0.0).then(|| tenths(seconds * (1_000.0 - share) / share));
    sum.updated_at = now_ms;
    // The share leads the sequence: whoever tends with an older view of the children shows nothing.
    sum.sequence = Progress::sequence_of(record.attempt, Progress::step_of_share(sum.percent, (seconds as u32).max(1)));
    sum
}

pub(super) fn count(planned: &[Child], found: &HashMap<TaskId, Found>) -> ChildCounts {
    let mut counts = ChildCounts::default();
    for child in planned {
        counts.add(found.get(&child.id).map_or(TaskState::Queued, |child| child.state));
    }
    counts
}

pub(super) fn add(result: &mut FetchResult, child: Option<&Counts>) {
    let Some(child) = child else { return };
    result.inserted += child.inserted;
    result.duplicate += child.duplicate;
    result.restated += child.restated;
    result.rejected += child.rejected;
    result.pages += child.pages;
    result.calls += child.calls;
    result.weight += child.weight;
    result.retries += child.retries;
    result.gaps_total += child.gaps_total;
}
