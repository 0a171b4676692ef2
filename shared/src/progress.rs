//! Live progress of a task, as Redis holds it and clients poll it.

use crate::figures::Figures;
use crate::percent::percent_of;
use crate::task::{TaskError, TaskId, TaskRecord, TaskState};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A snapshot of how far a task is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredProgress", into = "StoredProgress")]
pub struct Progress {
    /// Which task.
    pub task_id: TaskId,
    /// Whose; never shown.
    pub owner: String,
    /// Where it stands.
    pub state: TaskState,
    /// Share done, 0 to 100, one decimal.
    pub percent: f64,
    /// Units done, units in all, and counts of the kind.
    pub figures: Figures,
    /// What the units are; empty for a kind that the writer did not know.
    pub unit: String,
    /// What is being done, where the kind has stages.
    pub stage: Option<String>,
    /// What the kind counts, per second since this attempt's start; at the end since the first one's.
    pub rate: f64,
    /// Seconds left at that rate; absent while unknown and at the end.
    pub eta_seconds: Option<f64>,
    /// Number of the attempt.
    pub attempt: u32,
    /// UTC ms of the first attempt.
    pub started_at: Option<i64>,
    /// UTC ms of this snapshot.
    pub updated_at: i64,
    /// Grows with every snapshot of a task: the id of its server-sent event.
    pub sequence: u64,
    /// Why the last attempt failed, where it did.
    pub error: Option<TaskError>,
}

/// A snapshot as it is stored: under today's names and, for programs of version 0.1 beside this one, under theirs, which only
/// fetches had.
#[derive(Serialize, Deserialize)]
struct StoredProgress {
    task_id: TaskId,
    owner: String,
    state: TaskState,
    percent: f64,
    #[serde(default)]
    done: u64,
    #[serde(default)]
    total: u64,
    /// Absent in snapshots of version 0.1.
    #[serde(default)]
    unit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
    #[serde(default)]
    details: BTreeMap<String, u64>,
    #[serde(default)]
    pages_done: u64,
    #[serde(default)]
    pages_total: u64,
    #[serde(default)]
    candles_stored: u64,
    #[serde(default)]
    duplicates: u64,
    rate: f64,
    eta_seconds: Option<f64>,
    attempt: u32,
    started_at: Option<i64>,
    updated_at: i64,
    sequence: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<TaskError>,
}

impl From<StoredProgress> for Progress {
    fn from(stored: StoredProgress) -> Self {
        let (unit, figures) = match stored.unit {
            Some(unit) => (unit, Figures { done: stored.done, total: stored.total, details: stored.details }),
            None => {
                let StoredProgress { pages_done, pages_total, candles_stored, duplicates, .. } = stored;
                ("pages".to_owned(), Figures::of_version_0_1(pages_done, pages_total, candles_stored, duplicates))
            }
        };
        Self {
            task_id: stored.task_id,
            owner: stored.owner,
            state: stored.state,
            percent: stored.percent,
            figures,
            unit,
            stage: stored.stage,
            rate: stored.rate,
            eta_seconds: stored.eta_seconds,
            attempt: stored.attempt,
            started_at: stored.started_at,
            updated_at: stored.updated_at,
            sequence: stored.sequence,
            error: stored.error,
        }
    }
}

impl From<Progress> for StoredProgress {
    fn from(progress: Progress) -> Self {
        let Figures { done, total, details } = progress.figures;
        let of = |name: &str| details.get(name).copied().unwrap_or(0);
        Self {
            task_id: progress.task_id,
            owner: progress.owner,
            state: progress.state,
            percent: progress.percent,
            done,
            total,
            unit: Some(progress.unit),
            stage: progress.stage,
            pages_done: done,
            pages_total: total,
            candles_stored: of("candles_stored"),
            duplicates: of("duplicates"),
            details,
            rate: progress.rate,
            eta_seconds: progress.eta_seconds,
            attempt: progress.attempt,
            started_at: progress.started_at,
            updated_at: progress.updated_at,
            sequence: progress.sequence,
            error: progress.error,
        }
    }
}

/// Of the step of a task that consists of others: a million looks at them below the share done.
const LOOKS_BITS: u32 = 20;

