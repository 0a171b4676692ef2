//! The records' collection: reading, storing, cancelling.

use super::document::{BEGUN_AT, QUEUED_AT, fence_of, from_document, from_raw, is_fence, to_document};
use super::{notice, projections};
use crate::unique_keys::{self, UniqueKeys};
use candlemill_db::{Batcher, StoreError, duplicates};
use candlemill_shared::Clock;
use candlemill_shared::job::Pool;
use candlemill_shared::task::{TaskHead, TaskId, TaskRecord, TaskState};
use futures::{Stream, StreamExt, TryFutureExt, TryStreamExt};
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The records.
#[derive(Debug, Clone)]
pub struct TaskRecords {
    pub(crate) records: Collection<Document>,
    pub(crate) keys: UniqueKeys,
    pub(crate) batcher: Batcher,
    history_ms: i64,
}

/// Task records.
pub(crate) const TASKS: &str = "tasks";

const DAY_MS: i64 = 86_400_000;

impl TaskRecords {
    pub(crate) fn new(database: &Database, history_days: u32, clock: Arc<dyn Clock>) -> Self {
        let keys = UniqueKeys::new(database);
        let batcher = Batcher::start(database, TASKS, clock);
        let history_ms = i64::from(history_days) * DAY_MS;
        Self { records: database.collection(TASKS), keys, batcher, history_ms }
    }

