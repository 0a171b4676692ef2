//! How tasks and their progress look from outside.

use crate::webhooks::WebhookView;
use candlemill_shared::children::{ChildCounts, Children};
use candlemill_shared::figures::Figures;
use candlemill_shared::progress::Progress;
use candlemill_shared::range::rfc3339;
use candlemill_shared::task::{Attempt, Discarded, TaskError, TaskId, TaskRecord};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// How far a task is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressView {
    /// The task's id.
    pub task_id: String,
    /// queued, running, retrying, succeeded, failed, cancelled or dead.
    #[schema(example = "running")]
    pub state: &'static str,
    /// Share done, 0 to 100, one decimal.
    #[schema(example = 42.5)]
    pub percent: f64,
    /// Units done.
    pub done: u64,
    /// Units in all; 0 before the task is planned.
    pub total: u64,
    /// What the units are: `pages` of a fetch.
    #[schema(example = "pages")]
    pub unit: String,
    /// What is being done; null where the kind has no stages.
    pub stage: Option<String>,
    /// Counts of the kind. Of a fetch: `pages_done` and `pages_total`, as `done` and `total`; `candles_stored`: candles newly
    /// stored; `duplicates`: candles that were stored before.
    #[serde(flatten)]
    pub details: BTreeMap<String, u64>,
    /// What the kind counts (of a fetch: candles) per second since this attempt began; at the end on average over the whole task.
    pub rate: f64,
    /// Seconds left at that rate; null while unknown and at the end.
    pub eta_seconds: Option<f64>,
    /// Number of the attempt.
    pub attempt: u32,
    /// RFC 3339; null before the first attempt.
    pub started_at: Option<String>,
    /// RFC 3339, of this snapshot.
    pub updated_at: String,
    /// Why the last attempt failed; absent when it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub error: Option<TaskError>,
}

/// Unit of fetches, which have had members of their own since before there were units.
const PAGES: &str = "pages";

impl From<Progress> for ProgressView {
    fn from(progress: Progress) -> Self {
        let Figures { done, total, mut details } = progress.figures;
        if progress.unit == PAGES {
            details.insert("pages_done".to_owned(), done);
            details.insert("pages_total".to_owned(), total);
            for name in ["candles_stored", "duplicates"] {
                details.entry(name.to_owned()).or_default();
            }
        }
        Self {
            task_id: progress.task_id.to_string(),
            state: progress.state.as_str(),
            percent: progress.percent,
            done,
            total,
            unit: progress.unit,
            stage: progress.stage,
            details,
            rate: progress.rate,
            eta_seconds: progress.eta_seconds,
            attempt: progress.attempt,
            started_at: progress.started_at.map(rfc3339),
            updated_at: rfc3339(progress.updated_at),
            error: progress.error,
        }
    }
}

/// A task as its record has it.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskView {
    /// The task's id.
    pub task_id: String,
    /// What kind of job.
    #[schema(example = "fetch_history")]
    pub kind: String,
    /// queued, running, retrying, succeeded, failed, cancelled or dead.
    #[schema(example = "succeeded")]
    pub state: &'static str,
    /// What was asked for: exchange, symbol, interval, start and end; of a verification also `mode`: `verify`.
    pub request: Value,
    /// The owner's tier at submission.
    pub tier: &'static str,
    /// Number of the newest attempt.
    pub attempt: u32,
    /// The newest attempts: number, times, and the error of those that failed.
    pub attempts: Vec<Value>,
    /// Whether its owner asked it to stop.
    pub cancel_requested: bool,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
    /// RFC 3339; null before the first attempt.
    pub started_at: Option<String>,
    /// RFC 3339; null before the end.
    pub ended_at: Option<String>,
    /// RFC 3339; before this it does not run: as it was submitted, or because the last attempt failed.
    pub run_at: Option<String>,
    /// What it did; in lists without what may be large (of fetches: ranges and gaps). Of a fetch: inserted, duplicate, restated, rejected, pages, calls, weight, retries, range, ranges, gaps, duration; of a
    /// verification also reopened and `checked_until`.
    pub result: Option<Value>,
    /// Why it failed.
    #[schema(value_type = Option<Object>)]
    pub error: Option<TaskError>,
    /// Times that it was replayed.
    pub replays: u32,
    /// RFC 3339 of the last replay; null when there was none.
    pub replayed_at: Option<String>,
    /// When and why its owner discarded it, dead; null when he did not.
    pub discarded: Option<DiscardedView>,
    /// The task that this one is a part of; absent for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The tasks that it consists of; absent for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub children: Option<ChildrenView>,
    /// Who is told of its end, and how far that is; null when nobody is.
    pub webhook: Option<WebhookView>,
    /// Trace of the request that submitted it.
    pub trace_id: String,
}

