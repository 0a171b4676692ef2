//! Tasks that wait for their children: stores the children, shows how far all of them are, and brings the parent back to the
//! queue after the last one.
//!
//! Whoever notes that a child has moved tends the parent: the child's worker, the API that cancelled it, and in the end the
//! sweeper. Every step may be repeated, and by several at once.

use super::sums::{Found, add, at_least, count, shown_by, sum};
use crate::engine::TaskEngine;
use crate::records::{BEGUN_AT, Ending, TaskRecords, encode, from_document};
use candlemill_db::StoreError;
use candlemill_shared::children::{Child, ChildCounts, Children, Shown};
use candlemill_shared::progress::Progress;
use candlemill_shared::range::{intersection, normalise};
use candlemill_shared::task::{FetchResult, TaskId, TaskRecord, TaskState};
use futures::{StreamExt, TryStreamExt};
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use std::collections::HashMap;
use std::sync::Arc;

/// Children that are stored or read with one command.
const BATCH: usize = 500;
/// Children that are cancelled at once.
const CANCELLED_AT_ONCE: usize = 16;

impl TaskRecords {
    /// Writes down what children a running attempt leaves its task to, and ends the attempt: the task waits from now on.
    /// `None`: it was overtaken, and nothing is written.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn await_children(
        &self,
        record: &TaskRecord,
        children: &Children,
        so_far: &FetchResult,
        now_ms: i64,
    ) -> Result<Option<TaskRecord>, StoreError> {
        let mut attempts = record.attempts.clone();
        for ended in attempts.iter_mut().filter(|one| one.number == record.attempt) {
            ended.ended_at = Some(now_ms);
        }
        let rest = doc! { "attempts": encode(&attempts)?, "updated_at": now_ms, BEGUN_AT: now_ms };
        let mut first = doc! { "children": encode(children)?, "result": encode(so_far)? };
        first.extend(rest.clone());
        let none_yet = doc! { "children": { "$exists": false } };
        if let Some(waits) = self.change_running(record, none_yet, doc! { "$set": first }).await? {
            return Ok(Some(waits));
        }
        // An earlier try was carried out and its answer lost, or an earlier attempt died just here. What others have written
        // about the children since then stays.
        let uncounted = doc! { "children.total": { "$exists": true }, "children.ended": { "$exists": false } };
        if let Some(waits) = self.change_running(record, uncounted, doc! { "$set": rest }).await? {
            return Ok(Some(waits));
        }
        let is_counted = |now: &TaskRecord| now.attempt == record.attempt && now.is_called_back();
        Ok(self.get(record.id).await?.filter(is_counted))
    }

    /// Counts the children into their parent's record. `None`: somebody else did, or it no longer waits.
    async fn count_children(
        &self,
        record: &TaskRecord,
        counts: ChildCounts,
        result: &FetchResult,
        shown: &Shown,
        now_ms: i64,
    ) -> Result<Option<TaskRecord>, StoreError> {
        let set = doc! {
            "children.ended": encode(&counts)?, "result": encode(result)?, "updated_at": now_ms, BEGUN_AT: now_ms,
        };
        let update = doc! { "$max": at_least(shown), "$set": set };
        self.change_running(record, doc! { "children.ended": { "$exists": false } }, update).await
    }

    async fn change_running(
        &self,
        record: &TaskRecord,
        further: Document,
        update: Document,
    ) -> Result<Option<TaskRecord>, StoreError> {
        let mut filter = doc! {
            "_id": record.id.to_string(), "attempt": i64::from(record.attempt), "state": TaskState::Running.as_str(),
        };
        filter.extend(further);
        let found = self
            .records
            .find_one_and_update(filter, update)
            .return_document(ReturnDocument::After)
            .await
            .map_err(StoreError::mongo("writing about a task's children"))?;
        found.map(from_document).transpose()
    }

    /// Keeps how far the children are. Whoever writes an older view of them changes nothing.
    async fn keep_shown(&self, record: &TaskRecord, shown: &Shown, now_ms: i64) -> Result<(), StoreError> {
        let update = doc! { "$max": at_least(shown), "$set": { "updated_at": now_ms, BEGUN_AT: now_ms } };
        self.change_running(record, doc! { "children.total": { "$exists": true } }, update).await.map(drop)
    }

    async fn find_children(&self, children: &[Child]) -> Result<HashMap<TaskId, Found>, StoreError> {
        let reading = "reading a task's children";
        let mut found = HashMap::with_capacity(children.len());
        for some in children.chunks(BATCH) {
            let ids: Vec<String> = some.iter().map(|child| child.id.to_string()).collect();
            let mut cursor = self
                .records
                .find(doc! { "_id": { "$in": ids } })
                .projection(doc! { "state": 1, "cancel_requested": 1, "result": 1, "children.shown": 1 })
                .await
                .map_err(StoreError::mongo(reading))?;
            while let Some(document) = cursor.try_next().await.map_err(StoreError::mongo_in(reading))? {
                let id = document.get_str("_id").unwrap_or_default().to_owned();
                let told: Found = mongodb::bson::deserialize_from_document(document)
                    .map_err(|error| StoreError::corrupt(format!("task {id}"), error))?;
                let id = id.parse().map_err(|error| StoreError::corrupt("a child's id", error))?;
                found.insert(id, told);
            }
        }
        Ok(found)
    }

    /// Children number `from` to `from + limit` of `parent`, in the order of the request; those that are still to be stored
    /// are left out.
    ///
    /// # Errors
    /// When MongoDB fails, or the parent's payload cannot be read.
    pub async fn list_children(
        &self,
        parent: &TaskRecord,
        from: usize,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let planned = planned(parent)?;
        let ids: Vec<TaskId> = planned.iter().skip(from).take(limit).map(|child| child.id).collect();
        let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let all = i64::try_from(ids.len()).unwrap_or(i64::MAX).max(1);
        let mut found = self.collect(doc! { "_id": { "$in": texts } }, doc! {}, all).await?;
        let place: HashMap<TaskId, usize> = ids.into_iter().zip(0..).collect();
        found.sort_by_key(|record| place.get(&record.id).copied());
        Ok(found)
    }
}

