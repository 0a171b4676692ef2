//! Claimed tasks in the words of apalis.

use crate::claimed::ClaimedTask;
use apalis_core::backend::queue::Queue;
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::metadata::MetadataStore;
use apalis_core::task::task_id::TaskId;
use candlemill_shared::job::Pool;
use candlemill_shared::task::TaskRecord;

/// Key of the trace in a task's metadata.
const TRACE: &str = "candlemill.trace_id";

/// A task as its claim knows it: its record has not been read yet.
pub(crate) fn claimed(claimed: ClaimedTask, pool: Pool, worker: &str) -> TaskBuilder<ClaimedTask> {
    let (delivery, mut metadata) = (&claimed.lease.delivery, MetadataStore::new());
    if let Err(error) = metadata.insert(TRACE, delivery.trace.as_str()) {
        tracing::debug!(%error, "the trace is not told to layers");
    }
    let id = TaskId::from_string(delivery.task.to_string());
    TaskBuilder::new(claimed)
        .task_id(id)
        .queue(Queue::from(pool.as_str()))
        .lock_by(Some(worker.to_owned()))
        .with_metadata(metadata)
}

/// A task as its attempt begins.
pub(crate) fn begun(task: ClaimedTask, worker: &str, record: &TaskRecord) -> Task<ClaimedTask> {
    let seconds = |ms: i64| u64::try_from(ms / 1_000).unwrap_or(0);
    let began = record.attempts.last().map_or(record.updated_at, |attempt| attempt.started_at);
    claimed(task, record.pool, worker)
        // apalis counts it when the handler begins.
        .attempt(record.attempt.saturating_sub(1) as usize)
        .priority(usize::from(record.priority))
        .run_at_timestamp(seconds(began))
        .lock_at(Some(seconds(began)))
        .build()
}
