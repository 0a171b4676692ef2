//! Live progress of a task, as Redis holds it and clients poll it.

use crate::children::Shown;
use crate::task::{FetchResult, TaskError, TaskId, TaskRecord, TaskState};
use serde::{Deserialize, Serialize};

/// A snapshot of how far a task is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Which task.
    pub task_id: TaskId,
    /// Whose; never shown.
    pub owner: String,
    /// Where it stands.
    pub state: TaskState,
    /// Share done, 0 to 100, one decimal.
    pub percent: f64,
    /// Pages fetched, checked and stored.
    pub pages_done: u64,
    /// Pages of the whole task; 0 before it is planned.
    pub pages_total: u64,
    /// Candles newly stored.
    pub candles_stored: u64,
    /// Candles that were stored before.
    pub duplicates: u64,
    /// Candles per second since this attempt's start; at the end since the first one's.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<TaskError>,
}

/// Of the step of a task that consists of others: 12 days of seconds below the share done.
const SECONDS_BITS: u32 = 20;

impl Progress {
    /// What the durable record alone says, for when there is no live snapshot.
    #[must_use]
    pub fn from_record(record: &TaskRecord) -> Self {
        let result = record.result.clone().unwrap_or_default();
        let done = record.state == TaskState::Succeeded;
        let of_record = Self {
            task_id: record.id,
            owner: record.owner.clone(),
            state: record.state,
            percent: if done { 100.0 } else { Self::percent_of(result.pages, result.pages_total).min(99.9) },
            pages_done: result.pages,
            pages_total: if done { result.pages } else { result.pages_total },
            candles_stored: result.inserted,
            duplicates: result.duplicate,
            rate: if record.state.is_end() { average_rate(record, &result) } else { 0.0 },
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
        match children.shown {
            // The children's figures are not yet part of the record's own.
            Some(Shown { percent, pages_done, pages_total, candles_stored, duplicates })
                if record.awaits_children() =>
            {
                // A late snapshot of less must not stand above it.
                let sequence = Self::sequence_of(record.attempt, Self::step_of_share(percent, 0));
                Self { percent, pages_done, pages_total, candles_stored, duplicates, sequence, ..of_record }
            }
            kept => of_record.with_what_was_shown(kept.unwrap_or_default()),
        }
    }

    /// How far a parent was is no less true because its children have ended. Pages tell nothing of its share once it has ended:
    /// children that did not begin never counted theirs.
    fn with_what_was_shown(self, kept: Shown) -> Self {
        let done = self.state == TaskState::Succeeded;
        let pages_done = self.pages_done.max(kept.pages_done);
        Self {
            percent: match (done, self.state.is_end()) {
                (true, _) => 100.0,
                (_, true) => kept.percent,
                _ => kept.percent.max(self.percent),
            },
            pages_done,
            pages_total: if done { pages_done } else { self.pages_total.max(kept.pages_total) },
            candles_stored: self.candles_stored.max(kept.candles_stored),
            duplicates: self.duplicates.max(kept.duplicates),
            ..self
        }
    }

    /// What `live`, which may be old, and the record say together: neither an end nor progress is taken back.
    #[must_use]
    pub fn newest_of(live: Self, record: &TaskRecord) -> Self {
        let told = Self::from_record(record);
        if told.state.is_end() || told.attempt > live.attempt || record.waits_anew() {
            let percent = if record.state == TaskState::Succeeded { 100.0 } else { told.percent.max(live.percent) };
            let is_done = record.state == TaskState::Succeeded;
            return Self {
                percent,
                pages_done: told.pages_done.max(live.pages_done),
                pages_total: if is_done { told.pages_total } else { told.pages_total.max(live.pages_total) },
                sequence: told.sequence.max(live.sequence),
                ..told
            };
        }
        Self {
            percent: told.percent.max(live.percent),
            pages_done: told.pages_done.max(live.pages_done),
            pages_total: told.pages_total.max(live.pages_total),
            candles_stored: told.candles_stored.max(live.candles_stored),
            duplicates: told.duplicates.max(live.duplicates),
            sequence: told.sequence.max(live.sequence),
            ..live
        }
    }

    /// The sequence of snapshot number `step` of `attempt`: higher attempts are always newer. An end state uses
    /// [`Self::LAST_STEP`].
    #[must_use]
    pub const fn sequence_of(attempt: u32, step: u32) -> u64 {
        ((attempt as u64) << 32) | step as u64
    }

    /// Step of a task that consists of others, `seconds` after its start: its percentage leads, so that an older view of them is
    /// never newer.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a percentage of one decimal")]
    pub fn step_of_share(percent: f64, seconds: u32) -> u32 {
        let share = (percent * 10.0).round().clamp(0.0, 999.0) as u32;
        (share << SECONDS_BITS) | seconds.min((1 << SECONDS_BITS) - 1)
    }

    /// Step of the last snapshot of an attempt.
    pub const LAST_STEP: u32 = u32::MAX;

    /// `done` of `total` in percent with one decimal. 100.0 only when all is done: 99.96 % shows as 99.9.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of pages and candles lie far below 2^52")]
    pub fn percent_of(done: u64, total: u64) -> f64 {
        if total == 0 || done >= total {
            return if done >= total && total > 0 { 100.0 } else { 0.0 };
        }
        ((done as f64 / total as f64) * 1_000.0).floor() / 10.0
    }
}

/// Candles per second from the first attempt's start to the end, one decimal.
#[expect(clippy::cast_precision_loss, reason = "counts of candles and milliseconds lie far below 2^52")]
fn average_rate(record: &TaskRecord, result: &FetchResult) -> f64 {
    let ended_at = record.ended_at.unwrap_or(record.updated_at);
    let took_ms = ended_at - record.started_at.unwrap_or(ended_at);
    let candles = result.inserted + result.duplicate;
    if took_ms > 0 { (candles as f64 * 10_000.0 / took_ms as f64).round() / 10.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::children::Children;

    #[test]
    fn percent_is_honest_at_both_ends() {
        let cases =
            [(0, 0, 0.0), (0, 7, 0.0), (1, 3, 33.3), (9_996, 10_000, 99.9), (9_999, 10_000, 99.9), (7, 7, 100.0)];
        for (done, total, expected) in cases {
            assert!((Progress::percent_of(done, total) - expected).abs() < 1e-9, "{done}/{total}");
        }
    }

    #[test]
    fn an_old_snapshot_takes_nothing_back() {
        let mut record = crate::task::tests::record();
        (record.state, record.attempt) = (TaskState::Running, 1);
        let result = FetchResult { pages: 4, pages_total: 10, inserted: 4_000, ..FetchResult::default() };
        record.result = Some(result);
        let of = |percent: f64, pages_done: u64| Progress { percent, pages_done, ..Progress::from_record(&record) };
        let check = |name: &str, live: Progress, record: &TaskRecord, expected: (TaskState, f64, u64)| {
            let got = Progress::newest_of(live, record);
            assert_eq!((got.state, got.percent, got.pages_done), expected, "{name}");
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
        let shown = Shown { percent: 13.2, pages_done: 3, pages_total: 8, candles_stored: 2_000, duplicates: 5 };
        record.children = Some(Children { total: 9, shown: Some(shown), ..Children::default() });
        let counted = FetchResult { pages: 3, inserted: 2_100, duplicate: 5, ..FetchResult::default() };
        let check = |state: TaskState, result: &FetchResult, expected: (f64, u64, u64, u64)| {
            let mut ended = record.clone();
            ended.end_as(state, Some(result.clone()), 3_000);
            let told = Progress::from_record(&ended);
            assert_eq!((told.percent, told.pages_done, told.pages_total, told.candles_stored), expected, "{state:?}");
            assert_eq!(ended.result.unwrap().pages_total, told.pages_total, "{state:?}");
            assert!((told.rate - 1_052.5).abs() < 1e-9, "{state:?}: {}", told.rate);
        };
        check(TaskState::Cancelled, &counted, (13.2, 3, 8, 2_100));
        check(TaskState::Succeeded, &counted, (100.0, 3, 3, 2_100));
        // Its own last attempt has planned the rest, and come further.
        let further = FetchResult { pages: 7, pages_total: 10, ..counted };
        check(TaskState::Dead, &further, (70.0, 7, 10, 2_100));
    }
}
