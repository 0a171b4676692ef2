//! `/api/admin/schedules`: everybody's schedules, for operators.

use crate::answer::Json;
use crate::error::Problem;
use crate::input::{Query, SchedulePath};
use crate::schedules::change::{pause, write};
use crate::schedules::delete::delete;
use crate::schedules::list::page;
use crate::schedules::{no_such_schedule, views};
use crate::state::{AppState, Shared};
use axum::extract::State;
use axum::http::StatusCode;
use candlemill_shared::forms::{ScheduleFilter, ScheduleList, ScheduleView};
use candlemill_shared::schedule::{Actor, ScheduleId};

/// List everybody's schedules, the newest first
#[utoipa::path(
    get, path = "/api/admin/schedules", operation_id = "list_all_schedules", tag = "operators", params(ScheduleFilter),
    responses((status = 200, description = "A page of schedules with their owners", body = ScheduleList)),
    security(("admin" = []))
)]
pub async fn list_all_schedules(
    State(state): State<Shared>,
    Query(filter): Query<ScheduleFilter>,
) -> Result<Json<ScheduleList>, Problem> {
    page(&state, filter, None).await.map(Json)
}

/// Pause anybody's schedule
///
/// Its owner cannot resume it.
#[utoipa::path(
    post, path = "/api/admin/schedules/{id}/pause", operation_id = "pause_schedule", tag = "operators",
    params(("id" = ScheduleId, Path, description = "Id of the schedule")),
    responses(
        (status = 200, description = "It is paused", body = ScheduleView),
        (status = 404, description = "`schedule_not_found`"),
        (status = 409, description = "`schedule_changed`: somebody else changed it at the same moment"),
    ),
    security(("admin" = []))
)]
pub async fn pause_schedule(
    State(state): State<Shared>,
    SchedulePath(id): SchedulePath,
) -> Result<Json<ScheduleView>, Problem> {
    rest(&state, id, true).await.map(Json)
}

/// Resume anybody's schedule
#[utoipa::path(
    post, path = "/api/admin/schedules/{id}/resume", operation_id = "resume_schedule", tag = "operators",
    params(("id" = ScheduleId, Path, description = "Id of the schedule")),
    responses(
        (status = 200, description = "It is not paused", body = ScheduleView),
        (status = 404, description = "`schedule_not_found`"),
        (status = 409, description = "`schedule_changed`: somebody else changed it at the same moment"),
    ),
    security(("admin" = []))
)]
pub async fn resume_schedule(
    State(state): State<Shared>,
    SchedulePath(id): SchedulePath,
) -> Result<Json<ScheduleView>, Problem> {
    rest(&state, id, false).await.map(Json)
}

/// Delete anybody's schedule
#[utoipa::path(
    delete, path = "/api/admin/schedules/{id}", operation_id = "delete_any_schedule", tag = "operators",
    params(("id" = ScheduleId, Path, description = "Id of the schedule")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "`schedule_not_found`"),
        (status = 409, description = "`schedule_changed`: somebody else changed it at the same moment"),
    ),
    security(("admin" = []))
)]
pub async fn delete_any_schedule(
    State(state): State<Shared>,
    SchedulePath(id): SchedulePath,
) -> Result<StatusCode, Problem> {
    let found = state.tasks.schedules().get(id, None).await?;
    tracing::info!(schedule.id = %id, "an operator deletes a schedule");
    delete(&state, found.ok_or_else(no_such_schedule)?, Actor::Operator).await
}

async fn rest(state: &AppState, id: ScheduleId, pauses: bool) -> Result<ScheduleView, Problem> {
    let mut schedule = state.tasks.schedules().get(id, None).await?.ok_or_else(no_such_schedule)?;
    let before = schedule.clone();
    // One that its owner paused is the operator's from now on.
    if pauses && schedule.paused.as_ref().is_some_and(|stop| stop.by != Actor::Operator) {
        schedule.paused = None;
    }
    pause(&mut schedule, pauses, Actor::Operator, state.clock.now_ms());
    if schedule.revision != before.revision {
        tracing::info!(schedule.id = %id, pauses, "an operator pauses or resumes a schedule");
        write(state, &before, &mut schedule).await?;
    }
    let owner = schedule.owner.clone();
    let mut view = views(state, vec![schedule]).await?.pop().ok_or_else(no_such_schedule)?;
    view.owner = Some(owner);
    Ok(view)
}
