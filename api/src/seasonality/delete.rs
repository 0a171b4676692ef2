//! `DELETE /api/seasonality/{id}`: deletes a study.

use super::no_such_study;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::TaskPath;
use crate::state::Shared;
use axum::extract::State;
use axum::http::StatusCode;
use candlemill_shared::task::TaskId;

/// Delete a study
///
/// Its charts and tables go too; the record of its task stays.
#[utoipa::path(
    delete, path = "/api/seasonality/{id}", operation_id = "delete_study", tag = "seasonality",
    params(("id" = TaskId, Path, description = "Id of the study's task")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "`study_not_found`: none of yours"),
    ),
    security(("bearer" = []))
)]
pub async fn delete_study(
    admitted: Admitted,
    State(state): State<Shared>,
    TaskPath(id): TaskPath,
) -> Result<StatusCode, Problem> {
    let deleted = state.market.studies().delete(&admitted.caller.user_id, &id.to_string()).await?;
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(no_such_study()) }
}
