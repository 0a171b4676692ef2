//! What every call that submits a task does in the end.

use crate::auth::Caller;
use crate::error::Problem;
use crate::state::AppState;
use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use candlemill_shared::job::{Envelope, FetchHistory, Job};
use candlemill_shared::range::rfc3339;
use candlemill_shared::task::{DeadLetter, TaskId, TaskRecord, TaskState};
use candlemill_shared::telemetry::TraceId;
use candlemill_shared::webhook::Webhook;
use candlemill_tasks::SubmitError;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// An accepted task.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// The task's id.
    #[schema(value_type = String, example = "01JC5Y7V9N8B3M2K1H0G9F8E7D")]
    task_id: TaskId,
    /// Where the task stands.
    #[schema(value_type = String, example = "queued")]
    status: TaskState,
    /// Whether this request created the task, rather than an earlier one like it.
    created: bool,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339; before this it does not run. Null: as soon as it can.
    run_at: Option<String>,
    /// Where its progress is.
    progress_url: String,
    /// Where its progress is streamed; null for operators' tasks.
    events_url: Option<String>,
    /// Where its record is.
    #[serde(skip)]
    location: String,
}

impl Accepted {
    /// Operators see their tasks elsewhere.
    pub(crate) fn of_operators(self) -> Self {
        let location = format!("/api/admin/task/{}", self.task_id);
        Self { progress_url: location.clone(), events_url: None, location, ..self }
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, [(header::LOCATION, self.location.clone())], Json(self)).into_response()
    }
}

/// A task as it was asked for.
pub(super) struct Submission {
    pub(super) job: Envelope,
    /// Equal for equal requests of one owner.
    pub(super) fingerprint: String,
    /// UTC ms.
    pub(super) run_at: Option<i64>,
    /// As [`idempotency`] reads it.
    pub(super) idempotency: Option<String>,
    /// Who is told of the end.
    pub(super) webhook: Option<Webhook>,
}

impl Submission {
    /// Stores and queues it for `caller`; the answer tells where it is watched.
    pub(super) async fn submit(
        self,
        state: &AppState,
        caller: &Caller,
        trace: TraceId,
        now: i64,
    ) -> Result<Accepted, Problem> {
        let limits = state.tiers.of(caller.tier);
        let record = TaskRecord {
            id: TaskId::new(now),
            owner: caller.user_id.to_string(),
            tier: caller.tier,
            pool: FetchHistory::POOL,
            priority: limits.priority,
            running_at_once: limits.running_at_once,
            job: self.job,
            fingerprint: self.fingerprint,
            idempotency: self.idempotency,
            state: TaskState::Queued,
            attempt: 0,
            attempts: Vec::new(),
            cancel_requested: false,
            created_at: now,
            updated_at: now,
            started_at: None,
            ended_at: None,
            run_at: self.run_at,
            result: None,
            error: None,
            dead_letter: DeadLetter::default(),
            parent: None,
            children: None,
            webhook: self.webhook,
            trace_id: trace.to_string(),
        };
        let submitted = state.submissions.submit(record, limits.jobs_at_once).await.map_err(|error| match error {
            SubmitError::TooManyJobs => state.tiers.too_many_jobs(caller.tier).into(),
            other => Problem::from(other),
        })?;
        state.metrics.submitted(submitted.created);
        let (id, record) = (submitted.record.id, submitted.record);
        Ok(Accepted {
            task_id: id,
            status: record.state,
            created: submitted.created,
            created_at: rfc3339(record.created_at),
            run_at: record.run_at.map(rfc3339),
            progress_url: format!("/api/task/{id}/progress"),
            events_url: Some(format!("/api/task/{id}/events")),
            location: format!("/api/task/{id}"),
        })
    }
}

/// Longest `Idempotency-Key`.
const LONGEST_KEY: usize = 255;

/// The header's key, as the record keeps it.
pub(super) fn idempotency(headers: &HeaderMap, owner: &str) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= LONGEST_KEY => {
            Ok(Some(hex::encode(Sha256::digest(format!("{owner}\n{key}")))))
        }
        _ => Err(Problem::invalid_request()
            .detail("See errors for each field.")
            .field("Idempotency-Key", format!("must be 1 to {LONGEST_KEY} visible ASCII characters"))),
    }
}
