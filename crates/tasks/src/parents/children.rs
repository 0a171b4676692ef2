//! Children as the records hold them.

use super::sums::{Found, at_least};
use crate::records::{BEGUN_AT, TaskRecords, encode, from_document};
use candlemill_db::StoreError;
use candlemill_shared::children::{ChildCounts, Children, Shown};
use candlemill_shared::task::{TaskId, TaskRecord, TaskState};
use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use serde_json::Value;
use std::collections::HashMap;

/// Children that are read or kept with one command.
const BATCH: usize = 500;

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
        so_far: &Value,
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

    /// Counts the children into their parent's record. `None`: another look did, or it no longer waits.
    pub(super) async fn count_children(
        &self,
        record: &TaskRecord,
        counts: ChildCounts,
        result: &Value,
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

    /// Keeps how far the children are: the record then, with the higher of each figure of this look and all kept before it.
    /// `None`: the children are counted by now, and a late look takes no part in that.
    pub(super) async fn keep_shown(
        &self,
        record: &TaskRecord,
        shown: &Shown,
        now_ms: i64,
    ) -> Result<Option<TaskRecord>, StoreError> {
        let update = doc! {
            "$max": at_least(shown), "$inc": { "children.looks": 1 },
            "$set": { "updated_at": now_ms, BEGUN_AT: now_ms },
        };
        let uncounted = doc! { "children.total": { "$exists": true }, "children.ended": { "$exists": false } };
        self.change_running(record, uncounted, update).await
    }

    /// What is read of the children that are stored: of results only the members `of_result`.
    pub(super) async fn find_children(
        &self,
        ids: &[TaskId],
        of_result: &[&str],
    ) -> Result<HashMap<TaskId, Found>, StoreError> {
        let reading = "reading a task's children";
        let mut found = HashMap::with_capacity(ids.len());
        for some in ids.chunks(BATCH) {
            let ids: Vec<String> = some.iter().map(ToString::to_string).collect();
            let mut cursor = self
                .records
                .find(doc! { "_id": { "$in": ids } })
                .projection(Found::members(of_result))
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

    /// Lets ended children stay as long as their parent waits: one whose record vanished would be taken for one that was never
    /// stored.
    pub(super) async fn keep_ended(&self, found: &HashMap<TaskId, Found>, now_ms: i64) -> Result<(), StoreError> {
        let soon = now_ms.saturating_add(self.history_ms() / 2);
        let vanishes = |child: &Found| child.expires_at.is_some_and(|at| at.timestamp_millis() < soon);
        let ids: Vec<String> =
            found.iter().filter(|(_, child)| vanishes(child)).map(|(id, _)| id.to_string()).collect();
        for some in ids.chunks(BATCH) {
            let ended = doc! { "_id": { "$in": some }, "expires_at": { "$exists": true } };
            let later = doc! { "$max": { "expires_at": self.expiry(now_ms) } };
            let kept = self.records.update_many(ended, later).await;
            kept.map_err(StoreError::mongo("keeping ended children"))?;
        }
        Ok(())
    }

    /// Children number `from` to `from + limit` of `parent`, in the order of the request; those that are still to be stored
    /// are left out.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn list_children(
        &self,
        parent: &TaskRecord,
        from: usize,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let ids: Vec<TaskId> = parent.child_ids().into_iter().skip(from).take(limit).collect();
        let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let all = i64::try_from(ids.len()).unwrap_or(i64::MAX).max(1);
        let mut found = self.collect_slim(doc! { "_id": { "$in": texts } }, doc! {}, all).await?;
        let place: HashMap<TaskId, usize> = ids.into_iter().zip(0..).collect();
        found.sort_by_key(|record| place.get(&record.id).copied());
        Ok(found)
    }
}
