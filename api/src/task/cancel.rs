//! `DELETE /api/task/{id}`: cancels a task.

use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::TaskPath;
use crate::state::Shared;
use axum::extract::State;
use axum::http::StatusCode;
use candlemill_shared::forms::TaskView;
use candlemill_shared::task::TaskId;
use candlemill_tasks::CancelOutcome;

/// Cancel a task
///
/// One that waits ends at once, one that runs within one page. What was stored stays.
#[utoipa::path(
    delete, path = "/api/task/{id}", operation_id = "cancel_task", tag = "tasks", params(("id" = TaskId, Path, description = "Task id")),
    responses(
        (status = 200, description = "It waited and is cancelled now", body = TaskView),
        (status = 202, description = "It runs and is told to stop", body = TaskView),
        (status = 404, description = "`task_not_found`: none of yours"),
        (status = 409, description = "`task_ended`: nothing to cancel"),
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
