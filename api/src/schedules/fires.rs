//! `GET /api/schedules/{id}/fires`: what became of a schedule's fires.

use super::no_such_schedule;
use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::{Query, SchedulePath};
use crate::state::Shared;
use axum::extract::State;
use candlemill_shared::Timestamp;
use candlemill_shared::forms::{FieldErrors, FireFilter, FireList, FireView, PageLimit};
use candlemill_shared::schedule::ScheduleId;
use candlemill_tasks::FireSelection;

const USUAL_LIMIT: u32 = 50;

/// List a schedule's fires, the newest first
#[utoipa::path(
    get, path = "/api/schedules/{id}/fires", operation_id = "list_fires", tag = "schedules",
    params(("id" = ScheduleId, Path, description = "Id of the schedule"), FireFilter),
    responses(
        (status = 200, description = "A page of fires", body = FireList),
        (status = 404, description = "`schedule_not_found`: none of yours"),
    ),
    security(("bearer" = []))
)]
pub async fn list_fires(
    admitted: Admitted,
    State(state): State<Shared>,
    SchedulePath(id): SchedulePath,
    Query(filter): Query<FireFilter>,
) -> Result<Json<FireList>, Problem> {
    let mut wrong = FieldErrors::default();
    let before = wrong.optional("cursor", filter.cursor).map(Timestamp::ms);
    let limit = wrong.optional("limit", filter.limit).map_or(USUAL_LIMIT, PageLimit::get);
    if !wrong.is_empty() {
        return Err(Problem::of_fields(wrong));
    }
    let schedules = state.tasks.schedules();
    if schedules.get(id, Some(&admitted.caller.user_id)).await?.is_none() {
        return Err(no_such_schedule());
    }
    let mut found = schedules.fires(FireSelection { schedule: id, before, limit: limit + 1 }).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let fires: Vec<FireView> = found.into_iter().map(FireView::from).collect();
    let next_cursor = fires.last().filter(|_| more).map(|last| last.due_at);
    Ok(Json(FireList { fires, next_cursor }))
}
