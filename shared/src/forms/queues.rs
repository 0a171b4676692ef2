//! Queues and workers, as operators see them, and the readiness of a process.

use super::given::Given;
use crate::job::Pool;
use crate::timestamp::Timestamp;
use crate::worker::WorkerState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All queues and workers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueueList {
    /// One for each pool.
    pub queues: Vec<QueueView>,
    /// The workers that live, the oldest first.
    pub workers: Vec<WorkerView>,
}

/// One pool's queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueueView {
    /// The pool's name.
    pub pool: Pool,
    /// Tasks that wait for a worker.
    pub waiting: u64,
    /// Tasks that wait for their time: delayed ones, and those between two attempts.
    pub delayed: u64,
    /// Tasks that workers hold.
    pub running: u64,
    /// Since when, by whom and why it is paused; null when it is not.
    pub paused: Option<PausedView>,
    /// Seconds since the submission of the oldest task that waits; null when none does. Of each owner only the next in line
    /// is looked at, of more than 1,000 owners those whose turn comes first.
    #[schema(minimum = 0)]
    pub oldest_waiting_seconds: Option<f64>,
    /// The workers that run its tasks.
    pub workers: Vec<PoolWorkerView>,
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PausedView {
    /// When it began.
    pub since: Timestamp,
    /// Who did it.
    pub by: String,
    /// Why; null where nobody said.
    pub reason: Option<String>,
}

/// What a worker does in one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolWorkerView {
    /// The worker's id.
    #[schema(example = "w-01M7XNTHJZRQADKJE7XMP2ABXV")]
    pub id: String,
    /// Version of its program.
    pub version: String,
    /// Whether it takes tasks.
    pub state: WorkerState,
    /// Tasks of this pool that it runs at once.
    pub concurrency: usize,
    /// Tasks of this pool that it holds.
    pub running: usize,
}

/// A worker that lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerView {
    /// Its id, another one after each start.
    #[schema(example = "w-01M7XNTHJZRQADKJE7XMP2ABXV")]
    pub id: String,
    /// Version of its program.
    pub version: String,
    /// Name of its machine or container.
    pub host: String,
    /// Process id there.
    pub pid: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// Its last sign of life, by its own clock.
    pub seen_at: Timestamp,
    /// Whether it takes tasks.
    pub state: WorkerState,
    /// Tasks that it holds, of all pools.
    pub running: usize,
}

/// Most characters of the name of who pauses.
pub const MAX_NAME: usize = 100;

/// Who pauses, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "the exchange announced maintenance", "by": "kim"}))]
pub struct PauseRequest {
    /// Shown in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 500)]
    pub reason: Option<Given<String>>,
    /// Shown in the list; `an operator` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 100)]
    pub by: Option<Given<String>>,
}

/// Whether requests can be served, and by which stores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Whether all that is needed is there.
    pub ready: bool,
    /// Whether the process is about to end.
    pub stopping: bool,
    /// The stores.
    pub dependencies: Dependencies,
}

/// The stores of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dependencies {
    /// The broker and cache.
    pub redis: Dependency,
    /// The source of truth.
    pub mongodb: Dependency,
}

/// How a store is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dependency {
    /// Whether it answers.
    pub ready: bool,
    /// How long its answer took; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
    /// What is wrong; absent when nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
