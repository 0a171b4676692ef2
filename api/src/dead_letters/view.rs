//! How a dead letter looks from outside.

use crate::task::DiscardedView;
use candlemill_shared::range::rfc3339;
use candlemill_shared::task::{TaskError, TaskRecord};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A task that was given up.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetterView {
    /// The task's id.
    pub task_id: String,
    /// What kind of job.
    #[schema(example = "fetch_history")]
    pub kind: String,
    /// Version of the payload's form.
    pub payload_version: u32,
    /// The payload as it is stored, readable or not; of a batch, which may have thousands of fetches, its request in short.
    pub payload: Value,
    /// What it died of: code and message.
    #[schema(value_type = Option<Object>)]
    pub cause: Option<TaskError>,
    /// Number of the newest attempt.
    pub attempt: u32,
    /// The newest attempts: number, times, and the error of each.
    pub attempts: Vec<Value>,
    /// What it did before, without what may be large; a replay goes on from there.
    pub result: Option<Value>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub died_at: Option<String>,
    /// Times that it was replayed.
    pub replays: u32,
    /// RFC 3339 of the last replay; null when there was none.
    pub replayed_at: Option<String>,
    /// When and why it was discarded; null when it was not.
    pub discarded: Option<DiscardedView>,
}

impl From<TaskRecord> for DeadLetterView {
    fn from(record: TaskRecord) -> Self {
        Self {
            task_id: record.id.to_string(),
            result: crate::task::result_in_list(&record),
            kind: record.job.kind,
            payload_version: record.job.version,
            payload: record.request.unwrap_or(record.job.payload),
            cause: record.error,
            attempt: record.attempt,
            attempts: record.attempts.iter().map(crate::task::attempt).collect(),
            created_at: rfc3339(record.created_at),
            died_at: record.ended_at.map(rfc3339),
            replays: record.dead_letter.replays,
            replayed_at: record.dead_letter.replayed_at.map(rfc3339),
            discarded: record.dead_letter.discarded.map(DiscardedView::from),
        }
    }
}
