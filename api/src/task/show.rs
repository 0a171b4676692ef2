//! `GET /api/task/{id}`: the durable record, from MongoDB.

use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::TaskPath;
use crate::state::{AppState, Shared};
use axum::extract::State;
use candlemill_shared::forms::TaskView;
use candlemill_shared::task::TaskId;

/// Show a task: its attempts, result and error
#[utoipa::path(
    get, path = "/api/task/{id}", operation_id = "show_task", tag = "tasks", params(("id" = TaskId, Path, description = "Task id")),
    responses(
        (status = 200, description = "The task", body = TaskView),
        (status = 404, description = "`task_not_found`: none of yours"),
    ),
    security(("bearer" = []))
)]
pub async fn show(
    admitted: Admitted,
    State(state): State<Shared>,
    TaskPath(id): TaskPath,
) -> Result<Json<TaskView>, Problem> {
    view_of(&state, id, &admitted.caller.user_id).await.map(Json)
}

/// `owner`'s task.
pub(crate) async fn view_of(state: &AppState, id: TaskId, owner: &str) -> Result<TaskView, Problem> {
    let record = state.tasks.records().get(id).await?;
    let own = record.filter(|record| record.owner == owner);
    let record = own.ok_or_else(Problem::no_such_task)?;
    let states = state.tasks.child_counts(&record).await?;
    let mut view = TaskView::from(record);
    if let Some(children) = &mut view.children {
        children.states = states;
    }
    Ok(view)
}
