//! `POST /api/dead-letters/{id}/discard`: puts a dead task aside for good.

use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::{Body, TaskPath};
use crate::state::Shared;
use axum::extract::State;
use axum::http::StatusCode;
use candlemill_shared::forms::{DeadLetterView, DiscardRequest, FieldErrors, MAX_REASON};
use candlemill_shared::task::TaskId;
use candlemill_tasks::DiscardOutcome;

/// Discard a dead task
///
/// It stays dead, is listed no more unless asked for, cannot be replayed, and is kept as long as other ended tasks.
/// Discarding it again changes nothing: the first reason stays.
#[utoipa::path(
    post, path = "/api/dead-letters/{id}/discard", operation_id = "discard_dead_letter", tag = "dead letters",
    request_body = DiscardRequest, params(("id" = TaskId, Path, description = "Task id")),
    responses(
        (status = 200, description = "It is discarded", body = DeadLetterView),
        (status = 404, description = "`task_not_found`: none of yours"),
        (status = 409, description = "`task_not_dead`"),
    ),
    security(("bearer" = []))
)]
pub async fn discard(
    admitted: Admitted,
    State(state): State<Shared>,
    TaskPath(id): TaskPath,
    Body(request): Body<DiscardRequest>,
) -> Result<Json<DeadLetterView>, Problem> {
    let mut wrong = FieldErrors::default();
    let reason = wrong.required("reason", request.reason).map(|reason| reason.trim().to_owned());
    if reason.as_ref().is_some_and(|reason| reason.is_empty() || reason.chars().count() > MAX_REASON) {
        wrong.refuse("reason", format!("must have 1 to {MAX_REASON} characters"));
    }
    let Some(reason) = reason.filter(|_| wrong.is_empty()) else { return Err(Problem::of_fields(wrong)) };
    match state.tasks.discard(id, &admitted.caller.user_id, &reason).await? {
        DiscardOutcome::Discarded(record) => Ok(Json((*record).into())),
        DiscardOutcome::NotDead(record) => {
            Err(Problem::new(StatusCode::CONFLICT, "task_not_dead", "The task is not dead")
                .detail(format!("The task is {}; only dead ones are discarded.", record.state))
                .member("state", record.state.as_str()))
        }
        DiscardOutcome::NotFound => Err(Problem::no_such_task()),
    }
}
