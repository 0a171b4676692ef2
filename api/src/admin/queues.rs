//! `GET /api/admin/queues`: how every queue and worker is.

use super::view::{queue_view, worker_view};
use crate::answer::Json;
use crate::error::Problem;
use crate::state::Shared;
use axum::extract::State;
use candlemill_shared::forms::{QueueList, QueueView};
use candlemill_shared::job::Pool;
use candlemill_tasks::{Heartbeat, Paused};

/// Show every queue and worker
#[utoipa::path(
    get, path = "/api/admin/queues", operation_id = "list_queues", tag = "operators",
    responses((status = 200, description = "All queues, and the workers that live", body = QueueList)),
    security(("admin" = []))
)]
pub async fn queues(State(state): State<Shared>) -> Result<Json<QueueList>, Problem> {
    let heartbeats = state.tasks.workers().all().await?;
    let mut paused = state.tasks.pauses().all().await?;
    let mut queues = Vec::with_capacity(Pool::ALL.len());
    for pool in Pool::ALL {
        queues.push(view(&state, pool, paused.remove(&pool), &heartbeats).await?);
    }
    Ok(Json(QueueList { queues, workers: heartbeats.iter().map(worker_view).collect() }))
}

/// One pool's queue.
pub(super) async fn view(
    state: &Shared,
    pool: Pool,
    paused: Option<Paused>,
    heartbeats: &[Heartbeat],
) -> Result<QueueView, Problem> {
    let queue = state.tasks.queue(pool);
    let (depth, oldest) = (queue.depth().await?, queue.oldest_waiting().await?);
    Ok(queue_view(pool, depth, paused, oldest, heartbeats, state.clock.now_ms()))
}
