//! Lists of one owner's tasks, window by window: a question costs what its answer holds, not how many tasks there are.
//!
//! A server may read every match of a range before it gives the first one (`secantusd-rs` does), and use only one field of
//! an index for a range. So each record has `listed`: its owner, then its id, whose text order is the order of submission.
//! Windows of that go back in time and grow while they hold too few.

use super::{TaskQuery, Tasks};
use crate::error::StoreError;
use candlemill_shared::task::{TaskId, TaskRecord, TaskState};
use mongodb::bson::{Document, doc};
use mongodb::options::Hint;

/// Length of the first window, ms.
const FIRST_MS: i64 = 50;
/// Windows get longer by this factor; a year is reached with the fifteenth.
const GROWTH: i64 = 4;
/// Windows after which the rest is read as one.
const WINDOWS: u32 = 15;
/// After every text that a ULID may be.
const AFTER_ALL: &str = "~";

/// What `record` is listed under.
pub(crate) fn listed(record: &TaskRecord) -> String {
    key(&record.owner, &record.id.to_string())
}

fn key(owner: &str, from: &str) -> String {
    format!("{owner}|{from}")
}

impl Tasks {
    /// One owner's tasks, newest first.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn list(&self, query: &TaskQuery) -> Result<Vec<TaskRecord>, StoreError> {
        let limit = query.limit as usize;
        if matches!(query.state, Some(TaskState::Running | TaskState::Retrying)) {
            return self.list_under_way(query).await;
        }
        let mut found: Vec<TaskRecord> = Vec::new();
        let mut end = query.before.map_or_else(|| AFTER_ALL.to_owned(), |before| before.to_string());
        let mut newest = query.before.map_or(i64::MAX, TaskId::created_at_ms);
        if query.before.is_none() {
            // Ids of the future come from clocks that are off.
            newest = newest.min(self.latest_ms().saturating_add(FIRST_MS));
        }
        let (mut length, mut windows) = (FIRST_MS, 0);
        loop {
            let begin = newest.saturating_sub(length);
            let is_last = windows >= WINDOWS || begin <= 0;
            let start = if is_last { String::new() } else { TaskId::first_of(begin).to_string() };
            let mut filter = doc! { "listed": { "$gte": key(&query.owner, &start), "$lt": key(&query.owner, &end) } };
            filter.extend(wanted(query));
            let left = i64::try_from(limit - found.len()).unwrap_or(i64::MAX);
            // Of several indexes a server may take the one of states, and read all that wait.
            let hint = Hint::Keys(doc! { "listed": 1 });
            found.extend(self.collect_by(filter, doc! { "listed": -1 }, left, Some(hint)).await?);
            if found.len() >= limit || is_last {
                return Ok(found);
            }
            (end, newest) = (start, begin);
            (length, windows) = (length.saturating_mul(GROWTH), windows + 1);
        }
    }

    /// Those that run, or wait for another attempt: few beside all others, so the index of tasks in flight leads to them.
    async fn list_under_way(&self, query: &TaskQuery) -> Result<Vec<TaskRecord>, StoreError> {
        let mut filter = doc! { "owner": &query.owner, "active": { "$exists": true } };
        filter.extend(wanted(query));
        if let Some(before) = query.before {
            filter.insert("_id", doc! { "$lt": before.to_string() });
        }
        let hint = Hint::Keys(doc! { "state": 1, "updated_at": 1 });
        self.collect_by(filter, doc! { "_id": -1 }, i64::from(query.limit), Some(hint)).await
    }

    fn latest_ms(&self) -> i64 {
        candlemill_shared::Clock::now_ms(&candlemill_shared::SystemClock)
    }
}

/// What a task must be beside its owner's.
fn wanted(query: &TaskQuery) -> Document {
    let mut filter = Document::new();
    if let Some(state) = query.state {
        filter.insert("state", state.as_str());
    }
    if let Some(kind) = &query.kind {
        filter.insert("job.kind", kind);
    }
    if let Some(symbol) = &query.symbol {
        filter.insert("job.payload.symbol", symbol.as_str());
    }
    if let Some(interval) = query.interval {
        filter.insert("job.payload.interval", interval.as_str());
    }
    filter
}
