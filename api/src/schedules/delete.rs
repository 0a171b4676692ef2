//! `DELETE /api/schedules/{id}`: deletes a schedule.

use super::change::write;
use super::no_such_schedule;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::SchedulePath;
use crate::state::{AppState, Shared};
use axum::extract::State;
use axum::http::StatusCode;
use candlemill_shared::schedule::{Actor, ScheduleId, ScheduleRecord};

/// Delete a schedule
///
/// Its tasks go on; fires that wait do not start.
#[utoipa::path(
    delete, path = "/api/schedules/{id}", operation_id = "delete_schedule", tag = "schedules",
    params(("id" = ScheduleId, Path, description = "Id of the schedule")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "`schedule_not_found`: none of yours"),
        (status = 409, description = "`schedule_changed`: somebody else changed it at the same moment"),
    ),
    security(("bearer" = []))
)]
pub async fn delete_schedule(
    admitted: Admitted,
    State(state): State<Shared>,
    SchedulePath(id): SchedulePath,
) -> Result<StatusCode, Problem> {
    let found = state.tasks.schedules().get(id, Some(&admitted.caller.user_id)).await?;
    delete(&state, found.ok_or_else(no_such_schedule)?, Actor::Owner).await
}

/// Deletes it. The record stays for a while: it says who did it.
pub(crate) async fn delete(state: &AppState, mut schedule: ScheduleRecord, by: Actor) -> Result<StatusCode, Problem> {
    let (now, before) = (state.clock.now_ms(), schedule.clone());
    schedule.note(now, by, "deleted");
    schedule.deleted_at = Some(now);
    write(state, &before, &mut schedule).await?;
    Ok(StatusCode::NO_CONTENT)
}