impl TaskEngine {
    /// Sees after a task that waits for its children, and after the task that waits for that one. Does nothing for others.
    ///
    /// # Errors
    /// When a store fails; then whoever tends it next goes on.
    pub async fn reconcile(&self, parent: TaskId) -> Result<(), StoreError> {
        let mut next = Some(parent);
        while let Some(id) = next {
            next = self.reconcile_one(id).await?;
        }
        Ok(())
    }

    /// How many of a task's children stand where; `None` for a task without any.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn child_counts(&self, parent: &TaskRecord) -> Result<Option<ChildCounts>, StoreError> {
        let Some(children) = &parent.children else { return Ok(None) };
        if children.ended.is_some() {
            return Ok(children.ended);
        }
        let planned = planned(parent)?;
        Ok(Some(count(&planned, &self.records().find_children(&planned).await?)))
    }

    /// The parent's own parent, where this one has ended.
    async fn reconcile_one(&self, id: TaskId) -> Result<Option<TaskId>, StoreError> {
        // Before the first look: of two who tend at once the one that knows less is the older one.
        let now = self.clock().now_ms();
        let Some(record) = self.records().get(id).await?.filter(|record| record.state == TaskState::Running) else {
            return Ok(None);
        };
        if record.is_called_back() {
            // All have ended, but whoever counted them did not get it into the queue.
            self.queue(record.pool).enqueue(&[&record]).await?;
        }
        if !record.awaits_children() {
            return Ok(None);
        }
        let planned = planned(&record)?;
        let mut found = self.records().find_children(&planned).await?;
        if found.len() < planned.len() {
            self.store_children(&record, &planned, &found, now).await?;
            found = self.records().find_children(&planned).await?;
        }
        if record.cancel_requested && self.cancel_children(&record, &found).await? {
            found = self.records().find_children(&planned).await?;
        }
        let counts = count(&planned, &found);
        if counts.ended() as usize == planned.len() {
            return self.all_ended(record, counts, &planned, &found, now).await;
        }
        let live = self.live(&found).await;
        let sum = sum(&record, &planned, &found, &live, now);
        // The record first: what it says, when Redis is away, is never less than what was shown.
        self.records().keep_shown(&record, &shown_by(&sum), now).await?;
        if let Err(error) = self.progress().write(&sum).await {
            tracing::warn!(task.id = %id, %error, "progress is not shown at the moment");
        }
        Ok(None)
    }

    /// Stores those children that are not there, and puts them into the queue.
    async fn store_children(
        &self,
        parent: &TaskRecord,
        planned: &[Child],
        found: &HashMap<TaskId, Found>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let missing: Vec<&Child> = planned.iter().filter(|child| !found.contains_key(&child.id)).collect();
        for some in missing.chunks(BATCH) {
            let records: Result<Vec<TaskRecord>, _> =
                some.iter().map(|child| parent.child_record(child, now_ms)).collect();
            let records = records.map_err(|error| StoreError::corrupt(format!("task {}", parent.id), error))?;
            self.records().insert(&records).await?;
            self.queue(parent.pool).enqueue(&records.iter().collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// Whether any was told to stop.
    async fn cancel_children(&self, parent: &TaskRecord, found: &HashMap<TaskId, Found>) -> Result<bool, StoreError> {
        let under_way: Vec<TaskId> = found
            .iter()
            .filter(|(_, child)| !child.state.is_end() && !child.cancel_requested)
            .map(|(id, _)| *id)
            .collect();
        let any = !under_way.is_empty();
        let (store, owner): (Self, Arc<str>) = (self.clone(), parent.owner.as_str().into());
        futures::stream::iter(under_way)
            .map(move |child| {
                let (store, owner) = (store.clone(), Arc::clone(&owner));
                async move { store.cancel_one(child, &owner).await.map(drop) }
            })
            .buffer_unordered(CANCELLED_AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(any)
    }

    /// Counts the children into their parent, and lets it end: by an attempt of its own, or here when it was cancelled.
    async fn all_ended(
        &self,
        record: TaskRecord,
        counts: ChildCounts,
        planned: &[Child],
        found: &HashMap<TaskId, Found>,
        now_ms: i64,
    ) -> Result<Option<TaskId>, StoreError> {
        let mut result = record.result.clone().unwrap_or_default();
        for child in found.values() {
            add(&mut result, child.result.as_ref());
        }
        // How many there are in all only an attempt that plans the rest can tell.
        result.pages_total = 0;
        let in_parts = record.children.as_ref().is_some_and(|children| !children.parts.is_empty());
        if in_parts && counts.succeeded < counts.ended() {
            // Of what it set out to fetch: what its parts have fetched.
            let fetched = normalise(found.values().flat_map(Found::ranges).collect());
            result.ranges = intersection(&result.ranges, &fetched);
        }
        let shown = shown_by(&sum(&record, planned, found, &HashMap::new(), now_ms));
        let Some(counted) = self.records().count_children(&record, counts, &result, &shown, now_ms).await? else {
            return Ok(None);
        };
        if !counted.cancel_requested {
            self.queue(counted.pool).enqueue(&[&counted]).await?;
            return Ok(None);
        }
        result.duration_ms = u64::try_from(now_ms - record.started_at.unwrap_or(now_ms)).unwrap_or(0);
        let ending =
            Ending { state: TaskState::Cancelled, result: Some(result), error: None, run_at: None, at: now_ms };
        if !self.records().end(&counted, &ending).await? {
            return Ok(None);
        }
        let mut ended = counted;
        ended.end_as(ending.state, ending.result, now_ms);
        self.forget_waiting(&ended).await;
        Ok(ended.parent)
    }

    /// The newest snapshots of those that run.
    async fn live(&self, found: &HashMap<TaskId, Found>) -> HashMap<TaskId, Progress> {
        let under_way: Vec<TaskId> = found
            .iter()
            .filter(|(_, child)| matches!(child.state, TaskState::Running | TaskState::Retrying))
            .map(|(id, _)| *id)
            .collect();
        match self.progress().read_all(&under_way).await {
            Ok(shown) => shown.into_iter().flatten().map(|one| (one.task_id, one)).collect(),
            Err(error) => {
                tracing::debug!(%error, "the children's progress is that of their records");
                HashMap::new()
            }
        }
    }
}

fn planned(parent: &TaskRecord) -> Result<Vec<Child>, StoreError> {
    parent.planned_children().map_err(|error| StoreError::corrupt(format!("the children of task {}", parent.id), error))
}
