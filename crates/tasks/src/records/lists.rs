//! Lists of one owner's tasks that are nobody's child, stretch by stretch: a question costs what its answer holds, not how many
//! tasks there are.
//!
//! A server may read every match of a range before it gives the first one (`secantusd-rs` does), and use only one field of
//! an index for a range. So each record has `listed`: its owner, then its id, whose text order is the order of submission;
//! and ranges of that are read which hold about as many tasks as are wanted. How long such a range is tell *milestones*:
//! by chance one in 32 tasks is one, one in 32 of those is one of the second level, and so on, as in a skip list (Pugh 1990).
//! They are found by an index of their own. Children stand outside of that order, so they cost a list nothing however many a task
//! has; those that an earlier version listed are passed over until `tidy.rs` has moved them. No index is named in a question: with a hint `secantusd-rs` reads everything.

use super::collection::TaskRecords;
use super::document::BEGUN_AT;
use super::list_keys::{AFTER_ALL, LEVELS, listed_between, of_level};
use candlemill_db::StoreError;
use candlemill_shared::task::{TaskId, TaskRecord, TaskState};
use candlemill_shared::{Interval, Symbol};
use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};

/// What a list of tasks is asked for. Children are in none.
#[derive(Debug, Clone)]
pub struct TaskQuery {
    /// Whose.
    pub owner: String,
    /// Only in this state.
    pub state: Option<TaskState>,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only of this symbol.
    pub symbol: Option<Symbol>,
    /// Only of this interval.
    pub interval: Option<Interval>,
    /// Only older than this one.
    pub before: Option<TaskId>,
    /// At most this many.
    pub limit: u32,
}

/// Stretches get longer by this factor while they hold too few that fit.
const GROWTH: usize = 4;
/// Milestones of a level that are looked for at least: chance puts some close together.
const SPARE: usize = 3;
impl TaskRecords {
    /// One owner's tasks that are nobody's child, newest first, without what may be large of payloads and results.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn list(&self, query: &TaskQuery) -> Result<Vec<TaskRecord>, StoreError> {
        let limit = query.limit as usize;
        if matches!(query.state, Some(TaskState::Running | TaskState::Retrying)) {
            return self.list_under_way(query).await;
        }
        let mut found: Vec<TaskRecord> = Vec::new();
        let (first, mut end) = listed_between(&query.owner, query.before);
        let mut tasks = limit;
        loop {
            let start = self.stretch(&first, &end, tasks).await?;
            let mut filter = doc! { "listed": { "$gte": &start, "$lt": &end }, "owner": &query.owner };
            filter.extend(wanted(query));
            let left = i64::try_from(limit - found.len()).unwrap_or(i64::MAX);
            found.extend(self.collect_slim(filter, doc! { "listed": -1 }, left).await?);
            if found.len() >= limit || start == first {
                self.complete_requests(&mut found).await?;
                return Ok(found);
            }
            (end, tasks) = (start, tasks.saturating_mul(GROWTH));
        }
    }

    /// Where a stretch begins that ends at `end` and holds about `tasks` tasks, `first` at the earliest.
    async fn stretch(&self, first: &str, end: &str, tasks: usize) -> Result<String, StoreError> {
        let mut start = first.to_owned();
        // Those of higher levels in the stretch count on each lower one.
        let mut passed: Vec<String> = Vec::new();
        for (level, distance) in LEVELS {
            let found = self.milestones(level, &start, end).await?;
            passed.retain(|one| *one >= start);
            passed.extend(found);
            passed.sort_unstable_by(|one, other| other.cmp(one));
            if let Some(far) = passed.get(tasks / distance + SPARE) {
                start.clone_from(far);
            }
        }
        Ok(start)
    }

    /// What milestones of a level are listed under, between two of these.
    async fn milestones(&self, level: usize, start: &str, end: &str) -> Result<Vec<String>, StoreError> {
        let reading = "reading milestones of the list of tasks";
        let between = doc! { "milestone": { "$gte": of_level(level, start), "$lt": of_level(level, end) } };
        let found = self.records.find(between).projection(doc! { "_id": 0, "listed": 1 });
        let cursor = found.await.map_err(StoreError::mongo(reading))?;
        cursor
            .map_err(StoreError::mongo_in(reading))
            .and_then(|one| {
                let listed = one.get_str("listed").map(str::to_owned);
                std::future::ready(listed.map_err(|error| StoreError::corrupt("a milestone", error)))
            })
            .try_collect()
            .await
    }

    /// Those that run, or wait for another attempt: the index of those leads to them.
    async fn list_under_way(&self, query: &TaskQuery) -> Result<Vec<TaskRecord>, StoreError> {
        let before = query.before.map_or_else(|| AFTER_ALL.to_owned(), |before| before.to_string());
        let mut filter = doc! { BEGUN_AT: { "$gte": 0 }, "owner": &query.owner, "active": { "$exists": true } };
        filter.insert("_id", doc! { "$lt": before });
        filter.extend(wanted(query));
        let mut found = self.collect_slim(filter, doc! { "_id": -1 }, i64::from(query.limit)).await?;
        self.complete_requests(&mut found).await?;
        Ok(found)
    }
}

/// What a task must be beside its owner's.
fn wanted(query: &TaskQuery) -> Document {
    // Absent, or null as an earlier version wrote it.
    let mut filter = doc! { "parent": Bson::Null };
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