impl From<TaskRecord> for TaskView {
    fn from(record: TaskRecord) -> Self {
        Self {
            task_id: record.id.to_string(),
            request: request(&record),
            result: result(&record),
            kind: record.job.kind,
            state: record.state.as_str(),
            tier: record.tier.as_str(),
            attempt: record.attempt,
            attempts: record.attempts.iter().map(attempt).collect(),
            cancel_requested: record.cancel_requested,
            created_at: rfc3339(record.created_at),
            updated_at: rfc3339(record.updated_at),
            started_at: record.started_at.map(rfc3339),
            ended_at: record.ended_at.map(rfc3339),
            run_at: record.run_at.map(rfc3339),
            error: record.error,
            replays: record.dead_letter.replays,
            replayed_at: record.dead_letter.replayed_at.map(rfc3339),
            discarded: record.dead_letter.discarded.map(DiscardedView::from),
            parent: record.parent.map(|parent| parent.to_string()),
            children: record.children.as_ref().map(|children| ChildrenView::new(record.id, children)),
            webhook: record.webhook.map(WebhookView::from),
            trace_id: record.trace_id,
        }
    }
}

impl TaskView {
    /// As lists show it: what may be large of the result is left out, as it was read.
    pub(crate) fn in_list(record: TaskRecord) -> Self {
        let result = result_in_list(&record);
        Self { result, ..record.into() }
    }
}

/// The tasks that a batch, or a large fetch, consists of.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChildrenView {
    /// How many there are.
    pub total: u32,
    /// How many of them stand where: queued, running, retrying, succeeded, failed, cancelled, dead. Null in lists as long
    /// as any is under way.
    #[schema(value_type = Option<Object>)]
    pub states: Option<ChildCounts>,
    /// Where they are listed.
    pub tasks_url: String,
}

impl ChildrenView {
    fn new(parent: TaskId, children: &Children) -> Self {
        let tasks_url = format!("/api/tasks?parent={parent}");
        Self { total: children.total, states: children.ended, tasks_url }
    }
}

/// A dead task that its owner has no use for.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiscardedView {
    /// RFC 3339.
    pub at: String,
    /// Why, in the owner's words.
    pub reason: String,
}

impl From<Discarded> for DiscardedView {
    fn from(discarded: Discarded) -> Self {
        Self { at: rfc3339(discarded.at), reason: discarded.reason }
    }
}

/// The job as it was asked for; a batch in short. What cannot be read is shown as it is stored.
fn request(record: &TaskRecord) -> Value {
    match (&record.request, record.kind()) {
        (Some(kept), _) => kept.clone(),
        (None, Some(kind)) => kind.request(&record.job),
        (None, None) => record.job.payload.clone(),
    }
}

pub(crate) fn attempt(attempt: &Attempt) -> Value {
    json!({
        "number": attempt.number,
        "started_at": rfc3339(attempt.started_at),
        "ended_at": attempt.ended_at.map(rfc3339),
        "error": attempt.error,
    })
}

/// What the task did, in the form of today.
pub(crate) fn result(record: &TaskRecord) -> Option<Value> {
    let stored = record.result.as_ref()?;
    Some(record.kind().map_or_else(|| stored.clone(), |kind| kind.result_of_today(stored)))
}

/// The same without what may be large.
pub(crate) fn result_in_list(record: &TaskRecord) -> Option<Value> {
    let mut result = result(record)?;
    if let Value::Object(members) = &mut result {
        for large in record.kind().map_or(&[][..], |kind| kind.large_result) {
            members.remove(*large);
        }
    }
    Some(result)
}