    /// The record of `id`.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        self.find_one(doc! { "_id": id.to_string() }).await
    }

    /// The record of `id`, read together with others that are asked for at the same time.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn look_up(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        let found = self.batcher.read(id.to_string()).await?.document;
        found.as_deref().filter(|document| !is_fence(document)).map(from_raw).transpose()
    }

    /// Stores new records. Those that are there already stay as they are: somebody else stored the same, or an earlier try whose
    /// answer was lost, or they were [fenced off](Self::fence_off). Returns the positions of those.
    pub(crate) async fn insert<'a>(
        &self,
        records: impl IntoIterator<Item = &'a TaskRecord>,
    ) -> Result<Vec<usize>, StoreError> {
        let documents = records.into_iter().map(to_document).collect::<Result<Vec<RawDocumentBuf>, StoreError>>()?;
        let records = self.records.clone_with_type::<RawDocumentBuf>();
        duplicates(records.insert_many(documents).ordered(false).await, "storing tasks")
    }

    /// Sees to it that the record of `id`, which took its keys long ago and is not there, will never be: it may still be on its way.
    /// `false`: it is there by now.
    pub(crate) async fn fence_off(&self, id: TaskId, now_ms: i64) -> Result<bool, StoreError> {
        const FENCING: &str = "fencing a task off";
        let fence = fence_of(&id.to_string(), now_ms, DateTime::from_millis(now_ms.saturating_add(DAY_MS)));
        if duplicates(self.records.insert_many([fence]).ordered(false).await, FENCING)?.is_empty() {
            return Ok(true);
        }
        Ok(self.get(id).await?.is_none())
    }

    pub(crate) async fn find_one(&self, filter: Document) -> Result<Option<TaskRecord>, StoreError> {
        let records = self.records.clone_with_type::<RawDocumentBuf>();
        let found = records.find_one(filter).await.map_err(StoreError::mongo("reading a task"))?;
        found.as_deref().filter(|document| !is_fence(document)).map(from_raw).transpose()
    }

    /// Tasks that began to wait for their first attempt after `after_ms` and not later than `until_ms`.
    ///
    /// # Errors
    /// When MongoDB fails, at the start or in mid-stream.
    pub async fn queued_between(
        &self,
        after_ms: i64,
        until_ms: i64,
    ) -> Result<impl Stream<Item = Result<TaskHead, StoreError>> + Send + use<>, StoreError> {
        let mut filter = under_way(&[TaskState::Queued]);
        filter.insert(QUEUED_AT, doc! { "$gt": after_ms, "$lte": until_ms });
        self.stream(filter).await
    }

    /// As [`Self::queued_between`]: the ids and pools alone.
    pub(crate) async fn queued_ids_between(
        &self,
        after_ms: i64,
        until_ms: i64,
    ) -> Result<impl Stream<Item = Result<(TaskId, Pool), StoreError>> + Send + use<>, StoreError> {
        #[derive(Deserialize)]
        struct Waits {
            #[serde(rename = "_id")]
            id: TaskId,
            pool: Pool,
        }
        const READING: &str = "reading which tasks wait";
        let mut filter = under_way(&[TaskState::Queued]);
        filter.insert(QUEUED_AT, doc! { "$gt": after_ms, "$lte": until_ms });
        let records = self.records.clone_with_type::<Waits>();
        let found = records.find(filter).projection(doc! { "pool": 1 });
        let found = found.await.map_err(StoreError::mongo(READING))?;
        Ok(found.map_ok(|waits| (waits.id, waits.pool)).map_err(StoreError::mongo_in(READING)))
    }

    /// All tasks in flight; one that begins meanwhile may come twice.
    ///
    /// # Errors
    /// When MongoDB fails, at the start or in mid-stream.
    pub async fn all_in_flight(
        &self,
    ) -> Result<impl Stream<Item = Result<TaskHead, StoreError>> + Send + use<>, StoreError> {
        let waiting = self.queued_between(0, i64::MAX).await?;
        let mut begun = under_way(&[TaskState::Running, TaskState::Retrying]);
        begun.insert(BEGUN_AT, doc! { "$gte": 0 });
        // Asked only when the others have been read: what begins meanwhile is among them, or among these.
        let tasks = self.clone();
        Ok(waiting.chain(async move { tasks.stream(begun).await }.try_flatten_stream()))
    }

    async fn stream(
        &self,
        filter: Document,
    ) -> Result<impl Stream<Item = Result<TaskHead, StoreError>> + Send + use<>, StoreError> {
        const READING: &str = "reading tasks in flight";
        let heads = self.records.clone_with_type::<TaskHead>();
        let found = heads.find(filter).projection(projections::head());
        let found = found.await.map_err(StoreError::mongo(READING))?;
        Ok(found.map_err(StoreError::mongo_in(READING)))
    }

    /// Tasks that run, or wait for another attempt, and about which nothing was written since `before_ms`; the longest
    /// silent first.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn unchanged_since(&self, before_ms: i64, limit: u32) -> Result<Vec<TaskHead>, StoreError> {
        const READING: &str = "reading tasks that are silent";
        let mut filter = under_way(&[TaskState::Running, TaskState::Retrying]);
        filter.insert(BEGUN_AT, doc! { "$gte": 0, "$lt": before_ms });
        let heads = self.records.clone_with_type::<TaskHead>();
        let found =
            heads.find(filter).sort(doc! { BEGUN_AT: 1 }).limit(i64::from(limit)).projection(projections::head());
        let found = found.await.map_err(StoreError::mongo(READING))?;
        found.map_err(StoreError::mongo_in(READING)).try_collect().await
    }

    /// Those of `ids` that are in flight.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn in_flight(&self, ids: impl IntoIterator<Item = TaskId>) -> Result<HashSet<TaskId>, StoreError> {
        const AT_ONCE: usize = 1_000;
        let reading = "looking which tasks are in flight";
        let mut ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
        ids.sort_unstable();
        let mut in_flight = HashSet::with_capacity(ids.len());
        for some in ids.chunks(AT_ONCE) {
            let filter = doc! { "_id": { "$in": some }, "active": { "$exists": true } };
            let found = self.records.find(filter).projection(doc! { "_id": 1 });
            let mut found = found.await.map_err(StoreError::mongo(reading))?;
            while found.advance().await.map_err(StoreError::mongo(reading))? {
                in_flight.extend(found.current().get_str("_id").ok().and_then(|id| id.parse::<TaskId>().ok()));
            }
        }
        Ok(in_flight)
    }

    /// Where the tasks of `ids` stand, of those that there are.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn states(&self, ids: &[TaskId]) -> Result<HashMap<TaskId, TaskState>, StoreError> {
        #[derive(Deserialize)]
        struct Stands {
            #[serde(rename = "_id")]
            id: TaskId,
            state: TaskState,
        }
        const READING: &str = "reading where tasks stand";
        let mut ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        ids.sort_unstable();
        let records = self.records.clone_with_type::<Stands>();
        // What is no record has no state.
        let wanted = doc! { "_id": { "$in": ids }, "state": { "$exists": true } };
        let found = records.find(wanted).projection(doc! { "state": 1 }).await.map_err(StoreError::mongo(READING))?;
        let found: Vec<Stands> = found.map_err(StoreError::mongo_in(READING)).try_collect().await?;
        Ok(found.into_iter().map(|stands| (stands.id, stands.state)).collect())
    }

    /// What the queue has to know of those of `ids` that are in `state`.
    pub(crate) async fn heads_in(&self, ids: &[TaskId], state: TaskState) -> Result<Vec<TaskHead>, StoreError> {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let found = self.stream(doc! { "_id": { "$in": ids }, "state": state.as_str() }).await?;
        found.try_collect().await
    }

    /// The record of `id`, [without what may be large](projections::without_large).
    pub(crate) async fn get_slim(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        Ok(self.collect_slim(doc! { "_id": id.to_string(), "owner": { "$exists": true } }, doc! {}, 1).await?.pop())
    }

    /// Records, [without what may be large](projections::without_large).
    pub(crate) async fn collect_slim(
        &self,
        filter: Document,
        sort: Document,
        limit: i64,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let reading = "reading tasks";
        let found = self.records.find(filter).sort(sort).limit(limit).projection(projections::without_large());
        let cursor = found.await.map_err(StoreError::mongo(reading))?;
        cursor
            .map_err(StoreError::mongo_in(reading))
            .and_then(|d| std::future::ready(from_document(d)))
            .try_collect()
            .await
    }

    /// Gives records of version 0.1, which kept no request beside a large payload, the request that they are shown by: one at a
    /// time, so that no more than one such payload is in memory.
    pub(crate) async fn complete_requests(&self, found: &mut [TaskRecord]) -> Result<(), StoreError> {
        for record in found.iter_mut().filter(|record| record.request.is_none()) {
            let Some(kind) = record.kind().filter(|kind| !kind.large_payload.is_empty()) else { continue };
            if let Some(whole) = self.get(record.id).await? {
                record.request = Some(kind.request(&whole.job));
            }
        }
        Ok(())
    }

    /// How long ended tasks are kept, ms.
    pub(crate) const fn history_ms(&self) -> i64 {
        self.history_ms
    }

    /// When a task that ends, or is discarded, at `now_ms` vanishes.
    pub(crate) fn expiry(&self, now_ms: i64) -> DateTime {
        DateTime::from_millis(now_ms.saturating_add(self.history_ms))
    }

    /// Lets the same request be submitted anew. Best effort: a key of an ended task is taken over anyway.
    pub(crate) async fn free(&self, record: &TaskRecord) {
        let key = unique_keys::active(&record.fingerprint);
        if let Err(error) = self.keys.give_back(&key, record.id).await {
            tracing::debug!(task.id = %record.id, %error, "an ended task still holds its key");
        }
    }

    /// Cancels the task that was read, if no worker runs it. The record as it is then; `None` when it runs or has ended.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub(crate) async fn cancel_waiting(
        &self,
        read: &TaskRecord,
        now_ms: i64,
    ) -> Result<Option<TaskRecord>, StoreError> {
        let waiting = [TaskState::Queued.as_str(), TaskState::Retrying.as_str()].to_vec();
        let mut set = doc! {
            "state": TaskState::Cancelled.as_str(), "cancel_requested": true, "updated_at": now_ms, "ended_at": now_ms,
            "run_at": Bson::Null, "expires_at": self.expiry(now_ms),
        };
        set.extend(notice::due_at_end(read, now_ms)?);
        let found = self
            .records
            .find_one_and_update(
                doc! { "_id": read.id.to_string(), "state": { "$in": waiting } },
                doc! { "$set": set, "$unset": { "active": "", QUEUED_AT: "", BEGUN_AT: "" } },
            )
            .return_document(ReturnDocument::After)
            .await
            .map_err(StoreError::mongo("cancelling a task"))?;
        let Some(record) = found.map(from_document).transpose()? else { return Ok(None) };
        self.free(&record).await;
        Ok(Some(record))
    }

    /// Asks a running task to stop. The record as it is then; `None` when it does not run.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub(crate) async fn request_cancel(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        let filter = doc! { "_id": id.to_string(), "state": TaskState::Running.as_str() };
        let found = self
            .records
            .find_one_and_update(filter, doc! { "$set": { "cancel_requested": true } })
            .return_document(ReturnDocument::After)
            .await
            .map_err(StoreError::mongo("asking a task to stop"))?;
        found.map(from_document).transpose()
    }
}

/// Tasks in flight in one of `states`.
fn under_way(states: &[TaskState]) -> Document {
    let states: Vec<&str> = states.iter().copied().map(TaskState::as_str).collect();
    doc! { "active": { "$exists": true }, "state": { "$in": states } }
}
