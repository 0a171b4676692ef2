//! What is durable, and not in the queue: its process died in between, or the record arrived late.

use crate::engine::TaskEngine;
use candlemill_db::StoreError;
use candlemill_shared::job::Pool;
use candlemill_shared::task::{TaskId, TaskRecord, TaskState};
use futures::TryStreamExt;
use mongodb::bson::doc;
use std::collections::{HashMap, HashSet};

/// Ids that Redis is asked about with one command.
const BATCH: usize = 500;

impl TaskEngine {
    /// Puts records into the queue that are not in it. One that was never queued, and whose unique key another task holds, was
    /// on its way for so long that its request became that other task: nobody was told of it, and it is deleted. Returns how many
    /// were put in.
    ///
    /// # Errors
    /// When a store fails; a repetition is harmless.
    pub async fn bring_back(&self, records: &[TaskRecord]) -> Result<u64, StoreError> {
        let mut by_pool: HashMap<Pool, Vec<&TaskRecord>> = HashMap::new();
        for record in records {
            by_pool.entry(record.pool).or_default().push(record);
        }
        let mut put = 0;
        for (pool, mut records) in by_pool {
            let new = records
                .iter()
                .filter(|record| record.state == TaskState::Queued && record.attempt == 0 && record.parent.is_none());
            let new: Vec<TaskId> = new.map(|record| record.id).collect();
            let missing: HashSet<TaskId> = self.queue(pool).missing(&new).await?.into_iter().collect();
            let missing: Vec<&TaskRecord> =
                records.iter().copied().filter(|record| missing.contains(&record.id)).collect();
            if !missing.is_empty() {
                let lost = self.records().keys.lost_by(&missing).await?;
                records.retain(|record| !lost.contains(&record.id));
                self.delete_lost(missing.iter().copied().filter(|record| lost.contains(&record.id))).await?;
            }
            put += self.queue(pool).enqueue(&records).await?;
        }
        Ok(put)
    }

    /// As [`Self::bring_back`], of the tasks that began to wait after `after_ms` and not later than `until_ms`; only those that are not
    /// in the queue are read whole.
    ///
    /// # Errors
    /// When a store fails; a repetition is harmless.
    pub async fn bring_back_queued(&self, after_ms: i64, until_ms: i64) -> Result<u64, StoreError> {
        let waiting = self.records().queued_ids_between(after_ms, until_ms).await?;
        let mut chunks = std::pin::pin!(waiting.try_chunks(BATCH));
        let mut put = 0;
        while let Some(some) = chunks.try_next().await.map_err(|error| error.1)? {
            let mut missing = Vec::new();
            for pool in Pool::ALL {
                let ids: Vec<TaskId> = some.iter().filter(|(_, of)| *of == pool).map(|(id, _)| *id).collect();
                missing.extend(self.queue(pool).missing(&ids).await?);
            }
            if missing.is_empty() {
                continue;
            }
            let ids: Vec<String> = missing.iter().map(ToString::to_string).collect();
            let still = doc! { "_id": { "$in": ids }, "state": TaskState::Queued.as_str() };
            let all = i64::try_from(missing.len()).unwrap_or(i64::MAX);
            let records = self.records().collect(still, doc! {}, all).await?;
            put += self.bring_back(&records).await?;
        }
        Ok(put)
    }

    async fn delete_lost<'a>(&self, records: impl Iterator<Item = &'a TaskRecord>) -> Result<(), StoreError> {
        let (mut ids, mut places) = (Vec::new(), Vec::new());
        for record in records {
            tracing::warn!(task.id = %record.id, "its request became another task before it was stored; it is deleted");
            ids.push(record.id.to_string());
            places.push((record.owner.as_str(), record.id));
        }
        if ids.is_empty() {
            return Ok(());
        }
        let never_begun = doc! { "_id": { "$in": ids }, "state": TaskState::Queued.as_str(), "attempt": 0 };
        let deleting = StoreError::mongo("deleting tasks that lost their keys");
        self.records().records.delete_many(never_begun).await.map_err(deleting)?;
        self.quota().release(&places).await
    }
}
