//! `POST /api/admin/queues/{pool}/pause` and `/resume`.

use super::queues::view;
use crate::answer::Json;
use crate::error::Problem;
use crate::input::{MaybeBody, PoolPath};
use crate::state::Shared;
use axum::extract::State;
use candlemill_shared::forms::{FieldErrors, Given, MAX_NAME, MAX_REASON, PauseRequest, QueueView};
use candlemill_shared::job::Pool;

/// Who pauses where nobody says.
const SOMEBODY: &str = "an operator";

/// Pause a queue
///
/// Workers take no more of its tasks from the answer on; what runs goes on to its end, and tasks are accepted and wait. The
/// pause outlives every restart, also of a Redis that lost its data, and ends by `resume` alone. Of a queue that is paused
/// already, the earlier time, name and reason stay.
#[utoipa::path(
    post, path = "/api/admin/queues/{pool}/pause", operation_id = "pause_queue", tag = "operators",
    request_body(content = Option<PauseRequest>, content_type = "application/json"),
    params(("pool" = Pool, Path, description = "Name of the queue")),
    responses(
        (status = 200, description = "It is paused", body = QueueView),
        (status = 404, description = "`pool_not_found`"),
    ),
    security(("admin" = []))
)]
pub async fn pause(
    State(state): State<Shared>,
    PoolPath(pool): PoolPath,
    MaybeBody(request): MaybeBody<PauseRequest>,
) -> Result<Json<QueueView>, Problem> {
    let mut wrong = FieldErrors::default();
    let mut read = |field: &str, given: Option<Given<String>>, most: usize| {
        let text = wrong.optional(field, given).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if text.as_ref().is_some_and(|text| text.chars().count() > most) {
            wrong.refuse(field, format!("must have at most {most} characters"));
        }
        text
    };
    let reason = read("reason", request.reason, MAX_REASON);
    let by = read("by", request.by, MAX_NAME);
    if !wrong.is_empty() {
        return Err(Problem::of_fields(wrong));
    }
    let by = by.as_deref().unwrap_or(SOMEBODY);
    let paused = state.tasks.pauses().pause(pool, by, reason.as_deref(), state.clock.now_ms()).await?;
    tracing::info!(pool = pool.as_str(), by = paused.by, reason = paused.reason, "a queue is paused");
    let heartbeats = state.tasks.workers().all().await?;
    Ok(Json(view(&state, pool, Some(paused), &heartbeats).await?))
}

/// Resume a queue
///
/// Its tasks are taken again, by turns and ranks as if nothing had been. Harmless for a queue that is not paused.
#[utoipa::path(
    post, path = "/api/admin/queues/{pool}/resume", operation_id = "resume_queue", tag = "operators",
    params(("pool" = Pool, Path, description = "Name of the queue")),
    responses(
        (status = 200, description = "It is not paused", body = QueueView),
        (status = 404, description = "`pool_not_found`"),
    ),
    security(("admin" = []))
)]
pub async fn resume(State(state): State<Shared>, PoolPath(pool): PoolPath) -> Result<Json<QueueView>, Problem> {
    state.tasks.pauses().resume(pool, state.clock.now_ms()).await?;
    tracing::info!(pool = pool.as_str(), "a queue is resumed");
    let heartbeats = state.tasks.workers().all().await?;
    Ok(Json(view(&state, pool, None, &heartbeats).await?))
}
