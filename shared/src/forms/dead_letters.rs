//! Dead letters: tasks that were given up.

use super::given::Given;
use super::number::{Flag, Number};
use super::task::{AttemptView, DiscardedView};
use crate::job::{JobPayload, JobResult};
use crate::task::{TaskError, TaskId, TaskRecord};
use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// A task that was given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterView {
    /// The task's id.
    pub task_id: TaskId,
    /// What kind of job.
    #[schema(example = "fetch_history")]
    pub kind: String,
    /// Version of the payload's form.
    pub payload_version: u32,
    /// The payload as it is stored, readable or not; of a batch, which may have thousands of fetches, its request in short.
    #[schema(value_type = JobPayload)]
    pub payload: Value,
    /// What it died of.
    pub cause: Option<TaskError>,
    /// Number of the newest attempt.
    pub attempt: u32,
    /// The newest attempts.
    pub attempts: Vec<AttemptView>,
    /// What it did before, without what may be large; a replay goes on from there.
    #[schema(value_type = Option<JobResult>)]
    pub result: Option<Value>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it died.
    pub died_at: Option<Timestamp>,
    /// Times that it was replayed.
    pub replays: u32,
    /// When it was replayed last; null when it was not.
    pub replayed_at: Option<Timestamp>,
    /// When and why it was discarded; null when it was not.
    pub discarded: Option<DiscardedView>,
}

impl From<TaskRecord> for DeadLetterView {
    fn from(record: TaskRecord) -> Self {
        Self {
            task_id: record.id,
            result: record.result_view_in_list(),
            kind: record.job.kind,
            payload_version: record.job.version,
            payload: record.request.unwrap_or(record.job.payload),
            cause: record.error,
            attempt: record.attempt,
            attempts: record.attempts.into_iter().map(AttemptView::from).collect(),
            created_at: record.created_at.into(),
            died_at: record.ended_at.map(Timestamp::from),
            replays: record.dead_letter.replays,
            replayed_at: record.dead_letter.replayed_at.map(Timestamp::from),
            discarded: record.dead_letter.discarded.map(DiscardedView::from),
        }
    }
}

/// How many tasks one page may have.
pub type PageLimit = Number<1, 200>;

/// Which dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeadLetterFilter {
    /// Only of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(example = "fetch_history")]
    pub kind: Option<String>,
    /// Only those that died of an error with this code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(example = "exchange_unavailable")]
    pub code: Option<String>,
    /// `true`: those that were discarded, in place of those that were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<bool>)]
    pub discarded: Option<Given<Flag>>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<TaskId>)]
    pub cursor: Option<Given<TaskId>>,
    /// Dead letters of this page; 50 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<PageLimit>, inline)]
    pub limit: Option<Given<PageLimit>>,
}

/// A page of dead letters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterList {
    /// The newest submission first.
    pub dead_letters: Vec<DeadLetterView>,
    /// `cursor` of the next page; null at the end.
    pub next_cursor: Option<TaskId>,
}

/// Most tasks that one call replays.
pub const MAX_REPLAYS: usize = 100;

/// Which tasks are replayed: either `task_ids`, or `all` with filters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"all": true, "code": "exchange_unavailable"}))]
pub struct ReplayRequest {
    /// These, dead or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<TaskId>>, min_items = 1, max_items = 100)]
    pub task_ids: Option<Given<Vec<Given<TaskId>>>>,
    /// All dead ones that were not discarded, newest first, 100 a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<bool>)]
    pub all: Option<Given<bool>>,
    /// Of all: only of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub kind: Option<Given<String>>,
    /// Of all: only those that died of an error with this code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub code: Option<Given<String>>,
    /// Of all: `next_cursor` of the call before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TaskId>)]
    pub cursor: Option<Given<TaskId>>,
}

impl ReplayRequest {
    /// These tasks, at most [`MAX_REPLAYS`].
    #[must_use]
    pub fn of_tasks(ids: Vec<TaskId>) -> Self {
        let ids: Vec<Given<TaskId>> = ids.into_iter().map(Given::from).collect();
        Self { task_ids: Some(ids.into()), ..Self::default() }
    }

    /// All dead ones, the newest first; `after`: those that the call before left.
    #[must_use]
    pub fn all(after: Option<TaskId>) -> Self {
        Self { all: Some(true.into()), cursor: after.map(Given::from), ..Self::default() }
    }
}

/// What was replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Replayed {
    /// How many.
    pub replayed: usize,
    /// Which.
    pub task_ids: Vec<TaskId>,
    /// Those that were not, and why.
    pub refused: Vec<RefusedReplay>,
    /// Whether dead ones are left that this call did not come to.
    pub more: bool,
    /// `cursor` of a call that goes on with those; null when there are none.
    pub next_cursor: Option<TaskId>,
}

/// A task that was not replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedReplay {
    /// The task's id.
    pub task_id: TaskId,
    /// Why: code of the problem that replaying it alone answers.
    #[schema(example = "task_not_replayable")]
    pub code: String,
    /// The same in words.
    pub detail: String,
}

/// Most characters of a reason.
pub const MAX_REASON: usize = 500;

/// Why nobody needs a dead task any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "the symbol was delisted"}))]
pub struct DiscardRequest {
    /// Stays on the record; not of white space alone.
    #[schema(required, value_type = String, min_length = 1, max_length = 500, pattern = r"\S")]
    pub reason: Option<Given<String>>,
}

impl DiscardRequest {
    /// For this reason, of 1 to [`MAX_REASON`] characters.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into().into()) }
    }
}
