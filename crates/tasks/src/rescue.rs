//! What is durable, and not in the queue: its process died in between, or the record arrived late.

use crate::engine::TaskEngine;
use candlemill_db::StoreError;
use candlemill_shared::job::Pool;
use candlemill_shared::task::{TaskHead, TaskId, TaskState};
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
    pub async fn bring_back(&self, tasks: &[TaskHead]) -> Result<u64, StoreError> {
        let mut by_pool: HashMap<Pool, Vec<&TaskHead>> = HashMap::new();
        for task in tasks {
            by_pool.entry(task.pool).or_default().push(task);
        }
        let mut put = 0;
        for (pool, mut tasks) in by_pool {
            let new = tasks
                .iter()
                .filter(|task| task.state == TaskState::Queued && task.attempt == 0 && task.parent.is_none());
            let new: Vec<TaskId> = new.map(|task| task.id).collect();
            let missing: HashSet<TaskId> = self.queue(pool).missing(&new).await?.into_iter().collect();
            let missing: Vec<&TaskHead> = tasks.iter().copied().filter(|task| missing.contains(&task.id)).collect();
            if !missing.is_empty() {
                let lost = self.records().keys.lost_by(&missing).await?;
                tasks.retain(|task| !lost.contains(&task.id));
                self.delete_lost(missing.iter().copied().filter(|task| lost.contains(&task.id))).await?;
            }
            put += self.queue(pool).enqueue(tasks).await?;
        }
        Ok(put)
    }

    /// As [`Self::bring_back`], of the tasks that began to wait after `after_ms` and not later than `until_ms`; more than the ids is read
    /// only of those that are not in the queue.
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
            if !missing.is_empty() {
                let tasks = self.records().heads_in(&missing, TaskState::Queued).await?;
                put += self.bring_back(&tasks).await?;
            }
        }
        Ok(put)
    }

    async fn delete_lost<'a>(&self, tasks: impl Iterator<Item = &'a TaskHead>) -> Result<(), StoreError> {
        let (mut ids, mut places) = (Vec::new(), Vec::new());
        for task in tasks {
            tracing::warn!(task.id = %task.id, "its request became another task before it was stored; it is deleted");
            ids.push(task.id.to_string());
            places.push((task.owner.as_str(), task.id));
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
