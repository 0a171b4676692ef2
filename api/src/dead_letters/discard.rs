//! `POST /api/dead-letters/{id}/discard`: puts a dead task aside for good.

use super::DeadLetterView;
use crate::caller::Admitted;
use crate::error::{Problem, ProblemDocument};
use crate::input::{Body, TaskPath};
use crate::state::Shared;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use candlemill_tasks::DiscardOutcome;
use serde::Deserialize;
use utoipa::ToSchema;

/// Most characters of a reason.
const LONGEST_REASON: usize = 500;

/// Why nobody needs the task any more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscardRequest {
    /// 1 to 500 characters; stays on the record.
    #[schema(example = "the symbol was delisted")]
    reason: String,
}

/// Discards a dead task.
///
/// It stays dead, is listed no more unless asked for, cannot be replayed, and is kept as long as other ended tasks.
/// Discarding it again changes nothing: the first reason stays.
#[utoipa::path(
    post, path = "/api/dead-letters/{id}/discard", tag = "dead letters", request_body = DiscardRequest,
    params(("id" = String, Path, description = "Task id")),
    responses(
        (status = 200, description = "It is discarded", body = DeadLetterView),
        (status = 400, description = "`invalid_request`, `malformed_json`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "`task_not_found`: none of yours", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`task_not_dead`", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub async fn discard(
    admitted: Admitted,
    State(state): State<Shared>,
    TaskPath(id): TaskPath,
    Body(request): Body<DiscardRequest>,
) -> Result<Json<DeadLetterView>, Problem> {
    let reason = request.reason.trim();
    if reason.is_empty() || reason.chars().count() > LONGEST_REASON {
        return Err(Problem::invalid_request()
            .detail("See errors for each field.")
            .field("reason", format!("must have 1 to {LONGEST_REASON} characters")));
    }
    match state.tasks.discard(id, &admitted.caller.user_id, reason).await? {
        DiscardOutcome::Discarded(record) => Ok(Json((*record).into())),
        DiscardOutcome::NotDead(record) => {
            Err(Problem::new(StatusCode::CONFLICT, "task_not_dead", "The task is not dead")
                .detail(format!("The task is {}; only dead ones are discarded.", record.state))
                .member("state", record.state.as_str()))
        }
        DiscardOutcome::NotFound => Err(Problem::no_such_task()),
    }
}
