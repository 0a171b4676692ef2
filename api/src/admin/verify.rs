//! `POST /api/admin/market-data/verify` and `GET /api/admin/task/{id}`: tasks of the operators' own.

use crate::answer::Json;
use crate::error::Problem;
use crate::input::{Body, TaskPath};
use crate::market_data::fetch::accept;
use crate::market_data::submission::Submitted;
use crate::state::Shared;
use crate::task::show::view_of;
use crate::trace::Trace;
use axum::extract::State;
use axum::http::HeaderMap;
use candlemill_shared::forms::{Accepted, FetchRequest, TaskView};
use candlemill_shared::job::FetchMode;
use candlemill_shared::task::TaskId;
use candlemill_tasks::Grant;

/// Owner of the operators' tasks. Users have ids of Supabase, none of which is like that.
const OWNER: &str = "operator";

/// Compare stored candles with the exchange's
///
/// As the users' call, with the limits of the highest tier. The task belongs to no user: `GET /api/admin/task/{id}` shows it.
#[utoipa::path(
    post, path = "/api/admin/market-data/verify", operation_id = "submit_operators_verification", tag = "operators",
    request_body = FetchRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated submission the same task, for 24 hours",
        min_length = 1, max_length = 255)),
    responses(
        (status = 202, description = "Accepted", body = Accepted, headers(("Location" = String, description = "The task's record"))),
        (status = 403, description = "`tier_limit`"),
        (status = 409, description = "`idempotency_conflict`"),
        (status = 422, description = "`unknown_symbol`, `webhook_refused`, `webhooks_disabled`"),
    ),
    security(("admin" = []))
)]
pub async fn verify(
    State(state): State<Shared>,
    Trace(trace): Trace,
    headers: HeaderMap,
    Body(request): Body<FetchRequest>,
) -> Result<Submitted, Problem> {
    // Operators have the limits of the highest tier.
    let grant = Grant::of_operator(OWNER, state.clock.now_ms());
    Ok(accept(request, FetchMode::Verify, &state, &grant, trace, &headers).await?.of_operators())
}

/// Show a task of the operators
#[utoipa::path(
    get, path = "/api/admin/task/{id}", operation_id = "show_operators_task", tag = "operators",
    params(("id" = TaskId, Path, description = "Task id")),
    responses(
        (status = 200, description = "The task", body = TaskView),
        (status = 404, description = "`task_not_found`: none of the operators'"),
    ),
    security(("admin" = []))
)]
pub async fn task(State(state): State<Shared>, TaskPath(id): TaskPath) -> Result<Json<TaskView>, Problem> {
    view_of(&state, id, OWNER).await.map(Json)
}
