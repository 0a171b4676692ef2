//! Tasks, as their owners see them.

use crate::children::{ChildCounts, Children};
use crate::job::{JobRequest, JobResult};
use crate::schedule::ScheduleId;
use crate::task::{Attempt, Discarded, TaskError, TaskId, TaskRecord, TaskState};
use crate::tier::Tier;
use crate::timestamp::Timestamp;
use crate::webhook::{Webhook, WebhookState};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A task as its record has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskView {
    /// The task's id.
    pub task_id: TaskId,
    /// What kind of job.
    #[schema(example = "fetch_history")]
    pub kind: String,
    /// Where the task stands.
    pub state: TaskState,
    /// What was asked for, in the form of its kind.
    #[schema(value_type = JobRequest)]
    pub request: Value,
    /// The owner's tier at submission, or at the last replay.
    pub tier: Tier,
    /// Number of the newest attempt; 0 before the first.
    pub attempt: u32,
    /// The newest attempts.
    pub attempts: Vec<AttemptView>,
    /// Whether its owner asked it to stop.
    pub cancel_requested: bool,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When its record changed last.
    pub updated_at: Timestamp,
    /// Start of the first attempt; null before it.
    pub started_at: Option<Timestamp>,
    /// Null before the end.
    pub ended_at: Option<Timestamp>,
    /// Before this it does not run: as it was submitted, or because the last attempt failed.
    pub run_at: Option<Timestamp>,
    /// What it did, in the form of its kind; null before its first checkpoint. In lists without what may be large: of fetches
    /// the ranges and gaps.
    #[schema(value_type = Option<JobResult>)]
    pub result: Option<Value>,
    /// Why it failed; null when it did not.
    pub error: Option<TaskError>,
    /// Times that it was replayed.
    pub replays: u32,
    /// When it was replayed last; null when it was not.
    pub replayed_at: Option<Timestamp>,
    /// When and why its owner discarded it, dead; null when it was not discarded.
    pub discarded: Option<DiscardedView>,
    /// The task that this one is a part of; absent for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskId>,
    /// The schedule whose fire it is; absent for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_id: Option<ScheduleId>,
    /// The tasks that it consists of; absent for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub children: Option<ChildrenView>,
    /// Who is told of its end, and how far that is; null when nobody is.
    pub webhook: Option<WebhookView>,
    /// Trace of the request that submitted it: 32 hexadecimal digits.
    #[schema(pattern = "^[0-9a-f]{32}$", example = "4bf92f3577b34da6a3ce929d0e0e4736")]
    pub trace_id: String,
}

impl From<TaskRecord> for TaskView {
    fn from(record: TaskRecord) -> Self {
        let (request, result) = (record.request_view(), record.result_view());
        Self {
            task_id: record.id,
            request,
            result,
            kind: record.job.kind,
            state: record.state,
            tier: record.tier,
            attempt: record.attempt,
            attempts: record.attempts.into_iter().map(AttemptView::from).collect(),
            cancel_requested: record.cancel_requested,
            created_at: record.created_at.into(),
            updated_at: record.updated_at.into(),
            started_at: record.started_at.map(Timestamp::from),
            ended_at: record.ended_at.map(Timestamp::from),
            run_at: record.run_at.map(Timestamp::from),
            error: record.error,
            replays: record.dead_letter.replays,
            replayed_at: record.dead_letter.replayed_at.map(Timestamp::from),
            discarded: record.dead_letter.discarded.map(DiscardedView::from),
            parent: record.parent,
            schedule_id: record.schedule,
            children: record.children.as_ref().map(|children| ChildrenView::new(record.id, children)),
            webhook: record.webhook.map(WebhookView::from),
            trace_id: record.trace_id,
        }
    }
}

impl TaskView {
    /// As lists show it: what may be large of the result is left out, as it was read.
    #[must_use]
    pub fn in_list(record: TaskRecord) -> Self {
        let result = record.result_view_in_list();
        Self { result, ..record.into() }
    }
}

/// A page of tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskList {
    /// Newest first; children in the order of their parent's request.
    pub tasks: Vec<TaskView>,
    /// `cursor` of the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// One attempt at a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptView {
    /// 1 for the first.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// Null while it runs, and for ever when its worker was lost.
    pub ended_at: Option<Timestamp>,
    /// Why it ended without success; null where it did not.
    pub error: Option<TaskError>,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at.into(),
            ended_at: attempt.ended_at.map(Timestamp::from),
            error: attempt.error,
        }
    }
}

/// The tasks that a batch, or a large fetch, consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChildrenView {
    /// How many there are.
    pub total: u32,
    /// How many of them stand where. Null in lists as long as any is under way.
    pub states: Option<ChildCounts>,
    /// Where they are listed.
    #[schema(format = UriReference, example = "/api/tasks?parent=01JC5Y7V9N8B3M2K1H0G9F8E7D")]
    pub tasks_url: String,
}

impl ChildrenView {
    fn new(parent: TaskId, children: &Children) -> Self {
        let tasks_url = format!("/api/tasks?parent={parent}");
        Self { total: children.total, states: children.ended, tasks_url }
    }
}

/// A dead task that its owner has no use for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiscardedView {
    /// When it was discarded.
    pub at: Timestamp,
    /// Why, in the owner's words.
    pub reason: String,
}

impl From<Discarded> for DiscardedView {
    fn from(discarded: Discarded) -> Self {
        Self { at: discarded.at.into(), reason: discarded.reason }
    }
}

/// Who is told of the task's end, and how far that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookView {
    /// Where the message goes.
    #[schema(format = Uri)]
    pub url: String,
    /// Where the message stands.
    pub state: WebhookState,
    /// Tries of the message so far.
    pub attempts: u32,
    /// When it is tried next; null before the task has ended, and when there is no try to come.
    pub next_at: Option<Timestamp>,
    /// When it was accepted; null before.
    pub delivered_at: Option<Timestamp>,
    /// HTTP status of the receiver's last answer; null when it gave none.
    pub last_status: Option<u16>,
    /// Why the last try failed; null where it did not.
    pub last_error: Option<TaskError>,
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        Self {
            url: webhook.url,
            state: webhook.state,
            attempts: webhook.attempts,
            next_at: webhook.next_at.map(Timestamp::from),
            delivered_at: webhook.delivered_at.map(Timestamp::from),
            last_status: webhook.last_status,
            last_error: webhook.last_error,
        }
    }
}

/// The secret of the caller's webhooks.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct WebhookSecret {
    /// `whsec_` and the Base64 of the key. The caller's alone, and always the same.
    #[schema(pattern = "^whsec_", example = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")]
    pub secret: String,
}

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret")
    }
}
