//! Tasks that consist of other tasks: batches of fetches, and large fetches in parts.
//!
//! A parent's record says what its children are before the first of them is stored, and their ids follow from it: whoever
//! goes on after a crash stores the same children, none twice. While they run, the parent waits outside of the queue. After
//! the last of them it comes back as any other task and ends by an attempt of its own, which looks for what is missing.

use crate::interval::{Interval, PAGE_BUCKETS};
use crate::job::{Envelope, EnvelopeError, FetchBatch, FetchHistory, Job, Start};
use crate::progress::Progress;
use crate::range::TimeRange;
use crate::task::{DeadLetter, FetchResult, TaskId, TaskRecord, TaskState};
use serde::{Deserialize, Serialize};

/// What a parent knows of its children.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Children {
    /// How many there are.
    pub total: u32,
    /// Replays of the parent before they were planned: each replay has children of its own.
    pub generation: u32,
    /// What each of them fetches, ascending, where the parent is one large fetch; open times, UTC ms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<TimeRange>,
    /// How far they were when that was last looked at; absent before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
    /// How they ended; absent until all of them have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<ChildCounts>,
}

/// How far children are together. No figure of it ever falls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shown {
    /// Share done, 0 to 100, one decimal.
    pub percent: f64,
    /// Pages stored.
    pub pages_done: u64,
    /// Pages of those that are planned.
    pub pages_total: u64,
    /// Candles newly stored.
    pub candles_stored: u64,
    /// Candles that were stored before.
    pub duplicates: u64,
}

/// How many children stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildCounts {
    /// Wait for a worker; those that are still to be stored, too.
    pub queued: u32,
    /// Run, or wait for children of their own.
    pub running: u32,
    /// Wait for another attempt.
    pub retrying: u32,
    /// Ended: done.
    pub succeeded: u32,
    /// Ended: a permanent error.
    pub failed: u32,
    /// Ended: cancelled.
    pub cancelled: u32,
    /// Ended: given up.
    pub dead: u32,
}

impl ChildCounts {
    /// Counts one child.
    pub const fn add(&mut self, state: TaskState) {
        let count = match state {
            TaskState::Queued => &mut self.queued,
            TaskState::Running => &mut self.running,
            TaskState::Retrying => &mut self.retrying,
            TaskState::Succeeded => &mut self.succeeded,
            TaskState::Failed => &mut self.failed,
            TaskState::Cancelled => &mut self.cancelled,
            TaskState::Dead => &mut self.dead,
        };
        *count += 1;
    }

    /// Those to which nothing more happens.
    #[must_use]
    pub const fn ended(&self) -> u32 {
        self.succeeded + self.failed + self.cancelled + self.dead
    }
}

/// A child as its parent plans it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its task.
    pub id: TaskId,
    /// What it fetches.
    pub job: FetchHistory,
    /// Candles that it may find, at most: its share of the parent's progress.
    pub candles: u64,
}

impl TaskRecord {
    /// The children that the record plans; none when it has none.
    ///
    /// # Errors
    /// When the payload cannot be read.
    pub fn planned_children(&self) -> Result<Vec<Child>, EnvelopeError> {
        let Some(children) = &self.children else { return Ok(Vec::new()) };
        let jobs = if children.parts.is_empty() {
            self.job.open::<FetchBatch>()?.fetches
        } else {
            let whole = self.job.open::<FetchHistory>()?;
            let part = |range: &TimeRange| FetchHistory {
                start: Start::At(range.start),
                end: Some(range.end),
                ..whole.clone()
            };
            children.parts.iter().map(part).collect()
        };
        let child = |(index, job): (u32, FetchHistory)| Child {
            id: TaskId::of_child(self.id, children.generation, index),
            candles: job.interval.count(job.range_at(self.created_at)).max(1),
            job,
        };
        Ok((0..).zip(jobs).map(child).collect())
    }

