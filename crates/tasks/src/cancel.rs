//! Cancelling a task, wherever it stands.

use crate::cancel_flag;
use crate::engine::TaskEngine;
use candlemill_db::{BackgroundRetry, StoreError};
use candlemill_shared::progress::Progress;
use candlemill_shared::task::{TaskId, TaskRecord, TaskState};
use std::sync::Arc;

/// What a cancellation met.
#[derive(Debug, Clone, PartialEq)]
pub enum CancelOutcome {
    /// It waited; it has ended now.
    Cancelled(Box<TaskRecord>),
    /// It runs; its worker stops within one page.
    Requested(Box<TaskRecord>),
    /// It had ended before.
    AlreadyEnded(Box<TaskRecord>),
    /// The owner has no such task.
    NotFound,
}

/// Ended tasks whose end could not be shown, and that are tried again: how many, and how often.
const FORGOTTEN_RETRY: usize = 1_024;
const FORGET_TRIES: u32 = 60;

impl TaskEngine {
    /// Cancels `owner`'s task, and its children. The record decides; Redis only makes it quick.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn cancel(&self, id: TaskId, owner: &str) -> Result<CancelOutcome, StoreError> {
        let outcome = self.cancel_one(id, owner).await?;
        let parent = match &outcome {
            CancelOutcome::Requested(record) if record.awaits_children() => Some(id),
            CancelOutcome::Cancelled(record) => record.parent,
            _ => None,
        };
        let Some(parent) = parent else { return Ok(outcome) };
        if let Err(error) = self.reconcile(parent).await {
            tracing::warn!(task.id = %parent, %error, "children are told to stop by the sweeper");
        }
        match self.records().get(id).await? {
            Some(now) if now.state == TaskState::Cancelled => Ok(CancelOutcome::Cancelled(Box::new(now))),
            _ => Ok(outcome),
        }
    }

    /// Cancels a task, not its children.
    pub(crate) async fn cancel_one(&self, id: TaskId, owner: &str) -> Result<CancelOutcome, StoreError> {
        let read = match self.records().get(id).await? {
            Some(record) if record.owner == owner => record,
            _ => return Ok(CancelOutcome::NotFound),
        };
        // A task may start or fall back between two looks; it does so only so often before one of them meets it.
        for _ in 0..5 {
            if let Some(record) = self.records().cancel_waiting(&read, self.clock().now_ms()).await? {
                self.forget_waiting(&record).await;
                return Ok(CancelOutcome::Cancelled(Box::new(record)));
            }
            if let Some(record) = self.records().request_cancel(id).await? {
                self.call_out(id).await;
                return Ok(CancelOutcome::Requested(Box::new(record)));
            }
            match self.records().get(id).await? {
                Some(record) if record.state.is_end() => return Ok(CancelOutcome::AlreadyEnded(Box::new(record))),
                Some(_) => {}
                None => return Ok(CancelOutcome::NotFound),
            }
        }
        Err(StoreError::Overloaded)
    }

    /// Takes an ended task out of the queue and shows its end. While Redis is away this is tried again for some seconds;
    /// after that a worker that receives the task finds it ended, and so does every question about its progress.
    pub(crate) async fn forget_waiting(&self, record: &TaskRecord) {
        static RETRY: BackgroundRetry = BackgroundRetry::new(FORGOTTEN_RETRY, FORGET_TRIES);
        let Err(error) = self.try_to_forget(record).await else { return };
        tracing::warn!(task.id = %record.id, %error, "the end of a cancelled task is not shown yet");
        let (store, record) = (self.clone(), Arc::new(record.clone()));
        RETRY.spawn(move || {
            let (store, record) = (store.clone(), Arc::clone(&record));
            async move { store.try_to_forget(&record).await.is_ok() }
        });
    }

    async fn try_to_forget(&self, record: &TaskRecord) -> Result<(), StoreError> {
        let mut last = Progress::from_record(record);
        // The attempt that it waited for will never be: newer than all that was shown.
        last.sequence = Progress::sequence_of(record.attempt + 1, Progress::LAST_STEP);
        if let Some(shown) = self.progress().read(record.id).await? {
            last.keep_share_of(&shown);
        }
        self.progress().end(last).await?;
        self.queue(record.pool).remove(record).await
    }

    /// Best effort: the worker also sees the flag when it next writes progress, and the record at its checkpoint.
    async fn call_out(&self, id: TaskId) {
        if let Err(error) = cancel_flag::raise(self.redis(), id).await {
            tracing::warn!(task.id = %id, %error, "the worker was not told to stop; it will see it in the record");
        }
    }

    /// Ids of running tasks that were asked to stop, as they are called out.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn cancellations(&self) -> Result<impl futures::Stream<Item = TaskId> + Send + use<>, StoreError> {
        use futures::StreamExt;
        let messages = self.bus().subscribe(&cancel_flag::channel()).await?;
        Ok(messages.filter_map(|message| {
            std::future::ready(std::str::from_utf8(&message).ok().and_then(|text| text.parse().ok()))
        }))
    }
}
