//! `GET /api/task/{id}`: the durable record, from MongoDB.

use super::TaskView;
use crate::caller::Admitted;
use crate::error::{Problem, ProblemDocument};
use crate::input::TaskPath;
use crate::state::{AppState, Shared};
use axum::Json;
use axum::extract::State;
use candlemill_shared::task::TaskId;

/// A task with its attempts and result.
#[utoipa::path(
    get, path = "/api/task/{id}", tag = "tasks", params(("id" = String, Path, description = "Task id")),
    responses(
        (status = 200, body = TaskView),
        (status = 404, description = "`task_not_found`: none of yours", body = ProblemDocument, content_type = "application/problem+json"),
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
