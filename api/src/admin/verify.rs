//! `POST /api/admin/market-data/verify` and `GET /api/admin/task/{id}`: tasks of the operators' own.

use crate::error::{Problem, ProblemDocument};
use crate::input::{Body, TaskPath};
use crate::market_data::fetch::FetchRequest;
use crate::market_data::submission::Accepted;
use crate::state::Shared;
use crate::task::TaskView;
use crate::task::show::view_of;
use crate::trace::Trace;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use candlemill_shared::job::FetchMode;
use candlemill_tasks::Grant;

/// Owner of the operators' tasks. Users have ids of Supabase, none of which is like that.
const OWNER: &str = "operator";

/// Compares stored candles with the exchange's.
///
/// As the users' call, with the limits of the highest tier. The task belongs to no user: `GET /api/admin/task/{id}` shows it.
#[utoipa::path(
    post, path = "/api/admin/market-data/verify", tag = "operators", request_body = FetchRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters; kept 24 h")),
    responses(
        (status = 202, description = "Accepted; `Location` names the task", body = Accepted),
        (status = 400, description = "`invalid_request`, `malformed_json`: what and where", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "`missing_token`, `invalid_admin_token`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "`admin_disabled`, `tier_limit`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`idempotency_conflict`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "`unknown_symbol`, `webhook_refused`, `webhooks_disabled`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`, `overloaded`: nothing was stored", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("admin" = []))
)]
pub async fn verify(
    State(state): State<Shared>,
    Trace(trace): Trace,
    headers: HeaderMap,
    Body(request): Body<FetchRequest>,
) -> Result<Accepted, Problem> {
    // Operators have the limits of the highest tier.
    let grant = Grant::of_operator(OWNER, state.clock.now_ms());
    Ok(request.accept(FetchMode::Verify, &state, &grant, trace, &headers).await?.of_operators())
}

/// A task of the operators, with its attempts and result.
#[utoipa::path(
    get, path = "/api/admin/task/{id}", tag = "operators", params(("id" = String, Path, description = "Task id")),
    responses(
        (status = 200, body = TaskView),
        (status = 401, description = "`missing_token`, `invalid_admin_token`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "`admin_disabled`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "`task_not_found`: none of the operators'", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("admin" = []))
)]
pub async fn task(State(state): State<Shared>, TaskPath(id): TaskPath) -> Result<Json<TaskView>, Problem> {
    view_of(&state, id, OWNER).await.map(Json)
}
