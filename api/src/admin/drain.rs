//! `POST /api/admin/workers/{id}/drain`: lets a worker take no more tasks.

use super::view::worker_view;
use crate::answer::Json;
use crate::error::Problem;
use crate::input::WorkerPath;
use crate::state::Shared;
use axum::extract::State;
use axum::http::StatusCode;
use candlemill_shared::forms::WorkerView;

/// Let a worker take no more tasks
///
/// Within a second it takes no more; those under way end, or stop at the next page and go back into the queue, within its
/// `WORKER_GRACE_SECONDS`. The list of queues shows it as `draining`, then `drained`; its `/readyz` is 503 meanwhile. It goes on to
/// live until it is stopped, and never takes tasks again. Harmless for one that drains already.
#[utoipa::path(
    post, path = "/api/admin/workers/{id}/drain", operation_id = "drain_worker", tag = "operators",
    params(("id" = String, Path, description = "Worker id, as the list of queues shows it", example = "w-01M7XNTHJZRQADKJE7XMP2ABXV")),
    responses(
        (status = 202, description = "It is told; as it showed itself last", body = WorkerView),
        (status = 404, description = "`worker_not_found`: no such worker lives"),
    ),
    security(("admin" = []))
)]
pub async fn drain(
    State(state): State<Shared>,
    WorkerPath(id): WorkerPath,
) -> Result<(StatusCode, Json<WorkerView>), Problem> {
    let Some(heartbeat) = state.tasks.workers().drain(&id).await? else { return Err(Problem::no_such_worker()) };
    tracing::info!(worker = heartbeat.id, "a worker is told to drain");
    Ok((StatusCode::ACCEPTED, Json(worker_view(&heartbeat))))
}
