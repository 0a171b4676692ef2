//! `GET /api/schedules`: the caller's schedules, newest first.

use super::views;
use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::Query;
use crate::state::{AppState, Shared};
use axum::extract::State;
use candlemill_shared::forms::{FieldErrors, PageLimit, ScheduleFilter, ScheduleList};
use candlemill_tasks::ScheduleSelection;

const USUAL_LIMIT: u32 = 50;

/// List your schedules, the newest first
#[utoipa::path(
    get, path = "/api/schedules", operation_id = "list_schedules", tag = "schedules", params(ScheduleFilter),
    responses((status = 200, description = "A page of schedules", body = ScheduleList)),
    security(("bearer" = []))
)]
pub async fn list_schedules(
    admitted: Admitted,
    State(state): State<Shared>,
    Query(filter): Query<ScheduleFilter>,
) -> Result<Json<ScheduleList>, Problem> {
    page(&state, filter, Some(admitted.caller.user_id.to_string())).await.map(Json)
}

/// A page of the schedules of `owner`; or of everybody, with their owners.
pub(crate) async fn page(
    state: &AppState,
    filter: ScheduleFilter,
    owner: Option<String>,
) -> Result<ScheduleList, Problem> {
    let mut wrong = FieldErrors::default();
    let before = wrong.optional("cursor", filter.cursor);
    let limit = wrong.optional("limit", filter.limit).map_or(USUAL_LIMIT, PageLimit::get);
    if !wrong.is_empty() {
        return Err(Problem::of_fields(wrong));
    }
    let of_everybody = owner.is_none();
    let mut found = state.tasks.schedules().list(&ScheduleSelection { owner, before, limit: limit + 1 }).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let owners: Vec<String> = found.iter().map(|schedule| schedule.owner.clone()).collect();
    let mut schedules = views(state, found).await?;
    if of_everybody {
        for (view, owner) in schedules.iter_mut().zip(owners) {
            view.owner = Some(owner);
        }
    }
    let next_cursor = schedules.last().filter(|_| more).map(|last| last.schedule_id);
    Ok(ScheduleList { schedules, next_cursor })
}
