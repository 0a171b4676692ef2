//! Stand-in for the request of the engine's one way in, until that is here.

use serde::{Deserialize, Serialize};

/// What a task is asked for, by whatever way it comes in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskRequest {
    /// Job kind, as in `fetch_history`.
    pub kind: String,
    /// Version of the payload's form.
    #[serde(default = "first")]
    pub version: u32,
    /// The payload in that version's form.
    pub payload: serde_json::Value,
    /// Requests of one owner with the same key stand for one task.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// UTC ms before which it is not to run.
    #[serde(default)]
    pub run_at: Option<i64>,
    /// URL that is told of the end.
    #[serde(default)]
    pub webhook: Option<String>,
    /// 32 hex digits.
    #[serde(default)]
    pub trace_id: Option<String>,
}

const fn first() -> u32 {
    1
}