impl Progress {
    /// What the durable record alone says, for when there is no live snapshot.
    #[must_use]
    pub fn from_record(record: &TaskRecord) -> Self {
        let kind = record.kind();
        let mut figures =
            kind.zip(record.result.as_ref()).map(|(kind, result)| kind.figures(result)).unwrap_or_default();
        let done = record.state == TaskState::Succeeded;
        let percent = if done { 100.0 } else { percent_of(figures.done, figures.total).min(99.9) };
        if done {
            figures.total = figures.done;
        }
        let rated = figures.sum_of(kind.map_or(&[], |kind| kind.rated));
        let of_record = Self {
            task_id: record.id,
            owner: record.owner.clone(),
            state: record.state,
            percent,
            figures,
            unit: kind.map_or("", |kind| kind.unit).to_owned(),
            stage: None,
            rate: if record.state.is_end() { average_rate(record, rated) } else { 0.0 },
            eta_seconds: None,
            attempt: record.attempt,
            started_at: record.started_at,
            updated_at: record.updated_at,
            // A replayed task waits again: newer than the end of its last attempt.
            sequence: Self::sequence_of(
                record.attempt + u32::from(record.waits_anew()),
                if record.state.is_end() { Self::LAST_STEP } else { 0 },
            ),
            error: record.error.clone(),
        };
        let Some(children) = &record.children else { return of_record };
        match &children.shown {
            // The children's figures are not yet part of the record's own.
            Some(shown) if record.awaits_children() => {
                // A late snapshot of less must not stand above it.
                let sequence = Self::sequence_of(record.attempt, Self::step_of_share(shown.percent, 0));
                let stage = kind.and_then(|kind| kind.parts_share).map(|(_, stage)| stage.to_owned());
                Self { percent: shown.percent, figures: shown.figures.clone(), stage, sequence, ..of_record }
            }
            kept => {
                let kept = kept.clone().unwrap_or_default();
                of_record.with_what_was_shown(kept.percent, &kept.figures)
            }
        }
    }

    /// How far a parent was is no less true because its children have ended. Units tell nothing of its share once it has ended:
    /// children that did not begin never counted theirs.
    fn with_what_was_shown(self, percent: f64, kept: &Figures) -> Self {
        let done = self.state == TaskState::Succeeded;
        let mut figures = self.figures.clone().max(kept);
        if done {
            figures.total = figures.done;
        }
        Self {
            percent: match (done, self.state.is_end()) {
                (true, _) => 100.0,
                (_, true) => percent,
                _ => percent.max(self.percent),
            },
            figures,
            ..self
        }
    }

    /// What `live`, which may be old, and the record say together: neither an end nor progress is taken back.
    #[must_use]
    pub fn newest_of(live: Self, record: &TaskRecord) -> Self {
        let told = Self::from_record(record);
        if told.state.is_end() || told.attempt > live.attempt || record.waits_anew() {
            let is_done = record.state == TaskState::Succeeded;
            let mut figures = told.figures.clone();
            figures.done = figures.done.max(live.figures.done);
            figures.total = if is_done { figures.total } else { figures.total.max(live.figures.total) };
            return Self {
                percent: if is_done { 100.0 } else { told.percent.max(live.percent) },
                figures,
                sequence: told.sequence.max(live.sequence),
                ..told
            };
        }
        Self {
            percent: told.percent.max(live.percent),
            figures: live.figures.clone().max(&told.figures),
            sequence: told.sequence.max(live.sequence),
            ..live
        }
    }

    /// Takes over from a snapshot of the same task how far it was: that is no less true because an attempt ended.
    pub fn keep_share_of(&mut self, shown: &Self) {
        self.percent = self.percent.max(shown.percent);
        self.figures.done = self.figures.done.max(shown.figures.done);
        self.figures.total = self.figures.total.max(shown.figures.total);
    }

    /// The sequence of snapshot number `step` of `attempt`: higher attempts are always newer. An end state uses
    /// [`Self::LAST_STEP`].
    #[must_use]
    pub const fn sequence_of(attempt: u32, step: u32) -> u64 {
        ((attempt as u64) << 32) | step as u64
    }

    /// Step of a task that consists of others at look number `look` at them: its percentage leads, so that an older view of them
    /// is never newer.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a percentage of one decimal")]
    pub fn step_of_share(percent: f64, look: u32) -> u32 {
        let share = (percent * 10.0).round().clamp(0.0, 999.0) as u32;
        (share << LOOKS_BITS) | look.min((1 << LOOKS_BITS) - 1)
    }

    /// Step of the last snapshot of an attempt.
    pub const LAST_STEP: u32 = u32::MAX;
}

