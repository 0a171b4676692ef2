//! Brings parents and their children together: stores the children, shows how far all of them are, and brings the parent back to
//! the queue after the last one.
//!
//! Whatever notes that a child has moved reconciles the parent: the child's worker, the API that cancelled it, and in the end the
//! sweeper. Every step may be repeated, and by several at once. Looks read projections: never a payload, and of results only what
//! the kind adds up.

use super::sums::{self, Found, count, shown_by, sum};
use crate::engine::TaskEngine;
use crate::records::Ending;
use candlemill_db::StoreError;
use candlemill_shared::children::{ChildCounts, Shown};
use candlemill_shared::job::{PartResult, Pool};
use candlemill_shared::progress::Progress;
use candlemill_shared::task::{Child, TaskId, TaskRecord, TaskState};
use futures::{StreamExt, TryStreamExt};
use std::collections::HashMap;
use std::sync::Arc;

/// Children that are stored with one command.
const BATCH: usize = 500;
/// Children that are cancelled at once.
const CANCELLED_AT_ONCE: usize = 16;

impl TaskEngine {
    /// Reconciles a task that waits for its children with them, and then the task that waits for that one. Does nothing for others.
    ///
    /// # Errors
    /// When a store fails; then the next reconciliation goes on.
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
        let ids = parent.child_ids();
        Ok(Some(count(&ids, &self.records().find_children(&ids, &[]).await?)))
    }

    /// The parent's own parent, where this one has ended.
    async fn reconcile_one(&self, id: TaskId) -> Result<Option<TaskId>, StoreError> {
        // Before the first look: of two that look at once the one that knows less is the older one.
        let now = self.clock().now_ms();
        let Some(record) = self.records().get_slim(id).await?.filter(|record| record.state == TaskState::Running)
        else {
            return Ok(None);
        };
        if record.is_called_back() {
            // All have ended, but the look that counted them did not get it into the queue.
            self.queue(record.pool).enqueue([&record]).await?;
        }
        if !record.awaits_children() {
            return Ok(None);
        }
        // How its parts add up only a program says that knows its kind: it is left to one.
        let Some(kind) = record.kind() else { return Ok(None) };
        let (ids, members) = (record.child_ids(), kind.part_members);
        let mut found = self.records().find_children(&ids, members).await?;
        let mut planned = HashMap::new();
        if found.len() < ids.len() || found.values().any(|child| child.share.is_none()) {
            let children = self.planned(id).await?;
            self.store_children(&record, &children, &found, now).await?;
            planned = children.into_iter().map(|child| (child.id, child.share)).collect();
            found = self.records().find_children(&ids, members).await?;
        }
        if record.cancel_requested && self.cancel_children(&record, &found).await? {
            found = self.records().find_children(&ids, members).await?;
        }
        let counts = count(&ids, &found);
        if counts.ended() as usize == ids.len() {
            let children = sums::Children { ids: &ids, found: &found, planned: &planned };
            let shown = shown_by(&sum(&record, &children, &HashMap::new(), now));
            return self.all_ended(&record, counts, found, &shown, now).await;
        }
        self.records().keep_ended(&found, now).await?;
        let live = self.live(&found).await;
        let children = sums::Children { ids: &ids, found: &found, planned: &planned };
        let sum = sum(&record, &children, &live, now);
        // The record first: what it says, when Redis is away, is never less than what was shown.
        let Some(kept) = self.records().keep_shown(&record, &shown_by(&sum), now).await? else { return Ok(None) };
        if let Err(error) = self.progress().write(&sums::as_kept(sum, &kept)).await {
            tracing::warn!(task.id = %id, %error, "progress is not shown at the moment");
        }
        Ok(None)
    }

    /// The children that a parent plans, by its payload: read only when some are to be stored.
    async fn planned(&self, parent: TaskId) -> Result<Vec<Child>, StoreError> {
        let whole = self.records().get(parent).await?;
        let planned = whole.map_or(Ok(Vec::new()), |record| record.planned_children());
        planned.map_err(|error| StoreError::corrupt(format!("the children of task {parent}"), error))
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
            let mut by_pool: HashMap<Pool, Vec<&TaskRecord>> = HashMap::new();
            for record in &records {
                by_pool.entry(record.pool).or_default().push(record);
            }
            for (pool, records) in by_pool {
                self.queue(pool).enqueue(records).await?;
            }
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
        slim: &TaskRecord,
        counts: ChildCounts,
        found: HashMap<TaskId, Found>,
        shown: &Shown,
        now_ms: i64,
    ) -> Result<Option<TaskId>, StoreError> {
        // Whole: its result is written anew.
        let life = |record: &TaskRecord| (record.attempt, record.children.as_ref().map(|children| children.generation));
        let whole = self.records().get(slim.id).await?;
        let Some(record) = whole.filter(|record| record.awaits_children() && life(record) == life(slim)) else {
            return Ok(None);
        };
        let parts: Vec<PartResult> = found.into_values().map(Found::into_part).collect();
        let so_far = record.result.clone();
        let mut result = match record.kind() {
            Some(kind) => kind.add_parts(so_far.unwrap_or_else(|| kind.no_result()), &parts),
            None => so_far.unwrap_or_default(),
        };
        let Some(counted) = self.records().count_children(&record, counts, &result, shown, now_ms).await? else {
            return Ok(None);
        };
        if !counted.cancel_requested {
            self.queue(counted.pool).enqueue([&counted]).await?;
            return Ok(None);
        }
        if let Some(kind) = record.kind() {
            let took_ms = now_ms - record.started_at.unwrap_or(now_ms);
            result = kind.note_duration(result, u64::try_from(took_ms).unwrap_or(0));
        }
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
