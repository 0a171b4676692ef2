//! `GET /api/schedules/{id}`: a schedule.

use super::no_such_schedule;
use super::owner::view;
use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::SchedulePath;
use crate::state::Shared;
use axum::extract::State;
use candlemill_shared::forms::ScheduleView;
use candlemill_shared::schedule::ScheduleId;

/// Show a schedule
#[utoipa::path(
    get, path = "/api/schedules/{id}", operation_id = "show_schedule", tag = "schedules",
    params(("id" = ScheduleId, Path, description = "Id of the schedule")),
    responses(
        (status = 200, description = "The schedule", body = ScheduleView),
        (status = 404, description = "`schedule_not_found`: none of yours"),
    ),
    security(("bearer" = []))
)]
pub async fn show_schedule(
    admitted: Admitted,
    State(state): State<Shared>,
    SchedulePath(id): SchedulePath,
) -> Result<Json<ScheduleView>, Problem> {
    let found = state.tasks.schedules().get(id, Some(&admitted.caller.user_id)).await?;
    view(&state, found.ok_or_else(no_such_schedule)?).await.map(Json)
}
