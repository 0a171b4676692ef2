//! `GET /api/admin/queues`: how every queue and worker is.

use super::{QueueView, WorkerView};
use crate::error::{Problem, ProblemDocument};
use crate::state::Shared;
use axum::Json;
use axum::extract::State;
use candlemill_shared::job::Pool;
use candlemill_tasks::{Heartbeat, Paused};
use serde::Serialize;
use utoipa::ToSchema;

/// All queues and workers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Queues {
    /// One for each pool.
    queues: Vec<QueueView>,
    /// The workers that live, the oldest first.
    workers: Vec<WorkerView>,
}

/// How every queue and worker is.
#[utoipa::path(
    get, path = "/api/admin/queues", tag = "operators",
    responses(
        (status = 200, body = Queues),
        (status = 401, description = "`missing_token`, `invalid_admin_token`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "`admin_disabled`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("admin" = []))
)]
pub async fn queues(State(state): State<Shared>) -> Result<Json<Queues>, Problem> {
    let cards = state.tasks.workers().all().await?;
    let mut paused = state.tasks.pauses().all().await?;
    let mut queues = Vec::with_capacity(Pool::ALL.len());
    for pool in Pool::ALL {
        queues.push(view(&state, pool, paused.remove(&pool), &cards).await?);
    }
    Ok(Json(Queues { queues, workers: cards.iter().map(WorkerView::from).collect() }))
}

/// One pool's queue.
pub(super) async fn view(
    state: &Shared,
    pool: Pool,
    paused: Option<Paused>,
    cards: &[Heartbeat],
) -> Result<QueueView, Problem> {
    let queue = state.tasks.queue(pool);
    let (depth, oldest) = (queue.depth().await?, queue.oldest_waiting().await?);
    Ok(QueueView::new(pool, depth, paused, oldest, cards, state.clock.now_ms()))
}