/// What is counted, per second from the first attempt's start to the end, one decimal.
#[expect(clippy::cast_precision_loss, reason = "counts and milliseconds lie far below 2^52")]
fn average_rate(record: &TaskRecord, rated: u64) -> f64 {
    let ended_at = record.ended_at.unwrap_or(record.updated_at);
    let took_ms = ended_at - record.started_at.unwrap_or(ended_at);
    if took_ms > 0 { (rated as f64 * 10_000.0 / took_ms as f64).round() / 10.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::children::{Children, Shown};
    use crate::job::FetchResult;
    use serde_json::json;

    #[test]
    fn an_old_snapshot_takes_nothing_back() {
        let mut record = crate::task::tests::record();
        (record.state, record.attempt) = (TaskState::Running, 1);
        let result = FetchResult { pages: 4, pages_total: 10, inserted: 4_000, ..FetchResult::default() };
        record.result = Some(json!(result));
        let of = |percent: f64, pages_done: u64| {
            let told = Progress::from_record(&record);
            Progress { percent, figures: Figures { done: pages_done, ..told.figures.clone() }, ..told }
        };
        let check = |name: &str, live: Progress, record: &TaskRecord, expected: (TaskState, f64, u64)| {
            let got = Progress::newest_of(live, record);
            assert_eq!((got.state, got.percent, got.figures.done), expected, "{name}");
        };
        check("Redis went back", of(10.0, 1), &record, (TaskState::Running, 40.0, 4));
        check("Redis is ahead", of(70.0, 7), &record, (TaskState::Running, 70.0, 7));
        let stopped = TaskRecord { state: TaskState::Cancelled, ..record.clone() };
        check("it has ended meanwhile", of(70.0, 7), &stopped, (TaskState::Cancelled, 70.0, 7));
        let done = TaskRecord { state: TaskState::Succeeded, ..record.clone() };
        let end = Progress::newest_of(of(70.0, 7), &done);
        assert_eq!((end.percent, end.sequence), (100.0, Progress::sequence_of(1, Progress::LAST_STEP)));
        let later = TaskRecord { attempt: 2, ..record.clone() };
        check("a later attempt", of(70.0, 7), &later, (TaskState::Running, 70.0, 7));
    }

    #[test]
    fn what_a_record_knows_of_children_stands_above_late_snapshots_of_less() {
        let mut record = crate::task::tests::record();
        (record.state, record.attempt) = (TaskState::Running, 1);
        let shown = Shown { percent: 76.1, ..Shown::default() };
        record.children = Some(Children { total: 2, shown: Some(shown), ..Children::default() });
        let of_share = |percent: f64| Progress::sequence_of(1, Progress::step_of_share(percent, 60));
        let late = Progress { percent: 0.0, sequence: of_share(0.0), ..Progress::from_record(&record) };
        let told = Progress::newest_of(late, &record);
        assert!((told.percent - 76.1).abs() < 1e-9);
        assert!(of_share(76.0) < told.sequence && told.sequence < of_share(76.1));
    }

    #[test]
    fn a_later_attempt_is_always_newer() {
        assert!(Progress::sequence_of(2, 0) > Progress::sequence_of(1, Progress::LAST_STEP));
    }

    #[test]
    fn a_parent_that_ended_tells_what_it_has_shown() {
        let mut record = crate::task::tests::record();
        (record.state, record.attempt, record.started_at) = (TaskState::Running, 1, Some(1_000));
        let shown = Shown { percent: 13.2, figures: Figures::of_version_0_1(3, 8, 2_000, 5) };
        record.children = Some(Children { total: 9, shown: Some(shown), ..Children::default() });
        let counted = FetchResult { pages: 3, inserted: 2_100, duplicate: 5, ..FetchResult::default() };
        let check = |state: TaskState, result: &FetchResult, expected: (f64, u64, u64, u64)| {
            let mut ended = record.clone();
            ended.end_as(state, Some(json!(result)), 3_000);
            let told = Progress::from_record(&ended);
            assert_eq!(
                (told.percent, told.figures.done, told.figures.total, told.figures.details["candles_stored"]),
                expected,
                "{state:?}"
            );
            assert_eq!(ended.result.unwrap()["pages_total"], told.figures.total, "{state:?}");
            assert!((told.rate - 1_052.5).abs() < 1e-9, "{state:?}: {}", told.rate);
        };
        check(TaskState::Cancelled, &counted, (13.2, 3, 8, 2_100));
        check(TaskState::Succeeded, &counted, (100.0, 3, 3, 2_100));
        // Its own last attempt has planned the rest, and come further.
        let further = FetchResult { pages: 7, pages_total: 10, ..counted };
        check(TaskState::Dead, &further, (70.0, 7, 10, 2_100));
    }

    #[test]
    fn snapshots_of_version_0_1_are_read_and_those_of_today_are_read_by_it() {
        let earlier = json!({
            "task_id": "01JC5Y7V9N8B3M2K1H0G9F8E7D", "owner": "u", "state": "running", "percent": 12.5, "pages_done": 3,
            "pages_total": 8, "candles_stored": 2_000, "duplicates": 5, "rate": 9.5, "eta_seconds": null, "attempt": 1,
            "started_at": 1, "updated_at": 2, "sequence": 4,
        });
        let read: Progress = serde_json::from_value(earlier.clone()).unwrap();
        assert_eq!((read.figures.done, read.figures.total, read.unit.as_str()), (3, 8, "pages"));
        assert_eq!(read.figures.sum_of(&["candles_stored", "duplicates"]), 2_005);
        let stored = serde_json::to_value(&read).unwrap();
        for (name, value) in earlier.as_object().unwrap() {
            assert_eq!(&stored[name], value, "{name}");
        }
        assert_eq!(serde_json::from_value::<Progress>(stored).unwrap(), read);
    }
}
