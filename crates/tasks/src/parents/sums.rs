//! What children come to together: their states, their figures, their progress.

use candlemill_shared::children::{ChildCounts, Shown};
use candlemill_shared::figures::Figures;
use candlemill_shared::job::{JobKind, PartResult};
use candlemill_shared::percent::percent_of;
use candlemill_shared::progress::Progress;
use candlemill_shared::task::{TaskId, TaskRecord, TaskState};
use mongodb::bson::{DateTime, Document, doc};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

/// What is read of a child's record.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) state: TaskState,
    #[serde(default)]
    pub(super) cancel_requested: bool,
    #[serde(default)]
    pub(super) expires_at: Option<DateTime>,
    /// Absent in records of version 0.1.
    #[serde(default)]
    pub(super) share: Option<u64>,
    job: Kind,
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    children: Option<OfChildren>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    kind: String,
}

/// What is read of a child that has children of its own.
#[derive(Debug, Default, Deserialize)]
struct OfChildren {
    #[serde(default)]
    shown: Option<Shown>,
}

impl Found {
    /// What is read of it: of results only the members `of_result`.
    pub(super) fn members(of_result: &[&str]) -> Document {
        let mut members = doc! {
            "state": 1, "cancel_requested": 1, "expires_at": 1, "share": 1, "job.kind": 1, "children.shown": 1,
        };
        members.extend(of_result.iter().map(|member| (format!("result.{member}"), 1.into())));
        members
    }

    fn figures(&self) -> Figures {
        let kind = candlemill_shared::job::kind(&self.job.kind);
        kind.zip(self.result.as_ref()).map(|(kind, result)| kind.figures(result)).unwrap_or_default()
    }

    /// How far it is by its record, in percent. Units tell nothing of one that left them to children and has ended.
    fn percent(&self, figures: &Figures) -> f64 {
        let by_units = percent_of(figures.done, figures.total);
        match &self.children {
            _ if self.state == TaskState::Succeeded => 100.0,
            None => by_units,
            Some(children) => {
                let shown = children.shown.as_ref().map_or(0.0, |shown| shown.percent);
                if self.state.is_end() { shown } else { shown.max(by_units) }
            }
        }
    }

    /// How it ended, for the result of the whole.
    pub(super) fn into_part(self) -> PartResult {
        PartResult { state: self.state, result: self.result }
    }
}

pub(super) fn shown_by(sum: &Progress) -> Shown {
    Shown { percent: sum.percent, figures: sum.figures.clone() }
}

/// What a parent's record says at least of what was shown: under today's names and under those that workers of version 0.1 read.
pub(super) fn at_least(shown: &Shown) -> Document {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let Figures { done, total, details } = &shown.figures;
    let mut least = doc! {
        "children.shown.percent": shown.percent,
        "children.shown.done": count(*done),
        "children.shown.total": count(*total),
        "children.shown.pages_done": count(*done),
        "children.shown.pages_total": count(*total),
    };
    for name in ["candles_stored", "duplicates"] {
        least.insert(format!("children.shown.{name}"), count(details.get(name).copied().unwrap_or(0)));
    }
    least.extend(details.iter().map(|(name, n)| (format!("children.shown.details.{name}"), count(*n).into())));
    least
}

/// The children of a parent, in its order, with what was found of each.
pub(super) struct Children<'a> {
    pub(super) ids: &'a [TaskId],
    pub(super) found: &'a HashMap<TaskId, Found>,
    /// Shares of children whose records do not tell them, as they were planned.
    pub(super) planned: &'a HashMap<TaskId, u64>,
}

/// The snapshot of a parent: the sum of what its children show, or their records say.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of work and seconds lie far below 2^52"
)]
pub(super) fn sum(
    record: &TaskRecord,
    children: &Children<'_>,
    live: &HashMap<TaskId, Progress>,
    now_ms: i64,
) -> Progress {
    let kind: Option<&JobKind> = record.kind();
    let own = kind.zip(record.result.as_ref()).map(|(kind, result)| kind.figures(result)).unwrap_or_default();
    let (mut done, mut all) = (0.0, 0.0);
    let parts_share = kind.and_then(|kind| kind.parts_share).filter(|_| own.total > 0);
    let own_total = own.total;
    // Of its own, only what is done counts: what is left was left to the children.
    let mut figures = Figures { total: own.done, ..own };
    for id in children.ids {
        let (told, live) = (children.found.get(id), live.get(id));
        let mut of_child = told.map(Found::figures).unwrap_or_default();
        // One that ended without success counts as far as it came.
        let percent = told.map_or(0.0, |child| child.percent(&of_child)).max(live.map_or(0.0, |live| live.percent));
        let share =
            told.and_then(|child| child.share).or_else(|| children.planned.get(id).copied()).unwrap_or(1) as f64;
        done += percent / 100.0 * share;
        all += share;
        if let Some(live) = live {
            of_child = of_child.max(&live.figures);
        }
        if let Some(shown) = told.and_then(|child| child.children.as_ref()?.shown.as_ref()) {
            of_child = of_child.max(&shown.figures);
        }
        of_child.total = of_child.total.max(of_child.done);
        figures.add(&of_child);
    }
    if let Some((share, _)) = parts_share {
        // The children's units are not its own: only their share of it counts.
        (figures.done, figures.total) = ((done / all * share as f64) as u64, own_total);
        done *= share as f64 / own_total as f64;
    }
    // What was shown before stays, also where a child was replayed.
    let shown = record.children.as_ref().and_then(|children| children.shown.clone()).unwrap_or_default();
    figures = figures.max(&shown.figures);
    let share = (done / all * 1_000.0).floor().max((shown.percent * 10.0).round()).clamp(0.0, 999.0);
    let seconds = (now_ms - record.started_at.unwrap_or(now_ms)).max(0) as f64 / 1_000.0;
    let tenths = |figure: f64| (figure * 10.0).round() / 10.0;
    let rated = figures.sum_of(kind.map_or(&[], |kind| kind.rated));
    let percent = share / 10.0;
    Progress {
        percent,
        figures,
        stage: parts_share.map(|(_, stage)| stage.to_owned()),
        rate: if seconds > 0.0 { tenths(rated as f64 / seconds) } else { 0.0 },
        eta_seconds: (share > 0.0).then(|| tenths(seconds * (1_000.0 - share) / share)),
        updated_at: now_ms,
        ..Progress::from_record(record)
    }
}

/// A look's sum as the record has kept it. Several look at once: none of them shows less than another kept before it.
pub(super) fn as_kept(sum: Progress, kept: &TaskRecord) -> Progress {
    let Some((looks, Some(shown))) = kept.children.as_ref().map(|kept| (kept.looks, kept.shown.as_ref())) else {
        return sum;
    };
    let percent = sum.percent.max(shown.percent);
    // The share leads the sequence, the number of the look follows: an older look shows nothing.
    let sequence = Progress::sequence_of(kept.attempt, Progress::step_of_share(percent, looks));
    Progress { percent, figures: sum.figures.max(&shown.figures), sequence, ..sum }
}

pub(super) fn count(ids: &[TaskId], found: &HashMap<TaskId, Found>) -> ChildCounts {
    let mut counts = ChildCounts::default();
    for id in ids {
        counts.add(found.get(id).map_or(TaskState::Queued, |child| child.state));
    }
    counts
}
