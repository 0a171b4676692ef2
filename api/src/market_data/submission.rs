//! What every call that submits a task does in the end.

use super::run_at::RunAt;
use crate::answer::Json;
use crate::error::Problem;
use crate::state::AppState;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use candlemill_shared::Timestamp;
use candlemill_shared::forms::{Accepted, WebhookRequest};
use candlemill_shared::job::{Job, Listings};
use candlemill_shared::request::{MAX_IDEMPOTENCY_KEY, TaskRequest};
use candlemill_shared::telemetry::TraceId;
use candlemill_tasks::{Grant, SubmitError};

/// The answer about an accepted task, and where its record is.
#[derive(Debug)]
pub struct Submitted {
    accepted: Accepted,
    location: String,
}

impl Submitted {
    /// Operators see their tasks elsewhere.
    pub(crate) fn of_operators(self) -> Self {
        let location = format!("/api/admin/task/{}", self.accepted.task_id);
        Self { accepted: Accepted { progress_url: location.clone(), events_url: None, ..self.accepted }, location }
    }
}

impl IntoResponse for Submitted {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, [(header::LOCATION, self.location)], Json(self.accepted)).into_response()
    }
}

/// What a call that submits a task was asked for.
pub(crate) struct Submission<'a, J> {
    pub(crate) job: &'a J,
    pub(crate) run_at: RunAt,
    /// Who is told of the end.
    pub(crate) webhook: Option<WebhookRequest>,
    pub(crate) trace: TraceId,
    pub(crate) headers: &'a HeaderMap,
}

impl<J: Job> Submission<'_, J> {
    /// The request as the engine takes it.
    pub(crate) fn request(self) -> Result<TaskRequest, Problem> {
        let request = TaskRequest::of(self.job).map_err(|error| Problem::internal(&error))?;
        Ok(TaskRequest {
            idempotency_key: idempotency_key(self.headers)?,
            run_at: self.run_at.asked(),
            webhook: self.webhook.map(|webhook| webhook.url),
            trace_id: Some(self.trace.to_string()),
            ..request
        })
    }
}

/// Submits it; the answer tells where it is watched.
pub(crate) async fn submit(
    state: &AppState,
    grant: &Grant,
    request: &TaskRequest,
    listings: &Listings,
) -> Result<Submitted, Problem> {
    let submitted = state.service.submit(grant, request, listings).await.map_err(|error| match error {
        SubmitError::TooManyTasks => state.tiers.too_many_jobs(grant.tier()).into(),
        other => Problem::from(other),
    })?;
    Ok(of_submitted(state, submitted))
}

/// The answer about what the engine has accepted.
pub(crate) fn of_submitted(state: &AppState, submitted: candlemill_tasks::Submitted) -> Submitted {
    state.metrics.submitted(submitted.created);
    let (id, record) = (submitted.record.id, submitted.record);
    Submitted {
        accepted: Accepted {
            task_id: id,
            status: record.state,
            created: submitted.created,
            created_at: record.created_at.into(),
            run_at: record.run_at.map(Timestamp::from),
            progress_url: format!("/api/task/{id}/progress"),
            events_url: Some(format!("/api/task/{id}/events")),
        },
        location: format!("/api/task/{id}"),
    }
}

/// The header's key.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= MAX_IDEMPOTENCY_KEY && !key.contains('\t') => {
            Ok(Some(key.to_owned()))
        }
        _ => Err(Problem::invalid_request()
            .detail("The header Idempotency-Key is wrong.")
            .field("Idempotency-Key", format!("must be 1 to {MAX_IDEMPOTENCY_KEY} visible ASCII characters"))),
    }
}
