//! `POST /api/admin/queues/{pool}/pause` and `/resume`.

use super::QueueView;
use super::queues::view;
use crate::error::{Problem, ProblemDocument};
use crate::input::{MaybeBody, PoolPath};
use crate::state::Shared;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

/// Most characters of a reason.
const LONGEST_REASON: usize = 500;
/// Most characters of a name.
const LONGEST_NAME: usize = 100;
/// Who pauses where nobody says.
const SOMEBODY: &str = "an operator";

/// Who pauses, and why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PauseRequest {
    /// At most 500 characters; shown in the list.
    #[schema(example = "the exchange announced maintenance")]
    reason: Option<String>,
    /// At most 100 characters; shown in the list. `an operator` when absent.
    #[schema(example = "kim")]
    by: Option<String>,
}

/// Pauses a queue.
///
/// Workers take no more of its tasks from the answer on; what runs goes on to its end, and tasks are accepted and wait. The
/// pause outlives every restart, also of a Redis that lost its data, and ends by `resume` alone. Of a queue that is paused
/// already, the earlier time, name and reason stay.
#[utoipa::path(
    post, path = "/api/admin/queues/{pool}/pause", tag = "operators",
    request_body(content = Option<PauseRequest>, content_type = "application/json"),
    params(("pool" = String, Path, description = "`backfill`, `seasonality` or `maintenance`")),
    responses(
        (status = 200, description = "It is paused", body = QueueView),
        (status = 400, description = "`invalid_request`, `malformed_json`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "`missing_token`, `invalid_admin_token`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "`admin_disabled`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "`pool_not_found`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`: repeat it", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("admin" = []))
)]
pub async fn pause(
    State(state): State<Shared>,
    PoolPath(pool): PoolPath,
    MaybeBody(request): MaybeBody<PauseRequest>,
) -> Result<Json<QueueView>, Problem> {
    let mut wrong = Problem::invalid_request().detail("See errors for each field.");
    let mut read = |field: &str, text: Option<String>, most: usize| {
        let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if text.as_ref().is_some_and(|text| text.chars().count() > most) {
            wrong.refuse(field, format!("must have at most {most} characters"));
        }
        text
    };
    let reason = read("reason", request.reason, LONGEST_REASON);
    let by = read("by", request.by, LONGEST_NAME);
    if wrong.has_fields() {
        return Err(wrong);
    }
    let by = by.as_deref().unwrap_or(SOMEBODY);
    let paused = state.tasks.pauses().pause(pool, by, reason.as_deref(), state.clock.now_ms()).await?;
    tracing::info!(pool = pool.as_str(), by = paused.by, reason = paused.reason, "a queue is paused");
    let cards = state.tasks.workers().all().await?;
    Ok(Json(view(&state, pool, Some(paused), &cards).await?))
}

/// Resumes a queue.
///
/// Its tasks are taken again, by turns and ranks as if nothing had been. Harmless for a queue that is not paused.
#[utoipa::path(
    post, path = "/api/admin/queues/{pool}/resume", tag = "operators",
    params(("pool" = String, Path, description = "`backfill`, `seasonality` or `maintenance`")),
    responses(
        (status = 200, description = "It is not paused", body = QueueView),
        (status = 401, description = "`missing_token`, `invalid_admin_token`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "`admin_disabled`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "`pool_not_found`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`: repeat it", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("admin" = []))
)]
pub async fn resume(State(state): State<Shared>, PoolPath(pool): PoolPath) -> Result<Json<QueueView>, Problem> {
    state.tasks.pauses().resume(pool, state.clock.now_ms()).await?;
    tracing::info!(pool = pool.as_str(), "a queue is resumed");
    let cards = state.tasks.workers().all().await?;
    Ok(Json(view(&state, pool, None, &cards).await?))
}
