//! What the engine has to know of a task to queue it: neither payload nor result.

use super::attempt::Attempt;
use super::id::TaskId;
use super::record::TaskRecord;
use super::state::TaskState;
use crate::job::Pool;
use serde::Deserialize;

/// A record without what its kind alone understands.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TaskHead {
    /// Identity.
    #[serde(rename = "_id")]
    pub id: TaskId,
    /// User id of the owner.
    pub owner: String,
    /// Where it waits.
    pub pool: Pool,
    /// The tier's priority.
    pub priority: u8,
    /// Tasks of the owner that may run at once.
    #[serde(default = "few")]
    pub running_at_once: u32,
    /// Equal for equal requests of one owner.
    #[serde(default)]
    pub fingerprint: String,
    /// Where it stands.
    pub state: TaskState,
    /// Number of the newest attempt; 0 before the first.
    pub attempt: u32,
    /// UTC ms.
    pub created_at: i64,
    /// UTC ms of the last change of state.
    pub updated_at: i64,
    /// UTC ms before which it is not to run.
    #[serde(default)]
    pub run_at: Option<i64>,
    /// The task that this one is a part of.
    #[serde(default)]
    pub parent: Option<TaskId>,
    #[serde(default)]
    children: Option<Ended>,
    #[serde(default)]
    attempts: Vec<Attempt>,
    /// Trace of the request that submitted it.
    #[serde(default)]
    pub trace_id: String,
}

const fn few() -> u32 {
    4
}

/// Of children: whether all have ended.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Ended {
    #[serde(default)]
    ended: Option<serde::de::IgnoredAny>,
}

impl TaskHead {
    /// Members of a record that it is read from.
    pub const MEMBERS: &'static [&'static str] = &[
        "owner",
        "pool",
        "priority",
        "running_at_once",
        "fingerprint",
        "state",
        "attempt",
        "created_at",
        "updated_at",
        "run_at",
        "parent",
        "children.ended",
        "attempts",
        "trace_id",
    ];

    /// Whether it waits, outside of the queue, for the end of its children.
    #[must_use]
    pub fn awaits_children(&self) -> bool {
        self.state == TaskState::Running && self.children.as_ref().is_some_and(|children| children.ended.is_none())
    }
}

/// What the queue keeps of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queued<'a> {
    /// Identity.
    pub id: TaskId,
    /// User id of the owner.
    pub owner: &'a str,
    /// The tier's priority.
    pub priority: u8,
    /// Tasks of the owner that may run at once.
    pub running_at_once: u32,
    /// UTC ms.
    pub created_at: i64,
    /// UTC ms before which it is not to run.
    pub run_at: Option<i64>,
    /// Trace of the request that submitted it.
    pub trace_id: &'a str,
}

impl<'a> From<&'a TaskRecord> for Queued<'a> {
    fn from(record: &'a TaskRecord) -> Self {
        let TaskRecord { id, owner, priority, running_at_once, created_at, run_at, trace_id, .. } = record;
        Self {
            id: *id,
            owner,
            priority: *priority,
            running_at_once: *running_at_once,
            created_at: *created_at,
            run_at: *run_at,
            trace_id,
        }
    }
}

impl<'a> From<&'a &'a TaskRecord> for Queued<'a> {
    fn from(record: &'a &'a TaskRecord) -> Self {
        Self::from(*record)
    }
}

impl<'a> From<&'a TaskHead> for Queued<'a> {
    fn from(head: &'a TaskHead) -> Self {
        let TaskHead { id, owner, priority, running_at_once, created_at, run_at, trace_id, .. } = head;
        Self {
            id: *id,
            owner,
            priority: *priority,
            running_at_once: *running_at_once,
            created_at: *created_at,
            run_at: *run_at,
            trace_id,
        }
    }
}
