//! What every call that submits a task does in the end.

use super::run_at::RunAt;
use crate::error::Problem;
use crate::state::AppState;
use crate::webhooks::WebhookRequest;
use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use candlemill_shared::job::Job;
use candlemill_shared::range::rfc3339;
use candlemill_shared::request::{MAX_IDEMPOTENCY_KEY, TaskRequest};
use candlemill_shared::task::{TaskId, TaskState};
use candlemill_shared::telemetry::TraceId;
use candlemill_tasks::{Grant, SubmitError};
use serde::Serialize;
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

/// What a call that submits a task was asked for.
pub(super) struct Submission<'a, J> {
    pub(super) job: &'a J,
    pub(super) run_at: RunAt,
    /// Who is told of the end.
    pub(super) webhook: Option<&'a WebhookRequest>,
    pub(super) trace: TraceId,
    pub(super) headers: &'a HeaderMap,
}

impl<J: Job> Submission<'_, J> {
    /// The request as the engine takes it.
    pub(super) fn request(self) -> Result<TaskRequest, Problem> {
        let request = TaskRequest::of(self.job).map_err(|error| Problem::internal(&error))?;
        Ok(TaskRequest {
            idempotency_key: idempotency_key(self.headers)?,
            run_at: self.run_at.asked(),
            webhook: self.webhook.map(|webhook| webhook.url.clone()),
            trace_id: Some(self.trace.to_string()),
            ..request
        })
    }
}

/// Submits it; the answer tells where it is watched.
pub(super) async fn submit(state: &AppState, grant: &Grant, request: &TaskRequest) -> Result<Accepted, Problem> {
    let submitted = state.service.submit(grant, request).await.map_err(|error| match error {
        SubmitError::TooManyTasks => state.tiers.too_many_jobs(grant.tier()).into(),
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

/// The header's key.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= MAX_IDEMPOTENCY_KEY && !key.contains('\t') => {
            Ok(Some(key.to_owned()))
        }
        _ => Err(Problem::invalid_request()
            .detail("See errors for each field.")
            .field("Idempotency-Key", format!("must be 1 to {MAX_IDEMPOTENCY_KEY} visible ASCII characters"))),
    }
}
