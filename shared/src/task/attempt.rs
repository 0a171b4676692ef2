//! Attempts and their errors.

use serde::{Deserialize, Serialize};

/// An error as it is kept on a task and shown to its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TaskError {
    /// Stable name: `unknown_symbol`, `exchange_unavailable`, …
    pub code: String,
    /// What was wrong, where, and what to do.
    pub message: String,
}

impl TaskError {
    /// An error of this code and message.
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// One attempt at a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// 1 for the first. Also the fence: writes of a lower attempt are refused.
    pub number: u32,
    /// Name of the worker process.
    pub worker: String,
    /// UTC ms.
    pub started_at: i64,
    /// UTC ms; absent while it runs, and for ever when its worker was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// Why it ended without success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<TaskError>,
}