    /// Ends the record in `state` at `at` (UTC ms), or lets it wait for another attempt. The figures that a parent has shown are
    /// its figures for good, and none of them falls.
    pub fn end_as(&mut self, state: TaskState, result: Option<FetchResult>, at: i64) {
        (self.state, self.updated_at, self.result) = (state, at, result);
        let Some(children) = self.children.as_mut().filter(|_| state.is_end()) else { return };
        let result = self.result.get_or_insert_default();
        let (known, done) = (children.shown.unwrap_or_default(), state == TaskState::Succeeded);
        // Of pages only an attempt of its own knows how many there are in all.
        let by_pages = Progress::percent_of(result.pages, result.pages_total).min(99.9);
        let pages_done = known.pages_done.max(result.pages);
        let shown = Shown {
            percent: if done { 100.0 } else { known.percent.max(by_pages) },
            pages_done,
            pages_total: if done { pages_done } else { known.pages_total.max(result.pages_total).max(pages_done) },
            candles_stored: known.candles_stored.max(result.inserted),
            duplicates: known.duplicates.max(result.duplicate),
        };
        result.pages_total = shown.pages_total;
        children.shown = Some(shown);
    }

    /// The record of a child, as it waits for its first attempt from `now_ms` on.
    ///
    /// # Errors
    /// When the payload has no JSON form.
    pub fn child_record(&self, child: &Child, now_ms: i64) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: child.id,
            job: Envelope::of(&child.job)?,
            fingerprint: child.job.fingerprint(&self.owner),
            pool: FetchHistory::POOL,
            idempotency: None,
            state: TaskState::Queued,
            attempt: 0,
            attempts: Vec::new(),
            cancel_requested: false,
            updated_at: now_ms,
            started_at: None,
            ended_at: None,
            run_at: None,
            result: None,
            error: None,
            dead_letter: DeadLetter::default(),
            parent: Some(self.id),
            children: None,
            webhook: None,
            ..self.clone()
        })
    }
}

/// Cuts `missing` (whole buckets of `interval`) into parts of at most `candles` each, larger ones where there would be more
/// than `most` parts. Parts of a page or more begin and end where pages do, so that no page is fetched for two of them.
#[must_use]
pub fn cut(missing: &[TimeRange], interval: Interval, candles: u64, most: u64) -> Vec<TimeRange> {
    let all: u64 = missing.iter().map(|range| interval.count(*range)).sum();
    // The first and the last part of every missing range may be short ones.
    let full = most.saturating_sub(2 * missing.len() as u64).max(1);
    let page = u64::from(PAGE_BUCKETS);
    let step = candles.max(all.div_ceil(full)).max(1);
    let step = if step < page { step } else { step.next_multiple_of(page) };
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    let mut parts = Vec::new();
    for range in missing {
        let mut start = range.start;
        while start < range.end {
            let end = interval.advance(start, step);
            let on_grid = interval.block_start(end, PAGE_BUCKETS);
            let end = if on_grid > start && step >= i64::from(PAGE_BUCKETS) { on_grid } else { end }.min(range.end);
            parts.push(TimeRange::new(start, end));
            start = end;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range::normalise;
    use crate::task::tests::record;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_are_the_whole(given in prop::collection::vec((0i64..5_000, 1i64..900), 1..8), candles in 1u64..500) {
            let minutes = |(start, length): (i64, i64)| TimeRange::new(start * 60_000, (start + length) * 60_000);
            let missing = normalise(given.into_iter().map(minutes).collect());
            let parts = cut(&missing, Interval::Minute1, candles, 64);
            prop_assert_eq!(normalise(parts.clone()), missing);
            prop_assert!(parts.len() <= 64);
            prop_assert!(parts.windows(2).all(|pair| pair[0].end <= pair[1].start), "no candle is in two parts");
        }
    }

    #[test]
    fn parts_are_fetches_of_the_same_series() {
        let mut parent = record();
        assert_eq!(parent.planned_children().unwrap(), []);
        let parts = vec![TimeRange::new(0, 60_000), TimeRange::new(120_000, 300_000)];
        parent.children = Some(Children { total: 2, parts: parts.clone(), ..Children::default() });
        let children = parent.planned_children().unwrap();
        for ((child, range), candles) in children.iter().zip(parts).zip([1, 3]) {
            assert_eq!((child.job.range_at(0), child.job.symbol.as_str(), child.candles), (range, "BTCUSDT", candles));
        }
        let child = parent.child_record(&children[1], 7).unwrap();
        assert_eq!(
            (child.parent, child.state, child.created_at, child.updated_at),
            (Some(parent.id), TaskState::Queued, 1, 7)
        );
        assert_eq!((child.owner, child.children), (parent.owner, None));
        assert_eq!(child.job.open::<FetchHistory>().unwrap(), children[1].job);
    }
}
