//! `DELETE /api/task/{id}`: cancels a task.

use super::TaskView;
use crate::caller::Admitted;
use crate::error::{Problem, ProblemDocument};
use crate::input::TaskPath;
use crate::state::Shared;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use candlemill_tasks::CancelOutcome;

/// Cancels a queued task at once, and a running one within one page. What was stored stays.
#[utoipa::path(
    delete, path = "/api/task/{id}", tag = "tasks", params(("id" = String, Path, description = "Task id")),
    responses(
        (status = 200, description = "It waited and is cancelled now", body = TaskView),
        (status = 202, description = "It runs and is told to stop", body = TaskView),
        (status = 404, description = "`task_not_found`: none of yours", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`task_ended`: nothing to cancel", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub async fn cancel(
    admitted: Admitted,
    State(state): State<Shared>,
    TaskPath(id): TaskPath,
) -> Result<(StatusCode, Json<TaskView>), Problem> {
    match state.tasks.cancel(id, &admitted.caller.user_id).await? {
        CancelOutcome::Cancelled(record) => Ok((StatusCode::OK, Json((*record).into()))),
        CancelOutcome::Requested(record) => Ok((StatusCode::ACCEPTED, Json((*record).into()))),
        CancelOutcome::AlreadyEnded(record) => {
            Err(Problem::new(StatusCode::CONFLICT, "task_ended", "The task has ended")
                .detail(format!("The task is {} already; there is nothing to cancel.", record.state))
                .member("state", record.state.as_str()))
        }
        CancelOutcome::NotFound => Err(Problem::no_such_task()),
    }
}
